package sfu_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"commsd/internal/netlimit"
	"commsd/sfu"
)

// Whoever connects to the TCP port is heard before it is known who it is: no
// more of them at a time than the limit lets in.
func TestStrangersOverTCPAreBounded(t *testing.T) {
	const most = 3
	var limited *netlimit.Listener
	s := serve(t, func(c *sfu.Config) {
		c.LimitTCP = func(l net.Listener) net.Listener {
			limited = netlimit.Wrap(l, netlimit.Config{Max: most, First: -1})
			return limited
		}
	})
	_, tcp := s.Ports()
	dial := func() net.Conn {
		c, err := new(net.Dialer).DialContext(ctx(t), "tcp", tcp[0].String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	closed := func(c net.Conn, within time.Duration) bool {
		if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
			t.Fatal(err)
		}
		_, err := c.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, io.EOF) && err == nil {
			t.Fatal("the server speaks first")
		}
		return !errors.Is(err, os.ErrDeadlineExceeded)
	}
	var in []net.Conn
	for range most {
		in = append(in, dial())
	}
	if !closed(dial(), wait) {
		t.Error("one more is let in")
	}
	for _, c := range in {
		if closed(c, time.Millisecond) {
			t.Error("one of those within the limit is not")
		}
		_ = c.Close()
	}
	limit := time.After(wait)
	for tick := time.NewTicker(10 * time.Millisecond); limited.Open() > 0; {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%d connections that have ended count", limited.Open())
		}
	}
}
