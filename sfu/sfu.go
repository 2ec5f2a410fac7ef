// Package sfu forwards the media of meetings: a selective forwarding unit
// (RFC 7667, 3.7) on Pion. A room has one event loop that owns who is in it
// and who receives what; each participant has one PeerConnection to publish on
// and one to receive on, or one for both; packets go from where a publisher's
// are decrypted straight to its subscribers and never pass through a room's
// loop.
//
// It must not know HTTP, WebSockets, the words of the signalling protocol,
// tokens, accounts or SQL: signaling translates between its events and a wire
// protocol.
//
// Obeyed: RFC 3550 (RTP), 3711 (SRTP), 4585 (NACK, PLI), 5104 (FIR), 6464
// (audio levels), 2198 (RED), 4588 (RTX), 6184 (H.264), 6544 (ICE-TCP), 7741
// (VP8), 7983 (what shares a port), 8285 (header extensions), 8445 (ICE), 8829
// (JSEP), 8830 (msid), 8843 (BUNDLE), 8852 (RIDs), 8853 (simulcast),
// draft-holmer-rmcat-transport-wide-cc-extensions-01.
package sfu

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/prometheus/client_golang/prometheus"

	"commsd/internal/errcode"
	"commsd/sfu/udpmux"
)

// Config holds what New needs. Its zero value serves nothing: at least one of
// the listen addresses must be set.
type Config struct {
	// UDPListen and TCPListen are "host:port" of the one UDP and the one TCP
	// port that all media uses; empty turns the transport off. Port 0 lets the
	// kernel choose.
	UDPListen, TCPListen string
	// LimitTCP puts a limit before a listener of TCPListen: whoever connects is
	// heard before it is known who it is. May be nil.
	LimitTCP func(net.Listener) net.Listener
	// Relayed says that a relay in this process (SetRelay) brings clients. They
	// are told of a UDP candidate, which the relay alone reaches, where UDPListen
	// is empty.
	Relayed bool
	// Advertise lists the IP addresses that clients are told instead of those
	// listened on, for a server behind NAT.
	Advertise []string
	// MachineAddresses makes a listen address on loopback stand for all
	// addresses of this machine as well: browsers without special flags leave
	// loopback out of ICE.
	MachineAddresses bool
	// UDPSockets is how many sockets, each with a reader of its own, share a UDP
	// address; 0 means as many as there are processors, up to 16.
	UDPSockets int
	// SendHold is how long a packet may wait for others of its frame, so that one
	// system call sends them; 0 means 500 µs, less than 0 sends each at once.
	SendHold time.Duration
	// FanOut is the number of a track's subscribers from which on its packets are
	// sent by several processors; 0 means 50, less than 0 never.
	FanOut int
	// MaxParticipants bounds one room on one node; 0 means 1000.
	MaxParticipants int
	// MaxRooms bounds the rooms of this node that CreateRoom adds to; 0 means
	// 10000.
	MaxRooms int
	// ReplayBytes bounds the reliable data packets that a room keeps for those
	// who were not reached; 0 means 1 MiB, less than 0 none.
	ReplayBytes int
	// ResumeWindow is how long a participant keeps its place after its
	// signalling connection broke; 0 means 20 s.
	ResumeWindow time.Duration
	// OneConnectionTracks is with how many published tracks a room is Crowded; 0
	// means 64.
	OneConnectionTracks int
	// MediaTimeout is how long a participant may be without a media connection;
	// 0 means 30 s.
	MediaTimeout time.Duration
	// SpeakerInterval is how often speakers are told; 0 means 400 ms.
	SpeakerInterval time.Duration
	// MaxVoices is how many microphones of a room are heard at a time, the
	// loudest; 0 means 8.
	MaxVoices int
	// QualityInterval is how often the quality of connections is looked at, and
	// told where it changed; 0 means 5 s.
	QualityInterval time.Duration
	// UpdateInterval is how long a change of participants may wait in a room of
	// more than ten, so that many become one message; 0 means 100 ms.
	UpdateInterval time.Duration

	Log        *slog.Logger          // nil: slog.Default
	Registerer prometheus.Registerer // may be nil
}

// Validate names the field at fault.
func (c Config) Validate() error {
	if c.UDPListen == "" && c.TCPListen == "" {
		return errcode.New(errcode.Invalid, "media.udp_listen: set it, or media.tcp_listen; without both no media can flow")
	}
	for name, addr := range map[string]string{"media.udp_listen": c.UDPListen, "media.tcp_listen": c.TCPListen} {
		if addr == "" {
			continue
		}
		if _, err := listenAddr(addr); err != nil {
			return errcode.Wrap(err, errcode.Invalid, "%s: %q is not an IP address and port such as 0.0.0.0:7882", name, addr)
		}
	}
	for _, a := range c.Advertise {
		if ip, err := netip.ParseAddr(a); err != nil || ip.IsUnspecified() {
			return errcode.New(errcode.Invalid, "media.advertise: %q is not an IP address that clients can reach", a)
		}
	}
	return nil
}

// SFU forwards media. Its methods may be called from any goroutine.
type SFU struct {
	// Set at construction.
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	changes *changes
	relay   udpmux.Relay
	ready   chan struct{} // closed once kit is set
	done    chan struct{} // closed once Run has ended
	procs   int           // that packets are sent by

	// Set by Run before ready is closed.
	kit   *kit
	certs []webrtc.Certificate

	running sync.WaitGroup // rooms and closing participants; Run waits for it

	mu       sync.Mutex
	ports    *ports           // guarded by mu; bound sockets
	rooms    map[string]*room // guarded by mu
	draining bool             // guarded by mu
	ran      bool             // guarded by mu
}

// New validates cfg. It starts nothing.
func New(cfg Config) (*SFU, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("sfu: %w", err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.MaxParticipants <= 0 {
		cfg.MaxParticipants = 1000
	}
	if cfg.UDPSockets <= 0 {
		cfg.UDPSockets = runtime.GOMAXPROCS(0)
	}
	cfg.UDPSockets = min(cfg.UDPSockets, udpmux.MaxSockets)
	if cfg.SendHold == 0 {
		cfg.SendHold = udpmux.DefaultHold
	}
	if cfg.FanOut == 0 {
		cfg.FanOut = defaultFanOut
	}
	if cfg.OneConnectionTracks <= 0 {
		cfg.OneConnectionTracks = 64
	}
	if cfg.ResumeWindow == 0 {
		cfg.ResumeWindow = 20 * time.Second
	}
	if cfg.MediaTimeout == 0 {
		cfg.MediaTimeout = 30 * time.Second
	}
	if cfg.SpeakerInterval == 0 {
		cfg.SpeakerInterval = 400 * time.Millisecond
	}
	if cfg.ReplayBytes == 0 {
		cfg.ReplayBytes = 1 << 20
	}
	if cfg.MaxRooms <= 0 {
		cfg.MaxRooms = 10000
	}
	if cfg.MaxVoices <= 0 {
		cfg.MaxVoices = 8
	}
	if cfg.QualityInterval == 0 {
		cfg.QualityInterval = 5 * time.Second
	}
	if cfg.UpdateInterval == 0 {
		cfg.UpdateInterval = 100 * time.Millisecond
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, fmt.Errorf("sfu: %w", err)
	}
	s := &SFU{
		cfg: cfg, log: cfg.Log, metrics: m, changes: newChanges(),
		ready: make(chan struct{}), done: make(chan struct{}), rooms: make(map[string]*room), procs: runtime.GOMAXPROCS(0),
	}
	for _, a := range cfg.Advertise {
		addr, err := netip.ParseAddr(a)
		if err != nil {
			return nil, fmt.Errorf("sfu: media.advertise: %w", err)
		}
		s.relay.Advertise = append(s.relay.Advertise, addr.Unmap())
	}
	return s, nil
}

// Listen binds the ports, so that one in use is known before anything runs.
// The error names the configuration key. Run calls it where it was not called;
// after it, Run must be called to release them.
func (s *SFU) Listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ports != nil {
		return nil
	}
	p, err := listen(s.cfg)
	if err != nil {
		return err
	}
	s.ports = p
	return nil
}

// Ready is closed once participants can join.
func (s *SFU) Ready() <-chan struct{} { return s.ready }

// Run serves until ctx ends; then it ends every participant's place and
// releases the ports. It may be called once.
func (s *SFU) Run(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.ran {
		s.mu.Unlock()
		return fmt.Errorf("sfu: run twice")
	}
	s.ran = true
	p := s.ports
	s.mu.Unlock()
	defer close(s.done)
	defer p.close()

	if ctx.Err() != nil {
		return nil // only to release the ports of a start that failed
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("sfu: make DTLS key: %w", err)
	}
	cert, err := webrtc.GenerateCertificate(key)
	if err != nil {
		return fmt.Errorf("sfu: make DTLS certificate: %w", err)
	}
	s.certs = []webrtc.Certificate{*cert}
	if s.kit, err = newKit(s.cfg, p, &s.relay, s.metrics, s.log); err != nil {
		return err
	}
	close(s.ready)
	s.log.Info("media is served", "udp", p.udpAddrs(), "tcp", p.tcpAddrs(), "advertise", s.cfg.Advertise)
	<-ctx.Done()
	s.closeAll(ActionDisconnect)
	s.running.Wait()
	return nil
}

// Drain refuses further joins and tells every client to join again, which a
// balancer leads to another node or a restarted server answers.
func (s *SFU) Drain() { s.closeAll(ActionReconnect) }

func (s *SFU) closeAll(action Action) {
	s.mu.Lock()
	s.draining = true
	rooms := make([]*room, 0, len(s.rooms))
	for _, r := range s.rooms {
		rooms = append(rooms, r)
	}
	s.mu.Unlock()
	for _, r := range rooms {
		r.post(roomClosed{reason: ReasonShutdown, action: action})
	}
}

// JoinRequest asks for a place in a room.
type JoinRequest struct {
	Room       string
	Identity   string
	Name       string
	Metadata   string
	Attributes map[string]string
	Permission Permission
	// AutoSubscribe receives every track without asking for it.
	AutoSubscribe bool
	// StreamPerTrack gives each track a stream of its own, for Firefox, which
	// keeps the stream's name but not the track's.
	StreamPerTrack bool
	// FullICE checks the ways to the client, as well as answering its checks (RFC
	// 8445, 2.5): for Firefox, which does not come through to a lite server.
	FullICE bool
	// OneConnection publishes and receives on one connection, which the client
	// offers, instead of one for each.
	OneConnection bool
	// Offer is the client's first, where it came with the request.
	Offer *Offer
	// Events gets what the client must hear, EventJoined first and EventLeft
	// last; a full room and a stopping server send EventLeft alone. It is called
	// from several goroutines, must be safe for that, and must not block.
	Events func(Event)
	// Route decides about each data packet the participant sends: what is
	// forwarded and to whom, and whether at all. It is called from the
	// connection's goroutines.
	Route func(kind DataKind, data []byte) (out Data, ok bool)
}

// Offer is a client's offer.
type Offer struct {
	SDP string
	ID  uint32
}

// Join takes a place in a room, which comes to life with its first
// participant. A participant of the same identity loses its place. The error
// is errcode.Unavailable while the SFU starts, drains or has stopped.
func (s *SFU) Join(ctx context.Context, req JoinRequest) (*Participant, error) {
	select {
	case <-s.ready:
	case <-ctx.Done():
		return nil, errcode.Wrap(ctx.Err(), errcode.Unavailable, "media is not served yet")
	}
	r, err := s.room(req.Room, true)
	if err != nil {
		return nil, err
	}
	p := newParticipant(r, req)
	if !r.post(joined{p}) {
		return nil, errcode.New(errcode.Unavailable, "the room is closing")
	}
	return p, nil
}

// room finds a room, or makes it. The caller must post an event that takes the
// room's expected count down again: it keeps the room alive until then.
func (s *SFU) room(name string, fresh bool) (*room, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.rooms[name]
	switch {
	case s.draining:
		return nil, errcode.New(errcode.Unavailable, "the server is stopping")
	case !ok && !fresh:
		return nil, errNoRoom
	case !ok:
		r = newRoom(s, name)
		s.rooms[name] = r
		s.metrics.rooms.Inc()
		s.running.Go(r.run)
	}
	r.expected++
	return r, nil
}

// CloseRoom ends the place of everybody in room. It reports whether the room
// is live.
func (s *SFU) CloseRoom(room string) bool {
	s.mu.Lock()
	r, ok := s.rooms[room]
	s.mu.Unlock()
	return ok && r.post(roomClosed{reason: ReasonRoomClosed, action: ActionDisconnect})
}

// MoveRoom ends the place of everybody in room, whose clients are to join
// again: the room is another node's from now on.
func (s *SFU) MoveRoom(room string) {
	s.mu.Lock()
	r, ok := s.rooms[room]
	s.mu.Unlock()
	if ok {
		r.post(roomClosed{reason: ReasonShutdown, action: ActionReconnect})
	}
}

// Crowded reports whether a newcomer to room should take two connections: who
// has one repeats the sections of all that it receives in each of its offers.
func (s *SFU) Crowded(room string) bool {
	s.mu.Lock()
	r, ok := s.rooms[room]
	s.mu.Unlock()
	return ok && int(r.published.Load()) >= s.cfg.OneConnectionTracks
}

// Inside lists the identities of those in room, in no order.
func (s *SFU) Inside(room string) []string {
	s.mu.Lock()
	r, ok := s.rooms[room]
	s.mu.Unlock()
	if !ok {
		return nil
	}
	members := *r.members.Load()
	out := make([]string, 0, len(members))
	for _, p := range members {
		out = append(out, p.identity)
	}
	return out
}

// Ports returns the addresses that are listened on, for tests and for the
// connection self-test; empty before Listen.
func (s *SFU) Ports() (udp, tcp []netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ports == nil {
		return nil, nil
	}
	return s.ports.udpAddrs(), s.ports.tcpAddrs()
}

// newID returns prefix and 16 random characters.
func newID(prefix string) string { return prefix + rand.Text()[:16] }
