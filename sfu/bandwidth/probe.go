package bandwidth

import "time"

const (
	// ProbePacket is a good size for a packet of padding, in bytes: RTP allows
	// 255 of padding (RFC 3550, 5.1).
	ProbePacket = 250

	probePackets  = 5
	probeShortest = int64(15 * time.Millisecond)
	probeLongest  = int64(150 * time.Millisecond)
	probeStep     = int64(5 * time.Millisecond) // between two helpings of a cluster
	probeEvery    = int64(2 * time.Second)      // while more is wanted and not found
	probeStretch  = 8                           // times as long a cluster at most, where what shorter ones find does not last
	probeProven   = int64(5 * time.Second)      // it has, when the estimate holds so long
	probeAfter    = int64(1500 * time.Millisecond)
	probeLost     = int64(time.Second) // feedback beyond the round trip is not waited for
	probeFirst    = 3.0                // times the estimate
	probeLater    = 2.0
	probeArrived  = 0.8 // share of a cluster that must have arrived
	probeFound    = 0.7 // of the rate that was tried: go on at once
	headroom      = 1.15
)

// Probe says what padding to send at this moment.
type Probe struct {
	ID    int    // for Sent
	Bytes int    // to send now, best in packets of ProbePacket; often 0
	Rate  uint64 // bits a second that the cluster tries, for the log
	Next  int64  // when to ask again; 0: whenever something changes
}

// prober tries by short clusters of packets whether the line carries more than
// the media that are sent can show.
type prober struct {
	id       uint16 // of the cluster that goes out, or whose feedback is awaited
	sending  bool
	awaiting bool
	began    int64
	ended    int64
	length   int64 // how long it shall take
	rate     float64
	need     int // bytes
	nextAt   int64
	proven   bool // one has succeeded
	stretch  int64
	raisedAt int64   // when a cluster last raised the estimate; 0: that has held
	raisedTo float64 // bits a second

	// Of the cluster, as sent.
	bytes, packets int
	lastSent       int64
	lastSize       int

	// And as received.
	gotBytes, gotPackets int
	firstGot, lastGot    int64
	firstSize            int
}

// Probe returns the padding that is due, to find out whether wanted, the sum of
// the best layers that the receiver asked for, can be had. Call it whenever
// wanted changes, after each feedback, and at Probe.Next.
func (e *Estimator) Probe(now int64, wanted uint64) Probe {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := &e.probes
	if p.sending {
		if now-p.began > probeLost { // the caller lost interest
			p.sending, p.nextAt = false, now+probeEvery
		} else {
			return p.helping(now)
		}
	}
	if p.awaiting && now-p.ended > e.rtt+probeLost {
		p.awaiting, p.nextAt = false, max(p.nextAt, now+probeEvery)
	}
	have, want := float64(e.bitrate()), headroom*float64(wanted)
	switch {
	case want <= have || have >= float64(e.cfg.Ceiling):
		return Probe{}
	case !e.known || e.delay.usage == over || now-e.lastFeedback > silenceAfter:
		return Probe{} // the next feedback changes that
	case p.awaiting:
		return Probe{} // the feedback may come at any time
	}
	at := p.nextAt
	if fell := max(e.rate.lastFall, e.loss.lastCut); fell != 0 {
		at = max(at, fell+probeAfter)
	}
	if now < at {
		return Probe{Next: at}
	}
	factor := probeLater
	if !p.proven || e.rate.former > probeFirst*have {
		factor = probeFirst // new, or on the way back to where it was
	}
	p.start(now, min(factor*have, 1.1*want, float64(e.cfg.Ceiling)), e.delay.jitter)
	return p.helping(now)
}

func (p *prober) start(now int64, rate, jitter float64) {
	id := p.id + 1
	if id == 0 {
		id = 1
	}
	// The cluster outlasts the jitter that would blur it.
	length := min(max(probeShortest*p.stretch, int64(4*jitter*float64(time.Millisecond))), probeLongest)
	need := max(int(rate*time.Duration(length).Seconds()/8), probePackets*ProbePacket*int(p.stretch))
	*p = prober{id: id, sending: true, began: now, length: length, rate: rate, need: need, proven: p.proven, stretch: p.stretch, raisedAt: p.raisedAt, raisedTo: p.raisedTo}
}

// helping is what of the cluster is due.
func (p *prober) helping(now int64) Probe {
	due := int(p.rate / 8 * time.Duration(now-p.began+probeStep).Seconds())
	bytes := min(due, p.need) - p.bytes
	if p.bytes >= p.need && p.packets < probePackets {
		bytes = ProbePacket
	}
	return Probe{ID: int(p.id), Bytes: max(bytes, 0), Rate: uint64(p.rate), Next: now + probeStep}
}

// sent counts a packet that goes out; media in between are part of the
// cluster. It returns the cluster the packet belongs to.
func (p *prober) sent(now int64, size, probe int) uint16 {
	if !p.sending || probe != 0 && probe != int(p.id) {
		return 0
	}
	p.bytes += size
	p.packets++
	p.lastSent, p.lastSize = now, size
	if p.packets == 1 {
		p.began = now
	}
	if p.bytes >= p.need && p.packets >= probePackets {
		p.sending, p.awaiting, p.ended = false, true, now
	}
	return p.id
}

// arrived counts a packet that was received.
func (p *prober) arrived(pkt *sentPacket, at int64) {
	if pkt.probe == 0 || pkt.probe != p.id || !p.sending && !p.awaiting {
		return
	}
	if p.gotPackets == 0 || at < p.firstGot {
		p.firstGot, p.firstSize = at, int(pkt.size)
	}
	if p.gotPackets == 0 || at > p.lastGot {
		p.lastGot = at
	}
	p.gotPackets++
	p.gotBytes += int(pkt.size)
}

// disturbs says whether a queue that is seen now may be the cluster's own.
func (p *prober) disturbs(now, rtt int64) bool {
	return p.sending || p.awaiting || p.ended != 0 && now-p.ended < rtt+2*p.length+int64(100*time.Millisecond)
}

// result returns the rate that the cluster has shown, once it is known; 0
// before and where it has shown nothing.
func (p *prober) result(now, rtt int64) float64 {
	if !p.awaiting {
		return 0
	}
	if p.gotPackets < p.packets && (now-p.ended < rtt+int64(100*time.Millisecond) || float64(p.gotPackets) < probeArrived*float64(p.packets)) {
		return 0
	}
	p.awaiting = false
	p.nextAt = now + probeEvery
	sent := p.rate
	if span := p.lastSent - p.began; span > 0 {
		sent = float64(p.bytes-p.lastSize) * 8 / time.Duration(span).Seconds()
	}
	got := sent
	if span := p.lastGot - p.firstGot; span > 0 {
		got = float64(p.gotBytes-p.firstSize) * 8 / time.Duration(span).Seconds()
	}
	found := min(sent, got, p.rate)
	if got < 0.9*min(sent, p.rate) {
		found = 0.95 * got // the cluster queued: this is all there is
	}
	return found
}

// judge decides how to go on after a cluster has shown found, which raised the
// estimate or did not.
func (p *prober) judge(now int64, found, estimate float64) {
	p.held(now, estimate)
	if found >= probeFound*p.rate && found >= 0.99*estimate {
		p.proven = true
		p.nextAt = now
		p.raisedAt, p.raisedTo = now, estimate
	}
}

// held watches whether the estimate holds what a cluster raised it to. Some
// lines let short bursts pass and nothing more: there, clusters must be longer
// than those, or the picture would change for ever.
func (p *prober) held(now int64, estimate float64) {
	switch {
	case p.raisedAt == 0:
	case now-p.raisedAt > probeProven:
		p.raisedAt = 0
	case estimate < probeFound*p.raisedTo:
		p.raisedAt, p.stretch = 0, min(2*p.stretch, probeStretch)
	}
}
