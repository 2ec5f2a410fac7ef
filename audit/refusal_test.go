package audit_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
)

// TestRefusalsAreBounded: who asks for what they may not all day does not fill
// the log, and the log tells how often they asked.
func TestRefusalsAreBounded(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		now := time.Now()
		var mu sync.Mutex
		pass := func(d time.Duration) {
			mu.Lock()
			now = now.Add(d)
			mu.Unlock()
		}
		l := audit.New(audit.Config{DB: db, Now: func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return now
		}})
		refuse := func(who, what string) {
			t.Helper()
			if err := l.Refused(t.Context(), db, audit.Event{Actor: identity.Actor{Account: identity.AccountID(who)}, Action: "conversation.read",
				Object: identity.ObjectRef{Kind: "conversation", ID: what}}, "not_member"); err != nil {
				t.Fatal(err)
			}
		}
		list := func() (all []audit.Entry) {
			t.Helper()
			err := db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) (err error) {
				all, err = l.List(ctx, tx, audit.Filter{Limit: 1000})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		for i := range 500 {
			refuse("prowler", fmt.Sprint(i))
		}
		if n := len(list()); n != 60 {
			t.Errorf("%d of 500 refusals stand in the log", n)
		}
		refuse("another", "1")
		all := list()
		if len(all) != 61 {
			t.Errorf("another's refusal: %d stand in the log", len(all))
		}
		pass(10 * time.Second)
		refuse("prowler", "again")
		refuse("prowler", "and again")
		counted := map[string]int{}
		for _, e := range list() {
			if e.Outcome != audit.Denied || e.Action == "conversation.read" && e.Detail["reason"] != "not_member" {
				t.Errorf("recorded %+v", e)
			}
			counted[e.Detail["left_out"]]++
		}
		if counted["440"] != 1 || counted[""] != 61 {
			t.Errorf("left out: %v", counted)
		}
		// What nobody asks after is told by and by.
		pass(time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // it writes what waits and ends
		if err := l.Run(ctx); err != nil {
			t.Fatal(err)
		}
		told := ""
		for _, e := range list() {
			if e.Action == audit.RefusalsLeftOut {
				told += string(e.Account) + " " + e.Detail["left_out"]
			}
		}
		if told != "prowler 1" {
			t.Errorf("told %q", told)
		}
	})
}

// How many are recorded is configuration.
func TestRefusalLimits(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		now := time.Now()
		l := audit.New(audit.Config{DB: db, Now: func() time.Time { return now }, Refusals: audit.RefusalLimits{Burst: 2, Every: time.Minute, Accounts: 1}})
		refuse := func(who identity.AccountID) {
			t.Helper()
			if err := l.Refused(t.Context(), db, audit.Event{Actor: identity.Actor{Account: who}, Action: "mailbox.send"}, "test"); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			what    string
			account identity.AccountID
			wait    time.Duration
			count   int
		}{
			{"the first", "a", 0, 1}, {"the second", "a", 0, 2}, {"beyond the burst", "a", 0, 2},
			{"not yet", "a", 59 * time.Second, 2}, {"one more each minute", "a", time.Second, 3},
			{"another", "b", 0, 4}, {"the first one was forgotten for it", "a", 0, 5},
		} {
			now = now.Add(c.wait)
			refuse(c.account)
			if n := len(list(t, db, l, audit.Filter{})); n != c.count {
				t.Errorf("%s: %d are recorded, want %d", c.what, n, c.count)
			}
		}
	})
}
