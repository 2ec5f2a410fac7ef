package bandwidth

import "time"

const (
	lossWindow   = int64(200 * time.Millisecond)
	lossPackets  = 20    // at least in a window, unless it grows too long
	lossLongest  = 10    // windows
	lossWeight   = 240.0 // packets whose loss weighs as much as all of before
	lossCut      = 0.08  // in excess of the line's own: congestion
	lossFine     = 0.05  // in excess: the bound may rise
	lossGrow     = 0.2   // a second
	lossInherent = 0.25  // most that counts as the line's own
	lossReacts   = 0.6   // loss that stays above this share after a cut does not react to it
	lossCutEvery = int64(300 * time.Millisecond)
	watchPackets = 80 // whose loss tells whether a cut was of use
)

// lossBound bounds the estimate by loss. Where GCC's loss-based controller
// (gcc-02, 6) halves its way down whenever more than a tenth is lost, this one
// asks whether the loss reacts: what stays the same after the sender has
// slowed down is the line's own, a weak radio's, and only what exceeds it is a
// sign of congestion.
type lossBound struct {
	share    float64 // lost of late, smoothed
	bound    float64 // bits a second; 0: none
	inherent float64 // share that does not react

	got, lost int // in the window that began at
	since     int64

	lastCut int64
	// A cut under observation: what was sent and lost before it, and what is
	// lost since the sender has slowed down.
	cutRate        float64 // bits a second; 0: none
	cutLoss        float64
	watchFrom      int64
	watchGot, gone int
}

func (l *lossBound) add(now int64, received, lost int) {
	if l.got == 0 && l.lost == 0 {
		l.since = now
	}
	l.got += received
	l.lost += lost // negative for packets that were overtaken
	if l.cutRate > 0 && now > l.watchFrom {
		l.watchGot += received
		l.gone += lost
	}
}

// update concludes a window, if one is full.
func (l *lossBound) update(now int64, current, acked float64, rtt int64) {
	n := l.got + max(l.lost, 0)
	since := now - l.since
	if since < lossWindow || n < lossPackets && since < lossLongest*lossWindow || n == 0 {
		return
	}
	latest := float64(max(l.lost, 0)) / float64(n)
	l.share += (latest - l.share) * float64(n) / (float64(n) + lossWeight)
	l.got, l.lost, l.since = 0, 0, now
	if l.share < l.inherent {
		l.inherent += (l.share - l.inherent) / 50
	}
	// What is lost now and has been for a little: one of them is not enough.
	excess := min(l.share, latest) - l.inherent
	sent := acked / (1 - min(l.share, 0.95))
	if l.cutRate > 0 && l.watch(now, sent, rtt) {
		return
	}
	switch {
	case excess > lossCut && acked > 0:
		l.cut(now, cutInput{excess: excess, sent: sent, acked: acked, current: current, rtt: rtt})
	case l.share-l.inherent < lossFine && l.bound > 0:
		limit := growBeyond*acked + growSlack
		if to := l.bound * (1 + lossGrow*time.Duration(since).Seconds()); to <= limit {
			l.bound = to
		}
		if l.bound >= current && l.share < lossFine {
			l.bound = 0
		}
	}
}

// watch observes whether the loss reacts to the cut, and reports whether it
// has just turned out not to: then the cut is taken back.
func (l *lossBound) watch(now int64, sent float64, rtt int64) bool {
	if sent > 0.9*l.cutRate { // the sender has not slowed down yet
		l.watchFrom, l.watchGot, l.gone = now+rtt+lossWindow, 0, 0
		return false
	}
	if n := l.watchGot + max(l.gone, 0); n < watchPackets && now-l.watchFrom < lossLongest*lossWindow || n < lossPackets {
		return false
	}
	share := float64(max(l.gone, 0)) / float64(l.watchGot+max(l.gone, 0))
	own := share > lossReacts*l.cutLoss && share < 1.5*lossInherent
	l.cutRate = 0
	if own {
		l.inherent = min(max(l.inherent, share, l.share), lossInherent)
		l.bound = 0
	}
	return own
}

// cutInput is what a cut goes by; rates are in bits a second.
type cutInput struct {
	excess               float64
	sent, acked, current float64
	rtt                  int64
}

// cut lowers the bound, at most once in the time that takes to show.
func (l *lossBound) cut(now int64, in cutInput) {
	if l.lastCut != 0 && now-l.lastCut < in.rtt+lossCutEvery {
		return
	}
	part := 0.5 * in.excess
	if in.excess > 0.2 { // so much is not probing for the limit any more
		part = in.excess
	}
	if l.cutRate == 0 {
		l.cutRate, l.cutLoss = in.sent, l.share
		l.watchFrom, l.watchGot, l.gone = now+in.rtt+lossWindow, 0, 0
	}
	// Delay may have spoken already; both together must not go below what
	// arrives.
	to := max(min(in.current, in.sent)*(1-part), min(in.current, fallTo*in.acked))
	if l.bound == 0 || to < l.bound {
		l.bound = to
	}
	l.lastCut = now
}

// raise takes up a rate that was shown to arrive.
func (l *lossBound) raise(to float64) {
	if l.bound > 0 {
		l.bound = max(l.bound, to)
	}
}
