// Package sqldbtest runs a test on every engine that sqldb knows, each time on
// a fresh database with all tables.
//
// For tests only. The package that uses it has in one of its test files
//
//	func TestMain(m *testing.M) { os.Exit(testengine.Main(m)) }
package sqldbtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"commsd/internal/sqldb"
	"commsd/internal/testengine"
)

// Each runs fn as the subtests "sqlite" and "postgresql".
func Each(t *testing.T, fn func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	EachConfig(t, func(t *testing.T, cfg sqldb.Config) { fn(t, Open(t, cfg)) })
}

// EachConfig is Each for tests that open the database themselves, once or more:
// with PostgreSQL several may be open at a time, as on several nodes.
func EachConfig(t *testing.T, fn func(t *testing.T, cfg sqldb.Config)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, SQLite(t)) })
	t.Run("postgresql", func(t *testing.T) { fn(t, PostgreSQL(t)) })
}

// EachFrom is Each with databases that are copies of one which fill filled, once
// for each engine in a test process: name tells it from other contents.
func EachFrom(t *testing.T, name string, fill func(ctx context.Context, db *sqldb.DB) error, fn func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, Open(t, sqliteFrom(t, name, fill))) })
	t.Run("postgresql", func(t *testing.T) { fn(t, Open(t, postgresFrom(t, name, fill))) })
}

// SQLite returns the configuration of a database in a temporary folder.
func SQLite(t testing.TB) sqldb.Config {
	t.Helper()
	return sqliteFrom(t, "empty", nil)
}

// PostgreSQL returns the configuration of a fresh database with all tables.
func PostgreSQL(t testing.TB) sqldb.Config {
	t.Helper()
	return postgresFrom(t, "empty", nil)
}

// The files of SQLite that were made once, by the names of their contents: all
// migrations under the race detector take most of a second.
var (
	sqliteMu    sync.Mutex
	sqliteFiles = map[string][]byte{}
)

func sqliteFrom(t testing.TB, name string, fill func(ctx context.Context, db *sqldb.DB) error) sqldb.Config {
	t.Helper()
	sqliteMu.Lock()
	defer sqliteMu.Unlock()
	file := sqliteFiles[name]
	if file == nil {
		dir := t.TempDir()
		err := prepare(sqldb.Config{DataDir: dir}, fill)
		if err == nil {
			// Closed, it has no log beside it: the file is all of it.
			file, err = os.ReadFile(filepath.Join(dir, "commsd.db"))
		}
		if err != nil {
			t.Fatalf("make the database %q: %v", name, err)
		}
		sqliteFiles[name] = file
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "commsd.db"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	return sqldb.Config{DataDir: dir}
}

func postgresFrom(t testing.TB, name string, fill func(ctx context.Context, db *sqldb.DB) error) sqldb.Config {
	t.Helper()
	url := testengine.PostgresFrom(t, name, func(url string) error { return prepare(sqldb.Config{URL: url}, fill) })
	return sqldb.Config{URL: url, DataDir: t.TempDir()}
}

// prepare makes all tables, and what fill puts into them.
func prepare(cfg sqldb.Config, fill func(ctx context.Context, db *sqldb.DB) error) error {
	ctx := context.Background()
	db, err := sqldb.Open(ctx, cfg)
	if err != nil {
		return err
	}
	if fill != nil {
		err = fill(ctx, db)
	}
	return errors.Join(err, db.Close())
}

// Open opens the database of cfg until the test ends.
func Open(t testing.TB, cfg sqldb.Config) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(context.Background(), cfg)
	if err != nil {
		t.Fatalf("open the database: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close the database: %v", err)
		}
	})
	return db
}

// Explain returns the engine's plan for a query, in its own words, one step a
// line.
func Explain(t testing.TB, db *sqldb.DB, query string, args ...any) string {
	t.Helper()
	var steps []string
	err := db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		steps = nil
		explain, step, skip := "EXPLAIN ", "", 0
		columns := []any{&step}
		if tx.Dialect() == sqldb.SQLite {
			explain, columns = "EXPLAIN QUERY PLAN ", []any{&skip, &skip, &skip, &step}
		}
		rows, err := tx.Query(ctx, explain+query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := rows.Scan(columns...); err != nil {
				return err
			}
			steps = append(steps, step)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatalf("explain: %v", err)
	}
	return strings.Join(steps, "\n")
}
