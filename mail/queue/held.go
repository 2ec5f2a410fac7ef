package queue

import (
	"context"
	"fmt"
	"io"
	"time"

	"commsd/identity"
	"commsd/internal/blob"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
	"commsd/mail/store"
)

// Held is an item that is kept here instead of being sent.
type Held struct {
	ID        string
	Subject   string
	To        []string
	Size      int64
	CreatedAt time.Time
}

const heldQuery = `SELECT id, subject, body_size, created_at FROM mail_queue
	WHERE sender = $1 AND state = 'held' ORDER BY created_at DESC, id DESC LIMIT $2`

// Held lists the items of a sender that are held, newest first, at most limit.
func (q *Queue) Held(ctx context.Context, sender identity.PersonID, limit int) ([]Held, error) {
	var out []Held
	err := q.cfg.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		out = nil
		rows, err := tx.Query(ctx, heldQuery, string(sender), limit)
		if err != nil {
			return err
		}
		for rows.Next() {
			var h Held
			var created int64
			if err := rows.Scan(&h.ID, &h.Subject, &h.Size, &created); err != nil {
				rows.Close()
				return err
			}
			h.CreatedAt = time.UnixMicro(created)
			out = append(out, h)
		}
		rows.Close()
		if err := rows.Err(); err != nil {
			return err
		}
		for i := range out {
			if out[i].To, err = pending(ctx, tx, out[i].ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("queue: list held mail: %w", err)
	}
	return out, nil
}

// OpenHeld opens the bytes of a held item of the sender's own.
func (q *Queue) OpenHeld(ctx context.Context, sender identity.PersonID, id string) (io.ReadCloser, error) {
	it := work{id: id, ref: blob.Ref{Namespace: store.Namespace}}
	found := false
	err := q.cfg.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		found = false
		rows, err := tx.Query(ctx, `SELECT trace, body, blob_agency, blob_sha256, body_size FROM mail_queue
			WHERE id = $1 AND sender = $2 AND state = 'held'`, id, string(sender))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			found = true
			if err := rows.Scan(&it.trace, &it.body, &it.ref.Agency, &it.ref.SHA256, &it.size); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("queue: open held mail: %w", err)
	}
	if !found {
		return nil, errcode.New(errcode.NotFound, "no such held message")
	}
	it.ref.Size = it.size
	return q.open(ctx, it)
}
