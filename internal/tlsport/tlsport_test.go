package tlsport_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"commsd/internal/tlscert"
	"commsd/internal/tlsport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const wait = 20 * time.Second

// kept keeps one certificate for all tests.
type kept struct {
	once  sync.Once
	value []byte
	err   error
}

func (k *kept) Get(_ context.Context, _ string, create func() ([]byte, error)) ([]byte, error) {
	k.once.Do(func() { k.value, k.err = create() })
	return k.value, k.err
}

var certificates kept

// serve answers HTTP with "pages", and keeps what the other protocol is sent.
func serve(t testing.TB, timeout time.Duration) (addr string, other chan string, l *tlsport.Listener) {
	t.Helper()
	c, err := tlscert.Own(t.Context(), &certificates, []string{"localhost"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c = c.Clone()
	c.NextProtos = []string{"h2", "http/1.1"}
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other = make(chan string, 100)
	var others sync.WaitGroup
	l = tlsport.New(raw, tlsport.Config{
		TLS: c, Timeout: timeout, Log: slog.New(slog.DiscardHandler), IsOther: func(b byte) bool { return b <= 3 },
		Other: func(c net.Conn) {
			others.Add(1)
			defer others.Done()
			defer c.Close()
			b, _ := io.ReadAll(c)
			other <- string(b)
		},
	})
	web := &http.Server{
		TLSConfig: c, ReadHeaderTimeout: wait, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "pages by "+r.Proto) }),
	}
	var served sync.WaitGroup
	served.Go(l.Run)
	served.Go(func() { _ = web.Serve(l) })
	t.Cleanup(func() {
		_ = web.Close()
		served.Wait()
		others.Wait()
	})
	return raw.Addr().String(), other, l
}

func dial(t testing.TB, addr string, alpn ...string) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: alpn}) //nolint:gosec // the test's own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPartsByALPNAndFirstByte(t *testing.T) {
	addr, other, _ := serve(t, 0)
	for _, proto := range []string{"HTTP/2.0", "HTTP/1.1"} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: proto == "HTTP/2.0"} //nolint:gosec // the test's own
		if proto == "HTTP/1.1" {
			transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
		}
		res, err := (&http.Client{Transport: transport}).Get("https://" + addr)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		transport.CloseIdleConnections()
		if err != nil || string(b) != "pages by "+proto {
			t.Errorf("%q, %v, want %s", b, err, proto)
		}
	}
	// A program without ALPN.
	c := dial(t, addr)
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(res.Body); string(b) != "pages by HTTP/1.1" {
		t.Errorf("%q", b)
	}
	for _, first := range []byte{0, 1, 3} {
		said := string(first) + " and the rest"
		c := dial(t, addr)
		if _, err := io.WriteString(c, said); err != nil {
			t.Fatal(err)
		}
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got := <-other; got != said {
			t.Errorf("the other protocol got %q", got)
		}
	}
	// ALPN goes to HTTP, whatever comes then.
	c = dial(t, addr, "http/1.1")
	if _, err := io.WriteString(c, "\x00\x01\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(c); !strings.HasPrefix(string(b), "HTTP/1.1 400") {
		t.Errorf("%q", b)
	}
	// Plain HTTP is told.
	plain, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if _, err := io.WriteString(plain, "GET / HTTP/1.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(plain); !strings.Contains(string(b), "HTTP request to an HTTPS server") {
		t.Errorf("%q", b)
	}
	if len(other) != 0 {
		t.Errorf("the other protocol got %q", <-other)
	}
}

// TestSilentClients: who says nothing is closed in time, and holds up neither
// others nor the end.
func TestSilentClients(t *testing.T) {
	addr, _, _ := serve(t, 200*time.Millisecond)
	mute, err := net.Dial("tcp", addr) // no handshake
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	half := dial(t, addr) // no first byte
	for _, c := range []net.Conn{mute, half} {
		_ = c.SetReadDeadline(time.Now().Add(wait))
		if _, err := c.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("a silent client is not closed: %v", err)
		}
	}
	addr, _, l := serve(t, time.Hour)
	mute, err = net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	dial(t, addr)
	if err := l.Close(); err != nil { // the cleanup waits for Run
		t.Fatal(err)
	}
}

// FuzzFirstBytes: whatever comes, raw or inside TLS, the port goes on.
func FuzzFirstBytes(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), true)
	f.Add([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, true)
	f.Add([]byte{0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0}, false)
	f.Add([]byte{4}, true)
	addr, other, _ := serve(f, time.Minute)
	f.Fuzz(func(t *testing.T, b []byte, inside bool) {
		raw, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		conn := raw
		if inside {
			conn = tls.Client(raw, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test's own
		}
		_ = conn.SetDeadline(time.Now().Add(wait))
		_, _ = conn.Write(b) // it may be refused half way
		if c, ok := conn.(*tls.Conn); ok && len(b) > 0 && b[0] <= 3 {
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if got := <-other; got != string(b) {
				t.Errorf("the other protocol got %q of %q", got, b)
			}
		}
	})
}
