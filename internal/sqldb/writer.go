package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// A group ends at this many writes, or when the next one would begin later
// than this after the first: the first one's caller waits for the last one's
// work.
const (
	maxGroupWrites = 256
	maxGroupTime   = 5 * time.Millisecond
)

// writer is the one connection of SQLite that writes. Its goroutine opens a
// transaction, gives each waiting Write its turn, in a savepoint unless it is the
// first, and commits them together; while a commit waits for the disk, the next
// group gathers.
//
// A Write's function runs on its caller's own goroutine, so that a caller
// that never returns from it, or ends its goroutine in it, does not take the
// writer along; the writer stands still meanwhile.
type writer struct {
	// set at construction
	db      *sql.DB
	then    func() // is called after each commit
	log     *slog.Logger
	metrics *metrics
	queue   chan *request // unbuffered: a caller that gives up leaves no trace
	quit    chan struct{} // closed by stop
	done    chan struct{} // closed when the goroutine has ended

	stopOnce sync.Once
}

// request is a Write whose turn has come.
type request struct {
	ctx context.Context
	// turn brings the transaction to the caller. It is closed when there is
	// none to be had.
	turn chan *Tx
	ran  chan error // of capacity 1: how the function ended
	// result is the final answer, of capacity 1: the caller may be gone.
	result chan error
}

func startWriter(db *sql.DB, then func(), log *slog.Logger, m *metrics) *writer {
	w := &writer{
		db: db, then: then, log: log, metrics: m,
		queue: make(chan *request),
		quit:  make(chan struct{}),
		done:  make(chan struct{}),
	}
	go w.run()
	return w
}

// stop ends the writer after the group at hand.
func (w *writer) stop() {
	w.stopOnce.Do(func() { close(w.quit) })
	<-w.done
}

func (w *writer) run() {
	defer close(w.done)
	for {
		select {
		case <-w.quit:
			return
		default:
		}
		select {
		case <-w.quit:
			return
		case first := <-w.queue:
			w.group(first)
		}
	}
}

func (w *writer) write(ctx context.Context, fn func(*Tx) error) ([]func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	req := &request{ctx: ctx, turn: make(chan *Tx, 1), ran: make(chan error, 1), result: make(chan error, 1)}
	select {
	case w.queue <- req:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-w.quit:
		return nil, ErrClosed
	}
	tx, ok := <-req.turn
	if ok {
		tx.run(ctx, fn, func(outcome error) { req.ran <- outcome })
	}
	if err := <-req.result; err != nil {
		return nil, err
	}
	return tx.hooks, nil
}

// group runs first and those who wait behind it in one transaction.
func (w *writer) group(first *request) {
	start := time.Now()
	sqlTx, err := w.db.BeginTx(context.Background(), nil)
	if err != nil {
		close(first.turn)
		first.result <- fmt.Errorf("sqldb: begin: %w", err)
		return
	}
	var kept []*request // whose work is in the transaction
	req := first
	for turns := 1; ; turns++ {
		outcome, broken := w.turn(sqlTx, req, len(kept) > 0)
		if outcome != nil && len(kept) == 0 {
			// Whoever waits begins a group of their own.
			_ = sqlTx.Rollback()
			req.result <- outcome
			return
		}
		if broken != nil {
			// SQLite has given up the whole transaction (disk full, out of
			// memory), and with it the work of those before.
			_ = sqlTx.Rollback()
			w.log.Error("a group of writes was lost", "writes", len(kept)+1, "err", broken)
			if outcome == nil {
				outcome = broken
			}
			req.result <- outcome
			finish(kept, fmt.Errorf("sqldb: a write of the same group broke its transaction: %w", broken))
			return
		}
		if outcome != nil {
			req.result <- outcome
		} else {
			kept = append(kept, req)
		}
		if turns == maxGroupWrites || time.Since(start) > maxGroupTime {
			break
		}
		if req = w.waiting(); req == nil {
			break
		}
	}
	w.metrics.groupSize.Observe(float64(len(kept)))
	commit := time.Now()
	if err = sqlTx.Commit(); err != nil {
		err = fmt.Errorf("sqldb: commit: %w", err)
		w.log.Error("a group of writes could not be committed", "writes", len(kept), "err", err)
	}
	w.metrics.commits.Observe(time.Since(commit).Seconds())
	finish(kept, err)
	w.then()
}

func finish(requests []*request, err error) {
	for _, r := range requests {
		r.result <- err
	}
}

// waiting returns a request that waits already, or nil.
func (w *writer) waiting() *request {
	select {
	case r := <-w.queue:
		return r
	default:
		return nil
	}
}

// turn lets one request do its work. Behind others it does so in a savepoint,
// which an outcome other than nil undoes; with nobody before it all of the
// transaction can be undone, and SQLite need not copy the pages that it changes.
// broken is not nil when the whole transaction is lost.
func (w *writer) turn(sqlTx *sql.Tx, req *request, behind bool) (outcome, broken error) {
	if err := req.ctx.Err(); err != nil {
		close(req.turn)
		return err, nil
	}
	if behind {
		if broken = exec(sqlTx, "SAVEPOINT turn"); broken != nil {
			close(req.turn)
			return nil, broken
		}
	}
	start := time.Now()
	req.turn <- &Tx{dialect: SQLite, sql: sqlTx, writable: true, detached: true}
	outcome = <-req.ran
	if held := time.Since(start); held > slowWrite {
		w.log.Warn("a transaction held up all other writes", "seconds", held.Seconds())
	}
	if !behind {
		return outcome, nil
	}
	if outcome != nil {
		if broken = exec(sqlTx, "ROLLBACK TO turn"); broken != nil {
			return outcome, broken
		}
	}
	return outcome, exec(sqlTx, "RELEASE turn")
}

func exec(sqlTx *sql.Tx, query string) error {
	if _, err := sqlTx.ExecContext(context.Background(), query); err != nil {
		return fmt.Errorf("sqldb: %s: %w", query, err)
	}
	return nil
}
