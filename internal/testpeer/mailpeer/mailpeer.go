// Package mailpeer is a client of SMTP and IMAP for tests that says what it is
// told, byte for byte, also what no well-behaved client would say.
//
// It knows the wire alone and no package of the server.
package mailpeer

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// Line is a client that sends what it is told, byte for byte.
type Line struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

// Dial connects; the connection is closed when the test ends. No answer is
// waited for longer than 20 seconds.
func Dial(t testing.TB, address string) *Line {
	t.Helper()
	c, err := new(net.Dialer).DialContext(context.Background(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return newLine(t, c)
}

func newLine(t testing.TB, c net.Conn) *Line {
	t.Cleanup(func() { _ = c.Close() }) // it may be closed already
	return &Line{t: t, conn: c, r: bufio.NewReader(c)}
}

// TLS goes on over TLS.
func (l *Line) TLS() {
	l.t.Helper()
	c := tls.Client(l.conn, &tls.Config{InsecureSkipVerify: true}) // the server's certificate is made for the test
	l.deadline()
	if err := c.HandshakeContext(context.Background()); err != nil {
		l.t.Fatal(err)
	}
	l.conn, l.r = c, bufio.NewReader(c)
}

func (l *Line) deadline() {
	if err := l.conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		l.t.Fatal(err)
	}
}

// Send sends s as it is.
func (l *Line) Send(s string) {
	l.t.Helper()
	l.deadline()
	if _, err := io.WriteString(l.conn, s); err != nil {
		l.t.Fatalf("send %.100q: %v", s, err)
	}
}

// TrySend is Send to a server that may have closed the connection.
func (l *Line) TrySend(s string) {
	_ = l.conn.SetDeadline(time.Now().Add(20 * time.Second)) // a closed connection has none
	_, _ = io.WriteString(l.conn, s)                         // see above
}

// Reply reads an SMTP reply, all its lines.
func (l *Line) Reply() string {
	l.t.Helper()
	return l.until(func(line string) bool { return len(line) < 4 || line[3] != '-' })
}

// Tagged reads up to the IMAP line that begins with tag.
func (l *Line) Tagged(tag string) string {
	l.t.Helper()
	return l.until(func(line string) bool {
		return strings.HasPrefix(line, tag+" ") || tag == "+" && strings.HasPrefix(line, "+")
	})
}

// Until reads up to the line that contains part.
func (l *Line) Until(part string) string {
	l.t.Helper()
	return l.until(func(line string) bool { return strings.Contains(line, part) })
}

func (l *Line) until(last func(string) bool) string {
	l.t.Helper()
	l.deadline()
	var all strings.Builder
	for {
		line, err := l.r.ReadString('\n')
		all.WriteString(line)
		if err != nil {
			l.t.Fatalf("read: %v, after %.2000q", err, all.String())
		}
		if last(line) {
			return all.String()
		}
	}
}

// SMTP sends a command and returns the reply.
func (l *Line) SMTP(command string) string {
	l.t.Helper()
	l.Send(command + "\r\n")
	return l.Reply()
}

// Want sends a command for each pair, and fails where the reply does not begin
// with the second of the pair.
func (l *Line) Want(pairs ...string) {
	l.t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		if got := l.SMTP(pairs[i]); !strings.HasPrefix(got, pairs[i+1]) {
			l.t.Fatalf("%.200q was answered %q, want %s", pairs[i], got, pairs[i+1])
		}
	}
}

// IMAP sends a command under a tag of its own and returns the whole answer.
func (l *Line) IMAP(command string) string {
	l.t.Helper()
	l.Send("t1 " + command + "\r\n")
	return l.Tagged("t1")
}

// Closed waits for the end of the connection and returns what came before.
func (l *Line) Closed() string {
	l.t.Helper()
	l.deadline()
	b, err := io.ReadAll(l.r)
	if ne, ok := err.(net.Error); ok && ne.Timeout() { //nolint:errorlint // ReadAll does not wrap
		l.t.Fatalf("the connection was not closed, after %.2000q", b)
	}
	return string(b)
}

// CloseWrite tells the server that nothing more comes.
func (l *Line) CloseWrite() {
	if c, ok := l.conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite() // the server may have closed the connection
	}
}

// Close closes the connection.
func (l *Line) Close() { _ = l.conn.Close() } // it may be closed already
