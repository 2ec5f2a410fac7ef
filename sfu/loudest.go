package sfu

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// quietLevel is the level (RFC 6464, 3: -dBov) of a packet that does not
	// say how loud it is: speech.
	quietLevel = 30
	// louderBy is by how much a voice must exceed the quietest that is heard
	// to take its place, in the units of loudness: 6 dB.
	louderBy = 6 << loudnessBits
	// tryEvery is how often a track that is not heard asks to be.
	tryEvery = int64(60 * time.Millisecond)
	// silentAfter without packets a voice counts as silent: with DTX (RFC 6716,
	// 2.1.9) a silent one sends a packet each 400 ms.
	silentAfter  = int64(300 * time.Millisecond)
	loudnessBits = 8
)

// loudness is how loud a track has been of late, 0 for silence. It rises with
// the first syllable and falls over a few words.
type loudness struct {
	score atomic.Int64 // 127-level, times 1<<loudnessBits; written by the track's packets alone
	at    atomic.Int64 // of the last packet
	in    atomic.Bool  // among the loudest; written under loudest.mu
	gone  bool         // guarded by loudest.mu; the track has ended
	tried int64        // owned by the track's packets
}

func (l *loudness) add(level uint8, now int64) {
	loud := int64(127-level&0x7F) << loudnessBits
	score := l.score.Load()
	if loud > score {
		score += (loud - score) / 3
	} else {
		score += (loud - score) / 32
	}
	l.score.Store(score)
	l.at.Store(now)
}

func (l *loudness) current(now int64) int64 {
	if now-l.at.Load() > silentAfter {
		return 0
	}
	return l.score.Load()
}

// loudest are the microphones of a room that are heard: in a meeting where
// everybody's is open, nobody could tell more apart, and each costs every
// listener.
type loudest struct {
	most int

	mu sync.Mutex
	in []*track // guarded by mu; at most so many
}

// hears tells whether a packet of t is to be forwarded. It is called by t's
// packets, one at a time.
func (s *loudest) hears(t *track, level uint8, now int64) bool {
	l := &t.loudness
	l.add(level, now)
	if l.in.Load() {
		return true
	}
	if now-l.tried < tryEvery && l.tried != 0 {
		return false
	}
	l.tried = now
	if !s.enter(t, now) {
		return false
	}
	for _, d := range *t.subs.Load() {
		d.pause() // it goes on without a gap in the numbers
	}
	return true
}

// enter makes t one of the loudest, if it is.
func (s *loudest) enter(t *track, now int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.loudness.gone { // and its client sends on
		return false
	}
	if len(s.in) >= s.most {
		out := s.yieldsLocked(t, now)
		if out == nil {
			return false
		}
		s.removeLocked(out)
	}
	s.in = append(s.in, t)
	t.loudness.in.Store(true)
	return true
}

// yieldsLocked finds who makes room for t, nil where nobody does: the quietest,
// where t is louder. How loud a packet is its sender says. So that nobody keeps
// all others out by several microphones that claim to be loud, the further ones
// of a participant yield to anybody's first, and its own only to its own.
func (s *loudest) yieldsLocked(t *track, now int64) *track {
	quieter := func(a, b *track) bool { return b == nil || a.loudness.current(now) < b.loudness.current(now) }
	var quietest, further, own *track
	for i, o := range s.in {
		if quieter(o, quietest) {
			quietest = o
		}
		if o.owner == t.owner && quieter(o, own) {
			own = o
		}
		for j, other := range s.in {
			if i != j && o.owner == other.owner && quieter(o, further) {
				further = o
			}
		}
	}
	switch {
	case own != nil:
		quietest = own
	case further != nil && t.loudness.current(now) > 0:
		return further
	}
	if t.loudness.current(now) < quietest.loudness.current(now)+louderBy {
		return nil
	}
	return quietest
}

// remove forgets a track that has ended.
func (s *loudest) remove(t *track) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.loudness.gone = true
	s.removeLocked(t)
}

func (s *loudest) removeLocked(t *track) {
	if i := slices.Index(s.in, t); i >= 0 {
		s.in = slices.Delete(s.in, i, i+1)
		t.loudness.in.Store(false)
	}
}
