package oidc_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"commsd/directory/oidc"
	"commsd/internal/testpeer/oidcpeer"
)

const callback = "https://comms.example/api/v1/sessions/oidc/hanoi/callback"

func an() map[string]any {
	return map[string]any{"sub": "subject-1", "email": "An@Noivu.g2g.example", "email_verified": true}
}

func newProvider(t testing.TB, peer *oidcpeer.Provider, change ...func(*oidc.Config)) *oidc.Provider {
	t.Helper()
	cfg := oidc.Config{ID: "noivu", Name: "Bộ Nội vụ", Issuer: peer.URL, ClientID: peer.ClientID, ClientSecret: peer.ClientSecret,
		Domains: []string{"noivu.g2g.example"}, RedirectURL: callback}
	for _, fn := range change {
		fn(&cfg)
	}
	p, err := oidc.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func newSecret() []byte {
	b := make([]byte, 32)
	rand.Read(b) // which never fails
	return b
}

// signIn goes the whole way.
func signIn(t testing.TB, p *oidc.Provider, peer *oidcpeer.Provider) (oidc.Identity, error) {
	t.Helper()
	secret := newSecret()
	to, err := p.Start(t.Context(), secret, "")
	if err != nil {
		return oidc.Identity{}, err
	}
	back := peer.SignIn(to)
	if got, _, _ := strings.Cut(back.String(), "?"); got != callback {
		t.Fatalf("sent back to %s", back)
	}
	return p.Finish(t.Context(), secret, back.Query())
}

func TestSignIn(t *testing.T) {
	peer := oidcpeer.New(t)
	peer.Claims, peer.RedirectURL = an(), callback
	p := newProvider(t, peer)
	for range 2 {
		who, err := signIn(t, p, peer)
		if want := (oidc.Identity{Issuer: peer.URL, Subject: "subject-1", Login: "an@noivu.g2g.example"}); err != nil || who != want {
			t.Fatalf("%+v, %v", who, err)
		}
	}
	if d, k := peer.Requests("/.well-known/openid-configuration"), peer.Requests("/keys"); d != 1 || k != 1 {
		t.Errorf("asked %d times for the addresses and %d times for the keys", d, k)
	}
	to, err := p.Start(t.Context(), newSecret(), "an@noivu.g2g.example")
	if u, err2 := url.Parse(to); errors.Join(err, err2) != nil || u.Query().Get("login_hint") != "an@noivu.g2g.example" || u.Query().Get("scope") != "openid email" {
		t.Errorf("%s: %v %v", to, err, err2)
	}
}

// What the provider says about others than its own people, or does not vouch
// for, is no login.
func TestOnlyVerifiedLoginsOfTheDomains(t *testing.T) {
	for name, claims := range map[string]map[string]any{
		"another domain":    {"email": "chi@hanoi.g2g.example"},
		"a domain below":    {"email": "an@x.noivu.g2g.example"},
		"a domain beside":   {"email": "an@evilnoivu.g2g.example"},
		"two at signs":      {"email": "an@noivu.g2g.example@evil.example"},
		"unverified":        {"email_verified": false},
		"unverified text":   {"email_verified": "false"},
		"verified a number": {"email_verified": 1},
		"no verification":   {"email_verified": nil},
		"no email":          {"email": nil},
		"a list":            {"email": []string{"an@noivu.g2g.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			peer := oidcpeer.New(t)
			peer.Claims = an()
			for k, v := range claims {
				peer.Claims[k] = v
			}
			who, err := signIn(t, newProvider(t, peer), peer)
			if err != nil || who.Login != "" || who.Subject != "subject-1" {
				t.Errorf("%+v, %v", who, err)
			}
		})
	}
	peer := oidcpeer.New(t)
	peer.Claims = map[string]any{"sub": "1", "upn": "an@noivu.g2g.example", "upn_ok": "true"}
	who, err := signIn(t, newProvider(t, peer, func(c *oidc.Config) { c.LoginClaim, c.Verified = "upn", "upn_ok" }), peer)
	if err != nil || who.Login != "an@noivu.g2g.example" {
		t.Errorf("mapped claims: %+v, %v", who, err)
	}
}

// A provider may say less in the token and the rest to whoever asks with it.
func TestUserInfo(t *testing.T) {
	for name, c := range map[string]struct {
		info  map[string]any
		login string
		want  error
	}{
		"the person's":    {info: an(), login: "an@noivu.g2g.example"},
		"another's":       {info: map[string]any{"sub": "subject-2", "email": "an@noivu.g2g.example", "email_verified": true}, want: oidc.ErrRefused},
		"nobody's":        {info: map[string]any{"email": "an@noivu.g2g.example", "email_verified": true}, want: oidc.ErrRefused},
		"no verification": {info: map[string]any{"sub": "subject-1", "email": "an@noivu.g2g.example"}},
		"none":            {},
	} {
		peer := oidcpeer.New(t)
		peer.Claims, peer.UserInfo = map[string]any{"sub": "subject-1"}, c.info
		who, err := signIn(t, newProvider(t, peer), peer)
		if !errors.Is(err, c.want) || who.Login != c.login {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
	peer := oidcpeer.New(t)
	peer.Claims, peer.UserInfo = an(), map[string]any{"sub": "subject-1", "email": "binh@noivu.g2g.example", "email_verified": true}
	who, err := signIn(t, newProvider(t, peer), peer)
	if err != nil || who.Login != "an@noivu.g2g.example" || peer.Requests("/userinfo") != 0 {
		t.Errorf("a token that says it all: %+v, %v", who, err)
	}
}

func TestSecondFactorOfTheProvider(t *testing.T) {
	for _, c := range []struct {
		claims map[string]any
		mfa    []string
		want   bool
	}{
		{map[string]any{"amr": []string{"pwd", "mfa"}}, []string{"mfa"}, true},
		{map[string]any{"acr": "level-3"}, []string{"level-3"}, true},
		{map[string]any{"amr": []string{"pwd"}, "acr": "1"}, []string{"mfa"}, false},
		{map[string]any{"amr": "mfa"}, []string{"mfa"}, false},
		{map[string]any{"amr": []string{"mfa"}}, nil, false}, // not configured: not believed
		{nil, []string{"mfa", ""}, false},
	} {
		peer := oidcpeer.New(t)
		peer.Claims = an()
		for k, v := range c.claims {
			peer.Claims[k] = v
		}
		who, err := signIn(t, newProvider(t, peer, func(cfg *oidc.Config) { cfg.MFA = c.mfa }), peer)
		if err != nil || who.MFA != c.want {
			t.Errorf("%v with %v: %+v, %v", c.claims, c.mfa, who, err)
		}
	}
}

func TestRefusedTokens(t *testing.T) {
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ago := func(d time.Duration) int64 { return time.Now().Add(-d).Unix() }
	for name, c := range map[string]struct {
		change func(jwt.MapClaims)
		sign   func(*oidcpeer.Provider, jwt.Claims) string
		passes bool
	}{
		"wrong audience":          {change: func(c jwt.MapClaims) { c["aud"] = "another" }},
		"no audience":             {change: func(c jwt.MapClaims) { delete(c, "aud") }},
		"several without azp":     {change: func(c jwt.MapClaims) { c["aud"] = []string{"commsd", "another"} }},
		"made for another":        {change: func(c jwt.MapClaims) { c["azp"] = "another" }},
		"made for us and another": {change: func(c jwt.MapClaims) { c["aud"], c["azp"] = []string{"commsd", "another"}, "commsd" }, passes: true},
		"wrong nonce":             {change: func(c jwt.MapClaims) { c["nonce"] = "another" }},
		"no nonce":                {change: func(c jwt.MapClaims) { delete(c, "nonce") }},
		"wrong issuer":            {change: func(c jwt.MapClaims) { c["iss"] = "https://evil.example" }},
		"issuer with a slash":     {change: func(c jwt.MapClaims) { c["iss"] = c["iss"].(string) + "/" }}, //nolint:forcetypeassert // set above
		"expired":                 {change: func(c jwt.MapClaims) { c["exp"] = ago(2 * time.Minute) }},
		"expired a moment ago":    {change: func(c jwt.MapClaims) { c["exp"] = ago(20 * time.Second) }, passes: true}, // clocks differ
		"no expiry":               {change: func(c jwt.MapClaims) { delete(c, "exp") }},
		"not valid yet":           {change: func(c jwt.MapClaims) { c["nbf"] = ago(-10 * time.Minute) }},
		"from the future":         {change: func(c jwt.MapClaims) { c["iat"] = ago(-10 * time.Minute) }},
		"clock a little ahead":    {change: func(c jwt.MapClaims) { c["iat"] = ago(-30 * time.Second) }, passes: true},
		"no subject":              {change: func(c jwt.MapClaims) { delete(c, "sub") }},
		"another key": {sign: func(p *oidcpeer.Provider, c jwt.Claims) string {
			return oidcpeer.Signed(p, c, jwt.SigningMethodRS256, other)
		}},
		"no signature": {sign: func(p *oidcpeer.Provider, c jwt.Claims) string {
			return oidcpeer.Signed(p, c, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType)
		}},
		"HMAC by the public key": {sign: func(p *oidcpeer.Provider, c jwt.Claims) string {
			return oidcpeer.Signed(p, c, jwt.SigningMethodHS256, p.PublicPEM())
		}},
		"HMAC by the client secret": {sign: func(p *oidcpeer.Provider, c jwt.Claims) string {
			return oidcpeer.Signed(p, c, jwt.SigningMethodHS256, []byte(p.ClientSecret))
		}},
		"no token": {sign: func(*oidcpeer.Provider, jwt.Claims) string { return "" }},
		"garbage":  {sign: func(*oidcpeer.Provider, jwt.Claims) string { return "a.b.c" }},
	} {
		t.Run(name, func(t *testing.T) {
			peer := oidcpeer.New(t)
			peer.Claims, peer.Change, peer.Sign = an(), c.change, c.sign
			who, err := signIn(t, newProvider(t, peer), peer)
			if c.passes && err != nil || !c.passes && !errors.Is(err, oidc.ErrRefused) {
				t.Errorf("%+v, %v", who, err)
			}
		})
	}
}

func TestRefusedAnswers(t *testing.T) {
	peer := oidcpeer.New(t)
	peer.Claims = an()
	p := newProvider(t, peer)
	for name, c := range map[string]struct {
		change func(url.Values)
		secret []byte
		want   error
	}{
		"state of another sign-in": {change: func(v url.Values) { v.Set("state", "another") }, want: oidc.ErrRefused},
		"no state":                 {change: func(v url.Values) { v.Del("state") }, want: oidc.ErrRefused},
		"two states":               {change: func(v url.Values) { v.Add("state", "another") }, want: oidc.ErrRefused},
		"another browser":          {change: func(url.Values) {}, secret: newSecret(), want: oidc.ErrRefused},
		"another issuer":           {change: func(v url.Values) { v.Set("iss", "https://evil.example") }, want: oidc.ErrRefused},
		"this issuer":              {change: func(v url.Values) { v.Set("iss", peer.URL) }},
		"made-up code":             {change: func(v url.Values) { v.Set("code", "made up") }, want: oidc.ErrRefused},
		"no code":                  {change: func(v url.Values) { v.Del("code") }, want: oidc.ErrRefused},
		"huge code":                {change: func(v url.Values) { v.Set("code", strings.Repeat("x", 5000)) }, want: oidc.ErrRefused},
		"denied":                   {change: func(v url.Values) { v.Del("code"); v.Set("error", "access_denied") }, want: oidc.ErrDenied},
	} {
		secret := newSecret()
		to, err := p.Start(t.Context(), secret, "")
		if err != nil {
			t.Fatal(err)
		}
		answer := peer.SignIn(to).Query()
		c.change(answer)
		if c.secret != nil {
			secret = c.secret
		}
		if _, err := p.Finish(t.Context(), secret, answer); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The provider itself takes a code once.
	secret := newSecret()
	to, err := p.Start(t.Context(), secret, "")
	if err != nil {
		t.Fatal(err)
	}
	answer := peer.SignIn(to).Query()
	if _, err := p.Finish(t.Context(), secret, answer); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Finish(t.Context(), secret, answer); !errors.Is(err, oidc.ErrRefused) {
		t.Errorf("the same answer again: %v", err)
	}
	// A code that another relying party's verifier was for.
	stolen, err := p.Start(t.Context(), newSecret(), "")
	if err != nil {
		t.Fatal(err)
	}
	answer.Set("code", peer.SignIn(stolen).Query().Get("code"))
	if _, err := p.Finish(t.Context(), secret, answer); !errors.Is(err, oidc.ErrRefused) {
		t.Errorf("another's code: %v", err)
	}
	peer.Refuse = "server_error"
	if _, err := signIn(t, p, peer); !errors.Is(err, oidc.ErrDenied) {
		t.Errorf("the provider refuses: %v", err)
	}
}

// A provider that is away, slow, lying or endless costs a sign-in, never more.
func TestProvidersThatCannotBeUsed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("another host was asked") }))
	t.Cleanup(elsewhere.Close)
	released := make(chan struct{})
	t.Cleanup(func() { close(released) })
	for name, c := range map[string]struct {
		document func(map[string]any)
		broken   func(http.ResponseWriter, *http.Request) bool
	}{
		"another issuer":        {document: func(d map[string]any) { d["issuer"] = "https://evil.example" }},
		"tokens elsewhere":      {document: func(d map[string]any) { d["token_endpoint"] = elsewhere.URL + "/token" }},
		"keys elsewhere":        {document: func(d map[string]any) { d["jwks_uri"] = elsewhere.URL + "/keys" }},
		"page in the clear":     {document: func(d map[string]any) { d["authorization_endpoint"] = "http://evil.example/authorize" }},
		"page that is a script": {document: func(d map[string]any) { d["authorization_endpoint"] = "javascript:alert(1)" }},
		"no token endpoint":     {document: func(d map[string]any) { delete(d, "token_endpoint") }},
		"redirects": {broken: func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, elsewhere.URL, http.StatusFound)
			return true
		}},
		"error": {broken: func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}},
		"endless": {broken: func(w http.ResponseWriter, r *http.Request) bool {
			block := []byte(strings.Repeat(" ", 64<<10))
			for r.Context().Err() == nil {
				if _, err := w.Write(block); err != nil {
					break
				}
			}
			return true
		}},
		"silent": {broken: func(_ http.ResponseWriter, r *http.Request) bool {
			select {
			case <-released:
			case <-r.Context().Done():
			}
			return true
		}},
	} {
		t.Run(name, func(t *testing.T) {
			peer := oidcpeer.New(t)
			peer.Document, peer.Broken = c.document, c.broken
			p := newProvider(t, peer, func(cfg *oidc.Config) { cfg.Timeout = 300 * time.Millisecond })
			if _, err := signIn(t, p, peer); !errors.Is(err, oidc.ErrUnavailable) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestProviderComesBack(t *testing.T) {
	peer := oidcpeer.New(t)
	peer.Claims = an()
	var mu sync.Mutex
	now, down := time.Now(), true
	peer.Broken = func(w http.ResponseWriter, _ *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if down {
			w.WriteHeader(http.StatusBadGateway)
		}
		return down
	}
	p := newProvider(t, peer, func(c *oidc.Config) {
		c.Now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return now
		}
	})
	start := func() error {
		_, err := p.Start(t.Context(), newSecret(), "")
		return err
	}
	for range 3 {
		if err := start(); !errors.Is(err, oidc.ErrUnavailable) {
			t.Fatalf("while it is down: %v", err)
		}
	}
	if n := peer.Requests("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("a provider that is down was asked %d times at once", n)
	}
	mu.Lock()
	down, now = false, now.Add(6*time.Second)
	mu.Unlock()
	if err := start(); err != nil {
		t.Errorf("after it came back: %v", err)
	}
	// One that goes away again is used with what is known of it.
	mu.Lock()
	down, now = true, now.Add(2*time.Hour)
	mu.Unlock()
	if err := start(); err != nil {
		t.Errorf("known, and down: %v", err)
	}
}

// Many who sign in at once ask the provider once; those who leave do not spoil
// it for the others.
func TestOneDiscoveryForMany(t *testing.T) {
	peer := oidcpeer.New(t)
	asked, proceed := make(chan struct{}, 1), make(chan struct{})
	peer.Broken = func(http.ResponseWriter, *http.Request) bool {
		asked <- struct{}{}
		<-proceed
		return false
	}
	p := newProvider(t, peer)
	first, leave := context.WithCancel(t.Context())
	var people sync.WaitGroup
	people.Go(func() { _, _ = p.Start(first, newSecret(), "") }) // it may or may not be told of its leaving
	<-asked
	for range 8 {
		people.Go(func() {
			if _, err := p.Start(t.Context(), newSecret(), ""); err != nil {
				t.Error(err)
			}
		})
	}
	leave()
	close(proceed)
	people.Wait()
	if n := peer.Requests("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestValidate(t *testing.T) {
	good := oidc.Config{ID: "noivu", Name: "Bộ Nội vụ", Issuer: "https://id.noivu.example", ClientID: "commsd", Domains: []string{"noivu.g2g.example"}}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for key, change := range map[string]func(*oidc.Config){
		"id":        func(c *oidc.Config) { c.ID = "Nội vụ" },
		"name":      func(c *oidc.Config) { c.Name = "" },
		"issuer":    func(c *oidc.Config) { c.Issuer = "http://id.noivu.example" },
		"client_id": func(c *oidc.Config) { c.ClientID = "" },
		"domains":   func(c *oidc.Config) { c.Domains = []string{"Noivu.example"} },
		"scopes":    func(c *oidc.Config) { c.Scopes = []string{"email"} },
	} {
		c := good
		change(&c)
		if _, err := oidc.New(c); err == nil || !strings.HasPrefix(err.Error(), key+": ") {
			t.Errorf("%s: %v", key, err)
		}
	}
}
