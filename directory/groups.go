package directory

import (
	"context"
	"slices"
	"strings"

	"commsd/directory/permission"
	"commsd/directory/visibility"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/fold"
	"commsd/internal/sqldb"
)

// The kinds of group.
const (
	GroupListed = "listed" // members are named one by one
	GroupByRule = "rule"   // whoever holds a post of a title in a unit or below it
)

// GroupRecord is a group of people.
type GroupRecord struct {
	ID          identity.GroupID      `json:"id"`
	Agency      identity.AgencyID     `json:"agency_id" doc:"whose it is"`
	UnitID      identity.UnitID       `json:"unit_id" doc:"that it belongs to; empty: the whole agency"`
	Name        string                `json:"name"`
	NameEN      string                `json:"name_en"`
	Description string                `json:"description"`
	Kind        string                `json:"kind" enum:"listed,rule"`
	RuleUnit    identity.UnitID       `json:"rule_unit_id" doc:"by rule: the unit, with all below it; empty: the whole agency"`
	RuleTitles  []string              `json:"rule_titles" nullable:"false" doc:"by rule: what the title begins with, any of them; none: every title"`
	Owners      []directoryGroupOwner `json:"owners" nullable:"false" doc:"people who look after it beside the administrators"`
	MayEdit     bool                  `json:"may_edit" doc:"the reader may change it"`
	Version     int64                 `json:"version" doc:"rises with each change; a change that names it is refused after another"`
}

type directoryGroupOwner struct {
	ID   identity.PersonID `json:"id"`
	Name string            `json:"name"`
}

// NewGroup is what CreateGroup makes a group of.
type NewGroup struct {
	Agency      identity.AgencyID   `json:"agency_id"`
	UnitID      identity.UnitID     `json:"unit_id,omitempty" doc:"that it belongs to; absent: the whole agency"`
	Name        string              `json:"name" maxLength:"200"`
	NameEN      string              `json:"name_en,omitempty" maxLength:"200"`
	Description string              `json:"description,omitempty" maxLength:"1000"`
	Kind        string              `json:"kind" enum:"listed,rule"`
	RuleUnit    identity.UnitID     `json:"rule_unit_id,omitempty" doc:"by rule: the unit, with all below it; absent: the whole agency"`
	RuleTitles  []string            `json:"rule_titles,omitempty" maxItems:"50" doc:"by rule: what the title begins with, any of them; none: every title"`
	Owners      []identity.PersonID `json:"owner_ids,omitempty" maxItems:"50"`
}

// GroupChange is what UpdateGroup changes; what is nil stays.
type GroupChange struct {
	Name        *string              `json:"name,omitempty" maxLength:"200"`
	NameEN      *string              `json:"name_en,omitempty" maxLength:"200"`
	Description *string              `json:"description,omitempty" maxLength:"1000"`
	RuleUnit    *identity.UnitID     `json:"rule_unit_id,omitempty" doc:"empty: the whole agency"`
	RuleTitles  *[]string            `json:"rule_titles,omitempty" maxItems:"50" doc:"all of them"`
	Owners      *[]identity.PersonID `json:"owner_ids,omitempty" maxItems:"50" doc:"all of them"`
	Version     int64                `json:"version,omitempty" doc:"what the change was made on; refused when it has changed since"`
}

// GroupMember is one member of a group as it is now.
type GroupMember struct {
	Entry    string              `json:"entry_id" doc:"of a listed group: what removes the member; empty by rule"`
	Position identity.PositionID `json:"position_id" doc:"set where whoever holds this post is meant; empty: the person"`
	Person   directoryPerson     `json:"person"`
}

// NewGroupMember names a person, or a post whose holder is meant.
type NewGroupMember struct {
	Person   identity.PersonID   `json:"person_id,omitempty"`
	Position identity.PositionID `json:"position_id,omitempty" doc:"instead of person_id: leaves the group when the post ends"`
}

const (
	maxGroupName   = 150
	maxDescription = 800
	maxListed      = 500  // people who look after a group
	maxMembers     = 5000 // of a listed group; more are a rule
)

// check brings the record to its normal form, and refuses what it may not be.
func (r *GroupRecord) check() error {
	var err error
	if r.Name, err = wanted("the name of the group", r.Name, maxGroupName); err != nil {
		return err
	}
	if r.NameEN, err = optional("the English name of the group", r.NameEN, maxGroupName); err != nil {
		return err
	}
	if r.Description, err = optional("the description", r.Description, maxDescription); err != nil {
		return err
	}
	switch r.Kind {
	case GroupListed:
		if r.RuleUnit != "" || len(r.RuleTitles) > 0 {
			return errcode.New(errcode.Invalid, "a group whose members are listed has no rule: leave unit and titles of the rule out")
		}
	case GroupByRule:
	default:
		return errcode.New(errcode.Invalid, "a group is listed or by rule")
	}
	titles := []string{}
	for _, t := range r.RuleTitles {
		if t, err = wanted("a title of the rule", t, maxTitle); err != nil {
			return err
		}
		if len(fold.Words(t)) == 0 {
			return errcode.New(errcode.Invalid, "the title %q of the rule holds no word", t)
		}
		if !slices.Contains(titles, t) {
			titles = append(titles, t)
		}
	}
	r.RuleTitles = titles
	return nil
}

// titled tells whether title begins with the words of one of beginnings,
// whatever their marks and case. No beginnings are every title.
func titled(title string, beginnings []string) bool {
	if len(beginnings) == 0 {
		return true
	}
	words := fold.Words(title)
	return slices.ContainsFunc(beginnings, func(b string) bool {
		begin := fold.Words(b)
		return len(begin) <= len(words) && slices.EqualFunc(begin, words[:len(begin)], func(a, b fold.Word) bool { return a.Folded == b.Folded })
	})
}

// groupPlace is where a group belongs, for a permission.
type groupPlace struct {
	GroupRecord
	path string // of its unit
}

// object is what a permission of actor is decided on.
func (g groupPlace) object(actor identity.Actor) identity.Object {
	o := identity.Object{ObjectRef: identity.ObjectRef{Kind: "group", ID: string(g.ID)}, Agency: g.Agency, Path: g.path}
	for _, owner := range g.Owners {
		if owner.ID == actor.Person && actor.Person != "" {
			o.Relations = []identity.Relation{identity.RelationGroupOwner}
		}
	}
	return o
}

// Groups lists the groups of an agency, the actor's when it is empty, whose
// names have words that begin with those of q.
func (s *Service) Groups(ctx context.Context, actor identity.Actor, agency identity.AgencyID, q string) ([]GroupRecord, error) {
	if agency == "" {
		agency = actor.Agency
	}
	words := fold.Words(strings.ReplaceAll(q, "\x00", " "))
	out := []GroupRecord{}
	err := s.read(ctx, "groups", func(ctx context.Context, tx *sqldb.Tx) error {
		groups, err := readGroups(ctx, tx, agency, "")
		if err != nil {
			return err
		}
		for _, g := range groups {
			if !named(g.Name, words) {
				continue
			}
			g.MayEdit = s.Check(actor, permission.GroupWrite, g.object(actor)).Allowed
			out = append(out, g.GroupRecord)
		}
		return s.viewOwners(ctx, tx, actor, out)
	})
	return out, err
}

// named tells whether name has a word that begins with each of words.
func named(name string, words []fold.Word) bool {
	have := fold.Words(name)
	for _, w := range words {
		if !slices.ContainsFunc(have, func(h fold.Word) bool { return strings.HasPrefix(h.Folded, w.Folded) }) {
			return false
		}
	}
	return true
}

// Group returns a group; errcode.NotFound when there is none.
func (s *Service) Group(ctx context.Context, actor identity.Actor, id identity.GroupID) (GroupRecord, error) {
	var out GroupRecord
	err := s.read(ctx, "group", func(ctx context.Context, tx *sqldb.Tx) error {
		g, err := readGroup(ctx, tx, id)
		if err != nil {
			return err
		}
		g.MayEdit = s.Check(actor, permission.GroupWrite, g.object(actor)).Allowed
		groups := []GroupRecord{g.GroupRecord}
		err = s.viewOwners(ctx, tx, actor, groups)
		out = groups[0]
		return err
	})
	return out, err
}

// viewOwners leaves of those who look after groups whom actor sees. Who may
// edit a group sees all, since an edit names all of them.
func (s *Service) viewOwners(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, groups []GroupRecord) error {
	var ids []identity.PersonID
	for _, g := range groups {
		for _, o := range g.Owners {
			if !g.MayEdit {
				ids = append(ids, o.ID)
			}
		}
	}
	slices.Sort(ids)
	sights, err := s.sights(ctx, tx, actor, slices.Compact(ids))
	if err != nil {
		return err
	}
	for i, g := range groups {
		if !g.MayEdit {
			groups[i].Owners = slices.DeleteFunc(g.Owners, func(o directoryGroupOwner) bool { return !sights[o.ID].Sees(visibility.FieldEntry) })
		}
	}
	return nil
}

// CreateGroup adds a group. Administrators of its unit, or of its agency when
// it has none, may.
func (s *Service) CreateGroup(ctx context.Context, actor identity.Actor, n NewGroup) (GroupRecord, error) {
	r := GroupRecord{Agency: n.Agency, UnitID: n.UnitID, Name: n.Name, NameEN: n.NameEN, Description: n.Description,
		Kind: n.Kind, RuleUnit: n.RuleUnit, RuleTitles: n.RuleTitles, Version: 1, MayEdit: true}
	if err := r.check(); err != nil {
		return GroupRecord{}, err
	}
	made, err := newID()
	if err != nil {
		return GroupRecord{}, err
	}
	r.ID = identity.GroupID(made)
	err = s.act(ctx, actor, deed{
		action: permission.GroupWrite, made: &made,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			above, err := readPlaceAbove(ctx, tx, n.Agency, n.UnitID)
			return []identity.Object{{ObjectRef: identity.ObjectRef{Kind: "group"}, Agency: above.Agency, Path: above.Path}}, err
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			if err := lockTree(ctx, tx, n.Agency); err != nil { // a unit that is named is not deleted meanwhile
				return nil, err
			}
			if err := checkRuleUnit(ctx, tx, r); err != nil {
				return nil, err
			}
			if err := insertGroup(ctx, tx, r, s.now()); err != nil {
				return nil, err
			}
			if r.Owners, err = writeOwners(ctx, tx, r.ID, n.Owners); err != nil {
				return nil, err
			}
			return map[string]string{"name": r.Name, "kind": r.Kind, "agency": string(r.Agency)}, nil
		},
	})
	if err != nil {
		return GroupRecord{}, err
	}
	return r, nil
}

func checkRuleUnit(ctx context.Context, tx *sqldb.Tx, r GroupRecord) error {
	if r.RuleUnit == "" {
		return nil
	}
	_, err := readPlaceAbove(ctx, tx, r.Agency, r.RuleUnit)
	if errcode.Of(err) == errcode.Invalid {
		return errcode.New(errcode.Invalid, "the rule names a unit of another agency: choose one of the group's agency").Because("unit_elsewhere")
	}
	return err
}

// groupDeed is an act on a group that is there.
func (s *Service) groupDeed(ctx context.Context, actor identity.Actor, id identity.GroupID, do func(ctx context.Context, tx *sqldb.Tx, g groupPlace) (map[string]string, error)) error {
	return s.act(ctx, actor, deed{
		action: permission.GroupWrite,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			g, err := readGroup(ctx, tx, id)
			return []identity.Object{g.object(actor)}, err
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			if err := lockGroup(ctx, tx, id); err != nil {
				return nil, err
			}
			g, err := readGroup(ctx, tx, id)
			if err != nil {
				return nil, err
			}
			return do(ctx, tx, g)
		},
	})
}

// UpdateGroup changes a group; who looks after it may.
func (s *Service) UpdateGroup(ctx context.Context, actor identity.Actor, id identity.GroupID, c GroupChange) (GroupRecord, error) {
	var out GroupRecord
	var path string
	err := s.groupDeed(ctx, actor, id, func(ctx context.Context, tx *sqldb.Tx, g groupPlace) (map[string]string, error) {
		path = g.path
		if err := sameVersion("the group", c.Version, g.Version); err != nil {
			return nil, err
		}
		old := g.GroupRecord
		out = old
		set(&out.Name, c.Name)
		set(&out.NameEN, c.NameEN)
		set(&out.Description, c.Description)
		set(&out.RuleUnit, c.RuleUnit)
		set(&out.RuleTitles, c.RuleTitles)
		if err := out.check(); err != nil {
			return nil, err
		}
		if out.RuleUnit != old.RuleUnit {
			if err := lockTree(ctx, tx, old.Agency); err != nil { // the unit is not deleted meanwhile
				return nil, err
			}
			if err := checkRuleUnit(ctx, tx, out); err != nil {
				return nil, err
			}
		}
		out.Version++
		detail := map[string]string{}
		noteChange(detail, "name", old.Name, out.Name)
		noteChange(detail, "rule_unit", string(old.RuleUnit), string(out.RuleUnit))
		noteChange(detail, "rule_titles", strings.Join(old.RuleTitles, ", "), strings.Join(out.RuleTitles, ", "))
		if c.Owners != nil {
			var err error
			if out.Owners, err = writeOwners(ctx, tx, id, *c.Owners); err != nil {
				return nil, err
			}
			noteChange(detail, "owners", ownerNames(old.Owners), ownerNames(out.Owners))
		}
		return detail, updateGroup(ctx, tx, out)
	})
	if err != nil {
		return GroupRecord{}, err
	}
	out.MayEdit = s.Check(actor, permission.GroupWrite, groupPlace{GroupRecord: out, path: path}.object(actor)).Allowed
	return out, nil
}

func ownerNames(owners []directoryGroupOwner) string {
	names := make([]string, len(owners))
	for i, o := range owners {
		names[i] = o.Name
	}
	return strings.Join(names, ", ")
}

// DeleteGroup deletes a group that no mailbox is opened to; who looks after it
// may.
func (s *Service) DeleteGroup(ctx context.Context, actor identity.Actor, id identity.GroupID) error {
	return s.groupDeed(ctx, actor, id, func(ctx context.Context, tx *sqldb.Tx, g groupPlace) (map[string]string, error) {
		return map[string]string{"deleted": g.Name}, deleteGroup(ctx, tx, id)
	})
}

// GroupMembers lists a page of a group's members by name, as they are now and
// as actor sees them; whom actor does not see is left out, so a page may be
// short. next, when not empty, is the cursor of the rest.
func (s *Service) GroupMembers(ctx context.Context, actor identity.Actor, id identity.GroupID, cursor string, limit int) (members []GroupMember, next string, err error) {
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, MaxFound)
	var after *memberCursor
	if cursor != "" {
		after = &memberCursor{}
		if err := s.openCursor(memberList, cursor, after); err != nil {
			return nil, "", err
		}
	}
	err = s.read(ctx, "members of a group", func(ctx context.Context, tx *sqldb.Tx) error {
		members = []GroupMember{}
		g, err := readGroup(ctx, tx, id)
		if err != nil {
			return err
		}
		var places []memberPlace
		if g.Kind == GroupListed {
			places, err = readListed(ctx, tx, id, after, s.now(), limit+1)
		} else {
			places, err = readByRule(ctx, tx, g.GroupRecord, after, s.now(), limit+1)
		}
		if err != nil {
			return err
		}
		if len(places) > limit {
			places = places[:limit]
			if next, err = s.sealCursor(memberList, places[limit-1].at); err != nil {
				return err
			}
		}
		members, err = s.viewMembers(ctx, tx, actor, places)
		return err
	})
	return members, next, err
}

// viewMembers leaves whom actor sees, and of each what actor sees.
func (s *Service) viewMembers(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, places []memberPlace) ([]GroupMember, error) {
	people := make([]identity.Person, len(places))
	for i, p := range places {
		people[i] = p.person
	}
	seen, err := s.viewPeople(ctx, tx, actor, people, func(visibility.Sight, identity.Person) bool { return true })
	if err != nil {
		return nil, err
	}
	out := []GroupMember{}
	for _, p := range places { // viewPeople keeps the order
		if len(seen) > 0 && seen[0].ID == p.person.ID {
			out = append(out, GroupMember{Entry: p.entry, Position: p.position, Person: personJSON(seen[0])})
			seen = seen[1:]
		}
	}
	return out, nil
}

const memberList = "members" // the list that its cursors are of

// memberPlace is a member with its place in the list, which is what a cursor
// tells.
type memberPlace struct {
	person   identity.Person
	entry    string              // of a listed group
	position identity.PositionID // that is listed
	at       memberCursor
}

type memberCursor struct {
	SortKey []byte `json:"k"`
	ID      string `json:"i"`
}

// AddGroupMember adds a person, or a post whose holder is meant, to a listed
// group. One that is in it stays.
func (s *Service) AddGroupMember(ctx context.Context, actor identity.Actor, id identity.GroupID, n NewGroupMember) (GroupMember, error) {
	if (n.Person == "") == (n.Position == "") {
		return GroupMember{}, errcode.New(errcode.Invalid, "name a person or a position, one of them")
	}
	var out GroupMember
	err := s.groupDeed(ctx, actor, id, func(ctx context.Context, tx *sqldb.Tx, g groupPlace) (map[string]string, error) {
		if g.Kind != GroupListed {
			return nil, errcode.New(errcode.Invalid, "the members of this group come by its rule: change the rule")
		}
		person := n.Person
		if n.Position != "" {
			p, err := readHeldPosition(ctx, tx, n.Position, s.now())
			if err != nil {
				return nil, err
			}
			person = p.Person
		}
		people, err := readPeople(ctx, tx, []identity.PersonID{person}, s.now())
		if err != nil {
			return nil, err
		}
		seen, err := s.viewMembers(ctx, tx, actor, []memberPlace{{person: people[person], position: n.Position}})
		if err != nil {
			return nil, err
		}
		if len(seen) == 0 {
			return nil, errcode.New(errcode.NotFound, "there is no such person in the directory")
		}
		out = seen[0]
		out.Entry, err = insertGroupMember(ctx, tx, id, n, s.now())
		return map[string]string{"added": string(person), "position": string(n.Position)}, err
	})
	if err != nil {
		return GroupMember{}, err
	}
	return out, nil
}

// RemoveGroupMember takes a member out of a listed group.
func (s *Service) RemoveGroupMember(ctx context.Context, actor identity.Actor, id identity.GroupID, entry string) error {
	return s.groupDeed(ctx, actor, id, func(ctx context.Context, tx *sqldb.Tx, _ groupPlace) (map[string]string, error) {
		who, err := deleteGroupMember(ctx, tx, id, entry)
		return map[string]string{"removed": who}, err
	})
}
