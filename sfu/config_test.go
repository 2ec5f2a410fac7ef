package sfu_test

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/pion/webrtc/v4"
	"github.com/prometheus/client_golang/prometheus"

	"commsd/internal/errcode"
	"commsd/sfu"
)

func TestBadConfigNamesItsKey(t *testing.T) {
	for key, cfg := range map[string]sfu.Config{
		"media.udp_listen": {},
		"media.tcp_listen": {TCPListen: "localhost:1"},
		"media.advertise":  {UDPListen: "127.0.0.1:0", Advertise: []string{"example.com"}},
	} {
		if _, err := sfu.New(cfg); errcode.Of(err) != errcode.Invalid || !strings.Contains(errcode.Message(err), key) {
			t.Errorf("%+v: %v, want it to name %s", cfg, err, key)
		}
	}
	if _, err := sfu.New(sfu.Config{UDPListen: "127.0.0.1:0", Advertise: []string{"0.0.0.0"}}); errcode.Of(err) != errcode.Invalid {
		t.Errorf("an address that nobody can reach: %v", err)
	}
}

func TestPortInUseNamesItsKey(t *testing.T) {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	for key, cfg := range map[string]sfu.Config{
		"media.udp_listen": {UDPListen: udp.LocalAddr().String()},
		"media.tcp_listen": {UDPListen: "127.0.0.1:0", TCPListen: tcp.Addr().String()},
	} {
		s, err := sfu.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Listen(); errcode.Of(err) != errcode.Unavailable || !strings.Contains(errcode.Message(err), key) {
			t.Errorf("%v, want it to name %s", err, key)
		}
	}
}

// Ports bound by Listen are given back by a Run that ends at once.
func TestListenedPortsAreReleased(t *testing.T) {
	s, err := sfu.New(sfu.Config{UDPListen: "127.0.0.1:0", TCPListen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	udp, tcp := s.Ports()
	ended, end := context.WithCancel(t.Context())
	end()
	if err := s.Run(ended); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(ended); err == nil {
		t.Fatal("Run ran twice")
	}
	again, err := net.ListenPacket("udp", udp[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	l, err := net.Listen("tcp", tcp[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
}

// candidates collects what the SFU tells a client of its addresses, from the
// subscriber's connection and the publisher's.
func candidates(t *testing.T, s *sfu.SFU) []webrtc.ICECandidateInit {
	t.Helper()
	an := join(t, s, everything("r", "an"), nil)
	an.p.AddTrack(microphone("mic"))
	if err := an.Negotiate(ctx(t)); err != nil {
		t.Fatal(err)
	}
	var out []webrtc.ICECandidateInit
	for _, target := range []sfu.Target{sfu.TargetPublisher, sfu.TargetSubscriber} {
		for _, proto := range []string{" udp ", " tcp "} {
			e := await(an, proto, func(e sfu.EventCandidate) bool {
				return e.Target == target && strings.Contains(e.Init, proto)
			})
			out = append(out, webrtc.ICECandidateInit{Candidate: e.Init})
		}
	}
	for _, e := range all[sfu.EventCandidate](an) {
		out = append(out, webrtc.ICECandidateInit{Candidate: e.Init})
	}
	for _, e := range all[sfu.EventOffer](an) {
		if strings.Contains(e.SDP, "a=candidate:") && (strings.Contains(e.SDP, "srflx") || strings.Contains(e.SDP, "relay")) {
			t.Errorf("the offer carries %s", e.SDP)
		}
	}
	return out
}

// A closed network must see no packet to anybody's STUN server: there are only
// host candidates, of the configured addresses and ports.
func TestOnlyOwnAddressesAreTold(t *testing.T) {
	s := serve(t)
	udp, tcp := s.Ports()
	for _, c := range candidates(t, s) {
		if !strings.Contains(c.Candidate, " typ host") {
			t.Errorf("candidate %s", c.Candidate)
		}
		if got := address(t, c.Candidate); got != udp[0] && got != tcp[0] {
			t.Errorf("candidate at %v, listening on %v and %v", got, udp, tcp)
		}
	}
}

func TestAdvertisedAddressIsToldInstead(t *testing.T) {
	s := serve(t, func(c *sfu.Config) { c.Advertise = []string{"192.0.2.7"} }) // RFC 5737: nobody's
	for _, c := range candidates(t, s) {
		if got := address(t, c.Candidate).Addr().String(); got != "192.0.2.7" || !strings.Contains(c.Candidate, " typ host") {
			t.Errorf("candidate %s", c.Candidate)
		}
	}
}

// address reads a candidate's (RFC 8839, 5.1): its fifth and sixth words.
func address(t *testing.T, candidate string) netip.AddrPort {
	t.Helper()
	words := strings.Fields(candidate)
	if len(words) < 6 {
		t.Fatalf("candidate %q", candidate)
	}
	ap, err := netip.ParseAddrPort(net.JoinHostPort(words[4], words[5]))
	if err != nil {
		t.Fatalf("candidate %q: %v", candidate, err)
	}
	return ap
}

// In a demo, loopback stands for the machine's own addresses too, all on the
// one port.
func TestMachineAddresses(t *testing.T) {
	s := serve(t, func(c *sfu.Config) { c.MachineAddresses = true })
	udp, tcp := s.Ports()
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	global := 0
	for _, a := range own {
		n := a.(*net.IPNet)
		known[n.IP.String()] = true
		if n.IP.IsGlobalUnicast() {
			global++
		}
	}
	for _, list := range [][]netip.AddrPort{udp, tcp} {
		if len(list) < 1 || len(list) > 1+global {
			t.Fatalf("listening on %v of %v", list, own)
		}
		for _, ap := range list {
			if !known[ap.Addr().String()] || ap.Port() != list[0].Port() {
				t.Errorf("listening on %v of %v", ap, own)
			}
		}
	}
	an, chi := join(t, s, everything("r", "an"), nil), join(t, s, everything("r", "chi"), nil)
	an.up()
	chi.up()
}

// An address that stands for all stands for those of its family, and clients
// are told the addresses themselves.
func TestListeningOnAllAddresses(t *testing.T) {
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, a := range own {
		known[a.(*net.IPNet).IP.String()] = true
	}
	for listen, want := range map[string]string{"0.0.0.0:0": "0.0.0.0", "[::]:0": "::"} {
		if want == "::" && !known["::1"] {
			continue // this machine has no IPv6
		}
		s := serve(t, func(c *sfu.Config) { c.UDPListen, c.TCPListen = listen, listen })
		udp, tcp := s.Ports()
		if udp[0].Addr().String() != want || tcp[0].Addr().String() != want {
			t.Errorf("%s listens on %v and %v", listen, udp, tcp)
		}
		an := silent(t, s, "an")
		an.p.Offer(clientOffer(t, false), 1)
		await[sfu.EventAnswer](an, "an answer", nil)
		an.p.Leave()
		an.left()
		for _, e := range all[sfu.EventCandidate](an) {
			at := address(t, e.Init)
			if !known[at.Addr().String()] || want == "0.0.0.0" && !at.Addr().Is4() || at.Port() != udp[0].Port() && at.Port() != tcp[0].Port() {
				t.Errorf("listening on %s tells %s", listen, e.Init)
			}
		}
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := serve(t, func(c *sfu.Config) { c.Registerer = reg })
	an, chi := join(t, s, everything("r", "an"), nil), join(t, s, everything("r", "chi"), nil)
	pub, _ := an.publish(microphone("mic"))
	an.pump(pub, opus)
	tr := chi.track()
	for range 21 { // one more than is asked for: a packet is counted once it is sent
		chi.next(tr, nil)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		m := f.GetMetric()[0]
		got[f.GetName()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
	if got["commsd_sfu_rooms"] != 1 || got["commsd_sfu_participants"] != 2 || got["commsd_sfu_packets_forwarded_total"] < 20 || got["commsd_sfu_packets_received_total"] < 20 {
		t.Fatalf("metrics are %v", got)
	}
	if _, err := sfu.New(sfu.Config{UDPListen: "127.0.0.1:0", Registerer: reg}); err == nil {
		t.Fatal("the same metrics were registered twice")
	}
}
