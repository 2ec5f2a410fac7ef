package sfu

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/pion/rtp"
)

// sink is a subscriber's end of the forward path: what comes after it is
// Pion's SRTP and the kernel.
type sink struct{ packets, bytes int }

func (s *sink) WriteRTP(_ *rtp.Header, payload []byte) (int, error) {
	s.packets++
	s.bytes += len(payload)
	return len(payload), nil
}

func (s *sink) Write([]byte) (int, error) { return 0, nil }

// stage is one published camera and its subscribers, without connections.
func stage(t testing.TB, subscribers int) (*layer, []*sink) {
	t.Helper()
	s, err := New(Config{UDPListen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r := newRoom(s, "r")
	person := func(name string) *Participant {
		return newParticipant(r, JoinRequest{Room: "r", Identity: name, Events: func(Event) {}})
	}
	owner := person("publisher")
	l := &layer{pub: owner.pub, kind: Video, codec: codecVP8, rank: topRank, ring: newRing(videoRing)}
	l.rx.clock = 90000
	l.track = newTrack(owner, TrackInfo{SID: "TR_x", Kind: Video})
	l.track.addLayer(l)
	sinks := make([]*sink, subscribers)
	for i := range sinks {
		p := person(fmt.Sprint(i))
		d := newDownTrack(p, l.track)
		sinks[i] = &sink{}
		d.writer, d.out = sinks[i], outStream{ssrc: uint32(i), pt: 96}
		d.target = l
		l.track.addSub(d)
		r.bySID[p.sid], p.subs[d.id] = p, d
	}
	return l, sinks
}

// frame is a 1,100-byte packet of video, the size of most.
func frame(t testing.TB, key bool) []byte {
	t.Helper()
	payload := make([]byte, 1100)
	payload[0] = 0x10
	if !key {
		payload[1] = 0x01
	}
	b, err := (&rtp.Packet{Header: rtp.Header{Version: 2, Marker: true, PayloadType: 96, SSRC: 9}, Payload: payload}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// feed takes packet n of the stream in, as streams does.
func feed(l *layer, pkt *packet, raw []byte, n int, at time.Time) bool {
	binary.BigEndian.PutUint16(raw[2:], uint16(n))
	binary.BigEndian.PutUint32(raw[4:], uint32(n)*3000)
	if !pkt.parse(raw) {
		return false
	}
	l.packet(pkt, raw, at)
	return true
}

// receive takes a made packet in, as streams does.
func receive(t testing.TB, l *layer, p *rtp.Packet, at time.Time) {
	t.Helper()
	raw, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var pkt packet
	if !pkt.parse(raw) {
		t.Fatal("not a packet")
	}
	l.packet(&pkt, raw, at)
}

// Each packet reaches each subscriber, and nobody gets one before a key frame.
func TestForwardPathReachesEverybody(t *testing.T) {
	l, sinks := stage(t, 7)
	var pkt packet
	key, delta := frame(t, true), frame(t, false)
	now := clockBase.Add(time.Second)
	for n := range 100 {
		raw := delta
		if n == 10 {
			raw = key
		}
		if !feed(l, &pkt, raw, n, now.Add(time.Duration(n)*33*time.Millisecond)) {
			t.Fatal("not a packet")
		}
	}
	for i, s := range sinks {
		if s.packets != 90 || s.bytes != 90*1100 {
			t.Errorf("subscriber %d got %d packets, %d bytes", i, s.packets, s.bytes)
		}
	}
}

// A packet that is forwarded costs the garbage collector nothing: neither as it
// came, with the connection's number on it, nor with its picture ids rewritten.
func TestForwardAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, and has pools forget; make go-test runs this without")
	}
	l, sinks := stage(t, 20)
	for i, d := range *l.track.subs.Load() {
		if i%2 == 0 {
			d.out.twccID = testTWCC
		}
		if i%3 == 0 {
			d.sent, d.lastPID = 1, 99 // as after a change of layers
		}
	}
	payload := append([]byte{0x90, 0xC0, 0x80, 1, 2, 0}, make([]byte, 1100)...)
	raw := video(t, 9, 96, 0, payload, nil)
	var pkt packet
	n := 0
	at := time.Now()
	step := func() {
		n, at = n+1, at.Add(time.Millisecond)
		feed(l, &pkt, raw, n, at)
	}
	for range 2000 { // rings and pools fill
		step()
	}
	if allocs := testing.AllocsPerRun(2000, step); allocs >= 1 {
		t.Errorf("%v allocations a packet to %d subscribers", allocs, len(sinks))
	}
	if sinks[0].packets != n || sinks[19].packets != n {
		t.Errorf("%d and %d of %d packets came through", sinks[0].packets, sinks[19].packets, n)
	}
}

// BenchmarkForward is what a packet costs from where it is decrypted to where Pion
// encrypts it, for all its subscribers; bench/README.md has the figures.
func BenchmarkForward(b *testing.B) {
	for _, subscribers := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("subscribers=%d", subscribers), func(b *testing.B) {
			l, sinks := stage(b, subscribers)
			var pkt packet
			key, delta := frame(b, true), frame(b, false)
			feed(l, &pkt, key, 0, time.Now())
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				n++
				feed(l, &pkt, delta, n, time.Now())
			}
			l.pub.loops.Wait() // for lanes
			if got := sinks[subscribers-1].packets; got != n+1 {
				b.Fatalf("%d of %d packets came through", got, n+1)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n)/float64(subscribers), "ns/forwarded")
		})
	}
}
