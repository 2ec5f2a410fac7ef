package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func serve(t *testing.T, files fstest.MapFS, method, target string, header map[string]string) *http.Response {
	t.Helper()
	public, err := url.Parse("https://g2g.example")
	if err != nil {
		t.Fatal(err)
	}
	h, err := newHandler(files, public)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, target, nil)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

var built = fstest.MapFS{
	"index.html":              {Data: []byte(`<meta name="csp-nonce" content="__CSP_NONCE__">`)},
	"placeholder.txt":         {Data: []byte("x")},
	"assets/app-abc123.js":    {Data: []byte(strings.Repeat("const a = 1;\n", 200))},
	"assets/big-abc123.js":    {Data: []byte(strings.Repeat("const b = 2;\n", 200))},
	"assets/big-abc123.js.br": {Data: []byte("what brotli made of it")},
	"icon.svg":                {Data: []byte("<svg/>")},
}

func TestServes(t *testing.T) {
	html := map[string]string{"Accept": "text/html,*/*"}
	for _, c := range []struct {
		name, method, target string
		header               map[string]string
		status               int
		cache, kind          string
	}{
		{"the first page", "GET", "/", nil, 200, "no-cache", "text/html; charset=utf-8"},
		{"a check of the first page", "HEAD", "/", nil, 200, "no-cache", "text/html; charset=utf-8"},
		{"a page's address", "GET", "/meetings/1", html, 200, "no-cache", "text/html; charset=utf-8"},
		{"a hashed asset", "GET", "/assets/app-abc123.js", nil, 200, "public, max-age=31536000, immutable", "text/javascript; charset=utf-8"},
		{"a file without a hash", "GET", "/icon.svg", nil, 200, "no-cache", "image/svg+xml"},
		{"an asset that is gone", "GET", "/assets/app-old.js", html, 404, "", ""},
		{"a compressed form by its own name", "GET", "/assets/big-abc123.js.br", html, 404, "", ""},
		{"the API's addresses", "GET", "/api/v1/nothing", html, 404, "", ""},
		{"the meeting's addresses", "GET", "/rtc/validate", html, 404, "", ""},
		{"a script's request for a page", "GET", "/meetings", map[string]string{"Accept": "*/*"}, 404, "", ""},
		{"the build's own file", "GET", "/placeholder.txt", nil, 404, "", ""},
		{"a write", "POST", "/", html, 405, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := serve(t, built, c.method, c.target, c.header)
			if res.StatusCode != c.status {
				t.Fatalf("status %d, want %d", res.StatusCode, c.status)
			}
			if c.status == 200 && (res.Header.Get("Cache-Control") != c.cache || res.Header.Get("Content-Type") != c.kind) {
				t.Errorf("Cache-Control %q, Content-Type %q", res.Header.Get("Cache-Control"), res.Header.Get("Content-Type"))
			}
		})
	}
}

func TestPolicyCarriesThePagesNonce(t *testing.T) {
	seen := map[string]bool{}
	for range 2 {
		res := serve(t, built, "GET", "/", nil)
		body := make([]byte, 200)
		n, _ := res.Body.Read(body)
		m := regexp.MustCompile(`content="([\w-]{22})"`).FindSubmatch(body[:n])
		if m == nil {
			t.Fatalf("no nonce in %q", body[:n])
		}
		policy := res.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "'nonce-"+string(m[1])+"'") {
			t.Errorf("the policy lacks the page's nonce: %s", policy)
		}
		if !strings.Contains(policy, "connect-src 'self' wss://g2g.example;") {
			t.Errorf("the policy lets sockets go elsewhere, or nowhere: %s", policy)
		}
		if strings.Contains(policy, "unsafe") {
			t.Errorf("the policy lets the page run or style what anyone wrote: %s", policy)
		}
		if seen[string(m[1])] {
			t.Error("two answers carry one nonce")
		}
		seen[string(m[1])] = true
	}
}

func TestCompressesForThoseWhoAsk(t *testing.T) {
	const script = "/assets/app-abc123.js"
	res := serve(t, built, "GET", script, map[string]string{"Accept-Encoding": "br, gzip"})
	if res.Header.Get("Content-Encoding") != "gzip" || res.ContentLength > 1000 {
		t.Errorf("Content-Encoding %q, %d bytes", res.Header.Get("Content-Encoding"), res.ContentLength)
	}
	if got := serve(t, built, "GET", script, map[string]string{"Accept-Encoding": "gzip", "If-None-Match": res.Header.Get("ETag")}); got.StatusCode != http.StatusNotModified {
		t.Errorf("status %d for what the client has, want 304", got.StatusCode)
	}
	for _, encoding := range []string{"", "br", "gzip;q=0", "gzip; q=0.0"} {
		if res := serve(t, built, "GET", script, map[string]string{"Accept-Encoding": encoding}); res.Header.Get("Content-Encoding") != "" {
			t.Errorf("Accept-Encoding %q got %q", encoding, res.Header.Get("Content-Encoding"))
		}
	}
	if res := serve(t, built, "GET", script, map[string]string{"Accept-Encoding": "gzip;q=0.5"}); res.Header.Get("Content-Encoding") != "gzip" {
		t.Error("gzip with a weight was not taken")
	}
}

func TestSendsBrotliToThoseWhoTakeIt(t *testing.T) {
	const script = "/assets/big-abc123.js"
	tags := map[string]bool{}
	for accepted, want := range map[string]string{
		"gzip, deflate, br, zstd": "br", "br;q=0.8": "br", "br;q=0, gzip": "gzip", "gzip, deflate": "gzip", "": "",
	} {
		res := serve(t, built, "GET", script, map[string]string{"Accept-Encoding": accepted})
		if got := res.Header.Get("Content-Encoding"); got != want {
			t.Errorf("Accept-Encoding %q got %q, want %q", accepted, got, want)
		}
		if res.Header.Get("Content-Type") != "text/javascript; charset=utf-8" || res.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("Content-Type %q, Vary %q", res.Header.Get("Content-Type"), res.Header.Get("Vary"))
		}
		if want == "br" && res.ContentLength != int64(len("what brotli made of it")) {
			t.Errorf("%d bytes, not the build's own", res.ContentLength)
		}
		tags[res.Header.Get("ETag")] = true
	}
	if len(tags) != 3 {
		t.Errorf("three forms have the tags %v", tags)
	}
}

func TestSaysThatNothingWasBuilt(t *testing.T) {
	res := serve(t, fstest.MapFS{"placeholder.txt": {Data: []byte("x")}}, "GET", "/", nil)
	body := make([]byte, 500)
	n, _ := res.Body.Read(body)
	if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body[:n]), "make build") {
		t.Errorf("%d %s", res.StatusCode, body[:n])
	}
}
