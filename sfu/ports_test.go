package sfu

import (
	"log/slog"
	"net"
	"os"
	"syscall"
	"testing"
)

// failing is a listener whose first Accepts find no file descriptor.
type failing struct {
	net.Listener
	left int
}

func (f *failing) Accept() (net.Conn, error) {
	if f.left > 0 {
		f.left--
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return f.Listener.Accept()
}

// TestListenersOutliveAShortage: Pion accepts no more after the first error,
// so it must not see one that passes.
func TestListenersOutliveAShortage(t *testing.T) {
	for _, count := range []int{1, 2} {
		var all []net.Listener
		for range count {
			l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, &failing{l, 3})
		}
		joined := joinListeners(all, slog.New(slog.DiscardHandler))
		for _, l := range all {
			c, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			got, err := joined.Accept()
			if err != nil {
				t.Fatal(err)
			}
			got.Close()
		}
		if err := joined.Close(); err != nil {
			t.Error(err)
		}
		if _, err := joined.Accept(); err == nil {
			t.Error("a closed listener accepts")
		}
	}
}
