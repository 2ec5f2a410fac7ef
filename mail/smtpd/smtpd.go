// Package smtpd takes mail from other servers: for recipients here, from
// anyone; for others, from nobody. It offers no sign-in. 250 after the data
// means that the message is durable in the mailbox of each recipient.
//
// It must not know the queue: nothing that comes in here goes out again.
//
// RFC 5321, 1870 (SIZE), 3207 (STARTTLS), 2034 (enhanced codes).
package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/netlimit"
	"commsd/mail/intake"
	"commsd/mail/mime"
	"commsd/mail/route"
	"commsd/mail/store"
)

// Config holds what New needs. TLS, Registerer and Now may be nil.
type Config struct {
	Hostname        string // what we call ourselves
	Directory       route.Directory
	Store           *store.Store
	TLS             *tls.Config // nil: no STARTTLS
	Log             *slog.Logger
	Registerer      prometheus.Registerer
	Now             func() time.Time
	MaxMessageBytes int64           // 0: 50 MiB
	MaxRecipients   int             // 0: 500
	MaxUnknown      int             // unknown recipients in one connection before it is closed; 0: 20
	MaxConns        netlimit.Config // zero: its defaults
}

// Server accepts mail.
type Server struct {
	// set at construction
	cfg    Config
	smtp   *smtp.Server
	taken  *prometheus.CounterVec // by outcome
	panics prometheus.Counter
}

// New validates cfg and starts nothing.
func New(cfg Config) (*Server, error) {
	if cfg.Hostname == "" || cfg.Directory == nil || cfg.Store == nil || cfg.Log == nil {
		return nil, errors.New("smtpd: Hostname, Directory, Store and Log are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxMessageBytes == 0 {
		cfg.MaxMessageBytes = 50 << 20
	}
	if cfg.MaxRecipients == 0 {
		cfg.MaxRecipients = 500
	}
	if cfg.MaxUnknown == 0 {
		cfg.MaxUnknown = 20
	}
	s := &Server{
		cfg:    cfg,
		taken:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "commsd_smtpd_messages_total", Help: "Messages offered by other servers, by outcome."}, []string{"outcome"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{Name: "commsd_smtpd_panics_total", Help: "Panics that ended a connection."}),
	}
	if cfg.Registerer != nil {
		for _, c := range []prometheus.Collector{s.taken, s.panics} {
			if err := cfg.Registerer.Register(c); err != nil {
				return nil, fmt.Errorf("smtpd: register metrics: %w", err)
			}
		}
	}
	s.smtp = smtp.NewServer(smtp.BackendFunc(s.newSession))
	s.smtp.Domain = cfg.Hostname
	s.smtp.TLSConfig = cfg.TLS
	s.smtp.MaxMessageBytes = cfg.MaxMessageBytes
	s.smtp.MaxRecipients = cfg.MaxRecipients
	s.smtp.MaxLineLength = intake.MaxLine
	s.smtp.ReadTimeout = 10 * time.Minute // go-smtp's spans the whole of DATA
	s.smtp.WriteTimeout = 5 * time.Minute
	s.smtp.ErrorLog = intake.Logger{Log: cfg.Log, Panic: s.panics.Inc}
	return s, nil
}

// Serve accepts connections on l until ctx ends, then lets messages that are
// being taken finish until grace has passed.
func (s *Server) Serve(ctx context.Context, l net.Listener, grace time.Duration) error {
	limits := s.cfg.MaxConns
	limits.Refused = func(remote string) { s.cfg.Log.Info("too many SMTP connections", "remote", remote) }
	limits.Short = func(err error) { s.cfg.Log.Error("mail connections cannot be accepted for now", "err", err) }
	return intake.Serve(ctx, s.smtp, netlimit.Wrap(l, limits), nil, grace)
}

// session is one connection's; go-smtp calls it from one goroutine at a time.
type session struct {
	server  *Server
	conn    *smtp.Conn
	unknown int

	// of the message that is being taken
	from string
	to   []route.Recipient
}

func (s *Server) newSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{server: s, conn: c}, nil
}

// Reset forgets the message.
func (s *session) Reset() { s.from, s.to = "", nil }

// Logout ends the session.
func (s *session) Logout() error { return nil }

// context bounds the work for one command. It is not the connection's: what a
// client has been promised must not depend on its staying.
func (s *session) context(limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), limit)
}

// Data takes the message.
func (s *session) Data(r io.Reader) error {
	ctx, cancel := s.context(15 * time.Minute) // more than the connection's for the content
	defer cancel()
	body := intake.NewBody(r, s.server.cfg.MaxMessageBytes)
	err := s.data(ctx, body)
	if err == nil {
		s.server.taken.WithLabelValues("delivered").Inc()
		return nil
	}
	s.server.taken.WithLabelValues("refused").Inc()
	body.HangUp(s.conn.Conn(), intake.HangUpWait)
	return intake.Answer(ctx, s.server.cfg.Log, "DATA", err)
}

func (s *session) data(ctx context.Context, r io.Reader) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	var agencies []identity.AgencyID
	for _, to := range s.to {
		agencies = append(agencies, to.Agency)
	}
	content, err := s.server.cfg.Store.Ingest(ctx, agencies, r, intake.CheckContent, checkFrom)
	if err != nil {
		return err
	}
	trace := intake.Trace{
		From: s.conn.Hostname(), Remote: intake.IP(s.conn.Conn().RemoteAddr()), By: s.server.cfg.Hostname,
		With: "ESMTP", ID: id.String(), At: s.server.cfg.Now(), MailFrom: s.from,
	}
	if _, ok := s.conn.TLSConnectionState(); ok {
		trace.With = "ESMTPS"
	}
	var to []store.Delivery
	for _, rcpt := range s.to {
		to = append(to, store.Delivery{Owner: rcpt.Person, Agency: rcpt.Agency, Trace: trace.For(rcpt.Address), Arrived: true})
	}
	if err := s.server.cfg.Store.Deliver(ctx, content, to, nil); err != nil {
		return err
	}
	s.server.cfg.Log.InfoContext(ctx, "mail came in", "id", id, "remote", trace.Remote, "recipients", len(to), "bytes", content.Size)
	return nil
}

// checkFrom refuses a message of several From: readers differ in which of them
// they show (RFC 7489, section 6.6.1).
func checkFrom(m *mime.Message) error {
	if m.From > 1 {
		return intake.Refuse(550, smtp.EnhancedCode{5, 6, 0}, "the message has more than one From")
	}
	return nil
}

// Mail takes the envelope sender.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.Reset()
	if from == "" {
		return nil // a bounce
	}
	normal, err := route.Normalise(from)
	if err != nil {
		return intake.Refuse(501, smtp.EnhancedCode{5, 1, 7}, errcode.Message(err))
	}
	s.from = normal
	return nil
}

// Rcpt takes a recipient that has a mailbox here.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.unknown >= s.server.cfg.MaxUnknown {
		// Somebody is trying names.
		defer s.conn.Conn().Close()
		s.server.cfg.Log.Warn("too many unknown recipients", "remote", intake.IP(s.conn.Conn().RemoteAddr()))
		return intake.Refuse(421, smtp.EnhancedCode{4, 7, 0}, "too many unknown recipients")
	}
	ctx, cancel := s.context(time.Minute)
	defer cancel()
	rcpt, err := route.Resolve(ctx, s.server.cfg.Directory, to)
	switch {
	case err != nil && errcode.Of(err) == errcode.Invalid:
		return intake.Refuse(501, smtp.EnhancedCode{5, 1, 3}, errcode.Message(err))
	case err != nil && errcode.Of(err) == errcode.NotFound:
		s.unknown++
		return intake.Answer(ctx, s.server.cfg.Log, "RCPT", err)
	case err != nil:
		return intake.Answer(ctx, s.server.cfg.Log, "RCPT", err)
	case !rcpt.Local():
		return intake.Refuse(550, smtp.EnhancedCode{5, 7, 1}, "this server takes mail for others only from its own people, signed in")
	}
	for _, have := range s.to {
		if have.Person == rcpt.Person {
			return nil // one copy each, however many of their addresses are named
		}
	}
	s.to = append(s.to, rcpt)
	return nil
}

var _ smtp.Session = (*session)(nil)
