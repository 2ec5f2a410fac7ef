package signaling_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	lk "commsd/internal/lkproto"
	"commsd/internal/testpeer/meetingpeer"
)

// call is two people who hear each other: an, who is about to lose something,
// and chi, who must not notice.
type call struct {
	t       *testing.T
	an, chi *peer
	sid     string // of an's place
	toAn    *meetingpeer.Track
	toChi   *meetingpeer.Track
}

// begin begins a call, with media of an's as cfg says.
func begin(t *testing.T, s *server, cfg meetingpeer.MediaConfig) *call {
	t.Helper()
	c := &call{t: t, an: s.dial(t, meetingpeer.Config{Token: token(t, "an"), Media: cfg}), chi: s.join(t, "chi")}
	c.sid = c.an.joined().GetParticipant().GetSid()
	for _, p := range []*peer{c.an, c.chi} {
		pub, _ := p.publish(microphone("mic"))
		source := pub.Pump(5*time.Millisecond, opus)
		t.Cleanup(source.Stop)
	}
	c.toAn, c.toChi = hears(t, c.an, "sound "), hears(t, c.chi, "sound ")
	return c
}

// goesOn expects media both ways from now on, and on the same tracks.
func (c *call) goesOn() {
	c.t.Helper()
	for name, tr := range map[string]*meetingpeer.Track{"an": c.toAn, "chi": c.toChi} {
		for len(tr.Packets) > 0 { // what came before
			<-tr.Packets
		}
		for range 20 {
			if _, err := tr.Next(ctx(c.t), nil); err != nil {
				c.t.Fatalf("%s hears nothing more: %v", name, err)
			}
		}
	}
}

// unnoticed expects that chi saw an stay, and that an is told no leave.
func (c *call) unnoticed() {
	c.t.Helper()
	for _, m := range c.chi.Messages() {
		for _, i := range m.GetUpdate().GetParticipants() {
			if i.GetState() == lk.ParticipantInfo_DISCONNECTED || i.GetIdentity() == "an" && i.GetSid() != c.sid {
				c.t.Errorf("chi saw %v", i)
			}
		}
	}
	for _, m := range c.an.Messages() {
		if m.GetLeave() != nil {
			c.t.Errorf("an was told %v", m)
		}
	}
}

func (c *call) resume() {
	c.t.Helper()
	if err := c.an.Return(ctx(c.t), c.sid); err != nil {
		c.t.Fatal(err)
	}
}

// numbers expects that the packets of the track came one after the other.
func numbers(t *testing.T, tr *meetingpeer.Track, until func() bool) {
	t.Helper()
	var last *rtp.Packet
	for range 20 { // Pion loses some of a stream's first
		var err error
		if last, err = tr.Next(ctx(t), nil); err != nil {
			t.Fatal(err)
		}
	}
	for !until() {
		p, err := tr.Next(ctx(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		if p.SequenceNumber != last.SequenceNumber+1 {
			t.Fatalf("packet %d after %d", p.SequenceNumber, last.SequenceNumber)
		}
		last = p
	}
}

// A socket that breaks takes no media with it: not a packet is lost, neither
// before the client is back nor when it has come.
func TestMediaOutlivesTheSocket(t *testing.T) { bothVersions(t, testMediaOutlivesTheSocket) }

func testMediaOutlivesTheSocket(t *testing.T, version func(*settings)) {
	s := serve(t, version)
	c := begin(t, s, meetingpeer.MediaConfig{})
	if err := c.an.CloseSocket(); err != nil {
		t.Fatal(err)
	}
	n := 0
	numbers(t, c.toChi, func() bool { n++; return n > 50 })
	n = 0
	numbers(t, c.toAn, func() bool { n++; return n > 50 })
	c.resume()
	c.goesOn()
	// What came up meanwhile, and what comes later, reaches who is back.
	pub, sid := c.chi.publish(camera("cam"))
	source := pub.Pump(5*time.Millisecond, vp8)
	defer source.Stop()
	if tr := hears(t, c.an, "picture "); tr.ID != sid {
		t.Errorf("an receives %s, want %s", tr.ID, sid)
	}
	pub, sid = c.an.publish(camera("cam"))
	again := pub.Pump(5*time.Millisecond, vp8)
	defer again.Stop()
	if tr := hears(t, c.chi, "picture "); tr.ID != sid {
		t.Errorf("chi receives %s, want %s", tr.ID, sid)
	}
	c.unnoticed()
}

// What a client publishes or is to receive while its socket is broken is there
// when it is back.
func TestChangesWhileAway(t *testing.T) { bothVersions(t, testChangesWhileAway) }

func testChangesWhileAway(t *testing.T, version func(*settings)) {
	s := serve(t, version)
	c := begin(t, s, meetingpeer.MediaConfig{})
	if err := c.an.CloseSocket(); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for i := range 5 { // more than there are sections for
		pub, sid := c.chi.publish(microphone(fmt.Sprint("more", i)))
		source := pub.Pump(5*time.Millisecond, opus)
		defer source.Stop()
		want[sid] = true
	}
	c.resume()
	for len(want) > 0 {
		tr := hears(t, c.an, "sound ")
		if !want[tr.ID] {
			t.Fatalf("receives %s, still due: %v", tr.ID, want)
		}
		delete(want, tr.ID)
	}
	c.goesOn()
	c.unnoticed()
}

// Who is back hears of a track that the server muted meanwhile, and before the
// update that shows it: clients unmute what is muted without their knowing.
func TestMutedWhileAway(t *testing.T) {
	s := serve(t)
	an := s.join(t, "an")
	place := an.joined().GetParticipant().GetSid()
	_, sid := an.publish(microphone("mic"))
	if err := an.CloseSocket(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.media.MuteTrack(ctx(t), "r", "an", sid); err != nil {
		t.Fatal(err)
	}
	back := s.resume(t, "an", place)
	back.sees("an", "its place", func(*lk.ParticipantInfo) bool { return true })
	for _, m := range back.Messages() {
		if m.GetMute().GetSid() == sid && m.GetMute().GetMuted() {
			return
		}
		if m.GetUpdate() != nil {
			t.Fatal("the update comes before the mute")
		}
	}
}

// local is the address that a client sends from, "" when there is none.
func local(pc *webrtc.PeerConnection) string {
	pair, err := pc.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil || pair == nil {
		return ""
	}
	return fmt.Sprintf("%s %s:%d", pair.Local.Protocol, pair.Local.Address, pair.Local.Port)
}

// A client that has another address restarts ICE from there and goes on, with
// its tracks.
func TestAddressChanges(t *testing.T) { bothVersions(t, testAddressChanges) }

func testAddressChanges(t *testing.T, version func(*settings)) {
	s := serve(t, version)
	c := begin(t, s, meetingpeer.MediaConfig{})
	was := map[*webrtc.PeerConnection]string{c.an.Publisher(): local(c.an.Publisher()), c.an.Subscriber(): local(c.an.Subscriber())}
	c.resume()
	c.goesOn()
	for pc, before := range was { // Pion gathers anew on other ports
		awaitTrue(t, "another address", func() bool { now := local(pc); return now != "" && now != before })
	}
	c.goesOn()
	c.unnoticed()
}

// awaitTrue waits until the condition holds.
func awaitTrue(t *testing.T, what string, condition func() bool) {
	t.Helper()
	limit := time.After(wait)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s: not in time", what)
		}
	}
}

// gate is a way for UDP that can be closed: a relay between clients and the
// media port, a socket for each client's address.
type gate struct {
	t      *testing.T
	front  *net.UDPConn
	closed atomic.Bool
	wg     sync.WaitGroup

	mu    sync.Mutex
	backs map[netip.AddrPort]*net.UDPConn // guarded by mu
	to    *net.UDPAddr                    // guarded by mu; the server, once known
}

func newGate(t *testing.T) *gate {
	t.Helper()
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{t: t, front: front, backs: make(map[netip.AddrPort]*net.UDPConn)}
	g.wg.Go(g.relay)
	t.Cleanup(func() {
		_ = front.Close()
		g.mu.Lock()
		for _, b := range g.backs {
			_ = b.Close()
		}
		g.mu.Unlock()
		g.wg.Wait()
	})
	return g
}

func (g *gate) relay() {
	buf := make([]byte, 2000)
	for {
		n, from, err := g.front.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		g.mu.Lock()
		back, to := g.backs[from], g.to
		if back == nil && to != nil {
			if back, err = net.DialUDP("udp4", nil, to); err != nil {
				g.mu.Unlock()
				return
			}
			g.backs[from] = back
			g.wg.Go(func() {
				buf := make([]byte, 2000)
				for {
					n, err := back.Read(buf)
					if err != nil {
						return
					}
					if !g.closed.Load() {
						_, _ = g.front.WriteToUDPAddrPort(buf[:n], from)
					}
				}
			})
		}
		g.mu.Unlock()
		if back != nil && !g.closed.Load() {
			_, _ = back.Write(buf[:n])
		}
	}
}

// through leads a candidate of the server's for UDP through the gate. One for
// TCP goes by only while the gate is closed.
func (g *gate) through(init string) string {
	var c webrtc.ICECandidateInit
	if err := json.Unmarshal([]byte(init), &c); err != nil {
		g.t.Error(err)
		return init
	}
	f := strings.Fields(c.Candidate)
	if len(f) < 6 || !strings.EqualFold(f[2], "udp") {
		if g.closed.Load() {
			return init
		}
		return ""
	}
	port, err := strconv.Atoi(f[5])
	if err != nil {
		g.t.Error(err)
		return init
	}
	g.mu.Lock()
	g.to = &net.UDPAddr{IP: net.ParseIP(f[4]), Port: port}
	g.mu.Unlock()
	f[5] = strconv.Itoa(g.front.LocalAddr().(*net.UDPAddr).Port)
	c.Candidate = strings.Join(f, " ")
	out, err := json.Marshal(c)
	if err != nil {
		g.t.Error(err)
	}
	return string(out)
}

// A network that begins to block UDP in the middle of a meeting costs no more
// than an ICE restart: media goes on over TCP, on the same tracks.
func TestUDPIsBlockedMidway(t *testing.T) { bothVersions(t, testUDPIsBlockedMidway) }

func testUDPIsBlockedMidway(t *testing.T, version func(*settings)) {
	s := serve(t, version, func(c *settings) { c.media.TCPListen = "127.0.0.1:0" })
	g := newGate(t)
	c := begin(t, s, meetingpeer.MediaConfig{
		Networks: []webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeTCP4}, Candidate: g.through,
	})
	for _, pc := range []*webrtc.PeerConnection{c.an.Publisher(), c.an.Subscriber()} {
		if by := local(pc); !strings.HasPrefix(by, "udp") {
			t.Fatalf("begins by %s", by)
		}
	}
	g.closed.Store(true)
	c.resume()
	for _, pc := range []*webrtc.PeerConnection{c.an.Publisher(), c.an.Subscriber()} {
		awaitTrue(t, "TCP", func() bool { return strings.HasPrefix(local(pc), "tcp") })
	}
	c.goesOn()
	c.unnoticed()
}
