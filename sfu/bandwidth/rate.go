package bandwidth

import (
	"math"
	"time"
)

const (
	fallTo      = 0.85 // of what arrives (gcc-02, 5.5: beta)
	fallGently  = 0.95 // of the estimate, where the line keeps up
	keepsUp     = 0.95 // of what is sent arrives
	suddenly    = 0.5  // of the rate of half a second ago: the line has changed
	growASecond = 1.08 // far from the line's capacity (gcc-02, 5.5: eta)
	growBeyond  = 1.5  // times what arrives: further nothing proves the estimate
	growSlack   = 10_000
	linkWeight  = 0.05 // of a new sample of the line's capacity
)

// rateControl turns the delay filter's signal into a rate: additive increase
// near the capacity that the line was last seen to have, multiplicative
// elsewhere, multiplicative decrease (gcc-02, 5.5).
type rateControl struct {
	current    float64 // bits a second
	former     float64 // before it last fell
	lastUpdate int64
	lastFall   int64
	linkMean   float64 // what arrived when queues grew; 0: unknown
	linkDev    float64
}

// rateInput is what rateControl goes by.
type rateInput struct {
	usage         usage
	acked, recent float64 // bits a second that arrive, in a long and a short window
	sent          float64 // bits a second at which what arrived was sent
	rtt           int64
	packet        float64 // bits of a mean packet
}

func (r *rateControl) update(now int64, in rateInput) {
	since := min(time.Duration(now-r.lastUpdate).Seconds(), 1)
	r.lastUpdate = now
	switch in.usage {
	case over:
		r.overuse(now, in)
	case under: // the queue drains: let it
	case normal:
		if in.acked > 0 {
			r.grow(since, in)
		}
	}
}

// overuse lowers the rate, at most once in the time that the last step needs
// to show.
func (r *rateControl) overuse(now int64, in rateInput) {
	if r.lastFall != 0 && now-r.lastFall < max(in.rtt, int64(100*time.Millisecond)) {
		return
	}
	arrives := in.acked
	if in.recent > 0 && in.recent < suddenly*in.acked {
		arrives = in.recent
	}
	if arrives == 0 {
		arrives = r.current
	}
	to := fallTo * arrives
	if arrives >= keepsUp*in.sent {
		// The line still carries all that is sent, which is less than it could:
		// a passing burst more likely than its limit.
		to = max(to, fallGently*r.current)
	}
	if to >= r.current && r.linkMean > 0 {
		to = fallTo * r.linkMean
	}
	if r.linkMean > 0 && math.Abs(arrives-r.linkMean) > r.linkBound() {
		r.linkMean = 0 // another line than before
	}
	if r.linkMean == 0 {
		r.linkMean, r.linkDev = arrives, 0.1*arrives
	} else {
		r.linkDev += (math.Abs(arrives-r.linkMean) - r.linkDev) * linkWeight
		r.linkMean += (arrives - r.linkMean) * linkWeight
	}
	r.fall(now, to)
}

func (r *rateControl) linkBound() float64 { return max(3*r.linkDev, 0.1*r.linkMean) }

// grow raises the rate after since seconds without overuse.
func (r *rateControl) grow(since float64, in rateInput) {
	if r.linkMean > 0 && in.acked > r.linkMean+r.linkBound() {
		r.linkMean = 0 // the line has more than it had
	}
	limit := growBeyond*in.acked + growSlack
	if r.current >= limit {
		return
	}
	to := r.current * math.Pow(growASecond, since)
	if r.linkMean > 0 && r.current > r.linkMean-r.linkBound() {
		// A packet more in each response time.
		response := time.Duration(in.rtt).Seconds() + 0.1
		to = r.current + since*max(in.packet/response, 4000)
	}
	r.current = min(max(to, r.current+since*1000), limit)
}

// fall lowers the rate to a value below the present one.
func (r *rateControl) fall(now int64, to float64) {
	if to >= r.current {
		return
	}
	r.former = r.current
	r.current, r.lastFall = to, now
}

// raise takes up a rate that was shown to arrive.
func (r *rateControl) raise(now int64, to float64) {
	if to <= r.current {
		return
	}
	r.current, r.lastUpdate = to, now
	if r.linkMean > 0 && to > r.linkMean+r.linkBound() {
		r.linkMean = 0
	}
}
