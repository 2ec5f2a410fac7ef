package tlscert_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"commsd/internal/tlscert"
)

// kept remembers what was made.
type kept map[string][]byte

func (k kept) Get(_ context.Context, name string, create func() ([]byte, error)) ([]byte, error) {
	if have, ok := k[name]; ok {
		return have, nil
	}
	made, err := create()
	k[name] = made
	return made, err
}

var now = time.Date(2026, 12, 31, 23, 59, 0, 0, time.UTC)

func own(t *testing.T, s tlscert.Secrets, at time.Time) *tls.Config {
	t.Helper()
	cfg, err := tlscert.Own(context.Background(), s, []string{"mail.example", "127.0.0.1", "::1"}, at)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// shake lets a client that trusts trusted and expects name talk to cfg over a
// socket.
func shake(t *testing.T, cfg *tls.Config, trusted *x509.Certificate, name string, at time.Time, version uint16) error {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := tls.NewListener(l, cfg).Accept()
		if err == nil {
			_ = c.(*tls.Conn).HandshakeContext(context.Background()) // the client tells
			c.Close()
		}
	}()
	roots := x509.NewCertPool()
	roots.AddCert(trusted)
	d := tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: name, Time: func() time.Time { return at }, MinVersion: tls.VersionTLS10, MaxVersion: version}} // old versions are what is tried
	c, err := d.DialContext(context.Background(), "tcp", l.Addr().String())
	if err == nil {
		c.Close()
	}
	<-done
	return err
}

func leaf(t *testing.T, cfg *tls.Config) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(cfg.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOwnCertificate(t *testing.T) {
	secrets := kept{}
	cfg := own(t, secrets, now)
	cert := leaf(t, cfg)
	for _, name := range []string{"mail.example", "127.0.0.1", "::1"} {
		if err := shake(t, cfg, cert, name, now, tls.VersionTLS13); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	var host x509.HostnameError
	if err := shake(t, cfg, cert, "other.example", now, tls.VersionTLS13); !errors.As(err, &host) {
		t.Errorf("another name: %v", err)
	}
	if err := shake(t, cfg, cert, "mail.example", now, tls.VersionTLS11); err == nil {
		t.Error("TLS 1.1 was taken")
	}
	if err := shake(t, cfg, cert, "mail.example", now.AddDate(1, 0, -1), tls.VersionTLS13); err != nil {
		t.Errorf("a year on, without a restart: %v", err)
	}
	if cert.IsCA {
		t.Error("whoever trusts it would trust what it signs")
	}

	// A restart, or another node, has the same; the next year's has another.
	if again := leaf(t, own(t, secrets, now)); !bytes.Equal(again.Raw, cert.Raw) {
		t.Error("a restart made another certificate")
	}
	if next := leaf(t, own(t, secrets, now.Add(time.Hour))); bytes.Equal(next.Raw, cert.Raw) || next.NotAfter.Year() != 2029 {
		t.Errorf("the next year's holds until %v", next.NotAfter)
	}
}

func TestOwnFails(t *testing.T) {
	if _, err := tlscert.Own(context.Background(), kept{"tls.own.2026": []byte("rotten")}, []string{"x"}, now); err == nil {
		t.Error("a rotten certificate was taken")
	}
}

func TestFiles(t *testing.T) {
	secrets := kept{}
	cert := leaf(t, own(t, secrets, now))
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	first, rest := pem.Decode(secrets["tls.own.2026"])
	for name, content := range map[string][]byte{certFile: pem.EncodeToMemory(first), keyFile: rest} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := tlscert.Files(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := shake(t, cfg, cert, "mail.example", now, tls.VersionTLS12); err != nil {
		t.Error(err)
	}
	if _, err := tlscert.Files(certFile, certFile); err == nil {
		t.Error("a certificate was taken for its key")
	}
	if _, err := tlscert.Files(filepath.Join(dir, "none"), keyFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}
