// Package netlimit accepts connections up to a number in all and for each
// address, goes on when the process has no file descriptor left for a moment,
// and can close connections, which the servers it stands before cannot all do.
//
// It must not know any protocol.
package netlimit

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Config bounds a listener. Zero means the default.
type Config struct {
	Max        int           // connections at once, 1000
	PerAddress int           // of one IP address, 50
	First      time.Duration // deadline for a connection's first bytes (a TLS handshake), 30 s; the server above sets its own later; negative: none

	// Exempt, if any, names addresses that PerAddress does not bind, such as
	// a proxy's in front.
	Exempt func(netip.Addr) bool

	// Short, if any, is told when accepting fails for want of something that
	// others have, such as file descriptors, and is tried again.
	Short func(error)

	// Refused, if any, is told of each connection over a limit.
	Refused func(remote string)
}

// Listener is a net.Listener that knows its connections.
type Listener struct {
	net.Listener
	cfg   Config
	ended chan struct{} // closed by Close
	once  sync.Once

	mu     sync.Mutex
	conns  map[*conn]struct{} // guarded by mu
	counts map[string]int     // by IP address; guarded by mu
	closed bool               // guarded by mu
}

// Wrap puts limits before l.
func Wrap(l net.Listener, cfg Config) *Listener {
	if cfg.Max == 0 {
		cfg.Max = 1000
	}
	if cfg.PerAddress == 0 {
		cfg.PerAddress = 50
	}
	if cfg.First == 0 {
		cfg.First = 30 * time.Second
	}
	return &Listener{Listener: l, cfg: cfg, ended: make(chan struct{}), conns: map[*conn]struct{}{}, counts: map[string]int{}}
}

// Accept waits for a connection within the limits; others are closed unheard.
func (l *Listener) Accept() (net.Conn, error) {
	pause := time.Duration(0)
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			if !passes(err) {
				return nil, err
			}
			// Whoever holds all descriptors must not be able to end a server.
			if l.cfg.Short != nil && pause == 0 {
				l.cfg.Short(err)
			}
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			if !l.wait(pause) {
				return nil, net.ErrClosed
			}
			continue
		}
		pause = 0
		if wrapped := l.admit(c); wrapped != nil {
			return wrapped, nil
		}
		if l.cfg.Refused != nil {
			l.cfg.Refused(c.RemoteAddr().String())
		}
		_ = c.Close() // nobody was promised anything
	}
}

// passes tells whether accepting may succeed later: accept(2) names these.
func passes(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EPROTO, syscall.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// wait waits for d; it answers false at once when the listener is closed.
func (l *Listener) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.ended:
		return false
	}
}

// Close has the listener accept nothing more. Connections go on.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.ended) })
	return l.Listener.Close()
}

func (l *Listener) admit(c net.Conn) net.Conn {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		host = c.RemoteAddr().String()
	}
	exempt := false
	if a, err := netip.ParseAddr(host); err == nil && l.cfg.Exempt != nil {
		exempt = l.cfg.Exempt(a.Unmap())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.conns) >= l.cfg.Max || !exempt && l.counts[host] >= l.cfg.PerAddress {
		return nil
	}
	if l.cfg.First > 0 {
		_ = c.SetDeadline(time.Now().Add(l.cfg.First)) // a connection that cannot is about to fail anyway
	}
	w := &conn{Conn: c, listener: l, host: host}
	l.conns[w] = struct{}{}
	l.counts[host]++
	return w
}

// CloseConns closes all connections; those accepted later are closed at once.
func (l *Listener) CloseConns() {
	l.mu.Lock()
	l.closed = true
	open := make([]*conn, 0, len(l.conns))
	for c := range l.conns {
		open = append(open, c)
	}
	l.mu.Unlock()
	for _, c := range open {
		_ = c.Close() // it ends either way
	}
}

// Open tells how many connections are open.
func (l *Listener) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

type conn struct {
	net.Conn
	listener *Listener
	host     string
	once     sync.Once
}

// Close closes the connection and gives its place back.
func (c *conn) Close() error {
	c.once.Do(func() {
		c.listener.mu.Lock()
		defer c.listener.mu.Unlock()
		delete(c.listener.conns, c)
		if c.listener.counts[c.host]--; c.listener.counts[c.host] <= 0 {
			delete(c.listener.counts, c.host)
		}
	})
	return c.Conn.Close()
}
