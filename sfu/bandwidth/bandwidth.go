// Package bandwidth estimates how much one connection carries, from the
// transport-wide feedback of its receiver, and divides it among the tracks that
// the receiver wants. It is pure: no goroutines, no sockets, no clock (times are
// nanoseconds since any base, handed in), and it must not know of rooms,
// participants or Pion's connections.
//
// After Google congestion control (draft-ietf-rmcat-gcc-02; Carlucci, De Cicco,
// Holmer, Mascolo: Analysis and Design of the Google Congestion Control for
// WebRTC, 2016), with the trendline filter in place of the Kalman filter, and a
// bound by loss that tells a line's own loss from that of congestion. The
// feedback's format is that of draft-holmer-rmcat-transport-wide-cc-extensions-01.
package bandwidth

import (
	"sync"
	"time"
)

const (
	ringStart    = 64   // packets remembered of a connection at rest
	ringUnproven = 512  // and while the receiver has given no feedback
	ringMost     = 8192 // 3 s at 2,700 packets a second
	ringKeep     = int64(3 * time.Second)

	silenceAfter = int64(1500 * time.Millisecond) // without feedback, for decay to begin
	silenceStep  = int64(500 * time.Millisecond)
	silenceDecay = 0.7

	clearLoss  = 0.3                    // of all, that is not clear whatever the line is like
	clearQueue = 300                    // ms
	clearAgain = int64(2 * time.Second) // after which what was known without sending is no longer
)

// Config bounds an estimate. Zero values mean the defaults.
type Config struct {
	Start   uint64 // bits a second before the first feedback; default 1 Mb/s
	Floor   uint64 // never below; default 80 kb/s
	Ceiling uint64 // never above; default 50 Mb/s
}

// Estimate is what is known of a connection.
type Estimate struct {
	Bitrate uint64        // bits a second that may be sent
	Known   bool          // false: no feedback yet, Bitrate is where to start
	Acked   uint64        // bits a second that have arrived of late
	Loss    float64       // share of packets lost of late, 0 to 1
	RTT     time.Duration // smoothed; 0 before the first feedback
	Overuse bool          // a queue is growing on the way
	// Clear says that what little is sent gets through: hardly more is lost than
	// the line loses by itself, and nothing waits long.
	Clear bool
}

// Estimator is the congestion controller of one connection. Its methods may be
// called from several goroutines.
type Estimator struct {
	cfg Config // set at construction

	mu sync.Mutex
	// Guarded by mu.
	ring         []sentPacket // by sequence number; its length is a power of two
	next         int64        // the number to give, never wrapped
	lastSent     int64
	pending      bool  // something was sent since the last feedback
	lastFeedback int64 // or when the silence was last counted
	waits        int64 // since when feedback is waited for, or when the last came
	known        bool

	clock   receiverClock
	parsed  []status  // of the feedback at hand
	acked   ackedRate // what arrived, by the receiver's clock
	offered ackedRate // the same and what was lost, by the times of sending
	delay   delayFilter
	rate    rateControl
	loss    lossBound
	probes  prober
	rtt     int64
	packetB float64 // mean packet size, bytes
}

// sentPacket is what is remembered of a packet, 16 bytes.
type sentPacket struct {
	at    int64
	size  uint16
	probe uint16 // cluster, 0: none
	state uint8
}

const (
	pending = iota // nothing heard of it
	missing        // reported lost, which it may turn out not to be
	arrived
)

// New makes an estimator.
func New(cfg Config) *Estimator {
	if cfg.Start == 0 {
		cfg.Start = 1_000_000
	}
	if cfg.Floor == 0 {
		cfg.Floor = 80_000
	}
	if cfg.Ceiling == 0 {
		cfg.Ceiling = 50_000_000
	}
	cfg.Ceiling = max(cfg.Ceiling, cfg.Floor)
	cfg.Start = min(max(cfg.Start, cfg.Floor), cfg.Ceiling)
	e := &Estimator{cfg: cfg, ring: make([]sentPacket, ringStart), packetB: 800}
	e.delay.reset()
	e.rate.current = float64(cfg.Start)
	e.probes.stretch = 1
	return e
}

// Sent notes a packet that is about to be sent and returns its transport-wide
// sequence number. size is in bytes, in whatever measure the bitrates have that
// the estimate is compared with. probe is the cluster of a packet that Probe
// asked for, 0 for media.
func (e *Estimator) Sent(now int64, size, probe int) uint16 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.pending {
		e.pending, e.waits = true, now
		e.lastFeedback = max(e.lastFeedback, now) // silence counts from here
	}
	slot := &e.ring[e.next&int64(len(e.ring)-1)]
	if e.next >= int64(len(e.ring)) && slot.state == pending && now-slot.at < ringKeep && e.grow() {
		slot = &e.ring[e.next&int64(len(e.ring)-1)]
	}
	size = min(max(size, 0), 1<<16-1)
	*slot = sentPacket{at: now, size: uint16(size), probe: e.probes.sent(now, size, probe)}
	e.packetB += (float64(size) - e.packetB) / 64
	seq := uint16(e.next)
	e.next++
	e.lastSent = now
	return seq
}

// grow doubles the ring, if it may.
func (e *Estimator) grow() bool {
	size := int64(len(e.ring))
	if size >= ringMost || !e.known && size >= ringUnproven {
		return false
	}
	larger := make([]sentPacket, 2*size)
	for n := e.next - size; n < e.next; n++ {
		larger[n&(2*size-1)] = e.ring[n&(size-1)]
	}
	e.ring = larger
	return true
}

// find returns what is remembered of the packet seq, nil for nothing.
func (e *Estimator) find(seq uint16) *sentPacket {
	behind := int64(uint16(e.next-1) - seq)
	n := e.next - 1 - behind
	if n < 0 || behind >= int64(len(e.ring)) {
		return nil
	}
	return &e.ring[n&int64(len(e.ring)-1)]
}

// Estimate returns what may be sent now.
func (e *Estimator) Estimate(now int64) Estimate {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.silence(now)
	return Estimate{
		Bitrate: e.bitrate(), Known: e.known, Acked: uint64(e.acked.rate(ackedWindow)), Loss: e.loss.share,
		RTT: time.Duration(e.rtt), Overuse: e.delay.usage == over, Clear: e.clear(now),
	}
}

// clear says whether what is sent gets through.
func (e *Estimator) clear(now int64) bool {
	switch waits := now - e.waits; {
	case !e.known || !e.pending && waits > clearAgain:
		return true // it may be tried
	case e.pending && waits > silenceAfter:
		return false
	}
	return e.loss.share-e.loss.inherent < lossCut && e.loss.share < clearLoss && e.delay.standing(standDeep) < clearQueue
}

// bitrate is the lower of what delay and what loss allow, within the
// configured bounds.
func (e *Estimator) bitrate() uint64 {
	r := e.rate.current
	if e.loss.bound > 0 {
		r = min(r, e.loss.bound)
	}
	return uint64(min(max(r, float64(e.cfg.Floor)), float64(e.cfg.Ceiling)))
}

// silence lets the estimate decay while packets go out and no feedback comes.
func (e *Estimator) silence(now int64) {
	if !e.known || !e.pending {
		return
	}
	for now-e.lastFeedback > silenceAfter {
		e.lastFeedback += silenceStep
		e.rate.fall(now, silenceDecay*float64(e.bitrate()))
		if e.rate.current <= float64(e.cfg.Floor) {
			e.rate.current = float64(e.cfg.Floor)
			e.lastFeedback = now - silenceAfter
			return
		}
	}
}
