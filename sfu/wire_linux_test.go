package sfu

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// gate is a client's socket that can be left unread: what comes is dropped by
// the kernel, and the client costs nothing more.
type gate struct {
	*net.UDPConn
	shut   atomic.Bool
	closed chan struct{}
}

func (g *gate) ReadFrom(b []byte) (int, net.Addr, error) {
	if g.shut.Load() {
		<-g.closed
		return 0, nil, net.ErrClosed
	}
	return g.UDPConn.ReadFrom(b)
}

// viewer is a client of a wire: a real connection that receives.
type viewer struct {
	pc    *webrtc.PeerConnection
	gate  *gate
	up    chan struct{}
	early []webrtc.ICECandidateInit // before the first offer
}

func newViewer(t testing.TB) *viewer {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	v := &viewer{gate: &gate{UDPConn: c, closed: make(chan struct{})}, up: make(chan struct{})}
	mux := ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: v.gate})
	var se webrtc.SettingEngine
	se.LoggerFactory = pionLoggers{slog.New(slog.DiscardHandler)}
	se.SetICEUDPMux(mux)
	se.SetIncludeLoopbackCandidate(true)
	se.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	se.SetICETimeouts(time.Hour, time.Hour, time.Hour)
	engine, err := newMediaEngine()
	if err != nil {
		t.Fatal(err)
	}
	v.pc, err = webrtc.NewAPI(webrtc.WithSettingEngine(se), webrtc.WithMediaEngine(engine)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	v.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			close(v.up)
		}
	})
	t.Cleanup(func() {
		close(v.gate.closed)
		mux.Close()
		if err := v.pc.GracefulClose(); err != nil {
			t.Error(err)
		}
	})
	return v
}

func (v *viewer) handle(p *Participant, e Event) error {
	switch e := e.(type) {
	case EventOffer:
		if err := v.answer(p, e); err != nil {
			return err
		}
	case EventCandidate:
		var init webrtc.ICECandidateInit
		if err := json.Unmarshal([]byte(e.Init), &init); err != nil {
			return err
		}
		v.early = append(v.early, init)
	}
	if v.pc.RemoteDescription() == nil {
		return nil
	}
	for _, c := range v.early {
		if err := v.pc.AddICECandidate(c); err != nil {
			return err
		}
	}
	v.early = nil
	return nil
}

func (v *viewer) answer(p *Participant, e EventOffer) error {
	if err := v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: e.SDP}); err != nil {
		return err
	}
	a, err := v.pc.CreateAnswer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(v.pc)
	if err := v.pc.SetLocalDescription(a); err != nil {
		return err
	}
	<-gathered
	p.Answer(v.pc.LocalDescription().SDP, e.ID)
	return nil
}

// published puts a track without a connection into its owner's room.
type published struct {
	owner *Participant
	t     *track
	done  chan struct{}
}

func (e published) apply(r *room) {
	r.tracks[e.t.info.SID], e.owner.tracks[e.t.info.SID] = e.t, e.t
	for _, p := range r.bySID {
		r.subscribe(p, e.t)
	}
	for _, d := range *e.t.subs.Load() {
		d.aim((*e.t.layers.Load())[0])
	}
	close(e.done)
}

// wire is a camera in a room with subscribers behind real connections. What it
// sends leaves by the sockets.
func wire(t testing.TB, subscribers int, hold time.Duration) (*layer, *film) {
	t.Helper()
	s, err := New(Config{UDPListen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), SendHold: hold, UDPSockets: 1})
	if err != nil {
		t.Fatal(err)
	}
	run, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(run) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	person := func(name string, events func(*Participant, Event)) *Participant {
		var self atomic.Pointer[Participant]
		known := make(chan struct{})
		queue := make(chan Event, 1000)
		over := make(chan struct{})
		go func() {
			<-known
			for {
				select {
				case e := <-queue:
					events(self.Load(), e)
				case <-over:
					return
				}
			}
		}()
		p, err := s.Join(t.Context(), JoinRequest{
			Room: "r", Identity: name, AutoSubscribe: true, Permission: Permission{Subscribe: true, Publish: true},
			Events: func(e Event) { queue <- e }, Route: func(DataKind, []byte) (Data, bool) { return Data{}, false },
		})
		if err != nil {
			t.Fatal(err)
		}
		self.Store(p)
		close(known)
		t.Cleanup(func() { close(over) })
		return p
	}
	owner := person("publisher", func(*Participant, Event) {})
	viewers := make([]*viewer, subscribers)
	for i := range viewers {
		v := newViewer(t)
		viewers[i] = v
		person(fmt.Sprint(i), func(p *Participant, e Event) {
			if err := v.handle(p, e); err != nil {
				t.Error(err)
			}
		})
	}
	for _, v := range viewers {
		select {
		case <-v.up:
		case <-time.After(udpWait):
			t.Fatal("no connection")
		}
	}
	l := &layer{pub: owner.pub, kind: Video, codec: codecVP8, rank: topRank, ring: newRing(videoRing)}
	l.rx.clock = 90000
	l.track = newTrack(owner, TrackInfo{SID: "TR_x", Kind: Video})
	l.track.addLayer(l)
	e := published{owner, l.track, make(chan struct{})}
	if !owner.room.post(e) {
		t.Fatal("the room is closed")
	}
	<-e.done
	// Key frames, until everybody is sent to.
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	f := frames(t, l, true, 1100)
	for n := 0; ; n++ {
		<-tick.C
		f.show(t)
		subs := *l.track.subs.Load()
		sent := 0
		for _, d := range subs {
			d.mu.Lock()
			if d.sent > 0 {
				sent++
			}
			d.mu.Unlock()
		}
		if sent == subscribers {
			break
		}
		if n > 2000 {
			t.Fatalf("%d of %d are sent to", sent, subscribers)
		}
	}
	for _, v := range viewers {
		v.gate.shut.Store(true)
		if err := v.gate.SetReadBuffer(1); err != nil {
			t.Fatal(err)
		}
	}
	return l, f
}

// film makes frames of a stream; nothing is allocated in the frames after the
// first.
type film struct {
	l       *layer
	pkt     packet
	packets [][]byte
	seq     uint16
	ts      uint32
}

// frames begins a film whose frames have packets of the given sizes of payload.
func frames(t testing.TB, l *layer, key bool, sizes ...int) *film {
	t.Helper()
	f := &film{l: l}
	for i, size := range sizes {
		payload := make([]byte, size)
		if i == 0 {
			payload[0] = 0x10
		}
		if !key {
			payload[1] = 1
		}
		b, err := (&rtp.Packet{Header: rtp.Header{Version: 2, Marker: i == len(sizes)-1, PayloadType: 96, SSRC: 9}, Payload: payload}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		f.packets = append(f.packets, b)
	}
	return f
}

// show feeds one more frame.
func (f *film) show(t testing.TB) {
	f.ts += 3000
	for _, b := range f.packets {
		f.seq++
		binary.BigEndian.PutUint16(b[2:], f.seq)
		binary.BigEndian.PutUint32(b[4:], f.ts)
		if !f.pkt.parse(b) {
			t.Fatal("no packet")
		}
		f.l.packet(&f.pkt, b, time.Now())
	}
}

// The whole way of a packet, from the read loop through Pion to the kernel,
// allocates nothing.
func TestForwardWireDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	l, keys := wire(t, 3, time.Hour)
	f := frames(t, l, false, browserFrame...)
	f.seq, f.ts = keys.seq, keys.ts
	f.show(t)
	// Connections that are being made allocate meanwhile, a little: one allocation
	// a packet would be 24.
	if allocs := testing.AllocsPerRun(1000, func() { f.show(t) }); allocs >= 3 {
		t.Errorf("%v allocations a frame of %d packets to 3 subscribers", allocs, len(browserFrame))
	}
}

// browserFrame is a frame of 8 KB as browsers split it: about equal, the last
// ones a byte longer.
var browserFrame = []int{1020, 1020, 1020, 1020, 1020, 1021, 1021, 1021}

// BenchmarkForwardWire is what a forwarded packet costs from the read loop to
// the kernel, encryption and Pion's layers included: frames of 8 packets as a
// browser splits 8 KB, to subscribers that read nothing.
func BenchmarkForwardWire(b *testing.B) {
	for _, subscribers := range []int{10, 100} {
		for name, hold := range map[string]time.Duration{"plain": -1, "run": defaultHold} {
			b.Run(fmt.Sprintf("subscribers=%d/%s", subscribers, name), func(b *testing.B) {
				l, keys := wire(b, subscribers, hold)
				f := frames(b, l, false, browserFrame...)
				f.seq, f.ts = keys.seq, keys.ts
				m := l.pub.p.room.sfu.metrics
				before, start, calls := counted(b, m.forwarded), cpuTime(b), counted(b, m.udpSends)
				b.ReportAllocs()
				for b.Loop() {
					f.show(b)
				}
				packets := counted(b, m.forwarded) - before
				b.ReportMetric(float64(cpuTime(b)-start)/packets, "cpu-ns/packet")
				b.ReportMetric(packets/(counted(b, m.udpSends)-calls), "packets/send")
			})
		}
	}
}
