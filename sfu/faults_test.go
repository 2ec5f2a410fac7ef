package sfu_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"

	"commsd/internal/testpeer/meetingpeer"
	"commsd/sfu"
)

// byTheirOwnClock runs a test by a clock that stands still while anybody has
// something to do: how busy the machine is changes nothing, and nobody waits.
// The server's sockets are the machine's and out of the clock's reach; nothing
// may come by them.
func byTheirOwnClock(t *testing.T, test func(t *testing.T, s *sfu.SFU)) {
	t.Helper()
	if sfu.RaceEnabled {
		t.Skip("the race detector fails on such clocks now and then (golang/go#78156); make go-test runs this without")
	}
	s := serve(t, func(c *sfu.Config) { c.TCPListen = "" })
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(s.Settle)
		test(t, s)
	})
}

// studio is somebody with a microphone and a camera.
type studio struct {
	cam    *meetingpeer.Simulcast
	sounds atomic.Int64
}

const filmEvery, soundEvery = 40 * time.Millisecond, 20 * time.Millisecond

// film publishes sound and a camera in three layers of 25 pictures a second
// that take 120, 350 and 900 kb/s.
func film(t *testing.T, s *sfu.SFU, far *internet) *studio {
	t.Helper()
	c := join(t, s, everything("r", "an"), far.reach(far.line(t, conditions{delay: time.Millisecond})))
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

// One camera, watched over lines of every kind at the same time: the picture
// flows at the layer that fits, and the sound all the while.
func TestFaultsOfLines(t *testing.T) {
	t.Parallel()
	byTheirOwnClock(t, func(t *testing.T, s *sfu.SFU) {
		far := newInternet(s)
		st := film(t, s, far)
		type watched struct {
			name string
			line conditions
			want wanted
			*viewer
		}
		all := []*watched{
			{name: "1 % loss", line: conditions{loss: 1, delay: 10 * time.Millisecond}, want: wanted{'f', 0.96, 0.97, 1}},
			{name: "5 % loss", line: conditions{loss: 5, delay: 10 * time.Millisecond}, want: wanted{'f', 0.9, 0.9, 0.9}},
			{name: "10 % loss", line: conditions{loss: 10, delay: 10 * time.Millisecond}, want: wanted{'f', 0.85, 0.84, 0.8}},
			{name: "50 ms", line: conditions{delay: 50 * time.Millisecond}, want: wanted{'f', 0.98, 0.98, 1}},
			{name: "150 ms", line: conditions{delay: 150 * time.Millisecond}, want: wanted{'f', 0.98, 0.98, 1}},
			{name: "300 ms", line: conditions{delay: 300 * time.Millisecond}, want: wanted{'f', 0.98, 0.98, 1}},
			{name: "jitter", line: conditions{delay: 20 * time.Millisecond, jitter: 30 * time.Millisecond}, want: wanted{'f', 0.98, 0.98, 1}},
			{name: "700 kb/s", line: conditions{delay: 20 * time.Millisecond, rate: 700_000}, want: wanted{'h', 0.95, 0.98, 0.85}},
		}
		clients := make([]*client, len(all))
		for i, w := range all { // all of them connect at the same time
			clients[i] = join(t, s, everything("r", w.name), far.reach(far.line(t, w.line)))
		}
		for i, w := range all {
			w.viewer = watch(t, clients[i])
		}
		pass(t, 8*time.Second)
		sent := st.during(t, 10*time.Second)
		for _, w := range all {
			if why := w.gets(w.want, sent); why != "" {
				t.Errorf("%s: %s", w.name, why)
			}
		}
	})
}

// A line falls from 4 Mb/s to 300 kb/s and rises again: the picture gets small
// and goes on, the sound is kept, and the best picture is back within 5 s. So it
// is for a client without a stream of retransmissions, which is probed between
// two pictures.
func TestFaultsFallAndReturn(t *testing.T) {
	t.Run("browser", func(t *testing.T) { testFallAndReturn(t, func(*meetingpeer.MediaConfig) {}) })
	t.Run("no retransmissions", func(t *testing.T) {
		testFallAndReturn(t, func(c *meetingpeer.MediaConfig) { c.NoRetransmission = true })
	})
}

func testFallAndReturn(t *testing.T, change func(*meetingpeer.MediaConfig)) {
	byTheirOwnClock(t, func(t *testing.T, s *sfu.SFU) {
		far := newInternet(s)
		st := film(t, s, far)
		l := far.line(t, conditions{delay: 25 * time.Millisecond, rate: 4_000_000})
		cfg := far.reach(l)
		change(cfg)
		v := watch(t, join(t, s, everything("r", "chi"), cfg))
		expect := func(what string, w wanted, d time.Duration) {
			t.Helper()
			if why := v.gets(w, st.during(t, d)); why != "" {
				t.Errorf("%s: %s", what, why)
			}
		}
		pass(t, 3*time.Second)
		expect("at 4 Mb/s", wanted{'f', 0.98, 0.98, 1}, 3*time.Second)
		l.bandwidth(300_000)
		// The queue before the line is emptied first: of the pictures only that they
		// go on is asked here, of the sound more.
		expect("as the line falls", wanted{'q', 0.2, 0.7, 0}, 3*time.Second)
		expect("at 300 kb/s", wanted{'q', 0.8, 0.97, 0.9}, 5*time.Second)
		rise := time.Now()
		l.bandwidth(4_000_000)
		pass(t, 5*time.Second)
		expect("at 4 Mb/s again", wanted{'f', 0.98, 0.98, 1}, 3*time.Second)
		if took := v.steady(rise, 'f'); took > 5*time.Second {
			t.Errorf("the best picture is back %v after the line is", took)
		}
	})
}
