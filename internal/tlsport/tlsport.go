// Package tlsport lets HTTPS and another protocol that begins with a byte of
// its own share one TLS port: a client that offers ALPN speaks HTTP; of those
// that do not, the first byte inside TLS tells.
//
// It must not know either protocol beyond that byte.
package tlsport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"
)

// Config holds what New needs.
type Config struct {
	TLS *tls.Config // its NextProtos are those of HTTP
	// IsOther tells the other protocol by its first byte.
	IsOther func(first byte) bool
	// Other serves a connection of the other protocol and returns when it has
	// ended. It waits for its own, not Run.
	Other func(net.Conn)
	// Timeout is for the handshake, and again for the first byte; 0: 10 s.
	Timeout time.Duration
	Log     *slog.Logger // nil: slog.Default
}

// Listener accepts the HTTPS connections of a port, after their handshake.
type Listener struct {
	net.Listener
	cfg   Config
	https chan net.Conn
	done  chan struct{} // closed by Close
	once  sync.Once

	parting sync.WaitGroup

	mu      sync.Mutex
	pending map[net.Conn]struct{} // guarded by mu; not parted yet; nil once closed
}

// New takes the connections of l, which it closes. It starts nothing.
func New(l net.Listener, cfg Config) *Listener {
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Listener{Listener: l, cfg: cfg, https: make(chan net.Conn), done: make(chan struct{}), pending: map[net.Conn]struct{}{}}
}

// Run accepts and parts connections until Close.
func (l *Listener) Run() {
	defer l.parting.Wait()
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			_ = l.Close() // so that Accept ends, too
			return
		}
		l.parting.Add(1)
		go l.part(raw)
	}
}

// Accept waits for the next HTTPS connection: a *tls.Conn where ALPN said so.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.https:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Run and Accept, and what has not been parted yet.
func (l *Listener) Close() error {
	var err error
	l.once.Do(func() {
		close(l.done)
		err = l.Listener.Close()
		l.mu.Lock()
		pending := l.pending
		l.pending = nil
		l.mu.Unlock()
		for c := range pending {
			_ = c.Close() // nobody was promised anything
		}
	})
	return err
}

// keep remembers raw while it is parted; it answers false after Close.
func (l *Listener) keep(raw net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending == nil {
		return false
	}
	l.pending[raw] = struct{}{}
	return true
}

// part leads a connection to who speaks its protocol.
func (l *Listener) part(raw net.Conn) {
	parted := sync.OnceFunc(func() {
		l.mu.Lock()
		delete(l.pending, raw)
		l.mu.Unlock()
		l.parting.Done()
	})
	defer parted()
	defer func() {
		if v := recover(); v != nil {
			l.cfg.Log.Error("panic on a shared port", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			_ = raw.Close() // whatever it was
		}
	}()
	if !l.keep(raw) {
		_ = raw.Close()
		return
	}
	conn := tls.Server(raw, l.cfg.TLS)
	ctx, cancel := context.WithTimeout(context.Background(), l.cfg.Timeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		explain(err)
		_ = raw.Close()
		return
	}
	if conn.ConnectionState().NegotiatedProtocol != "" {
		l.deliver(conn)
		return
	}
	var first [1]byte
	_ = conn.SetReadDeadline(time.Now().Add(l.cfg.Timeout)) // a failure shows in the read
	if _, err := io.ReadFull(conn, first[:]); err != nil {
		_ = conn.Close()
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	whole := &unread{Conn: conn, first: first[:]}
	if !l.cfg.IsOther(first[0]) {
		l.deliver(whole)
		return
	}
	parted()
	l.cfg.Other(whole)
}

func (l *Listener) deliver(c net.Conn) {
	select {
	case l.https <- c:
	case <-l.done:
		_ = c.Close()
	}
}

// explain tells a client that speaks plain HTTP what is wrong, as net/http does.
func explain(err error) {
	var header tls.RecordHeaderError
	if !errors.As(err, &header) || header.Conn == nil {
		return
	}
	switch string(header.RecordHeader[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		_, _ = io.WriteString(header.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n") // it may be gone
	}
}

// unread is a connection whose first byte was looked at.
type unread struct {
	net.Conn
	first []byte // owned by the reader
}

// Read reads the first byte, then the rest.
func (u *unread) Read(b []byte) (int, error) {
	if len(u.first) > 0 {
		n := copy(b, u.first)
		u.first = u.first[n:]
		return n, nil
	}
	return u.Conn.Read(b)
}
