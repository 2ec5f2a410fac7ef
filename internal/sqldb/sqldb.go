// Package sqldb opens the SQL database of an installation, SQLite in the data
// folder or PostgreSQL, brings its schema up to date, and runs transactions on
// it, so that one SQL text behaves the same on both engines.
//
// Read gives a snapshot that cannot write. Write is durable when it returns
// nil. On SQLite one connection writes, and writes that wait for it share one
// commit, each in a savepoint of its own; on PostgreSQL each Write is a READ
// COMMITTED transaction, so a row that is read in order to be changed is read
// with Tx.ForUpdate.
//
// What both engines hold alike: placeholders $1, $2…; the column types BIGINT,
// TEXT, BYTEA and BOOLEAN; LIKE that tells upper from lower case; text that is
// UTF-8 without NUL; a transaction that is lost after its first failed
// statement; and one open Rows at a time in a transaction (close it before the
// next statement).
//
// The package knows no domain. Domains bring their tables as files in
// migrations/ and their queries in their own packages.
package sqldb

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"commsd/internal/errcode"
)

// Dialect is the engine a DB talks to. Queries look at it only where one text
// cannot serve both: full text search, row locks.
type Dialect uint8

// The engines.
const (
	SQLite Dialect = iota
	PostgreSQL
)

// String returns "sqlite" or "postgresql".
func (d Dialect) String() string {
	if d == PostgreSQL {
		return "postgresql"
	}
	return "sqlite"
}

var (
	// ErrNested is returned by a Read or Write that is called with the context
	// of a running Read or Write. On SQLite it would wait for itself; on
	// PostgreSQL it would take a second connection and deadlock a full pool.
	ErrNested = errors.New("sqldb: a transaction was begun inside a transaction: pass tx down, or call it before or after")

	// ErrReadOnly is returned by a Write on a database that was opened ReadOnly.
	ErrReadOnly = errors.New("sqldb: the database was opened to be read only")

	// ErrClosed is returned after Close.
	ErrClosed error = errcode.New(errcode.Unavailable, "the server is stopping")
)

// Config says which database to open.
type Config struct {
	// URL is the key database.url: postgres://user:password@host:port/name, or
	// empty for SQLite in DataDir.
	URL string
	// DataDir is the key data_dir, the folder of commsd.db. It is made when it
	// does not exist. Unused with a URL.
	DataDir string
	// MaxConns bounds the connections to PostgreSQL, or the readers of SQLite;
	// 0 means 20 and 8.
	MaxConns int
	// Log gets warnings; nil discards them.
	Log *slog.Logger
	// Registerer gets the metrics; nil keeps them to oneself.
	Registerer prometheus.Registerer
	// ReadOnly opens a database that is there, beside the server that may have
	// it open: nothing is made, migrated or locked, and every Write fails. Its
	// schema must be the one that this version knows.
	ReadOnly bool
	// Beside is ReadOnly with a Write that works, for a row or two: on SQLite
	// the server's own writes wait meanwhile, and this one's for the server's.
	Beside bool
}

// Validate names the key at fault.
func (c Config) Validate() error {
	if c.URL == "" && c.DataDir == "" {
		return errcode.New(errcode.Invalid, "data_dir: is empty: name a folder, or set database.url")
	}
	if c.URL != "" && !strings.HasPrefix(c.URL, "postgres://") && !strings.HasPrefix(c.URL, "postgresql://") {
		return errcode.New(errcode.Invalid, "database.url: must read postgres://user:password@host:port/name, or be empty for SQLite in data_dir")
	}
	if c.MaxConns < 0 {
		return errcode.New(errcode.Invalid, "database.max_connections: must not be negative")
	}
	return nil
}

// engine is what differs between SQLite and PostgreSQL.
type engine interface {
	read(ctx context.Context, fn func(*Tx) error) error
	write(ctx context.Context, fn func(*Tx) error) (hooks []func(), err error)
	ping(ctx context.Context) error
	close() error
}

// DB is an open database. Its methods may be called from many goroutines.
type DB struct {
	// set at construction
	dialect Dialect
	engine  engine
	log     *slog.Logger
	metrics *metrics

	closed atomic.Bool
}

// Open connects to the database, makes the tables that are missing, and
// refuses a database that a newer commsd has changed. A failure is an
// errcode.Invalid error of one line that names the configuration key and the
// cure; nothing that Open made is then left behind.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	db := &DB{log: cfg.Log, metrics: m}
	if cfg.URL != "" {
		db.dialect = PostgreSQL
		db.engine, err = openPostgres(ctx, cfg, m)
	} else {
		db.dialect = SQLite
		db.engine, err = openSQLite(ctx, cfg, m)
	}
	if err != nil {
		m.unregister()
		return nil, err
	}
	return db, nil
}

// Dialect returns the engine.
func (db *DB) Dialect() Dialect { return db.dialect }

// Ping tells whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	if db.closed.Load() {
		return ErrClosed
	}
	return classify(db.engine.ping(ctx))
}

// Close waits for running transactions and closes the database. A second call
// does nothing.
func (db *DB) Close() error {
	if db.closed.Swap(true) {
		return nil
	}
	err := db.engine.close()
	db.metrics.unregister()
	return err
}

// Read runs fn in a read-only transaction: all its queries see one state of
// the database, which includes every Write that returned before. The context
// that fn gets marks the transaction; pass that one on.
func (db *DB) Read(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	ctx, mark, err := db.begin(ctx)
	if err != nil {
		return err
	}
	defer mark.end()
	start := time.Now()
	err = db.engine.read(ctx, func(tx *Tx) error { return fn(ctx, tx) })
	db.metrics.observe(db.metrics.reads, start, err)
	return classify(err)
}

// Write runs fn in a transaction and returns nil once what fn did is durable.
// An error or a panic of fn undoes all of it and is returned. On PostgreSQL fn
// runs again after a serialization failure or a deadlock, so it must have no
// effect outside tx; what should follow a commit goes to Tx.AfterCommit. fn
// holds up other writers while it runs: compute, hash and read files before.
func (db *DB) Write(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	ctx, mark, err := db.begin(ctx)
	if err != nil {
		return err
	}
	defer mark.end()
	start := time.Now()
	hooks, err := db.engine.write(ctx, func(tx *Tx) error { return fn(ctx, tx) })
	db.metrics.observe(db.metrics.writes, start, err)
	if err != nil {
		return classify(err)
	}
	mark.end() // a hook may use the database again
	for _, hook := range hooks {
		hook()
	}
	return nil
}

// txMark stands in the context of a running transaction of db.
type txMark struct {
	db    *DB
	ended atomic.Bool
}

func (m *txMark) end() { m.ended.Store(true) }

type txMarkKey struct{}

func (db *DB) begin(ctx context.Context) (context.Context, *txMark, error) {
	if outer, ok := ctx.Value(txMarkKey{}).(*txMark); ok && outer.db == db && !outer.ended.Load() {
		return nil, nil, ErrNested
	}
	if db.closed.Load() {
		return nil, nil, ErrClosed
	}
	mark := &txMark{db: db}
	return context.WithValue(ctx, txMarkKey{}, mark), mark, nil
}

// Placeholders returns n placeholders that start with $first, for IN lists:
// Placeholders(2, 3) is "$2, $3, $4".
func Placeholders(first, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(first + i))
	}
	return b.String()
}
