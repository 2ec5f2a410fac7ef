// Package passkeypeer is an authenticator and the browser before it, in
// software: it answers the options of a WebAuthn ceremony with the JSON that a
// page would send back (Web Authentication level 3, sections 5.1, 6.1 and 6.5;
// RFC 8949 for CBOR). For tests only.
//
// It knows nothing of the server's packages: what it writes, it writes by the
// specification.
package passkeypeer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Authenticator keeps passkeys. Its exported fields may be changed between
// ceremonies, so that a test can be a careless or hostile one.
type Authenticator struct {
	Origin     string // of the page that calls it
	Unverified bool   // the person is present, yet gave no PIN and no finger
	NoHandle   bool   // keys are not discoverable: no user handle comes back
	Stuck      bool   // the counter does not rise, as that of a copy
	NoCounter  bool   // synced passkeys count nothing

	keys []*key
}

type key struct {
	id, handle []byte
	rpID       string
	private    *ecdsa.PrivateKey
	count      uint32
}

// New returns an authenticator at a page of origin.
func New(origin string) *Authenticator { return &Authenticator{Origin: origin} }

// Flags of the authenticator data, section 6.1.
const (
	flagPresent  = 0x01
	flagVerified = 0x04
	flagAttested = 0x40
)

type creationOptions struct {
	RP struct {
		ID string `json:"id"`
	} `json:"rp"`
	User struct {
		ID string `json:"id"`
	} `json:"user"`
	Challenge          string       `json:"challenge"`
	ExcludeCredentials []descriptor `json:"excludeCredentials"`
	PubKeyCredParams   []struct {
		Alg int `json:"alg"`
	} `json:"pubKeyCredParams"`
}

type requestOptions struct {
	RPID             string       `json:"rpId"`
	Challenge        string       `json:"challenge"`
	AllowCredentials []descriptor `json:"allowCredentials"`
}

type descriptor struct {
	ID string `json:"id"`
}

// ErrExcluded is what a browser answers when this authenticator holds one of
// the excluded credentials.
var ErrExcluded = errors.New("passkeypeer: already registered here")

// ErrNoKey is what a browser answers when no key fits.
var ErrNoKey = errors.New("passkeypeer: no passkey of this site")

// Create answers PublicKeyCredentialCreationOptionsJSON with a new ES256 key
// and no attestation.
func (a *Authenticator) Create(options []byte) ([]byte, error) {
	var o creationOptions
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, fmt.Errorf("passkeypeer: read options: %w", err)
	}
	if !slices.ContainsFunc(o.PubKeyCredParams, func(p struct {
		Alg int `json:"alg"`
	},
	) bool {
		return p.Alg == -7
	}) {
		return nil, errors.New("passkeypeer: ES256 is not asked for")
	}
	for _, d := range o.ExcludeCredentials {
		if slices.ContainsFunc(a.keys, func(k *key) bool { return b64(k.id) == d.ID }) {
			return nil, ErrExcluded
		}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("passkeypeer: %w", err)
	}
	handle, err := base64.RawURLEncoding.DecodeString(o.User.ID)
	if err != nil {
		return nil, fmt.Errorf("passkeypeer: user.id: %w", err)
	}
	k := &key{id: make([]byte, 32), handle: handle, rpID: o.RP.ID, private: private}
	if _, err := rand.Read(k.id); err != nil {
		return nil, fmt.Errorf("passkeypeer: %w", err)
	}
	public, err := private.PublicKey.Bytes() // 0x04, X, Y
	if err != nil {
		return nil, fmt.Errorf("passkeypeer: %w", err)
	}
	// RFC 9053 section 7.1.1: kty 2 (EC2), alg -7 (ES256), crv 1 (P-256), x, y.
	cose := slices.Concat([]byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21}, cborBytes(public[1:33]), []byte{0x22}, cborBytes(public[33:65]))
	attested := slices.Concat(make([]byte, 16), binary.BigEndian.AppendUint16(nil, uint16(len(k.id))), k.id, cose)
	authData := slices.Concat(a.authData(k, flagAttested), attested)
	object := slices.Concat([]byte{0xa3}, cborText("fmt"), cborText("none"), cborText("attStmt"), []byte{0xa0}, cborText("authData"), cborBytes(authData))
	a.keys = append(a.keys, k)
	return a.credential(k, map[string]any{
		"clientDataJSON":    b64(a.clientData("webauthn.create", o.Challenge)),
		"attestationObject": b64(object),
		"transports":        []string{"internal"},
	})
}

// Get answers PublicKeyCredentialRequestOptionsJSON with the first key that
// fits.
func (a *Authenticator) Get(options []byte) ([]byte, error) {
	var o requestOptions
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, fmt.Errorf("passkeypeer: read options: %w", err)
	}
	for _, k := range a.keys {
		if k.rpID != o.RPID || len(o.AllowCredentials) > 0 && !slices.Contains(o.AllowCredentials, descriptor{b64(k.id)}) {
			continue
		}
		return a.sign(k, o.Challenge)
	}
	return nil, ErrNoKey
}

func (a *Authenticator) sign(k *key, challenge string) ([]byte, error) {
	if !a.Stuck && !a.NoCounter {
		k.count++
	}
	authData, clientData := a.authData(k, 0), a.clientData("webauthn.get", challenge)
	hash := sha256.Sum256(clientData)
	digest := sha256.Sum256(slices.Concat(authData, hash[:]))
	signature, err := ecdsa.SignASN1(rand.Reader, k.private, digest[:])
	if err != nil {
		return nil, fmt.Errorf("passkeypeer: sign: %w", err)
	}
	response := map[string]any{"clientDataJSON": b64(clientData), "authenticatorData": b64(authData), "signature": b64(signature)}
	if !a.NoHandle {
		response["userHandle"] = b64(k.handle)
	}
	return a.credential(k, response)
}

func (a *Authenticator) credential(k *key, response map[string]any) ([]byte, error) {
	return json.Marshal(map[string]any{
		"id": b64(k.id), "rawId": b64(k.id), "type": "public-key", "authenticatorAttachment": "platform",
		"clientExtensionResults": map[string]any{}, "response": response,
	})
}

func (a *Authenticator) authData(k *key, flags byte) []byte {
	flags |= flagPresent
	if !a.Unverified {
		flags |= flagVerified
	}
	rp := sha256.Sum256([]byte(k.rpID))
	return binary.BigEndian.AppendUint32(append(rp[:], flags), k.count)
}

func (a *Authenticator) clientData(kind, challenge string) []byte {
	return fmt.Appendf(nil, `{"type":%q,"challenge":%q,"origin":%q,"crossOrigin":false}`, kind, challenge, a.Origin)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// cborBytes writes a byte string of up to 65535 bytes.
func cborBytes(b []byte) []byte { return append(cborHead(0x40, len(b)), b...) }

func cborText(s string) []byte { return append(cborHead(0x60, len(s)), s...) }

func cborHead(major byte, n int) []byte {
	switch {
	case n < 24:
		return []byte{major | byte(n)}
	case n < 256:
		return []byte{major | 24, byte(n)}
	default:
		return binary.BigEndian.AppendUint16([]byte{major | 25}, uint16(n))
	}
}
