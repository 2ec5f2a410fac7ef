package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"commsd/internal/errcode"
)

// Report is what Inspect finds of a database.
type Report struct {
	Dialect Dialect
	Version string    // the engine's
	Missing bool      // SQLite: no database there yet; the rest is empty
	Served  bool      // SQLite: a commsd has it open now
	Schema  int64     // of the database; 0: empty
	Known   int64     // newest schema of this program
	Clock   time.Time // the PostgreSQL server's; zero on SQLite
	Damage  string    // SQLite: the first thing its check found; empty: sound
	Lax     bool      // PostgreSQL: synchronous_commit is off
}

// Inspect looks at the database of cfg without changing it, also while a
// server has it open, and calls read, which may be nil, in a snapshot when the
// schema is this program's. Errors are as Open's.
func Inspect(ctx context.Context, cfg Config, read func(ctx context.Context, tx *Tx) error) (Report, error) {
	if err := cfg.Validate(); err != nil {
		return Report{}, err
	}
	if cfg.URL != "" {
		return inspectPostgres(ctx, cfg, read)
	}
	return inspectSQLite(ctx, cfg, read)
}

func inspectSQLite(ctx context.Context, cfg Config, read func(context.Context, *Tx) error) (Report, error) {
	r := Report{Dialect: SQLite}
	path := filepath.Join(cfg.DataDir, sqliteFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		r.Missing = true
		return r, nil
	}
	// Reading beside a server that has the file open takes part in its WAL;
	// without one, immutable reading would miss what a crash left there.
	db, err := sql.Open("sqlite", dsn(path, false))
	if err != nil {
		return r, fmt.Errorf("sqldb: %w", err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if err := db.QueryRowContext(ctx, `SELECT sqlite_version()`).Scan(&r.Version); err != nil {
		return r, errcode.New(errcode.Invalid, "data_dir: cannot read %s (%s): run this as the user commsd runs as", path, oneLine(err))
	}
	r.Served = held(cfg.DataDir)
	if err := r.versions(ctx, db); err != nil {
		return r, err
	}
	var check string
	if err := db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&check); err != nil {
		check = oneLine(err)
	}
	if check != "ok" {
		r.Damage = check
		return r, nil
	}
	return r, r.call(ctx, db, read)
}

// held tells whether a process has the folder locked.
func held(dir string) bool {
	f, err := os.Open(filepath.Join(dir, lockFile))
	if err != nil {
		return false
	}
	defer f.Close() // lets go of a lock it got
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

func inspectPostgres(ctx context.Context, cfg Config, read func(context.Context, *Tx) error) (Report, error) {
	r := Report{Dialect: PostgreSQL}
	p, conn, err := dialPostgres(cfg)
	if err != nil {
		return r, err
	}
	defer p.db.Close()
	if r.Lax, err = p.check(ctx, conn); err != nil {
		return r, err
	}
	var micros int64
	err = p.db.QueryRowContext(ctx, `SELECT current_setting('server_version'), (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint`).Scan(&r.Version, &micros)
	if err != nil {
		return r, errcode.New(errcode.Invalid, "database.url: PostgreSQL does not answer (%s): look at its log", oneLine(err))
	}
	r.Clock = time.UnixMicro(micros)
	if err := r.versions(ctx, p.db); err != nil {
		return r, err
	}
	return r, r.call(ctx, p.db, read)
}

// versions reads which schema the database has, without making goose's table.
func (r *Report) versions(ctx context.Context, db *sql.DB) error {
	names, err := fs.Glob(migrations(), "*.sql")
	if err != nil {
		return fmt.Errorf("sqldb: read the migrations: %w", err)
	}
	for _, name := range names {
		var n int64
		if _, err := fmt.Sscanf(name, "%d_", &n); err == nil {
			r.Known = max(r.Known, n)
		}
	}
	query := `SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'sqldb_migration'`
	if r.Dialect == PostgreSQL {
		query = `SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass('sqldb_migration')`
	}
	var n int
	if err := db.QueryRowContext(ctx, query).Scan(&n); err != nil {
		return fmt.Errorf("sqldb: look for the schema: %s", oneLine(err))
	}
	if n == 0 {
		return nil
	}
	if err := db.QueryRowContext(ctx, `SELECT COALESCE(MAX(version_id), 0) FROM sqldb_migration WHERE is_applied`).Scan(&r.Schema); err != nil {
		return fmt.Errorf("sqldb: read the schema's version: %s", oneLine(err))
	}
	return nil
}

func (r *Report) call(ctx context.Context, db *sql.DB, read func(context.Context, *Tx) error) error {
	if read == nil || r.Schema != r.Known {
		return nil
	}
	sqlTx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return classify(err)
	}
	defer func() { _ = sqlTx.Rollback() }() // nothing to keep
	if err := read(ctx, &Tx{dialect: r.Dialect, sql: sqlTx}); err != nil {
		return fmt.Errorf("sqldb: %s", strings.TrimSpace(err.Error()))
	}
	return nil
}
