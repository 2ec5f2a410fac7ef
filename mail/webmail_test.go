package mail_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"commsd/app/apptest"
)

// webmail is a signed-in page.
type webmail struct {
	t *testing.T
	n *apptest.Node
	c *http.Client
}

func signIn(t *testing.T, n *apptest.Node, login string) webmail {
	t.Helper()
	w := webmail{t, n, n.Client(t)}
	w.call(http.MethodPost, "/api/v1/sessions", map[string]string{"login": login, "password": password}, 201, nil)
	return w
}

func (w webmail) call(method, path string, in any, status int, out any) {
	w.t.Helper()
	call(w.t, w.c, w.n.URL, method, path, in, status, out)
}

func (w webmail) box(role string) (id string, total, unread int) {
	w.t.Helper()
	var boxes struct {
		Mailboxes []struct {
			ID, Role      string
			Total, Unread int
		}
	}
	w.call(http.MethodGet, "/api/v1/mail/mailboxes", nil, 200, &boxes)
	for _, b := range boxes.Mailboxes {
		if b.Role == role {
			return b.ID, b.Total, b.Unread
		}
	}
	w.t.Fatalf("no %s", role)
	return
}

type listed struct {
	Messages []struct {
		ID, Subject, Mailbox    string
		Seen, Flagged, Answered bool
	}
	Next string
}

func (w webmail) list(role, query string) (out listed) {
	w.t.Helper()
	id, _, _ := w.box(role)
	w.call(http.MethodGet, "/api/v1/mail/mailboxes/"+id+"/messages?"+query, nil, 200, &out)
	return out
}

func TestThePageListsMarksAndUndoes(t *testing.T) {
	n := apptest.Start(t)
	an, chi := signIn(t, n, "an@noivu.g2g.example"), signIn(t, n, "chi@hanoi.g2g.example")
	for i := range 5 {
		an.call(http.MethodPost, "/api/v1/mail/send", map[string]any{"to": []string{"chi@hanoi.g2g.example"}, "subject": fmt.Sprint("Thư ", i), "text": "x"}, 201, nil)
	}
	var subjects []string
	pages := 0
	for page := chi.list("inbox", "limit=2"); ; page = chi.list("inbox", "limit=2&cursor="+page.Next) {
		pages++
		for _, m := range page.Messages {
			subjects = append(subjects, m.Subject)
		}
		if page.Next == "" {
			break
		}
	}
	if strings.Join(subjects, ",") != "Thư 4,Thư 3,Thư 2,Thư 1,Thư 0" || pages != 3 {
		t.Fatalf("listed %q on %d pages", subjects, pages)
	}
	inbox, _, _ := chi.box("inbox")
	chi.call(http.MethodGet, "/api/v1/mail/mailboxes/"+inbox+"/messages?cursor=none", nil, 422, nil)

	all := chi.list("inbox", "")
	ids := []string{all.Messages[0].ID, all.Messages[1].ID}
	change := func(status int, body map[string]any) {
		t.Helper()
		chi.call(http.MethodPost, "/api/v1/mail/messages/changes", body, status, nil)
	}
	change(204, map[string]any{"ids": ids, "seen": true, "flagged": true})
	if m := chi.list("inbox", "").Messages; !m[0].Seen || !m[1].Flagged || m[2].Seen {
		t.Fatalf("marked %+v", m)
	}
	change(404, map[string]any{"ids": []string{ids[0], "none"}, "seen": false})
	change(404, map[string]any{"ids": ids, "mailbox": "none"})
	change(204, map[string]any{"ids": ids, "from": inbox, "delete": true})
	if _, total, unread := chi.box("inbox"); total != 3 || unread != 3 {
		t.Fatalf("%d in the inbox, %d unread", total, unread)
	}
	trash, total, _ := chi.box("trash")
	if total != 2 {
		t.Fatalf("%d in the trash", total)
	}
	change(204, map[string]any{"ids": ids, "from": trash, "mailbox": inbox}) // undo
	if m := chi.list("inbox", "").Messages; len(m) != 5 || m[0].Subject != "Thư 4" || !m[0].Flagged || m[0].Mailbox != inbox {
		t.Fatalf("after undo %+v", m)
	}
	for range 2 { // to the trash, and for good
		change(204, map[string]any{"ids": ids[:1], "delete": true})
	}
	chi.call(http.MethodGet, "/api/v1/mail/messages/"+ids[0], nil, 404, nil)
}

// What an attacker's HTML would do, it does not.
func TestThePageShowsForeignHTMLCleaned(t *testing.T) {
	n := apptest.Start(t)
	body := `From: evil <x@far.example>
Reply-To: other@far.example
Subject: =?utf-8?Q?a=0D=0AX-Evil:_b?=
MIME-Version: 1.0
Content-Type: multipart/related; boundary=b

--b
Content-Type: text/html; charset=utf-8

<p onclick="evil()">Kính gửi <b>chị</b></p><script>evil()</script><img src="cid:logo@x"><img src="https://track.example/x.gif"><a href="javascript:evil()">a</a><a href="https://ok.example/">b</a><form action="https://phish.example"><input name=p></form><iframe src="https://evil.example"></iframe><style>p{background:url(https://track.example/y)}</style><svg onload=evil()></svg><base href="https://evil.example/">
--b
Content-Type: image/png; name="../../logo.png"
Content-ID: <logo@x>
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--b
Content-Type: text/html; name="evil.html"
Content-Disposition: attachment; filename*=utf-8''evil%E2%80%AE%E2%81%A6%E2%80%8F%0D%0A.html

<script>evil()</script>
--b--
`
	swaks(t, true, n.Addr("mail.smtp_listen"), "--from", "x@far.example", "--to", "chi@hanoi.g2g.example", "--data", strings.ReplaceAll(body, "\n", `\n`))
	chi := signIn(t, n, "chi@hanoi.g2g.example")
	id := chi.list("inbox", "").Messages[0].ID
	var m struct {
		Subject, Text   string
		HTML            *string                            // which the page fetches for its frame alone
		HasHTML         bool                               `json:"has_html"`
		RemoteImages    bool                               `json:"remote_images"`
		ReplyTo         []struct{ Address string }         `json:"reply_to"`
		AttachmentParts []struct{ Name, Type, URL string } `json:"attachment_parts"`
	}
	chi.call(http.MethodGet, "/api/v1/mail/messages/"+id, nil, 200, &m)
	if !m.HasHTML || m.HTML != nil {
		t.Errorf("has HTML: %v; in the answer: %v", m.HasHTML, m.HTML)
	}
	res, err := chi.c.Get(n.URL + "/api/v1/mail/messages/" + id + "/html")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("the frame's page: %d %q %v", res.StatusCode, res.Header.Get("Content-Type"), err)
	}
	if policy := res.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "sandbox") || strings.Contains(policy, "script") {
		t.Errorf("the frame's policy: %s", policy)
	}
	_, shown, _ := strings.Cut(string(page), "</style>") // ours, which comes first
	for _, bad := range []string{"evil()", "script", "onclick", "track.example", "javascript:", "<form", "<input", "<iframe", "<style", "<svg", "<base"} {
		if strings.Contains(strings.ToLower(shown), bad) {
			t.Errorf("%q is left in %s", bad, shown)
		}
	}
	want(t, shown, "Kính gửi <b>chị</b>", "/api/v1/mail/messages/"+id+"/parts/", `href="https://ok.example/"`)
	want(t, m.Text, "Kính gửi chị")
	if !m.RemoteImages || len(m.ReplyTo) != 1 || m.ReplyTo[0].Address != "other@far.example" || strings.ContainsAny(m.Subject, "\r\n") {
		t.Errorf("message %+v", m)
	}
	if len(m.AttachmentParts) != 2 || m.AttachmentParts[0].Name != "logo.png" || m.AttachmentParts[1].Name != "evil.html" {
		t.Fatalf("attachments %+v", m.AttachmentParts)
	}
	for _, a := range m.AttachmentParts {
		res, err := chi.c.Get(n.URL + a.URL + "?inline")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		kind, disposition := res.Header.Get("Content-Type"), res.Header.Get("Content-Disposition")
		if a.Type == "image/png" && kind != "image/png" || a.Type == "text/html" && (kind != "application/octet-stream" || !strings.HasPrefix(disposition, "attachment")) {
			t.Errorf("%s is given out as %s, %s", a.Type, kind, disposition)
		}
		if res.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(res.Header.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s comes with %v", a.Type, res.Header)
		}
	}
	for _, bad := range []string{"/parts/9", "/parts/x", "/parts/1.1.1.1", "/parts/-1", "/parts/99999999999999999999"} {
		chi.call(http.MethodGet, "/api/v1/mail/messages/"+id+bad, nil, 404, nil)
	}
}
