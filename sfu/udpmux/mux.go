// Package udpmux carries the media of many ICE agents over the UDP sockets of
// one port, as Pion's ice.UDPMux: several sockets with a reader each, which read
// and send several packets with one system call where the kernel can
// (recvmmsg, UDP_SEGMENT), answer from the address that was asked, and leave
// nothing behind of what strangers send. Clients behind a relay in this process
// come by a Relay, without a socket.
//
// It must not know of rooms, participants or PeerConnections, nor read more of a
// packet than what tells whose it is and what kind (RFC 5761, 7983, 8445, 8489).
package udpmux

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	maxPeers = 32 // addresses a connection answers to
	// MaxSockets is how many sockets one address has at most.
	MaxSockets = 16
	// MaxPacket is the longest packet that is taken in: one Ethernet frame.
	MaxPacket = 1500
	// socketBuffer is asked of the kernel for each socket; it grants what
	// net.core.rmem_max and wmem_max allow.
	socketBuffer = 16 << 20
	peerLease    = 10 * time.Second // an address heard by a check stays with its connection for this long
	readPause    = 5 * time.Millisecond
)

// Mux carries the media of all connections over the sockets of one port. It
// stands in for Pion's own, which has one reader, takes a lock and a system
// call for each packet, and cannot tell the addresses behind a wildcard.
//
// Whom a packet belongs to is told by the STUN user name of a check (RFC 8445,
// 7.2.2), and for all else by the address it comes from: connections learn
// addresses by writing to them, which Pion does only after a check with the
// right password. So what a stranger sends leaves nothing behind, whatever it
// is.
//
// Locks are taken in this order: udpConn.out, Mux.mu, udpConn.in or Gathering.mu.
type Mux struct {
	// Set at construction.
	groups  []*Group
	relay   *Relay
	metrics Metrics
	clock   time.Time
	hold    time.Duration
	readers sync.WaitGroup
	stop    chan struct{}

	mu      sync.RWMutex
	closed  bool                  // guarded by mu
	byUfrag map[string][]*udpConn // guarded by mu; by our own fragment
	routes  map[flow]*udpPeer     // guarded by mu
}

var _ ice.UDPMux = (*Mux)(nil)

// flow is a client's address and which of ours it sends to: a client may reach
// us by several, from one port.
type flow struct {
	remote netip.AddrPort
	local  netip.Addr
}

// Group is the sockets of one address, among which the kernel spreads the
// clients.
type Group struct {
	addr     netip.AddrPort
	sockets  []*udpSocket
	loopback bool // sends to loopback alone
}

// Config holds what New needs, all of it.
type Config struct {
	// Hold is how long a packet may wait for others of its frame; 0 and less send
	// each at once.
	Hold    time.Duration
	Relay   *Relay
	Metrics Metrics
	// Clock is what times are counted from, long before any.
	Clock time.Time
}

// Metrics count packets.
type Metrics struct {
	Sends     prometheus.Counter // system calls
	Unsent    prometheus.Counter // the kernel did not take
	Strangers prometheus.Counter // of no connection
	Overrun   prometheus.Counter // for a connection that is read too slowly
}

// New starts to read. Close ends it and closes the sockets.
func New(groups []*Group, cfg Config) *Mux {
	mux := &Mux{
		groups: groups, relay: cfg.Relay, metrics: cfg.Metrics, hold: cfg.Hold, clock: cfg.Clock, stop: make(chan struct{}),
		byUfrag: make(map[string][]*udpConn), routes: make(map[flow]*udpPeer),
	}
	cfg.Relay.mux.Store(mux)
	for _, g := range groups {
		for _, s := range g.sockets {
			mux.readers.Go(func() { mux.read(s) })
			mux.readers.Go(func() { s.holding.run(mux.stop, cfg.Hold) })
		}
	}
	return mux
}

// read takes in what comes by one socket, until it is closed.
func (m *Mux) read(s *udpSocket) {
	batch := newUDPBatch(s)
	defer batch.free()
	for {
		n, err := batch.read()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // of the kernel's memory, say: it passes
			select {
			case <-time.After(readPause):
				continue
			case <-m.stop:
				return
			}
		}
		m.dispatch(s, batch, n)
	}
}

// dispatch hands the first n packets of a batch to their connections.
func (m *Mux) dispatch(s *udpSocket, batch *udpBatch, n int) {
	now := int64(time.Since(m.clock))
	strangers, lost := 0, 0
	m.mu.RLock()
	defer m.mu.RUnlock()
	for i := range n {
		d := batch.slots[i]
		if d.n == 0 {
			continue // empty, or too long for any that we take
		}
		var c *udpConn
		if !relayed(d.from.Addr()) { // else forged
			c = m.ownerLocked(s.group, d, now)
		}
		if c == nil {
			strangers++
			continue
		}
		if !c.push(d) {
			lost++
			continue
		}
		batch.renew(i)
	}
	if strangers > 0 {
		m.metrics.Strangers.Add(float64(strangers))
	}
	if lost > 0 {
		m.metrics.Overrun.Add(float64(lost))
	}
}

// ownerLocked finds the connection that a packet is for; m.mu is held for
// reading.
func (m *Mux) ownerLocked(g *Group, d *datagram, now int64) *udpConn {
	route := m.routes[flow{d.from, d.to}]
	if isSTUN(d.bytes()) {
		if ufrag := stunUfrag(d.bytes()); len(ufrag) > 0 {
			if c := nearest(m.byUfrag[string(ufrag)], g, d); c != nil {
				if route != nil && route.conn == c {
					route.heard.Store(now)
				}
				return c
			}
		}
	}
	if route == nil {
		return nil
	}
	return route.conn
}

// nearest picks the connection of the address that the packet came to, or else,
// behind NAT, any that answers by the same sockets.
func nearest(conns []*udpConn, g *Group, d *datagram) *udpConn {
	var other *udpConn
	for _, c := range conns {
		if c.local.Addr() == d.to {
			return c
		}
		if other == nil && c.group == g && c.local.Addr().Is4() == d.from.Addr().Is4() {
			other = c
		}
	}
	return other
}

// GetListenAddresses lists the addresses that clients can be told: of a
// wildcard the machine's own, without link-local ones, and without loopback
// unless there is nothing else.
func (m *Mux) GetListenAddresses() []net.Addr {
	var out []net.Addr
	for _, g := range m.groups {
		if !g.addr.Addr().IsUnspecified() {
			out = append(out, net.UDPAddrFromAddrPort(g.addr))
			continue
		}
		for _, addr := range machineAddrs(g.addr.Addr().Is4()) {
			out = append(out, net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, g.addr.Port())))
		}
	}
	return out
}

// machineAddrs lists the addresses that a wildcard stands for.
func machineAddrs(only4 bool) []netip.Addr {
	out := machineAddresses()
	if only4 {
		out = slices.DeleteFunc(out, func(a netip.Addr) bool { return !a.Is4() })
	}
	if len(out) == 0 {
		out = append(out, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}
	return out
}

// GetConn returns the connection of one of our fragments by one of
// GetListenAddresses. Each that it returns must be closed.
func (m *Mux) GetConn(ufrag string, addr net.Addr) (net.PacketConn, error) {
	return m.conn(ufrag, addr, nil)
}

// conn is GetConn for the connections of one Gathering, nil for none.
func (m *Mux) conn(ufrag string, addr net.Addr, together *Gathering) (net.PacketConn, error) {
	u, ok := addr.(*net.UDPAddr)
	if !ok {
		return nil, fmt.Errorf("udpmux: %v is no UDP address", addr)
	}
	local := canonical(u.AddrPort())
	g := m.group(local)
	if g == nil {
		return nil, fmt.Errorf("udpmux: %v is not listened on", addr)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, io.ErrClosedPipe
	}
	var c *udpConn
	for _, o := range m.byUfrag[ufrag] {
		if o.local == local {
			c = o
		}
	}
	if c == nil {
		c = newUDPConn(m, g, ufrag, local, together)
		m.byUfrag[ufrag] = append(m.byUfrag[ufrag], c)
	}
	c.handles++
	return &udpHandle{c: c, closed: make(chan struct{})}, nil
}

func (m *Mux) group(local netip.AddrPort) *Group {
	for _, g := range m.groups {
		if g.addr == local {
			return g
		}
	}
	for _, g := range m.groups {
		a := g.addr.Addr()
		if a.IsUnspecified() && g.addr.Port() == local.Port() && (a.Is6() || local.Addr().Is4()) {
			return g
		}
	}
	return nil
}

// RemoveConnByUfrag ends what comes in for a fragment, as at an ICE restart.
// Its connections live on until they are closed.
func (m *Mux) RemoveConnByUfrag(ufrag string) {
	m.mu.Lock()
	gone := m.byUfrag[ufrag]
	delete(m.byUfrag, ufrag)
	m.mu.Unlock()
	for _, c := range gone {
		c.forget()
	}
}

// release gives up one of a connection's handles; with the last it ends.
func (m *Mux) release(c *udpConn) {
	m.mu.Lock()
	c.handles--
	last := c.handles == 0
	if last {
		m.dropLocked(c)
	}
	m.mu.Unlock()
	if last {
		c.end()
	}
}

// dropLocked takes c out of its fragment's connections; m.mu is held.
func (m *Mux) dropLocked(c *udpConn) {
	rest := slices.DeleteFunc(m.byUfrag[c.ufrag], func(o *udpConn) bool { return o == c })
	if len(rest) == 0 {
		delete(m.byUfrag, c.ufrag)
	} else {
		m.byUfrag[c.ufrag] = rest
	}
}

// claim leads what comes by p's flow to its connection. A flow stays with a
// connection that its client still checks: nobody takes over another's packets
// with checks that pretend to come from there. c.out is held.
func (m *Mux) claim(p *udpPeer) bool {
	now := int64(time.Since(m.clock))
	m.mu.Lock()
	defer m.mu.Unlock()
	key := flow{p.remote, p.local}
	if o := m.routes[key]; o != nil && o.conn != p.conn && now-o.heard.Load() < int64(peerLease) {
		return false
	}
	p.heard.Store(now)
	p.key = key
	m.routes[key] = p
	return true
}

// disclaim undoes claim.
func (m *Mux) disclaim(peers ...*udpPeer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range peers {
		if m.routes[p.key] == p {
			delete(m.routes, p.key)
		}
	}
}

// Close closes the sockets, ends all connections, and waits for the readers.
func (m *Mux) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil
	}
	m.closed = true
	var all []*udpConn
	for _, conns := range m.byUfrag {
		all = append(all, conns...)
	}
	m.mu.Unlock()
	for _, c := range all {
		c.end()
	}
	close(m.stop)
	var err error
	for _, g := range m.groups {
		err = errors.Join(err, g.Close())
	}
	m.readers.Wait()
	return err
}

// Addr is the address that its sockets are bound to.
func (g *Group) Addr() netip.AddrPort { return g.addr }

// OnlyLoopback has the group send to loopback alone. It is called before New.
func (g *Group) OnlyLoopback() { g.loopback = true }

// Close closes the sockets.
func (g *Group) Close() error {
	var err error
	for _, s := range g.sockets {
		if e := s.conn.Close(); !errors.Is(e, net.ErrClosed) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// canonical is the one form of an address that is compared: IPv4 as such, and
// zones only where they tell addresses apart.
func canonical(ap netip.AddrPort) netip.AddrPort {
	addr := ap.Addr().Unmap()
	if addr.Zone() != "" && !addr.IsLinkLocalUnicast() {
		addr = addr.WithZone("")
	}
	return netip.AddrPortFrom(addr, ap.Port())
}
