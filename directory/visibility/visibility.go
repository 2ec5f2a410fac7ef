// Package visibility decides what of a directory entry a viewer sees. Every
// face of the directory (web, HTTP API, completion, LDAP) shows what View
// leaves and nothing else.
//
// It is pure: it must know no database, no clock and no transport. Whoever asks
// brings the entry whole, the viewer and the policy.
package visibility

import (
	"slices"
	"strings"

	"commsd/directory/permission"
	"commsd/identity"
)

// Level is who sees a field, from everybody to nobody.
type Level int

// The levels. Each lets in fewer than the one before.
const (
	Public      Level = iota + 1 // everybody who may ask at all, an account without a post too
	AllAgencies                  // who holds a post in any agency
	OwnAgency                    // who works in the agency of the person's main post
	OwnUnit                      // who works in a unit of the person's there, or above or below it
	Hidden                       // the person, and who administers the entry
)

var levelNames = map[Level]string{Public: "public", AllAgencies: "all_agencies", OwnAgency: "own_agency", OwnUnit: "own_unit", Hidden: "hidden"}

// String is the level's word in JSON.
func (l Level) String() string { return levelNames[l] }

// ParseLevel is String's inverse; false for a word that is none.
func ParseLevel(word string) (Level, bool) {
	for l, name := range levelNames {
		if name == word {
			return l, true
		}
	}
	return 0, false
}

// Field is a part of an entry that has a level of its own.
type Field string

// The fields. FieldEntry is the whole: who does not see it learns in no list
// and by no search that the person exists.
const (
	FieldEntry   Field = "entry"
	FieldName    Field = "name" // an entry without a name is none: this hides the entry too
	FieldTitle   Field = "title"
	FieldUnit    Field = "unit"
	FieldAgency  Field = "agency"
	FieldAddress Field = "address"
	FieldPhone   Field = "phone"
	FieldMobile  Field = "mobile"
	FieldOffice  Field = "office"
	FieldPhoto   Field = "photo"
)

// Fields returns all fields.
func Fields() []Field {
	return []Field{FieldEntry, FieldName, FieldTitle, FieldUnit, FieldAgency, FieldAddress, FieldPhone, FieldMobile, FieldOffice, FieldPhoto}
}

// Personal tells whether a policy may leave f to the person: ways to reach and
// to recognise somebody in private. Name, post and official address are the
// agency's to show.
func Personal(f Field) bool {
	return f == FieldPhone || f == FieldMobile || f == FieldOffice || f == FieldPhoto
}

// Levels gives fields their levels; a field that is not in it has none of its own.
type Levels map[Field]Level

// Default is what holds where neither agency nor person decided: officials
// find each other across agencies, but mobile numbers stay in the agency.
func Default() Levels {
	return Levels{
		FieldEntry: AllAgencies, FieldName: AllAgencies, FieldTitle: AllAgencies, FieldUnit: AllAgencies, FieldAgency: AllAgencies,
		FieldAddress: AllAgencies, FieldPhone: AllAgencies, FieldMobile: OwnAgency, FieldOffice: AllAgencies, FieldPhoto: AllAgencies,
	}
}

// Policy is what an agency decided for its people.
type Policy struct {
	Levels   Levels  // fields that are not in it have their Default
	Personal []Field // fields whose level people may set for themselves
}

// Overrides are what was decided for one person.
type Overrides struct {
	Own   Levels // by the person; counts for the fields that the policy leaves to people
	SetBy Levels // by an administrator; stands above everything else
}

// Place is a post of a person.
type Place struct {
	Position   identity.PositionID
	Title      string // chức danh
	UnitID     identity.UnitID
	Unit       string
	UnitPath   string // "/<root>/…/<unit>/"
	Agency     identity.AgencyID
	AgencyName string
	Kind       string // main, concurrent, acting
}

// Entry is all that the directory holds of one person to show. What View took
// away is empty.
type Entry struct {
	identity.Person         // with the main post
	Family, Middle  string  // họ, đệm; GivenName is tên
	Phone           string  // of the desk
	Mobile          string  // of the person
	Office          string  // room and building
	Places          []Place // posts held now, the main one first

	AgencyIdentifier string // of the main post's agency, "G09"

	Overrides Overrides
}

// LevelOf returns who sees field f of e under p.
func LevelOf(f Field, e Entry, p Policy) Level {
	level, ok := p.Levels[f]
	if !ok {
		level = defaults[f]
	}
	if own, ok := e.Overrides.Own[f]; ok && Personal(f) && slices.Contains(p.Personal, f) {
		level = own
	}
	if set, ok := e.Overrides.SetBy[f]; ok {
		level = set
	}
	return level
}

var defaults = Default()

// Sight is what a viewer sees of one entry.
type Sight struct {
	policy Policy
	entry  Entry
	reach  Level
}

// Look returns what viewer sees of e, whose agency's policy is p.
//
// People see all of themselves, and administrators all of whom their role
// covers: who may change an entry has to see it. A role elsewhere, and the role
// of an auditor, count as a post in another agency.
func Look(viewer identity.Actor, e Entry, p Policy) Sight {
	return Sight{policy: p, entry: e, reach: reachOf(viewer, e)}
}

// Sees tells whether field f is seen, which none is where the entry is not.
func (s Sight) Sees(f Field) bool {
	if !s.open(FieldEntry) || !s.open(FieldName) {
		return false
	}
	if f == FieldUnit && !s.open(FieldAgency) {
		return false // a unit tells the agency
	}
	return s.open(f)
}

func (s Sight) open(f Field) bool { return LevelOf(f, s.entry, s.policy) <= s.reach }

// Person empties the fields of p, who is the entry's, that are not seen.
func (s Sight) Person(p identity.Person) identity.Person {
	if !s.Sees(FieldEntry) {
		return identity.Person{}
	}
	if !s.Sees(FieldTitle) {
		p.Title = ""
	}
	if !s.Sees(FieldUnit) {
		p.Unit = ""
	}
	if !s.Sees(FieldAgency) {
		p.Agency, p.AgencyName, p.AgencyShort = "", "", ""
	}
	if !s.Sees(FieldAddress) {
		p.Address = ""
	}
	if !s.Sees(FieldPhoto) {
		p.Photo = ""
	}
	return p
}

// View returns what viewer sees of e, whose agency's policy is p; false when
// that is nothing at all. e is not changed.
func View(viewer identity.Actor, e Entry, p Policy) (Entry, bool) {
	s := Look(viewer, e, p)
	if !s.Sees(FieldEntry) {
		return Entry{}, false
	}
	out := e
	out.Person = s.Person(e.Person)
	if s.reach != Hidden {
		out.Overrides = Overrides{}
	}
	if !s.Sees(FieldAgency) {
		out.AgencyIdentifier = ""
	}
	out.Places = slices.Clone(e.Places)
	for i := range out.Places {
		q := &out.Places[i]
		if !s.Sees(FieldTitle) {
			q.Title = ""
		}
		if !s.Sees(FieldUnit) {
			q.UnitID, q.Unit, q.UnitPath = "", "", ""
		}
		if !s.Sees(FieldAgency) {
			q.Agency, q.AgencyName = "", ""
		}
	}
	for f, value := range map[Field]*string{FieldPhone: &out.Phone, FieldMobile: &out.Mobile, FieldOffice: &out.Office} {
		if !s.Sees(f) {
			*value = ""
		}
	}
	return out, true
}

// Known returns what of e may stand beside the name where others show it to
// people of any agency at once (members of a conversation, those present in a
// meeting): what officials of all agencies see. The name is there even where
// the entry is hidden: who takes part is never nameless.
func Known(e Entry, p Policy) identity.Person {
	s := Sight{policy: p, entry: e, reach: AllAgencies}
	if s.Sees(FieldEntry) {
		return s.Person(e.Person)
	}
	return identity.Person{ID: e.ID, Name: e.Name, GivenName: e.GivenName}
}

// reachOf returns the strictest level that lets viewer in. Only the agency of
// the main post counts as the person's own: another gives them a post beside it
// by itself, and must not learn by that what theirs keeps to itself.
func reachOf(viewer identity.Actor, e Entry) Level {
	if viewer.Person != "" && viewer.Person == e.ID || administers(viewer, e) {
		return Hidden
	}
	reach := Public
	if viewer.Position != "" || len(viewer.Grants) > 0 {
		reach = AllAgencies
	}
	if viewer.Position == "" {
		return reach
	}
	for _, q := range e.Places {
		if viewer.Agency == "" || q.Agency != viewer.Agency || q.Agency != e.Places[0].Agency {
			continue
		}
		reach = max(reach, OwnAgency)
		if related(viewer.UnitPath, q.UnitPath) {
			return OwnUnit
		}
	}
	return reach
}

// administers tells whether a role of viewer's covers e.
func administers(viewer identity.Actor, e Entry) bool {
	if len(viewer.Grants) == 0 {
		return false
	}
	o := identity.Object{}
	if len(e.Places) > 0 {
		o.Agency, o.Path = e.Places[0].Agency, e.Places[0].UnitPath
	}
	return permission.Check(viewer, permission.AccountRead, o).Allowed
}

// related tells whether two units are the same, or one is above the other.
func related(a, b string) bool {
	return a != "" && b != "" && (strings.HasPrefix(a, b) || strings.HasPrefix(b, a))
}
