package directory_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"commsd/directory"
	"commsd/identity"
	"commsd/internal/bus"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// start runs f until the test ends, and returns what it revokes.
func (f *fixture) start(t *testing.T) <-chan identity.Revocation {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan identity.Revocation, 100)
	var running sync.WaitGroup
	running.Go(func() {
		if err := f.WatchRevocations(ctx, func(r identity.Revocation) { got <- r }); err != nil {
			t.Errorf("WatchRevocations: %v", err)
		}
	})
	running.Go(func() {
		if err := f.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return got
}

func next(t *testing.T, c <-chan identity.Revocation) identity.Revocation {
	t.Helper()
	select {
	case r := <-c:
		return r
	case <-time.After(30 * time.Second):
		t.Fatal("no revocation came")
		return identity.Revocation{}
	}
}

// Two nodes on one database: what ends on one ends on the other, by the bus's
// hint or by polling alone.
func TestRevocationsReachOtherNodes(t *testing.T) {
	for _, shared := range []bool{true, false} {
		name := map[bool]string{true: "bus", false: "polling"}[shared]
		t.Run(name, func(t *testing.T) {
			eachDemo(t, func(t *testing.T, db *sqldb.DB) {
				medium := bus.NewMedium()
				node := func(m *bus.Medium) func(*directory.Config) {
					return func(c *directory.Config) { c.Bus = m.Node() }
				}
				a := newFixture(t, db, node(medium))
				if !shared {
					medium = bus.NewMedium()
				}
				b := newFixture(t, db, node(medium))
				onA, onB := a.start(t), b.start(t)

				first, _ := a.signIn(t, "an@noivu.g2g.example")
				second, session := a.signIn(t, "an@noivu.g2g.example")
				for _, token := range []string{first, second} {
					if _, err := b.AuthenticateSession(t.Context(), token, "", ""); err != nil {
						t.Fatal(err)
					}
				}
				actor, err := a.AuthenticateSession(t.Context(), second, "", "")
				if err != nil {
					t.Fatal(err)
				}
				if err := a.SignOut(t.Context(), actor); err != nil {
					t.Fatal(err)
				}
				for _, c := range []<-chan identity.Revocation{onA, onB} {
					if r := next(t, c); r.Account != actor.Account || r.Session != session.ID || r.Seq != 1 {
						t.Errorf("revocation %+v", r)
					}
				}
				if _, err := b.AuthenticateSession(t.Context(), second, "", ""); errcode.Of(err) != errcode.Unauthenticated {
					t.Errorf("the ended session on the other node: %v", err)
				}
				if _, err := b.AuthenticateSession(t.Context(), first, "", ""); err != nil {
					t.Errorf("the person's other session: %v", err)
				}

				if err := b.DisableAccount(t.Context(), b.actor(t, "admin@g2g.example"), actor.Account, "test"); err != nil {
					t.Fatal(err)
				}
				for _, c := range []<-chan identity.Revocation{onA, onB} {
					if r := next(t, c); r.Account != actor.Account || r.Session != "" || r.Seq != 2 {
						t.Errorf("revocation %+v", r)
					}
				}
				if _, err := a.AuthenticateSession(t.Context(), first, "", ""); errcode.Of(err) != errcode.Unauthenticated {
					t.Errorf("a disabled account's session on the other node: %v", err)
				}
			})
		})
	}
}

// What was revoked long before a node came up is not handed on again; what was
// revoked while it came up is.
func TestRevocationsBeforeTheStart(t *testing.T) {
	eachDemo(t, func(t *testing.T, db *sqldb.DB) {
		a := newFixture(t, db)
		if err := a.SignOut(t.Context(), a.actor(t, "an@noivu.g2g.example")); err != nil {
			t.Fatal(err)
		}
		b := newFixture(t, db, func(c *directory.Config) {
			later := newClock()
			later.add(time.Minute)
			c.Now = later.now
		})
		a.clock.add(time.Minute)
		if err := a.SignOut(t.Context(), a.actor(t, "chi@hanoi.g2g.example")); err != nil {
			t.Fatal(err)
		}
		if r := next(t, b.start(t)); r.Seq != 2 {
			t.Errorf("the first revocation handed on is %+v", r)
		}
	})
}

// The log of revocations is kept for a week, and goes on in order after that.
func TestOldRevocationsAreRemoved(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		if err := f.SignOut(t.Context(), f.actor(t, an)); err != nil {
			t.Fatal(err)
		}
		f.clock.add(6 * 24 * time.Hour)
		if err := f.SignOut(t.Context(), f.actor(t, chi)); err != nil {
			t.Fatal(err)
		}
		for _, left := range []int{2, 1, 0} {
			f.SweepSessions(t.Context())
			if n := f.rows(t, "directory_revocations"); n != left {
				t.Errorf("%d are kept, want %d", n, left)
			}
			f.clock.add(6 * 24 * time.Hour)
		}
		got := f.start(t)
		if err := f.SignOut(t.Context(), f.actor(t, dung)); err != nil {
			t.Fatal(err)
		}
		if r := next(t, got); r.Seq != 3 {
			t.Errorf("then came %+v", r)
		}
	})
}

// A post that ends while no server runs is taken out of the search, and of the
// number of its agency's people, by the next one.
func TestPostsThatEndedWhileNoServerRan(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		moha, _ := f.places(t)
		people := func() (n int) {
			f.read(t, `SELECT people FROM directory_agency_people WHERE agency_id = '`+string(moha)+`'`, &n)
			return n
		}
		before, until := people(), f.clock.now().Add(time.Hour)
		err := f.db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE directory_positions SET valid_until = $1 WHERE person_id = $2`, until.UnixMicro(), string(f.person(t, binh)))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		f.clock.add(30 * 24 * time.Hour)
		f.start(t)
		again := time.NewTicker(10 * time.Millisecond)
		defer again.Stop()
		for limit := time.After(30 * time.Second); people() != before-1; {
			select {
			case <-again.C:
			case <-limit:
				t.Fatalf("%d people, want %d", people(), before-1)
			}
		}
	})
}

// The last use is written when Run ends, and not twice within a minute.
func TestLastUseIsWritten(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		token, session := f.signIn(t, "an@noivu.g2g.example")
		use := func() {
			if _, err := f.AuthenticateSession(t.Context(), token, "", ""); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := f.Run(ctx); err != nil {
				t.Fatal(err)
			}
		}
		stored := func() (at int64) {
			err := f.db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
				return tx.QueryRow(ctx, `SELECT last_seen_at FROM directory_sessions WHERE id = $1`, string(session.ID)).Scan(&at)
			})
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		created := stored()
		f.clock.add(30 * time.Second)
		use()
		if stored() != created {
			t.Error("a use within the minute was written")
		}
		f.clock.add(40 * time.Second)
		use()
		if want := f.clock.now().UnixMicro(); stored() != want {
			t.Errorf("last use %d, want %d", stored(), want)
		}
	})
}
