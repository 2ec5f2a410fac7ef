package fold

import "unicode"

// Blank tells whether nothing of s can be seen: spaces, marks without a letter,
// characters of formatting, and the letters that are drawn as nothing.
func Blank(s string) bool {
	for _, r := range s {
		switch r {
		case '\u115f', '\u1160', '\u3164', '\uffa0', '\u2800': // Hangul fillers, the empty Braille cell
			continue
		}
		if !unicode.Is(unicode.C, r) && !unicode.Is(unicode.Z, r) && !unicode.Is(unicode.M, r) {
			return false
		}
	}
	return true
}
