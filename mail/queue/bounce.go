package queue

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/mail/route"
	"commsd/mail/store"
)

// headerLimit is how much of the original's header a bounce returns.
const headerLimit = 64 << 10

// bounce writes the report that recipients failed (RFC 3464) and makes its
// bytes durable. It is nil where nobody is to be told: nothing failed, the mail
// was itself a report (RFC 5321, section 6.1), or its sender is no more.
func (q *Queue) bounce(ctx context.Context, it work, failed []result, now time.Time) (*store.Content, store.Delivery, error) {
	if len(failed) == 0 {
		return nil, store.Delivery{}, nil
	}
	if it.mailFrom == "" {
		q.cfg.Log.WarnContext(ctx, "a report could not be delivered", "item", it.id)
		return nil, store.Delivery{}, nil
	}
	rcpt, err := route.Resolve(ctx, q.cfg.Directory, it.mailFrom)
	switch errcode.Of(err) {
	case errcode.NotFound, errcode.Invalid:
		rcpt, err = route.Recipient{}, nil
	default:
	}
	if err != nil {
		return nil, store.Delivery{}, err
	}
	if !rcpt.Local() {
		q.cfg.Log.WarnContext(ctx, "nobody here to tell that mail failed", "item", it.id)
		return nil, store.Delivery{}, nil
	}
	report, err := q.report(ctx, it, failed, now)
	if err != nil {
		return nil, store.Delivery{}, err
	}
	content, err := q.cfg.Store.Ingest(ctx, []identity.AgencyID{rcpt.Agency}, bytes.NewReader(report))
	if err != nil {
		return nil, store.Delivery{}, fmt.Errorf("queue: keep report: %w", err)
	}
	trace := []byte("Return-Path: <>\r\nDelivered-To: " + rcpt.Address + "\r\n")
	return content, store.Delivery{Owner: rcpt.Person, Agency: rcpt.Agency, Trace: trace, Arrived: true}, nil
}

func (q *Queue) report(ctx context.Context, it work, failed []result, now time.Time) ([]byte, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return nil, fmt.Errorf("queue: make an id: %w", err)
	}
	header, err := q.originalHeader(ctx, it)
	if err != nil {
		return nil, err
	}
	boundary := "report-" + id.String()
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("From: Mail Delivery System <mailer-daemon@%s>", q.cfg.Hostname)
	line("To: <%s>", it.mailFrom)
	line("Subject: =?utf-8?B?%s?=", base64.StdEncoding.EncodeToString([]byte("Không gửi được thư / Mail not delivered")))
	line("Date: %s", now.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	line("Message-ID: <%s@%s>", id, q.cfg.Hostname)
	line("Auto-Submitted: auto-replied")
	line("MIME-Version: 1.0")
	line("Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"%s\"", boundary)
	line("")
	line("--%s", boundary)
	line("Content-Type: text/plain; charset=utf-8")
	line("Content-Transfer-Encoding: 8bit")
	line("")
	line("Thư của bạn không đến được những người nhận sau:")
	line("Your message did not reach these recipients:")
	for _, f := range failed {
		line("")
		line("  <%s>", f.recipient)
		line("  %s: %s", f.remote, strings.TrimSpace(fmt.Sprintf("%s %s", codes(f), f.answer)))
	}
	line("")
	line("--%s", boundary)
	line("Content-Type: message/delivery-status")
	line("")
	line("Reporting-MTA: dns; %s", q.cfg.Hostname)
	line("Arrival-Date: %s", it.created.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	for _, f := range failed {
		line("")
		line("Final-Recipient: rfc822; %s", f.recipient)
		line("Action: failed")
		line("Status: %s", status(f))
		if f.remote != "" {
			line("Remote-MTA: dns; %s", f.remote)
		}
		if f.code != 0 {
			line("Diagnostic-Code: smtp; %s", strings.TrimSpace(codes(f)+" "+f.answer))
		}
	}
	line("")
	line("--%s", boundary)
	line("Content-Type: text/rfc822-headers; charset=utf-8")
	line("Content-Transfer-Encoding: 8bit")
	line("")
	b.Write(header)
	line("")
	line("--%s--", boundary)
	return []byte(b.String()), nil
}

// status is the enhanced code of a failure; it must be of class 4 or 5.
func status(f result) string {
	if f.enhanced != "" && (f.enhanced[0] == '4' || f.enhanced[0] == '5') {
		return f.enhanced
	}
	return "5.0.0"
}

func codes(f result) string {
	if f.code == 0 {
		return f.enhanced
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", f.code, f.enhanced))
}

// originalHeader reads the header of the mail that failed.
func (q *Queue) originalHeader(ctx context.Context, it work) ([]byte, error) {
	body, err := q.open(ctx, it)
	if err != nil {
		return nil, fmt.Errorf("queue: read header: %w", err)
	}
	defer body.Close()
	r := bufio.NewReader(io.LimitReader(body, headerLimit))
	var out []byte
	for {
		l, err := r.ReadBytes('\n')
		if len(bytes.TrimRight(l, "\r\n")) == 0 {
			return out, nil
		}
		out = append(out, bytes.TrimRight(l, "\r\n")...)
		out = append(out, '\r', '\n')
		if err != nil {
			return out, nil
		}
	}
}
