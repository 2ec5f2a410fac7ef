package turn

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// maxUsername is of RFC 8489, 14.3, in bytes.
const maxUsername = 508

// ICEServer is what a client is told: where to relay, and as whom.
type ICEServer struct {
	URLs                 []string
	Username, Credential string
}

// Credential makes an ICEServer for user, who may relay for the time of
// Limits.CredentialLifetime and as long as Alive says so. node names the node
// that Alive says so on, for other nodes; it is empty where there are none.
func (s *Server) Credential(user, node string) ICEServer {
	until := s.now().Add(s.cfg.Limits.CredentialLifetime).Unix()
	name := strconv.FormatInt(until, 10) + ":" + user
	if node != "" {
		name += "@" + node
	}
	return ICEServer{URLs: s.cfg.URLs, Username: name, Credential: Password(s.cfg.Secret, name)}
}

// Password is the password of a name of the form "until:user" or
// "until:user@node", where until is in seconds since 1970.
func Password(secret []byte, name string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(name))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// user reads a name. It answers false for one that has expired or never was
// one of ours.
func user(name string, now time.Time) (user, node string, ok bool) {
	until, rest, _ := strings.Cut(name, ":")
	user, node, _ = strings.Cut(rest, "@")
	if user == "" || len(name) > maxUsername {
		return "", "", false
	}
	seconds, err := strconv.ParseInt(until, 10, 64)
	return user, node, err == nil && now.Unix() < seconds
}

// A nonce is the time it was made at and a MAC of that and of the address it
// was made for, so that nothing is kept for those who have not authenticated.
// All nodes sign alike: a client may be handed on after it got one.
const (
	nonceLife = time.Hour // RFC 8656, 5
	nonceMAC  = 16
)

func nonceKey(secret []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("nonce")) // no name of a credential, which has a colon
	return mac.Sum(nil)
}

func (s *Server) nonce(client netip.Addr) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(s.now().Unix()))
	return base64.RawURLEncoding.EncodeToString(s.signNonce(raw, client))
}

func (s *Server) signNonce(at []byte, client netip.Addr) []byte {
	mac := hmac.New(sha256.New, s.nonceKey)
	mac.Write(at)
	addr := client.As16()
	mac.Write(addr[:])
	return append(at, mac.Sum(nil)[:nonceMAC]...)
}

func (s *Server) nonceHolds(nonce string, client netip.Addr) bool {
	raw, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(raw) != 8+nonceMAC {
		return false
	}
	made := time.Unix(int64(binary.BigEndian.Uint64(raw)), 0)
	return hmac.Equal(raw, s.signNonce(raw[:8:8], client)) && s.now().Sub(made).Abs() < nonceLife
}
