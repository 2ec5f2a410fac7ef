package client

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"commsd/bench/media/tally"
)

const testOffer = `v=0
a=extmap-allow-mixed
m=audio 9 UDP/TLS/RTP/SAVPF 111 63
a=rtpmap:111 opus/48000/2
a=rtpmap:63 red/48000/2
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
m=video 9 UDP/TLS/RTP/SAVPF 96 97
a=extmap:5/recvonly http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=rtpmap:96 VP8/90000
a=rtpmap:97 rtx/90000
`

func TestReadMedia(t *testing.T) {
	kinds, twcc := readMedia(testOffer)
	if len(kinds) != 3 || kinds[111] != "audio" || kinds[63] != "audio" || kinds[96] != "video" || twcc != 5 {
		t.Errorf("read %v and %d", kinds, twcc)
	}
}

// What the tap counts is what came, and one packet in sixteen goes on.
func TestTapCountsAndSamples(t *testing.T) {
	tap, err := listenTap(netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	tap.describe(readMedia(testOffer))
	server, err := net.DialUDP("udp", nil, tap.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	// read takes packets until one whose first byte is b.
	buf := make([]byte, 1500)
	read := func(until byte) (out []uint16) {
		t.Helper()
		if err := tap.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		for {
			n, _, err := tap.ReadFromAddrPort(buf)
			if err != nil {
				t.Fatal(err)
			}
			if n > 0 && buf[0] == until {
				return out
			}
			out = append(out, binary.BigEndian.Uint16(buf[2:]))
		}
	}
	mark := func() { // STUN and DTLS pass as they are
		if _, err := server.Write([]byte{20, 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
	}
	before := time.Now()
	var passed []uint16
	for i := range uint16(1600) {
		p := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, SSRC: 7, SequenceNumber: 65000 + i}, Payload: make([]byte, 100)}
		if err := p.SetExtension(5, binary.BigEndian.AppendUint16(nil, i)); err != nil {
			t.Fatal(err)
		}
		if i%100 == 99 {
			continue // lost
		}
		b, err := p.Marshal()
		if err == nil {
			_, err = server.Write(b)
		}
		if err != nil {
			t.Fatal(err)
		}
		if i%50 == 0 { // before the socket's buffer is full
			mark()
			passed = append(passed, read(20)...)
		}
	}
	report, err := (&rtcp.SenderReport{SSRC: 7}).Marshal()
	if err == nil {
		_, err = server.Write(report)
	}
	if err != nil {
		t.Fatal(err)
	}
	mark()
	passed = append(passed, read(20)...)

	if got, want := tap.count("video"), (tally.Count{Streams: 1, Expected: 1599, Received: 1584}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	if got := tap.count("audio"); got != (tally.Count{}) {
		t.Errorf("sound is %+v", got)
	}
	sampled := 0
	for _, seq := range passed {
		if seq%samplePackets == 0 {
			sampled++
		}
	}
	// Two at the beginning tell of the track; one is RTCP.
	if len(passed) > sampled+3 || sampled < 1600/samplePackets-16 {
		t.Errorf("%d packets passed, %d of them of the sample", len(passed), sampled)
	}
	if last := passed[len(passed)-2]; true {
		at, ok := tap.arrived(7, last)
		if when := time.Unix(0, at); !ok || when.Before(before.Add(-time.Second)) || when.After(time.Now()) {
			t.Errorf("packet %d came at %v, %v", last, when, ok)
		}
	}
	if at, ok := tap.firstOf("video"); !ok || at.After(time.Now()) {
		t.Errorf("the first picture came at %v, %v", at, ok)
	}
	if f := tap.feedback(); len(f) == 0 {
		t.Error("there is no feedback for the server's estimate")
	}
	rr, ok := tap.report()[0].(*rtcp.ReceiverReport)
	if !ok || len(rr.Reports) != 1 || rr.Reports[0].TotalLost != 15 || rr.Reports[0].FractionLost != 2 || rr.Reports[0].LastSequenceNumber != 65000+1598 {
		t.Errorf("the receiver report is %+v", rr)
	}
}

func TestExtensionInDamagedPackets(t *testing.T) {
	p := &rtp.Packet{Header: rtp.Header{Version: 2}}
	for id, value := range map[uint8][]byte{1: {9}, 5: {1, 2}, 7: {3, 4, 5}} {
		if err := p.SetExtension(id, value); err != nil {
			t.Fatal(err)
		}
	}
	b, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := extension(b, 5); !ok || n != 0x0102 {
		t.Errorf("read %x, %v", n, ok)
	}
	for _, id := range []uint8{1, 2, 7} {
		if n, ok := extension(b, id); ok {
			t.Errorf("extension %d is read as %x", id, n)
		}
	}
	for cut := range b {
		if cut >= 12 {
			_, _ = extension(b[:cut], 5) // must not read past the end
		}
	}
}
