package bandwidth_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"commsd/sfu/bandwidth"
)

// link is a bottleneck in virtual time: a queue that drains at a rate, a delay
// with jitter behind it, and random loss.
type link struct {
	rate   func(at time.Duration) float64 // bits a second
	queue  time.Duration                  // the longest a packet may wait at the rate; more is dropped
	delay  time.Duration                  // one way
	jitter time.Duration                  // plus or minus, in order
	loss   float64
	burst  float64 // bytes that pass at once after a pause
	police bool    // drop what exceeds the rate, queueing nothing

	sender, receiver *busy // the machines at the ends; nil: at rest

	free, lastOut time.Duration
	tokens        float64 // bytes, of the policer
	tokensAt      time.Duration
	rng           *rand.Rand
}

// busy is a machine that has other things to do as well: what is due while it
// does them waits until it comes back.
type busy struct {
	every, least, most time.Duration // mean time between its absences, and how long they are
	from, until        time.Duration // the one at hand
	rng                *rand.Rand
}

// when returns when something that is due at a time is done. Times must not run
// backwards.
func (b *busy) when(at time.Duration) time.Duration {
	if b == nil {
		return at
	}
	for at >= b.until {
		b.from = b.until + time.Duration(b.rng.ExpFloat64()*float64(b.every))
		b.until = b.from + b.least + time.Duration(b.rng.Int64N(int64(b.most-b.least)+1))
	}
	if at < b.from {
		return at
	}
	return b.until
}

// carry returns when a packet arrives, and whether it does.
func (l *link) carry(at time.Duration, size int) (time.Duration, bool) {
	at = l.sender.when(at)
	rate := l.rate(at)
	if l.police {
		l.tokens = min(l.tokens+rate/8*(at-l.tokensAt).Seconds(), 8000)
		l.tokensAt = at
		if l.tokens < float64(size) {
			return 0, false
		}
		l.tokens -= float64(size)
		l.free = at
	} else {
		l.free = max(l.free, at-time.Duration(l.burst*8/rate*float64(time.Second)))
		if l.free-at > l.queue {
			return 0, false
		}
		l.free += time.Duration(float64(size*8) / rate * float64(time.Second))
	}
	if l.rng.Float64() < l.loss {
		return 0, false
	}
	out := max(l.free, at) + l.delay
	if l.jitter > 0 {
		out += time.Duration((2*l.rng.Float64() - 1) * float64(l.jitter))
	}
	l.lastOut = l.receiver.when(max(l.lastOut, out))
	return l.lastOut, true
}

// arrival is a packet that the receiver has yet to tell of.
type arrival struct {
	seq uint16
	at  time.Duration
}

// receiver writes transport-wide feedback, as browsers do.
type receiver struct {
	coming  []arrival // in order of arrival
	base    uint16    // the next to report
	started bool
	count   uint8
}

// feedback reports what has arrived by now; nil for nothing.
func (r *receiver) feedback(now time.Duration) *rtcp.TransportLayerCC {
	n := 0
	for n < len(r.coming) && r.coming[n].at <= now {
		n++
	}
	if n == 0 {
		return nil
	}
	got := r.coming[:n]
	r.coming = r.coming[n:]
	if !r.started {
		r.started, r.base = true, got[0].seq
	}
	first := got[0].at
	fb := &rtcp.TransportLayerCC{
		Header:             rtcp.Header{Count: rtcp.FormatTCC, Type: rtcp.TypeTransportSpecificFeedback},
		BaseSequenceNumber: r.base, ReferenceTime: uint32(first / (64 * time.Millisecond)), FbPktCount: r.count,
	}
	r.count++
	last := first.Truncate(64 * time.Millisecond)
	var symbols []uint16
	for _, a := range got {
		if int16(a.seq-r.base) < 0 {
			continue
		}
		for ; r.base != a.seq; r.base++ {
			symbols = append(symbols, rtcp.TypeTCCPacketNotReceived)
		}
		ticks := (a.at - last).Microseconds() / 250
		last += time.Duration(ticks*250) * time.Microsecond
		d := &rtcp.RecvDelta{Type: rtcp.TypeTCCPacketReceivedSmallDelta, Delta: ticks * 250}
		if ticks < 0 || ticks > 255 {
			d.Type = rtcp.TypeTCCPacketReceivedLargeDelta
		}
		fb.RecvDeltas = append(fb.RecvDeltas, d)
		symbols = append(symbols, d.Type)
		r.base++
	}
	fb.PacketStatusCount = uint16(len(symbols))
	for len(symbols)%7 != 0 {
		symbols = append(symbols, 0)
	}
	for i := 0; i < len(symbols); i += 7 {
		fb.PacketChunks = append(fb.PacketChunks, &rtcp.StatusVectorChunk{
			Type: rtcp.TypeTCCStatusVectorChunk, SymbolSize: rtcp.TypeTCCSymbolSizeTwoBit, SymbolList: symbols[i : i+7],
		})
	}
	fb.Header.Length = uint16(fb.MarshalSize()/4 - 1)
	return fb
}

// call is a subscriber's connection in virtual time: layers of video that an
// allocator chooses among, sound, and an estimator.
type call struct {
	t      *testing.T
	link   link
	layers [bandwidth.MaxLayers]uint64
	sound  uint64
	cross  func(at time.Duration) float64 // bits a second of someone else's through the same queue
	quiet  func(at time.Duration) bool    // no feedback arrives
	bare   bool                           // nothing can be padded

	est      *bandwidth.Estimator
	alloc    bandwidth.Allocator
	rcv      receiver
	now      time.Duration
	tracks   []bandwidth.Track
	layer    int
	switchAt time.Duration // a better layer flows from here, once its key frame has come
	probe    bandwidth.Probe
	pending  []struct {
		at time.Duration
		fb *rtcp.TransportLayerCC
	}

	history []sample
}

// sample is what a call was like, each 100 ms.
type sample struct {
	at       time.Duration
	estimate bandwidth.Estimate
	layer    int
	queued   time.Duration
	padding  int
}

func newCall(t *testing.T, l link, seed uint64) *call {
	t.Helper()
	l.rng = rand.New(rand.NewPCG(1, seed))
	for i, b := range []*busy{l.sender, l.receiver} {
		if b != nil {
			b.rng = rand.New(rand.NewPCG(uint64(2+i), seed))
		}
	}
	if l.queue == 0 {
		l.queue = 500 * time.Millisecond
	}
	c := &call{t: t, link: l, layers: [bandwidth.MaxLayers]uint64{150_000, 500_000, 2_000_000}, sound: 40_000, est: bandwidth.New(bandwidth.Config{}), layer: bandwidth.Paused}
	c.tracks = []bandwidth.Track{{Priority: bandwidth.Speaker, Bitrates: c.layers, Max: 2, Current: bandwidth.Paused}}
	return c
}

func constant(bps float64) func(time.Duration) float64 {
	return func(time.Duration) float64 { return bps }
}

func (c *call) send(size, probe int) {
	seq := c.est.Sent(int64(c.now), size, probe)
	if at, ok := c.link.carry(c.now, size); ok {
		c.rcv.coming = append(c.rcv.coming, arrival{seq, at})
	}
}

// allocate does what the server does when the estimate has changed.
func (c *call) allocate() {
	t := &c.tracks[0]
	e := c.est.Estimate(int64(c.now))
	a := c.alloc.Allocate(int64(c.now), bandwidth.Budget{Bitrate: e.Bitrate, Reserve: c.sound, Clear: e.Clear}, c.tracks)
	if t.Layer != t.Current {
		if t.Layer > t.Current {
			c.switchAt = c.now + 200*time.Millisecond // for the key frame
		} else {
			c.switchAt = c.now + 100*time.Millisecond
		}
		t.Current, t.Held = t.Layer, t.Layer == bandwidth.Paused
	}
	if c.probe.Next == 0 || int64(c.now) >= c.probe.Next {
		c.probe = c.est.Probe(int64(c.now), a.Wanted)
		for n := c.probe.Bytes; n > 0 && !c.bare; n -= bandwidth.ProbePacket {
			c.send(bandwidth.ProbePacket, c.probe.ID)
			c.history[len(c.history)-1].padding += bandwidth.ProbePacket
		}
	}
}

// run goes on for d.
func (c *call) run(d time.Duration) {
	for end := c.now + d; c.now < end; c.now += time.Millisecond {
		step := int(c.now / time.Millisecond)
		if step%100 == 0 {
			c.history = append(c.history, sample{c.now, c.est.Estimate(int64(c.now)), c.layer, max(c.link.free-c.now, 0), 0})
		}
		if c.cross != nil && step%10 == 0 {
			if size := int(c.cross(c.now) / 800); size > 0 {
				c.link.carry(c.now, size)
			}
		}
		if step%20 == 0 {
			c.send(int(c.sound/400), 0)
		}
		if c.now >= c.switchAt {
			c.layer = c.tracks[0].Current
		}
		if step%33 == 0 && c.layer != bandwidth.Paused {
			frame := int(float64(c.layers[c.layer]) * 0.033 / 8)
			if step%(33*100) == 0 {
				frame *= 4 // a key frame
			}
			for ; frame > 0; frame -= 1200 {
				c.send(min(frame, 1200), 0)
			}
		}
		if step%100 == 0 {
			if fb := c.rcv.feedback(c.now); fb != nil && (c.quiet == nil || !c.quiet(c.now)) {
				c.pending = append(c.pending, struct {
					at time.Duration
					fb *rtcp.TransportLayerCC
				}{c.now + c.link.delay, fb})
			}
		}
		for len(c.pending) > 0 && c.pending[0].at <= c.now {
			c.est.Feedback(int64(c.now), c.pending[0].fb)
			c.pending = c.pending[1:]
			c.probe.Next = min(c.probe.Next, int64(c.now))
			c.allocate()
		}
		if c.probe.Next > 0 && int64(c.now) >= c.probe.Next || step%100 == 0 {
			c.allocate()
		}
	}
}

// share returns the part of the samples since from at which the layer was at
// least layer.
func (c *call) share(from time.Duration, layer int) float64 {
	n, of := 0, 0
	for _, s := range c.history {
		if s.at >= from {
			of++
			if s.layer >= layer {
				n++
			}
		}
	}
	return float64(n) / float64(max(of, 1))
}

// since returns when layer was reached for good, at or after from.
func (c *call) since(from time.Duration, layer int) time.Duration {
	at := from
	for _, s := range c.history {
		if s.at >= from && s.layer < layer {
			at = s.at + 100*time.Millisecond
		}
	}
	return at - from
}
