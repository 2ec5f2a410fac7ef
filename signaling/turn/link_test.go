package turn_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"commsd/signaling/turn"
)

// onTheWay is media of a node that only hands clients on.
var onTheWay = netip.MustParseAddrPort("203.0.113.9:7882")

// linked is a relay that hands all clients on to another, "home", whose media it
// tells of.
func linked(t testing.TB, change ...func(*turn.Config)) *server {
	t.Helper()
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait) // once both have stopped
	home := serve(t)
	return link(t, &serving, home, change...)
}

func link(t testing.TB, serving *sync.WaitGroup, home *server, change ...func(*turn.Config)) *server {
	t.Helper()
	own := &media{served: []netip.AddrPort{onTheWay}, got: make(chan packet, 1)}
	front := serve(t, append([]func(*turn.Config){func(c *turn.Config) {
		c.Media = own
		c.Alive = func(string) bool { return false }
		c.Link = func(_ context.Context, node string, client netip.AddrPort) (net.Conn, error) {
			switch node {
			case "home":
			case "unplugged":
				return nil, errors.New("no answer")
			default:
				return nil, turn.ErrNoNode
			}
			near, far, err := pair()
			if err != nil {
				return nil, err
			}
			serving.Go(func() { home.ServeNode(far, client) })
			return near, nil
		}
	}}, change...)...)
	front.media, front.node = home.media, "home"
	t.Cleanup(func() {
		select {
		case p := <-own.got:
			t.Errorf("relayed %q to %v, media of the node that hands on", p.payload, p.to)
		default:
		}
	})
	return front
}

// pair returns both ends of a connection.
func pair() (near, far net.Conn, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer ln.Close()
	if near, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		return nil, nil, err
	}
	far, err = ln.Accept()
	return near, far, err
}

// TestHandedOnAsTheClientItIs: the other node decides by the client's own
// credential and address, and hands nothing on itself.
func TestHandedOnAsTheClientItIs(t *testing.T) {
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	// A third that has nobody: whoever is handed on comes no further.
	home := link(t, &serving, serve(t))
	s := link(t, &serving, home)
	try := func(c turn.ICEServer) stun.ErrorCode {
		t.Helper()
		r := s.client(t, c)
		r.greet()
		return code(t, r.ask(stun.MethodAllocate, overUDP))
	}
	if c := try(s.credential("PA_one")); c != stun.CodeForbidden {
		t.Errorf("who is on neither node: %d", c)
	}
	if c := try(s.Credential("PA_one", "")); c != stun.CodeForbidden {
		t.Errorf("who is on no other node: %d", c)
	}
	if c := try(s.Credential("PA_one", "dead")); c != stun.CodeForbidden {
		t.Errorf("who is on a node that is gone: %d", c)
	}
	if c := try(s.Credential("PA_one", "unplugged")); c != stun.CodeInsufficientCapacity {
		t.Errorf("who is on a node that cannot be reached: %d", c)
	}
	forged := s.credential("PA_one")
	forged.Username += "0"
	if c := try(forged); c != stun.CodeUnauthorized {
		t.Errorf("who names another node: %d", c)
	}
	s.awaitAllocations(t, 0)
}

// TestLinksAreBounded, by user and in all, and count no more once they end.
func TestLinksAreBounded(t *testing.T) {
	s := linked(t, func(c *turn.Config) { c.Limits.Allocations, c.Limits.AllocationsPerUser = 3, 2 })
	first := s.allocated(t, "PA_one")
	s.allocated(t, "PA_one")
	more := func(user string) stun.ErrorCode {
		t.Helper()
		r := s.client(t, s.credential(user))
		r.greet()
		return code(t, r.ask(stun.MethodAllocate, overUDP))
	}
	if c := more("PA_one"); c != stun.CodeAllocQuotaReached {
		t.Errorf("one more of a user: %d", c)
	}
	s.allocated(t, "PA_two")
	if c := more("PA_three"); c != stun.CodeInsufficientCapacity {
		t.Errorf("one more in all: %d", c)
	}
	if c := code(t, first.ask(stun.MethodRefresh, seconds(0))); c != 0 {
		t.Fatalf("giving it back: %d", c)
	}
	s.awaitAllocations(t, 2)
	if c := more("PA_one"); c != 0 {
		t.Errorf("after one was given back: %d", c)
	}
}

// TestNonsenseIsNotHandedOn: what is no message over UDP leaves those that
// follow as they are.
func TestNonsenseIsNotHandedOn(t *testing.T) {
	s := linked(t)
	r := s.allocated(t, "PA_one")
	if c := code(t, r.ask(stun.MethodChannelBind, channel(0x4000), peerAddress(served))); c != 0 {
		t.Fatalf("a channel: %d", c)
	}
	for _, b := range []string{"", "x", "\x00\x01", "\x40\x00\xff\xffshort", "\x40\x00\x00", "\x80\x00\x00\x01rtp", "\x00\x01\x00\x04\x21\x12\xa4\x42aaaabbbbcccc",
		"\x00\x01\x00\x00\x21\x12\xa4\x42aaaabbbbccccand more"} {
		if _, err := r.conn.Write([]byte(b)); err != nil {
			t.Fatal(err)
		}
	}
	r.sendChannel(0x4000, "sound")
	r.barrier()
	if p := <-s.media.got; p.payload != "sound" || p.to != served {
		t.Errorf("media got %q at %v", p.payload, p.to)
	}
}

// TestOtherNodeGoes: its clients are told that they have nothing, those over
// TLS by the end of their connection.
func TestOtherNodeGoes(t *testing.T) {
	var mu sync.Mutex
	var links []net.Conn
	s := linked(t, func(c *turn.Config) {
		dial := c.Link
		c.Link = func(ctx context.Context, node string, client netip.AddrPort) (net.Conn, error) {
			conn, err := dial(ctx, node, client)
			mu.Lock()
			defer mu.Unlock()
			links = append(links, conn)
			return conn, err
		}
	})
	r := s.allocated(t, "PA_one")
	mu.Lock()
	for _, c := range links {
		_ = c.Close()
	}
	mu.Unlock()
	s.awaitAllocations(t, 0)
	if c := code(t, r.ask(stun.MethodRefresh, seconds(600))); c != stun.CodeAllocMismatch {
		t.Errorf("after the other node has gone: %d", c)
	}
	if c := code(t, r.ask(stun.MethodAllocate, overUDP)); c != 0 {
		t.Errorf("anew: %d", c)
	}
}

// heldConn is a connection to a client that reads on only when it is let.
type heldConn struct {
	net.Conn
	holds  atomic.Bool
	let    chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (h *heldConn) Write(b []byte) (int, error) {
	if h.holds.Load() {
		select {
		case <-h.let:
		case <-h.closed:
			return 0, net.ErrClosed
		}
	}
	return h.Conn.Write(b)
}

// SetWriteDeadline gives the client as long as the test takes.
func (*heldConn) SetWriteDeadline(time.Time) error { return nil }

func (h *heldConn) Close() error {
	h.once.Do(func() { close(h.closed) })
	return h.Conn.Close()
}

// TestLastAnswerOfAnotherNode: who is connected gets it, though the link ends
// with it, and the connection ends then.
func TestLastAnswerOfAnotherNode(t *testing.T) {
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	home := serve(t)
	home.ended.Store("PA_one", true)
	near, far, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	slow := &heldConn{Conn: far, let: make(chan struct{}), closed: make(chan struct{})}
	linked := make(chan struct{})
	s := link(t, &serving, home, func(c *turn.Config) {
		dial := c.Link
		c.Link = func(ctx context.Context, node string, client netip.AddrPort) (net.Conn, error) {
			slow.holds.Store(true)
			close(linked)
			return dial(ctx, node, client)
		}
	})
	serving.Go(func() { s.ServeConn(slow) })
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	serving.Go(func() { // the client reads once the link has gone
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		select {
		case <-linked:
		case <-over:
			return
		}
		for s.Allocations() > 0 {
			select {
			case <-tick.C:
			case <-over:
				return
			}
		}
		close(slow.let)
	})
	c := s.credential("PA_one")
	r := &raw{t: t, conn: near, name: c.Username, key: stun.NewLongTermIntegrity(c.Username, "g2g.example", c.Credential)}
	r.greet()
	if got := code(t, r.ask(stun.MethodAllocate, overUDP)); got != stun.CodeForbidden {
		t.Errorf("who has no place at home: %d", got)
	}
	if err := near.SetReadDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("after the answer: %v", err)
	}
}
