package app_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"commsd/app"
	"commsd/app/apptest"
)

// Who starts an installation with nobody in it hears what to do first; who
// starts the demo hears who can sign in.
func TestGreeting(t *testing.T) {
	for name, c := range map[string]struct {
		demo   bool
		says   []string
		silent string
	}{
		"empty": {false, []string{"Nobody administers", "commsd agency add --identifier", "commsd admin create --login"}, "Who can sign in"},
		"demo":  {true, []string{"Who can sign in", "admin@g2g.example"}, "Nobody administers"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := apptest.Config(t.TempDir())
			cfg.Demo = c.demo
			var said bytes.Buffer
			a, err := app.New(cfg, app.Options{Version: "test", Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), Greeting: &said})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- a.Run(ctx) }()
			select {
			case <-a.Ready():
			case err := <-done:
				t.Fatalf("the node did not start: %v", err)
			}
			cancel()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			for _, w := range c.says {
				if !strings.Contains(said.String(), w) {
					t.Errorf("does not say %q:\n%s", w, said.String())
				}
			}
			if strings.Contains(said.String(), c.silent) {
				t.Errorf("says %q:\n%s", c.silent, said.String())
			}
		})
	}
}
