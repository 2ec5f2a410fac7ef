package mail_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"commsd/app"
	"commsd/app/apptest"
)

// sendUp sends bytes up as a file for a draft and returns its id.
func sendUp(t *testing.T, c *http.Client, base, query string, content []byte, status int) string {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, base+"/api/v1/mail/uploads?"+query, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var out struct{ ID string }
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil || res.StatusCode != status {
		t.Fatalf("upload: %d, want %d (%v)", res.StatusCode, status, err)
	}
	return out.ID
}

func TestADraftIsKeptAndSentOnce(t *testing.T) {
	n := apptest.Start(t)
	an, chi := n.Client(t), n.Client(t)
	call(t, an, n.URL, http.MethodPost, "/api/v1/sessions", map[string]string{"login": "an@noivu.g2g.example", "password": password}, 201, nil)
	call(t, chi, n.URL, http.MethodPost, "/api/v1/sessions", map[string]string{"login": "chi@hanoi.g2g.example", "password": password}, 201, nil)
	box := func(c *http.Client, role string) (id string) {
		t.Helper()
		var boxes struct{ Mailboxes []struct{ ID, Role string } }
		call(t, c, n.URL, http.MethodGet, "/api/v1/mail/mailboxes", nil, 200, &boxes)
		for _, b := range boxes.Mailboxes {
			if b.Role == role {
				return b.ID
			}
		}
		t.Fatalf("no %s", role)
		return ""
	}
	type row struct {
		ID, Subject     string
		Draft, Answered bool
		Attachments     int
		To              []struct{ Name, Address string }
	}
	list := func(c *http.Client, role string) []row {
		t.Helper()
		var out struct{ Messages []row }
		call(t, c, n.URL, http.MethodGet, "/api/v1/mail/mailboxes/"+box(c, role)+"/messages", nil, 200, &out)
		return out.Messages
	}

	content := make([]byte, 300_000)
	_, _ = rand.Read(content)
	file := sendUp(t, an, n.URL, "name=..%2Fd%E1%BB%B1+th%E1%BA%A3o.docx&type=application/x-test", content, 201)
	const draft = "01990000-0000-7000-8000-000000000001"
	letter := map[string]any{"to": []string{"chi@hanoi.g2g.example", "chưa xong"}, "bcc": []string{"binh@noivu.g2g.example"}, "subject": "Dự thảo", "text": "Kính gửi", "uploads": []string{file}}
	call(t, an, n.URL, http.MethodPut, "/api/v1/mail/drafts/"+draft, letter, 204, nil)
	letter["text"] = "Kính gửi chị,\nxin ý kiến."
	call(t, an, n.URL, http.MethodPut, "/api/v1/mail/drafts/"+draft, letter, 204, nil)
	if d := list(an, "drafts"); len(d) != 1 || d[0].ID != draft || !d[0].Draft || d[0].Attachments != 1 {
		t.Fatalf("drafts %+v", d)
	}
	var kept struct {
		To, Bcc []string
		Text    string
		Files   []struct {
			ID, Name string
			Size     int
		}
	}
	call(t, an, n.URL, http.MethodGet, "/api/v1/mail/drafts/"+draft, nil, 200, &kept)
	if kept.Text != letter["text"] || len(kept.To) != 2 || kept.To[1] != "chưa xong" || len(kept.Bcc) != 1 || len(kept.Files) != 1 || kept.Files[0].Name != "dự thảo.docx" || kept.Files[0].Size != len(content) {
		t.Fatalf("kept %+v", kept)
	}
	// Another's id and another's file are out of reach.
	call(t, chi, n.URL, http.MethodPut, "/api/v1/mail/drafts/"+draft, map[string]any{"to": []string{}, "subject": "", "text": ""}, 409, nil)
	call(t, chi, n.URL, http.MethodGet, "/api/v1/mail/drafts/"+draft, nil, 404, nil)
	call(t, chi, n.URL, http.MethodPost, "/api/v1/mail/send", map[string]any{"to": []string{"an@noivu.g2g.example"}, "subject": "", "text": "", "uploads": []string{file}}, 404, nil)

	letter["to"], letter["draft"] = []string{"Chị Chi <chi@hanoi.g2g.example>", "Bà Hoa, Sở <hoa@far.example>"}, draft
	call(t, an, n.URL, http.MethodPost, "/api/v1/mail/send", letter, 201, nil)
	call(t, an, n.URL, http.MethodPost, "/api/v1/mail/send", letter, 410, nil) // the answer was lost, the page tries again
	if d := list(an, "drafts"); len(d) != 0 {
		t.Fatalf("drafts after sending %+v", d)
	}
	inbox := list(chi, "inbox")
	if len(inbox) != 1 || inbox[0].To[0].Name != "Lê Thị Kim Chi" || inbox[0].To[1].Name != "Bà Hoa, Sở" || inbox[0].To[1].Address != "hoa@far.example" {
		t.Fatalf("inbox %+v", inbox)
	}
	var got struct {
		MessageID       string `json:"message_id"`
		Bcc             []struct{}
		AttachmentParts []struct{ Name, Type, URL string } `json:"attachment_parts"`
	}
	at := "/api/v1/mail/messages/" + inbox[0].ID
	call(t, chi, n.URL, http.MethodGet, at, nil, 200, &got)
	if len(got.AttachmentParts) != 1 || got.AttachmentParts[0].Name != "dự thảo.docx" || got.AttachmentParts[0].Type != "application/x-test" {
		t.Fatalf("got %+v", got)
	}
	if back := fetch(t, chi, n.URL+got.AttachmentParts[0].URL); !bytes.Equal(back, content) {
		t.Fatalf("%d bytes of %d came back, or others", len(back), len(content))
	}
	if raw := string(fetch(t, chi, n.URL+at+"/raw")); strings.Contains(raw, "binh@") {
		t.Fatal("the blind copy is named")
	}

	// Forwarding copies the file; the answer marks what it answers.
	var copied struct {
		ID, Name string
		Size     int
	}
	call(t, chi, n.URL, http.MethodPost, at+"/parts/2/copy", nil, 201, &copied)
	if copied.Size != len(content) || copied.Name != "dự thảo.docx" {
		t.Fatalf("copied %+v", copied)
	}
	call(t, chi, n.URL, http.MethodPost, "/api/v1/mail/send", map[string]any{"to": []string{"an@noivu.g2g.example"}, "subject": strings.Repeat("Trả lời ", 60), "text": "Đồng ý", "in_reply_to": got.MessageID, "answers": inbox[0].ID, "uploads": []string{copied.ID}}, 201, nil)
	if in := list(chi, "inbox"); !in[0].Answered {
		t.Fatal("not marked as answered")
	}
	if in := list(an, "inbox"); len(in) != 1 || in[0].Subject != strings.TrimSpace(strings.Repeat("Trả lời ", 60)) {
		t.Fatalf("the answer %+v", in)
	}
	raw := string(fetch(t, an, n.URL+"/api/v1/mail/messages/"+list(an, "inbox")[0].ID+"/raw"))
	if !strings.Contains(raw, "In-Reply-To: <"+got.MessageID+">") {
		t.Fatalf("no In-Reply-To in %.2000s", raw)
	}
	for l := range strings.Lines(raw) {
		if len(l) > 1000 {
			t.Fatalf("a line of %d bytes: %.100s", len(l), l)
		}
	}
}

// A part that came in over the limit of what may go out is no file of a draft:
// a piece of it would reach the next reader as a broken one.
func TestAPartIsForwardedWholeOrNotAtAll(t *testing.T) {
	n := apptest.Start(t, func(c *app.Config) { c.Mail.MaxMessageBytes = 64 << 10 })
	for _, lines := range []int{400, 550} {
		text := "From: x@far.example\nSubject: %d\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\nContent-Disposition: attachment; filename=a.csv\n\n%s--b--\n"
		text = fmt.Sprintf(text, lines, strings.Repeat(strings.Repeat("1", 98)+"\n", lines))
		swaks(t, true, n.Addr("mail.smtp_listen"), "--from", "x@far.example", "--to", "chi@hanoi.g2g.example", "--data", strings.ReplaceAll(text, "\n", `\n`))
	}
	chi := signIn(t, n, "chi@hanoi.g2g.example")
	list := chi.list("inbox", "").Messages
	var copied struct{ Size int }
	chi.call(http.MethodPost, "/api/v1/mail/messages/"+list[1].ID+"/parts/2/copy", nil, 201, &copied)
	if copied.Size < 400*100-2 {
		t.Errorf("%d bytes of 40000 were copied", copied.Size)
	}
	var problem struct{ Code string }
	chi.call(http.MethodPost, "/api/v1/mail/messages/"+list[0].ID+"/parts/2/copy", nil, 413, &problem)
	if problem.Code != "too_large" {
		t.Errorf("code %q", problem.Code)
	}
}

func fetch(t *testing.T, c *http.Client, url string) []byte {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%s: %d, %v", url, res.StatusCode, err)
	}
	return out
}
