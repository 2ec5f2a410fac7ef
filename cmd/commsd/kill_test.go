package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"commsd/internal/testpeer/chatpeer"
)

// server is the program on one data folder, killed and started again.
type server struct {
	t      *testing.T
	env    []string
	nofile int          // files it may open; 0: as many as we
	page   atomic.Value // of string: where it serves now

	cmd    *exec.Cmd
	stdout io.ReadCloser
	stderr output
}

// output keeps what a program says. Any goroutine may read it meanwhile.
type output struct {
	mu    sync.Mutex
	said  bytes.Buffer
	start int           // of what was said since the last restart
	more  chan struct{} // closed when more is said; nil: nobody waits
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more != nil {
		close(o.more)
		o.more = nil
	}
	return o.said.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.said.String()
}

// restart has since begin here.
func (o *output) restart() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.start = o.said.Len()
}

// since is what was said since the restart, and tells of more.
func (o *output) since() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more == nil {
		o.more = make(chan struct{})
	}
	return string(o.said.Bytes()[o.start:]), o.more
}

// address waits for the server to say where it listens for a key.
func (s *server) address(key string) string {
	s.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		said, more := s.stderr.since()
		for line := range strings.Lines(said) {
			if _, address, ok := strings.Cut(line, " key="+key+" address="); ok && strings.HasSuffix(address, "\n") {
				return strings.TrimSpace(address)
			}
		}
		select {
		case <-more:
		case <-limit:
			s.t.Fatalf("the server does not say where it listens for %s: %s", key, said)
		}
	}
}

func (s *server) start() {
	s.t.Helper()
	s.stderr.restart()
	s.cmd = exec.Command(binary, "serve", "--demo")
	if s.nofile > 0 {
		s.cmd = exec.Command("sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$0" serve --demo`, s.nofile), binary)
	}
	s.cmd.Env, s.cmd.Stderr = s.env, &s.stderr
	var err error
	if s.stdout, err = s.cmd.StdoutPipe(); err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	lines := bufio.NewScanner(s.stdout)
	for lines.Scan() {
		if page, ok := strings.CutPrefix(lines.Text(), "Open "); ok {
			s.page.Store(page)
		}
		if strings.Contains(lines.Text(), "private window") {
			return
		}
	}
	_ = s.cmd.Wait()
	s.t.Fatalf("the server did not start: %s", s.stderr.String())
}

// kill ends it as a power cut would: no handler runs.
func (s *server) kill() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, s.stdout)
	_ = s.cmd.Wait() // "signal: killed"
}

func (s *server) url() string { return s.page.Load().(string) }

// call sends body as JSON with the cookie and reads the answer into out; it
// returns the cookie that the server sets.
func (s *server) call(method, path, cookie string, body, out any) string {
	s.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	rq, err := http.NewRequestWithContext(s.t.Context(), method, s.url()+path, bytes.NewReader(raw))
	if err != nil {
		s.t.Fatal(err)
	}
	rq.Header.Set("Content-Type", "application/json")
	rq.Header.Set("Cookie", cookie)
	rs, err := http.DefaultClient.Do(rq)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rs.Body.Close()
	text, err := io.ReadAll(rs.Body)
	if err != nil || rs.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %d %s %v", method, path, rs.StatusCode, text, err)
	}
	if err := json.Unmarshal(text, out); err != nil {
		s.t.Fatalf("%v: %s", err, text)
	}
	for _, c := range rs.Cookies() {
		return c.Name + "=" + c.Value
	}
	return ""
}

// TestKilledServerLosesNothing kills the server under four senders, again and
// again: what was acknowledged is there, once and in order, and what was not
// is sent again and there once, too.
func TestKilledServerLosesNothing(t *testing.T) {
	s := &server{t: t, env: environment(t.TempDir(), "chat.send_burst", "100000", "chat.sends_per_second", "100000")}
	s.start()
	t.Cleanup(func() { s.kill() })
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()

	type session struct{ Person struct{ ID string } }
	logins := []string{"an@noivu.g2g.example", "binh@noivu.g2g.example", "chi@hanoi.g2g.example", "dung@hanoi.g2g.example"}
	cookies, people := map[string]string{}, []string{}
	for _, login := range logins {
		var who session
		cookies[login] = s.call("POST", "/api/v1/sessions", "", map[string]string{"login": login, "password": "commsd-demo-only"}, &who)
		people = append(people, who.Person.ID)
	}
	var conv struct{ ID string }
	s.call("POST", "/api/v1/chat/conversations", cookies[logins[0]],
		map[string]any{"kind": "channel", "title": "Trực đêm", "people": people[1:]}, &conv)
	http.DefaultClient.CloseIdleConnections()

	// The sockets outlive the server: the same session, cursors and messages.
	var running, sending sync.WaitGroup
	t.Cleanup(running.Wait)
	history := chatpeer.NewHistory()
	var sent atomic.Int64
	var stopped atomic.Bool
	peers := map[string]*chatpeer.Peer{}
	connect := func(name, login string) {
		p := chatpeer.New(chatpeer.Config{
			URL:    func() string { return "ws" + strings.TrimPrefix(s.url(), "http") + "/api/v1/chat/socket" },
			Header: http.Header{"Cookie": {cookies[login]}},
		})
		peers[name] = p
		running.Go(func() { _ = p.Run(ctx) }) // ends with ctx
	}
	for _, login := range logins {
		connect(login, login)
		p := peers[login]
		sending.Go(func() {
			for i := 0; !stopped.Load(); i++ {
				ack, err := p.Send(ctx, conv.ID, fmt.Sprintf("%s %d", login, i))
				if err != nil {
					t.Error(err)
					return
				}
				history.Acked(login, ack)
				sent.Add(1)
			}
		})
	}
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	more := func(n int64) {
		t.Helper()
		for from := sent.Load(); sent.Load() < from+n; {
			select {
			case <-again.C:
			case <-ctx.Done():
				t.Fatalf("%d messages are acknowledged: %s", sent.Load(), s.stderr.String())
			}
		}
	}
	const kills = 3
	for range kills {
		more(60)
		s.kill()
		s.start()
	}
	more(60)
	stopped.Store(true)
	sending.Wait()

	connect("somebody new", logins[3])
	for name, p := range peers {
		if err := p.Reached(ctx, conv.ID, 1+sent.Load()); err != nil {
			t.Fatalf("%s has %d events of %d: %v", name, len(p.Log(conv.ID)), 1+sent.Load(), err)
		}
		log := p.Log(conv.ID)
		for _, fault := range history.Check(name, log) {
			t.Error(fault)
		}
		if int64(len(log)) != 1+sent.Load() {
			t.Errorf("%s has %d events, %d were acknowledged", name, len(log)-1, sent.Load())
		}
		if err := p.Violation(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name != "somebody new" && p.Connects() != 1+kills {
			t.Logf("%s needed %d connections", name, p.Connects())
		}
	}
	cancel()
}
