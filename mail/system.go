package mail

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"commsd/identity"
	"commsd/internal/sqldb"
	"commsd/mail/queue"
	"commsd/mail/store"
)

// SendSystem sends a letter of the system itself, from postmaster, to one
// address: into the mailbox that it is, or into the queue for outside, where the
// bytes lie until they are sent and from where a report of failure comes back to
// postmaster. text has CRLF line ends. errcode.NotFound where there is no such
// mailbox here.
func (s *Service) SendSystem(ctx context.Context, to, subject, text string) error {
	rcpt, err := s.desk.Resolve(ctx, to)
	if err != nil {
		return fmt.Errorf("mail: recipient of a letter of the system: %w", err)
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("mail: make an id: %w", err)
	}
	from := "postmaster@" + s.cfg.Domain
	at := s.cfg.Now()
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("From: commsd <%s>", from)
	line("To: <%s>", rcpt.Address)
	line("Subject: =?utf-8?B?%s?=", base64.StdEncoding.EncodeToString([]byte(subject)))
	line("Date: %s", at.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	line("Message-ID: <%s@%s>", id, s.cfg.Domain)
	line("Auto-Submitted: auto-generated") // RFC 3834 section 5
	line("MIME-Version: 1.0")
	line("Content-Type: text/plain; charset=utf-8")
	line("Content-Transfer-Encoding: base64")
	line("")
	encoded := base64.StdEncoding.EncodeToString([]byte(text))
	for len(encoded) > 76 { // RFC 2045 section 6.8
		line("%s", encoded[:76])
		encoded = encoded[76:]
	}
	line("%s", encoded)
	content, err := s.store.Ingest(ctx, []identity.AgencyID{rcpt.Agency}, bytes.NewReader([]byte(b.String())))
	if err != nil {
		return fmt.Errorf("mail: keep a letter of the system: %w", err)
	}
	if rcpt.Local() {
		trace := []byte("Return-Path: <" + from + ">\r\nDelivered-To: " + rcpt.Address + "\r\n")
		err = s.store.Deliver(ctx, content, []store.Delivery{{Owner: rcpt.Person, Agency: rcpt.Agency, Trace: trace, Arrived: true}}, nil)
	} else {
		err = s.store.Deliver(ctx, content, nil, func(ctx context.Context, tx *sqldb.Tx) error {
			return s.queue.Enqueue(ctx, tx, queue.Item{MailFrom: from, To: []string{rcpt.Address}, Content: content})
		})
	}
	if err != nil {
		return fmt.Errorf("mail: send a letter of the system: %w", err)
	}
	return nil
}
