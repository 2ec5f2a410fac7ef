package sfu_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"commsd/internal/testpeer/meetingpeer"
	"commsd/sfu"
)

// staller passes TCP on to the server, until it passes nothing back any more.
type staller struct {
	l      net.Listener
	wg     sync.WaitGroup
	mu     sync.Mutex
	conns  []net.Conn    // guarded by mu
	stall  chan struct{} // closed to stall
	finish chan struct{} // closed at the end
}

func newStaller(t *testing.T, server netip.AddrPort) *staller {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &staller{l: l, stall: make(chan struct{}), finish: make(chan struct{})}
	s.wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", server.String())
			if err != nil {
				t.Error(err)
				return
			}
			if err := far.(*net.TCPConn).SetReadBuffer(4096); err != nil { // little waits on the way
				t.Error(err)
			}
			s.mu.Lock()
			s.conns = append(s.conns, near, far)
			s.mu.Unlock()
			s.wg.Go(func() { _, _ = io.Copy(far, near) }) // ends with the connections
			s.wg.Go(func() { s.back(near, far) })
		}
	})
	t.Cleanup(func() {
		close(s.finish)
		l.Close()
		s.mu.Lock()
		for _, c := range s.conns {
			c.Close()
		}
		s.mu.Unlock()
		s.wg.Wait()
	})
	return s
}

func (s *staller) back(near, far net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := far.Read(buf)
		if err != nil {
			return
		}
		select {
		case <-s.stall:
			<-s.finish
			return
		default:
		}
		if _, err := near.Write(buf[:n]); err != nil {
			return
		}
	}
}

// A subscriber behind a TCP connection that takes no more holds up nobody else.
func TestStalledSubscriberHoldsUpNobody(t *testing.T) {
	s := serve(t)
	_, tcp := s.Ports()
	proxy := newStaller(t, tcp[0])
	port := fmt.Sprintf(" %d ", proxy.l.Addr().(*net.TCPAddr).Port)
	an, dung := join(t, s, everything("r", "an"), nil), join(t, s, everything("r", "dung"), nil)
	chi := join(t, s, everything("r", "chi"), &meetingpeer.MediaConfig{
		Networks:  []webrtc.NetworkType{webrtc.NetworkTypeTCP4},
		Candidate: func(init string) string { return strings.Replace(init, fmt.Sprintf(" %d ", tcp[0].Port()), port, 1) },
	})
	pub, _ := an.publish(camera("cam"))
	body := bytes.Repeat([]byte("x"), 1100)
	n := 0
	send := func() *rtp.Packet {
		n++
		p := meetingpeer.VP8(uint16(n), uint32(n)*3000, n%30 == 1, body)
		if err := pub.Write(p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	started := make(chan struct{})
	source := pub.Pump(5*time.Millisecond, func(int) *rtp.Packet {
		select {
		case <-started:
			return nil
		default:
			n++
			return meetingpeer.VP8(uint16(n), uint32(n)*3000, n%30 == 1, body)
		}
	})
	chi.next(chi.track(), nil)
	there := dung.track()
	dung.next(there, nil)
	close(started)
	source.Stop()
	close(proxy.stall)
	for range 300 { // 6.6 MB, more than the kernel keeps of one connection
		var last *rtp.Packet
		for range 20 {
			last = send()
		}
		dung.next(there, func(p *rtp.Packet) bool { return p.Timestamp-last.Timestamp < 1<<31 })
	}
}

// One who says more than a slow line carries does not have those behind it put
// out: they miss some of it.
func TestTalkerDoesNotPutOutTheSlow(t *testing.T) {
	s := serve(t)
	_, tcp := s.Ports()
	proxy := newStaller(t, tcp[0])
	port := fmt.Sprintf(" %d ", proxy.l.Addr().(*net.TCPAddr).Port)
	p := talkers(t, s, &meetingpeer.MediaConfig{}, "an", "dung")
	an, dung := p[0], p[1]
	slow := &meetingpeer.MediaConfig{
		Networks:  []webrtc.NetworkType{webrtc.NetworkTypeTCP4},
		Candidate: func(init string) string { return strings.Replace(init, fmt.Sprintf(" %d ", tcp[0].Port()), port, 1) },
	}
	chi := join(t, s, everything("r", "chi"), slow)
	for heard := false; !heard; { // what is said before its channel is open is lost
		an.send(meetingpeer.Reliable, "|hello")
		dung.hears(meetingpeer.Reliable, "an:0:hello")
		select {
		case <-chi.Data():
			heard = true
		default:
		}
	}
	close(proxy.stall)
	const count, size = 100, 60_000 // 6 MB, of which 4 may wait
	for i := range count {
		an.send(meetingpeer.Reliable, fmt.Sprintf("|%04d", i)+strings.Repeat("x", size))
		select {
		case d := <-dung.Data():
			for bytes.HasSuffix(d.Payload, []byte(":hello")) {
				d = <-dung.Data()
			}
			if !bytes.HasPrefix(d.Payload, fmt.Appendf(nil, "an:0:%04dx", i)) {
				t.Fatalf("packet %d begins %q", i, d.Payload[:12])
			}
		case <-time.After(wait):
			t.Fatalf("packet %d does not come", i)
		}
	}
	if left := all[sfu.EventLeft](chi); len(left) > 0 {
		t.Errorf("the slow one is put out: %+v", left)
	}
}
