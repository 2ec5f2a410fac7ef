package app_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"commsd/app/apptest"
	"commsd/internal/testpeer/mailpeer"
)

// appPassword makes one for whoever c is signed in as, and returns its id.
func appPassword(t *testing.T, n *apptest.Node, c *http.Client) (id, secret string) {
	t.Helper()
	res, text := send(t, c, "POST", n.URL+"/api/v1/account/app-passwords", `{"name":"Thunderbird","scopes":["imap","smtp"]}`)
	var out struct {
		Password    string
		AppPassword struct{ ID string } `json:"app_password"`
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil || res.StatusCode != 201 {
		t.Fatalf("%d %s", res.StatusCode, text)
	}
	return out.AppPassword.ID, out.Password
}

// mailbox signs in to IMAP over TLS.
func mailbox(t *testing.T, n *apptest.Node, login, secret string) *mailpeer.Line {
	t.Helper()
	l := mailpeer.Dial(t, n.Addr("mail.imaps_listen").String())
	l.TLS()
	l.Until("\n")
	l.Send(fmt.Sprintf("a LOGIN %s %s\r\n", login, secret))
	if answer := l.Tagged("a"); !strings.Contains(answer, "a OK") {
		t.Fatalf("IMAP answers %q", answer)
	}
	return l
}

// outbox signs in to submission over TLS.
func outbox(t *testing.T, n *apptest.Node, login, secret string) *mailpeer.Line {
	t.Helper()
	l := mailpeer.Dial(t, n.Addr("mail.submissions_listen").String())
	l.TLS()
	l.Reply()
	l.SMTP("EHLO client.example")
	if answer := l.SMTP("AUTH PLAIN " + plain(login, secret)); !strings.HasPrefix(answer, "235") {
		t.Fatalf("SMTP answers %q", answer)
	}
	return l
}

// Ending an app password ends the mail connections that it opened, and no
// others; a change of password ends those that the password opened.
func TestEndingACredentialEndsItsMailConnections(t *testing.T) {
	n := apptest.Start(t)
	const login = "chi@hanoi.g2g.example"
	chi := signIn(t, n, login)
	id, secret := appPassword(t, n, chi)
	_, kept := appPassword(t, n, chi)

	ended := []*mailpeer.Line{mailbox(t, n, login, secret), outbox(t, n, login, secret)}
	others := []*mailpeer.Line{mailbox(t, n, login, kept), outbox(t, n, login, kept)}
	byPassword := []*mailpeer.Line{mailbox(t, n, login, password), outbox(t, n, login, password)}
	lives := func(lines []*mailpeer.Line) {
		t.Helper()
		lines[0].Send("b NOOP\r\n")
		if answer := lines[0].Tagged("b"); !strings.Contains(answer, "b OK") {
			t.Errorf("IMAP answers %q", answer)
		}
		if answer := lines[1].SMTP("NOOP"); !strings.HasPrefix(answer, "250") {
			t.Errorf("SMTP answers %q", answer)
		}
	}
	if res, text := send(t, chi, "DELETE", n.URL+"/api/v1/account/app-passwords/"+id, ""); res.StatusCode != 204 {
		t.Fatalf("ending answers %d %s", res.StatusCode, text)
	}
	for _, l := range ended {
		l.Closed()
	}
	lives(others)
	lives(byPassword)

	if res, text := send(t, chi, "POST", n.URL+"/api/v1/account/password", `{"current":"`+password+`","new":"nước chảy đá mòn theo năm tháng"}`); res.StatusCode != 204 {
		t.Fatalf("changing the password answers %d %s", res.StatusCode, text)
	}
	for _, l := range byPassword {
		l.Closed()
	}
	lives(others)

	// Disabling ends all of it.
	var session struct{ Person struct{ ID string } }
	if _, text := send(t, chi, "GET", n.URL+"/api/v1/sessions/current", ""); json.Unmarshal([]byte(text), &session) != nil {
		t.Fatal(text)
	}
	disable(t, n, session.Person.ID)
	for _, l := range others {
		l.Closed()
	}
}

// The owner finds in the own mailbox that the second factors changed; what the
// password alone opened ends, since it opens no mailbox any more.
func TestOwnerIsToldInTheOwnMailbox(t *testing.T) {
	n := apptest.Start(t)
	const login = "chi@hanoi.g2g.example"
	chi := signIn(t, n, login)
	_, secret := appPassword(t, n, chi)
	byPassword, l := mailbox(t, n, login, password), mailbox(t, n, login, secret)
	l.Send("b SELECT INBOX\r\n")
	l.Tagged("b")
	letter := func() string {
		l.Send("n NOOP\r\n") // learns of the new
		l.Tagged("n")
		l.Send("c SEARCH FROM postmaster@g2g.example TEXT \"an authenticator app was added\"\r\n")
		return l.Tagged("c")
	}
	if answer := letter(); !strings.Contains(answer, "* SEARCH\r\n") {
		t.Fatalf("before, IMAP answers %q", answer)
	}

	var setup struct{ Secret string }
	if res, text := send(t, chi, "POST", n.URL+"/api/v1/account/totp", ""); res.StatusCode != 201 || json.Unmarshal([]byte(text), &setup) != nil {
		t.Fatalf("%d %s", res.StatusCode, text)
	}
	code, err := totp.GenerateCode(setup.Secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if res, text := send(t, chi, "POST", n.URL+"/api/v1/account/totp/confirm", `{"code":"`+code+`"}`); res.StatusCode != 204 {
		t.Fatalf("%d %s", res.StatusCode, text)
	}
	if answer := letter(); !strings.Contains(answer, "* SEARCH 1\r\n") {
		t.Errorf("after, IMAP answers %q", answer)
	}
	byPassword.Closed()
}

// TestCSRF sends every writing operation of the API as a page of another site
// would: with the cookie of somebody who may do all of it. None is done.
func TestCSRF(t *testing.T) {
	n := apptest.Start(t)
	admin := signIn(t, n, "admin@g2g.example")
	_, text := send(t, admin, "GET", n.URL+"/api/v1/openapi.json", "")
	var doc struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	// What the document does not describe.
	operations := [][2]string{{"POST", "/api/v1/mail/uploads"}, {"POST", "/twirp/livekit.RoomService/CreateRoom"}}
	for path, methods := range doc.Paths {
		for method := range methods {
			switch method = strings.ToUpper(method); method {
			case "POST", "PUT", "PATCH", "DELETE":
				operations = append(operations, [2]string{method, strings.NewReplacer("{", "", "}", "").Replace(path)})
			}
		}
	}
	if len(operations) < 40 {
		t.Fatalf("only %d writing operations", len(operations))
	}
	for _, op := range operations {
		for _, header := range [][]string{
			{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
			{"Sec-Fetch-Site", "same-site"},    // another host of the domain
			{"Origin", "https://evil.example"}, // an old browser
			{"Origin", "null"},                 // a sandboxed frame
		} {
			if res, text := send(t, admin, op[0], n.URL+op[1], "{}", header...); res.StatusCode != http.StatusForbidden {
				t.Errorf("%s %s with %v answers %d %s", op[0], op[1], header, res.StatusCode, text)
			}
		}
	}
	// The same from a page of our own passes; nothing was ended by the above.
	if res, text := send(t, admin, "POST", n.URL+"/api/v1/sessions/current/activity", "", "Sec-Fetch-Site", "same-origin", "Origin", n.URL); res.StatusCode != 204 {
		t.Errorf("our own page: %d %s", res.StatusCode, text)
	}
}

// plain is the answer of SASL's mechanism of that name (RFC 4616).
func plain(login, secret string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + login + "\x00" + secret))
}
