package app_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pion/stun/v4"
	"golang.org/x/sys/unix"

	"commsd/app/apptest"
)

// insideAlone is set in the copy of the test that runs in a network of its own.
const insideAlone = "COMMSD_TEST_ALONE"

// TestNoPacketLeaves: what a meeting of this server sends, with and without its
// relay, stays on the machine. It runs in a network of its own that has a way
// out where nobody answers, and watches every packet that takes it.
func TestNoPacketLeaves(t *testing.T) {
	if os.Getenv(insideAlone) != "" {
		return
	}
	script, err := filepath.Abs("../tools/alone.sh")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, script, os.Args[0], "-test.run=^TestInsideAlone$", "-test.v")
	cmd.Env = append(os.Environ(), insideAlone+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestInsideAlone") {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestInsideAlone(t *testing.T) {
	if os.Getenv(insideAlone) == "" {
		return // TestNoPacketLeaves runs it
	}
	for name, relay := range map[string]bool{"direct": false, "by the relay": true} {
		t.Run(name, func(t *testing.T) {
			w := watchPackets(t)
			cfg := apptest.Config(t.TempDir())
			cfg.Media.APIKeys = operatorKeys()
			if relay {
				cfg.TURN.UDPListen, cfg.TURN.Host = "127.0.0.1:0", "127.0.0.1"
			}
			n := apptest.StartConfig(t, cfg)
			if relay {
				meetThroughTURN(t, n, nil, nil)
			} else {
				meetDirectly(t, n)
			}
			n.Stop(t)
			if left := w.seen(t); len(left) > 0 {
				t.Errorf("packets left: %q", left)
			}
		})
	}
	// The watch sees what a STUN server of somebody else's would cost: a request,
	// or the question where the way to it is; and a question for its name.
	t.Run("the watch sees", func(t *testing.T) {
		w := watchPackets(t)
		conn, err := net.Dial("udp4", "192.0.2.1:3478")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw); err != nil {
			t.Fatal(err)
		}
		if left := w.seen(t); len(left) == 0 {
			t.Error("a STUN request to 192.0.2.1 was not seen")
		}
		w = watchPackets(t)
		resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp4", "127.0.0.1:53")
		}}
		if _, err := resolver.LookupHost(t.Context(), "stun.example"); err == nil {
			t.Error("stun.example has an address")
		}
		if left := w.seen(t); len(left) == 0 {
			t.Error("a question for a name was not seen")
		}
	})
}

// watch collects what leaves the machine, and questions for names.
type watch struct {
	fd    int
	ended sync.WaitGroup

	mu   sync.Mutex
	left []string // guarded by mu
}

// markPort is where seen sends the packet that ends a watch.
const markPort = 9

func watchPackets(t *testing.T) *watch {
	t.Helper()
	all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(all))
	if err != nil {
		t.Fatalf("a socket that sees all packets: %v", err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20) // media is a lot of packets
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 30}); err != nil {
		t.Fatal(err)
	}
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{fd: fd}
	w.ended.Go(func() { w.read(lo.Index) })
	return w
}

func (w *watch) read(lo int) {
	buf := make([]byte, 65536)
	for {
		n, from, err := unix.Recvfrom(w.fd, buf, 0)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		link, ok := from.(*unix.SockaddrLinklayer)
		if err != nil || !ok {
			w.note(fmt.Sprintf("the watch ended early: %v", err))
			return
		}
		proto := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, link.Protocol))
		dst, port := destination(proto, buf[:n])
		switch {
		case link.Ifindex == lo && port == markPort:
			return
		case link.Ifindex != lo && link.Pkttype == unix.PACKET_OUTGOING, link.Ifindex == lo && port == 53:
			w.note(fmt.Sprintf("protocol %04x to %v port %d, %d bytes", proto, dst, port, n))
		}
	}
}

func (w *watch) note(what string) {
	w.mu.Lock()
	w.left = append(w.left, what)
	w.mu.Unlock()
}

// destination reads where an IPv4 or IPv6 packet goes, and the port.
func destination(proto uint16, b []byte) (dst netip.Addr, port uint16) {
	var header int
	switch {
	case proto == unix.ETH_P_IP && len(b) >= 20:
		dst, header = netip.AddrFrom4([4]byte(b[16:20])), int(b[0]&15)*4
	case proto == unix.ETH_P_IPV6 && len(b) >= 40:
		dst, header = netip.AddrFrom16([16]byte(b[24:40])), 40
	default:
		return dst, 0
	}
	if len(b) >= header+4 {
		port = binary.BigEndian.Uint16(b[header+2:])
	}
	return dst, port
}

// seen ends the watch, after a packet of its own has passed it, and returns what
// was seen.
func (w *watch) seen(t *testing.T) []string {
	t.Helper()
	conn, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", markPort))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("end")); err != nil {
		t.Fatal(err)
	}
	w.ended.Wait()
	if err := unix.Close(w.fd); err != nil {
		t.Error(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.left
}
