// Package meetingpeer is a client of the meeting protocol as
// docs/protocols/meeting.md describes it, for tests: it joins over a real
// socket, negotiates both PeerConnections, publishes what it is given and keeps
// what it is told. Media alone, without the socket, serves tests of a server
// that has none.
//
// It knows the wire alone and no package of the server.
package meetingpeer

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	lk "commsd/internal/lkproto"
)

// Config says where to join, and how.
type Config struct {
	URL   string // ws://host:port
	Token string
	Query url.Values  // further parameters
	Text  bool        // speak protojson in text frames
	TLS   *tls.Config // for wss; nil: as the system trusts
	// LateOffer makes a peer of a single connection offer it after the join
	// response, as Firefox does, instead of with the request.
	LateOffer bool
	// NoOffer makes it offer nothing by itself.
	NoOffer bool
	// Request is what a peer of a single connection says beyond that when it
	// joins; may be nil.
	Request *lk.JoinRequest
	Media   MediaConfig // Offer and Answer are the peer's own
}

// Refused is an answer that is no upgrade.
type Refused struct {
	Status int
	Body   string
	Header http.Header
}

// Error tells status and body.
func (r *Refused) Error() string { return fmt.Sprintf("meetingpeer: refused: %d %s", r.Status, r.Body) }

// Peer is one client. Its methods may be called from any goroutine.
type Peer struct {
	*Media

	// Set at construction.
	cfg  Config
	live *atomic.Pointer[Peer] // the one whose socket serves Media

	write sync.Mutex // one writer at a time

	mu       sync.Mutex
	ws       *websocket.Conn                // guarded by mu; the latest
	done     chan struct{}                  // guarded by mu; closed once ws's reader has ended
	changed  chan struct{}                  // guarded by mu; closed and renewed with each message
	messages []*lk.SignalResponse           // guarded by mu; all that came
	text     int                            // guarded by mu; how many came in text frames
	others   map[string]*lk.ParticipantInfo // guarded by mu; the latest of each, by SID, oneself included
	faults   []error                        // guarded by mu; of the server, as far as the peer sees
	closed   error                          // guarded by mu; why the socket ended
	closing  bool                           // guarded by mu; by ourselves
}

// Dial joins, and returns when the socket is open. A *Refused error is the
// server's answer.
func Dial(ctx context.Context, cfg Config) (*Peer, error) {
	p := newPeer(cfg)
	p.live = new(atomic.Pointer[Peer])
	media := cfg.Media
	media.Offer = func(sdp string, id uint32) error {
		return p.live.Load().Signal(&lk.SignalRequest{Message: &lk.SignalRequest_Offer{Offer: &lk.SessionDescription{Type: "offer", Sdp: sdp, Id: id}}})
	}
	media.Answer = func(sdp string, id uint32) error {
		// A socket that ends meanwhile is no fault: its reader tells of it.
		_ = p.live.Load().Signal(&lk.SignalRequest{Message: &lk.SignalRequest_Answer{Answer: &lk.SessionDescription{Type: "answer", Sdp: sdp, Id: id}}})
		return nil
	}
	var err error
	if p.Media, err = NewMedia(media); err != nil {
		return nil, err
	}
	request := &lk.JoinRequest{}
	if cfg.Request != nil {
		request = proto.CloneOf(cfg.Request)
	}
	if media.OneConnection && !cfg.LateOffer && !cfg.NoOffer {
		sdp, id, err := p.Begin()
		if err != nil {
			return nil, errors.Join(err, p.Media.Close())
		}
		request.PublisherOffer = &lk.SessionDescription{Type: "offer", Sdp: sdp, Id: id}
	}
	if err := p.connect(ctx, cfg.Query, request); err != nil {
		return nil, errors.Join(err, p.Media.Close())
	}
	if media.OneConnection && cfg.LateOffer && !cfg.NoOffer {
		p.loops.Go(func() { p.Media.note(p.Negotiate(p.life)) })
	}
	return p, nil
}

// Resume gives the place sid a new socket at another address, after the old
// one's has ended: the Peer it returns has the old one's media.
func (p *Peer) Resume(ctx context.Context, address, sid string) (*Peer, error) {
	cfg := p.cfg
	cfg.URL, cfg.Query = address, url.Values{"reconnect": {"1"}, "sid": {sid}}
	next := newPeer(cfg)
	next.Media, next.live = p.Media, p.live
	if err := next.connect(ctx, cfg.Query, &lk.JoinRequest{}); err != nil {
		return nil, err
	}
	return next, nil
}

func newPeer(cfg Config) *Peer {
	return &Peer{cfg: cfg, changed: make(chan struct{}), others: make(map[string]*lk.ParticipantInfo)}
}

// connect opens a socket and reads it.
func (p *Peer) connect(ctx context.Context, more url.Values, request *lk.JoinRequest) error {
	q := url.Values{"access_token": {p.cfg.Token}, "protocol": {"16"}, "sdk": {"go"}, "auto_subscribe": {"1"}}
	for k, v := range more {
		q[k] = v
	}
	path := "/rtc?"
	if p.cfg.Media.OneConnection {
		path = "/rtc/v1?"
		packed, err := JoinRequest(q, request)
		if err != nil {
			return err
		}
		q = url.Values{"access_token": {p.cfg.Token}, "join_request": {packed}}
	}
	dialer := *websocket.DefaultDialer
	dialer.TLSClientConfig = p.cfg.TLS
	ws, resp, err := dialer.DialContext(ctx, p.cfg.URL+path+q.Encode(), nil)
	if err != nil {
		if resp != nil {
			defer resp.Body.Close()
			body, readErr := io.ReadAll(io.LimitReader(resp.Body, 4096))
			err = errors.Join(&Refused{Status: resp.StatusCode, Body: string(body), Header: resp.Header}, readErr)
		}
		return err
	}
	done := make(chan struct{})
	p.mu.Lock()
	p.ws, p.done, p.closed = ws, done, nil
	p.mu.Unlock()
	p.live.Store(p)
	go p.read(ws, done)
	return nil
}

// JoinRequest packs request for the query of version 1, with what q says in the
// words of version 0.
func JoinRequest(q url.Values, request *lk.JoinRequest) (string, error) {
	request.ClientInfo = &lk.ClientInfo{Version: "0", Protocol: 16, Browser: q.Get("browser")}
	request.ConnectionSettings = &lk.ConnectionSettings{AutoSubscribe: q.Get("auto_subscribe") == "1"}
	request.Reconnect, request.ParticipantSid = q.Get("reconnect") == "1", q.Get("sid")
	plain, err := proto.Marshal(request)
	if err != nil {
		return "", fmt.Errorf("meetingpeer: %w", err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err = z.Write(plain)
	if err = errors.Join(err, z.Close()); err != nil {
		return "", fmt.Errorf("meetingpeer: %w", err)
	}
	wrapped, err := proto.Marshal(&lk.WrappedJoinRequest{Compression: lk.WrappedJoinRequest_GZIP, JoinRequest: packed.Bytes()})
	if err != nil {
		return "", fmt.Errorf("meetingpeer: %w", err)
	}
	return base64.URLEncoding.EncodeToString(wrapped), nil
}

// Return takes the place sid up again over a new socket, as a client does whose
// socket broke or whose address changed: it says what it knows and restarts ICE.
func (p *Peer) Return(ctx context.Context, sid string) error {
	if err := p.CloseSocket(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	p.mu.Lock()
	since := len(p.messages)
	p.mu.Unlock()
	if err := p.connect(ctx, url.Values{"reconnect": {"1"}, "sid": {sid}}, &lk.JoinRequest{}); err != nil {
		return err
	}
	first, err := p.awaitSince(ctx, since, func(*lk.SignalResponse) bool { return true })
	if err != nil {
		return err
	}
	if first.GetReconnect() == nil {
		return fmt.Errorf("meetingpeer: resumed with %v", first)
	}
	state := &lk.SyncState{Subscription: &lk.UpdateSubscription{}}
	if err := p.Signal(&lk.SignalRequest{Message: &lk.SignalRequest_SyncState{SyncState: state}}); err != nil {
		return err
	}
	return p.RestartICE(ctx)
}

// Close breaks the socket without a word and ends the media.
func (p *Peer) Close() error {
	p.note(func() { p.closing = true })
	ws, done := p.socket()
	err := errors.Join(ws.Close(), p.Media.Close())
	<-done
	return err
}

// CloseSocket breaks the socket alone.
func (p *Peer) CloseSocket() error {
	ws, done := p.socket()
	err := ws.Close()
	<-done
	return err
}

func (p *Peer) socket() (*websocket.Conn, chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ws, p.done
}

// Done is closed once the socket has ended.
func (p *Peer) Done() <-chan struct{} {
	_, done := p.socket()
	return done
}

// Signal sends a message.
func (p *Peer) Signal(m *lk.SignalRequest) error {
	if p.cfg.Text {
		data, err := protojson.Marshal(m)
		if err != nil {
			return fmt.Errorf("meetingpeer: %w", err)
		}
		return p.SendFrame(websocket.TextMessage, data)
	}
	data, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("meetingpeer: %w", err)
	}
	return p.SendFrame(websocket.BinaryMessage, data)
}

// SendFrame sends a frame as it is.
func (p *Peer) SendFrame(kind int, data []byte) error {
	p.write.Lock()
	defer p.write.Unlock()
	ws, _ := p.socket()
	_ = ws.SetWriteDeadline(time.Now().Add(10 * time.Second)) // a failure shows in the write
	if err := ws.WriteMessage(kind, data); err != nil {
		return fmt.Errorf("meetingpeer: %w", err)
	}
	return nil
}

func (p *Peer) read(ws *websocket.Conn, done chan struct{}) {
	defer close(done)
	for {
		kind, data, err := ws.ReadMessage()
		if err != nil {
			p.note(func() { p.closed = err })
			return
		}
		m := &lk.SignalResponse{}
		if kind == websocket.TextMessage {
			err = protojson.Unmarshal(data, m)
		} else {
			err = proto.Unmarshal(data, m)
		}
		if err == nil {
			err = p.handle(m)
		}
		p.note(func() {
			if err != nil && !p.closing {
				p.faults = append(p.faults, err)
			}
			if kind == websocket.TextMessage {
				p.text++
			}
			p.messages = append(p.messages, m)
		})
	}
}

// note changes what mu guards and wakes who waits.
func (p *Peer) note(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Peer) handle(m *lk.SignalResponse) error {
	switch m := m.GetMessage().(type) {
	case *lk.SignalResponse_Join:
		if err := p.useServers(m.Join.GetIceServers()); err != nil {
			return err
		}
		return p.learn(append(m.Join.GetOtherParticipants(), m.Join.GetParticipant())...)
	case *lk.SignalResponse_Update:
		return p.learn(m.Update.GetParticipants()...)
	case *lk.SignalResponse_Offer:
		return p.HandleOffer(m.Offer.GetSdp(), m.Offer.GetId())
	case *lk.SignalResponse_Answer:
		return p.HandleAnswer(m.Answer.GetSdp(), m.Answer.GetId(), m.Answer.GetMidToTrackId())
	case *lk.SignalResponse_MediaSectionsRequirement:
		return p.HandleSections(int(m.MediaSectionsRequirement.GetNumAudios()), int(m.MediaSectionsRequirement.GetNumVideos()))
	case *lk.SignalResponse_Trickle:
		return p.HandleCandidate(m.Trickle.GetTarget() == lk.SignalTarget_SUBSCRIBER, m.Trickle.GetCandidateInit())
	}
	return nil
}

// learn keeps the latest of each participant. A version that falls is a fault.
func (p *Peer) learn(all ...*lk.ParticipantInfo) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	for _, i := range all {
		if was := p.others[i.GetSid()]; was != nil && i.GetVersion() < was.GetVersion() {
			err = errors.Join(err, fmt.Errorf("meetingpeer: version of %s fell from %d to %d", i.GetIdentity(), was.GetVersion(), i.GetVersion()))
			continue
		}
		p.others[i.GetSid()] = i
	}
	return err
}

// Faults lists what the server did wrong, as far as the peer sees.
func (p *Peer) Faults() []error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append(p.Failed(), p.faults...)
}

// Texts tells how many messages came, and how many in text frames.
func (p *Peer) Texts() (text, all int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text, len(p.messages)
}

// Messages lists all that came.
func (p *Peer) Messages() []*lk.SignalResponse {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*lk.SignalResponse(nil), p.messages...)
}

// Await waits for a message, past or coming, that holds for accept.
func (p *Peer) Await(ctx context.Context, accept func(*lk.SignalResponse) bool) (*lk.SignalResponse, error) {
	return p.awaitSince(ctx, 0, accept)
}

// awaitSince is Await, passing over the first messages.
func (p *Peer) awaitSince(ctx context.Context, next int, accept func(*lk.SignalResponse) bool) (*lk.SignalResponse, error) {
	for {
		p.mu.Lock()
		messages, changed, closed := p.messages, p.changed, p.closed
		p.mu.Unlock()
		for ; next < len(messages); next++ {
			if accept(messages[next]) {
				return messages[next], nil
			}
		}
		if closed != nil {
			return nil, fmt.Errorf("meetingpeer: the socket ended first: %w", closed)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("meetingpeer: no such message: %w", ctx.Err())
		}
	}
}

// AwaitParticipant waits until what is known of identity holds for accept.
func (p *Peer) AwaitParticipant(ctx context.Context, identity string, accept func(*lk.ParticipantInfo) bool) (*lk.ParticipantInfo, error) {
	for {
		p.mu.Lock()
		changed, closed := p.changed, p.closed
		for _, i := range p.others {
			if i.GetIdentity() == identity && accept(i) {
				p.mu.Unlock()
				return i, nil
			}
		}
		p.mu.Unlock()
		if closed != nil {
			return nil, fmt.Errorf("meetingpeer: the socket ended first: %w", closed)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("meetingpeer: %s is not so: %w", identity, ctx.Err())
		}
	}
}

// CloseCode waits for the socket's end and returns its code, 0 when it broke.
func (p *Peer) CloseCode(ctx context.Context) (int, error) {
	select {
	case <-p.Done():
	case <-ctx.Done():
		return 0, fmt.Errorf("meetingpeer: the socket is still open: %w", ctx.Err())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var ce *websocket.CloseError
	if errors.As(p.closed, &ce) {
		return ce.Code, nil
	}
	return 0, nil
}

// Publish announces a track, adds it, offers it and waits until the server has
// taken it. It returns the publication and the track's SID.
func (p *Peer) Publish(ctx context.Context, r *lk.AddTrackRequest) (*Publication, string, error) {
	if err := p.Signal(&lk.SignalRequest{Message: &lk.SignalRequest_AddTrack{AddTrack: r}}); err != nil {
		return nil, "", err
	}
	m, err := p.Await(ctx, func(m *lk.SignalResponse) bool {
		return m.GetTrackPublished().GetCid() == r.GetCid() && r.GetCid() != ""
	})
	if err != nil {
		return nil, "", err
	}
	kind := kinds[r.GetType()]
	pub, err := p.AddTrack(r.GetCid(), kind)
	if err != nil {
		return nil, "", err
	}
	return pub, m.GetTrackPublished().GetTrack().GetSid(), p.Negotiate(ctx)
}
