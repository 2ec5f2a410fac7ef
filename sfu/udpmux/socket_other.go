//go:build !linux

package udpmux

import (
	"net"
	"net/netip"
)

// Elsewhere than on Linux packets are read and sent one by one; a wildcard does
// not learn which of the machine's addresses a packet came to.

// udpSocket is one bound socket.
type udpSocket struct {
	conn    *net.UDPConn
	group   *Group
	holding holding
}

// Listen binds one socket to an address.
func Listen(network string, addr netip.AddrPort, _ int) (*Group, error) {
	c, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	_ = c.SetReadBuffer(socketBuffer)
	_ = c.SetWriteBuffer(socketBuffer)
	g := &Group{addr: canonical(c.LocalAddr().(*net.UDPAddr).AddrPort())}
	g.sockets = []*udpSocket{{conn: c, group: g, holding: holding{wake: make(chan struct{}, 1)}}}
	return g, nil
}

// udpBatch is room for one packet.
type udpBatch struct {
	slots [1]*datagram
	sock  *udpSocket
}

func newUDPBatch(s *udpSocket) *udpBatch {
	b := &udpBatch{sock: s}
	b.renew(0)
	return b
}

func (b *udpBatch) renew(i int) { b.slots[i] = datagrams.Get().(*datagram) }

func (b *udpBatch) free() { datagrams.Put(b.slots[0]) }

func (b *udpBatch) read() (int, error) {
	d := b.slots[0]
	n, from, err := b.sock.conn.ReadFromUDPAddrPort(d.buf[:])
	if err != nil {
		return 0, err
	}
	d.n, d.from, d.to, d.sock = n, canonical(from), b.sock.group.addr.Addr(), b.sock
	return 1, nil
}

// sockaddr is an address to send to.
type sockaddr struct{ to netip.AddrPort }

func (a *sockaddr) segments(*udpSocket) bool { return false }

func (a *sockaddr) set(_ *udpSocket, to netip.AddrPort, _ netip.Addr) { a.to = to }

// udpSender sends packets one by one.
type udpSender struct{}

func (u *udpSender) init() {}

func (u *udpSender) one(p *udpPeer, b []byte) {
	m := p.conn.mux.metrics
	m.Sends.Inc()
	if _, err := p.sock.conn.WriteToUDPAddrPort(b, p.to.to); err != nil {
		m.Unsent.Inc()
	}
}

func (u *udpSender) run(*udpPeer, []byte, int) {} // segments is false
