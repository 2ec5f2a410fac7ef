package signaling_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"commsd/identity"
	"commsd/internal/accesstoken"
	"commsd/internal/httpapi"
	lk "commsd/internal/lkproto"
	"commsd/internal/testpeer/meetingpeer"
	"commsd/sfu"
	"commsd/signaling"
)

// wait bounds whatever a test waits for.
const wait = 40 * time.Second

const apiKey = "devkey"

var secret = []byte("a secret of at least thirty-two bytes")

func keys(key string) ([]byte, bool) { return secret, key == apiKey }

func ctx(t testing.TB) context.Context {
	t.Helper()
	c, cancel := context.WithTimeout(t.Context(), wait)
	t.Cleanup(cancel)
	return c
}

// door is an Admission that says what it is told to.
type door struct {
	mu    sync.Mutex
	says  error                    // guarded by mu; nil lets in
	asked func(accesstoken.Claims) // guarded by mu; called before it says; may be nil
	seen  map[string]int           // guarded by mu; by identity
}

func (d *door) Admit(_ context.Context, c accesstoken.Claims) error {
	d.mu.Lock()
	asked := d.asked
	d.mu.Unlock()
	if asked != nil {
		asked(c)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen == nil {
		d.seen = make(map[string]int)
	}
	d.seen[c.Identity]++
	return d.says
}

func (d *door) set(says error) {
	d.mu.Lock()
	d.says = says
	d.mu.Unlock()
}

func (d *door) onAsk(f func(accesstoken.Claims)) {
	d.mu.Lock()
	d.asked = f
	d.mu.Unlock()
}

// server is a whole media plane on loopback.
type server struct {
	*signaling.Service
	door  *door
	media *sfu.SFU
	api   *httpapi.API
	http  *httptest.Server
	ws    string // ws://host:port
	stop  func() // as a node stops, after Drain
	one   bool   // peers speak version 1, with one connection
}

type nobody struct{}

func (nobody) AuthenticateSession(context.Context, string, identity.PositionID, string) (identity.Actor, error) {
	return identity.Actor{}, http.ErrNoCookie
}

type settings struct {
	signaling signaling.Config
	media     sfu.Config
	one       bool // peers speak version 1
}

// bothVersions runs a test with peers of version 0 and of version 1.
func bothVersions(t *testing.T, test func(t *testing.T, version func(*settings))) {
	t.Helper()
	t.Run("version 0", func(t *testing.T) { test(t, func(*settings) {}) })
	t.Run("version 1", func(t *testing.T) { test(t, func(c *settings) { c.one = true }) })
}

func serve(t testing.TB, change ...func(*settings)) *server {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	s := &server{door: &door{}}
	set := settings{
		signaling: signaling.Config{Keys: keys, Admission: s.door, Log: log, Node: "node-1"},
		media:     sfu.Config{UDPListen: "127.0.0.1:0", Log: log},
	}
	for _, c := range change {
		c(&set)
	}
	s.one = set.one
	media, err := sfu.New(set.media)
	if err != nil {
		t.Fatal(err)
	}
	s.media, set.signaling.SFU = media, media
	if s.Service, err = signaling.New(set.signaling); err != nil {
		t.Fatal(err)
	}
	s.api = httpapi.New(httpapi.Config{Title: "test", Version: "1", Authenticator: nobody{}, Log: log})
	s.Routes(s.api)
	s.http = httptest.NewServer(s.api.Handler())
	s.ws = "ws" + strings.TrimPrefix(s.http.URL, "http")
	run := func(f func(context.Context) error) (stop func()) {
		c, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- f(c) }()
		return func() {
			cancel()
			select {
			case err := <-ended:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(wait):
				t.Error("a service does not end")
			}
		}
	}
	stopMedia, stopRooms := run(media.Run), run(s.Run)
	var once sync.Once
	s.stop = func() {
		once.Do(func() {
			stopRooms()
			stopMedia()
			s.http.CloseClientConnections()
			s.http.Close()
		})
	}
	t.Cleanup(s.stop)
	select {
	case <-media.Ready():
	case <-time.After(wait):
		t.Fatal("media is not ready")
	}
	return s
}

// token mints for identity in room "r", changed at will.
func token(t testing.TB, who string, change ...func(*accesstoken.Claims)) string {
	t.Helper()
	c := accesstoken.Claims{
		Identity: who, Name: "Name of " + who, Account: identity.AccountID("account-" + who), Session: identity.SessionID("session-" + who),
		Video: accesstoken.VideoGrant{Room: "r", RoomJoin: true},
	}
	for _, f := range change {
		f(&c)
	}
	out, err := accesstoken.Mint(apiKey, secret, c, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// peer is a client whose faults fail the test.
type peer struct {
	*meetingpeer.Peer
	t testing.TB
}

// dial joins and leaves at the end of the test.
func (s *server) dial(t testing.TB, cfg meetingpeer.Config) *peer {
	t.Helper()
	cfg.URL, cfg.Media.OneConnection = s.ws, s.one
	p, err := meetingpeer.Dial(ctx(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Close() // the server may have closed before
		for _, f := range p.Faults() {
			t.Error(f)
		}
	})
	return &peer{p, t}
}

func (s *server) join(t testing.TB, who string, change ...func(*accesstoken.Claims)) *peer {
	t.Helper()
	p := s.dial(t, meetingpeer.Config{Token: token(t, who, change...)})
	p.joined()
	return p
}

// resume comes back with a new socket for the place sid.
func (s *server) resume(t testing.TB, who, sid string) *peer {
	t.Helper()
	return s.dial(t, meetingpeer.Config{Token: token(t, who), Query: url.Values{"reconnect": {"1"}, "sid": {sid}}})
}

func (p *peer) await(what string, accept func(*lk.SignalResponse) bool) *lk.SignalResponse {
	p.t.Helper()
	m, err := p.Await(ctx(p.t), accept)
	if err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
	return m
}

func (p *peer) joined() *lk.JoinResponse {
	p.t.Helper()
	return p.await("join", func(m *lk.SignalResponse) bool { return m.GetJoin() != nil }).GetJoin()
}

func (p *peer) left() *lk.LeaveRequest {
	p.t.Helper()
	return p.await("leave", func(m *lk.SignalResponse) bool { return m.GetLeave() != nil }).GetLeave()
}

func (p *peer) sees(who, what string, accept func(*lk.ParticipantInfo) bool) *lk.ParticipantInfo {
	p.t.Helper()
	i, err := p.AwaitParticipant(ctx(p.t), who, accept)
	if err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
	return i
}

func (p *peer) signal(m *lk.SignalRequest) {
	p.t.Helper()
	if err := p.Signal(m); err != nil {
		p.t.Fatal(err)
	}
}

// barrier returns when the server has handled all that was sent before.
func (p *peer) barrier(stamp int64) {
	p.t.Helper()
	p.signal(&lk.SignalRequest{Message: &lk.SignalRequest_PingReq{PingReq: &lk.Ping{Timestamp: stamp}}})
	p.await("pong", func(m *lk.SignalResponse) bool { return m.GetPongResp().GetLastPingTimestamp() == stamp })
}

func (p *peer) closeCode() int {
	p.t.Helper()
	code, err := p.CloseCode(ctx(p.t))
	if err != nil {
		p.t.Fatal(err)
	}
	return code
}

func microphone(cid string) *lk.AddTrackRequest {
	return &lk.AddTrackRequest{Cid: cid, Name: "mic", Type: lk.TrackType_AUDIO, Source: lk.TrackSource_MICROPHONE}
}

func camera(cid string) *lk.AddTrackRequest {
	return &lk.AddTrackRequest{Cid: cid, Name: "cam", Type: lk.TrackType_VIDEO, Source: lk.TrackSource_CAMERA, Width: 640, Height: 360,
		Layers: []*lk.VideoLayer{{Quality: lk.VideoQuality_HIGH, Width: 640, Height: 360, Bitrate: 500_000}}}
}

func (p *peer) publish(r *lk.AddTrackRequest) (*meetingpeer.Publication, string) {
	p.t.Helper()
	pub, sid, err := p.Publish(ctx(p.t), r)
	if err != nil {
		p.t.Fatal(err)
	}
	return pub, sid
}
