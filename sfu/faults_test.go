package sfu_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtp"

	"commsd/internal/testpeer/meetingpeer"
	"commsd/sfu"
)

// studio is somebody with a microphone and a camera. What viewers get is
// measured against what it sends: a machine that has other things to do slows
// both down.
type studio struct {
	cam    *meetingpeer.Simulcast
	sounds atomic.Int64
}

const filmEvery, soundEvery = 40 * time.Millisecond, 20 * time.Millisecond

// film publishes sound and a camera in three layers of 25 pictures a second
// that take 120, 350 and 900 kb/s.
func film(t *testing.T, s *sfu.SFU) *studio {
	t.Helper()
	c := join(t, s, everything("r", "an"), nil)
	out := &studio{}
	mic, _ := c.publish(microphone("mic"))
	t.Cleanup(mic.Pump(soundEvery, func(n int) *rtp.Packet { out.sounds.Add(1); return opus(n) }).Stop)
	c.p.AddTrack(sfu.TrackInfo{
		CID: "cam", Kind: sfu.Video, Source: sfu.SourceCamera, Width: 1280, Height: 720, Simulcast: true,
		Layers: []sfu.VideoLayer{
			{Quality: 0, Width: 320, Height: 180, Bitrate: 120_000, RID: "q"},
			{Quality: 1, Width: 640, Height: 360, Bitrate: 350_000, RID: "h"},
			{Quality: 2, Width: 1280, Height: 720, Bitrate: 900_000, RID: "f"},
		},
	})
	await(c, "its camera", func(e sfu.EventTrackPublished) bool { return e.CID == "cam" })
	var err error
	if out.cam, err = c.AddSimulcast("cam"); err != nil {
		t.Fatal(err)
	}
	c.negotiateNow()
	t.Cleanup(out.cam.Film(filmEvery, [len(meetingpeer.Rids)]int{120_000, 350_000, 900_000}).Stop)
	return out
}

// span is what was sent in a span of time.
type span struct {
	from, to         time.Time
	pictures, sounds int
}

func (s *studio) begin() span {
	return span{from: time.Now(), pictures: -s.cam.Taken(), sounds: -int(s.sounds.Load())}
}

func (s *studio) end(of span) span {
	of.to = time.Now()
	of.pictures += s.cam.Taken()
	of.sounds += int(s.sounds.Load())
	return of
}

func (s *studio) during(t *testing.T, d time.Duration) span {
	t.Helper()
	of := s.begin()
	pass(t, d)
	return s.end(of)
}

// fail fails the test, unless the machine had so much else to do that the
// server cannot tell its own delay from that of the line.
func (s *studio) fail(t *testing.T, format string, args ...any) {
	t.Helper()
	if late := s.cam.Late(); late > 3 {
		t.Skipf("the machine had no time, %d pictures were late: %s", late, fmt.Sprintf(format, args...))
	}
	t.Errorf(format, args...)
}

// pass lets a test's time pass.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

// wanted is what a viewer shall get: shares of the pictures and sounds that are
// sent, and of those pictures the share that is of a layer.
type wanted struct {
	layer                    byte
	pictures, sounds, ofThem float64
}

// gets compares what came in a span of time; empty is all right.
func (v *viewer) gets(w wanted, sent span) string {
	pictures, layers, sounds := v.between(sent.from, sent.to)
	if float64(pictures) >= w.pictures*float64(sent.pictures) && float64(sounds) >= w.sounds*float64(sent.sounds) &&
		float64(layers[w.layer]) >= w.ofThem*float64(pictures) && pictures > 0 {
		return ""
	}
	named := make(map[string]int)
	for l, n := range layers {
		named[string(l)] = n
	}
	return fmt.Sprintf("%d of %d pictures, of layers %v, and %d of %d sounds in %v; want %+v",
		pictures, sent.pictures, named, sounds, sent.sounds, sent.to.Sub(sent.from).Round(time.Millisecond), w)
}

// windows is in how many spans of time a test looks for what it wants. On a
// machine at rest it finds it in the first.
const windows = 8

// One camera, watched over lines of every kind at the same time: the picture
// flows at the layer that fits, and the sound all the while.
func TestLines(t *testing.T) {
	t.Parallel()
	s := serve(t)
	st := film(t, s)
	far := newInternet(s)
	type watched struct {
		name string
		line conditions
		want wanted
		*viewer
	}
	all := []*watched{
		{name: "1 % loss", line: conditions{loss: 1, delay: 10 * time.Millisecond}, want: wanted{'f', 0.92, 0.95, 1}},
		{name: "5 % loss", line: conditions{loss: 5, delay: 10 * time.Millisecond}, want: wanted{'f', 0.9, 0.88, 0.9}},
		{name: "10 % loss", line: conditions{loss: 10, delay: 10 * time.Millisecond}, want: wanted{'f', 0.85, 0.8, 0.9}},
		{name: "50 ms", line: conditions{delay: 50 * time.Millisecond}, want: wanted{'f', 0.92, 0.95, 1}},
		{name: "150 ms", line: conditions{delay: 150 * time.Millisecond}, want: wanted{'f', 0.92, 0.95, 1}},
		{name: "300 ms", line: conditions{delay: 300 * time.Millisecond}, want: wanted{'f', 0.9, 0.92, 1}},
		{name: "jitter", line: conditions{delay: 20 * time.Millisecond, jitter: 30 * time.Millisecond}, want: wanted{'f', 0.92, 0.95, 1}},
		{name: "700 kb/s", line: conditions{delay: 20 * time.Millisecond, rate: 700_000}, want: wanted{'h', 0.9, 0.92, 0.9}},
	}
	clients := make([]*client, len(all))
	for i, w := range all { // all of them connect at the same time
		clients[i] = join(t, s, everything("r", w.name), far.reach(far.line(t, w.line)))
	}
	for i, w := range all {
		w.viewer = watch(t, st, clients[i])
	}
	pass(t, 3*time.Second)
	why := make(map[string]string)
	for range windows {
		sent := st.during(t, 3*time.Second)
		left := all[:0]
		for _, w := range all {
			if why[w.name] = w.gets(w.want, sent); why[w.name] != "" {
				left = append(left, w)
			}
		}
		if all = left; len(all) == 0 {
			break
		}
	}
	for _, w := range all {
		st.fail(t, "%s: %s", w.name, why[w.name])
	}
}

// A line falls from 4 Mb/s to 300 kb/s and rises again: the picture gets small
// and goes on, the sound is kept, and the best picture is back within 5 s.
func TestBandwidthFallsAndReturns(t *testing.T) {
	t.Parallel()
	s := serve(t)
	st := film(t, s)
	far := newInternet(s)
	l := far.line(t, conditions{delay: 25 * time.Millisecond, rate: 4_000_000})
	v := watch(t, st, join(t, s, everything("r", "chi"), far.reach(l)))
	until := func(w wanted) bool {
		t.Helper()
		why := ""
		for range windows {
			if why = v.gets(w, st.during(t, 2*time.Second)); why == "" {
				return true
			}
		}
		st.fail(t, "%s", why)
		return false
	}
	if !until(wanted{'f', 0.92, 0.95, 1}) {
		return
	}

	falling := st.begin()
	l.bandwidth(300_000)
	pass(t, 3*time.Second)
	// The queue before the line is emptied first: of the pictures only that they
	// go on is asked here, of the sound more.
	if why := v.gets(wanted{'q', 0, 0.6, 0}, st.end(falling)); why != "" {
		st.fail(t, "as the line falls: %s", why)
	}
	if !until(wanted{'q', 0.9, 0.95, 1}) {
		return
	}

	rise := time.Now()
	l.bandwidth(4_000_000)
	if !until(wanted{'f', 0.9, 0.95, 1}) {
		return
	}
	if took := v.steady(rise, 'f'); took > 5*time.Second {
		st.fail(t, "the best picture is back %v after the line is", took)
	}
}
