// Package directorytest holds the one matrix of who sees what of a directory
// entry, and runs it against a face of the directory: the service, the HTTP API,
// LDAP. It must not know how a face is asked; the face's test says that.
package directorytest

import (
	"slices"
	"strings"
	"testing"

	"commsd/directory/visibility"
)

// The entry that everybody looks at is one of the demo's people, whose card is
// filled with these.
const (
	Subject     = "vinhlt@hanoi.g2g.example"
	SubjectName = "Lương Thế Vinh"
	Phone       = "024 3825 3536"
	Mobile      = "0912 345 678"
	Office      = "P. 305, nhà B"
	Photo       = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
)

// Viewer is who looks at it.
type Viewer string

// The viewers. Logins holds those who are in the demo.
const (
	Self   Viewer = "self"
	Unit   Viewer = "unit"   // works in the unit above the subject's
	Agency Viewer = "agency" // works in another unit of the agency
	Other  Viewer = "other"  // works in another agency
	NoPost Viewer = "nopost" // has an account and no post
	Admin  Viewer = "admin"  // the system administrator, who has no post either
)

// Logins are the demo accounts of viewers.
var Logins = map[Viewer]string{
	Unit: "chi@hanoi.g2g.example", Agency: "dung@hanoi.g2g.example", Other: "an@noivu.g2g.example", Admin: "admin@g2g.example",
}

// matrix says who sees a field of a level.
var matrix = map[visibility.Level]string{
	visibility.Public:      "self unit agency other nopost admin",
	visibility.AllAgencies: "self unit agency other admin",
	visibility.OwnAgency:   "self unit agency admin",
	visibility.OwnUnit:     "self unit admin",
	visibility.Hidden:      "self admin",
}

// values are what is shown of the subject where it is seen.
var values = map[visibility.Field]string{
	visibility.FieldName: SubjectName, visibility.FieldTitle: "Trưởng phòng", visibility.FieldUnit: "Phòng Nội chính",
	visibility.FieldAgency: "UBND thành phố Hà Nội", visibility.FieldAddress: Subject, visibility.FieldPhone: Phone,
	visibility.FieldMobile: Mobile, visibility.FieldOffice: Office, visibility.FieldPhoto: Photo,
}

// Face is one way to look at the subject. Look returns what it shows, nil where
// the subject is not found; what is not shown is empty.
type Face struct {
	Name   string
	Fields []visibility.Field                                            // what it can show
	By     visibility.Field                                              // the subject is found by this field; empty: by the name
	Look   func(t *testing.T, viewer Viewer) map[visibility.Field]string // as viewer
	Only   []Viewer                                                      // who can look; empty: all
	Known  bool                                                          // it shows names to all who meet the subject at once
}

// RunVisibility sets every field to every level, by set, the other fields to
// Public, and has every viewer look through every face.
func RunVisibility(t *testing.T, set func(t *testing.T, levels visibility.Levels), faces []Face) {
	t.Helper()
	looked := 0
	for _, field := range visibility.Fields() {
		for level, sees := range matrix {
			levels := visibility.Levels{}
			for _, f := range visibility.Fields() {
				levels[f] = visibility.Public
			}
			levels[field] = level
			set(t, levels)
			for _, viewer := range []Viewer{Self, Unit, Agency, Other, NoPost, Admin} {
				for _, face := range faces {
					if len(face.Only) > 0 && !slices.Contains(face.Only, viewer) {
						continue
					}
					seen := slices.Contains(strings.Fields(sees), string(viewer))
					if face.Known {
						seen = level <= visibility.AllAgencies
					}
					check(t, face, viewer, field, level, seen)
					looked++
				}
			}
		}
	}
	if looked == 0 {
		t.Fatal("nobody looked")
	}
}

func check(t *testing.T, face Face, viewer Viewer, field visibility.Field, level visibility.Level, seen bool) {
	t.Helper()
	got := face.Look(t, viewer)
	whole := field == visibility.FieldEntry || field == visibility.FieldName
	found := seen || !whole && field != face.By && (field != visibility.FieldAgency || face.By != visibility.FieldUnit)
	if face.Known {
		found = true
	}
	if (got != nil) != found {
		t.Errorf("%s, %s is %s, as %s: found %v, want %v", face.Name, field, level, viewer, got != nil, found)
		return
	}
	for _, f := range face.Fields {
		want := values[f]
		if !found || !seen && lost(face, field, f) {
			want = ""
		}
		if got[f] != want {
			t.Errorf("%s, %s is %s, as %s: %s is %q, want %q", face.Name, field, level, viewer, f, got[f], want)
		}
	}
}

// lost tells whether face does not show f where field is not seen and the
// subject is found all the same.
func lost(face Face, field, f visibility.Field) bool {
	if face.Known && (field == visibility.FieldEntry || field == visibility.FieldName) {
		return f != visibility.FieldName
	}
	return f == field || f == visibility.FieldUnit && field == visibility.FieldAgency // a unit tells the agency
}
