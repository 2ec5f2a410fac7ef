package sfu_test

import (
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"commsd/internal/testpeer/meetingpeer"
	"commsd/sfu"
)

// throughRelay puts a relay between a client and the media of s: the client
// sends to a socket of the test, which hands its packets over in this process.
// The answer counts the packets that went each way.
func throughRelay(t *testing.T, s *sfu.SFU) (cfg *meetingpeer.MediaConfig, in, out *atomic.Int64) {
	t.Helper()
	udp, _ := s.Ports()
	front, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	in, out = new(atomic.Int64), new(atomic.Int64)
	// Two connections, each from an address of its own, each a port of the relay.
	var clients [2]atomic.Pointer[netip.AddrPort]
	s.SetRelay(func(b []byte, from, to netip.AddrPort) {
		if from != udp[0] || to.Addr() != sfu.RelayedIPv4 {
			t.Errorf("a packet from %v to %v", from, to)
			return
		}
		if c := clients[to.Port()-1000].Load(); c != nil {
			out.Add(1)
			_, _ = front.WriteToUDPAddrPort(b, *c) // lost, as on any network
		}
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 1600)
		for {
			n, from, err := front.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			for i := range clients {
				if clients[i].Load() == nil {
					clients[i].Store(&from)
				}
				if *clients[i].Load() == from {
					in.Add(1)
					s.FromRelay(buf[:n], netip.AddrPortFrom(sfu.RelayedIPv4, uint16(1000+i)), udp[0])
					break
				}
			}
		}
	}()
	t.Cleanup(func() { front.Close(); <-ended })
	port := front.LocalAddr().String()[len("127.0.0.1:"):]
	served := udp[0].String()[len("127.0.0.1:"):]
	return &meetingpeer.MediaConfig{Candidate: func(init string) string {
		return strings.Replace(init, "127.0.0.1 "+served, "127.0.0.1 "+port, 1)
	}}, in, out
}

// TestRelayInThisProcess: media flows both ways through FromRelay and SetRelay,
// without a socket between the relay and the media.
func TestRelayInThisProcess(t *testing.T) {
	s := serve(t)
	cfg, in, out := throughRelay(t, s)
	a := join(t, s, everything("r", "relayed"), cfg)
	b := join(t, s, everything("r", "direct"), nil)
	a.up()
	b.up()
	pub, _ := a.publish(microphone("mic"))
	a.pump(pub, opus)
	b.next(b.track(), nil)
	pub, _ = b.publish(microphone("mic"))
	b.pump(pub, opus)
	a.next(a.track(), nil)
	if in.Load() < 10 || out.Load() < 10 {
		t.Errorf("the relay carried %d and %d packets", in.Load(), out.Load())
	}
}

func TestWhereMediaIsServed(t *testing.T) {
	s := serve(t)
	udp, _ := s.Ports()
	port := udp[0].Port()
	advertised := serve(t, func(c *sfu.Config) { c.UDPListen, c.Advertise = "0.0.0.0:0", []string{"203.0.113.7"} })
	udp, _ = advertised.Ports()
	port2 := udp[0].Port()
	overTCP := func(c *sfu.Config) {
		c.UDPListen, c.TCPListen, c.Advertise = "", "127.0.0.1:0", []string{"203.0.113.7"}
	}
	unrelayed, relayed := serve(t, overTCP), serve(t, overTCP, func(c *sfu.Config) { c.Relayed = true })
	for _, s := range []*sfu.SFU{unrelayed, relayed} {
		if udp, _ := s.Ports(); len(udp) > 0 {
			t.Errorf("listens on %v", udp)
		}
	}
	only := netip.AddrPortFrom(sfu.RelayedIPv4, 1024)
	for _, c := range []struct {
		s    *sfu.SFU
		addr netip.AddrPort
		want bool
	}{
		{relayed, only, true},
		{relayed, netip.AddrPortFrom(sfu.RelayedIPv4, 1025), false},
		{relayed, netip.AddrPortFrom(netip.MustParseAddr("203.0.113.7"), 1024), false},
		{relayed, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 1024), false},
		{unrelayed, only, false},
		{advertised, only, false},
		{s, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), true},
		{s, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port+1), false},
		{s, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), port), false},
		{s, netip.AddrPortFrom(netip.MustParseAddr("::ffff:127.0.0.1"), port), false},
		{s, netip.AddrPortFrom(netip.MustParseAddr("169.254.169.254"), port), false},
		{advertised, netip.AddrPortFrom(netip.MustParseAddr("203.0.113.7"), port2), true},
		{advertised, netip.AddrPortFrom(netip.MustParseAddr("203.0.113.7"), port2+1), false},
		{advertised, netip.AddrPortFrom(netip.MustParseAddr("203.0.113.8"), port2), false},
		{advertised, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port2), false},
		{advertised, netip.AddrPortFrom(netip.MustParseAddr("0.0.0.0"), port2), false},
		{advertised, netip.AddrPort{}, false},
	} {
		if got := c.s.ServesUDP(c.addr); got != c.want {
			t.Errorf("%v: %v", c.addr, got)
		}
	}
}
