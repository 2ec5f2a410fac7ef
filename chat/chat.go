// Package chat holds conversations and delivers what is said in them: an event
// log in SQL with a gap-free seq for each conversation, a second log for each
// person, and a hub that pushes both to the sockets of this node. The bus only
// hints; what it loses is read from SQL. The wire protocol is described in
// docs/protocols/chat.md.
//
// It must not know meetings, mail or documents: they reach a person's open
// pages through Notify and Hint, with kinds of their own.
package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/bus"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
	"commsd/internal/wsconn"
)

// Directory is what chat asks about people. It may be called from many
// goroutines.
type Directory interface {
	// People returns those of ids that exist.
	People(ctx context.Context, ids []identity.PersonID) (map[identity.PersonID]identity.Person, error)
	// HasAccount tells whether the person can sign in now or later.
	HasAccount(ctx context.Context, id identity.PersonID) (bool, error)
}

// Config holds what New needs. Fields without a default are required.
type Config struct {
	DB        *sqldb.DB
	Bus       bus.Bus
	Directory Directory
	Audit     *audit.Log
	Locks     SessionLocks // nil: no session locks
	PublicURL string       // own origin, for the Origin check of the socket; "" allows the request's own host only

	Socket      wsconn.Config // zero: 512 KiB queue, 10 s to write, frames up to 256 KiB from the client, 16 messages a frame to it
	MaxText     int           // bytes of a message's text; 0: 16 KiB
	MaxMembers  int           // people in a channel; 0: 1000
	SendRate    float64       // messages a second that one connection may send lastingly; 0: 10
	SendBurst   int           // and at once; 0: 100
	MaxCommands int           // commands of one connection that may wait; 0: 256
	MaxSockets  int           // of one account on this node: one more closes the oldest; 0: 50
	// MaxCommandBytes bounds the commands that wait together; 0: 1 MiB, at least
	// four frames.
	MaxCommandBytes int
	HelloWithin     time.Duration // from the upgrade to hello; 0: 10 s
	MaxHellos       int           // hellos that read SQL at once; 0: 32
	Memory          int           // events kept in memory for each live conversation; 0: 256
	HeadsEvery      time.Duration // check of all heads while the bus is well; 0: 20 s, ±50 %
	HeadsAway       time.Duration // and while it is not; 0: 1.5 s
	DrainSpread     time.Duration // sockets are told to come back within, at the most; 0: 60 s

	Log        *slog.Logger          // nil: discards
	Registerer prometheus.Registerer // nil: no metrics
	Now        func() time.Time      // nil: time.Now
}

// MaxText bounds Config.MaxText: an event has to fit a packet of the bus even
// when JSON writes six bytes for one.
const MaxText = 128 << 10

// Validate names what is missing or out of range.
func (c Config) Validate() error {
	switch {
	case c.DB == nil:
		return errors.New("chat: Config.DB is required")
	case c.Bus == nil:
		return errors.New("chat: Config.Bus is required")
	case c.Directory == nil:
		return errors.New("chat: Config.Directory is required")
	case c.Audit == nil:
		return errors.New("chat: Config.Audit is required")
	}
	if c.MaxText > MaxText {
		return fmt.Errorf("chat: Config.MaxText %d is over %d bytes", c.MaxText, MaxText)
	}
	if c.PublicURL != "" {
		if u, err := url.Parse(c.PublicURL); err != nil || u.Host == "" {
			return fmt.Errorf("chat: Config.PublicURL %q is no URL", c.PublicURL)
		}
	}
	return nil
}

func (c *Config) setDefaults() {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	defTime := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&c.MaxText, 16<<10)
	def(&c.MaxMembers, 1000)
	def(&c.SendBurst, 100)
	def(&c.MaxCommands, 256)
	def(&c.MaxSockets, 50)
	def(&c.MaxHellos, 32)
	def(&c.Memory, 256)
	if c.SendRate <= 0 {
		c.SendRate = 10
	}
	defTime(&c.HelloWithin, 10*time.Second)
	defTime(&c.HeadsEvery, 20*time.Second)
	defTime(&c.HeadsAway, 1500*time.Millisecond)
	defTime(&c.DrainSpread, time.Minute)
	if c.Socket.QueueBytes == 0 {
		c.Socket.QueueBytes = wsconn.DefaultQueueBytes
	}
	if c.Socket.ReadLimit == 0 {
		// A hello with maxCursors, or the longest message in JSON.
		c.Socket.ReadLimit = max(256<<10, 2*int64(c.MaxText)+8<<10)
	}
	def(&c.MaxCommandBytes, max(1<<20, 4*int(c.Socket.ReadLimit)))
	if c.Socket.Batch == 0 {
		c.Socket.Batch = 16
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

// Service is chat on one node. Its methods may be called from many goroutines.
type Service struct {
	// set at construction
	cfg     Config
	db      *sqldb.DB
	log     *slog.Logger
	now     func() time.Time
	metrics *metrics
	hub     *hub
	senders [senderShards]*sender
	hellos  chan struct{} // a slot for each hello that may read SQL now
	node    string        // tells our own hints from those of other nodes

	sockets sync.WaitGroup // serving sockets; Run waits for them

	mu       sync.Mutex
	base     context.Context // guarded by mu; ends the sockets with Run; nil before Run
	draining bool            // guarded by mu
	stopped  bool            // guarded by mu; Run is over
}

// New checks cfg and returns a Service; it starts nothing.
func New(cfg Config) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	s := &Service{
		cfg: cfg, db: cfg.DB, log: cfg.Log, now: cfg.Now, metrics: m,
		hellos: make(chan struct{}, cfg.MaxHellos),
		node:   newID(),
	}
	s.hub = newHub(s)
	for i := range s.senders {
		s.senders[i] = newSender(s)
	}
	return s, nil
}

// Run delivers events until ctx ends; then it closes the sockets that are left
// and returns nil. Only one Run may be called on a Service.
func (s *Service) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sub, err := s.cfg.Bus.Subscribe(topic)
	if err != nil {
		return fmt.Errorf("chat: subscribe to %s: %w", topic, err)
	}
	defer sub.Close()
	s.mu.Lock()
	s.base = ctx
	s.mu.Unlock()

	var wg sync.WaitGroup
	wg.Go(func() { s.hub.watchHeads(ctx) })
	for range catchUpWorkers {
		wg.Go(func() { s.hub.catchUpLoop(ctx) })
	}
	for _, sd := range s.senders {
		wg.Go(func() { sd.run(ctx) })
	}
	err = s.hub.follow(ctx, sub)
	cancel() // the bus may have ended before ctx

	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.sockets.Wait() // they end with ctx
	wg.Wait()
	s.metrics.unregister()
	return err
}

// ready returns the context a new socket lives in, and counts the socket.
func (s *Service) ready() (context.Context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.base == nil:
		return nil, errcode.New(errcode.Unavailable, "the server is starting")
	case s.draining || s.stopped:
		return nil, errcode.New(errcode.Unavailable, "the server is stopping; connect again in a moment")
	}
	s.sockets.Add(1) // under mu, so that Run cannot have passed its Wait
	return s.base, nil
}

// Revoke closes the sockets of a session, or of a whole account.
func (s *Service) Revoke(r identity.Revocation) {
	for _, c := range s.hub.clientsOf(r.Account) {
		if (r.Session == "" || c.actor.Session == r.Session) && (r.Position == "" || c.actor.Position == r.Position) {
			c.endSession()
		}
	}
}

// Drain refuses new sockets, tells the open ones to come back elsewhere at a
// random time within Config.DrainSpread, sooner where they are few, and waits
// until they are gone or ctx ends.
func (s *Service) Drain(ctx context.Context) {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	clients := s.hub.allClients()
	within := s.drainWithin(len(clients))
	for _, c := range clients {
		c.drain(within)
	}
	s.hub.awaitEmpty(ctx)
}

// drainEach is how much time each socket that comes back is given: 100 a second.
const drainEach = 10 * time.Millisecond

// drainWithin is over how long sockets come back: a few people do not wait for
// a crowd that is not there.
func (s *Service) drainWithin(sockets int) time.Duration {
	return min(s.cfg.DrainSpread, time.Duration(sockets+1)*drainEach)
}
