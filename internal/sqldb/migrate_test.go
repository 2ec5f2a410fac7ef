package sqldb

import (
	"context"
	"database/sql"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"commsd/internal/errcode"
	"commsd/internal/testengine"
)

// eachRaw runs fn on an empty database of each engine.
func eachRaw(t *testing.T, fn func(t *testing.T, db *sql.DB, dialect Dialect)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		fn(t, openRaw(t, "sqlite", dsn(filepath.Join(t.TempDir(), sqliteFile), true)), SQLite)
	})
	t.Run("postgresql", func(t *testing.T) { fn(t, openRaw(t, "pgx", testengine.Postgres(t)), PostgreSQL) })
}

func openRaw(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func version(t *testing.T, db *sql.DB) (v int64) {
	t.Helper()
	if err := db.QueryRow(`SELECT max(version_id) FROM sqldb_migration`).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestMigrationsApplyOneByOneFromTheFirst(t *testing.T) {
	ctx := context.Background()
	eachRaw(t, func(t *testing.T, db *sql.DB, dialect Dialect) {
		provider, err := newProvider(db, dialect, migrations())
		if err != nil {
			t.Fatal(err)
		}
		for _, source := range provider.ListSources() {
			if _, err := provider.UpByOne(ctx); err != nil {
				t.Fatalf("%s: %v", source.Path, err)
			}
			if got := version(t, db); got != source.Version {
				t.Fatalf("the database is at %d, want %d", got, source.Version)
			}
		}
		if err := migrate(ctx, db, dialect, migrations(), "key"); err != nil {
			t.Errorf("a database that is up to date: %v", err)
		}
	})
}

// TestMigrationFiles holds the rules that goose does not: one sequence without
// holes, named NNNN_domain_what.sql, each in a transaction, upwards only.
func TestMigrationFiles(t *testing.T) {
	entries, err := fs.ReadDir(migrations(), ".")
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`^([0-9]{4})_[a-z]+_[a-z0-9_]+\.sql$`)
	for i, entry := range entries {
		m := form.FindStringSubmatch(entry.Name())
		if m == nil {
			t.Errorf("%s is not named NNNN_domain_what.sql", entry.Name())
			continue
		}
		if n, err := strconv.Atoi(m[1]); err != nil || n != i+1 {
			t.Errorf("%s is number %d of the sequence", entry.Name(), i+1)
		}
		text, err := fs.ReadFile(migrations(), entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"+goose Down", "NO TRANSACTION"} {
			if strings.Contains(string(text), word) {
				t.Errorf("%s holds %q: migrations only go up, in a transaction", entry.Name(), word)
			}
		}
	}
}

func files(sqls ...string) fstest.MapFS {
	all := fstest.MapFS{}
	for i, s := range sqls {
		all["000"+strconv.Itoa(i+1)+"_test_it.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + s + "\n")}
	}
	return all
}

func TestNewerDatabaseIsRefusedUntouched(t *testing.T) {
	ctx := context.Background()
	one, two := `CREATE TABLE one (id BIGINT);`, `CREATE TABLE two (id BIGINT);`
	eachRaw(t, func(t *testing.T, db *sql.DB, dialect Dialect) {
		if err := migrate(ctx, db, dialect, files(one, two), "data_dir"); err != nil {
			t.Fatal(err)
		}
		err := migrate(ctx, db, dialect, files(one), "data_dir")
		if errcode.Of(err) != errcode.Invalid {
			t.Fatalf("got %v, want an invalid error", err)
		}
		for _, part := range []string{"data_dir: ", "newer commsd", "is 2", "knows 1", "install that version"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not say %q", err, part)
			}
		}
		if got := version(t, db); got != 2 {
			t.Errorf("the refused database is at %d", got)
		}
		if err := migrate(ctx, db, dialect, files(one, two), "data_dir"); err != nil {
			t.Errorf("the newer one no longer takes it: %v", err)
		}
	})
}

func TestFailedMigrationIsUndoneWhole(t *testing.T) {
	ctx := context.Background()
	good := `CREATE TABLE good (id BIGINT);`
	bad := "CREATE TABLE half (id BIGINT);\nINSERT INTO good VALUES (1);\nINSERT INTO nowhere VALUES (1);"
	eachRaw(t, func(t *testing.T, db *sql.DB, dialect Dialect) {
		err := migrate(ctx, db, dialect, files(good, bad), "database.url")
		if errcode.Of(err) != errcode.Invalid || !strings.Contains(err.Error(), "database.url: migration 2 ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want one line that names the key and the migration", err)
		}
		if got := version(t, db); got != 1 {
			t.Errorf("the database is at %d, want 1", got)
		}
		var n int
		if err := db.QueryRow(`SELECT count(*) FROM good`).Scan(&n); err != nil || n != 0 {
			t.Errorf("the failed migration left %d rows (%v)", n, err)
		}
		if err := migrate(ctx, db, dialect, files(good, `CREATE TABLE half (id BIGINT);`), "database.url"); err != nil {
			t.Errorf("the mended migration: %v", err)
		}
	})
}

func TestNodesThatStartTogetherMigrateOnce(t *testing.T) {
	ctx := context.Background()
	url := testengine.Postgres(t)
	errs := make(chan error, 4)
	for range cap(errs) {
		go func() {
			db, err := Open(ctx, Config{URL: url, MaxConns: 2})
			if err == nil {
				err = db.Close()
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// What a migration says to SQLite alone is said to no other engine.
func TestMigrationsForSQLiteAlone(t *testing.T) {
	eachRaw(t, func(t *testing.T, db *sql.DB, dialect Dialect) {
		set := files(`CREATE TABLE one (id BIGINT PRIMARY KEY) /*sqlite WITHOUT ROWID*/;`)
		if err := migrate(t.Context(), db, dialect, set, "key"); err != nil {
			t.Fatal(err)
		}
		_, err := db.Exec(`SELECT rowid FROM one`) // PostgreSQL knows no such column, and SQLite only where the words were not read
		if err == nil {
			t.Error("the table has a rowid")
		}
	})
}
