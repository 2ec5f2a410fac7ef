package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"commsd/internal/errcode"
)

// The files of SQLite in data_dir.
const (
	sqliteFile = "commsd.db"
	lockFile   = "commsd.lock"
)

// sqliteDB is one writer and a pool of readers on one file.
type sqliteDB struct {
	writer  *writer
	writes  *sql.DB // one connection
	folder  *folder
	readers *sql.DB
	lock    *os.File
}

func openSQLite(ctx context.Context, cfg Config, m *metrics) (_ engine, err error) {
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return nil, errcode.New(errcode.Invalid, "data_dir: %s", oneLine(err))
	}
	if cfg.ReadOnly || cfg.Beside {
		return openSQLiteBeside(ctx, cfg, filepath.Join(dir, sqliteFile), m)
	}
	var made leftovers
	defer func() {
		if err != nil {
			made.remove()
		}
	}()
	if err := made.folder(dir); err != nil {
		return nil, errcode.New(errcode.Invalid, "data_dir: cannot make the folder %s (%s): make it for the user commsd runs as, or name another", dir, cause(err))
	}
	s := &sqliteDB{}
	defer func() {
		if err != nil {
			_ = s.close() // the first error is the one to tell
		}
	}()
	if s.lock, err = lockFolder(dir, &made); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, sqliteFile)
	if err := made.file(path); err != nil {
		return nil, errcode.New(errcode.Invalid, "data_dir: cannot write to %s (%s): give the user commsd runs as the right to, or name another folder", dir, cause(err))
	}
	if s.writes, err = sql.Open("sqlite", dsn(path, true)); err != nil {
		return nil, fmt.Errorf("sqldb: %w", err)
	}
	s.writes.SetMaxOpenConns(1)
	if err := migrate(ctx, s.writes, SQLite, migrations(), "data_dir"); err != nil {
		return nil, err
	}
	if err := syncFolder(dir); err != nil {
		return nil, errcode.New(errcode.Invalid, "data_dir: cannot flush %s to disk (%s): use a local disk", dir, cause(err))
	}
	if s.readers, err = sql.Open("sqlite", dsn(path, false)); err != nil {
		return nil, fmt.Errorf("sqldb: %w", err)
	}
	readers := cfg.MaxConns
	if readers == 0 {
		readers = 8
	}
	s.readers.SetMaxOpenConns(readers)
	s.readers.SetMaxIdleConns(readers)
	return s, s.startWriting(path, cfg, m)
}

// openSQLiteBeside opens a database that a server may have open: without its
// lock, and unless it is to be read only with a writer that shares the file
// with the server's, each waiting for the other's commit.
func openSQLiteBeside(ctx context.Context, cfg Config, path string, m *metrics) (_ engine, err error) {
	if _, err := os.Stat(path); err != nil {
		return nil, errcode.New(errcode.Invalid, "data_dir: cannot read %s (%s): name the folder that the server uses", path, cause(err))
	}
	s := &sqliteDB{}
	defer func() {
		if err != nil {
			_ = s.close() // the first error is the one to tell
		}
	}()
	if s.readers, err = sql.Open("sqlite", dsn(path, false)); err != nil {
		return nil, fmt.Errorf("sqldb: %w", err)
	}
	s.readers.SetMaxOpenConns(max(cfg.MaxConns, 1))
	if err := refuseOther(ctx, s.readers, "data_dir"); err != nil {
		return nil, err
	}
	if cfg.ReadOnly {
		return s, nil
	}
	if s.writes, err = sql.Open("sqlite", dsn(path, true)); err != nil {
		return nil, fmt.Errorf("sqldb: %w", err)
	}
	s.writes.SetMaxOpenConns(1)
	return s, s.startWriting(path, cfg, m)
}

// startWriting starts what writes through s.writes, and what folds the log into
// the file beside it.
func (s *sqliteDB) startWriting(path string, cfg Config, m *metrics) error {
	folds, err := sql.Open("sqlite", dsn(path, true))
	if err != nil {
		return fmt.Errorf("sqldb: %w", err)
	}
	folds.SetMaxOpenConns(1)
	s.folder = startFolder(folds, cfg.Log)
	s.writer = startWriter(s.writes, s.folder.committed, cfg.Log, m)
	return nil
}

// dsn returns the driver's name of the file. FULL makes each commit wait for
// the disk. Nothing else writes to the file for long, so busy_timeout only meets
// a command beside the server, a backup or an operator's shell. The log is
// folded into the file at 32 MiB: a page that is written again and again is
// written there once.
func dsn(path string, write bool) string {
	q := url.Values{
		"_dqs":       {"0"}, // "name" is an identifier or an error, as on PostgreSQL
		"_error_rc":  {"1"},
		"_defensive": {"1"},
		"_pragma": {
			"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
			"case_sensitive_like(1)", fmt.Sprintf("wal_autocheckpoint(%d)", foldAtWrite), "temp_store(MEMORY)", "cache_size(-8192)", "mmap_size(0)",
		},
	}
	if write {
		q.Set("_txlock", "immediate")
	} else {
		q.Add("_pragma", "query_only(1)")
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

func (s *sqliteDB) read(ctx context.Context, fn func(*Tx) error) error {
	sqlTx, err := s.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	tx := &Tx{dialect: SQLite, sql: sqlTx}
	tx.run(ctx, fn, func(outcome error) {
		err = outcome
		_ = sqlTx.Rollback() // nothing to keep
	})
	return err
}

func (s *sqliteDB) write(ctx context.Context, fn func(*Tx) error) ([]func(), error) {
	if s.writer == nil {
		return nil, ErrReadOnly
	}
	return s.writer.write(ctx, fn)
}

func (s *sqliteDB) ping(ctx context.Context) error {
	var one int
	return s.readers.QueryRowContext(ctx, "SELECT count(*) FROM sqldb_migration WHERE version_id = 0").Scan(&one)
}

// close ends whatever of s was opened. The writer goes last, since the last
// connection to close folds the log into the file.
func (s *sqliteDB) close() error {
	var errs []error
	if s.writer != nil {
		s.writer.stop()
	}
	if s.folder != nil {
		errs = append(errs, s.folder.close())
	}
	if s.readers != nil {
		errs = append(errs, s.readers.Close())
	}
	if s.writes != nil {
		errs = append(errs, s.writes.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// lockFolder keeps a second process out of dir: two would each have a writer
// of their own. The file stays when the process ends; the lock on it does not.
func lockFolder(dir string, made *leftovers) (*os.File, error) {
	path := filepath.Join(dir, lockFile)
	_, statErr := os.Lstat(path)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, errcode.New(errcode.Invalid, "data_dir: cannot write to %s (%s): give the user commsd runs as the right to, or name another folder", dir, cause(err))
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		var holder [32]byte
		n, _ := f.ReadAt(holder[:], 0)
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errcode.New(errcode.Invalid, "data_dir: %s is in use by another commsd (process %s): stop that one first; two servers need a folder each",
				dir, strings.TrimSpace(string(holder[:n])))
		}
		return nil, errcode.New(errcode.Invalid, "data_dir: cannot lock %s (%s): use a local disk", path, cause(err))
	}
	if errors.Is(statErr, fs.ErrNotExist) {
		made.paths = append(made.paths, path)
	}
	// The number is for the message above only; failing to note it is no harm.
	_ = f.Truncate(0)
	_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
	return f, nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// cause is what the system said, without the path that we name ourselves.
func cause(err error) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return oneLine(err)
}

// leftovers are what an Open has made so far, to be removed should it fail.
type leftovers struct{ paths []string }

// folder makes dir and the folders above it that are missing.
func (l *leftovers) folder(dir string) error {
	var missing []string
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, d)
	}
	for i := len(missing) - 1; i >= 0; i-- {
		if err := os.Mkdir(missing[i], 0o700); err != nil {
			return err
		}
		l.paths = append(l.paths, missing[i])
	}
	return nil
}

// file makes an empty file that nobody else may read, unless it is there.
// SQLite gives its log the rights of the database.
func (l *leftovers) file(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		f, err = os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		return f.Close()
	}
	if err != nil {
		return err
	}
	l.paths = append(l.paths, path, path+"-wal", path+"-shm")
	return f.Close()
}

func (l *leftovers) remove() {
	for i := len(l.paths) - 1; i >= 0; i-- {
		_ = os.Remove(l.paths[i]) // a folder that others have filled meanwhile stays
	}
}

// slowWrite is how long a function may hold the only writer before the log
// says so.
const slowWrite = 500 * time.Millisecond
