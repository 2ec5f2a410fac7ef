package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"commsd/internal/errcode"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
	"commsd/internal/testengine"
)

// mustName checks that err is for an operator: of one line, naming the key of
// the configuration, without the password of the URLs of these tests.
func mustName(t *testing.T, what, key string, err error) {
	t.Helper()
	if errcode.Of(err) != errcode.Invalid || !strings.HasPrefix(errcode.Message(err), key+": ") {
		t.Errorf("%s: got %v, want an invalid error about %s", what, err, key)
		return
	}
	if s := err.Error(); strings.Contains(s, "\n") || strings.Contains(s, "hush-hush") {
		t.Errorf("%s: not one line, or with the password: %q", what, s)
	}
}

func TestUnusablePostgresNamesKeyAndCure(t *testing.T) {
	good, err := url.Parse(testengine.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	change := func(fn func(*url.URL)) string {
		u := *good
		fn(&u)
		return u.String()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	l.Close()
	for what, c := range map[string]struct{ url, says string }{
		"nobody listens":   {change(func(u *url.URL) { u.Host = free; u.User = url.UserPassword("a", "hush-hush") }), "start it"},
		"wrong password":   {change(func(u *url.URL) { u.User = url.UserPassword("postgres", "hush-hush") }), "refuses user"},
		"no such database": {change(func(u *url.URL) { u.Path = "/nowhere" }), "createdb"},
		"no URL":           {"postgres://a:hush-hush@%zz/x", "must read"},
		"bad port":         {"postgres://a:hush-hush@127.0.0.1:port/x", "must read"},
		"other scheme":     {"mysql://a:hush-hush@127.0.0.1/x", "must read"},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		reg := prometheus.NewRegistry()
		_, err := sqldb.Open(ctx, sqldb.Config{URL: c.url, DataDir: dir, Registerer: reg})
		mustName(t, what, "database.url", err)
		if err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v does not say %q", what, err, c.says)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the data folder was made: %v", what, err)
		}
		if left, err := reg.Gather(); err != nil || len(left) > 0 {
			t.Errorf("%s: metrics stay registered: %v %v", what, left, err)
		}
	}
}

func TestUnusableDataFolderNamesKeyAndCure(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "broken")
	if err := errors.Join(os.Mkdir(broken, 0o700), os.WriteFile(filepath.Join(broken, "commsd.db"), []byte(strings.Repeat("no database ", 1000)), 0o600)); err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{
		"empty":           "",
		"below a file":    filepath.Join(file, "data"),
		"a file":          file,
		"not a database":  broken,
		"below /dev/null": "/dev/null/data",
	}
	if os.Geteuid() != 0 { // root may write everywhere
		closed := filepath.Join(dir, "closed")
		if err := os.Mkdir(closed, 0o500); err != nil {
			t.Fatal(err)
		}
		cases["unwritable"] = closed
	}
	for what, path := range cases {
		_, err := sqldb.Open(ctx, sqldb.Config{DataDir: path})
		mustName(t, what, "data_dir", err)
	}
	left, err := os.ReadDir(broken)
	if err != nil || len(left) != 1 {
		t.Errorf("beside the broken database there is %v (%v)", left, err)
	}
}

func TestFailedOpenLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := sqldb.Open(cancelled, sqldb.Config{DataDir: dir}); err == nil {
		t.Fatal("opened with a cancelled context")
	}
	if _, err := os.Stat(filepath.Dir(dir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder was left: %v", err)
	}
	sqldbtest.Open(t, sqldb.Config{DataDir: dir}) // and may be made now
}

func TestDataFolderBelongsToOneProcess(t *testing.T) {
	cfg := sqldbtest.SQLite(t)
	first := sqldbtest.Open(t, cfg)
	_, err := sqldb.Open(ctx, cfg)
	mustName(t, "in use", "data_dir", err)
	if err != nil && !strings.Contains(err.Error(), "in use") {
		t.Error(err)
	}
	if err := first.Ping(ctx); err != nil {
		t.Errorf("the first one suffered: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	sqldbtest.Open(t, cfg)
	for _, name := range []string{"commsd.db", "commsd.lock"} {
		info, err := os.Stat(filepath.Join(cfg.DataDir, name))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s has mode %v (%v), want 0600", name, info.Mode(), err)
		}
	}
}

func TestDataSurvivesClosing(t *testing.T) {
	sqldbtest.EachConfig(t, func(t *testing.T, cfg sqldb.Config) {
		reg := prometheus.NewRegistry()
		cfg.Registerer = reg
		db := sqldbtest.Open(t, cfg)
		table(t, db)
		write(t, db, func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, "kept", 1) })
		if got := metric(t, reg, "commsd_sqldb_transaction_seconds"); got != 2 {
			t.Errorf("the metrics count %v transactions, want 2", got)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db = sqldbtest.Open(t, cfg) // registers again, too
		if got := names(t, db); got != "kept" {
			t.Errorf("afterwards the table holds %q", got)
		}
	})
}

// metric returns how many observations the series of a histogram have.
func metric(t *testing.T, reg *prometheus.Registry, name string) (n uint64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				n += m.GetHistogram().GetSampleCount()
			}
		}
	}
	return n
}

// A database that a server has open is read beside it, and not changed.
func TestReadOnlyBesideAServer(t *testing.T) {
	sqldbtest.EachConfig(t, func(t *testing.T, cfg sqldb.Config) {
		readOnly := cfg
		readOnly.ReadOnly = true
		if cfg.URL == "" {
			if db, err := sqldb.Open(t.Context(), sqldb.Config{DataDir: t.TempDir(), ReadOnly: true}); err == nil || !strings.Contains(err.Error(), "data_dir: cannot read") {
				t.Errorf("nothing is there to be read: %v, %v", db, err)
			}
		}
		server := sqldbtest.Open(t, cfg)
		put := func(db *sqldb.DB) error {
			return db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, `INSERT INTO secret_store (name, sealed, created_at) VALUES ('a', $1, 0)`, []byte{1})
				return err
			})
		}
		if err := put(server); err != nil {
			t.Fatal(err)
		}
		beside := sqldbtest.Open(t, readOnly)
		if err := put(beside); !errors.Is(err, sqldb.ErrReadOnly) {
			t.Errorf("a Write on it: %v", err)
		}
		n := 0
		err := beside.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			return tx.QueryRow(ctx, `SELECT COUNT(*) FROM secret_store`).Scan(&n)
		})
		if err != nil || n != 1 {
			t.Errorf("%d rows are read: %v", n, err)
		}
	})
}

// A command writes a row beside the server that has the database open, while
// that writes all the time; neither loses anything.
func TestWritesBesideAServer(t *testing.T) {
	sqldbtest.EachConfig(t, func(t *testing.T, cfg sqldb.Config) {
		config := cfg
		config.Beside = true
		if cfg.URL == "" {
			if db, err := sqldb.Open(t.Context(), sqldb.Config{DataDir: t.TempDir(), Beside: true}); err == nil || !strings.Contains(err.Error(), "data_dir: cannot read") {
				t.Errorf("nothing is there: %v, %v", db, err)
			}
		}
		server := sqldbtest.Open(t, cfg)
		table(t, server)
		const rows = 40
		put := func(db *sqldb.DB, name string) error {
			return db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, name, 1) })
		}
		var serving sync.WaitGroup
		begun := make(chan struct{})
		serving.Go(func() {
			for i := range rows {
				if err := put(server, fmt.Sprint("server", i)); err != nil {
					t.Errorf("the server suffers: %v", err)
				}
				if i == 0 {
					close(begun)
				}
			}
		})
		<-begun
		beside := sqldbtest.Open(t, config)
		for i := range rows / 4 {
			if err := put(beside, fmt.Sprint("beside", i)); err != nil {
				t.Errorf("beside the server: %v", err)
			}
		}
		serving.Wait()
		if err := beside.Close(); err != nil {
			t.Error(err)
		}
		if err := put(server, "last"); err != nil {
			t.Errorf("the server after the command: %v", err)
		}
		if got := names(t, server); len(strings.Fields(got)) != rows+rows/4+1 || !strings.Contains(got, "beside9") {
			t.Errorf("the table holds %v", got)
		}
	})
}
