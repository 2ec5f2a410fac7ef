package turn

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/pion/stun/v4"
)

// Where several nodes stand behind one name, a client's relay may be another
// node than the one that its place is on. That one hands the client's messages
// on, as they are, to the relay of the node that the credential names, which
// alone decides what is relayed, and relays to its own media alone. So a node
// sends nothing to an address of a client's choosing, media of other nodes
// included.

// linkTime bounds how long it takes to reach another node's relay.
const linkTime = 5 * time.Second

// ErrNoNode says that the node of a credential is not another one that lives.
var ErrNoNode = errors.New("turn: no such node")

// ServeNode serves a client that another node hands on: what comes by conn is
// the messages of the client at addr, as a stream has them. It returns when the
// connection has ended, which is closed then. It serves none while Run does not
// run.
func (s *Server) ServeNode(conn net.Conn, addr netip.AddrPort) {
	defer conn.Close()
	if s.enter() {
		defer s.serving.Done()
		s.serveStream(conn, &client{addr: addr, handedOn: true})
	}
}

// enter has Run wait for a handler, which calls s.serving.Done at its end.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		s.serving.Add(1)
	}
	return s.running
}

// link hands the client's messages on to another node's relay, beginning with
// m, a request to allocate.
func (s *Server) link(c *client, m *stun.Message, w who) {
	s.mu.Lock()
	acc, why := s.accountLocked(w.user)
	if why != "" {
		s.mu.Unlock()
		s.overQuota(c, m, w, why)
		return
	}
	st := newStream(c, nil)
	st.send(m.Raw)
	acc.links++
	s.count++
	s.metrics.linked.Inc()
	if _, ok := c.way.(datagram); ok {
		s.datagram[c.addr] = c
	}
	c.link.Store(st)
	s.serving.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.serving.Done()
		defer s.recovered("link to another node")
		err := s.handOn(c, st, w, acc)
		// The client is linked no more: this node answers what it asks next.
		switch {
		case errors.Is(err, ErrNoNode):
			s.refuseEnded(c, m, w)
		case err != nil:
			s.log.Warn("a client's relay is another node, which cannot be reached", "node", w.node, "user", w.user, "client", c.addr, "err", err)
			s.metrics.refused.WithLabelValues("link").Inc()
			s.refuse(c, m, w.key, stun.CodeInsufficientCapacity, "Insufficient Capacity")
		}
	}()
}

// handOn serves a link until it ends. An error says why it never began.
func (s *Server) handOn(c *client, st *stream, w who, acc *account) error {
	defer s.unlink(c, w.user, acc)
	ctx, cancel := context.WithTimeout(s.stop, linkTime)
	conn, err := s.cfg.Link(ctx, w.node, c.addr)
	cancel()
	if err != nil {
		return err
	}
	st.begin(conn)
	s.pump(st, func() { fromNode(conn, c.way) })
	if own, ok := c.way.(*stream); ok {
		own.endReading() // what it allocated is gone; the last answer may still wait
	}
	return nil
}

// unlink undoes what link noted.
func (s *Server) unlink(c *client, user string, acc *account) {
	s.mu.Lock()
	acc.links--
	s.count--
	s.metrics.linked.Dec()
	s.dropAccountLocked(user, acc)
	if s.datagram[c.addr] == c {
		delete(s.datagram, c.addr)
	}
	c.link.Store(nil)
	s.mu.Unlock()
}

// toNode hands one message of a client's on. Over UDP anything may come, and
// would put the stream out of step.
func (st *stream) toNode(b []byte) {
	if number, payload, ok := channelData(b); ok {
		st.sendChannel(number, payload)
		return
	}
	if len(b) >= channelHeader && frameLength([channelHeader]byte(b)) == len(b) && stun.IsMessage(b) {
		st.send(b)
	}
}

// fromNode hands the other node's messages on to the client, until conn ends.
func fromNode(conn net.Conn, to way) {
	r := bufio.NewReaderSize(conn, 2*maxMessage)
	buf := make([]byte, maxMessage)
	for {
		b, err := readFrame(r, buf)
		if err != nil {
			return
		}
		if number, payload, ok := channelData(b); ok {
			to.sendChannel(number, payload)
		} else {
			to.send(b)
		}
	}
}

// readFrame reads one message of a stream into buf.
func readFrame(r io.Reader, buf []byte) ([]byte, error) {
	var header [channelHeader]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	n := frameLength(header)
	if n == 0 {
		return nil, errNonsense
	}
	copy(buf, header[:])
	_, err := io.ReadFull(r, buf[channelHeader:n])
	return buf[:n], err
}
