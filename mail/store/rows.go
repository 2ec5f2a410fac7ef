package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"commsd/internal/sqldb"
)

// Row is a message's place in one mailbox.
type Row struct {
	Mailbox  string
	UID      uint32
	Message  string // id of the message, the same wherever it is moved
	Flags    Flags
	Keywords []string // sorted
	Date     time.Time
	Size     int64
	ModSeq   int64
}

// The queries that grow with a mailbox; a test looks at their plans.
const (
	snapshotQuery = `SELECT uid, flags FROM mail_mailbox_message WHERE mailbox_id = $1 ORDER BY uid`
	changedQuery  = `SELECT ` + rowColumns + ` FROM mail_mailbox_message WHERE mailbox_id = $1 AND modseq > $2 ORDER BY uid`
	removedQuery  = `SELECT uid_first, uid_last FROM mail_expunged WHERE mailbox_id = $1 AND modseq > $2 ORDER BY uid_first`
	placesQuery   = `SELECT ` + rowColumns + ` FROM mail_mailbox_message WHERE message_id = $1 ORDER BY mailbox_id, uid`
	dropQuery     = `DELETE FROM mail_message WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM mail_mailbox_message WHERE message_id = $1)`
)

const rowColumns = `mailbox_id, uid, message_id, flags, keywords, internal_date, size, modseq`

func scanRow(row interface{ Scan(...any) error }, more ...any) (Row, error) {
	var r Row
	var keywords string
	var date int64
	err := row.Scan(append([]any{&r.Mailbox, &r.UID, &r.Message, &r.Flags, &keywords, &date, &r.Size, &r.ModSeq}, more...)...)
	r.Keywords, r.Date = strings.Fields(keywords), time.UnixMicro(date)
	return r, err
}

func queryRows(ctx context.Context, tx *sqldb.Tx, query string, args ...any) ([]Row, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("store: read mailbox: %w", err)
	}
	defer rows.Close()
	var out []Row
	for rows.Next() {
		r, err := scanRow(rows)
		if err != nil {
			return nil, fmt.Errorf("store: read mailbox: %w", err)
		}
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("store: read mailbox: %w", err)
	}
	return out, nil
}

// rowsQuery asks for the rows of a few UIDs.
func rowsQuery(uids []uint32) string {
	return `SELECT ` + rowColumns + ` FROM mail_mailbox_message WHERE mailbox_id = $1 AND uid IN (` + numbers(uids) + `) ORDER BY uid`
}

// rowsOf reads the rows of the given UIDs, in their order in the mailbox.
func rowsOf(ctx context.Context, tx *sqldb.Tx, mailbox string, uids []uint32) ([]Row, error) {
	var out []Row
	for part := range slices.Chunk(uids, chunk) {
		rows, err := queryRows(ctx, tx, rowsQuery(part), mailbox)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	return out, nil
}

// Rows reads the rows of the given UIDs that are there.
func (s *Store) Rows(ctx context.Context, box Mailbox, uids []uint32) ([]Row, error) {
	var out []Row
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		out, err = rowsOf(ctx, tx, box.ID, uids)
		return err
	})
	return out, err
}

// State is a mailbox at one moment.
type State struct {
	Mailbox Mailbox
	UIDs    []uint32 // ascending
	Unseen  uint32   // place of the first unseen message in UIDs, counted from 1; 0: none
}

// Snapshot reads the state of a mailbox.
func (s *Store) Snapshot(ctx context.Context, id ID, mailbox string) (State, error) {
	var st State
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		st = State{}
		if st.Mailbox, err = findMailbox(ctx, tx, id, "id", mailbox); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, snapshotQuery, mailbox)
		if err != nil {
			return fmt.Errorf("store: list UIDs: %w", err)
		}
		defer rows.Close()
		for rows.Next() {
			var uid uint32
			var f Flags
			if err := rows.Scan(&uid, &f); err != nil {
				return err
			}
			st.UIDs = append(st.UIDs, uid)
			if st.Unseen == 0 && f&Seen == 0 {
				st.Unseen = uint32(len(st.UIDs)) // fewer than there are UIDs
			}
		}
		return rows.Err()
	})
	return st, err
}

// Range is a run of UIDs, both ends in it.
type Range struct{ First, Last uint32 }

// Changes is what happened in a mailbox since a modseq.
type Changes struct {
	ModSeq  int64 // of the mailbox now
	Changed []Row // new or with other flags, by UID
	Removed []Range
	Gone    bool // the mailbox itself is no more
}

// Changes reads what happened in a mailbox after since.
func (s *Store) Changes(ctx context.Context, box Mailbox, since int64) (Changes, error) {
	var c Changes
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		c = Changes{}
		err := tx.QueryRow(ctx, `SELECT modseq FROM mail_mailbox WHERE id = $1`, box.ID).Scan(&c.ModSeq)
		if err != nil {
			if err = noRows(err, nil, "read changes"); err == nil {
				c.Gone = true
			}
			return err
		}
		if c.ModSeq <= since {
			return nil
		}
		if c.Changed, err = queryRows(ctx, tx, changedQuery, box.ID, since); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, removedQuery, box.ID, since)
		if err != nil {
			return fmt.Errorf("store: read removals: %w", err)
		}
		defer rows.Close()
		for rows.Next() {
			var r Range
			if err := rows.Scan(&r.First, &r.Last); err != nil {
				return err
			}
			c.Removed = append(c.Removed, r)
		}
		return rows.Err()
	})
	return c, err
}
