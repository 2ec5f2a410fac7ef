// Package imapd serves a person's own mailboxes to mail clients. It stands on
// go-imap's server for the wire, behind a session of our own: structures and
// bytes come from what the store has, never from go-imap's readers of messages,
// and what other sessions change is found by modseq.
//
// It must not know how mail comes in.
//
// RFC 3501 with 2177 (IDLE), 2342 (NAMESPACE), 3348 (CHILDREN), 4315 (UIDPLUS),
// 4731 (ESEARCH), 5258 (LIST-EXTENDED), 5819 (LIST-STATUS), 6154 (SPECIAL-USE),
// 6851 (MOVE), 8438 (STATUS=SIZE).
package imapd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/prometheus/client_golang/prometheus"

	"commsd/identity"
	"commsd/internal/netlimit"
	"commsd/mail/intake"
	"commsd/mail/store"
)

// Authenticator checks passwords.
type Authenticator interface {
	AuthenticatePassword(ctx context.Context, login, password, address, scope string) (identity.Actor, error)
	// AuthenticateAgain returns the actor of AuthenticatePassword as it is now;
	// errcode.Unauthenticated when what it signed in by is good no more.
	AuthenticateAgain(ctx context.Context, actor identity.Actor, scope string) (identity.Actor, error)
}

// Config holds what New needs. Registerer may be nil.
type Config struct {
	Authenticator   Authenticator
	Store           *store.Store
	TLS             *tls.Config
	Log             *slog.Logger
	Registerer      prometheus.Registerer
	MaxMessageBytes int64           // of an APPEND; 0: 50 MiB
	AppendPause     time.Duration   // how long a client may pause within an APPEND; 0: 2 min
	AgainEvery      time.Duration   // between two looks whether a person who stays may stay; 0: 1 min
	MaxSearchWords  int             // of one SEARCH: each costs a reading of each message; 0: 50
	MaxListPatterns int             // of one LIST: each is tried on each mailbox; 0: 20
	MaxFailures     int             // failed sign-ins before a connection is closed; 0: 5
	MaxConns        netlimit.Config // zero: its defaults

	// Opened is told who opened which mailbox, for the audit log; nil: nobody asks.
	Opened func(actor identity.Actor, kind, id string)
}

// Server serves mailboxes.
type Server struct {
	// set at construction
	cfg    Config
	panics prometheus.Counter

	revoked intake.Revoked

	mu       sync.Mutex
	sessions map[*session]struct{} // guarded by mu
}

// New validates cfg and starts nothing.
func New(cfg Config) (*Server, error) {
	if cfg.Authenticator == nil || cfg.Store == nil || cfg.TLS == nil || cfg.Log == nil {
		return nil, errors.New("imapd: Authenticator, Store, TLS and Log are required")
	}
	if cfg.MaxMessageBytes == 0 {
		cfg.MaxMessageBytes = 50 << 20
	}
	if cfg.MaxSearchWords <= 0 {
		cfg.MaxSearchWords = 50
	}
	if cfg.MaxListPatterns <= 0 {
		cfg.MaxListPatterns = 20
	}
	if cfg.AppendPause == 0 {
		cfg.AppendPause = 2 * time.Minute
	}
	if cfg.AgainEvery == 0 {
		cfg.AgainEvery = time.Minute
	}
	if cfg.MaxFailures == 0 {
		cfg.MaxFailures = 5
	}
	s := &Server{
		cfg: cfg, sessions: map[*session]struct{}{},
		panics: prometheus.NewCounter(prometheus.CounterOpts{Name: "commsd_imapd_panics_total", Help: "Panics that ended a connection."}),
	}
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(s.panics); err != nil {
			return nil, fmt.Errorf("imapd: register metrics: %w", err)
		}
	}
	return s, nil
}

var caps = imap.CapSet{
	imap.CapIMAP4rev1: {}, imap.CapNamespace: {}, imap.CapUIDPlus: {}, imap.CapESearch: {}, imap.CapListExtended: {},
	imap.CapListStatus: {}, imap.CapMove: {}, imap.CapStatusSize: {}, imap.CapChildren: {}, imap.CapSpecialUse: {},
}

func loopback(a net.Addr) bool {
	ip := net.ParseIP(intake.IP(a))
	return ip != nil && ip.IsLoopback()
}

// Revoke closes the connections of an account that has ended, or of the one
// credential that has: an app password, or the account's own.
func (s *Server) Revoke(r identity.Revocation) {
	if r.Position != "" {
		return // connections act in the own main position
	}
	s.revoked.Note(r)
	s.mu.Lock()
	var conns []net.Conn
	for sess := range s.sessions {
		if intake.Ends(r, sess.signedIn()) {
			conns = append(conns, sess.conn.NetConn())
		}
	}
	s.mu.Unlock()
	for _, c := range conns {
		_ = c.Close() // it ends either way
	}
}

func (s *Server) newSession(ctx context.Context, c *imapserver.Conn, ended chan struct{}) *session {
	ctx, cancel := context.WithCancel(ctx)
	sess := &session{server: s, conn: c, ctx: ctx, cancel: cancel, ended: ended}
	s.mu.Lock()
	s.sessions[sess] = struct{}{}
	s.mu.Unlock()
	return sess
}

// opTimeout bounds one command's work, or one step of an APPEND's.
const opTimeout = 2 * time.Minute
