package meeting

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
)

// TestListsWalkTheIndex holds that a person's list costs what is shown, not
// what there is.
func TestListsWalkTheIndex(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			for i := range 300 {
				at := start.Add(time.Duration(i) * time.Hour)
				r := record{id: fmt.Sprintf("m%03d", i), title: "Họp", createdBy: "p", createdAt: at, startsAt: at, closes: at.Add(openFor)}
				if err := insertMeeting(ctx, tx, r); err != nil {
					return err
				}
				for _, p := range []string{"p", "q"} {
					if _, err := tx.Exec(ctx, `INSERT INTO meeting_people (meeting_id, person_id, relation, added_by, added_at, closes_at)
						VALUES ($1, $2, 'invited', 'p', 0, $3)`, r.id, p, r.closes.UnixMicro()); err != nil {
						return err
					}
				}
			}
			if tx.Dialect() == sqldb.PostgreSQL {
				// Of so few rows its planner would rather read all; the
				// question is whether it can do without.
				_, err := tx.Exec(ctx, `SET LOCAL enable_seqscan = off`)
				if err != nil {
					return err
				}
			}
			for _, query := range []string{listAheadSQL, listPastSQL} {
				plan, err := explain(ctx, tx, query, "p", start.UnixMicro(), 100)
				if err != nil {
					return err
				}
				if !strings.Contains(plan, "meeting_people_list") || strings.Contains(strings.ToUpper(plan), "USE TEMP B-TREE") {
					t.Errorf("plan of %s\nis %s", query, plan)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			ahead, err := listMeetings(ctx, tx, "p", false, start.Add(24*time.Hour))
			if err != nil {
				return err
			}
			if len(ahead) != MaxListed || ahead[0].id != "m013" {
				t.Errorf("%d meetings ahead, from %s", len(ahead), ahead[0].id)
			}
			past, err := listMeetings(ctx, tx, "p", true, start.Add(24*time.Hour))
			if len(past) != 13 || past[0].id != "m012" {
				t.Errorf("%d meetings over, from %s", len(past), past[0].id)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func explain(ctx context.Context, tx *sqldb.Tx, query string, args ...any) (string, error) {
	prefix := "EXPLAIN QUERY PLAN "
	if tx.Dialect() == sqldb.PostgreSQL {
		prefix = "EXPLAIN "
	}
	rows, err := tx.Query(ctx, prefix+query, args...)
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		return "", err
	}
	var plan strings.Builder
	for rows.Next() {
		cells := make([]any, len(columns))
		for i := range cells {
			cells[i] = new(any)
		}
		if err := rows.Scan(cells...); err != nil {
			return "", err
		}
		last, ok := cells[len(cells)-1].(*any)
		if ok {
			fmt.Fprintln(&plan, *last)
		}
	}
	return plan.String(), rows.Err()
}
