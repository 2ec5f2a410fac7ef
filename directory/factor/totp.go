package factor

import (
	"bytes"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/boombuler/barcode/qr"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

// The parameters of RFC 6238 that every authenticator app knows.
const (
	period       = 30 // seconds of a step
	skew         = 1  // steps that a clock may be off, either way
	secretLength = 20 // bytes: the length of an SHA-1 block's output, RFC 4226 section 4 R6
	longestInput = 256
)

// NewSecret makes the shared secret of an authenticator app.
func NewSecret(random io.Reader) ([]byte, error) {
	secret := make([]byte, secretLength)
	if _, err := io.ReadFull(random, secret); err != nil {
		return nil, fmt.Errorf("factor: make a secret: %w", err)
	}
	return secret, nil
}

// SecretText is the secret as a person types it into an app: base32.
func SecretText(secret []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
}

// URI is what the QR code holds: an otpauth address with the installation's
// name and the account's login.
func URI(issuer, login string, secret []byte) (string, error) {
	// A colon parts issuer and account in the label.
	label := func(s string) string { return strings.ReplaceAll(s, ":", " ") }
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: label(issuer), AccountName: label(login), Secret: secret,
		Period: period, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1,
	})
	if err != nil {
		return "", fmt.Errorf("factor: write an otpauth address: %w", err)
	}
	return key.URL(), nil
}

// quiet is the white margin of a QR code in modules (ISO/IEC 18004: four).
const quiet = 4

// QR draws text as a QR code: an SVG image of black on white, which cameras
// read in a dark page too, as a data address.
func QR(text string) (string, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return "", fmt.Errorf("factor: draw a QR code: %w", err)
	}
	size := code.Bounds().Dx()
	var path bytes.Buffer
	for y := range size {
		for x := 0; x < size; x++ {
			from := x
			for x < size && dark(code.At(x, y).RGBA()) {
				x++
			}
			if x > from {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", from+quiet, y+quiet, x-from, x-from)
			}
		}
	}
	svg := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[1]d" shape-rendering="crispEdges">`+
		`<path fill="#fff" d="M0 0h%[1]dv%[1]dH0z"/><path d="%[2]s"/></svg>`, size+2*quiet, path.String())
	return "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(svg)), nil
}

func dark(r, _, _, _ uint32) bool { return r < 0x8000 }

// Code reads a code as people type it, "123 456", and answers its six digits.
func Code(input string) (string, bool) {
	code, ok := squeeze(input, longestInput)
	if !ok || len(code) != otp.DigitsSix.Length() {
		return "", false
	}
	for _, c := range []byte(code) {
		if c < '0' || c > '9' {
			return "", false
		}
	}
	return code, true
}

// MatchTOTP finds the step whose code was typed: the one of now, or one to
// either side, and only a step after the last that was accepted, so that no code
// passes twice (RFC 6238 section 5.2). The caller stores the step.
func MatchTOTP(secret []byte, input string, now time.Time, last int64) (step int64, ok bool) {
	code, ok := Code(input)
	if !ok {
		return 0, false
	}
	text, current := SecretText(secret), now.Unix()/period
	found := int64(-1)
	for step := max(0, current-skew); step <= current+skew; step++ {
		want, err := hotp.GenerateCode(text, uint64(step))
		// All steps are computed whatever matches, so that time tells nothing.
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && step > last && found < 0 {
			found = step
		}
	}
	return found, found >= 0
}
