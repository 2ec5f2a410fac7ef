package testengine

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

// redisMissing says what to install.
const redisMissing = "redis-server is not here: apt-get install redis-server"

// RedisServer is a Redis of one test. It listens on the same port and with the
// same password however often it is stopped and started.
type RedisServer struct {
	// set at construction
	dir      string
	port     int
	password string

	mu      sync.Mutex
	process *process // guarded by mu; nil while it is stopped
}

// Redis starts a Redis server that ends with the test.
func Redis(t testing.TB) *RedisServer {
	t.Helper()
	s := &RedisServer{dir: t.TempDir(), password: rand.Text()}
	var err error
	for range 5 {
		if s.port, err = freePort(); err != nil {
			break
		}
		if err = s.start(); err == nil {
			t.Cleanup(func() {
				if err := s.stop(); err != nil {
					t.Errorf("testengine: %v", err)
				}
			})
			return s
		}
	}
	t.Fatalf("testengine: %v", err)
	return nil
}

// URL returns redis://:password@127.0.0.1:port/0.
func (s *RedisServer) URL() string {
	u := url.URL{Scheme: "redis", User: url.UserPassword("", s.password), Host: s.Addr(), Path: "/0"}
	return u.String()
}

// Addr returns host:port.
func (s *RedisServer) Addr() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// Stop ends the server and what it holds; connections break.
func (s *RedisServer) Stop(t testing.TB) {
	t.Helper()
	if err := s.stop(); err != nil {
		t.Fatalf("testengine: %v", err)
	}
}

// Start starts a stopped server, empty.
func (s *RedisServer) Start(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatalf("testengine: %v", err)
	}
}

// Pause freezes the server: connections stay open and nothing answers. Resume
// lets it go on; Stop ends it, frozen or not.
func (s *RedisServer) Pause(t testing.TB) { t.Helper(); s.signal(t, syscall.SIGSTOP) }

// Resume ends a Pause.
func (s *RedisServer) Resume(t testing.TB) { t.Helper(); s.signal(t, syscall.SIGCONT) }

// Flush empties the server.
func (s *RedisServer) Flush(t testing.TB) {
	t.Helper()
	options, err := redis.ParseURL(s.URL())
	if err != nil {
		t.Fatalf("testengine: %v", err)
	}
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }() // the answer has come
	if err := client.FlushAll(context.Background()).Err(); err != nil {
		t.Fatalf("testengine: %v", err)
	}
}

func (s *RedisServer) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		t.Fatal("testengine: Redis is not running")
	}
	s.process.signal(sig)
}

func (s *RedisServer) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		return errors.New("Redis is running already")
	}
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		return errors.New(redisMissing)
	}
	cmd := exec.CommandContext(context.Background(), bin, "--bind", "127.0.0.1", "--port", strconv.Itoa(s.port), "--requirepass", s.password,
		"--dir", s.dir, "--save", "", "--appendonly", "no", "--daemonize", "no")
	cmd.Dir = s.dir
	s.process, err = startProcess(cmd, "Ready to accept connections")
	return err
}

func (s *RedisServer) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return nil
	}
	err := s.process.stop(syscall.SIGTERM)
	s.process = nil
	return err
}
