package imapd

import (
	"context"
	"io"
	"net"
	"time"

	"github.com/emersion/go-imap/v2"

	"commsd/identity"
	"commsd/internal/errcode"
)

// Append puts a message into a mailbox.
func (s *session) Append(name string, r imap.LiteralReader, options *imap.AppendOptions) (*imap.AppendData, error) {
	leave, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	body := newPatient(s.ctx, s.conn.NetConn(), io.LimitReader(r, r.Size()), s.server.cfg.AppendPause)
	defer body.stop()
	data, err := s.append(body, name, r.Size(), options)
	if err != nil && body.failed == nil {
		_, _ = io.Copy(io.Discard, body) // the client sends all of it before it looks at the answer
	}
	return data, err
}

func (s *session) append(body *patient, name string, size int64, options *imap.AppendOptions) (*imap.AppendData, error) {
	to, err := s.mailbox(body.ctx, name)
	if err != nil {
		if errcode.Of(err) == errcode.NotFound {
			return nil, no(imap.ResponseCodeTryCreate, "no such mailbox")
		}
		return nil, s.answer("APPEND", err)
	}
	flags, keywords, err := parseFlags(options.Flags)
	if err != nil {
		return nil, s.answer("APPEND", err)
	}
	s.mu.Lock()
	agency := s.actor.Agency
	s.mu.Unlock()
	content, err := s.server.cfg.Store.Ingest(body.ctx, []identity.AgencyID{agency}, body)
	if body.failed != nil || err == nil && content.Size != size {
		return nil, no(imap.ResponseCodeClientBug, "the message was cut short")
	}
	if err != nil {
		return nil, s.answer("APPEND", err)
	}
	uid, err := s.server.cfg.Store.Append(body.ctx, to, agency, content, flags, keywords, options.Time)
	if err != nil {
		return nil, s.answer("APPEND", err)
	}
	return &imap.AppendData{UID: imap.UID(uid), UIDValidity: to.UIDValidity}, nil
}

// AppendLimit is the largest message that may be appended.
func (s *session) AppendLimit() uint32 {
	return uint32(min(s.server.cfg.MaxMessageBytes, 1<<32-1)) // bounded
}

// patient reads a literal from a client that may be slow: it may take any time
// for all of it, but not pause for long. ctx bounds what is done with the bytes,
// each step by opTimeout; the clock stands still while the client is waited for.
type patient struct {
	ctx    context.Context // ends opTimeout after the last read, or when stopped
	cancel context.CancelFunc
	r      io.Reader
	conn   net.Conn
	pause  time.Duration
	clock  *time.Timer
	failed error // of the client
}

func newPatient(ctx context.Context, conn net.Conn, r io.Reader, pause time.Duration) *patient {
	ctx, cancel := context.WithCancel(ctx)
	return &patient{ctx: ctx, cancel: cancel, r: r, conn: conn, pause: pause, clock: time.AfterFunc(opTimeout, cancel)}
}

// Read implements io.Reader.
func (p *patient) Read(b []byte) (int, error) {
	p.clock.Stop()
	defer p.clock.Reset(opTimeout)
	// go-imap has set one deadline for the whole, and sets the next afterwards.
	if err := p.conn.SetReadDeadline(time.Now().Add(p.pause)); err != nil {
		p.failed = err
		return 0, err
	}
	n, err := p.r.Read(b)
	if err != nil && err != io.EOF {
		p.failed = err
	}
	return n, err
}

func (p *patient) stop() {
	p.clock.Stop()
	p.cancel()
}
