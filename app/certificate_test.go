package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

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
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg.HTTP.TLS.Cert, cfg.HTTP.TLS.Key = filepath.Join(dir, "a.crt"), filepath.Join(dir, "a.key")
	if err := errors.Join(
		os.WriteFile(cfg.HTTP.TLS.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(cfg.HTTP.TLS.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	apptest.StartConfig(t, cfg)
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("mail.crt still shows a certificate that nobody uses: %v", err)
	}
}
