package queue

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// How long an answer is waited for (RFC 5321, section 4.5.3.2).
const (
	commandTimeout = 2 * time.Minute
	contentTimeout = 8 * time.Minute
)

// connect greets a host, over TLS if it can.
func (q *Queue) connect(ctx context.Context, hostport string) (*smtp.Client, error) {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	conn, err := q.open25(ctx, hostport)
	if err != nil {
		return nil, err
	}
	secure, err := q.startTLS(ctx, conn, host)
	if errors.Is(err, errNoTLS) {
		_ = conn.Close() // its state is unknown
		if conn, err = q.open25(ctx, hostport); err != nil {
			return nil, err
		}
		secure, err = conn, nil
	}
	if err != nil {
		_ = conn.Close() // nothing was said
		return nil, err
	}
	client := smtp.NewClient(secure)
	client.CommandTimeout, client.SubmissionTimeout = commandTimeout, contentTimeout
	if err := client.Hello(q.cfg.Hostname); err != nil {
		_ = client.Close() // nothing was said
		return nil, err
	}
	return client, nil
}

// open25 connects. The connection is closed when ctx ends, so that no answer is
// waited for then.
func (q *Queue) open25(ctx context.Context, hostport string) (net.Conn, error) {
	conn, err := q.cfg.Dial(ctx, "tcp", hostport)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", hostport, err)
	}
	return &bound{Conn: conn, stop: context.AfterFunc(ctx, func() { _ = conn.Close() })}, nil
}

// bound is a connection that a context ends.
type bound struct {
	net.Conn
	stop func() bool
}

func (b *bound) Close() error {
	b.stop()
	return b.Conn.Close()
}

// errNoTLS says that a host offers TLS and cannot do it.
var errNoTLS = errors.New("queue: TLS failed")

// startTLS says hello and begins TLS where it is offered. It is not left to
// go-smtp, which calls us localhost until TLS has begun. What it returns greets
// anew, for go-smtp's sake.
func (q *Queue) startTLS(ctx context.Context, conn net.Conn, host string) (net.Conn, error) {
	if err := conn.SetDeadline(time.Now().Add(commandTimeout)); err != nil {
		return nil, err
	}
	buffer := bufio.NewReader(io.LimitReader(conn, 64<<10))
	text := textproto.NewReader(buffer)
	say := func(expect int, format string, args ...any) (string, error) {
		if format != "" {
			if _, err := fmt.Fprintf(conn, format+"\r\n", args...); err != nil {
				return "", err
			}
		}
		_, words, err := text.ReadResponse(expect)
		var answer *textproto.Error
		if errors.As(err, &answer) {
			err = &smtp.SMTPError{Code: answer.Code, Message: answer.Msg}
		}
		if err == nil && buffer.Buffered() > 0 {
			err = errors.New("queue: the host says more than it was asked")
		}
		return words, err
	}
	if _, err := say(220, ""); err != nil {
		return nil, err
	}
	offer, err := say(250, "EHLO %s", q.cfg.Hostname)
	var refused *smtp.SMTPError
	if err != nil && !errors.As(err, &refused) {
		return nil, err
	}
	offered := false
	for line := range strings.Lines(offer) {
		offered = offered || strings.EqualFold(strings.TrimSpace(line), "STARTTLS")
	}
	if !offered { // or no ESMTP: go-smtp tries HELO
		return &greeted{Conn: conn, r: io.MultiReader(strings.NewReader("220 again\r\n"), conn)}, nil
	}
	if _, err := say(220, "STARTTLS"); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoTLS, err)
	}
	secure := tls.Client(conn, &tls.Config{
		ServerName: host,
		// Opportunistic: a wrong certificate is better than none at all (RFC 7435).
		InsecureSkipVerify: true, // see above
		MinVersion:         tls.VersionTLS12,
	})
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoTLS, err)
	}
	return &greeted{Conn: secure, r: io.MultiReader(strings.NewReader("220 again\r\n"), secure)}, nil
}

// greeted is a connection whose greeting was read, and comes once more.
type greeted struct {
	net.Conn
	r io.Reader
}

func (g *greeted) Read(b []byte) (int, error) { return g.r.Read(b) }
