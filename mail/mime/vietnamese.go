package mime

import (
	"golang.org/x/text/encoding"
	"golang.org/x/text/transform"
)

// The Vietnamese character sets of before Unicode that golang.org/x/text does
// not have (it has windows-1258). Each byte stands for a text of its own; marks
// that are written apart are joined afterwards, as with windows-1258.

// viscii is RFC 1456.
var viscii = vietnamese("ẠẮẰẶẤẦẨẬẼẸẾỀỂỄỆỐ"+"ỒỔỖỘỢỚỜỞỊỎỌỈỦŨỤỲ"+"Õắằặấầẩậẽẹếềểễệố"+"ồổỗỠƠộờởịỰỨỪỬơớƯ"+
	"ÀÁÂÃẢĂẳẵÈÉÊẺÌÍĨỳ"+"ĐứÒÓÔạỷừửÙÚỹỵÝỡư"+"àáâãảăữẫèéêẻìíĩỉ"+"đựòóôõỏọụùúũủýợỮ",
	map[byte]string{0x02: "Ẳ", 0x05: "Ẵ", 0x06: "Ẫ", 0x14: "Ỷ", 0x19: "Ỹ", 0x1e: "Ỵ"})

// tcvn is TCVN 5712:1993. Its first form has a code for every letter, and is
// read here; the third, which the fonts of "TCVN3" or "ABC" show, is a part of
// it that leaves the capital letters with marks to a font of capitals.
var tcvn = vietnamese("ÀẢÃÁẠẶẬÈẺẼÉẸỆÌỈĨ"+"ÍỊÒỎÕÓỌỘỜỞỠỚỢÙỦŨ"+"\u00a0ĂÂÊÔƠƯĐăâêôơưđẰ"+"\u0300\u0309\u0303\u0301\u0323àảãáạẲằẳẵắẴ"+
	"ẮẦẨẪẤỀặầẩẫấậèỂẻẽ"+"éẹềểễếệìỉỄẾỒĩíịò"+"Ổỏõóọồổỗốộờởỡớợù"+"ỖủũúụừửữứựỳỷỹýỵỐ",
	map[byte]string{
		0x01: "Ú", 0x02: "Ụ", 0x04: "Ừ", 0x05: "Ử", 0x06: "Ữ", 0x11: "Ứ", 0x12: "Ự", 0x13: "Ỳ", 0x14: "Ỷ", 0x15: "Ỹ", 0x16: "Ý", 0x17: "Ỵ",
	})

// vni is what the fonts of VNI show: a letter and after it, as another, its
// marks.
var vni = func() byteTable {
	const (
		grave, acute, tilde, hook, dot = "\u0300", "\u0301", "\u0303", "\u0309", "\u0323"
		circumflex, breve              = "\u0302", "\u0306"
	)
	t := vietnamese("", map[byte]string{
		0xf1: "đ", 0xf6: "ư", 0xf4: "ơ", 0xed: "í", 0xec: "ì", 0xe6: "ỉ", 0xf3: "ĩ", 0xf2: "ị", 0xee: "ỵ",
		0xd1: "Đ", 0xd6: "Ư", 0xd4: "Ơ", 0xcd: "Í", 0xcc: "Ì", 0xc6: "Ỉ", 0xd3: "Ĩ", 0xd2: "Ị", 0xce: "Ỵ",
	})
	for b, marks := range map[byte]string{
		0xf9: acute, 0xf8: grave, 0xfb: hook, 0xf5: tilde, 0xef: dot, 0xe2: circumflex, 0xea: breve,
		0xe1: circumflex + acute, 0xe0: circumflex + grave, 0xe5: circumflex + hook, 0xe3: circumflex + tilde, 0xe4: circumflex + dot,
		0xe9: breve + acute, 0xe8: breve + grave, 0xfa: breve + hook, 0xfc: breve + tilde, 0xeb: breve + dot,
	} {
		t[b], t[b-0x20] = marks, marks // for small and for capital letters
	}
	return t
}()

var vietnameseNames = map[string]byteTable{
	"viscii": viscii, "csviscii": viscii, "viscii1.1-1": viscii, "x-viet-viscii": viscii,
	"tcvn": tcvn, "tcvn3": tcvn, "tcvn-5712": tcvn, "tcvn5712-1": tcvn, "tcvn5712-1:1993": tcvn, "x-viet-tcvn": tcvn, "x-viet-tcvn5712": tcvn,
	"vni": vni, "x-viet-vni": vni,
}

// byteTable says which text each byte stands for.
type byteTable []string

// vietnamese makes a table of ASCII, high for the bytes from 0x80, and others.
func vietnamese(high string, others map[byte]string) byteTable {
	t := make(byteTable, 256)
	for i := range 0x80 {
		t[i] = string(rune(i))
	}
	for i := 0x80; i < 0x100; i++ {
		t[i] = "\uFFFD"
	}
	at := 0x80
	for _, r := range high {
		t[at] = string(r)
		at++
	}
	for b, s := range others {
		t[b] = s
	}
	return t
}

var _ encoding.Encoding = byteTable(nil)

// NewDecoder implements encoding.Encoding.
func (t byteTable) NewDecoder() *encoding.Decoder {
	return &encoding.Decoder{Transformer: tableDecoder{table: t}}
}

// NewEncoder implements encoding.Encoding; nothing is written in these sets.
func (t byteTable) NewEncoder() *encoding.Encoder { return encoding.Replacement.NewEncoder() }

type tableDecoder struct {
	transform.NopResetter
	table byteTable
}

// Transform implements transform.Transformer.
func (d tableDecoder) Transform(dst, src []byte, _ bool) (nDst, nSrc int, err error) {
	for _, b := range src {
		text := d.table[b]
		if nDst+len(text) > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += copy(dst[nDst:], text)
		nSrc++
	}
	return nDst, nSrc, nil
}
