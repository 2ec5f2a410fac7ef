package app_test

import (
	"encoding/json"
	"net"
	"testing"

	"commsd/app"
	"commsd/app/apptest"
)

// What people set their mail programs to is where mail is in fact served, or
// what the configuration says stands in front of it.
func TestPrograms(t *testing.T) {
	type program struct {
		Protocol, Host, Security, Base string
		Port                           int
	}
	ask := func(n *apptest.Node) map[string]program {
		t.Helper()
		var answer struct{ Programs []program }
		if res, text := send(t, signIn(t, n, "an@noivu.g2g.example"), "GET", n.URL+"/api/v1/account/programs", ""); res.StatusCode != 200 {
			t.Fatalf("answers %d %s", res.StatusCode, text)
		} else if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Fatal(err)
		}
		out := map[string]program{}
		for _, p := range answer.Programs {
			out[p.Protocol] = p
		}
		return out
	}

	n := apptest.Start(t)
	got := ask(n)
	if p := got["imap"]; p.Host != "localhost" || p.Security != "tls" || p.Port != port(t, n.Addr("mail.imaps_listen")) {
		t.Errorf("imap is %+v, served at %s", p, n.Addr("mail.imaps_listen"))
	}
	if p := got["smtp"]; p.Security != "tls" || p.Port != port(t, n.Addr("mail.submissions_listen")) {
		t.Errorf("smtp is %+v, served at %s", p, n.Addr("mail.submissions_listen"))
	}
	if p := got["ldap"]; p.Security != "tls" || p.Port != port(t, n.Addr("ldap.listen")) || p.Base != "dc=g2g,dc=example" {
		t.Errorf("ldap is %+v, served at %s", p, n.Addr("ldap.listen"))
	}

	n = apptest.Start(t, func(c *app.Config) {
		c.Mail.ClientIMAP, c.Mail.IMAPSListen, c.Mail.SubmissionListen, c.Mail.SubmissionsListen = "mail.agency.example:993", "", "", ""
		c.LDAP.Client = "danhba.agency.example:636"
	})
	got = ask(n)
	if p := got["imap"]; p != (program{Protocol: "imap", Host: "mail.agency.example", Port: 993, Security: "starttls"}) {
		t.Errorf("imap is %+v", p)
	}
	if p := got["ldap"]; p.Host != "danhba.agency.example" || p.Port != 636 {
		t.Errorf("ldap is %+v", p)
	}
	if p, ok := got["smtp"]; ok {
		t.Errorf("smtp is not served, yet told: %+v", p)
	}
}

func port(t *testing.T, a net.Addr) int {
	t.Helper()
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		t.Fatalf("%v is no TCP address", a)
	}
	return tcp.Port
}
