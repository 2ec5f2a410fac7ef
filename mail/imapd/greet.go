package imapd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// How long a client may take for one command before sign-in, and how many it
// may give.
const (
	greetTimeout  = 30 * time.Second
	greetCommands = 30
)

var errGreet = errors.New("imapd: too many commands before sign-in")

// secure begins TLS. The greeting is left out where r, which may hold bytes
// read already, shows that there was one.
func (s *Server) secure(ctx context.Context, c net.Conn, r *bufio.Reader) (*gate, error) {
	under := c
	if r != nil {
		under = &buffered{c, r}
	}
	t := tls.Server(under, s.cfg.TLS)
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return newGate(t, t, r != nil), nil
}

// buffered is a connection of which some bytes were read already.
type buffered struct {
	net.Conn
	r io.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// greet speaks in plain until the client begins TLS or, where it may do
// without, signs in.
func (s *Server) greet(ctx context.Context, c net.Conn, insecure bool) (*gate, error) {
	offer := "CAPABILITY IMAP4rev1 SASL-IR LITERAL- STARTTLS LOGINDISABLED"
	if insecure {
		offer = "CAPABILITY IMAP4rev1 SASL-IR LITERAL- STARTTLS AUTH=PLAIN"
	}
	r := bufio.NewReader(c)
	say := func(format string, args ...any) error {
		_, err := fmt.Fprintf(c, format+"\r\n", args...)
		return err
	}
	err := say("* OK [%s] IMAP server ready", offer)
	for range greetCommands {
		if err != nil {
			return nil, err
		}
		if err := c.SetDeadline(time.Now().Add(greetTimeout)); err != nil {
			return nil, err
		}
		line, readErr := r.ReadSlice('\n')
		if readErr != nil {
			return nil, readErr // a line that does not fit is no command of before sign-in
		}
		tag, rest, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), " ")
		command, _, _ := strings.Cut(strings.ToUpper(rest), " ")
		switch {
		case tag == "" || strings.Trim(tag, "*+(){}\"\\%") != tag:
			err = say("* BAD no tag")
		case command == "STARTTLS":
			if err := say("%s OK Begin TLS negotiation now", tag); err != nil {
				return nil, err
			}
			return s.secure(ctx, c, r)
		case command == "CAPABILITY":
			err = say("* %s\r\n%s OK CAPABILITY completed", offer, tag)
		case command == "NOOP":
			err = say("%s OK NOOP completed", tag)
		case command == "ID":
			err = say("* ID NIL\r\n%s OK ID completed", tag)
		case command == "LOGOUT":
			_ = say("* BYE Logging out\r\n%s OK LOGOUT completed", tag) // it leaves
			return nil, io.EOF
		case insecure && (command == "LOGIN" || command == "AUTHENTICATE"):
			return newGate(c, io.MultiReader(bytes.NewReader(bytes.Clone(line)), r), true), nil
		case command == "LOGIN" || command == "AUTHENTICATE":
			err = say("%s NO [PRIVACYREQUIRED] TLS is required to authenticate", tag)
		default:
			err = say("%s BAD not before sign-in", tag)
		}
	}
	return nil, errGreet
}
