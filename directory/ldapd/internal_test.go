package ldapd

import (
	"bytes"
	"strings"
	"testing"

	"commsd/directory/visibility"
	"commsd/identity"
	"commsd/internal/errcode"
)

func TestEveryCodeHasAResult(t *testing.T) {
	for _, code := range errcode.All() {
		if _, ok := results[code]; !ok {
			t.Errorf("%s has no LDAP result", code)
		}
	}
}

func TestNames(t *testing.T) {
	for in, want := range map[string]string{
		"dc=g2g,dc=example":                   "dc=g2g,dc=example",
		" DC = g2g , dc=example":              "dc=g2g,dc=example",
		`o=Bộ Nội vụ\, TW,dc=x`:               `o=Bộ Nội vụ\, TW,dc=x`,
		`cn=\23x\20`:                          `cn=\#x\ `,
		`cn=\C4\90\E1\BB\A9c`:                 "cn=Đức",
		"":                                    "",
		`uid=a\2cb;o=c`:                       `uid=a\,b,o=c`,
		"x":                                   "!",
		"a=b,":                                "!",
		"a=b,,c=d":                            "!",
		"a=b+c=d":                             "!",
		`a="b"`:                               "!",
		`a=\`:                                 "!",
		"=x":                                  "!",
		"a=":                                  "!",
		`a=\ff`:                               "!",
		strings.Repeat("a=b,", 1000) + "dc=x": strings.Repeat("a=b,", 1000) + "dc=x",
		"1.3.6.1=x":                           "1.3.6.1=x",
	} {
		d, err := parseDN(in)
		got := d.String()
		if err != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("%q reads as %q, want %q", in, got, want)
		}
	}
}

func FuzzDN(f *testing.F) {
	f.Add("uid=p,o=G09,dc=g2g,dc=example")
	f.Add(`cn=\23x\20,o=a\,b`)
	f.Fuzz(func(t *testing.T, s string) {
		d, err := parseDN(s)
		if err != nil {
			return
		}
		again, err := parseDN(d.String())
		if err != nil || again.String() != d.String() {
			t.Errorf("%q → %q → %q, %v", s, d, again, err)
		}
	})
}

// FuzzMessage: whatever arrives is read or refused, and a search that is read
// is matched without harm.
func FuzzMessage(f *testing.F) {
	f.Add([]byte("\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"))
	f.Add([]byte("\x30\x25\x02\x01\x02\x63\x20\x04\x00\x0a\x01\x00\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00\x87\x0b\x6f\x62\x6a\x65\x63\x74\x43\x6c\x61\x73\x73\x30\x00"))
	entry := visibility.Entry{Person: identity.Person{ID: "p", Name: "Ngô Quang Đức", GivenName: "Đức", Address: "duc@x.example"}, Family: "Ngô"}
	f.Fuzz(func(t *testing.T, raw []byte) {
		element, err := readElement(bytes.NewReader(raw), 4096)
		if err != nil {
			return
		}
		m, err := parseMessage(element)
		if err != nil || m.op.Tag != opSearch {
			return
		}
		rq, err := parseSearch(m.op)
		if err != nil {
			return
		}
		if len(rq.filter.queries()) > maxQueries {
			t.Error("too many queries")
		}
		got := rq.filter.match(attributesOf(entry))
		not := &filter{kind: filterNot, children: []*filter{rq.filter}}
		if got+not.match(attributesOf(entry)) != yes {
			t.Errorf("a filter is %d and its negation %d", got, not.match(attributesOf(entry)))
		}
		_ = entryPacket(dnOf(entry, nil).String(), attributesOf(entry), newSelection(rq.attributes), rq.typesOnly).Bytes()
	})
}

func TestNegationOfUnknown(t *testing.T) {
	f := &filter{kind: filterNot, children: []*filter{{kind: filterExtensible}}}
	if got := f.match(nil); got != unknown {
		t.Errorf("%d", got)
	}
}
