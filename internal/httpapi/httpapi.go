// Package httpapi is what every domain's http.go stands on: it registers
// handlers that return errors on one huma API, finds the actor of a request by
// its session cookie, limits bodies, writes the access log, and maps error
// codes to RFC 9457 problem documents in one table.
//
// It knows no domain: who a session token belongs to is asked of an
// Authenticator.
package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"commsd/identity"
	"commsd/internal/errcode"
)

// PositionHeader names the active position of a request; absent, the person's
// main position acts. A WebSocket, whose headers a browser cannot set, sends
// the query parameter "position" instead.
const PositionHeader = "Commsd-Position"

// Authenticator finds who a session token belongs to. It answers an
// errcode.Unauthenticated error for a token that is unknown, ended or expired,
// and errcode.Forbidden for a position that is not the person's. It may be
// called from many goroutines.
type Authenticator interface {
	AuthenticateSession(ctx context.Context, token string, position identity.PositionID, address string) (identity.Actor, error)
}

// BackgroundHeader marks a writing request that no person asked for; every
// other one is taken as a sign that somebody works in the session.
const BackgroundHeader = "Commsd-Background"

// ActivityNoter is an Authenticator that locks sessions nobody works in.
type ActivityNoter interface {
	// NoteActivity says that a person did something in actor's session.
	NoteActivity(ctx context.Context, actor identity.Actor) error
}

// whileLocked is the key of an operation's Metadata.
const whileLocked = "while_locked"

// WhileLocked lets op answer in a session that is locked. All others answer
// errcode.Locked there.
func WhileLocked(op huma.Operation) huma.Operation {
	op.Metadata = map[string]any{whileLocked: true}
	return op
}

// admit refuses a locked session, and notes that a person works in another.
func (a *API) admit(ctx context.Context, actor identity.Actor, method, background string) error {
	if actor.Locked {
		return errcode.New(errcode.Locked, "this session was idle for too long; prove who you are, with your password or a passkey, and repeat")
	}
	noter, ok := a.cfg.Authenticator.(ActivityNoter)
	if !ok || background != "" || method == http.MethodGet || method == http.MethodHead {
		return nil
	}
	return noter.NoteActivity(ctx, actor)
}

// Config holds what New needs. All fields are required unless said otherwise.
type Config struct {
	Title         string // of the OpenAPI document
	Version       string
	Secure        bool // pages are served over https: the cookie gets the __Host- prefix
	Authenticator Authenticator
	Log           *slog.Logger
	MaxBodyBytes  int64 // of a JSON body; 0 means 1 MiB
}

// API carries the mux and the huma API that domains register on.
type API struct {
	Huma huma.API
	mux  *http.ServeMux
	cfg  Config
}

// New returns an API that serves its OpenAPI 3.1 document at
// /api/v1/openapi.json. It starts nothing.
func New(cfg Config) *API {
	if cfg.MaxBodyBytes == 0 {
		cfg.MaxBodyBytes = 1 << 20
	}
	mux := http.NewServeMux()
	hc := huma.DefaultConfig(cfg.Title, cfg.Version)
	hc.OpenAPIPath = "/api/v1/openapi"
	hc.DocsPath = ""     // the explorer would load scripts from outside
	hc.SchemasPath = ""  // and schema links serve nobody here
	hc.CreateHooks = nil // no "$schema" member in answers
	hc.AllowAdditionalPropertiesByDefault = false
	hc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"session": {Type: "apiKey", In: "cookie", Name: CookieName(cfg.Secure)},
	}
	return &API{Huma: humago.New(mux, hc), mux: mux, cfg: cfg}
}

// CookieName is the session cookie's name: on plain http a browser refuses the
// __Host- prefix.
func CookieName(secure bool) string {
	if secure {
		return "__Host-commsd_session"
	}
	return "commsd_session"
}

// Handle mounts a plain handler, for uploads, downloads and sockets; pattern is
// net/http's. Use Actor in it to demand a signed-in person.
func (a *API) Handle(pattern string, h HandlerFunc) {
	a.mux.Handle(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			a.WriteError(w, r, err)
		}
	}))
}

// HandlerFunc is an http.HandlerFunc that returns its error, which Handle turns
// into a problem document. It must not return an error after it wrote a body.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// Handler returns everything that was registered. An answer is not kept by
// any cache unless its handler says otherwise, and never guessed to be another
// type than it says.
func (a *API) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if _, pattern := a.mux.Handler(r); pattern == "" {
			a.unknown(w, r)
			return
		}
		a.mux.ServeHTTP(w, r)
	})
}

// unknown answers a path or a method that nobody registered: a problem document
// like every other error, with the mux's own choice of 404 or 405.
func (a *API) unknown(w http.ResponseWriter, r *http.Request) {
	probe := &statusProbe{header: http.Header{}}
	a.mux.ServeHTTP(probe, r)
	if allow := probe.header.Get("Allow"); allow != "" {
		w.Header().Set("Allow", allow)
		p := &Problem{Status: http.StatusMethodNotAllowed, Title: http.StatusText(http.StatusMethodNotAllowed), Code: errcode.Invalid.String(), Detail: "this address takes " + allow}
		writeProblem(w, p)
		return
	}
	a.WriteError(w, r, errcode.New(errcode.NotFound, "nothing is served at %s", r.URL.Path))
}

// statusProbe is a ResponseWriter that keeps the header alone.
type statusProbe struct{ header http.Header }

func (p *statusProbe) Header() http.Header         { return p.header }
func (p *statusProbe) Write(b []byte) (int, error) { return len(b), nil }
func (p *statusProbe) WriteHeader(int)             {}

// Secure tells whether cookies must be https-only.
func (a *API) Secure() bool { return a.cfg.Secure }

// Actor finds who sent r. The error is errcode.Unauthenticated when nobody is
// signed in, errcode.Locked when the session is locked.
func (a *API) Actor(r *http.Request) (identity.Actor, error) {
	actor, err := a.ActorWhileLocked(r)
	if err != nil {
		return identity.Actor{}, err
	}
	return actor, a.admit(r.Context(), actor, r.Method, r.Header.Get(BackgroundHeader))
}

// ActorWhileLocked is Actor for what goes on in a locked session; actor.Locked
// tells.
func (a *API) ActorWhileLocked(r *http.Request) (identity.Actor, error) {
	token := ""
	if c, err := r.Cookie(CookieName(a.cfg.Secure)); err == nil {
		token = c.Value
	}
	position := r.Header.Get(PositionHeader)
	if position == "" {
		position = r.URL.Query().Get("position")
	}
	return a.actor(r.Context(), token, position, r.RemoteAddr, r.URL.Path)
}

func (a *API) actor(ctx context.Context, token, position, remote, path string) (identity.Actor, error) {
	if token == "" {
		return identity.Actor{}, errcode.New(errcode.Unauthenticated, "sign in first")
	}
	actor, err := a.cfg.Authenticator.AuthenticateSession(ctx, token, identity.PositionID(position), Host(remote))
	if err != nil {
		return identity.Actor{}, err
	}
	return actor, a.admitLent(ctx, actor, path)
}

// Host strips the port from a remote address.
func Host(remote string) string {
	if i := strings.LastIndexByte(remote, ':'); i >= 0 {
		return strings.Trim(remote[:i], "[]")
	}
	return remote
}

// Get registers a handler for signed-in people: it gets the actor, and huma's
// input and output shapes (struct tags path, query, header; Body for JSON). Its
// error is mapped by WriteError's table. id is the OpenAPI operation id in
// kebab-case, "list-people"; tag is the domain.
func Get[I, O any](a *API, id, tag, path, summary string, h func(context.Context, identity.Actor, *I) (*O, error)) {
	Register(a, huma.Operation{Method: http.MethodGet, OperationID: id, Tags: []string{tag}, Path: path, Summary: summary}, h)
}

// Post is Get for POST; it answers 200 unless op says otherwise: use Register
// for a 201.
func Post[I, O any](a *API, id, tag, path, summary string, h func(context.Context, identity.Actor, *I) (*O, error)) {
	Register(a, huma.Operation{Method: http.MethodPost, OperationID: id, Tags: []string{tag}, Path: path, Summary: summary}, h)
}

// Put is Get for PUT.
func Put[I, O any](a *API, id, tag, path, summary string, h func(context.Context, identity.Actor, *I) (*O, error)) {
	Register(a, huma.Operation{Method: http.MethodPut, OperationID: id, Tags: []string{tag}, Path: path, Summary: summary}, h)
}

// Patch is Get for PATCH.
func Patch[I, O any](a *API, id, tag, path, summary string, h func(context.Context, identity.Actor, *I) (*O, error)) {
	Register(a, huma.Operation{Method: http.MethodPatch, OperationID: id, Tags: []string{tag}, Path: path, Summary: summary}, h)
}

// Delete is Get for DELETE.
func Delete[I, O any](a *API, id, tag, path, summary string, h func(context.Context, identity.Actor, *I) (*O, error)) {
	Register(a, huma.Operation{Method: http.MethodDelete, OperationID: id, Tags: []string{tag}, Path: path, Summary: summary}, h)
}

// Register is Get with the whole operation in the caller's hand (DefaultStatus,
// Errors, MaxBodyBytes, BodyReadTimeout). Who may not come in is told so before
// a byte of the body is read: huma keeps bodies in memory. Behind a body that
// came slowly they are looked at again, since the session may have ended.
func Register[I, O any](a *API, op huma.Operation, h func(context.Context, identity.Actor, *I) (*O, error)) {
	op.Security = []map[string][]string{{"session": {}}}
	_, locked := op.Metadata[whileLocked]
	op.Middlewares = append(huma.Middlewares{func(c huma.Context, next func(huma.Context)) {
		actor, err := a.enter(c, op, locked)
		if err != nil {
			a.refuse(c, op, err)
			return
		}
		c = huma.WithValue(c, actorKey{}, actor)
		next(huma.WithValue(c, enteredKey{}, time.Now()))
	}}, op.Middlewares...)
	RegisterPublic(a, op, func(ctx context.Context, in *I) (*O, error) {
		actor, ok := ctx.Value(actorKey{}).(identity.Actor)
		at, ok2 := ctx.Value(enteredKey{}).(time.Time)
		rq, ok3 := ctx.Value(requestKey{}).(huma.Context)
		if !ok || !ok2 || !ok3 {
			return nil, errors.New("httpapi: handler ran without its actor")
		}
		if time.Since(at) > slowBody {
			var err error
			if actor, err = a.enter(rq, op, locked); err != nil {
				return nil, err
			}
		}
		return h(ctx, actor, in)
	})
}

type (
	actorKey   struct{}
	enteredKey struct{} // when the actor came in
)

// slowBody is how long a body takes behind which the session is looked at anew.
const slowBody = time.Second

// enter finds who sent a request for op and lets them in.
func (a *API) enter(c huma.Context, op huma.Operation, locked bool) (identity.Actor, error) {
	token := ""
	if cookie, err := huma.ReadCookie(c, CookieName(a.cfg.Secure)); err == nil {
		token = cookie.Value
	}
	actor, err := a.actor(c.Context(), token, c.Header(PositionHeader), c.RemoteAddr(), op.Path)
	if err != nil || locked {
		return actor, err
	}
	return actor, a.admit(c.Context(), actor, op.Method, c.Header(BackgroundHeader))
}

// Before has check decide, of who is signed in, whether op goes on, before its
// body is read. What it returns is called when the request has been answered.
func Before(a *API, op huma.Operation, check func(context.Context, identity.Actor) (after func(), err error)) huma.Operation {
	op.Middlewares = append(op.Middlewares, func(c huma.Context, next func(huma.Context)) {
		actor, _ := c.Context().Value(actorKey{}).(identity.Actor)
		after, err := check(c.Context(), actor)
		if err != nil {
			a.refuse(c, op, err)
			return
		}
		defer after()
		next(c)
	})
	return op
}

// refuse answers a request with the problem document of err.
func (a *API) refuse(c huma.Context, op huma.Operation, err error) {
	p := a.problem(c.Context(), op.Method+" "+op.Path, err)
	c.SetHeader("Content-Type", "application/problem+json")
	for name, values := range p.GetHeaders() {
		c.SetHeader(name, values[0])
	}
	c.SetStatus(p.Status)
	_ = json.NewEncoder(c.BodyWriter()).Encode(p) // as writeProblem
}

// RegisterPublic registers a handler that anyone may call.
func RegisterPublic[I, O any](a *API, op huma.Operation, h func(context.Context, *I) (*O, error)) {
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = a.cfg.MaxBodyBytes
	}
	if op.BodyReadTimeout == 0 {
		op.BodyReadTimeout = bodyTime(op.MaxBodyBytes)
	}
	op.Middlewares = append(huma.Middlewares{func(c huma.Context, next func(huma.Context)) {
		next(huma.WithValue(c, requestKey{}, c))
	}}, op.Middlewares...)
	huma.Register(a.Huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, in)
		if err != nil {
			return nil, a.problem(ctx, op.Method+" "+op.Path, err)
		}
		return out, nil
	})
}

// slowest is the rate, in bytes a second, below which a body is given up.
const slowest = 64 << 10

// bodyTime is how long a body of up to size bytes may take: huma's own 5
// seconds, and what the slowest line needs.
func bodyTime(size int64) time.Duration {
	return 5*time.Second + time.Duration(size)*time.Second/slowest
}

type requestKey struct{}

// RemoteAddr is the IP address of the client whose handler ctx came from, for
// public handlers that audit or limit by address.
func RemoteAddr(ctx context.Context) string {
	if rq, ok := ctx.Value(requestKey{}).(huma.Context); ok {
		return Host(rq.RemoteAddr())
	}
	return ""
}

// statuses maps every code to its HTTP status.
var statuses = map[errcode.Code]int{
	errcode.Internal:        http.StatusInternalServerError,
	errcode.Invalid:         http.StatusUnprocessableEntity,
	errcode.Unauthenticated: http.StatusUnauthorized,
	errcode.Forbidden:       http.StatusForbidden,
	errcode.NotFound:        http.StatusNotFound,
	errcode.Conflict:        http.StatusConflict,
	errcode.TooLarge:        http.StatusRequestEntityTooLarge,
	errcode.RateLimited:     http.StatusTooManyRequests,
	errcode.Unavailable:     http.StatusServiceUnavailable,
	errcode.Gone:            http.StatusGone,
	errcode.Locked:          http.StatusLocked,
}

// Status maps a code to its HTTP status.
func Status(c errcode.Code) int {
	if s, ok := statuses[c]; ok {
		return s
	}
	return http.StatusInternalServerError
}
