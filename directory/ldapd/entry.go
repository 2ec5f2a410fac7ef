package ldapd

import (
	"sort"
	"strings"

	"commsd/directory/visibility"
)

// attributes are an entry's values by canonical name.
type attributes map[string][]string

// written is how attributes are spelt in answers; its keys are canonical.
var written = map[string]string{
	"objectclass": "objectClass", "uid": "uid", "cn": "cn", "displayname": "displayName", "sn": "sn", "givenname": "givenName",
	"mail": "mail", "telephonenumber": "telephoneNumber", "mobile": "mobile", "title": "title", "ou": "ou", "o": "o",
	"physicaldeliveryofficename": "physicalDeliveryOfficeName",
}

// other names that mail clients ask by.
var aliases = map[string]string{
	"commonname": "cn", "name": "cn", "surname": "sn", "gn": "givenname", "rfc822mailbox": "mail", "userid": "uid",
	"cellphone": "mobile", "mobiletelephonenumber": "mobile", "organizationname": "o", "company": "o",
	"organizationalunitname": "ou", "department": "ou", "orgunit": "ou",
}

// searched are the attributes whose words the directory finds people by.
var searched = map[string]bool{"cn": true, "displayname": true, "sn": true, "givenname": true, "mail": true}

// wordwise are those of which each word has a beginning.
var wordwise = map[string]bool{"cn": true, "displayname": true, "sn": true, "givenname": true}

// canonical is the name that attributes are kept under, without options;
// empty for one that no entry has.
func canonical(name string) string {
	name, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(name)), ";")
	if other, ok := aliases[name]; ok {
		name = other
	}
	if _, ok := written[name]; !ok {
		return ""
	}
	return name
}

// attributesOf returns e as inetOrgPerson (RFC 2798). What the viewer may not
// see is absent.
func attributesOf(e visibility.Entry) attributes {
	a := attributes{"objectclass": {"top", "person", "organizationalPerson", "inetOrgPerson"}}
	for name, value := range map[string]string{
		"uid": string(e.ID), "cn": e.Name, "displayname": e.Name, "sn": e.Family, "givenname": e.GivenName, "mail": e.Address,
		"telephonenumber": e.Phone, "mobile": e.Mobile, "title": e.Title, "ou": e.Unit, "o": e.AgencyName,
		"physicaldeliveryofficename": e.Office,
	} {
		if value != "" {
			a[name] = []string{value}
		}
	}
	if e.Family == "" && e.Name != "" {
		a["sn"] = []string{e.Name} // RFC 4519, 3.12: a person has one
	}
	return a
}

// dnOf is e's name below base.
func dnOf(e visibility.Entry, base dn) dn {
	d := dn{{"uid", string(e.ID)}}
	if e.AgencyIdentifier != "" {
		d = append(d, rdn{"o", e.AgencyIdentifier})
	}
	return append(d, base...)
}

// selection is which attributes a search asked for.
type selection struct {
	all   bool
	names []string // canonical
}

// newSelection reads an attribute list (RFC 4511, section 4.5.1.8).
func newSelection(asked []string) selection {
	var s selection
	for _, name := range asked {
		switch name {
		case "*":
			s.all = true
		case "1.1", "+":
		default:
			if c := canonical(name); c != "" {
				s.names = append(s.names, c)
			}
		}
	}
	s.all = s.all || len(asked) == 0
	return s
}

// of returns the names to answer, in order.
func (s selection) of(a attributes) []string {
	var out []string
	for name := range a {
		if s.all {
			out = append(out, name)
			continue
		}
		for _, n := range s.names {
			if n == name {
				out = append(out, name)
				break
			}
		}
	}
	sort.Strings(out)
	return out
}
