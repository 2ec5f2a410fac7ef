package app_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/smtp"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"commsd/app"
	"commsd/app/apptest"
	"commsd/internal/blob/blobtest"
	"commsd/internal/testengine"
)

// twoNodes runs two nodes on one PostgreSQL database, one Redis and one bucket.
func twoNodes(t *testing.T, edit ...func(*app.Config)) (a, b *apptest.Node) {
	t.Helper()
	start := cluster(t)
	return start("a", edit...), start("b", edit...)
}

// cluster returns what starts nodes that share all of that.
func cluster(t *testing.T) func(name string, edit ...func(*app.Config)) *apptest.Node {
	t.Helper()
	dir := t.TempDir()
	database, redis, bucket := testengine.Postgres(t), testengine.Redis(t).URL(), blobtest.S3(t)
	return func(name string, edit ...func(*app.Config)) *apptest.Node {
		t.Helper()
		cfg := apptest.Config(filepath.Join(dir, name))
		cfg.SecretKeyFile = filepath.Join(dir, "secret.key")
		cfg.Database.URL, cfg.Redis.URL, cfg.Blobs.URL = database, redis, bucket
		cfg.Cluster.Listen = "127.0.0.1:0"
		for _, e := range edit {
			e(&cfg)
		}
		return apptest.StartConfig(t, cfg)
	}
}

// eventually asks until ok, for as long as a revocation may take and then some.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("not in time: %s", what)
		case <-again.C:
		}
	}
}

// deliver hands a message to the node as another mail server does.
func deliver(t *testing.T, n *apptest.Node, from, to, message string) {
	t.Helper()
	c, err := smtp.Dial(n.Addr("mail.smtp_listen").String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := errors.Join(c.Hello("far.example"), c.Mail(from), c.Rcpt(to)); err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, message); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), c.Quit()); err != nil {
		t.Fatal(err)
	}
}

// TestNodesShareMail: a large message that one node takes is read on the other,
// from the bucket: no node keeps bytes of its own.
func TestNodesShareMail(t *testing.T) {
	a, b := twoNodes(t)
	attachment := make([]byte, 200<<10)
	random := rand.NewChaCha8([32]byte{7})
	_, _ = random.Read(attachment) // it never fails
	encoded := base64.StdEncoding.EncodeToString(attachment)
	var lines strings.Builder
	for len(encoded) > 0 {
		n := min(76, len(encoded))
		lines.WriteString(encoded[:n] + "\r\n")
		encoded = encoded[n:]
	}
	message := "From: x@far.example\r\nTo: chi@hanoi.g2g.example\r\nSubject: Tap tin lon\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: application/octet-stream; name=a.bin\r\nContent-Disposition: attachment; filename=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n" + lines.String()
	deliver(t, a, "x@far.example", "chi@hanoi.g2g.example", message)

	chi := signIn(t, b, "chi@hanoi.g2g.example")
	get := func(path string, into any) {
		t.Helper()
		res, text := send(t, chi, "GET", b.URL+path, "")
		if res.StatusCode != 200 {
			t.Fatalf("%s: %d %s", path, res.StatusCode, text)
		}
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	var boxes struct{ Mailboxes []struct{ ID string } }
	get("/api/v1/mail/mailboxes", &boxes)
	var list struct{ Messages []struct{ ID string } }
	get("/api/v1/mail/mailboxes/"+boxes.Mailboxes[0].ID+"/messages", &list)
	if len(list.Messages) != 1 {
		t.Fatalf("%d messages on the other node", len(list.Messages))
	}
	var read struct {
		AttachmentParts []struct{ URL string } `json:"attachment_parts"`
	}
	get("/api/v1/mail/messages/"+list.Messages[0].ID, &read)
	if len(read.AttachmentParts) != 1 {
		t.Fatalf("%d attachments", len(read.AttachmentParts))
	}
	if res, got := send(t, chi, "GET", b.URL+read.AttachmentParts[0].URL, ""); res.StatusCode != 200 || !bytes.Equal([]byte(got), attachment) {
		t.Errorf("the attachment: %d, %d bytes, want %d equal ones", res.StatusCode, len(got), len(attachment))
	}
	for _, n := range []*apptest.Node{a, b} {
		err := filepath.WalkDir(n.Config.DataDir, func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && d.Name() != "mail.crt" { // each node says it, from the shared secret
				err = fmt.Errorf("%s stays on the node", name)
			}
			return err
		})
		if err != nil && !strings.Contains(err.Error(), "no such file") {
			t.Error(err)
		}
	}
}

// TestSessionsHoldOnEveryNode: a session opened on one node is good on the
// other, and ends there within seconds of its end here.
func TestSessionsHoldOnEveryNode(t *testing.T) {
	a, b := twoNodes(t)
	c := signIn(t, a, "an@noivu.g2g.example")
	status := func() int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.URL+"/api/v1/sessions/current", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, cookie := range c.Jar.Cookies(mustURL(t, a.URL)) {
			r.AddCookie(cookie)
		}
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	if got := status(); got != 200 {
		t.Fatalf("the other node answers %d", got)
	}
	stale := c.Jar.Cookies(mustURL(t, a.URL))
	if res, _ := send(t, c, "DELETE", a.URL+"/api/v1/sessions/current", ""); res.StatusCode != 204 {
		t.Fatalf("signing out: %d", res.StatusCode)
	}
	c.Jar.SetCookies(mustURL(t, a.URL), stale)
	eventually(t, "the session's end on the other node", func() bool { return status() == 401 })
}
