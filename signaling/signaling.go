// Package signaling speaks LiveKit's meeting protocol, versions 1 (one
// PeerConnection) and 0 (two), with stock client SDKs over a WebSocket, and
// drives an SFU with it. docs/protocols/meeting.md lists what is supported,
// message by message.
//
// It must not know what a meeting is to officials, nor who may join one: a
// token's claims are put before an Admission at every join, resume and refresh.
package signaling

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/accesstoken"
	lk "commsd/internal/lkproto"
	"commsd/sfu"
	"commsd/signaling/owner"
	"commsd/signaling/turn"
)

// Admission decides whether the holder of a token, whose signature has been
// checked, may be in its room now. Errors: nil lets in; errcode.Forbidden,
// Gone and NotFound say why not; any other error refuses without a reason. It
// may be called from many goroutines.
type Admission interface {
	Admit(ctx context.Context, claims accesstoken.Claims) error
}

// Config holds what New needs. All fields are required unless said otherwise.
type Config struct {
	// Keys returns the secret of an API key. It may be called from many
	// goroutines.
	Keys      func(key string) ([]byte, bool)
	Admission Admission
	SFU       *sfu.SFU
	// TURN is the relay that clients are told of; nil where there is none.
	TURN *turn.Server

	// Owner decides which of several nodes a room lives on; nil: this one is
	// alone. Run runs it.
	Owner *owner.Owner
	// Peers is how this node proves to others that it is one; required with
	// Owner.
	Peers *tls.Config

	// OperatorRoom tells whether the room service may touch a room: it is an
	// operator's, and no meeting's. nil: there is no room service.
	OperatorRoom func(room string) bool
	// Audit has the audit log keep what the room service did, or refused. It may
	// be called from many goroutines. nil: nothing is kept.
	Audit func(ctx context.Context, e audit.Event) error
	// CallsPerSecond is how many calls of the room service one API key may make
	// lastingly, and four times that at once; 0 means 50.
	CallsPerSecond float64

	// Node names this node in logs of clients; empty is fine.
	Node string
	// RefreshEvery is how often a client gets a new token; 0 means 5 min.
	RefreshEvery time.Duration
	// TokenLife is how long such a token holds; 0 means 10 min.
	TokenLife time.Duration
	// PingEvery is how often the server pings a socket (RFC 6455, 5.5.2); 0
	// means 10 s. PongTimeout is how long a client may then be silent before its
	// socket ends; 0 means 10 s. Clients send pings of the protocol every 5 s,
	// which count as well.
	PingEvery, PongTimeout time.Duration

	Log        *slog.Logger          // nil: slog.Default
	Registerer prometheus.Registerer // may be nil
	Now        func() time.Time      // nil: time.Now
}

// Service answers the protocol. Its methods may be called from any goroutine.
type Service struct {
	// Set at construction.
	cfg      Config
	log      *slog.Logger
	now      func() time.Time
	metrics  *metrics
	rates    keyRates
	joins    joinRates
	removals removals
	peers    *http.Transport // reaches other nodes; nil: there are none
	relays   otherNodes      // that clients of the relay are handed on to

	mu       sync.Mutex
	sessions map[string]*session // guarded by mu; by participant SID
	stopping bool                // guarded by mu; no socket is taken any more
	watched  map[string]*watched // guarded by mu; nodes that requests are handed on to, by their ids

	revocations atomic.Uint64  // calls of Revoke and CloseRoom
	sockets     sync.WaitGroup // handlers of open sockets; Run waits for it
	watching    sync.WaitGroup // of nodes; likewise
	stop        context.Context
	stopAll     context.CancelFunc
	tunnels     context.Context // of sockets that other nodes serve
	cutTunnels  context.CancelFunc
}

// New validates cfg. It starts nothing.
func New(cfg Config) (*Service, error) {
	switch {
	case cfg.Keys == nil:
		return nil, errors.New("signaling: Config.Keys is missing")
	case cfg.Admission == nil:
		return nil, errors.New("signaling: Config.Admission is missing")
	case cfg.SFU == nil:
		return nil, errors.New("signaling: Config.SFU is missing")
	case cfg.Owner != nil && cfg.Peers == nil:
		return nil, errors.New("signaling: Config.Peers is missing")
	}
	if cfg.CallsPerSecond == 0 {
		cfg.CallsPerSecond = 50
	}
	if cfg.RefreshEvery == 0 {
		cfg.RefreshEvery = 5 * time.Minute
	}
	if cfg.TokenLife == 0 {
		cfg.TokenLife = 10 * time.Minute
	}
	if cfg.PingEvery == 0 {
		cfg.PingEvery = 10 * time.Second
	}
	if cfg.PongTimeout == 0 {
		cfg.PongTimeout = 10 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, fmt.Errorf("signaling: %w", err)
	}
	s := &Service{
		cfg: cfg, log: cfg.Log, now: cfg.Now, metrics: m, peers: newPeers(cfg),
		rates: keyRates{by: make(map[string]*rate)}, joins: joinRates{by: make(map[string]*rate)}, removals: removals{by: make(map[removedFrom]removal)},
		sessions: make(map[string]*session), watched: make(map[string]*watched),
	}
	s.stop, s.stopAll = context.WithCancel(context.Background())
	s.tunnels, s.cutTunnels = context.WithCancel(s.stop)
	return s, nil
}

// Run keeps sockets open until ctx ends, then closes them and waits for their
// handlers. The SFU must still be running meanwhile.
func (s *Service) Run(ctx context.Context) error {
	var owning sync.WaitGroup
	owned, endOwning := context.WithCancel(context.WithoutCancel(ctx))
	defer endOwning()
	failed := make(chan error, 1)
	if s.cfg.Owner != nil {
		defer s.peers.CloseIdleConnections()
		owning.Go(func() { failed <- s.cfg.Owner.Run(owned, s.loseRooms) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.refuseMore()
	s.end()
	s.sockets.Wait()
	s.watching.Wait()
	if s.cfg.Owner != nil {
		// A node that does not renew its lease any more serves nobody.
		s.cfg.SFU.Drain()
		last, cancel := context.WithTimeout(owned, 2*time.Second)
		s.cfg.Owner.Drain(last)
		cancel()
	}
	endOwning()
	owning.Wait()
	return err
}

func (s *Service) refuseMore() {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
}

// end ends whatever runs under s.stop. It holds mu, so that no node is watched
// any more once Run waits for those that are.
func (s *Service) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopAll()
}

// begin has Run wait for a handler, which calls s.sockets.Done at its end. It
// reports false when no more are let in.
func (s *Service) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.sockets.Add(1)
	return true
}

func (s *Service) isStopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

// Drain tells every client to join again, which a balancer leads to another
// node or this one answers once it is back, gives up the rooms as soon as nobody
// is in them, and returns when the sockets have closed or ctx ends.
func (s *Service) Drain(ctx context.Context) {
	s.refuseMore()
	s.cutTunnels() // those clients resume their places through another node
	s.cfg.SFU.Drain()
	var done sync.WaitGroup
	if s.cfg.Owner != nil {
		done.Go(func() { s.cfg.Owner.Drain(ctx) })
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.sockets.Wait()
	}()
	select {
	case <-closed:
	case <-ctx.Done():
		s.end() // so that the wait above ends too
		<-closed
	}
	done.Wait()
}

// Revoke ends the places of an account, of one of its sessions, or those that
// were taken in a position that was lent. In an own position a place is the
// person's, who stays when the post ends.
func (s *Service) Revoke(r identity.Revocation) {
	s.revocations.Add(1)
	s.mu.Lock()
	var hit []*session
	for _, ses := range s.sessions {
		c := ses.currentClaims()
		if c.Account != "" && c.Account == r.Account && (r.Session == "" || r.Session == c.Session) &&
			(r.Position == "" || r.Position == c.Position) {
			hit = append(hit, ses)
		}
	}
	s.mu.Unlock()
	for _, ses := range hit {
		ses.p.End(sfu.ReasonRemoved, sfu.ActionDisconnect)
	}
}

// Changed waits until somebody has come into a room of this node or left one,
// and names the rooms where that happened since the last call: of several nodes
// the one that has a room follows it. One caller at a time.
func (s *Service) Changed(ctx context.Context) ([]string, error) { return s.cfg.SFU.Changed(ctx) }

func (s *Service) session(sid string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[sid]
}

// keep gives ses its place, unless its holder has no further one in the room.
func (s *Service) keep(ses *session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.placeForLocked(ses.currentClaims()); err != nil {
		return err
	}
	s.sessions[ses.p.SID()] = ses
	return nil
}

func (s *Service) forget(sid string) {
	s.mu.Lock()
	delete(s.sessions, sid)
	s.mu.Unlock()
	if s.cfg.TURN != nil {
		s.cfg.TURN.End(sid)
	}
}

// Alive tells whether a participant has its place on this node: a relay serves
// nobody else.
func (s *Service) Alive(sid string) bool { return s.session(sid) != nil }

// iceServers is what a participant is told: the relay that the operator named,
// and never a STUN or TURN server of anybody else's.
func (s *Service) iceServers(sid, node string) []*lk.ICEServer {
	if s.cfg.TURN == nil {
		return nil
	}
	c := s.cfg.TURN.Credential(sid, node)
	return []*lk.ICEServer{{Urls: c.URLs, Username: c.Username, Credential: c.Credential}}
}
