package chat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"commsd/audit"
	"commsd/chat"
	"commsd/identity"
	"commsd/internal/bus"
	"commsd/internal/bus/bustest"
	"commsd/internal/errcode"
	"commsd/internal/httpapi"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
	"commsd/internal/testengine"
	"commsd/internal/testpeer/chatpeer"
)

// patience bounds every wait on a busy machine.
const patience = 30 * time.Second

// world is an installation: one database, nodes on one bus, and a directory in
// which everybody is known by their login.
type world struct {
	t      *testing.T
	db     *sqldb.DB
	newBus func() bus.Bus
	redis  *testengine.RedisServer // nil: in-process

	metrics *prometheus.Registry // of the node started last

	mu     sync.Mutex
	ended  map[string]bool      // tokens of sessions that are over
	until  map[string]time.Time // when the session of a token expires
	mute   map[string]bool      // people without an account
	broken bool                 // the directory cannot tell
}

// each runs a test on both databases with the bus that goes with them, and on
// PostgreSQL with either.
func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	run := func(name string, db func(testing.TB) sqldb.Config, redis bool) {
		t.Run(name, func(t *testing.T) { test(t, newWorld(t, sqldbtest.Open(t, db(t)), redis)) })
	}
	run("sqlite", sqldbtest.SQLite, false)
	run("postgresql", sqldbtest.PostgreSQL, false)
	run("postgresql and redis", sqldbtest.PostgreSQL, true)
}

// alone runs a test that no engine matters to.
func alone(t *testing.T) *world { return newWorld(t, sqldbtest.Open(t, sqldbtest.SQLite(t)), false) }

func newWorld(t *testing.T, db *sqldb.DB, redis bool) *world {
	w := &world{t: t, db: db, ended: map[string]bool{}, until: map[string]time.Time{}, mute: map[string]bool{}}
	if redis {
		w.redis = testengine.Redis(t)
		w.newBus = func() bus.Bus { return bustest.Open(t, w.redis.URL()) }
		return w
	}
	medium := bus.NewMedium()
	w.newBus = medium.Node
	return w
}

// AuthenticateSession takes tokens like "an" and "an.2": a person's sessions.
func (w *world) AuthenticateSession(_ context.Context, token string, _ identity.PositionID, address string) (identity.Actor, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken {
		return identity.Actor{}, errcode.New(errcode.Unavailable, "the directory is away")
	}
	if w.ended[token] {
		return identity.Actor{}, errcode.New(errcode.Unauthenticated, "the session has ended; sign in again")
	}
	who, _, _ := strings.Cut(token, ".")
	p := person(who)
	return identity.Actor{Account: identity.AccountID("acc-" + who), Person: p.ID, Agency: p.Agency, Name: p.Name,
		Session: identity.SessionID("s-" + token), Until: w.until[token], Address: address}, nil
}

func person(who string) identity.Person {
	return identity.Person{ID: identity.PersonID("p-" + who), Name: "Họ " + who, GivenName: who, Agency: "a-1", AgencyName: "Cơ quan"}
}

// People knows everybody but strangers.
func (w *world) People(_ context.Context, ids []identity.PersonID) (map[identity.PersonID]identity.Person, error) {
	found := map[identity.PersonID]identity.Person{}
	for _, id := range ids {
		if who, ok := strings.CutPrefix(string(id), "p-"); ok && who != "stranger" {
			found[id] = person(who)
		}
	}
	return found, nil
}

func (w *world) HasAccount(_ context.Context, id identity.PersonID) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.mute[string(id)], nil
}

func (w *world) with(fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fn()
}

// node is one chat service behind real HTTP.
type node struct {
	w       *world
	service *chat.Service
	bus     bus.Bus
	url     string
	stop    func() // ends Run
	client  *http.Client
}

// smallBuffers keeps what a peer does not read out of the kernel.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(32 << 10)
	}
	return c, err
}

// node starts one more node; edit changes its configuration first.
func (w *world) node(edit ...func(*chat.Config)) *node {
	w.t.Helper()
	w.metrics = prometheus.NewRegistry()
	cfg := chat.Config{DB: w.db, Bus: w.newBus(), Directory: w, Audit: audit.New(audit.Config{}), PublicURL: "https://chat.g2g.example",
		Registerer: w.metrics, SendBurst: 1 << 20, HeadsEvery: time.Hour, DrainSpread: time.Second}
	for _, e := range edit {
		e(&cfg)
	}
	s, err := chat.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	api := httpapi.New(httpapi.Config{Title: "commsd", Version: "test", Authenticator: w, Log: slog.New(slog.DiscardHandler)})
	s.Routes(api)
	server := httptest.NewUnstartedServer(api.Handler())
	server.Listener = smallBuffers{server.Listener}
	server.Start()
	transport := &http.Transport{}
	n := &node{w: w, service: s, bus: cfg.Bus, url: server.URL, client: &http.Client{Transport: transport}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	w.t.Cleanup(func() {
		n.stop()
		transport.CloseIdleConnections()
		server.Close()
		_ = cfg.Bus.Close()
	})
	return n
}

func header(token string) http.Header {
	return http.Header{"Cookie": {"commsd_session=" + token}}
}

func (n *node) socketURL() string {
	return "ws" + strings.TrimPrefix(n.url, "http") + "/api/v1/chat/socket"
}

// call sends body, unless nil, as who and reads the answer into out, unless
// nil. It answers the status and the raw body.
func (n *node) call(token, method, path string, body, out any) (int, string) {
	n.w.t.Helper()
	var reader io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			n.w.t.Fatal(err)
		}
		reader = bytes.NewReader(raw)
	}
	rq, err := http.NewRequestWithContext(n.w.t.Context(), method, n.url+"/api/v1/chat"+path, reader)
	if err != nil {
		n.w.t.Fatal(err)
	}
	rq.Header = header(token)
	if body != nil {
		rq.Header.Set("Content-Type", "application/json")
	}
	rs, err := n.client.Do(rq)
	if err != nil {
		n.w.t.Fatal(err)
	}
	defer rs.Body.Close()
	raw, err := io.ReadAll(rs.Body)
	if err != nil {
		n.w.t.Fatal(err)
	}
	if out != nil && rs.StatusCode < 300 {
		if err := json.Unmarshal(raw, out); err != nil {
			n.w.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	}
	return rs.StatusCode, string(raw)
}

// must is call that wants a status.
func (n *node) must(status int, token, method, path string, body, out any) string {
	n.w.t.Helper()
	got, raw := n.call(token, method, path, body, out)
	if got != status {
		n.w.t.Fatalf("%s %s as %s answered %d, want %d: %s", method, path, token, got, status, raw)
	}
	return raw
}

type object = map[string]any

func pid(who string) string { return "p-" + who }

// direct opens the direct conversation of two people and returns its id.
func (n *node) direct(token, other string) string {
	n.w.t.Helper()
	var c chat.Conversation
	if status, raw := n.call(token, "POST", "/conversations", object{"kind": "direct", "person": pid(other)}, &c); status != 201 && status != 200 {
		n.w.t.Fatalf("open direct: %d %s", status, raw)
	}
	return c.ID
}

// channel makes a channel and returns its id.
func (n *node) channel(token, title string, others ...string) string {
	n.w.t.Helper()
	people := []string{}
	for _, o := range others {
		people = append(people, pid(o))
	}
	var c chat.Conversation
	n.must(201, token, "POST", "/conversations", object{"kind": "channel", "title": title, "people": people}, &c)
	return c.ID
}

func (n *node) get(token, conv string) (c chat.Conversation) {
	n.w.t.Helper()
	n.must(200, token, "GET", "/conversations/"+conv, nil, &c)
	return c
}

// peer connects a client that follows the protocol; it ends with the test,
// which fails when the server broke the protocol.
func (n *node) peer(token string, edit ...func(*chatpeer.Config)) *peer {
	n.w.t.Helper()
	cfg := chatpeer.Config{URL: n.socketURL, Header: header(token)}
	for _, e := range edit {
		e(&cfg)
	}
	p := &peer{Peer: chatpeer.New(cfg), t: n.w.t, done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { p.done <- p.Run(ctx) }()
	p.leave = sync.OnceFunc(func() {
		cancel()
		<-p.done
		if err := p.Violation(); err != nil {
			p.t.Errorf("%s: %v", token, err)
		}
	})
	n.w.t.Cleanup(p.leave)
	return p
}

// peer fails the test when something it waits for does not come.
type peer struct {
	*chatpeer.Peer
	t     *testing.T
	done  chan error
	leave func()
}

func (p *peer) wait(what string, fn func(ctx context.Context) error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if err := fn(ctx); err != nil {
		p.t.Fatalf("%s: %v (closed with %v, %d connections, %v)", what, err, p.Ended(), p.Connects(), p.Violation())
	}
}

func (p *peer) ready() *peer {
	p.t.Helper()
	p.wait("welcome", p.Ready)
	return p
}

func (p *peer) send(conv, text string) (ack chatpeer.Ack) {
	p.t.Helper()
	p.wait("send", func(ctx context.Context) (err error) { ack, err = p.Send(ctx, conv, text); return })
	return ack
}

// refused sends and returns the code that the server answers.
func (p *peer) refused(conv, text string) string {
	p.t.Helper()
	var code string
	p.wait("send", func(ctx context.Context) error {
		_, err := p.Send(ctx, conv, text)
		var r *chatpeer.Refused
		if !errors.As(err, &r) {
			return fmt.Errorf("was not refused: %w", err)
		}
		code = r.Code
		return nil
	})
	return code
}

func (p *peer) ask(cmd object) (f chatpeer.Frame) {
	p.t.Helper()
	p.wait("answer", func(ctx context.Context) (err error) { f, err = p.Ask(ctx, cmd); return })
	return f
}

func (p *peer) reach(conv string, seq int64) *peer {
	p.t.Helper()
	p.wait(fmt.Sprintf("event %d", seq), func(ctx context.Context) error { return p.Reached(ctx, conv, seq) })
	return p
}

func (p *peer) saw(kind string) (f chatpeer.Frame) {
	p.t.Helper()
	p.wait(kind, func(ctx context.Context) (err error) { f, err = p.Saw(ctx, kind); return })
	return f
}

func (p *peer) personReached(kind string) (e chatpeer.PersonEvent) {
	p.t.Helper()
	p.wait(kind, func(ctx context.Context) (err error) { e, err = p.PersonReached(ctx, kind); return })
	return e
}

func (p *peer) texts(conv string) []string {
	var texts []string
	for _, e := range p.Log(conv) {
		if e.Kind == "message" {
			texts = append(texts, e.Text())
		}
	}
	return texts
}

func (p *peer) wants(conv string, texts ...string) {
	p.t.Helper()
	if got := p.texts(conv); !slices.Equal(got, texts) {
		p.t.Errorf("the log is %q, want %q", got, texts)
	}
}

// raw is a socket in the test's own hands.
type raw struct {
	t     *testing.T
	ws    *websocket.Conn
	lines [][]byte // of a frame that is not read to its end
}

// dial opens a socket, waiting for a node that is still starting.
func (n *node) dial(token string) *raw {
	n.w.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		ws, rs, err := websocket.DefaultDialer.DialContext(n.w.t.Context(), n.socketURL(), header(token))
		if err == nil {
			n.w.t.Cleanup(func() { _ = ws.Close() })
			return &raw{t: n.w.t, ws: ws}
		}
		if rs == nil || rs.StatusCode != 503 || time.Now().After(deadline) {
			n.w.t.Fatalf("dial: %v", err)
		}
	}
}

func (r *raw) write(frame string) {
	r.t.Helper()
	if err := r.ws.WriteMessage(websocket.TextMessage, []byte(frame)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *raw) hello() object {
	r.t.Helper()
	r.write(`{"type":"hello","id":1,"protocol":1}`)
	return r.next("welcome")
}

// next passes over messages until one of the type comes.
func (r *raw) next(kind string) object {
	r.t.Helper()
	for {
		if m := r.any(); m["type"] == kind {
			return m
		}
	}
}

// any returns the next message.
func (r *raw) any() (m object) {
	r.t.Helper()
	if len(r.lines) == 0 {
		_ = r.ws.SetReadDeadline(time.Now().Add(patience))
		_, data, err := r.ws.ReadMessage()
		if err != nil {
			r.t.Fatalf("waiting for a message: %v", err)
		}
		r.lines = bytes.Split(data, []byte{'\n'})
	}
	if err := json.Unmarshal(r.lines[0], &m); err != nil {
		r.t.Fatalf("%v in %q", err, r.lines[0])
	}
	r.lines = r.lines[1:]
	return m
}

// ended reads until the socket ends and returns its close code.
func (r *raw) ended() int {
	r.t.Helper()
	_ = r.ws.SetReadDeadline(time.Now().Add(patience))
	for {
		if _, _, err := r.ws.ReadMessage(); err != nil {
			var ce *websocket.CloseError
			if !errors.As(err, &ce) {
				r.t.Fatalf("no close frame but: %v", err)
			}
			return ce.Code
		}
	}
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// waitFor looks again every few milliseconds.
func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !is() {
		select {
		case <-again.C:
		case <-deadline.C:
			t.Fatalf("waited too long for %s", what)
		}
	}
}
