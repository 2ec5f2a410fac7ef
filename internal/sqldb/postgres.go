package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"commsd/internal/errcode"
)

const (
	connectTimeout  = 10 * time.Second
	maxAttempts     = 8                    // of one Write
	firstRetryPause = 5 * time.Millisecond // doubles, with jitter
	longestPause    = 200 * time.Millisecond
)

// postgres runs each transaction on a connection of its own.
type postgres struct {
	db      *sql.DB
	log     *slog.Logger
	metrics *metrics

	readOnly bool
	beside   bool // nothing is migrated
}

func openPostgres(ctx context.Context, cfg Config, m *metrics) (engine, error) {
	p, conn, err := dialPostgres(cfg)
	if err != nil {
		return nil, err
	}
	p.metrics = m
	if err := p.start(ctx, conn); err != nil {
		p.db.Close()
		return nil, err
	}
	return p, nil
}

// dialPostgres makes the pool; nothing is connected yet.
func dialPostgres(cfg Config) (*postgres, *pgx.ConnConfig, error) {
	conn, err := pgx.ParseConfig(cfg.URL)
	if err != nil {
		// pgx repeats the URL in its error; it blanks the password only when it
		// could parse that far.
		return nil, nil, errcode.New(errcode.Invalid,
			"database.url: cannot be understood: it must read postgres://user:password@host:port/name, special characters in the password as %%XX")
	}
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = connectTimeout
	}
	if _, ok := conn.RuntimeParams["application_name"]; !ok {
		conn.RuntimeParams["application_name"] = "commsd"
	}
	db := stdlib.OpenDB(*conn)
	maxConns := cfg.MaxConns
	if maxConns == 0 {
		maxConns = 20
	}
	db.SetMaxOpenConns(maxConns)
	db.SetMaxIdleConns(maxConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return &postgres{db: db, log: cfg.Log, readOnly: cfg.ReadOnly, beside: cfg.Beside}, conn, nil
}

// start checks that the server is one we can rely on and migrates it.
func (p *postgres) start(ctx context.Context, conn *pgx.ConnConfig) error {
	lax, err := p.check(ctx, conn)
	if err != nil {
		return err
	}
	if lax {
		p.log.Warn("synchronous_commit is off in PostgreSQL: a crash there may lose what commsd has acknowledged", "server", conn.Host)
	}
	if p.readOnly || p.beside {
		return refuseOther(ctx, p.db, "database.url")
	}
	return migrate(ctx, p.db, PostgreSQL, migrations(), "database.url")
}

// check tells whether the server is one we can rely on; lax when it may lose
// commits in a crash.
func (p *postgres) check(ctx context.Context, conn *pgx.ConnConfig) (lax bool, err error) {
	where := net.JoinHostPort(conn.Host, strconv.Itoa(int(conn.Port)))
	var encoding, syncCommit string
	err = p.db.QueryRowContext(ctx,
		`SELECT current_setting('server_encoding'), current_setting('synchronous_commit')`).Scan(&encoding, &syncCommit)
	if err != nil {
		switch state := sqlState(err); {
		case strings.HasPrefix(state, "28"): // invalid authorization
			return false, errcode.New(errcode.Invalid,
				"database.url: PostgreSQL at %s refuses user %q: correct user and password in the URL, or pg_hba.conf there", where, conn.User)
		case state == "3D000": // invalid_catalog_name
			return false, errcode.New(errcode.Invalid,
				"database.url: PostgreSQL at %s has no database %q: make it with: createdb --encoding=UTF8 --template=template0 %s", where, conn.Database, conn.Database)
		}
		return false, errcode.New(errcode.Invalid,
			"database.url: PostgreSQL at %s cannot be reached (%s): start it, or correct the address", where, oneLine(err))
	}
	if encoding != "UTF8" {
		return false, errcode.New(errcode.Invalid,
			"database.url: database %q is encoded in %s: make one with: createdb --encoding=UTF8 --template=template0 NAME", conn.Database, encoding)
	}
	return syncCommit == "off", nil
}

func (p *postgres) ping(ctx context.Context) error { return p.db.PingContext(ctx) }

func (p *postgres) close() error { return p.db.Close() }

func (p *postgres) read(ctx context.Context, fn func(*Tx) error) error {
	_, err := p.once(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, fn)
	return err
}

func (p *postgres) write(ctx context.Context, fn func(*Tx) error) ([]func(), error) {
	if p.readOnly {
		return nil, ErrReadOnly
	}
	pause := firstRetryPause
	for attempt := 1; ; attempt++ {
		hooks, err := p.once(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted}, fn)
		if err == nil || !retryable(err) {
			return hooks, err
		}
		if attempt == maxAttempts {
			return nil, errcode.Wrap(err, errcode.Unavailable, "the database is busy; try again in a moment")
		}
		p.metrics.retries.Inc()
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-timer.C:
		}
		pause = min(2*pause, longestPause)
	}
}

func (p *postgres) once(ctx context.Context, options *sql.TxOptions, fn func(*Tx) error) ([]func(), error) {
	sqlTx, err := p.db.BeginTx(ctx, options)
	if err != nil {
		return nil, err
	}
	tx := &Tx{dialect: PostgreSQL, sql: sqlTx, writable: !options.ReadOnly}
	tx.run(ctx, fn, func(outcome error) {
		if err = outcome; err != nil {
			_ = sqlTx.Rollback() // the connection is dropped where this fails
		}
	})
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := sqlTx.Commit(); err != nil {
		return nil, fmt.Errorf("sqldb: commit: %w", err)
	}
	if tx.writable {
		p.metrics.commits.Observe(time.Since(start).Seconds())
	}
	return tx.hooks, nil
}
