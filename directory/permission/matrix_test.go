package permission_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"commsd/directory/permission"
	"commsd/identity"
)

// The objects of the matrix, a letter each. The unit's administrator holds in
// /1/ of moha, everybody else with an agency in the whole of moha.
var objects = map[rune]identity.Object{
	'u': {Agency: "moha", Path: "/1/2/"}, // below the own unit
	't': {Agency: "moha", Path: "/1/"},   // the own unit
	's': {Agency: "moha", Path: "/3/"},   // the unit beside it
	'x': {Agency: "moha", Path: "/12/"},  // and one whose path begins alike
	'a': {Agency: "moha"},                // the whole agency
	'o': {Agency: "hanoi", Path: "/9/"},  // another agency
	'i': {},                              // the whole installation, and whoever belongs to no agency
	// accounts of people in the own unit
	'm': {Agency: "moha", Path: "/1/2/", Relations: []identity.Relation{identity.RelationSelf}}, // mine
	'S': accountOf(identity.Grant{Role: identity.RoleSystemAdmin}),
	'W': accountOf(identity.Grant{Role: identity.RoleAgencyAdmin, Agency: "moha"}),
	'P': accountOf(identity.Grant{Role: identity.RoleAgencyAdmin, Agency: "moha", Path: "/1/"}),
	'R': accountOf(identity.Grant{Role: identity.RoleAuditor, Agency: "moha", Path: "/1/"}),
	'F': accountOf(identity.Grant{Role: identity.RoleAgencyAdmin, Agency: "hanoi"}), // with a role far away
}

func accountOf(grants ...identity.Grant) identity.Object {
	return identity.Object{Agency: "moha", Path: "/1/2/", TargetGrants: grants}
}

// The actors of the matrix, in the order of its columns.
var actors = []identity.Actor{
	{Account: "nobody"},
	holding(identity.RoleSystemAdmin, "", ""),
	holding(identity.RoleAgencyAdmin, "moha", ""),
	holding(identity.RoleAgencyAdmin, "moha", "/1/"),
	holding(identity.RoleSecurityAdmin, "moha", ""),
	holding(identity.RoleAuditor, "moha", ""),
	holding(identity.RoleRecordsOfficer, "moha", ""),
	lent(holding(identity.RoleAgencyAdmin, "moha", "")),
}

func holding(role identity.Role, agency identity.AgencyID, path string) identity.Actor {
	return identity.Actor{Account: "a", Grants: []identity.Grant{{Role: role, Agency: agency, Path: path}}}
}

func lent(a identity.Actor, scopes ...identity.Scope) identity.Actor {
	a.Delegation, a.Scopes = "d", scopes
	return a
}

const none = "-"

// matrix says, for each action and actor, on which objects it is allowed.
// It is written by hand on purpose: it states what is meant.
var matrix = map[identity.Action][8]string{
	//                         nobody system            agency          unit       security        auditor         records lent
	permission.AgencyCreate:       {none, "utsxaoi m SWPRF", none, none, none, none, none, none},
	permission.AgencyUpdate:       {none, "utsxaoi m SWPRF", "utsxa m WPR", "ut m PR", none, none, none, none},
	permission.UnitWrite:          {none, "utsxaoi m SWPRF", "utsxa m WPR", "ut m PR", none, none, none, none},
	permission.PersonWrite:        {none, "utsxaoi m SWPRF", "utsxa m WPR", "ut m PR", none, none, none, none},
	permission.PersonProfile:      {"m", "utsxaoi m SWPRF", "utsxa m WPR", "ut m PR", "m", "m", "m", "m"},
	permission.PositionWrite:      {none, "utsxaoi m SWPRF", "utsxa m WPR", "ut m PR", none, none, none, none},
	permission.GroupWrite:         {none, "utsxaoi m SWPRF", "utsxa m WPR", "ut m PR", none, none, none, none},
	permission.ResourceWrite:      {none, "utsxaoi m SWPRF", "utsxa m WPR", "ut m PR", none, none, none, none},
	permission.MailboxWrite:       {none, "utsxaoi m SWPRF", "utsxa m WPR", "ut m PR", none, none, none, none},
	permission.MailboxRemove:      {none, "utsxaoi m SWPRF", "utsxa m WPR", "ut m PR", none, none, none, none},
	permission.ImportPeople:       {none, "utsxaoi m SWPRF", "utsxa m WPR", "ut m PR", none, none, none, none},
	permission.AccountCreate:      {none, "utsxaoi m SWPRF", "utsxa m WPR", "ut m PR", none, none, none, none},
	permission.AccountDisable:     {none, "utsxaoi SWPRF", "utsxa WPR", "ut PR", "utsxa WPR", none, none, none},
	permission.AccountEnable:      {none, "utsxaoi SWPRF", "utsxa WPR", "ut PR", "utsxa WPR", none, none, none},
	permission.AccountReset:       {none, "utsxaoi SWPRF", "utsxa WP", "ut P", none, none, none, none},
	permission.AccountRead:        {"m", "utsxaoi m SWPRF", "utsxa m WPR", "ut m PR", "utsxa m WPR", "m", "m", "m"},
	permission.AccountEndSessions: {none, "utsxaoi m SWPRF", "utsxa m WPR", "ut m PR", "utsxa m WPR", none, none, none},
	permission.PolicyWrite:        {none, none, none, none, "utsxa m WPR", none, none, none},
	permission.Visibility:         {none, "utsxaoi m SWPRF", "utsxa m WPR", "ut m PR", "utsxa m WPR", none, none, none},
	permission.GrantWrite:         {none, "utsxaoi SWPRF", "utsxa WPR", "ut PR", none, none, none, none},
	permission.PartnerWrite:       {none, "utsxaoi m SWPRF", "utsxa m WPR", "ut m PR", none, none, none, none},
	permission.PartnerAssign:      {none, none, "utsxa m WPR", "ut m PR", none, none, none, none},
	permission.Delegate:           {"m", "m", "m", "m", "m", "m", "m", none},
	permission.AuditRead:          {none, none, none, none, none, "utsxa m WPR", none, none},
	permission.AuditExport:        {none, none, none, none, none, "utsxa m WPR", none, none},
	// Content: no role opens any of it, whoever's it is.
	permission.MeetingJoin:       {none, none, none, none, none, none, none, none},
	permission.MeetingInvite:     {none, none, none, none, none, none, none, none},
	permission.MeetingEnd:        {none, none, none, none, none, none, none, none},
	permission.ConversationRead:  {none, none, none, none, none, none, none, none},
	permission.ConversationWrite: {none, none, none, none, none, none, none, none},
	permission.MailboxRead:       {"m", "m", "m", "m", "m", "m", "m", none},
	permission.MailboxSend:       {"m", "m", "m", "m", "m", "m", "m", none},
}

// TestMatrix holds every action against every role and kind of object.
func TestMatrix(t *testing.T) {
	for _, action := range permission.Actions() {
		line, ok := matrix[action]
		if !ok {
			t.Errorf("%s has no line in the matrix", action)
			continue
		}
		for i, actor := range actors {
			want := strings.NewReplacer(" ", "", none, "").Replace(line[i])
			for letter, o := range objects {
				got := permission.Check(actor, action, o)
				if got.Allowed != strings.ContainsRune(want, letter) {
					t.Errorf("%s on %c by %s (column %d): %+v, the matrix says %q", action, letter, roleOf(actor), i+1, got, line[i])
				}
				if got.Reason == "" {
					t.Errorf("%s on %c by %s: no reason", action, letter, roleOf(actor))
				}
			}
		}
	}
	for action, line := range matrix {
		if !slices.Contains(permission.Actions(), action) {
			t.Errorf("%s stands in the matrix and has no rule", action)
		}
		for _, cell := range line {
			for _, letter := range strings.NewReplacer(" ", "", none, "").Replace(cell) {
				if _, ok := objects[letter]; !ok {
					t.Errorf("%s: there is no object %c", action, letter)
				}
			}
		}
	}
}

func roleOf(a identity.Actor) string {
	if len(a.Grants) == 0 {
		return string(a.Account)
	}
	role := string(a.Grants[0].Role)
	if a.Grants[0].Path != "" {
		role += " of a unit"
	}
	if a.Delegation != "" {
		role += " in a lent position"
	}
	return role
}

// content says which relations allow an action on content, and what a position
// has to be lent for.
var content = map[identity.Action]struct {
	relations []identity.Relation
	scope     identity.Scope
}{
	permission.MeetingJoin:       {[]identity.Relation{identity.RelationAuthor, identity.RelationChair, identity.RelationMember, identity.RelationGuest}, identity.ScopeMeetings},
	permission.MeetingInvite:     {[]identity.Relation{identity.RelationAuthor, identity.RelationChair, identity.RelationMember}, identity.ScopeMeetings},
	permission.MeetingEnd:        {[]identity.Relation{identity.RelationAuthor, identity.RelationChair}, identity.ScopeMeetings},
	permission.ConversationRead:  {[]identity.Relation{identity.RelationAuthor, identity.RelationChair, identity.RelationMember, identity.RelationGuest}, identity.ScopeChat},
	permission.ConversationWrite: {[]identity.Relation{identity.RelationAuthor, identity.RelationChair, identity.RelationMember, identity.RelationGuest}, identity.ScopeChat},
	permission.MailboxRead:       {[]identity.Relation{identity.RelationSelf, identity.RelationMember}, identity.ScopeMail},
	permission.MailboxSend:       {[]identity.Relation{identity.RelationSelf, identity.RelationMember}, identity.ScopeMail},
}

var relations = []identity.Relation{
	identity.RelationSelf, identity.RelationAuthor, identity.RelationMember, identity.RelationChair, identity.RelationLeadUnit, identity.RelationRecipient,
	identity.RelationGuest, identity.RelationGroupOwner, identity.RelationDelegatedBy, identity.RelationDelegate,
}

// TestContent: relations alone open content, and a lent position only for what
// it is lent for.
func TestContent(t *testing.T) {
	scopes := []identity.Scope{identity.ScopeMail, identity.ScopeMeetings, identity.ScopeChat, identity.ScopeDocuments}
	for action, c := range content {
		for _, relation := range relations {
			o := identity.Object{Agency: "moha", Relations: []identity.Relation{relation}}
			want := slices.Contains(c.relations, relation)
			for _, a := range actors[:7] {
				if got := permission.Check(a, action, o); got.Allowed != want {
					t.Errorf("%s as %s by %s: %+v", action, relation, roleOf(a), got)
				}
			}
			for _, scope := range scopes {
				if got := permission.Check(lent(identity.Actor{}, scope), action, o); got.Allowed != (want && scope == c.scope) {
					t.Errorf("%s as %s in a position lent for %s: %+v", action, relation, scope, got)
				}
			}
		}
	}
	// An action on content is one that no role allows.
	everything := identity.Actor{}
	for _, role := range []identity.Role{identity.RoleSystemAdmin, identity.RoleAgencyAdmin, identity.RoleSecurityAdmin, identity.RoleAuditor, identity.RoleRecordsOfficer} {
		everything.Grants = append(everything.Grants, identity.Grant{Role: role})
	}
	var closed []identity.Action
	for _, action := range permission.Actions() {
		if !permission.Check(everything, action, identity.Object{}).Allowed {
			closed = append(closed, action)
		}
	}
	want := append(slices.Collect(maps.Keys(content)), permission.Delegate)
	slices.Sort(want)
	if !slices.Equal(closed, want) {
		t.Errorf("all roles together lack %v, want %v", closed, want)
	}
}

// TestGrants says who may give and take which role where. Letters are those of
// objects that name a place.
func TestGrants(t *testing.T) {
	roles := []identity.Role{identity.RoleSystemAdmin, identity.RoleAgencyAdmin, identity.RoleSecurityAdmin, identity.RoleAuditor, identity.RoleRecordsOfficer}
	for _, c := range []struct {
		name  string
		actor identity.Actor
		want  [5]string // system admin, agency admin, security admin, auditor, records officer
	}{
		{"system administrator", actors[1], [5]string{"utsxaoi", "utsxaoi", "utsxaoi", "utsxaoi", "utsxaoi"}},
		{"administrator of the agency", actors[2], [5]string{"", "utsxa", "", "", ""}},
		{"administrator of a unit", actors[3], [5]string{"", "ut", "", "", ""}},
		{"administrator of every agency", holding(identity.RoleAgencyAdmin, "", ""), [5]string{"", "utsxaoi", "", "", ""}},
		{"security administrator", actors[4], [5]string{}},
		{"auditor", actors[5], [5]string{}},
		{"records officer", actors[6], [5]string{}},
		{"in a lent position", actors[7], [5]string{}},
	} {
		for i, role := range roles {
			for _, letter := range "utsxaoi" {
				o := objects[letter]
				o.Role = role
				if got := permission.Check(c.actor, permission.GrantWrite, o); got.Allowed != strings.ContainsRune(c.want[i], letter) {
					t.Errorf("%s grants %s on %c: %+v, want %q", c.name, role, letter, got, c.want[i])
				}
			}
		}
	}
}
