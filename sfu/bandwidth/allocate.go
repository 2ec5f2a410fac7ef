package bandwidth

import (
	"slices"
	"time"
)

// Priority is the order in which tracks are served.
type Priority uint8

// The priorities, the first first.
const (
	ScreenShare Priority = iota
	Speaker
	Other
)

// Paused is the layer of a track that gets none.
const Paused = -1

const (
	// MaxLayers is how many layers a track may have: three of simulcast, and the
	// lowest with fewer of its frames.
	MaxLayers = 6

	raiseHold     = int64(time.Second)      // after bandwidth last forced something down
	raiseHoldMost = int64(4 * time.Second)  // when raising keeps failing
	raiseProven   = int64(5 * time.Second)  // a raise that lasted so long has succeeded
	lastHoldMost  = int64(30 * time.Second) // when the last picture keeps taking the room of sound
)

// Budget is what there is to divide.
type Budget struct {
	Bitrate uint64 // bits a second that may be sent
	Reserve uint64 // of it, for sound, which is served first
	// Clear says that sound gets through: then the last picture stays, whatever it
	// takes.
	Clear bool
}

// Track is one track that a subscriber wants.
type Track struct {
	// Input.
	Priority Priority
	Bitrates [MaxLayers]uint64 // of the layers that flow, low to high; 0: does not flow
	Max      int               // the best layer wanted
	Current  int               // the layer that is sent, Paused for none
	Held     bool              // it is paused by an earlier allocation, not new

	// Output.
	Layer int // to send, or Paused
}

// Allocation is what Allocate found.
type Allocation struct {
	Used   uint64 // bits a second that the layers take, with the reserve
	Wanted uint64 // that they would take if there were no limit
	Next   int64  // when to allocate again though nothing changes; 0: never
}

// Allocator divides a subscriber's bandwidth among its tracks. It keeps what
// is needed not to flap; the zero value is ready. It is not safe for use from
// several goroutines at once.
type Allocator struct {
	order   []int
	lowered int64 // when bandwidth last forced something down; 0: never
	raised  int64 // when something was last raised
	hold    int64
	last    bool // only the last picture is left, beyond the budget
}

// Allocate sets Layer of each track. The budget serves its reserve first. What
// remains goes to the lowest layer of each track in order of priority, and then
// to better layers: those of one priority are raised in turn, a layer at a time,
// before the next priority is. Tracks of one priority come in the order they are
// given.
//
// The sum never exceeds the budget: a track whose lowest layer does not fit is
// paused, though one of a lower priority that costs less may run. But where
// none fits, the lowest layer of the first is sent all the same, as long as sound
// gets through: an estimate may be wrong, and nothing can prove it so when
// nothing is sent. A layer above the current one needs some room to spare, and
// that nothing has been forced down for a while; new tracks need not wait.
func (a *Allocator) Allocate(now int64, budget Budget, tracks []Track) Allocation {
	if since := max(a.raised, a.lowered+a.hold); a.hold == 0 || now-since > raiseProven {
		a.hold = raiseHold
	}
	a.order = a.order[:0]
	for i := range tracks {
		a.order = append(a.order, i)
	}
	slices.SortStableFunc(a.order, func(x, y int) int { return int(tracks[x].Priority) - int(tracks[y].Priority) })

	waiting := a.lowered != 0 && now-a.lowered < a.hold
	s := spending{budget: budget.Bitrate, used: budget.Reserve, careful: uint64(float64(budget.Bitrate) / headroom), waiting: waiting}
	for _, i := range a.order {
		s.begin(&tracks[i])
	}
	for p := ScreenShare; p <= Other; p++ {
		for more := true; more; {
			more = false
			for _, i := range a.order {
				if tracks[i].Priority == p && s.raise(&tracks[i]) {
					more = true
				}
			}
		}
	}
	if budget.Clear {
		a.keepLast(&s, tracks)
	}
	out := a.conclude(now, &s, budget.Reserve, tracks)
	a.last = s.last
	return out
}

// keepLast gives the first track its lowest layer where all would be paused.
func (a *Allocator) keepLast(s *spending, tracks []Track) {
	if slices.ContainsFunc(tracks, func(t Track) bool { return t.Layer != Paused }) {
		return
	}
	for _, i := range a.order {
		t := &tracks[i]
		l := t.above(Paused)
		if l == Paused {
			continue
		}
		if s.waiting && t.Held {
			s.held = true
			return
		}
		t.Layer, s.last = l, true
		s.used += t.Bitrates[l]
		return
	}
}

// conclude remembers what was forced down or raised.
func (a *Allocator) conclude(now int64, s *spending, reserve uint64, tracks []Track) Allocation {
	out := Allocation{Used: s.used, Wanted: reserve}
	lowered, raised := false, false
	for i := range tracks {
		t := &tracks[i]
		out.Wanted += t.Bitrates[max(t.best(), 0)]
		wanted := min(t.Current, t.best())
		lowered = lowered || t.Layer < wanted
		raised = raised || t.Layer > t.Current && (t.Held || t.Current != Paused)
	}
	if lowered {
		if a.raised > a.lowered && now-a.raised < raiseProven {
			most := raiseHoldMost
			if a.last {
				most = lastHoldMost
			}
			a.hold = min(2*a.hold, most)
		}
		a.lowered = now
	}
	if raised {
		a.raised = now
	}
	if s.held {
		out.Next = max(a.lowered+a.hold, now+1)
	}
	return out
}

// best is the best layer that flows and is wanted.
func (t *Track) best() int {
	for l := min(t.Max, MaxLayers-1); l >= 0; l-- {
		if t.Bitrates[l] > 0 {
			return l
		}
	}
	return Paused
}

// above is the next layer that flows and is wanted, Paused for none. One that
// takes as much as a better one is passed over: an encoder that begins, or that
// has little to show, sends such, and what cannot be had for it may be for the
// better one.
func (t *Track) above(layer int) int {
	most := min(t.Max, MaxLayers-1)
	for l := layer + 1; l <= most; l++ {
		if t.Bitrates[l] > 0 && !slices.ContainsFunc(t.Bitrates[l+1:most+1], func(better uint64) bool { return better > 0 && better <= t.Bitrates[l] }) {
			return l
		}
	}
	return Paused
}

// spending is an allocation under way.
type spending struct {
	budget, careful uint64
	used            uint64
	waiting         bool // nothing may be raised yet
	held            bool // for which something was held back
	last            bool // what is sent beyond the budget is the last picture
}

// begin gives a track its lowest layer.
func (s *spending) begin(t *Track) {
	t.Layer = Paused
	l := t.above(Paused)
	if l == Paused {
		return
	}
	limit := s.budget
	if l > t.Current && t.Held {
		limit = s.careful
		if s.waiting {
			s.held = true
			return
		}
	}
	if s.used+t.Bitrates[l] <= limit {
		t.Layer = l
		s.used += t.Bitrates[l]
	}
}

// raise gives a track one layer more, and says whether it did.
func (s *spending) raise(t *Track) bool {
	if t.Layer == Paused {
		return false
	}
	l := t.above(t.Layer)
	if l == Paused {
		return false
	}
	fresh := t.Current == Paused && !t.Held
	limit := s.budget
	if l > t.Current {
		limit = s.careful
		if s.waiting && !fresh {
			s.held = true
			return false
		}
	}
	used := s.used - t.Bitrates[t.Layer] + t.Bitrates[l]
	if used > limit {
		return false
	}
	t.Layer, s.used = l, used
	return true
}
