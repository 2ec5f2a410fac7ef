package turn

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"commsd/internal/netlimit"
)

const (
	handshakeTime = 10 * time.Second // for TLS
	firstTime     = 30 * time.Second // to an allocation
	idleTime      = 2 * time.Minute  // ICE asks for consent every few seconds
	writeTime     = 10 * time.Second
	lastTime      = time.Second // for what waits at the end
	// streamQueue is what may wait for a client that reads slowly; more is lost, as
	// by a slow network. strangerQueue is that of one without an allocation, who
	// may be anybody.
	streamQueue   = 512 << 10
	strangerQueue = 4 << 10
)

// stream is a client's connection. serve reads it, one goroutine writes.
type stream struct {
	// Set at construction.
	of   *client
	due  chan struct{} // has room for one: pending is not empty
	done chan struct{} // closed when the reader has ended

	ended atomic.Bool // the reader is to end

	mu      sync.Mutex
	conn    net.Conn // set once; guarded by mu until then: nil while it is being made
	closed  bool     // guarded by mu
	pending []byte   // guarded by mu; whole messages
}

var errNonsense = errors.New("turn: no message of a client's")

func newStream(of *client, conn net.Conn) *stream {
	return &stream{of: of, conn: conn, due: make(chan struct{}, 1), done: make(chan struct{})}
}

// begin gives the stream its connection, which is closed at once where the
// stream has been meanwhile.
func (st *stream) begin(conn net.Conn) {
	st.mu.Lock()
	st.conn = conn
	closed := st.closed
	st.mu.Unlock()
	if closed {
		_ = conn.Close() // nobody waits for it
	}
}

func (st *stream) close() {
	st.mu.Lock()
	st.closed = true
	conn := st.conn
	st.mu.Unlock()
	if conn != nil {
		_ = conn.Close() // ends its reader and its writer
	}
}

// endReading ends the reader of a client's stream. What waits is still written.
func (st *stream) endReading() {
	st.ended.Store(true) // before the deadline: the reader looks after it has set its own
	st.mu.Lock()
	conn := st.conn
	st.mu.Unlock()
	_ = conn.SetReadDeadline(time.Now()) // it fails once the connection is closed, and the reader has ended
}

// accept serves the TLS listener until it is closed.
func (s *Server) accept(l *netlimit.Listener) {
	for {
		raw, err := l.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				s.log.Error("TURN connections are accepted no more", "err", err)
			}
			return
		}
		s.serving.Go(func() {
			defer s.recovered("connection")
			defer raw.Close()
			conn := tls.Server(raw, s.cfg.TLS)
			ctx, cancel := context.WithTimeout(context.Background(), handshakeTime)
			defer cancel()
			if conn.HandshakeContext(ctx) == nil {
				s.serveConn(conn)
			}
		})
	}
}

// ServeConn serves a connection that another listener accepted, and returns
// when it has ended; the connection is closed then. It serves none while Run
// does not run.
func (s *Server) ServeConn(conn net.Conn) {
	defer conn.Close()
	if s.enter() {
		defer s.serving.Done()
		s.serveConn(conn)
	}
}

func (s *Server) serveConn(conn net.Conn) {
	c := &client{}
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		c.addr = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	s.serveStream(conn, c)
}

// serveStream serves the client of a connection until that ends.
func (s *Server) serveStream(conn net.Conn, c *client) {
	st := newStream(c, conn)
	c.way = st
	s.pump(st, func() { s.read(st, conn) })
	if a := c.alloc.Load(); a != nil {
		s.end(a)
	}
	if l := c.link.Load(); l != nil {
		l.close()
	}
}

// pump writes what is pending for a stream while read runs, and closes its
// connection when that ends, or the server.
func (s *Server) pump(st *stream, read func()) {
	s.mu.Lock()
	running := s.running
	if running {
		s.streams[st] = struct{}{}
	}
	s.mu.Unlock()
	var writer sync.WaitGroup
	writer.Go(st.write)
	defer func() {
		s.mu.Lock()
		delete(s.streams, st)
		s.mu.Unlock()
		// What has been answered is sent, to a client that reads.
		_ = st.conn.SetWriteDeadline(time.Now().Add(lastTime)) // a failure shows in the write
		close(st.done)
		writer.Wait()
		st.close()
	}()
	if running {
		read()
	}
}

// read serves the messages of a stream until it ends, says nonsense, or is
// silent for too long, or it is to end.
func (s *Server) read(st *stream, conn net.Conn) {
	c := st.of
	r := bufio.NewReaderSize(conn, 2*maxMessage)
	first := time.Now().Add(firstTime)
	buf := make([]byte, maxMessage)
	for {
		deadline := first
		if c.alloc.Load() != nil || c.link.Load() != nil {
			deadline = time.Now().Add(idleTime)
		}
		if conn.SetReadDeadline(deadline) != nil || st.ended.Load() {
			return
		}
		b, err := readFrame(r, buf)
		if err != nil {
			return
		}
		s.handle(c, b)
		if c.handedOn && c.alloc.Load() == nil {
			return // it began with an allocation, and has none: the other node needs to keep nothing
		}
	}
}

// write writes what is pending until the reader has ended. What has gathered
// meanwhile goes in one piece.
func (st *stream) write() {
	var spare []byte
	for last := false; !last; {
		select {
		case <-st.done:
			last = true
		case <-st.due:
			_ = st.conn.SetWriteDeadline(time.Now().Add(writeTime)) // a failure shows in the write
		}
		st.mu.Lock()
		out := st.pending
		st.pending = spare[:0]
		st.mu.Unlock()
		if len(out) > 0 {
			if _, err := st.conn.Write(out); err != nil {
				st.close() // ends the reader
				return
			}
		}
		spare = out
	}
}

func (st *stream) queue(put func([]byte) []byte, n int) {
	most := streamQueue
	if st.of.alloc.Load() == nil && st.of.link.Load() == nil {
		most = strangerQueue
	}
	st.mu.Lock()
	if len(st.pending)+n > most {
		st.mu.Unlock()
		return
	}
	st.pending = put(st.pending)
	st.mu.Unlock()
	select {
	case st.due <- struct{}{}:
	default: // the writer has been told
	}
}

func (st *stream) send(message []byte) {
	st.queue(func(b []byte) []byte { return append(b, message...) }, len(message))
}

var padding [3]byte

func (st *stream) sendChannel(number uint16, payload []byte) {
	st.queue(func(b []byte) []byte {
		b = append(appendChannelHeader(b, number, len(payload)), payload...)
		return append(b, padding[:-len(payload)&3]...) // RFC 8656, 12.5
	}, channelHeader+len(payload)+3)
}
