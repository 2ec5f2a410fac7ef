// Package meetingpeer is a client of the meeting protocol as
// docs/protocols/meeting.md describes it, for tests: it joins over a real
// socket, negotiates both PeerConnections, publishes what it is given and keeps
// what it is told. Media alone, without the socket, serves tests of a server
// that has none.
//
// It knows the wire alone and no package of the server.
package meetingpeer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
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
	Media MediaConfig // Offer and Answer are the peer's own
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
	ws   *websocket.Conn
	done chan struct{}         // closed once the reader has ended
	live *atomic.Pointer[Peer] // the one whose socket serves Media

	write sync.Mutex // one writer at a time

	mu       sync.Mutex
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
	p.live.Store(p)
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
	if err := p.open(ctx); err != nil {
		return nil, errors.Join(err, p.Media.Close())
	}
	go p.read()
	return p, nil
}

// Resume gives the place sid a new socket at another address, after the old
// one's has ended: the Peer it returns has the old one's media.
func (p *Peer) Resume(ctx context.Context, address, sid string) (*Peer, error) {
	cfg := p.cfg
	cfg.URL, cfg.Query = address, url.Values{"reconnect": {"1"}, "sid": {sid}}
	next := newPeer(cfg)
	next.Media, next.live = p.Media, p.live
	if err := next.open(ctx); err != nil {
		return nil, err
	}
	next.live.Store(next)
	go next.read()
	return next, nil
}

func newPeer(cfg Config) *Peer {
	return &Peer{cfg: cfg, done: make(chan struct{}), changed: make(chan struct{}), others: make(map[string]*lk.ParticipantInfo)}
}

// open opens the socket.
func (p *Peer) open(ctx context.Context) error {
	q := url.Values{"access_token": {p.cfg.Token}, "protocol": {"16"}, "sdk": {"go"}, "auto_subscribe": {"1"}}
	for k, v := range p.cfg.Query {
		q[k] = v
	}
	dialer := *websocket.DefaultDialer
	dialer.TLSClientConfig = p.cfg.TLS
	ws, resp, err := dialer.DialContext(ctx, p.cfg.URL+"/rtc?"+q.Encode(), nil)
	if err != nil {
		if resp != nil {
			defer resp.Body.Close()
			body, readErr := io.ReadAll(io.LimitReader(resp.Body, 4096))
			err = errors.Join(&Refused{Status: resp.StatusCode, Body: string(body), Header: resp.Header}, readErr)
		}
		return err
	}
	p.ws = ws
	return nil
}

// Close breaks the socket without a word and ends the media.
func (p *Peer) Close() error {
	p.note(func() { p.closing = true })
	err := errors.Join(p.ws.Close(), p.Media.Close())
	<-p.done
	return err
}

// CloseSocket breaks the socket alone.
func (p *Peer) CloseSocket() error {
	err := p.ws.Close()
	<-p.done
	return err
}

// Done is closed once the socket has ended.
func (p *Peer) Done() <-chan struct{} { return p.done }

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
	_ = p.ws.SetWriteDeadline(time.Now().Add(10 * time.Second)) // a failure shows in the write
	if err := p.ws.WriteMessage(kind, data); err != nil {
		return fmt.Errorf("meetingpeer: %w", err)
	}
	return nil
}

func (p *Peer) read() {
	defer close(p.done)
	for {
		kind, data, err := p.ws.ReadMessage()
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
	return append([]error(nil), p.faults...)
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
	for next := 0; ; {
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
	case <-p.done:
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
