package sfu

import (
	"sync"
	"time"

	"github.com/pion/rtcp"
)

const (
	nackDelay  = 10 * time.Millisecond  // reordering gets this long before a gap is a loss
	nackRepeat = 100 * time.Millisecond // a lost retransmission is asked for again
	nackTries  = 5
	nackMax    = 128 // gaps wider than this are not asked for: a key frame is cheaper
)

// reception is what the receiver of one stream keeps: the statistics that its
// receiver reports carry (RFC 3550, 6.4.1 and A.3) and the gaps to ask for.
type reception struct {
	mu sync.Mutex
	// Guarded by mu.
	started  bool
	base     uint32 // extended sequence number of the first packet
	highest  uint32 // extended
	received uint32
	prior    struct{ expected, received uint32 } // at the last report
	taken    struct{ expected, received uint32 } // at the last look at the quality
	jitter   float64                             // in clock ticks
	transit  float64
	clock    float64 // ticks a second
	lastSR   uint32  // middle 32 bits of the last sender report's NTP time
	lastSRAt time.Time
	missing  []gap
}

type gap struct {
	seq   uint16
	since time.Time
	asked time.Time
	tries int
}

// packet counts a packet and tells whether there are gaps to ask for and
// whether the gap is too wide for that.
func (r *reception) packet(seq uint16, ts uint32, now time.Time, since time.Duration) (gaps, lost bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.received++
	transit := since.Seconds()*r.clock - float64(ts)
	if !r.started {
		r.started = true
		r.base, r.highest = uint32(seq)|1<<16, uint32(seq)|1<<16
		r.transit = transit
		return false, false
	}
	if d := transit - r.transit; d < 10*r.clock && d > -10*r.clock {
		if d < 0 {
			d = -d
		}
		r.jitter += (d - r.jitter) / 16
	}
	r.transit = transit
	diff := int(int16(seq - uint16(r.highest)))
	switch {
	case diff <= 0:
		for i := range r.missing {
			if r.missing[i].seq == seq {
				r.missing = append(r.missing[:i], r.missing[i+1:]...)
				break
			}
		}
	case diff > nackMax:
		lost = true
		r.missing = r.missing[:0]
		r.highest += uint32(diff)
	default:
		for s := uint16(r.highest) + 1; s != seq; s++ {
			if len(r.missing) >= nackMax {
				r.missing, lost = r.missing[:0], true
			}
			r.missing = append(r.missing, gap{seq: s, since: now})
		}
		r.highest += uint32(diff)
	}
	return len(r.missing) > 0, lost
}

// nack returns the sequence numbers to ask for now and when to look again, 0
// when nothing is missing. lost says that some were given up.
func (r *reception) nack(now time.Time) (seqs []uint16, again time.Duration, lost bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.missing[:0]
	for _, g := range r.missing {
		if g.tries >= nackTries && now.Sub(g.asked) >= nackRepeat {
			lost = true
			continue
		}
		if now.Sub(g.since) >= nackDelay && now.Sub(g.asked) >= nackRepeat && g.tries < nackTries {
			g.asked = now
			g.tries++
			seqs = append(seqs, g.seq)
		}
		kept = append(kept, g)
	}
	r.missing = kept
	if len(kept) == 0 {
		return seqs, 0, lost
	}
	if len(seqs) > 0 {
		return seqs, nackRepeat, lost
	}
	return seqs, nackDelay, lost
}

// senderReport notes a sender report of the source.
func (r *reception) senderReport(ntp uint64, now time.Time) {
	r.mu.Lock()
	r.lastSR, r.lastSRAt = uint32(ntp>>16), now
	r.mu.Unlock()
}

// report returns the reception report of now.
func (r *reception) report(ssrc uint32, now time.Time) (rtcp.ReceptionReport, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.started {
		return rtcp.ReceptionReport{}, false
	}
	expected := r.highest - r.base + 1
	out := rtcp.ReceptionReport{SSRC: ssrc, LastSequenceNumber: r.highest - 1<<16, Jitter: uint32(r.jitter), LastSenderReport: r.lastSR}
	if expected > r.received {
		out.TotalLost = min(expected-r.received, 1<<23-1)
	}
	dueNow, gotNow := expected-r.prior.expected, r.received-r.prior.received
	if dueNow > gotNow && dueNow > 0 {
		out.FractionLost = uint8(min((dueNow-gotNow)<<8/dueNow, 255))
	}
	r.prior.expected, r.prior.received = expected, r.received
	if r.lastSR != 0 {
		out.Delay = uint32(now.Sub(r.lastSRAt).Seconds() * 65536)
	}
	return out, true
}
