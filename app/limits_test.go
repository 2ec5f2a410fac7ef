package app

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestConnectionsOfPagesAndNodes take half of the file descriptors together, so
// that mail and media keep the others.
func TestConnectionsOfPagesAndNodes(t *testing.T) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	half := int(min(files.Cur/2, 1<<20))
	for _, c := range []struct {
		most    int
		cluster string
		want    int
	}{
		{0, "", half}, {0, "10.0.0.5:8082", half / 2},
		{100, "", 100}, {100, "10.0.0.5:8082", 50}, {1, "10.0.0.5:8082", 1},
	} {
		cfg := Default()
		cfg.HTTP.MaxConnections, cfg.Cluster.Listen = c.most, c.cluster
		a := &App{cfg: cfg, log: slog.New(slog.DiscardHandler)}
		if got := a.mostConnections(); got != c.want {
			t.Errorf("http.max_connections %d, cluster.listen %q: %d for each listener, want %d", c.most, c.cluster, got, c.want)
		}
	}
}

// TestMediaBehindAProxy: whoever is behind a trusted proxy is not counted as one
// address.
func TestMediaBehindAProxy(t *testing.T) {
	for _, proxies := range [][]string{nil, {"127.0.0.1"}} {
		cfg := Default()
		cfg.Media.TCPMaxConnectionsPerAddress, cfg.HTTP.TrustedProxies = 1, proxies
		var log bytes.Buffer
		a := &App{cfg: cfg, log: slog.New(slog.NewTextHandler(&log, nil))}
		inner, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		limited := a.limitMediaTCP(inner)
		accepted := make(chan struct{})
		go func() { // greets whom it lets in
			defer close(accepted)
			for {
				conn, err := limited.Accept()
				if err != nil {
					return
				}
				t.Cleanup(func() { conn.Close() })
				_, _ = conn.Write([]byte("x")) // who does not get it fails the test
			}
		}()
		in := 0
		for range 3 {
			conn, err := net.Dial("tcp", inner.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if n, err := io.ReadFull(conn, make([]byte, 1)); n == 1 && err == nil {
				in++
			}
		}
		limited.Close()
		<-accepted
		want := map[bool]int{true: 3, false: 1}[proxies != nil]
		if refused := strings.Count(log.String(), "too many media connections"); in != want || refused != 3-want {
			t.Errorf("with proxies %q %d got in, %d were refused; want %d\n%s", proxies, in, refused, want, log.String())
		}
	}
}
