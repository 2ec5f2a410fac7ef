package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"commsd/internal/sqldb"
)

// MessageChange says what to do with messages, wherever they are.
type MessageChange struct {
	From       string // id of the mailbox to look in; "": in all
	Set, Clear Flags
	MoveTo     *Mailbox // nil: they stay
	Erase      bool     // remove for good what is in MoveTo already
}

// ChangeMessages marks and moves messages, all or none. errcode.NotFound where
// one of them is not there.
func (s *Store) ChangeMessages(ctx context.Context, id ID, messages []string, c MessageChange) error {
	return s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, _, err := nextModseq(ctx, tx, id); err != nil { // the lock, before the read
			return err
		}
		boxes, err := placesOf(ctx, tx, id, messages, c.From)
		if err != nil {
			return err
		}
		moved := map[string]bool{} // one copy of each is enough
		if c.MoveTo != nil {
			for _, r := range boxes[c.MoveTo.ID] {
				moved[r.Message] = true
			}
		}
		for box, rows := range boxes {
			if err := s.changeIn(ctx, tx, Mailbox{ID: box, Store: id}, rows, c, moved); err != nil {
				return err
			}
		}
		return nil
	})
}

// placesOf reads where messages are, by mailbox.
func placesOf(ctx context.Context, tx *sqldb.Tx, id ID, messages []string, from string) (map[string][]Row, error) {
	boxes, found := map[string][]Row{}, map[string]bool{}
	for part := range slices.Chunk(messages, 100) {
		args := []any{string(id), from}
		var marks []string
		for _, m := range part {
			args = append(args, m)
			marks = append(marks, fmt.Sprintf("$%d", len(args)))
		}
		rows, err := queryRows(ctx, tx, `SELECT `+rowColumns+` FROM mail_mailbox_message WHERE message_id IN (`+strings.Join(marks, ",")+`)
			AND store_id = $1 AND ($2 = '' OR mailbox_id = $2) ORDER BY mailbox_id, uid`, args...)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			boxes[r.Mailbox] = append(boxes[r.Mailbox], r)
			found[r.Message] = true
		}
	}
	for _, m := range messages {
		if !found[m] {
			return nil, errNoMessage
		}
	}
	return boxes, nil
}

func (s *Store) changeIn(ctx context.Context, tx *sqldb.Tx, box Mailbox, rows []Row, c MessageChange, moved map[string]bool) error {
	slices.SortFunc(rows, func(a, b Row) int { return int(a.UID) - int(b.UID) })
	var uids []uint32
	for _, r := range rows {
		uids = append(uids, r.UID)
	}
	if c.Set != 0 {
		if _, err := s.setFlags(ctx, tx, box, uids, FlagsAdd, c.Set, nil); err != nil {
			return err
		}
	}
	if c.Clear != 0 {
		if _, err := s.setFlags(ctx, tx, box, uids, FlagsRemove, c.Clear, nil); err != nil {
			return err
		}
	}
	if c.MoveTo == nil || c.MoveTo.ID == box.ID && !c.Erase {
		return nil
	}
	rows, err := rowsOf(ctx, tx, box.ID, uids) // as they are marked now
	if err != nil {
		return err
	}
	if c.MoveTo.ID != box.ID {
		var put []uint32
		for _, r := range rows {
			if !moved[r.Message] {
				moved[r.Message] = true
				put = append(put, r.UID)
			}
		}
		if _, _, err := s.transfer(ctx, tx, box, put, *c.MoveTo); err != nil {
			return err
		}
	}
	return s.removeRows(ctx, tx, box, rows)
}
