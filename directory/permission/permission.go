// Package permission decides who may do what in the directory and its
// administration: deny by default, a role in the subtree or a relation to the
// object allows.
//
// It is pure: it must know no database, no clock and no transport. Whoever asks
// brings the actor's roles and the relations.
package permission

import (
	"slices"
	"strings"

	"commsd/identity"
)

// The actions of the directory. Every action that Check knows has a rule.
const (
	AgencyCreate   identity.Action = "agency.create"
	AgencyUpdate   identity.Action = "agency.update"
	UnitWrite      identity.Action = "unit.write"
	PersonWrite    identity.Action = "person.write"
	PersonProfile  identity.Action = "person.profile" // what people may change of themselves
	PositionWrite  identity.Action = "position.write"
	GroupWrite     identity.Action = "group.write"
	ResourceWrite  identity.Action = "resource.write"
	MailboxWrite   identity.Action = "service_mailbox.write"
	ImportPeople   identity.Action = "directory.import"
	AccountCreate  identity.Action = "account.create"
	AccountDisable identity.Action = "account.disable"
	AccountEnable  identity.Action = "account.enable"
	AccountReset   identity.Action = "account.reset" // one-time code, removal of a lost second factor
	AccountRead    identity.Action = "account.read"  // state, sessions, factors; never a secret
	PolicyWrite    identity.Action = "policy.write"
	GrantWrite     identity.Action = "admin_grant.write"
	PartnerWrite   identity.Action = "partner_grant.write"
	PartnerAssign  identity.Action = "partner_grant.assign"
	Delegate       identity.Action = "delegation.write"
	AuditRead      identity.Action = "audit.read"
	AuditExport    identity.Action = "audit.export"
)

// The reasons of decisions: short stable words for the log.
const (
	ReasonRole          = "role"           // allowed by an administrative role
	ReasonRelation      = "relation"       // allowed by a relation
	ReasonUnknownAction = "unknown_action" // no rule allows it to anybody
	ReasonNoRole        = "no_role"        // nothing allows it to this actor
	ReasonOutside       = "outside"        // the role holds elsewhere
	ReasonAbove         = "above"          // the other account holds more
	ReasonNotOwn        = "not_own"        // one does not do this to oneself
	ReasonFrozen        = "frozen"
	ReasonHeld          = "held"
	ReasonClearance     = "clearance"
	ReasonNotDelegated  = "not_delegated" // the lent position is not lent for this
)

// rule says who may do an action.
type rule struct {
	roles     []identity.Role
	relations []identity.Relation
	writes    bool // not on what is frozen
	removes   bool // not on what is held
	notSelf   bool // never on one's own account
}

var rules = map[identity.Action]rule{
	AgencyCreate:   {roles: []identity.Role{identity.RoleSystemAdmin}},
	AgencyUpdate:   {roles: []identity.Role{identity.RoleSystemAdmin, identity.RoleAgencyAdmin}, writes: true},
	UnitWrite:      {roles: []identity.Role{identity.RoleSystemAdmin, identity.RoleAgencyAdmin}, writes: true},
	PersonWrite:    {roles: []identity.Role{identity.RoleSystemAdmin, identity.RoleAgencyAdmin}, writes: true},
	PersonProfile:  {roles: []identity.Role{identity.RoleSystemAdmin, identity.RoleAgencyAdmin}, relations: []identity.Relation{identity.RelationSelf}, writes: true},
	PositionWrite:  {roles: []identity.Role{identity.RoleSystemAdmin, identity.RoleAgencyAdmin}, writes: true},
	GroupWrite:     {roles: []identity.Role{identity.RoleSystemAdmin, identity.RoleAgencyAdmin}, relations: []identity.Relation{identity.RelationGroupOwner}, writes: true},
	ResourceWrite:  {roles: []identity.Role{identity.RoleSystemAdmin, identity.RoleAgencyAdmin}, writes: true},
	MailboxWrite:   {roles: []identity.Role{identity.RoleSystemAdmin, identity.RoleAgencyAdmin}, writes: true},
	ImportPeople:   {roles: []identity.Role{identity.RoleSystemAdmin, identity.RoleAgencyAdmin}},
	AccountCreate:  {roles: []identity.Role{identity.RoleSystemAdmin, identity.RoleAgencyAdmin}},
	AccountDisable: {roles: []identity.Role{identity.RoleSystemAdmin, identity.RoleAgencyAdmin, identity.RoleSecurityAdmin}, notSelf: true},
	AccountEnable:  {roles: []identity.Role{identity.RoleSystemAdmin, identity.RoleAgencyAdmin, identity.RoleSecurityAdmin}, notSelf: true},
	AccountReset:   {roles: []identity.Role{identity.RoleSystemAdmin, identity.RoleAgencyAdmin}, notSelf: true},
	AccountRead:    {roles: []identity.Role{identity.RoleSystemAdmin, identity.RoleAgencyAdmin, identity.RoleSecurityAdmin}, relations: []identity.Relation{identity.RelationSelf}},
	PolicyWrite:    {roles: []identity.Role{identity.RoleSecurityAdmin}},
	GrantWrite:     {roles: []identity.Role{identity.RoleSystemAdmin, identity.RoleAgencyAdmin}, notSelf: true},
	PartnerWrite:   {roles: []identity.Role{identity.RoleSystemAdmin, identity.RoleAgencyAdmin}},
	PartnerAssign:  {roles: []identity.Role{identity.RoleAgencyAdmin}},
	Delegate:       {relations: []identity.Relation{identity.RelationSelf, identity.RelationDelegatedBy}},
	AuditRead:      {roles: []identity.Role{identity.RoleAuditor}},
	AuditExport:    {roles: []identity.Role{identity.RoleAuditor}},
}

// Check decides whether actor may do action to o. It allocates nothing and
// looks nothing up.
func Check(actor identity.Actor, action identity.Action, o identity.Object) identity.Decision {
	r, ok := rules[action]
	switch {
	case !ok:
		return deny(ReasonUnknownAction)
	case o.Frozen && r.writes:
		return deny(ReasonFrozen)
	case o.Held && r.removes:
		return deny(ReasonHeld)
	case r.notSelf && slices.Contains(o.Relations, identity.RelationSelf):
		return deny(ReasonNotOwn)
	}
	for _, relation := range o.Relations {
		if slices.Contains(r.relations, relation) {
			return allow(ReasonRelation)
		}
	}
	if actor.Delegation != "" {
		return deny(ReasonNotDelegated) // a lent position carries no administrative role
	}
	reason := ReasonNoRole
	for _, g := range actor.Grants {
		if !slices.Contains(r.roles, g.Role) {
			continue
		}
		if !covers(g, o.Agency, o.Path) {
			reason = ReasonOutside
			continue
		}
		if !above(g, o.TargetGrants) {
			reason = ReasonAbove
			continue
		}
		if o.Role != "" && !mayGrant(g, o.Role) {
			reason = ReasonAbove
			continue
		}
		return allow(ReasonRole)
	}
	return deny(reason)
}

func allow(reason string) identity.Decision { return identity.Decision{Allowed: true, Reason: reason} }
func deny(reason string) identity.Decision  { return identity.Decision{Reason: reason} }

// covers tells whether g holds where agency and path are.
func covers(g identity.Grant, agency identity.AgencyID, path string) bool {
	return g.Agency == "" || g.Agency == agency && strings.HasPrefix(path, g.Path)
}

// above tells whether a holder of g may touch an account that holds theirs:
// nobody touches one whose roles reach further than their own.
func above(g identity.Grant, theirs []identity.Grant) bool {
	if g.Role == identity.RoleSystemAdmin && g.Agency == "" {
		return true
	}
	for _, t := range theirs {
		if t.Role == identity.RoleSystemAdmin || !covers(g, t.Agency, t.Path) {
			return false
		}
	}
	return true
}

// mayGrant tells whether a holder of g may grant role within g's subtree.
// Nobody grants what they lack, but for the separate roles, which the
// administrator of a subtree appoints and cannot hold by that.
func mayGrant(g identity.Grant, role identity.Role) bool {
	if g.Role == identity.RoleSystemAdmin {
		return true
	}
	return role != identity.RoleSystemAdmin
}
