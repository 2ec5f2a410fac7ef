package signaling

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"commsd/internal/accesstoken"
	"commsd/internal/errcode"
	"commsd/internal/httpapi"
	"commsd/signaling/owner"
)

// The room service speaks Twirp: POST of protobuf or JSON to
// /twirp/livekit.RoomService/<method>, errors as JSON
// (https://twitchtv.github.io/twirp/docs/spec_v7.html).

const twirpPrefix = "/twirp/livekit.RoomService/"

// callBytes bounds a request: a data packet, or metadata, in JSON.
const callBytes = 512 << 10

// callFor bounds what a call takes on the room's node.
const callFor = 5 * time.Second

// twirpFault is an error as Twirp has it.
type twirpFault struct {
	Code    string `json:"code"`
	Message string `json:"msg"`
}

// The faults that no errcode stands for.
var (
	faultRoute     = twirpFault{Code: "bad_route"}
	faultMalformed = twirpFault{Code: "malformed"}
)

// twirpStatus maps Twirp's codes that we use to HTTP's.
var twirpStatus = map[string]int{
	"invalid_argument": http.StatusBadRequest, "malformed": http.StatusBadRequest, "not_found": http.StatusNotFound,
	"bad_route": http.StatusNotFound, "permission_denied": http.StatusForbidden, "unauthenticated": http.StatusUnauthorized,
	"resource_exhausted": http.StatusTooManyRequests, "failed_precondition": http.StatusPreconditionFailed,
	"internal": http.StatusInternalServerError, "unavailable": http.StatusServiceUnavailable,
}

// twirpCodes maps ours to Twirp's.
var twirpCodes = map[errcode.Code]string{
	errcode.Internal: "internal", errcode.Invalid: "invalid_argument", errcode.Unauthenticated: "unauthenticated",
	errcode.Forbidden: "permission_denied", errcode.NotFound: "not_found", errcode.Conflict: "failed_precondition",
	errcode.TooLarge: "invalid_argument", errcode.RateLimited: "resource_exhausted", errcode.Unavailable: "unavailable",
	errcode.Gone: "not_found", errcode.Locked: "permission_denied",
}

func writeFault(w http.ResponseWriter, f twirpFault, message string) {
	f.Message = message
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(twirpStatus[f.Code])
	_ = json.NewEncoder(w).Encode(f) // a client that left reads nothing
}

func (s *Service) writeTwirpError(w http.ResponseWriter, r *http.Request, err error) {
	code := errcode.Of(err)
	if code == errcode.Internal {
		s.log.ErrorContext(r.Context(), "room service failed", "path", r.URL.Path, "err", err)
	}
	if wait := errcode.RetryAfter(err); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
	}
	writeFault(w, twirpFault{Code: twirpCodes[code]}, errcode.Message(err))
}

// keyRates bounds the calls of each API key.
type keyRates struct {
	mu sync.Mutex
	by map[string]*rate // guarded by mu; keys are the configuration's, so they are few
}

func (k *keyRates) take(key string, perSecond float64, now func() time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.by[key]
	if r == nil {
		r = &rate{burst: 4 * perSecond, perSecond: perSecond, now: now}
		k.by[key] = r
	}
	if r.take(1) {
		return true
	}
	r.taken-- // what is refused is not held against the key
	return false
}

// serveTwirp answers a call of the room service.
func (s *Service) serveTwirp(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	name, ours := strings.CutPrefix(r.URL.Path, twirpPrefix)
	m, known := roomMethods[name]
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	isJSON := kind == "application/json"
	switch {
	case s.cfg.OperatorRoom == nil || !ours || !known:
		writeFault(w, faultRoute, "there is no method "+strconv.Quote(r.URL.Path))
		return
	case r.Method != http.MethodPost:
		writeFault(w, faultRoute, "unsupported method "+strconv.Quote(r.Method)+" (only POST is allowed)")
		return
	case !isJSON && kind != "application/protobuf":
		writeFault(w, faultRoute, "unexpected Content-Type: "+strconv.Quote(r.Header.Get("Content-Type"))+" (application/json or application/protobuf)")
		return
	}
	refuse := func(err error) {
		s.metrics.calls.WithLabelValues(name, errcode.Of(err).String()).Inc()
		s.writeTwirpError(w, r, err)
	}
	call, err := s.authorizeCall(r)
	if err != nil {
		refuse(err)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, callBytes))
	if err != nil {
		message := "the request cannot be read"
		if tooBig := new(http.MaxBytesError); errors.As(err, &tooBig) {
			message = "a request takes at most " + strconv.Itoa(callBytes) + " bytes"
		}
		writeFault(w, faultMalformed, message)
		return
	}
	request := m.request()
	if isJSON {
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body, request)
	} else {
		err = proto.Unmarshal(body, request)
	}
	if err != nil {
		writeFault(w, faultMalformed, "the request is no "+string(request.ProtoReflect().Descriptor().Name()))
		return
	}
	room := m.room(request)
	if err := s.mayCall(r.Context(), call, m, room); err != nil {
		refuse(err)
		return
	}
	within := callFor
	here := func(hold *owner.Hold) {
		call.hold = hold
		ctx, cancel := context.WithTimeout(r.Context(), within)
		defer cancel()
		answer, err := m.call(s, ctx, call, request)
		if err != nil {
			refuse(err)
			return
		}
		s.metrics.calls.WithLabelValues(name, "ok").Inc()
		s.writeAnswer(w, r, isJSON, answer)
	}
	if room == "" { // of no room in particular: other nodes are asked
		within = reachFor
		here(nil)
		return
	}
	// The room's node answers; a room that is being made becomes this one's.
	if err := s.atOwner(w, r, reach{room: room, take: m.makes, wait: reachFor, body: body}, here); err != nil {
		refuse(err)
	}
}

func (s *Service) writeAnswer(w http.ResponseWriter, r *http.Request, isJSON bool, answer proto.Message) {
	var data []byte
	var err error
	if isJSON {
		data, err = protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(answer)
		w.Header().Set("Content-Type", "application/json")
	} else {
		data, err = proto.Marshal(answer)
		w.Header().Set("Content-Type", "application/protobuf")
	}
	if err != nil {
		s.writeTwirpError(w, r, err)
		return
	}
	_, _ = w.Write(data) // a client that left reads nothing
}

// roomCall is who calls the room service.
type roomCall struct {
	key    string // API key
	from   string // IP address
	grants accesstoken.VideoGrant
	hold   *owner.Hold // of the room, to be released; nil on a node that is alone
}

// authorizeCall reads who calls. The key that signs the tokens of meetings is
// given to nobody, so all of them are operators'.
func (s *Service) authorizeCall(r *http.Request) (*roomCall, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return nil, errcode.New(errcode.Unauthenticated, "send the access token as Authorization: Bearer …")
	}
	c, err := accesstoken.Parse(token, s.cfg.Keys, s.now())
	if err != nil {
		return nil, err
	}
	if !isForwarded(r) && !s.rates.take(c.Key, s.cfg.CallsPerSecond, s.now) {
		return nil, errcode.New(errcode.RateLimited, "more than %v calls a second with this key", s.cfg.CallsPerSecond).After(time.Second)
	}
	return &roomCall{key: c.Key, from: httpapi.Host(r.RemoteAddr), grants: c.Video}, nil
}
