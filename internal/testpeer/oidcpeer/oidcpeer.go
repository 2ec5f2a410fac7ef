// Package oidcpeer is an OpenID Connect provider for tests: it signs everybody
// in at once as whoever the test says, checks what a relying party must send
// (PKCE, client secret, redirect address, a code once), and can be told to lie.
//
// It knows nothing of the server's packages.
package oidcpeer

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Provider is a provider on loopback. Its exported fields are set before a
// sign-in.
type Provider struct {
	URL          string
	ClientID     string
	ClientSecret string
	RedirectURL  string // the only one that is taken; empty: any

	Claims   map[string]any                         // of the person who signs in: sub, email, …
	UserInfo map[string]any                         // what the ID token does not say, for whoever asks; nil: there is no such address
	Refuse   string                                 // error that the authorization endpoint answers; empty: none
	Change   func(claims jwt.MapClaims)             // of an ID token, before it is signed; nil: nothing
	Sign     func(p *Provider, c jwt.Claims) string // of an ID token; nil: RS256 by the provider's key
	Document func(d map[string]any)                 // of the discovery, before it is sent; nil: nothing
	Broken   func(w http.ResponseWriter, r *http.Request) bool

	Key *rsa.PrivateKey

	t      testing.TB
	server *httptest.Server

	mu       sync.Mutex
	codes    map[string]url.Values
	requests map[string]int
}

// sharedKey is the key of all providers of a test process: making one takes
// longer than most tests.
var sharedKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// New starts a provider that is stopped when the test ends.
func New(t testing.TB) *Provider {
	t.Helper()
	key, err := sharedKey()
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{ClientID: "commsd", ClientSecret: "client-secret", Key: key, t: t, codes: map[string]url.Values{}, requests: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.document)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /userinfo", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+accessToken {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer(w, http.StatusOK, p.UserInfo)
	})
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.requests[r.URL.Path]++
		p.mu.Unlock()
		if p.Broken == nil || !p.Broken(w, r) {
			mux.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(p.server.Close)
	p.URL = p.server.URL
	return p
}

// Stop ends the provider before the test does.
func (p *Provider) Stop() { p.server.Close() }

// Requests is how often a path was asked for.
func (p *Provider) Requests(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests[path]
}

// SignIn goes to the authorization endpoint as a browser would, and returns
// where it is sent back to.
func (p *Provider) SignIn(address string) *url.URL {
	p.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	rq, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := client.Do(rq)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	back, err := res.Location()
	if err != nil {
		p.t.Fatalf("the provider answers %s and sends nobody back", res.Status)
	}
	return back
}

func (p *Provider) document(w http.ResponseWriter, _ *http.Request) {
	d := map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
	}
	if p.UserInfo != nil {
		d["userinfo_endpoint"] = p.URL + "/userinfo"
	}
	if p.Document != nil {
		p.Document(d)
	}
	answer(w, http.StatusOK, d)
}

const (
	keyID       = "key-1"
	accessToken = "access-token"
)

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"keys": []map[string]string{{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": keyID,
		"n": b64(p.Key.N.Bytes()), "e": b64(big.NewInt(int64(p.Key.E)).Bytes()),
	}}})
}

func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || q.Get("client_id") != p.ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" ||
		q.Get("code_challenge") == "" || q.Get("nonce") == "" || q.Get("state") == "" || p.RedirectURL != "" && q.Get("redirect_uri") != p.RedirectURL {
		http.Error(w, "the request lacks something: "+r.URL.RawQuery, http.StatusBadRequest)
		return
	}
	out := url.Values{"state": {q.Get("state")}}
	if p.Refuse != "" {
		out.Set("error", p.Refuse)
	} else {
		code := rand.Text()
		p.mu.Lock()
		p.codes[code] = q
		p.mu.Unlock()
		out.Set("code", code)
	}
	back.RawQuery = out.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	q, ok := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	p.mu.Unlock()
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case id != p.ClientID || subtle.ConstantTimeCompare([]byte(secret), []byte(p.ClientSecret)) != 1:
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
	case !ok || b64(challenge[:]) != q.Get("code_challenge") || r.PostFormValue("redirect_uri") != q.Get("redirect_uri"):
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
	default:
		answer(w, http.StatusOK, map[string]any{"access_token": accessToken, "token_type": "Bearer", "expires_in": 60, "id_token": p.idToken(q.Get("nonce"))})
	}
}

func (p *Provider) idToken(nonce string) string {
	now := time.Now()
	c := jwt.MapClaims{"iss": p.URL, "aud": p.ClientID, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "nonce": nonce}
	for k, v := range p.Claims {
		c[k] = v
	}
	if p.Change != nil {
		p.Change(c)
	}
	if p.Sign != nil {
		return p.Sign(p, c)
	}
	return Signed(p, c, jwt.SigningMethodRS256, p.Key)
}

// Signed signs c, with the provider's key id.
func Signed(p *Provider, c jwt.Claims, method jwt.SigningMethod, key any) string {
	token := jwt.NewWithClaims(method, c)
	token.Header["kid"] = keyID
	text, err := token.SignedString(key)
	if err != nil {
		p.t.Errorf("sign: %v", err)
	}
	return text
}

// PublicPEM is the provider's public key as text, which a careless relying party
// takes for the secret of an HMAC.
func (p *Provider) PublicPEM() []byte {
	der, err := x509.MarshalPKIXPublicKey(crypto.PublicKey(&p.Key.PublicKey))
	if err != nil {
		p.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that has gone is no failure
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
