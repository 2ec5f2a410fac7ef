package directory

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"commsd/directory/password"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/httpapi"
)

// directorySession is who is signed in.
type directorySession struct {
	Person    directoryPerson     `json:"person"`
	Positions []directoryPosition `json:"positions" nullable:"false" doc:"the main one first; it acts when a request names none"`
	Grants    []directoryGrant    `json:"grants" nullable:"false" doc:"administrative roles, each with where it holds"`
	ExpiresAt time.Time           `json:"expires_at" doc:"the session ends then, used or not"`
	Locked    bool                `json:"locked" doc:"idle for too long: all else answers 423 until it is unlocked"`
	IdleLock  int                 `json:"idle_lock" doc:"seconds without a person's act after which it locks; 0: never"`
}

// directoryTicket is a sign-in that asks for more.
type directoryTicket struct {
	Ticket string   `json:"ticket" doc:"secret; for POST /api/v1/sessions/next, once, within 10 minutes"`
	Next   []string `json:"next" nullable:"false" doc:"any one of these is asked for now: totp, passkey, recovery_code, change_password, enroll"`
	Min    int      `json:"min_password,omitempty" doc:"of change_password: characters at least"`
}

type signInInput struct {
	UserAgent string `header:"User-Agent"`
	Cookie    string `header:"Cookie" hidden:"true"`
	Body      struct {
		Login    string `json:"login" maxLength:"320" doc:"main mail address"`
		Password string `json:"password" maxLength:"1024"`
	}
}

type signInCodeInput struct {
	UserAgent string `header:"User-Agent"`
	Cookie    string `header:"Cookie" hidden:"true"`
	Body      struct {
		Login string `json:"login" maxLength:"320" doc:"main mail address"`
		Code  string `json:"code" maxLength:"100" doc:"one-time code, with or without its gaps"`
	}
}

type signInNextInput struct {
	UserAgent string `header:"User-Agent"`
	Cookie    string `header:"Cookie" hidden:"true"`
	Body      struct {
		Ticket       string          `json:"ticket" maxLength:"100" doc:"empty: that of a sign-in by an outside provider, which is in a cookie"`
		TOTP         string          `json:"totp,omitempty" maxLength:"20"`
		RecoveryCode string          `json:"recovery_code,omitempty" maxLength:"100"`
		Passkey      json.RawMessage `json:"passkey,omitempty" doc:"the credential as the browser gives it (PublicKeyCredential.toJSON)"`
		PasskeyName  string          `json:"passkey_name,omitempty" maxLength:"100" doc:"of one that is set up in this sign-in (enroll)"`
		NewPassword  string          `json:"new_password,omitempty" maxLength:"1024"`
	}
}

// signInOutput is 201 with directorySession, or 202 with directoryTicket.
type signInOutput struct {
	Status    int
	SetCookie []http.Cookie `header:"Set-Cookie"`
	Body      any
}

type currentSessionOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         directorySession
}

type signOutOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

type unlockInput struct {
	Body struct {
		Password string          `json:"password,omitempty" maxLength:"1024"`
		Passkey  json.RawMessage `json:"passkey,omitempty" doc:"the credential as the browser gives it (PublicKeyCredential.toJSON)"`
	}
}

// signInOperation is an operation that answers a session or a ticket.
func signInOperation(api *httpapi.API, id, path, summary, description string) huma.Operation {
	schema := func(v any) map[string]*huma.MediaType {
		t := reflect.TypeOf(v)
		return map[string]*huma.MediaType{"application/json": {Schema: api.Huma.OpenAPI().Components.Schemas.Schema(t, true, t.Name())}}
	}
	return huma.Operation{Method: http.MethodPost, OperationID: id, Tags: []string{tag}, Path: path, Summary: summary, Description: description,
		DefaultStatus: http.StatusCreated, MaxBodyBytes: maxCredentialBody,
		Responses: map[string]*huma.Response{
			"201": {Description: "Signed in", Content: schema(directorySession{})},
			"202": {Description: "More is asked for", Content: schema(directoryTicket{})},
		}}
}

// signInRoutes registers how people sign in, unlock and sign out.
func (s *Service) signInRoutes(api *httpapi.API) {
	httpapi.RegisterPublic(api, signInOperation(api, "sign-in", "/api/v1/sessions", "Sign in",
		"Answers 201 with the session, or 202 with a ticket where the account asks for more: a second factor, a new password."),
		func(ctx context.Context, in *signInInput) (*signInOutput, error) {
			return s.signedIn(api)(s.SignIn(ctx, SignInRequest{
				Login: in.Body.Login, Password: in.Body.Password, Address: httpapi.RemoteAddr(ctx),
				UserAgent: in.UserAgent, OldToken: tokenOf(in.Cookie, api.Secure()),
			}))
		})
	httpapi.RegisterPublic(api, signInOperation(api, "sign-in-next", "/api/v1/sessions/next", "Take a sign-in one step on",
		"One of the answers that the ticket asks for; totp or passkey where it asks for enroll. 410: the ticket is over, begin again. 401: the answer is wrong; the ticket takes five."),
		func(ctx context.Context, in *signInNextInput) (*signInOutput, error) {
			return s.signedIn(api)(s.SignInNext(ctx, NextRequest{
				Ticket: s.ticketOf(in.Body.Ticket, in.Cookie, api.Secure()), Proof: Proof{TOTP: in.Body.TOTP, RecoveryCode: in.Body.RecoveryCode, Passkey: in.Body.Passkey, NewPassword: in.Body.NewPassword},
				Name: in.Body.PasskeyName, Address: httpapi.RemoteAddr(ctx), UserAgent: in.UserAgent, OldToken: tokenOf(in.Cookie, api.Secure()),
			}))
		})
	httpapi.RegisterPublic(api, signInOperation(api, "sign-in-code", "/api/v1/sessions/code", "Begin a sign-in by a one-time code",
		"For an invitation or a reset. Answers 202 with a ticket; what it asks for ends in change_password."),
		func(ctx context.Context, in *signInCodeInput) (*signInOutput, error) {
			return s.signedIn(api)(s.SignInByCode(ctx, in.Body.Login, in.Body.Code, httpapi.RemoteAddr(ctx), in.UserAgent))
		})
	httpapi.Register(api, httpapi.WhileLocked(huma.Operation{Method: http.MethodGet, OperationID: "current-session", Tags: []string{tag},
		Path: "/api/v1/sessions/current", Summary: "Who is signed in"}),
		func(ctx context.Context, actor identity.Actor, _ *struct{}) (*currentSessionOutput, error) {
			session, err := s.CurrentSession(ctx, actor)
			if err != nil {
				return nil, err
			}
			return &currentSessionOutput{CacheControl: "no-store", Body: s.sessionJSON(session)}, nil
		})
	httpapi.Register(api, httpapi.WhileLocked(huma.Operation{Method: http.MethodPost, OperationID: "unlock-session", Tags: []string{tag},
		Path: "/api/v1/sessions/current/unlock", Summary: "Prove who one is again", DefaultStatus: http.StatusNoContent, MaxBodyBytes: maxCredentialBody,
		Description: "Opens a session that was idle for too long, and makes it fresh for acts that ask for that: whatever answered 423 may be repeated."}),
		func(ctx context.Context, actor identity.Actor, in *unlockInput) (*struct{}, error) {
			if len(in.Body.Passkey) > 0 {
				return nil, s.unlockByPasskey(ctx, actor, in.Body.Passkey)
			}
			return nil, s.UnlockSession(ctx, actor, in.Body.Password)
		})
	httpapi.Register(api, huma.Operation{Method: http.MethodPost, OperationID: "note-activity", Tags: []string{tag},
		Path: "/api/v1/sessions/current/activity", Summary: "Say that somebody works in the session", DefaultStatus: http.StatusNoContent,
		Description: "A page sends it when keys or pointer were used, at most once a minute. Every other writing request counts too, unless it has the header " + httpapi.BackgroundHeader + "."},
		func(context.Context, identity.Actor, *struct{}) (*struct{}, error) { return nil, nil }) //nolint:nilnil // registering it notes the activity
	httpapi.Register(api, httpapi.WhileLocked(huma.Operation{Method: http.MethodDelete, OperationID: "sign-out", Tags: []string{tag},
		Path: "/api/v1/sessions/current", Summary: "Sign out", DefaultStatus: http.StatusNoContent}),
		func(ctx context.Context, actor identity.Actor, _ *struct{}) (*signOutOutput, error) {
			if err := s.SignOut(ctx, actor); err != nil {
				return nil, err
			}
			cookie := sessionCookie(api.Secure(), "")
			cookie.MaxAge = -1
			return &signOutOutput{SetCookie: cookie}, nil
		})
}

// signedIn turns how far a sign-in has come into its answer.
func (s *Service) signedIn(api *httpapi.API) func(SignedIn, error) (*signInOutput, error) {
	return func(in SignedIn, err error) (*signInOutput, error) {
		if err != nil {
			return nil, refused("body.new_password", err)
		}
		if in.Ticket != "" {
			return &signInOutput{Status: http.StatusAccepted, Body: directoryTicket{Ticket: in.Ticket, Next: in.Next, Min: in.MinPassword}}, nil
		}
		cookie := sessionCookie(api.Secure(), in.Token)
		// The cookie outlives neither the session nor, by the same clock of
		// ours, a browser that is set right; the server decides anyway.
		cookie.MaxAge = int(in.Session.ExpiresAt.Sub(s.now()).Seconds())
		return &signInOutput{Status: http.StatusCreated, SetCookie: []http.Cookie{cookie}, Body: s.sessionJSON(in.Session)}, nil
	}
}

// refused adds to a refused password which field it was and a stable word for
// why, for pages that say it in their own language.
func refused(field string, err error) error {
	var r *password.Refusal
	if !errors.As(err, &r) {
		return err
	}
	detail := &huma.ErrorDetail{Location: field, Message: r.Reason}
	if r.Min > 0 {
		detail.Value = r.Min
	}
	status := httpapi.Status(errcode.Invalid)
	return &httpapi.Problem{Status: status, Title: http.StatusText(status), Code: errcode.Invalid.String(), Detail: r.Error(),
		Errors: []*huma.ErrorDetail{detail}}
}

func sessionCookie(secure bool, token string) http.Cookie {
	// __Host- demands Path=/, Secure and no Domain.
	return http.Cookie{Name: httpapi.CookieName(secure), Value: token, Path: "/", Secure: secure,
		HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// tokenOf finds the session token in a Cookie header.
func tokenOf(header string, secure bool) string { return cookieOf(header, httpapi.CookieName(secure)) }

func (s *Service) sessionJSON(in Session) directorySession {
	grants := make([]directoryGrant, len(in.Grants))
	for i, g := range in.Grants {
		grants[i] = directoryGrant{Role: string(g.Role), AgencyID: string(g.Agency), UnitPath: g.Path}
	}
	return directorySession{Person: personJSON(in.Person), Positions: positionsJSON(in.Positions), Grants: grants,
		ExpiresAt: in.ExpiresAt.UTC(), Locked: in.Locked, IdleLock: int(s.cfg.IdleLock.Seconds())}
}
