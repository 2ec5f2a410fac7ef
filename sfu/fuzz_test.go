package sfu

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"
)

// The parsers of what comes from the network are tested from inside: they have
// no other door that a fuzzer could knock at fast enough.

func FuzzPacket(f *testing.F) {
	plain := rtp.Packet{Header: rtp.Header{Version: 2, Marker: true, PayloadType: 96, SequenceNumber: 7, Timestamp: 9, SSRC: 11}, Payload: []byte("payload")}
	oneByte := plain
	oneByte.CSRC = []uint32{1, 2}
	if err := oneByte.SetExtension(3, []byte{1, 2}); err != nil {
		f.Fatal(err)
	}
	twoByte := rtp.Packet{Header: rtp.Header{Version: 2, Extension: true, ExtensionProfile: extTwoByte}}
	if err := twoByte.SetExtension(200, bytes.Repeat([]byte{7}, 40)); err != nil {
		f.Fatal(err)
	}
	for _, p := range []rtp.Packet{plain, oneByte, twoByte} {
		b, err := p.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		b = bytes.Clone(b)
		b[0] |= 0x20 // the last byte now counts padding
		f.Add(b)
		f.Add(b[:len(b)-3])
	}
	f.Add([]byte{0x90, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xBE, 0xDE, 0, 1, 0xF0, 1, 2, 3}) // "stop processing"
	f.Fuzz(func(t *testing.T, b []byte) {
		var p packet
		was := bytes.Clone(b)
		ok := p.parse(b)
		if !bytes.Equal(b, was) {
			t.Fatal("parsing wrote into the packet")
		}
		if !ok {
			return
		}
		if len(p.payload)+len(p.ext)+rtpHeader > len(b) {
			t.Fatalf("%d bytes of payload and %d of extension in %d", len(p.payload), len(p.ext), len(b))
		}
		for id := range 256 {
			if e := p.extension(uint8(id)); len(e) > len(p.ext) {
				t.Fatalf("extension %d has %d bytes of %d", id, len(e), len(p.ext))
			}
		}
		// Whatever Pion reads too, both read alike.
		var want rtp.Packet
		if want.Unmarshal(bytes.Clone(b)) != nil {
			return
		}
		if p.seq != want.SequenceNumber || p.ts != want.Timestamp || p.ssrc != want.SSRC || p.marker != want.Marker || p.payloadType != want.PayloadType {
			t.Fatalf("read %+v, Pion %+v", p, want.Header)
		}
		if want.Padding || want.Extension { // Pion's payload ends elsewhere where padding is odd
			return
		}
		if !bytes.Equal(p.payload, want.Payload) {
			t.Fatalf("payload %x, Pion %x", p.payload, want.Payload)
		}
	})
}

func FuzzVP8(f *testing.F) {
	for _, b := range [][]byte{
		{0x10, 0x00}, {0x10, 0x01}, {0x00, 0x00}, // RFC 7741, 4.2: first, delta, continuation
		{0x90, 0x80, 0x11, 0x00},                   // 7 bits of picture id
		{0x90, 0x80, 0x81, 0x11, 0x00},             // 15 bits
		{0x90, 0xF0, 0x81, 0x11, 0x05, 0x20, 0x00}, // and TL0PICIDX, TID, KEYIDX
		{0x90, 0xC0, 0x81}, {0x90}, {},
	} {
		f.Add(b, uint16(0x7FFF), uint8(9))
	}
	f.Fuzz(func(t *testing.T, b []byte, pid uint16, tl0 uint8) {
		var d vp8
		if !d.parse(b) {
			return
		}
		if d.headerLen <= 0 || d.headerLen >= len(b) {
			t.Fatalf("a descriptor of %d bytes in %d", d.headerLen, len(b))
		}
		out := bytes.Clone(b)
		d.rewrite(out, pid, tl0)
		var again vp8
		if !again.parse(out) {
			t.Fatalf("%x was rewritten to %x, which does not read", b, out)
		}
		mask := uint16(0x7F)
		if d.pidLong {
			mask = 0x7FFF
		}
		if d.pidAt > 0 && again.pid != pid&mask || d.tl0At > 0 && again.tl0 != tl0 {
			t.Fatalf("rewritten to picture %d and %d, want %d and %d", again.pid, again.tl0, pid&mask, tl0)
		}
		again.pid, again.tl0 = d.pid, d.tl0
		if again != d || !bytes.Equal(out[d.headerLen:], b[d.headerLen:]) {
			t.Fatalf("rewriting %x changed more: %x", b, out)
		}
	})
}

// FuzzReception plays a stream of steps, each two bytes: how far the number
// moves, and how much time passes or what else happens.
func FuzzReception(f *testing.F) {
	f.Add(uint16(65530), bytes.Repeat([]byte{1, 20}, 30))
	f.Add(uint16(0), []byte{1, 10, 3, 10, 1, 150, 0xFF, 10, 200, 10, 1, 0, 128, 200})
	f.Add(uint16(9), bytes.Repeat([]byte{2, 120}, 200))
	f.Fuzz(func(t *testing.T, seq uint16, steps []byte) {
		if len(steps) > 4000 {
			return
		}
		r := reception{clock: 90000}
		now, start := time.Unix(1, 0), time.Unix(1, 0)
		for ; len(steps) >= 2; steps = steps[2:] {
			seq += uint16(int16(int8(steps[0]))) * uint16(1+steps[1]&1*99)
			now = now.Add(time.Duration(steps[1]) * time.Millisecond)
			gaps, _ := r.packet(seq, uint32(seq)*3000, now, now.Sub(start))
			if len(r.missing) > nackMax || gaps != (len(r.missing) > 0) {
				t.Fatalf("%d gaps, told %v", len(r.missing), gaps)
			}
			if steps[1]%3 == 0 {
				seqs, again, _ := r.nack(now)
				for _, s := range seqs {
					if newer(s, uint16(r.highest)) {
						t.Fatalf("asks for %d, the highest is %d", s, uint16(r.highest))
					}
				}
				if (again > 0) != (len(r.missing) > 0) {
					t.Fatalf("comes again in %v for %d gaps", again, len(r.missing))
				}
			}
			rr, ok := r.report(1, now)
			if !ok || uint16(rr.LastSequenceNumber) != uint16(r.highest) || rr.TotalLost > 1<<23-1 {
				t.Fatalf("report %+v %v", rr, ok)
			}
			if _, err := rr.Marshal(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzReadOffer(f *testing.F) {
	f.Add("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=sendonly\r\na=msid:stream track\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n")
	f.Add("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=inactive\r\na=msid\r\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, offer string) {
		out, sections, err := readOffer(offer, maxSections)
		if err != nil {
			return
		}
		if len(sections) > maxSections {
			t.Fatalf("%d sections", len(sections))
		}
		for mid := range sections {
			if len(mid) > maxMID {
				t.Fatalf("mid of %d bytes", len(mid))
			}
		}
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, "a=candidate:") {
				t.Fatalf("kept %q", line)
			}
		}
	})
}

// FuzzEpochs sends a run of packets with switches between two layers and holds
// what the subscriber would see against what retransmission would find.
func FuzzEpochs(f *testing.F) {
	f.Add([]byte{1, 1, 1, 0x81, 1, 1, 0x41, 1, 0xFF, 1, 1})
	f.Add(bytes.Repeat([]byte{0x3F}, 3000))
	f.Add(append(bytes.Repeat([]byte{0x3F, 0x81}, 600), 1, 1, 1))
	f.Fuzz(func(t *testing.T, steps []byte) {
		if len(steps) > 8000 {
			return
		}
		layers := [2]*layer{{ring: newRing(audioRing)}, {ring: newRing(audioRing)}}
		for i := range layers {
			layers[i].rx.clock = 48000
		}
		d := &downTrack{}
		src := [2]uint16{65000, 100}
		cur := 0
		sent := make(map[uint16]uint16) // what went out, to its source number
		for n, s := range steps {
			if s&0x80 != 0 {
				cur = 1 - cur
			}
			if s&0x40 != 0 {
				d.current = nil // as after muting
			}
			src[cur] += 1 + uint16(s&0x3F)*16
			pkt := packet{seq: src[cur], ts: uint32(n) * 960, payload: []byte{1}}
			if d.current != layers[cur] {
				d.begin(layers[cur], &pkt, &picture{}, int64(n)*int64(20*time.Millisecond))
			}
			e := &d.epochs[d.epoch%epochs]
			if newer(e.firstSrc, pkt.seq) {
				t.Fatalf("step %d: a packet of now seems to be from before its epoch", n)
			}
			seq := pkt.seq + e.seq
			if d.sent > 0 && !newer(seq, d.lastSeq) {
				t.Fatalf("step %d: %d after %d", n, seq, d.lastSeq)
			}
			d.lastSeq, d.lastAt = seq, int64(n)*int64(20*time.Millisecond)
			d.slide(e)
			d.sent++
			sent[seq] = pkt.seq
			found, _, ok := d.epochOf(seq)
			if !ok || found.layer != layers[cur] || seq-found.seq != pkt.seq {
				t.Fatalf("step %d: what was just sent is not found", n)
			}
		}
		for back := range uint16(200) {
			seq := d.lastSeq - back
			e, _, ok := d.epochOf(seq)
			if from, was := sent[seq]; ok && was && seq-e.seq != from && len(steps) < 60 { // before any number comes round
				t.Fatalf("%d came from %d, a retransmission would send %d", seq, from, seq-e.seq)
			}
		}
	})
}
