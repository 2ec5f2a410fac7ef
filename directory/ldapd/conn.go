package ldapd

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"

	"commsd/identity"
	"commsd/internal/errcode"
)

// The operations (RFC 4511, section 4.2 on), by their application tags.
const (
	opBind        ber.Tag = 0
	opUnbind      ber.Tag = 2
	opSearch      ber.Tag = 3
	opEntry       ber.Tag = 4
	opDone        ber.Tag = 5
	opModify      ber.Tag = 6
	opAdd         ber.Tag = 8
	opDelete      ber.Tag = 10
	opModifyDN    ber.Tag = 12
	opCompare     ber.Tag = 14
	opAbandon     ber.Tag = 16
	opExtended    ber.Tag = 23
	opExtendedEnd ber.Tag = 24
)

// result is an LDAP result code (RFC 4511, appendix A).
type result int64

const (
	success                     result = 0
	protocolError               result = 2
	timeLimitExceeded           result = 3
	sizeLimitExceeded           result = 4
	authMethodNotSupported      result = 7
	unavailableCriticalControl  result = 12
	confidentialityRequired     result = 13
	noSuchObject                result = 32
	invalidDNSyntax             result = 34
	inappropriateAuthentication result = 48
	invalidCredentials          result = 49
	insufficientAccessRights    result = 50
	busy                        result = 51
	unavailable                 result = 52
	unwillingToPerform          result = 53
	other                       result = 80
)

// results is the table from codes to LDAP's own.
var results = map[errcode.Code]result{
	errcode.Internal: other, errcode.Invalid: protocolError, errcode.Unauthenticated: invalidCredentials,
	errcode.Forbidden: insufficientAccessRights, errcode.NotFound: noSuchObject, errcode.Conflict: other,
	errcode.TooLarge: sizeLimitExceeded, errcode.Locked: unwillingToPerform, errcode.RateLimited: busy, errcode.Unavailable: unavailable, errcode.Gone: noSuchObject,
}

func resultOf(err error) (result, string) {
	if errors.Is(err, context.DeadlineExceeded) {
		return timeLimitExceeded, "the search took too long; narrow it"
	}
	code, ok := results[errcode.Of(err)]
	if !ok {
		code = other
	}
	return code, errcode.Message(err)
}

// conn is one client. Its requests are answered one after another, so that what
// one client asks for costs one search at a time.
type conn struct {
	server  *Server
	ctx     context.Context //nolint:containedctx // ends with the connection
	cancel  context.CancelFunc
	address string // IP address

	// owned by run
	netConn  net.Conn // changes to TLS on top once
	reader   *bufio.Reader
	secure   bool
	signedIn bool
	actor    identity.Actor
	failures int

	bound identity.Actor // guarded by server.mu: actor, for whoever ends it
}

func newConn(ctx context.Context, s *Server, nc net.Conn) *conn {
	ctx, cancel := context.WithCancel(ctx)
	host, _, err := net.SplitHostPort(nc.RemoteAddr().String())
	if err != nil {
		host = nc.RemoteAddr().String()
	}
	return &conn{server: s, ctx: ctx, cancel: cancel, address: host, netConn: nc, reader: bufio.NewReader(nc)}
}

// tlsRecord is the first byte of a TLS client's greeting; LDAP begins with 0x30.
const tlsRecord = 0x16

// message is one request.
type message struct {
	id       int64
	op       *ber.Packet
	controls []control
}

type control struct {
	oid      string
	critical bool
	value    []byte
}

// run answers requests until the client unbinds or leaves, or the account ends.
func (c *conn) run() error {
	if err := c.netConn.SetReadDeadline(time.Now().Add(greetTimeout)); err != nil {
		return err
	}
	first, err := c.reader.Peek(1)
	if err != nil {
		return err
	}
	if first[0] == tlsRecord {
		if err := c.startTLS(); err != nil {
			return err
		}
	}
	for {
		wait := greetTimeout
		if c.signedIn {
			wait = c.server.cfg.Idle
		}
		if err := c.netConn.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return err
		}
		m, err := c.read()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			var bad badRequest
			if errors.As(err, &bad) {
				return errors.Join(err, c.disconnect(protocolError, string(bad)))
			}
			return err
		}
		done, err := c.answer(m)
		if done || err != nil {
			return err
		}
	}
}

// answer answers one request; done when the connection is to end.
func (c *conn) answer(m message) (done bool, err error) {
	for _, k := range m.controls {
		if k.critical && k.oid != oidPaged {
			return c.refuse(m, unavailableCriticalControl, "the control "+printable(k.oid)+" is not known here")
		}
	}
	switch m.op.Tag {
	case opBind:
		return c.bind(m)
	case opUnbind:
		return true, nil
	case opSearch:
		return false, c.search(m)
	case opExtended:
		return c.extended(m)
	case opAbandon:
		return false, nil // what it names is answered already
	case opModify, opAdd, opDelete, opModifyDN, opCompare:
		return c.refuse(m, unwillingToPerform, "the address book is read only")
	default:
		return true, c.disconnect(protocolError, fmt.Sprintf("operation %d is not known", m.op.Tag))
	}
}

// refuse answers any request with a result other than success. Unbind and
// abandon have no answer.
func (c *conn) refuse(m message, code result, words string) (done bool, err error) {
	switch m.op.Tag {
	case opSearch:
		return false, c.result(m.id, opDone, code, words)
	case opExtended:
		return false, c.result(m.id, opExtendedEnd, code, words)
	case opUnbind, opAbandon:
		return m.op.Tag == opUnbind, nil
	default:
		return false, c.result(m.id, m.op.Tag+1, code, words)
	}
}

// badRequest says what is wrong with a request that cannot be read.
type badRequest string

func (b badRequest) Error() string { return "ldapd: " + string(b) }

// read reads one request.
func (c *conn) read() (message, error) {
	limit := c.server.cfg.MaxMessageBytes
	if !c.signedIn {
		limit = min(limit, greetBytes) // a stranger has nothing long to say
	}
	raw, err := readElement(c.reader, limit)
	if err != nil {
		return message{}, err
	}
	return parseMessage(raw)
}

// readElement reads one BER element of at most limit bytes, its header
// included. LDAP takes a sequence of definite length only (RFC 4511, 5.1).
func readElement(r io.Reader, limit int) ([]byte, error) {
	head := make([]byte, 2, 6)
	if _, err := io.ReadFull(r, head); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, io.EOF
		}
		return nil, err
	}
	if head[0] != 0x30 {
		return nil, badRequest("this is no LDAP request")
	}
	length := int(head[1])
	if length >= 0x80 {
		n := length - 0x80
		if n == 0 || n > 4 {
			return nil, badRequest("the request's length cannot be read")
		}
		more := head[2 : 2+n]
		if _, err := io.ReadFull(r, more); err != nil {
			return nil, err
		}
		head = head[:2+n]
		length = 0
		for _, b := range more {
			length = length<<8 | int(b)
		}
	}
	if length > limit-len(head) {
		return nil, badRequest(fmt.Sprintf("the request is larger than %d bytes", limit))
	}
	raw := append(make([]byte, 0, len(head)+length), head...)
	raw = raw[:len(head)+length]
	_, err := io.ReadFull(r, raw[len(head):])
	return raw, err
}

func parseMessage(raw []byte) (message, error) {
	if err := checkShape(raw); err != nil {
		return message{}, err
	}
	p, err := ber.DecodePacketErr(raw)
	if err != nil {
		return message{}, badRequest("the request cannot be decoded")
	}
	if len(p.Children) < 2 || len(p.Children) > 3 {
		return message{}, badRequest("the request is no LDAP message")
	}
	id, ok := p.Children[0].Value.(int64)
	if !ok || id < 0 || id > 1<<31-1 || p.Children[0].ClassType != ber.ClassUniversal {
		return message{}, badRequest("the request has no message id")
	}
	m := message{id: id, op: p.Children[1]}
	if m.op.ClassType != ber.ClassApplication {
		return message{}, badRequest("the request has no operation")
	}
	if len(p.Children) == 3 {
		m.controls, err = parseControls(p.Children[2])
	}
	return m, err
}

func parseControls(p *ber.Packet) ([]control, error) {
	if p.ClassType != ber.ClassContext || p.Tag != 0 {
		return nil, badRequest("the request's controls cannot be read")
	}
	var out []control
	for _, child := range p.Children {
		if len(child.Children) == 0 || len(child.Children) > 3 {
			return nil, badRequest("the request's controls cannot be read")
		}
		k := control{oid: text(child.Children[0])}
		for _, part := range child.Children[1:] {
			if critical, ok := part.Value.(bool); ok {
				k.critical = critical
			} else {
				k.value = part.Data.Bytes()
			}
		}
		out = append(out, k)
	}
	return out, nil
}

// text is the bytes of a string, whatever its tag.
func text(p *ber.Packet) string {
	if p.TagType != ber.TypePrimitive {
		return ""
	}
	return p.Data.String() // ByteValue holds universal tags only
}

// printable is foreign text fit for an answer.
func printable(s string) string {
	return fmt.Sprintf("%.64q", s)
}

// write sends one response operation.
func (c *conn) write(id int64, op *ber.Packet, controls *ber.Packet) error {
	p := ber.NewSequence("")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	p.AppendChild(op)
	if controls != nil {
		p.AppendChild(controls)
	}
	if err := c.netConn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := c.netConn.Write(p.Bytes())
	return err
}

// result sends an LDAPResult as operation tag.
func (c *conn) result(id int64, tag ber.Tag, code result, words string) error {
	return c.write(id, newResult(tag, code, words), nil)
}

func newResult(tag ber.Tag, code result, words string) *ber.Packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, int64(code), ""))
	p.AppendChild(octets(""))
	p.AppendChild(octets(words))
	return p
}

func octets(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

// disconnect tells why the connection ends (RFC 4511, section 4.4.1).
func (c *conn) disconnect(code result, words string) error {
	p := newResult(opExtendedEnd, code, words)
	p.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 10, oidDisconnection, ""))
	return c.write(0, p, nil)
}

// startTLS puts TLS on the connection. What the client sent in clear behind its
// request would count as sent under TLS, so there may be nothing.
func (c *conn) startTLS() error {
	under := c.netConn
	if c.reader.Buffered() > 0 {
		first, err := c.reader.Peek(1)
		if err != nil || first[0] != tlsRecord {
			return badRequest("more was sent in clear behind StartTLS")
		}
		under = &buffered{Conn: c.netConn, r: c.reader}
	}
	t := tls.Server(under, c.server.cfg.TLS)
	ctx, cancel := context.WithTimeout(c.ctx, greetTimeout)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("ldapd: TLS: %w", err)
	}
	c.netConn, c.reader, c.secure = t, bufio.NewReader(t), true
	return nil
}

// buffered is a connection of which some bytes were read already.
type buffered struct {
	net.Conn
	r io.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }
