package queue

import (
	"context"
	"fmt"
	"time"

	"commsd/identity"
	"commsd/internal/sqldb"
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
			to, err := pending(ctx, tx, out[i].ID)
			if err != nil {
				return err
			}
			for _, r := range to {
				out[i].To = append(out[i].To, r.recipient)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("queue: list held mail: %w", err)
	}
	return out, nil
}
