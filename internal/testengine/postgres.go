package testengine

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// postgresMissing says what to install.
const postgresMissing = "PostgreSQL's programs are not here: apt-get install postgresql"

// Server is a PostgreSQL server that the tests started.
type Server struct {
	url     string
	dir     string
	process *process
}

// URL returns the address of its database postgres, as superuser.
func (s *Server) URL() string { return s.url }

// Stop ends the server and removes its files.
func (s *Server) Stop() error {
	err := s.process.stop(syscall.SIGINT) // fast shutdown: sessions are ended
	return errors.Join(err, os.RemoveAll(s.dir))
}

// Kill ends the server as a power cut would, leaving its files.
func (s *Server) Kill() {
	s.process.signal(syscall.SIGKILL)
	<-s.process.exited
}

// StartPostgres makes a cluster in a temporary folder and serves it. A durable
// one waits for the disk at each commit, as in production; the others do not,
// and lie in memory where MemoryDir has room.
func StartPostgres(durable bool) (_ *Server, err error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	as, err := credential()
	if err != nil {
		return nil, err
	}
	parent := "" // the system's temporary folder
	if !durable {
		parent = MemoryDir()
	}
	dir, err := os.MkdirTemp(parent, "commsd-postgres-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	password := rand.Text()
	passwordFile := filepath.Join(dir, "password")
	if err := os.WriteFile(passwordFile, []byte(password), 0o600); err != nil {
		return nil, err
	}
	if as != nil {
		for _, p := range []string{dir, passwordFile} {
			if err := os.Chown(p, int(as.Uid), int(as.Gid)); err != nil {
				return nil, err
			}
		}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(context.Background(), filepath.Join(bin, "initdb"), "--pgdata="+data, "--username=postgres",
		"--pwfile="+passwordFile, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
	initdb.Dir = dir
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	flag := "off"
	if durable {
		flag = "on"
	}
	for range 5 {
		var port int
		if port, err = freePort(); err != nil {
			return nil, err
		}
		cmd := exec.CommandContext(context.Background(), filepath.Join(bin, "postgres"), "-D", data, "-h", "127.0.0.1", "-p", strconv.Itoa(port),
			"-c", "unix_socket_directories=", "-c", "fsync="+flag, "-c", "synchronous_commit=on",
			"-c", "full_page_writes="+flag, "-c", "max_wal_size=256MB", "-c", "max_connections=300", "-c", "shared_buffers=32MB",
			"-c", "lc_messages=C", "-c", "log_min_messages=warning", "-c", "autovacuum=off")
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
		var p *process
		if p, err = startProcess(cmd, "database system is ready to accept connections"); err == nil {
			u := url.URL{Scheme: "postgres", User: url.UserPassword("postgres", password),
				Host: "127.0.0.1:" + strconv.Itoa(port), Path: "/postgres", RawQuery: "sslmode=disable"}
			return &Server{url: u.String(), dir: dir, process: p}, nil
		}
	}
	return nil, err
}

// postgresBin finds the programs of the newest version installed.
func postgresBin() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		if p, err := exec.LookPath("postgres"); err == nil {
			return filepath.Dir(p), nil
		}
		return "", errors.New(postgresMissing)
	}
	version := func(p string) float64 {
		v, _ := strconv.ParseFloat(filepath.Base(filepath.Dir(filepath.Dir(p))), 64)
		return v
	}
	sort.Slice(found, func(i, j int) bool { return version(found[i]) < version(found[j]) })
	return filepath.Dir(found[len(found)-1]), nil
}

// adminURL returns the server of the environment, or starts the one of this
// process.
func adminURL() (string, error) {
	engines.mu.Lock()
	defer engines.mu.Unlock()
	if engines.admin != "" || engines.adminErr != nil {
		return engines.admin, engines.adminErr
	}
	if u := os.Getenv(PostgresEnv); u != "" {
		engines.admin = u
		return u, nil
	}
	if !engines.managed {
		return "", errors.New("the package's TestMain must call testengine.Main, which ends the server")
	}
	engines.server, engines.adminErr = StartPostgres(false)
	if engines.adminErr == nil {
		engines.admin = engines.server.URL()
	}
	return engines.admin, engines.adminErr
}

// Postgres returns the URL of a fresh, empty database in UTF-8, which is
// dropped when the test ends.
func Postgres(t testing.TB) string {
	t.Helper()
	return freshDatabase(t, "template0")
}

// PostgresFrom is Postgres with a database that is a copy of a template, which
// fill makes at the first call with this name in a test process. fill gets the
// URL of an empty database and must close its connections to it.
func PostgresFrom(t testing.TB, name string, fill func(url string) error) string {
	t.Helper()
	if _, err := adminURL(); err != nil {
		t.Fatalf("testengine: %v", err)
	}
	engines.mu.Lock()
	defer engines.mu.Unlock()
	tmpl := engines.templates[name]
	if tmpl == nil {
		tmpl = &template{database: databaseName("template")}
		if engines.templates == nil {
			engines.templates = map[string]*template{}
		}
		engines.templates[name] = tmpl
		tmpl.err = createDatabase(engines.admin, tmpl.database, "template0")
		if tmpl.err == nil {
			tmpl.err = fill(withDatabase(engines.admin, tmpl.database))
		}
	}
	if tmpl.err != nil {
		t.Fatalf("testengine: make the template %s: %v", name, tmpl.err)
	}
	return freshDatabaseAt(t, engines.admin, tmpl.database)
}

// template is a database to copy.
type template struct {
	database string
	err      error
}

func dropTemplatesLocked() {
	for _, tmpl := range engines.templates {
		if engines.server == nil { // else it goes with the server
			_ = dropDatabase(engines.admin, tmpl.database)
		}
	}
	engines.templates = nil
}

func freshDatabase(t testing.TB, from string) string {
	t.Helper()
	admin, err := adminURL()
	if err != nil {
		t.Fatalf("testengine: %v", err)
	}
	return freshDatabaseAt(t, admin, from)
}

func freshDatabaseAt(t testing.TB, admin, from string) string {
	t.Helper()
	name := databaseName("test")
	if err := createDatabase(admin, name, from); err != nil {
		t.Fatalf("testengine: %v", err)
	}
	t.Cleanup(func() {
		if err := dropDatabase(admin, name); err != nil {
			t.Errorf("testengine: %v", err)
		}
	})
	return withDatabase(admin, name)
}

var databaseCount atomic.Int64

// databaseName is unique among the test processes that share a server.
func databaseName(kind string) string {
	return fmt.Sprintf("commsd_%s_%d_%s_%d", kind, os.Getpid(), strings.ToLower(rand.Text()[:8]), databaseCount.Add(1))
}

func createDatabase(admin, name, from string) error {
	return adminExec(admin, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s ENCODING 'UTF8'", name, from))
}

func dropDatabase(admin, name string) error {
	return adminExec(admin, fmt.Sprintf("DROP DATABASE IF EXISTS %s WITH (FORCE)", name))
}

func adminExec(admin, query string) error {
	db, err := sql.Open("pgx", admin)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(context.Background(), query)
	return err
}

func withDatabase(admin, name string) string {
	u, err := url.Parse(admin)
	if err != nil {
		return admin
	}
	u.Path = "/" + name
	return u.String()
}
