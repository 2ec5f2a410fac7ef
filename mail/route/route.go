// Package route answers where mail for an address goes: to a person here, to
// the outside, or nowhere. It checks that an address is one, too.
//
// It must not know how mail comes or goes.
//
// Addresses: RFC 5321, section 4.1.2; domains are compared as RFC 5890 A-labels.
package route

import (
	"context"
	"fmt"
	"net/mail"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"commsd/identity"
	"commsd/internal/errcode"
)

// Directory is what routing asks. ResolveAddress answers errcode.NotFound for
// an address of a local domain that nobody has. Any goroutine may call it.
type Directory interface {
	ResolveAddress(ctx context.Context, address string) (identity.PersonID, error)
	IsLocalDomain(ctx context.Context, domain string) (bool, error)
	// AgencyOf returns the agency of a person's main position, whoever may see
	// it; empty for a person without one.
	AgencyOf(ctx context.Context, id identity.PersonID) (identity.AgencyID, error)
}

// Recipient is where one address leads.
type Recipient struct {
	Address string            // normalised
	Person  identity.PersonID // "": outside
	Agency  identity.AgencyID
}

// Local tells whether the recipient has a mailbox here.
func (r Recipient) Local() bool { return r.Person != "" }

// ErrUnknown is the answer for an address of ours that nobody has.
var ErrUnknown = errcode.New(errcode.NotFound, "no such mailbox here")

// Resolve finds where address leads. Errors: errcode.Invalid for what is no
// address, ErrUnknown's code for an unknown local one.
func Resolve(ctx context.Context, d Directory, address string) (Recipient, error) {
	normal, err := Normalise(address)
	if err != nil {
		return Recipient{}, err
	}
	_, domain, _ := cutLast(normal)
	local, err := d.IsLocalDomain(ctx, domain)
	if err != nil {
		return Recipient{}, fmt.Errorf("route: domain of %s: %w", normal, err)
	}
	if !local {
		return Recipient{Address: normal}, nil
	}
	person, err := d.ResolveAddress(ctx, normal)
	if err != nil {
		if errcode.Of(err) == errcode.NotFound {
			return Recipient{}, ErrUnknown
		}
		return Recipient{}, fmt.Errorf("route: resolve %s: %w", normal, err)
	}
	agency, err := d.AgencyOf(ctx, person)
	if err != nil {
		return Recipient{}, fmt.Errorf("route: agency of %s: %w", normal, err)
	}
	return Recipient{Address: normal, Person: person, Agency: agency}, nil
}

// Normalise checks an address and brings it to the form that addresses are
// compared in: lower case, the domain in A-labels. A local part that needs
// quotes keeps them.
func Normalise(address string) (string, error) {
	bad := errcode.New(errcode.Invalid, "this is no mail address")
	if len(address) > 254 || strings.ContainsAny(address, "\r\n\x00") {
		return "", bad
	}
	local, domain, ok := cutLast(address)
	if !ok || local == "" || len(local) > 64 {
		return "", bad
	}
	for i := range len(local) {
		if local[i] < ' ' || local[i] >= 0x7f {
			return "", errcode.New(errcode.Invalid, "the part of the address before @ holds a character that is not ASCII")
		}
	}
	domain, err := Domain(domain)
	if err != nil {
		return "", err
	}
	// What is left is checked by the standard library's reader.
	parsed, err := mail.ParseAddress("<" + local + "@" + domain + ">")
	if err != nil || !strings.HasSuffix(parsed.Address, "@"+domain) {
		return "", bad
	}
	return strings.ToLower(local) + "@" + domain, nil
}

// Domain checks a domain and returns it in lower case A-labels.
func Domain(domain string) (string, error) {
	bad := errcode.New(errcode.Invalid, "the domain of the address is none")
	domain = strings.TrimSuffix(domain, ".")
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil || ascii == "" || len(ascii) > 253 || !utf8.ValidString(domain) {
		return "", bad
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", bad
		}
	}
	return ascii, nil
}

// DomainOf returns what follows the last @ of a normalised address.
func DomainOf(address string) string {
	_, domain, _ := cutLast(address)
	return domain
}

func cutLast(address string) (local, domain string, ok bool) {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return address, "", false
	}
	return address[:i], address[i+1:], true
}
