package imapd

import (
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"commsd/mail/store"
)

var specialUse = map[store.Role]imap.MailboxAttr{
	store.RoleSent: imap.MailboxAttrSent, store.RoleDrafts: imap.MailboxAttrDrafts, store.RoleTrash: imap.MailboxAttrTrash,
	store.RoleJunk: imap.MailboxAttrJunk, store.RoleArchive: imap.MailboxAttrArchive,
}

// List lists mailboxes. Special uses are always told: clients look for them.
func (s *session) List(w *imapserver.ListWriter, ref string, patterns []string, options *imap.ListOptions) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	if len(patterns) == 0 {
		return w.WriteList(&imap.ListData{Attrs: []imap.MailboxAttr{imap.MailboxAttrNoSelect}, Delim: '/'})
	}
	if len(patterns) > s.server.cfg.MaxListPatterns {
		return bad("too many patterns in one LIST")
	}
	ctx, cancel := s.op()
	defer cancel()
	boxes, err := s.server.cfg.Store.Mailboxes(ctx, s.store)
	if err != nil {
		return s.answer("LIST", err)
	}
	parents := map[string]bool{}
	for _, m := range boxes {
		for i, c := range m.Name {
			if string(c) == store.Delimiter {
				parents[m.Name[:i]] = true
			}
		}
	}
	for _, m := range boxes {
		if err := ctx.Err(); err != nil {
			return s.answer("LIST", err)
		}
		special, has := specialUse[m.Role]
		matches := false
		for _, p := range patterns {
			matches = matches || match(m.Name, ref+p)
		}
		if !matches || options.SelectSubscribed && !m.Subscribed || options.SelectSpecialUse && !has {
			continue
		}
		data := &imap.ListData{Mailbox: m.Name, Delim: '/'}
		child := imap.MailboxAttrHasNoChildren
		if parents[m.Name] {
			child = imap.MailboxAttrHasChildren
		}
		data.Attrs = append(data.Attrs, child)
		if has {
			data.Attrs = append(data.Attrs, special)
		}
		if m.Subscribed && (options.ReturnSubscribed || options.SelectSubscribed) {
			data.Attrs = append(data.Attrs, imap.MailboxAttrSubscribed)
		}
		if options.ReturnStatus != nil {
			data.Status = status(m)
		}
		if err := w.WriteList(data); err != nil {
			return err
		}
	}
	return nil
}

// match tells whether a name fits a pattern: * is anything, % anything within a
// level. It takes time in proportion to both lengths, whatever the pattern.
func match(name, pattern string) bool {
	if len(pattern) > 500 {
		return false
	}
	if n := len("INBOX"); len(pattern) >= n && strings.EqualFold(pattern[:n], "INBOX") {
		pattern = "INBOX" + pattern[n:]
	}
	// fits[i]: the pattern so far fits name[:i].
	fits := make([]bool, len(name)+1)
	fits[0] = true
	for p := range len(pattern) {
		next := make([]bool, len(name)+1)
		switch c := pattern[p]; c {
		case '*', '%':
			for i := range next {
				next[i] = fits[i] || i > 0 && next[i-1] && (c == '*' || name[i-1] != '/')
			}
		default:
			for i := 1; i <= len(name); i++ {
				next[i] = fits[i-1] && name[i-1] == c
			}
		}
		fits = next
	}
	return fits[len(name)]
}

func status(m store.Mailbox) *imap.StatusData {
	total, unseen, deleted, recent := uint32(m.Total), uint32(m.Unseen), uint32(m.Deleted), uint32(0) // UIDs are 32 bits
	size := m.Size
	var deletedStorage int64
	return &imap.StatusData{
		Mailbox: m.Name, NumMessages: &total, NumRecent: &recent, UIDNext: imap.UID(m.UIDNext), UIDValidity: m.UIDValidity,
		NumUnseen: &unseen, NumDeleted: &deleted, Size: &size, DeletedStorage: &deletedStorage,
	}
}

// Status tells a mailbox's counters.
func (s *session) Status(name string, _ *imap.StatusOptions) (*imap.StatusData, error) {
	leave, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx, cancel := s.op()
	defer cancel()
	m, err := s.mailbox(ctx, name)
	if err != nil {
		return nil, s.answer("STATUS", err)
	}
	return status(m), nil
}

// Create makes a mailbox.
func (s *session) Create(name string, options *imap.CreateOptions) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	if options != nil && len(options.SpecialUse) > 0 {
		return no(imap.ResponseCode("USEATTR"), "special uses are given already")
	}
	ctx, cancel := s.op()
	defer cancel()
	_, err = s.server.cfg.Store.CreateMailbox(ctx, s.store, name)
	return s.answer("CREATE", err)
}

// Delete removes a mailbox.
func (s *session) Delete(name string) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := s.op()
	defer cancel()
	return s.answer("DELETE", s.server.cfg.Store.DeleteMailbox(ctx, s.store, name))
}

// Rename renames a mailbox.
func (s *session) Rename(from, to string, _ *imap.RenameOptions) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := s.op()
	defer cancel()
	return s.answer("RENAME", s.server.cfg.Store.RenameMailbox(ctx, s.store, from, to))
}

// Subscribe marks a mailbox as subscribed.
func (s *session) Subscribe(name string) error { return s.subscribe(name, true) }

// Unsubscribe takes the mark off.
func (s *session) Unsubscribe(name string) error { return s.subscribe(name, false) }

func (s *session) subscribe(name string, yes bool) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := s.op()
	defer cancel()
	return s.answer("SUBSCRIBE", s.server.cfg.Store.Subscribe(ctx, s.store, name, yes))
}

// Namespace tells that all mailboxes are the person's own.
func (s *session) Namespace() (*imap.NamespaceData, error) {
	return &imap.NamespaceData{Personal: []imap.NamespaceDescriptor{{Prefix: "", Delim: '/'}}}, nil
}
