package submission_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"commsd/identity"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
	"commsd/internal/testengine"
	"commsd/internal/testpeer/mailpeer"
	"commsd/mail/mailtest"
	"commsd/mail/mime"
	"commsd/mail/queue"
	"commsd/mail/store"
	"commsd/mail/submission"
)

func TestMain(m *testing.M) { os.Exit(testengine.Main(m)) }

// outbox is a queue that remembers what was put into it.
type outbox struct {
	mu    sync.Mutex
	items []queue.Item // guarded by mu
	fail  error        // guarded by mu
}

func (o *outbox) Enqueue(_ context.Context, tx *sqldb.Tx, it queue.Item) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return o.fail
	}
	tx.AfterCommit(func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.items = append(o.items, it)
	})
	return nil
}

func (o *outbox) taken() []queue.Item {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.items)
}

type server struct {
	*store.Store
	*submission.Server
	outbox            *outbox
	directory         *mailtest.Directory
	plain, implicit   string
	stopPlain, stopIm func()
}

func start(t testing.TB, db *sqldb.DB, edit ...func(*submission.Config)) server {
	t.Helper()
	s := server{Store: mailtest.Store(t, db), outbox: &outbox{}, directory: &mailtest.Directory{}}
	desk, err := submission.NewDesk("mx.example", s.directory, s.directory, s.Store, s.outbox, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := submission.Config{Hostname: "mx.example", Desk: desk, Authenticator: s.directory, TLS: mailtest.TLS(t), Log: mailtest.Log(t)}
	for _, e := range edit {
		e(&cfg)
	}
	if s.Server, err = submission.New(cfg); err != nil {
		t.Fatal(err)
	}
	s.plain, s.stopPlain = mailtest.Serve(t, func(ctx context.Context, l net.Listener) error { return s.Serve(ctx, l, false, 3*time.Second) })
	s.implicit, s.stopIm = mailtest.Serve(t, func(ctx context.Context, l net.Listener) error { return s.Serve(ctx, l, true, 3*time.Second) })
	return s
}

func plain(acting, login, password string) string {
	return "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte(acting+"\x00"+login+"\x00"+password))
}

// greeted connects to the listener of STARTTLS and goes over to TLS.
func (s server) greeted(t testing.TB) *mailpeer.Line {
	t.Helper()
	c := mailpeer.Dial(t, s.plain)
	c.Reply()
	c.Want("EHLO client.example", "250", "STARTTLS", "220")
	c.TLS()
	c.Want("EHLO client.example", "250")
	return c
}

// an connects and signs in.
func (s server) an(t testing.TB) *mailpeer.Line {
	t.Helper()
	c := s.greeted(t)
	c.Want(plain("", mailtest.AnMail, mailtest.Password), "235")
	return c
}

func (s server) inbox(t testing.TB, who identity.Actor) []string {
	t.Helper()
	return mailtest.Messages(t, s.Store, mailtest.Mailbox(t, s.Store, who, store.RoleInbox))
}

func TestSignIn(t *testing.T) {
	s := start(t, sqldbtest.Open(t, sqldbtest.SQLite(t)), func(c *submission.Config) { c.MaxFailures = 2 })
	send := []string{"MAIL FROM:<an@noivu.example>", "250", "RCPT TO:<chi@hanoi.example>", "250", "DATA", "354", "From: an@noivu.example\r\n\r\nBody\r\n.", "250"}

	c := mailpeer.Dial(t, s.plain)
	c.Reply()
	if offer := c.SMTP("EHLO client.example"); strings.Contains(offer, "AUTH") || !strings.Contains(offer, "STARTTLS") {
		t.Fatalf("in plain the server offers %q", offer)
	}
	c.Want(plain("", mailtest.AnMail, mailtest.Password), "523", "MAIL FROM:<an@noivu.example>", "530 5.7.0", "STARTTLS", "220")
	c.TLS()
	if offer := c.SMTP("EHLO client.example"); !strings.Contains(offer, "AUTH PLAIN LOGIN") || strings.Contains(offer, "STARTTLS") {
		t.Fatalf("in TLS the server offers %q", offer)
	}
	c.Want("MAIL FROM:<an@noivu.example>", "530 5.7.0", "RCPT TO:<chi@hanoi.example>", "502", "AUTH CRAM-MD5", "5",
		plain("chi@hanoi.example", mailtest.AnMail, mailtest.Password), "535 5.7.8", "AUTH PLAIN !!", "4",
		plain("", mailtest.AnMail, mailtest.Password), "235", plain("", mailtest.ChiMail, mailtest.Password), "503")
	c.Want(send...)
	c.Want("RSET", "250")
	c.Want(send...)

	c = mailpeer.Dial(t, s.implicit)
	c.TLS()
	c.Reply()
	word := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	c.Want("EHLO client.example", "250", "AUTH LOGIN", "334 VXNlcm5hbWU6", word(mailtest.AnMail), "334 UGFzc3dvcmQ6", "*", "501",
		"AUTH LOGIN "+word(mailtest.AnMail), "334 UGFzc3dvcmQ6", word(mailtest.Password), "235")
	c.Want(send...)
	if got := s.inbox(t, mailtest.ChiActor); len(got) != 3 || !strings.Contains(got[2], "with ESMTPSA") {
		t.Fatalf("chi has %q", got)
	}

	c = s.greeted(t)
	c.Want(plain("", mailtest.AnMail, "wrong"), "535 5.7.8", plain("", "nobody@noivu.example", mailtest.Password), "535 5.7.8")
	c.Send(plain("", mailtest.AnMail, mailtest.Password) + "\r\n")
	if got := c.Closed(); strings.Contains(got, "235") {
		t.Fatalf("after too many failures: %q", got)
	}
	s.directory.Limit(true)
	s.greeted(t).Want(plain("", mailtest.AnMail, mailtest.Password), "454 4.7.0")
}

// Nobody writes in another's name, wherever the name stands.
func TestSenderIsOnesOwn(t *testing.T) {
	s := start(t, sqldbtest.Open(t, sqldbtest.SQLite(t)))
	c := s.an(t)
	const rest = "\r\nSubject: x\r\n\r\nBody\r\n."
	for _, envelope := range []string{"chi@hanoi.example", "an@elsewhere.example", "AN@noivu.example.elsewhere.example"} {
		c.Want("MAIL FROM:<"+envelope+">", "550 5.7.1")
	}
	for header, want := range map[string]string{
		"From: an@noivu.example":                                                   "250",
		"From: AN@NoiVu.example":                                                   "250",
		"From: Văn An <van.an@noivu.example>":                                      "250",
		"From: =?utf-8?B?VsSDbiBBbg==?= <an@noivu.example>":                        "250",
		"From: =?windows-1258?Q?V=E3n_An?=\r\n <an@noivu.example>":                 "250",
		"From: \"chi@hanoi.example\" <an@noivu.example>":                           "250",
		"From: an@noivu.example, van.an@noivu.example\r\nSender: an@noivu.example": "250",
		// What stands in a comment is no address, for no reader.
		"From: an@noivu.example (<chi@hanoi.example>)":                                               "250",
		"From: <an@noivu.example> (<chi@hanoi.example>)":                                             "250",
		"From: an@noivu.example (a\\) <chi@hanoi.example>)":                                          "250",
		"From: \"<chi@hanoi.example>\" <an@noivu.example>":                                           "250",
		"From: chi@hanoi.example":                                                                    "550 5.7.1",
		"From: an@noivu.example, chi@hanoi.example":                                                  "550 5.7.1",
		"From: an@noivu.example,\r\n\tchi@hanoi.example":                                             "550 5.7.1",
		"From: <an@noivu.example> chi@hanoi.example":                                                 "550",
		"From: <chi@hanoi.example> (an@noivu.example)":                                               "550 5.7.1",
		"From: an@noivu.example <chi@hanoi.example>":                                                 "550",
		"From: an@noivu.example\r\nSender: chi@hanoi.example":                                        "550 5.7.1",
		"From: an@noivu.example\r\nFrom: chi@hanoi.example":                                          "550 5.6.0",
		"From: an@noivu.example\r\nFROM : chi@hanoi.example":                                         "550 5.6.0",
		"From: an@noivu.example\r\nSender: an@noivu.example\r\nSender: an@noivu.example":             "550 5.6.0",
		" From: chi@hanoi.example\r\nFrom: an@noivu.example":                                         "550 5.6.0",
		"X: y\r\nno field\r\nFrom: an@noivu.example":                                                 "550 5.6.0",
		"From: an@noivu.example\x00":                                                                 "550 5.6.0",
		"From: undisclosed:;":                                                                        "550 5.6.0",
		"From:":                                                                                      "550",
		"X: y":                                                                                       "550 5.6.0",
		"Received: x\r\n" + strings.Repeat("Received: by x; y\r\n", 50) + "From: an@noivu.example":   "554 5.4.6",
		"X: " + strings.Repeat(strings.Repeat("a", 3000)+"\r\n ", 90) + "\r\nFrom: an@noivu.example": "552 5.3.4",
	} {
		c.Want("MAIL FROM:<an@noivu.example>", "250", "RCPT TO:<chi@hanoi.example>", "250", "DATA", "354")
		if got := c.SMTP(header + rest); !strings.HasPrefix(got, want) {
			t.Errorf("%.120q was answered %q, want %s", header, got, want)
		}
	}
	// A bounce or a receipt has the null sender, and still its own From.
	c.Want("MAIL FROM:<>", "250", "RCPT TO:<chi@hanoi.example>", "250", "DATA", "354", "From: chi@hanoi.example"+rest, "550 5.7.1")
	for _, got := range s.inbox(t, mailtest.ChiActor) {
		from := fieldOf(got, "From")
		if strings.HasSuffix(from, "chi@hanoi.example") {
			t.Errorf("chi got mail from %q", from)
		}
		for _, a := range mime.ParseAddresses(from, 0) {
			if strings.HasPrefix(a.Addr(), "chi@") {
				t.Errorf("%q is shown as mail from %q", from, a.Addr())
			}
		}
	}
}

func fieldOf(message, name string) string {
	for line := range strings.SplitSeq(message, "\r\n") {
		if strings.HasPrefix(line, name+": ") {
			return line[len(name)+2:]
		}
	}
	return ""
}

func TestOneMessageGoesHereAndOutside(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := start(t, db)
		c := s.an(t)
		body := strings.Repeat("Một dòng của thư này dài hơn trong SQL.\r\n", 1500)
		c.Want("MAIL FROM:<AN@noivu.example>", "250", "RCPT TO:<chi@hanoi.example>", "250", "RCPT TO:<an@noivu.example>", "250", "RCPT TO:<van.an@noivu.example>", "250",
			"RCPT TO:<x@far.example>", "250", "RCPT TO:<X@far.example>", "250", "RCPT TO:<nobody@hanoi.example>", "550 5.1.1", "RCPT TO:<y@[300.1.1.1]>", "501",
			"DATA", "354", "From: an@noivu.example\r\nTo: chi@hanoi.example\r\nbcc: hidden@far.example,\r\n\tan@noivu.example\r\nResent-Bcc: z@far.example\r\nSubject: x\r\n\r\nBcc: stays\r\n"+body+".", "250 2.0.0")
		chi, an := s.inbox(t, mailtest.ChiActor), s.inbox(t, mailtest.AnActor)
		if len(chi) != 1 || len(an) != 1 {
			t.Fatalf("chi has %d messages, an %d: want one each", len(chi), len(an))
		}
		items := s.outbox.taken()
		if len(items) != 1 || !slices.Equal(items[0].To, []string{"x@far.example"}) || items[0].MailFrom != "an@noivu.example" || items[0].Sender != mailtest.An {
			t.Fatalf("the queue has %+v", items)
		}
		for _, got := range append(chi, an...) {
			if strings.Contains(got, "hidden@far.example") || strings.Contains(got, "z@far.example") || strings.Contains(got, "x@far.example") {
				t.Fatalf("a hidden recipient leaks in %.800q", got)
			}
			if !strings.HasSuffix(got, "\r\nSubject: x\r\n\r\nBcc: stays\r\n"+body) || fieldOf(got, "Date") == "" || !strings.HasSuffix(fieldOf(got, "Message-ID"), "@mx.example>") {
				t.Fatalf("the message came as %.800q", got)
			}
		}
		// All or nothing: what the queue cannot take is nobody's.
		s.outbox.mu.Lock()
		s.outbox.fail = errors.New("the disk is full")
		s.outbox.mu.Unlock()
		c.Want("MAIL FROM:<an@noivu.example>", "250", "RCPT TO:<chi@hanoi.example>", "250", "RCPT TO:<x@far.example>", "250", "DATA", "354", "From: an@noivu.example\r\n\r\nBody\r\n.", "451 4.3.0")
		if chi := s.inbox(t, mailtest.ChiActor); len(chi) != 1 {
			t.Fatalf("chi has %d messages after a failure", len(chi))
		}
	})
}

// What somebody signed in by may end without anybody's doing, by its time.
func TestWhoMaySendIsAskedForEachLetter(t *testing.T) {
	s := start(t, sqldbtest.Open(t, sqldbtest.SQLite(t)))
	c := s.an(t)
	c.Want("MAIL FROM:<"+mailtest.AnMail+">", "250", "RSET", "250")
	s.directory.End()
	if got := c.SMTP("MAIL FROM:<" + mailtest.AnMail + ">"); !strings.HasPrefix(got, "421 4.7.0 sign in again") {
		t.Errorf("answered %q", got)
	}
	c.Want("MAIL FROM:<"+mailtest.AnMail+">", "530 5.7.0")
}

func TestRevokeEndsTheConnection(t *testing.T) {
	s := start(t, sqldbtest.Open(t, sqldbtest.SQLite(t)))
	an, other := s.an(t), s.greeted(t)
	s.Revoke(identity.Revocation{Account: mailtest.AnActor.Account, Session: "one of the page's"})
	an.Want("NOOP", "250")
	s.Revoke(identity.Revocation{Account: mailtest.AnActor.Account})
	if got := an.Closed(); got != "" {
		t.Fatalf("answered %q", got)
	}
	other.Want("NOOP", "250")

	// One that was signing in meanwhile ends too.
	s.directory.Meanwhile(func() { s.Revoke(identity.Revocation{Account: mailtest.AnActor.Account}) })
	other.Send(plain("", mailtest.AnMail, mailtest.Password) + "\r\n")
	if got := other.Closed(); strings.Contains(got, "235") {
		t.Fatalf("answered %q", got)
	}
}

func TestStop(t *testing.T) {
	s := start(t, sqldbtest.Open(t, sqldbtest.SQLite(t)))
	busy := s.an(t)
	busy.Want("MAIL FROM:<an@noivu.example>", "250", "RCPT TO:<chi@hanoi.example>", "250", "DATA", "354")
	busy.Send("From: an@noivu.example\r\n\r\n")
	stopped := make(chan struct{})
	go func() { defer close(stopped); s.stopPlain() }()
	busy.Send("Body\r\n.\r\n")
	if r := busy.Reply(); !strings.HasPrefix(r, "250 2.0.0") {
		t.Fatal(r)
	}
	<-stopped
	if got := s.inbox(t, mailtest.ChiActor); len(got) != 1 {
		t.Fatalf("chi has %q", got)
	}
}

// FuzzConversation sends anything in each state: nothing is taken before
// sign-in, and the server lives on.
func FuzzConversation(f *testing.F) {
	signedIn := []string{plain("", mailtest.AnMail, mailtest.Password), "235"}
	states := [][]string{
		{},
		{"AUTH PLAIN", "334"},
		{"AUTH LOGIN", "334"},
		{"AUTH LOGIN YQ==", "334"},
		signedIn,
		append(signedIn, "MAIL FROM:<an@noivu.example>", "250", "RCPT TO:<chi@hanoi.example>", "250", "DATA", "354"),
	}
	for i := range states {
		for _, s := range []string{
			"", "\r\n", "*\r\n", "=\r\n", "AAAA\r\n", strings.Repeat("QUFB", 2000) + "\r\n", "MAIL FROM:<an@noivu.example>\r\nRCPT TO:<chi@hanoi.example>\r\nDATA\r\n",
			"From: an@noivu.example\r\n\r\nBody\r\n.\r\n", "From:\r\n.\r\n", "From: a\r\n .\r\n.\r\n", "AUTH\r\n", "AUTH PLAIN =\r\n", "STARTTLS\r\n", "BDAT 3 LAST\r\na:b",
		} {
			f.Add(uint8(i), []byte(s))
		}
	}
	s := start(f, sqldbtest.Open(f, sqldbtest.SQLite(f)), func(c *submission.Config) { c.Log = mailtest.Quiet() })
	f.Fuzz(func(t *testing.T, state uint8, sent []byte) {
		at := int(state) % len(states)
		c := s.greeted(t)
		before := len(s.inbox(t, mailtest.ChiActor))
		c.Want(states[at]...)
		c.TrySend(string(sent))
		c.CloseWrite()
		answers := c.Closed()
		after := len(s.inbox(t, mailtest.ChiActor))
		if after > before && (at < 4 || !strings.Contains(answers, "250 2.0.0")) {
			t.Fatalf("%d messages came in state %d with %q, answered %q", after-before, at, sent, answers)
		}
		s.greeted(t).Want("NOOP", "250")
	})
}
