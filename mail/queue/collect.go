package queue

import (
	"context"
	"fmt"

	"commsd/internal/blob"
	"commsd/internal/sqldb"
	"commsd/mail/store"
)

const (
	doneQuery  = `SELECT id FROM mail_queue WHERE state = 'done' AND next_at < $1 ORDER BY next_at LIMIT $2`
	blobsQuery = `SELECT blob_agency, blob_sha256 FROM mail_queue WHERE blob_sha256 IN (`
	// How many items one transaction forgets.
	forgetBatch = 200
)

// Forget removes the items that were done longer than KeepDone ago, with what
// came of them, and returns how many there were.
func (q *Queue) Forget(ctx context.Context) (n int, err error) {
	for {
		var ids []any
		err := q.cfg.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			if ids, err = q.done(ctx, tx); err != nil || len(ids) == 0 {
				return err
			}
			these := sqldb.Placeholders(1, len(ids)) + `)`
			if _, err := tx.Exec(ctx, `DELETE FROM mail_queue_recipient WHERE queue_id IN (`+these, ids...); err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `DELETE FROM mail_queue WHERE id IN (`+these, ids...)
			return err
		})
		if err != nil {
			return n, fmt.Errorf("queue: forget what is done: %w", err)
		}
		n += len(ids)
		if len(ids) < forgetBatch {
			return n, nil
		}
	}
}

// done finds items to forget that no other node is forgetting. The end of an
// item is its next_at.
func (q *Queue) done(ctx context.Context, tx *sqldb.Tx) ([]any, error) {
	lock := tx.ForUpdate()
	if lock != "" {
		lock += " SKIP LOCKED"
	}
	rows, err := tx.Query(ctx, doneQuery+lock, q.cfg.Now().Add(-q.cfg.KeepDone).UnixMicro(), forgetBatch)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []any
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// BlobsInUse adds to used those of refs that an item refers to, without their
// sizes.
func (q *Queue) BlobsInUse(ctx context.Context, refs []blob.Ref, used map[blob.Ref]bool) error {
	return store.BlobsIn(ctx, q.cfg.DB, blobsQuery, refs, used)
}
