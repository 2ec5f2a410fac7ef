package ldapd_test

import (
	"encoding/base64"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"

	"commsd/directory/ldapd"
	"commsd/identity"
	"commsd/internal/errcode"
)

// uids lists the uids of an LDIF answer.
func uids(ldif string) []string {
	var out []string
	for line := range strings.SplitSeq(ldif, "\n") {
		if v, ok := strings.CutPrefix(line, "dn: uid="); ok {
			out = append(out, v[:strings.IndexByte(v, ',')])
		}
	}
	return out
}

// What mail clients ask, as they ask it: Thunderbird's completion and its
// address book, Outlook's, and others.
func TestMailClientsFindPeople(t *testing.T) {
	s := serve(t, nil)
	for name, c := range map[string]struct {
		filter string
		want   []string
	}{
		"Thunderbird completes duc":        {"(&(mail=*)(|(mail=duc*)(cn=duc*)(sn=duc*)))", []string{"p-duc", "p-duc2"}},
		"Thunderbird completes ngo duc":    {"(|(cn=ngo*duc*)(mail=ngo duc*)(sn=ngo*duc*))", []string{"p-duc"}},
		"Thunderbird's address book":       {"(|(mail=*đức*)(cn=*đức*)(givenName=*đức*)(sn=*đức*))", []string{"p-duc", "p-duc2"}},
		"Outlook's check of a name":        {"(&(mail=*)(|(mail=Binh*)(|(cn=Binh*)(|(sn=Binh*)(|(givenName=Binh*)(displayName=Binh*))))))", []string{"p-binh"}},
		"a whole address":                  {"(mail=DucTM@hanoi.g2g.example)", []string{"p-duc2"}},
		"a whole name":                     {"(cn=ngo quang duc)", []string{"p-duc"}},
		"the surname":                      {"(surname=Trần)", []string{"p-binh"}},
		"a name, but not of this agency":   {"(&(cn=duc*)(!(o=Bộ Nội vụ)))", []string{"p-duc2"}},
		"colleagues":                       {"(objectClass=inetOrgPerson)", []string{"p-duc", "p-binh"}},
		"colleagues with a telephone":      {"(telephoneNumber=*)", []string{"p-duc"}},
		"approximately":                    {"(cn~=quang)", []string{"p-duc"}},
		"an attribute that nobody has":     {"(shoeSize=42)", nil},
		"its negation is not true either":  {"(!(shoeSize=42))", nil},
		"a filter's signs in a value":      {`(cn=\2a\29\28uid=\2a)`, nil},
		"nobody of that name":              {"(cn=zzz*)", nil},
		"the end of a name":                {"(cn=*minh duc)", []string{"p-duc2"}},
		"the middle of a word of the name": {"(&(cn=duc*)(cn=*uang*))", []string{"p-duc"}},
	} {
		out, code := s.ldapsearch(t, c.filter, "cn")
		got := uids(out)
		slices.Sort(got)
		slices.Sort(c.want)
		if code != 0 || !slices.Equal(got, c.want) {
			t.Errorf("%s: %s finds %v, exit %d, want %v\n%s", name, c.filter, got, code, c.want, out)
		}
	}
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// The attributes that Thunderbird maps to a card, in its spelling.
func TestAttributesAreThoseOfMailClients(t *testing.T) {
	s := serve(t, nil)
	out, code := s.ldapsearch(t, "-s", "sub", "(cn=ngo*)", "objectClass", "cn", "displayName", "givenName", "sn", "mail", "telephoneNumber", "mobile", "title", "ou", "o", "company", "department")
	if code != 0 {
		t.Fatal(out)
	}
	for _, line := range []string{
		"dn: uid=p-duc,o=G09,dc=g2g,dc=example", "objectClass: inetOrgPerson",
		"cn:: " + b64("Ngô Quang Đức"), "displayName:: " + b64("Ngô Quang Đức"), "givenName:: " + b64("Đức"), "sn:: " + b64("Ngô"),
		"mail: ducnq@noivu.g2g.example", "telephoneNumber: 024 3825 0001", "mobile: 0912 000 001",
		"title:: " + b64("Chánh Văn phòng"), "ou:: " + b64("Văn phòng Bộ"), "o:: " + b64("Bộ Nội vụ"),
	} {
		if !strings.Contains(out, line+"\n") {
			t.Errorf("no line %q in\n%s", line, out)
		}
	}
	if strings.Contains(out, "physicalDeliveryOfficeName") {
		t.Error("an attribute that was not asked for is answered")
	}
	if out, _ := s.ldapsearch(t, "(cn=to minh duc)"); strings.Contains(out, "mobile") || strings.Contains(out, "telephoneNumber") {
		t.Errorf("what may not be seen is answered:\n%s", out)
	}
}

func TestPlacesInTheTree(t *testing.T) {
	s := serve(t, nil)
	for _, c := range []struct {
		args []string
		want []string
		code int
	}{
		{[]string{"-b", "o=H26,dc=g2g,dc=example", "(cn=duc*)"}, []string{"p-duc2"}, 0},
		{[]string{"-b", "uid=p-duc,o=G09,dc=g2g,dc=example", "-s", "base", "(objectClass=*)"}, []string{"p-duc"}, 0},
		{[]string{"-b", "uid=p-duc,o=H26,dc=g2g,dc=example", "-s", "base"}, nil, 32},
		{[]string{"-b", "uid=p-none,o=G09,dc=g2g,dc=example", "-s", "base"}, nil, 32},
		{[]string{"-b", "dc=other,dc=example"}, nil, 32},
		{[]string{"-b", "not a name"}, nil, 34},
		{[]string{"-b", "DC=G2G, DC=Example", "(cn=binh*)"}, []string{"p-binh"}, 0},
	} {
		out, code := s.ldapsearch(t, c.args...)
		if got := uids(out); code != c.code || !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, exit %d, want %v, %d\n%s", c.args, got, code, c.want, c.code, out)
		}
	}
}

// More than a search may give is said to be more.
func TestSearchesAreBounded(t *testing.T) {
	s := serve(t, func(c *ldapd.Config) { c.MaxEntries = 1 })
	out, code := s.ldapsearch(t, "(cn=duc*)")
	if code != 4 || len(uids(out)) != 1 {
		t.Errorf("exit %d:\n%s", code, out)
	}
	if out, code := s.ldapsearch(t, "-E", "pr=100/noprompt", "(cn=binh*)"); code != 0 || len(uids(out)) != 1 {
		t.Errorf("in pages: exit %d:\n%s", code, out)
	}
	s = serve(t, nil)
	if out, code := s.ldapsearch(t, "-z", "1", "(cn=duc*)"); code != 4 || len(uids(out)) != 1 {
		t.Errorf("with a client's limit: exit %d:\n%s", code, out)
	}
}

func TestSignIn(t *testing.T) {
	s := serve(t, nil)
	plain, ldaps := "ldap://"+s.addr, "ldaps://"+s.addr
	for name, c := range map[string]struct {
		args []string
		code int
	}{
		"LDAPS on the same port":   {[]string{"-H", ldaps, "-D", login, "-w", password, "-b", "dc=g2g,dc=example", "(cn=binh*)"}, 0},
		"StartTLS":                 {[]string{"-H", plain, "-ZZ", "-D", login, "-w", password, "-b", "dc=g2g,dc=example", "(cn=binh*)"}, 0},
		"by a name in the tree":    {[]string{"-H", ldaps, "-D", "mail=" + login + ",dc=g2g,dc=example", "-w", password, "-b", "dc=g2g,dc=example", "(cn=binh*)"}, 0},
		"in clear":                 {[]string{"-H", plain, "-D", login, "-w", password, "-b", "dc=g2g,dc=example"}, 13},
		"wrong password":           {[]string{"-H", ldaps, "-D", login, "-w", "wrong"}, 49},
		"unknown account":          {[]string{"-H", ldaps, "-D", "nobody@noivu.g2g.example", "-w", password}, 49},
		"database away":            {[]string{"-H", ldaps, "-D", "away@noivu.g2g.example", "-w", password}, 52},
		"search without a bind":    {[]string{"-H", ldaps, "-b", "dc=g2g,dc=example"}, 48},
		"what the server is":       {[]string{"-H", plain, "-b", "", "-s", "base", "(objectClass=*)", "namingContexts"}, 48},
		"a name that is no person": {[]string{"-H", ldaps, "-D", "ou=x", "-w", password}, 34},
	} {
		// ldapsearch -x without -D binds anonymously first.
		if out, code := s.client(t, c.args...); code != c.code {
			t.Errorf("%s: exit %d, want %d\n%s", name, code, c.code, out)
		}
	}
	// The root is read before a bind, and only it.
	p := s.dial(t, false)
	p.send(scoped("", 0, equal("objectClass", "top")))
	p.want(4, 0)
	p.want(5, 0)
	p.send(search("dc=g2g,dc=example", equal("cn", "binh")))
	p.want(5, 50)
	p.send(bind(login, ""))
	p.want(1, 53)
}

// Commands slipped in before TLS begins are not taken for the client's.
func TestStartTLSTakesNothingFromBefore(t *testing.T) {
	s := serve(t, nil)
	p := s.dial(t, false)
	start := ber.Encode(ber.ClassApplication, ber.TypeConstructed, 23, nil, "")
	start.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 0, "1.3.6.1.4.1.1466.20037", ""))
	one, two := ber.NewSequence(""), ber.NewSequence("")
	one.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, int64(1), ""))
	one.AppendChild(start)
	two.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, int64(2), ""))
	two.AppendChild(bind(login, password))
	if _, err := p.conn.Write(append(one.Bytes(), two.Bytes()...)); err != nil {
		t.Fatal(err)
	}
	p.want(24, 2)
	if _, _, _, err := p.next(); err == nil {
		t.Error("the connection goes on")
	}
}

func TestReadOnly(t *testing.T) {
	s := serve(t, nil)
	p := s.dial(t, true)
	p.send(bind(login, password))
	p.want(1, 0)
	for _, tag := range []ber.Tag{6, 8, 12, 14} {
		p.send(ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, ""))
		p.want(tag+1, 53)
	}
	p.send(ber.NewString(ber.ClassApplication, ber.TypePrimitive, 10, "uid=p-duc,o=G09,dc=g2g,dc=example", ""))
	p.want(11, 53)
	p.send(ber.NewInteger(ber.ClassApplication, ber.TypePrimitive, 16, int64(1), "")) // abandon has no answer
	p.send(search("dc=g2g,dc=example", equal("mail", "binh@noivu.g2g.example")))
	p.want(4, 0)
	p.want(5, 0)
}

func TestGuessingEndsTheConnection(t *testing.T) {
	s := serve(t, func(c *ldapd.Config) { c.MaxFailures = 2 })
	p := s.dial(t, true)
	for range 2 {
		p.send(bind(login, "wrong"))
		p.want(1, 49)
	}
	p.want(24, 53)
	if _, _, _, err := p.next(); err == nil {
		t.Error("the connection goes on")
	}
}

// A bind that fails leaves nobody signed in (RFC 4511, section 4.2.1).
func TestFailedBindSignsOut(t *testing.T) {
	s := serve(t, nil)
	p := s.dial(t, true)
	p.send(bind(login, password))
	p.want(1, 0)
	p.send(bind(login, "wrong"))
	p.want(1, 49)
	p.send(search("dc=g2g,dc=example", equal("cn", "binh")))
	p.want(5, 50)
}

func TestRevokeEndsConnections(t *testing.T) {
	s := serve(t, nil)
	for name, r := range map[string]identity.Revocation{
		"of the account":      {Account: "a-an"},
		"of the app password": {Account: "a-an", Session: "app:1"},
		"of the position":     {Account: "a-an", Position: "p-main"},
	} {
		p, other := s.dial(t, true), s.dial(t, true)
		p.send(bind(login, password))
		p.want(1, 0)
		s.Revoke(identity.Revocation{Account: "a-an", Session: "of the web"})
		s.Revoke(identity.Revocation{Account: "a-an", Session: "app:2"})
		s.Revoke(identity.Revocation{Account: "a-an", Position: "p-other"})
		s.Revoke(identity.Revocation{Account: "a-binh"})
		p.send(search("dc=g2g,dc=example", equal("cn", "zzz")))
		p.want(5, 0)
		s.Revoke(r)
		if _, _, _, err := p.next(); err == nil {
			t.Errorf("%s: the connection goes on", name)
		}
		other.send(bind("nobody", "wrong"))
		other.want(1, 49) // others go on
	}
}

// A search is answered to who somebody is when they search, and to nobody once
// what they signed in by has run out.
func TestSearchAsWhoOneIsNow(t *testing.T) {
	s := serve(t, nil)
	p := s.dial(t, true)
	p.send(bind(login, password))
	p.want(1, 0)
	find := func(code int64) {
		t.Helper()
		p.send(search("dc=g2g,dc=example", equal("cn", "zzz")))
		p.want(5, code)
	}
	find(0)
	s.book.become(func(a identity.Actor) (identity.Actor, error) {
		a.Position = "p-next"
		return a, nil
	})
	find(0)
	if got := s.book.asked(); !slices.Equal(got, []string{"zzz by p-main", "zzz by p-next"}) {
		t.Errorf("asked are %q", got)
	}
	s.Revoke(identity.Revocation{Account: "a-an", Position: "p-main"}) // is left behind
	find(0)
	s.book.become(func(identity.Actor) (identity.Actor, error) {
		return identity.Actor{}, errcode.New(errcode.Unauthenticated, "sign in again")
	})
	find(49)
	s.book.become(nil)
	find(50) // until the next bind
	p.send(bind(login, password))
	p.want(1, 0)
	find(0)
}

// One client's panic ends its connection and nobody else's.
func TestPanicEndsOneConnection(t *testing.T) {
	s := serve(t, nil)
	p, other := s.dial(t, true), s.dial(t, true)
	for _, c := range []*peer{p, other} {
		c.send(bind(login, password))
		c.want(1, 0)
	}
	p.send(search("dc=g2g,dc=example", equal("cn", "boom")))
	if _, _, _, err := p.next(); err == nil {
		t.Error("the connection goes on")
	}
	other.send(search("dc=g2g,dc=example", equal("cn", "zzz")))
	other.want(5, 0)
}

func TestHostileRequests(t *testing.T) {
	s := serve(t, nil)
	deep := equal("cn", "x")
	for range 110 {
		not := ber.Encode(ber.ClassContext, ber.TypeConstructed, 2, nil, "")
		not.AppendChild(deep)
		deep = not
	}
	wide := ber.Encode(ber.ClassContext, ber.TypeConstructed, 1, nil, "")
	for range 500 {
		wide.AppendChild(equal("cn", "x"))
	}
	many := ber.Encode(ber.ClassContext, ber.TypeConstructed, 1, nil, "")
	for i := range 50 {
		many.AppendChild(equal("cn", "zz"+string(rune('a'+i%26))+string(rune('a'+i/26))))
	}
	p := s.dial(t, true)
	p.send(bind(login, password))
	p.want(1, 0)
	before := len(s.book.asked())
	for _, f := range []*ber.Packet{deep, wide} {
		p.send(search("dc=g2g,dc=example", f))
		p.want(5, 2)
	}
	p.send(search("dc=g2g,dc=example", many))
	p.want(5, 0)
	if n := len(s.book.asked()) - before; n > 8 {
		t.Errorf("one filter asks the directory %d times", n)
	}
	for name, raw := range map[string]string{
		"no LDAP":              "GET / HTTP/1.1\r\n\r\n",
		"four gigabytes":       "\x30\x84\xff\xff\xff\xff",
		"indefinite length":    "\x30\x80\x02\x01\x01\x00\x00",
		"no operation":         "\x30\x03\x02\x01\x01",
		"negative id":          "\x30\x05\x02\x01\xff\x42\x00",
		"response of a server": "\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00",
		"deeply nested":        strings.Repeat("\x30\x80", 3000),
	} {
		p := s.dial(t, false)
		if _, err := io.WriteString(p.conn, raw); err != nil {
			t.Fatal(err)
		}
		if tcp, ok := p.conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite() // the client says all it has
		}
		if tag, _, _, err := p.next(); err == nil && tag != 24 {
			t.Errorf("%s is answered with operation %d", name, tag)
		}
		if _, err := p.conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: the connection goes on", name)
		}
	}
}

// What decoding costs grows with the depth times the length: six requests of
// 64 KiB, a thousand deep, took seven hundred megabytes.
func TestCostlyRequestsAreRefusedUnread(t *testing.T) {
	s := serve(t, nil)
	nested := octets(strings.Repeat("x", 50_000))
	for range 500 {
		around := ber.NewSequence("")
		around.AppendChild(nested)
		nested = around
	}
	deep := ber.Encode(ber.ClassApplication, ber.TypeConstructed, 3, nil, "")
	deep.AppendChild(nested)
	parts := ber.Encode(ber.ClassApplication, ber.TypeConstructed, 3, nil, "")
	for range 5000 {
		parts.AppendChild(octets(""))
	}
	for name, op := range map[string]*ber.Packet{"deep": deep, "of many parts": parts} {
		p := s.dial(t, true)
		p.send(bind(login, password))
		p.want(1, 0)
		p.send(op)
		p.want(24, 2) // a notice of disconnection
		if _, err := p.conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: the connection goes on", name)
		}
	}
	long := search("dc=g2g,dc=example", equal("cn", strings.Repeat("x", 9000)))
	p := s.dial(t, true)
	p.send(bind(login, password))
	p.want(1, 0)
	p.send(long)
	p.want(5, 0)
	stranger := s.dial(t, true)
	if _, err := io.WriteString(stranger.conn, "\x30\x82\x23\x28"); err != nil { // 9000 bytes are to come
		t.Fatal(err)
	}
	stranger.want(24, 2)
}

func TestUnknownCriticalControl(t *testing.T) {
	s := serve(t, nil)
	if out, code := s.ldapsearch(t, "-E", "!sss=cn", "(cn=binh*)"); code != 12 {
		t.Errorf("exit %d\n%s", code, out)
	}
	if out, code := s.ldapsearch(t, "-E", "sss=cn", "(cn=binh*)"); code != 0 || len(uids(out)) != 1 {
		t.Errorf("exit %d\n%s", code, out)
	}
}
