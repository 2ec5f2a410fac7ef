package directory_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"

	"commsd/directory/directorytest"
	"commsd/directory/ldapd"
	"commsd/directory/visibility"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/tlscert"
)

// ldapGallery is the gallery as the LDAP face sees it. Whose account it is has
// been settled elsewhere.
type ldapGallery struct{ *gallery }

func (g ldapGallery) AuthenticatePassword(_ context.Context, login, _, _, _ string) (identity.Actor, error) {
	for viewer, l := range g.logins {
		if l == login {
			return g.actors[viewer], nil
		}
	}
	return identity.Actor{}, errcode.New(errcode.Unauthenticated, "nobody")
}

// made makes each secret anew.
type made struct{}

func (made) Get(_ context.Context, _ string, create func() ([]byte, error)) ([]byte, error) {
	return create()
}

// serveLDAP serves the gallery until the test ends.
func serveLDAP(t *testing.T, g *gallery) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tlscert.Own(t.Context(), made{}, []string{"localhost"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ldapd.New(ldapd.Config{Listener: ln, TLS: certificate,
		Directory: ldapGallery{g}, Domain: "g2g.example", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
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
	return ln.Addr().String()
}

// ldapClient is one viewer's mail client.
type ldapClient struct {
	t    *testing.T
	conn net.Conn
	id   int64
}

func newLDAPClient(t *testing.T, addr, login string) *ldapClient {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the certificate is the test's own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	c := &ldapClient{t: t, conn: conn}
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, 0, nil, "")
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, int64(3), ""))
	op.AppendChild(ldapText(login))
	op.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 0, "any", ""))
	c.send(op)
	if answer := c.read(); answer.Children[0].Value != int64(0) {
		t.Fatalf("%s does not bind", login)
	}
	return c
}

func ldapText(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

func (c *ldapClient) send(op *ber.Packet) {
	c.t.Helper()
	c.id++
	m := ber.NewSequence("")
	m.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, c.id, ""))
	m.AppendChild(op)
	if _, err := c.conn.Write(m.Bytes()); err != nil {
		c.t.Fatal(err)
	}
}

func (c *ldapClient) read() *ber.Packet {
	c.t.Helper()
	m, err := ber.ReadPacket(c.conn)
	if err != nil {
		c.t.Fatal(err)
	}
	return m.Children[1]
}

// ldapFields are the attributes that show a field.
var ldapFields = map[string]visibility.Field{
	"cn": visibility.FieldName, "title": visibility.FieldTitle, "ou": visibility.FieldUnit, "o": visibility.FieldAgency, "mail": visibility.FieldAddress,
	"telephoneNumber": visibility.FieldPhone, "mobile": visibility.FieldMobile, "physicalDeliveryOfficeName": visibility.FieldOffice,
}

// find searches for who has value in attribute, and returns what is shown of
// the subject; nil where it is not found.
func (c *ldapClient) find(attribute, value, subject string) map[visibility.Field]string {
	c.t.Helper()
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, 3, nil, "")
	op.AppendChild(ldapText("dc=g2g,dc=example"))
	for _, n := range []int64{2, 0} {
		op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, n, ""))
	}
	for range 2 {
		op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, int64(0), ""))
	}
	op.AppendChild(ber.NewBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, false, ""))
	equal := ber.Encode(ber.ClassContext, ber.TypeConstructed, 3, nil, "")
	equal.AppendChild(ldapText(attribute))
	equal.AppendChild(ldapText(value))
	op.AppendChild(equal)
	op.AppendChild(ber.NewSequence(""))
	c.send(op)
	var out map[visibility.Field]string
	for {
		answer := c.read()
		if answer.Tag == 5 {
			if answer.Children[0].Value != int64(0) {
				c.t.Fatalf("the search ends with %v", answer.Children[0].Value)
			}
			return out
		}
		entry, uid := map[visibility.Field]string{}, ""
		for _, a := range answer.Children[1].Children {
			name, value := a.Children[0].Data.String(), a.Children[1].Children[0].Data.String()
			if f, ok := ldapFields[name]; ok {
				entry[f] = value
			}
			if name == "uid" {
				uid = value
			}
		}
		if uid == subject {
			out = entry
		}
	}
}

// TestVisibilityOverLDAP runs the same matrix against the address book.
func TestVisibilityOverLDAP(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		g := newGallery(t, f)
		addr := serveLDAP(t, g)
		clients := map[directorytest.Viewer]*ldapClient{}
		for viewer, login := range g.logins {
			clients[viewer] = newLDAPClient(t, addr, login)
		}
		var fields []visibility.Field
		for _, f := range ldapFields {
			fields = append(fields, f)
		}
		face := func(name, attribute, value string, by visibility.Field) directorytest.Face {
			return directorytest.Face{Name: name, Fields: fields, By: by, Look: func(t *testing.T, viewer directorytest.Viewer) map[visibility.Field]string {
				t.Helper()
				return clients[viewer].find(attribute, value, string(g.subject))
			}}
		}
		directorytest.RunVisibility(t, g.set, []directorytest.Face{
			face("LDAP by name", "cn", "luong the vinh", ""),
			face("LDAP by address", "mail", directorytest.Subject, visibility.FieldAddress),
		})
	})
}
