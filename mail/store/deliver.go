package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"commsd/identity"
	"commsd/internal/sqldb"
)

// Delivery puts a content into one person's mailbox.
type Delivery struct {
	Owner   identity.PersonID
	Agency  identity.AgencyID
	Mailbox Role   // RoleInbox unless set
	Trace   []byte // header lines of this recipient alone, each ended by CR LF
	Flags   Flags
	Arrived bool // tell the owner that mail has come
}

// Deliver puts c into all mailboxes, or into none: when it returns nil, the
// message is durable in each. also, if any, runs in the same transaction, and
// so may run more than once: it must have no effect outside of tx. (Recipients
// have stores of their own, so that the transaction spans several: an answer to
// the sender speaks for all of them.)
func (s *Store) Deliver(ctx context.Context, c *Content, to []Delivery, also func(ctx context.Context, tx *sqldb.Tx) error) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.DeliverTx(ctx, tx, c, to); err != nil {
			return err
		}
		if also != nil {
			return also(ctx, tx)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store: deliver: %w", err)
	}
	s.arrived.Add(float64(len(to)))
	return nil
}

// DeliverTx is Deliver within the caller's transaction.
func (s *Store) DeliverTx(ctx context.Context, tx *sqldb.Tx, c *Content, to []Delivery) error {
	// One order of locks for all, so that two deliveries never wait for one another.
	to = slices.Clone(to)
	slices.SortFunc(to, func(a, b Delivery) int { return cmp.Compare(a.Owner, b.Owner) })
	for _, d := range to {
		id, err := s.ensure(ctx, tx, d.Owner, d.Agency)
		if err != nil {
			return err
		}
		if d.Mailbox == RoleNone {
			d.Mailbox = RoleInbox
		}
		box, err := findMailbox(ctx, tx, id, "role", string(d.Mailbox))
		if err != nil {
			return err
		}
		if _, err := s.add(ctx, tx, box, c, d.Agency, d.Trace, added{flags: d.Flags, date: s.now(), arrived: d.Arrived}); err != nil {
			return err
		}
	}
	return nil
}

// Append puts c into one mailbox of a store, as IMAP's APPEND does. date zero
// means now.
func (s *Store) Append(ctx context.Context, box Mailbox, agency identity.AgencyID, c *Content, flags Flags, keywords []string, date time.Time) (uid uint32, err error) {
	if date.IsZero() {
		date = s.now()
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		row, err := s.add(ctx, tx, box, c, agency, nil, added{flags: flags, keywords: keywords, date: date})
		uid = row.UID
		return err
	})
	return uid, err
}

// added says how a message is put into a mailbox.
type added struct {
	id       string // of the message; empty: a new one
	flags    Flags
	keywords []string
	date     time.Time
	draft    string
	arrived  bool
}

// add writes a message's cold row and puts it into box.
func (s *Store) add(ctx context.Context, tx *sqldb.Tx, box Mailbox, c *Content, agency identity.AgencyID, trace []byte, a added) (Row, error) {
	modseq, owner, err := nextModseq(ctx, tx, box.Store)
	if err != nil {
		return Row{}, err
	}
	if a.id == "" {
		if a.id, err = newID(); err != nil {
			return Row{}, err
		}
	}
	inline, ref, err := c.Location(agency)
	if err != nil {
		return Row{}, err
	}
	envelope, err := json.Marshal(c.Message.Envelope)
	if err != nil {
		return Row{}, fmt.Errorf("store: envelope: %w", err)
	}
	structure, err := json.Marshal(c.Message.Root)
	if err != nil {
		return Row{}, fmt.Errorf("store: structure: %w", err)
	}
	if trace == nil {
		trace = []byte{}
	}
	var body any // a nil []byte would be an empty body, not none
	if ref.SHA256 == "" {
		body = append([]byte{}, inline...)
	}
	_, err = tx.Exec(ctx, `INSERT INTO mail_message (id, store_id, trace, body, blob_agency, blob_sha256, body_size, message_id,
			envelope, structure, preview, search, attachments, draft, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		a.id, string(box.Store), trace, body, ref.Agency, ref.SHA256, c.Size, c.Message.Envelope.MessageID,
		string(envelope), string(structure), c.Preview, c.search, c.Attachments, a.draft, s.now().UnixMicro())
	if err != nil {
		return Row{}, fmt.Errorf("store: write message: %w", err)
	}
	row := Row{Mailbox: box.ID, Message: a.id, Flags: a.flags, Keywords: a.keywords, Date: a.date, Size: int64(len(trace)) + c.Size, ModSeq: modseq}
	if err := insertRow(ctx, tx, box.Store, &row); err != nil {
		return Row{}, err
	}
	if _, err := tx.Exec(ctx, `UPDATE mail_store SET used_bytes = used_bytes + $1 WHERE id = $2`, row.Size, string(box.Store)); err != nil {
		return Row{}, fmt.Errorf("store: count bytes: %w", err)
	}
	s.announce(ctx, tx, Change{Store: box.Store, Owner: owner, Arrived: a.arrived})
	return row, nil
}

// insertRow gives row the mailbox's next UID, counts it and writes it.
func insertRow(ctx context.Context, tx *sqldb.Tx, id ID, row *Row) error {
	err := tx.QueryRow(ctx, `UPDATE mail_mailbox SET uidnext = uidnext + 1, total = total + 1, unseen = unseen + $1,
			deleted = deleted + $2, size = size + $3, modseq = $4
		WHERE id = $5 AND store_id = $6 RETURNING uidnext - 1`,
		row.Flags.unseen(), row.Flags.deleted(), row.Size, row.ModSeq, row.Mailbox, string(id)).Scan(&row.UID)
	if err != nil {
		return noRows(err, errNoMailbox, "give a UID")
	}
	_, err = tx.Exec(ctx, `INSERT INTO mail_mailbox_message (mailbox_id, uid, store_id, message_id, flags, keywords, internal_date, size, modseq)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		row.Mailbox, int64(row.UID), string(id), row.Message, int64(row.Flags), joinKeywords(row.Keywords), row.Date.UnixMicro(), row.Size, row.ModSeq)
	if err != nil {
		return fmt.Errorf("store: put message into mailbox: %w", err)
	}
	return nil
}
