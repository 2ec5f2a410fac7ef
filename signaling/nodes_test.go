package signaling_test

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"commsd/identity"
	"commsd/internal/accesstoken"
	"commsd/internal/errcode"
	lk "commsd/internal/lkproto"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
	"commsd/internal/testengine"
	"commsd/internal/testpeer/meetingpeer"
	"commsd/internal/tlscert"
	"commsd/signaling/owner"
)

// nodeLease is that of service; it is renewed more often, for busy machines.
const nodeLease = 5 * time.Second

// node is a server that shares its rooms with others.
type node struct {
	*server
	wire    *testengine.Wire // to the database
	front   *testengine.Wire // to this node, for other nodes
	address string           // of that
	ledger  *ledger          // of the room service
	peers   *tls.Config
	raw     *sql.DB // of the database, past the wire
	reg     *prometheus.Registry
}

type shared struct {
	mu     sync.Mutex
	values map[string][]byte
}

func (s *shared) Get(_ context.Context, name string, fresh func() ([]byte, error)) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values[name] == nil {
		made, err := fresh()
		if err != nil {
			return nil, err
		}
		s.values[name] = made
	}
	return s.values[name], nil
}

// serveNodes runs nodes of these names on one database, with a room service.
func serveNodes(t *testing.T, names ...string) []*node {
	t.Helper()
	return serveNodesWith(t, func(*settings) {}, names...)
}

func serveNodesWith(t *testing.T, change func(*settings), names ...string) []*node {
	t.Helper()
	database := sqldbtest.PostgreSQL(t)
	raw, err := sql.Open("pgx", database.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	secrets := &shared{values: map[string][]byte{}}
	nodes := make([]*node, 0, len(names))
	for _, name := range names {
		n := &node{raw: raw, ledger: &ledger{}, reg: prometheus.NewRegistry()}
		var throughWire string
		n.wire, throughWire = testengine.NewWire(t, database.URL)
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var address string
		n.front, address = testengine.NewWire(t, "https://"+ln.Addr().String())
		n.address = strings.TrimPrefix(address, "https://")
		n.peers, err = tlscert.Peers(t.Context(), secrets)
		if err != nil {
			t.Fatal(err)
		}
		own, err := owner.New(owner.Config{
			DB:      sqldbtest.Open(t, sqldb.Config{URL: throughWire}),
			Beats:   sqldbtest.Open(t, sqldb.Config{URL: throughWire, MaxConns: 1, Beside: true}),
			Address: n.address, Every: nodeLease / 8, Lease: nodeLease, Registerer: n.reg,
		})
		if err != nil {
			t.Fatal(err)
		}
		n.server = serve(t, func(s *settings) {
			s.signaling.Owner, s.signaling.Peers, s.signaling.Node = own, n.peers, name
			n.ledger.serve(s)
			change(s)
		})
		front := &http.Server{Handler: n.NodeHandler(n.api.Handler()), TLSConfig: n.peers.Clone(), ReadHeaderTimeout: wait,
			ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if err := front.ServeTLS(ln, "", ""); !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		}()
		t.Cleanup(func() { // before the server behind it stops
			n.wire.Resume()
			n.front.Resume()
			n.stop()
			_ = front.Close()
			<-ended
		})
		nodes = append(nodes, n)
	}
	return nodes
}

// lives tells whether the node's lease holds.
func (n *node) lives(t *testing.T) bool {
	t.Helper()
	var yes bool
	if err := n.raw.QueryRowContext(ctx(t), `SELECT EXISTS (SELECT 1 FROM signaling_nodes WHERE address = $1
		AND expires_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT))`, n.address).Scan(&yes); err != nil {
		t.Fatal(err)
	}
	return yes
}

// id is that of the node's lease.
func (n *node) id(t *testing.T) (id string) {
	t.Helper()
	if err := n.raw.QueryRowContext(ctx(t), `SELECT id FROM signaling_nodes WHERE address = $1`, n.address).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

// in lists who is in the room on the node itself.
func (n *node) in() []string {
	inside := n.media.Inside("r")
	slices.Sort(inside)
	return inside
}

// await asks until ok.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for c := ctx(t); !ok(); {
		select {
		case <-again.C:
		case <-c.Done():
			t.Fatalf("not in time: %s", what)
		}
	}
}

// TestAnyNodeLeadsToTheRoom: people who reach two nodes are in one room, and
// media flows between them and the node that has it.
func TestAnyNodeLeadsToTheRoom(t *testing.T) {
	nodes := serveNodes(t, "a", "b")
	a, b := nodes[0], nodes[1]
	an, binh := a.join(t, "an"), b.join(t, "binh")
	if got := binh.joined().GetServerInfo().GetNodeId(); got != "a" {
		t.Errorf("the second is served by %q", got)
	}
	for _, p := range []*peer{an, binh} {
		select {
		case <-p.Up():
		case <-ctx(t).Done():
			t.Fatal("no media connection")
		}
	}
	pub, sid := binh.publish(microphone("mic"))
	source := pub.Pump(20*time.Millisecond, opus)
	defer source.Stop()
	if track := hears(t, an, "sound"); track.ID != sid {
		t.Errorf("track %s, want %s", track.ID, sid)
	}
	if in := a.in(); !slices.Equal(in, []string{"an", "binh"}) {
		t.Errorf("on the room's node are %q", in)
	}
	if in := b.in(); len(in) != 0 {
		t.Errorf("on the other node are %q", in)
	}
	inside, err := b.Inside(ctx(t), "r")
	slices.Sort(inside)
	if err != nil || !slices.Equal(inside, []string{"an", "binh"}) {
		t.Errorf("the other node tells of %q, %v", inside, err)
	}

	// A socket that breaks on its way through the other node is taken up there.
	if err := binh.CloseSocket(); err != nil {
		t.Fatal(err)
	}
	back := b.resume(t, "binh", binh.joined().GetParticipant().GetSid())
	back.await("reconnect", func(m *lk.SignalResponse) bool { return m.GetReconnect() != nil })

	// When all have left, the room is free for whichever node is reached next.
	for _, p := range []*peer{an, back} {
		p.signal(&lk.SignalRequest{Message: &lk.SignalRequest_Leave{Leave: &lk.LeaveRequest{}}})
		p.left()
	}
	await(t, "the room's end on its first node", func() bool { return len(a.in()) == 0 })
	await(t, "the room on the second node", func() bool {
		p := b.join(t, "chi")
		if p.joined().GetServerInfo().GetNodeId() == "b" {
			return true
		}
		p.signal(&lk.SignalRequest{Message: &lk.SignalRequest_Leave{Leave: &lk.LeaveRequest{}}})
		p.left()
		return false
	})
}

// TestAdmissionHoldsOnEveryWay: the room's node asks at a join and at a resume,
// and its answer reaches the client as it is, directly and through another node.
func TestAdmissionHoldsOnEveryWay(t *testing.T) {
	t.Run("alone", func(t *testing.T) {
		bothVersions(t, func(t *testing.T, version func(*settings)) {
			n := &node{server: serve(t, version)}
			admissionHolds(t, n, n)
		})
	})
	nodes := serveNodes(t, "a", "b")
	for version, one := range []bool{false, true} {
		nodes[0].one, nodes[1].one = one, one
		t.Run(fmt.Sprintf("directly, version %d", version), func(t *testing.T) { admissionHolds(t, nodes[0], nodes[0]) })
		t.Run(fmt.Sprintf("through another, version %d", version), func(t *testing.T) { admissionHolds(t, nodes[0], nodes[1]) })
	}
}

// admissionHolds has people reach b for a room that a has.
func admissionHolds(t *testing.T, a, b *node) {
	an, binh := a.join(t, "an"), b.join(t, "binh")
	sid := binh.joined().GetParticipant().GetSid()
	for name, c := range map[string]struct {
		says   error
		status int
	}{
		"disabled": {errcode.New(errcode.Forbidden, "this account is disabled"), 403},
		"ended":    {errcode.New(errcode.Gone, "the meeting has ended"), 403},
		"unknown":  {errcode.New(errcode.NotFound, "no such meeting"), 404},
		"away":     {errcode.New(errcode.Unavailable, "the database is away"), 503},
	} {
		a.door.set(c.says) // the node that is reached would let them in
		for way, q := range map[string]url.Values{"join": nil, "resume": {"reconnect": {"1"}, "sid": {sid}}} {
			_, err := meetingpeer.Dial(ctx(t), meetingpeer.Config{URL: b.ws, Token: token(t, "binh"), Query: q, Media: meetingpeer.MediaConfig{OneConnection: b.one}})
			var r *meetingpeer.Refused
			if !errors.As(err, &r) || r.Status != c.status || !strings.Contains(r.Body, errcode.Message(c.says)) {
				t.Errorf("%s, %s: %v", name, way, err)
				continue
			}
			if o := r.Header.Values("Access-Control-Allow-Origin"); !slices.Equal(o, []string{"*"}) {
				t.Errorf("%s, %s: a page may not read it: %q", name, way, o)
			}
		}
		a.door.set(nil)
	}
	// And the node that is reached does not even ask for a room for those whom it
	// would not let in itself.
	b.door.set(errcode.New(errcode.Forbidden, "not here"))
	for _, room := range []string{"r", "r2"} {
		_, err := meetingpeer.Dial(ctx(t), meetingpeer.Config{URL: b.ws, Token: token(t, "binh", func(c *accesstoken.Claims) { c.Video.Room = room }), Media: meetingpeer.MediaConfig{OneConnection: b.one}})
		if !strings.Contains(err.Error(), "not here") {
			t.Errorf("%s: %v", room, err)
		}
	}
	b.door.set(nil)

	// A token for another room takes up nobody's place.
	other := b.dial(t, meetingpeer.Config{
		Token: token(t, "binh", func(c *accesstoken.Claims) { c.Video.Room = "r2" }),
		Query: url.Values{"reconnect": {"1"}, "sid": {sid}},
	})
	if l := other.left(); l.GetReason() != lk.DisconnectReason_STATE_MISMATCH {
		t.Errorf("another room's token: %v", l)
	}

	// A removal reaches whoever came through another node, and stays.
	a.Revoke(identity.Revocation{Account: "account-binh"})
	if l := binh.left(); l.GetReason() != lk.DisconnectReason_PARTICIPANT_REMOVED || l.GetAction() != lk.LeaveRequest_DISCONNECT {
		t.Errorf("removed with %v", l)
	}
	if l := b.resume(t, "binh", sid).left(); l.GetReason() != lk.DisconnectReason_STATE_MISMATCH {
		t.Errorf("the removed participant's place: %v", l)
	}
	an.barrier(1)
}

// TestClosingReachesTheRoomsNode, and puts out whoever comes in meanwhile.
func TestClosingReachesTheRoomsNode(t *testing.T) {
	nodes := serveNodes(t, "a", "b")
	a, b := nodes[0], nodes[1]
	an, binh := a.join(t, "an"), b.join(t, "binh")
	if err := b.CloseRoom(ctx(t), "r"); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*peer{an, binh} {
		if l := p.left(); l.GetReason() != lk.DisconnectReason_ROOM_DELETED || l.GetAction() != lk.LeaveRequest_DISCONNECT {
			t.Errorf("left with %v", l)
		}
	}
	await(t, "an empty room", func() bool {
		inside, err := b.Inside(ctx(t), "r")
		if err != nil {
			t.Fatal(err)
		}
		return len(inside) == 0
	})
	if err := b.CloseRoom(ctx(t), "nobody's"); err != nil {
		t.Error(err)
	}

	// Whoever was let in before the meeting ended, at a node that had not the
	// room yet, is asked again once it has: the end looked for the room before.
	a.door.onAsk(func(accesstoken.Claims) {
		a.door.onAsk(nil)
		if err := b.CloseRoom(t.Context(), "new"); err != nil {
			t.Error(err)
		}
		defer a.door.onAsk(func(accesstoken.Claims) { a.door.set(errcode.New(errcode.Gone, "the meeting has ended")) })
	})
	_, err := meetingpeer.Dial(ctx(t), meetingpeer.Config{URL: a.ws, Token: token(t, "chi", func(c *accesstoken.Claims) { c.Video.Room = "new" })})
	var r *meetingpeer.Refused
	if !errors.As(err, &r) || r.Status != 403 {
		t.Errorf("let in: %v", err)
	}
}

// TestStrangersAreNoNodes: who has not the nodes' key learns nothing and hands
// nothing on.
func TestStrangersAreNoNodes(t *testing.T) {
	a := serveNodes(t, "a")[0]
	a.join(t, "an")
	stranger, err := tlscert.Peers(t.Context(), &shared{values: map[string][]byte{}})
	if err != nil {
		t.Fatal(err)
	}
	stranger = stranger.Clone()
	stranger.VerifyConnection = nil
	for name, cfg := range map[string]*tls.Config{"another key": stranger, "no key": {InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: cfg}}
		res, err := client.Get("https://" + a.address + "/node/rooms/inside?room=r")
		if err == nil {
			res.Body.Close()
			t.Errorf("%s: answered %d", name, res.StatusCode)
		}
		client.CloseIdleConnections()
	}
	res, err := http.Get(a.http.URL + "/node/rooms/inside?room=r")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 404 {
		t.Errorf("the public listener answers nodes' questions: %d", res.StatusCode)
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestHopTellsOfTheClient: the room's node sees the client's own address, which
// the client cannot write itself, and no cookie.
func TestHopTellsOfTheClient(t *testing.T) {
	nodes := serveNodes(t, "a", "b")
	a, b := nodes[0], nodes[1]
	a.join(t, "an")
	type seen struct{ remote, forwarded, cookie, host string }
	got := make(chan seen, 1)
	probe := a.NodeHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- seen{r.RemoteAddr, r.Header.Get("X-Forwarded-For"), r.Header.Get("Cookie"), r.Host}
		w.WriteHeader(http.StatusTeapot)
	}))
	front := &http.Server{Handler: probe, ReadHeaderTimeout: wait}
	// The probe stands where b believes the room's node to be.
	a.replaceFront(t, b, front)
	r, err := http.NewRequestWithContext(ctx(t), http.MethodGet, b.http.URL+"/rtc?access_token="+token(t, "binh"), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Forwarded-For", "203.0.113.66")
	r.Header.Set("Cookie", "commsd_session=secret")
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer res.Body.Close()
	if res.StatusCode != http.StatusTeapot {
		t.Fatalf("answered %d", res.StatusCode)
	}
	s := <-got
	if host, _, _ := net.SplitHostPort(s.remote); host != "127.0.0.1" || s.forwarded != "" || s.cookie != "" || s.host != strings.TrimPrefix(b.http.URL, "http://") {
		t.Errorf("the room's node sees %+v", s)
	}
}

// replaceFront has the database name another server as a's, until a's next
// renewal, which keeps it.
func (n *node) replaceFront(t *testing.T, from *node, front *http.Server) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	front.TLSConfig = from.peers.Clone()
	ended := make(chan error, 1)
	go func() { ended <- front.ServeTLS(ln, "", "") }()
	t.Cleanup(func() {
		_ = front.Close()
		<-ended
	})
	if _, err := n.raw.ExecContext(t.Context(), `UPDATE signaling_nodes SET address = $1 WHERE address = $2`, ln.Addr().String(), n.address); err != nil {
		t.Fatal(err)
	}
}

// TestNothingGoesInCircles: a node that is handed a request for a room that is
// not its own says so, and asks nobody else.
func TestNothingGoesInCircles(t *testing.T) {
	nodes := serveNodes(t, "a", "b")
	a, b := nodes[0], nodes[1]
	a.join(t, "an")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: b.peers.Clone()}}
	defer client.CloseIdleConnections()
	asked := make(chan struct{}, 10)
	a.door.onAsk(func(accesstoken.Claims) { asked <- struct{}{} })
	res, err := client.Get("https://" + b.address + "/rtc?access_token=" + token(t, "binh"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 503 || res.Header.Get("Commsd-Room-Moved") == "" {
		t.Errorf("answered %d %s, %v", res.StatusCode, text, err)
	}
	select {
	case <-asked:
		t.Error("it was handed on again")
	default:
	}
}

// TestNodeWithoutAddressIsWaitedFor: the room of a process that no other reaches
// can be had once its lease has ended, by whoever asked meanwhile.
func TestNodeWithoutAddressIsWaitedFor(t *testing.T) {
	nodes := serveNodes(t, "a", "b")
	a, b := nodes[0], nodes[1]
	an := a.join(t, "an")
	if _, err := a.raw.ExecContext(t.Context(), `UPDATE signaling_nodes SET address = '' WHERE address = $1`, a.address); err != nil {
		t.Fatal(err)
	}
	a.wire.Stall()
	binh := b.join(t, "binh")
	if got := binh.joined().GetServerInfo().GetNodeId(); got != "b" {
		t.Errorf("served by %q", got)
	}
	an.left() // before that
	if in := a.in(); len(in) != 0 {
		t.Errorf("the other node goes on with %q", in)
	}
}

// roam keeps who in the room by way of the nodes, the first of which is tried
// first.
func roam(t *testing.T, who string, by ...*node) *meetingpeer.Roamer {
	t.Helper()
	r := meetingpeer.NewRoamer(meetingpeer.Config{Token: token(t, who)}, func(attempt int) string { return by[attempt%len(by)].ws })
	c, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(c) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Logf("%s: %v", who, err)
		}
	})
	return r
}

func visit(t *testing.T, r *meetingpeer.Roamer, accept func(n int, v meetingpeer.Visit) bool) meetingpeer.Visit {
	t.Helper()
	v, err := r.Await(ctx(t), accept)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func up(_ int, v meetingpeer.Visit) bool { return !v.Up.IsZero() && v.Left.IsZero() }

// TestDrainMovesTheMeeting: when the room's node stops, all are together again on
// the other at once, and nobody waits for a lease.
func TestDrainMovesTheMeeting(t *testing.T) {
	nodes := serveNodes(t, "a", "b")
	a, b := nodes[0], nodes[1]
	an := roam(t, "an", a, b)
	visit(t, an, up) // who comes first chooses the node
	binh := roam(t, "binh", b)
	visit(t, binh, up)
	a.Drain(ctx(t))
	for name, r := range map[string]*meetingpeer.Roamer{"an": an, "binh": binh} {
		v := visit(t, r, func(n int, v meetingpeer.Visit) bool { return n > 1 && up(n, v) })
		if v.Node != "b" {
			t.Errorf("%s is on %s", name, v.Node)
		}
		if why := r.Visits()[0].Why; why.GetReason() != lk.DisconnectReason_SERVER_SHUTDOWN || why.GetAction() != lk.LeaveRequest_RECONNECT {
			t.Errorf("%s was told %v", name, why)
		}
	}
	await(t, "both in one room", func() bool { return slices.Equal(b.in(), []string{"an", "binh"}) })
	if err := testutil.GatherAndCompare(b.reg, strings.NewReader(`
# HELP commsd_signaling_takeovers_total Rooms taken from a node that died.
# TYPE commsd_signaling_takeovers_total counter
commsd_signaling_takeovers_total 0
`), "commsd_signaling_takeovers_total"); err != nil {
		t.Errorf("the room was not given up: %v", err)
	}
}

// TestStoppingNodeOnTheWay: when a node stops through which somebody reaches the
// room, the place stays, and is taken up through another.
func TestStoppingNodeOnTheWay(t *testing.T) {
	nodes := serveNodes(t, "a", "b")
	a, b := nodes[0], nodes[1]
	a.join(t, "an")
	binh := roam(t, "binh", b, a)
	sid := visit(t, binh, up).SID
	b.Drain(ctx(t))
	v := visit(t, binh, func(_ int, v meetingpeer.Visit) bool { return v.Resumed > 0 })
	if v.SID != sid {
		t.Errorf("a new place %s after %s", v.SID, sid)
	}
	if in := a.in(); !slices.Equal(in, []string{"an", "binh"}) {
		t.Errorf("inside are %q", in)
	}
}

// TestSplitIsNeverTwoHalves cuts a room's node from the database, without
// closing a connection. Its people are together again on the other node, and at
// no time does each of the two have somebody inside.
func TestSplitIsNeverTwoHalves(t *testing.T) {
	nodes := serveNodes(t, "a", "b")
	a, b := nodes[0], nodes[1]
	first := a.join(t, "first")
	an, binh, chi := roam(t, "an", a, b), roam(t, "binh", b, a), roam(t, "chi", a)
	visit(t, an, up)
	visit(t, binh, up)
	visit(t, chi, up)
	if in := a.in(); len(in) != 4 {
		t.Fatalf("on the room's node are %q", in)
	}

	watching := make(chan struct{})
	var watcher sync.WaitGroup
	samples, halves, onB := 0, 0, 0
	watcher.Go(func() {
		for {
			select {
			case <-watching:
				return
			default:
			}
			// The middle look lies between the outer ones: somebody in all three
			// is somebody in both at once.
			before, other, after := len(a.media.Inside("r")), len(b.media.Inside("r")), len(a.media.Inside("r"))
			samples++
			if other > 0 {
				onB++
			}
			if before > 0 && other > 0 && after > 0 {
				halves++
			}
		}
	})
	a.wire.Stall()
	await(t, "the end of the lease", func() bool { return !a.lives(t) })
	late := roam(t, "late", b) // opens the other half as soon as one can be had
	if v := visit(t, late, up); v.Node != "b" {
		t.Errorf("the latecomer is on %s", v.Node)
	}
	for name, r := range map[string]*meetingpeer.Roamer{"an": an, "binh": binh} {
		v := visit(t, r, func(n int, v meetingpeer.Visit) bool { return n > 1 && up(n, v) })
		if v.Node != "b" {
			t.Errorf("%s is on %s", name, v.Node)
		}
	}
	if l := first.left(); l.GetAction() != lk.LeaveRequest_RECONNECT {
		t.Errorf("told %v", l)
	}
	if in := a.in(); len(in) != 0 {
		t.Errorf("the split node goes on with %q", in)
	}
	// Who reaches the split node alone stays out until it is whole again, and is
	// then led to the others.
	if n := len(chi.Visits()); n != 1 {
		t.Errorf("the split node let somebody in: %+v", chi.Visits())
	}
	a.wire.Resume()
	if v := visit(t, chi, func(n int, v meetingpeer.Visit) bool { return n > 1 && up(n, v) }); v.Node != "b" {
		t.Errorf("the last one is on %s", v.Node)
	}
	await(t, "all in one room", func() bool { return slices.Equal(b.in(), []string{"an", "binh", "chi", "late"}) })
	close(watching)
	watcher.Wait()
	if halves > 0 {
		t.Errorf("the meeting was in two halves in %d of %d looks", halves, samples)
	}
	if samples < 1000 || onB == 0 {
		t.Errorf("only %d looks, %d of them at the second half: too few to tell", samples, onB)
	}
}

// TestSilentNodeIsLeft: the room's node loses its power, as it were, and closes
// no connection. Those who are led to it by another are in the room again, by
// themselves.
func TestSilentNodeIsLeft(t *testing.T) {
	nodes := serveNodes(t, "a", "b")
	a, b := nodes[0], nodes[1]
	a.join(t, "an")
	binh := roam(t, "binh", b)
	visit(t, binh, up)
	if in := a.in(); !slices.Equal(in, []string{"an", "binh"}) {
		t.Fatalf("on the room's node are %q", in)
	}
	begin := time.Now()
	a.front.Stall()
	a.wire.Stall()
	v := visit(t, binh, func(n int, v meetingpeer.Visit) bool { return n > 1 && up(n, v) })
	t.Logf("in again after %v", v.Up.Sub(begin).Round(time.Millisecond))
	if v.Node != "b" {
		t.Errorf("served by %s", v.Node)
	}
}

// TestNodeIsHeardAgain: a node that was silent for a while keeps its rooms, and
// who was led to it is led there again.
func TestNodeIsHeardAgain(t *testing.T) {
	nodes := serveNodes(t, "a", "b")
	a, b := nodes[0], nodes[1]
	an := a.join(t, "an")
	binh := roam(t, "binh", b)
	visit(t, binh, up)
	a.front.Stall()
	visit(t, binh, func(_ int, v meetingpeer.Visit) bool { return !v.Left.IsZero() })
	a.front.Resume()
	visit(t, binh, func(n int, v meetingpeer.Visit) bool { return up(n, v) && (n > 1 || v.Resumed > 0) })
	if v := binh.Visits(); v[len(v)-1].Node != "a" {
		t.Errorf("the room was moved: %+v", v)
	}
	an.barrier(1)
	await(t, "both in one room", func() bool { return slices.Equal(a.in(), []string{"an", "binh"}) && len(b.in()) == 0 })
}

// TestClientThatStaysHoldsNobodyUp: one that never closes its socket, which the
// room's node has ended, does not keep the node from stopping that leads there.
func TestClientThatStaysHoldsNobodyUp(t *testing.T) {
	nodes := serveNodes(t, "a", "b")
	a, b := nodes[0], nodes[1]
	a.join(t, "an")
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.http.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /rtc?access_token="+token(t, "binh")+" HTTP/1.1\r\nHost: b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	await(t, "both in the room", func() bool { return len(a.in()) == 2 })
	a.media.CloseRoom("r")
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Fatalf("the socket does not end: %v", err)
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		b.Drain(ctx(t))
	}()
	select {
	case <-drained:
	case <-time.After(wait / 2):
		t.Error("it is waited for")
		_ = conn.Close()
		<-drained
	}
}

// TestLostLeaseCrossesAJoin: whoever comes in while the lease is lost does not
// stay behind.
func TestLostLeaseCrossesAJoin(t *testing.T) {
	nodes := serveNodes(t, "a", "b")
	a := nodes[0]
	a.join(t, "an")
	held := make(chan struct{})
	a.door.onAsk(func(c accesstoken.Claims) {
		if c.Identity == "binh" { // holds the room already, and is slow
			a.door.onAsk(nil)
			a.wire.Stall()
			<-held
		}
	})
	joined := make(chan *meetingpeer.Peer, 1)
	go func() {
		p, err := meetingpeer.Dial(ctx(t), meetingpeer.Config{URL: a.ws, Token: token(t, "binh")})
		if err != nil {
			t.Error(err)
		}
		joined <- p
	}()
	await(t, "the loss of the room", func() bool { return len(a.in()) == 0 })
	close(held)
	p := <-joined
	if p == nil {
		return
	}
	defer p.Close()
	m, err := p.Await(ctx(t), func(m *lk.SignalResponse) bool { return m.GetLeave() != nil })
	if err != nil || m.GetLeave().GetAction() != lk.LeaveRequest_RECONNECT {
		t.Errorf("told %v, %v", m, err)
	}
	await(t, "an empty room", func() bool { return len(a.in()) == 0 })
}
