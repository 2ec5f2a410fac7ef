package bandwidth

import "time"

const (
	lossWindow   = int64(200 * time.Millisecond)
	lossPackets  = 20   // at least in a window, unless it grows too long
	lossLongest  = 10   // windows
	lossWeight   = 60.0 // packets whose loss weighs as much as all of before
	lossCut      = 0.08 // in excess of the line's own: congestion
	lossFine     = 0.05 // in excess: the bound may rise
	lossGrow     = 0.2  // a second
	lossInherent = 0.25 // most that counts as the line's own
	lossReacts   = 0.75 // loss that stays above this share after a cut does not react to it
	lossCutKept  = int64(5 * time.Second)
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
	cutAt   int64   // of the cut under observation
	cutRate float64 // sent before it, bits a second; 0: none
	cutLoss float64
}

func (l *lossBound) add(now int64, received, lost int) {
	if l.got == 0 && l.lost == 0 {
		l.since = now
	}
	l.got += received
	l.lost += lost // negative for packets that were overtaken
}

// update concludes a window, if one is full.
func (l *lossBound) update(now int64, current, acked float64, rtt int64) {
	n := l.got + max(l.lost, 0)
	since := now - l.since
	if since < lossWindow || n < lossPackets && since < lossLongest*lossWindow || n == 0 {
		return
	}
	l.share += (float64(max(l.lost, 0))/float64(n) - l.share) * float64(n) / (float64(n) + lossWeight)
	l.got, l.lost, l.since = 0, 0, now
	if l.share < l.inherent {
		l.inherent += (l.share - l.inherent) / 10
	}
	excess := l.share - l.inherent
	sent := acked / (1 - min(l.share, 0.95))
	switch {
	case excess > lossCut && acked > 0:
		l.congested(now, excess, sent, current, rtt)
	case excess < lossFine:
		if l.cutRate > 0 && now-l.cutAt > rtt+lossWindow {
			l.cutRate = 0 // it did react
		}
		if l.bound > 0 {
			if l.bound *= 1 + lossGrow*time.Duration(since).Seconds(); l.bound > growBeyond*current {
				l.bound = 0
			}
		}
	}
}

// congested cuts the bound, unless an earlier cut has shown that it is of no
// use.
func (l *lossBound) congested(now int64, excess, sent, current float64, rtt int64) {
	if l.cutRate > 0 && now-l.cutAt > lossCutKept {
		l.cutRate = 0
	}
	settled := now-l.cutAt > rtt+3*lossWindow
	if l.cutRate > 0 && settled && sent < 0.9*l.cutRate && l.share > lossReacts*l.cutLoss && l.share < 2*lossInherent {
		l.inherent = min(l.share, lossInherent)
		l.bound, l.cutRate = 0, 0
		return
	}
	if l.lastCut != 0 && now-l.lastCut < rtt+int64(300*time.Millisecond) {
		return
	}
	cut := 0.5 * excess
	if excess > 0.2 { // so much is not probing for the limit any more
		cut = excess
	}
	if l.cutRate == 0 {
		l.cutAt, l.cutRate, l.cutLoss = now, sent, l.share
	}
	to := min(current, sent) * (1 - cut)
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
