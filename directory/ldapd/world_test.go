package ldapd_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"go.uber.org/goleak"

	"commsd/directory/ldapd"
	"commsd/directory/visibility"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/fold"
	"commsd/internal/netlimit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	login    = "an@noivu.g2g.example"
	password = "abcd-efgh-ijkl-mnop"
)

var people = []visibility.Entry{
	{Person: identity.Person{ID: "p-duc", Name: "Ngô Quang Đức", GivenName: "Đức", Title: "Chánh Văn phòng", Unit: "Văn phòng Bộ", AgencyName: "Bộ Nội vụ", Address: "ducnq@noivu.g2g.example"},
		Family: "Ngô", AgencyIdentifier: "G09", Phone: "024 3825 0001", Mobile: "0912 000 001", Office: "P. 201, nhà A"},
	{Person: identity.Person{ID: "p-duc2", Name: "Tô Minh Đức", GivenName: "Đức", Title: "Chuyên viên chính", Unit: "Văn phòng UBND", AgencyName: "UBND thành phố Hà Nội", Address: "ductm@hanoi.g2g.example"},
		Family: "Tô", AgencyIdentifier: "H26"},
	{Person: identity.Person{ID: "p-binh", Name: "Trần Thanh Bình", GivenName: "Bình", Title: "Phó Vụ trưởng", Unit: "Vụ Cải cách hành chính", AgencyName: "Bộ Nội vụ", Address: "binh@noivu.g2g.example"},
		Family: "Trần", AgencyIdentifier: "G09"},
}

// book is a Directory of a few people; colleagues are those of G09.
type book struct {
	mu   sync.Mutex
	asks []string                                     // guarded by mu: what was looked for
	now  func(identity.Actor) (identity.Actor, error) // guarded by mu: who the actor is by now; nil: the same
}

func (b *book) AuthenticateAgain(_ context.Context, actor identity.Actor, scope string) (identity.Actor, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case scope != "ldap":
		return identity.Actor{}, errcode.New(errcode.Internal, "scope %s", scope)
	case b.now != nil:
		return b.now(actor)
	}
	return actor, nil
}

// become has whoever is signed in be another from now on.
func (b *book) become(now func(identity.Actor) (identity.Actor, error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = now
}

func (b *book) AuthenticatePassword(_ context.Context, l, p, _, scope string) (identity.Actor, error) {
	switch {
	case scope != "ldap":
		return identity.Actor{}, errcode.New(errcode.Internal, "scope %s", scope)
	case l == "away@noivu.g2g.example":
		return identity.Actor{}, errcode.New(errcode.Unavailable, "the database is away")
	case l != login || p != password:
		return identity.Actor{}, errcode.New(errcode.Unauthenticated, "the account or the password is wrong")
	}
	return identity.Actor{Account: "a-an", Session: "app:1", Position: "p-main", Login: login}, nil
}

func (b *book) FindEntries(_ context.Context, actor identity.Actor, q string, limit int) ([]visibility.Entry, error) {
	b.mu.Lock()
	b.asks = append(b.asks, q+" by "+string(actor.Position))
	b.mu.Unlock()
	if q == "boom" {
		var nothing *book
		nothing.asked() // what a defect does
	}
	var out []visibility.Entry
	for _, e := range people {
		hit := q != "" || e.AgencyIdentifier == "G09"
		for _, w := range fold.Words(q) {
			one := false
			for _, have := range fold.Words(e.Name + " " + e.Address) {
				one = one || strings.HasPrefix(have.Folded, w.Folded)
			}
			hit = hit && one
		}
		if hit && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

func (b *book) Entry(_ context.Context, _ identity.Actor, id identity.PersonID) (visibility.Entry, error) {
	for _, e := range people {
		if e.ID == id {
			return e, nil
		}
	}
	return visibility.Entry{}, errcode.New(errcode.NotFound, "nobody")
}

func (b *book) asked() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.asks...)
}

// certificates makes a server's certificate and, in a file, that of its issuer:
// OpenLDAP's client on GnuTLS trusts issuers only.
func certificates(t testing.TB) (serverSide *tls.Config, issuer string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test issuer"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	issuer = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(issuer, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}, issuer
}

type server struct {
	*ldapd.Server
	book *book
	addr string
	tls  *tls.Config // a client's
	ca   string      // file
}

func serve(t testing.TB, change func(*ldapd.Config)) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	certificate, issuer := certificates(t)
	s := &server{book: &book{}, addr: ln.Addr().String(), tls: &tls.Config{InsecureSkipVerify: true}, ca: issuer} //nolint:gosec // the certificate is the test's own
	cfg := ldapd.Config{Listener: ln, TLS: certificate, Directory: s.book, Domain: "g2g.example", Log: slog.New(slog.DiscardHandler),
		MaxConns: netlimit.Config{PerAddress: 500}}
	if change != nil {
		change(&cfg)
	}
	if s.Server, err = ldapd.New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// ldapsearch runs Debian's client, over StartTLS, as an; it returns what the
// client printed, unwrapped, and its exit status, which is the result code.
func (s *server) ldapsearch(t *testing.T, args ...string) (string, int) {
	t.Helper()
	return s.client(t, append([]string{"-H", "ldap://" + s.addr, "-ZZ", "-D", login, "-w", password, "-b", "dc=g2g,dc=example"}, args...)...)
}

func (s *server) client(t *testing.T, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ldapsearch", append([]string{"-x", "-LLL", "-o", "ldif-wrap=no"}, args...)...) //nolint:gosec // a test's own arguments
	cmd.Env = append(os.Environ(), "LDAPTLS_CACERT="+s.ca, "LDAPRC=none", "HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// peer speaks LDAP byte by byte.
type peer struct {
	t    testing.TB
	conn net.Conn
	id   int64
}

func (s *server) dial(t testing.TB, secure bool) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	if secure {
		conn = tls.Client(conn, s.tls)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &peer{t: t, conn: conn}
}

func (p *peer) send(op *ber.Packet) {
	p.t.Helper()
	p.id++
	m := ber.NewSequence("")
	m.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, p.id, ""))
	m.AppendChild(op)
	if _, err := p.conn.Write(m.Bytes()); err != nil {
		p.t.Fatal(err)
	}
}

// next reads one response: its operation's tag and, of results, the code and
// words.
func (p *peer) next() (tag ber.Tag, code int64, words string, err error) {
	m, err := ber.ReadPacket(p.conn)
	if err != nil {
		return 0, 0, "", err
	}
	op := m.Children[1]
	if op.Tag == 4 {
		return op.Tag, 0, string(op.Children[0].ByteValue), nil
	}
	code, _ = op.Children[0].Value.(int64)
	return op.Tag, code, string(op.Children[2].ByteValue), nil
}

func (p *peer) want(tag ber.Tag, code int64) {
	p.t.Helper()
	gotTag, gotCode, words, err := p.next()
	if err != nil || gotTag != tag || gotCode != code {
		p.t.Fatalf("operation %d, result %d %q, %v; want operation %d, result %d", gotTag, gotCode, words, err, tag, code)
	}
}

func octets(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

func bind(name, password string) *ber.Packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, 0, nil, "")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, int64(3), ""))
	p.AppendChild(octets(name))
	p.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 0, password, ""))
	return p
}

func equal(attribute, value string) *ber.Packet {
	p := ber.Encode(ber.ClassContext, ber.TypeConstructed, 3, nil, "")
	p.AppendChild(octets(attribute))
	p.AppendChild(octets(value))
	return p
}

func search(base string, filter *ber.Packet) *ber.Packet { return scoped(base, 2, filter) }

// scoped is a search of scope 0 (base), 1 (one level) or 2 (subtree).
func scoped(base string, scope int64, filter *ber.Packet) *ber.Packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, 3, nil, "")
	p.AppendChild(octets(base))
	for _, n := range []int64{scope, 0} {
		p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, n, ""))
	}
	for range 2 {
		p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, int64(0), ""))
	}
	p.AppendChild(ber.NewBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, false, ""))
	p.AppendChild(filter)
	p.AppendChild(ber.NewSequence(""))
	return p
}
