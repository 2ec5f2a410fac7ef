package audit_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/secret"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
)

// clock is a clock that tests set.
type clock struct{ micros atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.micros.Store(time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC).UnixMicro())
	return c
}

func (c *clock) now() time.Time          { return time.UnixMicro(c.micros.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.micros.Add(d.Microseconds()) }

// house is an audit log with its keys on one database.
type house struct {
	t       *testing.T
	db      *sqldb.DB
	secrets *secret.Store
	clock   *clock
	log     *audit.Log
}

func newHouse(t *testing.T, db *sqldb.DB) *house {
	t.Helper()
	key, err := secret.OpenKey(filepath.Join(t.TempDir(), "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, db: db, secrets: secret.New(db, key), clock: newClock()}
	h.log = audit.New(audit.Config{DB: db, Now: h.clock.now, MaxWaiting: 600})
	return h
}

func (h *house) sequencer(edit ...func(*audit.SequencerConfig)) *audit.Sequencer {
	h.t.Helper()
	cfg := audit.SequencerConfig{DB: h.db, Secrets: h.secrets, Domain: "g2g.example", Now: h.clock.now}
	for _, e := range edit {
		e(&cfg)
	}
	s, err := audit.NewSequencer(cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// record records n events of the meeting "m<i>".
func (h *house) record(n int) {
	h.t.Helper()
	for i := range n {
		e := event
		e.Object.ID = fmt.Sprint("m", i)
		if err := record(h.t, h.db, h.log, e); err != nil {
			h.t.Fatal(err)
		}
		h.clock.advance(time.Second)
	}
}

func (h *house) step(s *audit.Sequencer) (owner bool) {
	h.t.Helper()
	owner, err := s.Step(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return owner
}

func (h *house) verify(edit ...func(*audit.VerifyConfig)) *audit.VerifyReport {
	h.t.Helper()
	cfg := audit.VerifyConfig{DB: h.db, Secrets: h.secrets, Now: h.clock.now}
	for _, e := range edit {
		e(&cfg)
	}
	r, err := audit.Verify(h.t.Context(), cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// sound fails the test unless the log holds exactly leaves events, all in the
// tree and signed.
func (h *house) sound(leaves int64) *audit.VerifyReport {
	h.t.Helper()
	r := h.verify()
	if len(r.Problems) > 0 || r.Size != leaves || r.Checked != leaves || r.Backlog != 0 || r.Newest == nil || r.Newest.Size != leaves {
		h.t.Fatalf("the log of %d events is not sound: %+v", leaves, r)
	}
	return r
}

func (h *house) exec(query string, args ...any) {
	h.t.Helper()
	err := h.db.Write(h.t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		res, err := tx.Exec(ctx, query, args...)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); !strings.HasPrefix(query, "CREATE ") && !strings.HasPrefix(query, "DROP ") && (err != nil || n == 0) {
			return fmt.Errorf("%s changed %d rows: %w", query, n, err)
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// everyone lets everybody read everything.
type everyone struct{}

func (everyone) Check(identity.Actor, identity.Action, identity.Object) identity.Decision {
	return identity.Decision{Allowed: true, Reason: "test"}
}

func (everyone) People(context.Context, []identity.PersonID) (map[identity.PersonID]identity.Person, error) {
	return map[identity.PersonID]identity.Person{"person": {ID: "person", Name: "Nguyễn Văn An", Agency: "agency"}}, nil
}

func (everyone) AgencyNames(context.Context, []identity.AgencyID) (map[identity.AgencyID]string, error) {
	return map[identity.AgencyID]string{"agency": "Bộ Nội vụ"}, nil
}

// service makes the service; edit may be nil.
func (h *house) service(edit func(*audit.ServiceConfig)) *audit.Service {
	h.t.Helper()
	cfg := audit.ServiceConfig{DB: h.db, Log: h.log, Secrets: h.secrets, Permissions: everyone{}, Names: everyone{}, Domain: "g2g.example", Now: h.clock.now}
	if edit != nil {
		edit(&cfg)
	}
	s, err := audit.NewService(cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func eachHouse(t *testing.T, fn func(t *testing.T, h *house)) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { fn(t, newHouse(t, db)) })
}

func TestEventsEnterTheTree(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		s := h.sequencer(func(c *audit.SequencerConfig) { c.Batch = 7 })
		total := 0
		for _, n := range []int{1, 6, 7, 8, 15} { // under, at and over a batch
			h.record(n)
			total += n
			if !h.step(s) {
				t.Fatal("the only sequencer has no lease")
			}
			h.sound(int64(total))
		}
		for i, e := range list(t, h.db, h.log, audit.Filter{}) {
			if e.Seq != int64(i) {
				t.Fatalf("event %d has place %d", i, e.Seq)
			}
		}
		// Nothing new: nothing is signed.
		before := h.verify().Checkpoints
		h.step(s)
		if after := h.verify().Checkpoints; after != before {
			t.Errorf("%d heads were signed for nothing", after-before)
		}
	})
}

// Two sequencers that take the lease from each other all the time, while people
// work, never append both: each event is in the tree once.
func TestTwoSequencersNeverAppendBoth(t *testing.T) {
	sqldbtest.EachConfig(t, func(t *testing.T, cfg sqldb.Config) {
		db := sqldbtest.Open(t, cfg)
		h := newHouse(t, db)
		dbs := []*sqldb.DB{db, db}
		if cfg.URL != "" {
			dbs[1] = sqldbtest.Open(t, cfg) // another node
		}
		const people, each = 4, 40
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var recording, sequencing sync.WaitGroup
		var recorded atomic.Bool
		for range people {
			recording.Go(func() {
				for range each {
					if err := record(t, db, h.log, event); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		var owned [2]atomic.Int64
		for i, db := range dbs {
			s := h.sequencer(func(c *audit.SequencerConfig) { c.DB, c.Batch = db, 20 })
			sequencing.Go(func() {
				for !recorded.Load() || owned[0].Load() < 5 || owned[1].Load() < 5 {
					owner, err := s.Step(ctx)
					if err != nil {
						t.Error(err)
						return
					}
					if owner {
						owned[i].Add(1)
					}
					h.clock.advance(6 * time.Second) // soon the other's lease ends
				}
			})
		}
		recording.Wait()
		recorded.Store(true)
		sequencing.Wait()
		h.clock.advance(time.Minute)
		h.step(h.sequencer())
		h.sound(people * each)
	})
}

func TestDeadSequencerIsReplaced(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		dead, next := h.sequencer(), h.sequencer()
		h.record(2)
		if !h.step(dead) || h.step(next) {
			t.Fatal("the lease is not the first one's alone")
		}
		h.record(1)
		h.clock.advance(11 * time.Second)
		if !h.step(next) {
			t.Fatal("the lease of a dead sequencer was not taken")
		}
		h.record(1)
		if h.step(dead) {
			t.Error("a sequencer that was replaced went on")
		}
		h.step(next)
		h.sound(4)
	})
}

// The clock of the dead one was an hour ahead: its lease would hold for an hour.
func TestLeaseOfAClockAheadIsNotWaitedFor(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		dead := h.sequencer(func(c *audit.SequencerConfig) { c.Now = func() time.Time { return h.clock.now().Add(time.Hour) } })
		next := h.sequencer()
		h.record(1)
		h.step(dead)
		if h.step(next) {
			t.Fatal("a lease was taken that holds")
		}
		h.clock.advance(9 * time.Second)
		h.step(dead) // alive: it renews
		h.clock.advance(9 * time.Second)
		if h.step(next) {
			t.Fatal("a lease was taken that is renewed")
		}
		h.clock.advance(11 * time.Second)
		if !h.step(next) {
			t.Fatal("a lease that nobody renews was waited for")
		}
		h.sound(1)
	})
}

func TestCrashBetweenAppendingAndSigning(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		h.record(5)
		if n, err := h.sequencer().Append(t.Context()); n != 5 || err != nil {
			t.Fatal(n, err)
		}
		if r := h.verify(); len(r.Problems) > 0 || r.Newest != nil {
			t.Fatalf("before the head is signed: %+v", r)
		}
		h.clock.advance(time.Minute)
		h.step(h.sequencer())
		h.sound(5)
	})
}

// What is committed late, with an older id, comes in later; nothing is skipped.
func TestLateRowsAreNotSkipped(t *testing.T) {
	sqldbtest.EachConfig(t, func(t *testing.T, cfg sqldb.Config) {
		db := sqldbtest.Open(t, cfg)
		h := newHouse(t, db)
		s := h.sequencer()
		late := event
		late.Object.ID = "late"
		if cfg.URL == "" {
			// One writer commits in the order of ids; a clock set back is left.
			h.record(3)
			h.step(s)
			h.clock.advance(-24 * time.Hour)
			if err := record(t, db, h.log, late); err != nil {
				t.Fatal(err)
			}
			h.clock.advance(25 * time.Hour)
		} else {
			recorded, commit, done := make(chan error, 1), make(chan struct{}), make(chan error, 1)
			go func() {
				done <- db.Write(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
					recorded <- h.log.Record(ctx, tx, late)
					<-commit
					return nil
				})
			}()
			if err := <-recorded; err != nil {
				t.Fatal(err)
			}
			h.record(3)
			h.step(s)
			h.sound(3)
			close(commit)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		h.step(s)
		h.sound(4)
		got := list(t, db, h.log, audit.Filter{Object: late.Object})
		if len(got) != 1 || got[0].Seq != 3 {
			t.Fatalf("the late event: %+v", got)
		}
		if cfg.URL != "" && got[0].ID >= list(t, db, h.log, audit.Filter{NewestFirst: true})[0].ID {
			t.Error("the late event has no older id: the test shows nothing")
		}
	})
}

// Events of before there was a tree get their salt and hashes when they enter.
func TestEventsOfBeforeTheTreeEnterIt(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		h.record(3)
		h.exec(`UPDATE audit_events SET payload_hash = NULL, leaf_hash = NULL`)
		h.exec(`UPDATE audit_payloads SET salt = NULL`)
		h.step(h.sequencer())
		h.sound(3)
		if got := list(t, h.db, h.log, audit.Filter{}); got[0].Address != "192.0.2.1" || got[0].Detail["reason"] != "phòng chờ" {
			t.Errorf("the payload changed: %+v", got[0])
		}
		h.exec(`UPDATE audit_payloads SET address = 'other'`)
		if r := h.verify(); len(r.Problems) != 3 {
			t.Errorf("changed payloads are not found: %+v", r)
		}
	})
}

func TestRunDrainsAndHandsOn(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		s := h.sequencer(func(c *audit.SequencerConfig) { c.Every = time.Hour }) // only the end appends
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		h.record(600) // more than two batches
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		h.sound(600)
		if !h.step(h.sequencer()) {
			t.Error("the lease was not handed on")
		}
	})
}

// A log that was rewritten is not signed.
func TestSequencerDoesNotSignARewrittenLog(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		s := h.sequencer()
		h.record(5)
		h.step(s)
		h.exec(`UPDATE audit_events SET outcome = 'ok' WHERE seq = 2`)
		err := h.db.Write(t.Context(), audit.Rewrite)
		if err != nil {
			t.Fatal(err)
		}
		h.record(1)
		if _, err := s.Step(t.Context()); err == nil || !strings.Contains(err.Error(), "changed behind the server's back") {
			t.Errorf("a rewritten log was signed: %v", err)
		}
	})
}
