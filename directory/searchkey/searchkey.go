// Package searchkey says what rows a person is found by, and what a typed query
// matches: the keys of the search table, the ranges of a query over them, and
// the plain comparison that both must agree with.
//
// It is pure: it must know no database and nobody's permissions.
//
// A key is one arrangement of the words of a name, folded: the first word, a
// space, one byte that tells the first word's marks, and the other words, a
// space on both sides of each:
//
//	"nguyen" " " mark " " "van" " " "an" " "
//
// Keys of everybody let every two words of a name stand beside each other at
// the front of one of them, in one order or the other. So whoever has both
// words of a query is in one range for each word that the first can stand for,
// however common each word is by itself; further words are looked for in the
// key. Keys of one agency are the rotations alone: an agency is small enough to
// look through the rarest word. A key of the mail address begins with "@" and
// the address.
package searchkey

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"commsd/internal/fold"
)

const (
	maxNameWords = 20 // of a name that are found
	maxPaired    = 10 // of them that stand beside each other in both ways
	maxWord      = 64 // bytes of a word that count
	maxAddress   = 256
)

// Name is what a person is found by.
type Name struct {
	Family, Middle, Given string
	Address               string // main mail address; may be empty
}

// Row is one entry of the search table.
type Row struct {
	Key  []byte
	Name []byte // Order of the name by tên, đệm, họ
}

// Words are the words of the name in the order they are written: họ, đệm, tên.
func (n Name) Words() []fold.Word { return nameWords(n.Family + " " + n.Middle + " " + n.Given) }

// nameWords splits a name. An @ parts words as any other sign: who types one
// means an address.
func nameWords(text string) []fold.Word {
	words := fold.Words(strings.ReplaceAll(text, "@", " "))
	for i := range words {
		words[i] = cut(words[i])
	}
	return words[:min(len(words), maxNameWords)]
}

// Order is the key that people are ordered by where they are found: by tên,
// then đệm, then họ.
func (n Name) Order() []byte { return Order(nameWords(n.Given + " " + n.Middle + " " + n.Family)) }

// Agency returns the rows of one agency.
func (n Name) Agency() []Row {
	words, order := n.Words(), n.Order()
	var rows []Row
	for i := range words {
		rows = append(rows, Row{key(rotate(words, i)), order})
	}
	return unique(n.address(rows, words, order))
}

// All returns the rows of everybody.
func (n Name) All() []Row {
	words, order := n.Words(), n.Order()
	rows := n.Agency()
	paired := min(len(words), maxPaired)
	for i := range paired {
		for j := i + 1; j < paired; j++ {
			if j == i+1 || i == 0 && j == len(words)-1 {
				continue // neighbours in a rotation
			}
			arranged := []fold.Word{words[i], words[j]}
			for k, w := range words {
				if k != i && k != j {
					arranged = append(arranged, w)
				}
			}
			rows = append(rows, Row{key(arranged), order})
		}
	}
	return unique(rows)
}

func (n Name) address(rows []Row, words []fold.Word, order []byte) []Row {
	if n.Address == "" {
		return rows
	}
	return append(rows, Row{key(append([]fold.Word{{Folded: "@" + foldAddress(n.Address)}}, words...)), order})
}

func foldAddress(address string) string {
	return truncate(strings.Join(strings.Fields(fold.String(address)), ""), maxAddress)
}

func rotate(words []fold.Word, by int) []fold.Word {
	return slices.Concat(words[by:], words[:by])
}

func key(words []fold.Word) []byte {
	out := front(words[0])
	for _, w := range words[1:] {
		out = append(append(out, w.Folded...), ' ')
	}
	return out
}

// front is how a key begins whose first word is w.
func front(w fold.Word) []byte {
	return append(append([]byte(w.Folded), ' '), mark(w.Marked), ' ')
}

// mark is a byte, never one of a word's beginning, that differs for most words
// that differ in their marks alone. Where it does not, the name's Order does.
func mark(marked string) byte {
	h := byte(0)
	for i := range len(marked) {
		h = h*31 + marked[i]
	}
	return h | 0x80
}

func unique(rows []Row) []Row {
	slices.SortFunc(rows, func(a, b Row) int { return bytes.Compare(a.Key, b.Key) })
	return slices.CompactFunc(rows, func(a, b Row) bool { return bytes.Equal(a.Key, b.Key) })
}

func cut(w fold.Word) fold.Word {
	return fold.Word{Folded: truncate(w.Folded, maxWord), Marked: truncate(w.Marked, maxWord)}
}

func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
