package mail_test

import (
	"bytes"
	"context"
	"encoding/json"
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

	"commsd/app/apptest"
	"commsd/internal/testengine"
)

func TestMain(m *testing.M) { os.Exit(testengine.Main(m)) }

const password = "commsd-demo-only"

// swaks sends a message with the foreign client and returns what it printed.
func swaks(t *testing.T, ok bool, addr net.Addr, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "swaks", append([]string{"--server", addr.String(), "--helo", "client.example"}, args...)...).CombinedOutput()
	if (err == nil) != ok {
		t.Fatalf("swaks %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func curl(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "curl", append([]string{"-sS", "-k", "--max-time", "30"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("curl %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func want(t *testing.T, got string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(got, p) {
			t.Fatalf("%q is missing in:\n%s", p, got)
		}
	}
}

func auth(login string) []string {
	return []string{"--auth-user", login, "--auth-password", password}
}

func TestMailFlowsBetweenForeignClients(t *testing.T) {
	n := apptest.Start(t)
	submit, implicit, outside := n.Addr("mail.submission_listen"), n.Addr("mail.submissions_listen"), n.Addr("mail.smtp_listen")
	const an, chi = "an@noivu.g2g.example", "chi@hanoi.g2g.example"

	swaks(t, true, submit, append(auth(an), "--tls", "--auth", "PLAIN", "--from", an, "--to", chi, "--header", "Subject: starttls")...)
	swaks(t, true, implicit, append(auth(an), "--tlsc", "--auth", "LOGIN", "--from", an, "--to", chi, "--header", "Subject: implicit")...)
	swaks(t, true, outside, "--from", "x@far.example", "--to", chi, "--header", "Subject: from outside")

	// What must be refused, and how.
	want(t, swaks(t, false, submit, "--from", an, "--to", chi), "530 5.7.0")
	want(t, swaks(t, false, submit, append(auth(an), "--from", an, "--to", chi)...), "did not advertise authentication")
	want(t, swaks(t, false, submit, append(auth(an), "--tls", "--from", chi, "--to", chi)...), "550 5.7.1")
	want(t, swaks(t, false, submit, append(auth(an), "--tls", "--from", an, "--to", chi, "--header", "From: "+chi)...), "550 5.7.1")
	want(t, swaks(t, false, submit, append(auth(an), "--tls", "--from", an, "--to", chi, "--add-header", "From: "+an)...), "550 5.6.0")
	want(t, swaks(t, false, outside, "--from", "x@far.example", "--to", "y@elsewhere.example"), "550 5.7.1")
	want(t, swaks(t, false, outside, "--from", "x@far.example", "--to", "nobody@hanoi.g2g.example"), "550 5.1.1")
	want(t, swaks(t, false, submit, "--tls", "--auth-user", an, "--auth-password", "wrong", "--auth", "PLAIN", "--from", an, "--to", chi), "535 5.7.8")

	imaps := "imaps://" + n.Addr("mail.imaps_listen").String()
	as := []string{"-u", chi + ":" + password}
	want(t, curl(t, append(as, imaps+"/INBOX", "-X", "STATUS INBOX (MESSAGES UNSEEN)")...), "MESSAGES 3", "UNSEEN 3")
	want(t, curl(t, append(as, imaps+"/INBOX;UID=1")...), "Subject: starttls", "with ESMTPSA", "Delivered-To: "+chi, "Message-I")
	want(t, curl(t, append(as, imaps+"/INBOX?SUBJECT%20outside")...), "SEARCH 3")
	want(t, curl(t, append(as, imaps+"/", "-X", `LIST "" "*"`)...), `\Sent`, `\Drafts`, `\Trash`, `\Junk`, `\Archive`)
	want(t, curl(t, append(as, imaps+"/INBOX", "-X", "FETCH 1:3 (FLAGS BODYSTRUCTURE ENVELOPE)")...), `"text" "plain"`, `\Seen`)

	dir := t.TempDir()
	host, port, err := net.SplitHostPort(n.Addr("mail.imap_listen").String())
	if err != nil {
		t.Fatal(err)
	}
	rc := filepath.Join(dir, "mbsyncrc")
	config := fmt.Sprintf("IMAPAccount a\nHost %s\nPort %s\nUser %s\nPass %s\nSSLType None\nAuthMechs LOGIN\nTimeout 30\n\nIMAPStore far\nAccount a\n\nMaildirStore near\nPath %s/mail/\nInbox %s/mail/INBOX\nSubFolders Verbatim\n\nChannel c\nFar :far:\nNear :near:\nPatterns *\nCreate Near\nSyncState *\n", host, port, chi, password, dir, dir)
	if err := os.WriteFile(rc, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "mail"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "mbsync", "-c", rc, "-a").CombinedOutput(); err != nil {
		t.Fatalf("mbsync: %v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "mail", "INBOX", "*", "*"))
	if err != nil || len(files) != 3 {
		t.Fatalf("mbsync brought %v, %v", files, err)
	}
}

func TestTheWebClientReadsSendsAndHolds(t *testing.T) {
	n := apptest.Start(t)
	an, chi := n.Client(t), n.Client(t)
	call(t, an, n.URL, http.MethodPost, "/api/v1/sessions", map[string]string{"login": "an@noivu.g2g.example", "password": password}, 201, nil)
	call(t, chi, n.URL, http.MethodPost, "/api/v1/sessions", map[string]string{"login": "chi@hanoi.g2g.example", "password": password}, 201, nil)

	big := bytes.Repeat([]byte("0123456789"), 10_000) // over what is kept in SQL
	call(t, an, n.URL, http.MethodPost, "/api/v1/mail/send", map[string]any{
		"to": []string{"chi@hanoi.g2g.example", "someone@far.example"}, "subject": "Công văn số 1", "text": "Chào chị",
		"files": []map[string]any{{"name": "phụ lục.txt", "content": big}},
	}, 201, nil)

	var boxes struct{ Mailboxes []struct{ ID, Role string } }
	call(t, chi, n.URL, http.MethodGet, "/api/v1/mail/mailboxes", nil, 200, &boxes)
	var list struct {
		Messages []struct{ ID, Subject, Preview string }
	}
	call(t, chi, n.URL, http.MethodGet, "/api/v1/mail/mailboxes/"+boxes.Mailboxes[0].ID+"/messages?q=cong+van", nil, 200, &list)
	if len(list.Messages) != 1 || list.Messages[0].Subject != "Công văn số 1" || list.Messages[0].Preview != "Chào chị" {
		t.Fatalf("inbox %+v", list)
	}
	var message struct {
		Text            string
		AttachmentParts []struct{ Name, URL string } `json:"attachment_parts"`
	}
	at := "/api/v1/mail/messages/" + list.Messages[0].ID
	call(t, chi, n.URL, http.MethodGet, at, nil, 200, &message)
	if strings.TrimSpace(message.Text) != "Chào chị" || len(message.AttachmentParts) != 1 || message.AttachmentParts[0].Name != "phụ lục.txt" {
		t.Fatalf("message %+v", message)
	}
	res, err := chi.Get(n.URL + message.AttachmentParts[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil || !bytes.Equal(content, big) || !strings.HasPrefix(res.Header.Get("Content-Disposition"), "attachment") || res.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Fatalf("attachment of %d bytes, %v, %v", len(content), res.Header, err)
	}

	// Another person's mail is not there.
	call(t, an, n.URL, http.MethodGet, at, nil, 404, nil)
	call(t, an, n.URL, http.MethodGet, at+"/raw", nil, 404, nil)
	call(t, an, n.URL, http.MethodGet, "/api/v1/mail/mailboxes/"+boxes.Mailboxes[0].ID+"/messages", nil, 404, nil)

	var held struct{ Messages []struct{ To []string } }
	call(t, an, n.URL, http.MethodGet, "/api/v1/mail/held", nil, 200, &held)
	if len(held.Messages) != 1 || held.Messages[0].To[0] != "someone@far.example" {
		t.Fatalf("held %+v", held)
	}
	var count struct{ Unread int }
	call(t, chi, n.URL, http.MethodGet, "/api/v1/mail/summary", nil, 200, &count)
	if count.Unread != 1 {
		t.Fatalf("unread %d", count.Unread)
	}
	call(t, chi, n.URL, http.MethodPost, "/api/v1/mail/messages/changes", map[string]any{"ids": []string{list.Messages[0].ID}, "seen": true, "delete": true}, 204, nil)
	call(t, chi, n.URL, http.MethodGet, "/api/v1/mail/mailboxes/"+boxes.Mailboxes[0].ID+"/messages", nil, 200, &list)
	if len(list.Messages) != 0 {
		t.Fatalf("still there: %+v", list)
	}
}

func call(t *testing.T, c *http.Client, base, method, path string, in any, status int, out any) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if in == nil {
		body = nil
	}
	req, err := http.NewRequestWithContext(context.Background(), method, base+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != status {
		t.Fatalf("%s %s: %d, want %d: %s", method, path, res.StatusCode, status, answer)
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			t.Fatalf("%s: %v in %s", path, err, answer)
		}
	}
}
