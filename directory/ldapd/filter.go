package ldapd

import (
	"slices"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"

	"commsd/internal/fold"
)

// The kinds of filter (RFC 4511, section 4.5.1), by their context tags.
const (
	filterAnd int = iota
	filterOr
	filterNot
	filterEqual
	filterSubstrings
	filterGreater
	filterLess
	filterPresent
	filterApprox
	filterExtensible
)

const (
	maxFilterParts = 100
	maxQueries     = 8 // searches of the directory for one filter
)

// filter is one node of a search filter. Values are folded: they are compared
// without marks and without case.
type filter struct {
	kind      int
	children  []*filter // of and, or, not
	attribute string    // canonical; empty: one that no entry has
	value     string
	initial   string // of substrings
	any       []string
	final     string
}

// truth is the outcome of a filter (RFC 4511, section 4.5.1.7): what cannot be
// told is neither true nor false, and so is its negation.
type truth int8

const (
	no truth = iota
	unknown
	yes
)

// parseFilter reads a filter of at most maxFilterParts nodes.
func parseFilter(p *ber.Packet) (*filter, error) {
	left := maxFilterParts
	return parseNode(p, &left)
}

func parseNode(p *ber.Packet, left *int) (*filter, error) {
	if *left--; *left < 0 {
		return nil, badRequest("the filter has too many parts")
	}
	if p.ClassType != ber.ClassContext {
		return nil, badRequest("the filter cannot be read")
	}
	f := &filter{kind: int(p.Tag)} //nolint:gosec // compared with nine small numbers below
	switch f.kind {
	case filterAnd, filterOr, filterNot:
		if p.TagType != ber.TypeConstructed || f.kind == filterNot && len(p.Children) != 1 {
			return nil, badRequest("the filter cannot be read")
		}
		for _, child := range p.Children {
			node, err := parseNode(child, left)
			if err != nil {
				return nil, err
			}
			f.children = append(f.children, node)
		}
	case filterEqual, filterGreater, filterLess, filterApprox:
		if len(p.Children) != 2 {
			return nil, badRequest("the filter cannot be read")
		}
		f.attribute, f.value = canonical(text(p.Children[0])), fold.String(text(p.Children[1]))
	case filterSubstrings:
		if len(p.Children) != 2 || len(p.Children[1].Children) == 0 {
			return nil, badRequest("the filter cannot be read")
		}
		f.attribute = canonical(text(p.Children[0]))
		for i, part := range p.Children[1].Children {
			if *left--; *left < 0 {
				return nil, badRequest("the filter has too many parts")
			}
			s := fold.String(text(part))
			switch {
			case part.Tag == 0 && i == 0:
				f.initial = s
			case part.Tag == 1:
				f.any = append(f.any, s)
			case part.Tag == 2 && i == len(p.Children[1].Children)-1:
				f.final = s
			default:
				return nil, badRequest("the filter cannot be read")
			}
		}
	case filterPresent:
		f.attribute = canonical(text(p))
	case filterExtensible:
		// Nothing here has matching rules; it is unknown for every entry.
	default:
		return nil, badRequest("the filter cannot be read")
	}
	return f, nil
}

// match tells whether an entry's attributes pass f.
func (f *filter) match(a attributes) truth {
	switch f.kind {
	case filterAnd:
		out := yes
		for _, c := range f.children {
			out = min(out, c.match(a))
		}
		return out
	case filterOr:
		out := no
		for _, c := range f.children {
			out = max(out, c.match(a))
		}
		return out
	case filterNot:
		return yes - f.children[0].match(a)
	}
	if f.attribute == "" {
		return unknown
	}
	values := a[f.attribute]
	switch f.kind {
	case filterPresent:
		return truthOf(len(values) > 0)
	case filterEqual, filterApprox, filterSubstrings:
		for _, v := range values {
			if f.matches(fold.String(v)) {
				return yes
			}
		}
		return no
	default:
		return unknown // order is not defined on any attribute here
	}
}

// matches compares with one folded value. Names are written họ đệm tên, and
// mail clients ask for what begins with the typed letters: so a beginning
// counts at the beginning of each word of a name.
func (f *filter) matches(v string) bool {
	switch f.kind {
	case filterEqual:
		return v == f.value
	case filterApprox:
		return atWord(v, f.value) >= 0
	}
	if f.initial != "" {
		at := 0
		if wordwise[f.attribute] {
			at = atWord(v, f.initial)
		} else if !strings.HasPrefix(v, f.initial) {
			at = -1
		}
		if at < 0 {
			return false
		}
		v = v[at+len(f.initial):]
	}
	for _, part := range f.any {
		_, rest, ok := strings.Cut(v, part)
		if !ok {
			return false
		}
		v = rest
	}
	return strings.HasSuffix(v, f.final)
}

// atWord finds part at the beginning of a word of v.
func atWord(v, part string) int {
	for from := 0; ; {
		i := strings.Index(v[from:], part)
		if i < 0 || part == "" {
			return -1
		}
		i += from
		if i == 0 || v[i-1] == ' ' {
			return i
		}
		from = i + 1
	}
}

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// query is what to look for in the directory: words, each found by its
// beginning; none stands for the colleagues.
type query struct {
	words string
	sure  bool // words begin words of what passes; else they may stand within
}

// queries returns what to look for so that every entry which passes f and can
// be found by the beginnings of words is among what is found. Without words of
// a name a filter reaches the colleagues only.
func (f *filter) queries() []string {
	var out []string
	for _, q := range f.collect() {
		if len(out) < maxQueries && !slices.Contains(out, q.words) {
			out = append(out, q.words)
		}
	}
	return out
}

func (f *filter) collect() []query {
	switch f.kind {
	case filterAnd:
		best := []query{{}}
		for _, c := range f.children {
			if q := c.collect(); reach(q) > reach(best) {
				best = q
			}
		}
		return best
	case filterOr:
		var out []query
		for _, c := range f.children {
			out = append(out, c.collect()...)
		}
		if len(out) == 0 {
			return []query{{}}
		}
		return out
	case filterEqual, filterApprox, filterSubstrings:
		words := strings.TrimSpace(strings.Join(append(append([]string{f.value, f.initial}, f.any...), f.final), " "))
		if searched[f.attribute] && len(fold.Words(words)) > 0 {
			return []query{{words, len(f.any) == 0 && f.final == ""}}
		}
	}
	return []query{{}}
}

// reach ranks queries of which one may choose: the longer the words of the
// least of them, the less they find besides.
func reach(qs []query) int {
	least := 1 << 30
	for _, q := range qs {
		n := len(q.words)
		if q.sure {
			n += 1 << 20
		}
		least = min(least, n)
	}
	return least
}
