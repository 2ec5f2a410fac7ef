package app_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"commsd/app/apptest"
)

// TestMailCertificateIsAtHand: a mail client that is given mail.crt trusts the
// server, and the file holds no key; with a certificate from files it goes.
func TestMailCertificateIsAtHand(t *testing.T) {
	cfg := apptest.Config(t.TempDir())
	n := apptest.StartConfig(t, cfg)
	name := filepath.Join(n.Config.DataDir, "mail.crt")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || len(rest) != 0 {
		t.Fatalf("mail.crt holds %q", text)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mail.crt: %v, %v", info.Mode(), err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	for _, host := range []string{"localhost", "127.0.0.1"} {
		dialer := &tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: host}}
		conn, err := dialer.DialContext(t.Context(), "tcp", n.Addr("mail.imaps_listen").String())
		if err != nil {
			t.Fatalf("a client that trusts mail.crt, as %s: %v", host, err)
		}
		_ = conn.Close()
	}
	n.Stop(t)

	// A certificate from files.
	withCertificate(t, &cfg)
	apptest.StartConfig(t, cfg)
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("mail.crt still shows a certificate that nobody uses: %v", err)
	}
}
