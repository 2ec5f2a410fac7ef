// Package permission decides who may do what in the directory and its
// administration: deny by default, a role in the subtree or a relation to the
// object allows.
//
// It is pure: it must know no database, no clock and no transport. Whoever asks
// brings the actor's roles and the relations.
//
// A thing that moves (a unit to another parent, a person to another post) is
// decided twice, where it is and where it goes: else whoever administers a
// subtree could draw into it what is not theirs. An account is its owner's main
// post's, and of whom it was last when there is none any more.
package permission

import (
	"maps"
	"slices"
	"strings"

	"commsd/identity"
)

// The actions of the directory. Every action that Check knows has a rule.
const (
	AgencyCreate       identity.Action = "agency.create"
	AgencyUpdate       identity.Action = "agency.update"
	UnitWrite          identity.Action = "unit.write"
	PersonWrite        identity.Action = "person.write"
	PersonProfile      identity.Action = "person.profile" // what people may change of themselves
	PositionWrite      identity.Action = "position.write"
	GroupWrite         identity.Action = "group.write"
	ResourceWrite      identity.Action = "resource.write"
	MailboxWrite       identity.Action = "service_mailbox.write"
	MailboxRemove      identity.Action = "service_mailbox.remove" // with the letters in it
	ImportPeople       identity.Action = "directory.import"
	AccountCreate      identity.Action = "account.create"
	AccountDisable     identity.Action = "account.disable"
	AccountEnable      identity.Action = "account.enable"
	AccountReset       identity.Action = "account.reset" // one-time code, removal of a lost second factor
	AccountRead        identity.Action = "account.read"  // state, sessions, factors; never a secret
	AccountEndSessions identity.Action = "account.end_sessions"
	PolicyWrite        identity.Action = "policy.write"     // what sign-in demands
	Visibility         identity.Action = "visibility.write" // who sees what of people
	GrantWrite         identity.Action = "admin_grant.write"
	PartnerWrite       identity.Action = "partner_grant.write"
	PartnerAssign      identity.Action = "partner_grant.assign"
	Delegate           identity.Action = "delegation.write"
	AuditRead          identity.Action = "audit.read"
	AuditExport        identity.Action = "audit.export"
)

// The actions on content that domains ask about. No administrative role allows
// any of them: their rules name relations alone.
const (
	MeetingJoin       identity.Action = "meeting.join"
	MeetingInvite     identity.Action = "meeting.invite"
	MeetingEnd        identity.Action = "meeting.end"
	ConversationRead  identity.Action = "conversation.read"
	ConversationWrite identity.Action = "conversation.write"
	MailboxRead       identity.Action = "mailbox.read"
	MailboxSend       identity.Action = "mailbox.send"
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
	scope     identity.Scope // what a lent position must be lent for; empty: the action is none of its business
	writes    bool           // not on what is frozen
	removes   bool           // not on what is held
	notSelf   bool           // never on one's own account
	inPerson  bool           // never in a lent position
	takes     bool           // lets the actor into the account, so they must hold all that its owner holds
}

// Who administers what. The roles stand apart: none contains another.
var (
	agencyAdmins   = []identity.Role{identity.RoleSystemAdmin, identity.RoleAgencyAdmin}
	accountAdmins  = []identity.Role{identity.RoleSystemAdmin, identity.RoleAgencyAdmin, identity.RoleSecurityAdmin}
	systemAdmins   = []identity.Role{identity.RoleSystemAdmin}
	securityAdmins = []identity.Role{identity.RoleSecurityAdmin}
	auditors       = []identity.Role{identity.RoleAuditor}
)

var (
	self   = []identity.Relation{identity.RelationSelf}
	leads  = []identity.Relation{identity.RelationAuthor, identity.RelationChair}
	inside = []identity.Relation{identity.RelationAuthor, identity.RelationChair, identity.RelationMember}
	guests = []identity.Relation{identity.RelationAuthor, identity.RelationChair, identity.RelationMember, identity.RelationGuest}
)

var rules = map[identity.Action]rule{
	AgencyCreate:       {roles: systemAdmins},
	AgencyUpdate:       {roles: agencyAdmins, writes: true},
	UnitWrite:          {roles: agencyAdmins, writes: true},
	PersonWrite:        {roles: agencyAdmins, writes: true},
	PersonProfile:      {roles: agencyAdmins, relations: self, writes: true},
	PositionWrite:      {roles: agencyAdmins, writes: true},
	GroupWrite:         {roles: agencyAdmins, relations: []identity.Relation{identity.RelationGroupOwner}, writes: true},
	ResourceWrite:      {roles: agencyAdmins, writes: true},
	MailboxWrite:       {roles: agencyAdmins, writes: true},
	MailboxRemove:      {roles: agencyAdmins, writes: true, removes: true},
	ImportPeople:       {roles: agencyAdmins},
	AccountCreate:      {roles: agencyAdmins},
	AccountDisable:     {roles: accountAdmins, notSelf: true},
	AccountEnable:      {roles: accountAdmins, notSelf: true},
	AccountReset:       {roles: agencyAdmins, notSelf: true, takes: true},
	AccountRead:        {roles: accountAdmins, relations: self},
	AccountEndSessions: {roles: accountAdmins},
	PolicyWrite:        {roles: securityAdmins},
	Visibility:         {roles: accountAdmins},
	GrantWrite:         {roles: agencyAdmins, notSelf: true},
	PartnerWrite:       {roles: agencyAdmins},
	PartnerAssign:      {roles: []identity.Role{identity.RoleAgencyAdmin}},
	Delegate:           {relations: []identity.Relation{identity.RelationSelf, identity.RelationDelegatedBy, identity.RelationDelegate}, inPerson: true},
	AuditRead:          {roles: auditors},
	AuditExport:        {roles: auditors},

	MeetingJoin:       {relations: guests, scope: identity.ScopeMeetings},
	MeetingInvite:     {relations: inside, scope: identity.ScopeMeetings, writes: true},
	MeetingEnd:        {relations: leads, scope: identity.ScopeMeetings, writes: true},
	ConversationRead:  {relations: guests, scope: identity.ScopeChat},
	ConversationWrite: {relations: guests, scope: identity.ScopeChat, writes: true},
	MailboxRead:       {relations: []identity.Relation{identity.RelationSelf, identity.RelationMember}, scope: identity.ScopeMail},
	MailboxSend:       {relations: []identity.Relation{identity.RelationSelf, identity.RelationMember}, scope: identity.ScopeMail, writes: true},
}

// Actions returns every action that has a rule, in order.
func Actions() []identity.Action { return slices.Sorted(maps.Keys(rules)) }

// Check decides whether actor may do action to o. It allocates nothing and
// looks nothing up.
func Check(actor identity.Actor, action identity.Action, o identity.Object) identity.Decision {
	r, ok := rules[action]
	lent := actor.Delegation != ""
	switch {
	case !ok:
		return deny(ReasonUnknownAction)
	case o.Frozen && r.writes:
		return deny(ReasonFrozen)
	case o.Held && r.removes:
		return deny(ReasonHeld)
	case o.Classification > actor.Clearance:
		return deny(ReasonClearance)
	case r.notSelf && slices.Contains(o.Relations, identity.RelationSelf):
		return deny(ReasonNotOwn)
	case lent && (r.inPerson || r.scope != "" && !slices.Contains(actor.Scopes, r.scope)):
		return deny(ReasonNotDelegated)
	}
	for _, relation := range o.Relations {
		if slices.Contains(r.relations, relation) {
			return allow(ReasonRelation)
		}
	}
	if lent && len(r.roles) > 0 {
		return deny(ReasonNotDelegated) // a lent position carries no administrative role
	}
	reason := ReasonNoRole
	for _, g := range actor.Grants {
		switch {
		case !slices.Contains(r.roles, g.Role) || !sound(g):
		case !covers(g, o.Agency, o.Path):
			reason = ReasonOutside
		case !reaches(g, o.TargetGrants),
			r.takes && !holdsAll(actor.Grants, o.TargetGrants),
			o.Role != "" && !mayGrant(g, o.Role):
			reason = ReasonAbove
		default:
			return allow(ReasonRole)
		}
	}
	return deny(reason)
}

func allow(reason string) identity.Decision { return identity.Decision{Allowed: true, Reason: reason} }
func deny(reason string) identity.Decision  { return identity.Decision{Reason: reason} }

// sound tells whether g says where it holds. What does not holds nowhere: the
// path of a unit without its agency must not mean every agency, "/1/2" must
// not reach "/1/23/", and a system administrator of one agency is none.
func sound(g identity.Grant) bool {
	switch {
	case g.Agency == "":
		return g.Path == ""
	case g.Role == identity.RoleSystemAdmin:
		return false
	default:
		return g.Path == "" || g.Path[0] == '/' && g.Path[len(g.Path)-1] == '/'
	}
}

// covers tells whether g holds where agency and path are. What is the
// installation's (no agency), or the whole agency's (no path), is not within
// any part of it.
func covers(g identity.Grant, agency identity.AgencyID, path string) bool {
	return g.Agency == "" || g.Agency == agency && strings.HasPrefix(path, g.Path)
}

// reaches tells whether a holder of g may touch an account that holds theirs at
// all: none whose roles reach further than g does, and no system
// administrator's but by another one.
func reaches(g identity.Grant, theirs []identity.Grant) bool {
	if g.Role == identity.RoleSystemAdmin {
		return true
	}
	for _, t := range theirs {
		if t.Role == identity.RoleSystemAdmin || !covers(g, t.Agency, t.Path) {
			return false
		}
	}
	return true
}

// holdsAll tells whether own has every role of theirs, at least as far: whoever
// can get into an account gets all that it may do.
func holdsAll(own, theirs []identity.Grant) bool {
	for _, t := range theirs {
		if !slices.ContainsFunc(own, func(g identity.Grant) bool {
			return sound(g) && (g.Role == identity.RoleSystemAdmin || g.Role == t.Role && covers(g, t.Agency, t.Path))
		}) {
			return false
		}
	}
	return true
}

// mayGrant tells whether a holder of g may give or take role within g's
// subtree: the role that they hold themselves, so that an administrator does
// not make an auditor or a security administrator of their own choice, whose
// account they could then get into. The system administrator appoints the first
// of each.
func mayGrant(g identity.Grant, role identity.Role) bool {
	return g.Role == identity.RoleSystemAdmin || g.Role == role
}
