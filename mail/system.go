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
)

// SendSystem queues a letter of the system itself, from postmaster, to one
// address outside. What becomes of it comes back to postmaster. text has CRLF
// line ends. The bytes lie in the queue until they are sent.
func (s *Service) SendSystem(ctx context.Context, to, subject, text string) error {
	id, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("mail: make an id: %w", err)
	}
	from := "postmaster@" + s.cfg.Domain
	at := s.cfg.Now()
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("From: commsd <%s>", from)
	line("To: <%s>", to)
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
	content, err := s.store.Ingest(ctx, []identity.AgencyID{""}, bytes.NewReader([]byte(b.String())))
	if err != nil {
		return fmt.Errorf("mail: keep a letter of the system: %w", err)
	}
	err = s.store.Deliver(ctx, content, nil, func(ctx context.Context, tx *sqldb.Tx) error {
		return s.queue.Enqueue(ctx, tx, queue.Item{MailFrom: from, To: []string{to}, Content: content})
	})
	if err != nil {
		return fmt.Errorf("mail: queue a letter of the system: %w", err)
	}
	return nil
}
