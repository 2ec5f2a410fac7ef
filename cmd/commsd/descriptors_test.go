package main_test

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestOutlivesAShortageOfDescriptors: whoever takes all file descriptors that
// the process may open ends nothing; what is free again is served again, by
// every listener.
func TestOutlivesAShortageOfDescriptors(t *testing.T) {
	s := &server{t: t, nofile: 200, env: environment(t.TempDir(), "http.max_connections", "100000", "media.tcp_listen", "127.0.0.1:0")}
	s.start()
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			s.kill()
		}
	})
	imap, smtp, pages := s.address("mail.imap_listen"), s.address("mail.smtp_listen"), s.address("http.listen")
	var held []net.Conn
	for range 400 {
		c, err := net.DialTimeout("tcp", pages, 10*time.Second)
		if err != nil {
			break // the queue of those not yet accepted is full, too
		}
		held = append(held, c)
	}
	// The mail listeners meet the shortage as well.
	for _, address := range []string{imap, smtp} {
		if c, err := net.DialTimeout("tcp", address, 10*time.Second); err == nil {
			held = append(held, c)
		}
	}
	limit := time.After(30 * time.Second)
	for said, more := s.stderr.since(); !strings.Contains(said, "cannot be accepted for now"); said, more = s.stderr.since() {
		select {
		case <-more:
		case <-limit:
			t.Fatalf("the shortage did not come: %s", said)
		}
	}
	for _, c := range held {
		c.Close()
	}
	for _, address := range []string{imap, smtp} {
		c, err := net.DialTimeout("tcp", address, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasPrefix(line, "* OK") && !strings.HasPrefix(line, "220") {
			t.Fatalf("%s greets with %q, %v", address, line, err)
		}
	}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	res, err := client.Get(s.url() + "/api/v1/info")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	client.CloseIdleConnections()
	stopped = true
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, s.stderr.String())
	}
}
