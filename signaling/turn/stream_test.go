package turn

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"testing"

	"github.com/pion/stun/v4"
)

// Who has not authenticated does not have the server keep much for it.
func TestStrangersQueueIsShort(t *testing.T) {
	c := &client{}
	st := &stream{of: c, due: make(chan struct{}, 1)}
	message := make([]byte, 100)
	for range 10_000 {
		st.send(message)
	}
	if n := len(st.pending); n > strangerQueue || n < strangerQueue/2 {
		t.Errorf("%d bytes wait for a stranger", n)
	}
	c.alloc.Store(&allocation{})
	for range 10_000 {
		st.send(message)
	}
	if n := len(st.pending); n > streamQueue || n < streamQueue/2 {
		t.Errorf("%d bytes wait for a client with an allocation", n)
	}
}

// asksOn is the way to a client that asks something else as soon as it is
// answered.
type asksOn struct {
	c      *client
	linked chan bool // still, when it is answered
}

func (a *asksOn) send([]byte)              { a.linked <- a.c.link.Load() != nil }
func (*asksOn) sendChannel(uint16, []byte) {}

// What a client asks next that could not be handed on would be lost in a link
// that never began.
func TestWhoIsRefusedIsLinkedNoMore(t *testing.T) {
	for _, refusal := range []error{ErrNoNode, errors.New("no answer")} {
		s, err := New(Config{
			Secret: make([]byte, 16), Media: struct{ Media }{}, Alive: func(string) bool { return false }, Log: slog.New(slog.DiscardHandler),
			RelayedIPv4: netip.MustParseAddr("192.0.0.8"), RelayedIPv6: netip.MustParseAddr("100::8"),
			Link: func(context.Context, string, netip.AddrPort) (net.Conn, error) { return nil, refusal },
		})
		if err != nil {
			t.Fatal(err)
		}
		s.SetRunning()
		way := &asksOn{linked: make(chan bool, 1)}
		way.c = &client{addr: netip.MustParseAddrPort("203.0.113.66:5000"), way: way}
		s.link(way.c, stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest)), who{user: "PA_one", node: "gone"})
		if <-way.linked {
			t.Errorf("%v: answered while it is linked", refusal)
		}
		s.serving.Wait()
		if n := s.Allocations(); n != 0 {
			t.Errorf("%v: %d links are left", refusal, n)
		}
	}
}
