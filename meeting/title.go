package meeting

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"commsd/internal/errcode"
	"commsd/internal/fold"
)

// cleanTitle trims a title, composes its marks (NFC) and folds runs of spaces,
// or says what is wrong with it.
func cleanTitle(title string) (string, error) {
	if !utf8.ValidString(title) {
		return "", errcode.New(errcode.Invalid, "the title is not valid UTF-8 text")
	}
	for _, r := range title {
		// Cf holds the marks that turn text around: a title could read as
		// something else than it says. The joiners are ordinary text.
		if unicode.IsControl(r) || (unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d') || r == '\u2028' || r == '\u2029' {
			return "", errcode.New(errcode.Invalid, "the title has a control character (%U); write it on one line, without it", r)
		}
	}
	title = norm.NFC.String(strings.Join(strings.Fields(title), " "))
	if fold.Blank(title) {
		return "", errcode.New(errcode.Invalid, "the title is empty; name the meeting")
	}
	if n := utf8.RuneCountInString(title); n > MaxTitle {
		return "", errcode.New(errcode.Invalid, "the title has %d characters; at most %d are allowed", n, MaxTitle)
	}
	return title, nil
}
