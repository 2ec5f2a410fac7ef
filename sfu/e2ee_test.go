package sfu

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtp"
)

// What is encrypted end to end passes as it is, over a change of layers, too:
// clients leave a frame's first bytes clear, and no more than those is looked
// at. Only the descriptor before the frame, which is not encrypted, is
// rewritten.
func TestEncryptedPayloadsPassAsTheyAre(t *testing.T) {
	for name, c := range map[string]struct {
		codec      codec
		descriptor int           // bytes
		head       func() []byte // of a key frame: its descriptor and what stays clear
	}{
		"VP8":  {codecVP8, 5, func() []byte { return []byte{0x90, 0xC0, 0x80, 1, 1, 0, 0x9D, 0x01, 0x2A, 0, 0, 0, 0, 0, 0} }},
		"H264": {codecH264, 0, func() []byte { return []byte{nalSTAPA, 0, 4, 0x60 | nalSPS, 0x42, 0xE0, 0x1F} }},
	} {
		t.Run(name, func(t *testing.T) {
			random := rand.NewChaCha8([32]byte{1})
			high, _ := stage(t, 1)
			high.codec = c.codec
			track := high.track
			low := &layer{pub: high.pub, kind: Video, codec: c.codec, ring: newRing(videoRing), track: track}
			low.rx.clock = 90000
			track.addLayer(low)
			d := (*track.subs.Load())[0]
			out := &recorder{}
			d.writer = out
			now := clockBase.Add(time.Minute)
			var want [][]byte
			send := func(l *layer, seq uint16, payload []byte) {
				receive(t, l, &rtp.Packet{
					Header:  rtp.Header{Version: 2, Marker: true, PayloadType: 96, SequenceNumber: seq, Timestamp: uint32(seq) * 3000},
					Payload: payload,
				}, now)
			}
			for i, l := range []*layer{low, low, low, high, high, high} {
				l.lastSeen.Store(int64(now.Sub(clockBase))) // it flows
				d.p.room.allocate(d.p, int64(now.Sub(clockBase)))
				now = now.Add(33 * time.Millisecond)
				payload := c.head()
				if i%3 != 0 && c.codec == codecVP8 {
					payload[5] |= 1 // no key frame
				}
				cipher := make([]byte, 600)
				if _, err := random.Read(cipher); err != nil {
					t.Fatal(err)
				}
				payload = append(payload, cipher...)
				want = append(want, bytes.Clone(payload))
				send(l, uint16(1000*(i/3)+i), payload)
			}
			if len(out.got) != len(want) {
				t.Fatalf("%d packets came, of %d", len(out.got), len(want))
			}
			for i, p := range out.got {
				if !bytes.Equal(p.Payload[c.descriptor:], want[i][c.descriptor:]) {
					t.Errorf("packet %d was changed", i)
				}
				if i > 0 && p.SequenceNumber != out.got[i-1].SequenceNumber+1 {
					t.Errorf("packet %d has number %d after %d", i, p.SequenceNumber, out.got[i-1].SequenceNumber)
				}
			}
		})
	}
}
