package mime

import (
	"strconv"
	"strings"
)

// ParseParams splits `value; name=x; name="y"` leniently. Names come in lower
// case, values unquoted but undecoded; the first of a doubled name stands, so
// that no reader is led to another than the one that was checked.
func ParseParams(v string, limit int) (value string, params map[string]string) {
	if limit <= 0 {
		limit = DefaultLimits.Params
	}
	value, rest, _ := strings.Cut(v, ";")
	value = strings.TrimSpace(stripComment(value))
	for rest != "" && len(params) < limit {
		rest = strings.TrimLeft(rest, " \t\r\n;")
		name, after, ok := strings.Cut(rest, "=")
		if !ok {
			break
		}
		if i := strings.LastIndexByte(name, ';'); i >= 0 {
			name = name[i+1:] // a piece without "=" before
		}
		var val string
		val, rest = paramValue(strings.TrimLeft(after, " \t\r\n"))
		name = strings.ToLower(strings.TrimSpace(name))
		if !token(strings.ReplaceAll(name, "*", "")) {
			continue
		}
		if params == nil {
			params = map[string]string{}
		}
		if _, twice := params[name]; !twice {
			params[name] = kept(val, 2000)
		}
	}
	return value, params
}

// paramValue takes one value, quoted or bare, off s.
func paramValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, ";")
		return strings.TrimSpace(stripComment(value)), rest
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '"':
			return b.String(), s[i+1:]
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), "" // the quote was never closed
}

// stripComment cuts " (comment)" off the end of a bare value.
func stripComment(s string) string {
	if i := strings.IndexByte(s, '('); i > 0 && strings.HasSuffix(strings.TrimSpace(s), ")") {
		return s[:i]
	}
	return s
}

// DecodeParam returns the value of a parameter for people: pieces joined and
// character set decoded (RFC 2231), or encoded words decoded, which RFC 2047
// forbids there and much mail has all the same.
func DecodeParam(params map[string]string, name string) string {
	if len(params) == 0 {
		return ""
	}
	if v, ok := params[name+"*"]; ok {
		charset, text := extended(v)
		return decodeBytes(charset, percent(text))
	}
	if _, ok := params[name+"*0"]; ok {
		return joinPieces(params, name)
	}
	if _, ok := params[name+"*0*"]; ok {
		return joinPieces(params, name)
	}
	return DecodeWords(params[name])
}

func joinPieces(params map[string]string, name string) string {
	var raw []byte
	charset := ""
	for i := range len(params) {
		key := name + "*" + strconv.Itoa(i)
		if v, ok := params[key+"*"]; ok {
			if i == 0 {
				charset, v = extended(v)
			}
			raw = append(raw, percent(v)...)
		} else if v, ok := params[key]; ok {
			raw = append(raw, v...)
		} else {
			break
		}
	}
	return decodeBytes(charset, raw)
}

// extended splits charset'language'text.
func extended(v string) (charset, text string) {
	parts := strings.SplitN(v, "'", 3)
	if len(parts) != 3 {
		return "", v
	}
	return parts[0], parts[2]
}

func percent(s string) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				out = append(out, byte(n))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return out
}
