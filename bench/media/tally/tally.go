// Package tally counts what subscribers receive: packets, loss and repetitions
// by sequence number, and delays in buckets.
//
// It must not know where packets come from.
package tally

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// window is how far behind the newest packet one is still told from a
// repetition.
const window = 1024

// Stream counts one RTP stream. Its zero value is ready; it is not safe for
// use by several goroutines.
type Stream struct {
	begun   bool
	base    int64 // the first packet's number
	highest int64 // the newest packet's, over all wraps
	unique  int64
	twice   int64
	seen    [window / 64]uint64
}

// Add counts a packet. It reports false for one that has come before, or so
// late that this cannot be told.
func (s *Stream) Add(seq uint16) bool {
	if !s.begun {
		s.begun = true
		s.base, s.highest = int64(seq), int64(seq)
		s.set(s.highest)
		s.unique++
		return true
	}
	n := s.highest + int64(int16(seq-uint16(s.highest)))
	switch {
	case n > s.highest:
		for i := max(s.highest+1, n-window+1); i < n; i++ {
			s.seen[i%window/64] &^= 1 << (i % 64)
		}
		s.highest = n
		s.set(n)
	case n < s.base || n <= s.highest-window || s.has(n):
		s.twice++
		return false
	default:
		s.set(n)
	}
	s.unique++
	return true
}

func (s *Stream) set(n int64)      { s.seen[n%window/64] |= 1 << (n % 64) }
func (s *Stream) has(n int64) bool { return s.seen[n%window/64]&(1<<(n%64)) != 0 }

// Highest is the newest number over all wraps, as receiver reports tell it.
func (s *Stream) Highest() uint32 { return uint32(s.highest) }

// Count is what streams received. The zero value is nothing.
type Count struct {
	Streams  int   `json:"streams"`  // that received anything
	Expected int64 `json:"expected"` // packets, from the first to the newest
	Received int64 `json:"received"` // of them
	Twice    int64 `json:"twice"`    // repetitions and late packets
}

// Count is what the stream received since it began.
func (s *Stream) Count() Count {
	if !s.begun {
		return Count{}
	}
	return Count{Streams: 1, Expected: s.highest - s.base + 1, Received: s.unique, Twice: s.twice}
}

// Plus adds up.
func (c Count) Plus(o Count) Count {
	return Count{c.Streams + o.Streams, c.Expected + o.Expected, c.Received + o.Received, c.Twice + o.Twice}
}

// Since is what came after before was counted, of the same streams.
func (c Count) Since(before Count) Count {
	return Count{c.Streams, c.Expected - before.Expected, c.Received - before.Received, c.Twice - before.Twice}
}

// Lost is the share of expected packets that did not come, between 0 and 1.
func (c Count) Lost() float64 {
	if c.Expected <= 0 {
		return 0
	}
	return max(0, float64(c.Expected-c.Received)/float64(c.Expected))
}

// Delays are durations in buckets some 3 % wide, from a microsecond to more
// than an hour. Its zero value is ready; its methods may be called from any
// goroutine.
type Delays struct {
	buckets [33 * 32]atomic.Int64
}

// Add counts a duration; a negative one counts as none.
func (d *Delays) Add(v time.Duration) { d.buckets[bucket(v)].Add(1) }

// bucket numbers durations below 32 µs by the microsecond, and each doubling
// above in 32 steps.
func bucket(v time.Duration) int {
	us := uint64(min(max(v.Microseconds(), 0), math.MaxUint32))
	if us < 32 {
		return int(us)
	}
	shift := bits.Len64(us) - 6
	return shift*32 + int(us>>shift)
}

// upper is the first duration past bucket i.
func upper(i int) time.Duration {
	if i < 32 {
		return time.Duration(i+1) * time.Microsecond
	}
	shift := i/32 - 1
	return time.Duration(uint64(i%32+33)<<shift) * time.Microsecond
}

// Snapshot copies the buckets.
func (d *Delays) Snapshot() []int64 {
	out := make([]int64, len(d.buckets))
	for i := range d.buckets {
		out[i] = d.buckets[i].Load()
	}
	return out
}

// Spread is what a set of durations is told by. A figure is at most 3 % above
// the truth.
type Spread struct {
	Samples int64         `json:"samples"`
	P50     time.Duration `json:"p50_ns"`
	P99     time.Duration `json:"p99_ns"`
	Max     time.Duration `json:"max_ns"`
}

// Since is the spread of what was added after before was taken; nil is the
// beginning.
func (d *Delays) Since(before []int64) Spread {
	now := d.Snapshot()
	var s Spread
	for i := range now {
		if before != nil {
			now[i] -= before[i]
		}
		s.Samples += now[i]
	}
	quantile := func(q float64) time.Duration {
		left := int64(math.Ceil(q * float64(s.Samples)))
		for i, n := range now {
			if left -= n; left <= 0 && n > 0 {
				return upper(i)
			}
		}
		return 0
	}
	if s.Samples > 0 {
		s.P50, s.P99, s.Max = quantile(0.50), quantile(0.99), quantile(1)
	}
	return s
}
