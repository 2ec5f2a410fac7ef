package sfu_test

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/vnet"

	"commsd/internal/testpeer/meetingpeer"
	"commsd/sfu"
)

// conditions are those of a line between a client and the server.
type conditions struct {
	loss   int           // percent of the packets of each way
	delay  time.Duration // of each way
	jitter time.Duration // up to so much more, on the way to the client
	rate   int           // bits a second to the client; 0: no limit
}

const queueTime = 300 * time.Millisecond // that a packet may wait where a line has a rate

// internet joins an SFU to lines. The server's end of each is a gateway in the
// virtual network, which hands packets over as a relay in this process does.
type internet struct {
	s   *sfu.SFU
	udp netip.AddrPort

	mu    sync.Mutex
	ports map[uint16]func([]byte) // guarded by mu; to clients, by their port at the relay
}

func newInternet(s *sfu.SFU) *internet {
	udp, _ := s.Ports()
	i := &internet{s: s, udp: udp[0], ports: make(map[uint16]func([]byte))}
	s.SetRelay(func(b []byte, _, to netip.AddrPort) {
		i.mu.Lock()
		send := i.ports[to.Port()]
		i.mu.Unlock()
		if send != nil {
			send(b)
		}
	})
	return i
}

// port gives a client a port at the relay.
func (i *internet) port(send func([]byte)) netip.AddrPort {
	i.mu.Lock()
	defer i.mu.Unlock()
	port := uint16(1000 + len(i.ports))
	i.ports[port] = send
	return netip.AddrPortFrom(sfu.RelayedIPv4, port)
}

// line is one client's line.
type line struct {
	client *vnet.Net
	down   *wire
}

// bandwidth changes the line's rate in bits a second.
func (l *line) bandwidth(rate int) {
	l.down.mu.Lock()
	defer l.down.mu.Unlock()
	l.down.rate = rate
}

// wire is the way to a client: a queue before a line of some rate, and jitter
// behind it. vnet's own turn round and round when time stands still meanwhile.
type wire struct {
	// Set at construction.
	conn   transport.UDPConn
	jitter time.Duration
	some   chan struct{} // has room for one word that there is something to send
	stop   chan struct{}

	mu   sync.Mutex
	rate int         // guarded by mu
	free time.Time   // guarded by mu; when the line has sent what it was given
	last time.Time   // guarded by mu; when that leaves
	rng  *rand.Rand  // guarded by mu
	due  []wirePiece // guarded by mu; in order
}

type wirePiece struct {
	at      time.Time
	to      net.Addr
	payload []byte
}

// send takes a packet, as a network does: it may be lost.
func (w *wire) send(payload []byte, to net.Addr) {
	w.mu.Lock()
	at := time.Now()
	if w.rate > 0 {
		if w.free.Sub(at) > queueTime {
			w.mu.Unlock()
			return
		}
		if w.free.After(at) {
			at = w.free
		}
		at = at.Add(time.Duration(len(payload)) * 8 * time.Second / time.Duration(w.rate))
		w.free = at
	}
	if w.jitter > 0 {
		at = at.Add(time.Duration(w.rng.Int64N(int64(w.jitter))))
	}
	if w.last.After(at) {
		at = w.last
	}
	w.last = at
	w.due = append(w.due, wirePiece{at, to, bytes.Clone(payload)})
	w.mu.Unlock()
	select {
	case w.some <- struct{}{}:
	default:
	}
}

// run delivers, until the wire is stopped.
func (w *wire) run() {
	for {
		var head wirePiece
		w.mu.Lock()
		if len(w.due) > 0 {
			head = w.due[0]
			w.due = w.due[1:]
		}
		w.mu.Unlock()
		if head.payload == nil {
			select {
			case <-w.some:
				continue
			case <-w.stop:
				return
			}
		}
		select {
		case <-time.After(time.Until(head.at)):
			_, _ = w.conn.WriteTo(head.payload, head.to) // lost, as on any network
		case <-w.stop:
			return
		}
	}
}

const gatewayAddr, clientAddr = "10.0.0.1", "10.0.0.2"

var building sync.Mutex

// line makes a line, which lasts until the test ends.
func (i *internet) line(t *testing.T, c conditions) *line {
	t.Helper()
	// vnet counts its MAC addresses without a lock.
	building.Lock()
	defer building.Unlock()
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	router, err := vnet.NewRouter(&vnet.RouterConfig{CIDR: "10.0.0.0/24", MinDelay: c.delay, LoggerFactory: quiet})
	must(err)
	host := func(addr string) (*vnet.Net, vnet.NIC) {
		n, err := vnet.NewNet(&vnet.NetConfig{StaticIPs: []string{addr}})
		must(err)
		lossy, err := vnet.NewLossFilter(n, c.loss, vnet.WithLossSeed(int64(c.loss)))
		must(err)
		return n, lossy
	}
	gateway, nic := host(gatewayAddr)
	must(router.AddNet(nic))
	client, nic := host(clientAddr)
	must(router.AddNet(nic))
	must(router.Start())
	conn, err := gateway.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(gatewayAddr), Port: gatewayPort})
	must(err)
	l := &line{client: client, down: &wire{
		conn: conn, jitter: c.jitter, rate: c.rate, rng: rand.New(rand.NewPCG(1, 1)), some: make(chan struct{}, 1), stop: make(chan struct{}),
	}}
	var wg sync.WaitGroup
	wg.Go(func() { i.serve(conn, l.down) })
	wg.Go(l.down.run)
	t.Cleanup(func() {
		close(l.down.stop)
		must(conn.Close())
		wg.Wait()
		must(router.Stop())
	})
	return l
}

const gatewayPort = 5000

// serve hands what clients send to a gateway over to the server.
func (i *internet) serve(conn transport.UDPConn, down *wire) {
	clients := make(map[netip.AddrPort]netip.AddrPort)
	buf := make([]byte, 2000)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		client := from.(*net.UDPAddr).AddrPort()
		at, known := clients[client]
		if !known {
			at = i.port(func(b []byte) { down.send(b, from) })
			clients[client] = at
		}
		i.s.FromRelay(buf[:n], at, i.udp)
	}
}

// reach is how a client at the end of the line reaches the server.
func (i *internet) reach(l *line) *meetingpeer.MediaConfig {
	served := strings.Replace(i.udp.String(), ":", " ", 1)
	return &meetingpeer.MediaConfig{
		Net: l.client, AsBrowser: true,
		Candidate: func(init string) string { return strings.Replace(init, served, gatewayAddr+" 5000", 1) },
	}
}

// seen is a picture that a viewer could show.
type seen struct {
	at    time.Time
	layer byte
}

// viewer plays one track as a browser would: in order, waiting a while for what
// is missing and then for the next key frame.
type viewer struct {
	c  *client
	tr *meetingpeer.Track

	mu     sync.Mutex
	seen   []seen      // guarded by mu
	sounds []time.Time // guarded by mu
}

const (
	patience = 1500 * time.Millisecond // of a viewer with a missing packet
	askEvery = 50 * time.Millisecond   // it asks for those
)

// watch plays the client's two tracks until the test ends.
func watch(t *testing.T, c *client) *viewer {
	t.Helper()
	v := &viewer{c: c}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	t.Cleanup(func() {
		close(stop)
		wg.Wait()
	})
	for range 2 {
		tr, err := c.Track(ctx(t))
		if err != nil {
			t.Fatalf("%s: %v; %v, ICE %v", c.p.Identity(), err, c.Subscriber().ConnectionState(), c.Subscriber().ICEConnectionState())
		}
		if tr.Kind == kinds[sfu.Video] {
			v.tr = tr
			wg.Go(func() { v.play(stop) })
		} else {
			wg.Go(func() { v.listen(tr, stop) })
		}
	}
	return v
}

func (v *viewer) listen(tr *meetingpeer.Track, stop <-chan struct{}) {
	for {
		select {
		case _, ok := <-tr.Packets:
			if !ok {
				return
			}
			v.mu.Lock()
			v.sounds = append(v.sounds, time.Now())
			v.mu.Unlock()
		case <-stop:
			return
		}
	}
}

func (v *viewer) play(stop <-chan struct{}) {
	order := reorder{waiting: make(map[uint16]*rtp.Packet)}
	var (
		picture meetingpeer.Picture
		inside  bool // a picture, whose packets have all come so far
		good    bool // all that it refers to was shown
	)
	for {
		var p *rtp.Packet
		select {
		case p = <-v.tr.Packets:
		case <-stop:
		}
		if p == nil {
			return
		}
		order.add(p)
		if missing := order.missing(); len(missing) > 0 {
			// Nothing is lost with it: the next packet asks again.
			_ = v.c.WriteRTCP(&rtcp.TransportLayerNack{MediaSSRC: v.tr.SSRC, Nacks: rtcp.NackPairsFromSequenceNumbers(missing)})
		}
		for {
			p, gap := order.next()
			if gap {
				inside, good = false, false
				v.askKeyFrame()
			}
			if p == nil {
				break
			}
			if pic, first := meetingpeer.PictureOf(p); first {
				good = pic.Key || good && pic.ID == (picture.ID+1)&0x7FFF
				if !good {
					v.askKeyFrame()
				}
				picture, inside = pic, true
			}
			if p.Marker && inside && good {
				v.mu.Lock()
				v.seen = append(v.seen, seen{time.Now(), picture.Layer})
				v.mu.Unlock()
			}
			inside = inside && !p.Marker
		}
	}
}

// reorder is a jitter buffer.
type reorder struct {
	waiting map[uint16]*rtp.Packet
	due     uint16 // the number that comes next
	newest  uint16
	begun   bool
	moved   time.Time // when the last one came that was due
	asked   time.Time // when missing last said something
}

func (r *reorder) add(p *rtp.Packet) {
	if !r.begun {
		r.begun, r.due, r.newest, r.moved = true, p.SequenceNumber, p.SequenceNumber, time.Now()
	}
	if int16(p.SequenceNumber-r.newest) > 0 {
		r.newest = p.SequenceNumber
	}
	if int16(p.SequenceNumber-r.due) >= 0 {
		r.waiting[p.SequenceNumber] = p
	}
}

// next returns the next packet in order, nil for none yet, and whether some
// before it have been given up.
func (r *reorder) next() (p *rtp.Packet, gap bool) {
	if len(r.waiting) == 0 {
		return nil, false
	}
	if r.waiting[r.due] == nil {
		switch key, ok := r.keyFrame(); {
		case ok: // nothing before it is needed any more
			r.due = key
			maps.DeleteFunc(r.waiting, func(seq uint16, _ *rtp.Packet) bool { return int16(seq-key) < 0 })
		case time.Since(r.moved) < patience:
			return nil, false
		default:
			gap = true
			for r.waiting[r.due] == nil {
				r.due++
			}
		}
	}
	p = r.waiting[r.due]
	delete(r.waiting, r.due)
	r.due++
	r.moved = time.Now()
	return p, gap
}

// missing lists what to ask for, now and then.
func (r *reorder) missing() (out []uint16) {
	if time.Since(r.asked) < askEvery {
		return nil
	}
	for seq := r.due; int16(r.newest-seq) > 0 && len(out) < 200; seq++ {
		if r.waiting[seq] == nil {
			out = append(out, seq)
		}
	}
	if len(out) > 0 {
		r.asked = time.Now()
	}
	return out
}

// keyFrame finds a key frame that has come as a whole.
func (r *reorder) keyFrame() (first uint16, ok bool) {
	for seq, p := range r.waiting {
		if pic, begins := meetingpeer.PictureOf(p); !begins || !pic.Key {
			continue
		}
		for last := seq; r.waiting[last] != nil; last++ {
			if r.waiting[last].Marker {
				return seq, true
			}
		}
	}
	return 0, false
}

func (v *viewer) askKeyFrame() {
	_ = v.c.WriteRTCP(&rtcp.PictureLossIndication{MediaSSRC: v.tr.SSRC}) // the next picture asks again
}

// between counts the pictures that could be shown in a span of time, all and by
// layer, and the sounds.
func (v *viewer) between(from, to time.Time) (all int, layers map[byte]int, sounds int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	layers = make(map[byte]int)
	for _, s := range v.seen {
		if s.at.After(from) && s.at.Before(to) {
			all++
			layers[s.layer]++
		}
	}
	for _, at := range v.sounds {
		if at.After(from) && at.Before(to) {
			sounds++
		}
	}
	return all, layers, sounds
}

// steady returns how long after from pictures of other layers than this came.
func (v *viewer) steady(from time.Time, layer byte) time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	last := time.Duration(0)
	for _, s := range v.seen {
		if s.at.After(from) && s.layer != layer {
			last = s.at.Sub(from)
		}
	}
	return last
}
