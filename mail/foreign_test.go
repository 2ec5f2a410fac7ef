package mail_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"commsd/app/apptest"
	"commsd/identity"
	"commsd/internal/blob"
	"commsd/internal/bus"
	"commsd/internal/sqldb/sqldbtest"
	"commsd/mail"
	"commsd/mail/mailtest"
)

// maildir is a folder that mbsync keeps the same as a person's mailboxes.
type maildir struct {
	t   *testing.T
	dir string
}

// newMaildir configures mbsync over implicit TLS, with the certificate checked.
func newMaildir(t *testing.T, imaps net.Addr, login string) maildir {
	t.Helper()
	dir := t.TempDir()
	c, err := tls.Dial("tcp", imaps.String(), &tls.Config{InsecureSkipVerify: true}) // it is fetched to be trusted
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.ConnectionState().PeerCertificates[0].Raw})
	c.Close()
	host, port, err := net.SplitHostPort(imaps.String())
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`IMAPAccount a
Host %s
Port %s
User %s
Pass %s
SSLType IMAPS
CertificateFile %s/cert.pem
AuthMechs PLAIN
Timeout 30

IMAPStore far
Account a

MaildirStore near
Path %s/mail/
Inbox %s/mail/INBOX
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
`, host, port, login, password, dir, dir, dir)
	for name, text := range map[string][]byte{"cert.pem": cert, "rc": []byte(config)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "mail"), 0o700); err != nil {
		t.Fatal(err)
	}
	return maildir{t, dir}
}

func (m maildir) sync() {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "mbsync", "-c", filepath.Join(m.dir, "rc"), "-a").CombinedOutput(); err != nil {
		m.t.Fatalf("mbsync: %v\n%s", err, out)
	}
}

// files lists the messages of a mailbox.
func (m maildir) files(box string) []string {
	m.t.Helper()
	var out []string
	for _, sub := range []string{"cur", "new"} {
		list, err := filepath.Glob(filepath.Join(m.dir, "mail", box, sub, "*"))
		if err != nil {
			m.t.Fatal(err)
		}
		out = append(out, list...)
	}
	return out
}

// mark gives a message of the mailbox Maildir flags.
func (m maildir) mark(file, flags string) {
	m.t.Helper()
	base, _, _ := strings.Cut(filepath.Base(file), ":2,")
	if err := os.Rename(file, filepath.Join(filepath.Dir(filepath.Dir(file)), "cur", base+":2,"+flags)); err != nil {
		m.t.Fatal(err)
	}
}

func TestTwoOfficialsWriteWithForeignClients(t *testing.T) {
	n := apptest.Start(t)
	const an, chi = "an@noivu.g2g.example", "chi@hanoi.g2g.example"
	imaps := "imaps://" + n.Addr("mail.imaps_listen").String()
	file := filepath.Join(t.TempDir(), "phụ lục.txt")
	if err := os.WriteFile(file, []byte(strings.Repeat("Điều 1. Phạm vi\n", 5000)), 0o600); err != nil {
		t.Fatal(err)
	}
	swaks(t, true, n.Addr("mail.submission_listen"), append(auth(an), "--tls", "--from", an, "--to", chi+","+"ngoai@far.example",
		"--header", "Subject: =?utf-8?B?Q8O0bmcgdsSDbg==?=", "--header", "To: "+chi, "--header", "Bcc: ngoai@far.example", "--header", "Message-Id: <goc@noivu>", "--attach", "@"+file)...)

	// chi reads it with mbsync, marks it, writes into a folder of hers, throws away.
	box := newMaildir(t, n.Addr("mail.imaps_listen"), chi)
	box.sync()
	inbox := box.files("INBOX")
	if len(inbox) != 1 {
		t.Fatalf("mbsync brought %v", inbox)
	}
	got, err := os.ReadFile(inbox[0])
	if err != nil {
		t.Fatal(err)
	}
	want(t, string(got), "Subject: =?utf-8?B?Q8O0bmcgdsSDbg==?=", "Message-Id: <goc@noivu>", "Delivered-To: "+chi)
	if strings.Contains(string(got), "far.example") {
		t.Fatal("the hidden recipient leaks")
	}
	box.mark(inbox[0], "RS")
	own := filepath.Join(box.dir, "mail", "Ho-so")
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(own, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(own, "cur", "1.1.here:2,F"), []byte("Subject: ghi nho\n\nMot dong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	box.sync()
	as := func(login string) []string { return []string{"-u", login + ":" + password} }
	want(t, curl(t, append(as(chi), imaps+"/INBOX", "-X", "FETCH 1 (FLAGS)")...), `\Seen`, `\Answered`)
	want(t, curl(t, append(as(chi), imaps+"/Ho-so;UID=1")...), "Subject: ghi nho\r\n", "Mot dong\r\n")

	// She answers with curl; an reads the answer with curl.
	reply := filepath.Join(t.TempDir(), "reply.eml")
	text := "From: " + chi + "\r\nTo: " + an + "\r\nSubject: Re: =?utf-8?B?Q8O0bmcgdsSDbg==?=\r\nIn-Reply-To: <goc@noivu>\r\n\r\nVâng ạ\r\n.\r\n..hai chấm\r\n"
	if err := os.WriteFile(reply, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	curl(t, append(as(chi), "--ssl-reqd", "smtp://"+n.Addr("mail.submission_listen").String(), "--mail-from", chi, "--mail-rcpt", an, "--upload-file", reply)...)
	curl(t, append(as(chi), "smtps://"+n.Addr("mail.submissions_listen").String(), "--mail-from", chi, "--mail-rcpt", an, "--upload-file", reply)...)
	want(t, curl(t, append(as(an), imaps+"/INBOX", "-X", "STATUS INBOX (MESSAGES UNSEEN)")...), "MESSAGES 2 UNSEEN 2")
	want(t, curl(t, append(as(an), imaps+"/INBOX;UID=1")...), "In-Reply-To: <goc@noivu>\r\n", "\r\n\r\nVâng ạ\r\n.\r\n..hai chấm\r\n")
	want(t, curl(t, append(as(an), imaps+"/INBOX?HEADER%20In-Reply-To%20goc")...), "SEARCH 1 2")

	// What one client throws away goes at the other.
	curl(t, append(as(chi), "-X", `STORE 1 +FLAGS (\Deleted)`, imaps+"/INBOX")...)
	curl(t, append(as(chi), "-X", "EXPUNGE", imaps+"/INBOX")...)
	box.mark(box.files("Ho-so")[0], "T")
	box.sync()
	if left := append(box.files("INBOX"), box.files("Ho-so")...); len(left) != 0 {
		t.Fatalf("mbsync left %v", left)
	}
	want(t, curl(t, append(as(chi), imaps+"/", "-X", "STATUS Ho-so (MESSAGES)")...), "MESSAGES 0")

	// With --demo the copy for outside is held, and shown to its sender alone.
	for login, count := range map[string]int{an: 1, chi: 0} {
		c := n.Client(t)
		call(t, c, n.URL, http.MethodPost, "/api/v1/sessions", map[string]string{"login": login, "password": password}, 201, nil)
		var held struct {
			Messages []struct {
				Subject string
				To      []string
			}
		}
		call(t, c, n.URL, http.MethodGet, "/api/v1/mail/held", nil, 200, &held)
		if len(held.Messages) != count || count == 1 && (held.Messages[0].Subject != "Công văn" || held.Messages[0].To[0] != "ngoai@far.example") {
			t.Fatalf("%s sees held %+v", login, held)
		}
	}
}

// sink is a server outside.
type sink struct {
	came chan string
}

func (s *sink) NewSession(*smtp.Conn) (smtp.Session, error) { return &sinkSession{s}, nil }

type sinkSession struct{ s *sink }

func (*sinkSession) Reset()                               {}
func (*sinkSession) Logout() error                        { return nil }
func (*sinkSession) Mail(string, *smtp.MailOptions) error { return nil }
func (*sinkSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "nobody of that name"}
	}
	return nil
}
func (x *sinkSession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err == nil {
		x.s.came <- string(b)
	}
	return err
}

// pages collects the hints to people's open pages.
type pages chan string

func (p pages) Hint(_ context.Context, to []identity.PersonID, kind string, body any) {
	p <- fmt.Sprint(to, kind, body)
}

// Mail for outside leaves by the smarthost; what that refuses comes back.
func TestMailForOutside(t *testing.T) {
	far := &sink{came: make(chan string, 10)}
	srv := smtp.NewServer(far)
	smarthost, _ := mailtest.Serve(t, func(ctx context.Context, l net.Listener) error {
		stop := context.AfterFunc(ctx, func() { _ = srv.Close() }) // Serve tells
		defer stop()
		return srv.Serve(l)
	})
	b, err := bus.Open(t.Context(), bus.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	blobs, err := blob.Open(t.Context(), blob.Config{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	listen := func() net.Listener {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	listeners := mail.Listeners{Submission: listen(), IMAPS: listen()}
	hints := make(pages, 100)
	s, err := mail.New(mail.Config{
		Domain: "mx.noivu.example", DB: sqldbtest.Open(t, sqldbtest.SQLite(t)), Bus: b, Blobs: blobs, Directory: &mailtest.Directory{}, Notifier: hints,
		TLS: mailtest.TLS(t), Listeners: listeners, Smarthost: smarthost, Log: mailtest.Log(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	an := []string{"--auth-user", mailtest.AnMail, "--auth-password", mailtest.Password, "--tls", "--from", mailtest.AnMail}
	swaks(t, true, listeners.Submission.Addr(), append(an, "--to", "x@far.example,nobody@far.example,"+mailtest.ChiMail, "--header", "Subject: ra ngoai")...)
	next := func(from <-chan string, what string) string {
		t.Helper()
		select {
		case got := <-from:
			return got
		case <-time.After(30 * time.Second):
			t.Fatalf("%s did not come", what)
			return ""
		}
	}
	want(t, next(far.came, "the mail"), "Received: from client.example ([127.0.0.1])\r\n\tby mx.noivu.example with ESMTPSA id ", "Subject: ra ngoai\r\n")
	for _, hint := range []string{"[person-chi]mail.changedmap[arrived:true]", "[person-an]mail.changedmap[arrived:true]"} {
		for next(hints, hint) != hint { // others tell of fresh mailboxes
		}
	}
	bounce := curl(t, "-u", mailtest.AnMail+":"+mailtest.Password, "imaps://"+listeners.IMAPS.Addr().String()+"/INBOX;UID=1")
	want(t, bounce, "Return-Path: <>", "Final-Recipient: rfc822; nobody@far.example\r\nAction: failed\r\nStatus: 5.1.1", "Subject: ra ngoai")
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("mail did not stop")
	}
}
