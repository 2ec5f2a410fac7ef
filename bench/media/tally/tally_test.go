package tally_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"commsd/bench/media/tally"
)

// Numbers wrap, packets get lost, come twice and out of order.
func TestStreamCountsAcrossTheWrap(t *testing.T) {
	var s tally.Stream
	for i := range 200_000 {
		seq := uint16(65_000 + i)
		switch i % 100 {
		case 50: // lost
		case 60: // swapped with the next
			s.Add(seq + 1)
		case 61:
			s.Add(seq - 1)
		case 70: // twice
			s.Add(seq)
			if s.Add(seq) {
				t.Fatalf("packet %d came twice and counted twice", i)
			}
		default:
			if !s.Add(seq) {
				t.Fatalf("packet %d was taken for one seen before", i)
			}
		}
	}
	got := s.Count()
	if want := (tally.Count{Streams: 1, Expected: 200_000, Received: 198_000, Twice: 2_000}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	if lost := got.Lost(); lost != 0.01 {
		t.Errorf("%v lost, want 0.01", lost)
	}
	half := got.Since(tally.Count{Streams: 1, Expected: 100_000, Received: 100_000})
	if half.Expected != 100_000 || half.Received != 98_000 {
		t.Errorf("since half: %+v", half)
	}
}

// A burst of loss longer than the window leaves no trace of what was there.
func TestStreamForgetsBehindItsWindow(t *testing.T) {
	var s tally.Stream
	for _, seq := range []uint16{1, 2, 5000, 3} {
		s.Add(seq)
	}
	if got, want := s.Count(), (tally.Count{Streams: 1, Expected: 5000, Received: 3, Twice: 1}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	for seq := uint16(5000 - 1000); seq < 5000; seq++ {
		if !s.Add(seq) {
			t.Fatalf("packet %d was taken for one seen before", seq)
		}
	}
}

// The figures are those of sorted durations, at most 3 % above.
func TestDelaysAreCloseToTheTruth(t *testing.T) {
	var d tally.Delays
	d.Add(time.Hour) // before what is asked for
	before := d.Snapshot()
	order := rand.New(rand.NewPCG(1, 2)).Perm(10_000)
	for _, i := range order {
		d.Add(time.Duration(i+1) * 10 * time.Microsecond) // 10 µs to 100 ms
	}
	d.Add(-time.Second) // clocks that differ a little
	s := d.Since(before)
	if s.Samples != 10_001 {
		t.Errorf("%d samples", s.Samples)
	}
	for name, c := range map[string]struct{ got, want time.Duration }{
		"p50": {s.P50, 50 * time.Millisecond}, "p99": {s.P99, 99 * time.Millisecond}, "max": {s.Max, 100 * time.Millisecond},
	} {
		if c.got < c.want-time.Millisecond || c.got > c.want+c.want*35/1000 {
			t.Errorf("%s is %v, want %v", name, c.got, c.want)
		}
	}
}

func TestNoDelaysAreNone(t *testing.T) {
	var d tally.Delays
	if s := d.Since(nil); s != (tally.Spread{}) {
		t.Errorf("nothing added is %+v", s)
	}
	d.Add(17 * time.Microsecond)
	if s := d.Since(nil); s.P50 != 18*time.Microsecond || s.Max != s.P50 {
		t.Errorf("one duration is %+v", s)
	}
}
