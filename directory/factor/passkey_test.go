package factor_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"commsd/directory/factor"
	"commsd/internal/testpeer/passkeypeer"
)

const site = "https://comms.example:8443"

func newSite(t testing.TB) *factor.RelyingParty {
	t.Helper()
	rp, err := factor.NewRelyingParty(site, "G2G")
	if err != nil {
		t.Fatal(err)
	}
	return rp
}

func holder() factor.Holder {
	return factor.Holder{Handle: []byte("handle-of-an-acc"), Login: "an@noivu.g2g.example", Name: "Nguyễn Văn An"}
}

// register makes a passkey of h with a.
func register(t testing.TB, rp *factor.RelyingParty, h factor.Holder, a *passkeypeer.Authenticator) (factor.Passkey, error) {
	t.Helper()
	c, err := rp.BeginRegistration(h)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := a.Create(c.Options)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := factor.ParseRegistration(answer)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(parsed.Challenge, c.Challenge) {
		t.Fatal("the answer is not to this challenge")
	}
	return rp.Register(h, parsed)
}

func assert(t testing.TB, rp *factor.RelyingParty, h factor.Holder, a *passkeypeer.Authenticator, c factor.Ceremony) (factor.Passkey, bool, error) {
	t.Helper()
	answer, err := a.Get(c.Options)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := factor.ParseAssertion(answer)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(parsed.Challenge, c.Challenge) {
		t.Fatal("the answer is not to this challenge")
	}
	return rp.Assert(h, parsed)
}

func begin(t testing.TB, c factor.Ceremony, err error) factor.Ceremony {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPasskeyRoundTrip(t *testing.T) {
	rp, h, a := newSite(t), holder(), passkeypeer.New(site)
	key, err := register(t, rp, h, a)
	if err != nil {
		t.Fatal(err)
	}
	if len(key.Credential) == 0 || len(key.PublicKey) == 0 || len(key.Transports) != 1 {
		t.Errorf("registered %+v", key)
	}
	h.Passkeys = []factor.Passkey{key}

	c, err := rp.BeginSignIn()
	c = begin(t, c, err)
	signed, cloned, err := assert(t, rp, h, a, c)
	if err != nil || cloned || signed.SignCount != 1 || !bytes.Equal(signed.PublicKey, key.PublicKey) {
		t.Fatalf("signed in as %+v, cloned %v, %v", signed, cloned, err)
	}
	h.Passkeys[0] = signed

	a.NoHandle = true // a key that is no passkey still serves as a second factor
	c, err = rp.BeginAssertion(h)
	c = begin(t, c, err)
	if signed, _, err = assert(t, rp, h, a, c); err != nil || signed.SignCount != 2 {
		t.Fatalf("second factor: %+v, %v", signed, err)
	}
	h.Passkeys[0] = signed

	a.Stuck = true
	c, err = rp.BeginAssertion(h)
	c = begin(t, c, err)
	if _, cloned, err = assert(t, rp, h, a, c); err != nil || !cloned {
		t.Errorf("a counter that stands still: cloned %v, %v", cloned, err)
	}
}

func TestOptions(t *testing.T) {
	rp, h, a := newSite(t), holder(), passkeypeer.New(site)
	key, err := register(t, rp, h, a)
	if err != nil {
		t.Fatal(err)
	}
	h.Passkeys = []factor.Passkey{key}
	c, err := rp.BeginRegistration(h)
	c = begin(t, c, err)
	var creation struct {
		RP                     struct{ ID, Name string }
		AuthenticatorSelection struct{ ResidentKey, UserVerification string }
		Attestation            string
		ExcludeCredentials     []json.RawMessage
		Timeout                int
	}
	if err := json.Unmarshal(c.Options, &creation); err != nil {
		t.Fatal(err)
	}
	if creation.RP.ID != "comms.example" || creation.RP.Name != "G2G" || creation.AuthenticatorSelection.ResidentKey != "preferred" ||
		creation.AuthenticatorSelection.UserVerification != "required" || creation.Attestation != "none" || len(creation.ExcludeCredentials) != 1 || creation.Timeout != 300_000 {
		t.Errorf("%s", c.Options)
	}
	if _, err := a.Create(c.Options); !errors.Is(err, passkeypeer.ErrExcluded) {
		t.Errorf("the same authenticator twice: %v", err)
	}
	c, err = rp.BeginSignIn()
	c = begin(t, c, err)
	if strings.Contains(string(c.Options), "allowCredentials") || !strings.Contains(string(c.Options), `"userVerification":"required"`) {
		t.Errorf("%s", c.Options)
	}
	again, err := rp.BeginSignIn()
	if again = begin(t, again, err); bytes.Equal(again.Challenge, c.Challenge) || len(c.Challenge) != 32 {
		t.Error("challenges repeat")
	}
}

func TestRefusedPasskeys(t *testing.T) {
	for name, c := range map[string]struct {
		register func(*passkeypeer.Authenticator) // before the registration
		assert   func(*passkeypeer.Authenticator) // after it
		holder   func(*factor.Holder)
	}{
		"another origin registers":    {register: func(a *passkeypeer.Authenticator) { a.Origin = "https://comms.example.evil" }},
		"another port registers":      {register: func(a *passkeypeer.Authenticator) { a.Origin = "https://comms.example" }},
		"unverified person registers": {register: func(a *passkeypeer.Authenticator) { a.Unverified = true }},
		"another origin":              {assert: func(a *passkeypeer.Authenticator) { a.Origin = "http://comms.example:8443" }},
		"unverified person":           {assert: func(a *passkeypeer.Authenticator) { a.Unverified = true }},
		"another's account":           {holder: func(h *factor.Holder) { h.Handle = []byte("another-handle-1") }},
		"removed key":                 {holder: func(h *factor.Holder) { h.Passkeys = nil }},
		"another's key": {holder: func(h *factor.Holder) {
			h.Passkeys[0].PublicKey = bytes.Clone(h.Passkeys[0].PublicKey)
			h.Passkeys[0].PublicKey[20] ^= 1
		}},
	} {
		t.Run(name, func(t *testing.T) {
			rp, h, a := newSite(t), holder(), passkeypeer.New(site)
			if c.register != nil {
				c.register(a)
				if _, err := register(t, rp, h, a); !errors.Is(err, factor.ErrRefused) {
					t.Errorf("registered: %v", err)
				}
				return
			}
			key, err := register(t, rp, h, a)
			if err != nil {
				t.Fatal(err)
			}
			h.Passkeys = []factor.Passkey{key}
			if c.assert != nil {
				c.assert(a)
			}
			if c.holder != nil {
				c.holder(&h)
			}
			options, err := rp.BeginSignIn()
			if _, _, err := assert(t, rp, h, a, begin(t, options, err)); !errors.Is(err, factor.ErrRefused) {
				t.Errorf("signed in: %v", err)
			}
		})
	}
}

// The challenge that is checked is the one the caller recognised: an answer
// whose client data was changed afterwards does not pass.
func TestAnswerToAnotherChallenge(t *testing.T) {
	rp, h, a := newSite(t), holder(), passkeypeer.New(site)
	key, err := register(t, rp, h, a)
	if err != nil {
		t.Fatal(err)
	}
	h.Passkeys = []factor.Passkey{key}
	first, err := rp.BeginSignIn()
	answer, err2 := a.Get(begin(t, first, err).Options)
	parsed, err3 := factor.ParseAssertion(answer)
	if err := errors.Join(err2, err3); err != nil {
		t.Fatal(err)
	}
	second, err := rp.BeginSignIn()
	parsed.Challenge = begin(t, second, err).Challenge
	if _, _, err := rp.Assert(h, parsed); !errors.Is(err, factor.ErrRefused) {
		t.Errorf("an answer to another challenge: %v", err)
	}
}

func TestSitesWithoutPasskeys(t *testing.T) {
	for _, address := range []string{"", "https://192.0.2.7", "http://[::1]:8080", "not an address"} {
		if _, err := factor.NewRelyingParty(address, "G2G"); err == nil {
			t.Errorf("%q has passkeys", address)
		}
	}
	if _, err := factor.NewRelyingParty("http://localhost:8080", "G2G"); err != nil {
		t.Error(err)
	}
}

// Whatever a browser sends, parsing it ends in a value or in ErrRefused, and
// nothing but a signature passes.
func FuzzCredential(f *testing.F) {
	rp, h, a := newSite(f), holder(), passkeypeer.New(site)
	c, err := rp.BeginRegistration(h)
	created, err2 := a.Create(begin(f, c, err).Options)
	parsed, err3 := factor.ParseRegistration(created)
	if err := errors.Join(err2, err3); err != nil {
		f.Fatal(err)
	}
	key, err := rp.Register(h, parsed)
	if err != nil {
		f.Fatal(err)
	}
	h.Passkeys = []factor.Passkey{key}
	c, err = rp.BeginSignIn()
	signed, err2 := a.Get(begin(f, c, err).Options)
	if err2 != nil {
		f.Fatal(err2)
	}
	// The seeds are answered for another holder, so that nothing passes.
	h.Handle = []byte("another-handle-1")
	f.Add(created)
	f.Add(signed)
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AA","signature":"AA"}}`))
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"oA"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if r, err := factor.ParseRegistration(text); err == nil {
			if _, err := rp.Register(factor.Holder{Handle: []byte("x")}, r); err != nil && !errors.Is(err, factor.ErrRefused) {
				t.Errorf("register: %v", err)
			}
		} else if !errors.Is(err, factor.ErrRefused) {
			t.Errorf("parse a registration: %v", err)
		}
		if r, err := factor.ParseAssertion(text); err == nil {
			// A seed without its handle would pass: it is signed.
			if _, _, err := rp.Assert(h, r); err == nil && len(r.Handle) > 0 {
				t.Error("an answer for another account passed")
			} else if err != nil && !errors.Is(err, factor.ErrRefused) {
				t.Errorf("assert: %v", err)
			}
		} else if !errors.Is(err, factor.ErrRefused) {
			t.Errorf("parse an assertion: %v", err)
		}
	})
}
