// Package mail is government e-mail: it takes mail from other servers and from
// our own people, keeps it, serves it to mail clients and to the web client,
// and sends on what is for outside. This package connects the parts and holds
// the HTTP interface; each protocol has a package of its own below.
//
// It must not know the other domains: what it needs of the directory and of
// chat are interfaces here, connected by app.
package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/blob"
	"commsd/internal/bus"
	"commsd/internal/netlimit"
	"commsd/internal/sqldb"
	"commsd/mail/imapd"
	"commsd/mail/queue"
	"commsd/mail/route"
	"commsd/mail/smtpd"
	"commsd/mail/store"
	"commsd/mail/submission"
)

// Directory is what mail asks about people and addresses. Any goroutine may
// call it.
type Directory interface {
	AuthenticatePassword(ctx context.Context, login, password, address, scope string) (identity.Actor, error)
	// AuthenticateAgain returns the actor of AuthenticatePassword as it is now;
	// errcode.Unauthenticated when what it signed in by is good no more.
	AuthenticateAgain(ctx context.Context, actor identity.Actor, scope string) (identity.Actor, error)
	SenderAddresses(ctx context.Context, actor identity.Actor) ([]string, error)
	route.Directory

	// PeopleFor returns of the people of ids what viewer sees; whom viewer does
	// not see are not in it.
	PeopleFor(ctx context.Context, viewer identity.Actor, ids []identity.PersonID) (map[identity.PersonID]identity.Person, error)
}

// Notifier tells people's open pages that something is new. It must not block.
type Notifier interface {
	Hint(ctx context.Context, to []identity.PersonID, kind string, body any)
}

// Listeners are the sockets to serve, already bound; nil ones are left out.
// Drain and Run close them.
type Listeners struct {
	SMTP, Submission, Submissions, IMAP, IMAPS net.Listener
}

// Config holds what New needs. Notifier, Registerer and Now may be nil.
type Config struct {
	Domain     string // what the servers call themselves
	DB         *sqldb.DB
	Bus        bus.Bus
	Blobs      blob.Store
	Directory  Directory
	Notifier   Notifier
	Audit      *audit.Log // nil: what is opened and what is refused is not recorded
	TLS        *tls.Config
	Listeners  Listeners
	Smarthost  string // host:port for outside; empty: MX
	Hold       bool   // keep mail for outside here
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time

	MaxMessageBytes int64         // 0: 50 MiB
	MaxRecipients   int           // 0: 500
	MaxMailboxes    int           // of one person; 0: 1000
	MaxSearchWords  int           // of one IMAP SEARCH; 0: 50
	MaxListPatterns int           // of one IMAP LIST; 0: 20
	MaxFailures     int           // failed sign-ins of one connection before it is closed; 0: 5
	QueueLifetime   time.Duration // how long mail for outside is tried; 0: 5 days
	QueueWorkers    int           // deliveries to outside at once; 0: 4
	QueueKeepDone   time.Duration // how long what came of mail for outside is kept; 0: 7 days

	// CollectAfter is how long bytes are kept that nothing refers to; 0: 24 h.
	// It must be more than the longest time from a message's last byte to its
	// commit, on the clocks of all nodes and of the blob store.
	CollectAfter time.Duration
	CollectEvery time.Duration  // how often they are looked for, give or take half; 0: 1 h
	Jitter       func() float64 // in [0,1); default random

	MaxConnections           int // of each listener; 0: 1000
	MaxConnectionsPerAddress int // of each listener; 0: 50

	Grace time.Duration // for messages being taken when Run ends; 0: 3 s
}

// Service is all of mail.
type Service struct {
	// set at construction
	cfg        Config
	store      *store.Store
	queue      *queue.Queue
	desk       *submission.Desk
	smtpd      *smtpd.Server
	submission *submission.Server
	imapd      *imapd.Server
	collected  prometheus.Counter
}

// New validates cfg and starts nothing.
func New(cfg Config) (*Service, error) {
	if cfg.Domain == "" || cfg.Directory == nil || cfg.TLS == nil || cfg.Log == nil {
		return nil, errors.New("mail: Domain, Directory, TLS and Log are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Grace == 0 {
		cfg.Grace = 3 * time.Second
	}
	if cfg.CollectAfter == 0 {
		cfg.CollectAfter = 24 * time.Hour
	}
	if cfg.CollectEvery == 0 {
		cfg.CollectEvery = time.Hour
	}
	if cfg.Jitter == nil {
		cfg.Jitter = rand.Float64
	}
	if cfg.MaxMessageBytes == 0 {
		cfg.MaxMessageBytes = 50 << 20
	}
	s := &Service{
		cfg:       cfg,
		collected: prometheus.NewCounter(prometheus.CounterOpts{Name: "commsd_mail_blobs_collected_total", Help: "Stored bodies and files removed because nothing referred to them."}),
	}
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(s.collected); err != nil {
			return nil, fmt.Errorf("mail: register metrics: %w", err)
		}
	}
	limits := netlimit.Config{Max: cfg.MaxConnections, PerAddress: cfg.MaxConnectionsPerAddress}
	var err error
	if s.store, err = store.New(store.Config{DB: cfg.DB, Blobs: cfg.Blobs, Bus: cfg.Bus, Log: cfg.Log, Registerer: cfg.Registerer, Now: cfg.Now, MaxMailboxes: cfg.MaxMailboxes, Changed: s.changed}); err != nil {
		return nil, err
	}
	if s.queue, err = queue.New(queue.Config{
		DB: cfg.DB, Store: s.store, Directory: cfg.Directory, Hostname: cfg.Domain, Log: cfg.Log, Registerer: cfg.Registerer,
		Smarthost: cfg.Smarthost, Hold: cfg.Hold, Lifetime: cfg.QueueLifetime, Workers: cfg.QueueWorkers, KeepDone: cfg.QueueKeepDone, Grace: cfg.Grace, Now: cfg.Now,
	}); err != nil {
		return nil, err
	}
	if s.desk, err = submission.NewDesk(cfg.Domain, cfg.Directory, cfg.Directory, s.store, s.queue, cfg.Now); err != nil {
		return nil, err
	}
	if s.smtpd, err = smtpd.New(smtpd.Config{
		Hostname: cfg.Domain, Directory: cfg.Directory, Store: s.store, TLS: cfg.TLS, Log: cfg.Log, Registerer: cfg.Registerer,
		Now: cfg.Now, MaxMessageBytes: cfg.MaxMessageBytes, MaxRecipients: cfg.MaxRecipients, MaxConns: limits,
	}); err != nil {
		return nil, err
	}
	if s.submission, err = submission.New(submission.Config{
		Hostname: cfg.Domain, Desk: s.desk, Authenticator: cfg.Directory, TLS: cfg.TLS, Log: cfg.Log, Registerer: cfg.Registerer,
		MaxMessageBytes: cfg.MaxMessageBytes, MaxRecipients: cfg.MaxRecipients, MaxFailures: cfg.MaxFailures, MaxConns: limits,
	}); err != nil {
		return nil, err
	}
	s.imapd, err = imapd.New(imapd.Config{
		Authenticator: cfg.Directory, Store: s.store, TLS: cfg.TLS, Log: cfg.Log, Registerer: cfg.Registerer, MaxMessageBytes: cfg.MaxMessageBytes,
		MaxSearchWords: cfg.MaxSearchWords, MaxListPatterns: cfg.MaxListPatterns,
		MaxFailures: cfg.MaxFailures, MaxConns: limits, Opened: s.opened,
	})
	return s, err
}

// opened records that somebody opened a letter or a mailbox of their own.
func (s *Service) opened(actor identity.Actor, kind, id string) {
	if s.cfg.Audit != nil {
		s.cfg.Audit.Access(actor, "mailbox.read", identity.ObjectRef{Kind: kind, ID: id})
	}
}

// Run serves until ctx ends and all that it started has.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.store.Run(ctx) })
	g.Go(func() error { return s.queue.Run(ctx) })
	g.Go(func() error { return s.runCollector(ctx) })
	l := s.cfg.Listeners
	for _, front := range []struct {
		listener net.Listener
		serve    func(net.Listener) error
	}{
		{l.SMTP, func(l net.Listener) error { return s.smtpd.Serve(ctx, l, s.cfg.Grace) }},
		{l.Submission, func(l net.Listener) error { return s.submission.Serve(ctx, l, false, s.cfg.Grace) }},
		{l.Submissions, func(l net.Listener) error { return s.submission.Serve(ctx, l, true, s.cfg.Grace) }},
		{l.IMAP, func(l net.Listener) error { return s.imapd.Serve(ctx, l, false) }},
		{l.IMAPS, func(l net.Listener) error { return s.imapd.Serve(ctx, l, true) }},
	} {
		if front.listener != nil {
			g.Go(func() error { return front.serve(front.listener) })
		}
	}
	return g.Wait()
}

// Drain has nobody new connect. Connections that there are go on, so that what
// is being said comes to its end, until Run's context ends.
func (s *Service) Drain(context.Context) {
	l := s.cfg.Listeners
	for _, listener := range []net.Listener{l.SMTP, l.Submission, l.Submissions, l.IMAP, l.IMAPS} {
		if listener != nil {
			_ = listener.Close() // it may be closed already
		}
	}
}

// Revoke ends the connections of an account that was disabled.
func (s *Service) Revoke(r identity.Revocation) {
	s.imapd.Revoke(r)
	s.submission.Revoke(r)
}

// changed pushes a hint to the owner's open pages.
func (s *Service) changed(c store.Change) {
	if s.cfg.Notifier != nil {
		s.cfg.Notifier.Hint(context.Background(), []identity.PersonID{c.Owner}, "mail.changed", map[string]any{"arrived": c.Arrived})
	}
}
