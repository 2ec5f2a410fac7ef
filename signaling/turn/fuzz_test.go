package turn_test

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"commsd/signaling/turn"
)

// still makes a server that is driven by hand.
func still(t testing.TB) (*turn.Server, *media, *prometheus.Registry) {
	t.Helper()
	m := &media{served: []netip.AddrPort{served}, got: make(chan packet, 10)}
	reg := prometheus.NewRegistry()
	s, err := turn.New(turn.Config{
		Realm: "g2g.example", Secret: secret, Media: m, RelayedIPv4: netip.MustParseAddr("192.0.0.8"), RelayedIPv6: netip.MustParseAddr("100::8"),
		Alive: func(string) bool { return true }, Log: slog.New(slog.DiscardHandler), Registerer: reg,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.SetRunning()
	return s, m, reg
}

func panics(t testing.TB, reg *prometheus.Registry) {
	t.Helper()
	if err := testutil.GatherAndCompare(reg, strings.NewReader("# HELP commsd_turn_panics_total Panics while serving a message; each is a bug.\n"+
		"# TYPE commsd_turn_panics_total counter\ncommsd_turn_panics_total 0\n"), "commsd_turn_panics_total"); err != nil {
		t.Fatal(err)
	}
}

// FuzzMessage: whatever comes from a client that has an allocation, signed or
// not, panics nothing and reaches nothing but the media.
func FuzzMessage(f *testing.F) {
	seed := func(setters ...stun.Setter) []byte { return stun.MustBuild(setters...).Raw }
	f.Add([]byte{0x40, 0, 0, 1, 7}, false)
	f.Add([]byte{0x40, 0, 0xff, 0xff, 7}, false)
	f.Add(seed(stun.TransactionID, stun.NewType(stun.MethodSend, stun.ClassIndication), peerAddress(served), attr{stun.AttrData, []byte("x")}), false)
	for _, method := range []stun.Method{stun.MethodAllocate, stun.MethodRefresh, stun.MethodCreatePermission, stun.MethodChannelBind, stun.MethodBinding} {
		f.Add(seed(stun.TransactionID, stun.NewType(method, stun.ClassRequest), peerAddress(served), channel(0x4000), seconds(60), overUDP), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, sign bool) {
		s, m, reg := still(t)
		k := turn.NewSink(netip.MustParseAddrPort("198.51.100.1:5000"))
		c := s.Credential("PA_one", "")
		key := stun.NewLongTermIntegrity(c.Username, "g2g.example", c.Credential)
		s.Handle(k, seed(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest), overUDP))
		challenge := &stun.Message{Raw: k.Sent[0]}
		var nonce stun.Nonce
		if challenge.Decode() != nil || nonce.GetFrom(challenge) != nil {
			t.Fatal("no nonce")
		}
		signed := []stun.Setter{stun.NewUsername(c.Username), stun.NewRealm("g2g.example"), nonce, key}
		s.Handle(k, seed(append([]stun.Setter{stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest), overUDP}, signed...)...))
		if s.Allocations() != 1 {
			t.Fatal("no allocation")
		}
		if sign {
			in := &stun.Message{Raw: bytes.Clone(b)}
			if in.Decode() != nil {
				return
			}
			out := []stun.Setter{stun.NewTransactionIDSetter(in.TransactionID), in.Type}
			for _, a := range in.Attributes {
				out = append(out, attr{a.Type, a.Value})
			}
			m, err := stun.Build(append(out, signed...)...)
			if err != nil {
				return
			}
			b = m.Raw
		}
		s.Handle(k, b)
		s.Handle(k, b)
		for len(m.got) > 0 {
			if p := <-m.got; p.to != served {
				t.Errorf("relayed to %v", p.to)
			}
		}
		panics(t, reg)
	})
}

// FuzzStream: a stream of anything ends or is read on, and what is cut out of
// it is no longer than a message may be.
func FuzzStream(f *testing.F) {
	f.Add([]byte{0x40, 0, 0, 3, 1, 2, 3, 0, 0x40})
	f.Add([]byte("\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte{0x40, 0, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 4 {
			if n := turn.FrameLength([4]byte(b)); n < 0 || n > turn.MaxMessage || n != 0 && n < 4 {
				t.Fatalf("%x is a message of %d bytes", b[:4], n)
			}
		}
		s, _, reg := still(t)
		ours, theirs := net.Pipe()
		ended := make(chan struct{})
		go func() { defer close(ended); s.ServeConn(ours) }()
		read := make(chan struct{})
		go func() { defer close(read); _, _ = io.Copy(io.Discard, theirs) }()
		_ = theirs.SetWriteDeadline(time.Now().Add(wait))
		_, _ = theirs.Write(b) // the server may have closed
		theirs.Close()
		<-ended
		<-read
		panics(t, reg)
	})
}
