package imapd_test

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"commsd/identity"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
	"commsd/internal/testengine"
	"commsd/internal/testpeer/mailpeer"
	"commsd/mail/imapd"
	"commsd/mail/mailtest"
	"commsd/mail/store"
)

func TestMain(m *testing.M) { os.Exit(testengine.Main(m)) }

type server struct {
	*store.Store
	*imapd.Server
	directory       *mailtest.Directory
	plain, implicit string
	stop            func()
}

func start(t testing.TB, db *sqldb.DB, edit ...func(*imapd.Config)) server {
	t.Helper()
	return startOn(t, mailtest.Store(t, db), edit...)
}

func startOn(t testing.TB, st *store.Store, edit ...func(*imapd.Config)) server {
	t.Helper()
	s := server{Store: st, directory: &mailtest.Directory{}}
	cfg := imapd.Config{Authenticator: s.directory, Store: st, TLS: mailtest.TLS(t), Log: mailtest.Log(t)}
	for _, e := range edit {
		e(&cfg)
	}
	var err error
	if s.Server, err = imapd.New(cfg); err != nil {
		t.Fatal(err)
	}
	var stopPlain, stopImplicit func()
	s.plain, stopPlain = mailtest.Serve(t, func(ctx context.Context, l net.Listener) error { return s.Serve(ctx, l, false) })
	s.implicit, stopImplicit = mailtest.Serve(t, func(ctx context.Context, l net.Listener) error { return s.Serve(ctx, l, true) })
	s.stop = func() { stopPlain(); stopImplicit() }
	return s
}

func sqlite(t testing.TB, edit ...func(*imapd.Config)) server {
	t.Helper()
	return start(t, sqldbtest.Open(t, sqldbtest.SQLite(t)), edit...)
}

// chi signs in by a client library.
func (s server) chi(t testing.TB, o *imapclient.Options) *imapclient.Client {
	t.Helper()
	if o == nil {
		o = &imapclient.Options{}
	}
	o.TLSConfig = &tls.Config{InsecureSkipVerify: true} // the certificate is made for the test
	c, err := imapclient.DialTLS(s.implicit, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the server may have closed it
	ok(t, c.Login(mailtest.ChiMail, mailtest.Password).Wait())
	return c
}

// raw signs in line by line.
func (s server) raw(t testing.TB, more ...string) *mailpeer.Line {
	t.Helper()
	c := mailpeer.Dial(t, s.plain)
	c.Until("OK")
	for _, command := range append([]string{"LOGIN chi@hanoi.example right"}, more...) {
		if got := c.IMAP(command); !strings.Contains(got, "t1 OK") {
			t.Fatalf("%s was answered %q", command, got)
		}
	}
	return c
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// want fails unless got holds all parts.
func want(t testing.TB, got string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(got, p) {
			t.Fatalf("%q is missing in %q", p, got)
		}
	}
}

func (s server) put(t testing.TB, messages ...string) {
	t.Helper()
	for _, m := range messages {
		mailtest.Put(t, s.Store, mailtest.ChiActor, m)
	}
}

const letter = `From: Nguyễn Văn An <an@noivu.example>
To: chi@hanoi.example
Subject: =?utf-8?Q?C=C3=B4ng_v=C4=83n?=
Message-ID: <1@noivu.example>
Date: Mon, 02 Nov 2026 08:00:00 +0700
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=utf-8

Kính gửi chị Chi
--b
Content-Type: message/rfc822

Subject: inner

inner text
--b
Content-Type: application/pdf; name=a.pdf
Content-Disposition: attachment; filename=a.pdf
Content-Transfer-Encoding: base64

JVBERg==
--b--
`

func TestSignIn(t *testing.T) {
	s := sqlite(t, func(c *imapd.Config) { c.MaxFailures = 2 })
	c := mailpeer.Dial(t, s.plain)
	want(t, c.Until("OK"), "STARTTLS", "IMAP4rev1")
	want(t, c.IMAP("SELECT INBOX"), "t1 BAD")
	want(t, c.IMAP("STARTTLS"), "t1 OK")
	c.TLS()
	if caps := c.IMAP("CAPABILITY"); strings.Contains(caps, "STARTTLS") || strings.Contains(caps, "IDLE") {
		t.Fatalf("in TLS and before sign-in: %q", caps)
	}
	want(t, c.IMAP("LOGIN chi@hanoi.example wrong"), "t1 NO [AUTHENTICATIONFAILED]")
	want(t, c.IMAP("AUTHENTICATE PLAIN AGNoaUBoYW5vaS5leGFtcGxlAHJpZ2h0"), "t1 OK", "SPECIAL-USE", "MOVE", "IDLE", "APPENDLIMIT=52428800")
	want(t, c.IMAP("LOGIN chi@hanoi.example right"), "t1 BAD")
	want(t, c.IMAP("LOGOUT"), "* BYE", "t1 OK")

	c = mailpeer.Dial(t, s.plain)
	c.Until("OK")
	want(t, c.IMAP("LOGIN chi@hanoi.example wrong"), "t1 NO")
	want(t, c.IMAP("LOGIN nobody@hanoi.example right"), "t1 NO")
	c.Send("t1 LOGIN chi@hanoi.example right\r\n")
	if got := c.Closed(); strings.Contains(got, "t1 OK") {
		t.Fatalf("after too many failures: %q", got)
	}
	s.directory.Limit(true)
	c = mailpeer.Dial(t, s.plain)
	c.Until("OK")
	want(t, c.IMAP("LOGIN chi@hanoi.example right"), "t1 NO [LIMIT]")
}

func TestRevokeEndsTheConnections(t *testing.T) {
	s := sqlite(t)
	a, b := s.raw(t), s.raw(t, "SELECT INBOX")
	b.Send("t2 IDLE\r\n")
	b.Tagged("+")
	s.Revoke(identity.Revocation{Account: mailtest.ChiActor.Account, Session: "one of the page's"})
	s.Revoke(identity.Revocation{Account: mailtest.AnActor.Account})
	want(t, a.IMAP("NOOP"), "t1 OK")
	s.Revoke(identity.Revocation{Account: mailtest.ChiActor.Account})
	a.Closed()
	b.Closed()

	// One that was signing in meanwhile ends too.
	s.directory.Meanwhile(func() { s.Revoke(identity.Revocation{Account: mailtest.ChiActor.Account}) })
	c := mailpeer.Dial(t, s.plain)
	c.Until("OK")
	c.Send("t1 LOGIN chi@hanoi.example right\r\n")
	if got := c.Closed(); strings.Contains(got, "t1 OK") {
		t.Fatalf("answered %q", got)
	}
}

// What somebody signed in by may end without anybody's doing, by its time.
func TestWhoMayStayIsAskedAgain(t *testing.T) {
	s := sqlite(t, func(c *imapd.Config) { c.AgainEvery = time.Nanosecond })
	a, b := s.raw(t), s.raw(t, "SELECT INBOX")
	want(t, a.IMAP("NOOP"), "t1 OK")
	s.directory.End()
	a.Send("t2 LIST \"\" *\r\n")
	if got := a.Closed(); strings.Contains(got, "LIST") || !strings.Contains(got, "* BYE sign in again") {
		t.Errorf("answered %q", got)
	}
	b.Send("t2 IDLE\r\n")
	if got := b.Closed(); !strings.Contains(got, "* BYE") {
		t.Errorf("answered %q", got)
	}
}

func TestReadsTheStoredBytes(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := start(t, db)
		s.put(t, letter, strings.ReplaceAll(letter, "inner text", strings.Repeat("long inner text\n", 4000)))
		c := s.chi(t, nil)
		box, err := c.Select("INBOX", nil).Wait()
		ok(t, err)
		if box.NumMessages != 2 || box.UIDNext != 3 || !slices.Contains(box.PermanentFlags, imap.FlagWildcard) {
			t.Fatalf("selected %+v", box)
		}
		whole := &imap.FetchItemBodySection{Peek: true}
		for i, original := range mailtest.Messages(t, s.Store, mailtest.Mailbox(t, s.Store, mailtest.ChiActor, store.RoleInbox)) {
			got, err := c.Fetch(imap.SeqSetNum(uint32(i+1)), &imap.FetchOptions{
				UID: true, Flags: true, Envelope: true, RFC822Size: true, BodyStructure: &imap.FetchItemBodyStructure{Extended: true}, BodySection: []*imap.FetchItemBodySection{whole},
			}).Collect()
			ok(t, err)
			m := got[0]
			if string(m.FindBodySection(whole)) != original || m.RFC822Size != int64(len(original)) || m.Envelope.Subject != "Công văn" || m.Envelope.From[0].Name != "Nguyễn Văn An" || len(m.Flags) != 0 {
				t.Fatalf("fetched %+v", m)
			}
			multi, is := m.BodyStructure.(*imap.BodyStructureMultiPart)
			if !is || len(multi.Children) != 3 || multi.Children[1].(*imap.BodyStructureSinglePart).MessageRFC822.Envelope.Subject != "inner" {
				t.Fatalf("structure %#v", m.BodyStructure)
			}
		}
		raw := s.raw(t, "SELECT INBOX")
		for item, answer := range map[string]string{
			"BODY.PEEK[1]":        "BODY[1] {21}\r\nKính gửi chị Chi",
			"BODY.PEEK[1.MIME]":   "Content-Type: text/plain; charset=utf-8\r\n\r\n",
			"BODY.PEEK[2.HEADER]": "{18}\r\nSubject: inner\r\n\r\n",
			"BODY.PEEK[2.TEXT]":   "{10}\r\ninner text",
			"BODY.PEEK[2.1]":      "{10}\r\ninner text",
			"BODY.PEEK[3]":        "JVBERg==",
			"BODY.PEEK[9]":        "BODY[9] {0}\r\n",
			"BODY.PEEK[HEADER.FIELDS (Subject X-None)]":                            "Subject: =?utf-8?Q?C=C3=B4ng_v=C4=83n?=\r\n\r\n",
			"BODY.PEEK[HEADER.FIELDS.NOT (From To Received Subject Delivered-To)]": "Message-ID: <1@noivu.example>",
			"BODY.PEEK[1]<3.5>":   "BODY[1]<3> {5}\r\n",
			"BODY.PEEK[1]<100.5>": "BODY[1]<100> {0}\r\n",
			"RFC822.HEADER":       "RFC822.HEADER {",
			"FAST":                "INTERNALDATE",
		} {
			want(t, raw.IMAP("FETCH 1 "+item), answer, "t1 OK")
		}
		want(t, raw.IMAP("STATUS INBOX (UNSEEN)"), "UNSEEN 2") // peeking changed nothing
		want(t, raw.IMAP("FETCH 1 BODY[1]"), `FLAGS (\Seen)`)
		want(t, raw.IMAP("STATUS INBOX (UNSEEN MESSAGES UIDNEXT SIZE)"), "UNSEEN 1", "MESSAGES 2", "UIDNEXT 3")
	})
}

// Messages that go between the reading of their rows and of themselves are left
// out, also where none remains. No client can hit that moment at will, so the
// database is brought into the state which it would find.
func TestFetchOfWhatHasGone(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.SQLite(t))
	s := start(t, db)
	s.put(t, letter, letter)
	mailtest.Put(t, s.Store, mailtest.AnActor, letter)
	c := s.raw(t, "SELECT INBOX")
	ok(t, db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE mail_message SET store_id = (SELECT id FROM mail_store WHERE owner = $1)`, string(mailtest.An))
		return err
	}))
	for _, items := range []string{"ENVELOPE", "BODYSTRUCTURE", "BODY.PEEK[]"} {
		if got := c.IMAP("FETCH 1:* (UID " + items + ")"); !strings.Contains(got, "t1 OK") || strings.Contains(got, "FETCH (") {
			t.Fatalf("%s: %q", items, got)
		}
	}
	want(t, c.IMAP("FETCH 1 (UID)"), "* 1 FETCH (UID 1)") // which needs no more than the row
}

func TestMailboxes(t *testing.T) {
	s := sqlite(t)
	c := s.raw(t)
	want(t, c.IMAP(`LIST "" *`), `(\HasNoChildren) "/" INBOX`, `\Sent`, `\Drafts`, `\Trash`, `\Junk`, `\Archive`)
	want(t, c.IMAP(`LIST "" ""`), `(\Noselect) "/" ""`)
	want(t, c.IMAP("CREATE &AQ4-n/2026"), "t1 OK") // "Đn/2026" in modified UTF-7
	want(t, c.IMAP("CREATE &AQ4-n/2026"), "t1 NO [ALREADYEXISTS]")
	want(t, c.IMAP("CREATE inbox"), "t1 NO [ALREADYEXISTS]")
	want(t, c.IMAP("CREATE a//b"), "t1 NO [CANNOT]")
	want(t, c.IMAP(`LIST "" "*2026" RETURN (STATUS (MESSAGES))`), `"&AQ4-n/2026"`, "(MESSAGES 0)")
	if got := c.IMAP("LIST \"\" %"); strings.Contains(got, "2026") {
		t.Fatalf("%% went a level down: %q", got)
	}
	want(t, c.IMAP("RENAME &AQ4-n/2026 2027"), "t1 OK")
	want(t, c.IMAP("RENAME INBOX old"), "t1 NO [NOPERM]")
	want(t, c.IMAP("DELETE Sent"), "t1 NO [NOPERM]")
	want(t, c.IMAP("UNSUBSCRIBE 2027"), "t1 OK")
	if got := c.IMAP(`LSUB "" *`); strings.Contains(got, "2027") || !strings.Contains(got, "INBOX") {
		t.Fatalf("subscribed are %q", got)
	}
	want(t, c.IMAP("DELETE 2027"), "t1 OK")
	want(t, c.IMAP("SELECT 2027"), "t1 NO [NONEXISTENT]")
	want(t, c.IMAP("NAMESPACE"), `* NAMESPACE (("" "/")) NIL NIL`)
	want(t, c.IMAP("LIST (SUBSCRIBED) \"\" ("+strings.Repeat("* ", 20)+"%) RETURN (CHILDREN)"), "t1 BAD")
	want(t, c.IMAP("CREATE a/b"), "t1 OK")
	want(t, c.IMAP("CREATE a"), "t1 OK")
	want(t, c.IMAP(`LIST "" a*`), `(\HasChildren) "/" "a"`, `(\HasNoChildren) "/" "a/b"`)
	// Patterns that take others' time by the square.
	want(t, c.IMAP(`LIST "" "`+strings.Repeat("*a", 240)+`"`), "t1 OK")
}

func TestFlagsMovesAndRemovals(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := start(t, db)
		for range 5 {
			s.put(t, letter)
		}
		c, other := s.raw(t, "SELECT INBOX"), s.raw(t, "SELECT INBOX")
		want(t, c.IMAP(`STORE 1:2 +FLAGS (\Flagged $Forwarded)`), `* 1 FETCH (FLAGS (\Flagged $Forwarded))`, "* 2 FETCH")
		if got := c.IMAP(`UID STORE 3 +FLAGS.SILENT (\Seen)`); strings.Contains(got, "FETCH") {
			t.Fatalf("not silent: %q", got)
		}
		want(t, other.IMAP("NOOP"), `* 1 FETCH (UID 1 FLAGS (\Flagged $Forwarded))`, `* 3 FETCH (UID 3 FLAGS (\Seen))`)
		want(t, c.IMAP("COPY 1 Archive"), "[COPYUID ", " 1 1]")
		want(t, c.IMAP("COPY 1 Nowhere"), "t1 NO [TRYCREATE]")
		want(t, c.IMAP("UID MOVE 2,4 Archive"), "[COPYUID ", "* 4 EXPUNGE", "* 2 EXPUNGE", "t1 OK")
		// Another client is told at a time when numbers may change, and not before.
		if got := other.IMAP("FETCH 1:5 (UID)"); strings.Contains(got, "EXPUNGE") || !strings.Contains(got, "* 5 FETCH (UID 5)") || strings.Contains(got, "UID 4)") {
			t.Fatalf("during FETCH: %q", got)
		}
		want(t, other.IMAP("NOOP"), "* 4 EXPUNGE\r\n* 2 EXPUNGE")
		want(t, other.IMAP("FETCH 1:* (UID)"), "* 3 FETCH (UID 5)")
		want(t, c.IMAP(`STORE 1:3 +FLAGS (\Deleted)`), "t1 OK")
		want(t, c.IMAP("UID EXPUNGE 3"), "* 2 EXPUNGE", "t1 OK")
		want(t, c.IMAP("CLOSE"), "t1 OK")
		want(t, c.IMAP("STATUS INBOX (MESSAGES UNSEEN)"), "MESSAGES 0 UNSEEN 0")
		want(t, c.IMAP("STATUS Archive (MESSAGES UNSEEN UIDNEXT)"), "MESSAGES 3", "UIDNEXT 4")
		want(t, other.IMAP("NOOP"), "EXPUNGE")

		s.put(t, letter)
		want(t, c.IMAP("EXAMINE INBOX"), "t1 OK [READ-ONLY]", "UIDNEXT 7")
		for _, command := range []string{`STORE 1 +FLAGS (\Seen)`, "EXPUNGE", "MOVE 1 Trash"} {
			want(t, c.IMAP(command), "t1 NO [NOPERM]")
		}
		want(t, c.IMAP("FETCH 1 BODY[]"), "BODY[]")
		want(t, other.IMAP(`STORE 1 FLAGS (\Deleted)`), "t1 OK")
		want(t, c.IMAP("CLOSE"), "t1 OK") // and removes nothing
		want(t, c.IMAP("STATUS INBOX (MESSAGES UNSEEN)"), "MESSAGES 1 UNSEEN 1")
	})
}

func TestIdleTellsOfNewMail(t *testing.T) {
	s := sqlite(t)
	exists := make(chan uint32, 10)
	c := s.chi(t, &imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(data *imapclient.UnilateralDataMailbox) {
			if data.NumMessages != nil {
				exists <- *data.NumMessages
			}
		},
	}})
	_, err := c.Select("INBOX", nil).Wait()
	ok(t, err)
	idle, err := c.Idle()
	ok(t, err)
	for n := uint32(1); n <= 2; n++ {
		s.put(t, letter)
		select {
		case got := <-exists:
			if got != n {
				t.Fatalf("told of %d messages, want %d", got, n)
			}
		case <-time.After(10 * time.Second): // well before SQL is looked at without a hint
			t.Fatal("the client was not told of new mail")
		}
	}
	ok(t, idle.Close())
	ok(t, idle.Wait())
	// What another client does, it is told of too.
	raw := s.raw(t, "SELECT INBOX")
	raw.Send("t2 IDLE\r\n")
	raw.Tagged("+")
	ok(t, c.Store(imap.SeqSetNum(1), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close())
	want(t, raw.Until("FETCH"), `\Deleted`)
	ok(t, c.Expunge().Close())
	raw.Until("* 1 EXPUNGE")
	raw.Send("DONE\r\n")
	want(t, raw.Tagged("t2"), "t2 OK")
}

func TestAppend(t *testing.T) {
	s := sqlite(t, func(c *imapd.Config) { c.MaxMessageBytes = 100_000 })
	c := s.chi(t, nil)
	at := time.Date(2026, 11, 2, 8, 0, 0, 0, time.FixedZone("", 7*3600))
	text := mailtest.CRLF(letter)
	w := c.Append("Sent", int64(len(text)), &imap.AppendOptions{Flags: []imap.Flag{imap.FlagSeen, "$MDNSent"}, Time: at})
	_, err := w.Write([]byte(text))
	ok(t, err)
	ok(t, w.Close())
	data, err := w.Wait()
	ok(t, err)
	raw := s.raw(t, "SELECT Sent")
	got := raw.IMAP("FETCH 1 (UID FLAGS INTERNALDATE BODY.PEEK[])")
	want(t, got, "UID 1", `FLAGS (\Seen $MDNSent)`, " 2-Nov-2026 01:00:00 +0000", text)
	if data.UID != 1 || data.UIDValidity == 0 {
		t.Fatalf("APPENDUID %+v", data)
	}
	raw.Send("t1 APPEND Nowhere {3}\r\n")
	raw.Tagged("+")
	raw.Send("a:b\r\n")
	want(t, raw.Tagged("t1"), "t1 NO [TRYCREATE]")
	raw.Send("t1 APPEND Sent {100001}\r\n")
	want(t, raw.Tagged("t1"), "t1 NO [TOOBIG]")
	want(t, raw.IMAP("NOOP"), "t1 OK") // it was asked, and did not send
	raw.Send("t1 APPEND Sent {1000}\r\n")
	raw.Tagged("+")
	raw.Send("cut short") // and gone
	raw.Close()
	want(t, s.raw(t).IMAP("STATUS Sent (MESSAGES)"), "MESSAGES 1")
}

// A client that stops in the middle of its message is not waited for.
func TestAppendOfWhoPauses(t *testing.T) {
	s := sqlite(t, func(c *imapd.Config) { c.AppendPause = 100 * time.Millisecond })
	c := s.raw(t)
	c.Send("t2 APPEND INBOX {100}\r\n")
	c.Tagged("+")
	c.Send("Subject: x\r\n")
	if got := c.Closed(); strings.Contains(got, "t2 OK") {
		t.Fatalf("answered %q", got)
	}
	want(t, s.raw(t, "SELECT INBOX").IMAP("STATUS INBOX (MESSAGES)"), "MESSAGES 0")
}

func TestSearch(t *testing.T) {
	s := sqlite(t)
	s.put(t, letter, "From: x@far.example\nSubject: other\nDate: Tue, 03 Nov 2026 01:00:00 +0700\n\nđường dây nóng\n", "Subject: third\n\n"+strings.Repeat("x", 900)+"\n")
	c := s.raw(t, "SELECT INBOX", `STORE 2 FLAGS (\Flagged kw)`)
	for query, answer := range map[string]string{
		"ALL": "1 2 3", "FLAGGED": "2", "UNFLAGGED": "1 3", "KEYWORD kw": "2", "UNSEEN": "1 2 3", "2:3": "2 3", "UID 1,3:*": "1 3", "NOT 1": "2 3", "*": "3",
		`SUBJECT "cong van"`: "1", "FROM far.example": "2", `TEXT "duong day"`: "2", "BODY inner": "1", "OR SUBJECT other SUBJECT third": "2 3",
		"SENTON 3-Nov-2026": "2", "SENTBEFORE 3-Nov-2026": "1", "LARGER 900": "3", "SMALLER 600 FLAGGED": "2", "HEADER Message-ID 1@noivu": "1",
		"CHARSET UTF-8 (OR (SUBJECT other) (SUBJECT nothing)) FLAGGED": "2",
	} {
		want(t, c.IMAP("SEARCH "+query), "* SEARCH "+answer+"\r\n")
	}
	want(t, c.IMAP("SEARCH CHARSET TCVN3 ALL"), "t1 NO [BADCHARSET")
	want(t, c.IMAP("UID SEARCH RETURN (MIN MAX COUNT) ALL"), "MIN 1 MAX 3 COUNT 3")
	want(t, c.IMAP("SEARCH "+strings.Repeat("NOT ", 100)+"ALL"), "t1 BAD")
	want(t, c.IMAP("SEARCH "+strings.Repeat("NOT TEXT aaab ", 50)+"ALL"), "* SEARCH 1 2 3\r\n")
	want(t, c.IMAP("SEARCH OR "+strings.Repeat("NOT TEXT aaab ", 2)+strings.Repeat("NOT TEXT aaab ", 49)+"ALL"), "t1 BAD")
	if got := c.IMAP("SEARCH SUBJECT nowhere"); strings.Contains(got, "SEARCH 1") {
		t.Fatalf("found %q", got)
	}
}

func TestStopEndsIdleConnections(t *testing.T) {
	s := sqlite(t)
	c := s.raw(t, "SELECT INBOX")
	c.Send("t2 IDLE\r\n")
	c.Tagged("+")
	silent := mailpeer.Dial(t, s.implicit) // does not even begin with TLS
	s.stop()
	c.Closed()
	silent.Closed()
}

// How much one SEARCH and one LIST may ask for is configuration.
func TestBoundsOfSearchAndList(t *testing.T) {
	c := sqlite(t, func(c *imapd.Config) { c.MaxSearchWords, c.MaxListPatterns = 2, 3 }).raw(t, "SELECT INBOX")
	for command, answer := range map[string]string{
		"SEARCH TEXT a BODY b":                  "t1 OK",
		"SEARCH TEXT a BODY b SUBJECT c TEXT d": "t1 BAD",
		`LIST "" (a b c) RETURN (CHILDREN)`:     "t1 OK",
		`LIST "" (a b c d) RETURN (CHILDREN)`:   "t1 BAD",
	} {
		if got := c.IMAP(command); !strings.Contains(got, answer) {
			t.Errorf("%s: %q, want %q", command, got, answer)
		}
	}
}
