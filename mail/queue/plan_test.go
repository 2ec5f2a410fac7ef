package queue

import (
	"context"
	"strings"
	"testing"

	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
)

// What was sent long ago does not slow down what is due.
func TestQueriesUseIndexes(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
				INSERT INTO mail_queue (id, sender, mail_from, subject, trace, body, blob_agency, blob_sha256, body_size, state, attempts, next_at, expires_at, leased_until, lease_owner, created_at)
				SELECT 'q' || i, 'p' || (i % 50), '', '', $1, $1, '', '', 0, CASE WHEN i % 100 = 0 THEN 'active' WHEN i % 100 = 1 THEN 'held' ELSE 'done' END, 0, i, i, 0, '', i FROM n`, []byte{})
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `INSERT INTO mail_queue_recipient (queue_id, recipient, state, code, enhanced, answer, remote, changed_at)
				SELECT id, 'x@far.example', 'pending', 0, '', '', '', 0 FROM mail_queue`); err != nil {
				return err
			}
			_, err = tx.Exec(ctx, "ANALYZE")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for name, q := range map[string]struct {
			query string
			args  []any
		}{
			"due":     {dueQuery, []any{int64(2000), 4}},
			"held":    {heldQuery, []any{"p1", 100}},
			"done":    {doneQuery, []any{int64(20), forgetBatch}},
			"blobs":   {blobsQuery + "$1, $2)", []any{"x", "y"}},
			"pending": {pendingQuery, []any{"q1"}},
		} {
			plan := sqldbtest.Explain(t, db, q.query, q.args...)
			if strings.Contains(plan, "Seq Scan on mail_queue ") || strings.Contains(plan, "SCAN mail_queue") || !strings.Contains(strings.ToUpper(plan), "INDEX") {
				t.Errorf("%s scans:\n%s", name, plan)
			}
		}
	})
}
