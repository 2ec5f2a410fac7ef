package sfu

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
)

const (
	feedbackEvery = 100 * time.Millisecond
	reportEvery   = 10 // feedbacks
	maxChannels   = 16 // data channels over a connection's life; more are closed
	// mostChannels is with how many the place ends: a client that does not take
	// part in the closing of one leaves it open, with a buffer of 64 KiB.
	mostChannels = 4 * maxChannels
)

// publisher is the role of a connection on which a client publishes; the
// client offers.
type publisher struct {
	*transport
	placing  *placing // set at construction; nil when the connection is not shared
	prefers  preferences
	feedback *feedback
	channels atomic.Int32  // data channels opened
	pace     pace          // of data
	stop     chan struct{} // closed to end the feedback loop and data that waits

	// Owned by queue's functions.
	reading bool // the feedback loop runs

	mu     sync.Mutex
	layers []*layer // guarded by mu; that report back
	sound  bucket   // guarded by mu
	said   bucket   // guarded by mu; data, by a modest sender
}

func newPublisher(t *transport) *publisher {
	b := &publisher{transport: t, feedback: newFeedback(), stop: make(chan struct{})}
	b.sound = bucket{most: soundAtOnce, perSecond: soundASecond}
	b.said = bucket{most: modestAtOnce, perSecond: modestASecond}
	t.setUp = append(t.setUp, func(pc *webrtc.PeerConnection) error {
		pc.OnTrack(func(remote *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
			defer b.recovered()
			b.p.room.post(mediaArrived{b.p, newLayer(b, remote, receiver)})
		})
		pc.OnDataChannel(b.dataChannel)
		return nil
	})
	t.closing = append(t.closing, func() { close(b.stop) })
	return b
}

// offer applies a client's offer and emits the answer. It reports false for one
// too many (see serial.DoForeign).
func (b *publisher) offer(offer string, id uint32) bool {
	return b.queue.DoForeign(func() {
		b.hold()
		defer b.release()
		answer, sections, err := b.negotiate(offer)
		if err != nil {
			b.fail(fmt.Errorf("client's offer: %w", err))
			return
		}
		answer.ID = id
		b.p.emit(answer)
		b.p.room.post(offerApplied{b.p, sections})
	})
}

func (b *publisher) negotiate(offer string) (answer EventAnswer, sections map[string]section, err error) {
	most := maxSections
	if b.placing != nil {
		most = maxSharedSections
	}
	offer, sections, err = readOffer(offer, most)
	if err != nil {
		return answer, nil, err
	}
	pc, err := b.connect()
	if err != nil {
		return answer, nil, err
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return answer, nil, fmt.Errorf("apply offer: %w", err)
	}
	if err := b.prefers.apply(pc, sections); err != nil {
		return answer, nil, err
	}
	if b.placing != nil {
		if err := b.placing.offered(pc, sections); err != nil {
			return answer, nil, err
		}
	}
	local, err := pc.CreateAnswer(nil)
	if err != nil {
		return answer, nil, fmt.Errorf("create answer: %w", err)
	}
	if err := pc.SetLocalDescription(local); err != nil {
		return answer, nil, fmt.Errorf("apply answer: %w", err)
	}
	answer.SDP = local.SDP
	if b.placing != nil {
		answer.Tracks = b.placing.mids(pc)
	}
	return answer, sections, nil
}

// startLayer has a layer get its packets, and starts the feedback with the
// first.
func (b *publisher) startLayer(l *layer) {
	b.queue.Do(func() {
		b.mu.Lock()
		b.layers = append(b.layers, l)
		b.mu.Unlock()
		b.streams.bind(l)
		if !b.reading {
			b.reading = true
			b.loops.Go(b.report)
		}
	})
}

// endLayer ends what is done for a layer.
func (b *publisher) endLayer(l *layer) {
	b.streams.unbind(l)
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, o := range b.layers {
		if o == l {
			b.layers = append(b.layers[:i], b.layers[i+1:]...)
			return
		}
	}
}

// soundGoesOn tells whether a packet of sound, of n bytes, may be forwarded.
func (b *publisher) soundGoesOn(n int, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sound.take(float64(n+soundPacket), now)
}

// report sends congestion feedback and receiver reports until the connection
// closes.
func (b *publisher) report() {
	tick := time.NewTicker(feedbackEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-b.stop:
			return
		case <-tick.C:
		}
		b.write(b.feedback.build())
		if n%reportEvery != 0 {
			continue
		}
		var reports []rtcp.ReceptionReport
		now := time.Now()
		b.mu.Lock()
		for _, l := range b.layers {
			if r, ok := l.rx.report(l.ssrc, now); ok {
				reports = append(reports, r)
			}
		}
		b.mu.Unlock()
		b.write(receiverReports(reports))
	}
}

// receiverReports puts reports into packets, of at most 31 each (RFC 3550,
// 6.4.2: RC has five bits).
func receiverReports(reports []rtcp.ReceptionReport) []rtcp.Packet {
	var out []rtcp.Packet
	for some := range slices.Chunk(reports, 31) {
		out = append(out, &rtcp.ReceiverReport{Reports: some})
	}
	return out
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
