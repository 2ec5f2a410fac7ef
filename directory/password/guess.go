package password

import (
	"math"
	"strings"
	"unicode"

	"commsd/internal/fold"
)

// How hard a password is to guess is estimated in bits: the text is cut into
// the cheapest row of pieces that an attacker would try (common passwords,
// words and names, what is known of the owner, years, runs of keys, repeats),
// each of which costs about the logarithm of how many such pieces there are.
// What is none of these costs bitsOther a character. Marks, case and the usual
// stand-ins (@ for a) make little difference to an attacker and none here.

const (
	bitsOther   = 5.0 // a character that follows from nothing
	bitsSpace   = 1.0
	bitsMark    = 2.0 // . @ - and the like between words
	bitsDigit   = 3.3
	bitsYear    = 6.5
	bitsRun     = 4.0 // where it begins and how it goes; and a little for its length
	bitsContext = 3.0 // which of the words that are known of the owner
	bitsWord    = 8.0 // of the few hundred Vietnamese words and names below
	bitsStandIn = 1.5 // @ for a
	maxPiece    = 32  // characters of the longest word that is looked up
	maxJudged   = 128 // characters that are looked at; more are only longer
)

// What is asked for, in bits. Nobody guesses at a page fast enough for either;
// the higher one is for when the stored hashes are stolen and no second factor
// stands behind them.
const (
	needAlone      = 40
	needWithFactor = 26
)

// vietnamese are words, names and keyboard habits that passwords of Vietnamese
// people are made of, folded. They are our own collection of what is said and
// typed every day.
var vietnamese = words(`
matkhau mk matma baomat dangnhap taikhoan nguoidung quantri quanly hethong maytinh vanphong phong ban
anh em yeu nho thuong ghet minh toi ban ban be gia dinh bo me cha con ong ba chi co chu bac cau di chau vo chong
anhyeuem emyeuanh yeuem yeuanh anhnhoem emnhoanh iloveyou tinhyeu hanhphuc maimai suotdoi motminh
vietnam vn hanoi saigon hcm tphcm danang haiphong cantho hue dalat nhatrang vungtau quangninh thanhhoa nghean
haiduong namdinh thaibinh bacninh bacgiang phutho thainguyen langson laocai yenbai sonla dienbien hoabinh
quangnam quangngai binhdinh phuyen khanhhoa ninhthuan binhthuan kontum gialai daklak daknong lamdong dongnai
binhduong binhphuoc tayninh longan tiengiang bentre travinh vinhlong dongthap angiang kiengiang haugiang
soctrang baclieu camau hatinh quangbinh quangtri thuathien hungyen hanam ninhbinh vinhphuc tuyenquang hagiang
caobang backan laichau thanhpho tinh huyen xa phuong quan uyban uybannhandan nhandan chinhphu bo so
doclap tudo hanhphuc congan quandoi bonoivu chucmung nammoi tetnguyendan tet trungthu quockhanh
nguyen tran le pham hoang huynh phan vu vo dang bui do ho ngo duong ly van thi duc minh huu cong quoc ngoc thanh
tuan hung dung cuong hai nam long son tung lam phong quang huy khanh bao dat kien khoa loc phuc thang thinh tien
toan trung tri tu viet vinh an binh anh bich chau chi cuc dao diem diep giang ha han hanh hao hien hiep hoa hoai
hong hue huong huyen kim lan lien linh loan mai my nga ngan nghia nhung nhi oanh phuong quyen quynh suong tam
thao thu thuy thuong tram trang trinh truc tuyet uyen van vy xuan yen
mot hai ba bon nam sau bay tam chin muoi thang nam ngay chu nhat thu
khongbiet chiuthoi deobiet xinchao chaoban tamsu bongda mancity congphuong quanghai ronaldo messi
welcome admin administrator root user test demo default changeme letmein secret hello login
`)

// rows are keys that lie next to each other, forwards and backwards.
var rows = []string{
	"1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "abcdefghijklmnopqrstuvwxyz",
	"1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", "qazwsxedcrfvtgbyhnujmikolp", "!@#$%^&*()", "147258369", "789456123",
}

// standIns are the signs that stand for letters.
var standIns = map[rune]rune{'@': 'a', '4': 'a', '3': 'e', '1': 'i', '!': 'i', '0': 'o', '$': 's', '5': 's', '7': 't'}

func words(text string) map[string]struct{} {
	out := map[string]struct{}{}
	for _, w := range strings.Fields(text) {
		out[w] = struct{}{}
	}
	return out
}

// guess is how hard a text is to guess and what it is made of.
type guess struct {
	bits    float64
	context string // the longest word in it that is known of the owner
	pattern bool   // runs and repeats are most of it
}

// step is the cheapest way to a place in the text.
type step struct {
	bits    float64
	from    int
	context string
	run     bool
}

// estimate tells how hard typed is to guess for whoever knows words.
func estimate(typed string, common func(string) (rank int, ok bool), context map[string]struct{}) guess {
	text := []rune(strings.ToLower(fold.String(typed)))
	if len(text) > maxJudged {
		text = text[:maxJudged]
	}
	if unit := period(text); unit < len(text) {
		// The same again and again is worth it once.
		g := estimate(string(text[:unit]), common, context)
		g.bits += math.Log2(float64(len(text) / unit))
		g.pattern = g.pattern || unit <= 4
		return g
	}
	plain := make([]rune, len(text))
	for i, r := range text {
		plain[i] = r
		if s, ok := standIns[r]; ok {
			plain[i] = s
		}
	}
	best := make([]step, len(text)+1)
	for i := 1; i <= len(text); i++ {
		best[i] = step{bits: best[i-1].bits + single(text[i-1]), from: i - 1}
		take := func(from int, s step) {
			if s.bits += best[from].bits; s.bits < best[i].bits {
				s.from = from
				best[i] = s
			}
		}
		for from := max(0, i-maxPiece); from <= i-2; from++ {
			piece := string(text[from:i])
			if s, ok := price(piece, text[from:i], common, context); ok {
				take(from, s)
			}
			if other := string(plain[from:i]); other != piece {
				if s, ok := price(other, plain[from:i], common, context); ok {
					s.bits += bitsStandIn
					take(from, s)
				}
			}
		}
	}
	g := guess{bits: best[len(text)].bits}
	inRuns := 0
	for i := len(text); i > 0; i = best[i].from {
		if len(best[i].context) > len(g.context) {
			g.context = best[i].context
		}
		if best[i].run {
			inRuns += i - best[i].from
		}
	}
	g.pattern = 2*inRuns > len(text)
	return g
}

func single(r rune) float64 {
	switch {
	case unicode.IsSpace(r):
		return bitsSpace
	case strings.ContainsRune(".,@-_!#", r):
		return bitsMark
	case unicode.IsDigit(r):
		return bitsDigit
	default:
		return bitsOther
	}
}

// price is what a piece costs as a whole; false when it is none.
func price(piece string, runes []rune, common func(string) (int, bool), context map[string]struct{}) (step, bool) {
	out, found := step{bits: math.Inf(1)}, false
	better := func(s step) {
		if s.bits < out.bits {
			out, found = s, true
		}
	}
	if _, ok := context[piece]; ok && len(runes) >= 2 {
		better(step{bits: bitsContext, context: piece})
	}
	if _, ok := vietnamese[piece]; ok {
		better(step{bits: bitsWord})
	}
	if rank, ok := common(piece); ok {
		better(step{bits: 1 + math.Log2(float64(rank))})
	}
	if len(runes) == 4 && (strings.HasPrefix(piece, "19") || strings.HasPrefix(piece, "20")) && digits(runes) {
		better(step{bits: bitsYear})
	}
	if len(runes) >= 3 && (same(runes) || inRow(piece)) {
		better(step{bits: bitsRun + math.Log2(float64(len(runes))), run: true})
	}
	return out, found
}

func digits(runes []rune) bool {
	for _, r := range runes {
		if r < '0' || r > '9' {
			return false
		}
	}
	return true
}

func same(runes []rune) bool {
	for _, r := range runes {
		if r != runes[0] {
			return false
		}
	}
	return true
}

func inRow(piece string) bool {
	for _, row := range rows {
		if strings.Contains(row+row, piece) || strings.Contains(reversed(row)+reversed(row), piece) {
			return true
		}
	}
	return false
}

func reversed(s string) string {
	r := []rune(s)
	for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
		r[i], r[j] = r[j], r[i]
	}
	return string(r)
}

// period is the length of the shortest unit that text is made of by repetition;
// len(text) when it is none.
func period(text []rune) int {
	for unit := 1; unit <= len(text)/2; unit++ {
		if len(text)%unit != 0 {
			continue
		}
		whole := true
		for i := unit; i < len(text) && whole; i++ {
			whole = text[i] == text[i-unit]
		}
		if whole {
			return unit
		}
	}
	return len(text)
}
