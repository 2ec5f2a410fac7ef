package audit_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"commsd/audit"
)

// receive reads one octet-counted message.
func receive(r *bufio.Reader) (string, error) {
	length, err := r.ReadString(' ')
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(length, " "))
	if err != nil {
		return "", err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return string(b), err
}

var syslogForm = regexp.MustCompile(`^<(\d+)>1 (\S+) \S+ commsd - (\S+) \[commsd@32473 seq="(\d+)" outcome="(\w+)"\] (\{.*\})$`)

func seqOf(t *testing.T, message string) int64 {
	t.Helper()
	m := syslogForm.FindStringSubmatch(message)
	if m == nil {
		t.Fatalf("no message of RFC 5424: %q", message)
	}
	var e struct {
		Seq int64
		At  int64
	}
	if err := json.Unmarshal([]byte(m[6]), &e); err != nil || strconv.FormatInt(e.Seq, 10) != m[4] {
		t.Fatalf("%q: %v", message, err)
	}
	if m[1] != "108" || m[3] != "meeting.join" || m[5] != audit.Denied || m[2] != time.UnixMicro(e.At).UTC().Format("2006-01-02T15:04:05.000000Z") {
		t.Errorf("%q", message)
	}
	return e.Seq
}

// A receiver that is away, and one that dies under way, miss nothing.
func TestSyslogMissesNothing(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := ln.Addr().String()
		s := h.service(func(c *audit.ServiceConfig) { c.Syslog.URL = "tcp://" + address; c.Now = time.Now })
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		run := func() { ended <- s.Run(ctx) }
		h.record(2) // before it was switched on: not sent
		h.step(h.sequencer(func(c *audit.SequencerConfig) { c.Now = func() time.Time { return time.Now().Add(-time.Hour) } }))
		if err := s.Forward(ctx); err != nil {
			t.Fatal(err)
		}
		go run()
		defer func() {
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}()
		h.record(3)
		conn, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		seen := map[int64]bool{}
		for range 3 {
			m, err := receive(r)
			if err != nil {
				t.Fatal(err)
			}
			seen[seqOf(t, m)] = true
		}
		// It goes away: its port answers nobody.
		_ = ln.Close()
		_ = conn.Close()
		h.record(4)
		again, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if conn, err = again.Accept(); err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		r = bufio.NewReader(conn)
		for len(seen) < 7 {
			m, err := receive(r)
			if err != nil {
				t.Fatalf("after %v: %v", seen, err)
			}
			seen[seqOf(t, m)] = true
		}
		for seq := range seen {
			if seq < 2 || seq > 8 {
				t.Errorf("event %d was sent", seq)
			}
		}
	})
}

// certified is a certificate for 127.0.0.1, and the file of the authority that
// vouches for it, which is itself.
func certified(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return s.TLS.Certificates[0], file
}

// Over TLS the receiver is known by the authority that the configuration names;
// what another would get waits.
func TestSyslogOverTLS(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		certificate, ca := certified(t)
		ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}})
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan string, 10)
		var receiving sync.WaitGroup
		receiving.Go(func() {
			defer close(got)
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				for r := bufio.NewReader(conn); ; {
					m, err := receive(r)
					if err != nil {
						break // a stranger's handshake, or the end
					}
					got <- m
				}
				_ = conn.Close()
			}
		})
		defer receiving.Wait()
		defer ln.Close()
		forward := func(ca string) error {
			s := h.service(func(c *audit.ServiceConfig) {
				c.Syslog = audit.SyslogConfig{URL: "tls://" + ln.Addr().String(), CA: ca}
			})
			defer s.HangUp()
			return s.Forward(t.Context())
		}
		if err := forward(ca); err != nil { // switched on: from here
			t.Fatal(err)
		}
		h.record(3)
		h.clock.advance(time.Minute) // the lease of the service before, on PostgreSQL
		if err := forward(""); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("an authority nobody named is trusted: %v", err)
		}
		h.clock.advance(time.Minute)
		if err := forward(ca); err != nil {
			t.Fatal(err)
		}
		for want := range int64(3) {
			select {
			case m := <-got:
				if seq := seqOf(t, m); seq != want {
					t.Errorf("event %d came, want %d", seq, want)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("events are missing")
			}
		}
		for file, says := range map[string]string{"none.pem": "cannot read", os.DevNull: "no certificate"} {
			_, err := audit.NewService(audit.ServiceConfig{DB: h.db, Log: h.log, Secrets: h.secrets, Permissions: everyone{}, Names: everyone{}, Domain: "g2g.example",
				Syslog: audit.SyslogConfig{URL: "tls://127.0.0.1:6514", CA: file}})
			if err == nil || !strings.Contains(err.Error(), "audit.syslog.ca") || !strings.Contains(err.Error(), says) {
				t.Errorf("%s as authority: %v", file, err)
			}
		}
	})
}

// Over UDP each event is one datagram; one that is too long for any is cut off,
// and holds up none behind it.
func TestSyslogOverUDP(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		receiver, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer receiver.Close()
		if err := receiver.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		s := h.service(func(c *audit.ServiceConfig) { c.Syslog.URL = "udp://" + receiver.LocalAddr().String() })
		defer s.HangUp()
		if err := s.Forward(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.record(2)
		long := event
		long.Detail = map[string]string{"reason": strings.Repeat("ộ", 30_000)}
		if err := record(t, h.db, h.log, long); err != nil {
			t.Fatal(err)
		}
		h.record(1)
		if err := s.Forward(t.Context()); err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 1<<17)
		for seq := range int64(4) {
			n, _, err := receiver.ReadFrom(buffer)
			if err != nil {
				t.Fatalf("event %d: %v", seq, err)
			}
			m := string(buffer[:n])
			if seq != 2 {
				if got := seqOf(t, m); got != seq {
					t.Errorf("event %d came, want %d", got, seq)
				}
			} else if !strings.Contains(m, `seq="2"`) || n > 65_000 || n < 64_990 || !utf8.ValidString(m) {
				t.Errorf("the long one came in %d bytes: %.200q…", n, m)
			}
		}
	})
}

func TestSyslogConfig(t *testing.T) {
	for url, ok := range map[string]bool{
		"": true, "udp://192.0.2.1:514": true, "tcp://log.example:601": true, "tls://log.example:6514": true, "tls://[2001:db8::1]:6514": true,
		"log.example:514": false, "http://log.example:514": false, "tcp://log.example": false, "tcp://:601": false, "tcp://log.example:601/x": false,
	} {
		if err := (audit.SyslogConfig{URL: url}).Validate(); (err == nil) != ok {
			t.Errorf("%q: %v", url, err)
		}
	}
	if err := (audit.SyslogConfig{URL: "tcp://log.example:601", CA: "ca.pem"}).Validate(); err == nil {
		t.Error("a CA without TLS is taken")
	}
}
