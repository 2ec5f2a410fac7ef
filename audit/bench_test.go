package audit_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/secret"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
)

// BenchmarkLog records COMMSD_TEST_AUDIT_EVENTS events (100,000 without it),
// takes them into the tree, asks for pages, and verifies the whole, on both
// engines. bench/README.md has the figures.
func BenchmarkLog(b *testing.B) {
	n := 100_000
	if text := os.Getenv("COMMSD_TEST_AUDIT_EVENTS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	for name, open := range map[string]func(testing.TB) sqldb.Config{"sqlite": sqldbtest.SQLite, "postgresql": sqldbtest.PostgreSQL} {
		b.Run(name, func(b *testing.B) {
			db := sqldbtest.Open(b, open(b))
			key, err := secret.OpenKey(filepath.Join(b.TempDir(), "secret.key"))
			if err != nil {
				b.Fatal(err)
			}
			secrets := secret.New(db, key)
			log := audit.New(audit.Config{})
			lap := func(what string, count int, fn func() error) {
				start := time.Now()
				if err := fn(); err != nil {
					b.Fatal(what, err)
				}
				took := time.Since(start)
				b.Logf("%s: %s, %.1f µs each", what, took.Round(time.Millisecond), float64(took.Microseconds())/float64(count))
			}
			lap("record", n, func() error {
				for from := 0; from < n; from += 1000 {
					err := db.Write(b.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
						for i := from; i < min(from+1000, n); i++ {
							err := log.Record(ctx, tx, audit.Event{
								Actor:  identity.Actor{Account: "account", Person: identity.PersonID("person-" + strconv.Itoa(i%5000)), Agency: identity.AgencyID("agency-" + strconv.Itoa(i%200)), Address: "192.0.2." + strconv.Itoa(i%250)},
								Action: identity.Action("action." + strconv.Itoa(i%50)), Object: identity.ObjectRef{Kind: "meeting", ID: "m" + strconv.Itoa(i%20000)}, Outcome: audit.OK, Detail: map[string]string{"title": "Giao ban"},
							})
							if err != nil {
								return err
							}
						}
						return nil
					})
					if err != nil {
						return err
					}
				}
				if db.Dialect() == sqldb.SQLite {
					return nil // nobody takes statistics there
				}
				return db.Write(b.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
					_, err := tx.Exec(ctx, "ANALYZE") // as autovacuum does
					return err
				})
			})
			lap("append", n, func() error {
				s, err := audit.NewSequencer(audit.SequencerConfig{DB: db, Secrets: secrets, Domain: "g2g.example"})
				if err != nil {
					return err
				}
				_, err = s.Step(b.Context())
				return err
			})
			for question, f := range map[string]audit.Filter{
				"newest": {}, "person": {Person: "person-7"}, "agency": {Scope: []identity.AgencyID{"agency-3"}}, "action": {Action: "action.3"},
				"address": {Address: "192.0.2.9"}, "agency and action": {Scope: []identity.AgencyID{"agency-3"}, Action: "action.3"}, "denied, of which there are none": {Outcome: audit.Denied},
			} {
				f.NewestFirst = true
				lap("page of "+question, 1, func() error {
					return db.Read(b.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
						_, err := log.List(ctx, tx, f)
						return err
					})
				})
			}
			lap("verify", n, func() error {
				r, err := audit.Verify(b.Context(), audit.VerifyConfig{DB: db, Secrets: secrets})
				if err == nil && (len(r.Problems) > 0 || r.Checked != int64(n)) {
					err = fmt.Errorf("not sound: %+v", r)
				}
				return err
			})
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.Logf("memory of the process: %d MiB", m.Sys>>20)
		})
	}
}
