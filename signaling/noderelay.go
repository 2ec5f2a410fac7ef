package signaling

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"commsd/signaling/owner"
	"commsd/signaling/turn"
)

// A relay that a client reaches through a balancer may be another node's than
// its place. Nodes hand such clients on as they hand on sockets, by a connection
// of the nodes' own that is upgraded to what the relay speaks.

const (
	relayProtocol = "turn"
	// clientHeader tells which address the client has.
	clientHeader = "Commsd-Client"
	// relayDial bounds the way to the other node.
	relayDial = 2 * time.Second
)

// otherNodes remembers which other nodes live for a moment: clients of the relay
// make it ask as often as they like.
type otherNodes struct {
	mu    sync.Mutex
	known map[string]string // guarded by mu; addresses by ids
	err   error             // guarded by mu; why they are not known
	asked time.Time         // guarded by mu
}

const (
	// othersFor is how long an answer of the database serves all.
	othersFor = time.Second
	// missingFor is how long it serves for a node that is not in it: clients take
	// a no as final, and a node that has just got its lease may be missing.
	missingFor = 100 * time.Millisecond
)

// address returns the address of a node; others asks the database for all.
func (o *otherNodes) address(ctx context.Context, others func(context.Context) (map[string]string, error), node string) (address string, lives bool, err error) {
	o.mu.Lock() // whoever waits gets the same answer
	defer o.mu.Unlock()
	address, lives = o.known[node]
	if age := time.Since(o.asked); age > othersFor || !lives && o.err == nil && age > missingFor {
		o.known, o.err = others(ctx)
		o.asked = time.Now()
		address, lives = o.known[node]
	}
	return address, lives, o.err
}

// LinkRelay connects to the relay of another node that lives, for the client at
// an address. The connection ends when that node falls silent. The error is
// turn.ErrNoNode where there is no such node.
func (s *Service) LinkRelay(ctx context.Context, node string, client netip.AddrPort) (net.Conn, error) {
	if s.cfg.Owner == nil {
		return nil, errors.New("signaling: this node is alone")
	}
	address, lives, err := s.relays.address(ctx, s.cfg.Owner.Others, node)
	switch {
	case err != nil:
		return nil, err
	case !lives:
		return nil, turn.ErrNoNode
	case address == "":
		return nil, errNoAddress
	}
	to := owner.Place{Node: node, Address: address}
	watched, done, err := s.watch(context.WithoutCancel(ctx), to)
	if err != nil {
		return nil, err
	}
	conn, err := s.dialRelay(ctx, to.Address, client)
	if err != nil {
		done()
		return nil, fmt.Errorf("signaling: reach the node's relay: %w", err)
	}
	l := &relayLink{Conn: conn, done: done}
	context.AfterFunc(watched, func() { _ = l.Close() }) // nobody waits for it
	return l, nil
}

// relayLink is watched for as long as it is open.
type relayLink struct {
	net.Conn
	done func()
	once sync.Once
}

// Close implements net.Conn.
func (l *relayLink) Close() error {
	l.once.Do(l.done)
	return l.Conn.Close()
}

func (s *Service) dialRelay(ctx context.Context, address string, client netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, relayDial)
	defer cancel()
	dialer := tls.Dialer{NetDialer: &net.Dialer{KeepAlive: 5 * time.Second}, Config: s.cfg.Peers.Clone()}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (net.Conn, error) {
		_ = conn.Close() // the first error is the one to tell
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return fail(err)
	}
	rq, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+pathRelay, nil)
	if err != nil {
		return fail(err)
	}
	rq.Header.Set("Connection", "Upgrade")
	rq.Header.Set("Upgrade", relayProtocol)
	rq.Header.Set(clientHeader, client.String())
	if err := rq.Write(conn); err != nil {
		return fail(err)
	}
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, rq)
	if err != nil {
		return fail(err)
	}
	_ = res.Body.Close()                                                     // it has none
	if res.StatusCode != http.StatusSwitchingProtocols || r.Buffered() > 0 { // it speaks when it is spoken to
		return fail(fmt.Errorf("it answers %s", res.Status))
	}
	return conn, conn.SetDeadline(time.Time{})
}

// answerRelay serves a client of this node's relay that another node hands on.
func (s *Service) answerRelay(w http.ResponseWriter, r *http.Request) {
	client, err := netip.ParseAddrPort(r.Header.Get(clientHeader))
	if s.cfg.TURN == nil || err != nil || r.Header.Get("Upgrade") != relayProtocol {
		refuse(w, http.StatusNotFound, "there is no relay")
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.log.ErrorContext(r.Context(), "a client of the relay was not taken over", "err", err)
		return
	}
	err = errors.Join(conn.SetDeadline(time.Now().Add(relayDial)), switchProtocols(conn), conn.SetDeadline(time.Time{}))
	if err != nil {
		_ = conn.Close() // the other node has gone
		return
	}
	s.cfg.TURN.ServeNode(conn, client)
}

func switchProtocols(conn net.Conn) error {
	_, err := conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + relayProtocol + "\r\n\r\n"))
	return err
}
