package app_test

import (
	"encoding/json"
	"net/smtp"
	"strings"
	"testing"

	"commsd/app/apptest"
)

// TestServiceMailboxTakesNoMailYet: a letter to a unit's mailbox is refused at
// the door and not accepted to be lost; the person beside it in the same domain
// gets theirs.
func TestServiceMailboxTakesNoMailYet(t *testing.T) {
	n := apptest.Start(t)
	admin := signIn(t, n, "admin@g2g.example")
	var list struct{ Agencies []struct{ ID, Name string } }
	_, text := send(t, admin, "GET", n.URL+"/api/v1/directory/agencies", "")
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Agencies) == 0 {
		t.Fatalf("agencies: %v %s", err, text)
	}
	res, text := send(t, admin, "POST", n.URL+"/api/v1/directory/units", `{"agency_id":"`+list.Agencies[0].ID+`","name":"Ban Thư ký"}`)
	var unit struct{ ID string }
	if err := json.Unmarshal([]byte(text), &unit); err != nil || res.StatusCode != 201 {
		t.Fatalf("making a unit: %d %s", res.StatusCode, text)
	}
	res, text = send(t, admin, "POST", n.URL+"/api/v1/directory/service-mailboxes", `{"unit_id":"`+unit.ID+`","address":"banthuky@noivu.g2g.example","name":"Ban Thư ký"}`)
	if res.StatusCode != 201 {
		t.Fatalf("making a mailbox: %d %s", res.StatusCode, text)
	}
	c, err := smtp.Dial(n.Addr("mail.smtp_listen").String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Mail("someone@outside.example"); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt("banthuky@noivu.g2g.example"); err == nil || !strings.HasPrefix(err.Error(), "550") {
		t.Errorf("RCPT to the mailbox: %v, want 550", err)
	}
	if err := c.Rcpt("an@noivu.g2g.example"); err != nil {
		t.Errorf("RCPT to a person: %v", err)
	}
}
