package bandwidth

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/pion/rtcp"
)

// told makes a feedback that tells of packets from base on, each a
// millisecond after the one before; missing ones are left out.
func told(base uint16, ref uint32, symbols ...uint16) *rtcp.TransportLayerCC {
	fb := &rtcp.TransportLayerCC{
		Header: rtcp.Header{Count: rtcp.FormatTCC, Type: rtcp.TypeTransportSpecificFeedback}, BaseSequenceNumber: base,
		PacketStatusCount: uint16(len(symbols)), ReferenceTime: ref,
	}
	for _, s := range symbols {
		if s == rtcp.TypeTCCPacketReceivedSmallDelta || s == rtcp.TypeTCCPacketReceivedLargeDelta {
			fb.RecvDeltas = append(fb.RecvDeltas, &rtcp.RecvDelta{Type: s, Delta: 1000})
		}
	}
	for len(symbols)%7 != 0 {
		symbols = append(symbols, 0)
	}
	for chunk := range slices.Chunk(symbols, 7) {
		fb.PacketChunks = append(fb.PacketChunks, &rtcp.StatusVectorChunk{
			Type: rtcp.TypeTCCStatusVectorChunk, SymbolSize: rtcp.TypeTCCSymbolSizeTwoBit, SymbolList: chunk,
		})
	}
	fb.Header.Length = uint16(fb.MarshalSize()/4 - 1)
	return fb
}

const (
	no   = rtcp.TypeTCCPacketNotReceived
	yes  = rtcp.TypeTCCPacketReceivedSmallDelta
	late = rtcp.TypeTCCPacketReceivedLargeDelta
)

func raw(t testing.TB, fb *rtcp.TransportLayerCC) []byte {
	t.Helper()
	b, err := fb.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What was told counts once, however often it is told, and only of packets
// that were sent.
func TestFeedbackCounts(t *testing.T) {
	e := New(Config{})
	for i := range int64(20) {
		e.Sent(i*int64(time.Millisecond), 1000, 0)
	}
	states := func() (got, lost int) {
		for _, p := range e.ring[:20] {
			switch p.state {
			case arrived:
				got++
			case missing:
				lost++
			}
		}
		return got, lost
	}
	now := int64(100 * time.Millisecond)
	for _, c := range []struct {
		fb              *rtcp.TransportLayerCC
		got, lost       int
		windowed, fewer int // what the loss window holds
	}{
		{told(0, 7, yes, no, late, no), 2, 2, 2, 2},
		{told(0, 7, yes, no, late, no), 2, 2, 2, 2},                  // a replay
		{told(1, 7, yes), 3, 1, 3, 1},                                // late, not lost
		{told(30, 7, yes, yes, no), 3, 1, 3, 1},                      // never sent
		{told(65530, 7, no, no, no, yes, yes, yes, yes), 3, 1, 3, 1}, // from before the first
		{told(18, 7, yes, yes, yes, yes), 5, 1, 5, 1},                // in part
	} {
		e.Feedback(now, c.fb)
		if got, lost := states(); got != c.got || lost != c.lost {
			t.Errorf("%+v: %d arrived, %d lost; want %d, %d", c.fb.BaseSequenceNumber, got, lost, c.got, c.lost)
		}
		if e.loss.got != c.windowed || e.loss.lost != c.fewer {
			t.Errorf("%+v: counts %d and %d, want %d and %d", c.fb.BaseSequenceNumber, e.loss.got, e.loss.lost, c.windowed, c.fewer)
		}
	}
	if rtt := e.Estimate(now).RTT; rtt < 80*time.Millisecond || rtt > 100*time.Millisecond {
		t.Errorf("round trip of %v", rtt)
	}
}

// Both ways to hand in a feedback read the same of it.
func TestFeedbackBytesReadsAsPion(t *testing.T) {
	run := told(3, 9, yes)
	run.PacketStatusCount = 6
	run.PacketChunks = []rtcp.PacketStatusChunk{
		&rtcp.RunLengthChunk{PacketStatusSymbol: no, RunLength: 2}, &rtcp.RunLengthChunk{PacketStatusSymbol: yes, RunLength: 4},
	}
	run.RecvDeltas = nil
	for i := range int64(4) {
		run.RecvDeltas = append(run.RecvDeltas, &rtcp.RecvDelta{Type: yes, Delta: i * 250})
	}
	run.Header.Length = uint16(run.MarshalSize()/4 - 1)
	bits := told(3, 9)
	bits.PacketStatusCount = 14
	bits.PacketChunks = []rtcp.PacketStatusChunk{&rtcp.StatusVectorChunk{
		Type: rtcp.TypeTCCStatusVectorChunk, SymbolSize: rtcp.TypeTCCSymbolSizeOneBit, SymbolList: []uint16{1, 0, 0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1},
	}}
	for range 5 {
		bits.RecvDeltas = append(bits.RecvDeltas, &rtcp.RecvDelta{Type: yes, Delta: 63_750})
	}
	bits.Header.Length = uint16(bits.MarshalSize()/4 - 1)
	back := told(3, 9, yes, late, no, late, yes, yes, no, yes)
	back.RecvDeltas[1].Delta = -250
	back.RecvDeltas[2].Delta = 500_000
	for _, fb := range []*rtcp.TransportLayerCC{run, bits, back} {
		a, b := New(Config{}), New(Config{})
		for i := range int64(60) {
			a.Sent(i*int64(time.Millisecond), 1000, 0)
			b.Sent(i*int64(time.Millisecond), 1000, 0)
		}
		now := int64(100 * time.Millisecond)
		a.Feedback(now, fb)
		if _, err := b.FeedbackBytes(now, raw(t, fb)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a.parsed, b.parsed) || len(a.parsed) != int(fb.PacketStatusCount) {
			t.Errorf("Pion's: %v\nbytes:  %v", a.parsed, b.parsed)
		}
		if a.Estimate(now) != b.Estimate(now) {
			t.Errorf("%+v and %+v", a.Estimate(now), b.Estimate(now))
		}
	}
}

func TestFeedbackBytesRefuses(t *testing.T) {
	good := raw(t, told(0, 1, yes, yes, no, yes, yes, yes, yes, yes))
	e := New(Config{})
	for n := range good {
		if _, err := e.FeedbackBytes(0, good[:n]); err == nil {
			t.Errorf("takes %d bytes of %d", n, len(good))
		}
	}
	other := bytes.Clone(good)
	other[1] = byte(rtcp.TypePayloadSpecificFeedback)
	if _, err := e.FeedbackBytes(0, other); err == nil {
		t.Error("takes another type")
	}
	many := bytes.Clone(good)
	binary.BigEndian.PutUint16(many[14:], 65535)
	if _, err := e.FeedbackBytes(0, many); err == nil {
		t.Error("takes more than it says")
	}
}

// The receiver's clock starts again, or is made to jump: neither may count as
// delay.
func TestClockJumps(t *testing.T) {
	e := New(Config{})
	now, ref := int64(0), uint32(1<<24-5) // it also wraps
	for i := range 300 {
		base := e.Sent(now, 1000, 0)
		e.Sent(now, 1000, 0)
		now += 64 * int64(time.Millisecond)
		if i == 100 {
			ref += 1 << 20
		}
		if i == 200 {
			ref -= 1 << 22
		}
		e.Feedback(now, told(base, ref&(1<<24-1), yes, yes))
		ref++
		if e.Estimate(now).Overuse {
			t.Fatalf("a queue is seen after feedback %d", i)
		}
	}
	if acked := e.Estimate(now).Acked; acked < 200_000 || acked > 300_000 {
		t.Errorf("%d b/s arrive, want 250,000", acked)
	}
}

// A server has thousands of these.
func TestSmall(t *testing.T) {
	e := New(Config{})
	now := int64(0)
	for range 100 { // 10 s of 4 Mb/s, with a round trip of 200 ms
		base := uint16(e.next)
		var symbols []uint16
		for range 40 {
			e.Sent(now, 1200, 0)
			symbols = append(symbols, yes)
			now += int64(2500 * time.Microsecond)
		}
		e.Feedback(now, told(base-40, uint32(now/reference), symbols...))
	}
	size := unsafe.Sizeof(*e) + uintptr(cap(e.ring))*unsafe.Sizeof(e.ring[0]) + uintptr(cap(e.parsed))*unsafe.Sizeof(e.parsed[0])
	if size > 8<<10 {
		t.Errorf("%d bytes at 4 Mb/s", size)
	}
	for range 20_000 { // and what a receiver that falls silent costs
		e.Sent(now, 1200, 0)
		now += int64(100 * time.Microsecond)
	}
	if len(e.ring) > ringMost {
		t.Errorf("remembers %d packets", len(e.ring))
	}
}

// No allocation for a packet, nor for a feedback, once things have their size.
func TestAllocations(t *testing.T) {
	e := New(Config{})
	now := int64(0)
	symbols := slices.Repeat([]uint16{yes}, 40)
	n := 0
	packets := make([][]byte, 1200)
	for i := range packets {
		packets[i] = raw(t, told(uint16(i*40), uint32(i), symbols...))
	}
	round := func() {
		for range 40 {
			e.Sent(now, 1200, 0)
			now += int64(1600 * time.Microsecond)
		}
		if _, err := e.FeedbackBytes(now, packets[n]); err != nil {
			t.Fatal(err)
		}
		e.Probe(now, 1)
		n++
	}
	for range 100 {
		round()
	}
	if allocs := testing.AllocsPerRun(1000, round); allocs != 0 {
		t.Errorf("%v allocations a round", allocs)
	}
}

// FuzzFeedback lets a hostile receiver loose on a sender that goes on sending.
func FuzzFeedback(f *testing.F) {
	f.Add(raw(f, told(0, 1, yes, no, late, yes, yes, yes, yes, yes)), uint16(3))
	f.Add(raw(f, told(65530, 1<<24-1, late, late, late, no, yes)), uint16(900))
	f.Add([]byte{0x8f, 205, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 1, 0, 0x60, 3, 1, 1}, uint16(1))
	f.Fuzz(func(t *testing.T, data []byte, step uint16) {
		e := New(Config{Floor: 50_000, Ceiling: 10_000_000})
		now := int64(0)
		for len(data) >= 4 {
			for range 10 {
				e.Sent(now, int(step), 0)
				now += int64(step) * int64(time.Microsecond)
			}
			n := min(4*(int(binary.BigEndian.Uint16(data[2:]))+1), len(data))
			_, err := e.FeedbackBytes(now, data[:n])
			var fb rtcp.TransportLayerCC
			if fb.Unmarshal(data[:n]) == nil {
				if err != nil && fb.PacketStatusCount <= ringMost {
					t.Errorf("%x is refused, Pion takes it", data[:n])
				}
				e.Feedback(now, &fb)
			}
			p := e.Probe(now, 5_000_000)
			if p.Bytes < 0 || p.Bytes > 1<<20 || p.Next != 0 && p.Next < now {
				t.Fatalf("%+v", p)
			}
			if p.Bytes > 0 {
				e.Sent(now, ProbePacket, p.ID)
			}
			got := e.Estimate(now)
			if got.Bitrate < 50_000 || got.Bitrate > 10_000_000 || got.Loss < 0 || got.Loss > 1 || got.RTT < 0 {
				t.Fatalf("%+v", got)
			}
			data = data[n:]
		}
	})
}

func BenchmarkSent(b *testing.B) {
	e := New(Config{})
	now := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		e.Sent(now, 1200, 0)
		now += int64(time.Millisecond)
	}
}

func BenchmarkFeedback(b *testing.B) {
	symbols := slices.Repeat([]uint16{yes}, 40)
	fb := told(0, 0, symbols...)
	packet := raw(b, fb)
	for name, take := range map[string]func(e *Estimator, now int64){
		"bytes": func(e *Estimator, now int64) {
			if _, err := e.FeedbackBytes(now, packet); err != nil {
				b.Fatal(err)
			}
		},
		"pion": func(e *Estimator, now int64) {
			var fb rtcp.TransportLayerCC
			if err := fb.Unmarshal(packet); err != nil {
				b.Fatal(err)
			}
			e.Feedback(now, &fb)
		},
	} {
		b.Run(name, func(b *testing.B) { // a round of 40 packets sent, and told of
			e := New(Config{})
			now := int64(0)
			b.ReportAllocs()
			for b.Loop() {
				base := uint16(e.next)
				for range 40 {
					e.Sent(now, 1200, 0)
					now += int64(1600 * time.Microsecond)
				}
				binary.BigEndian.PutUint16(packet[12:], base)
				ref := uint32(now/reference) & (1<<24 - 1)
				packet[16], packet[17], packet[18] = byte(ref>>16), byte(ref>>8), byte(ref)
				take(e, now)
			}
		})
	}
}
