package turn_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"commsd/internal/tlscert"
	"commsd/signaling/turn"
)

// wait bounds whatever a test waits for.
const wait = 20 * time.Second

var secret = []byte("a secret of the relay's own")

// media is that of a node: it keeps what it gets, and answers packets that
// begin with "echo".
type media struct {
	served []netip.AddrPort
	got    chan packet
	fall   atomic.Bool // ServesUDP panics

	mu  sync.Mutex
	out func([]byte, netip.AddrPort, netip.AddrPort) // guarded by mu
}

type packet struct {
	payload  string
	from, to netip.AddrPort
}

var served = netip.MustParseAddrPort("203.0.113.7:7882")
var served6 = netip.MustParseAddrPort("[2001:db8::7]:7882")

func (m *media) ServesUDP(addr netip.AddrPort) bool {
	if m.fall.Load() {
		panic("a fault of the test") //nolint:forbidigo // what the server must outlive
	}
	for _, s := range m.served {
		if s == addr {
			return true
		}
	}
	return false
}

func (m *media) FromRelay(b []byte, from, to netip.AddrPort) {
	select {
	case m.got <- packet{string(b), from, to}:
	default: // nobody looks
	}
	if len(b) >= 4 && string(b[:4]) == "echo" {
		m.send(b, to, from)
	}
}

func (m *media) send(b []byte, from, to netip.AddrPort) {
	m.mu.Lock()
	out := m.out
	m.mu.Unlock()
	out(b, from, to)
}

func (m *media) SetRelay(out func([]byte, netip.AddrPort, netip.AddrPort)) {
	m.mu.Lock()
	m.out = out
	m.mu.Unlock()
}

// clock is the server's time, which a test may move.
type clock struct {
	mu  sync.Mutex
	now time.Time // guarded by mu
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.mu.Unlock()
}

type server struct {
	*turn.Server
	media *media
	clock *clock
	udp   *net.UDPAddr
	tls   string
	ended sync.Map // users
	node  string   // that credentials name
}

func (s *server) credential(user string) turn.ICEServer { return s.Credential(user, s.node) }

// kept makes one certificate for all tests.
type kept struct {
	mu    sync.Mutex
	value []byte // guarded by mu
}

func (k *kept) Get(_ context.Context, _ string, create func() ([]byte, error)) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.value != nil {
		return k.value, nil
	}
	var err error
	k.value, err = create()
	return k.value, err
}

var certificates kept

func certificate(t testing.TB) *tls.Config {
	t.Helper()
	c, err := tlscert.Own(t.Context(), &certificates, []string{"localhost"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func serve(t testing.TB, change ...func(*turn.Config)) *server {
	t.Helper()
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{
		media: &media{served: []netip.AddrPort{served, served6}, got: make(chan packet, 1000)},
		clock: &clock{now: time.Now()}, udp: udp.LocalAddr().(*net.UDPAddr), tls: tcp.Addr().String(),
	}
	cfg := turn.Config{
		UDP: udp, TCP: tcp, TLS: certificate(t), URLs: []string{"turn:localhost"}, Realm: "g2g.example", Secret: secret, Media: s.media,
		RelayedIPv4: netip.MustParseAddr("192.0.0.8"), RelayedIPv6: netip.MustParseAddr("100::8"),
		Alive: func(user string) bool { _, ended := s.ended.Load(user); return !ended }, Log: slog.New(slog.DiscardHandler), Now: s.clock.Now,
	}
	for _, c := range change {
		c(&cfg)
	}
	if s.Server, err = turn.New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(wait):
			t.Error("Run does not end")
		}
		if n := s.Allocations(); n != 0 {
			t.Errorf("%d allocations are left", n)
		}
	})
	s.client(t, turn.ICEServer{}).barrier() // it runs
	return s
}

// awaitAllocations waits until there are n.
func (s *server) awaitAllocations(t testing.TB, n int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(wait); s.Allocations() != n; <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%d allocations, want %d", s.Allocations(), n)
		}
	}
}

// raw is a client that says what it likes, over UDP.
type raw struct {
	t     testing.TB
	conn  net.Conn
	name  string
	key   stun.MessageIntegrity
	nonce stun.Nonce
}

func (s *server) client(t testing.TB, c turn.ICEServer) *raw {
	t.Helper()
	conn, err := net.Dial("udp4", s.udp.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &raw{t: t, conn: conn, name: c.Username, key: stun.NewLongTermIntegrity(c.Username, "g2g.example", c.Credential)}
}

// read returns the next message that accept likes; nil after a short while
// without one.
func (r *raw) read(within time.Duration, accept func(*stun.Message) bool) *stun.Message {
	r.t.Helper()
	if err := r.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		r.t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for {
		n, err := r.conn.Read(buf)
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				return nil
			}
			r.t.Fatal(err)
		}
		m := &stun.Message{Raw: append([]byte(nil), buf[:n]...)}
		if m.Decode() == nil && accept(m) {
			return m
		}
	}
}

// ask sends a request, signed once a nonce is known, and returns the answer.
func (r *raw) ask(method stun.Method, attrs ...stun.Setter) *stun.Message {
	r.t.Helper()
	all := append([]stun.Setter{stun.TransactionID, stun.NewType(method, stun.ClassRequest)}, attrs...)
	if r.nonce != nil {
		all = append(all, stun.NewUsername(r.name), stun.NewRealm("g2g.example"), r.nonce, r.key)
	}
	return r.exchange(method, all)
}

// askWith sends a signed request with something hung on to it, and returns the
// answer.
func (r *raw) askWith(method stun.Method, unsigned stun.Setter) *stun.Message {
	r.t.Helper()
	return r.exchange(method, []stun.Setter{
		stun.TransactionID, stun.NewType(method, stun.ClassRequest), stun.NewUsername(r.name), stun.NewRealm("g2g.example"), r.nonce, r.key, unsigned,
	})
}

func (r *raw) exchange(method stun.Method, all []stun.Setter) *stun.Message {
	r.t.Helper()
	m, err := stun.Build(all...)
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.conn.Write(m.Raw); err != nil {
		r.t.Fatal(err)
	}
	a := r.read(wait, func(a *stun.Message) bool { return a.TransactionID == m.TransactionID })
	if a == nil {
		r.t.Fatalf("%v: no answer", method)
	}
	return a
}

// code is the error of an answer; 0 for success.
func code(t testing.TB, m *stun.Message) stun.ErrorCode {
	t.Helper()
	if m.Type.Class == stun.ClassSuccessResponse {
		return 0
	}
	var c stun.ErrorCodeAttribute
	if err := c.GetFrom(m); err != nil {
		t.Fatalf("neither success nor an error: %v", m)
	}
	return c.Code
}

type attr struct {
	kind  stun.AttrType
	value []byte
}

func (a attr) AddTo(m *stun.Message) error { m.Add(a.kind, a.value); return nil }

var overUDP = attr{stun.AttrRequestedTransport, []byte{17, 0, 0, 0}}

type peerAddress netip.AddrPort

func (p peerAddress) AddTo(m *stun.Message) error {
	ap := netip.AddrPort(p)
	ip := ap.Addr().AsSlice()
	key := append([]byte{0x21, 0x12, 0xa4, 0x42}, m.TransactionID[:]...)
	v := []byte{0, 1, byte(ap.Port()>>8) ^ 0x21, byte(ap.Port()) ^ 0x12}
	if len(ip) == 16 {
		v[1] = 2
	}
	for i := range ip {
		v = append(v, ip[i]^key[i])
	}
	m.Add(stun.AttrXORPeerAddress, v)
	return nil
}

func channel(n uint16) attr { return attr{stun.AttrChannelNumber, []byte{byte(n >> 8), byte(n), 0, 0}} }

func seconds(n int) attr {
	return attr{stun.AttrLifetime, []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}}
}

// greet learns the nonce.
func (r *raw) greet() {
	r.t.Helper()
	a := r.ask(stun.MethodAllocate, overUDP)
	if c := code(r.t, a); c != stun.CodeUnauthorized {
		r.t.Fatalf("the first request: %d", c)
	}
	if err := r.nonce.GetFrom(a); err != nil {
		r.t.Fatal(err)
	}
}

// allocated is a client with an allocation.
func (s *server) allocated(t testing.TB, user string, attrs ...stun.Setter) *raw {
	t.Helper()
	r := s.client(t, s.credential(user))
	r.greet()
	if c := code(t, r.ask(stun.MethodAllocate, append([]stun.Setter{overUDP}, attrs...)...)); c != 0 {
		t.Fatalf("allocate: %d", c)
	}
	return r
}

// sendIndication sends data to a peer by an indication.
func (r *raw) sendIndication(to netip.AddrPort, data string) {
	r.t.Helper()
	m, err := stun.Build(stun.TransactionID, stun.NewType(stun.MethodSend, stun.ClassIndication), peerAddress(to), attr{stun.AttrData, []byte(data)})
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.conn.Write(m.Raw); err != nil {
		r.t.Fatal(err)
	}
}

// sendChannel sends data by a channel.
func (r *raw) sendChannel(n uint16, data string) {
	r.t.Helper()
	b := append([]byte{byte(n >> 8), byte(n), byte(len(data) >> 8), byte(len(data))}, data...)
	if _, err := r.conn.Write(b); err != nil {
		r.t.Fatal(err)
	}
}

// barrier returns when the server has handled all that was sent before, since
// one goroutine reads UDP.
func (r *raw) barrier() { r.ask(stun.MethodBinding) }
