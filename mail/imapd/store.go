package imapd

import (
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"commsd/internal/errcode"
	"commsd/mail/store"
)

// parseFlags parts system flags from keywords. \Recent and unknown system
// flags cannot be set.
func parseFlags(flags []imap.Flag) (store.Flags, []string, error) {
	var f store.Flags
	var keywords []string
next:
	for _, flag := range flags {
		for i, sys := range systemFlags {
			if strings.EqualFold(string(flag), string(sys)) {
				f |= flagBits[i]
				continue next
			}
		}
		if strings.HasPrefix(string(flag), `\`) {
			continue
		}
		keywords = append(keywords, string(flag))
	}
	return f, keywords, store.CheckKeywords(keywords)
}

// Store changes flags.
func (s *session) Store(w *imapserver.FetchWriter, set imap.NumSet, change *imap.StoreFlags, _ *imap.StoreOptions) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := s.op()
	defer cancel()
	b := s.box
	if b.readOnly {
		return errReadOnly
	}
	uids, err := b.resolve(set)
	if err != nil {
		return err
	}
	flags, keywords, err := parseFlags(change.Flags)
	if err != nil {
		return s.answer("STORE", err)
	}
	op := map[imap.StoreFlagsOp]store.FlagOp{imap.StoreFlagsSet: store.FlagsSet, imap.StoreFlagsAdd: store.FlagsAdd, imap.StoreFlagsDel: store.FlagsRemove}[change.Op]
	rows, err := s.server.cfg.Store.SetFlags(ctx, b.mailbox, uids, op, flags, keywords)
	if err != nil {
		return s.answer("STORE", err)
	}
	_, byUID := set.(imap.UIDSet)
	for _, row := range rows {
		if row.ModSeq > b.modseq {
			b.own = row.ModSeq // one number for the whole command; it is told here
		}
		seq := b.place(row.UID)
		if change.Silent || seq == 0 {
			continue
		}
		r := w.CreateMessage(seq)
		if byUID {
			r.WriteUID(imap.UID(row.UID))
		}
		r.WriteFlags(flagsOf(row))
		if err := r.Close(); err != nil {
			return err
		}
	}
	return nil
}

// Expunge removes what is flagged \Deleted.
func (s *session) Expunge(w *imapserver.ExpungeWriter, uids *imap.UIDSet) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := s.op()
	defer cancel()
	b := s.box
	if b.readOnly {
		if *w == (imapserver.ExpungeWriter{}) {
			return nil // CLOSE, which then removes nothing (RFC 9051, section 6.4.1)
		}
		return errReadOnly
	}
	named := b.uids
	if uids != nil {
		var err error
		if named, err = b.resolve(*uids); err != nil {
			return err
		}
	}
	if len(named) == 0 {
		return nil
	}
	gone, err := s.server.cfg.Store.Expunge(ctx, b.mailbox, named)
	if err != nil {
		return s.answer("EXPUNGE", err)
	}
	b.gone = append(b.gone, gone...)
	return b.tellGone(w.WriteExpunge)
}

func (s *session) transfer(set imap.NumSet, dest string, move bool) (*imap.CopyData, []store.Pair, error) {
	ctx, cancel := s.op()
	defer cancel()
	b := s.box
	uids, err := b.resolve(set)
	if err != nil {
		return nil, nil, err
	}
	to, err := s.mailbox(ctx, dest)
	if err != nil {
		if errcode.Of(err) == errcode.NotFound {
			return nil, nil, no(imap.ResponseCodeTryCreate, "no such mailbox")
		}
		return nil, nil, s.answer("COPY", err)
	}
	var pairs []store.Pair
	if move {
		pairs, err = s.server.cfg.Store.Move(ctx, b.mailbox, uids, to)
	} else {
		pairs, err = s.server.cfg.Store.Copy(ctx, b.mailbox, uids, to)
	}
	if err != nil {
		return nil, nil, s.answer("COPY", err)
	}
	if len(pairs) == 0 {
		return nil, nil, nil // go-imap cannot write empty sets
	}
	data := &imap.CopyData{UIDValidity: to.UIDValidity}
	for _, p := range pairs {
		data.SourceUIDs.AddNum(imap.UID(p.From))
		data.DestUIDs.AddNum(imap.UID(p.To))
	}
	return data, pairs, nil
}

// Copy copies messages into another mailbox.
func (s *session) Copy(set imap.NumSet, dest string) (*imap.CopyData, error) {
	leave, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	data, _, err := s.transfer(set, dest, false)
	return data, err
}

// Move moves messages into another mailbox.
func (s *session) Move(w *imapserver.MoveWriter, set imap.NumSet, dest string) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	if s.box.readOnly {
		return errReadOnly
	}
	data, pairs, err := s.transfer(set, dest, true)
	if err != nil || len(pairs) == 0 {
		return err
	}
	if err := w.WriteCopyData(data); err != nil {
		return err
	}
	for _, p := range pairs {
		s.box.gone = append(s.box.gone, p.From)
	}
	return s.box.tellGone(w.WriteExpunge)
}
