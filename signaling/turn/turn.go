// Package turn is the embedded relay for clients whose network lets no UDP
// through to the media port: a TURN server over UDP and over TLS that relays to
// the media of our own nodes and to nothing else. An allocation has no socket:
// its relayed address is one that no network has, and packets pass between it
// and the media of this node by calls. So a stranger with credentials reaches
// no address of the network that the server stands in.
//
// pion/turn was left: it serves in goroutines of its own, where a panic ends
// the process, opens a socket and a goroutine for each allocation, and tells
// permissions apart by address without port. Its client is what the tests use,
// and the codec is pion/stun.
//
// It must not know rooms, tokens or HTTP: who may relay is a credential's matter,
// which Alive is asked about; nor how another node is reached, see link.go.
//
// Obeyed: RFC 8489 (STUN, long-term credentials with MESSAGE-INTEGRITY), RFC 8656
// (TURN; allocations of UDP alone, without EVEN-PORT and RESERVATION-TOKEN),
// draft-uberti-behave-turn-rest-00 (time-limited credentials, here with
// HMAC-SHA256).
package turn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"commsd/internal/netlimit"
)

// Media is where packets go. Its methods are called from many goroutines.
type Media interface {
	// ServesUDP tells whether addr is where a client may reach the media of this
	// node. Nothing is relayed to an address of which it says no.
	ServesUDP(addr netip.AddrPort) bool
	// FromRelay takes a packet from a client to media at to. It does not keep it.
	FromRelay(packet []byte, from, to netip.AddrPort)
	// SetRelay is given what takes the answers: it does not block or keep them.
	SetRelay(out func(packet []byte, from, to netip.AddrPort))
}

// Limits bound what clients may take. Zero means the default.
type Limits struct {
	Allocations        int           // of all clients, 5000
	AllocationsPerUser int           // of one credential's user, 40: a browser takes one for each interface, URL and connection
	BytesPerSecond     int           // of one user, each way, 4 MiB; what is beyond is dropped, as by a slow network
	AllocationLifetime time.Duration // without a refresh, 10 min
	CredentialLifetime time.Duration // 12 h
	Connections        netlimit.Config
}

// Config holds what New needs.
type Config struct {
	// UDP and TCP are what to serve on, TCP with TLS inside. Run closes them. Both
	// may be nil where another listener hands connections to ServeConn.
	UDP *net.UDPConn
	TCP net.Listener
	TLS *tls.Config // for TCP

	URLs   []string // what clients are told: "turn:host:3478?transport=udp"
	Realm  string
	Secret []byte // makes credentials; the same on all nodes
	Media  Media
	// RelayedIPv4 and RelayedIPv6 are the addresses of allocations, which no
	// network has.
	RelayedIPv4, RelayedIPv6 netip.Addr
	// Alive tells whether a user that a credential names may still relay. It is
	// asked before each allocation and refresh, and must not block.
	Alive func(user string) bool
	// Link connects to ServeNode of another node, for the client at an address;
	// nil where there are no others. ErrNoNode refuses the client, whose place is
	// gone with that node; any other error tells it that its relay is full. It is
	// asked as often as clients like.
	Link func(ctx context.Context, node string, client netip.AddrPort) (net.Conn, error)

	Limits     Limits
	Log        *slog.Logger          // nil: slog.Default
	Registerer prometheus.Registerer // may be nil
	Now        func() time.Time      // nil: time.Now
}

// Server relays. Its methods may be called from any goroutine.
type Server struct {
	// Set at construction.
	cfg      Config
	log      *slog.Logger
	now      func() time.Time
	metrics  *metrics
	nonceKey []byte
	stop     context.Context // ends with Run
	stopAll  context.CancelFunc

	byPort [1 << 16]atomic.Pointer[allocation] // by the port of the relayed address

	mu       sync.RWMutex
	running  bool                       // guarded by mu
	datagram map[netip.AddrPort]*client // guarded by mu; UDP clients with an allocation or a link
	users    map[string]*account        // guarded by mu; those with allocations or links
	count    int                        // guarded by mu; allocations, and clients linked to other nodes
	streams  map[*stream]struct{}       // guarded by mu
	serving  sync.WaitGroup             // of streams and links
}

// New validates cfg. It starts nothing.
func New(cfg Config) (*Server, error) {
	switch {
	case len(cfg.Secret) < 16:
		return nil, errors.New("turn: Config.Secret is shorter than 16 bytes")
	case cfg.Media == nil || cfg.Alive == nil:
		return nil, errors.New("turn: Config.Media or Config.Alive is missing")
	case cfg.TCP != nil && cfg.TLS == nil:
		return nil, errors.New("turn: Config.TLS is missing")
	case !cfg.RelayedIPv4.Is4() || !cfg.RelayedIPv6.Is6():
		return nil, errors.New("turn: Config.RelayedIPv4 or RelayedIPv6 is missing")
	}
	l := &cfg.Limits
	setDefault(&l.Allocations, 5000)
	setDefault(&l.AllocationsPerUser, 40)
	setDefault(&l.BytesPerSecond, 4<<20)
	setDefault(&l.AllocationLifetime, 10*time.Minute)
	setDefault(&l.CredentialLifetime, 12*time.Hour)
	l.Allocations = min(l.Allocations, lastPort-firstPort)
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, fmt.Errorf("turn: %w", err)
	}
	s := &Server{
		cfg: cfg, log: cfg.Log, now: cfg.Now, metrics: m, nonceKey: nonceKey(cfg.Secret),
		datagram: make(map[netip.AddrPort]*client), users: make(map[string]*account), streams: make(map[*stream]struct{}),
	}
	s.stop, s.stopAll = context.WithCancel(context.Background())
	return s, nil
}

func setDefault[T int | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// Run serves until ctx ends, then ends all allocations and connections.
func (s *Server) Run(ctx context.Context) error {
	s.mu.Lock()
	s.running = true
	s.mu.Unlock()
	s.cfg.Media.SetRelay(s.fromMedia)
	var loops sync.WaitGroup
	if s.cfg.UDP != nil {
		loops.Go(s.readUDP)
	}
	var limited *netlimit.Listener
	if s.cfg.TCP != nil {
		c := s.cfg.Limits.Connections
		c.Refused = func(remote string) { s.log.Warn("too many TURN connections", "remote", remote) }
		c.Short = func(err error) { s.log.Error("TURN connections cannot be accepted for now", "err", err) }
		limited = netlimit.Wrap(s.cfg.TCP, c)
		loops.Go(func() { s.accept(limited) })
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-ticker.C:
			s.sweep()
		}
	}
	s.stopAll()
	s.mu.Lock()
	s.running = false
	open := make([]*stream, 0, len(s.streams))
	for st := range s.streams {
		open = append(open, st)
	}
	s.mu.Unlock()
	if s.cfg.UDP != nil {
		_ = s.cfg.UDP.Close() // ends the reader
	}
	if limited != nil {
		_ = limited.Close() // ends the accepting
		limited.CloseConns()
	}
	for _, st := range open {
		st.close() // ends its reader
	}
	loops.Wait()
	s.serving.Wait()
	for port := range s.byPort {
		if a := s.byPort[port].Load(); a != nil {
			s.end(a)
		}
	}
	return nil
}

// Allocations is the number of allocations that stand, and of clients that are
// linked to other nodes.
func (s *Server) Allocations() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.count
}

// End ends the allocations of a user who has gone.
func (s *Server) End(user string) {
	s.mu.RLock()
	acc := s.users[user]
	var all []*allocation
	if acc != nil {
		for a := range acc.allocations {
			all = append(all, a)
		}
	}
	s.mu.RUnlock()
	for _, a := range all {
		s.end(a)
	}
}

// sweep ends what has not been refreshed.
func (s *Server) sweep() {
	now := s.now().UnixNano()
	s.mu.RLock()
	var late []*allocation
	for _, acc := range s.users {
		for a := range acc.allocations {
			if a.expires.Load() <= now {
				late = append(late, a)
			}
		}
	}
	s.mu.RUnlock()
	for _, a := range late {
		s.end(a)
	}
}

// readUDP serves the UDP socket until it is closed.
func (s *Server) readUDP() {
	buf := make([]byte, maxMessage)
	for {
		n, from, err := s.cfg.UDP.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // of one packet: a client that is gone, by ICMP
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		s.mu.RLock()
		c := s.datagram[from]
		s.mu.RUnlock()
		if c == nil {
			c = &client{addr: from, way: datagram{s.cfg.UDP, from}}
		}
		s.handle(c, buf[:n])
	}
}

// recovered keeps a panic, which something foreign caused, to the one message
// or connection. It is deferred.
func (s *Server) recovered(where string) {
	if v := recover(); v != nil {
		s.metrics.panics.Inc()
		s.log.Error("panic in the relay", "where", where, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	}
}
