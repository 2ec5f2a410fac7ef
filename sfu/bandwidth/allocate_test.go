package bandwidth_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"commsd/sfu/bandwidth"
)

const second = int64(time.Second)

// flowing is a track of three layers that is sent at a layer now.
func flowing(p bandwidth.Priority, current int) bandwidth.Track {
	return bandwidth.Track{Priority: p, Bitrates: [bandwidth.MaxLayers]uint64{150, 500, 2000}, Max: 2, Current: current}
}

func layers(tracks []bandwidth.Track) []int {
	out := make([]int, len(tracks))
	for i, t := range tracks {
		out[i] = t.Layer
	}
	return out
}

func TestAllocate(t *testing.T) {
	const paused = bandwidth.Paused
	screen, speaker, other := flowing(bandwidth.ScreenShare, paused), flowing(bandwidth.Speaker, paused), flowing(bandwidth.Other, paused)
	with := func(t bandwidth.Track, change func(*bandwidth.Track)) bandwidth.Track { change(&t); return t }
	for _, c := range []struct {
		name    string
		budget  uint64
		reserve uint64
		tracks  []bandwidth.Track
		want    []int
	}{
		{"enough for all", 9000, 100, []bandwidth.Track{screen, speaker, other}, []int{2, 2, 2}},
		{"sound first", 200, 100, []bandwidth.Track{screen, speaker, other}, []int{paused, paused, paused}},
		{"less than sound", 50, 100, []bandwidth.Track{screen}, []int{paused}},
		{"the lowest for all", 550, 100, []bandwidth.Track{other, speaker, screen}, []int{0, 0, 0}},
		{"in order of priority", 420, 100, []bandwidth.Track{other, speaker, screen}, []int{paused, 0, 0}},
		{"the screen is raised first", 2900, 100, []bandwidth.Track{other, speaker, screen}, []int{0, 0, 2}},
		{"then the speaker", 3300, 100, []bandwidth.Track{other, speaker, screen}, []int{0, 1, 2}},
		{"others in turn", 1700, 100, []bandwidth.Track{other, other, other}, []int{1, 1, 0}},
		{"not what nobody wants", 9000, 0, []bandwidth.Track{with(speaker, func(t *bandwidth.Track) { t.Max = 0 })}, []int{0}},
		{"not what does not flow", 9000, 0, []bandwidth.Track{with(speaker, func(t *bandwidth.Track) { t.Bitrates = [bandwidth.MaxLayers]uint64{150, 0, 0} })}, []int{0}},
		{"over a layer that does not flow", 9000, 0, []bandwidth.Track{with(speaker, func(t *bandwidth.Track) { t.Bitrates[1] = 0 })}, []int{2}},
		{"only the best flows", 9000, 0, []bandwidth.Track{with(speaker, func(t *bandwidth.Track) { t.Bitrates = [bandwidth.MaxLayers]uint64{0, 0, 2000} })}, []int{2}},
		{"a lower layer that costs more", 400, 100, []bandwidth.Track{with(speaker, func(t *bandwidth.Track) { t.Bitrates = [bandwidth.MaxLayers]uint64{500, 200, 2000} })}, []int{1}},
		{"the lower one where nobody wants the better", 400, 100, []bandwidth.Track{with(speaker, func(t *bandwidth.Track) { t.Bitrates, t.Max = [bandwidth.MaxLayers]uint64{250, 200, 100}, 0 })}, []int{0}},
		{"nothing flows", 9000, 0, []bandwidth.Track{with(speaker, func(t *bandwidth.Track) { t.Bitrates = [bandwidth.MaxLayers]uint64{} })}, []int{paused}},
		{"a costly screen does not stop a cheap camera", 500, 100, []bandwidth.Track{with(screen, func(t *bandwidth.Track) { t.Bitrates = [bandwidth.MaxLayers]uint64{1500, 0, 0} }), speaker}, []int{paused, 0}},
		{"what flows stays without room to spare", 2100, 100, []bandwidth.Track{flowing(bandwidth.Speaker, 2)}, []int{2}},
		{"what would be better needs some", 2100, 100, []bandwidth.Track{flowing(bandwidth.Speaker, 1)}, []int{1}},
		{"a paused one needs some too", 260, 100, []bandwidth.Track{with(speaker, func(t *bandwidth.Track) { t.Held = true })}, []int{paused}},
		{"a new one does not for its lowest", 260, 100, []bandwidth.Track{speaker}, []int{0}},
		{"nothing is wanted", 9000, 100, nil, []int{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var a bandwidth.Allocator
			a.Allocate(second, bandwidth.Budget{Bitrate: c.budget, Reserve: c.reserve}, c.tracks)
			if got := layers(c.tracks); !slices.Equal(got, c.want) {
				t.Errorf("got layers %v, want %v", got, c.want)
			}
		})
	}
}

func TestAllocationSums(t *testing.T) {
	var a bandwidth.Allocator
	tracks := []bandwidth.Track{flowing(bandwidth.ScreenShare, bandwidth.Paused), flowing(bandwidth.Other, bandwidth.Paused)}
	if got := a.Allocate(second, bandwidth.Budget{Bitrate: 2600, Reserve: 100}, tracks); got != (bandwidth.Allocation{Used: 2250, Wanted: 4100}) {
		t.Errorf("%+v, of layers %v", got, layers(tracks))
	}
}

// apply makes what was allotted the present.
func apply(tracks []bandwidth.Track) {
	for i := range tracks {
		tracks[i].Current = tracks[i].Layer
		tracks[i].Held = tracks[i].Layer == bandwidth.Paused
	}
}

// After something was forced down, nothing is raised for a while; after
// raising failed, for longer; but new tracks get their picture at once.
func TestAllocateHoldsBack(t *testing.T) {
	var a bandwidth.Allocator
	tracks := []bandwidth.Track{flowing(bandwidth.Speaker, 2)}
	at := func(now int64, budget uint64, want ...int) bandwidth.Allocation {
		t.Helper()
		got := a.Allocate(now, bandwidth.Budget{Bitrate: budget}, tracks)
		if !slices.Equal(layers(tracks), want) {
			t.Fatalf("at %d ms layers %v, want %v", now/1e6, layers(tracks), want)
		}
		apply(tracks)
		return got
	}
	now := 10 * second
	at(now, 5000, 2)
	at(now, 600, 1)
	if got := at(now+second/2, 5000, 1); got.Next != now+second {
		t.Errorf("may raise at %d, want %d", got.Next, now+second)
	}
	tracks = append(tracks, flowing(bandwidth.Other, bandwidth.Paused))
	at(now+second/2, 5000, 1, 2)
	at(now+second, 5000, 2, 2)
	at(now+2*second, 700, 1, 0) // the raise has failed
	if got := at(now+3*second, 5000, 1, 0); got.Next != now+4*second {
		t.Errorf("may raise at %d, want %d", got.Next, now+4*second)
	}
	at(now+4*second, 5000, 2, 2)
	at(now+20*second, 700, 1, 0) // that one had lasted
	at(now+21*second, 5000, 2, 2)
	at(now+22*second, 100, bandwidth.Paused, bandwidth.Paused)
	at(now+23*second, 5000, bandwidth.Paused, bandwidth.Paused)
	at(now+24*second, 5000, 2, 2)
}

// Of pictures that all cost too much the first stays while sound gets through;
// what has taken its room comes back more and more rarely.
func TestTheLastPictureStays(t *testing.T) {
	const paused = bandwidth.Paused
	var a bandwidth.Allocator
	tracks := []bandwidth.Track{flowing(bandwidth.Other, 2), flowing(bandwidth.Speaker, 2), flowing(bandwidth.Other, 2)}
	at := func(now int64, bitrate uint64, through bool, want ...int) {
		t.Helper()
		a.Allocate(now, bandwidth.Budget{Bitrate: bitrate, Reserve: 40, Clear: through}, tracks)
		if !slices.Equal(layers(tracks), want) {
			t.Fatalf("at %d ms layers %v, want %v", now/1e6, layers(tracks), want)
		}
		apply(tracks)
	}
	now := 10 * second
	at(now, 80, true, paused, 0, paused)
	at(now+10*second, 80, true, paused, 0, paused)
	now += 11 * second
	at(now, 80, false, paused, paused, paused)
	for _, wait := range []int64{1, 2, 4, 8, 16, 30, 30} { // it comes back, and is too much again
		at(now+wait*second-second/2, 80, true, paused, paused, paused)
		at(now+wait*second, 80, true, paused, 0, paused)
		now += (wait + 1) * second
		at(now, 80, false, paused, paused, paused)
	}
	// Then it lasts: nothing is held against it any more.
	at(now+30*second, 80, true, paused, 0, paused)
	at(now+40*second, 80, false, paused, paused, paused)
	at(now+41*second, 80, true, paused, 0, paused)
	at(now+43*second, 1000, true, 0, 1, 0)
}

func TestAllocateProperties(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for range 20_000 {
		tracks := make([]bandwidth.Track, rng.IntN(8))
		for i := range tracks {
			t := &tracks[i]
			t.Priority = bandwidth.Priority(rng.IntN(3))
			rate := uint64(0)
			for l := range t.Bitrates {
				if rng.IntN(4) > 0 {
					rate += 1 + rng.Uint64N(1000)
					t.Bitrates[l] = rate
				}
			}
			t.Max = rng.IntN(bandwidth.MaxLayers+1) - 1
			t.Current = rng.IntN(bandwidth.MaxLayers+1) - 1
			t.Held = rng.IntN(2) == 0
		}
		budget := bandwidth.Budget{Bitrate: rng.Uint64N(6000), Reserve: rng.Uint64N(200), Clear: rng.IntN(2) == 0}
		var a, again bandwidth.Allocator
		if rng.IntN(2) == 0 { // something has been forced down just now
			low := []bandwidth.Track{flowing(bandwidth.Other, 2)}
			a.Allocate(9*second, bandwidth.Budget{}, low)
			again.Allocate(9*second, bandwidth.Budget{}, low)
		}
		copied := slices.Clone(tracks)
		out := a.Allocate(9*second+second/2, budget, tracks)
		if other := again.Allocate(9*second+second/2, budget, copied); out != other || !reflect.DeepEqual(tracks, copied) {
			t.Fatalf("not the same twice: %+v %+v", tracks, copied)
		}
		used, flowing, lowest := budget.Reserve, 0, true
		for _, tr := range tracks {
			if tr.Layer == bandwidth.Paused {
				continue
			}
			if tr.Bitrates[tr.Layer] == 0 || tr.Layer > tr.Max {
				t.Fatalf("layer %d of %+v", tr.Layer, tr)
			}
			used += tr.Bitrates[tr.Layer]
			flowing++
			lowest = lowest && !slices.ContainsFunc(tr.Bitrates[:tr.Layer], func(b uint64) bool { return b > 0 })
		}
		last := budget.Clear && flowing == 1 && lowest
		if used != out.Used || used > budget.Reserve && used > budget.Bitrate && !last {
			t.Fatalf("%d of %+v used, %d said: %+v", used, budget, out.Used, tracks)
		}
		if out.Wanted < out.Used {
			t.Fatalf("wanted %d, used %d", out.Wanted, out.Used)
		}
		for i, x := range tracks {
			for j, y := range tracks {
				// Of two that are alike but for priority, the first is served as well.
				first := x.Priority < y.Priority || x.Priority == y.Priority && i < j
				if first && x.Bitrates == y.Bitrates && x.Max == y.Max && x.Current == y.Current && x.Held == y.Held && x.Layer < y.Layer {
					t.Fatalf("%+v is served before %+v", y, x)
				}
			}
		}
	}
}

// Measured bitrates vary from second to second: layers must not.
func TestAllocateDoesNotFlap(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	var a bandwidth.Allocator
	tracks := []bandwidth.Track{flowing(bandwidth.Speaker, bandwidth.Paused), flowing(bandwidth.Other, bandwidth.Paused)}
	changes := 0
	for i := range int64(600) {
		now := second + i*second/10
		for j := range tracks {
			for l, r := range [3]float64{150, 500, 2000} {
				tracks[j].Bitrates[l] = uint64(r * (0.95 + 0.1*rng.Float64()))
			}
		}
		a.Allocate(now, bandwidth.Budget{Bitrate: uint64(2500 * (0.95 + 0.1*rng.Float64())), Reserve: 50}, tracks)
		for _, tr := range tracks {
			if tr.Layer != tr.Current {
				changes++
			}
		}
		apply(tracks)
	}
	if changes > 20 {
		t.Errorf("layers changed %d times in a minute", changes)
	}
}

func BenchmarkAllocate(b *testing.B) {
	var a bandwidth.Allocator
	tracks := make([]bandwidth.Track, 25)
	for i := range tracks {
		tracks[i] = flowing(bandwidth.Priority(i%3), i%3)
	}
	b.ReportAllocs()
	for b.Loop() {
		a.Allocate(second, bandwidth.Budget{Bitrate: 9000, Reserve: 100}, tracks)
	}
}
