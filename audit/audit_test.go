package audit_test

import (
	"context"
	"errors"
	"os"
	"reflect"
	"testing"
	"time"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
	"commsd/internal/testengine"
)

func TestMain(m *testing.M) { os.Exit(testengine.Main(m)) }

var event = audit.Event{
	Actor: identity.Actor{Account: "account", Person: "person", Position: "position", Agency: "agency",
		Session: "session", Login: "an@noivu.g2g.example", Address: "192.0.2.1"},
	Action:  "meeting.join",
	Object:  identity.ObjectRef{Kind: "meeting", ID: "m1"},
	Outcome: audit.Denied,
	Detail:  map[string]string{"reason": "phòng chờ"},
}

func record(t *testing.T, db *sqldb.DB, l *audit.Log, e audit.Event) error {
	t.Helper()
	return db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error { return l.Record(ctx, tx, e) })
}

func list(t *testing.T, db *sqldb.DB, l *audit.Log, f audit.Filter) []audit.Entry {
	t.Helper()
	var out []audit.Entry
	err := db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		out, err = l.List(ctx, tx, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRecordAndList(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		now := time.Date(2026, 11, 24, 8, 30, 0, 123000, time.UTC)
		l := audit.New(audit.Config{Now: func() time.Time { return now }})
		if err := record(t, db, l, event); err != nil {
			t.Fatal(err)
		}
		got := list(t, db, l, audit.Filter{})
		if len(got) != 1 {
			t.Fatalf("%d entries", len(got))
		}
		got[0].Forget()
		want := audit.Entry{ID: got[0].ID, Seq: -1, At: now, Account: "account", Person: "person", Position: "position", Agency: "agency",
			Action: "meeting.join", Object: event.Object, Outcome: audit.Denied, Address: "192.0.2.1", Detail: event.Detail}
		if !reflect.DeepEqual(got[0], want) {
			t.Errorf("read   %+v\nrecord %+v", got[0], want)
		}
	})
}

func TestListFilters(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l := audit.New(audit.Config{})
		other := audit.Event{Action: "session.create", Object: identity.ObjectRef{Kind: "session", ID: "s1"}, Outcome: audit.OK}
		for _, e := range []audit.Event{event, other, event} {
			if err := record(t, db, l, e); err != nil {
				t.Fatal(err)
			}
		}
		all := list(t, db, l, audit.Filter{})
		if len(all) != 3 || all[0].ID >= all[1].ID || all[1].ID >= all[2].ID {
			t.Fatalf("entries are not in order: %+v", all)
		}
		for name, c := range map[string]struct {
			filter audit.Filter
			want   int
		}{
			"person":  {audit.Filter{Person: "person"}, 2},
			"object":  {audit.Filter{Object: other.Object}, 1},
			"agency":  {audit.Filter{Agency: "agency"}, 2},
			"action":  {audit.Filter{Action: "session.create"}, 1},
			"several": {audit.Filter{Action: "session.create", Person: "person"}, 0},
			"after":   {audit.Filter{After: all[0].Cursor()}, 2},
			"limit":   {audit.Filter{Limit: 1}, 1},
		} {
			if got := list(t, db, l, c.filter); len(got) != c.want {
				t.Errorf("%s: %d entries, want %d", name, len(got), c.want)
			}
		}
	})
}

// An event lives and dies with the transaction of what it records.
func TestRecordIsPartOfTheTransaction(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l := audit.New(audit.Config{})
		undone := errors.New("undone")
		err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			if err := l.Record(ctx, tx, event); err != nil {
				return err
			}
			return undone
		})
		if !errors.Is(err, undone) {
			t.Fatal(err)
		}
		if got := list(t, db, l, audit.Filter{}); len(got) != 0 {
			t.Errorf("the event of an undone transaction stands: %+v", got)
		}
	})
}

func TestRecordRefusesWhatNobodyCouldRead(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l := audit.New(audit.Config{})
		for name, e := range map[string]audit.Event{
			"no action":       {Outcome: audit.OK},
			"no outcome":      {Action: "a.b"},
			"unknown outcome": {Action: "a.b", Outcome: "perhaps"},
		} {
			if err := record(t, db, l, e); err == nil {
				t.Errorf("%s is recorded", name)
			}
		}
		odd := audit.Event{Action: "a.b", Outcome: audit.OK, Detail: map[string]string{"from outside": "\x00\xff"}}
		if err := record(t, db, l, odd); err != nil {
			t.Errorf("odd bytes in a detail: %v", err)
		}
	})
}
