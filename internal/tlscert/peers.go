package tlscert

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// PeersSecret is the name of the key that all nodes share.
const PeersSecret = "tls.peers"

// Peers returns how the nodes of an installation speak to each other, for
// servers and clients alike: each proves that it has the one key that all of them share.
// Names, authorities and dates say nothing; whoever lacks the key gets no
// connection, and learns nothing from one that it watches.
func Peers(ctx context.Context, secrets Secrets) (*tls.Config, error) {
	seed, err := secrets.Get(ctx, PeersSecret, func() ([]byte, error) {
		fresh := make([]byte, ed25519.SeedSize)
		_, err := rand.Read(fresh)
		return fresh, err
	})
	if err != nil {
		return nil, fmt.Errorf("tlscert: key of the nodes: %w", err)
	}
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("tlscert: key of the nodes has %d bytes, not %d", len(seed), ed25519.SeedSize)
	}
	key := ed25519.NewKeyFromSeed(seed)
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("tlscert: key of the nodes has no public half")
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "commsd node"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280, 4.1.2.5: no end
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		return nil, fmt.Errorf("tlscert: certificate of the nodes: %w", err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{"http/1.1"}, // WebSockets
		ClientAuth:   tls.RequireAnyClientCert,
		// The handshake has proven that the other end has the private half.
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return errNotAPeer
			}
			theirs, ok := s.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
			if !ok || !theirs.Equal(public) {
				return errNotAPeer
			}
			return nil
		},
		InsecureSkipVerify: true, // VerifyConnection does it, by the key instead of a name
	}, nil
}

var errNotAPeer = errors.New("tlscert: the other end is no node of this installation")
