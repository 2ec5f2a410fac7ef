package route_test

import (
	"context"
	"errors"
	"net/mail"
	"strings"
	"testing"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/mail/mailtest"
	"commsd/mail/route"
)

func TestNormalise(t *testing.T) {
	for in, want := range map[string]string{
		"An@NoiVu.Example":                     "an@noivu.example",
		"an@noivu.example.":                    "an@noivu.example",
		"a.b+c@x-y.example":                    "a.b+c@x-y.example",
		"an@bộnộivụ.example":                   "an@xn--bniv-5y5ab0g.example",
		"an@BỘNỘIVỤ.example":                   "an@xn--bniv-5y5ab0g.example",
		`"a b"@x.example`:                      `"a b"@x.example`,
		"o'neil@x.example":                     "o'neil@x.example",
		strings.Repeat("a", 64) + "@x.example": strings.Repeat("a", 64) + "@x.example",
	} {
		got, err := route.Normalise(in)
		if err != nil || got != want {
			t.Errorf("%q is %q, want %q, %v", in, got, want, err)
		}
	}
	for _, in := range []string{
		"", "@", "an", "an@", "@x.example", "a..b@x.example", ".a@x.example", "a b@x.example", "a@b@x.example", "<a@x.example>", "a@x.example, b@x.example",
		"a@x .example", "a@-x.example", "a@x..example", "a@[127.0.0.1]", "a\r\n@x.example", "a@x.example\r\nRCPT TO:<b@y>", "a\x00@x.example", "ân@x.example",
		"Name <a@x.example>", "(c)a@x.example", strings.Repeat("a", 65) + "@x.example", "a@" + strings.Repeat("a", 64) + ".example", "a@" + strings.Repeat("a.", 130) + "example",
	} {
		if got, err := route.Normalise(in); errcode.Of(err) != errcode.Invalid || err == nil {
			t.Errorf("%q was taken as %q, %v", in, got, err)
		}
	}
}

func TestResolve(t *testing.T) {
	d := &mailtest.Directory{}
	r, err := route.Resolve(t.Context(), d, "Van.An@NOIVU.example")
	if err != nil || r != (route.Recipient{Address: "van.an@noivu.example", Person: mailtest.An, Agency: mailtest.AnAgency}) || !r.Local() {
		t.Errorf("a person here is %+v, %v", r, err)
	}
	r, err = route.Resolve(t.Context(), d, "x@far.example")
	if err != nil || r != (route.Recipient{Address: "x@far.example"}) || r.Local() {
		t.Errorf("somebody outside is %+v, %v", r, err)
	}
	if _, err = route.Resolve(t.Context(), d, "nobody@noivu.example"); errcode.Of(err) != errcode.NotFound {
		t.Errorf("nobody here: %v", err)
	}
	// A directory that cannot answer is not one that has nobody.
	for _, broken := range []broken{{domain: true}, {address: true}, {people: true}} {
		if _, err := route.Resolve(t.Context(), broken, "an@noivu.example"); !errors.Is(err, errBroken) || errcode.Of(err) != errcode.Internal {
			t.Errorf("%+v: %v", broken, err)
		}
	}
}

var errBroken = errors.New("the database is away")

// broken is a directory of which a part does not work.
type broken struct{ domain, address, people bool }

func (b broken) IsLocalDomain(ctx context.Context, d string) (bool, error) {
	if b.domain {
		return false, errBroken
	}
	return new(mailtest.Directory).IsLocalDomain(ctx, d)
}

func (b broken) ResolveAddress(ctx context.Context, a string) (identity.PersonID, error) {
	if b.address {
		return "", errBroken
	}
	return new(mailtest.Directory).ResolveAddress(ctx, a)
}

func (b broken) AgencyOf(ctx context.Context, id identity.PersonID) (identity.AgencyID, error) {
	if b.people {
		return "", errBroken
	}
	return new(mailtest.Directory).AgencyOf(ctx, id)
}

// What is normal once stays so, is one address to others too, and fits a line
// of SMTP.
func FuzzNormalise(f *testing.F) {
	for _, s := range []string{"an@noivu.example", `"a\" b"@x.example`, "a@bộ.example", "@a:b@c", "a@b@c", "a@\u3002x", "a@xn--", "=?@x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := route.Normalise(in)
		if err != nil {
			return
		}
		if again, err := route.Normalise(got); err != nil || again != got {
			t.Fatalf("%q is %q and then %q, %v", in, got, again, err)
		}
		if strings.Trim(got, "\x20\x21\x22\x23$%&'()*+,-./0123456789:;<=>?@[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~") != "" {
			t.Fatalf("%q is %q", in, got)
		}
		list, err := mail.ParseAddressList("<" + got + ">")
		if err != nil || len(list) != 1 {
			t.Fatalf("%q is %q, which others read as %v, %v", in, got, list, err)
		}
	})
}
