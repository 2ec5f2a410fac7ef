package directory

import (
	"context"
	"fmt"
	"io"
	"strings"

	"commsd/internal/fold"
	"commsd/internal/sqldb"
)

// wordAlphabet is Crockford's base 32: no letter that is read as another.
const wordAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// randomWord returns n random characters of wordAlphabet, five bits each.
func (s *Service) randomWord(n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.cfg.Rand, b); err != nil {
		return "", fmt.Errorf("directory: random characters: %w", err)
	}
	for i := range b {
		b[i] = wordAlphabet[b[i]&31] // 256 is a multiple of 32: all are as likely
	}
	return string(b), nil
}

// grouped writes a word in fours, as people copy it: ABCD-EFGH.
func grouped(word string) string {
	var b strings.Builder
	for i, r := range word {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// ungrouped reads what grouped wrote, however it was typed: in either case,
// with other gaps, and with the letters that look like digits. It answers false
// for what is not n characters of the alphabet.
func ungrouped(typed string, n int) (string, bool) {
	if len(typed) > 4*n {
		return "", false
	}
	var b strings.Builder
	for _, r := range strings.ToUpper(typed) {
		switch r {
		case ' ', '-', '\t', '\n', '\r', '\u00a0', '\u2013':
			continue
		case 'O':
			r = '0'
		case 'I', 'L':
			r = '1'
		}
		if !strings.ContainsRune(wordAlphabet, r) {
			return "", false
		}
		b.WriteRune(r)
	}
	return b.String(), b.Len() == n
}

// readPersonWords lists what others know of an account's owner: login, name,
// agencies. They are folded.
func readPersonWords(ctx context.Context, tx *sqldb.Tx, h holder, domain string) ([]string, error) {
	texts := []string{h.login, h.name, domain, "commsd"}
	for _, p := range h.positions {
		var name, nameEN, short string
		err := tx.QueryRow(ctx, `SELECT name, name_en, short_name FROM directory_agencies WHERE id = $1`, string(p.Agency)).Scan(&name, &nameEN, &short)
		if err != nil {
			return nil, fmt.Errorf("read agency %s: %w", p.Agency, err)
		}
		texts = append(texts, name, nameEN, short, p.Unit, p.Title)
	}
	var phone, mobile string
	if err := tx.QueryRow(ctx, `SELECT phone, mobile FROM directory_people WHERE id = $1`, string(h.person)).Scan(&phone, &mobile); err != nil {
		return nil, fmt.Errorf("read person %s: %w", h.person, err)
	}
	texts = append(texts, phone, mobile)
	var words []string
	for _, t := range texts {
		parts := fold.Words(t)
		whole := ""
		for _, w := range parts {
			words = append(words, w.Folded)
			whole += w.Folded
		}
		if len(parts) > 1 {
			words = append(words, whole)
		}
	}
	return words, nil
}
