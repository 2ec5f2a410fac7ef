package sfu

import (
	"bytes"
	"testing"
	"time"

	"github.com/pion/rtp"
)

func TestH264BeginsWithItsParameters(t *testing.T) {
	for name, c := range map[string]struct {
		payload []byte
		want    bool
	}{
		"a sequence parameter set":                {[]byte{0x67, 0x42, 0xE0, 0x1F}, true},
		"a slice of a picture":                    {[]byte{0x41, 0x9A}, false},
		"an IDR slice without its parameters":     {[]byte{0x65, 0x88}, false},
		"an aggregate with the set":               {[]byte{0x78, 0, 2, 0x67, 0x42, 0, 2, 0x68, 0xCE}, true},
		"an aggregate with the set last":          {[]byte{0x78, 0, 1, 0x09, 0, 2, 0x67, 0x42}, true},
		"an aggregate without":                    {[]byte{0x78, 0, 2, 0x68, 0xCE}, false},
		"an aggregate that says more than it has": {[]byte{0x78, 0, 9, 0x67}, false},
		"an aggregate of nothing":                 {[]byte{0x78, 0, 0, 0x67}, false},
		"an aggregate that is cut":                {[]byte{0x78, 0}, false},
		"a fragment that begins the set":          {[]byte{0x7C, 0x87, 0x42}, true},
		"a fragment in the middle of it":          {[]byte{0x7C, 0x07, 0x42}, false},
		"a fragment of a picture":                 {[]byte{0x7C, 0x85, 0x88}, false},
		"a fragment that is cut":                  {[]byte{0x7C}, false},
	} {
		var p picture
		if !p.parse(codecH264, c.payload) || p.key != c.want {
			t.Errorf("%s: begins %v, want %v", name, p.key, c.want)
		}
	}
}

func TestREDIsUnwrapped(t *testing.T) {
	for name, c := range map[string]struct{ in, primary, before string }{
		"one block alone": {"\x6Fnew", "new", ""},
		"the one before":  {"\xEF\x0F\x00\x03\x6Foldnew", "new", "old"},
		"two before":      {"\xEF\x1E\x00\x02\xEF\x0F\x00\x03\x6Fxxoldnew", "new", "old"},
		"an empty one":    {"\xEF\x0F\x00\x00\x6Fnew", "new", ""},
		"cut in a header": {"\xEF\x0F", "", ""},
		"cut in a block":  {"\xEF\x0F\x00\x09\x6Fold", "", ""},
		"headers alone":   {"\xEF\x0F\x00\x00", "", ""},
		"nothing":         {"", "", ""},
	} {
		primary, before := redPrimary([]byte(c.in))
		if string(primary) != c.primary || string(before) != c.before {
			t.Errorf("%s: %q and before %q", name, primary, before)
		}
	}
}

// Who has not agreed to RED gets the plain sound in it.
func TestREDForThoseWithoutIt(t *testing.T) {
	l, _ := stage(t, 2)
	l.kind, l.codec, l.redPT = Audio, codecOpus, 63
	subs := *l.track.subs.Load()
	outs := [2]*recorder{{}, {}}
	for i, d := range subs {
		d.codec, d.writer, d.out = codecOpus, outs[i], outStream{ssrc: 7, pt: 111}
	}
	subs[1].out.redPT = 64
	red := []byte("\xEF\x0F\x00\x03\x6Foldnew")
	receive(t, l, &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 63, SequenceNumber: 9, Timestamp: 960}, Payload: red}, clockBase.Add(time.Second))
	for i, want := range []rtp.Packet{
		{Header: rtp.Header{PayloadType: 111}, Payload: []byte("new")},
		{Header: rtp.Header{PayloadType: 64}, Payload: red},
	} {
		if len(outs[i].got) != 1 || outs[i].got[0].PayloadType != want.PayloadType || !bytes.Equal(outs[i].got[0].Payload, want.Payload) {
			t.Errorf("subscriber %d got %v", i, outs[i].got)
		}
		if subs[i].resend(9); len(outs[i].got) != 2 || !bytes.Equal(outs[i].got[1].Payload, want.Payload) || outs[i].got[1].PayloadType != want.PayloadType {
			t.Errorf("subscriber %d got again %v", i, outs[i].got)
		}
	}
}

// A lost packet comes again on the stream of retransmissions, its own number
// before it (RFC 4588, 4), with the picture ids that it had.
func TestResendOnItsOwnStream(t *testing.T) {
	l, _ := stage(t, 1)
	d := (*l.track.subs.Load())[0]
	out := &recorder{}
	d.writer, d.out = out, outStream{ssrc: 7, pt: 96, rtxSSRC: 8, rtxPT: 97}
	s := &source{l: l, name: 'x', seq: 40, ts: 90, pid: 300, tl0: 5}
	now := clockBase.Add(time.Second)
	s.frame(t, true, now)
	d.pause() // what comes next is numbered anew
	s.seq += 10
	s.frame(t, true, now.Add(33*time.Millisecond))
	lost := out.got[1]
	for n := range 2 {
		d.resend(lost.SequenceNumber)
		again := out.got[2+n]
		if again.SSRC != 8 || again.PayloadType != 97 || again.SequenceNumber != uint16(n+1) || again.Timestamp != lost.Timestamp || again.Marker != lost.Marker {
			t.Errorf("sent again as %v", again)
		}
		if want := append([]byte{byte(lost.SequenceNumber >> 8), byte(lost.SequenceNumber)}, lost.Payload...); !bytes.Equal(again.Payload, want) {
			t.Errorf("sent again %x, want %x", again.Payload, want)
		}
	}
}

func FuzzPicture(f *testing.F) {
	f.Add(uint8(codecH264), []byte{0x78, 0, 2, 0x67, 0x42})
	f.Add(uint8(codecVP8), []byte{0x90, 0xE0, 0x80, 1, 2, 0})
	f.Add(uint8(codecOpus), []byte("\xEF\x0F\x00\x03\x6Foldnew"))
	f.Fuzz(func(t *testing.T, c uint8, payload []byte) {
		var p picture
		p.parse(codec(c%3), payload)
		primary, before := redPrimary(payload)
		if len(primary)+len(before) > len(payload) {
			t.Errorf("%d and %d bytes of %d", len(primary), len(before), len(payload))
		}
	})
}
