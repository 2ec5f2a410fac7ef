package visibility_test

import (
	"testing"

	"commsd/directory/visibility"
	"commsd/identity"
)

// An agency that gives somebody a post beside their main one elsewhere does not
// see by that what their agency keeps to itself.
func TestAPostBesideOpensNothing(t *testing.T) {
	e := visibility.Entry{Person: identity.Person{ID: "chi", Name: "Lê Thị Kim Chi", Agency: "hanoi"}, Mobile: "0912 345 678", Office: "P. 305",
		Places: []visibility.Place{
			{Agency: "hanoi", UnitPath: "/office/", Kind: "main"},
			{Agency: "hanoi", UnitPath: "/board/", Kind: "concurrent"},
			{Agency: "ministry", UnitPath: "/reform/", Kind: "concurrent"},
		}}
	p := visibility.Policy{Levels: visibility.Levels{visibility.FieldMobile: visibility.OwnAgency, visibility.FieldOffice: visibility.OwnUnit}}
	for name, c := range map[string]struct {
		agency         identity.AgencyID
		path           string
		mobile, office bool
	}{
		"the same unit":             {"hanoi", "/office/", true, true},
		"the unit of a second post": {"hanoi", "/board/", true, true},
		"another unit":              {"hanoi", "/hall/", true, false},
		"where a post was given":    {"ministry", "/reform/", false, false},
		"above where it was given":  {"ministry", "/", false, false},
		"another agency":            {"danang", "/office/", false, false},
	} {
		got, ok := visibility.View(identity.Actor{Person: "an", Position: "post", Agency: c.agency, UnitPath: c.path}, e, p)
		if !ok || (got.Mobile != "") != c.mobile || (got.Office != "") != c.office {
			t.Errorf("%s sees mobile %q, office %q", name, got.Mobile, got.Office)
		}
	}
}
