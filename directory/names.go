package directory

import (
	"strings"
	"sync"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"commsd/internal/fold"
)

// personName is a Vietnamese name in its parts. People are ordered and
// addressed by tên.
type personName struct {
	Family string // họ: Nguyễn
	Middle string // đệm: Thị Thanh; may be empty
	Given  string // tên: Bình
}

// normal brings each part to NFC with single spaces and the true Đ.
func (n personName) normal() personName {
	return personName{Family: normalText(n.Family), Middle: normalText(n.Middle), Given: normalText(n.Given)}
}

// display writes the name as officials write it: họ, đệm, tên.
func (n personName) display() string {
	return normalText(n.Family + " " + n.Middle + " " + n.Given)
}

// sortKey orders by tên, then đệm, then họ, each by the Vietnamese alphabet,
// when keys are compared byte by byte.
func (n personName) sortKey() []byte {
	collator.Lock()
	defer collator.Unlock()
	var key []byte
	for _, part := range []string{n.Given, n.Middle, n.Family} {
		var buf collate.Buffer
		key = append(key, collator.c.KeyFromString(&buf, part)...)
		// Collation keys hold no run of three zero bytes, and a shorter key
		// with this behind it still sorts before a longer one.
		key = append(key, 0, 0, 0)
	}
	return key
}

// collator is shared under a lock: a Collator keeps buffers between calls.
var collator = struct {
	sync.Mutex
	c *collate.Collator
}{c: collate.New(language.Vietnamese)}

func normalText(s string) string { return fold.Plain(s) }

// normalAddress brings a mail address or login to the form it is stored and
// compared in.
func normalAddress(s string) string {
	return strings.ToLower(norm.NFC.String(strings.TrimSpace(s)))
}
