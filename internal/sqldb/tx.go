package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"commsd/internal/errcode"
)

// errExited is the outcome of a transaction whose function ended its goroutine
// (runtime.Goexit, as a failed test does).
var errExited = errors.New("sqldb: the transaction's function did not return")

// Tx is a running transaction. It belongs to the goroutine that runs the
// function it was given to, and is dead once that function returns.
type Tx struct {
	dialect  Dialect
	sql      *sql.Tx
	writable bool

	// detached: the transaction is shared with other writes, so the
	// cancellation of one caller must not interrupt its statements; SQLite
	// would roll back all of them. Cancellation is looked at between statements.
	detached bool

	hooks  []func()
	failed error // of the first statement that failed
	done   bool
}

// Dialect returns the engine.
func (tx *Tx) Dialect() Dialect { return tx.dialect }

// ForUpdate returns " FOR UPDATE" on PostgreSQL, where other transactions run
// at the same time, and nothing on SQLite, where no other writes. It is
// appended to a SELECT of rows that the transaction is going to change.
func (tx *Tx) ForUpdate() string {
	if tx.dialect == PostgreSQL {
		return " FOR UPDATE"
	}
	return ""
}

// AfterCommit has fn run once the transaction is durable, outside of it and
// before Write returns. It does not run when the transaction fails.
func (tx *Tx) AfterCommit(fn func()) { tx.hooks = append(tx.hooks, fn) }

// Exec runs a statement that returns no rows.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	ctx, err := tx.prepare(ctx, args)
	if err != nil {
		return nil, err
	}
	res, err := tx.sql.ExecContext(ctx, query, args...)
	return res, tx.note(err)
}

// Query runs a statement that returns rows. The caller closes them before the
// transaction's next statement.
func (tx *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	ctx, err := tx.prepare(ctx, args)
	if err != nil {
		return nil, err
	}
	rows, err := tx.sql.QueryContext(ctx, query, args...)
	return rows, tx.note(err)
}

// QueryRow runs a statement that returns at most one row; Scan answers
// sql.ErrNoRows where there is none.
func (tx *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	ctx, err := tx.prepare(ctx, args)
	if err != nil {
		ctx = failedContext{Context: ctx, err: err} // the way to an sql.Row that holds an error
	}
	row := tx.sql.QueryRowContext(ctx, query, args...)
	_ = tx.note(row.Err())
	return row
}

// insertRows is how many rows one statement of InsertMany inserts. More make it
// hardly cheaper; a number that is the same for all but the last statement lets
// the engines keep it prepared.
const insertRows = 100

// InsertMany inserts n rows of so many columns with few statements. into names
// the table and its columns, conflict is what stands behind the rows; row returns
// the columns of one.
func (tx *Tx) InsertMany(ctx context.Context, into string, columns, n int, row func(i int) []any, conflict string) error {
	insert := "INSERT INTO "
	if tx.dialect == SQLite {
		// What a failed statement has done so far goes with its transaction, so it
		// need not be undone by itself: SQLite would copy each page that it changes.
		insert = "INSERT OR FAIL INTO "
	}
	for start := 0; start < n; start += insertRows {
		end := min(start+insertRows, n)
		args := make([]any, 0, (end-start)*columns)
		var text strings.Builder
		text.WriteString(insert + into + " VALUES ")
		for i := start; i < end; i++ {
			if i > start {
				text.WriteString(", ")
			}
			if tx.dialect == SQLite {
				// It looks a numbered one up among all others.
				text.WriteString("(?" + strings.Repeat(", ?", columns-1) + ")")
			} else {
				text.WriteString("(" + Placeholders(len(args)+1, columns) + ")")
			}
			args = append(args, row(i)...)
		}
		text.WriteString(" " + conflict)
		if _, err := tx.Exec(ctx, text.String(), args...); err != nil {
			return err
		}
	}
	return nil
}

// prepare refuses what the engines would treat differently, and returns the
// context the statement runs with.
func (tx *Tx) prepare(ctx context.Context, args []any) (context.Context, error) {
	switch {
	case tx.done:
		return ctx, sql.ErrTxDone
	case tx.failed != nil:
		// PostgreSQL refuses every further statement; SQLite would go on.
		return ctx, fmt.Errorf("sqldb: an earlier statement of the transaction failed: %w", tx.failed)
	case ctx.Err() != nil:
		return ctx, ctx.Err()
	}
	for i, arg := range args {
		if err := checkArg(arg); err != nil {
			return ctx, fmt.Errorf("sqldb: argument $%d: %w", i+1, err)
		}
	}
	if tx.detached {
		ctx = context.WithoutCancel(ctx)
	}
	return ctx, nil
}

func (tx *Tx) note(err error) error {
	if err != nil && tx.failed == nil {
		tx.failed = err
	}
	return err
}

// checkArg refuses values that only one engine would take. Text comes from
// mail and from browsers, so its error has a code.
func checkArg(arg any) error {
	switch v := arg.(type) {
	case nil, int64, int, bool, []byte:
		return nil
	case string:
		return checkText(v)
	case time.Time, *time.Time:
		return errors.New("a time is stored as BIGINT microseconds: use UnixMicro")
	}
	v := reflect.ValueOf(arg)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() == reflect.String {
		return checkText(v.String())
	}
	return nil
}

func checkText(s string) error {
	if strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s) {
		return errcode.New(errcode.Invalid, "the text holds a NUL character or is not UTF-8")
	}
	return nil
}

// failedContext is done from the start, with an error of our own.
type failedContext struct {
	context.Context
	err error
}

var doneChannel = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (c failedContext) Done() <-chan struct{} { return doneChannel }
func (c failedContext) Err() error            { return c.err }

// run calls fn on tx, turns a panic into an error, and hands the outcome to
// finish even when fn ends the goroutine.
func (tx *Tx) run(ctx context.Context, fn func(*Tx) error, finish func(error)) {
	err := errExited
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("sqldb: panic in a transaction: %v\n%s", r, debug.Stack())
		}
		tx.done = true
		finish(err)
	}()
	err = fn(tx)
	switch {
	case err != nil:
	case tx.writable && tx.failed != nil:
		err = tx.failed
	default:
		err = ctx.Err()
	}
}
