package main_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"commsd/internal/sqldb"
)

// command runs the program to its end and returns what it said and its code.
func command(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// TestKilledServerKeepsItsAuditLog kills the server again and again while
// meetings are made: each one that was answered is in the log, once, the tree is
// sound, and what is changed in it afterwards is found.
func TestKilledServerKeepsItsAuditLog(t *testing.T) {
	dir := t.TempDir()
	env := environment(dir)
	s := &server{t: t, env: env}
	s.start()
	var who struct{ Person struct{ ID string } }
	cookie := s.call("POST", "/api/v1/sessions", "", map[string]string{"login": "an@noivu.g2g.example", "password": "commsd-demo-only"}, &who)
	http.DefaultClient.CloseIdleConnections()

	var answered, asked atomic.Int64
	var stopped atomic.Bool
	var asking sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	for range 3 {
		asking.Go(func() {
			for !stopped.Load() {
				rq, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url()+"/api/v1/meetings", strings.NewReader(`{"title":"Giao ban"}`))
				if err != nil {
					t.Error(err)
					return
				}
				rq.Header.Set("Cookie", cookie)
				rq.Header.Set("Content-Type", "application/json")
				asked.Add(1)
				rs, err := client.Do(rq)
				if err != nil {
					continue // killed meanwhile
				}
				_ = rs.Body.Close()
				if rs.StatusCode == http.StatusCreated {
					answered.Add(1)
				}
			}
		})
	}
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	limit := time.After(2 * time.Minute)
	more := func(n int64) {
		for from := answered.Load(); answered.Load() < from+n; {
			select {
			case <-again.C:
			case <-limit:
				t.Fatalf("%d meetings are answered: %s", answered.Load(), s.stderr.String())
			}
		}
	}
	const kills = 3
	for range kills {
		more(40)
		s.kill()
		s.start()
	}
	more(40)
	stopped.Store(true)
	asking.Wait()
	client.CloseIdleConnections()

	// Beside the running server, once its sequencer has the lease that the last
	// killed one held.
	head := filepath.Join(dir, "head")
	for inTree := 0; inTree < 40; {
		out, errs, code := command(t, env, "audit", "verify", "--save", head)
		if code != 0 || !strings.Contains(out, "sound:") {
			t.Fatalf("verify beside the server: %d\n%s%s", code, out, errs)
		}
		found := regexp.MustCompile(`events: +(\d+) in the tree`).FindStringSubmatch(out)
		if found == nil {
			t.Fatalf("verify does not tell the tree's size:\n%s", out)
		}
		if _, err := fmt.Sscan(found[1], &inTree); err != nil {
			t.Fatal(err)
		}
		select {
		case <-again.C:
		case <-limit:
			t.Fatalf("the tree does not grow:\n%s", out)
		}
	}
	// So does an export, which writes that it was made.
	beside := filepath.Join(dir, "beside.jsonl")
	if out, errs, code := command(t, env, "audit", "export", "--output", beside); code != 0 {
		t.Fatalf("export beside the server: %d\n%s%s", code, out, errs)
	}
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Fatalf("stopping: %v", err)
	}
	out, errs, code := command(t, env, "audit", "verify", "--checkpoint", head, "--since", head)
	if code != 0 || !strings.Contains(out, "waiting:  nothing") {
		t.Fatalf("a stop drains; verify since: %d\n%s%s", code, out, errs)
	}
	key := regexp.MustCompile(`key: +(\S+)`).FindStringSubmatch(out)
	file := filepath.Join(dir, "export.jsonl")
	if out, errs, code := command(t, env, "audit", "export", "--output", file, "--action", "meeting.create"); code != 0 {
		t.Fatalf("export: %d\n%s%s", code, out, errs)
	}
	if out, errs, code := command(t, env, "audit", "verify-export", file, "--key", key[1]); code != 0 || !strings.Contains(out, "a part of the log") {
		t.Errorf("verify-export: %d\n%s%s", code, out, errs)
	}
	if out, errs, code := command(t, env, "audit", "verify-export", beside, "--key", key[1]); code != 0 || !strings.Contains(out, "the whole log") {
		t.Errorf("verify-export of what was exported beside the server: %d\n%s%s", code, out, errs)
	}
	exports := filepath.Join(dir, "exports.jsonl")
	if out, errs, code := command(t, env, "audit", "export", "--output", exports, "--action", "audit.export"); code != 0 {
		t.Fatalf("export: %d\n%s%s", code, out, errs)
	}
	if text, err := os.ReadFile(exports); err != nil || bytes.Count(text, []byte(`"type":"event"`)) < 1 {
		t.Errorf("the export beside the server is not recorded: %s, %v", text, err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := int64(bytes.Count(text, []byte(`"type":"event"`))); n < answered.Load() || n > asked.Load() {
		t.Errorf("%d meetings are in the log; %d were answered, %d asked for", n, answered.Load(), asked.Load())
	}

	db, err := sqldb.Open(t.Context(), sqldb.Config{DataDir: filepath.Join(dir, "data")})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE audit_events SET outcome = 'denied' WHERE seq = 5`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	out, errs, code = command(t, env, "audit", "verify")
	if code != 1 || !strings.Contains(out, "PROBLEM:  leaf 5, event ") || !strings.Contains(errs, "the first at leaf 5") {
		t.Errorf("a changed row: %d\n%s%s", code, out, errs)
	}
	if _, errs, code := command(t, append(env, "COMMSD_DATA_DIR="+t.TempDir()), "audit", "verify"); code != 2 || !strings.Contains(errs, "secret_key_file") {
		t.Errorf("an empty folder: %d %s", code, errs)
	}
}
