package queue_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"commsd/identity"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
	"commsd/mail/mailtest"
	"commsd/mail/queue"
	"commsd/mail/store"
)

// world is a queue with a clock, a resolver and a network of its own.
type world struct {
	t     *testing.T
	db    *sqldb.DB
	store *store.Store

	mu    sync.Mutex
	now   time.Time
	mx    map[string][]*net.MX
	hosts map[string]string // "mx1.far.example:25" is at this address
	dials []string
	block chan struct{} // connections to "slow." wait for it
	slow  chan struct{} // has one for each that does
}

func newWorld(t *testing.T, db *sqldb.DB) *world {
	t.Helper()
	return &world{t: t, db: db, store: mailtest.Store(t, db), now: time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC),
		mx: map[string][]*net.MX{}, hosts: map[string]string{}, block: make(chan struct{}), slow: make(chan struct{}, 100)}
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) LookupMX(_ context.Context, domain string) ([]*net.MX, error) {
	if strings.HasPrefix(domain, "broken.") {
		return nil, &net.DNSError{Err: "server misbehaving", Name: domain, IsTemporary: true}
	}
	if strings.HasPrefix(domain, "defect.") {
		var none any
		_ = none.(net.Conn) // which it is not
	}
	if mx, ok := w.mx[domain]; ok {
		return mx, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: domain, IsNotFound: true}
}

func (w *world) LookupHost(_ context.Context, host string) ([]string, error) {
	if _, ok := w.hosts[host+":25"]; ok {
		return []string{"127.0.0.1"}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	w.dials = append(w.dials, address)
	w.mu.Unlock()
	if strings.HasPrefix(address, "slow.") {
		w.slow <- struct{}{}
		select {
		case <-w.block:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	at, ok := w.hosts[address]
	if !ok {
		return nil, errors.New("connection refused")
	}
	return new(net.Dialer).DialContext(ctx, network, at)
}

func (w *world) dialed() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.dials)
}

func (w *world) queue(edit ...func(*queue.Config)) *queue.Queue {
	w.t.Helper()
	cfg := queue.Config{
		DB: w.db, Store: w.store, Directory: &mailtest.Directory{}, Hostname: "mx.noivu.example", Log: mailtest.Quiet(),
		Now: w.clock, Jitter: func() float64 { return 0.5 }, Resolver: w, Dial: w.dial,
	}
	for _, e := range edit {
		e(&cfg)
	}
	q, err := queue.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return q
}

func (w *world) enqueue(q *queue.Queue, mailFrom string, to ...string) {
	w.t.Helper()
	w.enqueueText(q, "From: an@noivu.example\r\nSubject: out\r\n\r\nhello\r\n.dot\r\n", mailFrom, to...)
}

func (w *world) enqueueText(q *queue.Queue, text, mailFrom string, to ...string) {
	w.t.Helper()
	c, err := w.store.Ingest(w.t.Context(), []identity.AgencyID{mailtest.AnAgency}, strings.NewReader(text))
	if err != nil {
		w.t.Fatal(err)
	}
	err = w.store.Deliver(w.t.Context(), c, nil, func(ctx context.Context, tx *sqldb.Tx) error {
		return q.Enqueue(ctx, tx, queue.Item{Sender: mailtest.An, Agency: mailtest.AnAgency, MailFrom: mailFrom, To: to, Trace: []byte("Received: by mx.noivu.example\r\n"), Content: c})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) due(q *queue.Queue, want int) {
	w.t.Helper()
	if n, err := q.RunDue(w.t.Context()); err != nil || n != want {
		w.t.Fatalf("%d items were due, want %d: %v", n, want, err)
	}
}

func wait(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not come", what)
	}
}

// toNext lets time pass until an item is due; false when none will be.
func (w *world) toNext() bool {
	w.t.Helper()
	var next int64
	err := w.db.Read(w.t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT coalesce(min(next_at), 0) FROM mail_queue WHERE state = 'active'`).Scan(&next)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if next != 0 {
		w.pass(time.UnixMicro(next).Sub(w.clock()))
	}
	return next != 0
}

func (w *world) bounces() []string {
	w.t.Helper()
	return mailtest.Messages(w.t, w.store, mailtest.Mailbox(w.t, w.store, mailtest.AnActor, store.RoleInbox))
}

func (w *world) states() string {
	w.t.Helper()
	var out []string
	err := w.db.Read(w.t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		rows, err := tx.Query(ctx, `SELECT recipient, state, code, enhanced, remote FROM mail_queue_recipient ORDER BY recipient`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var recipient, state, enhanced, remote string
			var code int
			if err := rows.Scan(&recipient, &state, &code, &enhanced, &remote); err != nil {
				return err
			}
			out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %d %s %s", recipient, state, code, enhanced, remote)))
		}
		return rows.Err()
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Join(out, "\n")
}

// peer is another server. It answers as its fields say.
type peer struct {
	mu     sync.Mutex
	hellos []string
	got    []string
	tls    []bool
	data   error
	came   chan struct{}
}

func (p *peer) NewSession(c *smtp.Conn) (smtp.Session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hellos = append(p.hellos, c.Hostname())
	return &peerSession{p, c}, nil
}

func (p *peer) taken() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

type peerSession struct {
	p *peer
	c *smtp.Conn
}

func (*peerSession) Reset()                               {}
func (*peerSession) Logout() error                        { return nil }
func (*peerSession) Mail(string, *smtp.MailOptions) error { return nil }
func (*peerSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	switch local, _, _ := strings.Cut(to, "@"); local {
	case "bad":
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	case "later":
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted"}
	}
	return nil
}

func (s *peerSession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.p.data != nil {
		return s.p.data
	}
	if err != nil {
		return err
	}
	_, secure := s.c.TLSConnectionState()
	s.p.got, s.p.tls = append(s.p.got, string(b)), append(s.p.tls, secure)
	s.p.came <- struct{}{}
	return nil
}

func (w *world) peer(host string, cert *tls.Config) *peer {
	w.t.Helper()
	p := &peer{came: make(chan struct{}, 100)}
	srv := smtp.NewServer(p)
	srv.Domain, srv.TLSConfig = host, cert
	address, _ := mailtest.Serve(w.t, func(ctx context.Context, l net.Listener) error {
		stop := context.AfterFunc(ctx, func() { _ = srv.Close() }) // Serve tells
		defer stop()
		return srv.Serve(l)
	})
	w.hosts[host+":25"] = address
	return p
}

func TestFindsTheHost(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, sqldbtest.SQLite(t)))
	q := w.queue()
	w.mx["far.example"] = []*net.MX{{Host: "mx2.far.example.", Pref: 20}, {Host: "mx1.far.example.", Pref: 10}, {Host: "mx3.far.example.", Pref: 30}}
	w.mx["null.example"] = []*net.MX{{Host: ".", Pref: 0}}
	far, direct := w.peer("mx2.far.example", mailtest.TLS(t)), w.peer("direct.example", nil) // mx1 is down
	w.enqueue(q, "an@noivu.example", "x@far.example", "y@far.example", "z@direct.example", "a@null.example", "b@none.example", "c@broken.example")
	w.due(q, 1)
	if got := w.dialed(); !slices.Equal(got, []string{"mx1.far.example:25", "mx2.far.example:25", "direct.example:25"}) {
		t.Fatalf("dialed %v", got)
	}
	const sent = "Received: by mx.noivu.example\r\nFrom: an@noivu.example\r\nSubject: out\r\n\r\nhello\r\n.dot\r\n"
	for _, p := range []*peer{far, direct} {
		if !slices.Equal(p.taken(), []string{sent}) {
			t.Fatalf("got %q", p.taken())
		}
		for _, hello := range p.hellos {
			if hello != "mx.noivu.example" {
				t.Fatalf("we called ourselves %q", p.hellos)
			}
		}
	}
	if !far.tls[0] || direct.tls[0] {
		t.Fatalf("TLS %v, %v", far.tls, direct.tls)
	}
	if got, want := w.states(), `a@null.example failed 556 5.1.10 null.example
b@none.example failed 550 5.1.2 none.example
c@broken.example pending 0  broken.example
x@far.example sent 250  mx2.far.example
y@far.example sent 250  mx2.far.example
z@direct.example sent 250  direct.example`; got != want {
		t.Fatalf("the recipients stand at\n%s\nwant\n%s", got, want)
	}
	list := w.bounces()
	if len(list) != 1 {
		t.Fatalf("%d bounces", len(list))
	}
	for _, part := range []string{
		"Return-Path: <>\r\n", "Auto-Submitted: auto-replied\r\n", "multipart/report; report-type=delivery-status", "Reporting-MTA: dns; mx.noivu.example\r\n",
		"Final-Recipient: rfc822; a@null.example\r\nAction: failed\r\nStatus: 5.1.10\r\n", "Final-Recipient: rfc822; b@none.example\r\nAction: failed\r\nStatus: 5.1.2\r\n", "Subject: out\r\n",
	} {
		if !strings.Contains(list[0], part) {
			t.Errorf("the bounce lacks %q:\n%s", part, list[0])
		}
	}
	if strings.Contains(list[0], "far.example") || strings.Contains(list[0], "hello") {
		t.Errorf("the bounce tells too much:\n%s", list[0])
	}
}

// A host whose TLS is broken gets its mail in plain.
func TestBrokenTLS(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, sqldbtest.SQLite(t)))
	q := w.queue()
	far := w.peer("far.example", &tls.Config{MaxVersion: tls.VersionTLS10, MinVersion: tls.VersionTLS10, Certificates: mailtest.TLS(t).Certificates}) // broken on purpose
	w.enqueue(q, "an@noivu.example", "x@far.example")
	w.due(q, 1)
	if len(far.taken()) != 1 || far.tls[0] {
		t.Fatalf("got %q, %v", far.taken(), far.tls)
	}
}

// What a host says in plain after STARTTLS is not read as said in TLS.
func TestInjectedAnswer(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, sqldbtest.SQLite(t)))
	q := w.queue()
	address, _ := mailtest.Serve(t, func(ctx context.Context, l net.Listener) error {
		stop := context.AfterFunc(ctx, func() { l.Close() })
		defer stop()
		for {
			c, err := l.Accept()
			if err != nil {
				return nil // it was closed
			}
			_, _ = io.WriteString(c, "220 hi\r\n250-hi\r\n250 STARTTLS\r\n220 go\r\n250 injected\r\n")
			c.Close()
		}
	})
	w.hosts["far.example:25"] = address
	w.enqueue(q, "an@noivu.example", "x@far.example")
	w.due(q, 1)
	if got := w.states(); !strings.HasPrefix(got, "x@far.example pending 0") {
		t.Fatal(got)
	}
}

func TestRetriesSpreadOut(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, sqldbtest.SQLite(t)))
	q := w.queue()
	far := w.peer("far.example", nil)
	far.data = &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "disk full"}
	w.enqueue(q, "an@noivu.example", "x@far.example")
	start := w.clock()
	var waits []time.Duration
	for last := start; w.toNext(); last = w.clock() {
		waits = append(waits, w.clock().Sub(last))
		w.due(q, 1)
		w.pass(-time.Second)
		w.due(q, 0)
		w.pass(time.Second)
	}
	if lived := w.clock().Sub(start); lived != 5*24*time.Hour {
		t.Fatalf("given up after %v", lived)
	}
	want := []time.Duration{0, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, 64 * time.Minute, 128 * time.Minute, 4 * time.Hour, 4 * time.Hour}
	if len(waits) < 30 || !slices.Equal(waits[:len(want)], want) {
		t.Fatalf("tried after %v", waits)
	}
	if list := w.bounces(); len(list) != 1 || !strings.Contains(list[0], "Status: 4.3.1") && !strings.Contains(list[0], "Status: 4.4.7") {
		t.Fatalf("bounces %q", list)
	}
	if got := w.states(); !strings.HasPrefix(got, "x@far.example failed 452") {
		t.Fatal(got)
	}
	// Two items that failed together are tried apart.
	first, second := 0.0, 0.999
	for _, jitter := range []float64{first, second} {
		q := w.queue(func(c *queue.Config) { c.Jitter = func() float64 { return jitter } })
		w.enqueue(q, "an@noivu.example", "x@far.example")
		w.due(q, 1)
	}
	w.pass(50 * time.Second)
	w.due(q, 1)
	w.pass(25 * time.Second)
	w.due(q, 1)
}

func TestNoBounceOfABounce(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, sqldbtest.SQLite(t)))
	q := w.queue()
	w.peer("far.example", nil)
	w.enqueue(q, "", "bad@far.example")
	w.enqueue(q, "gone@noivu.example", "bad@far.example")
	w.enqueue(q, "x@elsewhere.example", "bad@far.example")
	w.due(q, 3)
	if list := w.bounces(); len(list) != 0 {
		t.Fatalf("bounces %q", list)
	}
	w.pass(24 * time.Hour)
	w.due(q, 0)
}

// The lease of a node that died runs out, and another node goes on; what the
// first still has to say counts no more.
func TestTakesOverFromTheDead(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		dead, alive := w.queue(), w.queue()
		p := w.peer("slow.example", nil)
		w.enqueueText(dead, "Subject: large\r\n\r\n"+strings.Repeat("large\r\n", 10_000), "an@noivu.example", "x@slow.example")
		hung := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			defer close(hung)
			_, _ = dead.RunDue(ctx) // it is dead
		}()
		wait(t, w.slow, "the first node's dial")
		w.due(alive, 0) // under lease
		w.pass(16 * time.Minute)
		close(w.block)
		w.due(alive, 1)
		<-hung
		if got := w.states(); got != "x@slow.example sent 250  slow.example" {
			t.Fatal(got)
		}
		if n := len(p.taken()); n < 1 || n > 2 || !strings.HasSuffix(p.taken()[0], "large\r\n") {
			t.Fatalf("taken %d times", n)
		}
		w.pass(24 * time.Hour)
		w.due(alive, 0)
	})
}

// One host that hangs does not hold up mail for others, nor the stop.
func TestRun(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, sqldbtest.SQLite(t)))
	arrived := w.peer("far.example", nil)
	w.peer("slow.example", nil)
	q := w.queue(func(c *queue.Config) { c.Workers, c.Grace, c.Poll = 2, 10*time.Millisecond, time.Hour })
	w.enqueue(q, "an@noivu.example", "x@slow.example")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	for range 5 {
		w.enqueue(q, "an@noivu.example", "x@far.example")
	}
	wait(t, w.slow, "the slow dial")
	for range 5 {
		wait(t, arrived.came, "the others' mail")
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Run did not end")
	}
	if got := w.states(); !strings.HasSuffix(got, "x@slow.example pending 0  slow.example") {
		t.Fatalf("the recipients stand at\n%s", got)
	}
	// The cut attempt gave its lease back.
	close(w.block)
	w.pass(2 * time.Minute)
	w.due(q, 1)
}

// Domains that hang use up an attempt; the others come first in the next ones.
func TestDeadDomainsDoNotStarveOthers(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		q := w.queue(func(c *queue.Config) { c.Lease = 600 * time.Millisecond }) // an attempt ends after two thirds
		far := w.peer("zz.example", nil)
		w.hosts["slow.a.example:25"], w.hosts["slow.b.example:25"] = "", "" // which never answer
		w.enqueue(q, "an@noivu.example", "a@slow.a.example", "b@slow.b.example", "x@zz.example", "later@zz.example")
		w.pass(time.Second)
		for range 2 {
			w.due(q, 1)
			wait(t, w.slow, "the dial of a dead domain")
			w.pass(time.Minute) // no more, as long as somebody was never tried
		}
		w.due(q, 1)
		wait(t, w.slow, "the dial of the domain that had waited longest")
		if got, want := w.dialed(), []string{"slow.a.example:25", "slow.b.example:25", "zz.example:25", "slow.a.example:25"}; !slices.Equal(got, want) {
			t.Fatalf("dialed %v, want %v", got, want)
		}
		if got, want := w.states(), `a@slow.a.example pending 0  slow.a.example
b@slow.b.example pending 0  slow.b.example
later@zz.example pending 451 4.7.1 zz.example
x@zz.example sent 250  zz.example`; got != want || len(far.taken()) != 1 {
			t.Fatalf("the recipients stand at\n%s\nwant\n%s", got, want)
		}
		w.pass(time.Minute)
		w.due(q, 0) // all were tried: the third wait is longer
		w.pass(5 * 24 * time.Hour)
		w.due(q, 1) // the last time, with no time for most
		if list := w.bounces(); len(list) != 1 || strings.Count(list[0], "Action: failed") != 3 || !strings.Contains(list[0], "last: greylisted") {
			t.Fatalf("bounces %q", list)
		}
		w.due(q, 0)
	})
}

// What a defect hits is tried again like any other failure, and given up in the
// end; what was sent stays sent.
func TestDefectIsAFailure(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, sqldbtest.SQLite(t)))
	q := w.queue()
	far := w.peer("far.example", nil)
	w.enqueue(q, "an@noivu.example", "x@defect.example", "x@far.example")
	start, tries := w.clock(), 0
	for ; w.toNext(); tries++ {
		w.due(q, 1)
	}
	if lived := w.clock().Sub(start); lived != 5*24*time.Hour || tries < 30 || tries > 50 {
		t.Fatalf("given up after %v and %d attempts", lived, tries)
	}
	if n := len(far.taken()); n != 1 {
		t.Fatalf("what could be sent was sent %d times", n)
	}
	if list := w.bounces(); len(list) != 1 || !strings.Contains(list[0], "a fault on this side") || strings.Contains(list[0], "far.example") {
		t.Fatalf("bounces %q", list)
	}
}

// unwritable is a directory at which the writing of reports panics.
type unwritable struct{ *mailtest.Directory }

func (unwritable) ResolveAddress(context.Context, string) (identity.PersonID, error) {
	var none any
	return none.(identity.PersonID), nil // which it is not
}

// A report that cannot be written does not have the mail sent again.
func TestDefectInTheReport(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, sqldbtest.SQLite(t)))
	q := w.queue(func(c *queue.Config) { c.Directory = unwritable{&mailtest.Directory{}} })
	far := w.peer("far.example", nil)
	w.enqueue(q, "an@noivu.example", "bad@far.example", "x@far.example")
	w.due(q, 1)
	w.pass(24 * time.Hour)
	w.due(q, 0)
	if got := w.states(); got != "bad@far.example failed 550 5.1.1 far.example\nx@far.example sent 250  far.example" || len(far.taken()) != 1 {
		t.Fatalf("taken %d times; the recipients stand at\n%s", len(far.taken()), got)
	}
}

// What came of mail is kept for a week, and of mail under way for as long as it
// is.
func TestForget(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		q := w.queue()
		w.peer("far.example", nil)
		for i := range 3 {
			w.enqueue(q, "an@noivu.example", fmt.Sprintf("x%d@far.example", i))
		}
		w.due(q, 3)
		w.pass(7*24*time.Hour - time.Second)
		w.enqueue(q, "an@noivu.example", "later@far.example", "x@far.example")
		w.due(q, 1)
		if n, err := q.Forget(t.Context()); err != nil || n != 0 {
			t.Fatalf("forgot %d too early, %v", n, err)
		}
		w.pass(2 * time.Second)
		if n, err := q.Forget(t.Context()); err != nil || n != 3 {
			t.Fatalf("forgot %d, %v", n, err)
		}
		w.pass(7 * 24 * time.Hour)
		if n, err := q.Forget(t.Context()); err != nil || n != 0 {
			t.Fatalf("forgot %d of which a recipient still waits, %v", n, err)
		}
		if got, want := w.states(), "later@far.example pending 451 4.7.1 far.example\nx@far.example sent 250  far.example"; got != want {
			t.Fatalf("the recipients stand at\n%s\nwant\n%s", got, want)
		}
	})
}

func TestHeld(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, sqldbtest.SQLite(t)))
	q := w.queue(func(c *queue.Config) { c.Hold = true })
	w.enqueue(q, "an@noivu.example", "y@far.example", "x@far.example")
	w.due(q, 0)
	held, err := q.Held(t.Context(), mailtest.An, 10)
	if err != nil || len(held) != 1 || held[0].Subject != "out" || !slices.Equal(held[0].To, []string{"x@far.example", "y@far.example"}) {
		t.Fatalf("held %+v, %v", held, err)
	}
	if held, err := q.Held(t.Context(), mailtest.Chi, 10); err != nil || len(held) != 0 {
		t.Fatalf("another sees %v, %v", held, err)
	}
	if len(w.dialed()) != 0 {
		t.Fatalf("dialed %v", w.dialed())
	}
}

// Two nodes work on one queue and never on one item.
func TestNodesShareTheQueue(t *testing.T) {
	sqldbtest.EachConfig(t, func(t *testing.T, cfg sqldb.Config) {
		db := sqldbtest.Open(t, cfg)
		w := newWorld(t, db)
		far := w.peer("far.example", nil)
		first := w.queue()
		second := w.queue()
		if strings.HasPrefix(cfg.URL, "postgres") {
			other := sqldbtest.Open(t, cfg)
			second = w.queue(func(c *queue.Config) { c.DB = other })
		}
		const items = 20
		for i := range items {
			w.enqueue(first, "an@noivu.example", fmt.Sprintf("x%d@far.example", i))
		}
		var wg sync.WaitGroup
		failed := make(chan error, 2)
		for _, q := range []*queue.Queue{first, second} {
			wg.Go(func() {
				for {
					n, err := q.RunDue(t.Context())
					if err != nil {
						failed <- err
						return
					}
					if n == 0 {
						return
					}
				}
			})
		}
		wg.Wait()
		close(failed)
		for err := range failed {
			t.Error(err)
		}
		if n := len(far.taken()); n != items {
			t.Errorf("%d messages were sent, want %d", n, items)
		}
		if got := w.states(); strings.Count(got, " sent 250") != items {
			t.Errorf("the recipients stand at\n%s", got)
		}
	})
}
