package app_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"

	"commsd/app/apptest"
)

// openBook binds as login at n's address book, over LDAPS.
func openBook(t *testing.T, n *apptest.Node, login string) *tls.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	// The certificate is the server's own; whose it is does not matter here.
	conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", n.Addr("ldap.listen").String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		t.Fatal(err)
	}
	bind := ber.Encode(ber.ClassApplication, ber.TypeConstructed, 0, nil, "")
	bind.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, int64(3), ""))
	bind.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, login, ""))
	bind.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 0, password, ""))
	m := ber.NewSequence("")
	m.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, int64(1), ""))
	m.AppendChild(bind)
	if _, err := conn.Write(m.Bytes()); err != nil {
		t.Fatal(err)
	}
	answer, err := ber.ReadPacket(conn)
	if err != nil || answer.Children[1].Children[0].Value != int64(0) {
		t.Fatalf("LDAP bind: %v, %v", answer, err)
	}
	return conn.(*tls.Conn)
}

// ldapsearch asks n's address book as login with Debian's client.
func ldapsearch(t *testing.T, n *apptest.Node, login string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ldapsearch", append([]string{"-x", "-LLL", "-o", "ldif-wrap=no", "-ZZ", "-H", "ldap://" + n.Addr("ldap.listen").String(),
		"-D", login, "-w", password, "-b", "dc=g2g,dc=example"}, args...)...)
	// What the installation makes for itself is for its own name, and no issuer.
	cmd.Env = append(os.Environ(), "LDAPTLS_REQCERT=never", "HOME="+t.TempDir(), "LDAPRC="+filepath.Join(t.TempDir(), "none"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("ldapsearch %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// A mail client finds colleagues of every agency, marks or not.
func TestAddressBook(t *testing.T) {
	n := apptest.Start(t)
	found := ldapsearch(t, n, "an@noivu.g2g.example", "(|(cn=duc*)(mail=duc*))", "mail", "o")
	for _, address := range []string{"ducnq@noivu.g2g.example", "ducnh@noivu.g2g.example", "ductm@hanoi.g2g.example", "thangdd@hanoi.g2g.example"} {
		if !strings.Contains(found, "mail: "+address+"\n") {
			t.Errorf("%s is not found in\n%s", address, found)
		}
	}
	if strings.Index(found, "@noivu") > strings.Index(found, "@hanoi") {
		t.Errorf("the own agency does not come first:\n%s", found)
	}
	if found := ldapsearch(t, n, "an@noivu.g2g.example", "-b", "o=H26,dc=g2g,dc=example", "(cn=chi*)", "mail"); !strings.Contains(found, "mail: chi@hanoi.g2g.example\n") {
		t.Errorf("below the agency: %s", found)
	}
}

// A connection that was opened as an administrator's shows no more than others
// see once the role is gone.
func TestAddressBookFollowsRoles(t *testing.T) {
	n := apptest.Start(t)
	api := n.URL + "/api/v1"
	admin, chi := signIn(t, n, "admin@g2g.example"), signIn(t, n, "chi@hanoi.g2g.example")
	if res, text := send(t, chi, "PATCH", api+"/account", `{"mobile":"0912 345 678"}`); res.StatusCode != 200 {
		t.Fatalf("%d %s", res.StatusCode, text)
	}
	var an struct {
		People []struct {
			ID       string `json:"id"`
			AgencyID string `json:"agency_id"`
		} `json:"people"`
	}
	find := func(login string) (person, agency string) {
		_, text := send(t, admin, "GET", api+"/directory/people?q="+login, "")
		if err := json.Unmarshal([]byte(text), &an); err != nil || len(an.People) != 1 {
			t.Fatalf("%s: %s", login, text)
		}
		return an.People[0].ID, an.People[0].AgencyID
	}
	person, _ := find("an@noivu.g2g.example")
	_, hanoi := find("chi@hanoi.g2g.example")
	book := openBook(t, n, "an@noivu.g2g.example")
	sees := func() bool {
		t.Helper()
		rq := ber.Encode(ber.ClassApplication, ber.TypeConstructed, 3, nil, "")
		rq.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "dc=g2g,dc=example", ""))
		rq.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, int64(2), ""))
		rq.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, int64(0), ""))
		for range 2 {
			rq.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, int64(0), ""))
		}
		rq.AppendChild(ber.NewBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, false, ""))
		mail := ber.Encode(ber.ClassContext, ber.TypeConstructed, 3, nil, "")
		for _, word := range []string{"mail", "chi@hanoi.g2g.example"} {
			mail.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, word, ""))
		}
		rq.AppendChild(mail)
		rq.AppendChild(ber.NewSequence(""))
		m := ber.NewSequence("")
		m.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, int64(2), ""))
		m.AppendChild(rq)
		if _, err := book.Write(m.Bytes()); err != nil {
			t.Fatal(err)
		}
		entries, mobile := 0, false
		for {
			answer, err := ber.ReadPacket(book)
			if err != nil {
				t.Fatal(err)
			}
			if answer.Children[1].Tag == 5 {
				break
			}
			entries++
			mobile = mobile || strings.Contains(string(answer.Bytes()), "0912 345 678")
		}
		if entries != 1 {
			t.Fatalf("%d entries are found", entries)
		}
		return mobile
	}
	if sees() {
		t.Error("a mobile number of another agency is seen")
	}
	res, text := send(t, admin, "POST", api+"/directory/admin-grants", `{"person_id":"`+person+`","role":"agency_admin","agency_id":"`+hanoi+`"}`)
	var grant struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(text), &grant); err != nil || res.StatusCode != 201 {
		t.Fatalf("%d %s", res.StatusCode, text)
	}
	if !sees() {
		t.Error("an administrator does not see whom they administer")
	}
	if res, text := send(t, admin, "DELETE", api+"/directory/admin-grants/"+grant.ID, ""); res.StatusCode != 204 {
		t.Fatalf("%d %s", res.StatusCode, text)
	}
	if sees() {
		t.Error("the role is gone, and its sight goes on")
	}
}
