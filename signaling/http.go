package signaling

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"commsd/internal/accesstoken"
	"commsd/internal/errcode"
	"commsd/internal/httpapi"
	lk "commsd/internal/lkproto"
	"commsd/internal/wsconn"
	"commsd/sfu"
	"commsd/signaling/owner"
)

// readLimit bounds one message of a client: the SDP of a connection with as many
// sections as may be is some hundreds of kilobytes.
const readLimit = 1 << 20

// queueBytes bounds what waits for a slow client.
const queueBytes = 4 << 20

var upgrader = wsconn.Upgrader(func(*http.Request) bool { return true }) // the token protects it, not the origin

// Routes mounts the protocol's endpoints. It needs nothing of s until they are
// called.
func (s *Service) Routes(api *httpapi.API) {
	handle := func(pattern string, h http.HandlerFunc) {
		api.Handle(pattern, func(w http.ResponseWriter, r *http.Request) error {
			allowAnyOrigin(w)
			if r.Method == http.MethodOptions {
				w.WriteHeader(http.StatusNoContent)
				return nil
			}
			h(w, r)
			return nil
		})
	}
	api.Handle("/twirp/", func(w http.ResponseWriter, r *http.Request) error {
		s.serveTwirp(w, r)
		return nil
	})
	handle("/rtc", s.serveSocket)
	handle("/rtc/validate", s.serveValidate)
	handle("/rtc/v1", s.serveSocket)
	handle("/rtc/v1/validate", s.serveValidate)
	// Everything else: a client that tries a later version must be able to read
	// the 404, or it reports the server unreachable instead of falling back.
	handle("/rtc/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "not served here")
	})
}

// allowAnyOrigin lets pages of every origin read the answer: who may join is
// the token's matter, which no browser sends by itself.
func allowAnyOrigin(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "*")
	h.Set("Cache-Control", "no-store") // the address holds a token
}

// refuse answers in plain text: clients show the body as it is.
func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(message)) // a client that left reads nothing
}

// refusal maps a code to the status that makes clients stop or try again: they
// take 401 and 403 as final, and a 404 as a server without this version of the
// protocol unless it says that a room is missing.
func refusal(err error) (status int, message string) {
	message = errcode.Message(err)
	switch errcode.Of(err) {
	case errcode.Unauthenticated:
		return http.StatusUnauthorized, message
	case errcode.Forbidden, errcode.Gone, errcode.Invalid, errcode.Conflict, errcode.TooLarge, errcode.Locked:
		return http.StatusForbidden, message
	case errcode.NotFound:
		return http.StatusNotFound, "requested room does not exist: " + message
	case errcode.RateLimited:
		return http.StatusTooManyRequests, message
	case errcode.Unavailable:
		return http.StatusServiceUnavailable, message
	default:
		return http.StatusInternalServerError, message
	}
}

// serveValidate tells a client why its socket was refused.
func (s *Service) serveValidate(w http.ResponseWriter, r *http.Request) {
	if s.isStopping() {
		refuseStopping(w)
		return
	}
	claims, err := s.authorize(r.Context(), tokenOf(r))
	if err == nil {
		// The rest, the node knows that has the room.
		err = s.atOwner(w, r, reach{room: claims.Video.Room, wait: validateFor}, func(hold *owner.Hold) {
			defer hold.Release()
			s.validateHere(w, r, claims)
		})
	}
	if err != nil {
		status, message := refusal(err)
		refuse(w, status, message)
	}
}

// validateHere asks what upgrade would, in a room that is on this node or on
// none.
func (s *Service) validateHere(w http.ResponseWriter, r *http.Request, claims accesstoken.Claims) {
	opt, err := optionsOf(r)
	if err == nil && s.crowded(r, opt, claims.Video.Room) {
		refuseCrowded(w)
		return
	}
	if err == nil {
		err = s.mayEnter(claims, opt)
	}
	if err != nil {
		status, message := refusal(err)
		refuse(w, status, message)
		return
	}
	refuse(w, http.StatusOK, "success")
}

// mayEnter tells whether claims that have been admitted open a room that is on
// this node.
func (s *Service) mayEnter(claims accesstoken.Claims, opt options) error {
	if err := s.removals.refuse(claims, opt.token, s.now()); err != nil || opt.reconnect {
		return err
	}
	return s.placeFor(claims)
}

// authorize reads a token and asks whether its holder may be in its room now.
func (s *Service) authorize(ctx context.Context, token string) (accesstoken.Claims, error) {
	c, err := accesstoken.Parse(token, s.cfg.Keys, s.now())
	if err != nil {
		return c, err
	}
	return c, s.admit(ctx, c)
}

func (s *Service) admit(ctx context.Context, c accesstoken.Claims) error {
	switch {
	case !c.Video.RoomJoin || c.Video.Room == "":
		return errcode.New(errcode.Forbidden, "this token does not join a room")
	case c.Identity == "":
		return errcode.New(errcode.Forbidden, "this token names nobody")
	case len(c.Video.Room) > 256 || len(c.Identity) > 256:
		return errcode.New(errcode.Forbidden, "the token's room or identity is longer than 256 bytes")
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := s.cfg.Admission.Admit(ctx, c)
	if err != nil && errcode.Of(err) == errcode.Internal {
		s.log.ErrorContext(ctx, "admission failed", "room", c.Video.Room, "identity", c.Identity, "err", err)
	}
	return err
}

func tokenOf(r *http.Request) string {
	if t := r.URL.Query().Get("access_token"); t != "" {
		return t
	}
	t, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return t
}

// serveSocket has the node of the token's room upgrade to the protocol, and
// returns when the socket has closed.
func (s *Service) serveSocket(w http.ResponseWriter, r *http.Request) {
	claims, err := accesstoken.Parse(tokenOf(r), s.cfg.Keys, s.now())
	if err != nil {
		s.refuseJoin(w, err)
		return
	}
	if !isForwarded(r) { // which the other node has counted
		if err := s.joins.take(claims, s.now); err != nil {
			s.refuseJoin(w, err)
			return
		}
	}
	// Whoever closes the room finds it here from now on, if it is here.
	hold := s.cfg.Owner.Held(claims.Video.Room)
	revocations := s.revocations.Load()
	if err := s.admit(r.Context(), claims); err != nil {
		hold.Release()
		s.refuseJoin(w, err)
		return
	}
	opt, err := optionsOf(r)
	if err != nil {
		hold.Release()
		s.refuseJoin(w, err)
		return
	}
	if hold != nil || s.cfg.Owner == nil {
		s.upgrade(w, r, claims, opt, hold, revocations)
		return
	}
	to := reach{room: claims.Video.Room, take: true, wait: reachFor}
	if opt.reconnect {
		to.take, to.wait = false, resumeFor
	}
	err = s.atOwner(w, r, to, func(hold *owner.Hold) {
		// The room has become ours after the admission, which its end may have
		// crossed.
		revocations := s.revocations.Load()
		if err := s.admit(r.Context(), claims); err != nil {
			hold.Release()
			s.refuseJoin(w, err)
			return
		}
		s.upgrade(w, r, claims, opt, hold, revocations)
	})
	switch {
	case err != nil && opt.reconnect && !isForwarded(r) && !s.isStopping():
		s.upgrade(w, r, claims, opt, nil, revocations) // to hear that the place is lost
	case err != nil:
		s.refuseJoin(w, err)
	}
}

func (s *Service) refuseJoin(w http.ResponseWriter, err error) {
	s.metrics.joins.WithLabelValues(errcode.Of(err).String()).Inc()
	status, message := refusal(err)
	refuse(w, status, message)
}

// upgrade serves the socket of claims that have been admitted, in a room that is
// on this node.
func (s *Service) upgrade(w http.ResponseWriter, r *http.Request, claims accesstoken.Claims, opt options, hold *owner.Hold, revocations uint64) {
	if s.crowded(r, opt, claims.Video.Room) {
		hold.Release()
		refuseCrowded(w)
		return
	}
	if err := s.mayEnter(claims, opt); err != nil {
		hold.Release()
		s.refuseJoin(w, err)
		return
	}
	if !s.begin() {
		hold.Release()
		if isForwarded(r) {
			w.Header().Set(movedHeader, "1")
		}
		refuseStopping(w)
		return
	}
	defer s.sockets.Done()
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		hold.Release()
		return // the upgrader has answered
	}
	conn := wsconn.New(ws, wsconn.Config{
		ReadLimit: readLimit, QueueBytes: queueBytes, PingInterval: s.cfg.PingEvery, PongTimeout: s.cfg.PongTimeout,
	})
	s.serve(conn, claims, hold, revocations, opt)
}

func refuseStopping(w http.ResponseWriter) {
	refuse(w, http.StatusServiceUnavailable, "the server is stopping; try again in a few seconds")
}

func refuseCrowded(w http.ResponseWriter) {
	refuse(w, http.StatusNotFound, "not served here: this room has too many tracks for one connection; use version 0")
}

// options are the parameters of a connection that the protocol knows and we
// heed.
type options struct {
	autoSubscribe bool
	reconnect     bool
	sid           string
	firefox       bool
	token         tokenHash

	// Of version 1.
	oneConnection bool
	offer         *sfu.Offer          // may be nil
	first         []*lk.SignalRequest // to be done at once
}

func readOptions(q url.Values) options {
	return options{
		autoSubscribe: isTrue(q.Get("auto_subscribe"), true),
		reconnect:     isTrue(q.Get("reconnect"), false),
		sid:           q.Get("sid"),
		firefox:       strings.EqualFold(q.Get("browser"), "firefox"),
	}
}

func isTrue(s string, absent bool) bool {
	if s == "" {
		return absent
	}
	return s == "1" || s == "true"
}
