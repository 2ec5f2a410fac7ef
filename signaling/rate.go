package signaling

import "time"

// rate is a token bucket against a client gone wild. It has no lock of its
// own.
type rate struct {
	burst     float64 // what may be taken at once
	perSecond float64 // what comes back
	now       func() time.Time

	taken float64 // and not yet come back
	last  time.Time
}

// take takes n, and reports false when that is more than there is.
func (r *rate) take(n float64) bool {
	now := r.now()
	if since := now.Sub(r.last); since > 0 {
		r.taken = max(0, r.taken-since.Seconds()*r.perSecond)
	}
	r.last = now
	r.taken += n
	return r.taken <= r.burst
}
