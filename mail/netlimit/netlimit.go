// Package netlimit accepts connections up to a number in all and for each
// address, and can close them and wait for their end, which the mail protocol
// servers it stands before cannot all do.
//
// It must not know any protocol.
package netlimit

import (
	"net"
	"sync"
	"time"
)

// Config bounds a listener. Zero means the default.
type Config struct {
	Max        int           // connections at once, 1000
	PerAddress int           // of one IP address, 50
	First      time.Duration // deadline for a connection's first bytes (a TLS handshake), 30 s; the server above sets its own later

	// Refused, if any, is told of each connection over a limit.
	Refused func(remote string)
}

// Listener is a net.Listener that knows its connections.
type Listener struct {
	net.Listener
	cfg Config

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
	return &Listener{Listener: l, cfg: cfg, conns: map[*conn]struct{}{}, counts: map[string]int{}}
}

// Accept waits for a connection within the limits; others are closed unheard.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if wrapped := l.admit(c); wrapped != nil {
			return wrapped, nil
		}
		if l.cfg.Refused != nil {
			l.cfg.Refused(c.RemoteAddr().String())
		}
		_ = c.Close() // nobody was promised anything
	}
}

func (l *Listener) admit(c net.Conn) net.Conn {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		host = c.RemoteAddr().String()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.conns) >= l.cfg.Max || l.counts[host] >= l.cfg.PerAddress {
		return nil
	}
	_ = c.SetDeadline(time.Now().Add(l.cfg.First)) // a connection that cannot is about to fail anyway
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
