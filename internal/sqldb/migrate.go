package sqldb

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strings"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"commsd/internal/errcode"
)

//go:embed migrations/*.sql
var embedded embed.FS

// migrations is the one sequence of all domains.
func migrations() fs.FS {
	sub, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return embedded // cannot be: the folder is embedded under this name
	}
	return sub
}

// newProvider returns goose on db. On PostgreSQL it holds a session lock, so
// nodes that start together migrate one after the other.
func newProvider(db *sql.DB, dialect Dialect, files fs.FS) (*goose.Provider, error) {
	if dialect == SQLite {
		files = sqliteFiles{files}
	}
	options := []goose.ProviderOption{
		goose.WithDisableGlobalRegistry(true),
		goose.WithTableName("sqldb_migration"),
	}
	gooseDialect := goose.DialectSQLite3
	if dialect == PostgreSQL {
		gooseDialect = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300)) // each second, five minutes long
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	return goose.NewProvider(gooseDialect, db, files, options...)
}

// sqliteFiles shows migrations as SQLite is to read them: what stands in
// /*sqlite …*/, a comment on PostgreSQL, counts. It is meant for WITHOUT ROWID
// alone, without which SQLite stores a table whose key is most of the row twice.
type sqliteFiles struct{ fs.FS }

var sqliteOnly = regexp.MustCompile(`/\*sqlite ([^*]*)\*/`)

// Open implements fs.FS.
func (s sqliteFiles) Open(name string) (fs.File, error) {
	f, err := s.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return f, err
	}
	defer func() { _ = f.Close() }() // only read
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return &sqlFile{Reader: bytes.NewReader(sqliteOnly.ReplaceAll(text, []byte("$1"))), info: info}, nil
}

// sqlFile is a file of sqliteFiles.
type sqlFile struct {
	*bytes.Reader
	info fs.FileInfo
}

func (f *sqlFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *sqlFile) Close() error               { return nil }

// migrate applies what is missing of files to db. key names the database in
// errors: "database.url" or "data_dir".
func migrate(ctx context.Context, db *sql.DB, dialect Dialect, files fs.FS, key string) error {
	provider, err := newProvider(db, dialect, files)
	if err != nil {
		return fmt.Errorf("sqldb: read the migrations: %w", err)
	}
	// goose itself takes a newer database without a word. The second look is
	// for a newer node that migrated between the first one and Up.
	if err := refuseNewer(ctx, provider, key); err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		var partial *goose.PartialError
		if errors.As(err, &partial) && partial.Failed != nil && partial.Failed.Source != nil {
			return errcode.New(errcode.Invalid,
				"%s: migration %d of the database failed (%s): nothing of it was applied; restore a backup or ask for help before starting again",
				key, partial.Failed.Source.Version, oneLine(partial.Err))
		}
		return errcode.New(errcode.Invalid, "%s: cannot bring the database up to date: %s", key, oneLine(err))
	}
	return refuseNewer(ctx, provider, key)
}

func refuseNewer(ctx context.Context, provider *goose.Provider, key string) error {
	has, knows, err := provider.GetVersions(ctx)
	if err != nil {
		return errcode.New(errcode.Invalid, "%s: cannot read the version of the database: %s", key, oneLine(err))
	}
	if has > knows {
		return errcode.New(errcode.Invalid,
			"%s: the database was written by a newer commsd (its schema is %d, this one knows %d): install that version again, or restore a backup made before it",
			key, has, knows)
	}
	return nil
}

// refuseOther refuses a database whose schema is another than this version's,
// without changing anything.
func refuseOther(ctx context.Context, db *sql.DB, key string) error {
	files, err := fs.Glob(migrations(), "*.sql")
	if err != nil || len(files) == 0 {
		return fmt.Errorf("sqldb: read the migrations: %w", err)
	}
	var knows, has int64
	if _, err := fmt.Sscanf(files[len(files)-1], "%d_", &knows); err != nil {
		return fmt.Errorf("sqldb: number of %s: %w", files[len(files)-1], err)
	}
	if err := db.QueryRowContext(ctx, `SELECT MAX(version_id) FROM sqldb_migration`).Scan(&has); err != nil {
		return errcode.New(errcode.Invalid, "%s: cannot read the version of the database: %s", key, oneLine(err))
	}
	if has != knows {
		return errcode.New(errcode.Invalid,
			"%s: the schema of the database is %d, this commsd knows %d: use the version that serves it", key, has, knows)
	}
	return nil
}
