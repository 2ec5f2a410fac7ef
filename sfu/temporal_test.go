package sfu

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"

	"commsd/sfu/bandwidth"
)

// pyramid is a stream of three temporal layers, 0 2 1 2 as browsers send it, of two
// packets a frame. Every other frame of an upper layer refers to the lowest
// alone.
type pyramid struct {
	t    *testing.T
	l    *layer
	tids []byte // of four frames, where they are others
	bare bool   // no frame says that it refers to the lowest alone

	n   int // frames
	seq uint16
	ts  uint32
	pid uint16
	tl0 uint8
}

// frame makes the packets of the next frame.
func (f *pyramid) frame(key bool) (out [2][]byte) {
	f.t.Helper()
	tids := f.tids
	if tids == nil {
		tids = []byte{0, 2, 1, 2}
	}
	tid := tids[f.n%4]
	sync := byte(0)
	if tid > 0 && f.n%8 < 4 && !f.bare {
		sync = 1
	}
	kind := byte(1)
	if key {
		kind, tid, f.n = 0, 0, 0
	}
	f.n++
	f.ts, f.pid = f.ts+3000, (f.pid+1)&0x7FFF
	if tid == 0 {
		f.tl0++
	}
	for i := range out {
		f.seq++
		first := byte(0x80)
		if i == 0 {
			first |= 0x10
		}
		raw, err := (&rtp.Packet{
			Header:  rtp.Header{Version: 2, Marker: i == 1, PayloadType: 96, SequenceNumber: f.seq, Timestamp: f.ts},
			Payload: []byte{first, 0xE0, 0x80 | byte(f.pid>>8), byte(f.pid), f.tl0, tid<<6 | sync<<5, kind, byte(i), byte(f.seq >> 8), byte(f.seq)},
		}).Marshal()
		if err != nil {
			f.t.Fatal(err)
		}
		out[i] = raw
	}
	return out
}

func (f *pyramid) deliver(raw []byte, at time.Time) {
	f.t.Helper()
	var pkt packet
	if !pkt.parse(raw) {
		f.t.Fatal("not a packet")
	}
	f.l.packet(&pkt, raw, at)
}

// What a subscriber gets while temporal layers come and go is one stream that it
// can decode: every number once, every picture whole, none that refers to one it
// has not got; and what it has lost is sent again as it was. So it is when
// packets are late on the way from the publisher, too, but that numbers kept for
// what turns out to be left out come empty.
func TestTemporalLayersAreLeftOutWithoutASeam(t *testing.T) {
	for run := range uint64(20) {
		name, lateness := "in order", 0.0
		if run == 1 {
			name = "probed"
		} else if run > 1 {
			name, lateness = fmt.Sprintf("some late %d", run), 0.1
		}
		t.Run(name, func(t *testing.T) {
			high, _ := stage(t, 1)
			d := (*high.track.subs.Load())[0]
			out := &recorder{}
			d.writer = out
			f := &pyramid{t: t, l: high, seq: 65000, pid: 32700, ts: 1 << 31}
			now := clockBase.Add(time.Minute)
			rng := rand.New(rand.NewPCG(5, run))
			late := make(map[int][][]byte) // by the frame after which they come
			most := []uint8{maxTID, 1, 0, 1, 2, 0, maxTID, 0}
			for n := range 800 {
				d.aim(high, most[n/100])
				now = now.Add(33 * time.Millisecond)
				for _, raw := range f.frame(n == 0) {
					if n > 10 && n < 700 && rng.Float64() < lateness {
						after := n + rng.IntN(4)
						late[after] = append(late[after], raw)
						continue
					}
					f.deliver(raw, now)
					if rng.Float64() < lateness/5 { // it comes twice
						late[n+1] = append(late[n+1], raw)
					}
				}
				for _, raw := range late[n] {
					f.deliver(raw, now)
				}
				for range rng.IntN(4) * int(run%2) { // the line is probed
					d.pad(int64(now.Sub(clockBase)), 1)
				}
			}
			hollow := whole(t, out.got, lateness > 0)
			if hollow > 0 != (run > 0) {
				t.Errorf("%d packets are empty", hollow)
			}
			if n := len(out.got); n < 600 || n > 2700 {
				t.Errorf("%d packets of 1600 were sent", n)
			}
			sent := len(out.got)
			for i := sent - 20; i < sent; i++ { // 20 of the lowest layer, 80 of all
				was := out.got[i]
				d.resend(was.SequenceNumber)
				again := out.got[len(out.got)-1]
				if was.Padding { // there is nothing to repeat but the number
					was.Payload, was.Timestamp = nil, again.Timestamp
				}
				if len(out.got) != sent+i-(sent-20)+1 || again.SequenceNumber != was.SequenceNumber || again.Timestamp != was.Timestamp || !bytes.Equal(again.Payload, was.Payload) {
					t.Fatalf("%v is sent again as %v", was, again)
				}
			}
		})
	}
}

// whole checks what a subscriber got, and returns how many packets were empty.
func whole(t *testing.T, got []rtp.Packet, late bool) (hollow int) {
	t.Helper()
	got = slices.Clone(got)
	base := got[0].SequenceNumber
	slices.SortStableFunc(got, func(a, b rtp.Packet) int {
		return int(a.SequenceNumber-base) - int(b.SequenceNumber-base)
	})
	got = slices.CompactFunc(got, func(a, b rtp.Packet) bool {
		return a.SequenceNumber == b.SequenceNumber && bytes.Equal(a.Payload, b.Payload)
	})
	var tid byte = maxTID // that may be decoded
	pid, tl0, rest := uint16(0), byte(0), false
	for i, p := range got {
		if i > 0 && p.SequenceNumber != got[i-1].SequenceNumber+1 {
			t.Fatalf("number %d after %d", p.SequenceNumber, got[i-1].SequenceNumber)
		}
		b := p.Payload
		if len(b) == 0 || p.Padding {
			hollow++
			continue
		}
		if rest != (b[7] == 1) || b[7] == 1 != p.Marker {
			t.Fatalf("packet %d: a picture is not whole", i)
		}
		of := uint16(b[2]&0x7F)<<8 | uint16(b[3])
		if rest {
			if of != pid || b[4] != tl0 {
				t.Fatalf("packet %d: picture %d in the middle of %d", i, of, pid)
			}
			rest = false
			continue
		}
		rest = true
		if i > 0 && of != (pid+1)&0x7FFF && !late {
			t.Fatalf("packet %d: picture %d after %d", i, of, pid)
		}
		its, sync := b[5]>>6, b[5]&0x20 != 0
		if i > 0 && b[4]-tl0 > 1 || its > 0 && i > 0 && b[4] != tl0 {
			t.Fatalf("packet %d: TL0PICIDX %d after %d", i, b[4], tl0)
		}
		if its > tid && !sync {
			t.Fatalf("packet %d: layer %d begins with a frame that refers to what was left out", i, its)
		}
		if pid, tl0 = of, b[4]; its > tid {
			tid = its
		}
		// A frame of the lowest layer that follows another at once tells that the
		// upper ones are left out.
		if its == 0 && i > 1 && !got[i-1].Padding && len(got[i-1].Payload) > 0 && got[i-1].Payload[5]>>6 == 0 {
			tid = 0
		}
	}
	return hollow
}

// Between its lowest layer and a pause a picture loses frames; and somebody who
// asks for few frames a second gets few.
func TestFramesAreLeftOutBeforeThePictureIs(t *testing.T) {
	at := clockBase.Add(time.Minute)
	tr, subs := threeLayers(t, 1, at)
	d, p := subs[0], subs[0].p
	spokenTo(tr, p, at)
	for _, l := range *tr.layers.Load() {
		l.rate = meter{begun: true, bits: 200_000 * float64(1+2*l.rank)}
		for tid, bits := range []float64{100_000, 40_000, 60_000} {
			l.temporal[tid].rate = meter{begun: true, bits: bits}
			l.temporal[tid].pace = meter{begun: true, bits: 8 * []float64{7.5, 7.5, 15}[tid]}
		}
	}
	for _, o := range p.subs {
		if o != d { // whoever speaks takes 100 kb/s
			(*o.track.layers.Load())[0].rate = meter{begun: true, bits: 100_000}
		}
	}
	for _, c := range []struct {
		budget uint64
		fps    uint32
		rank   int
		tid    uint8
	}{
		{9_000_000, 0, 2, maxTID},
		{9_000_000, 30, 2, maxTID},
		{9_000_000, 15, 2, 1},
		{9_000_000, 8, 2, 0},
		{9_000_000, 1, 2, 0},
		{350_000, 0, 0, maxTID},
		{280_000, 0, 0, 1},
		{220_000, 0, 0, 0},
		{220_000, 7, 0, 0},
		{190_000, 0, -1, 0},
	} {
		p.sub.congestion.feedback.Store(true)
		p.sub.congestion.estimator = bandwidth.New(bandwidth.Config{Start: c.budget})
		p.sub.congestion.allocator = bandwidth.Allocator{}
		d.settings.FPS, d.held = c.fps, false
		d.aim(nil, 0)
		tr.owner.room.allocate(p, int64(at.Sub(clockBase)))
		got := d.aimed()
		switch {
		case got.layer == nil:
			if c.rank >= 0 {
				t.Errorf("%+v: paused", c)
			}
		case got.layer.rank != c.rank || got.tid != c.tid:
			t.Errorf("%+v: layer %d up to %d", c, got.layer.rank, got.tid)
		}
	}
}

// Who may have more temporal layers waits for a frame that takes them up, and its
// publisher is asked for a key frame only where there is something to take up and
// no such frame comes.
func TestKeyFramesAreAskedForWhereALayerIsNotTakenUp(t *testing.T) {
	for _, c := range []struct {
		name  string
		tids  []byte
		bare  bool
		most  uint8
		since time.Duration // the first frames after it was raised
		other bool          // another layer is waited for
		want  bool
	}{
		{"two layers, all taken up", []byte{0, 1, 0, 1}, false, maxTID, time.Minute, false, false},
		{"three layers, all taken up", nil, false, maxTID, time.Minute, false, false},
		{"one layer", []byte{0, 0, 0, 0}, false, maxTID, time.Minute, false, false},
		{"nothing takes them up", []byte{0, 1, 0, 1}, true, maxTID, time.Minute, false, true},
		{"not yet", []byte{0, 1, 0, 1}, true, maxTID, raiseWait, false, false},
		{"not wanted", []byte{0, 1, 0, 1}, true, 0, time.Minute, false, false},
		{"of what is left for another", []byte{0, 1, 0, 1}, true, maxTID, time.Minute, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			high, _ := stage(t, 1)
			d := (*high.track.subs.Load())[0]
			out := &recorder{}
			d.writer = out
			f := &pyramid{t: t, l: high, tids: c.tids, bare: c.bare}
			now := clockBase.Add(time.Minute)
			send := func(key bool) {
				for _, raw := range f.frame(key) {
					f.deliver(raw, now)
				}
			}
			d.aim(high, 0)
			for n := range 8 {
				send(n == 0)
			}
			d.aim(high, c.most)
			if c.other {
				d.aim(&layer{pub: high.pub, kind: Video, codec: codecVP8, track: high.track}, c.most)
			}
			d.raisedAt = int64(now.Sub(clockBase))
			high.lastPLI = time.Time{}
			for n := range 24 {
				if n == 8 {
					now = now.Add(c.since)
				}
				send(false)
			}
			if asked := !high.lastPLI.IsZero(); asked != c.want {
				t.Errorf("a key frame is asked for: %t, want %t", asked, c.want)
			}
			if !c.want {
				return
			}
			send(true) // takes all up
			high.lastPLI = time.Time{}
			sent := len(out.got)
			for range 16 {
				send(false)
			}
			if !high.lastPLI.IsZero() || len(out.got) != sent+32 {
				t.Errorf("after the key frame %d packets of 32 are sent, asked for another: %t", len(out.got)-sent, !high.lastPLI.IsZero())
			}
		})
	}
}

// However much padding a line is probed with between two pictures: each number is
// had once, and each may be asked for again.
func TestPaddingHasNoEndBetweenPictures(t *testing.T) {
	high, _ := stage(t, 1)
	d := (*high.track.subs.Load())[0]
	out := &recorder{}
	d.writer = out
	f := &pyramid{t: t, l: high, seq: 65000, pid: 32700, ts: 1 << 31}
	now := clockBase.Add(time.Minute)
	const pads = 2*maxFill + 100
	pad := func() {
		for n := range pads {
			if !d.pad(int64(now.Sub(clockBase)), 1) {
				t.Fatalf("after %d packets of padding there is no place for more", n)
			}
		}
	}
	first := f.frame(true)
	for _, raw := range first {
		f.deliver(raw, now)
	}
	pad()
	second := f.frame(true)
	f.deliver(second[1], now) // overtakes the other
	f.deliver(second[0], now)
	f.deliver(first[1], now) // again, late
	pad()
	d.aim(high, 0)
	f.n = 3
	for _, raw := range f.frame(false) { // is left out
		f.deliver(raw, now)
	}
	for _, raw := range f.frame(false) {
		f.deliver(raw, now)
	}
	if n := len(out.got); n != 2*pads+7 {
		t.Fatalf("%d packets are sent, want %d", n, 2*pads+7)
	}
	got := slices.Clone(out.got)
	if again := got[pads+4]; again.SequenceNumber != got[1].SequenceNumber || !bytes.Equal(again.Payload, got[1].Payload) {
		t.Errorf("what comes again is sent as %v", again)
	}
	if hollow := whole(t, got, false); hollow != 2*pads {
		t.Errorf("%d packets are empty", hollow)
	}
	for _, i := range []int{0, 1, 2, 3, maxFill + 1, maxFill + 2, pads + 1, pads + 2, pads + 3, pads + 5, 2*pads + 4, 2*pads + 5, 2*pads + 6} {
		was, sent := got[i], len(out.got)
		d.resend(was.SequenceNumber)
		if len(out.got) != sent+1 {
			t.Fatalf("packet %d is not sent again", i)
		}
		again := out.got[sent]
		if again.SequenceNumber != was.SequenceNumber || !was.Padding && (again.Timestamp != was.Timestamp || !bytes.Equal(again.Payload, was.Payload)) || was.Padding && len(again.Payload) > 0 {
			t.Errorf("packet %d, %v, is sent again as %v", i, was, again)
		}
	}
}

// A pace a little above and below what is enough does not change what is sent.
func TestEnoughFramesStayEnough(t *testing.T) {
	at := clockBase.Add(time.Minute)
	tr, subs := threeLayers(t, 1, at)
	d := subs[0]
	l := (*tr.layers.Load())[0]
	for tid, bits := range []float64{100_000, 40_000, 60_000} {
		l.temporal[tid].rate = meter{begun: true, bits: bits}
	}
	d.settings = TrackSettings{Quality: 0, FPS: 20}
	d.aim(l, maxTID)
	for i, c := range []struct {
		frames float64 // of the two lowest
		tid    uint8
	}{{17.9, maxTID}, {18.1, 1}, {17.9, 1}, {18.1, 1}, {16.1, 1}, {15.9, maxTID}, {16.1, maxTID}, {17.9, maxTID}, {18.1, 1}} {
		for tid, pace := range []float64{c.frames / 2, c.frames / 2, c.frames} {
			l.temporal[tid].pace = meter{begun: true, bits: 8 * pace}
		}
		a, steps := tr.owner.room.ask(d, int64(at.Sub(clockBase)))
		if got := steps[a.Max]; got.layer != l || got.tid != c.tid {
			t.Fatalf("step %d, %v frames a second: layers up to %d, want %d", i, c.frames, got.tid, c.tid)
		}
		d.aim(l, c.tid)
	}
}
