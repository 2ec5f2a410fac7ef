package main_test

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"commsd/internal/testengine"
	"commsd/internal/testpeer/meetingpeer"
)

// clusterNode makes a server that shares a database with others.
func clusterNode(t *testing.T, dir, name, database string) *server {
	t.Helper()
	return &server{t: t, env: environment(filepath.Join(dir, name),
		"database.url", database, "secret_key_file", filepath.Join(dir, "secret.key"), "cluster.listen", "127.0.0.1:0")}
}

// pass signs in and returns a token for a meeting, a new one where id is empty.
func (s *server) pass(login, id string) (meeting, token string) {
	s.t.Helper()
	cookie := s.call("POST", "/api/v1/sessions", "", map[string]string{"login": login, "password": "commsd-demo-only"}, &struct{}{})
	if id == "" {
		var made struct{ ID string }
		s.call("POST", "/api/v1/meetings", cookie, map[string]string{"title": "Giao ban"}, &made)
		id = made.ID
	}
	var join struct{ Token string }
	s.call("POST", "/api/v1/meetings/"+id+"/join", cookie, struct{}{}, &join)
	return id, join.Token
}

// metric reads a metric without labels of a server.
func (s *server) metric(name string) string {
	s.t.Helper()
	res, err := http.Get("http://" + s.address("admin.listen") + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	s.t.Fatalf("no metric %s", name)
	return ""
}

// attendee is somebody in a meeting who stays by himself.
type attendee struct {
	*meetingpeer.Roamer
	t    *testing.T
	name string
}

// attend has somebody come in and stay, by way of the servers, of which the
// first is tried first.
func attend(t *testing.T, name, token string, by ...*server) *attendee {
	t.Helper()
	r := meetingpeer.NewRoamer(meetingpeer.Config{Token: token}, func(attempt int) string {
		return "ws" + strings.TrimPrefix(by[attempt%len(by)].url(), "http")
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Logf("%s: %v", name, err)
		}
	})
	return &attendee{r, t, name}
}

// visit waits until the attendee is in for the n-th time, with media.
func (a *attendee) visit(n int) meetingpeer.Visit {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), 40*time.Second)
	defer cancel()
	v, err := a.Await(ctx, func(got int, v meetingpeer.Visit) bool { return got >= n && !v.Up.IsZero() && v.Left.IsZero() })
	if err != nil {
		a.t.Fatalf("%s: %v", a.name, err)
	}
	return v
}

// TestMeetingOutlivesItsNode: the node of a meeting is killed as by a power cut,
// and its people are in the meeting again within 10 seconds, by themselves; the
// next one is stopped in order, and they are on the first again at once.
func TestMeetingOutlivesItsNode(t *testing.T) {
	dir, database := t.TempDir(), testengine.Postgres(t)
	a, b := clusterNode(t, dir, "a", database), clusterNode(t, dir, "b", database)
	a.start()
	t.Cleanup(func() { a.kill() })
	b.start()
	t.Cleanup(func() {
		if b.cmd.ProcessState == nil {
			b.kill()
		}
	})
	defer http.DefaultClient.CloseIdleConnections()

	id, anToken := a.pass("an@noivu.g2g.example", "")
	_, binhToken := b.pass("binh@noivu.g2g.example", id)
	came := time.Now()
	an := attend(t, "an", anToken, a, b)
	an.visit(1) // on a, and with him the room
	binh := attend(t, "binh", binhToken, b)
	binh.visit(1)
	// Two come in at once on an idle machine; a busy one is given what it takes.
	within := 10*time.Second + 5*time.Since(came)
	if got := a.metric("commsd_signaling_rooms_owned") + b.metric("commsd_signaling_rooms_owned"); got != "10" {
		t.Fatalf("rooms on a and b: %q", got)
	}

	killed := time.Now()
	a.kill()
	for _, p := range []*attendee{an, binh} {
		v := p.visit(2)
		if took := v.Up.Sub(killed); took > within {
			t.Errorf("%s is in again after %v", p.name, took)
		} else {
			t.Logf("%s is in again after %v", p.name, took.Round(time.Millisecond))
		}
	}
	if got := b.metric("commsd_signaling_takeovers_total"); got != "1" {
		t.Errorf("takeovers: %s", got)
	}

	// The killed one comes back, and leads whoever reaches it to the others.
	a.start()
	_, chiToken := a.pass("chi@hanoi.g2g.example", id)
	chi := attend(t, "chi", chiToken, a)
	chi.visit(1)
	if got := b.metric("commsd_sfu_participants"); got != "3" {
		t.Errorf("participants on the room's node: %s", got)
	}

	// The other one stops in order.
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_, dungToken := a.pass("dung@hanoi.g2g.example", id)
	dung := attend(t, "dung", dungToken, a) // in the midst of it
	for p, n := range map[*attendee]int{an: 3, chi: 2, dung: 1} {
		p.visit(n)
	}
	_, _ = io.Copy(io.Discard, b.stdout)
	if err := b.cmd.Wait(); err != nil {
		t.Errorf("the stopped node: %v: %s", err, b.stderr.String())
	}
	if got := a.metric("commsd_signaling_takeovers_total"); got != "0" {
		t.Errorf("takeovers after an orderly stop: %s", got)
	}
	if got := a.metric("commsd_sfu_participants"); got != "3" {
		t.Errorf("participants on the node that stays: %s", got)
	}
}

// TestMeetingOutlivesAFrozenNode: the node of a meeting stands still, closing
// nothing. Who is led to it by another node is in the meeting again by himself,
// long before his own patience ends; when the node goes on, its people join him.
func TestMeetingOutlivesAFrozenNode(t *testing.T) {
	dir, database := t.TempDir(), testengine.Postgres(t)
	a, b := clusterNode(t, dir, "a", database), clusterNode(t, dir, "b", database)
	for _, s := range []*server{a, b} {
		s.start()
		t.Cleanup(func() { s.kill() })
	}
	defer http.DefaultClient.CloseIdleConnections()
	id, anToken := a.pass("an@noivu.g2g.example", "")
	_, binhToken := b.pass("binh@noivu.g2g.example", id)
	an := attend(t, "an", anToken, a, b)
	an.visit(1) // on a, and with him the room
	binh := attend(t, "binh", binhToken, b)
	binh.visit(1)
	if got := a.metric("commsd_sfu_participants"); got != "2" {
		t.Fatalf("on the room's node are %s", got)
	}

	if err := a.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	frozen := time.Now()
	t.Logf("binh is in again after %v", binh.visit(2).Up.Sub(frozen).Round(time.Millisecond))
	if got := b.metric("commsd_sfu_participants"); got != "1" {
		t.Errorf("on the other node are %s", got)
	}
	if err := a.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	an.visit(2)
	if got := b.metric("commsd_sfu_participants"); got != "2" {
		t.Errorf("on the other node are %s", got)
	}
}
