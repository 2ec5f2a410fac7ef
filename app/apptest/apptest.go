// Package apptest starts a whole App for a test: on free ports of loopback, in
// a folder of the test's own, stopped when the test ends. It knows nothing of
// the domains.
package apptest

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"path/filepath"
	"testing"

	"commsd/app"
)

// Node is a running App.
type Node struct {
	*app.App
	URL    string // of the pages and the API, "http://localhost:40123"
	Config app.Config

	cancel context.CancelFunc
	done   chan error
}

// Config returns the demo's configuration on free ports, with its data in dir.
func Config(dir string) app.Config {
	cfg := app.Default()
	cfg.Demo = true
	cfg.DataDir = filepath.Join(dir, "data")
	cfg.HTTP.PublicURL = "http://localhost"
	for _, address := range []*string{
		&cfg.HTTP.Listen, &cfg.Admin.Listen, &cfg.Media.UDPListen, &cfg.Media.TCPListen,
		&cfg.Mail.SMTPListen, &cfg.Mail.SubmissionListen, &cfg.Mail.SubmissionsListen,
		&cfg.Mail.IMAPListen, &cfg.Mail.IMAPSListen, &cfg.LDAP.Listen,
	} {
		*address = "127.0.0.1:0"
	}
	return cfg
}

// Start runs a node until the test ends; edit changes its configuration first.
func Start(t testing.TB, edit ...func(*app.Config)) *Node {
	t.Helper()
	cfg := Config(t.TempDir())
	for _, e := range edit {
		e(&cfg)
	}
	return StartConfig(t, cfg)
}

// StartConfig runs a node with cfg until the test ends or Stop is called.
func StartConfig(t testing.TB, cfg app.Config) *Node {
	t.Helper()
	a, err := app.New(cfg, app.Options{Version: "test", Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := &Node{App: a, Config: cfg, cancel: cancel, done: make(chan error, 1)}
	go func() { n.done <- a.Run(ctx) }()
	select {
	case <-a.Ready():
		n.URL = a.PublicURL()
	case err := <-n.done:
		cancel()
		t.Fatalf("the node did not start: %v", err)
	}
	t.Cleanup(func() { n.Stop(t) })
	return n
}

// Refused runs a node that must not start and returns why; nil when it did.
func Refused(t testing.TB, cfg app.Config) error {
	t.Helper()
	a, err := app.New(cfg, app.Options{Version: "test"})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	select {
	case err := <-done:
		return err
	case <-a.Ready():
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stopping the node that should not have started: %v", err)
		}
		return nil
	}
}

// Stop ends the node in order and fails the test when that goes wrong. It may
// be called more than once.
func (n *Node) Stop(t testing.TB) {
	t.Helper()
	if n.cancel == nil {
		return
	}
	n.cancel()
	n.cancel = nil
	if err := <-n.done; err != nil {
		t.Errorf("stopping: %v", err)
	}
}

// Client returns an HTTP client with a cookie jar of its own: one browser.
func (n *Node) Client(t testing.TB) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport}
}
