package turn

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"commsd/internal/netlimit"
)

const (
	handshakeTime = 10 * time.Second // for TLS
	firstTime     = 30 * time.Second // to an allocation
	idleTime      = 2 * time.Minute  // ICE asks for consent every few seconds
	writeTime     = 10 * time.Second
	// streamQueue is what may wait for a client that reads slowly; more is lost, as
	// by a slow network. strangerQueue is that of one without an allocation, who
	// may be anybody.
	streamQueue   = 512 << 10
	strangerQueue = 4 << 10
)

// stream is a client's connection. serve reads it, one goroutine writes.
type stream struct {
	conn net.Conn
	of   *client
	due  chan struct{} // has room for one: pending is not empty
	done chan struct{} // closed when the reader has ended

	mu      sync.Mutex
	pending []byte // guarded by mu; whole messages
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
	s.mu.Lock()
	if !s.running {
		s.mu.Unlock()
		return
	}
	s.serving.Add(1)
	s.mu.Unlock()
	defer s.serving.Done()
	s.serveConn(conn)
}

func (s *Server) serveConn(conn net.Conn) {
	st := &stream{conn: conn, due: make(chan struct{}, 1), done: make(chan struct{})}
	s.mu.Lock()
	running := s.running
	if running {
		s.streams[st] = struct{}{}
	}
	s.mu.Unlock()
	if !running {
		return
	}
	c := &client{way: st}
	st.of = c
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		c.addr = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	var writer sync.WaitGroup
	writer.Go(st.write)
	defer func() {
		s.mu.Lock()
		delete(s.streams, st)
		s.mu.Unlock()
		if a := c.alloc.Load(); a != nil {
			s.end(a)
		}
		close(st.done)
		_ = conn.Close() // ends a write under way
		writer.Wait()
	}()
	s.read(c, conn)
}

// read serves the messages of a stream until it ends, says nonsense, or is
// silent for too long.
func (s *Server) read(c *client, conn net.Conn) {
	r := bufio.NewReaderSize(conn, 2*maxMessage)
	first := time.Now().Add(firstTime)
	buf := make([]byte, maxMessage)
	for {
		deadline := first
		if c.alloc.Load() != nil {
			deadline = time.Now().Add(idleTime)
		}
		if conn.SetReadDeadline(deadline) != nil {
			return
		}
		var header [channelHeader]byte
		if _, err := io.ReadFull(r, header[:]); err != nil {
			return
		}
		n := frameLength(header)
		if n == 0 {
			return
		}
		copy(buf, header[:])
		if _, err := io.ReadFull(r, buf[channelHeader:n]); err != nil {
			return
		}
		s.handle(c, buf[:n])
	}
}

// write writes what is pending until the reader has ended. What has gathered
// meanwhile goes in one piece.
func (st *stream) write() {
	var spare []byte
	for {
		select {
		case <-st.done:
			return
		case <-st.due:
		}
		st.mu.Lock()
		out := st.pending
		st.pending = spare[:0]
		st.mu.Unlock()
		_ = st.conn.SetWriteDeadline(time.Now().Add(writeTime)) // a failure shows in the write
		if _, err := st.conn.Write(out); err != nil {
			_ = st.conn.Close() // ends the reader
			return
		}
		spare = out
	}
}

func (st *stream) queue(put func([]byte) []byte, n int) {
	most := streamQueue
	if st.of.alloc.Load() == nil {
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
