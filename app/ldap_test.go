package app_test

import (
	"context"
	"crypto/tls"
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
