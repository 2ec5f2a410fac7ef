package bandwidth

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/pion/rtcp"
)

const (
	tick      = int64(250 * time.Microsecond) // of arrival times
	reference = int64(64 * time.Millisecond)  // of reference times
	// clockSlack is how far the receiver's clock may run from ours between two
	// feedbacks before it counts as another clock.
	clockSlack = int64(10 * time.Second)
)

// errFeedback says that bytes are no transport-wide feedback.
var errFeedback = errors.New("bandwidth: malformed feedback")

// status is what a feedback says of one packet.
type status struct {
	seq      uint16
	received bool
	delta    int64 // since the packet received before, ns
}

// receiverClock unwraps the receiver's 24 bits of 64 ms.
type receiverClock struct {
	started bool
	last    uint32 // reference time of the last feedback
	base    int64  // the same, unwrapped, ns
	at      int64  // when it came, by our clock
}

// advance returns the reference time of a feedback, and whether the receiver
// seems to have another clock than before.
func (c *receiverClock) advance(now int64, ref uint32) (base int64, jumped bool) {
	ref &= 1<<24 - 1
	if c.started {
		step := int64(int32((ref-c.last)<<8)>>8) * reference
		drift := step - (now - c.at)
		jumped = drift > clockSlack || drift < -clockSlack
		c.base += step
	}
	c.started, c.last, c.at = true, ref, now
	return c.base, jumped
}

// Feedback takes a transport-wide feedback in. It reports whether the estimate
// has fallen, so that the tracks should be allotted anew at once.
func (e *Estimator) Feedback(now int64, fb *rtcp.TransportLayerCC) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.parsed = e.parsed[:0]
	deltas := fb.RecvDeltas
	seq, left := fb.BaseSequenceNumber, int(fb.PacketStatusCount)
	add := func(symbol uint16) {
		s := status{seq: seq}
		if (symbol == rtcp.TypeTCCPacketReceivedSmallDelta || symbol == rtcp.TypeTCCPacketReceivedLargeDelta) && len(deltas) > 0 {
			s.received, s.delta = true, deltas[0].Delta*int64(time.Microsecond)
			deltas = deltas[1:]
		}
		if left > 0 && len(e.parsed) < ringMost {
			e.parsed = append(e.parsed, s)
		}
		left--
		seq++
	}
	for _, chunk := range fb.PacketChunks {
		switch c := chunk.(type) {
		case *rtcp.RunLengthChunk:
			for range min(int(c.RunLength), left) {
				add(c.PacketStatusSymbol)
			}
		case *rtcp.StatusVectorChunk:
			for _, symbol := range c.SymbolList[:min(len(c.SymbolList), max(left, 0))] {
				add(symbol)
			}
		}
	}
	return e.apply(now, fb.ReferenceTime)
}

// FeedbackBytes is Feedback for one RTCP packet as it came, without Pion's
// allocations for each packet that was received.
func (e *Estimator) FeedbackBytes(now int64, raw []byte) (fell bool, err error) {
	const header = 20
	if len(raw) < header || raw[0] != 2<<6|rtcp.FormatTCC && raw[0] != 2<<6|1<<5|rtcp.FormatTCC ||
		rtcp.PacketType(raw[1]) != rtcp.TypeTransportSpecificFeedback {
		return false, errFeedback
	}
	size := 4 * (int(binary.BigEndian.Uint16(raw[2:])) + 1)
	if size < header || size > len(raw) {
		return false, errFeedback
	}
	raw = raw[:size]
	e.mu.Lock()
	defer e.mu.Unlock()
	e.parsed = e.parsed[:0]
	seq, left := binary.BigEndian.Uint16(raw[12:]), int(binary.BigEndian.Uint16(raw[14:]))
	ref := binary.BigEndian.Uint32(raw[16:]) >> 8
	if left > ringMost {
		return false, errFeedback
	}
	chunks := raw[header:]
	for left > 0 {
		if len(chunks) < 2 {
			return false, errFeedback
		}
		c := binary.BigEndian.Uint16(chunks)
		chunks = chunks[2:]
		n, width := 14, 1
		switch {
		case c>>15 == 0: // a run
			n, width = int(c&0x1FFF), 0
		case c>>14&1 == 1:
			n, width = 7, 2
		}
		for i := range min(n, left) {
			symbol := c >> 13 & 3
			switch width {
			case 1:
				symbol = c >> (13 - i) & 1
			case 2:
				symbol = c >> (12 - 2*i) & 3
			}
			// The delta's place holds its size until the deltas are read.
			e.parsed = append(e.parsed, status{seq: seq, received: symbol == 1 || symbol == 2, delta: int64(symbol)})
			seq++
		}
		left -= min(n, left)
	}
	for i := range e.parsed {
		s := &e.parsed[i]
		switch {
		case !s.received:
			s.delta = 0
		case s.delta == 1 && len(chunks) >= 1:
			s.delta = int64(chunks[0]) * tick
			chunks = chunks[1:]
		case s.delta == 2 && len(chunks) >= 2:
			s.delta = int64(int16(binary.BigEndian.Uint16(chunks))) * tick
			chunks = chunks[2:]
		default:
			return false, errFeedback
		}
	}
	return e.apply(now, ref), nil
}

// apply draws the conclusions of e.parsed.
func (e *Estimator) apply(now int64, ref uint32) bool {
	base, jumped := e.clock.advance(now, ref)
	if jumped {
		e.delay.reset()
		e.acked.reset()
		e.offered.reset()
	}
	defer func() {
		if cap(e.parsed) > ringUnproven {
			e.parsed = nil // nobody may have us keep much
		}
	}()
	before := e.bitrate()
	newest := int64(-1)
	received, lost := 0, 0
	at := base
	for _, s := range e.parsed {
		if s.received {
			at += s.delta
		}
		p := e.find(s.seq)
		if p == nil || p.state == arrived {
			continue // never sent, long forgotten, or said before
		}
		if !s.received {
			if p.state == pending {
				p.state = missing
				lost++
				e.offered.add(p.at, int(p.size))
			}
			continue
		}
		if p.state == missing {
			lost--
		} else {
			e.offered.add(p.at, int(p.size))
		}
		p.state = arrived
		received++
		newest = max(newest, p.at)
		e.acked.add(at, int(p.size))
		e.delay.packet(p.at, at, now)
		e.probes.arrived(p, at)
	}
	if received == 0 && lost == 0 {
		return false // says nothing new: silence goes on
	}
	e.known, e.pending = true, e.lastSent > newest && newest >= 0
	e.lastFeedback, e.waits = now, now
	if newest >= 0 {
		if rtt := max(now-newest, 0); e.rtt == 0 {
			e.rtt = rtt
		} else {
			e.rtt += (rtt - e.rtt) / 8
		}
	}
	e.delay.queued()
	e.loss.add(now, received, lost)
	e.conclude(now)
	after := e.bitrate()
	return after < before
}

// conclude moves the estimate along.
func (e *Estimator) conclude(now int64) {
	acked := e.acked.rate(ackedWindow)
	use := e.delay.usage
	if use == over && e.probes.disturbs(now, e.rtt) && !e.delay.deep() {
		use = under // of the cluster's making: let it pass
	}
	e.rate.update(now, rateInput{
		usage: use, acked: acked, recent: e.acked.rate(ackedRecent), sent: e.offered.rate(ackedWindow), rtt: e.rtt, packet: e.packetB * 8,
	})
	if found := e.probes.result(now, e.rtt); found > 0 && e.delay.usage != over {
		if found > float64(e.bitrate()) {
			e.rate.raise(now, found)
			e.loss.raise(found)
		}
		e.probes.judge(now, found, float64(e.bitrate()))
	}
	e.rate.current = min(max(e.rate.current, float64(e.cfg.Floor)), float64(e.cfg.Ceiling))
	e.loss.update(now, e.rate.current, acked, e.rtt)
	e.probes.held(now, float64(e.bitrate()))
}
