package audit_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

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
