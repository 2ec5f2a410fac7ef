package sfu

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/transport/v5/packetio"
	"github.com/pion/webrtc/v4"
)

// What a connection's header extensions are called by in these tests.
const (
	testTWCC = 3
	testMID  = 4
	testRRID = 6
)

// incoming is the receiving end of a publisher's connection with one camera
// whose packets reach the recorder.
func incoming(t testing.TB) (*streams, *layer, *recorder) {
	t.Helper()
	l, _ := stage(t, 1)
	l.remote = &webrtc.TrackRemote{}
	l.ssrc, l.pt, l.rid, l.mid = 9, 96, "f", "1"
	l.ids = extensionIDs{twcc: testTWCC, mid: testMID, repairRID: testRRID}
	d := (*l.track.subs.Load())[0]
	out := &recorder{}
	d.writer = out
	return l.pub.streams, l, out
}

func video(t testing.TB, ssrc uint32, pt uint8, seq uint16, payload []byte, ext map[uint8][]byte) []byte {
	t.Helper()
	p := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: pt, SequenceNumber: seq, Timestamp: 90 * uint32(seq), SSRC: ssrc}, Payload: payload}
	for id, value := range ext {
		if err := p.SetExtension(id, value); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func write(t testing.TB, w io.Writer, raw []byte) {
	t.Helper()
	if n, err := w.Write(bytes.Clone(raw)); err != nil || n != len(raw) {
		t.Fatalf("%d bytes taken, %v", n, err)
	}
}

var key = []byte{0x10, 0x00, 'k'}

// What comes before a stream is known to be a track's is read by Pion and
// reaches the track once it is.
func TestEarlyPackets(t *testing.T) {
	s, l, out := incoming(t)
	in := s.buffer(packetio.RTPBufferPacket, 9)
	for seq := range uint16(3) {
		write(t, in, video(t, 9, 96, seq, key, nil))
	}
	buf := make([]byte, maxRTPBytes)
	if n, err := in.Read(buf); err != nil || binary.BigEndian.Uint16(buf[2:]) != 0 {
		t.Fatalf("Pion reads %x, %v", buf[:n], err)
	}
	s.bind(l)
	write(t, in, video(t, 9, 96, 3, key, nil))
	if len(out.got) != 4 || out.got[0].SequenceNumber != 0 || out.got[3].SequenceNumber != 3 {
		t.Fatalf("the subscriber gets %v", out.got)
	}
	if s.early > len(buf) {
		t.Errorf("%d early bytes are kept", s.early)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // Pion may still have the first
		if _, err := in.Read(buf); errors.Is(err, io.EOF) {
			return
		}
	}
	t.Error("a closed stream does not end")
}

// Nobody keeps more of a stream without a track than a little.
func TestEarlyPacketsAreBounded(t *testing.T) {
	s, _, _ := incoming(t)
	for ssrc := range uint32(100) {
		in := s.buffer(packetio.RTPBufferPacket, ssrc)
		for seq := range uint16(2 * earlyPackets) {
			write(t, in, video(t, ssrc, 96, seq, make([]byte, 1000), nil))
		}
	}
	if s.early > earlyBytes {
		t.Errorf("%d bytes are kept, more than %d", s.early, earlyBytes)
	}
	s.close()
	if s.early != 0 || len(s.in) != 0 {
		t.Errorf("%d bytes and %d streams are kept of a closed connection", s.early, len(s.in))
	}
}

// A retransmission finds its layer by the ids it carries, whichever of the two
// comes first, and gets its own number back.
func TestRetransmissionsArriveAsWhatTheyRepeat(t *testing.T) {
	ids := map[uint8][]byte{testMID: []byte("1"), testRRID: []byte("f"), testTWCC: {0, 77}}
	rtx := append([]byte{0, 1}, key...) // of packet 1
	for _, first := range []string{"the layer", "the retransmission"} {
		s, l, out := incoming(t)
		in, repair := s.buffer(packetio.RTPBufferPacket, 9), s.buffer(packetio.RTPBufferPacket, 10)
		write(t, in, video(t, 9, 96, 0, key, nil))
		if first == "the layer" {
			s.bind(l)
			write(t, repair, video(t, 10, 97, 500, rtx, ids))
		} else {
			write(t, repair, video(t, 10, 97, 500, rtx, ids))
			s.bind(l)
		}
		write(t, repair, video(t, 10, 97, 501, nil, ids)) // a probe
		write(t, repair, video(t, 10, 97, 502, []byte{0}, ids))
		if len(out.got) != 2 || out.got[1].SequenceNumber != 1 || out.got[1].PayloadType != 96 || !bytes.Equal(out.got[1].Payload, key) {
			t.Errorf("%s first: the subscriber gets %v", first, out.got)
		}
		var raw [maxRTPBytes]byte
		if n := l.ring.get(1, raw[:]); n == 0 || raw[1] != 96 || binary.BigEndian.Uint32(raw[8:]) != 9 {
			t.Errorf("%s first: the ring has %x of what was repeated", first, raw[:n])
		}
		buf := make([]byte, maxRTPBytes)
		if n, err := repair.Read(buf); err != nil || binary.BigEndian.Uint16(buf[2:]) != 500 {
			t.Errorf("%s first: Pion reads %x, %v", first, buf[:n], err)
		}
	}
}

// Feedback to the publisher counts every packet, padding too.
func TestFeedbackCountsPadding(t *testing.T) {
	s, l, _ := incoming(t)
	in, repair := s.buffer(packetio.RTPBufferPacket, 9), s.buffer(packetio.RTPBufferPacket, 10)
	write(t, in, video(t, 9, 96, 0, key, map[uint8][]byte{testTWCC: {0, 1}}))
	s.bind(l)
	ids := map[uint8][]byte{testMID: []byte("1"), testRRID: []byte("f")}
	for n := range byte(3) {
		ids[testTWCC] = []byte{0, 2 + n}
		write(t, repair, video(t, 10, 97, uint16(n), nil, ids))
	}
	got := 0
	for _, p := range l.pub.feedback.build() {
		cc, ok := p.(*rtcp.TransportLayerCC)
		if !ok {
			t.Fatalf("feedback %T", p)
		}
		got += int(cc.PacketStatusCount)
		if len(cc.RecvDeltas) != int(cc.PacketStatusCount) {
			t.Errorf("%d of %d packets have arrived", len(cc.RecvDeltas), cc.PacketStatusCount)
		}
	}
	if got != 4 {
		t.Errorf("feedback about %d packets, want 4", got)
	}
}

// A subscriber's report about one stream is nothing to another.
func TestReportsReachTheirTrack(t *testing.T) {
	s, l, out := incoming(t)
	d := (*l.track.subs.Load())[0]
	s.send(7, d)
	d.out.ssrc = 7
	in := s.buffer(packetio.RTPBufferPacket, 9)
	write(t, in, video(t, 9, 96, 0, key, nil))
	s.bind(l)
	nack, err := (&rtcp.TransportLayerNack{MediaSSRC: 7, Nacks: []rtcp.NackPair{{PacketID: 0}}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for ssrc, want := range map[uint32]int{6: 1, 8: 1, 7: 2} {
		out.got = out.got[:1]
		r := s.buffer(packetio.RTCPBufferPacket, ssrc)
		write(t, r, nack)
		if len(out.got) != want {
			t.Errorf("asked of stream %d: %d packets, want %d", ssrc, len(out.got), want)
		}
	}
}

// FuzzStreams hands a connection what no client would send. It must not end
// the process, and what it keeps stays bounded.
func FuzzStreams(f *testing.F) {
	f.Add([]byte{0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 0x10, 0})
	f.Add(video(f, 10, 97, 5, []byte{0, 1, 0x10, 0}, map[uint8][]byte{testMID: []byte("1"), testRRID: []byte("f"), testTWCC: {0, 1}}))
	f.Add([]byte{0x8F, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 7, 0, 1, 0, 1, 0, 0, 0, 0})
	f.Add([]byte{0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 7})
	f.Add([]byte{0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0xFF, 0xFF})
	s, l, _ := incoming(f)
	d := (*l.track.subs.Load())[0]
	d.writer, d.out = &sink{}, outStream{ssrc: 7, pt: 96, rtxSSRC: 8, rtxPT: 97, twccID: testTWCC}
	s.send(7, d)
	in, repair := s.buffer(packetio.RTPBufferPacket, 9), s.buffer(packetio.RTPBufferPacket, 10)
	report := s.buffer(packetio.RTCPBufferPacket, 7)
	s.bind(l)
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, w := range []io.Writer{in, repair, report} {
			write(t, w, raw)
		}
		unknown := s.buffer(packetio.RTPBufferPacket, 11)
		write(t, unknown, raw)
		if err := unknown.Close(); err != nil {
			t.Error(err)
		}
		if s.early > earlyBytes || len(s.in) > 3 {
			t.Errorf("%d bytes, %d streams", s.early, len(s.in))
		}
	})
}
