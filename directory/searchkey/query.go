package searchkey

import (
	"strings"

	"commsd/internal/fold"
)

// maxWords is how many words of a query are looked for; a name has fewer.
const maxWords = 8

// Query is what somebody typed.
type Query struct {
	words []fold.Word // none begins another: each needs a word of the name for itself
	marks []fold.Word // those typed with marks
}

// Parse reads a query; an empty one finds nobody.
func Parse(text string) Query {
	var q Query
	typed := fold.Words(strings.ReplaceAll(text, "\x00", " "))
	typed = typed[:min(len(typed), maxWords)]
	for i := range typed {
		typed[i] = cut(typed[i])
		if isAddress(typed[i]) {
			typed[i] = fold.Word{Folded: foldAddress(typed[i].Folded)}
		}
		if hasMarks(typed[i]) {
			q.marks = append(q.marks, typed[i])
		}
	}
	for i, w := range typed {
		needless := false
		for j, other := range typed {
			// Of two equal words the first stays.
			if i != j && strings.HasPrefix(other.Folded, w.Folded) && (other.Folded != w.Folded || j < i) {
				needless = true
			}
		}
		if !needless {
			q.words = append(q.words, w)
		}
	}
	return q
}

// Empty tells whether there is nothing to look for.
func (q Query) Empty() bool { return len(q.words) == 0 }

// Marked tells whether marks were typed, so that hits with them go first.
func (q Query) Marked() bool { return len(q.marks) > 0 }

// Words returns how many words are looked for.
func (q Query) Words() int { return len(q.words) }

// Match is how a person fits a query.
type Match struct {
	Found bool // each word begins a word of the name; or one of the mail address, where it is the only word or holds an @
	Exact bool // and those typed with marks begin a word with these marks
	Whole int  // how many are whole words
}

// Match compares a person with the query word by word.
func (q Query) Match(n Name) Match {
	if q.Empty() {
		return Match{}
	}
	m := Match{Found: true, Exact: true}
	words, address := n.Words(), foldAddress(n.Address)
	for _, w := range q.words {
		found, whole := q.inAddress(w) && address != "" && strings.HasPrefix(address, w.Folded), false
		for _, has := range words {
			found = found || strings.HasPrefix(has.Folded, w.Folded)
			whole = whole || has.Folded == w.Folded
		}
		m.Found = m.Found && found
		if whole {
			m.Whole++
		}
	}
	for _, w := range q.marks {
		exact := false
		for _, has := range words {
			exact = exact || strings.HasPrefix(has.Marked, w.Marked)
		}
		m.Exact = m.Exact && exact
	}
	m.Exact = m.Exact && m.Found
	return m
}

func isAddress(w fold.Word) bool { return strings.Contains(w.Folded, "@") }

// inAddress tells whether w may be the beginning of the mail address.
func (q Query) inAddress(w fold.Word) bool { return len(q.words) == 1 || isAddress(w) }

// Range is a half-open range of keys.
type Range struct{ Low, High []byte }

func begins(prefix []byte) Range {
	high := append([]byte(nil), prefix...)
	for i := len(high) - 1; i >= 0; i-- {
		if high[i] < 0xff {
			high[i]++
			return Range{prefix, high[:i+1]}
		}
	}
	return Range{prefix, nil} // only 0xff bytes, which UTF-8 does not hold
}

// WordRange is the range of words that word i can stand for, in the table of
// all words; ok is false for an address, which has none.
func (q Query) WordRange(i int) (r Range, ok bool) {
	return begins([]byte(q.words[i].Folded)), !isAddress(q.words[i])
}

// Stands tells whether word i can stand for w with its marks.
func (q Query) Stands(i int, w fold.Word) bool {
	return strings.HasPrefix(w.Folded, q.words[i].Folded) && (!hasMarks(q.words[i]) || strings.HasPrefix(w.Marked, q.words[i].Marked))
}

// Typed tells whether word i was typed with marks.
func (q Query) Typed(i int) bool { return hasMarks(q.words[i]) }

// Length is how many bytes of word i were typed: a longer one is rarer.
func (q Query) Length(i int) int { return len(q.words[i].Folded) }

// Address returns the index of a word that holds an @, or -1.
func (q Query) Address() int {
	for i, w := range q.words {
		if isAddress(w) {
			return i
		}
	}
	return -1
}

// Single returns the ranges of keys that begin with word i, as a word of the
// name and, where it may be one, of the address.
func (q Query) Single(i int) []Range {
	w := q.words[i]
	var out []Range
	if !isAddress(w) {
		out = append(out, begins([]byte(w.Folded)))
	}
	if q.inAddress(w) {
		out = append(out, begins([]byte("@"+w.Folded)))
	}
	return out
}

// Forms returns the ranges of keys that begin with one of words.
func Forms(words []fold.Word) []Range {
	out := make([]Range, len(words))
	for i, w := range words {
		out[i] = begins(front(w))
	}
	return out
}

// Pair returns the ranges of keys that begin with one of words and have word i
// of the query behind it.
func (q Query) Pair(words []fold.Word, i int) []Range {
	out := make([]Range, len(words))
	for k, w := range words {
		out[k] = begins(append(front(w), q.words[i].Folded...))
	}
	return out
}

// Condition is what an entry of the table is tested for.
type Condition struct {
	Front    Range  // a key in this range has it
	Contains []byte // and a key (of Marks: a name) that contains this
}

// Begin tests a key for a word that begins with word i.
func (q Query) Begin(i int) Condition {
	w := q.words[i]
	front := begins([]byte(w.Folded))
	if isAddress(w) || len(q.words) == 1 {
		front = begins([]byte("@" + w.Folded))
	}
	return Condition{front, []byte(" " + w.Folded)}
}

// Whole tests a key for word i as a whole word.
func (q Query) Whole(i int) Condition {
	w := q.words[i].Folded
	return Condition{begins([]byte(w + " ")), []byte(" " + w + " ")}
}

// Marks are what a name contains, each, where the marks fit.
func (q Query) Marks() [][]byte {
	var out [][]byte
	for _, w := range q.marks {
		out = append(out, append([]byte(" "), encode(w.Marked)...))
	}
	return out
}
