// Package factor knows the second factors of a sign-in: time-based codes
// (TOTP, RFC 6238), recovery codes, and passkeys (WebAuthn level 3).
//
// It is pure computation on what it is handed. It must not know the database,
// accounts, sessions or HTTP: whoever calls it stores what it returns, and sees
// to it that a step, a code and a challenge are taken once.
package factor

import (
	"errors"
	"strings"
	"unicode"
)

// ErrRefused is a factor that is malformed or not the right one. Its text says
// why, for the log; the person at the other end is told no more than that it
// was wrong.
var ErrRefused = errors.New("factor: refused")

// squeeze removes what people type between groups of a code: blanks of any
// kind, hyphens, dots. It gives up on text longer than longest bytes.
func squeeze(s string, longest int) (string, bool) {
	if len(s) > longest {
		return "", false
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || strings.ContainsRune("-.–‑", r) {
			return -1
		}
		return r
	}, s), true
}
