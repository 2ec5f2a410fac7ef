package searchkey

import (
	"strings"
	"unicode/utf8"

	"commsd/internal/fold"
)

// The letters of the alphabet in its order, each vowel with its tones in the
// order of dictionaries: ngang, huyền, hỏi, ngã, sắc, nặng.
const letters = "aàảãáạăằẳẵắặâầẩẫấậbcdđeèẻẽéẹêềểễếệfghiìỉĩíịjklmnoòỏõóọôồổỗốộơờởỡớợpqrstuùủũúụưừửữứựvwxyỳỷỹýỵz"

// firstLetter is the code of a. The codes end before 0xc2, where the bytes of
// other scripts begin, so that no code is mistaken for a part of theirs.
const firstLetter = 0x41

var codes = func() map[rune]byte {
	m := map[rune]byte{}
	code := byte(firstLetter)
	for _, r := range letters {
		m[r] = code
		code++
	}
	return m
}()

// Order encodes words so that bytes compare as the Vietnamese alphabet orders
// and still tell every letter and tone apart, one byte a letter. A space stands
// before each word, so that " " and the code of a beginning find a word.
// Letters of no Vietnamese word keep their UTF-8 and sort behind z.
func Order(words []fold.Word) []byte {
	var out []byte
	for _, w := range words {
		out = append(append(out, ' '), encode(w.Marked)...)
	}
	return out
}

func encode(marked string) []byte {
	out := make([]byte, 0, len(marked))
	for _, r := range marked {
		switch code, ok := codes[r]; {
		case ok:
			out = append(out, code)
		case r >= '0' && r <= '9' || r >= utf8.RuneSelf:
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, '!') // no word of a name holds it
		}
	}
	return out
}

// hasMarks tells whether w was written with marks, which then count.
func hasMarks(w fold.Word) bool { return w.Marked != w.Folded && !strings.Contains(w.Folded, "@") }
