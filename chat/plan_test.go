package chat

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
)

// With thousands of conversations and events, what everybody asks all the time
// goes by index.
func TestQueriesUseIndexes(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ids := crowd(t, db)
		some, pairs := []any{}, []any{}
		for i := range 50 {
			some = append(some, ids[i])
			pairs = append(pairs, ids[i], i%3+1)
		}
		for name, q := range map[string]struct {
			query string
			args  []any
		}{
			"events after":   {eventsAfterQuery, []any{ids[0], 5, 200}},
			"events before":  {eventsBeforeQuery, []any{ids[0], 4000, 200}},
			"person events":  {personEventsAfterQuery, []any{"p-1", 5, 200}},
			"client id":      {findSentQuery, []any{ids[0], "p-0", "m-7"}},
			"heads":          {headsOfQuery, []any{"p-1"}},
			"heads by id":    {headsByIDQuery + sqldb.Placeholders(1, 5) + `)`, some[:5]},
			"cursors":        {verifyQuery(50), pairs},
			"read mark":      {readMarkQuery, []any{ids[0], 4000}},
			"unread":         {unreadQuery, []any{"p-1"}},
			"list":           {listQuery, []any{"p-1"}},
			"one":            {listOneQuery, []any{"p-1", ids[1]}},
			"members":        {membersQuery, []any{"p-1", 20}},
			"members of one": {membersOfOneQuery, []any{"p-1", 1000, ids[1]}},
			"pair":           {directQuery, []any{"pair 7"}},
			"one member":     {memberRoleQuery, []any{ids[1], "p-1"}},
		} {
			plan := sqldbtest.Explain(t, db, q.query, q.args...)
			for _, table := range []string{"chat_event", "chat_member", "chat_conversation", "chat_person_event"} {
				for _, scan := range []string{"Seq Scan on " + table + " ", "SCAN " + table, "SCAN c\n", "SCAN m\n", "SCAN e\n"} {
					if strings.Contains(plan+"\n", scan) {
						t.Errorf("%s scans %s:\n%s", name, table, plan)
					}
				}
			}
			if !strings.Contains(strings.ToUpper(plan), "INDEX") {
				t.Errorf("%s uses no index:\n%s", name, plan)
			}
		}
	})
}

// crowd fills db with 5000 conversations of two among 1000 people, of which
// the first has 5000 events, and with 5000 events of one person.
func crowd(t *testing.T, db *sqldb.DB) (ids []string) {
	t.Helper()
	const numbers = `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 4999), s(j) AS (SELECT 0 UNION ALL SELECT j + 1 FROM s WHERE j < 2) `
	err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		for _, q := range []string{
			numbers + `INSERT INTO chat_conversation (id, kind, title, pair, agency_id, created_by, created_at, last_seq, last_event_id, last_at, message_count)
				SELECT 'c-' || i, 'direct', '', 'pair ' || i, 'a', 'p', 1, CASE WHEN i = 0 THEN 5000 ELSE 3 END, 'e', i, 3 FROM n`,
			numbers + `INSERT INTO chat_member (conversation_id, person_id, role, joined_seq, read_seq, read_count)
				SELECT 'c-' || i, 'p-' || (i % 1000), 'member', 0, 1, 1 FROM n`,
			numbers + `INSERT INTO chat_member (conversation_id, person_id, role, joined_seq, read_seq, read_count)
				SELECT 'c-' || i, 'p-' || ((i + 1 + i / 1000) % 1000), 'member', 0, 2, 2 FROM n`,
			numbers + `INSERT INTO chat_event (conversation_id, seq, kind, event_id, sender, sender_name, client_id, body, message_count, at)
				SELECT 'c-0', i + 1, 'message', 'e-' || i, 'p-0', 'n', 'm-' || i, '{}', i + 1, 1 FROM n`,
			numbers + `INSERT INTO chat_event (conversation_id, seq, kind, event_id, sender, sender_name, client_id, body, message_count, at)
				SELECT 'c-' || i, j + 1, 'message', 'e-' || j, 'p-1', 'n', 'm-' || j, '{}', j + 1, 1 FROM n CROSS JOIN s WHERE i > 0`,
			`INSERT INTO chat_person (person_id, last_seq, last_event_id) VALUES ('p-1', 5000, 'e')`,
			numbers + `INSERT INTO chat_person_event (person_id, seq, kind, event_id, body, at) SELECT 'p-1', i + 1, 'read', 'e', '{}', 1 FROM n`,
			`ANALYZE`,
		} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return fmt.Errorf("%.200s: %w", q, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		ids = append(ids, fmt.Sprint("c-", i))
	}
	return ids
}
