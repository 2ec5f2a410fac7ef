package mime_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"commsd/mail/mime"
)

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

const mixed = `Received: from a by b; Mon, 2 Nov 2026 08:00:00 +0700
From: =?utf-8?B?Tmd1eeG7hW4gVsSDbiBBbg==?= <an@noivu.g2g.example>
To: Chi <chi@hanoi.g2g.example>, "Lê, Dung" <dung@hanoi.g2g.example>
Subject: =?utf-8?Q?C=C3=B4ng_v=C4=83n?=
Date: Mon, 02 Nov 2026 08:00:00 +0700
Message-ID: <1@noivu.g2g.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="out er"

preamble
--out er
Content-Type: multipart/alternative; boundary=in

--in
Content-Type: text/plain; charset=utf-8

Chào chị
dòng hai
--in
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<p>Ch=C3=A0o</p>
--in--
--out er
Content-Type: message/rfc822

Subject: inner
Content-Type: multipart/mixed; boundary=deep

--deep

one
--deep--

--out er
Content-Type: application/pdf; name*0*=utf-8''b%C3%A1o; name*1=.pdf
Content-Disposition: attachment
Content-Transfer-Encoding: base64

SGVsbG8=
--out er--
epilogue
`

func parse(t *testing.T, s string) *mime.Message {
	t.Helper()
	m, err := mime.Parse(strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestStructureOffsetsNameTheStoredBytes(t *testing.T) {
	raw := crlf(mixed)
	m := parse(t, raw)
	body := func(path ...int) string {
		t.Helper()
		p := m.Root.Find(path)
		if p == nil {
			t.Fatalf("no part %v", path)
		}
		return raw[p.BodyStart:p.BodyEnd]
	}
	if got := body(1, 1); got != "Chào chị\r\ndòng hai" {
		t.Errorf("1.1 is %q", got)
	}
	if got := body(1, 2); got != "<p>Ch=C3=A0o</p>" {
		t.Errorf("1.2 is %q", got)
	}
	if got := body(2, 1); got != "one" {
		t.Errorf("2.1 is %q", got)
	}
	if got := body(3); got != "SGVsbG8=" {
		t.Errorf("3 is %q", got)
	}
	if m.Root.Find([]int{4}) != nil || m.Root.Find([]int{1, 1, 1}) != nil || m.Root.Find([]int{0}) != nil {
		t.Error("parts that are not there were found")
	}
	p := m.Root.Find([]int{1, 1})
	if p.Lines != 1 {
		t.Errorf("1.1 has %d line ends, want 1", p.Lines)
	}
	if got := raw[p.HeaderStart:p.BodyStart]; got != "Content-Type: text/plain; charset=utf-8\r\n\r\n" {
		t.Errorf("header of 1.1 is %q", got)
	}
	if got := m.Root.Find([]int{3}).Filename(); got != "báo.pdf" {
		t.Errorf("file name is %q", got)
	}
	if m.Root.Find([]int{2}).Message.Envelope.Subject != "inner" {
		t.Error("the embedded message lost its envelope")
	}
	e := m.Envelope
	if e.Subject != "Công văn" || e.From[0].Name != "Nguyễn Văn An" || e.From[0].Addr() != "an@noivu.g2g.example" {
		t.Errorf("envelope %+v", e)
	}
	if len(e.To) != 2 || e.To[1].Name != "Lê, Dung" || e.MessageID != "1@noivu.g2g.example" {
		t.Errorf("envelope %+v", e)
	}
	if m.Received != 1 || m.From != 1 || m.BareCR || m.BareLF || m.Defects {
		t.Errorf("message %+v", m)
	}
	text, _, err := m.Root.Find([]int{1, 2}).Text(strings.NewReader(body(1, 2)), 100)
	if err != nil || text != "<p>Chào</p>" {
		t.Errorf("text %q, %v", text, err)
	}
	content, err := io.ReadAll(m.Root.Find([]int{3}).DecodeTransfer(strings.NewReader(body(3))))
	if err != nil || string(content) != "Hello" {
		t.Errorf("content %q, %v", content, err)
	}
}

// TestAnAddressIsNoneInAComment: what stands in comments and quotes is text.
func TestAnAddressIsNoneInAComment(t *testing.T) {
	for field, want := range map[string]string{
		`an@a.example (<chi@b.example>)`:             "an@a.example",
		`<an@a.example> (<chi@b.example>)`:           "an@a.example",
		`An <an@a.example> (a\) <chi@b.example>)`:    "an@a.example",
		`(<chi@b.example>) an@a.example`:             "an@a.example",
		`an@a.example (x (<chi@b.example>) y)`:       "an@a.example",
		`"<chi@b.example>" <an@a.example>`:           "an@a.example",
		`"a\" <chi@b.example>" <an@a.example>`:       "an@a.example",
		`an(<chi@b.example>)@a.example`:              "an @a.example",
		`"An <an@a.example>`:                         "an@a.example",
		`An ( <an@a.example>`:                        "an@a.example",
		`an@a.example (Nguyễn Văn An)`:               "an@a.example",
		strings.Repeat("(", 100000) + "an@a.example": strings.Repeat("(", 100000)[:317] + "an@a.example",
	} {
		got := mime.ParseAddresses(field, 0)
		if len(got) != 1 || (got[0].Addr() != want && len(field) < 1000) || got[0].Host != "a.example" {
			t.Errorf("%.60q is read as %.200v", field, got)
		}
	}
	if got := mime.ParseAddresses(`an@a.example (Nguyễn Văn An)`, 0); got[0].Name != "Nguyễn Văn An" {
		t.Errorf("the name in the comment is lost: %v", got)
	}
}

// BenchmarkBoundaries is what lines that look like boundaries cost, in a
// message of as many levels as are read.
func BenchmarkBoundaries(b *testing.B) {
	var message strings.Builder
	for i := range 98 {
		boundary := fmt.Sprintf("%0184d", i)
		message.WriteString("Content-Type: multipart/mixed; boundary=" + boundary + "\r\n\r\n--" + boundary + "\r\n")
	}
	message.WriteString("\r\n" + strings.Repeat("--a\r\n", 200000))
	b.SetBytes(int64(message.Len()))
	for b.Loop() {
		if _, err := mime.Parse(strings.NewReader(message.String())); err != nil {
			b.Fatal(err)
		}
	}
}

func TestWhatCannotBeReadIsStillAMessage(t *testing.T) {
	for name, raw := range map[string]string{
		"empty":                  "",
		"no header":              "hello\r\nworld\r\n",
		"multipart, no boundary": "Content-Type: multipart/mixed\r\n\r\nx\r\n",
		"multipart, no parts":    "Content-Type: multipart/mixed; boundary=a\r\n\r\nx\r\n",
		"boundary in the header": "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: message/rfc822\r\n--a--\r\n",
		"digest without parts":   "Content-Type: multipart/digest; boundary=a\r\n\r\n--a\r\n\r\n--a\r\n--a--",
		"last boundary unended":  "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\n\n-a\r\n--a--",
		"NUL and 8-bit":          "Subject: \x00\xff\xfe\r\nFrom: \x80@\x81\r\n\r\n\x00",
	} {
		m := parse(t, raw)
		check(t, name, []byte(raw), m)
	}
}

// check holds what every message must keep, whatever its bytes.
func check(t *testing.T, name string, raw []byte, m *mime.Message) {
	t.Helper()
	parts := 0
	var walk func(p *mime.Part, depth int)
	walk = func(p *mime.Part, depth int) {
		parts++
		if depth > 2*mime.DefaultLimits.Depth+4 {
			t.Fatalf("%s: too deep", name)
		}
		if p.HeaderStart < 0 || p.BodyStart < p.HeaderStart || p.BodyEnd < p.BodyStart || p.BodyEnd > int64(len(raw)) || p.Lines < 0 {
			t.Fatalf("%s: part %+v is out of bounds of %d bytes", name, p, len(raw))
		}
		if p.Type == "" || p.Subtype == "" || (p.Type == "multipart") != (len(p.Children) > 0) {
			t.Fatalf("%s: part %+v is no entity", name, p)
		}
		if n := int64(bytes.Count(raw[p.BodyStart:p.BodyEnd], []byte("\n"))); n != p.Lines {
			t.Fatalf("%s: part %+v has %d line ends", name, p, n)
		}
		for _, c := range p.Children {
			walk(c, depth+1)
		}
		if p.Message != nil {
			walk(p.Message, depth+1)
		}
	}
	walk(m.Root, 0)
	if parts > mime.DefaultLimits.Parts+1 {
		t.Fatalf("%s: %d parts", name, parts)
	}
	j, err := json.Marshal(m.Root)
	if err != nil || len(j) > 4<<20 {
		t.Fatalf("%s: structure of %d bytes, %v", name, len(j), err)
	}
	var back mime.Part
	if err := json.Unmarshal(j, &back); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	e, err := json.Marshal(m.Envelope)
	if err != nil || !utf8.Valid(e) || bytes.Contains(e, []byte(`\u0000`)) || bytes.Contains(j, []byte(`\u0000`)) {
		t.Fatalf("%s: envelope %q, %v", name, e, err)
	}
	m.Root.Walk(func(path []int, p *mime.Part) bool {
		if len(path) > 0 && m.Root.Find(path) != p {
			t.Fatalf("%s: part %v is not found again", name, path)
		}
		_, _, _ = p.Text(bytes.NewReader(raw[p.BodyStart:p.BodyEnd]), 1000) // only that it does not panic
		_ = p.Filename()
		return true
	})
}

func TestBombsAreBounded(t *testing.T) {
	var deep strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&deep, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	m := parse(t, deep.String())
	check(t, "deep", []byte(deep.String()), m)
	if !m.Defects {
		t.Error("a bomb of depth went unnoticed")
	}
	wide := "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\n", 50000)
	m = parse(t, wide)
	check(t, "wide", []byte(wide), m)
	if len(m.Root.Children) > mime.DefaultLimits.Parts {
		t.Errorf("%d parts", len(m.Root.Children))
	}
	messages := strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 3000)
	check(t, "messages", []byte(messages), parse(t, messages))
	long := "Subject: " + strings.Repeat("x", 5<<20) + "\r\n\r\nbody"
	m = parse(t, long)
	check(t, "long", []byte(long), m)
	if len(m.Envelope.Subject) > 2000 {
		t.Error("the subject was kept whole")
	}
}

func TestCharsets(t *testing.T) {
	// "Hà Nội" in windows-1258 writes the dot below apart: NFC must join it.
	part := &mime.Part{Params: map[string]string{"charset": "windows-1258"}}
	text, _, err := part.Text(bytes.NewReader([]byte{'H', 0xe0, ' ', 'N', 0xf4, 0xf2, 'i'}), 100)
	if err != nil || text != "Hà Nội" {
		t.Errorf("windows-1258 gave %q, %v", text, err)
	}
	for in, want := range map[string]string{
		"=?windows-1258?Q?H=E0_N=F4=F2i?=":    "Hà Nội",
		"=?UTF-8?B?xJDhu6lj?= =?UTF-8?Q?_b?=": "Đức b",
		"=?x-none?Q?x?=":                      "=?x-none?Q?x?=",
		"=?VISCII?Q?=D0=D1c?=":                "Đức",
		"=?bad":                               "=?bad",
		"Đức":                                 "Đức",
		"caf\xe9":                             "café",
	} {
		if got := mime.DecodeWords(in); got != want {
			t.Errorf("DecodeWords(%q) = %q, want %q", in, got, want)
		}
	}
	for charset, raw := range map[string]string{
		"windows-1258": "C\xf4\xf2ng ho\xcca", // marks apart
		"VISCII":       "C\xb5ng h\xf2a",
		"TCVN5712-1":   "C\xe9ng h\xdfa",
		"tcvn3":        "Co\xb4ng h\xdfa", // a mark apart
		"x-viet-vni":   "Co\xe4ng ho\xf8a",
		"utf-8":        "Co\u0302\u0323ng ho\u0300a",
	} {
		part := &mime.Part{Params: map[string]string{"charset": charset}}
		text, _, err := part.Text(strings.NewReader(raw), 100)
		want := "Cộng hòa"
		if charset == "tcvn3" {
			want = "Cọng hòa"
		}
		if err != nil || text != want || !mime.KnownCharset(charset) {
			t.Errorf("%s gave %q, want %q, %v", charset, text, want, err)
		}
	}
	for charset, raw := range map[string]string{
		"viscii": "N\xdf\xbec \x06 \x1e \x9f", "tcvn": "N\xad\xedc \xc3 \x17 \x13", "vni": "N\xf6\xf4\xf9c A\xc3 \xce Y\xd8",
	} {
		part := &mime.Part{Params: map[string]string{"charset": charset}}
		if text, _, err := part.Text(strings.NewReader(raw), 100); err != nil || text != "Nước Ẫ Ỵ Ỳ" {
			t.Errorf("%s gave %q, %v", charset, text, err)
		}
	}
	if mime.KnownCharset("x-none") {
		t.Error("any character set is said to be known")
	}
}

func TestBareLineEnds(t *testing.T) {
	for raw, want := range map[string][2]bool{
		"a: b\r\n\r\nx\r\n": {false, false},
		"a: b\n\r\nx":       {false, true},
		"a: b\r\n\r\nx\ry":  {true, false},
		"a: b\r\n\r\nx\r":   {true, false},
	} {
		// Byte by byte, so that no state is lost between writes.
		p := mime.NewParser(mime.Limits{})
		for i := range len(raw) {
			_, _ = p.Write([]byte{raw[i]}) // never fails before Close
		}
		m := p.Close()
		if m.BareCR != want[0] || m.BareLF != want[1] {
			t.Errorf("%q: CR %v, LF %v", raw, m.BareCR, m.BareLF)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(crlf(mixed)))
	f.Add([]byte("Content-Type: multipart/digest; boundary=a\r\n\r\n--a\r\n\r\n--a\r\n--a--"))
	f.Add([]byte("Content-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=\"a\"\n\n--a\n--a--"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := mime.Parse(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		check(t, "fuzz", raw, m)
	})
}

func FuzzAddresses(f *testing.F) {
	f.Add(`"Lê, Dung" <dung@x>, group: a@b, c@d;, (comment) e@f`)
	f.Fuzz(func(t *testing.T, v string) {
		for _, a := range mime.ParseAddresses(v, 100) {
			if !utf8.ValidString(a.Name+a.Mailbox+a.Host) || strings.ContainsAny(a.Mailbox+a.Host, "\x00") {
				t.Fatalf("%q gave %+v", v, a)
			}
		}
	})
}

// Text from anywhere is clean, whatever it says about itself.
func FuzzText(f *testing.F) {
	for _, charset := range []string{"utf-8", "windows-1258", "viscii", "tcvn3", "vni", "iso-2022-jp", "utf-16", "utf-7", "gb18030", "x-none", ""} {
		f.Add(charset, "", "=?"+charset+"?Q?=D0=D1c_=0D=0A?= \xff\x00\x1b$B!")
		f.Add(charset, "quoted-printable", "C=F4=F2ng=\r\n=ZZ\r\n")
		f.Add(charset, "base64", "SGVs bG8\r\n=!!")
	}
	f.Fuzz(func(t *testing.T, charset, encoding, raw string) {
		part := &mime.Part{Params: map[string]string{"charset": charset}, Encoding: encoding}
		text, _, err := part.Text(strings.NewReader(raw), 1000)
		if err != nil {
			t.Fatal(err)
		}
		for name, s := range map[string]string{"text": text, "words": mime.DecodeWords(raw), "clean": mime.Clean(raw), "html": mime.HTMLText(strings.NewReader(text), 1000)} {
			if !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\r\x1b\x7f") || name == "words" && strings.ContainsAny(s, "\n\t") {
				t.Fatalf("%s of %q is %q", name, raw, s)
			}
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add("Subject: a\r\n b\r\nbad line\r\n\tX: y\r\nContent-Type: text/plain; name*0*=utf-8''a%; name*1=b; name=\"c\\")
	f.Add(": \n:\n a:\na:;=;*=;**=\"")
	f.Fuzz(func(t *testing.T, raw string) {
		for _, field := range mime.ParseHeader([]byte(raw)) {
			if field.Name == "" || strings.ContainsAny(field.Name+field.Value, "\n") || strings.ContainsAny(field.Name, " :\r\t") {
				t.Fatalf("%q gave %+v", raw, field)
			}
			_, params := mime.ParseParams(field.Value, 10)
			if len(params) > 10 {
				t.Fatalf("%d parameters", len(params))
			}
			for name := range params {
				if v := mime.DecodeParam(params, strings.TrimRight(name, "*0123456789")); !utf8.ValidString(v) {
					t.Fatalf("%q gave %q", raw, v)
				}
			}
			if at := mime.ParseDate(field.Value); !at.IsZero() && (at.Year() < 1970 || at.Year() > 9999) {
				t.Fatalf("%q gave %v", raw, at)
			}
		}
	})
}
