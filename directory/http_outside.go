package directory

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"commsd/internal/errcode"
	"commsd/internal/httpapi"
)

// outsidePath begins the addresses of sign-in by outside providers; a provider
// is told the callback's.
const outsidePath = "/api/v1/sessions/oidc/"

// directoryProvider is an outside provider of sign-in.
type directoryProvider struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Path string `json:"path" doc:"address that a browser opens to sign in there; query: login, to (the page to open at the end)"`
}

type providersInput struct {
	Body struct {
		Login string `json:"login" maxLength:"320" doc:"main mail address; its domain alone decides"`
	}
}

type providersOutput struct {
	Body struct {
		Providers []directoryProvider `json:"providers" nullable:"false"`
	}
}

type startOutsideInput struct {
	ID    string `path:"id" maxLength:"32"`
	Login string `query:"login" maxLength:"320" doc:"hint for the provider's page"`
	To    string `query:"to" doc:"page of ours to open at the end"`
}

type finishOutsideInput struct {
	ID        string `path:"id" maxLength:"32"`
	UserAgent string `header:"User-Agent"`
	Cookie    string `header:"Cookie" hidden:"true"`

	query url.Values
}

// Resolve serves huma: the provider's answer is read as it came, doubled
// parameters included.
func (in *finishOutsideInput) Resolve(c huma.Context) []error {
	u := c.URL()
	in.query = u.Query()
	return nil
}

type outsideOutput struct {
	Status    int
	Location  string        `header:"Location"`
	SetCookie []http.Cookie `header:"Set-Cookie"`
}

// outsideRoutes registers sign-in by outside providers. A browser opens two of
// the addresses, so that they answer by sending it on, to the sign-in page where
// something is wrong.
func (s *Service) outsideRoutes(api *httpapi.API) {
	httpapi.RegisterPublic(api, huma.Operation{Method: http.MethodPost, OperationID: "list-providers", Tags: []string{tag},
		Path: "/api/v1/sessions/providers", Summary: "Outside providers that a login may sign in by", MaxBodyBytes: 4 << 10,
		Description: "The login's mail domain alone decides: the answer tells nothing of an account."},
		func(_ context.Context, in *providersInput) (*providersOutput, error) {
			out := &providersOutput{}
			out.Body.Providers = []directoryProvider{}
			for _, p := range s.Providers(in.Body.Login) {
				out.Body.Providers = append(out.Body.Providers, directoryProvider{ID: p.ID, Name: p.Name, Path: outsidePath + p.ID})
			}
			return out, nil
		})
	httpapi.RegisterPublic(api, huma.Operation{Method: http.MethodGet, OperationID: "start-outside", Tags: []string{tag},
		Path: outsidePath + "{id}", Summary: "Sign in by an outside provider", DefaultStatus: http.StatusSeeOther,
		Description: "For a browser to open: sends it to the provider."},
		func(ctx context.Context, in *startOutsideInput) (*outsideOutput, error) {
			location, secret, err := s.StartOutside(ctx, in.ID, in.Login, in.To, httpapi.RemoteAddr(ctx))
			if err != nil {
				return s.backToSignIn(in.ID, localPage(in.To), SignedIn{}, err)
			}
			cookie := s.outsideCookie(api.Secure(), secret)
			cookie.MaxAge = int(s.cfg.TicketLifetime.Seconds())
			return &outsideOutput{Status: http.StatusSeeOther, Location: location, SetCookie: []http.Cookie{cookie}}, nil
		})
	httpapi.RegisterPublic(api, huma.Operation{Method: http.MethodGet, OperationID: "finish-outside", Tags: []string{tag},
		Path: outsidePath + "{id}/callback", Summary: "Come back from an outside provider", DefaultStatus: http.StatusSeeOther,
		Description: "For a browser to open: sends it to the page that was asked for, with a session, or to /sign-in with, behind the #, what is asked for next, or error and message. The ticket for it is in a cookie: name none."},
		func(ctx context.Context, in *finishOutsideInput) (*outsideOutput, error) {
			signedIn, to, err := s.FinishOutside(ctx, OutsideRequest{
				Provider: in.ID, Secret: cookieOf(in.Cookie, outsideCookie(api.Secure())), Answer: in.query,
				Address: httpapi.RemoteAddr(ctx), UserAgent: in.UserAgent, OldToken: tokenOf(in.Cookie, api.Secure()),
			})
			gone := s.outsideCookie(api.Secure(), "")
			gone.MaxAge = -1
			if err != nil || signedIn.Ticket != "" {
				out, err := s.backToSignIn(in.ID, to, signedIn, err)
				if err != nil {
					return nil, err
				}
				out.SetCookie = []http.Cookie{gone}
				if signedIn.Ticket != "" {
					ticket := s.outsideCookie(api.Secure(), signedIn.Ticket)
					ticket.MaxAge = int(s.cfg.TicketLifetime.Seconds())
					out.SetCookie = []http.Cookie{ticket}
				}
				return out, nil
			}
			cookie := sessionCookie(api.Secure(), signedIn.Token)
			cookie.MaxAge = int(signedIn.Session.ExpiresAt.Sub(s.now()).Seconds())
			return &outsideOutput{Status: http.StatusSeeOther, Location: to, SetCookie: []http.Cookie{gone, cookie}}, nil
		})
}

// backToSignIn sends a browser to the sign-in page with what it must know. What
// nobody expects, and an address that names no provider, stay errors.
func (s *Service) backToSignIn(id, to string, in SignedIn, err error) (*outsideOutput, error) {
	p, unknown := s.provider(id)
	if code := errcode.Of(err); unknown != nil || err != nil && code == errcode.Internal {
		return nil, err
	}
	page := "/sign-in"
	if to != "/" {
		page += "?to=" + url.QueryEscape(to)
	}
	return &outsideOutput{Status: http.StatusSeeOther, Location: page + "#" + outsideFragment(p.Config().Name, in, err)}, nil
}

func (s *Service) outsideCookie(secure bool, value string) http.Cookie {
	// Lax: the browser comes back by a link of another site.
	return http.Cookie{Name: outsideCookie(secure), Value: value, Path: "/", Secure: secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// ticketOf is the ticket of a request: the one it names, or that of a sign-in by
// a provider, which is a cookie and in no address. A link that somebody sends
// can so take nobody on in a sign-in of theirs.
func (s *Service) ticketOf(named, cookies string, secure bool) string {
	if named != "" {
		return named
	}
	return cookieOf(cookies, outsideCookie(secure))
}

// cookieOf finds a cookie in a Cookie header.
func cookieOf(header, name string) string {
	cookies, err := http.ParseCookie(strings.TrimSpace(header))
	if err != nil {
		return ""
	}
	for _, c := range cookies {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}
