package oidc_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"commsd/directory/oidc"
	"commsd/internal/testpeer/oidcpeer"
)

// Whatever any address of a provider answers costs one sign-in a bounded time
// and memory, tells which kind of failure it was, and sends us nowhere else.
func TestHostileAnswers(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("another host was asked") }))
	t.Cleanup(elsewhere.Close)
	var sent atomic.Int64
	// pour writes block until the other side has had enough.
	pour := func(w http.ResponseWriter, r *http.Request, block string, pause time.Duration) {
		tick := time.NewTicker(max(pause, time.Microsecond))
		defer tick.Stop()
		control := http.NewResponseController(w)
		for r.Context().Err() == nil {
			n, err := io.WriteString(w, block)
			sent.Add(int64(n))
			if err != nil || control.Flush() != nil {
				return
			}
			if pause > 0 {
				<-tick.C
			}
		}
	}
	answer := func(body string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, body)
		}
	}
	hostile := map[string]func(http.ResponseWriter, *http.Request){
		"a redirect elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		},
		"a redirect in a ring": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) },
		"an error with a book": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, strings.Repeat("hostile words ", 50_000))
		},
		"an endless body":   func(w http.ResponseWriter, r *http.Request) { pour(w, r, strings.Repeat(" ", 64<<10), 0) },
		"a body that drips": func(w http.ResponseWriter, r *http.Request) { pour(w, r, " ", 20*time.Millisecond) },
		"endless JSON":      func(w http.ResponseWriter, r *http.Request) { pour(w, r, strings.Repeat(`{"a":[`, 1000), 0) },
		"a book of headers": func(w http.ResponseWriter, _ *http.Request) {
			for i := range 100 {
				w.Header().Set("X-"+strconv.Itoa(i), strings.Repeat("x", 32<<10))
			}
			_, _ = io.WriteString(w, "{}")
		},
		"a page":    answer("<html>"),
		"nothing":   answer(""),
		"a list":    answer("[]"),
		"deep JSON": answer(strings.Repeat(`{"keys":[`, 50_000)),
		"a length that is not": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{}")
		},
	}
	for path, kinds := range map[string][]error{
		"/.well-known/openid-configuration": {oidc.ErrUnavailable},
		"/keys":                             {oidc.ErrUnavailable},
		"/token":                            {oidc.ErrUnavailable, oidc.ErrRefused},
		"/userinfo":                         {oidc.ErrUnavailable, oidc.ErrRefused},
	} {
		for name, serve := range hostile {
			t.Run(path+"/"+name, func(t *testing.T) {
				sent.Store(0)
				peer := oidcpeer.New(t)
				peer.Claims, peer.UserInfo = map[string]any{"sub": "subject-1"}, an()
				peer.Broken = func(w http.ResponseWriter, r *http.Request) bool {
					if r.URL.Path != path {
						return false
					}
					serve(w, r)
					return true
				}
				p := newProvider(t, peer, func(c *oidc.Config) { c.Timeout = 400 * time.Millisecond })
				_, err := signIn(t, p, peer)
				if !isOne(err, kinds) || len(err.Error()) > 700 {
					t.Errorf("%.800v", err)
				}
				if n := sent.Load(); n > 16<<20 { // what is read, and what sockets hold
					t.Errorf("%d bytes were taken", n)
				}
			})
		}
	}
}

func isOne(err error, kinds []error) bool {
	for _, k := range kinds {
		if errors.Is(err, k) {
			return true
		}
	}
	return false
}

// Keys of any size may be sent; none is computed with that takes minutes.
func TestHostileKeys(t *testing.T) {
	number := func(bytes int) string {
		return base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("\xff", bytes)))
	}
	key := func(n, e string) string {
		text, err := json.Marshal(map[string]string{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "key-1", "n": n, "e": e})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for name, c := range map[string]struct {
		keys string
		kind error
	}{
		"a modulus of 600 kB":  {`{"keys":[` + key(number(600_000), "AQAB") + `]}`, oidc.ErrRefused},
		"a thousand keys":      {`{"keys":[` + strings.TrimSuffix(strings.Repeat(key(number(256), "AQAB")+",", 1000), ",") + `]}`, oidc.ErrRefused},
		"an exponent of 64 kB": {`{"keys":[` + key(number(256), number(64<<10)) + `]}`, oidc.ErrRefused},
		"a tiny modulus":       {`{"keys":[` + key("Aw", "AQAB") + `]}`, oidc.ErrRefused},
		"an empty one":         {`{"keys":[` + key("", "") + `]}`, oidc.ErrRefused},
		"no keys":              {`{}`, oidc.ErrRefused},
		"a text":               {`{"keys":"` + number(64) + `"}`, oidc.ErrUnavailable},
		"a secret":             {`{"keys":[{"kty":"oct","kid":"key-1","k":"` + number(32) + `"}]}`, oidc.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			peer := oidcpeer.New(t)
			peer.Claims = an()
			if strings.Contains(name, "600 kB") {
				// As long a signature is what makes somebody compute.
				peer.Sign = func(p *oidcpeer.Provider, claims jwt.Claims) string {
					text := oidcpeer.Signed(p, claims, jwt.SigningMethodRS256, p.Key)
					return text[:strings.LastIndex(text, ".")+1] + number(600_000)
				}
			}
			peer.Broken = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/keys" {
					return false
				}
				_, _ = io.WriteString(w, c.keys)
				return true
			}
			_, err := signIn(t, newProvider(t, peer), peer)
			if !errors.Is(err, c.kind) {
				t.Errorf("%.800v", err)
			}
		})
	}
	// A provider that puts it right is believed again.
	peer := oidcpeer.New(t)
	peer.Claims = an()
	var bad atomic.Bool
	bad.Store(true)
	peer.Broken = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/keys" && bad.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return true
		}
		return false
	}
	p := newProvider(t, peer)
	if _, err := signIn(t, p, peer); !errors.Is(err, oidc.ErrUnavailable) {
		t.Errorf("without keys: %v", err)
	}
	bad.Store(false)
	if who, err := signIn(t, p, peer); err != nil || who.Login == "" {
		t.Errorf("with keys: %+v, %v", who, err)
	}
	peer.Change = func(c jwt.MapClaims) { c["nonce"] = "another" }
	if _, err := signIn(t, p, peer); !errors.Is(err, oidc.ErrRefused) {
		t.Errorf("keys that were had, and a wrong token: %v", err)
	}
}

// Whatever a provider says, in whichever of its answers, is believed or refused
// with one of the known kinds; nobody is signed in by it whom it may not speak
// for.
func FuzzProviderAnswers(f *testing.F) {
	const document, keys, token, idToken, claims, userInfo, parts = 0, 1, 2, 3, 4, 5, 6
	f.Add(byte(document), 200, []byte(`{"issuer":"http://127.0.0.1","authorization_endpoint":"javascript:x","token_endpoint":"http://[::1]:0","jwks_uri":""}`))
	f.Add(byte(keys), 200, []byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA","kid":"key-1"},{"kty":"OKP","crv":"Ed25519","x":"","kid":"key-1"}]}`))
	f.Add(byte(token), 200, []byte(`{"access_token":1,"expires_in":"-9e999","id_token":{"a":1}}`))
	f.Add(byte(idToken), 200, []byte(`eyJhbGciOiJub25lIn0.e30.`))
	f.Add(byte(claims), 200, []byte(`{"aud":["commsd","commsd"],"azp":{},"exp":1e300,"email":["an@noivu.g2g.example"],"email_verified":{},"amr":{"a":[[]]},"_claim_names":{"email":"x"},"_claim_sources":{"x":{"endpoint":"http://192.0.2.1/"}}}`))
	f.Add(byte(userInfo), 302, []byte(`{"sub":"subject-1","email":"chi@hanoi.g2g.example","email_verified":"true"}`))
	f.Fuzz(func(t *testing.T, which byte, status int, body []byte) {
		which %= parts
		if status < 200 || status > 599 {
			status = 200
		}
		path := map[byte]string{document: "/.well-known/openid-configuration", keys: "/keys", token: "/token", userInfo: "/userinfo"}[which]
		peer := oidcpeer.New(t)
		peer.Claims, peer.UserInfo = an(), an()
		peer.Broken = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != path {
				return false
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write(body)
			return true
		}
		switch which {
		case userInfo:
			peer.Claims = map[string]any{"sub": "subject-1"}
		case claims:
			var said map[string]any
			if json.Unmarshal(body, &said) == nil {
				peer.Change = func(c jwt.MapClaims) {
					for k, v := range said {
						c[k] = v
					}
				}
			}
		case idToken:
			peer.Sign = func(*oidcpeer.Provider, jwt.Claims) string { return string(body) }
		}
		p := newProvider(t, peer, func(c *oidc.Config) { c.Timeout = 2 * time.Second })
		secret := newSecret()
		to, err := p.Start(t.Context(), secret, "")
		if err == nil && strings.HasPrefix(to, peer.URL+"/authorize?") {
			var who oidc.Identity
			who, err = p.Finish(t.Context(), secret, peer.SignIn(to).Query())
			if err == nil && (who.Subject == "" || who.Issuer != peer.URL || who.Login != "" && !p.Serves(who.Login)) {
				t.Errorf("believed %+v", who)
			}
		}
		if err != nil && (!isOne(err, []error{oidc.ErrUnavailable, oidc.ErrDenied, oidc.ErrRefused}) || len(err.Error()) > 700) {
			t.Errorf("%.800v", err)
		}
	})
}
