package chat

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/bus"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
)

type nobody struct{}

func (nobody) People(context.Context, []identity.PersonID) (map[identity.PersonID]identity.Person, error) {
	return nil, nil
}
func (nobody) HasAccount(context.Context, identity.PersonID) (bool, error) { return false, nil }

func config(t *testing.T) Config {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldbtest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // a test may have closed it
	b := bus.NewMedium().Node()
	t.Cleanup(func() { _ = b.Close() })
	return Config{DB: db, Bus: b, Directory: nobody{}, Audit: audit.New(audit.Config{})}
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	for want, spoil := range map[string]func(*Config){
		"DB": func(c *Config) { c.DB = nil }, "Bus": func(c *Config) { c.Bus = nil }, "Directory": func(c *Config) { c.Directory = nil },
		"Audit": func(c *Config) { c.Audit = nil }, "PublicURL": func(c *Config) { c.PublicURL = "chat" },
		"MaxText": func(c *Config) { c.MaxText = 1 << 20 },
	} {
		cfg := config(t)
		spoil(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "Config."+want) {
			t.Errorf("without a good %s: %v", want, err)
		}
	}
	if _, err := New(config(t)); err != nil {
		t.Error(err)
	}
}

// Metrics are there while a service is, and go with it.
func TestMetricsComeAndGo(t *testing.T) {
	cfg := config(t)
	reg := prometheus.NewRegistry()
	cfg.Registerer = reg
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(cfg); err == nil {
		t.Error("two services share a registry")
	}
	names := func() (names []string) {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			names = append(names, f.GetName())
		}
		return names
	}
	if got := names(); !slices.Contains(got, "commsd_chat_sockets") || !slices.Contains(got, "commsd_chat_lagging_total") {
		t.Errorf("metrics: %q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
	if got := names(); len(got) != 0 {
		t.Errorf("left registered: %q", got)
	}
}

// Run does not wait for its context when the bus is gone.
func TestRunEndsWithTheBus(t *testing.T) {
	cfg := config(t)
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(t.Context()) }()
	for { // until Run has subscribed, or finds the bus closed
		if _, err := s.ready(); err == nil {
			s.sockets.Done()
			break
		}
		runtime.Gosched()
	}
	_ = cfg.Bus.Close()
	select {
	case err := <-done:
		if err == nil {
			t.Error("Run says that all is well")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("Run goes on")
	}
}

// Whoever could not be attached to a conversation is when SQL answers again.
func TestArrivalIsTriedAgain(t *testing.T) {
	cfg := config(t)
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.DB.Close(); err != nil {
		t.Fatal(err)
	}
	ar := arrival{person: "p", conversation: newID()}
	s.hub.arrive(t.Context(), ar)
	if !s.hub.takeFailed() || s.hub.takeFailed() {
		t.Error("the failure is not noted once")
	}
	if !slices.Equal(s.hub.arrivals, []arrival{ar}) || len(s.hub.missed) != 0 {
		t.Errorf("arrivals %v, missed %v", s.hub.arrivals, s.hub.missed)
	}
	select {
	case <-s.hub.wake:
	default:
		t.Error("no worker is woken")
	}
}

// away is a bus that has lost its peer.
type away struct{ bus.Bus }

func (away) Healthy() bool { return false }

// And not only when the bus is back as well.
func TestArrivalIsTriedAgainWithoutTheBus(t *testing.T) {
	cfg := config(t)
	cfg.Bus = away{cfg.Bus}
	cfg.HeadsAway = time.Millisecond
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ar := arrival{person: "p", conversation: newID()}
	s.hub.missed, s.hub.failed = []arrival{ar}, true
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.hub.watchHeads(ctx) }()
	select {
	case <-s.hub.wake:
	case <-time.After(30 * time.Second):
		t.Error("no worker is woken")
	}
	cancel()
	<-done
	if !slices.Equal(s.hub.arrivals, []arrival{ar}) {
		t.Errorf("arrivals %v", s.hub.arrivals)
	}
}

// Each code of an error has its word.
func TestErrorCodesAreWhole(t *testing.T) {
	for _, code := range errcode.All() {
		if errorCodes[code] != code.String() {
			t.Errorf("%v is %q on the wire", code, errorCodes[code])
		}
	}
}

// A person who could not be loaded leaves nothing behind.
func TestFailedLoadLeavesNothing(t *testing.T) {
	cfg := config(t)
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := &person{id: "p", loaded: make(chan struct{}), convs: map[string]*stream{}, clients: map[*client]struct{}{}}
	s.hub.people[p.id] = p
	hd := head{Conversation: newID()}
	if _, ok := s.hub.attachAll(p, &stream{key: "p", person: p}, []head{hd}); !ok {
		t.Fatal("not attached")
	}
	p.ready = false
	if err := cfg.DB.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.hub.loadPerson(t.Context(), p); !errors.Is(err, sqldb.ErrClosed) {
		t.Errorf("loaded: %v", err)
	}
	if len(s.hub.people) != 0 || len(s.hub.convs[hd.Conversation].local) != 0 {
		t.Errorf("left: %v, %v", s.hub.people, s.hub.convs[hd.Conversation].local)
	}
}

func TestBucket(t *testing.T) {
	now := time.Unix(1000, 0)
	b := bucket{rate: 2, burst: 3}
	for range 3 {
		if wait := b.take(now); wait != 0 {
			t.Fatalf("within the burst: %v", wait)
		}
	}
	if wait := b.take(now); wait != 500*time.Millisecond {
		t.Errorf("past the burst: %v", wait)
	}
	if wait := b.take(now.Add(-time.Hour)); wait == 0 {
		t.Error("a clock set back gives a token")
	}
	if wait := b.take(now.Add(time.Second)); wait != 0 {
		t.Errorf("a second later: %v", wait)
	}
	b.take(now.Add(time.Hour))
	if b.tokens > 2 {
		t.Errorf("%v tokens after an hour", b.tokens)
	}
}
