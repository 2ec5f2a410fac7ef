package mime

import (
	"bytes"
	"net/mail"
	"strings"
	"time"
)

// Field is one header field, unfolded.
type Field struct {
	Name  string // as it was written
	Value string // undecoded, without the space around
}

// Header is the fields in the order they came.
type Header []Field

// ParseHeader splits a header block into fields. Lines that are no field are
// left out; an unfinished message still has the fields before.
func ParseHeader(block []byte) Header {
	var h Header
	var cur []byte
	flush := func() {
		name, value, ok := bytes.Cut(cur, []byte(":"))
		if ok {
			n := string(bytes.TrimRight(name, " \t"))
			if fieldName(n) {
				h = append(h, Field{Name: n, Value: strings.TrimSpace(string(value))})
			}
		}
		cur = nil
	}
	for len(block) > 0 {
		line, rest, _ := bytes.Cut(block, []byte("\n"))
		block = rest
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			break
		}
		if (line[0] == ' ' || line[0] == '\t') && cur != nil {
			cur = append(cur, line...) // unfolding keeps the space (RFC 5322, section 2.2.3)
			continue
		}
		if cur != nil {
			flush()
		}
		cur = append([]byte(nil), line...)
	}
	if cur != nil {
		flush()
	}
	return h
}

// fieldName tells whether s is printable ASCII without a space.
func fieldName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != ""
}

// Get returns the first value of a field, "" where there is none.
func (h Header) Get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Count tells how many fields have the name.
func (h Header) Count(name string) int {
	n := 0
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			n++
		}
	}
	return n
}

// fill reads the MIME fields of h into p. In a digest a part without a type is
// a message (RFC 2046, section 5.1.5).
func (p *Part) fill(h Header, limits Limits, inDigest bool) {
	p.Type, p.Subtype = "text", "plain"
	if inDigest {
		p.Type, p.Subtype = "message", "rfc822"
	}
	if v := h.Get("Content-Type"); v != "" {
		media, params := ParseParams(v, limits.Params)
		if t, s, ok := strings.Cut(strings.ToLower(media), "/"); ok && token(t) && token(s) {
			p.Type, p.Subtype, p.Params = t, s, params
		} else {
			p.Type, p.Subtype = "application", "octet-stream" // RFC 2045 would have text; unknown bytes are safer
		}
	}
	if v := h.Get("Content-Disposition"); v != "" {
		disp, params := ParseParams(v, limits.Params)
		if token(disp) {
			p.Disposition, p.DispParams = strings.ToLower(disp), params
		}
	}
	enc, _, _ := strings.Cut(strings.ToLower(h.Get("Content-Transfer-Encoding")), ";")
	if enc = strings.TrimSpace(enc); token(enc) {
		p.Encoding = enc
	}
	p.ID = kept(h.Get("Content-ID"), 1000)
	p.Description = kept(DecodeWords(h.Get("Content-Description")), 1000)
	p.Location = kept(h.Get("Content-Location"), 2000)
	if v := h.Get("Content-Language"); v != "" {
		for _, l := range strings.SplitN(v, ",", 16) {
			if l = strings.TrimSpace(l); token(l) {
				p.Language = append(p.Language, l)
			}
		}
	}
}

func envelopeOf(h Header, limits Limits) Envelope {
	e := Envelope{
		Subject: shorten(DecodeWords(h.Get("Subject")), 2000),
		Date:    ParseDate(h.Get("Date")),
		From:    ParseAddresses(h.Get("From"), limits.Addresses),
		Sender:  ParseAddresses(h.Get("Sender"), limits.Addresses),
		ReplyTo: ParseAddresses(h.Get("Reply-To"), limits.Addresses),
		To:      ParseAddresses(h.Get("To"), limits.Addresses),
		Cc:      ParseAddresses(h.Get("Cc"), limits.Addresses),
		Bcc:     ParseAddresses(h.Get("Bcc"), limits.Addresses),
	}
	e.InReplyTo = ids(h.Get("In-Reply-To"), 10)
	e.References = ids(h.Get("References"), 100)
	if id := ids(h.Get("Message-ID"), 1); len(id) == 1 {
		e.MessageID = id[0]
	}
	return e
}

// ids takes the message ids out of v; the last n, since those are nearest.
func ids(v string, n int) []string {
	var out []string
	for {
		_, rest, ok := strings.Cut(v, "<")
		if !ok {
			break
		}
		id, after, ok := strings.Cut(rest, ">")
		if !ok {
			break
		}
		v = after
		if id = kept(strings.TrimSpace(id), 990); id != "" && len(id) <= 990 && !strings.ContainsAny(id, " \t<") {
			out = append(out, id)
		}
	}
	if len(out) > n {
		out = out[len(out)-n:]
	}
	return out
}

// ParseDate reads a Date field; the zero time where it cannot.
func ParseDate(v string) time.Time {
	if v == "" || len(v) > 200 {
		return time.Time{}
	}
	t, err := mail.ParseDate(v)
	if err != nil || t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

// kept makes a value fit to be stored.
func kept(v string, n int) string { return shorten(decodeBytes("", []byte(v)), n) }

// token tells whether s is a MIME token (RFC 2045, section 5.1).
func token(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, s[i]) >= 0 {
			return false
		}
	}
	return true
}
