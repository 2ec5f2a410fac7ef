package netlimit_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"commsd/internal/testengine"
	"commsd/mail/netlimit"
)

func TestMain(m *testing.M) { os.Exit(testengine.Main(m)) }

// door is a limited listener whose connections arrive in a channel.
type door struct {
	*netlimit.Listener
	accepted chan net.Conn
	refused  chan string
}

func open(t *testing.T, cfg netlimit.Config) *door {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{accepted: make(chan net.Conn, 10), refused: make(chan string, 10)}
	cfg.Refused = func(remote string) { d.refused <- remote }
	d.Listener = netlimit.Wrap(l, cfg)
	ended := make(chan error, 1)
	go func() {
		for {
			c, err := d.Accept()
			if err != nil {
				ended <- err
				return
			}
			d.accepted <- c
		}
	}()
	t.Cleanup(func() {
		_ = d.Close() // Accept tells
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept ended with %v", err)
		}
		d.CloseConns()
	})
	return d
}

// from connects from an address of loopback.
func (d *door) from(t *testing.T, ip string) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}, Timeout: 10 * time.Second}).DialContext(context.Background(), "tcp", d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (d *door) in(t *testing.T) net.Conn {
	t.Helper()
	select {
	case c := <-d.accepted:
		return c
	case <-time.After(10 * time.Second):
		t.Fatal("the connection was not accepted")
		return nil
	}
}

func (d *door) out(t *testing.T, c net.Conn) {
	t.Helper()
	select {
	case remote := <-d.refused:
		if remote != c.LocalAddr().String() {
			t.Fatalf("%s was refused, want %s", remote, c.LocalAddr())
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the connection was not refused")
	}
	ended(t, c)
}

func ended(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err := c.Read(make([]byte, 1))
	if ne, ok := err.(net.Error); err == nil || ok && ne.Timeout() { //nolint:errorlint // as net returns it
		t.Fatalf("the connection lives: %v", err)
	}
}

func TestOneAddressHasItsShare(t *testing.T) {
	d := open(t, netlimit.Config{PerAddress: 2, Max: 4})
	d.from(t, "127.0.0.1")
	first := d.in(t)
	d.from(t, "127.0.0.1")
	d.in(t)
	d.out(t, d.from(t, "127.0.0.1"))
	d.from(t, "127.0.0.2") // another's share is its own
	d.in(t)
	if n := d.Open(); n != 3 {
		t.Fatalf("%d connections are open", n)
	}
	// A closed one gives its place back, once, however often it is closed.
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	_ = first.Close() // closed already
	if n := d.Open(); n != 2 {
		t.Fatalf("%d connections are open", n)
	}
	d.from(t, "127.0.0.1")
	d.in(t)
	d.out(t, d.from(t, "127.0.0.1"))
	d.from(t, "127.0.0.3")
	d.in(t)
	d.out(t, d.from(t, "127.0.0.4")) // all have enough
}

func TestCloseConns(t *testing.T) {
	d := open(t, netlimit.Config{})
	c := d.from(t, "127.0.0.1")
	server := d.in(t)
	d.CloseConns()
	ended(t, c)
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("the server reads %v", err)
	}
	d.out(t, d.from(t, "127.0.0.1")) // nor is another let in
	if n := d.Open(); n != 0 {
		t.Fatalf("%d connections are open", n)
	}
}

func TestSilentConnectionsEnd(t *testing.T) {
	d := open(t, netlimit.Config{First: time.Millisecond})
	d.from(t, "127.0.0.1")
	_, err := d.in(t).Read(make([]byte, 1))
	if ne, ok := err.(net.Error); !ok || !ne.Timeout() { //nolint:errorlint // as net returns it
		t.Fatalf("read: %v", err)
	}
	if errors.Is(err, io.EOF) {
		t.Fatal("the client closed it")
	}
}
