package fold

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Plain brings the text of a name, a title or a form to the one way it is kept:
// NFC, single spaces, the true Đ, and none of the characters that are drawn as
// nothing and that office programs leave behind: two names that look alike are
// alike.
func Plain(s string) string {
	return norm.NFC.String(strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if invisible(r) {
			return -1
		}
		return LookAlike(r)
	}, s)), " "))
}

// invisible tells characters that are drawn as nothing and change nothing
// around them: joiners and the like, the choice of a letter's form, the mark of
// a file's encoding, the place where a word may be broken.
func invisible(r rune) bool {
	switch {
	case r >= '\u200b' && r <= '\u200d', r >= '\u2060' && r <= '\u2064', r == '\ufeff', r == '\u00ad', r == '\u034f':
		return true
	}
	return unicode.Is(unicode.Variation_Selector, r)
}

// Hidden tells characters that have no place in a name: what is not drawn, what
// turns the text around it, and what is drawn by no font but one.
func Hidden(r rune) bool {
	switch r {
	case '\u115f', '\u1160', '\u3164', '\uffa0', '\u2800', unicode.ReplacementChar: // Hangul fillers, the empty Braille cell
		return true
	}
	return invisible(r) || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp)
}

// Mixed tells whether a word of s has letters of the Latin alphabet beside those
// of one that looks like it, as names are forged: "Аn" begins with a Cyrillic
// letter.
func Mixed(s string) bool {
	latin, twin := false, false
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Latin, r):
			latin = true
		case unicode.In(r, unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Cherokee, unicode.Coptic, unicode.Lisu, unicode.Deseret, unicode.Osage):
			twin = true
		case unicode.IsSpace(r):
			latin, twin = false, false
		}
		if latin && twin {
			return true
		}
	}
	return false
}
