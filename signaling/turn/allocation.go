package turn

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/stun/v4"
)

const (
	// The ports of relayed addresses. 1024 may be that of media which has no other.
	firstPort, lastPort = 1025, 65535
	// maxPeers bounds the addresses of media that one allocation sends to: those of
	// a node's interfaces.
	maxPeers = 16
	// RFC 8656, 9 and 12.
	permissionLife = 5 * time.Minute
	channelLife    = 10 * time.Minute
)

// way is how messages get to a client. Its methods do not block and keep
// nothing; what cannot be sent at once is lost.
type way interface {
	send(message []byte)
	sendChannel(number uint16, payload []byte)
}

// client is where messages come from: one address over UDP, or one connection.
// One goroutine reads a client's messages.
type client struct {
	addr     netip.AddrPort // as we see it, or the node that hands it on
	way      way
	handedOn bool // by another node: it is not handed on again
	// link is not nil while another node serves the client.
	link atomic.Pointer[stream]
	// alloc is nil before the first allocation and after its end.
	alloc atomic.Pointer[allocation]
}

// allocation is a relayed address (RFC 8656, 5).
type allocation struct {
	// Set at construction.
	user        string
	account     *account
	client      *client
	relay       netip.AddrPort
	transaction [stun.TransactionIDSize]byte // of the request that made it

	expires atomic.Int64 // ns since 1970
	peers   atomic.Pointer[[]*peer]
	last    atomic.Pointer[peer] // what the client sent to last

	mu    sync.Mutex // held to change peers
	ended bool       // guarded by Server.mu
}

// peer is an address of media that an allocation may send to.
type peer struct {
	addr      netip.AddrPort
	permitted atomic.Int64  // until, ns since 1970
	channel   atomic.Uint32 // its number, 0 for none
	bound     atomic.Int64  // until, ns since 1970
}

// channelAt returns the peer's channel where one is bound.
func (p *peer) channelAt(now int64) (uint16, bool) {
	n := p.channel.Load()
	return uint16(n), n != 0 && now < p.bound.Load()
}

// peer returns what is known of addr; nil before it was permitted or after.
func (a *allocation) peer(addr netip.AddrPort, now int64) *peer {
	for _, p := range *a.peers.Load() {
		if p.addr == addr && now < p.permitted.Load() {
			return p
		}
	}
	return nil
}

// byChannel returns the peer that a channel is bound to.
func (a *allocation) byChannel(number uint16, now int64) *peer {
	for _, p := range *a.peers.Load() {
		if n, ok := p.channelAt(now); ok && n == number && now < p.permitted.Load() {
			return p
		}
	}
	return nil
}

// permit makes or renews a permission. It answers nil when there are too many.
func (a *allocation) permit(addr netip.AddrPort, now int64) *peer {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := *a.peers.Load()
	until := now + int64(permissionLife)
	for _, p := range all {
		if p.addr == addr {
			p.permitted.Store(until)
			return p
		}
	}
	if len(all) == maxPeers {
		return nil
	}
	p := &peer{addr: addr}
	p.permitted.Store(until)
	all = append(slices.Clone(all), p)
	a.peers.Store(&all)
	return p
}

// bind binds a channel to a permitted peer, or renews it. It answers false for
// a number or a peer that is bound otherwise (RFC 8656, 12.2).
func (a *allocation) bind(p *peer, number uint16, now int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, other := range *a.peers.Load() {
		n, ok := other.channelAt(now)
		if ok && (other == p) != (n == number) {
			return false
		}
	}
	p.channel.Store(uint32(number))
	p.bound.Store(now + int64(channelLife))
	return true
}

// permittedIP tells whether the client has a permission for any port of an
// address: that is what RFC 8656 gives permissions for.
func (a *allocation) permittedIP(addr netip.Addr, now int64) bool {
	for _, p := range *a.peers.Load() {
		if p.addr.Addr() == addr && now < p.permitted.Load() {
			return true
		}
	}
	return false
}

// account is what one user takes.
type account struct {
	allocations map[*allocation]struct{} // guarded by Server.mu
	links       int                      // guarded by Server.mu; to other nodes
	in, out     bucket
}

// bucket lets through so many bytes a second, and a second's worth at once.
type bucket struct {
	mu   sync.Mutex
	left float64 // guarded by mu
	at   int64   // guarded by mu; ns since 1970
}

func (b *bucket) take(n, perSecond int, now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now > b.at {
		b.left = min(float64(perSecond), b.left+float64(now-b.at)*float64(perSecond)/1e9)
		b.at = now
	}
	if b.left < float64(n) {
		return false
	}
	b.left -= float64(n)
	return true
}

// The refusals of accountLocked.
const (
	refusedUser  = "user_quota"
	refusedTotal = "capacity"
)

// accountLocked returns the account of a user who may take one more. why says
// which limit that is over.
func (s *Server) accountLocked(user string) (acc *account, why string) {
	acc = s.users[user]
	switch {
	case !s.running || s.count >= s.cfg.Limits.Allocations:
		return nil, refusedTotal
	case acc != nil && len(acc.allocations)+acc.links >= s.cfg.Limits.AllocationsPerUser:
		return nil, refusedUser
	case acc == nil:
		acc = &account{allocations: make(map[*allocation]struct{})}
		acc.in.left, acc.out.left = float64(s.cfg.Limits.BytesPerSecond), float64(s.cfg.Limits.BytesPerSecond)
		s.users[user] = acc
	}
	return acc, ""
}

// dropAccountLocked forgets the account of a user who has nothing any more.
func (s *Server) dropAccountLocked(user string, acc *account) {
	if len(acc.allocations)+acc.links == 0 {
		delete(s.users, user)
	}
}

// allocate makes an allocation for c. why says which limit it is over.
func (s *Server) allocate(c *client, user string, ip netip.Addr, transaction [stun.TransactionIDSize]byte, life time.Duration) (a *allocation, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	acc, why := s.accountLocked(user)
	if why != "" {
		return nil, why
	}
	// There are more ports than allocations may be, so that one is found soon.
	port := firstPort + rand.IntN(lastPort-firstPort+1)
	for s.byPort[port].Load() != nil {
		if port++; port > lastPort {
			port = firstPort
		}
	}
	a = &allocation{
		user: user, account: acc, client: c, relay: netip.AddrPortFrom(ip, uint16(port)), transaction: transaction,
	}
	a.peers.Store(&[]*peer{})
	a.expires.Store(s.now().Add(life).UnixNano())
	acc.allocations[a] = struct{}{}
	s.count++
	s.metrics.allocations.Inc()
	if _, ok := c.way.(datagram); ok {
		s.datagram[c.addr] = c
	}
	c.alloc.Store(a)
	s.byPort[port].Store(a)
	return a, ""
}

// end takes an allocation away. It may be called more than once.
func (s *Server) end(a *allocation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.ended {
		return
	}
	a.ended = true
	s.byPort[a.relay.Port()].Store(nil)
	a.client.alloc.Store(nil)
	if s.datagram[a.client.addr] == a.client {
		delete(s.datagram, a.client.addr)
	}
	delete(a.account.allocations, a)
	s.dropAccountLocked(a.user, a.account)
	s.count--
	s.metrics.allocations.Dec()
}

// toMedia relays a packet of the client's.
func (s *Server) toMedia(a *allocation, p *peer, payload []byte, now int64) {
	if !a.account.in.take(len(payload), s.cfg.Limits.BytesPerSecond, now) {
		s.metrics.dropped.Inc()
		return
	}
	a.last.Store(p)
	s.metrics.toMedia.Add(float64(len(payload)))
	s.cfg.Media.FromRelay(payload, a.relay, p.addr)
}

// fromMedia relays a packet of media to the client at a relayed address.
func (s *Server) fromMedia(payload []byte, from, to netip.AddrPort) {
	defer s.recovered("from media")
	a := s.byPort[to.Port()].Load()
	if a == nil || a.relay.Addr() != to.Addr() || len(payload) > maxPayload {
		return
	}
	now := s.now().UnixNano()
	p := a.peer(from, now)
	if p == nil {
		// Media knows itself by the address of its socket, the client by the one that
		// is advertised: it answers what came last.
		if p = a.last.Load(); p == nil || now >= p.permitted.Load() {
			return
		}
	}
	if now >= a.expires.Load() {
		return
	}
	if !a.account.out.take(len(payload), s.cfg.Limits.BytesPerSecond, now) {
		s.metrics.dropped.Inc()
		return
	}
	s.metrics.fromMedia.Add(float64(len(payload)))
	if number, ok := p.channelAt(now); ok {
		a.client.way.sendChannel(number, payload)
		return
	}
	if m, err := dataIndication(p.addr, payload); err == nil {
		a.client.way.send(m.Raw)
	}
}

// datagram is the way to a client over UDP.
type datagram struct {
	conn *net.UDPConn
	to   netip.AddrPort
}

func (d datagram) send(message []byte) {
	_, _ = d.conn.WriteToUDPAddrPort(message, d.to) // lost, as any datagram may be
}

var frames = sync.Pool{New: func() any { b := make([]byte, 0, channelHeader+maxPayload); return &b }}

func (d datagram) sendChannel(number uint16, payload []byte) {
	b := frames.Get().(*[]byte)
	*b = append(appendChannelHeader((*b)[:0], number, len(payload)), payload...)
	d.send(*b)
	frames.Put(b)
}
