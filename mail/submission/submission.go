// Package submission takes mail from our own people: over SMTP with sign-in,
// and from the web client by a call. It holds the rules of sending: who may
// write in whose name, what a message must have, and where it goes, which for
// recipients here is their mailbox and for others the queue, in one transaction.
//
// It must not know how the queue sends.
//
// RFC 6409 (submission), 4954 (AUTH), 8314 (implicit TLS), 5322 (section 3.6 on
// what a header must hold).
package submission

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/uuid"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
	"commsd/mail/intake"
	"commsd/mail/mime"
	"commsd/mail/queue"
	"commsd/mail/route"
	"commsd/mail/store"
)

// headerLimit is the longest header that is taken, in bytes.
const headerLimit = 256 << 10

// Senders says what an actor may write in From, in lower case.
type Senders interface {
	SenderAddresses(ctx context.Context, actor identity.Actor) ([]string, error)
}

// Queue takes what goes outside.
type Queue interface {
	Enqueue(ctx context.Context, tx *sqldb.Tx, it queue.Item) error
}

// Desk accepts messages. It is safe for use by many goroutines.
type Desk struct {
	// set at construction
	hostname  string
	directory route.Directory
	senders   Senders
	store     *store.Store
	queue     Queue
	now       func() time.Time
}

// NewDesk returns a desk; now may be nil.
func NewDesk(hostname string, directory route.Directory, senders Senders, st *store.Store, q Queue, now func() time.Time) (*Desk, error) {
	if hostname == "" || directory == nil || senders == nil || st == nil || q == nil {
		return nil, errors.New("submission: a desk needs a hostname, directory, senders, store and queue")
	}
	if now == nil {
		now = time.Now
	}
	return &Desk{hostname: hostname, directory: directory, senders: senders, store: st, queue: q, now: now}, nil
}

// Submission is one message on its way in.
type Submission struct {
	Actor identity.Actor
	From  string // envelope sender as given; "" is the null sender
	To    []route.Recipient
	Trace intake.Trace // By, ID, At and MailFrom are filled in

	// Also, if set, runs in the transaction that accepts the message. It must
	// have no effect outside of it.
	Also func(ctx context.Context, tx *sqldb.Tx, c *store.Content) error
	// SenderAgency also gets the bytes, for Also's sake.
	KeepFor bool
}

// MayUse answers nil when address is one of the actor's own.
func (d *Desk) MayUse(ctx context.Context, actor identity.Actor, address string) error {
	own, err := d.senders.SenderAddresses(ctx, actor)
	if err != nil {
		return fmt.Errorf("submission: addresses of the sender: %w", err)
	}
	return allowed(own, address)
}

func allowed(own []string, address string) error {
	normal, err := route.Normalise(address)
	if err == nil && slices.Contains(own, normal) {
		return nil
	}
	return errcode.New(errcode.Forbidden, "%s is not an address of yours; you may write as %s", address, strings.Join(own, ", "))
}

// Resolve finds where a recipient leads; the error says what is wrong with it.
func (d *Desk) Resolve(ctx context.Context, address string) (route.Recipient, error) {
	return route.Resolve(ctx, d.directory, address)
}

// Accept reads the message, checks it, and makes it durable: when it returns
// nil, each local recipient has it and the queue the others. It returns the id
// that the trace names.
func (d *Desk) Accept(ctx context.Context, s Submission, r io.Reader) (string, error) {
	own, err := d.senders.SenderAddresses(ctx, s.Actor)
	if err != nil {
		return "", fmt.Errorf("submission: addresses of the sender: %w", err)
	}
	if s.From != "" {
		if err := allowed(own, s.From); err != nil {
			return "", err
		}
		s.From = strings.ToLower(s.From)
	}
	if len(s.To) == 0 {
		return "", errcode.New(errcode.Invalid, "name a recipient")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("submission: make an id: %w", err)
	}
	s.Trace.By, s.Trace.ID, s.Trace.At, s.Trace.MailFrom = d.hostname, id.String(), d.now(), s.From

	br := bufio.NewReaderSize(r, 64<<10)
	block, err := readHeader(br)
	if err != nil {
		return "", err
	}
	header := mime.ParseHeader(block)
	if err := checkHeader(block, header, own); err != nil {
		return "", err
	}
	added := d.missing(header, id.String())
	block = withoutBcc(block)
	content, err := d.store.Ingest(ctx, s.agencies(), io.MultiReader(strings.NewReader(added), bytes.NewReader(block), br), intake.CheckContent)
	if err != nil {
		return "", err
	}
	return id.String(), d.commit(ctx, s, content)
}

// agencies lists those that need the bytes. Mail for outside waits in the
// sender's.
func (s *Submission) agencies() []identity.AgencyID {
	var out []identity.AgencyID
	outside := s.KeepFor
	for _, to := range s.To {
		if to.Local() {
			out = append(out, to.Agency)
		} else {
			outside = true
		}
	}
	if outside {
		out = append(out, s.Actor.Agency)
	}
	return out
}

func (d *Desk) commit(ctx context.Context, s Submission, content *store.Content) error {
	var here []store.Delivery
	var outside []string
	for _, to := range s.To {
		if to.Local() {
			if !slices.ContainsFunc(here, func(h store.Delivery) bool { return h.Owner == to.Person }) {
				here = append(here, store.Delivery{Owner: to.Person, Agency: to.Agency, Trace: s.Trace.For(to.Address), Arrived: true})
			}
		} else if !slices.Contains(outside, to.Address) {
			outside = append(outside, to.Address)
		}
	}
	return d.store.Deliver(ctx, content, here, func(ctx context.Context, tx *sqldb.Tx) error {
		if len(outside) > 0 {
			err := d.queue.Enqueue(ctx, tx, queue.Item{
				Sender: s.Actor.Person, Agency: s.Actor.Agency, MailFrom: s.From, To: outside,
				Trace: []byte(s.Trace.Received("")), Content: content,
			})
			if err != nil {
				return err
			}
		}
		if s.Also != nil {
			return s.Also(ctx, tx, content)
		}
		return nil
	})
}

// readHeader reads up to and with the empty line that ends the header.
func readHeader(r *bufio.Reader) ([]byte, error) {
	var block []byte
	start := true // of a line
	for {
		piece, err := r.ReadSlice('\n')
		block = append(block, piece...)
		if len(block) > headerLimit {
			return nil, errcode.New(errcode.TooLarge, "the header is longer than %d bytes", headerLimit)
		}
		if start && (string(piece) == "\r\n" || string(piece) == "\n") {
			return block, nil
		}
		start = !errors.Is(err, bufio.ErrBufferFull)
		if errors.Is(err, io.EOF) {
			return block, nil // a header without a body
		}
		if err != nil && start {
			return nil, err
		}
	}
}

// checkHeader holds that a message says who it is from, once, and truly.
func checkHeader(block []byte, h mime.Header, own []string) error {
	first := true
	for line := range bytes.SplitSeq(block, []byte("\n")) {
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 || !first && (line[0] == ' ' || line[0] == '\t') {
			continue
		}
		first = false
		name, _, ok := bytes.Cut(line, []byte(":"))
		if !ok || bytes.ContainsAny(name, " \t\x00") {
			// One reader would take the header to end here, another not.
			return refuse("a line of the header is no field")
		}
	}
	if bytes.IndexByte(block, 0) >= 0 {
		return refuse("the header holds a NUL")
	}
	switch h.Count("From") {
	case 0:
		return refuse("the message has no From")
	case 1:
	default:
		return refuse("the message has more than one From")
	}
	if h.Count("Sender") > 1 || h.Count("Reply-To") > 1 || h.Count("Date") > 1 || h.Count("Message-ID") > 1 || h.Count("Subject") > 1 || h.Count("To") > 1 || h.Count("Cc") > 1 {
		return refuse("a field of the header that may stand once stands twice")
	}
	for _, field := range []string{"From", "Sender"} {
		if h.Count(field) == 0 {
			continue
		}
		v := h.Get(field)
		list, err := mail.ParseAddressList(strictWords(v))
		if err != nil || len(list) == 0 {
			return refuse("the address in " + field + " cannot be read")
		}
		for _, a := range list {
			if err := allowed(own, a.Address); err != nil {
				return errcode.New(errcode.Forbidden, "%s: %s", field, errcode.Message(err))
			}
		}
		// People are shown what the lenient reader makes of the field: where it
		// reads another sender than the strict one, nobody may be shown either.
		for _, a := range mime.ParseAddresses(v, 0) {
			if err := allowed(own, a.Addr()); err != nil {
				return errcode.New(errcode.Forbidden, "%s: %s", field, errcode.Message(err))
			}
		}
	}
	return nil
}

// withoutBcc leaves Bcc out, which is for the sender's program alone (RFC 5322,
// section 3.6.3): it would tell every recipient of the hidden ones.
func withoutBcc(block []byte) []byte {
	var out []byte
	hidden := false
	for line := range bytes.Lines(block) {
		if line[0] != ' ' && line[0] != '\t' {
			name, _, _ := bytes.Cut(line, []byte(":"))
			hidden = bytes.EqualFold(name, []byte("Bcc")) || bytes.EqualFold(name, []byte("Resent-Bcc"))
		}
		if !hidden {
			out = append(out, line...)
		}
	}
	return out
}

// strictWords replaces encoded words, whose character set the reader of
// addresses may not know, by a letter: only the address is looked at.
func strictWords(v string) string {
	for {
		i := strings.Index(v, "=?")
		if i < 0 {
			return v
		}
		parts := strings.SplitN(v[i+2:], "?", 4)
		if len(parts) < 4 || !strings.HasPrefix(parts[3], "=") || strings.ContainsAny(parts[0]+parts[1]+parts[2], " \t<>@,\"") {
			return v
		}
		v = v[:i] + "x" + parts[3][1:]
	}
}

func refuse(words string) error {
	return intake.Refuse(550, smtp.EnhancedCode{5, 6, 0}, words)
}

// missing writes the fields that a client left out (RFC 6409, section 8).
func (d *Desk) missing(h mime.Header, id string) string {
	var b strings.Builder
	if h.Get("Date") == "" {
		fmt.Fprintf(&b, "Date: %s\r\n", d.now().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	}
	if h.Get("Message-ID") == "" {
		fmt.Fprintf(&b, "Message-ID: <%s@%s>\r\n", id, d.hostname)
	}
	return b.String()
}
