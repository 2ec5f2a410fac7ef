package store

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"commsd/internal/blob"
	"commsd/internal/bus"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
)

// In a mailbox of thousands beside others, nothing is scanned, and no
// more is sorted than what is returned.
func TestQueriesUseIndexes(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		box, message := crowd(t, db)
		after := &Cursor{Date: 2000, UID: 2000}
		list, listArgs := listQuery(box.ID, nil, 50, "")
		next, nextArgs := listQuery(box.ID, after, 50, "")
		for name, q := range map[string]struct {
			query  string
			args   []any
			sorted bool // may sort the few it finds
		}{
			"list":     {list, listArgs, false},
			"next":     {next, nextArgs, false},
			"snapshot": {snapshotQuery, []any{box.ID}, true},
			"changed":  {changedQuery, []any{box.ID, int64(1 << 40)}, true},
			"removed":  {removedQuery, []any{box.ID, int64(1 << 40)}, true},
			"rows":     {rowsQuery([]uint32{5, 7, 3000}), []any{box.ID}, true},
			"places":   {placesQuery, []any{message}, true},
			"in mail":  {messageBlobsQuery + "$1, $2)", []any{"x", "y"}, true},
			"uploads":  {uploadBlobsQuery + "$1, $2)", []any{"x", "y"}, true},
			"expire":   {expireQuery, []any{int64(20)}, true},
			"drop":     {dropQuery, []any{message}, false},
		} {
			plan := sqldbtest.Explain(t, db, q.query, q.args...)
			for _, table := range []string{"mail_mailbox_message", "mail_message", "mail_expunged", "mail_upload", "h", "m"} {
				for _, scan := range []string{"Seq Scan on " + table + " ", "Seq Scan on mail_mailbox_message " + table, "Seq Scan on mail_message " + table, "SCAN " + table + "\n", "SCAN " + table + " "} {
					if strings.Contains(plan+"\n", scan) {
						t.Errorf("%s scans %s:\n%s", name, table, plan)
					}
				}
			}
			if !q.sorted && (strings.Contains(plan, "Sort") || strings.Contains(plan, "TEMP B-TREE")) {
				t.Errorf("%s sorts:\n%s", name, plan)
			}
			if !strings.Contains(strings.ToUpper(plan), "INDEX") {
				t.Errorf("%s uses no index:\n%s", name, plan)
			}
		}
	})
}

// crowd fills a store with 4000 messages, a tenth of them in the mailbox.
func crowd(t *testing.T, db *sqldb.DB) (Mailbox, string) {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	blobs, err := blob.Open(t.Context(), blob.Config{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	st, err := New(Config{DB: db, Blobs: blobs, Bus: b, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	id, err := st.Open(t.Context(), "p", "a")
	if err != nil {
		t.Fatal(err)
	}
	boxes, err := st.Mailboxes(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		const numbers = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) `
		const box = `CASE WHEN i % 10 = 0 THEN $1 ELSE $2 END`
		for _, fill := range []struct {
			query string
			args  []any
		}{
			{numbers + `INSERT INTO mail_message (id, store_id, trace, body, blob_agency, blob_sha256, body_size, message_id,
					envelope, structure, preview, search, attachments, draft, created_at)
				SELECT 'm' || i, $1, $2, $2, '', '', 0, 'm' || i, '{}', '{}', '', 'some text', 0, '', 0 FROM n`, []any{string(id), []byte{}}},
			{numbers + `INSERT INTO mail_mailbox_message (mailbox_id, uid, store_id, message_id, flags, keywords, internal_date, size, modseq)
				SELECT ` + box + `, i, $3, 'm' || i, 0, '', i, 1, i FROM n`, []any{boxes[0].ID, boxes[1].ID, string(id)}},
			{numbers + `INSERT INTO mail_expunged (mailbox_id, uid_first, uid_last, modseq) SELECT ` + box + `, i, i, i FROM n`, []any{boxes[0].ID, boxes[1].ID}},
			{numbers + `INSERT INTO mail_upload (id, store_id, draft_id, name, type, size, blob_agency, blob_sha256, created_at)
				SELECT 'u' || i, $1, 'm' || i, 'f', 't/t', 1, 'a', 's' || i, i FROM n`, []any{string(id)}},
		} {
			if _, err := tx.Exec(ctx, fill.query, fill.args...); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, "ANALYZE")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return boxes[0], "m10"
}
