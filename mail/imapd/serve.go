package imapd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/emersion/go-imap/v2/imapserver"

	"commsd/internal/netlimit"
	"commsd/mail/intake"
)

// Serve accepts connections on l until ctx ends, closes them and waits for
// their sessions. Whoever closes l has it accept nothing more from then on. With
// implicit, connections begin with TLS; without, signing in wants STARTTLS unless
// l is bound to loopback.
func (s *Server) Serve(ctx context.Context, l net.Listener, implicit bool) error {
	limits := s.cfg.MaxConns
	limits.Refused = func(remote string) { s.cfg.Log.Info("too many IMAP connections", "remote", remote) }
	limits.Short = func(err error) { s.cfg.Log.Error("mail connections cannot be accepted for now", "err", err) }
	limited := netlimit.Wrap(l, limits)
	stop := context.AfterFunc(ctx, func() { _ = limited.Close() }) // it may be closed already
	defer stop()
	var running sync.WaitGroup
	defer running.Wait()
	defer limited.CloseConns()
	for {
		c, err := limited.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				<-ctx.Done()
			}
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("imapd: accept: %w", err)
		}
		running.Add(1)
		go func() {
			defer running.Done()
			s.serveConn(ctx, c, implicit, loopback(l.Addr()))
		}()
	}
}

// serveConn serves one connection to its end.
func (s *Server) serveConn(ctx context.Context, c net.Conn, implicit, insecure bool) {
	defer c.Close() // for where go-imap has not begun
	var g *gate
	var err error
	if implicit {
		g, err = s.secure(ctx, c, nil)
	} else {
		g, err = s.greet(ctx, c, insecure)
	}
	if err != nil {
		s.cfg.Log.DebugContext(ctx, "an IMAP connection ended before sign-in", "remote", intake.IP(c.RemoteAddr()), "err", err)
		return
	}
	ended := make(chan struct{})
	w := &watched{Conn: g, closed: make(chan struct{})}
	srv := imapserver.New(&imapserver.Options{
		NewSession: func(c *imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return s.newSession(ctx, c, ended), nil, nil
		},
		Caps: caps, InsecureAuth: true, // whoever comes here may sign in
		Logger: intake.Logger{Log: s.cfg.Log, Panic: s.panics.Inc},
	})
	_ = srv.Serve(&single{Conn: w, closed: w.closed}) // it ends when the connection is closed
	<-ended
}

// watched tells when a connection was closed.
type watched struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (w *watched) Close() error {
	defer w.once.Do(func() { close(w.closed) })
	return w.Conn.Close()
}

// single is a listener for one connection that there is already.
type single struct {
	net.Conn
	given  bool
	closed <-chan struct{}
}

func (l *single) Accept() (net.Conn, error) {
	if !l.given {
		l.given = true
		return l.Conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *single) Addr() net.Addr { return l.LocalAddr() }
