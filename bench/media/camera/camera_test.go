package camera

import (
	"math"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
)

// play paces a source through d of a clock of its own, and calls burst after
// each pace.
func play(t *testing.T, s *Source, start time.Time, d time.Duration, burst func(at time.Duration)) {
	t.Helper()
	for at := time.Duration(0); at < d; at += paceEvery {
		if err := s.Pace(start.Add(at)); err != nil {
			t.Fatal(err)
		}
		if burst != nil {
			burst(at)
		}
	}
}

// frame is what a receiver puts together.
type frame struct {
	key     bool
	ts      uint32
	pid     uint16
	tl0     uint8
	tid     uint8
	packets []int // their sizes without descriptor
	width   int   // of a key frame
}

// collector reads packets as a receiver does and fails on what none would take.
type collector struct {
	t      *testing.T
	frames []frame
	open   bool
	seq    uint16
	begun  bool
	bytes  int
}

func (c *collector) take(p *rtp.Packet) error {
	var v codecs.VP8Packet
	body, err := v.Unmarshal(p.Payload)
	if err != nil {
		c.t.Fatalf("payload descriptor: %v", err)
	}
	if c.begun && p.SequenceNumber != c.seq+1 {
		c.t.Fatalf("packet %d came after %d", p.SequenceNumber, c.seq)
	}
	c.begun, c.seq = true, p.SequenceNumber
	c.bytes += len(p.Payload)
	if len(p.Payload) > maxPayload {
		c.t.Errorf("a packet has %d bytes", len(p.Payload))
	}
	if sent, ok := Stamped(p.Payload); !ok || time.Since(time.Unix(0, sent)).Abs() > time.Minute {
		c.t.Errorf("a packet tells that it was sent at %v, %v", sent, ok)
	}
	if first := v.S == 1 && v.PID == 0; first == c.open {
		c.t.Fatalf("packet %d: first of a frame is %v, and a frame is open: %v", p.SequenceNumber, first, c.open)
	}
	if !c.open {
		f := frame{key: body[0]&1 == 0, ts: p.Timestamp, pid: v.PictureID, tl0: v.TL0PICIDX, tid: v.TID}
		if f.key {
			if [3]byte(body[3:6]) != [3]byte{0x9D, 0x01, 0x2A} {
				c.t.Errorf("a key frame begins with % x", body[:10])
			}
			f.width = int(body[6]) | int(body[7])<<8
		}
		c.frames = append(c.frames, f)
	}
	f := &c.frames[len(c.frames)-1]
	if f.ts != p.Timestamp || f.pid != v.PictureID {
		c.t.Errorf("packets of one frame differ in time or picture")
	}
	f.packets = append(f.packets, len(body))
	c.open = !p.Marker
	return nil
}

func TestVideoIsWhatChromiumSends(t *testing.T) {
	start := time.Unix(1000, 0)
	got := map[string]*collector{"q": {t: t}, "h": {t: t}, "f": {t: t}}
	s, err := New(Config{Video: map[string]Track{"q": got["q"].take, "h": got["h"].take, "f": got["f"].take}, Seed: 1, Start: start})
	if err != nil {
		t.Fatal(err)
	}
	const seconds = 20
	largest, asked := 0, false
	before := 0
	play(t, s, start, seconds*time.Second, func(at time.Duration) {
		now := got["q"].bytes + got["h"].bytes + got["f"].bytes
		largest = max(largest, now-before)
		before = now
		if at > 10*time.Second && !asked {
			asked = true
			s.KeyFrame("h")
		}
	})
	// 2.5 times the rate of all layers, and the packet that goes over it.
	if most := int(2_650_000/8*paceFactor*paceEvery.Seconds()) + maxPayload; largest > most || largest < most/2 {
		t.Errorf("the largest burst has %d bytes, want at most %d", largest, most)
	}
	for rid, c := range got {
		keys := 0
		for i, f := range c.frames {
			if f.key {
				keys++
				if f.width != int(Widths[rid]) || f.tid != 0 {
					t.Errorf("%s: a key frame is %d wide, of temporal layer %d", rid, f.width, f.tid)
				}
			}
			for _, n := range f.packets {
				if n < f.packets[0] || n > f.packets[0]+1 {
					t.Fatalf("%s: a frame is split into %v", rid, f.packets)
				}
			}
			if i == 0 {
				continue
			}
			last := c.frames[i-1]
			if f.pid != (last.pid+1)&0x7FFF || f.ts-last.ts < 2990 || f.ts-last.ts > 6010 {
				t.Errorf("%s: picture %d at %d follows %d at %d", rid, f.pid, f.ts, last.pid, last.ts)
			}
			if next := last.tl0 + 1; f.tid == 0 && f.tl0 != next || f.tid != 0 && f.tl0 != last.tl0 {
				t.Errorf("%s: TL0PICIDX %d after %d, temporal layer %d", rid, f.tl0, last.tl0, f.tid)
			}
		}
		if want := map[string]int{"q": 1, "h": 2, "f": 1}[rid]; keys != want || !c.frames[0].key {
			t.Errorf("%s: %d key frames, want %d and the first", rid, keys, want)
		}
		if want := seconds * rates[rid]; len(c.frames) < want-2 || len(c.frames) > want {
			t.Errorf("%s: %d frames, want %d", rid, len(c.frames), want)
		}
		rate, want := float64(c.bytes)*8/seconds, float64(Bitrates[rid])
		if math.Abs(rate-want) > want/10 {
			t.Errorf("%s: %.0f b/s, want %.0f", rid, rate, want)
		}
	}
}

func TestSound(t *testing.T) {
	start := time.Unix(1000, 0)
	for _, c := range []struct {
		silent   bool
		min, max int
		level    uint8
	}{{false, 499, 500, 30}, {true, 25, 25, 127}} {
		var packets []rtp.Header
		var levels []uint8
		s, err := New(Config{
			Audio:  func(p *rtp.Packet) error { packets = append(packets, p.Header); return nil },
			Level:  func(_ *rtp.Packet, dBov uint8) { levels = append(levels, dBov) },
			Silent: c.silent, Start: start,
		})
		if err != nil {
			t.Fatal(err)
		}
		play(t, s, start, 10*time.Second, nil)
		if len(packets) < c.min || len(packets) > c.max || len(levels) != len(packets) || s.Sent() != uint64(len(packets)) {
			t.Fatalf("silent %v: %d packets, %d levels in 10 s", c.silent, len(packets), len(levels))
		}
		for i, p := range packets {
			if levels[i] < c.level || levels[i] > c.level+10 {
				t.Errorf("silent %v: level %d", c.silent, levels[i])
			}
			if i == 0 {
				continue
			}
			ticks := p.Timestamp - packets[i-1].Timestamp
			if want := map[bool]uint32{false: 960, true: 19200}[c.silent]; ticks < want-1 || ticks > want+1 || p.SequenceNumber != packets[i-1].SequenceNumber+1 {
				t.Errorf("silent %v: %d ticks from packet to packet", c.silent, ticks)
			}
		}
	}
}

// A driver that did not run for a second goes on with bursts of 40 ms at most.
func TestPacerDoesNotMakeUpForATimeAway(t *testing.T) {
	start := time.Unix(1000, 0)
	n := 0
	s, err := New(Config{Video: map[string]Track{"f": func(p *rtp.Packet) error { n += len(p.Payload); return nil }}, Start: start})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Pace(start.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if most := int(2_000_000/8*paceFactor*longestPace.Seconds()) + maxPayload; n > most || n < most/2 {
		t.Errorf("%d bytes at once, want at most %d", n, most)
	}
}

func TestClipsThatCannotBe(t *testing.T) {
	for _, text := range []string{"f key 1 2", "f key 1 x\nf delta 1 2", "f key 0 1\nf delta 1 2", "f other 1 2"} {
		if c, err := readClips(text); err == nil {
			t.Errorf("%q is read as %v", text, c)
		}
	}
}

func TestStampNeedsRoom(t *testing.T) {
	if _, ok := Stamped(make([]byte, stampSize-1)); ok {
		t.Error("a short payload has a stamp")
	}
	if _, ok := Stamped(make([]byte, 100)); ok {
		t.Error("a payload of zeros has a stamp")
	}
}
