package directory

import (
	"commsd/identity"
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
