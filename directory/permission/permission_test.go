package permission_test

import (
	"testing"

	"commsd/directory/permission"
	"commsd/identity"
)

func allowed(reason string) identity.Decision {
	return identity.Decision{Allowed: true, Reason: reason}
}
func denied(reason string) identity.Decision { return identity.Decision{Reason: reason} }

func TestReasons(t *testing.T) {
	unit, agency, system := actors[3], actors[2], actors[1]
	cleared := agency
	cleared.Clearance = 2
	frozen, held, secret := objects['u'], objects['u'], objects['u']
	frozen.Frozen, held.Held, secret.Classification = true, true, 2
	mine := secret
	mine.Relations = []identity.Relation{identity.RelationSelf}
	for name, c := range map[string]struct {
		actor  identity.Actor
		action identity.Action
		object identity.Object
		want   identity.Decision
	}{
		"by a role":                       {agency, permission.UnitWrite, objects['u'], allowed(permission.ReasonRole)},
		"by a relation":                   {actors[0], permission.PersonProfile, objects['m'], allowed(permission.ReasonRelation)},
		"no rule":                         {system, "no.such", objects['u'], denied(permission.ReasonUnknownAction)},
		"no action":                       {system, "", objects['u'], denied(permission.ReasonUnknownAction)},
		"no role":                         {actors[0], permission.UnitWrite, objects['u'], denied(permission.ReasonNoRole)},
		"elsewhere":                       {unit, permission.UnitWrite, objects['s'], denied(permission.ReasonOutside)},
		"an account above":                {unit, permission.AccountDisable, objects['W'], denied(permission.ReasonAbove)},
		"own account":                     {system, permission.AccountDisable, objects['m'], denied(permission.ReasonNotOwn)},
		"lent position":                   {actors[7], permission.UnitWrite, objects['u'], denied(permission.ReasonNotDelegated)},
		"lent for something else":         {lent(identity.Actor{}, identity.ScopeMail), permission.MeetingJoin, objects['m'], denied(permission.ReasonNotDelegated)},
		"lending what is lent":            {lent(identity.Actor{}, identity.ScopeMail), permission.Delegate, objects['m'], denied(permission.ReasonNotDelegated)},
		"frozen":                          {system, permission.UnitWrite, frozen, denied(permission.ReasonFrozen)},
		"reading what is frozen":          {agency, permission.AccountRead, frozen, allowed(permission.ReasonRole)},
		"held":                            {system, permission.MailboxRemove, held, denied(permission.ReasonHeld)},
		"changing what is held":           {agency, permission.MailboxWrite, held, allowed(permission.ReasonRole)},
		"not cleared":                     {agency, permission.AccountRead, secret, denied(permission.ReasonClearance)},
		"not cleared for what is one's":   {agency, permission.MailboxRead, mine, denied(permission.ReasonClearance)},
		"cleared":                         {cleared, permission.AccountRead, secret, allowed(permission.ReasonRole)},
		"clearance is no permission":      {identity.Actor{Clearance: 9}, permission.AccountRead, secret, denied(permission.ReasonNoRole)},
		"another's relation":              {actors[0], permission.PersonProfile, identity.Object{Relations: []identity.Relation{identity.RelationMember}}, denied(permission.ReasonNoRole)},
		"reset of a role one lacks":       {agency, permission.AccountReset, objects['R'], denied(permission.ReasonAbove)},
		"reset of who administers afar":   {agency, permission.AccountReset, objects['F'], denied(permission.ReasonAbove)},
		"grant of a role one lacks":       {agency, permission.GrantWrite, identity.Object{Agency: "moha", Role: identity.RoleAuditor}, denied(permission.ReasonAbove)},
		"unit's admin grants the agency":  {unit, permission.GrantWrite, identity.Object{Agency: "moha", Role: identity.RoleAgencyAdmin}, denied(permission.ReasonOutside)},
		"agency's admin grants all":       {agency, permission.GrantWrite, identity.Object{Role: identity.RoleAgencyAdmin}, denied(permission.ReasonOutside)},
		"administrator reads the log":     {system, permission.AuditRead, objects['u'], denied(permission.ReasonNoRole)},
		"another agency's unit of a path": {holding(identity.RoleAgencyAdmin, "hanoi", "/1/"), permission.UnitWrite, objects['u'], denied(permission.ReasonOutside)},
	} {
		if got := permission.Check(c.actor, c.action, c.object); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestUnsoundGrants: a role that does not say where it holds holds nowhere.
func TestUnsoundGrants(t *testing.T) {
	for name, g := range map[string]identity.Grant{
		"a unit of no agency":                 {Role: identity.RoleAgencyAdmin, Path: "/1/"},
		"path without its end":                {Role: identity.RoleAgencyAdmin, Agency: "moha", Path: "/1"},
		"path without its beginning":          {Role: identity.RoleAgencyAdmin, Agency: "moha", Path: "1/"},
		"a system administrator of an agency": {Role: identity.RoleSystemAdmin, Agency: "moha"},
		"a system administrator of a unit":    {Role: identity.RoleSystemAdmin, Agency: "moha", Path: "/1/"},
		"a role that there is not":            {Role: "root"},
		"no role":                             {},
	} {
		actor := identity.Actor{Grants: []identity.Grant{g}}
		for letter, o := range objects {
			for _, action := range permission.Actions() {
				if got := permission.Check(actor, action, o); got.Allowed && got.Reason != permission.ReasonRelation {
					t.Errorf("%s: %s on %c: %+v", name, action, letter, got)
				}
			}
		}
		// Nor does it let into an account that holds something.
		if got := permission.Check(identity.Actor{Grants: append([]identity.Grant{g}, actors[2].Grants...)}, permission.AccountReset, objects['R']); got.Allowed {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestRolesAddUp: each role of an actor counts where it holds, and what opens
// an account may be spread over several of them.
func TestRolesAddUp(t *testing.T) {
	both := identity.Actor{Grants: []identity.Grant{
		{Role: identity.RoleAuditor, Agency: "moha"},
		{Role: identity.RoleAgencyAdmin, Agency: "moha", Path: "/3/"},
		{Role: identity.RoleAgencyAdmin, Agency: "moha", Path: "/1/"},
	}}
	for letter, want := range map[rune]bool{'u': true, 's': true, 'a': false, 'o': false, 'R': true, 'W': false} {
		if got := permission.Check(both, permission.AccountReset, objects[letter]); got.Allowed != want {
			t.Errorf("%c: %+v", letter, got)
		}
	}
}

// slowest is what the decision of the most tangled case may take.
const slowest = 20_000 // ns

func BenchmarkCheck(b *testing.B) {
	actor := identity.Actor{}
	for range 20 {
		actor.Grants = append(actor.Grants, identity.Grant{Role: identity.RoleAgencyAdmin, Agency: "moha", Path: "/7/"})
	}
	actor.Grants = append(actor.Grants, identity.Grant{Role: identity.RoleAgencyAdmin, Agency: "moha"})
	o := objects['P']
	o.Relations = []identity.Relation{identity.RelationGuest, identity.RelationRecipient, identity.RelationMember}
	if n := testing.AllocsPerRun(100, func() { permission.Check(actor, permission.AccountReset, o) }); n != 0 {
		b.Fatalf("%v allocations", n)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !permission.Check(actor, permission.AccountReset, o).Allowed {
			b.Fatal("refused")
		}
	}
	if each := b.Elapsed().Nanoseconds() / int64(b.N); each > slowest {
		b.Errorf("%d ns a decision, more than %d", each, slowest)
	}
}

// TestCheckAllocatesNothing stands beside the benchmark, which not every run
// runs.
func TestCheckAllocatesNothing(t *testing.T) {
	for _, letter := range "umSo" {
		o := objects[letter]
		if n := testing.AllocsPerRun(100, func() { permission.Check(actors[2], permission.AccountDisable, o) }); n != 0 {
			t.Errorf("%c: %v allocations", letter, n)
		}
	}
}
