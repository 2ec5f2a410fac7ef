// Package fold brings text to the form that people search by: without marks,
// without case, with đ as d, so that "duc" finds "Đức". Stored columns and
// queries go through the same functions, on every engine; no database's own
// folding knows Vietnamese.
//
// It must not know what is searched.
package fold

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// String folds s: NFC, đ and its look-alikes to d, marks stripped, lower case.
// String(String(s)) == String(s) for every s. Bytes that are not UTF-8 become
// U+FFFD.
func String(s string) string {
	if s, ok := ascii(s); ok {
		return s
	}
	s = norm.NFC.String(strings.ToValidUTF8(s, string(utf8.RuneError)))
	s = strings.Map(stroke, s)
	s = strip(s)
	// A few capitals have a lower case that decomposes where they did not.
	s = strip(strings.ToLower(s))
	return norm.NFC.String(s)
}

// Marked brings s to the form in which marks still count: NFC, lower case, with
// the look-alikes of đ as đ. It ranks hits: who types "Đức" means Đức, not Dục.
func Marked(s string) string {
	if s, ok := ascii(s); ok {
		return s
	}
	s = norm.NFC.String(strings.ToValidUTF8(s, string(utf8.RuneError)))
	return norm.NFC.String(strings.ToLower(strings.Map(LookAlike, s)))
}

// LookAlike maps the letters that look like Đ and đ but are not (the Icelandic
// eth and the African d, which some keyboards and old fonts produce) to Đ and
// đ, and every other letter to itself. It is meant for Vietnamese words.
func LookAlike(r rune) rune {
	switch r {
	case 'Ð', 'Ɖ': // U+00D0, U+0189
		return 'Đ' // U+0110
	case 'ð', 'ɖ': // U+00F0, U+0256
		return 'đ' // U+0111
	}
	return r
}

// Word is one word of a name or a query.
type Word struct {
	Folded string // for finding
	Marked string // for ranking
}

// Words splits s into words: runs of letters and digits, or, where a run
// between spaces holds an @, that whole run, so that a mail address is found
// from its beginning and its domain does not answer for a name. Words whose
// folded form is empty are left out.
func Words(s string) []Word {
	s = norm.NFC.String(strings.ToValidUTF8(s, string(utf8.RuneError)))
	var words []Word
	add := func(w string) {
		if f := String(w); f != "" {
			words = append(words, Word{Folded: f, Marked: Marked(w)})
		}
	}
	for _, field := range strings.Fields(s) {
		if strings.Contains(field, "@") {
			add(strings.Trim(field, "<>()[]\"',;:"))
			continue
		}
		for _, w := range strings.FieldsFunc(field, func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.M, r)
		}) {
			add(w)
		}
	}
	return words
}

func stroke(r rune) rune {
	switch LookAlike(r) {
	case 'Đ', 'đ':
		return 'd'
	}
	return r
}

func strip(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(s))
}

// ascii is the short way for what most queries are.
func ascii(s string) (string, bool) {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return "", false
		}
	}
	return strings.ToLower(s), true
}
