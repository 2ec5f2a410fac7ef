package wsconn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"commsd/internal/wsconn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gate lets a test hold the server's writes back, as a full TCP window would.
type gate struct {
	mu   sync.Mutex
	cond *sync.Cond
	shut bool
	held int // writes that stand before the gate
}

func newGate() *gate {
	g := &gate{}
	g.cond = sync.NewCond(&g.mu)
	return g
}

func (g *gate) set(shut bool) {
	g.mu.Lock()
	g.shut = shut
	g.mu.Unlock()
	g.cond.Broadcast()
}

func (g *gate) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held++
	g.cond.Broadcast()
	for g.shut {
		g.cond.Wait()
	}
	g.held--
}

// awaitStuck returns when a write stands before the gate.
func (g *gate) awaitStuck() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.held == 0 {
		g.cond.Wait()
	}
}

type gatedListener struct {
	net.Listener
	gate *gate
}

func (l gatedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return gatedConn{c, l.gate}, nil
}

type gatedConn struct {
	net.Conn
	gate *gate
}

func (c gatedConn) Write(p []byte) (int, error) {
	c.gate.pass()
	return c.Conn.Write(p)
}

// pair is one connection: the Conn under test and a plain gorilla client.
type pair struct {
	conn   *wsconn.Conn
	client *websocket.Conn
	gate   *gate
	cancel context.CancelCauseFunc
	ended  chan error // what Run returned
}

func open(t *testing.T, cfg wsconn.Config, handle func(context.Context, *wsconn.Conn, wsconn.Message) error) *pair {
	t.Helper()
	p := &pair{gate: newGate(), ended: make(chan error, 1)}
	conns := make(chan *wsconn.Conn, 1)
	ctx, cancel := context.WithCancelCause(context.Background())
	p.cancel = cancel
	up := wsconn.Upgrader(func(*http.Request) bool { return true })
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			t.Errorf("upgrade: %v", err)
			return
		}
		c := wsconn.New(ws, cfg)
		conns <- c
		p.ended <- c.Run(ctx, func(ctx context.Context, m wsconn.Message) error {
			if handle == nil {
				return nil
			}
			return handle(ctx, c, m)
		})
	}))
	srv.Listener = gatedListener{srv.Listener, p.gate}
	srv.Start()
	client, resp, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(srv.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	p.client, p.conn = client, <-conns
	t.Cleanup(func() {
		p.gate.set(false)
		_ = client.Close()
		cancel(nil)
		srv.Close()
	})
	return p
}

func (p *pair) read(t *testing.T) string {
	t.Helper()
	_ = p.client.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, data, err := p.client.ReadMessage()
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return string(data)
}

// readClose reads until the connection ends and returns the close frame and
// all that came before it.
func (p *pair) readClose(t *testing.T) (*websocket.CloseError, []string) {
	t.Helper()
	_ = p.client.SetReadDeadline(time.Now().Add(10 * time.Second))
	var got []string
	for {
		_, data, err := p.client.ReadMessage()
		if err != nil {
			var ce *websocket.CloseError
			if !errors.As(err, &ce) {
				t.Fatalf("no close frame but: %v", err)
			}
			return ce, got
		}
		got = append(got, string(data))
	}
}

func (p *pair) why(t *testing.T) error {
	t.Helper()
	select {
	case err := <-p.ended:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("Run did not return")
		return nil
	}
}

func text(s string) wsconn.Message { return wsconn.Message{Data: []byte(s)} }

func TestMessagesGoBothWaysInOrder(t *testing.T) {
	p := open(t, wsconn.Config{}, func(_ context.Context, c *wsconn.Conn, m wsconn.Message) error {
		m.Data = append([]byte("echo "), m.Data...)
		return c.Send(m)
	})
	for i := range 100 {
		kind := websocket.TextMessage
		if i%2 == 1 {
			kind = websocket.BinaryMessage
		}
		if err := p.client.WriteMessage(kind, fmt.Appendf(nil, "%d", i)); err != nil {
			t.Fatal(err)
		}
		got, data, err := p.client.ReadMessage()
		if err != nil || got != kind || string(data) != fmt.Sprintf("echo %d", i) {
			t.Fatalf("message %d: kind %d %q %v", i, got, data, err)
		}
	}
}

func TestWaitingTextMessagesShareAFrame(t *testing.T) {
	p := open(t, wsconn.Config{Batch: 4, FrameBytes: 20}, nil)
	p.gate.set(true)
	send := func(m wsconn.Message) {
		t.Helper()
		if err := p.conn.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	send(text("first")) // the writer takes it and sticks in the gate
	p.gate.awaitStuck()
	for _, s := range []string{"a", "b", "c", "d", "e", "0123456789", "0123456789x", "z"} {
		send(text(s))
	}
	send(wsconn.Message{Binary: true, Data: []byte("bin")})
	send(text("last"))
	p.gate.set(false)
	want := []string{"first", "a\nb\nc\nd", "e\n0123456789", "0123456789x\nz", "bin", "last"}
	for _, w := range want {
		if got := p.read(t); got != w {
			t.Fatalf("frame %q, want %q", got, w)
		}
	}
}

func TestFullQueueRefusesAndSheds(t *testing.T) {
	p := open(t, wsconn.Config{QueueBytes: 1000}, nil)
	p.gate.set(true)
	body := strings.Repeat("x", 90)
	if err := p.conn.Send(text("in flight")); err != nil {
		t.Fatal(err)
	}
	p.gate.awaitStuck()
	var err error
	n := 0
	for ; err == nil; n++ {
		key := []string{"b", "a", ""}[n%3]
		err = p.conn.Send(wsconn.Message{Key: key, Data: fmt.Appendf(nil, "%s%02d%s", key, n, body)})
	}
	if !errors.Is(err, wsconn.ErrQueueFull) {
		t.Fatalf("error %v, want ErrQueueFull", err)
	}
	if q := p.conn.Queued(); q > 1000 || q < 800 {
		t.Fatalf("%d bytes queued", q)
	}
	keys := p.conn.Shed()
	if len(keys) != 2 || keys[0] != "b" || keys[1] != "a" {
		t.Fatalf("shed keys %q", keys)
	}
	if err := p.conn.Send(text("after")); err != nil {
		t.Fatal(err)
	}
	p.gate.set(false)
	for _, want := range []string{"in flight", "02", "05", "08", "after"} {
		if got := p.read(t); !strings.HasPrefix(got, want) {
			t.Fatalf("got %.20q, want %q…", got, want)
		}
	}
}

func TestSendWaitWaitsForRoom(t *testing.T) {
	p := open(t, wsconn.Config{QueueBytes: 100}, nil)
	p.gate.set(true)
	half := strings.Repeat("x", 60)
	if err := p.conn.Send(text(half)); err != nil { // stands before the gate, and counts
		t.Fatal(err)
	}
	p.gate.awaitStuck()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.conn.SendWait(gone, text(half)); !errors.Is(err, context.Canceled) {
		t.Fatalf("without room and time: %v", err)
	}
	sent := make(chan error, 1)
	go func() { sent <- p.conn.SendWait(t.Context(), text("waited"+half)) }()
	select {
	case err := <-sent:
		t.Fatalf("no wait, although the queue is full: %v", err)
	case <-time.After(20 * time.Millisecond): // a wrong one would have returned at once
	}
	p.gate.set(false)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if a, b := p.read(t), p.read(t); a != half || b != "waited"+half {
		t.Errorf("got %q and %q", a, b)
	}
}

// Whoever waits for room is woken by Shed, and by the end of the connection.
func TestSendWaitIsWoken(t *testing.T) {
	for name, wake := range map[string]func(p *pair){
		"shed":     func(p *pair) { p.conn.Shed() },
		"close":    func(p *pair) { p.conn.Close(4000, "over") },
		"vanished": func(p *pair) { _ = p.client.UnderlyingConn().Close() },
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, wsconn.Config{QueueBytes: 100}, nil)
			p.gate.set(true)
			if err := p.conn.Send(text("x")); err != nil {
				t.Fatal(err)
			}
			p.gate.awaitStuck()
			if err := p.conn.Send(wsconn.Message{Data: make([]byte, 90), Key: "k"}); err != nil {
				t.Fatal(err)
			}
			sent := make(chan error, 1)
			go func() { sent <- p.conn.SendWait(t.Context(), text(strings.Repeat("y", 50))) }()
			wake(p)
			select {
			case err := <-sent:
				if want := map[bool]error{true: nil, false: wsconn.ErrClosed}[name == "shed"]; !errors.Is(err, want) {
					t.Errorf("got %v", err)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("still waiting")
			}
			p.gate.set(false)
		})
	}
}

func TestWrittenBytesCountNoMore(t *testing.T) {
	p := open(t, wsconn.Config{QueueBytes: 200}, nil)
	body := strings.Repeat("x", 60)
	for i := range 1000 { // at most two at a time: the last one and this
		if err := p.conn.Send(text(body)); err != nil {
			t.Fatalf("message %d: %v, %d bytes queued", i, err, p.conn.Queued())
		}
		p.read(t)
	}
}

func TestEmptyQueueTakesAnySize(t *testing.T) {
	p := open(t, wsconn.Config{QueueBytes: 10}, nil)
	if err := p.conn.Send(text(strings.Repeat("y", 1000))); err != nil {
		t.Fatal(err)
	}
	if got := p.read(t); len(got) != 1000 {
		t.Fatalf("%d bytes", len(got))
	}
}

func TestCloseFlushesThenTellsCodeAndReason(t *testing.T) {
	p := open(t, wsconn.Config{}, nil)
	for i := range 50 {
		if err := p.conn.Send(text(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	p.conn.Close(4003, "session ended")
	p.conn.Close(4999, "a second close counts for nothing")
	if err := p.conn.Send(text("late")); !errors.Is(err, wsconn.ErrClosed) {
		t.Fatalf("send after close: %v", err)
	}
	ce, got := p.readClose(t)
	if ce.Code != 4003 || ce.Text != "session ended" || len(got) != 50 {
		t.Fatalf("close %d %q after %d messages", ce.Code, ce.Text, len(got))
	}
	var cl *wsconn.Closed
	if err := p.why(t); !errors.As(err, &cl) || cl.Code != 4003 || cl.Remote {
		t.Fatalf("Run returned %v", err)
	}
}

func TestCloseEndsEvenWhenThePeerIsDeaf(t *testing.T) {
	p := open(t, wsconn.Config{CloseTimeout: 50 * time.Millisecond}, nil)
	p.conn.Close(4001, "bye") // the client never reads, so never answers
	var cl *wsconn.Closed
	if err := p.why(t); !errors.As(err, &cl) || cl.Code != 4001 {
		t.Fatalf("Run returned %v", err)
	}
}

func TestPeerCloseIsAnswered(t *testing.T) {
	p := open(t, wsconn.Config{}, nil)
	msg := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "done")
	if err := p.client.WriteControl(websocket.CloseMessage, msg, time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if ce, _ := p.readClose(t); ce.Code != websocket.CloseNormalClosure {
		t.Fatalf("answered with %d", ce.Code)
	}
	var cl *wsconn.Closed
	if err := p.why(t); !errors.As(err, &cl) || !cl.Remote || cl.Code != websocket.CloseNormalClosure || cl.Reason != "done" {
		t.Fatalf("Run returned %v", err)
	}
	if err := p.conn.Send(text("late")); !errors.Is(err, wsconn.ErrClosed) {
		t.Fatalf("send after the end: %v", err)
	}
}

func TestVanishedPeerEndsRun(t *testing.T) {
	p := open(t, wsconn.Config{}, nil)
	_ = p.client.Close() // TCP ends without a close frame
	err := p.why(t)
	var cl *wsconn.Closed
	if err == nil || errors.As(err, &cl) {
		t.Fatalf("Run returned %v, want a read error", err)
	}
}

func TestContextEndsWithGoingAway(t *testing.T) {
	p := open(t, wsconn.Config{}, nil)
	stopping := errors.New("stopping")
	p.cancel(stopping)
	if ce, _ := p.readClose(t); ce.Code != wsconn.CodeGoingAway {
		t.Fatalf("close code %d", ce.Code)
	}
	if err := p.why(t); !errors.Is(err, stopping) {
		t.Fatalf("Run returned %v", err)
	}
}

func TestHandlerErrorCloses(t *testing.T) {
	broken := errors.New("broken")
	for _, tc := range []struct {
		err  error
		code int
	}{{broken, wsconn.CodeInternal}, {&wsconn.Closed{Code: 4100, Reason: "bad frame"}, 4100}} {
		p := open(t, wsconn.Config{}, func(_ context.Context, c *wsconn.Conn, _ wsconn.Message) error {
			if err := c.Send(text("farewell")); err != nil {
				t.Error(err)
			}
			return tc.err
		})
		if err := p.client.WriteMessage(websocket.TextMessage, []byte("x")); err != nil {
			t.Fatal(err)
		}
		ce, got := p.readClose(t)
		if ce.Code != tc.code || len(got) != 1 || got[0] != "farewell" {
			t.Fatalf("close %d after %q, want %d after the farewell", ce.Code, got, tc.code)
		}
		if err := p.why(t); !errors.Is(err, tc.err) {
			t.Fatalf("Run returned %v", err)
		}
	}
}

func TestTooBigIsRefusedWith1009(t *testing.T) {
	p := open(t, wsconn.Config{ReadLimit: 1000}, func(context.Context, *wsconn.Conn, wsconn.Message) error {
		t.Error("handled a message that was too big")
		return nil
	})
	if err := p.client.WriteMessage(websocket.TextMessage, bytes.Repeat([]byte("x"), 10_000)); err != nil {
		t.Fatal(err)
	}
	if ce, _ := p.readClose(t); ce.Code != wsconn.CodeTooBig {
		t.Fatalf("close code %d", ce.Code)
	}
	_ = p.client.Close()
	var cl *wsconn.Closed
	if err := p.why(t); !errors.As(err, &cl) || cl.Code != wsconn.CodeTooBig {
		t.Fatalf("Run returned %v", err)
	}
}

func TestMalformedFrameIsRefusedWith1002(t *testing.T) {
	p := open(t, wsconn.Config{}, nil)
	// RFC 6455 section 5.2: reserved bits without an extension, unmasked too.
	if _, err := p.client.UnderlyingConn().Write([]byte{0xf1, 0x01, 'x'}); err != nil {
		t.Fatal(err)
	}
	if ce, _ := p.readClose(t); ce.Code != websocket.CloseProtocolError {
		t.Fatalf("close code %d", ce.Code)
	}
	_ = p.client.Close()
	if err := p.why(t); err == nil {
		t.Fatal("Run returned nil")
	}
}

func TestSilentPeerIsGivenUp(t *testing.T) {
	p := open(t, wsconn.Config{PingInterval: 10 * time.Millisecond, PongTimeout: 20 * time.Millisecond}, nil)
	err := p.why(t) // the client does not read, so it answers no ping
	var ne net.Error
	if !errors.As(err, &ne) || !ne.Timeout() {
		t.Fatalf("Run returned %v, want a timeout", err)
	}
}

func TestPongsKeepAnIdlePeerAlive(t *testing.T) {
	p := open(t, wsconn.Config{PingInterval: 10 * time.Millisecond, PongTimeout: 2 * time.Second}, nil)
	pings := make(chan struct{}, 100)
	answer := p.client.PingHandler()
	p.client.SetPingHandler(func(data string) error {
		pings <- struct{}{}
		return answer(data)
	})
	go func() {
		for range 5 {
			select {
			case <-pings:
			case <-time.After(10 * time.Second):
				t.Error("no ping")
			}
		}
		p.conn.Close(wsconn.CodeNormal, "enough")
	}()
	if ce, _ := p.readClose(t); ce.Code != wsconn.CodeNormal {
		t.Fatalf("close code %d", ce.Code)
	}
}

func TestStuckWriteBreaksTheConnection(t *testing.T) {
	ctxs := make(chan context.Context, 1)
	p := open(t, wsconn.Config{QueueBytes: 64 << 20, WriteTimeout: 50 * time.Millisecond},
		func(ctx context.Context, _ *wsconn.Conn, _ wsconn.Message) error {
			ctxs <- ctx
			<-ctx.Done() // a handler at work learns that its peer is lost
			return nil
		})
	if err := p.client.WriteMessage(websocket.TextMessage, []byte("work")); err != nil {
		t.Fatal(err)
	}
	<-ctxs
	if err := p.conn.Send(wsconn.Message{Binary: true, Data: make([]byte, 48<<20)}); err != nil {
		t.Fatal(err) // far more than socket buffers take, and nobody reads
	}
	err := p.why(t)
	var ne net.Error
	if !errors.As(err, &ne) || !ne.Timeout() {
		t.Fatalf("Run returned %v, want a write timeout", err)
	}
}

func TestManySendersLoseNothing(t *testing.T) {
	p := open(t, wsconn.Config{Batch: 16}, nil)
	const senders, each = 8, 500
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				for errors.Is(p.conn.Send(text(fmt.Sprintf("%d %d", s, i))), wsconn.ErrQueueFull) {
					t.Error("queue full")
				}
			}
		})
	}
	next := [senders]int{}
	for got := 0; got < senders*each; {
		for line := range strings.SplitSeq(p.read(t), "\n") {
			var s, i int
			if _, err := fmt.Sscanf(line, "%d %d", &s, &i); err != nil {
				t.Fatal(err)
			}
			if next[s] != i {
				t.Fatalf("sender %d: got %d, want %d", s, i, next[s])
			}
			next[s]++
			got++
		}
	}
	wg.Wait()
}
