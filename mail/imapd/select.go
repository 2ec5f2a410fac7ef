package imapd

import (
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"commsd/mail/store"
)

// Select opens a mailbox.
func (s *session) Select(name string, options *imap.SelectOptions) (*imap.SelectData, error) {
	leave, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx, cancel := s.op()
	defer cancel()
	s.unselect()
	m, err := s.mailbox(ctx, name)
	if err != nil {
		return nil, s.answer("SELECT", err)
	}
	if opened := s.server.cfg.Opened; opened != nil {
		opened(s.signedIn(), "mailbox", m.ID)
	}
	// Watch first: what changes after the snapshot wakes us.
	watch := s.server.cfg.Store.Watch(s.store)
	st, err := s.server.cfg.Store.Snapshot(ctx, s.store, m.ID)
	if err != nil {
		watch.Close()
		return nil, s.answer("SELECT", err)
	}
	s.box = &selected{mailbox: st.Mailbox, readOnly: options.ReadOnly, uids: st.UIDs, modseq: st.Mailbox.ModSeq, watch: watch}
	data := &imap.SelectData{
		Flags: systemFlags, NumMessages: uint32(len(st.UIDs)), FirstUnseenSeqNum: st.Unseen, // UIDs are 32 bits
		UIDNext: imap.UID(st.Mailbox.UIDNext), UIDValidity: st.Mailbox.UIDValidity,
	}
	if !options.ReadOnly {
		data.PermanentFlags = append(slices.Clone(systemFlags), imap.FlagWildcard)
	}
	return data, nil
}

// Unselect closes the mailbox.
func (s *session) Unselect() error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	s.unselect()
	return nil
}

func (s *session) unselect() {
	if s.box != nil {
		s.box.watch.Close()
		s.box = nil
	}
}

// Poll tells the client what others have changed.
func (s *session) Poll(w *imapserver.UpdateWriter, allowExpunge bool) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	return s.poll(w, allowExpunge)
}

func (s *session) poll(w *imapserver.UpdateWriter, allowExpunge bool) error {
	b := s.box
	if b == nil {
		return nil
	}
	ctx, cancel := s.op()
	defer cancel()
	c, err := s.server.cfg.Store.Changes(ctx, b.mailbox, b.modseq)
	if err != nil {
		return s.answer("poll", err)
	}
	if c.Gone {
		return s.conn.Bye("the mailbox was deleted")
	}
	b.modseq = max(b.modseq, c.ModSeq)
	for _, r := range c.Removed {
		lo, _ := slices.BinarySearch(b.uids, r.First)
		for _, uid := range b.uids[lo:] {
			if uid > r.Last {
				break
			}
			if !slices.Contains(b.gone, uid) {
				b.gone = append(b.gone, uid)
			}
		}
	}
	if allowExpunge {
		if err := b.tellGone(w.WriteExpunge); err != nil {
			return err
		}
	}
	before := len(b.uids)
	for _, row := range c.Changed {
		if n := len(b.uids); n == 0 || row.UID > b.uids[n-1] {
			b.uids = append(b.uids, row.UID)
		}
	}
	if len(b.uids) > before {
		if err := w.WriteNumMessages(uint32(len(b.uids))); err != nil { // UIDs are 32 bits
			return err
		}
	}
	for _, row := range c.Changed {
		seq := b.place(row.UID)
		if seq == 0 || int(seq) > before || row.ModSeq == b.own {
			continue
		}
		if err := w.WriteMessageFlags(seq, imap.UID(row.UID), flagsOf(row)); err != nil {
			return err
		}
	}
	return nil
}

// tellGone writes an EXPUNGE for each removed message, from the end, so that
// the numbers before stay.
func (b *selected) tellGone(write func(uint32) error) error {
	slices.Sort(b.gone)
	for i := len(b.gone) - 1; i >= 0; i-- {
		seq := b.place(b.gone[i])
		if seq == 0 {
			continue
		}
		b.uids = slices.Delete(b.uids, int(seq)-1, int(seq))
		if err := write(seq); err != nil {
			return err
		}
	}
	b.gone = nil
	return nil
}

// Idle tells of changes until the client says DONE.
func (s *session) Idle(w *imapserver.UpdateWriter, stop <-chan struct{}) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	var changed <-chan struct{}
	if s.box != nil {
		changed = s.box.watch.C
	}
	// Hints may be lost; SQL is looked at in any case.
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		if err := s.again(); err != nil {
			return err
		}
		if err := s.poll(w, true); err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		case <-s.ctx.Done():
			return nil
		case <-changed:
		case <-ticker.C:
		}
	}
}

var systemFlags = []imap.Flag{imap.FlagSeen, imap.FlagAnswered, imap.FlagFlagged, imap.FlagDeleted, imap.FlagDraft}

var flagBits = []store.Flags{store.Seen, store.Answered, store.Flagged, store.Deleted, store.Draft}

func flagsOf(row store.Row) []imap.Flag {
	out := []imap.Flag{}
	for i, bit := range flagBits {
		if row.Flags&bit != 0 {
			out = append(out, systemFlags[i])
		}
	}
	for _, k := range row.Keywords {
		out = append(out, imap.Flag(k))
	}
	return out
}
