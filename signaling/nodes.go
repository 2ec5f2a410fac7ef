package signaling

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"commsd/internal/errcode"
	"commsd/internal/httpapi"
	"commsd/signaling/owner"
)

const (
	// reachFor is how long a request waits for its room to have a node that
	// answers: longer than a dead node's lease.
	reachFor = 9 * time.Second
	// resumeFor is how long a client waits that resumes: with a dead node its
	// place is lost, and it had better join again.
	resumeFor = time.Second
	// validateFor is reachFor for who asks why a socket was refused: clients give
	// up after 3 s.
	validateFor = 2 * time.Second
	// reachAgain is the pause between two attempts.
	reachAgain = 150 * time.Millisecond
	// movedHeader marks an answer of a node that does not have the room.
	movedHeader = "Commsd-Room-Moved"
)

// Paths between nodes.
const (
	pathInside = "/node/rooms/inside"
	pathClose  = "/node/rooms/close"
	pathRooms  = "/node/rooms"
	pathRelay  = "/node/relay"
)

var (
	errMoved     = errors.New("signaling: that node does not have the room any more")
	errNoAddress = errors.New("signaling: the room's node names no address; set cluster.listen on every node")
	errStopping  = errors.New("signaling: stopping")
)

// newPeers returns what reaches other nodes.
func newPeers(cfg Config) *http.Transport {
	if cfg.Owner == nil {
		return nil
	}
	return &http.Transport{
		DialContext:     (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 5 * time.Second}).DialContext,
		TLSClientConfig: cfg.Peers.Clone(), TLSHandshakeTimeout: 2 * time.Second,
		ResponseHeaderTimeout: 6 * time.Second, // an admission may take 5
		IdleConnTimeout:       time.Minute, MaxIdleConnsPerHost: 16, DisableCompression: true,
	}
}

// forwardedKey marks the context of a request that another node handed on.
type forwardedKey struct{}

func isForwarded(r *http.Request) bool { return r.Context().Value(forwardedKey{}) != nil }

// NodeHandler answers other nodes, which must have proven that they are such:
// the protocol's endpoints of api for rooms that live here, and questions about
// rooms. A request that was handed on once is not handed on again.
func (s *Service) NodeHandler(api http.Handler) http.Handler {
	forwarded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(context.WithValue(r.Context(), forwardedKey{}, true))
		// The other node says who its client is.
		if client, err := netip.ParseAddr(r.Header.Get("X-Forwarded-For")); err == nil {
			r.RemoteAddr = net.JoinHostPort(client.String(), "0")
		}
		r.Header.Del("X-Forwarded-For")
		api.ServeHTTP(w, r)
	})
	mux := http.NewServeMux()
	for _, prefix := range []string{"/rtc", "/rtc/", "/twirp/"} {
		mux.Handle(prefix, forwarded)
	}
	mux.HandleFunc("GET "+pathInside, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.cfg.SFU.Inside(r.URL.Query().Get("room"))) // who left hears nothing
	})
	mux.HandleFunc("GET "+pathRooms, s.answerRooms)
	mux.HandleFunc("GET "+pathRelay, s.answerRelay)
	mux.HandleFunc("GET "+pathAlive, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("POST "+pathClose, func(w http.ResponseWriter, r *http.Request) {
		s.closeHere(r.URL.Query().Get("room"))
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// reach is how a request reaches the node of its room.
type reach struct {
	room string
	take bool          // makes a room that nobody has this node's
	wait time.Duration // for a node that does not answer
	body []byte        // of the request, when it has one
}

// atOwner has the node of a room answer r: this one by here, with a hold on the
// room that here must release, or another one. Without to.take here gets no
// hold for a room that nobody has. The error is errcode.Unavailable, and
// nothing has been written then.
func (s *Service) atOwner(w http.ResponseWriter, r *http.Request, to reach, here func(*owner.Hold)) error {
	if s.cfg.Owner == nil {
		here(nil)
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), to.wait)
	defer cancel()
	for {
		place, err := s.find(ctx, to.room, to.take)
		switch {
		case err == nil && (place.Hold != nil || place.Node == ""):
			here(place.Hold)
			return nil
		case isForwarded(r):
			w.Header().Set(movedHeader, "1")
			return errcode.Wrap(errors.Join(errMoved, err), errcode.Unavailable, "the meeting moves to another server; try again in a few seconds")
		case err != nil:
			return err
		}
		// One without an address may be a process that was killed here a moment
		// ago: its lease is waited for, too.
		err = errNoAddress
		if place.Address != "" {
			var answered bool
			if answered, err = s.forward(w, r, place, to.body); answered {
				return nil
			}
		}
		if to.body != nil && !untouched(err) {
			return errcode.Wrap(err, errcode.Unavailable, "the server of this meeting does not answer; whether it has done what was asked is not known")
		}
		s.log.DebugContext(ctx, "a meeting's node does not answer", "room", to.room, "node", place.Node, "err", err)
		select {
		case <-time.After(reachAgain):
		case <-s.tunnels.Done():
			return errcode.New(errcode.Unavailable, "the server is stopping; try again in a few seconds")
		case <-ctx.Done():
			s.log.WarnContext(ctx, "a meeting's node cannot be reached", "room", to.room, "node", place.Node, "address", place.Address, "err", err)
			return errcode.Wrap(err, errcode.Unavailable, "the server of this meeting does not answer; try again in a few seconds")
		}
	}
}

// untouched tells whether the other node has done nothing before err.
func untouched(err error) bool {
	var op *net.OpError
	return errors.Is(err, errMoved) || errors.Is(err, errNoAddress) || errors.Is(err, errSilent) || errors.As(err, &op) && op.Op == "dial"
}

func (s *Service) find(ctx context.Context, room string, take bool) (owner.Place, error) {
	if take {
		return s.cfg.Owner.Take(ctx, room)
	}
	return s.cfg.Owner.Find(ctx, room)
}

// forward hands r on, and returns when the answer, or the socket, has ended. It
// reports false while another attempt may be made.
func (s *Service) forward(w http.ResponseWriter, r *http.Request, to owner.Place, body []byte) (answered bool, failed error) {
	if !s.begin() {
		return false, errStopping
	}
	defer s.sockets.Done()
	watched, done, err := s.watch(r.Context(), to)
	if err != nil {
		return false, err
	}
	defer done()
	ctx, cancel := context.WithCancel(watched)
	defer cancel()
	defer context.AfterFunc(s.tunnels, cancel)()
	client := httpapi.Host(r.RemoteAddr)
	kept := w.Header().Clone()
	clear(w.Header()) // the owner sets its own
	proxy := &httputil.ReverseProxy{
		Transport: s.peers, FlushInterval: -1, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = "https", to.Address
			p.Out.Host = p.In.Host
			p.Out.Header.Del("Cookie") // tokens alone count there
			p.Out.Header.Set("X-Forwarded-For", client)
			if body != nil {
				p.Out.Body, p.Out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			}
		},
		ModifyResponse: func(res *http.Response) error {
			if res.Header.Get(movedHeader) != "" {
				return errMoved
			}
			answered = true
			return nil
		},
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) { failed = err },
	}
	defer func() {
		result := "ok"
		if !answered {
			result = "failed"
			for name, values := range kept {
				w.Header()[name] = values
			}
		}
		s.metrics.forwarded.WithLabelValues(result).Inc()
	}()
	proxy.ServeHTTP(tunnelled{w}, r.WithContext(ctx))
	return answered, failed
}

// tunnelled has a socket end with either side: the proxy would close the half
// that the owner has closed and wait for a client that may never close the other.
type tunnelled struct{ http.ResponseWriter }

// Unwrap is for http.ResponseController.
func (t tunnelled) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// Hijack implements http.Hijacker.
func (t tunnelled) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	return struct{ net.Conn }{conn}, rw, nil
}

// ask sends another node a question about a room.
func (s *Service) ask(ctx context.Context, to owner.Place, method, path, room string, answer any) error {
	if to.Address == "" {
		return errNoAddress
	}
	u := url.URL{Scheme: "https", Host: to.Address, Path: path, RawQuery: url.Values{"room": {room}}.Encode()}
	rq, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return err
	}
	res, err := s.peers.RoundTrip(rq)
	if err != nil {
		return fmt.Errorf("signaling: ask the room's node: %w", err)
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode >= http.StatusMultipleChoices:
		text, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10)) // the status is the error
		return fmt.Errorf("signaling: the room's node answers %d %s", res.StatusCode, strings.TrimSpace(string(text)))
	case answer == nil:
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(answer); err != nil {
		return fmt.Errorf("signaling: ask the room's node: %w", err)
	}
	return nil
}

// CloseRoom puts everyone out of a room, on whichever node it is, telling them
// that it was closed. It answers nil when nobody is inside.
func (s *Service) CloseRoom(ctx context.Context, room string) error {
	s.closeHere(room) // also where it lives elsewhere: it may just come
	return s.elsewhere(ctx, room, func(ctx context.Context, at owner.Place) error {
		return s.ask(ctx, at, http.MethodPost, pathClose, room, nil)
	})
}

func (s *Service) closeHere(room string) {
	s.revocations.Add(1) // before the room closes: who comes in later asks again
	s.cfg.SFU.CloseRoom(room)
}

// Inside lists the identities of those inside, on whichever node that is, none
// for an empty room.
func (s *Service) Inside(ctx context.Context, room string) ([]string, error) {
	inside := s.cfg.SFU.Inside(room)
	if len(inside) > 0 {
		return inside, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := s.elsewhere(ctx, room, func(ctx context.Context, at owner.Place) error {
		return s.ask(ctx, at, http.MethodGet, pathInside, room, &inside)
	})
	return inside, err
}

// elsewhere calls do with the other node that has a room until that succeeds,
// or no other node has it.
func (s *Service) elsewhere(ctx context.Context, room string, do func(context.Context, owner.Place) error) error {
	if s.cfg.Owner == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, reachFor)
	defer cancel()
	for {
		place, err := s.cfg.Owner.Find(ctx, room)
		if err != nil {
			return err
		}
		place.Hold.Release()
		if place.Node == "" {
			return nil
		}
		if err = do(ctx, place); err == nil {
			return nil
		}
		select {
		case <-time.After(reachAgain):
		case <-ctx.Done():
			return err
		}
	}
}

// loseRooms ends what lives in rooms that may soon be another node's.
func (s *Service) loseRooms(rooms []string) {
	for _, room := range rooms {
		s.cfg.SFU.MoveRoom(room)
	}
}
