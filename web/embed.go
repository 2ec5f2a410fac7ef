// Package web carries the built web client in the binary and serves it: hashed
// assets for a year, index.html fresh each time with a content policy of its
// own, and index.html too for every navigation to a page's address. It knows
// files and headers; of the API it knows only which paths are not its own.
package web

import (
	"bytes"
	"crypto/rand"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// placeholder.txt is committed so that `go build` works before the first web
// build; the rest of the folder is what `make build` left there.
//
//go:embed all:dist
var dist embed.FS

// nonceMark stands in index.html where each answer gets a nonce of its own.
const nonceMark = "__CSP_NONCE__"

const notBuilt = `<!doctype html><html lang="en"><meta charset="utf-8"><title>commsd</title>
<p>The web client is not built into this binary. Run <code>make build</code>, then start commsd again.</p></html>`

// Handler serves the client that was built into the binary. public is the
// address that browsers use (http.public_url): sockets may go there and nowhere
// else. The handler answers GET and HEAD and is safe for concurrent use.
func Handler(public *url.URL) (http.Handler, error) {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		return nil, fmt.Errorf("web: opening the embedded client: %w", err)
	}
	return newHandler(files, public)
}

// handler is read-only after newHandler.
type handler struct {
	files   map[string]*file // by URL path without the leading slash
	index   []byte           // nil: not built
	connect string           // sources of connect-src
}

func newHandler(root fs.FS, public *url.URL) (http.Handler, error) {
	h := &handler{files: map[string]*file{}, connect: connectSources(public)}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		switch name {
		case "index.html":
			h.index = body
		case "placeholder.txt", "assets/manifest.json": // of the build, not of the client
		default:
			h.files[name] = newFile(name, body)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("web: reading the embedded client: %w", err)
	}
	// scripts/compress.mjs lays x.js.br beside x.js: a form of that file, not one of its own.
	for name, f := range h.files {
		if plain, ok := h.files[strings.TrimSuffix(name, ".br")]; ok && plain != f {
			plain.brotli = f.body
			delete(h.files, name)
		}
	}
	return h, nil
}

// connectSources spells out the socket's address: 'self' covers ws: and wss:
// only in newer browsers.
func connectSources(public *url.URL) string {
	if public == nil || public.Host == "" {
		return "'self'"
	}
	scheme := "ws"
	if public.Scheme == "https" {
		scheme = "wss"
	}
	return "'self' " + scheme + "://" + public.Host
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD here", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if f, ok := h.files[name]; ok {
		f.serve(w, r)
		return
	}
	if !navigation(r, name) {
		http.NotFound(w, r)
		return
	}
	h.serveIndex(w, r)
}

// navigation tells whether a browser opens a page, which the client's own
// router then finds; a script or picture that is gone must be a plain 404, or a
// page of an older build would run HTML as its script.
func navigation(r *http.Request, name string) bool {
	if name == "" {
		return true
	}
	for _, prefix := range []string{"api", "rtc", "twirp", "assets"} {
		if name == prefix || strings.HasPrefix(name, prefix+"/") {
			return false
		}
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

func (h *handler) serveIndex(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-cache")
	header.Set("Vary", "Accept")
	nonce := newNonce()
	setSecurity(header, h.connect, nonce)
	if h.index == nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		writeBody(w, r, []byte(notBuilt))
		return
	}
	writeBody(w, r, bytes.ReplaceAll(h.index, []byte(nonceMark), []byte(nonce)))
}

func newNonce() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func writeBody(w http.ResponseWriter, r *http.Request, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // a client that left reads nothing
	}
}

// setSecurity lets a page load nothing from elsewhere. Style elements need the
// page's nonce; style attributes in markup are refused. What scripts set through
// an element's style object, as React does, no policy looks at. Mail is shown as
// a document of its own, under a policy of its own.
func setSecurity(header http.Header, connect, nonce string) {
	header.Set("Content-Security-Policy", strings.Join([]string{
		"default-src 'none'",
		"script-src 'self'",
		"style-src-elem 'self' 'nonce-" + nonce + "'",
		"style-src-attr 'none'",
		"style-src 'self' 'nonce-" + nonce + "'", // of browsers that do not know the two above
		"img-src 'self' data: blob:",
		"font-src 'self'",
		"connect-src " + connect,
		"media-src 'self' blob:",
		"worker-src 'self' blob:",
		"frame-src 'self'",
		"manifest-src 'self'",
		"form-action 'self'",
		"base-uri 'none'",
		"object-src 'none'",
		"frame-ancestors 'none'",
	}, "; "))
	header.Set("X-Frame-Options", "DENY")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self), geolocation=(), payment=(), usb=()")
}

func init() {
	// The types of what a build holds, whatever the machine's own tables say.
	for ext, kind := range map[string]string{
		".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
		".json": "application/json", ".woff2": "font/woff2", ".wasm": "application/wasm", ".webmanifest": "application/manifest+json",
	} {
		_ = mime.AddExtensionType(ext, kind) // fails only for an extension without a dot
	}
}
