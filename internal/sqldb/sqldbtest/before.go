package sqldbtest

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/pressly/goose/v3"

	"commsd/internal/sqldb"
	"commsd/internal/testengine"
)

// EachBefore runs fn on a database of each engine as it was before migration
// version; what fill writes there is what an upgrade meets. Opening the
// configuration that fn gets is the upgrade.
func EachBefore(t *testing.T, version int64, fill func(t *testing.T, db *sql.DB), fn func(t *testing.T, cfg sqldb.Config)) {
	t.Helper()
	run := func(t *testing.T, driver, name string, dialect goose.Dialect, cfg sqldb.Config) {
		t.Helper()
		db, err := sql.Open(driver, name)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		provider, err := goose.NewProvider(dialect, db, os.DirFS(migrationsFolder(t)),
			goose.WithDisableGlobalRegistry(true), goose.WithTableName("sqldb_migration"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := provider.UpTo(context.Background(), version-1); err != nil {
			t.Fatal(err)
		}
		fill(t, db)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		fn(t, cfg)
	}
	t.Run("sqlite", func(t *testing.T) {
		cfg := sqldb.Config{DataDir: t.TempDir()}
		run(t, "sqlite", "file:"+filepath.Join(cfg.DataDir, "commsd.db"), goose.DialectSQLite3, cfg)
	})
	t.Run("postgresql", func(t *testing.T) {
		url := testengine.Postgres(t)
		run(t, "pgx", url, goose.DialectPostgres, sqldb.Config{URL: url, DataDir: t.TempDir()})
	})
}

func migrationsFolder(t *testing.T) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("sqldbtest: the migrations are not found")
	}
	return filepath.Join(filepath.Dir(file), "..", "migrations")
}
