package netlimit_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"commsd/internal/netlimit"
	"commsd/internal/testengine"
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

// failing is a listener whose first Accepts fail.
type failing struct {
	net.Listener
	errs []error
}

func (f *failing) Accept() (net.Conn, error) {
	if len(f.errs) > 0 {
		err := f.errs[0]
		f.errs = f.errs[1:]
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", err)}
	}
	return f.Listener.Accept()
}

// TestGoesOnAfterAShortage: want of file descriptors passes; other errors are
// told, and waiting ends when the listener is closed.
func TestGoesOnAfterAShortage(t *testing.T) {
	listen := func() net.Listener {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	told := 0
	l := netlimit.Wrap(&failing{listen(), []error{syscall.EMFILE, syscall.ENFILE, syscall.ECONNABORTED}}, netlimit.Config{Short: func(error) { told++ }})
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := l.Accept()
	if err != nil || told != 1 {
		t.Fatalf("%v, told %d times, want a connection and to be told once", err, told)
	}
	got.Close()
	l.Close()

	l = netlimit.Wrap(&failing{listen(), []error{syscall.EINVAL}}, netlimit.Config{})
	if _, err := l.Accept(); !errors.Is(err, syscall.EINVAL) {
		t.Fatalf("got %v", err)
	}
	l.Close()

	many := make([]error, 1000)
	for i := range many {
		many[i] = syscall.EMFILE
	}
	begun := make(chan struct{})
	l = netlimit.Wrap(&failing{listen(), many}, netlimit.Config{Short: func(error) { close(begun) }})
	go func() {
		<-begun
		l.Close()
	}()
	// A minute of pauses would pass before the errors ran out.
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("after Close: %v", err)
	}
}

func TestExemptAddressHasNoShare(t *testing.T) {
	d := open(t, netlimit.Config{PerAddress: 1, First: -1, Exempt: func(ip netip.Addr) bool { return ip == netip.MustParseAddr("127.0.0.9") }})
	for range 3 {
		d.from(t, "127.0.0.9")
		d.in(t)
	}
	d.from(t, "127.0.0.1")
	d.in(t)
	d.out(t, d.from(t, "127.0.0.1"))
}
