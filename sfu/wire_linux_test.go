package sfu

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sys/unix"

	"commsd/sfu/udpmux"
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
		d.aim((*e.t.layers.Load())[0], maxTID)
	}
	close(e.done)
}

// wire is a camera in a room with subscribers behind real connections. What it
// sends leaves by the sockets.
func wire(t testing.TB, subscribers int, cfg Config) (*layer, *film, []*viewer) {
	t.Helper()
	cfg.UDPListen, cfg.Log, cfg.UDPSockets = "127.0.0.1:0", slog.New(slog.DiscardHandler), 1
	s, err := New(cfg)
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
		case <-time.After(10 * time.Second):
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
	return l, f, viewers
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
func (f *film) show(t testing.TB) { f.showPart(t, 0, len(f.packets)) }

// showPart feeds the packets of a frame from one to before another.
func (f *film) showPart(t testing.TB, from, to int) {
	if from == 0 {
		f.ts += 3000
	}
	for _, b := range f.packets[from:to] {
		f.seq++
		binary.BigEndian.PutUint16(b[2:], f.seq)
		binary.BigEndian.PutUint32(b[4:], f.ts)
		if !f.pkt.parse(b) {
			t.Fatal("no packet")
		}
		f.l.packet(&f.pkt, b, time.Now())
	}
}

// The whole way of a packet, from where it is decrypted through Pion to the kernel,
// allocates nothing.
func TestForwardWireAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates; make go-test runs this without")
	}
	l, keys, _ := wire(t, 3, Config{SendHold: time.Hour})
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

// BenchmarkForwardWire is what a forwarded packet costs from where it is decrypted to
// the kernel, encryption and Pion's layers included: frames of 8 packets as a
// browser splits 8 KB, to subscribers that read nothing.
func BenchmarkForwardWire(b *testing.B) {
	for _, subscribers := range []int{10, 100} {
		for name, hold := range map[string]time.Duration{"plain": -1, "run": udpmux.DefaultHold} {
			b.Run(fmt.Sprintf("subscribers=%d/%s", subscribers, name), func(b *testing.B) {
				l, keys, _ := wire(b, subscribers, Config{SendHold: hold, FanOut: -1})
				f := frames(b, l, false, browserFrame...)
				f.seq, f.ts = keys.seq, keys.ts
				m := l.pub.p.room.sfu.metrics
				before, start, calls := testutil.ToFloat64(m.forwarded), cpuTime(b), testutil.ToFloat64(m.udp.Sends)
				b.ReportAllocs()
				for b.Loop() {
					f.show(b)
				}
				packets := testutil.ToFloat64(m.forwarded) - before
				b.ReportMetric(float64(cpuTime(b)-start)/packets, "cpu-ns/packet")
				b.ReportMetric(packets/(testutil.ToFloat64(m.udp.Sends)-calls), "packets/send")
			})
		}
	}
}

// BenchmarkBurst is how long it takes until a camera's burst is with all of its
// 100 subscribers: 5 and 3 packets of a frame in turn, every 5 ms, as a
// browser's pacer lets them go.
func BenchmarkBurst(b *testing.B) {
	for name, fanOut := range map[string]int{"one": -1, "lanes": 0} {
		b.Run(name, func(b *testing.B) {
			l, keys, viewers := wire(b, 100, Config{FanOut: fanOut})
			for _, v := range viewers {
				v.clock(b)
			}
			f := frames(b, l, false, browserFrame...)
			f.seq, f.ts = keys.seq, keys.ts
			m := l.pub.p.room.sfu.metrics
			before, calls := testutil.ToFloat64(m.forwarded), testutil.ToFloat64(m.udp.Sends)
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			var took []time.Duration
			var used int64
			for b.Loop() {
				for _, part := range [][2]int{{0, 5}, {5, 8}} {
					start, spent := time.Now(), cpuTime(b)
					f.showPart(b, part[0], part[1])
					<-tick.C
					used += cpuTime(b) - spent
					last := start
					for _, v := range viewers {
						if at := v.arrived(b); at.After(last) {
							last = at
						}
					}
					took = append(took, last.Sub(start))
				}
			}
			packets := testutil.ToFloat64(m.forwarded) - before
			b.ReportMetric(float64(used)/packets, "cpu-ns/packet")
			b.ReportMetric(packets/(testutil.ToFloat64(m.udp.Sends)-calls), "packets/send")
			slices.Sort(took)
			for _, part := range []int{10, 50, 90} {
				b.ReportMetric(float64(took[len(took)*part/100].Microseconds()), fmt.Sprintf("p%d-µs", part))
			}
		})
	}
}

// clock has the kernel write down when packets come to a viewer whose gate is
// shut, and keep some.
func (v *viewer) clock(t testing.TB) {
	t.Helper()
	raw, err := v.gate.SyscallConn()
	if err == nil {
		err = v.gate.SetReadBuffer(1 << 20)
	}
	if err != nil {
		t.Fatal(err)
	}
	var set error
	err = raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) })
	if err = errors.Join(err, set); err != nil {
		t.Fatal(err)
	}
}

// arrived reads what has come, and tells when the last packet of video did.
func (v *viewer) arrived(t testing.TB) (last time.Time) {
	t.Helper()
	var buf, oob [maxRTPBytes]byte
	raw, err := v.gate.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		for {
			n, oobn, _, _, err := unix.Recvmsg(int(fd), buf[:], oob[:], unix.MSG_DONTWAIT)
			if err != nil {
				return
			}
			if !udpmux.IsRTP(buf[:n]) || n < 500 || oobn < unix.CmsgLen(16) {
				continue
			}
			at := oob[unix.CmsgLen(0):]
			last = time.Unix(int64(binary.NativeEndian.Uint64(at)), int64(binary.NativeEndian.Uint64(at[8:])))
		}
	}); err != nil {
		t.Fatal(err)
	}
	return last
}

// cpuTime is what this process has computed, in nanoseconds: other work on the
// machine does not count.
func cpuTime(t testing.TB) int64 {
	t.Helper()
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return r.Utime.Nano() + r.Stime.Nano()
}
