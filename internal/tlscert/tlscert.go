// Package tlscert gives servers a certificate: one from files, or one that the
// installation makes for itself at first start and keeps sealed, the same on
// all nodes. Clients must be told to trust the latter.
//
// It must not know which server uses it.
package tlscert

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Secrets keeps what the installation made for itself.
type Secrets interface {
	Get(ctx context.Context, name string, create func() ([]byte, error)) ([]byte, error)
}

// Own returns the installation's own certificate for hosts (names and IP
// addresses). It holds for two years from the year of now; a start in the next
// year makes the next.
func Own(ctx context.Context, secrets Secrets, hosts []string, now time.Time) (*tls.Config, error) {
	year := now.UTC().Year()
	pair, err := secrets.Get(ctx, fmt.Sprintf("tls.own.%d", year), func() ([]byte, error) { return selfSigned(hosts, year) })
	if err != nil {
		return nil, fmt.Errorf("tlscert: own certificate: %w", err)
	}
	cert, err := tls.X509KeyPair(pair, pair)
	if err != nil {
		return nil, fmt.Errorf("tlscert: own certificate: %w", err)
	}
	return config(cert), nil
}

// Files returns the certificate and key of two PEM files.
func Files(cert, key string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("tlscert: read certificate: %w", err)
	}
	return config(pair), nil
}

func config(cert tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
}

// selfSigned makes a certificate and its key, both in PEM.
func selfSigned(hosts []string, year int) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	from := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: hosts[0]},
		NotBefore: from, NotAfter: from.AddDate(2, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	out.Write(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	return out.Bytes(), nil
}
