package factor

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"io"
	"strings"
)

// RecoveryCodes is how many codes are made at once.
const RecoveryCodes = 10

// A recovery code is 24 characters in groups of four: 120 bits. From 112 bits
// on a plain hash is enough to store it (OWASP ASVS 5.0, 6.5.2).
const (
	recoveryBytes = 15
	recoveryChars = 24
	recoveryGroup = 4
)

// The letters leave out i, l, o and u, which are misread or make words; what is
// misread for a digit is taken as the digit.
var (
	recoveryCoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)
	misread        = strings.NewReplacer("o", "0", "i", "1", "l", "1")
)

// NewRecoveryCodes makes a set of codes as they are shown and printed.
func NewRecoveryCodes(random io.Reader) ([]string, error) {
	codes := make([]string, RecoveryCodes)
	for i := range codes {
		raw := make([]byte, recoveryBytes)
		if _, err := io.ReadFull(random, raw); err != nil {
			return nil, fmt.Errorf("factor: make a recovery code: %w", err)
		}
		text := recoveryCoding.EncodeToString(raw)
		var groups []string
		for len(text) > 0 {
			groups, text = append(groups, text[:recoveryGroup]), text[recoveryGroup:]
		}
		codes[i] = strings.Join(groups, "-")
	}
	return codes, nil
}

// HashRecoveryCode reads a code as people type it, in any case and grouping, and
// answers what is stored of it: SHA-256 of the account and the code. It answers
// false for what cannot be a code.
func HashRecoveryCode(account, input string) ([]byte, bool) {
	code, ok := squeeze(input, longestInput)
	code = misread.Replace(strings.ToLower(code))
	if !ok || len(code) != recoveryChars {
		return nil, false
	}
	raw, err := recoveryCoding.DecodeString(code)
	if err != nil || len(raw) != recoveryBytes {
		return nil, false // a line break counts as length, yet the decoder skips it
	}
	hash := sha256.Sum256(append([]byte("recovery code\x00"+account+"\x00"), raw...))
	return hash[:], true
}
