package tlscert_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"commsd/internal/tlscert"
)

func peers(t *testing.T, s tlscert.Secrets) *tls.Config {
	t.Helper()
	cfg, err := tlscert.Peers(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// talk has a client say a word to a server and tells what went wrong at either.
func talk(t *testing.T, server, client *tls.Config) (atServer, atClient error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	two, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	one, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	deadline := time.Now().Add(10 * time.Second)
	if err := one.SetDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	if err := two.SetDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		s := tls.Server(one, server)
		_, err := io.ReadFull(s, make([]byte, 4))
		if err == nil {
			_, err = s.Write([]byte("yes!"))
		}
		_ = one.Close()
		ended <- err
	}()
	c := tls.Client(two, client)
	_, atClient = c.Write([]byte("mine"))
	if atClient == nil {
		_, atClient = io.ReadFull(c, make([]byte, 4))
	}
	_ = two.Close()
	return <-ended, atClient
}

// TestPeers: nodes with one key reach each other; nobody else reaches them, and
// they reach nobody else.
func TestPeers(t *testing.T) {
	shared := kept{}
	node := peers(t, shared)
	if atServer, atClient := talk(t, peers(t, shared), node); atServer != nil || atClient != nil {
		t.Errorf("two nodes: %v, %v", atServer, atClient)
	}
	// A stranger with a certificate of the same form, or with the nodes' own
	// certificate and not their key.
	stranger := peers(t, kept{})
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	copied := stranger.Clone()
	copied.Certificates = []tls.Certificate{{Certificate: node.Certificates[0].Certificate, PrivateKey: key}}
	selfMade := stranger.Clone()
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	selfMade.Certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	none := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
	for name, other := range map[string]*tls.Config{"another installation's": stranger, "with our certificate": copied, "with its own": selfMade, "without a certificate": none} {
		open := other.Clone()
		open.VerifyConnection = nil // it would talk to us
		if atServer, _ := talk(t, node, open); atServer == nil {
			t.Errorf("a client %s is let in", name)
		}
		if name == "without a certificate" {
			continue // no server at all
		}
		open.ClientAuth = tls.NoClientCert
		if _, atClient := talk(t, open, node); atClient == nil {
			t.Errorf("a server %s is believed", name)
		}
	}
}
