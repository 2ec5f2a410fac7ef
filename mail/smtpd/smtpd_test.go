package smtpd_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"commsd/internal/blob"
	"commsd/internal/blob/blobtest"
	"commsd/internal/netlimit"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
	"commsd/internal/testengine"
	"commsd/internal/testpeer/mailpeer"
	"commsd/mail/mailtest"
	"commsd/mail/smtpd"
	"commsd/mail/store"
)

func TestMain(m *testing.M) { os.Exit(testengine.Main(m)) }

// server is a running server and what it stands on.
type server struct {
	*store.Store
	address string
	stop    func()
}

func start(t testing.TB, db *sqldb.DB, edit ...func(*smtpd.Config)) server {
	t.Helper()
	st := mailtest.Store(t, db)
	cfg := smtpd.Config{Hostname: "mx.example", Directory: &mailtest.Directory{}, Store: st, TLS: mailtest.TLS(t), Log: mailtest.Log(t)}
	for _, e := range edit {
		e(&cfg)
	}
	srv, err := smtpd.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	address, stop := mailtest.Serve(t, func(ctx context.Context, l net.Listener) error { return srv.Serve(ctx, l, 3*time.Second) })
	return server{st, address, stop}
}

// dial connects and says hello.
func (s server) dial(t testing.TB) *mailpeer.Line {
	t.Helper()
	c := mailpeer.Dial(t, s.address)
	if r := c.Reply(); !strings.HasPrefix(r, "220 ") {
		t.Fatalf("greeting %q", r)
	}
	c.Want("EHLO far.example", "250")
	return c
}

func (s server) chi(t testing.TB) []string {
	t.Helper()
	return mailtest.Messages(t, s.Store, mailtest.Mailbox(t, s.Store, mailtest.ChiActor, store.RoleInbox))
}

const message = "From: x@far.example\r\nSubject: hello\r\n\r\nBody\r\n.\r\n"

func TestTakesMailForPeopleHere(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := start(t, db)
		c := s.dial(t)
		c.Want("MAIL FROM:<x@far.example>", "250", "RCPT TO:<Chi@HANOI.example>", "250", "RCPT TO:<chi@hanoi.example>", "250",
			"RCPT TO:<an@noivu.example>", "250", "DATA", "354", message[:len(message)-2], "250 2.0.0")
		// The same connection takes the next, over TLS, and a bounce.
		c.Want("STARTTLS", "220")
		c.TLS()
		c.Want("MAIL FROM:<>", "502", "EHLO far.example", "250", "MAIL FROM:<>", "250", "RCPT TO:<chi@hanoi.example>", "250", "DATA", "354", message[:len(message)-2], "250 2.0.0", "QUIT", "221")

		got := s.chi(t)
		if len(got) != 2 {
			t.Fatalf("chi has %d messages: %q", len(got), got)
		}
		for i, want := range []string{
			"Return-Path: <x@far.example>\r\nDelivered-To: chi@hanoi.example\r\nReceived: from far.example ([127.0.0.1])\r\n\tby mx.example with ESMTP id ",
			"Return-Path: <>\r\nDelivered-To: chi@hanoi.example\r\nReceived: from far.example ([127.0.0.1])\r\n\tby mx.example with ESMTPS id ",
		} {
			if !strings.HasPrefix(got[i], want) || !strings.HasSuffix(got[i], "From: x@far.example\r\nSubject: hello\r\n\r\nBody\r\n") {
				t.Fatalf("message %d is %q", i, got[i])
			}
		}
		if an := mailtest.Messages(t, s.Store, mailtest.Mailbox(t, s.Store, mailtest.AnActor, store.RoleInbox)); len(an) != 1 || strings.Contains(an[0], "chi@") {
			t.Fatalf("an has %q: one recipient must not read of another", an)
		}
	})
}

// Anybody may send, so that what is refused must not stay on the disk.
func TestRefusedMailIsNotKept(t *testing.T) {
	blobtest.Each(t, func(t *testing.T, blobs blob.Store) {
		db := sqldbtest.Open(t, sqldbtest.SQLite(t))
		st := mailtest.StoreOn(t, db, mailtest.Bus(t), blobs)
		s := start(t, db, func(c *smtpd.Config) { c.Store = st })
		large := strings.Repeat("large and large\r\n", 10_000)
		const from = "From: x@far.example\r\n"
		c := s.dial(t)
		for i, refused := range []string{
			from + "\r\n" + large + "bare\rCR",
			from + from + "\r\n" + large,
			from + strings.Repeat("Received: by x\r\n", 60) + "\r\n" + large,
		} {
			c.Want("MAIL FROM:<x@far.example>", "250", "RCPT TO:<chi@hanoi.example>", "250", "RCPT TO:<an@noivu.example>", "250", "DATA", "354", refused+"\r\n.", "55")
			if left := mailtest.Blobs(t, blobs); len(left) != 0 {
				t.Fatalf("refusal %d keeps %v", i, left)
			}
		}
		c.Want("MAIL FROM:<x@far.example>", "250", "RCPT TO:<chi@hanoi.example>", "250", "RCPT TO:<an@noivu.example>", "250", "DATA", "354", from+"\r\n"+large+".", "250")
		if kept := mailtest.Blobs(t, blobs); len(kept) != 2 {
			t.Fatalf("what was taken is in %v, want a blob for each agency", kept)
		}
	})
}

func TestRefuses(t *testing.T) {
	s := start(t, sqldbtest.Open(t, sqldbtest.SQLite(t)), func(c *smtpd.Config) { c.MaxMessageBytes, c.MaxRecipients = 100_000, 3 })
	data := func(content string) []string {
		return []string{"MAIL FROM:<x@far.example>", "250", "RCPT TO:<chi@hanoi.example>", "250", "DATA", "354", content + "\r\n.", ""}
	}
	const from = "From: x@far.example\r\n"
	for name, pairs := range map[string][]string{
		"sign-in":              {"AUTH PLAIN AGFuAGFu", "5"},
		"relay":                {"MAIL FROM:<x@far.example>", "250", "RCPT TO:<y@elsewhere.example>", "550 5.7.1"},
		"relay by route":       {"MAIL FROM:<x@far.example>", "250", "RCPT TO:<@hanoi.example:y@elsewhere.example>", "550 5.7.1"},
		"relay by percent":     {"MAIL FROM:<x@far.example>", "250", "RCPT TO:<y%elsewhere.example@hanoi.example>", "550 5.1.1"},
		"relay by quotes":      {"MAIL FROM:<x@far.example>", "250", `RCPT TO:<"y@elsewhere.example"@hanoi.example>`, "501"},
		"unknown":              {"MAIL FROM:<x@far.example>", "250", "RCPT TO:<nobody@hanoi.example>", "550 5.1.1"},
		"no address":           {"MAIL FROM:<x@far.example>", "250", "RCPT TO:<chi>", "501"},
		"null recipient":       {"MAIL FROM:<x@far.example>", "250", "RCPT TO:<>", "501"},
		"sender is none":       {"MAIL FROM:<a..b@far.example>", "501"},
		"controls in a sender": {"MAIL FROM:<a\x01b@far.example>", "501"},
		"order":                {"RCPT TO:<chi@hanoi.example>", "502", "DATA", "502", "MAIL FROM:<x@far.example>", "250", "DATA", "502"},
		"size told":            {"MAIL FROM:<x@far.example> SIZE=100001", "552 5.3.4"},
		"size":                 data(from + "\r\n" + strings.Repeat(strings.Repeat("a", 98)+"\r\n", 1001)),
		"recipients": {"MAIL FROM:<x@far.example>", "250", "RCPT TO:<chi@hanoi.example>", "250", "RCPT TO:<an@noivu.example>", "250",
			"RCPT TO:<van.an@noivu.example>", "250", "RCPT TO:<chi@hanoi.example>", "452 4.5.3"},
		"loop":      data(strings.Repeat("Received: by x; Mon, 02 Nov 2026 08:00:00 +0000\r\n", 51) + from + "\r\nBody"),
		"bare LF":   data(from + "\r\nBody\nMore"),
		"bare CR":   data(from + "\r\nBody\rMore"),
		"smuggling": data(from + "\r\nBody\n.\nMAIL FROM:<admin@hanoi.example>\nMore"),
		"two From":  data(from + "From: admin@hanoi.example\r\n\r\nBody"),
		"empty":     {"MAIL FROM:<x@far.example>", "250", "RCPT TO:<chi@hanoi.example>", "250", "DATA", "354", ".", "554 5.6.0"},
	} {
		t.Run(name, func(t *testing.T) {
			want := map[string]string{"size": "552 5.3.4", "loop": "554 5.4.6", "bare LF": "550 5.6.0", "bare CR": "550 5.6.0", "smuggling": "550 5.6.0", "two From": "550 5.6.0"}[name]
			if want != "" {
				pairs[len(pairs)-1] = want
			}
			c := s.dial(t)
			c.Want(pairs...)
			c.Want("NOOP", "250") // it is still in step
		})
	}
	if got := s.chi(t); len(got) != 0 {
		t.Fatalf("chi got %q", got)
	}
}

// The end of these messages cannot be trusted to be found: the connection ends.
func TestHangsUp(t *testing.T) {
	s := start(t, sqldbtest.Open(t, sqldbtest.SQLite(t)))
	for name, c := range map[string]struct{ content, want string }{
		"long line":     {"From: x@far.example\r\n\r\n" + strings.Repeat("a", 4001) + "\r\n.\r\n", "554 5.6.0"},
		"CR CR LF":      {"From: x@far.example\r\n\r\nBody\r\r\n.\r\n", "550 5.6.0"},
		"CR CR LF more": {"From: x@far.example\r\n\r\nBody\r\r\n.\r\nMAIL FROM:<admin@hanoi.example>\r\nRCPT TO:<chi@hanoi.example>\r\nDATA\r\nFrom: admin@hanoi.example\r\n\r\nHi\r\n.\r\n", "550 5.6.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := s.dial(t)
			l.Want("MAIL FROM:<x@far.example>", "250", "RCPT TO:<chi@hanoi.example>", "250", "DATA", "354")
			l.Send(c.content)
			if got := l.Closed(); !strings.HasPrefix(got, c.want) || strings.Contains(got, "\n2") {
				t.Fatalf("answered %q, want %s and no more", got, c.want)
			}
		})
	}
	t.Cleanup(func() {
		if got := s.chi(t); len(got) != 0 {
			t.Errorf("chi got %q", got)
		}
	})
}

func TestChunks(t *testing.T) {
	s := start(t, sqldbtest.Open(t, sqldbtest.SQLite(t)))
	c := s.dial(t)
	first, last := "From: x@far.example\r\n\r\n", ".\r\nnot the end\r\n"
	c.Want("MAIL FROM:<x@far.example>", "250", "RCPT TO:<chi@hanoi.example>", "250")
	c.Send(fmt.Sprintf("BDAT %d\r\n%s", len(first), first))
	if r := c.Reply(); !strings.HasPrefix(r, "250") {
		t.Fatal(r)
	}
	c.Send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(last), last))
	if r := c.Reply(); !strings.HasPrefix(r, "250") {
		t.Fatal(r)
	}
	if got := s.chi(t); len(got) != 1 || !strings.HasSuffix(got[0], "\r\n\r\n.\r\nnot the end\r\n") {
		t.Fatalf("chi has %q", got)
	}
	long := "From: x@far.example\r\n\r\n" + strings.Repeat("a", 4001) + "\r\n"
	c.Want("MAIL FROM:<x@far.example>", "250", "RCPT TO:<chi@hanoi.example>", "250")
	c.Send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(long), long))
	if r := c.Reply(); !strings.HasPrefix(r, "5") {
		t.Fatalf("a long line in a chunk was answered %q", r)
	}
	c.Closed() // where the next command begins cannot be known
	c = s.dial(t)
	c.Want("MAIL FROM:<x@far.example>", "250", "RCPT TO:<chi@hanoi.example>", "250")
	c.Send("BDAT 20\r\nFrom: x@far.example\n") // and gone
}

func TestTryingNamesEndsTheConnection(t *testing.T) {
	s := start(t, sqldbtest.Open(t, sqldbtest.SQLite(t)), func(c *smtpd.Config) { c.MaxUnknown = 2 })
	c := s.dial(t)
	c.Want("MAIL FROM:<x@far.example>", "250", "RCPT TO:<a@hanoi.example>", "550", "RCPT TO:<b@hanoi.example>", "550")
	c.Send("RCPT TO:<chi@hanoi.example>\r\n")
	if got := c.Closed(); strings.Contains(got, "250") {
		t.Fatalf("answered %q", got)
	}
}

func TestConnectionsOfOneAddressAreLimited(t *testing.T) {
	s := start(t, sqldbtest.Open(t, sqldbtest.SQLite(t)), func(c *smtpd.Config) { c.MaxConns = netlimit.Config{PerAddress: 2} })
	a, _ := s.dial(t), s.dial(t)
	if got := mailpeer.Dial(t, s.address).Closed(); got != "" {
		t.Fatalf("the third connection was greeted: %q", got)
	}
	a.Want("QUIT", "221")
	a.Closed()
	s.dial(t)
}

// A command that follows STARTTLS in the same packet is not carried out.
func TestNothingIsInjectedBeforeTLS(t *testing.T) {
	s := start(t, sqldbtest.Open(t, sqldbtest.SQLite(t)))
	c := s.dial(t)
	c.Send("STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@far.example>\r\n")
	if r := c.Reply(); !strings.HasPrefix(r, "220") {
		t.Fatal(r)
	}
	c.TLS()
	// Each is answered for itself: nothing of before is in the queue.
	c.Want("RCPT TO:<chi@hanoi.example>", "502", "NOOP", "250 2.0.0 I have", "EHLO far.example", "250-Hello far.example")
}

// A stop waits for the message that is being taken, and for no more than grace.
func TestStopLetsAMessageEnd(t *testing.T) {
	s := start(t, sqldbtest.Open(t, sqldbtest.SQLite(t)))
	idle, busy := s.dial(t), s.dial(t)
	busy.Want("MAIL FROM:<x@far.example>", "250", "RCPT TO:<chi@hanoi.example>", "250", "DATA", "354")
	busy.Send("From: x@far.example\r\n\r\n")
	stopped := make(chan struct{})
	go func() { defer close(stopped); s.stop() }()
	busy.Send("Body\r\n.\r\n")
	if r := busy.Reply(); !strings.HasPrefix(r, "250 2.0.0") {
		t.Fatal(r)
	}
	idle.Closed()
	<-stopped
	if got := s.chi(t); len(got) != 1 {
		t.Fatalf("chi has %q", got)
	}
}

// FuzzConversation sends anything in each state of a conversation: the server
// answers or ends the connection, delivers nothing that it did not say, and
// lives on.
func FuzzConversation(f *testing.F) {
	states := [][]string{
		{},
		{"EHLO far.example", "250"},
		{"EHLO far.example", "250", "MAIL FROM:<x@far.example>", "250"},
		{"EHLO far.example", "250", "MAIL FROM:<x@far.example>", "250", "RCPT TO:<chi@hanoi.example>", "250"},
		{"EHLO far.example", "250", "MAIL FROM:<x@far.example>", "250", "RCPT TO:<chi@hanoi.example>", "250", "DATA", "354"},
	}
	for i := range states {
		for _, s := range []string{
			"", "\r\n", "EHLO", "MAIL FROM:", "MAIL FROM:<\"\r\n", "RCPT TO:<@,@:a@b>\r\n", "DATA\r\n", "BDAT 5 LAST\r\nFrom:", "BDAT -1\r\n", "BDAT 4294967296\r\n",
			"AUTH PLAIN\r\n", "STARTTLS x\r\n", "\x16\x03\x01\x02\x00", "MAIL FROM:<x@y> SIZE=99999999999999999999\r\n", "RSET\r\nDATA\r\n", message,
			"QUIT\r\nMAIL FROM:<x@y>\r\n", strings.Repeat("a", 5000) + "\r\n", "From: a\r\n\r\n\r\r\n.\r\n", ".\r\n", "VRFY chi\r\nEXPN all\r\nHELP\r\n",
		} {
			f.Add(uint8(i), []byte(s))
		}
	}
	s := start(f, sqldbtest.Open(f, sqldbtest.SQLite(f)), func(c *smtpd.Config) { c.Log = mailtest.Quiet() })
	f.Fuzz(func(t *testing.T, state uint8, sent []byte) {
		c := mailpeer.Dial(t, s.address)
		if r := c.Reply(); !strings.HasPrefix(r, "220 ") {
			t.Fatalf("greeting %q", r)
		}
		c.Want(states[int(state)%len(states)]...)
		before := len(s.chi(t))
		c.TrySend(string(sent))
		c.CloseWrite()
		answers := strings.Split(c.Closed(), "\r\n")
		// Go's own words for a delivered message.
		said := slices.ContainsFunc(answers, func(l string) bool { return strings.HasPrefix(l, "250 2.0.0") })
		if after := len(s.chi(t)); after > before && !said {
			t.Fatalf("%d messages came with %q, which was answered %q", after-before, sent, answers)
		}
		s.dial(t).Want("NOOP", "250")
	})
}
