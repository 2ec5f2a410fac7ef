package accesstoken_test

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"commsd/internal/accesstoken"
	"commsd/internal/errcode"
)

var (
	now    = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	secret = []byte("a secret of at least thirty-two bytes")
)

func keys(key string) ([]byte, bool) { return secret, key == "devkey" }

func claims() accesstoken.Claims {
	no := false
	return accesstoken.Claims{
		Identity: "an", Name: "Nguyễn Văn An", Metadata: `{"a":1}`, Attributes: map[string]string{"unit": "Vụ Pháp chế"},
		Video:   accesstoken.VideoGrant{Room: "phong-hop", RoomJoin: true, CanPublish: &no, CanPublishSources: []string{"camera"}},
		Account: "acc", Session: "ses",
	}
}

func TestMintedTokenReadsBack(t *testing.T) {
	token, err := accesstoken.Mint("devkey", secret, claims(), time.Hour, now)
	if err != nil {
		t.Fatal(err)
	}
	got, err := accesstoken.Parse(token, keys, now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	want := claims()
	want.Key, want.NotBefore, want.Expires = "devkey", now, now.Add(time.Hour)
	got.NotBefore, got.Expires = got.NotBefore.UTC(), got.Expires.UTC()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("read back\n%+v, minted\n%+v", got, want)
	}
	if got.Video.MayPublish() || got.Video.MayPublishData() || !got.Video.MaySubscribe() || got.Video.MayUpdateOwnMetadata() {
		t.Fatal("absent permissions got other defaults than LiveKit's")
	}
}

// The names inside are facts of LiveKit's tokens: other tools mint and read them.
func TestWireNames(t *testing.T) {
	token, err := accesstoken.Mint("devkey", secret, claims(), time.Hour, now)
	if err != nil {
		t.Fatal(err)
	}
	body, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	video, _ := got["video"].(map[string]any)
	if got["iss"] != "devkey" || got["sub"] != "an" || got["name"] != "Nguyễn Văn An" || video["room"] != "phong-hop" || video["roomJoin"] != true || video["canPublish"] != false {
		t.Fatalf("claims are %s", body)
	}
}

func TestRefused(t *testing.T) {
	mint := func(key string, s []byte, ttl time.Duration, at time.Time) string {
		token, err := accesstoken.Mint(key, s, claims(), ttl, at)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	good := mint("devkey", secret, time.Hour, now)
	sign := func(m jwt.SigningMethod, key any, c jwt.MapClaims) string {
		token, err := jwt.NewWithClaims(m, c).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	whole := jwt.MapClaims{"iss": "devkey", "sub": "an", "exp": now.Add(time.Hour).Unix(), "video": map[string]any{"roomJoin": true}}
	for name, token := range map[string]string{
		"empty":          "",
		"garbage":        "a.b.c",
		"too long":       strings.Repeat("a", accesstoken.MaxBytes+1),
		"other secret":   mint("devkey", []byte("another secret"), time.Hour, now),
		"unknown key":    mint("otherkey", secret, time.Hour, now),
		"expired":        mint("devkey", secret, time.Minute, now.Add(-time.Hour)),
		"not yet":        mint("devkey", secret, time.Hour, now.Add(time.Minute)),
		"tampered":       good[:len(good)-3] + "AAA",
		"unsigned":       sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, whole),
		"other method":   sign(jwt.SigningMethodHS512, secret, whole),
		"without expiry": sign(jwt.SigningMethodHS256, secret, jwt.MapClaims{"iss": "devkey", "sub": "an"}),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := accesstoken.Parse(token, keys, now)
			if errcode.Of(err) != errcode.Unauthenticated || err == nil {
				t.Fatalf("Parse answers %v", err)
			}
			if !reflect.DeepEqual(c, accesstoken.Claims{}) {
				t.Fatalf("a refused token yields claims %+v", c)
			}
		})
	}
}

func TestClocksMayDiffer(t *testing.T) {
	token, err := accesstoken.Mint("devkey", secret, claims(), time.Minute, now)
	if err != nil {
		t.Fatal(err)
	}
	for at, ok := range map[time.Duration]bool{
		-accesstoken.Leeway: true, -accesstoken.Leeway - time.Second: false,
		time.Minute + accesstoken.Leeway - time.Second: true, time.Minute + accesstoken.Leeway + time.Second: false,
	} {
		if _, err := accesstoken.Parse(token, keys, now.Add(at)); (err == nil) != ok {
			t.Errorf("read %v after minting: %v", at, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	token, err := accesstoken.Mint("devkey", secret, claims(), time.Hour, now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := accesstoken.Parse(s, keys, now)
		if err == nil && c.Key != "devkey" {
			t.Fatalf("accepted a token of key %q", c.Key)
		}
		if err != nil && errcode.Of(err) != errcode.Unauthenticated {
			t.Fatalf("refused with %v", err)
		}
	})
}
