package roster

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Unit is a unit of the agency.
type Unit struct {
	ID, Parent, Name string
}

// Post is a position that somebody holds in the agency now.
type Post struct {
	ID, Unit, Title, Kind string
	Seniority             int
	Version               int64
}

// Person is somebody whom the directory knows.
type Person struct {
	ID, Key, Family, Middle, Given, Address string
	Phone, Mobile, Office                   string
	Version                                 int64
	Posts                                   []Post // in the agency, now
	Elsewhere                               string // name of another agency where they hold a post; empty: none
	Keeper                                  string // of somebody from outside: who looks after them, where a post here is not the agency's to give; empty: it is
}

// State is what a list is compared with.
type State struct {
	Units  []Unit
	People []Person // of the agency, and those elsewhere whom Lookup finds
	// Lookup finds somebody who is not of the agency by key or address; it may
	// be nil.
	Lookup func(key, address string) (Person, bool)
	// Domain tells whether the agency may give addresses of a mail domain.
	Domain func(domain string) bool
}

// The kinds of Entry.
const (
	Add    = "add"
	Change = "change"
	Move   = "move"
	Leave  = "leave"
)

// ImportField is one thing of a person that changes. Names are those of the columns.
type ImportField struct {
	Name string `json:"name"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

// Entry is what an import does about one person.
type Entry struct {
	Kind   string        `json:"kind" enum:"add,change,move,leave"`
	Line   int           `json:"row" doc:"line of the file; 0 for who is not in it"`
	Key    string        `json:"external_key"`
	Name   string        `json:"person_name"`
	Person string        `json:"person_id" doc:"empty: is made"`
	Fields []ImportField `json:"fields" nullable:"false" doc:"what changes"`

	Deed Deed `json:"-"`
}

// Deed is an Entry as it is applied.
type Deed struct {
	Row     *Row     `json:"row,omitempty"` // nil: leaves
	Version int64    `json:"version"`       // of the person as compared
	Begin   []Begin  `json:"begin,omitempty"`
	Amend   []Amend  `json:"amend,omitempty"`
	End     []string `json:"end,omitempty"` // positions
	Set     []string `json:"set,omitempty"` // columns of the person that change
}

// Begin is a position that begins.
type Begin struct {
	Unit, Title, Kind string
	Seniority         int
}

// Amend is a position whose title or place in the order changes.
type Amend struct {
	ID, Title string
	Seniority int
}

// Plan is what an import does.
type Plan struct {
	Entries   []Entry
	Adds      int
	Changes   int
	Moves     int
	Leaves    int
	Unchanged int
	Keyed     int // people of the agency with a personnel number: those who can leave
}

// Seniority of a position whose list does not say.
const defaultSeniority = 100

// Diff says what would change. A person is the one with the personnel number
// of the line, or else with its mail address. Who has a number and stands in no
// line leaves, where the list has numbers at all. Posts beside the main one
// stay unless the list names them with another title.
func Diff(f File, state State, problems *Problems) Plan {
	d := differ{file: f, state: state, problems: problems, byKey: map[string]*Person{}, byAddress: map[string]*Person{}}
	for i := range state.People {
		p := &state.People[i]
		if p.Key != "" {
			d.byKey[p.Key] = p
		}
		if p.Address != "" {
			d.byAddress[p.Address] = p
		}
	}
	d.indexUnits()
	return d.diff()
}

type differ struct {
	file      File
	state     State
	problems  *Problems
	byKey     map[string]*Person
	byAddress map[string]*Person
	units     map[string][]string // folded path, or its end → unit ids
	names     map[string]string   // unit id → path as written
}

func (d *differ) bad(r Row, column, value, code, text, cure string, args ...any) {
	d.problems.add(r.Line, d.file.header[column], value, code, text, cure, args...)
}

// indexUnits makes units found by their path from the root and by every end of
// it: "B / C" is enough where it is one unit's alone.
func (d *differ) indexUnits() {
	byID := map[string]Unit{}
	for _, u := range d.state.Units {
		byID[u.ID] = u
	}
	d.units, d.names = map[string][]string{}, map[string]string{}
	for _, u := range d.state.Units {
		path, written, at := "", "", u
		for range len(byID) + 1 {
			path, written = foldUnit(at.Name)+"/"+path, at.Name+" / "+written
			d.units[path] = append(d.units[path], u.ID)
			parent, ok := byID[at.Parent]
			if !ok {
				d.units["/"+path] = append(d.units["/"+path], u.ID) // the whole path
				break
			}
			at = parent
		}
		d.names[u.ID] = strings.TrimSuffix(written, " / ")
	}
}

func foldUnit(name string) string {
	return strings.Join(strings.Fields(strings.ToLower(strings.ReplaceAll(clean(name), "/", " "))), " ")
}

func (d *differ) unit(r Row) string {
	parts := strings.FieldsFunc(strings.ReplaceAll(strings.ReplaceAll(r.Unit, " > ", " / "), " › ", " / "), func(r rune) bool { return r == '/' })
	key := ""
	for _, p := range parts {
		key += foldUnit(p) + "/"
	}
	found := d.units["/"+key]
	if len(found) == 0 {
		found = d.units[key]
	}
	if len(found) == 0 { // a name that holds the stroke itself
		found = d.units[foldUnit(r.Unit)+"/"]
	}
	switch len(found) {
	case 1:
		return found[0]
	case 0:
		d.bad(r, ColumnUnit, r.Unit, "unknown_unit", "the agency has no such unit", "write its name as in the directory, with the units above it (A / B / C), or make the unit first")
	default:
		d.bad(r, ColumnUnit, r.Unit, "many_units", "%d units are called that", "write the units above it as well: A / B / C", len(found))
	}
	return ""
}

// line is a row with whom it is about.
type line struct {
	Row
	unit   string
	person *Person // nil: nobody yet
}

func (d *differ) diff() Plan {
	var plan Plan
	groups, order := map[string][]line{}, []string{}
	keys, addresses := map[string]int{}, map[string]int{}
	for _, r := range d.file.Rows {
		l := line{Row: r, unit: d.unit(r)}
		l.person = d.find(r)
		who := "k" + r.Key
		if r.Key == "" {
			who = "a" + r.Address
		}
		if l.person != nil {
			who = "p" + l.person.ID
		}
		if r.Kind == positionMain {
			d.once(r, ColumnKey, r.Key, keys)
			d.once(r, ColumnAddress, r.Address, addresses)
		}
		if len(groups[who]) == 0 {
			order = append(order, who)
		}
		groups[who] = append(groups[who], l)
	}
	listed := map[string]bool{}
	for _, who := range order {
		e, unchanged := d.entry(groups[who])
		if e.Person != "" {
			listed[e.Person] = true
		}
		if unchanged {
			plan.Unchanged++
			continue
		}
		plan.Entries = append(plan.Entries, e)
	}
	for i := range d.state.People {
		p := &d.state.People[i]
		if p.Key == "" || len(p.Posts) == 0 {
			continue
		}
		plan.Keyed++
		if d.file.Has(ColumnKey) && !listed[p.ID] {
			plan.Entries = append(plan.Entries, d.leave(p))
		}
	}
	for _, e := range plan.Entries {
		switch e.Kind {
		case Add:
			plan.Adds++
		case Move:
			plan.Moves++
		case Leave:
			plan.Leaves++
		default:
			plan.Changes++
		}
	}
	return plan
}

func (d *differ) once(r Row, column, value string, seen map[string]int) {
	if value == "" {
		return
	}
	if first, ok := seen[value]; ok {
		d.bad(r, column, value, "twice", "line %d has the same", "keep one line for each person; lines of further posts say kiêm nhiệm or quyền", first)
		return
	}
	seen[value] = r.Line
}

func (d *differ) find(r Row) *Person {
	if r.Key != "" {
		if p := d.byKey[r.Key]; p != nil {
			return d.fits(r, p)
		}
	}
	if p := d.byAddress[r.Address]; r.Address != "" && p != nil {
		if p.Key != "" && r.Key != "" && p.Key != r.Key {
			d.bad(r, ColumnAddress, r.Address, "address_taken", "this is the address of %s, whose number is %s", "give this person another address, or correct the number", name(p), p.Key)
		}
		return p
	}
	if d.state.Lookup != nil {
		if p, ok := d.state.Lookup(r.Key, r.Address); ok {
			switch {
			case p.Elsewhere == "" && p.Keeper != "":
				d.bad(r, ColumnKey, cmp.Or(r.Key, r.Address), "kept", "%s is looked after by the administrators of %s", "ask an administrator of both to give this person a post here first, or correct the number and the address", name(&p), p.Keeper)
			case p.Elsewhere != "":
				d.bad(r, ColumnKey, cmp.Or(r.Key, r.Address), "elsewhere", "%s holds a post in another agency (%s)", "ask its administrator to end or transfer that post, or correct the number and the address", name(&p), p.Elsewhere)
			}
			return &p
		}
	}
	if _, domain, ok := strings.Cut(r.Address, "@"); ok && d.state.Domain != nil && !d.state.Domain(domain) {
		d.bad(r, ColumnAddress, r.Address, "domain", "%s is no mail domain of this agency", "write an address of one of the agency's domains, or leave the cell empty", domain)
	}
	return nil
}

// fits looks whether the address of a line is free for the person it is about.
func (d *differ) fits(r Row, p *Person) *Person {
	if r.Address == "" || r.Address == p.Address {
		return p
	}
	owner := d.byAddress[r.Address]
	if owner == nil && d.state.Lookup != nil {
		if other, ok := d.state.Lookup("", r.Address); ok {
			owner = &other
		}
	}
	if owner != nil && owner.ID != p.ID {
		d.bad(r, ColumnAddress, r.Address, "address_taken", "this is the address of %s", "give this person another address", name(owner))
	}
	if _, domain, _ := strings.Cut(r.Address, "@"); d.state.Domain != nil && !d.state.Domain(domain) {
		d.bad(r, ColumnAddress, r.Address, "domain", "%s is no mail domain of this agency", "write an address of one of the agency's domains, or leave the cell empty", domain)
	}
	return p
}

func name(p *Person) string { return clean(p.Family + " " + p.Middle + " " + p.Given) }

// entry says what changes for the person that lines are about.
func (d *differ) entry(lines []line) (e Entry, unchanged bool) {
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(rank(a.Kind), rank(b.Kind)) })
	first := lines[0]
	e = Entry{Kind: Change, Line: first.Line, Key: first.Key, Name: clean(first.Family + " " + first.Middle + " " + first.Given), Fields: []ImportField{}, Deed: Deed{Row: &first.Row}}
	if first.person == nil {
		e.Kind = Add
		if first.Kind != positionMain {
			d.bad(first.Row, ColumnKind, first.Kind, "no_main", "this person has no main post yet", "add a line with the main post")
		}
		d.personFields(&e, &Person{}, first.Row)
	} else {
		e.Person, e.Deed.Version = first.person.ID, first.person.Version
		d.personFields(&e, first.person, first.Row)
		if len(first.person.Posts) == 0 {
			e.Kind = Add // back again
		}
	}
	held := map[string]bool{}
	for _, l := range lines {
		d.post(&e, l, held)
	}
	return e, e.Kind == Change && len(e.Fields) == 0
}

func rank(kind string) int { return strings.Index("main acting concurrent", kind) }

func (d *differ) personFields(e *Entry, p *Person, r Row) {
	field := func(column, was, is string) {
		if d.file.Has(column) && was != is {
			e.Fields = append(e.Fields, ImportField{column, was, is})
			e.Deed.Set = append(e.Deed.Set, column)
		}
	}
	field(ColumnKey, p.Key, cmp.Or(r.Key, p.Key))
	was, is := name(p), clean(r.Family+" "+r.Middle+" "+r.Given)
	// A list with one column for the name does not say where đệm ends.
	if was != is || d.file.Has(ColumnGiven) && (p.Given != r.Given || p.Family != r.Family) {
		e.Fields = append(e.Fields, ImportField{ColumnName, was, is})
		e.Deed.Set = append(e.Deed.Set, ColumnName)
	}
	field(ColumnAddress, p.Address, cmp.Or(r.Address, p.Address))
	field(ColumnPhone, p.Phone, r.Phone)
	field(ColumnMobile, p.Mobile, r.Mobile)
	field(ColumnOffice, p.Office, r.Office)
}

// post compares one post of a line with those that are held.
func (d *differ) post(e *Entry, l line, held map[string]bool) {
	slot := l.Kind
	if l.Kind != positionMain {
		slot += l.unit
	}
	if held[slot] {
		d.bad(l.Row, ColumnKind, l.Kind, "post_twice", "the list gives this person the same post twice", "remove one of the lines")
		return
	}
	held[slot] = true
	seniority := l.Seniority
	begin := func() {
		if seniority < 0 {
			seniority = defaultSeniority
		}
		e.Deed.Begin = append(e.Deed.Begin, Begin{l.unit, l.Title, l.Kind, seniority})
	}
	var was *Post
	if l.person != nil {
		for i := range l.person.Posts {
			q := &l.person.Posts[i]
			if q.Kind == l.Kind && (l.Kind == positionMain || q.Unit == l.unit) {
				was = q
				break
			}
		}
	}
	label := ColumnTitle
	if l.Kind != positionMain {
		label = l.Kind
	}
	switch {
	case was == nil:
		e.Fields = append(e.Fields, ImportField{ColumnUnit, "", d.names[l.unit]}, ImportField{label, "", l.Title})
		begin()
	case was.Unit != l.unit:
		e.Fields = append(e.Fields, ImportField{ColumnUnit, d.names[was.Unit], d.names[l.unit]})
		if was.Title != l.Title {
			e.Fields = append(e.Fields, ImportField{label, was.Title, l.Title})
		}
		if e.Kind == Change {
			e.Kind = Move
		}
		e.Deed.End = append(e.Deed.End, was.ID)
		begin()
	default:
		if seniority < 0 {
			seniority = was.Seniority
		}
		if was.Title != l.Title {
			e.Fields = append(e.Fields, ImportField{label, was.Title, l.Title})
		}
		if was.Seniority != seniority {
			e.Fields = append(e.Fields, ImportField{ColumnSeniority, strconv.Itoa(was.Seniority), strconv.Itoa(seniority)})
		}
		if was.Title != l.Title || was.Seniority != seniority {
			e.Deed.Amend = append(e.Deed.Amend, Amend{was.ID, l.Title, seniority})
		}
	}
}

func (d *differ) leave(p *Person) Entry {
	e := Entry{Kind: Leave, Key: p.Key, Name: name(p), Person: p.ID, Fields: []ImportField{}, Deed: Deed{Version: p.Version}}
	for _, q := range p.Posts {
		e.Fields = append(e.Fields, ImportField{ColumnUnit, d.names[q.Unit], ""}, ImportField{ColumnTitle, q.Title, ""})
		e.Deed.End = append(e.Deed.End, q.ID)
	}
	return e
}
