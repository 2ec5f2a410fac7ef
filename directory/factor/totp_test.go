package factor_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	"commsd/directory/factor"
)

// The test vectors of RFC 6238, appendix B, by their last six digits.
func TestVectors(t *testing.T) {
	secret := []byte("12345678901234567890")
	for at, code := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471",
		1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		step, ok := factor.MatchTOTP(secret, code, time.Unix(at, 0), 0)
		if !ok || step != at/30 {
			t.Errorf("%d: step %d, %v", at, step, ok)
		}
	}
}

func TestStepsAreTakenOnce(t *testing.T) {
	secret := []byte("12345678901234567890")
	now := time.Unix(1111111111, 0) // step 37037037; 081804 is the code of the step before
	for _, c := range []struct {
		code string
		now  time.Time
		last int64
		step int64
		ok   bool
	}{
		{"050471", now, 0, 37037037, true},
		{"050471", now, 37037036, 37037037, true},
		{"050471", now, 37037037, 0, false}, // the same again
		{"050471", now, 37037038, 0, false}, // older than what was taken
		{"081804", now, 0, 37037036, true},  // the step before
		{"081804", now, 37037036, 0, false},
		{"050471", now.Add(30 * time.Second), 0, 37037037, true},
		{"050471", now.Add(-30 * time.Second), 0, 37037037, true}, // a clock that is fast
		{"050471", now.Add(60 * time.Second), 0, 0, false},
		{"050471", now.Add(-60 * time.Second), 0, 0, false},
		{"050472", now, 0, 0, false},
		{" 050 471 ", now, 0, 37037037, true},
		{"050-471", now, 0, 37037037, true},
		{"50471", now, 0, 0, false},
		{"0050471", now, 0, 0, false},
		{"０５０４７１", now, 0, 0, false},
		{"", now, 0, 0, false},
		{strings.Repeat(" ", 1000) + "050471", now, 0, 0, false},
	} {
		step, ok := factor.MatchTOTP(secret, c.code, c.now, c.last)
		if ok != c.ok || ok && step != c.step {
			t.Errorf("%q at %v after %d: %d, %v", c.code, c.now.Unix(), c.last, step, ok)
		}
	}
}

func TestURI(t *testing.T) {
	secret, err := factor.NewSecret(rand.Reader)
	if err != nil || len(secret) != 20 {
		t.Fatal(len(secret), err)
	}
	text, err := factor.URI("Bộ Nội vụ: G2G", "an@noivu.g2g.example", secret)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Bộ Nội vụ  G2G:an@noivu.g2g.example" || q.Get("issuer") != "Bộ Nội vụ  G2G" ||
		q.Get("secret") != factor.SecretText(secret) || q.Get("digits") != "6" || q.Get("period") != "30" {
		t.Errorf("%s", text)
	}
	if strings.ContainsAny(text, " +") {
		t.Errorf("apps do not read %q", text) // Google's shows a plus as it is
	}
}

func TestQR(t *testing.T) {
	image, err := factor.QR("otpauth://totp/G2G:an@noivu.g2g.example?secret=JBSWY3DPEHPK3PXP&issuer=G2G")
	if err != nil {
		t.Fatal(err)
	}
	data, ok := strings.CutPrefix(image, "data:image/svg+xml;base64,")
	svg, err := base64.StdEncoding.DecodeString(data)
	if !ok || err != nil {
		t.Fatal(image, err)
	}
	// 37 modules and four of margin on each side; the finder begins with seven
	// dark ones.
	if !bytes.HasPrefix(svg, []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 45 45"`)) || !bytes.Contains(svg, []byte("M4 4h7v1h-7z")) {
		t.Errorf("%s", svg)
	}
	if _, err := factor.QR(strings.Repeat("x", 5000)); err == nil {
		t.Error("drew what no QR code holds")
	}
}

func TestRecoveryCodes(t *testing.T) {
	codes, err := factor.NewRecoveryCodes(rand.Reader)
	if err != nil || len(codes) != 10 {
		t.Fatal(codes, err)
	}
	seen := map[string]bool{}
	for _, code := range codes {
		if len(code) != 29 || strings.Count(code, "-") != 5 {
			t.Errorf("code %q", code)
		}
		hash, ok := factor.HashRecoveryCode("account", code)
		if !ok || len(hash) != 32 || seen[string(hash)] {
			t.Errorf("%q: %x, %v", code, hash, ok)
		}
		seen[string(hash)] = true
		for _, typed := range []string{strings.ToUpper(code), strings.ReplaceAll(code, "-", ""), " " + strings.ReplaceAll(code, "-", " ") + "\n",
			strings.ReplaceAll(code, "0", "O"), strings.ReplaceAll(code, "1", "l")} {
			if same, ok := factor.HashRecoveryCode("account", typed); !ok || !bytes.Equal(same, hash) {
				t.Errorf("%q is not read as %q", typed, code)
			}
		}
		if other, ok := factor.HashRecoveryCode("another", code); !ok || bytes.Equal(other, hash) {
			t.Error("the hash of another account is the same")
		}
	}
	for _, bad := range []string{"", "x", codes[0] + "0", codes[0][1:], strings.Repeat("u", 24), strings.Repeat("ă", 24), strings.Repeat("-", 300)} {
		if _, ok := factor.HashRecoveryCode("account", bad); ok {
			t.Errorf("%q is a code", bad)
		}
	}
}

func TestNoRandomness(t *testing.T) {
	if _, err := factor.NewSecret(strings.NewReader("short")); err == nil {
		t.Error("a secret out of nothing")
	}
	if _, err := factor.NewRecoveryCodes(strings.NewReader("short")); err == nil {
		t.Error("codes out of nothing")
	}
}

// What is typed never matches but in the one form, and never panics.
func FuzzCodes(f *testing.F) {
	secret, now := []byte("12345678901234567890"), time.Unix(1111111111, 0)
	f.Add("050471")
	f.Add("0o1i-l000 0000\u00a00000.0000-0000")
	f.Add("\xff\xfe")
	f.Fuzz(func(t *testing.T, input string) {
		code, isCode := factor.Code(input)
		if isCode && len(code) != 6 {
			t.Errorf("%q gives %q", input, code)
		}
		if _, ok := factor.MatchTOTP(secret, input, now, 0); ok && code != "050471" && code != "081804" && code != codeAfter {
			t.Errorf("%q matched", input)
		}
		if hash, ok := factor.HashRecoveryCode("account", input); ok {
			if again, ok := factor.HashRecoveryCode("account", strings.ToUpper(input)); ok && !bytes.Equal(hash, again) {
				t.Errorf("%q in capitals is another code", input)
			}
		}
	})
}

// codeAfter is the code of the step after 1111111111: 37037038.
const codeAfter = "266759"
