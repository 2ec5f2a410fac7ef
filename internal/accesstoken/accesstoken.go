// Package accesstoken mints and reads the access tokens with which a client
// joins a meeting room: a JWT (RFC 7519) signed with HMAC SHA-256 and the
// secret of the API key named in "iss", with the claims of LiveKit's tokens,
// so that stock client SDKs and tools take ours and we take theirs.
//
// It must not know rooms or accounts beyond the claims: a token says who was
// allowed what when it was made, and whoever serves the room asks again.
package accesstoken

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"commsd/identity"
	"commsd/internal/errcode"
)

// Leeway is how far the clocks of the minting and the reading machine may
// differ.
const Leeway = 10 * time.Second

// MaxBytes bounds a token that Parse looks at: tokens travel in a URL.
const MaxBytes = 16 << 10

// VideoGrant says what the holder may do in a room. The permissions that are
// pointers default to granted when absent.
type VideoGrant struct {
	Room                 string   `json:"room,omitempty"`
	RoomJoin             bool     `json:"roomJoin,omitempty"`
	RoomCreate           bool     `json:"roomCreate,omitempty"`
	RoomList             bool     `json:"roomList,omitempty"`
	RoomAdmin            bool     `json:"roomAdmin,omitempty"`
	CanPublish           *bool    `json:"canPublish,omitempty"`
	CanSubscribe         *bool    `json:"canSubscribe,omitempty"`
	CanPublishData       *bool    `json:"canPublishData,omitempty"`    // absent: as CanPublish
	CanPublishSources    []string `json:"canPublishSources,omitempty"` // "camera", "microphone", "screen_share", "screen_share_audio"; empty: all
	CanUpdateOwnMetadata *bool    `json:"canUpdateOwnMetadata,omitempty"`
	Hidden               bool     `json:"hidden,omitempty"`
}

// MayPublish tells whether the holder may send media. Absent means yes, here
// and in MaySubscribe.
func (g VideoGrant) MayPublish() bool { return g.CanPublish == nil || *g.CanPublish }

// MaySubscribe tells whether the holder may receive others' tracks.
func (g VideoGrant) MaySubscribe() bool { return g.CanSubscribe == nil || *g.CanSubscribe }

// MayPublishData tells whether the holder may send data packets. Absent means
// as MayPublish.
func (g VideoGrant) MayPublishData() bool {
	if g.CanPublishData == nil {
		return g.MayPublish()
	}
	return *g.CanPublishData
}

// MayUpdateOwnMetadata tells whether the holder may change its own name,
// metadata and attributes. Absent means no: the name is the directory's.
func (g VideoGrant) MayUpdateOwnMetadata() bool {
	return g.CanUpdateOwnMetadata != nil && *g.CanUpdateOwnMetadata
}

// Claims is what a token says. Key, NotBefore and Expires are set by Parse and
// ignored by Mint.
type Claims struct {
	Key        string // API key whose secret signed the token ("iss")
	Identity   string // of the participant; unique within a room ("sub")
	Name       string
	Metadata   string
	Attributes map[string]string
	Video      VideoGrant

	// Account and Session are private claims of ours: whose end ends the
	// holder's place in the room. Empty in tokens of operators. So is Position,
	// one that was lent to the holder, who came in it; empty for an own one.
	Account  identity.AccountID
	Session  identity.SessionID
	Position identity.PositionID

	NotBefore, Expires time.Time
}

// wire is the JSON form.
type wire struct {
	jwt.RegisteredClaims
	Name       string              `json:"name,omitempty"`
	Metadata   string              `json:"metadata,omitempty"`
	Attributes map[string]string   `json:"attributes,omitempty"`
	Video      *VideoGrant         `json:"video,omitempty"`
	Account    identity.AccountID  `json:"commsd_account,omitempty"`
	Session    identity.SessionID  `json:"commsd_session,omitempty"`
	Position   identity.PositionID `json:"commsd_position,omitempty"`
}

// Mint returns a token for c that holds from now for ttl, signed by the secret
// of the API key.
func Mint(key string, secret []byte, c Claims, ttl time.Duration, now time.Time) (string, error) {
	switch {
	case key == "" || len(secret) == 0:
		return "", errors.New("accesstoken: mint needs a key and its secret")
	case c.Identity == "" && c.Video.RoomJoin:
		return "", errors.New("accesstoken: a token that joins needs an identity")
	case ttl <= 0:
		return "", fmt.Errorf("accesstoken: life of %v", ttl)
	}
	w := wire{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: key, Subject: c.Identity,
			NotBefore: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(ttl)),
		},
		Name: c.Name, Metadata: c.Metadata, Attributes: c.Attributes, Video: &c.Video,
		Account: c.Account, Session: c.Session, Position: c.Position,
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, w).SignedString(secret)
	if err != nil {
		return "", fmt.Errorf("accesstoken: sign: %w", err)
	}
	return token, nil
}

// Parse verifies token with the secret that secret returns for its API key,
// and its times against now. Any fault is an errcode.Unauthenticated error
// whose message is safe to show.
func Parse(token string, secret func(key string) ([]byte, bool), now time.Time) (Claims, error) {
	if token == "" {
		return Claims{}, errcode.New(errcode.Unauthenticated, "access_token is missing")
	}
	if len(token) > MaxBytes {
		return Claims{}, errcode.New(errcode.Unauthenticated, "access_token is too long")
	}
	var w wire
	// The method list is what keeps "none" and key confusion out (RFC 8725, 3.1).
	_, err := jwt.ParseWithClaims(token, &w, func(t *jwt.Token) (any, error) {
		s, ok := secret(w.Issuer)
		if !ok || len(s) == 0 {
			return nil, fmt.Errorf("unknown API key %.64q", w.Issuer)
		}
		return s, nil
	},
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(Leeway),
		jwt.WithTimeFunc(func() time.Time { return now }),
	)
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return Claims{}, errcode.Wrap(err, errcode.Unauthenticated, "access_token has expired")
	case err != nil:
		return Claims{}, errcode.Wrap(err, errcode.Unauthenticated, "access_token is not valid")
	}
	c := Claims{
		Key: w.Issuer, Identity: w.Subject, Name: w.Name, Metadata: w.Metadata,
		Attributes: w.Attributes, Account: w.Account, Session: w.Session, Position: w.Position, Expires: w.ExpiresAt.Time,
	}
	if w.Video != nil {
		c.Video = *w.Video
	}
	if w.NotBefore != nil {
		c.NotBefore = w.NotBefore.Time
	}
	return c, nil
}
