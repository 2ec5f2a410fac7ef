package fold_test

import (
	"testing"

	"commsd/internal/fold"
)

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"  Lê   Thị\tAn ":        "Lê Thị An",
		"A\u0302n":               "Ân",
		"Ðức":                    "Đức",
		"A\u200bn\ufeff":         "An",
		"Vụ\u00ad Tổ\u2060 chức": "Vụ Tổ chức",
		"\u200b \u200b":          "",
		"An\U000e0100\ufe0f":     "An",
		"Phó Giám đốc, Sở Nội vụ №1": "Phó Giám đốc, Sở Nội vụ №1",
	} {
		if got := fold.Plain(in); got != want {
			t.Errorf("%q becomes %q, not %q", in, got, want)
		}
		if again := fold.Plain(want); again != want {
			t.Errorf("%q becomes %q", want, again)
		}
	}
}

func TestHidden(t *testing.T) {
	for _, r := range "\u202e\u2066\u200e\u200b\x00\n\u2028\u3164\u115f\ufeff\u2800\ue000\U000e0041\u00ad\ufe0f" {
		if !fold.Hidden(r) {
			t.Errorf("%U has a place in a name, it is said", r)
		}
	}
	for _, r := range "aĐ漢١🙂 ,.'’-–/()№\u0301" {
		if fold.Hidden(r) {
			t.Errorf("%U has no place in a name, it is said", r)
		}
	}
}

func TestMixed(t *testing.T) {
	for _, s := range []string{"Nguyễn Văn Аn", "Ηoàng", "bộ Νội vụ"} { // Cyrillic А, Greek Η and Ν
		if !fold.Mixed(s) {
			t.Errorf("%q is of one alphabet, it is said", s)
		}
	}
	for _, s := range []string{"Nguyễn Văn An", "Иван Petrov", "Phòng α", "漢字 An", "An2"} {
		if fold.Mixed(s) {
			t.Errorf("%q is of two alphabets, it is said", s)
		}
	}
}
