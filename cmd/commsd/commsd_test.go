package main_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"commsd/internal/testengine"
)

// binary is the program, built once with the race detector, as the Makefile's
// GO_TEST builds the tests: SQLite unwatched runs seven times faster.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "commsd-cmd-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	end := func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}
	binary = filepath.Join(dir, "commsd")
	if out, err := exec.Command("go", "build", "-race", "-gcflags=modernc.org/sqlite/lib=-race=false -d=checkptr=0", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building: %v\n%s", err, out)
		end(1)
	}
	end(testengine.Main(m))
}

// environment sets every listener to a free port of loopback and the data
// folder to dir/data; overrides ("http.listen", value, …) come on top.
func environment(dir string, overrides ...string) []string {
	env := os.Environ()
	set := func(key, value string) {
		env = append(env, "COMMSD_"+strings.ToUpper(strings.ReplaceAll(key, ".", "_"))+"="+value)
	}
	set("data_dir", filepath.Join(dir, "data"))
	set("http.public_url", "http://localhost")
	for _, key := range []string{
		"http.listen", "admin.listen", "media.udp_listen", "media.tcp_listen", "mail.smtp_listen", "mail.submission_listen",
		"mail.submissions_listen", "mail.imap_listen", "mail.imaps_listen", "ldap.listen",
	} {
		set(key, "127.0.0.1:0")
	}
	for i := 0; i+1 < len(overrides); i += 2 {
		set(overrides[i], overrides[i+1])
	}
	return env
}

// TestRefusesToStart: one line that names the key and the cure, exit code 2,
// nothing half-made left behind.
func TestRefusesToStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	// A port that refuses: bound once and free again.
	refusing := func() string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		return ln.Addr().String()
	}

	for name, c := range map[string]struct {
		args []string
		yaml string
		set  []string // configuration keys and values; FILE is a plain file
		want []string
	}{
		"unknown flag":   {args: []string{"--bogus"}, want: []string{"--bogus"}},
		"missing file":   {args: []string{"--config", "no-such-file.yaml"}, want: []string{"--config", "no-such-file.yaml"}},
		"unknown key":    {yaml: "domian: a.example\n", want: []string{"line 1", "domian"}},
		"unknown env":    {set: []string{"http.listne", "x"}, want: []string{"COMMSD_HTTP_LISTNE"}},
		"bad address":    {set: []string{"http.listen", "here"}, want: []string{"http.listen"}},
		"public demo":    {args: []string{"--demo"}, set: []string{"http.listen", "0.0.0.0:0"}, want: []string{"http.listen", "--demo"}},
		"port in use":    {set: []string{"mail.imap_listen", taken.Addr().String()}, want: []string{"mail.imap_listen", "in use"}},
		"media port":     {set: []string{"media.tcp_listen", taken.Addr().String()}, want: []string{"media.tcp_listen"}},
		"no postgresql":  {set: []string{"database.url", "postgres://u:hunter2@" + refusing() + "/x"}, want: []string{"database.url"}},
		"no redis":       {set: []string{"redis.url", "redis://:hunter2@" + refusing() + "/0"}, want: []string{"redis.url"}},
		"no bucket":      {set: []string{"blobs.url", "s3://k:hunter2@" + refusing() + "/b?insecure=true"}, want: []string{"blobs.url"}},
		"data in a file": {set: []string{"data_dir", "FILE/data"}, want: []string{"data_dir"}},
		"no certificate": {set: []string{"http.tls.cert", "no.pem", "http.tls.key", "no.key"}, want: []string{"http.tls", "no.pem"}},
		"long messages":  {set: []string{"chat.max_text_bytes", "200000"}, want: []string{"chat.max_text_bytes"}},
		"loose key file": {set: []string{"secret_key_file", "FILE"}, want: []string{"secret_key_file"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			plain := filepath.Join(dir, "file")
			if err := os.WriteFile(plain, []byte("not a folder, not a key"), 0o644); err != nil {
				t.Fatal(err)
			}
			for i := range c.set {
				c.set[i] = strings.ReplaceAll(c.set[i], "FILE", plain)
			}
			args := append([]string{"serve"}, c.args...)
			if c.yaml != "" {
				file := filepath.Join(dir, "commsd.yaml")
				if err := os.WriteFile(file, []byte(c.yaml), 0o600); err != nil {
					t.Fatal(err)
				}
				args = append(args, "--config", file)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, binary, args...)
			cmd.Dir = dir
			cmd.Env = environment(dir, c.set...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			err := cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != 2 {
				t.Fatalf("exit code %d (%v): %s", code, err, stderr.String())
			}
			said := strings.TrimSpace(stderr.String())
			if strings.Count(said, "\n") != 0 || strings.Contains(said, "hunter2") {
				t.Errorf("more than one line, or a secret:\n%s", said)
			}
			for _, w := range c.want {
				if !strings.Contains(said, w) {
					t.Errorf("%q does not say %q", said, w)
				}
			}
			if left, err := filepath.Glob(filepath.Join(dir, "data*")); err != nil || len(left) != 0 { // nor the folder itself
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
}

// TestServeAndStop: the demo greets, serves, and ends with 0 on SIGTERM.
func TestServeAndStop(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(binary, "serve", "--demo")
	cmd.Env = environment(dir)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })

	said, page := "", ""
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		said += lines.Text() + "\n"
		if p, ok := strings.CutPrefix(lines.Text(), "Open "); ok {
			page = p
		}
		if strings.Contains(lines.Text(), "private window") {
			break
		}
	}
	for _, w := range []string{"an@noivu.g2g.example", "chi@hanoi.g2g.example", "commsd-demo-only", "private window"} {
		if !strings.Contains(said, w) {
			t.Errorf("the greeting does not say %q:\n%s", w, said)
		}
	}
	res, err := http.Get(page + "/api/v1/info")
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	text, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if res.StatusCode != 200 || !bytes.Contains(text, []byte(`"demo":true`)) {
		t.Errorf("info: %d %s", res.StatusCode, text)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, stdout)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	if info, err := os.Stat(filepath.Join(dir, "data", "secret.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file: %v %v", info, err)
	}
}

func TestOpenAPI(t *testing.T) {
	out, err := exec.Command(binary, "openapi").Output()
	if err != nil || !bytes.Contains(out, []byte(`"/api/v1/sessions"`)) {
		t.Fatalf("%v: %.200s", err, out)
	}
}
