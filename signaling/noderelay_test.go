package signaling_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"commsd/sfu"
	"commsd/signaling/turn"
)

// nowhere is media that no relay reaches.
type nowhere struct{}

func (nowhere) ServesUDP(netip.AddrPort) bool                    { return false }
func (nowhere) FromRelay([]byte, netip.AddrPort, netip.AddrPort) {}
func (nowhere) SetRelay(func(_ []byte, from, to netip.AddrPort)) {}

// TestRelayedAreNotLeftWithASilentNode: the way to another node's relay ends
// when that node says nothing any more.
func TestRelayedAreNotLeftWithASilentNode(t *testing.T) {
	relay, err := turn.New(turn.Config{
		Media: nowhere{}, Alive: func(string) bool { return true }, Realm: "g2g.example", Secret: secret,
		RelayedIPv4: sfu.RelayedIPv4, RelayedIPv6: sfu.RelayedIPv6, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	c, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(c) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	nodes := serveNodesWith(t, func(s *settings) { s.signaling.TURN = relay }, "a", "b")
	a, b := nodes[0], nodes[1]
	await(t, "a lease", func() bool { return b.lives(t) })
	conn, err := a.LinkRelay(ctx(t), b.id(t), netip.MustParseAddrPort("203.0.113.66:5000"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b.front.Stall()
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("it ends with %v", err)
	}
}

// TestWhereRelaysLead: to other nodes that live, and that have a relay.
func TestWhereRelaysLead(t *testing.T) {
	nodes := serveNodes(t, "a", "b")
	a, b := nodes[0], nodes[1]
	for _, n := range nodes {
		await(t, "a lease", func() bool { return n.lives(t) })
	}
	client := netip.MustParseAddrPort("203.0.113.66:5000")
	for what, node := range map[string]string{"the node itself": a.id(t), "a node that is gone": "nobody"} {
		if _, err := a.LinkRelay(ctx(t), node, client); !errors.Is(err, turn.ErrNoNode) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := a.LinkRelay(ctx(t), b.id(t), client); err == nil || errors.Is(err, turn.ErrNoNode) || !strings.Contains(err.Error(), "404") {
		t.Errorf("a node without a relay: %v", err)
	}
}
