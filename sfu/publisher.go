package sfu

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/rtcp"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

const (
	feedbackEvery = 100 * time.Millisecond
	reportEvery   = 10 // feedbacks
	maxSections   = 3 * maxTracks
	maxMID        = 32 // bytes; others are told of it
	maxChannels   = 16 // data channels over a connection's life
)

// publisher is the connection on which a client publishes; the client offers.
type publisher struct {
	p        *Participant
	feedback *feedback
	pc       atomic.Pointer[webrtc.PeerConnection] // written by queue's functions
	queue    serial
	loops    sync.WaitGroup // read and feedback loops
	channels atomic.Int32   // data channels opened
	pace     pace           // of data
	stop     chan struct{}  // closed to end the feedback loop and data that waits

	// Owned by queue's functions.
	reading bool // the feedback loop runs

	mu     sync.Mutex
	layers []*layer // guarded by mu; that report back
}

func newPublisher(p *Participant) *publisher {
	return &publisher{p: p, feedback: newFeedback(), stop: make(chan struct{})}
}

// offer applies a client's offer and emits the answer.
func (t *publisher) offer(offer string, id uint32) {
	ok := t.queue.DoForeign(func() {
		answer, sections, err := t.negotiate(offer)
		if err != nil {
			t.p.log.Warn("publisher's offer refused", "err", err)
			t.p.room.post(left{t.p, ReasonMediaFailure, ActionReconnect})
			return
		}
		t.p.emit(EventAnswer{SDP: answer, ID: id})
		t.p.room.post(offerApplied{t.p, sections})
	})
	if !ok { // gone, or it does not wait for answers
		t.p.room.post(left{t.p, ReasonMediaFailure, ActionDisconnect})
	}
}

func (t *publisher) negotiate(offer string) (answer string, sections map[string]section, err error) {
	offer, sections, err = readOffer(offer)
	if err != nil {
		return "", nil, err
	}
	pc := t.pc.Load()
	if pc == nil {
		if pc, err = t.connect(); err != nil {
			return "", nil, err
		}
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", nil, fmt.Errorf("apply offer: %w", err)
	}
	local, err := pc.CreateAnswer(nil)
	if err != nil {
		return "", nil, fmt.Errorf("create answer: %w", err)
	}
	if err := pc.SetLocalDescription(local); err != nil {
		return "", nil, fmt.Errorf("apply answer: %w", err)
	}
	return local.SDP, sections, nil
}

func (t *publisher) connect() (*webrtc.PeerConnection, error) {
	s := t.p.room.sfu
	pc, err := s.api.NewPeerConnection(webrtc.Configuration{Certificates: s.certs})
	if err != nil {
		return nil, fmt.Errorf("create publisher connection: %w", err)
	}
	t.pc.Store(pc)
	pc.OnICECandidate(func(c *webrtc.ICECandidate) { t.p.emitCandidate(TargetPublisher, c) })
	pc.OnTrack(func(remote *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
		t.p.room.post(mediaArrived{t.p, newLayer(t, remote, receiver)})
	})
	pc.OnDataChannel(t.dataChannel)
	return pc, nil
}

// candidate takes a client's ICE candidate: nothing is done with it. The
// client reaches our advertised addresses and is answered where its checks
// come from, so that no client can make us send a packet to an address that
// has not authenticated (RFC 8445, 7.3.1.3), nor look up mDNS names.
func (t *publisher) candidate(webrtc.ICECandidateInit) {}

// startLayer starts a layer's loops, and the feedback with the first.
func (t *publisher) startLayer(l *layer) {
	t.queue.Do(func() {
		t.mu.Lock()
		t.layers = append(t.layers, l)
		t.mu.Unlock()
		t.loops.Go(func() {
			l.read()
			t.mu.Lock()
			defer t.mu.Unlock()
			for i, o := range t.layers {
				if o == l {
					t.layers = append(t.layers[:i], t.layers[i+1:]...)
					return
				}
			}
		})
		t.loops.Go(l.readRTCP)
		if !t.reading {
			t.reading = true
			t.loops.Go(t.report)
		}
	})
}

// report sends congestion feedback and receiver reports until the connection
// closes.
func (t *publisher) report() {
	tick := time.NewTicker(feedbackEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-t.stop:
			return
		case <-tick.C:
		}
		t.write(t.feedback.build())
		if n%reportEvery != 0 {
			continue
		}
		rr := &rtcp.ReceiverReport{}
		now := time.Now()
		t.mu.Lock()
		for _, l := range t.layers {
			if r, ok := l.rx.report(l.ssrc, now); ok && len(rr.Reports) < 31 { // RFC 3550, 6.4.2: RC has five bits
				rr.Reports = append(rr.Reports, r)
			}
		}
		t.mu.Unlock()
		if len(rr.Reports) > 0 {
			t.write([]rtcp.Packet{rr})
		}
	}
}

// write sends RTCP to the publisher. A connection that is going takes none.
func (t *publisher) write(packets []rtcp.Packet) {
	if pc := t.pc.Load(); pc != nil && len(packets) > 0 {
		if err := pc.WriteRTCP(packets); err != nil {
			t.p.log.Debug("RTCP to publisher not sent", "err", err)
		}
	}
}

// close ends the connection and waits for its goroutines.
func (t *publisher) close() {
	t.queue.Close(func() {
		close(t.stop)
		if pc := t.pc.Load(); pc != nil {
			if err := pc.GracefulClose(); err != nil {
				t.p.log.Debug("publisher connection closed badly", "err", err)
			}
		}
		t.loops.Wait()
	})
	t.queue.Wait()
}

func (p *Participant) emitCandidate(target Target, c *webrtc.ICECandidate) {
	if c == nil {
		return
	}
	init, err := json.Marshal(c.ToJSON())
	if err != nil {
		p.log.Error("candidate not encoded", "err", err)
		return
	}
	p.emit(EventCandidate{Target: target, Init: string(init)})
}

// section is what the room needs of a section of a client's offer.
type section struct {
	sending bool
	cid     string // the client's id of the track that it sends
}

// readOffer checks the bounds of a client's offer, strips its candidates (see
// candidate), and tells what its sections send, by MID.
func readOffer(offer string) (stripped string, sections map[string]section, err error) {
	var d sdp.SessionDescription
	if err := d.UnmarshalString(offer); err != nil {
		return "", nil, fmt.Errorf("parse offer: %w", err)
	}
	if len(d.MediaDescriptions) > maxSections {
		return "", nil, fmt.Errorf("offer has %d sections, more than %d", len(d.MediaDescriptions), maxSections)
	}
	sections = make(map[string]section)
	for _, m := range d.MediaDescriptions {
		mid, ok := m.Attribute("mid")
		if len(mid) > maxMID {
			return "", nil, fmt.Errorf("offer has a mid of %d bytes, more than %d", len(mid), maxMID)
		}
		if !ok || m.MediaName.Port.Value == 0 {
			continue
		}
		_, recvonly := m.Attribute("recvonly")
		_, inactive := m.Attribute("inactive")
		s := section{sending: !recvonly && !inactive}
		if msid, ok := m.Attribute("msid"); ok { // RFC 8830, 2: stream, then track
			_, s.cid, _ = strings.Cut(msid, " ")
		}
		sections[mid] = s
	}
	return stripCandidates(offer), sections, nil
}

func stripCandidates(sdp string) string {
	if !strings.Contains(sdp, "a=candidate:") {
		return sdp
	}
	var b strings.Builder
	b.Grow(len(sdp))
	for line := range strings.Lines(sdp) {
		if !strings.HasPrefix(line, "a=candidate:") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// feedback collects when packets arrived, for the publisher's bandwidth
// estimate.
type feedback struct {
	mu  sync.Mutex
	rec *twcc.Recorder // guarded by mu
}

func newFeedback() *feedback { return &feedback{rec: twcc.NewRecorder(1)} }

func (f *feedback) received(ssrc uint32, seq uint16, at int64) {
	f.mu.Lock()
	f.rec.Record(ssrc, seq, at/1000)
	f.mu.Unlock()
}

func (f *feedback) build() []rtcp.Packet {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rec.BuildFeedbackPacket()
}
