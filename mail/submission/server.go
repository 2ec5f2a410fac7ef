package submission

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/prometheus/client_golang/prometheus"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/netlimit"
	"commsd/mail/intake"
	"commsd/mail/route"
)

// Authenticator checks passwords. Errors: errcode.Unauthenticated for wrong
// ones, errcode.RateLimited after too many.
type Authenticator interface {
	AuthenticatePassword(ctx context.Context, login, password, address, scope string) (identity.Actor, error)
	// AuthenticateAgain returns the actor of AuthenticatePassword as it is now;
	// errcode.Unauthenticated when what it signed in by is good no more.
	AuthenticateAgain(ctx context.Context, actor identity.Actor, scope string) (identity.Actor, error)
}

// Config holds what New needs. Registerer may be nil.
type Config struct {
	Hostname        string
	Desk            *Desk
	Authenticator   Authenticator
	TLS             *tls.Config
	Log             *slog.Logger
	Registerer      prometheus.Registerer
	MaxMessageBytes int64           // 0: 50 MiB
	MaxRecipients   int             // 0: 500
	MaxFailures     int             // failed sign-ins of one connection before it is closed; 0: 5
	MaxConns        netlimit.Config // zero: its defaults
}

// Server takes mail over SMTP from people who sign in, on listeners that begin
// in plain (STARTTLS) and in TLS. Signing in wants TLS, on loopback too: there
// is one rule, and every client knows how.
type Server struct {
	// set at construction
	cfg     Config
	taken   *prometheus.CounterVec
	panics  prometheus.Counter
	signIns *prometheus.CounterVec

	revoked intake.Revoked

	mu       sync.Mutex
	sessions map[*session]identity.Actor // those signed in; guarded by mu
}

// New validates cfg and starts nothing.
func New(cfg Config) (*Server, error) {
	if cfg.Hostname == "" || cfg.Desk == nil || cfg.Authenticator == nil || cfg.TLS == nil || cfg.Log == nil {
		return nil, errors.New("submission: Hostname, Desk, Authenticator, TLS and Log are required")
	}
	if cfg.MaxMessageBytes == 0 {
		cfg.MaxMessageBytes = 50 << 20
	}
	if cfg.MaxRecipients == 0 {
		cfg.MaxRecipients = 500
	}
	if cfg.MaxFailures == 0 {
		cfg.MaxFailures = 5
	}
	s := &Server{
		cfg: cfg, sessions: map[*session]identity.Actor{},
		taken:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "commsd_submission_messages_total", Help: "Messages submitted over SMTP, by outcome."}, []string{"outcome"}),
		signIns: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "commsd_submission_sign_ins_total", Help: "Sign-ins over SMTP, by outcome."}, []string{"outcome"}),
		panics:  prometheus.NewCounter(prometheus.CounterOpts{Name: "commsd_submission_panics_total", Help: "Panics that ended a connection."}),
	}
	if cfg.Registerer != nil {
		for _, c := range []prometheus.Collector{s.taken, s.signIns, s.panics} {
			if err := cfg.Registerer.Register(c); err != nil {
				return nil, fmt.Errorf("submission: register metrics: %w", err)
			}
		}
	}
	return s, nil
}

// Serve accepts connections on l until ctx ends, then gives messages that are
// being taken grace to end. With implicit, connections begin with TLS.
func (s *Server) Serve(ctx context.Context, l net.Listener, implicit bool, grace time.Duration) error {
	srv := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{server: s, conn: c}, nil
	}))
	srv.Domain = s.cfg.Hostname
	srv.TLSConfig = s.cfg.TLS
	srv.MaxMessageBytes = s.cfg.MaxMessageBytes
	srv.MaxRecipients = s.cfg.MaxRecipients
	srv.MaxLineLength = intake.MaxLine
	srv.ReadTimeout = 10 * time.Minute // go-smtp's spans the whole of DATA
	srv.WriteTimeout = 5 * time.Minute
	srv.ErrorLog = intake.Logger{Log: s.cfg.Log, Panic: s.panics.Inc}
	limits := s.cfg.MaxConns
	limits.Refused = func(remote string) { s.cfg.Log.Info("too many submission connections", "remote", remote) }
	limits.Short = func(err error) { s.cfg.Log.Error("mail connections cannot be accepted for now", "err", err) }
	var front *tls.Config
	if implicit {
		front = s.cfg.TLS
	}
	return intake.Serve(ctx, srv, netlimit.Wrap(l, limits), front, grace)
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
	for sess, a := range s.sessions {
		if intake.Ends(r, a) {
			conns = append(conns, sess.conn.Conn())
		}
	}
	s.mu.Unlock()
	for _, c := range conns {
		_ = c.Close() // it ends either way
	}
}

// session is one connection's; go-smtp calls it from one goroutine at a time.
type session struct {
	server   *Server
	conn     *smtp.Conn
	actor    identity.Actor
	signedIn bool
	failures int

	// of the message that is being taken
	from string
	to   []route.Recipient
}

// Reset forgets the message, not the person.
func (s *session) Reset() { s.from, s.to = "", nil }

// Logout ends the session.
func (s *session) Logout() error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	delete(s.server.sessions, s)
	return nil
}

// AuthMechanisms lists what may be signed in with. LOGIN is for Outlook.
func (s *session) AuthMechanisms() []string { return []string{sasl.Plain, sasl.Login} }

// Auth begins a sign-in.
func (s *session) Auth(mech string) (sasl.Server, error) {
	switch mech {
	case sasl.Plain:
		return sasl.NewPlainServer(func(acting, login, password string) error {
			if acting != "" && acting != login {
				return intake.Refuse(535, smtp.EnhancedCode{5, 7, 8}, "nobody signs in for somebody else")
			}
			return s.signIn(login, password)
		}), nil
	case sasl.Login:
		return &loginServer{signIn: s.signIn}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

func (s *session) signIn(login, password string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	remote := intake.IP(s.conn.Conn().RemoteAddr())
	if s.failures >= s.server.cfg.MaxFailures {
		defer s.conn.Conn().Close()
		return intake.Refuse(421, smtp.EnhancedCode{4, 7, 0}, "too many failed sign-ins")
	}
	now := s.server.revoked.Now()
	actor, err := s.server.cfg.Authenticator.AuthenticatePassword(ctx, login, password, remote, "smtp")
	if err != nil {
		s.server.signIns.WithLabelValues("refused").Inc()
		s.failures++
		if errcode.Of(err) == errcode.RateLimited {
			return intake.Refuse(454, smtp.EnhancedCode{4, 7, 0}, errcode.Message(err))
		}
		return intake.Answer(ctx, s.server.cfg.Log, "AUTH", err)
	}
	s.server.signIns.WithLabelValues("ok").Inc()
	s.actor, s.signedIn = actor, true
	s.server.mu.Lock()
	s.server.sessions[s] = actor
	s.server.mu.Unlock()
	if s.server.revoked.Since(now, actor) {
		return s.conn.Conn().Close()
	}
	return nil
}

// again has the session act as who signed in is now, or nobody when what they
// signed in by is good no more.
func (s *session) again(ctx context.Context) error {
	now := s.server.revoked.Now()
	actor, err := s.server.cfg.Authenticator.AuthenticateAgain(ctx, s.actor, "smtp")
	if errcode.Of(err) == errcode.Unauthenticated {
		s.signedIn = false // a client hangs up at 421; go-smtp takes one AUTH a connection
		return intake.Refuse(421, smtp.EnhancedCode{4, 7, 0}, errcode.Message(err))
	}
	if err != nil {
		return err
	}
	s.actor = actor
	s.server.mu.Lock()
	s.server.sessions[s] = actor
	s.server.mu.Unlock()
	if s.server.revoked.Since(now, actor) {
		return s.conn.Conn().Close()
	}
	return nil
}

var errSignIn = &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "sign in first (AUTH, after STARTTLS)"}

// Mail takes the envelope sender: the person's own, or none.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.Reset()
	if !s.signedIn {
		return errSignIn
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.again(ctx); err != nil {
		return intake.Answer(ctx, s.server.cfg.Log, "MAIL", err)
	}
	if from == "" {
		return nil
	}
	if err := s.server.cfg.Desk.MayUse(ctx, s.actor, from); err != nil {
		return intake.Answer(ctx, s.server.cfg.Log, "MAIL", err)
	}
	s.from = from
	return nil
}

// Rcpt takes any recipient but one of ours that nobody has.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	rcpt, err := s.server.cfg.Desk.Resolve(ctx, to)
	if err != nil {
		if errcode.Of(err) == errcode.Invalid {
			return intake.Refuse(501, smtp.EnhancedCode{5, 1, 3}, errcode.Message(err))
		}
		return intake.Answer(ctx, s.server.cfg.Log, "RCPT", err)
	}
	s.to = append(s.to, rcpt)
	return nil
}

// Data takes the message.
func (s *session) Data(r io.Reader) error {
	// Not the connection's context: what the client is promised must not depend
	// on its staying.
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute) // more than the connection's for the content
	defer cancel()
	if !s.signedIn {
		return errSignIn
	}
	body := intake.NewBody(r, s.server.cfg.MaxMessageBytes)
	id, err := s.server.cfg.Desk.Accept(ctx, Submission{
		Actor: s.actor, From: s.from, To: s.to,
		Trace: intake.Trace{From: s.conn.Hostname(), Remote: intake.IP(s.conn.Conn().RemoteAddr()), With: "ESMTPSA"},
	}, body)
	if err != nil {
		s.server.taken.WithLabelValues("refused").Inc()
		body.HangUp(s.conn.Conn(), intake.HangUpWait)
		return intake.Answer(ctx, s.server.cfg.Log, "DATA", err)
	}
	s.server.taken.WithLabelValues("accepted").Inc()
	s.server.cfg.Log.InfoContext(ctx, "mail was submitted", "id", id, "account", s.actor.Account, "recipients", len(s.to))
	return nil
}

// loginServer is AUTH LOGIN, which no RFC describes: the server asks for the
// user name and then for the password.
type loginServer struct {
	signIn func(login, password string) error
	step   int
	login  string
}

// Next takes the client's answer and gives the next question.
func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case l.step == 0 && response == nil:
		l.step = 1
		return []byte("Username:"), false, nil
	case l.step <= 1:
		l.step, l.login = 2, string(response)
		return []byte("Password:"), false, nil
	case l.step == 2:
		l.step = 3
		return nil, true, l.signIn(l.login, string(response))
	}
	return nil, false, sasl.ErrUnexpectedClientResponse
}

var (
	_ smtp.AuthSession = (*session)(nil)
	_ sasl.Server      = (*loginServer)(nil)
)
