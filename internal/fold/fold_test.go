package fold_test

import (
	"slices"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"commsd/internal/fold"
)

func TestString(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"Đức", "duc"},
		{"ĐỨC", "duc"},
		{norm.NFD.String("Đức"), "duc"},
		{"Ðức", "duc"}, // U+00D0, the look-alike
		{"ðức", "duc"},
		{"Hà Nội", "ha noi"},
		{"Nguyễn Thị Thuỳ Dương", "nguyen thi thuy duong"},
		{"Ươm ướt ỡ ợ Ỷ", "uom uot o o y"},
		{"NGUYEN", "nguyen"},
		{"İstanbul", "istanbul"},
		{"\xffa", "\uFFFDa"},
	} {
		if got := fold.String(c.in); got != c.want {
			t.Errorf("String(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

// Every letter of the Vietnamese alphabet with every tone, both cases, composed
// and decomposed, folds to its plain letter.
func TestStringWholeAlphabet(t *testing.T) {
	tones := []string{"", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323"}
	for plain, vowels := range map[string]string{"a": "aăâAĂÂ", "e": "eêEÊ", "i": "iI", "o": "oôơOÔƠ", "u": "uưUƯ", "y": "yY", "d": "dđDĐ"} {
		for _, v := range vowels {
			for _, tone := range tones {
				s := string(v) + tone
				for _, form := range []string{norm.NFC.String(s), norm.NFD.String(s)} {
					if got := fold.String(form); got != plain {
						t.Errorf("String(%q) = %q, want %q", form, got, plain)
					}
				}
			}
		}
	}
}

func TestMarked(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Đức", "đức"},
		{"Ðức", "đức"},
		{norm.NFD.String("ĐỨC"), "đức"},
		{"Duc", "duc"},
	} {
		if got := fold.Marked(c.in); got != c.want {
			t.Errorf("Marked(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"", nil},
		{"  Nguyễn   Văn An ", []string{"nguyen", "van", "an"}},
		{"H'Hen Niê", []string{"h", "hen", "nie"}},
		{"Tổ chức - Hành chính, (2)", []string{"to", "chuc", "hanh", "chinh", "2"}},
		{"An <an@noivu.g2g.example>", []string{"an", "an@noivu.g2g.example"}},
		{norm.NFD.String("Đức"), []string{"duc"}},
		{"\u0301", nil},
	} {
		var got []string
		for _, w := range fold.Words(c.in) {
			got = append(got, w.Folded)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("Words(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzString(f *testing.F) {
	for _, s := range []string{"Đức", "Ðức", "a\u0301\u0323", "İ", "\xff\xc3", "한글", "ẞß", "ﬁ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := fold.String(s)
		if again := fold.String(got); again != got {
			t.Errorf("String is not idempotent on %q: %q, then %q", s, got, again)
		}
		if !utf8.ValidString(got) {
			t.Errorf("String(%q) = %q is not UTF-8", s, got)
		}
		if utf8.ValidString(s) {
			if d := fold.String(norm.NFD.String(s)); d != got {
				t.Errorf("String differs by normal form: %q for NFC, %q for NFD of %q", got, d, s)
			}
		}
		marked := fold.Marked(s)
		if again := fold.Marked(marked); again != marked {
			t.Errorf("Marked is not idempotent on %q: %q, then %q", s, marked, again)
		}
		if fold.String(marked) != got {
			t.Errorf("a marked word folds differently: %q, %q from %q", fold.String(marked), got, s)
		}
		for _, w := range fold.Words(s) {
			if w.Folded == "" || fold.String(w.Marked) != w.Folded {
				t.Errorf("Words(%q) holds %+v", s, w)
			}
			for _, r := range w.Folded {
				if unicode.IsSpace(r) {
					t.Errorf("Words(%q) holds a word with a space: %q", s, w.Folded)
				}
			}
		}
	})
}
