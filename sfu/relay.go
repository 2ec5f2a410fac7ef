package sfu

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
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

func relayed(a netip.Addr) bool { return a == RelayedIPv4 || a == RelayedIPv6 }

// relayQueue is how many packets may wait for the reader of a socket.
const relayQueue = 1024

// relay is the seam between media and a relay (TURN) in this process: packets
// pass by calls and never by a socket. out is set once, the sockets by newAPI.
type relay struct {
	advertise []netip.Addr
	out       atomic.Pointer[func(packet []byte, from, to netip.AddrPort)]
	sockets   atomic.Pointer[[]*relaySocket]
}

// SetRelay leads what media sends to clients behind a relay in this process to
// out: a packet from one of our sockets to a port of RelayedIPv4 or RelayedIPv6.
// out is called from many goroutines, must not block and must not keep the
// packet. Without it such packets are dropped.
func (s *SFU) SetRelay(out func(packet []byte, from, to netip.AddrPort)) { s.relay.out.Store(&out) }

// FromRelay takes a packet that a client behind a relay sends to media at to.
// from is a port of RelayedIPv4 or RelayedIPv6 that is this client's alone. The
// packet is not kept. It is dropped where to is not media of this node.
func (s *SFU) FromRelay(packet []byte, from, to netip.AddrPort) {
	if c := s.relay.socket(to); c != nil && relayed(from.Addr()) {
		c.inject(packet, from)
	}
}

// ServesUDP tells whether addr is where a client may reach the media of this
// node over UDP: an address listened on or advertised, with the right port.
func (s *SFU) ServesUDP(addr netip.AddrPort) bool {
	c := s.relay.socket(addr)
	if c == nil {
		return false
	}
	if c.local.Addr() == addr.Addr() || slices.Contains(s.relay.advertise, addr.Addr()) {
		return true
	}
	// A socket on all addresses has those of the machine that are told to clients.
	return len(s.relay.advertise) == 0 && slices.Contains(machineAddresses(), addr.Addr())
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

// socket finds the socket for a packet to addr, nil where there is none.
func (r *relay) socket(addr netip.AddrPort) *relaySocket {
	all := r.sockets.Load()
	if all == nil {
		return nil
	}
	var wide *relaySocket
	for _, c := range *all {
		if c.local == addr {
			return c
		}
		local := c.local.Addr()
		same := local.Is4() == addr.Addr().Is4() || local.IsUnspecified() && local.Is6()
		if same && c.local.Port() == addr.Port() && (local.IsUnspecified() || slices.Contains(r.advertise, addr.Addr())) {
			wide = c
		}
	}
	return wide
}

// wrap joins sockets to the relay.
func (r *relay) wrap(conns []*net.UDPConn) []*relaySocket {
	out := make([]*relaySocket, 0, len(conns))
	for _, c := range conns {
		local := c.LocalAddr().(*net.UDPAddr).AddrPort()
		local = netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
		out = append(out, &relaySocket{
			UDPConn: c, relay: r, local: local, queue: make(chan relayedPacket, relayQueue),
			loopbackOnly: len(conns) > 1 && local.Addr().IsLoopback(),
		})
	}
	r.sockets.Store(&out)
	return out
}

type relayedPacket struct {
	buf  *[maxRTPBytes]byte
	n    int
	from netip.AddrPort
}

var relayBuffers = sync.Pool{New: func() any { return new([maxRTPBytes]byte) }}

// relaySocket is a UDP socket that also reads what a relay brings, and writes
// to the relay what is for its clients. One goroutine reads.
type relaySocket struct {
	*net.UDPConn
	relay *relay
	local netip.AddrPort
	queue chan relayedPacket
	// loopbackOnly is set for the loopback socket of a server that listens on the
	// machine's other addresses, too. It sends to loopback alone: the kernel would
	// carry a check from 127.0.0.1 to the machine's own address, ICE would choose
	// that pair, and Firefox, which answers the check, sends no media to loopback.
	loopbackOnly bool
}

func (c *relaySocket) inject(packet []byte, from netip.AddrPort) {
	if len(packet) > maxRTPBytes {
		return
	}
	buf := relayBuffers.Get().(*[maxRTPBytes]byte)
	select {
	case c.queue <- relayedPacket{buf, copy(buf[:], packet), from}:
		_ = c.SetReadDeadline(time.Unix(1, 0)) // wakes the reader; a closed socket has none
	default: // as a network that is full
		relayBuffers.Put(buf)
	}
}

// ReadFromAddrPort reads the next packet of the relay or of the network.
func (c *relaySocket) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		select {
		case p := <-c.queue:
			n := copy(b, p.buf[:p.n])
			relayBuffers.Put(p.buf)
			return n, p.from, nil
		default:
		}
		n, from, err := c.ReadFromUDPAddrPort(b)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			// Before the queue is looked at again: a packet that comes in between is
			// found there, and at worst wakes the reader once more.
			if err := c.SetReadDeadline(time.Time{}); err != nil {
				return 0, netip.AddrPort{}, err
			}
			continue
		case err == nil && relayed(from.Addr().Unmap()):
			continue // forged
		}
		return n, from, err
	}
}

// WriteToAddrPort sends a packet, to the network or by the relay.
func (c *relaySocket) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	switch addr := to.Addr().Unmap(); {
	case relayed(addr):
		if out := c.relay.out.Load(); out != nil {
			(*out)(b, c.local, netip.AddrPortFrom(addr, to.Port()))
		}
		return len(b), nil
	case c.loopbackOnly && !addr.IsLoopback():
		return len(b), nil // as a network without a way there
	}
	return c.WriteToUDPAddrPort(b, to)
}

// ReadFrom implements net.PacketConn.
func (c *relaySocket) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.ReadFromAddrPort(b)
	if err != nil {
		return 0, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// WriteTo implements net.PacketConn.
func (c *relaySocket) WriteTo(b []byte, to net.Addr) (int, error) {
	u, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, net.InvalidAddrError("sfu: not a UDP address")
	}
	return c.WriteToAddrPort(b, u.AddrPort())
}
