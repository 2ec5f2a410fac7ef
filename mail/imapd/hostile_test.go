package imapd_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"commsd/internal/sqldb/sqldbtest"
	"commsd/internal/testpeer/mailpeer"
	"commsd/mail/imapd"
	"commsd/mail/mailtest"
	"commsd/mail/store"
)

// hostile mails: what broke other servers, go-imap's own helpers among them.
var hostile = map[string]string{
	"multipart without children":  "Content-Type: multipart/mixed; boundary=b\n\nno part\n",
	"multipart without boundary":  "Content-Type: multipart/mixed\n\n--b\n\nx\n",
	"multipart that ends at once": "Content-Type: multipart/mixed; boundary=b\n\n--b--\n",
	"empty multipart in a part":   "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; boundary=c\n\n--b--\n",
	"message that is none":        "Content-Type: message/rfc822\n\n",
	"encoded message":             "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA0KDQo=\n",
	"message with empty parts":    "Content-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=b\n\n",
	"global message":              "Content-Type: message/global\n\nSubject: x\n\ny\n",
	"deep":                        deep(300),
	"wide":                        "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", 3000),
	"no header":                   "\nbody\n",
	"header alone":                "Subject: x",
	"bad header line":             "Subject: x\nthis is no field\nX: y\n\nbody\n",
	"controls":                    "Subject: a\x00b\x7f\x1b[31m\nFrom: \"\r\" <a\x00@b>\n\nbody\x00\n",
	"crlf in encoded words":       "Subject: =?utf-8?Q?a=0D=0At1_OK_evil?=\nFrom: =?utf-8?Q?=0D=0A*_BYE?= <x@y>\n\nbody\n",
	"crlf in parameters":          "Content-Type: text/plain; name*=utf-8''a%0d%0a*%20BYE\nContent-Disposition: attachment; filename=\"=?utf-8?Q?=0D=0A?=\"\n\nx\n",
	"quotes and backslashes":      "Subject: \\\"\\\nFrom: \"\\\"\\\\\" <\"a\\\"b\"@c>\nContent-Type: text/plain; x=\"\\\"\\\\\"\n\nx\n",
	"many addresses":              "To: " + strings.Repeat("a@b, ", 20_000) + "a@b\n\nx\n",
	"groups":                      "To: g: a@b, :;, ;;:, <>, <@>, @, \"\n\nx\n",
	"long line":                   "Subject: " + strings.Repeat("x", 300_000) + "\n\nx\n",
	"raw legacy text":             "Subject: \xa1\xa2 C\xf4ng v\xe3n\nFrom: \xff <\xff@\xff>\n\n\xff\xfe\n",
	"years":                       "Date: Mon, 02 Nov 99999 08:00:00 +9999\n\nx\n",
	"odd types":                   "Content-Type: /\nContent-Transfer-Encoding: \"\nContent-Disposition: ;\nContent-Language: ,,\nContent-ID: <\n\nx\n",
}

// deep nests multiparts n levels.
func deep(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	return b.String() + "\nx\n"
}

const everything = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[1.1.1] BODY.PEEK[HEADER.FIELDS (SUBJECT)])"

// Each hostile mail is fetched whole, its bytes as they came, and the server
// lives on.
func TestHostileMail(t *testing.T) {
	s := sqlite(t)
	for _, name := range names() {
		s.put(t, hostile[name])
	}
	stored := mailtest.Messages(t, s.Store, mailtest.Mailbox(t, s.Store, mailtest.ChiActor, store.RoleInbox))
	bystander := s.raw(t, "SELECT INBOX")
	c := s.chi(t, nil)
	_, err := c.Select("INBOX", nil).Wait()
	ok(t, err)
	whole := &imap.FetchItemBodySection{Peek: true}
	for i, name := range names() {
		t.Run(name, func(t *testing.T) {
			got, err := c.Fetch(imap.SeqSetNum(uint32(i+1)), &imap.FetchOptions{ // few
				Envelope: true, RFC822Size: true, BodyStructure: &imap.FetchItemBodyStructure{Extended: true}, BodySection: []*imap.FetchItemBodySection{whole},
			}).Collect()
			ok(t, err)
			if len(got) != 1 || string(got[0].FindBodySection(whole)) != stored[i] || got[0].BodyStructure == nil || got[0].Envelope == nil {
				t.Fatalf("fetched %.500v", got)
			}
			raw := s.raw(t, "SELECT INBOX", fmt.Sprintf("FETCH %d %s", i+1, everything), fmt.Sprintf("FETCH %d BODY", i+1))
			want(t, raw.IMAP("SEARCH TEXT x SUBJECT y BODY z"), "t1 OK")
		})
	}
	want(t, bystander.IMAP("NOOP"), "t1 OK")
}

func names() []string {
	var out []string
	for name := range hostile {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// A panic ends its connection alone. The authenticator stands for any defect.
func TestPanicEndsOneConnection(t *testing.T) {
	s := sqlite(t, func(c *imapd.Config) { c.Log = mailtest.Quiet() })
	bystander := s.raw(t, "SELECT INBOX")
	bystander.Send("t2 IDLE\r\n")
	bystander.Tagged("+")
	s.directory.Panic("chi@hanoi.example")
	c := mailpeer.Dial(t, s.plain)
	c.Until("OK")
	c.Send("t1 LOGIN chi@hanoi.example right\r\n")
	if got := c.Closed(); strings.Contains(got, "t1") {
		t.Fatalf("answered %q", got)
	}
	s.directory.Panic("")
	s.put(t, letter)
	bystander.Until("* 1 EXISTS")
	s.raw(t, "SELECT INBOX")
}

// The bytes of a literal that is refused are never taken for commands, and the
// connection stays in step.
func TestRefusedLiteralIsNoCommand(t *testing.T) {
	s := sqlite(t, func(c *imapd.Config) { c.MaxMessageBytes = 10_000 })
	c := s.raw(t, "CREATE victim")
	evil := "\r\nt3 DELETE victim\r\n"
	literal := func(n int) string { return fmt.Sprintf("{%d+}\r\n%s", n, evil+strings.Repeat("x", n-len(evil))) }
	for name, sent := range map[string]string{
		"append":      "APPEND INBOX " + literal(10_001),
		"search":      "SEARCH TEXT " + literal(5000),
		"name":        "CREATE " + literal(6000),
		"no literal":  "NOOP " + literal(100),
		"no command":  "FOO " + literal(100) + " " + literal(50),
		"wrong place": "STATUS " + literal(100) + " (MESSAGES) " + literal(5000) + " more",
		"bad charset": "SEARCH CHARSET TCVN3 TEXT " + literal(100),
		"bad flag":    "APPEND INBOX (\\) " + literal(3000),
		"twice":       "LOGIN " + literal(5000) + " " + literal(5000),
	} {
		t.Run(name, func(t *testing.T) {
			c.Send("t2 " + sent + "\r\nt4 NOOP\r\n")
			got := c.Tagged("t4")
			want(t, got, "t4 OK")
			if strings.Contains(got, "t3") || strings.Contains(got, "+ ") || strings.Count(got, "t2 ") != 1 || strings.Contains(got, "t2 OK") {
				t.Fatalf("answered %q", got)
			}
		})
	}
	want(t, c.IMAP("STATUS victim (MESSAGES)"), "t1 OK")
	// Those that are wanted are read: unasked, in pieces, and asked for.
	c.Send("t2 STATUS {6+}\r\nvic")
	c.Send("tim (MESSAGES)\r\n")
	want(t, c.Tagged("t2"), "MESSAGES 0", "t2 OK")
	c.Send("t2 APPEND {6+}\r\nvictim () " + literal(9000) + "\r\n")
	want(t, c.Tagged("t2"), "t2 OK [APPENDUID")
	c.Send("t2 APPEND victim {5000}\r\n")
	c.Tagged("+")
	c.Send(strings.Repeat("x", 5000) + "\r\n")
	want(t, c.Tagged("t2"), "t2 OK")
	c.Send("t2 CREATE {0+}\r\n\r\n")
	c.Tagged("t2")
	// One that is refused before it comes.
	c.Send("t2 FOO {7}\r\n")
	want(t, c.Tagged("t2"), "t2 BAD")
	c.Send("t2 SEARCH TEXT {5000}\r\n")
	want(t, c.Tagged("t2"), "t2 BAD")
	want(t, c.IMAP("STATUS victim (MESSAGES)"), "MESSAGES 2")
	for _, end := range []string{strings.Repeat("x", 70_000) + "\r\n", "{99999999999999999999+}\r\nt3 DELETE victim\r\n"} {
		c := s.raw(t)
		c.TrySend("t2 NOOP " + end)
		if got := c.Closed(); strings.Contains(got, "t3") {
			t.Fatalf("answered %q", got)
		}
	}
	want(t, c.IMAP("STATUS victim (MESSAGES)"), "MESSAGES 2")
}

func TestPlainGreeting(t *testing.T) {
	s := sqlite(t)
	c := mailpeer.Dial(t, s.plain)
	want(t, c.Until("OK"), "STARTTLS", "AUTH=PLAIN")
	want(t, c.IMAP(`ID ("name" "x")`), "* ID NIL", "t1 OK")
	want(t, c.IMAP("NOOP"), "t1 OK")
	c.Send("\r\n")
	want(t, c.Until("*"), "* BAD")
	c.Send("t1 LOGIN {15}\r\n")
	c.Tagged("+")
	c.Send("chi@hanoi.example {5+}\r\nright\r\n")
	if got := c.Tagged("t1"); !strings.Contains(got, "t1 ") {
		t.Fatal(got)
	}

	// What comes in plain after STARTTLS is no command within TLS.
	c = mailpeer.Dial(t, s.plain)
	c.Until("OK")
	c.TrySend("t1 STARTTLS\r\nt2 LOGIN chi@hanoi.example right\r\n")
	want(t, c.Until("t1"), "t1 OK")
	if got := c.Closed(); strings.Contains(got, "t2") {
		t.Fatalf("injected: %q", got)
	}
	c = mailpeer.Dial(t, s.plain)
	c.Until("OK")
	c.TrySend("t1 NOOP" + strings.Repeat("x", 10_000) + "\r\n")
	c.Closed()
}

// After a broken end of IDLE the next command finds the session in order.
func TestBrokenEndsOfIdle(t *testing.T) {
	s := sqlite(t)
	for range 20 {
		c := s.raw(t, "SELECT INBOX")
		c.Send("t2 IDLE\r\n")
		c.Tagged("+")
		s.put(t, letter)
		c.Send("NOT DONE\r\nt3 CLOSE\r\nt4 SELECT INBOX\r\n")
		want(t, c.Tagged("t4"), "t2 BAD", "t3 OK", "t4 OK")
		d := s.raw(t, "SELECT INBOX")
		d.Send("t2 IDLE\r\n") // and gone
		d.Close()
	}
}

// FuzzFetch stores anything as a message and fetches all there is of it.
func FuzzFetch(f *testing.F) {
	for _, m := range hostile {
		if len(m) < 5000 {
			f.Add([]byte(mailtest.CRLF(m)))
		}
	}
	s := start(f, sqldbtest.Open(f, sqldbtest.SQLite(f)))
	f.Fuzz(func(t *testing.T, message []byte) {
		if len(message) == 0 || len(message) > 100_000 {
			return
		}
		mailtest.PutRaw(t, s.Store, mailtest.ChiActor, message)
		c := s.chi(t, nil)
		box, err := c.Select("INBOX", nil).Wait()
		ok(t, err)
		whole := &imap.FetchItemBodySection{Peek: true}
		got, err := c.Fetch(imap.SeqSetNum(box.NumMessages), &imap.FetchOptions{
			Envelope: true, BodyStructure: &imap.FetchItemBodyStructure{Extended: true}, BodySection: []*imap.FetchItemBodySection{whole},
		}).Collect()
		ok(t, err)
		if len(got) != 1 || !strings.HasSuffix(string(got[0].FindBodySection(whole)), string(message)) || got[0].BodyStructure == nil {
			t.Fatalf("%q was fetched as %v", message, got)
		}
		s.raw(t, "SELECT INBOX", "FETCH * "+everything)
	})
}

// FuzzCommands sends anything in each state; the server answers or ends the
// connection, and lives on.
func FuzzCommands(f *testing.F) {
	states := [][]string{{}, {"LOGIN chi@hanoi.example right"}, {"LOGIN chi@hanoi.example right", "SELECT INBOX"}, {"LOGIN chi@hanoi.example right", "EXAMINE INBOX"}}
	for i := range states {
		for _, s := range []string{
			"", "a", "a b", "a LOGIN", "a LOGIN {3}\r\nabc", "a LOGIN {5000}\r\n", "a LOGIN \"\\", "a AUTHENTICATE PLAIN\r\n*", "a AUTHENTICATE PLAIN =\r\n", "a ID NIL", "a STARTTLS\r\nb NOOP",
			"a FETCH 1:* (BODY[1.2.3.4.HEADER.FIELDS (a b)]<0.99999999999999>)", "a FETCH 4294967295:0 ALL", "a UID FETCH * (BINARY[1])", "a STORE 1 FLAGS (\\Recent \\* a)", "a SEARCH OR",
			"a SEARCH ((((((ALL))))))", "a SEARCH RETURN (SAVE) $", "a SEARCH RETURN () UID $", "a LIST (REMOTE) \"\" (a b %) RETURN (STATUS (X))", "a APPEND INBOX (\\Seen) \"x\" {1}\r\nz", "a APPEND INBOX ~{1}\r\nz",
			"a IDLE\r\nDONE", "a IDLE\r\n", "a COPY 1 \"&&-\"", "a MOVE 1:* INBOX", "a ENABLE UTF8=ACCEPT IMAP4rev2 X", "a CREATE \"&AAA-\"", "a RENAME INBOX {1+}\r\nx", "a CLOSE\r\nb EXPUNGE", "a UNSELECT\r\nb FETCH 1 ALL",
			"a COMPRESS DEFLATE", "a UNAUTHENTICATE", "a LOGOUT\r\nb NOOP", strings.Repeat("a", 60_000),
		} {
			f.Add(uint8(i), []byte(s))
		}
	}
	s := start(f, sqldbtest.Open(f, sqldbtest.SQLite(f)), func(c *imapd.Config) { c.Log = mailtest.Quiet() })
	s.put(f, letter)
	f.Fuzz(func(t *testing.T, state uint8, sent []byte) {
		bystander := s.raw(t, "SELECT INBOX")
		c := mailpeer.Dial(t, s.plain)
		c.Until("OK")
		for _, command := range states[int(state)%len(states)] {
			want(t, c.IMAP(command), "t1 OK")
		}
		c.TrySend(string(sent) + "\r\n")
		c.CloseWrite()
		c.Closed()
		want(t, bystander.IMAP("NOOP"), "t1 OK")
	})
}
