package store

import (
	"context"
	"fmt"
	"slices"

	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// Pair says which UID a message got where it was copied or moved to.
type Pair struct{ From, To uint32 }

// Copy puts messages of one mailbox into another of the same store as well, all
// or none.
func (s *Store) Copy(ctx context.Context, from Mailbox, uids []uint32, to Mailbox) ([]Pair, error) {
	var pairs []Pair
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		pairs, _, err = s.transfer(ctx, tx, from, uids, to)
		return err
	})
	return pairs, err
}

// Move is Copy that takes the messages out of the first mailbox.
func (s *Store) Move(ctx context.Context, from Mailbox, uids []uint32, to Mailbox) ([]Pair, error) {
	if from.ID == to.ID {
		return nil, errcode.New(errcode.Invalid, "the messages are in %s already", to.Name)
	}
	var pairs []Pair
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		p, rows, err := s.transfer(ctx, tx, from, uids, to)
		if err != nil {
			return err
		}
		pairs = p
		return s.removeRows(ctx, tx, from, rows)
	})
	return pairs, err
}

func (s *Store) transfer(ctx context.Context, tx *sqldb.Tx, from Mailbox, uids []uint32, to Mailbox) ([]Pair, []Row, error) {
	if from.Store != to.Store {
		return nil, nil, errcode.New(errcode.NotFound, "no such mailbox")
	}
	modseq, owner, err := nextModseq(ctx, tx, from.Store)
	if err != nil {
		return nil, nil, err
	}
	rows, err := rowsOf(ctx, tx, from.ID, uids)
	if err != nil {
		return nil, nil, err
	}
	var pairs []Pair
	var size int64
	for _, r := range rows {
		put := r
		put.Mailbox, put.ModSeq = to.ID, modseq
		if err := insertRow(ctx, tx, from.Store, &put); err != nil {
			return nil, nil, err
		}
		size += r.Size
		pairs = append(pairs, Pair{From: r.UID, To: put.UID})
	}
	if _, err := tx.Exec(ctx, `UPDATE mail_store SET used_bytes = used_bytes + $1 WHERE id = $2`, size, string(from.Store)); err != nil {
		return nil, nil, fmt.Errorf("store: count bytes: %w", err)
	}
	s.announce(ctx, tx, Change{Store: from.Store, Owner: owner})
	return pairs, rows, nil
}

// Expunge removes the messages flagged \Deleted for good: those among uids, or
// all when uids is nil. It returns the UIDs that went.
func (s *Store) Expunge(ctx context.Context, box Mailbox, uids []uint32) ([]uint32, error) {
	var gone []uint32
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		gone = nil
		if _, _, err := nextModseq(ctx, tx, box.Store); err != nil { // the lock, before the read
			return err
		}
		var rows []Row
		if uids == nil {
			rows, err = queryRows(ctx, tx, `SELECT `+rowColumns+` FROM mail_mailbox_message WHERE mailbox_id = $1 ORDER BY uid`, box.ID)
		} else {
			rows, err = rowsOf(ctx, tx, box.ID, uids)
		}
		if err != nil {
			return err
		}
		rows = slices.DeleteFunc(rows, func(r Row) bool { return r.Flags&Deleted == 0 })
		for _, r := range rows {
			gone = append(gone, r.UID)
		}
		return s.removeRows(ctx, tx, box, rows)
	})
	return gone, err
}

// Remove takes messages out of a mailbox for good, whatever their flags.
func (s *Store) Remove(ctx context.Context, box Mailbox, uids []uint32) error {
	return s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, _, err := nextModseq(ctx, tx, box.Store); err != nil {
			return err
		}
		rows, err := rowsOf(ctx, tx, box.ID, uids)
		if err != nil {
			return err
		}
		return s.removeRows(ctx, tx, box, rows)
	})
}

// removeRows takes rows out of box, notes their UIDs, and drops messages that
// no mailbox holds any more.
func (s *Store) removeRows(ctx context.Context, tx *sqldb.Tx, box Mailbox, rows []Row) error {
	if len(rows) == 0 {
		return nil
	}
	modseq, owner, err := nextModseq(ctx, tx, box.Store)
	if err != nil {
		return err
	}
	var uids []uint32
	var unseen, deleted, size int64
	for _, r := range rows {
		uids = append(uids, r.UID)
		unseen += r.Flags.unseen()
		deleted += r.Flags.deleted()
		size += r.Size
	}
	for part := range slices.Chunk(uids, chunk) {
		if _, err := tx.Exec(ctx, `DELETE FROM mail_mailbox_message WHERE mailbox_id = $1 AND uid IN (`+numbers(part)+`)`, box.ID); err != nil {
			return fmt.Errorf("store: remove messages: %w", err)
		}
	}
	for _, r := range runs(uids) {
		if _, err := tx.Exec(ctx, `INSERT INTO mail_expunged (mailbox_id, uid_first, uid_last, modseq) VALUES ($1, $2, $3, $4)`,
			box.ID, int64(r.First), int64(r.Last), modseq); err != nil {
			return fmt.Errorf("store: note removal: %w", err)
		}
	}
	_, err = tx.Exec(ctx, `UPDATE mail_mailbox SET total = total - $1, unseen = unseen - $2, deleted = deleted - $3, size = size - $4, modseq = $5 WHERE id = $6`,
		len(rows), unseen, deleted, size, modseq, box.ID)
	if err != nil {
		return fmt.Errorf("store: count removal: %w", err)
	}
	if _, err := tx.Exec(ctx, `UPDATE mail_store SET used_bytes = used_bytes - $1 WHERE id = $2`, size, string(box.Store)); err != nil {
		return fmt.Errorf("store: count bytes: %w", err)
	}
	for _, r := range rows {
		if _, err := tx.Exec(ctx, dropQuery, r.Message); err != nil {
			return fmt.Errorf("store: drop message: %w", err)
		}
	}
	if err := dropUploads(ctx, tx, rows); err != nil {
		return err
	}
	s.announce(ctx, tx, Change{Store: box.Store, Owner: owner})
	return nil
}

// runs joins neighbours of ascending UIDs.
func runs(uids []uint32) []Range {
	var out []Range
	for _, u := range uids {
		if n := len(out); n > 0 && out[n-1].Last+1 == u {
			out[n-1].Last = u
			continue
		}
		out = append(out, Range{First: u, Last: u})
	}
	return out
}
