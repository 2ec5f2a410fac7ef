package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"commsd/internal/errcode"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
	"commsd/internal/testengine"
)

// blockWriter holds the writer in a Write until release is called.
func blockWriter(t *testing.T, db *sqldb.DB) (release func()) {
	t.Helper()
	entered, leave, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		if err := db.Write(ctx, func(context.Context, *sqldb.Tx) error {
			close(entered)
			<-leave
			return nil
		}); err != nil {
			t.Error(err)
		}
	}()
	<-entered
	return sync.OnceFunc(func() { close(leave); <-done })
}

func TestWaitingWritesShareACommit(t *testing.T) {
	reg := prometheus.NewRegistry()
	cfg := sqldbtest.SQLite(t)
	cfg.Registerer = reg
	db := sqldbtest.Open(t, cfg)
	table(t, db)
	before := metric(t, reg, "commsd_sqldb_commit_seconds")
	const writers, each = 32, 20
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				if err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
					return insert(ctx, tx, fmt.Sprintf("%d-%d", w, i), 1)
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	commits := metric(t, reg, "commsd_sqldb_commit_seconds") - before
	if commits == 0 || commits > writers*each/2 {
		t.Errorf("%d writes took %d commits", writers*each, commits)
	}
	if got := len(strings.Fields(names(t, db))); got != writers*each {
		t.Errorf("%d rows of %d were kept", got, writers*each)
	}
}

func TestOneFailureInAGroupIsItsOwn(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.SQLite(t))
	table(t, db)
	release := blockWriter(t, db)
	outcomes := make([]error, 20)
	var all sync.WaitGroup
	for i := range outcomes {
		all.Go(func() {
			outcomes[i] = db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				if err := insert(ctx, tx, fmt.Sprintf("w%02d", i), 1); err != nil {
					return err
				}
				switch i % 4 {
				case 1:
					return errors.New("refused")
				case 2:
					panic("boom") //nolint:forbidigo // a panic is what is tested
				case 3:
					_, err := tx.Exec(ctx, `INSERT INTO nowhere VALUES (1)`)
					return err
				}
				return nil
			})
		})
	}
	release()
	all.Wait()
	var want []string
	for i, err := range outcomes {
		if (err != nil) != (i%4 != 0) {
			t.Errorf("write %d: %v", i, err)
		}
		if i%4 == 0 {
			want = append(want, fmt.Sprintf("w%02d", i))
		}
	}
	if got := names(t, db); got != strings.Join(want, " ") {
		t.Errorf("kept %s, want %s", got, strings.Join(want, " "))
	}
}

func TestCancelledWhileWaitingNeverRuns(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.SQLite(t))
	release := blockWriter(t, db)
	defer release()
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	var ran atomic.Bool
	err := db.Write(short, func(context.Context, *sqldb.Tx) error { ran.Store(true); return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v while the writer was busy", err)
	}
	release()
	write(t, db, func(context.Context, *sqldb.Tx) error { return nil })
	if ran.Load() {
		t.Error("it ran after its caller had gone")
	}
}

// A deferred foreign key fails only at COMMIT, which stands for whatever may
// fail there: all of the group learn of it, and the next one is not harmed.
func TestFailedCommitFailsTheWholeGroup(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.SQLite(t))
	table(t, db)
	write(t, db, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE child (item TEXT REFERENCES item (name) DEFERRABLE INITIALLY DEFERRED)`)
		return err
	})
	entered, leave := make(chan struct{}), make(chan struct{})
	culprit, neighbour := make(chan error, 1), make(chan error, 1)
	go func() {
		culprit <- db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			tx.AfterCommit(func() { t.Error("the hook of a failed commit ran") })
			_, err := tx.Exec(ctx, `INSERT INTO child VALUES ('nobody')`)
			close(entered)
			<-leave
			return err
		})
	}()
	<-entered
	go func() {
		close(leave)
		neighbour <- db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, "neighbour", 1) })
	}()
	if err := <-culprit; err == nil {
		t.Error("the commit of a broken foreign key succeeded")
	}
	// The neighbour was in the same group or in the next; it is told the truth.
	err := <-neighbour
	if kept := names(t, db) == "neighbour"; kept != (err == nil) {
		t.Errorf("the neighbour was told %v, its row is kept: %v", err, kept)
	}
	write(t, db, func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, "next", 1) })
}

func TestCloseWaitsForTheRunningWrite(t *testing.T) {
	cfg := sqldbtest.SQLite(t)
	db := sqldbtest.Open(t, cfg)
	table(t, db)
	entered, leave, result := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		result <- db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			close(entered)
			<-leave
			return insert(ctx, tx, "last", 1)
		})
	}()
	<-entered
	closed := make(chan error, 1)
	go func() { closed <- db.Close() }()
	for db.Ping(ctx) == nil { // until Close has begun
		runtime.Gosched()
	}
	close(leave)
	if err := errors.Join(<-result, <-closed); err != nil {
		t.Fatal(err)
	}
	if got := names(t, sqldbtest.Open(t, cfg)); got != "last" {
		t.Errorf("kept %q", got)
	}
}

func TestReadersDoNotWaitForTheWriter(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.SQLite(t))
	table(t, db)
	release := blockWriter(t, db)
	defer release()
	if got := names(t, db); got != "" {
		t.Errorf("read %q", got)
	}
}

func TestDeadlockIsRunAgain(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.PostgreSQL(t))
	table(t, db)
	write(t, db, func(ctx context.Context, tx *sqldb.Tx) error {
		return errors.Join(insert(ctx, tx, "a", 0), insert(ctx, tx, "b", 0))
	})
	var attempts atomic.Int64
	var both, all sync.WaitGroup
	both.Add(2)
	cross := func(first, second string) {
		once := sync.OnceFunc(func() { both.Done(); both.Wait() }) // each holds its first row
		if err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			attempts.Add(1)
			if _, err := tx.Exec(ctx, `UPDATE item SET n = n + 1 WHERE name = $1`, first); err != nil {
				return err
			}
			once()
			_, err := tx.Exec(ctx, `UPDATE item SET n = n + 1 WHERE name = $1`, second)
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	all.Go(func() { cross("a", "b") })
	all.Go(func() { cross("b", "a") })
	all.Wait()
	if attempts.Load() < 3 {
		t.Errorf("%d attempts: there was no deadlock", attempts.Load())
	}
	if err := db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var sum int
		if err := tx.QueryRow(ctx, `SELECT sum(n) FROM item`).Scan(&sum); err != nil {
			return err
		}
		if sum != 4 {
			t.Errorf("the sum is %d, want 4", sum)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func TestPostgresThatDiesIsUnavailable(t *testing.T) {
	server, err := testengine.StartPostgres(false)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	db := sqldbtest.Open(t, sqldb.Config{URL: server.URL()})
	server.Kill()
	nop := func(context.Context, *sqldb.Tx) error { return nil }
	for what, err := range map[string]error{"Read": db.Read(ctx, nop), "Write": db.Write(ctx, nop), "Ping": db.Ping(ctx)} {
		if errcode.Of(err) != errcode.Unavailable {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// BenchmarkWrite measures durable writes of one row by many callers; group
// commit shows as a time per write far below that of one commit.
func BenchmarkWrite(b *testing.B) {
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("sqlite/callers=%d", callers), func(b *testing.B) {
			benchmarkWrite(b, sqldbtest.Open(b, sqldbtest.SQLite(b)), callers)
		})
	}
	b.Run("postgresql", func(b *testing.B) {
		server, err := testengine.StartPostgres(true)
		if err != nil {
			b.Fatal(err)
		}
		defer server.Stop()
		db := sqldbtest.Open(b, sqldb.Config{URL: server.URL(), MaxConns: 64})
		defer db.Close()
		table(b, db)
		for _, callers := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) { benchmarkRows(b, db, callers) })
		}
	})
}

func benchmarkWrite(b *testing.B, db *sqldb.DB, callers int) {
	table(b, db)
	benchmarkRows(b, db, callers)
}

var benchmarkRow atomic.Int64

func benchmarkRows(b *testing.B, db *sqldb.DB, callers int) {
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	b.ResetTimer()
	for range callers {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				name := fmt.Sprintf("row %d", benchmarkRow.Add(1))
				if err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, name, 1) }); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestFailedCommitLeavesNothing: a commit that SQLite refuses loses its group
// alone; the writer goes on with a transaction of its own.
func TestFailedCommitLeavesNothing(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.SQLite(t))
	table(t, db)
	write(t, db, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE part (item TEXT NOT NULL REFERENCES item (name) DEFERRABLE INITIALLY DEFERRED)`)
		return err
	})
	err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := insert(ctx, tx, "beside", 1); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO part (item) VALUES ('nowhere')`)
		return err
	})
	if err == nil {
		t.Fatal("a broken reference was committed")
	}
	write(t, db, func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, "after", 1) })
	if got := names(t, db); got != "after" {
		t.Errorf("the table holds %q, want what was written after", got)
	}
}
