package udpmux

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v4"
	"github.com/prometheus/client_golang/prometheus"
)

const udpWait = 10 * time.Second

func testConfig(hold time.Duration) Config {
	counter := func() prometheus.Counter { return prometheus.NewCounter(prometheus.CounterOpts{Name: "packets"}) }
	return Config{Hold: hold, Relay: &Relay{}, Metrics: Metrics{counter(), counter(), counter(), counter()}, Clock: time.Now()}
}

// testMux is a mux on a free port of addr, closed with the test.
func testMux(t testing.TB, addr string, sockets int, hold time.Duration) *Mux {
	t.Helper()
	g, err := Listen("udp4", netip.MustParseAddrPort(addr), sockets)
	if err != nil {
		t.Fatal(err)
	}
	mux := New([]*Group{g}, testConfig(hold))
	t.Cleanup(func() {
		if err := mux.Close(); err != nil {
			t.Error(err)
		}
	})
	return mux
}

func (m *Mux) port() uint16 { return m.groups[0].addr.Port() }

// testConn is the connection of a fragment by 127.0.0.1.
func testConn(t testing.TB, m *Mux, ufrag string) *udpHandle {
	t.Helper()
	c, err := m.GetConn(ufrag, net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), m.port())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*udpHandle)
}

// remote is a client's socket.
func remote(t testing.TB, addr string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(udpWait)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func addrOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

// check is a STUN request for a fragment.
func check(t testing.TB, ufrag string) []byte {
	t.Helper()
	m, err := stun.Build(stun.TransactionID, stun.BindingRequest, stun.NewUsername(ufrag+":theirs"), stun.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	return m.Raw
}

// media is an RTP packet of size bytes with seq in it.
func media(seq, size int, marker bool) []byte {
	b := make([]byte, size)
	b[0], b[1] = 0x80, 96
	if marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], uint16(seq))
	return b
}

func sendTo(t testing.TB, c *net.UDPConn, b []byte, to netip.AddrPort) {
	t.Helper()
	if _, err := c.WriteToUDPAddrPort(b, to); err != nil {
		t.Fatal(err)
	}
}

// gets waits for the next packet of a connection.
func gets(t testing.TB, h *udpHandle) ([]byte, netip.AddrPort) {
	t.Helper()
	limit := time.AfterFunc(udpWait, func() { h.Close() })
	defer limit.Stop()
	b := make([]byte, 2000)
	n, from, err := h.ReadFromAddrPort(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n], from
}

// hears waits for the next packet of a client.
func hears(t testing.TB, c *net.UDPConn) ([]byte, netip.AddrPort) {
	t.Helper()
	b := make([]byte, 2000)
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n], from
}

// meet lets a client's check be answered, so that its address is learnt.
func meet(t testing.TB, c *net.UDPConn, h *udpHandle) {
	t.Helper()
	request := check(t, h.c.ufrag)
	sendTo(t, c, request, h.c.local)
	got, from := gets(t, h)
	if !bytes.Equal(got, request) || from != addrOf(c) {
		t.Fatalf("got %d bytes of %v", len(got), from)
	}
	if _, err := h.WriteToAddrPort(request, from); err != nil {
		t.Fatal(err)
	}
	if got, _ := hears(t, c); !bytes.Equal(got, request) {
		t.Fatal("another answer")
	}
}

// A packet goes to the connection that its check names, and what follows from
// the same address goes there too, over every socket.
func TestPacketsFindTheirConnection(t *testing.T) {
	m := testMux(t, "127.0.0.1:0", 3, 0)
	for i := range 20 {
		h, c := testConn(t, m, fmt.Sprintf("ufrag%d", i)), remote(t, "127.0.0.1:0")
		sendTo(t, c, media(1, 100, false), h.c.local) // nobody knows it yet
		meet(t, c, h)
		sendTo(t, c, media(2, 100, false), h.c.local)
		if got, from := gets(t, h); len(got) != 100 || got[3] != 2 || from != addrOf(c) {
			t.Fatalf("%d bytes from %v", len(got), from)
		}
	}
	if used := len(m.groups[0].sockets); used != 3 {
		t.Errorf("%d sockets", used)
	}
}

// What strangers send is dropped, leaves nothing behind, and allocates nothing.
func TestStrangersLeaveNothing(t *testing.T) {
	m := testMux(t, "127.0.0.1:0", 1, 0)
	h, c := testConn(t, m, "known"), remote(t, "127.0.0.1:0")
	meet(t, c, h)
	s := m.groups[0].sockets[0]
	d := &datagram{sock: s, to: netip.MustParseAddr("127.0.0.1")}
	for name, b := range map[string][]byte{"check": check(t, "nobody"), "media": media(1, 1000, false), "noise": []byte("GET / HTTP/1.0"), "empty check": check(t, "")} {
		d.n = copy(d.buf[:], b)
		port := uint16(0)
		allocs := testing.AllocsPerRun(1000, func() {
			port++
			d.from = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 2, 3}), port)
			m.mu.RLock()
			if m.ownerLocked(s.group, d, 1) != nil {
				t.Error("somebody takes it")
			}
			m.mu.RUnlock()
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
	if len(m.routes) != 1 || len(m.byUfrag) != 1 {
		t.Errorf("%d routes, %d fragments", len(m.routes), len(m.byUfrag))
	}
}

// A connection that nobody reads loses its own packets, and no others do.
func TestSlowConnectionLosesItsOwn(t *testing.T) {
	m := testMux(t, "127.0.0.1:0", 1, 0)
	slow, quick := testConn(t, m, "slow"), testConn(t, m, "quick")
	sc, qc := remote(t, "127.0.0.1:0"), remote(t, "127.0.0.1:0")
	meet(t, sc, slow)
	meet(t, qc, quick)
	for i := range maxQueued + 100 {
		sendTo(t, sc, media(i, 50, false), slow.c.local)
		if i%64 == 0 { // in step, so that the kernel's buffer is not what overflows
			sendTo(t, qc, media(i, 60, false), quick.c.local)
			if got, _ := gets(t, quick); len(got) != 60 {
				t.Fatalf("%d bytes", len(got))
			}
		}
	}
	sendTo(t, qc, media(0, 60, false), quick.c.local)
	gets(t, quick)
	for i := range maxQueued {
		if got, _ := gets(t, slow); int(binary.BigEndian.Uint16(got[2:])) != i {
			t.Fatalf("packet %d is %d", i, binary.BigEndian.Uint16(got[2:]))
		}
	}
	slow.c.in.Lock()
	defer slow.c.in.Unlock()
	if slow.c.in.size != 0 || len(slow.c.in.queue) > maxQueued {
		t.Errorf("%d of %d wait", slow.c.in.size, len(slow.c.in.queue))
	}
}

// A connection knows a bounded number of addresses, the latest, and none that
// it knew is left once it ends.
func TestAddressesAreBounded(t *testing.T) {
	m := testMux(t, "127.0.0.1:0", 2, 0)
	h := testConn(t, m, "roamer")
	var last *net.UDPConn
	for range maxPeers + 10 {
		last = remote(t, "127.0.0.1:0")
		meet(t, last, h)
	}
	if len(m.routes) != maxPeers || len(h.c.out.peers) != maxPeers {
		t.Fatalf("%d routes, %d addresses", len(m.routes), len(h.c.out.peers))
	}
	sendTo(t, last, media(1, 100, false), h.c.local)
	gets(t, h)
	m.RemoveConnByUfrag("roamer")
	if len(m.routes) != 0 || len(m.byUfrag) != 0 {
		t.Errorf("%d routes, %d fragments", len(m.routes), len(m.byUfrag))
	}
	// An agent may write to its old candidate while it restarts.
	if _, err := h.WriteToAddrPort(check(t, "roamer"), addrOf(last)); err != nil || len(m.routes) != 0 {
		t.Errorf("%v, %d routes", err, len(m.routes))
	}
}

// Nobody takes over another's address by checks that seem to come from there;
// a connection that is gone, or whose client is, keeps none.
func TestAddressStaysWithItsConnection(t *testing.T) {
	m := testMux(t, "127.0.0.1:0", 1, 0)
	h, thief, c := testConn(t, m, "owner"), testConn(t, m, "thief"), remote(t, "127.0.0.1:0")
	meet(t, c, h)
	meet(t, c, thief) // which has a password of its own, and is answered
	sendTo(t, c, media(7, 100, false), h.c.local)
	if got, _ := gets(t, h); got[3] != 7 {
		t.Fatalf("another packet: %x", got[:4])
	}
	// The owner's client has not checked for long.
	m.mu.RLock()
	m.routes[flow{addrOf(c), h.c.local.Addr()}].heard.Add(-2 * int64(peerLease))
	m.mu.RUnlock()
	meet(t, c, thief)
	sendTo(t, c, media(8, 100, false), h.c.local)
	if got, _ := gets(t, thief); got[3] != 8 {
		t.Fatalf("another packet: %x", got[:4])
	}
	thief.Close()
	if len(m.routes) != 0 {
		t.Errorf("%d routes", len(m.routes))
	}
}

// A client that asks one of a machine's addresses is answered from it.
func TestWildcardAnswersFromWhereItWasAsked(t *testing.T) {
	m := testMux(t, "0.0.0.0:0", 2, time.Millisecond)
	h := testConn(t, m, "any")
	for _, a := range []string{"127.0.0.3", "127.0.0.1", "127.0.0.2"} {
		c := remote(t, "127.0.0.9:0")
		at := netip.AddrPortFrom(netip.MustParseAddr(a), m.port())
		sendTo(t, c, check(t, "any"), at)
		got, from := gets(t, h)
		if _, err := h.WriteToAddrPort(got, from); err != nil {
			t.Fatal(err)
		}
		if _, answered := hears(t, c); answered != at {
			t.Errorf("asked %v, answered from %v", at, answered)
		}
		for i := range 3 { // a run keeps the address
			if _, err := h.WriteToAddrPort(media(i, 900, i == 2), from); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 3 {
			if got, answered := hears(t, c); answered != at || got[3] != byte(i) || len(got) != 900 {
				t.Errorf("packet %d: %d bytes of %v", i, len(got), answered)
			}
		}
		sendTo(t, c, media(1, 100, false), at)
		gets(t, h)
	}
	for _, a := range m.GetListenAddresses() {
		u := a.(*net.UDPAddr)
		if u.IP.IsUnspecified() || u.IP.IsLinkLocalUnicast() || u.Port != int(m.port()) {
			t.Errorf("clients are told %v", a)
		}
	}
}

// One address under two names has two handles, of which one may go.
func TestHandlesShareAConnection(t *testing.T) {
	m := testMux(t, "127.0.0.1:0", 1, 0)
	a, b, c := testConn(t, m, "one"), testConn(t, m, "one"), remote(t, "127.0.0.1:0")
	if a.c != b.c {
		t.Fatal("two connections")
	}
	ended := make(chan error, 1)
	go func() {
		_, _, err := a.ReadFromAddrPort(make([]byte, 100))
		ended <- err
	}()
	a.Close()
	if err := <-ended; err == nil {
		t.Error("a closed handle reads")
	}
	meet(t, c, b)
	b.Close()
	if _, err := b.WriteToAddrPort(media(1, 100, false), addrOf(c)); err != io.ErrClosedPipe { //nolint:errorlint // the very one, as Pion asks
		t.Errorf("after the last handle: %v", err)
	}
	if len(m.byUfrag) != 0 || len(m.routes) != 0 {
		t.Errorf("%d fragments, %d routes are left", len(m.byUfrag), len(m.routes))
	}
}

// Two servers do not share a port by accident, though one server's sockets do.
func TestTakenPortIsTold(t *testing.T) {
	m := testMux(t, "127.0.0.1:0", 2, 0)
	if g, err := Listen("udp4", m.groups[0].addr, 2); err == nil {
		g.Close()
		t.Error("another server has the port")
	}
}

// FuzzSTUNPeek reads what anybody may send.
func FuzzSTUNPeek(f *testing.F) {
	f.Add(check(f, "abcd"))
	f.Add(check(f, ""))
	f.Add(media(1, 40, true))
	f.Add([]byte{0, 1, 0, 8, 0x21, 0x12, 0xA4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0xFF, 0xFF, 'a', ':', 'b', 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		got := stunUfrag(b)
		if len(got) > len(b) || bytes.IndexByte(got, ':') >= 0 {
			t.Fatalf("%q of %q", got, b)
		}
		if !isSTUN(b) {
			return
		}
		// Pion's reader agrees on what it takes.
		msg := &stun.Message{Raw: bytes.Clone(b)}
		if msg.Decode() != nil {
			return
		}
		want, _ := msg.Get(stun.AttrUsername)
		want, _, _ = bytes.Cut(want, []byte(":"))
		if !bytes.Equal(got, want) {
			t.Fatalf("%q, Pion reads %q of %x", got, want, b)
		}
	})
}

// A socket for both families answers each client in its own, from the address
// that it asked.
func TestWildcardOfBothFamilies(t *testing.T) {
	g, err := Listen("udp", netip.MustParseAddrPort("[::]:0"), 2)
	if err != nil || g.addr.Addr().Is4() {
		t.Skip("no IPv6 here: ", err)
	}
	mux := New([]*Group{g}, testConfig(time.Millisecond))
	t.Cleanup(func() { mux.Close() })
	for _, a := range []string{"127.0.0.3", "127.0.0.1", "::1"} {
		at := netip.AddrPortFrom(netip.MustParseAddr(a), mux.port())
		conn, err := mux.GetConn("both", net.UDPAddrFromAddrPort(at))
		if err != nil {
			t.Fatal(err)
		}
		h := conn.(*udpHandle)
		network, from := "udp4", "127.0.0.9:0"
		if at.Addr().Is6() {
			network, from = "udp6", "[::1]:0"
		}
		c, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(from)))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetReadDeadline(time.Now().Add(udpWait)); err != nil {
			t.Fatal(err)
		}
		meet(t, c, h)
		for i := range 3 {
			if _, err := h.WriteToAddrPort(media(i, 900, i == 2), addrOf(c)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 3 {
			if got, answered := hears(t, c); canonical(answered) != at || got[3] != byte(i) {
				t.Errorf("packet %d of %v, asked %v", i, answered, at)
			}
		}
		sendTo(t, c, media(5, 100, false), at)
		if got, _ := gets(t, h); got[3] != 5 {
			t.Errorf("packet %d", got[3])
		}
		h.Close()
	}
	if len(mux.routes) != 0 || len(mux.byUfrag) != 0 {
		t.Errorf("%d routes, %d fragments are left", len(mux.routes), len(mux.byUfrag))
	}
}
