package udpmux

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sys/unix"
)

// sends counts the system calls that sent, so far.
func sends(m *Mux) float64 { return testutil.ToFloat64(m.metrics.Sends) }

// A frame's packets leave with one system call, in order and unchanged, and as
// soon as the frame ends.
func TestFrameLeavesAtOnce(t *testing.T) {
	m := testMux(t, "127.0.0.1:0", 1, time.Hour)
	h, c := testConn(t, m, "frames"), remote(t, "127.0.0.1:0")
	meet(t, c, h)
	segments := m.groups[0].sockets[0].segments.Load()
	for name, frame := range map[string][]int{
		"one packet":          {1100},
		"equal packets":       {1100, 1100, 1100, 1100},
		"a shorter last":      {1100, 1100, 1100, 1100, 400},
		"about equal":         {1000, 1000, 1001, 1001},
		"a key frame of many": slices1100(60),
		"more than one send":  {1400, 1400, 1400, 1400, 1400, 1400, 1400, 1400, 1400, 1400, 1400, 1400, 1400},
	} {
		before := sends(m)
		for i, size := range frame {
			b := media(i, size, i == len(frame)-1)
			b[size-1] = byte(i)
			if _, err := h.WriteToAddrPort(b, addrOf(c)); err != nil {
				t.Fatal(err)
			}
			b[size-1] = 0xFF // the buffer is the caller's again
		}
		for i, size := range frame {
			got, _ := hears(t, c)
			if len(got) != size || int(binary.BigEndian.Uint16(got[2:])) != i || got[size-1] != byte(i) {
				t.Fatalf("%s: packet %d has %d bytes, number %d", name, i, len(got), binary.BigEndian.Uint16(got[2:]))
			}
		}
		used := int(sends(m) - before)
		want := map[string]int{"one packet": 1, "equal packets": 1, "a shorter last": 1, "about equal": 2, "a key frame of many": 7, "more than one send": 2}[name]
		if segments && used != want {
			t.Errorf("%s: %d system calls, want %d", name, used, want)
		}
	}
}

func slices1100(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = 1100
	}
	return out
}

// What is no part of a longer frame does not wait for anything.
func TestSmallPacketsAreNotHeld(t *testing.T) {
	m := testMux(t, "127.0.0.1:0", 1, time.Hour)
	h, c := testConn(t, m, "sound"), remote(t, "127.0.0.1:0")
	meet(t, c, h)
	report := media(0, 600, false)
	report[1] = 200 // a sender report
	dtls := append([]byte{22, 254, 253}, make([]byte, 900)...)
	for _, b := range [][]byte{media(1, 120, false), report, dtls} {
		if _, err := h.WriteToAddrPort(media(0, 1100, false), addrOf(c)); err != nil { // held
			t.Fatal(err)
		}
		if _, err := h.WriteToAddrPort(b, addrOf(c)); err != nil {
			t.Fatal(err)
		}
		got, _ := hears(t, c)
		if IsRTP(b) { // sound ends the run
			if len(got) != 1100 {
				t.Fatalf("%d bytes", len(got))
			}
			got, _ = hears(t, c)
		}
		if len(got) != len(b) {
			t.Errorf("%d bytes, want %d", len(got), len(b))
		}
	}
}

// A frame whose end does not come is not held for long, nor forgotten when its
// connection ends.
func TestHeldPacketsLeaveInTime(t *testing.T) {
	m := testMux(t, "127.0.0.1:0", 1, time.Millisecond)
	h, c := testConn(t, m, "slow"), remote(t, "127.0.0.1:0")
	meet(t, c, h)
	for n := range 3 {
		for i := range 4 {
			if _, err := h.WriteToAddrPort(media(4*n+i, 1000, false), addrOf(c)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 4 {
			if got, _ := hears(t, c); int(got[3]) != 4*n+i {
				t.Fatalf("packet %d is %d", 4*n+i, got[3])
			}
		}
	}
	ending := testMux(t, "127.0.0.1:0", 1, time.Hour)
	h = testConn(t, ending, "ends")
	meet(t, c, h)
	if _, err := h.WriteToAddrPort(media(9, 1000, false), addrOf(c)); err != nil {
		t.Fatal(err)
	}
	h.Close()
	if got, _ := hears(t, c); got[3] != 9 {
		t.Errorf("packet %d", got[3])
	}
}

// Who sends several packets on end has them gathered without a clock, over the
// ends of its bursts if it likes, also by a connection that begins meanwhile.
func TestGatheredPacketsLeaveAtTheEnd(t *testing.T) {
	m := testMux(t, "127.0.0.1:0", 1, time.Hour)
	with := &Gathering{}
	with.Begin()
	with.Begin() // of another layer's
	got, err := m.Gathered(with).GetConn("gathered", net.UDPAddrFromAddrPort(m.groups[0].addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { got.Close() })
	h, c := got.(*udpHandle), remote(t, "127.0.0.1:0")
	meet(t, c, h)
	before := sends(m)
	for i := range 3 {
		if _, err := h.WriteToAddrPort(media(i, 1000, false), addrOf(c)); err != nil {
			t.Fatal(err)
		}
	}
	if used := sends(m) - before; used != 0 {
		t.Errorf("%v system calls before the end", used)
	}
	with.End()
	for i := range 3 {
		if got, _ := hears(t, c); int(got[3]) != i {
			t.Fatalf("packet %d is %d", i, got[3])
		}
	}
	if used := sends(m) - before; m.groups[0].sockets[0].segments.Load() && used != 1 {
		t.Errorf("%v system calls", used)
	}
	if len(m.groups[0].sockets[0].holding.peers) != 0 {
		t.Error("the clock was asked")
	}
	with.End()
	h.Close()
	if left := with.all(); len(left) != 0 {
		t.Errorf("%d connections are kept", len(left))
	}
}

// Where the kernel refuses a run, its packets go one by one, and so do all
// after them.
func TestRefusedRunGoesOneByOne(t *testing.T) {
	m := testMux(t, "127.0.0.1:0", 1, time.Hour)
	h, c := testConn(t, m, "plain"), remote(t, "127.0.0.1:0")
	meet(t, c, h)
	// The kernel computes no checksums for segments of such a socket.
	if err := m.groups[0].sockets[0].raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		before := sends(m)
		for i := range 4 {
			if _, err := h.WriteToAddrPort(media(i, 1200, i == 3), addrOf(c)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 4 {
			if got, _ := hears(t, c); int(got[3]) != i || len(got) != 1200 {
				t.Fatalf("packet %d is %d of %d bytes", i, got[3], len(got))
			}
		}
		if used := sends(m) - before; used != 4 {
			t.Errorf("round %d: %v packets were sent", n, used)
		}
	}
	if m.groups[0].sockets[0].segments.Load() && !h.c.out.last.to.plain {
		t.Error("a run would be tried again")
	}
}

// Writing and reading allocate nothing.
func TestUDPPathDoesNotAllocate(t *testing.T) {
	for name, hold := range map[string]time.Duration{"held": time.Hour, "at once": -1} {
		m := testMux(t, "127.0.0.1:0", 1, hold)
		h, c := testConn(t, m, "free"), remote(t, "127.0.0.1:0")
		meet(t, c, h)
		b, n := media(0, 1100, false), 0
		to := addrOf(c)
		if allocs := testing.AllocsPerRun(2000, func() {
			n++
			b[1] = 96
			if n%6 == 0 {
				b[1] |= 0x80
			}
			if _, err := h.WriteToAddrPort(b, to); err != nil {
				t.Error(err)
			}
		}); allocs != 0 {
			t.Errorf("%s: %v allocations a packet written", name, allocs)
		}
		got := make([]byte, MaxPacket)
		if allocs := testing.AllocsPerRun(500, func() {
			sendTo(t, c, b, h.c.local)
			if _, _, err := h.ReadFromAddrPort(got); err != nil {
				t.Error(err)
			}
		}); allocs != 0 {
			t.Errorf("%s: %v allocations a packet read", name, allocs)
		}
	}
}

// BenchmarkUDPSend is what sending a packet of 1,100 bytes costs, for frames of
// so many packets to each of 100 addresses: by Pion's own mux, by ours with a
// system call each, and by ours with a system call a frame. Clients' sockets
// drop what comes, as a network takes it away.
func BenchmarkUDPSend(b *testing.B) {
	const clients = 100
	for _, packets := range []int{1, 2, 3, 6, 14, 40} {
		for _, way := range []string{"pion", "plain", "run"} {
			b.Run(fmt.Sprintf("frame=%d/%s", packets, way), func(b *testing.B) {
				writers := make([]ice.AddrPortReaderWriter, clients)
				to := make([]netip.AddrPort, clients)
				var get func(ufrag string) ice.AddrPortReaderWriter
				if way == "pion" {
					m := ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: remote(b, "127.0.0.1:0")})
					b.Cleanup(func() { m.Close() })
					get = func(ufrag string) ice.AddrPortReaderWriter {
						c, err := m.GetConn(ufrag, m.LocalAddr())
						if err != nil {
							b.Fatal(err)
						}
						return c.(ice.AddrPortReaderWriter)
					}
				} else {
					hold := time.Duration(-1)
					if way == "run" {
						hold = DefaultHold
					}
					m := testMux(b, "127.0.0.1:0", 1, hold)
					get = func(ufrag string) ice.AddrPortReaderWriter { return testConn(b, m, ufrag) }
				}
				for i := range clients {
					c := remote(b, "127.0.0.1:0")
					if err := c.SetReadBuffer(1); err != nil {
						b.Fatal(err)
					}
					writers[i], to[i] = get(fmt.Sprint("u", i)), addrOf(c)
				}
				frame := make([][]byte, packets)
				for i := range frame {
					frame[i] = media(i, 1100, i == packets-1)
				}
				b.ReportAllocs()
				start := cpuTime(b)
				n := 0
				for b.Loop() {
					for _, p := range frame {
						for i, w := range writers {
							if _, err := w.WriteToAddrPort(p, to[i]); err != nil {
								b.Fatal(err)
							}
						}
					}
					n += clients * packets
				}
				b.ReportMetric(float64(cpuTime(b)-start)/float64(n), "cpu-ns/packet")
			})
		}
	}
}

// BenchmarkUDPReceive is what taking in a packet costs, from a client that sends
// frames of 14 with one system call (0.6 µs a packet of the figures), by Pion's
// mux and by ours.
func BenchmarkUDPReceive(b *testing.B) {
	const packets = 14
	for name, sockets := range map[string]int{"pion": 0, "sockets=1": 1, "sockets=2": 2} {
		b.Run(name, func(b *testing.B) {
			request := check(b, "reader")
			var h ice.AddrPortReaderWriter
			var at netip.AddrPort
			if sockets == 0 {
				c := remote(b, "127.0.0.1:0")
				if err := errors.Join(c.SetReadDeadline(time.Time{}), c.SetReadBuffer(socketBuffer)); err != nil {
					b.Fatal(err)
				}
				m := ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: c})
				b.Cleanup(func() { m.Close() })
				conn, err := m.GetConn("reader", m.LocalAddr())
				if err != nil {
					b.Fatal(err)
				}
				h, at = conn.(ice.AddrPortReaderWriter), addrOf(c)
			} else {
				m := testMux(b, "127.0.0.1:0", sockets, -1)
				h, at = testConn(b, m, "reader"), m.groups[0].addr
			}
			client := testConn(b, testMux(b, "127.0.0.1:0", 1, time.Hour), "sender")
			// The check of one makes the other's address known to both.
			if _, err := client.WriteToAddrPort(request, at); err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, MaxPacket)
			_, from, err := h.ReadFromAddrPort(buf)
			if err == nil {
				_, err = h.WriteToAddrPort(request, from)
			}
			if err != nil {
				b.Fatal(err)
			}
			frame := make([][]byte, packets)
			for i := range frame {
				frame[i] = media(i, 1100, i == packets-1)
			}
			b.ReportAllocs()
			start, n := cpuTime(b), 0
			for b.Loop() {
				for _, p := range frame {
					if _, err := client.WriteToAddrPort(p, at); err != nil {
						b.Fatal(err)
					}
				}
				for range frame {
					if _, _, err := h.ReadFromAddrPort(buf); err != nil {
						b.Fatal(err)
					}
				}
				n += packets
			}
			b.ReportMetric(float64(cpuTime(b)-start)/float64(n), "cpu-ns/packet")
		})
	}
}

// cpuTime is what this process has computed, in nanoseconds: other work on the
// machine does not count.
func cpuTime(t testing.TB) int64 {
	t.Helper()
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return r.Utime.Nano() + r.Stime.Nano()
}
