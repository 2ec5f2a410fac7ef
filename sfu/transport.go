package sfu

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"commsd/sfu/udpmux"
)

// transport is one PeerConnection with a client. A participant has two, on one
// of which it publishes and on the other receives, or one for both; publisher
// and subscriber are the roles on top.
type transport struct {
	// Set at construction.
	p       *Participant
	target  Target                               // as candidates name it
	setUp   []func(*webrtc.PeerConnection) error // by the roles; once, before anything is negotiated
	closing []func()                             // by the roles; ends what loops wait for

	streams  *streams         // its SRTP
	together udpmux.Gathering // its UDP
	api      *webrtc.API      // what it is made by; set with pc

	pc    atomic.Pointer[webrtc.PeerConnection] // written by queue's functions
	queue serial                                // everything that calls pc's negotiation
	loops sync.WaitGroup                        // goroutines of the roles

	reached atomic.Bool // the connection has stood

	mu      sync.Mutex
	holding bool     // guarded by mu; candidates wait for their description
	held    []string // guarded by mu
}

func newTransport(p *Participant, target Target) *transport {
	t := &transport{p: p, target: target}
	t.streams = newStreams(t)
	t.queue.panicked = t.panicked
	return t
}

// panicked ends the participant's place after a panic that something of its
// client's caused, in Pion perhaps: its connection may be in any state, and
// nobody else's is.
func (t *transport) panicked(v any) {
	t.p.room.sfu.metrics.panics.Inc()
	t.p.log.Error("panic in a connection", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	t.p.room.post(left{t.p, ReasonMediaFailure, ActionReconnect})
}

// recovered is deferred by what Pion calls with something of a client's: all but
// the forwarding of its media, which Pion's parser does not see.
func (t *transport) recovered() {
	if v := recover(); v != nil {
		t.panicked(v)
	}
}

// connect makes the connection. It is a function of the queue's.
func (t *transport) connect() (*webrtc.PeerConnection, error) {
	if pc := t.pc.Load(); pc != nil {
		return pc, nil
	}
	s := t.p.room.sfu
	t.api = s.kit.api(!t.p.fullICE, &t.together, t.streams.buffer)
	pc, err := t.api.NewPeerConnection(webrtc.Configuration{Certificates: s.certs})
	if err != nil {
		return nil, fmt.Errorf("create connection: %w", err)
	}
	t.pc.Store(pc)
	pc.OnICECandidate(t.emitCandidate)
	for _, setUp := range t.setUp {
		if err := setUp(pc); err != nil {
			return nil, err
		}
	}
	return pc, nil
}

// hold keeps candidates back until release: a client takes those that come
// before the description whose ICE credentials they belong to for another's,
// and drops them.
func (t *transport) hold() {
	t.mu.Lock()
	t.holding = true
	t.mu.Unlock()
}

func (t *transport) release() {
	for {
		t.mu.Lock()
		held := t.held
		t.held = nil
		t.holding = len(held) > 0
		t.mu.Unlock()
		if len(held) == 0 {
			return
		}
		for _, init := range held {
			t.p.emit(EventCandidate{Target: t.target, Init: init})
		}
	}
}

func (t *transport) emitCandidate(c *webrtc.ICECandidate) {
	if c == nil {
		return
	}
	init, err := json.Marshal(c.ToJSON())
	if err != nil {
		t.p.log.Error("candidate not encoded", "err", err)
		return
	}
	t.mu.Lock()
	holding := t.holding
	if holding {
		t.held = append(t.held, string(init))
	}
	t.mu.Unlock()
	if !holding {
		t.p.emit(EventCandidate{Target: t.target, Init: string(init)})
	}
}

// candidate takes a client's ICE candidate: nothing is done with it. The
// client reaches our advertised addresses and is answered where its checks
// come from, so that no client can make us send a packet to an address that
// has not authenticated (RFC 8445, 7.3.1.3), nor look up mDNS names.
func (t *transport) candidate(webrtc.ICECandidateInit) {}

// fail ends the participant's place: its client joins again with new
// connections.
func (t *transport) fail(err error) {
	t.p.log.Warn("connection failed", "err", err)
	t.p.room.post(left{t.p, ReasonMediaFailure, ActionReconnect})
}

// write sends RTCP. A connection that is going takes none.
func (t *transport) write(packets []rtcp.Packet) {
	if pc := t.pc.Load(); pc != nil && len(packets) > 0 {
		if err := pc.WriteRTCP(packets); err != nil {
			t.p.log.Debug("RTCP not sent", "err", err)
		}
	}
}

// up reports whether media can flow.
func (t *transport) up() bool {
	pc := t.pc.Load()
	return pc != nil && pc.ConnectionState() == webrtc.PeerConnectionStateConnected
}

// watch tells the room of the connection's state.
func (t *transport) watch(pc *webrtc.PeerConnection) error {
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			t.reached.Store(true)
			t.p.room.post(mediaUp{t.p})
		case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
			t.p.room.post(mediaDown{t.p})
		default: // on the way to one of these
		}
	})
	return nil
}

// close ends the connection and waits for its goroutines.
func (t *transport) close() {
	t.queue.Close(func() {
		for _, closing := range t.closing {
			closing()
		}
		pc := t.pc.Load()
		ended := pc == nil || t.end(pc)
		t.streams.close()
		if ended { // otherwise more may begin, and a WaitGroup that is awaited takes no more
			t.loops.Wait()
		}
	})
	t.queue.Wait()
}

// closeTimeout is how long a connection may take to close.
const closeTimeout = 10 * time.Second

// end closes pc. Pion waits for itself for ever when a connection closes just
// as it comes up and a stream that the client did not announce begins (its SRTP
// session hands the stream to a reader that will not come): such a one is given
// up, so that neither a room nor the server waits with it. It reports whether
// the connection has ended.
func (t *transport) end(pc *webrtc.PeerConnection) bool {
	done := make(chan error, 1)
	go func() {
		defer t.recovered()
		wake(pc)
		err := pc.GracefulClose()
		wake(pc) // also of what began to be received meanwhile
		done <- err
	}()
	timer := time.NewTimer(closeTimeout)
	defer timer.Stop()
	select {
	case err := <-done:
		if err != nil {
			t.p.log.Debug("connection closed badly", "err", err)
		}
		return true
	case <-timer.C:
		t.p.log.Warn("connection does not close and is given up", "after", closeTimeout)
		return false
	}
}

// wake has whoever reads a stream of pc's give up. Of two that wait, Pion's
// closing wakes one: where a stream began before it was announced, the other is
// who looks for its section, and would wait for ever.
func wake(pc *webrtc.PeerConnection) {
	for _, receiver := range pc.GetReceivers() {
		for _, track := range receiver.Tracks() {
			giveUp(track)
		}
	}
}

func giveUp(track *webrtc.TrackRemote) {
	defer func() { _ = recover() }() // Pion panics where the stream has not begun yet
	_ = track.SetReadDeadline(time.Unix(0, 0))
}
