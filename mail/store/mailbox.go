package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// Role is what a mailbox is for; IMAP shows it as a special use (RFC 6154).
type Role string

// The roles. Every store has one mailbox of each.
const (
	RoleNone    Role = ""
	RoleInbox   Role = "inbox"
	RoleSent    Role = "sent"
	RoleDrafts  Role = "drafts"
	RoleTrash   Role = "trash"
	RoleJunk    Role = "junk"
	RoleArchive Role = "archive"
)

// Delimiter parts the levels of a mailbox name.
const Delimiter = "/"

var defaults = []struct {
	name string
	role Role
}{
	{"INBOX", RoleInbox},
	{"Drafts", RoleDrafts},
	{"Sent", RoleSent},
	{"Archive", RoleArchive},
	{"Junk", RoleJunk},
	{"Trash", RoleTrash},
}

// Mailbox is a mailbox with its counters.
type Mailbox struct {
	ID          string
	Store       ID
	Name        string
	Role        Role
	Subscribed  bool
	UIDValidity uint32
	UIDNext     uint32
	ModSeq      int64
	Total       int64
	Unseen      int64
	Deleted     int64
	Size        int64
}

const mailboxColumns = `id, store_id, name, role, subscribed, uidvalidity, uidnext, modseq, total, unseen, deleted, size`

func scanMailbox(row interface{ Scan(...any) error }) (Mailbox, error) {
	var m Mailbox
	err := row.Scan(&m.ID, &m.Store, &m.Name, &m.Role, &m.Subscribed, &m.UIDValidity, &m.UIDNext, &m.ModSeq, &m.Total, &m.Unseen, &m.Deleted, &m.Size)
	return m, err
}

// Mailboxes lists the mailboxes of a store by name, INBOX first.
func (s *Store) Mailboxes(ctx context.Context, id ID) ([]Mailbox, error) {
	var out []Mailbox
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		out = nil
		rows, err := tx.Query(ctx, `SELECT `+mailboxColumns+` FROM mail_mailbox WHERE store_id = $1
			ORDER BY CASE WHEN role = 'inbox' THEN 0 ELSE 1 END, name`, string(id))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			m, err := scanMailbox(rows)
			if err != nil {
				return err
			}
			out = append(out, m)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("store: list mailboxes: %w", err)
	}
	return out, nil
}

var errNoMailbox = errcode.New(errcode.NotFound, "no such mailbox")

// Mailbox finds a mailbox of a store by its id.
func (s *Store) Mailbox(ctx context.Context, id ID, mailbox string) (Mailbox, error) {
	return s.mailboxBy(ctx, id, "id", mailbox)
}

// MailboxNamed finds a mailbox by its name; INBOX in any case.
func (s *Store) MailboxNamed(ctx context.Context, id ID, name string) (Mailbox, error) {
	return s.mailboxBy(ctx, id, "name", canonical(name))
}

// MailboxOf finds the mailbox that has a role.
func (s *Store) MailboxOf(ctx context.Context, id ID, role Role) (Mailbox, error) {
	return s.mailboxBy(ctx, id, "role", string(role))
}

func (s *Store) mailboxBy(ctx context.Context, id ID, column, value string) (Mailbox, error) {
	var m Mailbox
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		m, err = findMailbox(ctx, tx, id, column, value)
		return err
	})
	return m, err
}

// findMailbox looks in column, which is one of ours and no input.
func findMailbox(ctx context.Context, tx *sqldb.Tx, id ID, column, value string) (Mailbox, error) {
	m, err := scanMailbox(tx.QueryRow(ctx, `SELECT `+mailboxColumns+` FROM mail_mailbox WHERE store_id = $1 AND `+column+` = $2`, string(id), value))
	if errors.Is(err, sql.ErrNoRows) {
		return m, errNoMailbox
	}
	if err != nil {
		return m, fmt.Errorf("store: find mailbox: %w", err)
	}
	return m, nil
}

// canonical brings a name to the form it is stored in.
func canonical(name string) string {
	name = norm.NFC.String(strings.TrimSuffix(name, Delimiter))
	first, rest, nested := strings.Cut(name, Delimiter)
	if strings.EqualFold(first, "INBOX") {
		if nested {
			return "INBOX" + Delimiter + rest
		}
		return "INBOX"
	}
	return name
}

// checkName refuses names that no client could show or ask for.
func checkName(name string) error {
	if name == "" || len(name) > 255 {
		return errcode.New(errcode.Invalid, "the name of a mailbox has 1 to 255 bytes")
	}
	if strings.ContainsAny(name, "*%\\\"") {
		return errcode.New(errcode.Invalid, `the name of a mailbox holds none of * %% \ "`)
	}
	levels := strings.Split(name, Delimiter)
	if len(levels) > 10 {
		return errcode.New(errcode.Invalid, "mailboxes nest at most 10 levels")
	}
	for _, level := range levels {
		if strings.TrimSpace(level) != level || level == "" || level == "." || level == ".." {
			return errcode.New(errcode.Invalid, "a level of the mailbox's name is empty or begins or ends with a space")
		}
		for _, r := range level {
			if !unicode.IsPrint(r) {
				return errcode.New(errcode.Invalid, "the name of a mailbox holds printable characters only")
			}
		}
	}
	return nil
}

// CreateMailbox makes a mailbox; errcode.Conflict where the name is taken.
func (s *Store) CreateMailbox(ctx context.Context, id ID, name string) (Mailbox, error) {
	name = canonical(name)
	if err := checkName(name); err != nil {
		return Mailbox{}, err
	}
	var m Mailbox
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if err := freeName(ctx, tx, id, name); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM mail_mailbox WHERE store_id = $1`, string(id)).Scan(&n); err != nil {
			return err
		}
		if n >= s.maxMailboxes {
			return errcode.New(errcode.TooLarge, "there are %d mailboxes, and no more can be made; delete one first", n)
		}
		m, err = s.insertMailbox(ctx, tx, id, name, RoleNone)
		return err
	})
	if sqldb.IsUnique(err) {
		return m, errcode.New(errcode.Conflict, "a mailbox of this name exists")
	}
	return m, err
}

func freeName(ctx context.Context, tx *sqldb.Tx, id ID, name string) error {
	_, err := findMailbox(ctx, tx, id, "name", name)
	if err == nil {
		return errcode.New(errcode.Conflict, "a mailbox of this name exists")
	}
	if errcode.Of(err) != errcode.NotFound {
		return err
	}
	return nil
}

func (s *Store) insertMailbox(ctx context.Context, tx *sqldb.Tx, id ID, name string, role Role) (Mailbox, error) {
	modseq, owner, err := nextModseq(ctx, tx, id)
	if err != nil {
		return Mailbox{}, err
	}
	var created int64
	if err := tx.QueryRow(ctx, `SELECT created_at FROM mail_store WHERE id = $1`, string(id)).Scan(&created); err != nil {
		return Mailbox{}, fmt.Errorf("store: make mailbox: %w", err)
	}
	box, err := newID()
	if err != nil {
		return Mailbox{}, err
	}
	m := Mailbox{
		ID: box, Store: id, Name: name, Role: role, Subscribed: true, UIDNext: 1, ModSeq: modseq,
		// Rises with every mailbox of the store, so that a name that is deleted
		// and made again never has the same one twice.
		UIDValidity: uint32(created/1e6 + modseq), // seconds since 1970 fit until 2106
	}
	_, err = tx.Exec(ctx, `INSERT INTO mail_mailbox (`+mailboxColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, 0, 0)`,
		m.ID, string(id), name, string(role), true, int64(m.UIDValidity), 1, modseq)
	if err != nil {
		return Mailbox{}, fmt.Errorf("store: make mailbox: %w", err)
	}
	s.announce(ctx, tx, Change{Store: id, Owner: owner})
	return m, nil
}

// RenameMailbox renames a mailbox and those below it.
func (s *Store) RenameMailbox(ctx context.Context, id ID, from, to string) error {
	from, to = canonical(from), canonical(to)
	if err := checkName(to); err != nil {
		return err
	}
	if strings.HasPrefix(to, from+Delimiter) {
		return errcode.New(errcode.Invalid, "a mailbox cannot be moved into itself")
	}
	return s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		modseq, owner, err := nextModseq(ctx, tx, id)
		if err != nil {
			return err
		}
		m, err := findMailbox(ctx, tx, id, "name", from)
		if err != nil {
			return err
		}
		if m.Role != RoleNone {
			return errcode.New(errcode.Forbidden, "%s keeps its name", m.Name)
		}
		if err := freeName(ctx, tx, id, to); err != nil {
			return err
		}
		renamed, err := newNames(ctx, tx, id, from, to)
		if err != nil {
			return fmt.Errorf("store: rename: %w", err)
		}
		for box, name := range renamed {
			if _, err := tx.Exec(ctx, `UPDATE mail_mailbox SET name = $1, modseq = $2 WHERE id = $3`, name, modseq, box); err != nil {
				return fmt.Errorf("store: rename: %w", err)
			}
		}
		s.announce(ctx, tx, Change{Store: id, Owner: owner})
		return nil
	})
}

// newNames says what each mailbox is called once from is called to, by id.
func newNames(ctx context.Context, tx *sqldb.Tx, id ID, from, to string) (map[string]string, error) {
	rows, err := tx.Query(ctx, `SELECT id, name FROM mail_mailbox WHERE store_id = $1`, string(id))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		var box, name string
		if err := rows.Scan(&box, &name); err != nil {
			return nil, err
		}
		if name == from || strings.HasPrefix(name, from+Delimiter) {
			out[box] = to + strings.TrimPrefix(name, from)
		}
	}
	return out, rows.Err()
}

// Subscribe sets whether clients list a mailbox among the subscribed.
func (s *Store) Subscribe(ctx context.Context, id ID, name string, subscribed bool) error {
	return s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		m, err := findMailbox(ctx, tx, id, "name", canonical(name))
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE mail_mailbox SET subscribed = $1 WHERE id = $2`, subscribed, m.ID)
		return err
	})
}

// DeleteMailbox removes a mailbox with all that is in it. Those below it stay.
func (s *Store) DeleteMailbox(ctx context.Context, id ID, name string) error {
	return s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, owner, err := nextModseq(ctx, tx, id)
		if err != nil {
			return err
		}
		m, err := findMailbox(ctx, tx, id, "name", canonical(name))
		if err != nil {
			return err
		}
		if m.Role != RoleNone {
			return errcode.New(errcode.Forbidden, "%s cannot be deleted", m.Name)
		}
		if _, err := tx.Exec(ctx, `DELETE FROM mail_mailbox_message WHERE mailbox_id = $1`, m.ID); err != nil {
			return fmt.Errorf("store: delete mailbox: %w", err)
		}
		if _, err := tx.Exec(ctx, `DELETE FROM mail_expunged WHERE mailbox_id = $1`, m.ID); err != nil {
			return fmt.Errorf("store: delete mailbox: %w", err)
		}
		if _, err := tx.Exec(ctx, `DELETE FROM mail_mailbox WHERE id = $1`, m.ID); err != nil {
			return fmt.Errorf("store: delete mailbox: %w", err)
		}
		if _, err := tx.Exec(ctx, `UPDATE mail_store SET used_bytes = used_bytes - $1 WHERE id = $2`, m.Size, string(id)); err != nil {
			return fmt.Errorf("store: delete mailbox: %w", err)
		}
		if err := dropUnreferenced(ctx, tx, id); err != nil {
			return err
		}
		s.announce(ctx, tx, Change{Store: id, Owner: owner})
		return nil
	})
}

// dropUnreferenced removes the messages of a store that no mailbox holds.
func dropUnreferenced(ctx context.Context, tx *sqldb.Tx, id ID) error {
	_, err := tx.Exec(ctx, `DELETE FROM mail_message WHERE store_id = $1
		AND NOT EXISTS (SELECT 1 FROM mail_mailbox_message h WHERE h.message_id = mail_message.id)`, string(id))
	if err != nil {
		return fmt.Errorf("store: drop messages: %w", err)
	}
	return nil
}
