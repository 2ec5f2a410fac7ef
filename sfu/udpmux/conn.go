package udpmux

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxQueued = 512 // packets that wait for a connection's reader
	maxHeard  = 8   // addresses that a connection has been asked from and not answered yet
)

// datagram is a received packet. It is pooled.
type datagram struct {
	from netip.AddrPort
	to   netip.Addr // of ours
	sock *udpSocket
	n    int
	buf  [MaxPacket]byte
}

func (d *datagram) bytes() []byte { return d.buf[:d.n] }

var datagrams = sync.Pool{New: func() any { return new(datagram) }}

// udpConn is one ICE agent's share of the sockets, by one of our addresses.
type udpConn struct {
	// Set at construction.
	mux   *Mux
	group *Group
	ufrag string
	local netip.AddrPort
	come  chan struct{} // has room for one word that in.queue is not empty
	done  chan struct{} // closed at the end
	with  *Gathering    // may be nil

	handles int // guarded by mux.mu

	in struct {
		sync.Mutex
		queue       []*datagram // a ring that grows up to maxQueued
		first, size int
		waiting     int // readers
		ended       bool
	}

	out struct {
		sync.Mutex
		peers []*udpPeer
		last  *udpPeer // written to last
		turn  uint64   // counts changes of last
		heard [maxHeard]heardFrom
		next  int  // of heard
		gone  bool // claims no addresses any more
		ended bool
		send  udpSender
	}
}

// heardFrom is where a check came from that may not be genuine.
type heardFrom struct {
	from netip.AddrPort
	to   netip.Addr
	sock *udpSocket
}

// udpPeer is an address that a connection writes to.
type udpPeer struct {
	// Set at construction.
	conn    *udpConn
	remote  netip.AddrPort
	relayed bool

	heard atomic.Int64 // when it last checked, ns since mux.clock
	key   flow         // guarded by mux.mu; claimed

	// Guarded by conn.out.
	local   netip.Addr // of ours that it reaches; zero: not known
	sock    *udpSocket
	to      sockaddr
	claimed bool
	used    uint64 // turn
	run     udpRun
}

func newUDPConn(m *Mux, g *Group, ufrag string, local netip.AddrPort, with *Gathering) *udpConn {
	c := &udpConn{mux: m, group: g, ufrag: ufrag, local: local, with: with, come: make(chan struct{}, 1), done: make(chan struct{})}
	c.out.send.init()
	with.add(c)
	return c
}

// push queues a packet for the reader. A reader that is too slow loses its own
// packets: push does not wait, and reports false.
func (c *udpConn) push(d *datagram) bool {
	in := &c.in
	in.Lock()
	if in.ended || in.size == maxQueued {
		in.Unlock()
		return false
	}
	if in.size == len(in.queue) {
		queue := make([]*datagram, max(8, 2*len(in.queue)))
		for i := range in.size {
			queue[i] = in.queue[(in.first+i)%in.size]
		}
		in.queue, in.first = queue, 0
	}
	in.queue[(in.first+in.size)%len(in.queue)] = d
	in.size++
	wake := in.waiting > 0
	in.Unlock()
	if wake {
		c.wake()
	}
	return true
}

func (c *udpConn) wake() {
	select {
	case c.come <- struct{}{}:
	default:
	}
}

// pop waits for the next packet, until the connection or the handle ends.
func (c *udpConn) pop(closed <-chan struct{}) (*datagram, error) {
	in := &c.in
	for {
		in.Lock()
		if in.size > 0 {
			d := in.queue[in.first]
			in.queue[in.first] = nil
			in.first = (in.first + 1) % len(in.queue)
			in.size--
			in.Unlock()
			return d, nil
		}
		in.waiting++
		in.Unlock()
		var err error
		select {
		case <-c.come:
		case <-closed:
			err = net.ErrClosed
		case <-c.done:
			err = net.ErrClosed
		}
		in.Lock()
		in.waiting--
		in.Unlock()
		if err != nil {
			return nil, err
		}
	}
}

// note remembers by which way a check came, so that it is answered the same.
func (c *udpConn) note(d *datagram) {
	c.out.Lock()
	defer c.out.Unlock()
	for _, p := range c.out.peers {
		if p.remote != d.from {
			continue
		}
		if !p.local.IsValid() {
			p.local, p.sock = d.to, d.sock
			if !p.relayed {
				p.to.set(p.sock, p.remote, p.local)
			}
		}
		return
	}
	c.out.heard[c.out.next%maxHeard] = heardFrom{d.from, d.to, d.sock}
	c.out.next++
}

// write sends b to an address, or holds a copy to be sent along with others.
func (c *udpConn) write(b []byte, to netip.AddrPort) (int, error) {
	if !to.IsValid() {
		return 0, fmt.Errorf("udpmux: send: %v is no address", to)
	}
	c.out.Lock()
	if c.out.ended {
		c.out.Unlock()
		return 0, io.ErrClosedPipe
	}
	p := c.out.last
	if p == nil || p.remote != to {
		to = canonical(to)
		if !c.group.reaches(to.Addr()) {
			c.out.Unlock()
			return len(b), nil // as a network without a way there
		}
		p = c.peerLocked(to)
	}
	if !p.claimed && !c.out.gone && p.local.IsValid() && isSTUN(b) {
		p.claimed = c.mux.claim(p)
	}
	if !p.relayed {
		p.sendLocked(b)
	}
	c.out.Unlock()
	if p.relayed {
		c.mux.relay.send(b, c.group, to)
	}
	return len(b), nil
}

// peerLocked finds or makes the peer of an address; c.out is held.
func (c *udpConn) peerLocked(to netip.AddrPort) *udpPeer {
	c.out.turn++
	var found, oldest *udpPeer
	for _, p := range c.out.peers {
		if p.remote == to {
			found = p
			break
		}
		if oldest == nil || p.used < oldest.used {
			oldest = p
		}
	}
	if found == nil {
		found = &udpPeer{conn: c, remote: to, relayed: relayed(to.Addr()), sock: c.group.socketFor(to)}
		if !c.group.addr.Addr().IsUnspecified() {
			found.local = c.group.addr.Addr()
		}
		for _, h := range c.out.heard {
			if h.from == to {
				found.local, found.sock = h.to, h.sock
			}
		}
		if !found.relayed {
			found.to.set(found.sock, to, found.local)
		}
		if len(c.out.peers) == maxPeers {
			oldest.flushLocked()
			c.mux.disclaim(oldest)
			for i, p := range c.out.peers {
				if p == oldest {
					c.out.peers[i] = found
				}
			}
		} else {
			c.out.peers = append(c.out.peers, found)
		}
	}
	found.used = c.out.turn
	c.out.last = found
	return found
}

// socketFor spreads addresses that have not been heard of over the sockets; nil
// where there are none.
func (g *Group) socketFor(to netip.AddrPort) *udpSocket {
	if len(g.sockets) == 0 {
		return nil
	}
	return g.sockets[int(to.Port())%len(g.sockets)]
}

// reaches tells whether the sockets may send to an address.
func (g *Group) reaches(to netip.Addr) bool {
	return relayed(to) || len(g.sockets) > 0 && (!g.loopback || to.IsLoopback()) && (to.Is4() || g.addr.Addr().Is6())
}

// forget gives up the addresses that lead to c.
func (c *udpConn) forget() {
	c.out.Lock()
	c.out.gone = true
	peers := slices.Clone(c.out.peers)
	c.out.Unlock()
	c.mux.disclaim(peers...)
}

// end sends what is held, drops what has come, and wakes the readers.
func (c *udpConn) end() {
	c.out.Lock()
	if c.out.ended {
		c.out.Unlock()
		return
	}
	for _, p := range c.out.peers {
		p.flushLocked()
	}
	c.out.ended = true
	c.out.Unlock()
	c.with.remove(c)
	c.forget()
	c.in.Lock()
	c.in.ended = true
	for c.in.size > 0 {
		datagrams.Put(c.in.queue[c.in.first])
		c.in.first = (c.in.first + 1) % len(c.in.queue)
		c.in.size--
	}
	c.in.queue = nil
	c.in.Unlock()
	close(c.done)
}

// udpHandle is one candidate's hold of a connection: several may share it, when
// one address of ours is told under several names.
type udpHandle struct {
	c      *udpConn
	closed chan struct{}
	once   sync.Once
}

// ReadFromAddrPort waits for the next packet. It implements
// ice.AddrPortReaderWriter.
func (h *udpHandle) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	d, err := h.c.pop(h.closed)
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	if isSTUN(d.bytes()) {
		h.c.note(d)
	}
	n, from := copy(b, d.bytes()), d.from
	if n < d.n {
		err = io.ErrShortBuffer
	}
	datagrams.Put(d)
	return n, from, err
}

// WriteToAddrPort implements ice.AddrPortReaderWriter.
func (h *udpHandle) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	return h.c.write(b, to)
}

// ReadFrom is ReadFromAddrPort for those who want a net.Addr.
func (h *udpHandle) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := h.ReadFromAddrPort(b)
	if err != nil {
		return n, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// WriteTo is WriteToAddrPort for those who have a net.Addr.
func (h *udpHandle) WriteTo(b []byte, to net.Addr) (int, error) {
	u, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, fmt.Errorf("udpmux: send: %v is no UDP address", to)
	}
	return h.c.write(b, u.AddrPort())
}

// Close ends this handle's reads, and with the last handle the connection.
func (h *udpHandle) Close() error {
	h.once.Do(func() {
		close(h.closed)
		h.c.mux.release(h.c)
		h.c.wake() // a word of new packets may have gone to the reader that ends
	})
	return nil
}

// LocalAddr is our address.
func (h *udpHandle) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(h.c.local) }

// SetDeadline does nothing, nor do the others: writes do not wait, and Pion
// sets the deadline of reads only before Close.
func (h *udpHandle) SetDeadline(time.Time) error { return nil }

// SetReadDeadline: see SetDeadline.
func (h *udpHandle) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline: see SetDeadline.
func (h *udpHandle) SetWriteDeadline(time.Time) error { return nil }
