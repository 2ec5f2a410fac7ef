package udpmux

import (
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
)

// RelayedIPv4 and RelayedIPv6 are the addresses that clients behind a relay in
// this process have here, told apart by their ports. No network leads to them
// and no packet of one is from them: 192.0.0.8 is kept for dummies (RFC 7600),
// 100::/64 is discarded (RFC 6666).
var (
	RelayedIPv4 = netip.AddrFrom4([4]byte{192, 0, 0, 8})
	RelayedIPv6 = netip.MustParseAddr("100::8")
)

// RelayOnly is where media is for clients behind a relay when there is no UDP
// port: a group of no sockets. Browsers take no port below this one from a
// server; those of relayed clients are above.
var RelayOnly = netip.AddrPortFrom(RelayedIPv4, 1024)

// RelayedGroup is that group.
func RelayedGroup() *Group { return &Group{addr: RelayOnly} }

// Relayed tells whether the group is the one that a relay alone reaches.
func (g *Group) Relayed() bool { return len(g.sockets) == 0 }

func relayed(a netip.Addr) bool { return a == RelayedIPv4 || a == RelayedIPv6 }

// Relay is the seam between media and a relay (TURN) in this process: packets
// pass by calls and never by a socket. out is set once, mux by New.
type Relay struct {
	Advertise []netip.Addr // that clients are told instead of those listened on; set before New

	out atomic.Pointer[func(packet []byte, from, to netip.AddrPort)]
	mux atomic.Pointer[Mux]
}

// SetOut leads what media sends to clients behind a relay in this process to
// out: a packet from one of our sockets to a port of RelayedIPv4 or RelayedIPv6.
// out is called from many goroutines, must not block and must not keep the
// packet. Without it such packets are dropped.
func (r *Relay) SetOut(out func(packet []byte, from, to netip.AddrPort)) { r.out.Store(&out) }

// Take takes a packet that a client behind a relay sends to media at to.
// from is a port of RelayedIPv4 or RelayedIPv6 that is this client's alone. The
// packet is not kept. It is dropped where to is not media of this node.
func (r *Relay) Take(packet []byte, from, to netip.AddrPort) {
	if g := r.group(to); g != nil && relayed(from.Addr()) {
		r.mux.Load().inject(packet, from, g)
	}
}

// Serves tells whether addr is where a client may reach the media of this
// node over UDP: an address listened on or advertised, with the right port, or
// the one that stands for those where there is a relay alone.
func (r *Relay) Serves(addr netip.AddrPort) bool {
	g := r.group(addr)
	if g == nil || addr.Addr().IsUnspecified() {
		return false
	}
	if g.addr.Addr() == addr.Addr() || slices.Contains(r.Advertise, addr.Addr()) {
		return true
	}
	// A socket on all addresses has those of the machine that are told to clients.
	return len(r.Advertise) == 0 && slices.Contains(machineAddresses(), addr.Addr())
}

// machineAddresses lists those that a client elsewhere may use.
func machineAddresses() []netip.Addr {
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []netip.Addr
	for _, a := range found {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok && addr.Unmap().IsGlobalUnicast() {
				out = append(out, addr.Unmap())
			}
		}
	}
	return out
}

// group finds the sockets for a packet to addr, nil where there are none.
func (r *Relay) group(addr netip.AddrPort) *Group {
	mux := r.mux.Load()
	if mux == nil {
		return nil
	}
	var wide *Group
	for _, g := range mux.groups {
		if g.addr == addr {
			return g
		}
		local := g.addr.Addr()
		if g.Relayed() {
			continue
		}
		same := local.Is4() == addr.Addr().Is4() || local.IsUnspecified() && local.Is6()
		if same && g.addr.Port() == addr.Port() && (local.IsUnspecified() || slices.Contains(r.Advertise, addr.Addr())) {
			wide = g
		}
	}
	return wide
}

// send hands a packet to the relay, for its client at to.
func (r *Relay) send(b []byte, g *Group, to netip.AddrPort) {
	if out := r.out.Load(); out != nil {
		(*out)(b, g.addr, to)
	}
}

// inject takes a packet of the relay in.
func (m *Mux) inject(packet []byte, from netip.AddrPort, g *Group) {
	d := datagrams.Get().(*datagram)
	if len(packet) > len(d.buf) {
		datagrams.Put(d)
		return
	}
	d.n, d.from, d.to, d.sock = copy(d.buf[:], packet), from, g.addr.Addr(), g.socketFor(from)
	m.mu.RLock()
	c := m.ownerLocked(g, d, int64(time.Since(m.clock)))
	taken := c != nil && c.push(d)
	m.mu.RUnlock()
	if !taken { // as a network that is full
		datagrams.Put(d)
	}
}
