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
			"events before":  {eventsBeforeQuery, []any{ids[0], 3000, 200}},
			"person events":  {personEventsAfterQuery, []any{"p-1", 5, 200}},
			"client id":      {findSentQuery, []any{ids[0], "p-0", "c-7"}},
			"heads":          {headsOfQuery, []any{"p-1"}},
			"heads by id":    {headsByIDQuery + sqldb.Placeholders(1, 5) + `)`, some[:5]},
			"cursors":        {verifyQuery(50), pairs},
			"read mark":      {readMarkQuery, []any{ids[0], 3000}},
			"unread":         {unreadQuery, []any{"p-1"}},
			"list":           {listQuery, []any{"p-1"}},
			"one":            {listOneQuery, []any{"p-1", ids[1]}},
			"members":        {membersQuery, []any{"p-1", 20}},
			"members of one": {membersOfOneQuery, []any{"p-1", 1000, ids[1]}},
			"pair":           {directQuery, []any{"p-0 p-1"}},
			"one member":     {memberRoleQuery, []any{ids[1], "p-1"}},
		} {
			plan := explain(t, db, q.query, q.args)
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

func explain(t *testing.T, db *sqldb.DB, query string, args []any) string {
	t.Helper()
	var lines []string
	err := db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		word := "EXPLAIN QUERY PLAN "
		if tx.Dialect() == sqldb.PostgreSQL {
			word = "EXPLAIN "
		}
		rows, err := tx.Query(ctx, word+query, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // Err below tells what went wrong
		for rows.Next() {
			var line string
			var skip int
			to := []any{&line}
			if tx.Dialect() == sqldb.SQLite {
				to = []any{&skip, &skip, &skip, &line}
			}
			if err := rows.Scan(to...); err != nil {
				return err
			}
			lines = append(lines, line)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// crowd fills db with 3000 conversations of two among 1000 people, of which
// the first has 3000 events, and with 3000 events of one person.
func crowd(t *testing.T, db *sqldb.DB) (ids []string) {
	t.Helper()
	const many = 3000
	var statements []string
	insert := func(table string, rows []string) {
		for len(rows) > 0 {
			n := min(len(rows), 500)
			statements = append(statements, "INSERT INTO "+table+" VALUES "+strings.Join(rows[:n], ", "))
			rows = rows[n:]
		}
	}
	var convs, members, events, personEvents []string
	for i := range many {
		id := newID()
		ids = append(ids, id)
		a, b := fmt.Sprint("p-", i%1000), fmt.Sprint("p-", (i+1+i/1000)%1000)
		seq := map[bool]int{true: many, false: 3}[i == 0]
		convs = append(convs, fmt.Sprintf("('%s', 'direct', '', '%s %s %d', 'a', '%s', 1, %d, 'e', %d, %d)", id, a, b, i, a, seq, i, seq))
		members = append(members, fmt.Sprintf("('%s', '%s', 'member', 0, 1, 1)", id, a), fmt.Sprintf("('%s', '%s', 'member', 0, 2, 2)", id, b))
		for s := range seq {
			events = append(events, fmt.Sprintf("('%s', %d, 'message', 'e-%d', '%s', 'n', 'c-%d', '{}', %d, 1)", id, s+1, s, a, s, s+1))
		}
		personEvents = append(personEvents, fmt.Sprintf("('p-1', %d, 'read', 'e', '{}', 1)", i+1))
	}
	insert("chat_conversation", convs)
	insert("chat_member", members)
	insert("chat_event", events)
	insert("chat_person", []string{"('p-1', 3000, 'e')"})
	insert("chat_person_event", personEvents)
	statements = append(statements, "ANALYZE")
	err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(ctx, s); err != nil {
				return fmt.Errorf("%.60s: %w", s, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}
