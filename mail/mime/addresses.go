package mime

import (
	"encoding/base64"
	"errors"
	"strings"
)

func asCorrupt(err error, target *base64.CorruptInputError) bool { return errors.As(err, target) }

// ParseAddresses reads an address field leniently, at most limit addresses: a
// piece that is no address is kept as a name, so that people see what stood
// there.
func ParseAddresses(v string, limit int) []Address {
	if limit <= 0 {
		limit = DefaultLimits.Addresses
	}
	var out []Address
	for _, piece := range splitAddresses(v, limit) {
		if a, ok := parseAddress(piece); ok {
			out = append(out, a)
		}
	}
	return out
}

// splitAddresses cuts v at commas and semicolons outside of quotes, comments
// and angles, and drops a group's name and colon.
func splitAddresses(v string, limit int) []string {
	var out []string
	depth, quoted, angle := 0, false, false
	start := 0
	for i := 0; i < len(v) && len(out) < limit; i++ {
		switch c := v[i]; {
		case c == '\\':
			i++
		case quoted:
			quoted = c != '"'
		case c == '"' && depth == 0:
			quoted = true
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth > 0:
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		case c == ':' && !angle:
			start = i + 1 // the name of a group
		case (c == ',' || c == ';') && !angle:
			out = append(out, v[start:i])
			start = i + 1
		}
	}
	if start < len(v) && len(out) < limit {
		out = append(out, v[start:])
	}
	return out
}

func parseAddress(s string) (Address, bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return Address{}, false
	}
	bare, comment, angle := withoutComments(s)
	name, addr := "", bare
	if angle >= 0 {
		name = bare[:angle]
		addr, _, _ = strings.Cut(bare[angle+1:], ">")
	}
	name = phrase(name)
	if name == "" {
		name = phrase(comment)
	}
	addr = strings.TrimSpace(addr)
	if strings.HasPrefix(addr, "@") { // an obsolete route
		if _, after, ok := strings.Cut(addr, ":"); ok {
			addr = after
		}
	}
	at := strings.LastIndexByte(addr, '@')
	if at <= 0 || at == len(addr)-1 {
		shown := phrase(addr)
		if name == "" {
			name = shown
		}
		if name == "" {
			return Address{}, false
		}
		return Address{Name: shorten(name, 500)}, true
	}
	local := addr[:at]
	if len(local) >= 2 && local[0] == '"' && local[len(local)-1] == '"' {
		local = unquote(local)
	}
	return Address{
		Name:    shorten(name, 500),
		Mailbox: shorten(decodeBytes("", []byte(local)), 320),
		Host:    shorten(strings.ToLower(decodeBytes("", []byte(strings.TrimSpace(addr[at+1:])))), 255),
	}, true
}

// withoutComments takes the comments out of s (RFC 5322, section 3.2.2) and
// finds the angle bracket that opens its address, -1 when there is none. One
// inside a comment or a quoted string is text: whoever took it for the address
// could be shown another sender than the one that was checked. comment is the
// last comment's text. A quote or a comment that never ends is read as letters.
func withoutComments(s string) (bare, comment string, angle int) {
	b := make([]byte, 0, len(s))
	angle = -1
	quotes, comments := true, true // until one has no end: then none after it is looked for
	for i := 0; i < len(s); {
		n := 1
		switch c := s[i]; {
		case c == '"' && quotes:
			end := quotedEnd(s, i)
			if quotes = end > 0; quotes {
				n = end - i
			}
		case c == '(' && comments:
			end := commentEnd(s, i)
			if comments = end > 0; comments {
				comment = s[i+1 : end-1]
				b = append(b, ' ')
				i = end
				continue
			}
		case c == '<':
			angle = len(b)
		}
		b = append(b, s[i:i+n]...)
		i += n
	}
	return string(b), comment, angle
}

// quotedEnd returns the index behind the quoted string that begins at i, 0 when
// it has no end.
func quotedEnd(s string, i int) int {
	for j := i + 1; j < len(s); j++ {
		switch s[j] {
		case '\\':
			j++
		case '"':
			return j + 1
		}
	}
	return 0
}

// commentEnd is quotedEnd for a comment; comments nest.
func commentEnd(s string, i int) int {
	depth := 0
	for j := i; j < len(s); j++ {
		switch s[j] {
		case '\\':
			j++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return j + 1
			}
		}
	}
	return 0
}

// phrase decodes a display name.
func phrase(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = unquote(s)
	}
	return DecodeWords(s)
}

func unquote(s string) string {
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i+1 < len(s)-1 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
