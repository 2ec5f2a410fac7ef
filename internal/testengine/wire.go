package testengine

import (
	"context"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Wire stands between a server and its clients, and can stall: then it closes
// nothing and carries nothing, as a network that swallows packets.
type Wire struct {
	// Set at construction.
	to    string
	front net.Listener
	done  chan struct{} // closed once the test has ended
	loops sync.WaitGroup

	mu      sync.Mutex
	flowing chan struct{} // guarded by mu; closed while it carries
	conns   []net.Conn    // guarded by mu
}

// NewWire returns a wire to the server of a URL, of a database say, and the URL
// through it. It ends with the test.
func NewWire(t testing.TB, to string) (*Wire, string) {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	front, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{to: u.Host, front: front, done: make(chan struct{}), flowing: make(chan struct{})}
	close(w.flowing)
	w.loops.Go(w.accept)
	t.Cleanup(func() {
		close(w.done)
		_ = front.Close()
		w.mu.Lock()
		for _, c := range w.conns {
			_ = c.Close()
		}
		w.mu.Unlock()
		w.loops.Wait()
	})
	u.Host = front.Addr().String()
	return w, u.String()
}

// Stall lets nothing through any more.
func (w *Wire) Stall() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.flowing:
		w.flowing = make(chan struct{})
	default:
	}
}

// Resume carries on, with what waited first.
func (w *Wire) Resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.flowing:
	default:
		close(w.flowing)
	}
}

func (w *Wire) accept() {
	for {
		client, err := w.front.Accept()
		if err != nil {
			return
		}
		if !w.keep(client) {
			return
		}
		w.loops.Go(func() {
			defer client.Close()
			if !w.wait() {
				return
			}
			server, err := new(net.Dialer).DialContext(context.Background(), "tcp", w.to)
			if err != nil || !w.keep(server) {
				return
			}
			defer server.Close()
			w.loops.Go(func() { w.carry(client, server) })
			w.carry(server, client)
		})
	}
}

// keep has c closed at the end; false when that has come.
func (w *Wire) keep(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.done:
		_ = c.Close()
		return false
	default:
	}
	w.conns = append(w.conns, c)
	return true
}

// wait returns once the wire carries, and false at its end.
func (w *Wire) wait() bool {
	w.mu.Lock()
	flowing := w.flowing
	w.mu.Unlock()
	select {
	case <-flowing:
		return true
	case <-w.done:
		return false
	}
}

// carry copies until either end closes.
func (w *Wire) carry(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if !w.wait() {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				_ = from.Close()
				return
			}
		}
		if err != nil {
			if w.wait() {
				_ = to.Close() // a stalled wire does not tell of it
			}
			return
		}
	}
}
