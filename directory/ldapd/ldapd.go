// Package ldapd is the read-only LDAP face of the directory: mail clients
// complete addresses and look people up. One port takes LDAPS and StartTLS,
// told apart by a connection's first byte.
//
// It must not know how people are stored, what of them a viewer may see, or how
// passwords are checked: all three are the Directory's.
//
// RFC 4511 (the protocol: bind, unbind, search, extended), 4512 (the root DSE),
// 4513 (sign-in; no anonymous and no unauthenticated binds), 4515 (filters),
// 4519 and 2798 (inetOrgPerson), 2696 (paged results, in one page), 4532 (who
// am I).
package ldapd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"commsd/directory/visibility"
	"commsd/identity"
	"commsd/internal/netlimit"
)

// Directory answers who somebody is and whom they may see. It may be used from
// many goroutines.
type Directory interface {
	// AuthenticatePassword checks a login and its password for scope "ldap".
	AuthenticatePassword(ctx context.Context, login, password, address, scope string) (identity.Actor, error)
	// AuthenticateAgain returns the actor of AuthenticatePassword as it is now;
	// errcode.Unauthenticated when what it signed in by is good no more.
	AuthenticateAgain(ctx context.Context, actor identity.Actor, scope string) (identity.Actor, error)
	// FindEntries finds people as actor sees them, what is hidden left empty, by the beginnings of words of their name or
	// address, marks or not; with q empty, the actor's colleagues.
	FindEntries(ctx context.Context, actor identity.Actor, q string, limit int) ([]visibility.Entry, error)
	// Entry returns one person; errcode.NotFound where there is none to see.
	Entry(ctx context.Context, actor identity.Actor, id identity.PersonID) (visibility.Entry, error)
}

// Config holds what New needs. Registerer may be nil.
type Config struct {
	Listener   net.Listener
	TLS        *tls.Config
	Directory  Directory
	Domain     string // the installation's: g2g.example gives dc=g2g,dc=example
	Log        *slog.Logger
	Registerer prometheus.Registerer

	MaxConns        netlimit.Config // zero: its defaults
	MaxEntries      int             // of one search; 0: 100
	MaxMessageBytes int             // of one request; 0: 64 KiB
	MaxFailures     int             // failed binds before a connection is closed; 0: 5
	Idle            time.Duration   // a signed-in connection without requests; 0: 10 min
}

const (
	greetTimeout  = 30 * time.Second // to sign in
	writeTimeout  = 30 * time.Second
	searchTimeout = 10 * time.Second
)

// Server serves the address book.
type Server struct {
	// set at construction
	cfg      Config
	base     dn // of the installation
	listener *netlimit.Listener
	metrics  metrics

	mu      sync.Mutex
	conns   map[*conn]struct{} // guarded by mu
	revoked []ended            // guarded by mu: lately
}

type metrics struct {
	binds    *prometheus.CounterVec
	searches *prometheus.CounterVec
	panics   prometheus.Counter
}

// New validates cfg and starts nothing.
func New(cfg Config) (*Server, error) {
	if cfg.Listener == nil || cfg.TLS == nil || cfg.Directory == nil || cfg.Domain == "" || cfg.Log == nil {
		return nil, errors.New("ldapd: Listener, TLS, Directory, Domain and Log are required")
	}
	if cfg.MaxEntries == 0 {
		cfg.MaxEntries = 100
	}
	if cfg.MaxMessageBytes == 0 {
		cfg.MaxMessageBytes = 64 << 10
	}
	if cfg.MaxFailures == 0 {
		cfg.MaxFailures = 5
	}
	if cfg.Idle == 0 {
		cfg.Idle = 10 * time.Minute
	}
	s := &Server{
		cfg: cfg, conns: map[*conn]struct{}{},
		listener: netlimit.Wrap(cfg.Listener, cfg.MaxConns),
		metrics: metrics{
			binds: prometheus.NewCounterVec(prometheus.CounterOpts{
				Name: "commsd_ldapd_binds_total", Help: "Binds, by outcome (ok, failed, refused).",
			}, []string{"outcome"}),
			searches: prometheus.NewCounterVec(prometheus.CounterOpts{
				Name: "commsd_ldapd_searches_total", Help: "Searches, by outcome (ok, limited, failed, refused).",
			}, []string{"outcome"}),
			panics: prometheus.NewCounter(prometheus.CounterOpts{
				Name: "commsd_ldapd_panics_total", Help: "Panics that ended a connection.",
			}),
		},
	}
	s.base = baseOf(cfg.Domain)
	if cfg.Registerer != nil {
		for _, c := range []prometheus.Collector{s.metrics.binds, s.metrics.searches, s.metrics.panics} {
			if err := cfg.Registerer.Register(c); err != nil {
				return nil, fmt.Errorf("ldapd: register metrics: %w", err)
			}
		}
	}
	return s, nil
}

// BaseDN returns the name that searches begin at: "dc=g2g,dc=example".
func (s *Server) BaseDN() string { return s.base.String() }

// BaseOf returns the name that searches begin at on the server of a domain.
func BaseOf(domain string) string { return baseOf(domain).String() }

func baseOf(domain string) dn {
	var base dn
	for label := range strings.SplitSeq(strings.ToLower(domain), ".") {
		base = append(base, rdn{"dc", label})
	}
	return base
}

// Run serves until ctx ends, and returns when every connection has ended.
func (s *Server) Run(ctx context.Context) error {
	var all sync.WaitGroup
	all.Go(func() {
		<-ctx.Done()
		_ = s.listener.Close() // Accept then says so
		s.listener.CloseConns()
	})
	defer all.Wait()
	for {
		nc, err := s.listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("ldapd: accept: %w", err)
		}
		all.Go(func() { s.serve(ctx, nc) })
	}
}

func (s *Server) serve(ctx context.Context, nc net.Conn) {
	c := newConn(ctx, s, nc)
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	defer func() {
		if r := recover(); r != nil {
			s.metrics.panics.Inc()
			s.cfg.Log.ErrorContext(ctx, "ldapd: a request ended its connection", "panic", fmt.Sprint(r), "address", c.address)
		}
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
		c.cancel()
		_ = nc.Close() // it ends either way
	}()
	if err := c.run(); err != nil {
		s.cfg.Log.DebugContext(ctx, "ldapd: a connection ended", "err", err, "address", c.address)
	}
}

// keepRevoked covers a bind that was checked before its account ended and is
// noted after.
const keepRevoked = time.Minute

// ended is a revocation and when this node learnt of it.
type ended struct {
	identity.Revocation
	at time.Time
}

// hits tells whether r ends a connection that acts as a.
func hits(r identity.Revocation, a identity.Actor) bool {
	switch {
	case r.Account != a.Account:
		return false
	case r.Position != "":
		return r.Position == a.Position
	default:
		return r.Session == "" || r.Session == a.Session
	}
}

// Revoke closes the connections of an account that has ended, of an app
// password, or in a position that is held no more. Sessions of the web client
// have none here.
func (s *Server) Revoke(r identity.Revocation) {
	s.mu.Lock()
	now := time.Now()
	s.revoked = slices.DeleteFunc(s.revoked, func(e ended) bool { return now.Sub(e.at) > keepRevoked })
	s.revoked = append(s.revoked, ended{r, now})
	var over []*conn
	for c := range s.conns {
		if hits(r, c.bound) {
			over = append(over, c)
		}
	}
	s.mu.Unlock()
	for _, c := range over {
		c.cancel()
		_ = c.netConn.Close() // it ends either way
	}
}

// bind notes who acts on c; false when that ended after since.
func (s *Server) bind(c *conn, actor identity.Actor, since time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.bound = actor
	return !slices.ContainsFunc(s.revoked, func(e ended) bool { return !e.at.Before(since) && hits(e.Revocation, actor) })
}
