package permission_test

import (
	"testing"

	"commsd/directory/permission"
	"commsd/identity"
)

func TestCheck(t *testing.T) {
	admin := func(role identity.Role, agency identity.AgencyID, path string) identity.Actor {
		return identity.Actor{Account: "a", Grants: []identity.Grant{{Role: role, Agency: agency, Path: path}}}
	}
	own := identity.Object{Agency: "moha", Path: "/1/2/"}
	for name, c := range map[string]struct {
		actor  identity.Actor
		action identity.Action
		object identity.Object
		want   identity.Decision
	}{
		"nobody in particular":   {identity.Actor{}, permission.UnitWrite, own, identity.Decision{Reason: permission.ReasonNoRole}},
		"unknown action":         {admin(identity.RoleSystemAdmin, "", ""), "no.such", own, identity.Decision{Reason: permission.ReasonUnknownAction}},
		"own subtree":            {admin(identity.RoleAgencyAdmin, "moha", "/1/"), permission.UnitWrite, own, identity.Decision{Allowed: true, Reason: permission.ReasonRole}},
		"sibling unit":           {admin(identity.RoleAgencyAdmin, "moha", "/3/"), permission.UnitWrite, own, identity.Decision{Reason: permission.ReasonOutside}},
		"other agency":           {admin(identity.RoleAgencyAdmin, "hanoi", ""), permission.UnitWrite, own, identity.Decision{Reason: permission.ReasonOutside}},
		"unit admin, whole":      {admin(identity.RoleAgencyAdmin, "moha", "/1/"), permission.AgencyUpdate, identity.Object{Agency: "moha"}, identity.Decision{Reason: permission.ReasonOutside}},
		"own profile":            {identity.Actor{}, permission.PersonProfile, identity.Object{Relations: []identity.Relation{identity.RelationSelf}}, identity.Decision{Allowed: true, Reason: permission.ReasonRelation}},
		"own account":            {admin(identity.RoleSystemAdmin, "", ""), permission.AccountDisable, identity.Object{Relations: []identity.Relation{identity.RelationSelf}}, identity.Decision{Reason: permission.ReasonNotOwn}},
		"account above":          {admin(identity.RoleAgencyAdmin, "moha", ""), permission.AccountDisable, identity.Object{Agency: "moha", TargetGrants: []identity.Grant{{Role: identity.RoleSystemAdmin}}}, identity.Decision{Reason: permission.ReasonAbove}},
		"grants more than held":  {admin(identity.RoleAgencyAdmin, "moha", ""), permission.GrantWrite, identity.Object{Agency: "moha", Role: identity.RoleSystemAdmin}, identity.Decision{Reason: permission.ReasonAbove}},
		"frozen":                 {admin(identity.RoleAgencyAdmin, "moha", ""), permission.UnitWrite, identity.Object{Agency: "moha", Frozen: true}, identity.Decision{Reason: permission.ReasonFrozen}},
		"administrator's audit":  {admin(identity.RoleSystemAdmin, "", ""), permission.AuditRead, own, identity.Decision{Reason: permission.ReasonNoRole}},
		"auditor of the agency":  {admin(identity.RoleAuditor, "moha", ""), permission.AuditRead, own, identity.Decision{Allowed: true, Reason: permission.ReasonRole}},
		"auditor changes things": {admin(identity.RoleAuditor, "", ""), permission.PersonWrite, own, identity.Decision{Reason: permission.ReasonNoRole}},
	} {
		if got := permission.Check(c.actor, c.action, c.object); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
