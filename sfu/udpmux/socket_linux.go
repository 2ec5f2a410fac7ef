package udpmux

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	udpBatchSize = 32  // packets read at once
	oobSize      = 128 // bytes for a packet's control messages
)

// udpSocket is one bound socket.
type udpSocket struct {
	conn     *net.UDPConn
	raw      syscall.RawConn
	group    *Group
	six      bool        // takes addresses of IPv6, IPv4's mapped into it
	wildcard bool        // is told, and tells, which of our addresses a packet uses
	segments atomic.Bool // the kernel, and the way out, can do segmentation
	holding  holding
}

// Listen binds count sockets to one address, fewer where the kernel has no
// more. The first is bound alone, so that another server's port is found to be
// taken, and shared after that.
func Listen(network string, addr netip.AddrPort, count int) (*Group, error) {
	first, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	at := first.LocalAddr().(*net.UDPAddr).AddrPort()
	g := &Group{addr: canonical(at)}
	conns := []*net.UDPConn{first}
	raw, err := first.SyscallConn()
	if err == nil && count > 1 && share(raw) == nil {
		lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return share(c) }}
		for len(conns) < count {
			c, err := lc.ListenPacket(context.Background(), network, at.String())
			if err != nil {
				break
			}
			conns = append(conns, c.(*net.UDPConn))
		}
	}
	for _, c := range conns {
		// What the kernel grants is enough to go on with.
		_ = c.SetReadBuffer(socketBuffer)
		_ = c.SetWriteBuffer(socketBuffer)
		raw, err := c.SyscallConn()
		if err != nil {
			return nil, errors.Join(err, g.Close())
		}
		s := &udpSocket{conn: c, raw: raw, group: g, six: at.Addr().Is6(), wildcard: at.Addr().IsUnspecified()}
		s.holding.wake = make(chan struct{}, 1)
		g.sockets = append(g.sockets, s)
		if err := s.configure(); err != nil {
			return nil, errors.Join(err, g.Close())
		}
	}
	return g, nil
}

func share(c syscall.RawConn) error {
	var err error
	if e := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }); e != nil {
		return e
	}
	return err
}

// configure asks for the packets' own addresses at a wildcard, and finds out
// whether the kernel knows UDP_SEGMENT.
func (s *udpSocket) configure() error {
	var err error
	e := s.raw.Control(func(fd uintptr) {
		if s.wildcard && s.six {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		} else if s.wildcard {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		}
		_, no := unix.GetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT)
		s.segments.Store(no == nil)
	})
	return errors.Join(e, err)
}

// udpBatch is room for what one system call reads. It belongs to one reader.
type udpBatch struct {
	slots [udpBatchSize]*datagram

	sock  *udpSocket
	heads [udpBatchSize]unix.Mmsghdr
	iovs  [udpBatchSize]unix.Iovec
	names [udpBatchSize]unix.RawSockaddrInet6
	oobs  [udpBatchSize][oobSize]byte
	recv  func(fd uintptr) bool
	count int
	errno syscall.Errno
}

func newUDPBatch(s *udpSocket) *udpBatch {
	b := &udpBatch{sock: s}
	for i := range b.slots {
		h := &b.heads[i].Hdr
		h.Name, h.Iov = (*byte)(unsafe.Pointer(&b.names[i])), &b.iovs[i]
		h.SetIovlen(1)
		b.renew(i)
	}
	b.recv = func(fd uintptr) bool {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.heads[0])), udpBatchSize, unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EAGAIN {
			return false // wait
		}
		b.count, b.errno = int(n), errno
		return true
	}
	return b
}

// renew puts a fresh packet in the place of one that has been handed on.
func (b *udpBatch) renew(i int) {
	d := datagrams.Get().(*datagram)
	b.slots[i] = d
	b.iovs[i].Base = &d.buf[0]
	b.iovs[i].SetLen(len(d.buf))
}

func (b *udpBatch) free() {
	for _, d := range b.slots {
		datagrams.Put(d)
	}
}

// read waits for packets, and returns how many slots it has filled. A slot with
// no bytes is to be passed over.
func (b *udpBatch) read() (int, error) {
	for i := range b.heads {
		h := &b.heads[i].Hdr
		h.Namelen = unix.SizeofSockaddrInet6
		if b.sock.wildcard {
			h.Control = &b.oobs[i][0]
			h.SetControllen(oobSize)
		}
	}
	if err := b.sock.raw.Read(b.recv); err != nil {
		return 0, net.ErrClosed // it fails for no other reason
	}
	if b.errno == unix.EINTR {
		return 0, nil
	}
	if b.errno != 0 {
		return 0, b.errno
	}
	for i := range b.count {
		d, h := b.slots[i], &b.heads[i]
		d.n, d.sock = int(h.Len), b.sock
		if h.Hdr.Flags&unix.MSG_TRUNC != 0 {
			d.n = 0
			continue
		}
		d.from = readName(&b.names[i])
		d.to = b.sock.group.addr.Addr()
		if b.sock.wildcard {
			if to := pathOf(b.oobs[i][:min(int(h.Hdr.Controllen), oobSize)]); to.IsValid() {
				d.to = to
			}
		}
	}
	return b.count, nil
}

// readName reads what the kernel wrote as a packet's address.
func readName(n *unix.RawSockaddrInet6) netip.AddrPort {
	if n.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(n))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), swap(v4.Port))
	}
	addr := netip.AddrFrom16(n.Addr).Unmap()
	if n.Scope_id != 0 && addr.IsLinkLocalUnicast() {
		addr = addr.WithZone(strconv.FormatUint(uint64(n.Scope_id), 10))
	}
	return netip.AddrPortFrom(addr, swap(n.Port))
}

// swap turns a port from the network's order into ours, and back.
func swap(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}

// pathOf reads which of our addresses a packet came to (ip(7), IP_PKTINFO;
// RFC 3542, 6.1).
func pathOf(oob []byte) netip.Addr {
	for len(oob) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			break
		}
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			return netip.AddrFrom4([4]byte(data[8:12])) // ipi_addr
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			return netip.AddrFrom16([16]byte(data)).Unmap()
		}
		oob = rest
	}
	return netip.Addr{}
}

// sockaddr is an address to send to, and by which of ours, as the kernel reads
// it.
type sockaddr struct {
	_     [0]uint64 // aligns oob
	name  unix.RawSockaddrInet6
	size  uint32
	oob   [64]byte // a message that names our address, and room for the segments'
	oobn  int
	plain bool // segments do not get through
}

// segments tells whether runs can be sent.
func (a *sockaddr) segments(s *udpSocket) bool { return !a.plain && s.segments.Load() }

// set writes the address to, and at a wildcard ours.
func (a *sockaddr) set(s *udpSocket, to netip.AddrPort, local netip.Addr) {
	*a = sockaddr{}
	if !s.six {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a.name))
		*v4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: swap(to.Port()), Addr: to.Addr().As4()}
		a.size = unix.SizeofSockaddrInet4
	} else {
		zone, _ := strconv.ParseUint(to.Addr().Zone(), 10, 32) // readName's; 0: any
		a.name = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: swap(to.Port()), Addr: to.Addr().As16(), Scope_id: uint32(zone)}
		a.size = unix.SizeofSockaddrInet6
	}
	if !s.wildcard || !local.IsValid() || local.IsMulticast() {
		return
	}
	if s.six {
		data := a.message(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
		ip := local.As16()
		copy(data, ip[:])
	} else {
		data := a.message(unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		ip := local.As4()
		copy(data[4:], ip[:]) // ipi_spec_dst
	}
}

// message begins a control message and returns its body.
func (a *sockaddr) message(level, kind int32, size int) []byte {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&a.oob[a.oobn]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(size))
	body := a.oob[a.oobn+unix.CmsgLen(0):][:size]
	a.oobn += unix.CmsgSpace(size)
	return body
}

// udpSender makes the system calls of one connection, one at a time.
type udpSender struct {
	head  unix.Msghdr
	iov   unix.Iovec
	call  func(fd uintptr)
	errno syscall.Errno
}

// init is called once the sender is where it stays.
func (u *udpSender) init() {
	u.head.Iov = &u.iov
	u.head.SetIovlen(1)
	u.call = func(fd uintptr) {
		_, _, u.errno = unix.Syscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&u.head)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	}
}

func (u *udpSender) send(p *udpPeer, b []byte, oobn int) syscall.Errno {
	u.head.Name, u.head.Namelen = (*byte)(unsafe.Pointer(&p.to.name)), p.to.size
	u.head.Control = nil
	if oobn > 0 {
		u.head.Control = &p.to.oob[0]
	}
	u.head.SetControllen(oobn)
	u.iov.Base = &b[0]
	u.iov.SetLen(len(b))
	if err := p.sock.raw.Control(u.call); err != nil {
		u.errno = unix.EBADF
	}
	u.head.Name, u.head.Control, u.iov.Base = nil, nil, nil
	return u.errno
}

// one sends a packet. What the kernel does not take is lost, as it would be a
// moment later on a full line.
func (u *udpSender) one(p *udpPeer, b []byte) {
	if len(b) == 0 {
		return
	}
	m := p.conn.mux.metrics
	m.Sends.Inc()
	if errno := u.send(p, b, p.to.oobn); errno != 0 {
		m.Unsent.Inc()
	}
}

// run sends packets of one size, of which the last may be shorter. Where the
// way out cannot do that they go one by one.
func (u *udpSender) run(p *udpPeer, b []byte, size int) {
	if len(b) > size && !p.to.plain {
		kept := p.to.oobn
		binary.NativeEndian.PutUint16(p.to.message(unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2), uint16(size))
		errno := u.send(p, b, p.to.oobn)
		p.to.oobn = kept
		m := p.conn.mux.metrics
		switch errno {
		case 0:
			m.Sends.Inc()
			return
		case unix.EIO: // the device cannot checksum
			p.sock.segments.Store(false)
		case unix.EINVAL, unix.EMSGSIZE, unix.EOPNOTSUPP: // a packet is longer than the path takes whole
			p.to.plain = true
		default:
			m.Sends.Inc()
			m.Unsent.Add(float64((len(b) + size - 1) / size))
			return
		}
	}
	for len(b) > 0 {
		n := min(size, len(b))
		u.one(p, b[:n])
		b = b[n:]
	}
}
