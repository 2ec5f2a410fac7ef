package meeting

import (
	"crypto/rand"
	"strings"
)

// idAlphabet has 32 signs that survive being read aloud and typed: Crockford's
// base 32, without i, l, o and u.
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

const (
	idSigns = 20 // 100 random bits: the id alone lets a signed-in person in, so nobody may guess it
	idGroup = 4
)

// newID returns a fresh id such as "k3xq-9mtb-r2vd-h7cw-p4na".
func newID() string {
	var random [idSigns]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the process rather than return weak bytes
	var b strings.Builder
	for i, r := range random {
		if i > 0 && i%idGroup == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(idAlphabet[int(r)%len(idAlphabet)]) // 256 is a multiple of 32: no sign is likelier
	}
	return b.String()
}

// parseID takes an id as a person may have typed it, and answers "" for what
// cannot be one, so that no such text reaches the database or a log.
func parseID(typed string) string {
	if len(typed) > 2*idSigns {
		return ""
	}
	var b strings.Builder
	n := 0
	for _, r := range strings.ToLower(typed) {
		switch r {
		case '-', ' ':
			continue
		case 'o':
			r = '0'
		case 'i', 'l':
			r = '1'
		}
		if !strings.ContainsRune(idAlphabet, r) || n == idSigns {
			return ""
		}
		if n > 0 && n%idGroup == 0 {
			b.WriteByte('-')
		}
		b.WriteRune(r)
		n++
	}
	if n != idSigns {
		return ""
	}
	return b.String()
}
