// Package sqldbtest runs a test on every engine that sqldb knows, each time on
// a fresh database with all tables.
//
// For tests only. The package that uses it has in one of its test files
//
//	func TestMain(m *testing.M) { os.Exit(testengine.Main(m)) }
package sqldbtest

import (
	"context"
	"strings"
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

// SQLite returns the configuration of a database in a temporary folder.
func SQLite(t testing.TB) sqldb.Config {
	t.Helper()
	return sqldb.Config{DataDir: t.TempDir()}
}

// PostgreSQL returns the configuration of a fresh database with all tables.
func PostgreSQL(t testing.TB) sqldb.Config {
	t.Helper()
	url := testengine.PostgresFrom(t, "sqldb", func(url string) error {
		db, err := sqldb.Open(context.Background(), sqldb.Config{URL: url})
		if err != nil {
			return err
		}
		return db.Close()
	})
	return sqldb.Config{URL: url, DataDir: t.TempDir()}
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
