package app

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// publicHandler wraps everything that the public listener serves: metrics and
// access log outside, then panics, the canonical host, requests forged by other
// sites, and the parting between the API and the pages.
func publicHandler(api, pages http.Handler, public *url.URL, proxies []netip.Prefix, log *slog.Logger, reg prometheus.Registerer) http.Handler {
	mux := http.NewServeMux()
	for _, prefix := range []string{"/api/", "/rtc", "/rtc/", "/twirp/"} {
		mux.Handle(prefix, api)
	}
	mux.Handle("/", pages)

	protection := http.NewCrossOriginProtection()
	// A page reached through a proxy that rewrites Host still posts to us.
	if err := protection.AddTrustedOrigin(public.Scheme + "://" + public.Host); err != nil {
		log.Error("public_url is no origin", "err", err) // Validate has checked it
	}
	h := canonicalHost(protection.Handler(mux), public)
	return forwarded(accessLog(recoverPanics(h, log), log, reg), proxies)
}

// canonicalHost sends a browser that opened a page by 127.0.0.1 to
// public_url's host: passkeys refuse addresses, and cookies of the two differ.
// Only the opening of pages moves; a program that calls the API by address is
// left alone.
func canonicalHost(next http.Handler, public *url.URL) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		navigation := (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.Contains(r.Header.Get("Accept"), "text/html") &&
			!strings.HasPrefix(r.URL.Path, "/api/") && !strings.HasPrefix(r.URL.Path, "/rtc")
		ip := net.ParseIP(strings.Trim(host, "[]"))
		if navigation && ip != nil && ip.IsLoopback() && public.Hostname() != strings.Trim(host, "[]") {
			to := *r.URL
			to.Scheme, to.Host = public.Scheme, public.Host
			http.Redirect(w, r, to.String(), http.StatusTemporaryRedirect)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// recoverPanics keeps a panic in one handler from being more than a 500 for
// one request.
func recoverPanics(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				return // the handler cut the answer short on purpose
			}
			log.ErrorContext(r.Context(), "panic in a handler", "method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			w.WriteHeader(http.StatusInternalServerError)
		}()
		next.ServeHTTP(w, r)
	})
}

// accessLog writes a debug line and counts each request. The path is logged
// without its query, which may hold a meeting's token.
func accessLog(next http.Handler, log *slog.Logger, reg prometheus.Registerer) http.Handler {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "commsd_http_requests_total", Help: "HTTP requests by method and status.",
	}, []string{"method", "status"})
	seconds := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "commsd_http_request_seconds", Help: "Time to answer a request; sockets are left out.",
		Buckets: []float64{.001, .005, .02, .05, .1, .3, 1, 3, 10},
	})
	if reg != nil {
		reg.MustRegister(requests, seconds)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		sw := &statusWriter{ResponseWriter: w}
		defer func() {
			if sw.hijacked {
				return
			}
			took := time.Since(start)
			seconds.Observe(took.Seconds())
			requests.WithLabelValues(method(r.Method), http.StatusText(max(sw.status, http.StatusOK))).Inc()
			log.DebugContext(r.Context(), "request", "method", r.Method, "path", r.URL.Path, "status", sw.status, "took", took, "remote", r.RemoteAddr)
		}()
		next.ServeHTTP(sw, r)
	})
}

// method bounds the label's values: a client may send any word.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

// statusWriter remembers the status, and lets a socket be taken over.
type statusWriter struct {
	http.ResponseWriter
	status   int
	hijacked bool
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap serves http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Hijack serves WebSocket upgrades.
func (w *statusWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.hijacked = true
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("app: taking over the connection: %w", err)
	}
	return conn, rw, nil
}

// gate refuses new work once the node is stopping.
type gate struct {
	closed atomic.Bool
}

func (g *gate) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.closed.Load() {
			w.Header().Set("Connection", "close")
			w.Header().Set("Retry-After", "5")
			w.Header().Set("Access-Control-Allow-Origin", "*") // the meeting client of another origin reads it too
			http.Error(w, "the server is stopping; try again in a few seconds", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}
