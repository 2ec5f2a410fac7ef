package signaling

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"commsd/internal/accesstoken"
	"commsd/internal/errcode"
	lk "commsd/internal/lkproto"
	"commsd/internal/wsconn"
	"commsd/sfu"
	"commsd/signaling/owner"
)

// The protocol's numbers.
const (
	pingInterval = 5  // s; clients ping this often
	pingTimeout  = 15 // s; and give up after this long
	// serverVersion is the version of LiveKit's server whose features we have,
	// as far as clients ask for it.
	serverVersion  = "1.8.0"
	serverProtocol = 15

	// In a full room a client has something to say of each track at once.
	messagesAtOnce, messagesASecond = 2000, 200
	bytesAtOnce, bytesASecond       = 4 << 20, 256 << 10

	// codePolicy closes on a client that breaks the rules (RFC 6455, 7.4.1).
	codePolicy = 1008
)

// session is one participant as signalling sees it; it outlives its sockets.
type session struct {
	svc   *Service
	p     *sfu.Participant // set before the first socket is read
	log   *slog.Logger
	data  *relay
	soon  chan struct{} // holds one value when a new token is due before its time
	hold  *owner.Hold   // of the room, until the place ends; nil on a node that is alone
	share *share        // of what it may say

	mu      sync.Mutex
	claims  accesstoken.Claims // guarded by mu
	socket  *socket            // guarded by mu; the latest
	used    []tokenHash        // guarded by mu; of the tokens it came with, but for those made here
	made    []tokenHash        // guarded by mu; of those that it was given last
	removed bool               // guarded by mu; an operator puts it out
}

func (ses *session) currentClaims() accesstoken.Claims {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	return ses.claims
}

// attach makes so the session's socket, and ends the one before it: a client
// that resumes has given it up, even where its end has not reached us yet.
func (ses *session) attach(so *socket, c accesstoken.Claims, token tokenHash) {
	ses.mu.Lock()
	old := ses.socket
	ses.socket, ses.claims = so, c
	if !slices.Contains(ses.made, token) {
		ses.used = remember(ses.used, token)
	}
	ses.mu.Unlock()
	if old != nil {
		old.conn.Close(wsconn.CodeNormal, "resumed elsewhere")
	}
}

// socket is one WebSocket of a session.
type socket struct {
	conn *wsconn.Conn
	text atomic.Bool // the client speaks protojson: it is answered in kind
	log  *slog.Logger
}

// send queues a message. A client that does not read loses its socket, and
// may resume with a new one.
func (so *socket) send(m *lk.SignalResponse) { so.sendShared(&shared{message: m}) }

// shared is a message that many sockets get: it is encoded once.
type shared struct {
	message *lk.SignalResponse

	binary, text encoding
}

type encoding struct {
	once sync.Once
	data []byte
	err  error
}

func (e *encoding) of(m proto.Message, marshal func(proto.Message) ([]byte, error)) ([]byte, error) {
	e.once.Do(func() { e.data, e.err = marshal(m) })
	return e.data, e.err
}

func (so *socket) sendShared(m *shared) {
	var data []byte
	var err error
	text := so.text.Load()
	if text {
		data, err = m.text.of(m.message, protojson.Marshal)
	} else {
		data, err = m.binary.of(m.message, proto.Marshal)
	}
	if err != nil {
		so.log.Error("message not encoded", "err", err)
		return
	}
	if err := so.conn.Send(wsconn.Message{Binary: !text, Data: data}); errors.Is(err, wsconn.ErrQueueFull) {
		so.conn.Close(wsconn.CodeGoingAway, "too slow")
	}
}

// leave tells the client to go and closes.
func (so *socket) leave(reason lk.DisconnectReason, action lk.LeaveRequest_Action) {
	so.send(&lk.SignalResponse{Message: &lk.SignalResponse_Leave{Leave: &lk.LeaveRequest{
		Reason: reason, Action: action, CanReconnect: action != lk.LeaveRequest_DISCONNECT,
	}}})
	so.conn.Close(wsconn.CodeNormal, reason.String())
}

// serve runs one socket from its first message to its end. Its claims were
// admitted when s.revocations said revocations. It releases hold.
func (s *Service) serve(conn *wsconn.Conn, claims accesstoken.Claims, hold *owner.Hold, revocations uint64, opt options) {
	so := &socket{conn: conn, log: s.log.With("room", claims.Video.Room, "identity", claims.Identity)}
	var ses *session
	var attachment int
	if opt.reconnect {
		ses, attachment = s.resume(so, claims, opt)
		hold.Release() // the place has its own
	} else {
		ses, attachment = s.join(so, claims, hold, opt)
	}
	if ses == nil {
		// The refusal is queued; the socket is read until the client has it.
		_ = conn.Run(s.stop, func(context.Context, wsconn.Message) error { return nil })
		return
	}
	// A revocation, or an end of the room, between the admission and now did
	// not find this session.
	if s.revocations.Load() != revocations {
		err := s.removals.refuse(claims, opt.token, s.now())
		if err == nil {
			err = s.admit(s.stop, claims)
		}
		if err != nil {
			ses.putOut(err)
		}
	}
	if !ses.hold.Valid() { // the room was lost meanwhile, and this place not found
		ses.p.End(sfu.ReasonShutdown, sfu.ActionReconnect)
	}
	ctx, cancel := context.WithCancel(s.stop)
	var refresh sync.WaitGroup
	refresh.Go(func() { ses.refresh(ctx, so) })
	err := conn.Run(ctx, func(ctx context.Context, m wsconn.Message) error {
		s.metrics.messages.Inc()
		so.text.Store(!m.Binary)
		return ses.handle(ctx, so, m)
	})
	cancel()
	refresh.Wait()
	so.log.Debug("socket closed", "why", err)
	ses.p.SignalLost(attachment)
}

// join takes a place for the token's holder, which keeps hold until it ends.
func (s *Service) join(so *socket, claims accesstoken.Claims, hold *owner.Hold, opt options) (*session, int) {
	ses := &session{svc: s, soon: make(chan struct{}, 1), log: so.log, hold: hold, data: &relay{identity: claims.Identity, log: so.log}, share: newShare(s.now)}
	g := claims.Video
	ctx, cancel := context.WithTimeout(s.stop, 5*time.Second)
	defer cancel()
	started := make(chan struct{}) // closed once ses.p is set, which events need
	p, err := s.cfg.SFU.Join(ctx, sfu.JoinRequest{
		Room: g.Room, Identity: claims.Identity, Name: claims.Name, Metadata: claims.Metadata, Attributes: claims.Attributes,
		Permission: sfu.Permission{
			Subscribe: g.MaySubscribe(), Publish: g.MayPublish(), PublishData: g.MayPublishData(),
			UpdateMetadata: g.MayUpdateOwnMetadata(), Hidden: g.Hidden, Sources: sources(g.CanPublishSources),
		},
		AutoSubscribe: opt.autoSubscribe, StreamPerTrack: opt.firefox, FullICE: opt.firefox,
		OneConnection: opt.oneConnection, Offer: opt.offer,
		Events: func(e sfu.Event) {
			<-started
			ses.event(so, e)
		},
		Route: ses.data.route,
	})
	if err != nil {
		hold.Release()
		s.metrics.joins.WithLabelValues(errcode.Of(err).String()).Inc()
		so.log.Warn("join failed", "err", err)
		so.leave(lk.DisconnectReason_JOIN_FAILURE, lk.LeaveRequest_RECONNECT)
		return nil, 0
	}
	ses.p = p
	ses.data.sid = p.SID()
	ses.attach(so, claims, opt.token)
	result := "ok"
	if err := s.keep(ses); err != nil { // others came in at the same moment
		p.End(sfu.ReasonRoomFull, sfu.ActionDisconnect)
		result = errcode.Of(err).String()
	}
	s.metrics.joins.WithLabelValues(result).Inc()
	close(started)
	ses.doFirst(so, opt)
	return ses, 1
}

// resume gives a session whose socket broke a new one.
func (s *Service) resume(so *socket, claims accesstoken.Claims, opt options) (*session, int) {
	ses := s.session(opt.sid)
	if ses != nil {
		if was := ses.currentClaims(); was.Identity != claims.Identity || was.Video.Room != claims.Video.Room ||
			ses.p.OneConnection() != opt.oneConnection {
			ses = nil // somebody else's sid, or connections that this client has not
		}
	}
	if ses != nil {
		ctx, cancel := context.WithTimeout(s.stop, 5*time.Second)
		defer cancel()
		if n, err := ses.p.Resume(ctx, func(e sfu.Event) { ses.event(so, e) }); err == nil {
			ses.attach(so, claims, opt.token)
			s.metrics.joins.WithLabelValues("resumed").Inc()
			ses.doFirst(so, opt)
			if opt.offer != nil {
				ses.p.Offer(opt.offer.SDP, opt.offer.ID)
			}
			return ses, n
		}
	}
	s.metrics.joins.WithLabelValues("resume_unknown").Inc()
	so.leave(lk.DisconnectReason_STATE_MISMATCH, lk.LeaveRequest_RECONNECT)
	return nil, 0
}

// putOut ends a place whose holder is no longer admitted.
func (ses *session) putOut(why error) {
	ses.log.Info("no longer admitted", "err", why)
	reason := sfu.ReasonRemoved
	if errcode.Of(why) == errcode.Gone {
		reason = sfu.ReasonRoomClosed
	}
	ses.p.End(reason, sfu.ActionDisconnect)
}

// refreshSoon gives the client a new token now: what it may has changed.
func (ses *session) refreshSoon() {
	select {
	case ses.soon <- struct{}{}:
	default:
	}
}

// current returns the claims of the session's token with what has become of
// its holder since.
func (ses *session) current(ctx context.Context) accesstoken.Claims {
	p, err := ses.p.Info(ctx)
	if err != nil {
		return ses.currentClaims() // it is ending
	}
	may := p.Permission
	ses.mu.Lock()
	defer ses.mu.Unlock()
	c := &ses.claims
	c.Name, c.Metadata, c.Attributes = p.Name, p.Metadata, p.Attributes
	c.Video.CanSubscribe, c.Video.CanPublish, c.Video.CanPublishData = &may.Subscribe, &may.Publish, &may.PublishData
	c.Video.CanUpdateOwnMetadata, c.Video.CanPublishSources = &may.UpdateMetadata, nil
	for _, s := range may.Sources {
		c.Video.CanPublishSources = append(c.Video.CanPublishSources, string(s))
	}
	return *c
}

// refresh gives the client new tokens until ctx ends, and ends its place when
// it is no longer admitted.
func (ses *session) refresh(ctx context.Context, so *socket) {
	tick := time.NewTicker(ses.svc.cfg.RefreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-ses.soon:
		}
		c := ses.current(ctx)
		if err := ses.svc.admit(ctx, c); err != nil {
			switch errcode.Of(err) {
			case errcode.Forbidden, errcode.NotFound, errcode.Gone, errcode.Unauthenticated:
				ses.putOut(err)
				return
			default: // who decides is away: nobody is put out for that
				continue
			}
		}
		secret, ok := ses.svc.cfg.Keys(c.Key)
		if !ok {
			ses.p.End(sfu.ReasonRemoved, sfu.ActionDisconnect)
			return
		}
		token, err := accesstoken.Mint(c.Key, secret, c, ses.svc.cfg.TokenLife, ses.svc.now())
		if err != nil {
			ses.log.Error("token not refreshed", "err", err)
			continue
		}
		if !ses.note(token) {
			return
		}
		so.send(&lk.SignalResponse{Message: &lk.SignalResponse_RefreshToken{RefreshToken: token}})
	}
}

// note remembers a token that the client is about to be given. It reports false
// where an operator puts it out, who must not be given any.
func (ses *session) note(token string) bool {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	if ses.removed {
		return false
	}
	ses.made = remember(ses.made, hashOf(token))
	return true
}
