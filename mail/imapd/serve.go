package imapd

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"regexp"
	"sync"
	"sync/atomic"

	"github.com/emersion/go-imap/v2/imapserver"

	"commsd/mail/intake"
	"commsd/mail/netlimit"
)

// Serve accepts connections on l until ctx ends, closes them and waits for
// their sessions. With implicit, connections begin with TLS; without, signing
// in wants STARTTLS unless l is bound to loopback.
func (s *Server) Serve(ctx context.Context, l net.Listener, implicit bool) error {
	limits := s.cfg.MaxConns
	limits.Refused = func(remote string) { s.cfg.Log.Info("too many IMAP connections", "remote", remote) }
	limited := netlimit.Wrap(l, limits)
	stop := context.AfterFunc(ctx, func() { _ = limited.Close() }) // it may be closed already
	defer stop()
	var running sync.WaitGroup
	defer running.Wait()
	defer limited.CloseConns()
	for {
		c, err := limited.Accept()
		if err != nil {
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

// serveConn serves one connection to its end. It has a go-imap server of its
// own, so that what goes over this connection can be looked at.
func (s *Server) serveConn(ctx context.Context, c net.Conn, implicit, insecure bool) {
	raw := &watched{Conn: c, closed: make(chan struct{})}
	var front net.Conn = raw
	if implicit {
		front = tls.Server(raw, s.cfg.TLS)
	}
	g := &guard{conn: raw}
	var sess *session
	srv := imapserver.New(&imapserver.Options{
		NewSession: func(c *imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			sess = s.newSession(ctx, c, g)
			return sess, nil, nil
		},
		Caps: caps, TLSConfig: s.cfg.TLS, InsecureAuth: insecure, DebugWriter: g,
		Logger: intake.Logger{Log: s.cfg.Log, Panic: s.panics.Inc},
	})
	_ = srv.Serve(&single{Conn: front, closed: raw.closed}) // it ends when the connection is closed
	if sess != nil {
		<-sess.ended
	}
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

// refusal is what go-imap v2.0.0-beta.8 answers to a literal that it does not
// read. One that came without being asked for (RFC 7888) is on its way then,
// and its bytes, which others may have written, would be taken for commands.
var refusal = regexp.MustCompile(`^[^ ]+ (NO|BAD) (\[[A-Z]+\] )?(Literals are limited to|Non-synchronizing literals are limited to) [0-9]+ bytes[^\r\n]*\r\n$`)

// guard sees what goes over a connection in both directions, and ends it when a
// literal was refused that is not read.
type guard struct {
	conn net.Conn
	dead atomic.Bool // no command has any effect any more

	mu      sync.Mutex
	tail    []byte // the end of what came before; guarded by mu
	unasked bool   // a literal may have come without being asked for; guarded by mu
}

// Write never fails; each call is one read or one write of the connection.
func (g *guard) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.unasked && len(b) < 300 && refusal.Match(b) {
		g.dead.Store(true)
		_ = g.conn.Close() // it ends either way
		return len(b), nil
	}
	if !g.unasked {
		mark := []byte("+}")
		g.unasked = bytes.Contains(b, mark) || bytes.Contains(append(g.tail, b[:min(len(b), 1)]...), mark)
		g.tail = append(g.tail[:0], b[max(0, len(b)-1):]...)
	}
	return len(b), nil
}
