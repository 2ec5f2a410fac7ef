package roster

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

const saveAsUTF8 = `open the list in Excel, choose "Save As" and the type "CSV UTF-8 (Comma delimited)"; in LibreOffice tick "Edit filter settings" and choose "Unicode (UTF-8)"`

// checkEncoding tells whether data is UTF-8 text, and if not, which line shows
// it and what it seems to be. Nothing is guessed into letters: a name that was
// read wrongly is worse than a list that was refused.
func checkEncoding(data []byte, problems *Problems) bool {
	for _, mark := range [][]byte{{0xff, 0xfe}, {0xfe, 0xff}} {
		if bytes.HasPrefix(data, mark) {
			problems.add(1, "", "", "encoding", "the file is UTF-16 (Unicode Text), not UTF-8", saveAsUTF8)
			return false
		}
	}
	if bytes.HasPrefix(data, []byte("PK\x03\x04")) || bytes.HasPrefix(data, []byte{0xd0, 0xcf, 0x11, 0xe0}) {
		problems.add(0, "", "", "encoding", "the file is a spreadsheet, not a CSV file", saveAsUTF8)
		return false
	}
	line := 0
	for text := range bytes.Lines(data) {
		line++
		text = bytes.TrimRight(text, "\r\n")
		switch {
		case bytes.IndexByte(text, 0) >= 0:
			what := "the line holds a zero byte: the file is no text"
			if bytes.Count(text, []byte{0})*3 > len(text) {
				what = "the file is UTF-16 (Unicode Text), not UTF-8"
			}
			problems.add(line, "", string(bytes.ReplaceAll(text, []byte{0}, nil)), "encoding", "%s", saveAsUTF8, what)
			return false
		case !utf8.Valid(text):
			problems.add(line, "", sample(text), "encoding", "the line is not UTF-8 but %s", saveAsUTF8, eightBit(data))
			return false
		}
	}
	if line, text := oldFont(data); line > 0 {
		problems.add(line, "", text, "encoding", "the line is written for an old font (VNI or TCVN3/ABC): its letters are not those of Unicode",
			"convert the list to Unicode (Unikey: Ctrl+Shift+F6, from VNI or TCVN3 to Unicode), then save it as CSV UTF-8")
		return false
	}
	return true
}

// sample shows bytes that are no UTF-8 as a Windows program would.
func sample(text []byte) string {
	s, err := charmap.Windows1252.NewDecoder().Bytes(text)
	if err != nil {
		return ""
	}
	return string(s)
}

// eightBit says what 8-bit encoding data seems to be, by what it has most of.
func eightBit(data []byte) string {
	// TCVN3 has đ at 0xae and its toned letters from 0xb5 on (ế 0xd5, ễ 0xd4, ệ
	// 0xd6); Windows-1258 has đ at 0xf0 and tones of their own behind the vowel
	// (0xcc huyền, 0xd2 hỏi, 0xde ngã, 0xec sắc, 0xf2 nặng); VNI writes a mark
	// behind the vowel too, mostly 0xd8, 0xd9, 0xda, 0xe2 and 0xf1 for đ.
	count := func(set string) (n int) {
		for _, b := range data {
			if b >= 0x80 && strings.IndexByte(set, b) >= 0 {
				n++
			}
		}
		return n
	}
	afterVowel := func(set string) (n int) {
		for i := 1; i < len(data); i++ {
			if strings.IndexByte("aeiouyAEIOUY\xe2\xea\xf4\xe3\xf5\xfd\xc2\xca\xd4", data[i-1]) >= 0 && strings.IndexByte(set, data[i]) >= 0 {
				n++
			}
		}
		return n
	}
	windows := afterVowel("\xcc\xd2\xde\xec\xf2") + count("\xf0\xd0\xfd\xe3")
	vni := afterVowel("\xd8\xd9\xda\xdb\xd5\xcf\xe0\xe1\xe4\xe5\xe8\xe9\xef\xf5\xf8\xf9\xfb\xfc\xf2") + count("\xf1\xd1")
	tcvn := count("\xae\xa7\xa8\xa9\xaa\xab\xac\xad\xb5\xb6\xb7\xb8\xb9\xbb\xbc\xbd\xbe\xc6\xc7\xc8\xc9\xcb\xd7\xd1")
	switch {
	case tcvn > windows && tcvn > vni:
		return "TCVN3 (an ABC font)"
	case vni > windows:
		return "VNI (an old font)"
	case windows > 0:
		return "Windows-1258"
	}
	return "an 8-bit encoding of Windows"
}

// oldFont finds a list that is valid UTF-8 and still has the letters of VNI or
// TCVN3 taken for Latin ones: "Nguyeãn Vaên", "NguyÔn V¨n". Signs that no
// Vietnamese name holds tell it, in a third of the lines with marks; a few may
// be slips of the hand.
func oldFont(data []byte) (first int, text string) {
	line, marked, odd := 0, 0, 0
	for raw := range bytes.Lines(data) {
		line++
		s := string(raw)
		if strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf && r != '\uFEFF' }) {
			marked++
		}
		if strings.ContainsAny(s, oldLetters) || slices.ContainsFunc(oldPairs, func(pair string) bool { return strings.Contains(s, pair) }) {
			if odd++; odd == 1 {
				first, text = line, strings.TrimRight(s, "\r\n")
			}
		}
	}
	if odd > 0 && odd*3 >= marked {
		return first, text
	}
	return 0, ""
}

const oldLetters = "¨®µ¶·¸¹»¼½¾ÆÇËÎÏÑÖ×ÛÜÞßæçëîïñöøûüþÿØÅå"

// No "oà" and "oã": Hoàng, Đoàn and ngoã are written so.
var oldPairs = []string{"aê", "aâ", "eâ", "oâ", "eã", "aã", "aù", "eù", "aà", "eà"}
