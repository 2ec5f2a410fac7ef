package fold_test

import (
	"testing"

	"commsd/internal/fold"
)

func TestBlank(t *testing.T) {
	for _, s := range []string{"", " \t\n", "\u200b\u200b", "\u3164", "\u0301\u0302", "\u00a0\u2060\ufeff", "\u2800"} {
		if !fold.Blank(s) {
			t.Errorf("%q can be seen, it is said", s)
		}
	}
	for _, s := range []string{"a", " Đ ", "e\u0301", ".", "🙂", "\u200bx", "漢", "١"} {
		if fold.Blank(s) {
			t.Errorf("%q cannot be seen, it is said", s)
		}
	}
}
