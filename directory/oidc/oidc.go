// Package oidc signs people in at outside providers (OpenID Connect Core 1.0,
// authorization code flow with PKCE, RFC 7636): it sends a browser to the
// provider of a mail domain and believes what the provider says about who came
// back, as far as the provider may say it.
//
// It must not know accounts, sessions, the database or cookies: whoever calls
// it keeps the secret of each sign-in with the browser, takes it once, and
// decides whose account the answer is.
package oidc

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Config describes one provider.
type Config struct {
	ID           string   // in addresses: lower case letters, digits, hyphens
	Name         string   // as people read it
	Issuer       string   // https address; http on loopback alone
	ClientID     string   // as the provider knows us
	ClientSecret string   // empty: a public client, by PKCE alone
	Domains      []string // mail domains, lower case, of the people it may sign in
	Scopes       []string // empty: openid, email
	Hosts        []string // further hosts of the provider's own (token, keys); the issuer's is always one
	LoginClaim   string   // empty: email
	Verified     string   // claim that says the login is verified; empty: email_verified
	MFA          []string // values of amr or acr by which the provider says that a second factor was shown

	RedirectURL string // of our callback

	Log     *slog.Logger     // nil: discards
	Now     func() time.Time // nil: time.Now
	Timeout time.Duration    // of one request to the provider; 0: 10 s
}

const (
	defaultTimeout = 10 * time.Second
	maxAnswer      = 1 << 20         // bytes of one answer of the provider
	clockSkew      = time.Minute     // that the provider's clock may differ
	discoverAgain  = time.Hour       // after a discovery that went well
	retryAfter     = 5 * time.Second // after one that did not
	maxParameter   = 4096            // bytes of code, state and the like
	maxSaid        = 500             // bytes of an error's words; libraries quote whole answers
)

// algorithms are those of signatures by a key that we do not hold: a provider's
// public key is never taken for the secret of an HMAC.
var algorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512,
	oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
}

// Validate names what is missing or wrong, as "issuer: …".
func (c Config) Validate() error {
	switch {
	case c.ID == "" || strings.Trim(c.ID, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || len(c.ID) > 32:
		return fmt.Errorf("id: %q is not made of up to 32 lower case letters, digits and hyphens", c.ID)
	case c.Name == "":
		return errors.New("name: is empty; write what people call this provider")
	case c.ClientID == "":
		return errors.New("client_id: is empty; register this installation at the provider")
	case len(c.Domains) == 0:
		return errors.New("domains: is empty; name the mail domains of its people")
	case len(c.Scopes) > 0 && !slices.Contains(c.Scopes, oidc.ScopeOpenID):
		return errors.New("scopes: lacks openid")
	}
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || !safe(u) {
		return fmt.Errorf("issuer: %q is no https address", c.Issuer)
	}
	for _, d := range c.Domains {
		if d == "" || d != strings.ToLower(d) || strings.ContainsAny(d, "@ /") {
			return fmt.Errorf("domains: %q is no mail domain in lower case", d)
		}
	}
	return nil
}

// safe tells whether what is sent to u is not read on the way.
func safe(u *url.URL) bool {
	if u.Scheme == "https" {
		return true
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && ip.IsLoopback())
}

// The kinds of failure; errors.Is tells them apart.
var (
	ErrUnavailable = errors.New("oidc: the provider does not answer") // try again later
	ErrDenied      = errors.New("oidc: the provider did not sign the person in")
	ErrRefused     = errors.New("oidc: the answer is not believed")
	ErrUnverified  = errors.New("oidc: the provider does not vouch for a login of its domains")
)

// Provider is one provider. It may be used from many goroutines. It asks the
// provider when it first must, so that one that is away keeps nobody from
// starting.
type Provider struct {
	// set at construction
	cfg       Config
	client    *http.Client
	transport *transport
	hosts     []string

	mu        sync.Mutex
	found     *oidc.Provider // guarded by mu
	foundAt   time.Time      // guarded by mu
	failed    error          // guarded by mu
	failedAt  time.Time      // guarded by mu
	searching chan struct{}  // guarded by mu: closed when the discovery under way ends
}

// New checks cfg and returns its Provider; nothing is asked of anyone.
func New(cfg Config) (*Provider, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if len(cfg.Scopes) == 0 {
		cfg.Scopes = []string{oidc.ScopeOpenID, oidc.ScopeEmail}
	}
	if cfg.LoginClaim == "" {
		cfg.LoginClaim = "email"
	}
	if cfg.Verified == "" {
		cfg.Verified = "email_verified"
	}
	issuer, err := url.Parse(cfg.Issuer)
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	p := &Provider{cfg: cfg, hosts: append([]string{issuer.Host}, cfg.Hosts...)}
	p.transport = &transport{base: newTransport(cfg.Timeout), hosts: p.hosts}
	p.client = &http.Client{
		Timeout:   cfg.Timeout, // the body's too
		Transport: p.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // an answer elsewhere is none
		},
	}
	return p, nil
}

// Config returns the configuration with its defaults.
func (p *Provider) Config() Config { return p.cfg }

// Serves tells whether the provider may speak for login.
func (p *Provider) Serves(login string) bool {
	_, domain, ok := strings.Cut(login, "@")
	return ok && slices.Contains(p.cfg.Domains, strings.ToLower(domain))
}

// Close lets go of idle connections.
func (p *Provider) Close() { p.client.CloseIdleConnections() }

// Start returns the address at the provider that a browser is sent to. secret
// is of this sign-in alone, at least 32 random bytes; state, nonce and the PKCE
// verifier come from it, so that the browser which brings it back is the one
// that was sent.
func (p *Provider) Start(ctx context.Context, secret []byte, login string) (string, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(derive(secret, "nonce")), oauth2.S256ChallengeOption(derive(secret, "verifier"))}
	if login != "" {
		options = append(options, oauth2.SetAuthURLParam("login_hint", login))
	}
	return p.oauth(found).AuthCodeURL(derive(secret, "state"), options...), nil
}

// Identity is whom a provider vouches for.
type Identity struct {
	Issuer  string
	Subject string // stable and unique at the issuer
	Login   string // verified, of one of the provider's domains, lower case; empty: none such
	MFA     bool   // the provider says that a second factor was shown
}

// Finish believes what a browser brought back to the callback, or not: secret is
// that of the Start which it came from. Errors are ErrUnavailable, ErrDenied and
// ErrRefused.
func (p *Provider) Finish(ctx context.Context, secret []byte, answer url.Values) (Identity, error) {
	who, err := p.finish(ctx, secret, answer)
	return who, brief(err)
}

func (p *Provider) finish(ctx context.Context, secret []byte, answer url.Values) (Identity, error) {
	for _, name := range []string{"state", "code", "iss", "error"} {
		if values := answer[name]; len(values) > 1 || len(values) == 1 && len(values[0]) > maxParameter {
			return Identity{}, fmt.Errorf("%w: parameter %s", ErrRefused, name)
		}
	}
	if !hmac.Equal([]byte(answer.Get("state")), []byte(derive(secret, "state"))) {
		return Identity{}, fmt.Errorf("%w: state is of another sign-in", ErrRefused)
	}
	// RFC 9207: an answer mixed up with another provider's.
	if iss := answer.Get("iss"); iss != "" && iss != p.cfg.Issuer {
		return Identity{}, fmt.Errorf("%w: it came from %q", ErrRefused, iss)
	}
	if reason := answer.Get("error"); reason != "" {
		return Identity{}, fmt.Errorf("%w: %q", ErrDenied, reason)
	}
	found, err := p.discover(ctx)
	if err != nil {
		return Identity{}, err
	}
	ctx = oidc.ClientContext(ctx, p.client) // oauth2 looks for it there too
	token, err := p.oauth(found).Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(derive(secret, "verifier")))
	if err != nil {
		var answered *oauth2.RetrieveError
		if errors.As(err, &answered) && answered.Response != nil && answered.Response.StatusCode < http.StatusInternalServerError {
			return Identity{}, fmt.Errorf("%w: the code was not taken: %w", ErrRefused, err)
		}
		return Identity{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return Identity{}, fmt.Errorf("%w: no id_token", ErrRefused)
	}
	claims, issued, err := p.check(ctx, found, raw, derive(secret, "nonce"))
	if err != nil {
		return Identity{}, err
	}
	out := Identity{Issuer: issued.Issuer, Subject: issued.Subject, MFA: p.showedMore(claims)}
	if claims[p.cfg.LoginClaim] == nil || claims[p.cfg.Verified] == nil {
		// A provider that gives an access token may keep these for those who
		// ask (section 5.4).
		if claims, err = p.userInfo(ctx, found, token, issued.Subject); err != nil {
			return Identity{}, err
		}
	}
	login, _ := claims[p.cfg.LoginClaim].(string)
	if login = strings.ToLower(login); truth(claims[p.cfg.Verified]) && p.Serves(login) {
		out.Login = login
	}
	return out, nil
}

// userInfo answers the claims of section 5.3, none where the provider has no
// such address.
func (p *Provider) userInfo(ctx context.Context, found *oidc.Provider, token *oauth2.Token, subject string) (map[string]any, error) {
	if found.UserInfoEndpoint() == "" {
		return nil, nil //nolint:nilnil // no claims are no failure
	}
	info, err := found.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if info.Subject != subject { // section 5.3.2
		return nil, fmt.Errorf("%w: the claims are of %q", ErrRefused, info.Subject)
	}
	var claims map[string]any
	if err := info.Claims(&claims); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return claims, nil
}

// check checks an ID token (section 3.1.3.7).
func (p *Provider) check(ctx context.Context, found *oidc.Provider, raw, nonce string) (map[string]any, *oidc.IDToken, error) {
	verifier := found.Verifier(&oidc.Config{ // keeps the keys it has fetched
		ClientID: p.cfg.ClientID, SupportedSigningAlgs: algorithms,
		Now: func() time.Time { return p.cfg.Now().Add(-clockSkew) },
	})
	token, err := verifier.Verify(ctx, raw)
	if failed := p.transport.keysFailure(); err != nil && failed != nil {
		return nil, nil, fmt.Errorf("%w: its keys: %w", ErrUnavailable, failed)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if !hmac.Equal([]byte(token.Nonce), []byte(nonce)) {
		return nil, nil, fmt.Errorf("%w: the nonce is of another sign-in", ErrRefused)
	}
	var claims map[string]any
	if err := token.Claims(&claims); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if party, _ := claims["azp"].(string); party != "" && party != p.cfg.ClientID || party == "" && len(token.Audience) > 1 {
		return nil, nil, fmt.Errorf("%w: it was made for %q", ErrRefused, party)
	}
	if token.IssuedAt.After(p.cfg.Now().Add(clockSkew)) {
		return nil, nil, fmt.Errorf("%w: it was issued in the future, at %v", ErrRefused, token.IssuedAt)
	}
	if token.Subject == "" || len(token.Subject) > 255 {
		return nil, nil, fmt.Errorf("%w: no usable sub", ErrRefused)
	}
	return claims, token, nil
}

// truth reads a claim of yes or no; some providers write it as text.
func truth(v any) bool { return v == true || v == "true" }

// showedMore tells whether the provider says that a second factor was shown, in
// the words it was configured with.
func (p *Provider) showedMore(claims map[string]any) bool {
	var said []string
	if acr, ok := claims["acr"].(string); ok {
		said = append(said, acr)
	}
	if amr, ok := claims["amr"].([]any); ok {
		for _, v := range amr {
			if s, ok := v.(string); ok {
				said = append(said, s)
			}
		}
	}
	return slices.ContainsFunc(said, func(s string) bool { return slices.Contains(p.cfg.MFA, s) })
}

func (p *Provider) oauth(found *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret, Endpoint: found.Endpoint(),
		RedirectURL: p.cfg.RedirectURL, Scopes: p.cfg.Scopes}
}

// derive makes a value of a sign-in's secret, so that the secret alone must be
// kept. 43 characters are what RFC 7636 asks of a verifier at the least.
func derive(secret []byte, what string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("oidc " + what))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
