package bandwidth

import (
	"math"
	"time"
)

const (
	burst     = int64(5 * time.Millisecond)   // packets sent within it are one group (gcc-02, 5.2)
	burstMost = int64(100 * time.Millisecond) // of one group's arrival
	idle      = int64(2 * time.Second)        // a pause this long starts the filter anew

	trendWindow  = 20
	trendSmooth  = 0.9
	trendGain    = 4
	trendDeltas  = 60
	threshold0   = 12.5 // ms; gcc-02, 5.4
	thresholdMin = 6
	thresholdMax = 600
	thresholdUp  = 0.0087 // a ms, towards a larger trend
	thresholdDn  = 0.039
	outlier      = 15 // ms above the threshold: does not move it
	overTime     = 10 // ms of trend above the threshold before it is overuse

	queueMost   = 120 // ms of delay above the least: a queue, whatever the trend says yet
	queueJitter = 4   // and this many times the jitter
	queueLeak   = 1   // ms a second by which the least delay is forgotten: clocks drift

	standLeast  = 25  // ms, and the jitter, that all packets of late have waited: a queue that stands
	standFor    = 100 // ms of late,
	standJitter = 8   // and this many times the jitter,
	standGroups = 3   // but at least so many groups
	standDeep   = 2   // of a deep queue
)

// usage says what the queue at the bottleneck does.
type usage uint8

const (
	normal usage = iota
	over         // it grows
	under        // it shrinks
)

// group is a burst of packets (gcc-02, 5.2).
type group struct {
	firstSent, lastSent int64
	firstGot, lastGot   int64
}

// delayFilter tells by the trend of the delay between groups of packets whether
// a queue grows, against a threshold that adapts (gcc-02, 5.3 and 5.4, with a
// line fitted through the smoothed delays for the Kalman filter).
type delayFilter struct {
	cur, prev  group
	groups     int // 0, 1: cur, 2: prev too
	backwards  int // groups in a row that came before their predecessor
	points     [trendWindow]point
	count      int // deltas so far
	firstGot   int64
	sum        float64 // of deltas, ms: the delay since the filter began
	least      float64 // of that
	last       float64 // delta
	smoothed   float64
	slope      float64
	waits      [standMost]wait
	threshold  float64
	overFor    float64 // ms; negative: not over
	overCount  int
	lastUpdate int64
	usage      usage
	jitter     float64 // mean absolute delta, ms
}

type point struct{ x, y float64 }

// wait is how long a group has waited somewhere, beyond what is the least.
type wait struct {
	at int64
	ms float64
}

const standMost = 32 // groups that are looked back at

func (f *delayFilter) reset() {
	jitter := f.jitter
	*f = delayFilter{threshold: threshold0, overFor: -1, jitter: jitter}
}

// packet takes in a packet that was sent and received at these times, each by
// its own clock.
func (f *delayFilter) packet(sent, got, now int64) {
	if f.groups == 0 {
		f.start(sent, got)
		return
	}
	if sent < f.cur.firstSent {
		return // overtaken
	}
	if sent-f.cur.firstSent <= burst || f.bunched(sent, got) {
		f.cur.lastSent = max(f.cur.lastSent, sent)
		f.cur.lastGot = max(f.cur.lastGot, got)
		return
	}
	if f.groups >= 2 {
		sentDelta, gotDelta := f.cur.lastSent-f.prev.lastSent, f.cur.lastGot-f.prev.lastGot
		switch {
		case sentDelta > idle || gotDelta > idle:
			f.reset()
			f.start(sent, got)
			return
		case gotDelta < 0:
			if f.backwards++; f.backwards >= 3 {
				f.reset()
				f.start(sent, got)
				return
			}
		default:
			f.backwards = 0
			f.delta(ms(sentDelta), ms(gotDelta), f.cur.lastGot, now)
		}
	}
	f.prev = f.cur
	f.groups = 2
	f.cur = group{sent, sent, got, got}
}

func (f *delayFilter) start(sent, got int64) {
	f.cur, f.groups = group{sent, sent, got, got}, 1
}

// bunched says whether a packet caught up with the group before it in some
// queue that lets packets go in bunches: that tells nothing of congestion.
func (f *delayFilter) bunched(sent, got int64) bool {
	after := got - f.cur.lastGot
	return after <= burst && after-(sent-f.cur.lastSent) < 0 && got-f.cur.firstGot < burstMost
}

func ms(ns int64) float64 { return float64(ns) / float64(time.Millisecond) }

// delta takes in how much longer a group took than the one before it.
func (f *delayFilter) delta(sent, got float64, gotAt, now int64) {
	d := got - sent
	f.jitter += (math.Abs(d) - f.jitter) / 32
	if f.count == 0 {
		f.firstGot = gotAt
	}
	f.sum += d
	f.last = d
	f.least = min(f.least+queueLeak*sent/1000, f.sum)
	f.waits[f.count%standMost] = wait{gotAt, f.sum - f.least}
	f.smoothed = trendSmooth*f.smoothed + (1-trendSmooth)*f.sum
	f.points[f.count%trendWindow] = point{ms(gotAt - f.firstGot), f.smoothed}
	f.count++
	slope := f.slope
	if f.count >= trendWindow {
		slope = f.fit()
	}
	f.judge(slope, sent, now)
}

// fit returns the slope of the line through the points (least squares).
func (f *delayFilter) fit() float64 {
	var mx, my float64
	for _, p := range f.points {
		mx += p.x
		my += p.y
	}
	mx, my = mx/trendWindow, my/trendWindow
	var num, den float64
	for _, p := range f.points {
		num += (p.x - mx) * (p.y - my)
		den += (p.x - mx) * (p.x - mx)
	}
	if den == 0 {
		return f.slope
	}
	return num / den
}

// judge compares the trend with the threshold (gcc-02, 5.4).
func (f *delayFilter) judge(slope, sentDelta float64, now int64) {
	trend := float64(min(f.count, trendDeltas)) * slope * trendGain
	switch {
	case f.count < 2:
		f.usage = normal
	case trend > f.threshold:
		if f.overFor < 0 {
			f.overFor = sentDelta / 2 // somewhere between the groups
		} else {
			f.overFor += sentDelta
		}
		f.overCount++
		if f.overFor > overTime && f.overCount > 1 && slope >= f.slope && f.standing(standGroups) > standLeast+f.jitter {
			f.overFor, f.overCount = 0, 0
			f.usage = over
		}
	case trend < -f.threshold:
		f.overFor, f.overCount = -1, 0
		f.usage = under
	default:
		f.overFor, f.overCount = -1, 0
		f.usage = normal
	}
	f.slope = slope
	f.adapt(math.Abs(trend), now)
}

// queued finds a queue that has grown so quickly that the fitted line does not
// show it yet: on a line that has slowed down suddenly, groups come rarely.
func (f *delayFilter) queued() {
	if f.count > 2 && f.last > 0 && f.slope > 0 && f.deep() {
		f.usage = over
	}
}

// deep says whether there is a queue beyond what jitter explains.
func (f *delayFilter) deep() bool { return f.standing(standDeep) > queueMost+queueJitter*f.jitter }

// standing is the queue that every packet of late had to pass: the least that
// any has waited, of some groups at least. A machine that is busy with something
// else, at either end, holds packets up and then takes them all at once, so that
// the delay grows often and by much, but some of them always come through as
// quickly as ever. A queue on the way lets nobody pass.
func (f *delayFilter) standing(groups int) float64 {
	if f.count < groups {
		return 0
	}
	newest := f.waits[(f.count-1)%standMost]
	least := newest.ms
	for i := 2; i <= min(f.count, standMost); i++ {
		w := f.waits[(f.count-i)%standMost]
		if i > groups && ms(newest.at-w.at) > standFor+standJitter*f.jitter {
			break
		}
		least = min(least, w.ms)
	}
	return least
}

// adapt moves the threshold towards the trend, so that a flow which only
// reacts to loss does not starve this one.
func (f *delayFilter) adapt(trend float64, now int64) {
	since := min(ms(now-f.lastUpdate), 100)
	f.lastUpdate = now
	if trend > f.threshold+outlier {
		return
	}
	k := thresholdUp
	if trend < f.threshold {
		k = thresholdDn
	}
	f.threshold = min(max(f.threshold+k*(trend-f.threshold)*since, thresholdMin), thresholdMax)
}
