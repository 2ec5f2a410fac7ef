package mime

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	stdmime "mime"
	"mime/quotedprintable"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// lookup finds a character set, nil where it is unknown. ianaindex answers
// (nil, nil) for some it has heard of, VISCII among them.
func lookup(name string) encoding.Encoding {
	name = strings.ToLower(strings.TrimSpace(name))
	switch name {
	case "", "us-ascii", "ascii", "utf-8", "utf8", "unicode-1-1-utf-7", "utf-7":
		return nil
	case "cp1258", "x-windows-1258":
		return charmap.Windows1258
	}
	if t, ok := vietnameseNames[name]; ok {
		return t
	}
	if e, err := htmlindex.Get(name); err == nil && e != nil {
		return e
	}
	if e, err := ianaindex.MIME.Encoding(name); err == nil && e != nil {
		return e
	}
	return nil
}

// KnownCharset tells whether text in the named set can be decoded.
func KnownCharset(name string) bool {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "", "us-ascii", "ascii", "utf-8", "utf8":
		return true
	}
	return lookup(name) != nil
}

// decodeBytes turns b of a character set into clean text. A set that is
// unknown or left out is tried as UTF-8, then as windows-1252, where every byte
// means something.
func decodeBytes(charset string, b []byte) string {
	e := lookup(charset)
	if e == nil {
		if utf8.Valid(b) {
			return clean(string(b))
		}
		if KnownCharset(charset) && charset != "" {
			return clean(string(b)) // it said UTF-8 and is not: mark the bad bytes
		}
		e = charmap.Windows1252
	}
	out, err := e.NewDecoder().Bytes(b)
	if err != nil {
		return clean(string(b))
	}
	return clean(string(out))
}

// clean makes s valid UTF-8 in NFC without NUL and other controls, so that any
// database and any protocol can hold it. windows-1258 writes marks apart, hence
// NFC.
func clean(s string) string {
	ascii := true
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf || s[i] < ' ' || s[i] == 0x7f {
			ascii = false
			break
		}
	}
	if ascii {
		return s
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r':
			return -1
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, s)
	return norm.NFC.String(s)
}

// Clean is what this package does to all text it returns: valid UTF-8, NFC, no
// controls but line feed and tab.
func Clean(s string) string { return clean(s) }

// shorten cuts s to n bytes at a character's border.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

var words = stdmime.WordDecoder{CharsetReader: func(charset string, in io.Reader) (io.Reader, error) {
	e := lookup(charset)
	if e == nil {
		return nil, fmt.Errorf("mime: character set %q is unknown", charset)
	}
	return transform.NewReader(in, e.NewDecoder()), nil
}}

// DecodeWords decodes encoded words (RFC 2047) and raw 8-bit text.
func DecodeWords(s string) string {
	if s == "" {
		return ""
	}
	if strings.Contains(s, "=?") {
		if d, err := words.DecodeHeader(s); err == nil {
			return strings.TrimSpace(oneLine(clean(d)))
		}
	}
	return strings.TrimSpace(oneLine(decodeBytes("", []byte(s))))
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		return r
	}, s)
}

// DecodeTransfer returns a reader of p's content without its transfer encoding;
// body reads the encoded bytes. Broken base64 gives what could be read.
func (p *Part) DecodeTransfer(body io.Reader) io.Reader {
	switch p.Encoding {
	case "base64":
		return &lenientReader{r: base64.NewDecoder(base64.StdEncoding, &base64Filter{r: body})}
	case "quoted-printable":
		return &lenientReader{r: quotedprintable.NewReader(body)}
	}
	return body
}

// Text decodes p's content to clean text, reading at most limit bytes of it.
func (p *Part) Text(body io.Reader, limit int64) (text string, truncated bool, err error) {
	b, err := io.ReadAll(io.LimitReader(p.DecodeTransfer(body), limit+1))
	if err != nil {
		return "", false, err
	}
	if int64(len(b)) > limit {
		b, truncated = b[:limit], true
	}
	return decodeBytes(p.Charset(), b), truncated, nil
}

// base64Filter leaves out what is no base64 (RFC 2045, section 6.8).
type base64Filter struct {
	r   io.Reader
	end bool
}

func (f *base64Filter) Read(b []byte) (int, error) {
	if f.end {
		return 0, io.EOF
	}
	for {
		n, err := f.r.Read(b)
		k := 0
		for _, c := range b[:n] {
			if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '=' {
				b[k] = c
				k++
			}
		}
		if k > 0 || err != nil || len(b) == 0 {
			return k, err
		}
	}
}

// lenientReader ends quietly where a decoder finds broken content; errors of
// the reader below pass.
type lenientReader struct{ r io.Reader }

func (l *lenientReader) Read(b []byte) (int, error) {
	n, err := l.r.Read(b)
	if err == nil || err == io.EOF {
		return n, err
	}
	var broken base64.CorruptInputError
	if asCorrupt(err, &broken) || errors.Is(err, io.ErrUnexpectedEOF) || strings.HasPrefix(err.Error(), "quotedprintable:") {
		return n, io.EOF
	}
	return n, err
}
