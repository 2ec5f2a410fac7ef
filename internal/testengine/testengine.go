// Package testengine gives tests real engines: a PostgreSQL server shared by
// the test process, with a fresh database for each test, and Redis servers
// that a test may stop, pause and start again. Both listen on free loopback
// ports, keep their files in temporary folders of their own, and end with the
// test process, however it ends.
//
// The binaries are those of Debian's packages postgresql and redis-server;
// Debian's own default cluster is never touched. PostgreSQL refuses to run as
// root, so that root's tests run it as the user postgres.
//
// A package that uses it has in one of its test files
//
//	func TestMain(m *testing.M) { os.Exit(testengine.Main(m)) }
//
// For tests only; it knows no domain.
package testengine

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// PostgresEnv names the environment variable with the URL of a running server,
// its database postgres, as a user who may create databases. A test run over
// many packages sets it (see cmd/withengines) to start one server for all.
const PostgresEnv = "COMMSD_TEST_POSTGRES"

// engines are what this test process has started.
var engines struct {
	mu        sync.Mutex
	managed   bool // Main runs and will end what is started
	admin     string
	server    *Server
	adminErr  error
	templates map[string]*template
}

// Main runs the tests of a package, ends the engines that they started, and
// fails the run when goroutines are left behind.
func Main(m *testing.M) int {
	engines.mu.Lock()
	engines.managed = true
	engines.mu.Unlock()

	code := m.Run()

	engines.mu.Lock()
	defer engines.mu.Unlock()
	engines.managed = false
	dropTemplatesLocked()
	if engines.server != nil {
		if err := engines.server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "testengine:", err)
			code = max(code, 1)
		}
		engines.server = nil
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "testengine: goroutines are left after the tests:", err)
			return 1
		}
	}
	return code
}

// credential returns the user that a server process runs as: nobody else than
// oneself, or for root the user postgres.
func credential() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root and there is no user postgres (apt-get install postgresql): %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
