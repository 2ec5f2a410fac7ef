// Package directory knows the agencies, their units and people, and who is
// signed in: one place checks a password, one place opens a session, and every
// way in (HTTP, WebSocket, SMTP, IMAP) goes through it.
//
// It must not know what signed-in people do: meetings, conversations and
// letters are their own domains and learn of people through identity.
package directory

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"commsd/audit"
	"commsd/directory/factor"
	"commsd/directory/oidc"
	"commsd/directory/password"
	"commsd/identity"
	"commsd/internal/bus"
	"commsd/internal/sqldb"
)

// PasswordParams is the cost of one password hash.
type PasswordParams = password.Params

// Config holds what New needs. Fields without a default are required.
type Config struct {
	DB     *sqldb.DB
	Bus    bus.Bus // hints of revocations between nodes
	Audit  *audit.Log
	Domain string // the installation's own mail domain, for accounts of no agency

	PublicURL     string // as browsers reach the pages: passkeys are bound to its host; empty: there are none
	Secrets       Sealer // for the secrets of authenticator apps, which cannot be set up without
	RequireFactor string // who must have a second factor: RequireFactorAdmins, …All or …None; empty: admins

	Providers []oidc.Config // outside providers of sign-in; RedirectURL, Log and Now are filled in

	FreeCodes        int           // wrong codes of a second factor in a row before the first delay; 0: 5
	LongestCodeDelay time.Duration // what that delay grows to; 0: 15 min

	Log        *slog.Logger          // nil: discards
	Registerer prometheus.Registerer // nil: no metrics
	Now        func() time.Time      // nil: time.Now
	Rand       io.Reader             // nil: crypto/rand; tokens and salts

	SessionLifetime time.Duration   // from sign-in to the end; 0: 12 h
	IdleLock        time.Duration   // a session that nobody works in for so long is locked; 0: never
	AdminIdleLock   time.Duration   // likewise for administrative acts alone; 0: never
	FreshFor        time.Duration   // sensitive acts need a proof of who one is not older than this; 0: none is asked for
	TicketLifetime  time.Duration   // from one step of a sign-in to the next; 0: 10 min
	CodeLifetime    time.Duration   // of one-time codes; 0: 72 h
	Passwords       PasswordParams  // cost of new password hashes; zero: 19 MiB, 2 passes, 1 lane
	MaxHashes       int             // password hashes at once; 0: one less than processors, at least one
	MaxHashQueue    int             // sign-ins that may wait for a hash; 0: 64
	FreeFailures    int             // failed sign-ins of one account from one address before the first delay; 0: 10
	LongestDelay    time.Duration   // what that delay grows to; 0: 1 min
	AddressBurst    int             // failed sign-ins of one address at once, one more each second; 0: 200
	Policy          password.Policy // of new passwords; zero lengths: 15 alone, 8 with a second factor
	AppPasswordKey  []byte          // the same on all nodes, 32 bytes; nil: random, and no app password outlives the process
	Mailer          Mailer          // sends codes to outside addresses; nil: none are sent
	Imports         ImportLimits    // of staff lists
	CachedSessions  int             // sessions kept in memory; 0: 20000

	LongestDelegation time.Duration // of a lent position, and beforehand; 0: 366 days
	MaxDelegations    int           // that one person lends at a time; 0: 50
}

// Validate names what is missing or out of range.
func (c Config) Validate() error {
	switch {
	case c.DB == nil:
		return errors.New("directory: Config.DB is required")
	case c.Bus == nil:
		return errors.New("directory: Config.Bus is required")
	case c.Audit == nil:
		return errors.New("directory: Config.Audit is required")
	case c.Domain == "":
		return errors.New("directory: Config.Domain is required")
	case c.SessionLifetime < 0:
		return errors.New("directory: Config.SessionLifetime is negative")
	case c.IdleLock < 0 || c.AdminIdleLock < 0 || c.FreshFor < 0 || c.TicketLifetime < 0 || c.CodeLifetime < 0:
		return errors.New("directory: a duration of Config is negative")
	}
	switch c.RequireFactor {
	case "", RequireFactorAdmins, RequireFactorAll, RequireFactorNone:
	default:
		return fmt.Errorf("directory: Config.RequireFactor is %q", c.RequireFactor)
	}
	if c.Passwords != (PasswordParams{}) {
		if err := c.Passwords.Validate(); err != nil {
			return fmt.Errorf("directory: Config.Passwords: %w", err)
		}
	}
	return nil
}

func (c *Config) setDefaults() {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.SessionLifetime == 0 {
		c.SessionLifetime = 12 * time.Hour
	}
	if c.Passwords == (PasswordParams{}) {
		c.Passwords = PasswordParams{MemoryKiB: 19 * 1024, Passes: 2, Lanes: 1}
	}
	if c.MaxHashes <= 0 {
		// One processor stays free for everybody who is already signed in.
		c.MaxHashes = max(1, runtime.GOMAXPROCS(0)-1)
	}
	if c.MaxHashQueue <= 0 {
		c.MaxHashQueue = 64
	}
	if c.FreeCodes <= 0 {
		c.FreeCodes = 5
	}
	if c.LongestCodeDelay <= 0 {
		c.LongestCodeDelay = 15 * time.Minute
	}
	if c.FreeFailures <= 0 {
		c.FreeFailures = 10
	}
	if c.LongestDelay <= 0 {
		c.LongestDelay = time.Minute
	}
	if c.AddressBurst <= 0 {
		c.AddressBurst = 200
	}
	if c.TicketLifetime == 0 {
		c.TicketLifetime = 10 * time.Minute
	}
	if c.CodeLifetime == 0 {
		c.CodeLifetime = 72 * time.Hour
	}
	if c.Policy.Alone == 0 {
		c.Policy.Alone = 15
	}
	if c.Policy.WithFactor == 0 {
		c.Policy.WithFactor = 8
	}
	c.Imports.setDefaults()
	if c.CachedSessions <= 0 {
		c.CachedSessions = 20000
	}
	if c.LongestDelegation <= 0 {
		c.LongestDelegation = 366 * 24 * time.Hour
	}
	if c.MaxDelegations <= 0 {
		c.MaxDelegations = 50
	}
	c.Domain = strings.ToLower(c.Domain)
}

// Service answers who is who and who is signed in. It may be used from many
// goroutines.
type Service struct {
	// set at construction
	cfg     Config
	db      *sqldb.DB
	log     *slog.Logger
	now     func() time.Time
	metrics *metrics
	hasher  *password.Hasher
	factors secondFactors
	cursors cipher.AEAD

	shrinking chan struct{} // holds one while a picture is made small
	lists     chan struct{} // holds one for each staff list that is being compared

	providers []*oidc.Provider
	site      *factor.RelyingParty // nil: public_url has no name, and passkeys are bound to one
	throttle  *throttle
	demo      atomic.Bool // the demo's own accounts need no second factor
	sessions  *sessionCache
	started   time.Time
	poke      chan struct{} // wakes Run to read the revocation log

	importPoke chan struct{} // wakes Run to apply an import

	watchMu  sync.Mutex
	watchers map[*watcher]struct{} // guarded by watchMu
	recent   []identity.Revocation // guarded by watchMu: the last that were handed on

	seenMu sync.Mutex
	seen   map[string]time.Time            // guarded by seenMu: session id → last use not yet written
	active map[identity.SessionID]activity // guarded by seenMu: when somebody last worked in it
}

// New checks cfg and returns a Service; it starts nothing.
func New(cfg Config) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	if cfg.AppPasswordKey == nil {
		cfg.AppPasswordKey = make([]byte, 32)
		if _, err := io.ReadFull(cfg.Rand, cfg.AppPasswordKey); err != nil {
			return nil, fmt.Errorf("directory: key of app passwords: %w", err)
		}
	}
	m := newMetrics(cfg.Registerer)
	h, err := password.NewHasher(password.HasherConfig{Params: cfg.Passwords, AtOnce: cfg.MaxHashes, Queue: cfg.MaxHashQueue,
		Rand: cfg.Rand, Computed: m.hashes, Waiting: m.hashQueue})
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	var site *factor.RelyingParty
	if cfg.PublicURL != "" {
		if site, err = factor.NewRelyingParty(cfg.PublicURL, cfg.Domain); err != nil {
			cfg.Log.Info("directory: people cannot register passkeys here", "public_url", cfg.PublicURL, "err", err)
		}
	}
	providers, err := newProviders(cfg)
	if err != nil {
		return nil, err
	}
	cursors, err := newCursorSeal(cfg.AppPasswordKey)
	if err != nil {
		return nil, err
	}
	s := &Service{
		cfg: cfg, db: cfg.DB, log: cfg.Log, now: cfg.Now, metrics: m,
		hasher: h, cursors: cursors,

		shrinking: make(chan struct{}, 1),
		lists:     make(chan struct{}, listsAtOnce),

		site: site, providers: providers,
		throttle: newThrottle(throttleLimits{free: cfg.FreeFailures, longest: cfg.LongestDelay, burst: cfg.AddressBurst}, cfg.Now),
		sessions: newSessionCache(cfg.CachedSessions),
		started:  cfg.Now(),
		poke:     make(chan struct{}, 1),

		importPoke: make(chan struct{}, 1),
		watchers:   map[*watcher]struct{}{},
		seen:       map[string]time.Time{},
		active:     map[identity.SessionID]activity{},
	}
	s.factors = keptFactors{s}
	return s, nil
}

// listsAtOnce is how many staff lists are compared at a time, each with up to
// Imports.MaxBytes and some times that of people in memory.
const listsAtOnce = 2

// How often Run does what; the bus makes revocations faster than that.
const (
	pollEvery  = 2 * time.Second
	seenEvery  = 10 * time.Second
	sweepEvery = time.Hour
)

// Run follows the revocation log, writes when sessions were last used, and
// removes expired sessions, until ctx ends. It returns nil then. Only one Run
// may be called on a Service.
func (s *Service) Run(ctx context.Context) error {
	sub, err := s.cfg.Bus.Subscribe(revokedTopic)
	if err != nil {
		return fmt.Errorf("directory: subscribe to %s: %w", revokedTopic, err)
	}
	defer sub.Close()
	poll, flush, sweep := time.NewTicker(pollEvery), time.NewTicker(seenEvery), time.NewTicker(sweepEvery)
	defer poll.Stop()
	defer flush.Stop()
	defer sweep.Stop()

	var sweeps sync.WaitGroup // of the search, which after an upgrade takes minutes, and imports
	defer sweeps.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sweeps.Go(func() { s.runImports(ctx) })
	sweeps.Go(func() {
		again := time.NewTicker(sweepEvery)
		defer again.Stop()
		for all := true; ; all = false {
			s.sweepSearch(ctx, all)
			select {
			case <-ctx.Done():
				return
			case <-again.C:
			}
		}
	})

	follower := revocationFollower{s: s}
	for {
		follower.poll(ctx)
		select {
		case <-ctx.Done():
			// The request that carried the last use is answered; only a short
			// write is left.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			s.flushSeen(last)
			s.flushActive(last)
			cancel()
			return nil
		case <-poll.C:
		case <-s.poke:
		case _, ok := <-sub.C:
			if !ok {
				return errors.New("directory: the bus closed before Run ended")
			}
		case <-flush.C:
			s.flushSeen(ctx)
			s.flushActive(ctx)
		case <-sweep.C:
			s.sweepSessions(ctx)
		}
	}
}
