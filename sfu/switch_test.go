package sfu

import (
	"bytes"
	"testing"
	"time"

	"github.com/pion/rtp"
)

// recorder keeps what a subscriber would get.
type recorder struct{ got []rtp.Packet }

func (r *recorder) WriteRTP(h *rtp.Header, payload []byte) (int, error) {
	r.got = append(r.got, rtp.Packet{Header: *h, Payload: bytes.Clone(payload)})
	return len(payload), nil
}

func (r *recorder) Write([]byte) (int, error) { return 0, nil }

// source is one layer's stream of whole frames with picture ids.
type source struct {
	l    *layer
	name byte
	seq  uint16
	ts   uint32
	pid  uint16
	tl0  uint8
}

func (s *source) frame(t *testing.T, key bool, at time.Time) {
	t.Helper()
	s.seq, s.ts, s.pid, s.tl0 = s.seq+1, s.ts+3000, s.pid+1, s.tl0+1
	kind := byte(1)
	if key {
		kind = 0
	}
	receive(t, s.l, &rtp.Packet{
		Header:  rtp.Header{Version: 2, Marker: true, PayloadType: 96, SequenceNumber: s.seq, Timestamp: s.ts},
		Payload: []byte{0x90, 0xC0, 0x80 | byte(s.pid>>8)&0x7F, byte(s.pid), s.tl0, kind, s.name},
	}, at)
}

// A subscriber gets the better of two layers from its next key frame on, and
// the worse when the better stalls; it sees one stream all the while.
func TestLayersSwitchWithoutASeam(t *testing.T) {
	high, _ := stage(t, 1)
	track := high.track
	low := &layer{pub: high.pub, kind: Video, codec: codecVP8, ring: newRing(videoRing), track: track}
	low.rx.clock = 90000
	track.addLayer(low)
	out := &recorder{}

	a, b := &source{l: low, name: 'a', seq: 65530, ts: 1 << 31, pid: 32765, tl0: 250}, &source{l: high, name: 'b', seq: 100, ts: 5, pid: 7, tl0: 3}
	now := clockBase.Add(time.Minute)
	d := (*track.subs.Load())[0]
	d.writer = out
	step := func() time.Time {
		d.p.room.allocate(d.p, int64(now.Sub(clockBase)))
		now = now.Add(33 * time.Millisecond)
		return now
	}
	a.frame(t, false, step()) // nothing begins without a key frame
	a.frame(t, true, step())
	for range 20 {
		a.frame(t, false, step())
	}
	b.frame(t, false, step()) // nor is it gone over to
	a.frame(t, false, step())
	b.frame(t, true, step())
	for range 20 {
		a.frame(t, false, step())
		b.frame(t, false, now.Add(time.Millisecond))
	}
	for range 30 { // the better one has stalled
		a.frame(t, false, step())
	}
	a.frame(t, true, step())
	a.frame(t, false, step())

	var names []byte
	for i, p := range out.got {
		names = append(names, p.Payload[6])
		if i == 0 {
			continue
		}
		was := out.got[i-1]
		pid := func(p rtp.Packet) uint16 { return uint16(p.Payload[2]&0x7F)<<8 | uint16(p.Payload[3]) }
		if p.SequenceNumber != was.SequenceNumber+1 || pid(p) != (pid(was)+1)&0x7FFF || p.Payload[4] != was.Payload[4]+1 {
			t.Errorf("packet %d: number %d after %d, picture %d after %d, TL0PICIDX %d after %d", i,
				p.SequenceNumber, was.SequenceNumber, pid(p), pid(was), p.Payload[4], was.Payload[4])
		}
		if !laterTS(p.Timestamp, was.Timestamp) || p.Timestamp-was.Timestamp > 2*90000 {
			t.Errorf("packet %d: timestamp %d after %d", i, p.Timestamp, was.Timestamp)
		}
		if p.Payload[6] != was.Payload[6] && p.Payload[5] != 0 {
			t.Errorf("packet %d begins layer %c without a key frame", i, p.Payload[6])
		}
	}
	want := string(bytes.Repeat([]byte("a"), 22)) + string(bytes.Repeat([]byte("b"), 21)) + "aa"
	if string(names) != want {
		t.Errorf("layers came as %s, want %s", names, want)
	}

	// What was lost of any layer is still found.
	for _, i := range []int{10, 30, len(names) - 1} {
		lost := out.got[i]
		n := len(out.got)
		d.resend(lost.SequenceNumber)
		if len(out.got) != n+1 {
			t.Fatalf("packet %d of layer %c is not sent again", lost.SequenceNumber, names[i])
		}
		if again := out.got[n]; again.Timestamp != lost.Timestamp || again.SequenceNumber != lost.SequenceNumber || !bytes.Equal(again.Payload, lost.Payload) {
			t.Errorf("sent again as %v, was %v", again, lost)
		}
	}
}
