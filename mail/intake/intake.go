// Package intake is what the two SMTP servers share: how a message is read and
// what is refused in it, the trace lines that it gets, and which SMTP answer an
// error becomes.
//
// It must not know who may send to whom.
//
// RFC 5321 (section 4.4 on trace, 6.3 on loops), RFC 3463 (enhanced codes).
package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"commsd/internal/errcode"
	"commsd/mail/mime"
)

// MaxReceived is how many hops a message may have made (RFC 5321, section 6.3).
const MaxReceived = 50

// MaxLine is the longest line of a message that is taken, in bytes. RFC 5322
// allows 998; much mail is written by programs that have not read it.
const MaxLine = 4000

// answers maps every code to its SMTP answer.
var answers = map[errcode.Code]struct {
	code     int
	enhanced smtp.EnhancedCode
}{
	errcode.Internal:        {451, smtp.EnhancedCode{4, 3, 0}},
	errcode.Invalid:         {550, smtp.EnhancedCode{5, 6, 0}},
	errcode.Unauthenticated: {535, smtp.EnhancedCode{5, 7, 8}},
	errcode.Forbidden:       {550, smtp.EnhancedCode{5, 7, 1}},
	errcode.NotFound:        {550, smtp.EnhancedCode{5, 1, 1}},
	errcode.Conflict:        {451, smtp.EnhancedCode{4, 3, 0}},
	errcode.TooLarge:        {552, smtp.EnhancedCode{5, 3, 4}},
	errcode.RateLimited:     {451, smtp.EnhancedCode{4, 7, 1}},
	errcode.Unavailable:     {451, smtp.EnhancedCode{4, 3, 2}},
	errcode.Gone:            {550, smtp.EnhancedCode{5, 1, 6}},
	errcode.Locked:          {454, smtp.EnhancedCode{4, 7, 0}}, // no session of a page comes here
}

// Answer turns err into what the other side is told; an error without a code is
// logged whole and answered as "try again", so that no mail is lost to a defect.
func Answer(ctx context.Context, log *slog.Logger, doing string, err error) error {
	if err == nil {
		return nil
	}
	var ready *smtp.SMTPError
	if errors.As(err, &ready) {
		return ready
	}
	code := errcode.Of(err)
	if code == errcode.Internal {
		log.ErrorContext(ctx, "mail could not be taken", "doing", doing, "err", err)
		return Refuse(451, smtp.EnhancedCode{4, 3, 0}, "a fault on this side; try again later")
	}
	log.DebugContext(ctx, "mail was refused", "doing", doing, "err", err)
	a, ok := answers[code]
	if !ok {
		a = answers[errcode.Internal]
	}
	return Refuse(a.code, a.enhanced, errcode.Message(err))
}

// Refuse is an answer of the caller's own choice. Words that are not ASCII are
// marked: SMTP has no other.
func Refuse(code int, enhanced smtp.EnhancedCode, words string) *smtp.SMTPError {
	words = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, words)
	return &smtp.SMTPError{Code: code, EnhancedCode: enhanced, Message: words}
}

// CheckContent refuses what no server may take.
func CheckContent(m *mime.Message) error {
	switch {
	case m.BareCR || m.BareLF:
		// Another server may see the end of the message where we see none, and
		// read what follows as commands ("SMTP smuggling").
		return Refuse(550, smtp.EnhancedCode{5, 6, 0}, "a line of the message ends in something else than CR LF")
	case m.Received > MaxReceived:
		return Refuse(554, smtp.EnhancedCode{5, 4, 6}, "too many hops: the message goes in circles")
	case m.Size == 0:
		return Refuse(554, smtp.EnhancedCode{5, 6, 0}, "the message is empty")
	}
	return nil
}

// Trace says where a message came from.
type Trace struct {
	From     string // what the client called itself
	Remote   string // its IP address
	By       string // our name
	With     string // "ESMTP", "ESMTPS", "ESMTPSA", "HTTP"
	ID       string
	At       time.Time
	MailFrom string // envelope sender; "" is the null sender
}

// Received writes the Received field; to is left out where it is "".
func (t Trace) Received(to string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Received: from %s", domainOr(t.From, "unknown"))
	if t.Remote != "" {
		fmt.Fprintf(&b, " (%s)", literal(t.Remote))
	}
	fmt.Fprintf(&b, "\r\n\tby %s with %s id %s", t.By, t.With, t.ID)
	if to != "" {
		fmt.Fprintf(&b, "\r\n\tfor <%s>", to)
	}
	fmt.Fprintf(&b, "; %s\r\n", t.At.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	return b.String()
}

// For writes the lines that one local recipient gets on top (RFC 5321, section
// 4.4): Return-Path, Delivered-To, Received.
func (t Trace) For(to string) []byte {
	return []byte("Return-Path: <" + t.MailFrom + ">\r\nDelivered-To: " + to + "\r\n" + t.Received(to))
}

// domainOr keeps what a client called itself out of our header unless it is
// harmless.
func domainOr(s, instead string) string {
	if s == "" || len(s) > 255 || strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789.-_:[]") != "" {
		return instead
	}
	return s
}

func literal(ip string) string {
	if strings.Contains(ip, ":") {
		return "[IPv6:" + ip + "]"
	}
	return "[" + ip + "]"
}

// IP is the address of a connection without its port.
func IP(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return host
}

// Logger passes what go-smtp and go-imap print to slog; a panic that they
// caught counts as one.
type Logger struct {
	Log   *slog.Logger
	Panic func() // counts; may be nil
}

// Printf logs one line.
func (l Logger) Printf(format string, v ...any) {
	line := fmt.Sprintf(format, v...)
	if strings.HasPrefix(line, "panic") {
		if l.Panic != nil {
			l.Panic()
		}
		l.Log.Error("panic in a mail connection; only it was closed", "what", line)
		return
	}
	l.Log.Debug("mail connection", "what", line)
}

// Println logs one line.
func (l Logger) Println(v ...any) { l.Printf("%s", fmt.Sprintln(v...)) }
