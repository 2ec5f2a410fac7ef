package ldapd

import (
	"encoding/hex"
	"errors"
	"strings"
	"unicode/utf8"
)

// rdn is one part of a name. Attributes are lower case; values are as given.
type rdn struct{ attribute, value string }

// dn is a distinguished name, the entry's own part first.
type dn []rdn

var errDN = errors.New("ldapd: malformed name")

// parseDN reads a name (RFC 4514, section 3). Parts of several attributes, which
// this directory has none of, are refused.
func parseDN(s string) (dn, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var out dn
	for s != "" || len(out) > 0 {
		attribute, rest, ok := strings.Cut(s, "=")
		attribute = strings.ToLower(strings.TrimSpace(attribute))
		if !ok || attribute == "" || strings.ContainsAny(attribute, `,+\"<>;`) {
			return nil, errDN
		}
		value, rest, more, err := parseValue(rest)
		if err != nil {
			return nil, err
		}
		out = append(out, rdn{attribute, value})
		if !more {
			return out, nil
		}
		s = rest
	}
	return out, nil
}

// parseValue reads up to a separator that is not escaped.
func parseValue(s string) (value, rest string, more bool, err error) {
	s = strings.TrimLeft(s, " ")
	var b strings.Builder
	hold := 0 // length up to the last byte that is not a bare space
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ',', ';':
			return done(&b, hold, s[i+1:], true)
		case '+', '"', '<', '>':
			return "", "", false, errDN
		case '\\':
			if i+1 >= len(s) {
				return "", "", false, errDN
			}
			if raw, err := hex.DecodeString(s[i+1 : min(i+3, len(s))]); err == nil && len(raw) == 1 {
				b.Write(raw)
				i += 2
			} else {
				b.WriteByte(s[i+1])
				i++
			}
			hold = b.Len()
		default:
			b.WriteByte(s[i])
			if s[i] != ' ' {
				hold = b.Len()
			}
		}
	}
	return done(&b, hold, "", false)
}

func done(b *strings.Builder, hold int, rest string, more bool) (string, string, bool, error) {
	v := b.String()[:hold]
	if v == "" || !utf8.ValidString(v) {
		return "", "", false, errDN
	}
	return v, rest, more, nil
}

// String writes the name with what must be escaped escaped (RFC 4514, 2.4).
func (d dn) String() string {
	var b strings.Builder
	for i, r := range d {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(r.attribute)
		b.WriteByte('=')
		for j, c := range r.value {
			switch {
			case strings.ContainsRune(`,+"\<>;=`, c), j == 0 && (c == ' ' || c == '#'), c == ' ' && j == len(r.value)-1:
				b.WriteByte('\\')
				b.WriteRune(c)
			case c < ' ':
				b.WriteString(`\` + hex.EncodeToString([]byte{byte(c)}))
			default:
				b.WriteRune(c)
			}
		}
	}
	return b.String()
}

// under cuts base off the end of d; false where d is not below it or it.
func (d dn) under(base dn) (dn, bool) {
	if len(d) < len(base) {
		return nil, false
	}
	cut := len(d) - len(base)
	for i, r := range base {
		if d[cut+i].attribute != r.attribute || !strings.EqualFold(d[cut+i].value, r.value) {
			return nil, false
		}
	}
	return d[:cut], true
}
