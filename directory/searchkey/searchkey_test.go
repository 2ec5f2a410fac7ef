package searchkey_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"commsd/directory/searchkey"
	"commsd/internal/fold"
)

func order(text string) []byte { return searchkey.Order(fold.Words(text)) }

// Names are ordered letter by letter of the Vietnamese alphabet, each with its
// tones in the order of dictionaries, a shorter name before those that begin
// with it.
func TestOrderIsThatOfTheAlphabet(t *testing.T) {
	sorted := []string{
		"7", "a", "an", "ang", "anh", "à", "ả", "ã", "á", "ạ", "ăn", "ân", "ấn", "ba", "bằng", "bình", "ca", "chi", "da", "dung", "dũng", "đa", "đại", "đức",
		"em", "ê", "gia", "hà", "hạ", "hân", "khoa", "lan", "minh", "my", "mỹ", "nam", "nga", "nhi", "oanh", "ô", "ổn", "ơn", "phúc", "quang", "sơn", "tâm", "thảo", "trang",
		"tú", "uyên", "ư", "vân", "xuân", "yên", "ý", "zoe", "žan", "лев",
	}
	for i := range len(sorted) - 1 {
		if a, b := order(sorted[i]), order(sorted[i+1]); bytes.Compare(a, b) >= 0 {
			t.Errorf("%q (%x) does not sort before %q (%x)", sorted[i], a, sorted[i+1], b)
		}
	}
	for _, c := range [][2]string{{"an văn nguyễn", "an xuân bùi"}, {"an", "an văn"}, {"an bùi", "anh an"}} {
		if a, b := order(c[0]), order(c[1]); bytes.Compare(a, b) >= 0 {
			t.Errorf("%q does not sort before %q", c[0], c[1])
		}
	}
	for _, same := range [][2]string{{"ĐỨC", "đức"}, {"đu\u031b\u0301c", "đức"}, {"Ðức", "Đức"}} {
		if !bytes.Equal(order(same[0]), order(same[1])) {
			t.Errorf("%q and %q differ", same[0], same[1])
		}
	}
}

var (
	duc   = searchkey.Name{Family: "Đặng", Middle: "Văn", Given: "Đức", Address: "ducdv@noivu.g2g.example"}
	duong = searchkey.Name{Family: "Nguyễn", Middle: "Thị Thuỳ", Given: "Dương"}
	ksor  = searchkey.Name{Family: "K'Sor", Middle: "H'", Given: "Blĭ"}
)

func TestMatch(t *testing.T) {
	type m = searchkey.Match
	for _, c := range []struct {
		name  searchkey.Name
		query string
		want  m
	}{
		{duc, "duc", m{true, true, 1}},
		{duc, "du", m{true, true, 0}},
		{duc, "đức", m{true, true, 1}},
		{duc, "dức", m{true, false, 1}}, // found without its marks, behind those who have them
		{duc, "ĐĂNG", m{true, false, 1}},
		{duc, "dang van duc", m{true, true, 3}},
		{duc, "duc dang", m{true, true, 2}},
		{duc, "duc hung", m{}},
		{duc, "uc", m{}}, // a word is found from its beginning
		{duc, "", m{}},
		{duc, " \x00 ", m{}},
		{duc, "d d", m{true, true, 0}}, // the same beginning twice needs one word
		{duc, "ducdv", m{true, true, 0}},
		{duc, "ducdv@noivu", m{true, true, 0}},
		{duc, "dang ducdv@", m{true, true, 1}},
		{duc, "dang ducdv", m{}}, // two words: the address is meant by an @ alone
		{duc, "noivu", m{}},      // a domain answers for no name
		{duc, "<ducdv@noivu.g2g.example>", m{true, true, 0}},
		{duong, "thuy duong", m{true, true, 2}},
		{duong, "thuỳ dương", m{true, true, 2}},
		{duong, "thúy", m{true, false, 1}},
		{duong, "duong@", m{}}, // no address
		{ksor, "k'sor", m{true, true, 2}},
		{ksor, "bli", m{true, true, 1}},
	} {
		if got := searchkey.Parse(c.query).Match(c.name); got != c.want && (got.Found || c.want.Found) {
			t.Errorf("%q and %v: %+v, want %+v", c.query, c.name, got, c.want)
		}
	}
}

// Every two words of a name stand beside each other in front of a key of
// everybody, and a name has few keys, however long it is.
func TestKeys(t *testing.T) {
	for _, c := range []struct {
		name        searchkey.Name
		agency, all int
	}{
		{searchkey.Name{}, 0, 0},
		{searchkey.Name{Address: "a@b.example"}, 1, 1},
		{searchkey.Name{Given: "An"}, 1, 1},
		{searchkey.Name{Family: "An", Given: "An"}, 1, 1},
		{duc, 4, 4}, // three rotations hold all pairs
		{duong, 4, 6},
		{searchkey.Name{Middle: strings.Repeat("a b c d e f g h ", 200), Address: strings.Repeat("x", 1000) + "@y"}, 21, 70},
	} {
		agency, all := c.name.Agency(), c.name.All()
		if len(agency) > c.agency || len(all) > c.all {
			t.Errorf("%.40v: %d and %d keys, at most %d and %d", c.name, len(agency), len(all), c.agency, c.all)
		}
		for _, row := range all {
			if len(row.Key) > 2048 || len(row.Name) > 2048 {
				t.Errorf("%.40v: a key of %d bytes, a name of %d", c.name, len(row.Key), len(row.Name))
			}
		}
	}
}

func in(key []byte, ranges []searchkey.Range) bool {
	return slices.ContainsFunc(ranges, func(r searchkey.Range) bool {
		return bytes.Compare(key, r.Low) >= 0 && (r.High == nil || bytes.Compare(key, r.High) < 0)
	})
}

func anyIn(rows []searchkey.Row, ranges []searchkey.Range) bool {
	return slices.ContainsFunc(rows, func(r searchkey.Row) bool { return in(r.Key, ranges) })
}

// meets tells whether a key fits a condition, as the finder's statement tests it.
func meets(key []byte, c searchkey.Condition) bool {
	return in(key, []searchkey.Range{c.Front}) || bytes.Contains(key, c.Contains)
}

// What the rows and ranges find is what the plain comparison finds, whatever
// stands in a name and whatever is typed.
func agree(t *testing.T, n searchkey.Name, text string) {
	t.Helper()
	q := searchkey.Parse(text)
	m, all, agency, words := q.Match(n), n.All(), n.Agency(), n.Words()
	if q.Empty() {
		if m.Found || q.Words() != 0 {
			t.Errorf("nothing typed (%q) finds %+v", text, n)
		}
		return
	}
	everyAll, everyAgency := true, true
	one := func(rows []searchkey.Row) bool { // several words are tested for in one key
		return q.Words() == 1 || slices.ContainsFunc(rows, func(r searchkey.Row) bool {
			for i := range q.Words() {
				if !meets(r.Key, q.Begin(i)) {
					return false
				}
			}
			return true
		})
	}
	for i := range q.Words() {
		everyAll = everyAll && anyIn(all, q.Single(i))
		everyAgency = everyAgency && anyIn(agency, q.Single(i))
		if r, ok := q.WordRange(i); ok {
			for _, w := range words {
				if stands := q.Stands(i, w); stands && !in([]byte(w.Folded), []searchkey.Range{r}) {
					t.Errorf("%q: word %d stands for %q, which is out of its range", text, i, w.Folded)
				}
			}
		} else if q.Address() < 0 {
			t.Errorf("%q: word %d has no range and is no address", text, i)
		}
	}
	if byAll, byAgency := everyAll && one(all), everyAgency && one(agency); byAll != m.Found || byAgency != m.Found {
		t.Errorf("%q and %q: found by rows of all %t, of the agency %t, plainly %t", text, n, byAll, byAgency, m.Found)
	}
	if !m.Found {
		return
	}
	whole := 0
	for i := range q.Words() {
		if slices.ContainsFunc(all, func(r searchkey.Row) bool { return meets(r.Key, q.Whole(i)) }) {
			whole++
		}
	}
	if whole != m.Whole {
		t.Errorf("%q and %q: %d whole words by rows, %d plainly", text, n, whole, m.Whole)
	}
	marked := true
	for _, part := range q.Marks() {
		marked = marked && bytes.Contains(n.Order(), part)
	}
	if marked != m.Exact {
		t.Errorf("%q and %q: marks fit the order: %t, plainly: %t", text, n, marked, m.Exact)
	}
	if q.Words() == 2 && q.Address() < 0 && len(words) <= 10 {
		forms := func(i int) (out []fold.Word) {
			r, _ := q.WordRange(i)
			for _, w := range words {
				if in([]byte(w.Folded), []searchkey.Range{r}) {
					out = append(out, w)
				}
			}
			return out
		}
		if !anyIn(all, q.Pair(forms(0), 1)) && !anyIn(all, q.Pair(forms(1), 0)) {
			t.Errorf("%q and %q: both words are there, and beside each other in no key", text, n)
		}
		if !anyIn(all, searchkey.Forms(forms(0))) {
			t.Errorf("%q and %q: no key begins with the first word", text, n)
		}
	}
}

func FuzzRowsAgreeWithMatch(f *testing.F) {
	for _, n := range []searchkey.Name{duc, duong, ksor, {}} {
		for _, q := range []string{"duc", "đức d", "dang van", "ducdv@noivu.g2g.example", "văn ducdv@", "thuy nguyen", "h' k", "a b c d e f g h i j", "\x00\xff", "d\u0323\u0302 \u00d0"} {
			f.Add(n.Family, n.Middle, n.Given, n.Address, q)
		}
	}
	f.Add("a@b", "Ǆ", "İ ﬁ", " A@B ", "a@")
	f.Add("K", "\u0345a", "ß", "@", "@")
	f.Fuzz(func(t *testing.T, family, middle, given, address, query string) {
		n := searchkey.Name{Family: family, Middle: middle, Given: given, Address: address}
		agree(t, n, query)
		// Who copies a whole name finds it.
		if words := n.Words(); len(words) > 0 && len(words) <= 8 && utf8.ValidString(family+middle+given) {
			agree(t, n, family+" "+middle+" "+given)
		}
	})
}
