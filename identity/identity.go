// Package identity is the leaf that all domains share: the ids of people,
// positions, agencies and accounts, who acts, on what, and the answer whether
// they may. It has no behaviour, no SQL, and imports the standard library only.
package identity

import "time"

// Each id is a UUIDv7 in its canonical text form, so that ids sort by
// creation.
type (
	// AgencyID names an agency, which is a tenant.
	AgencyID string
	// UnitID names a unit of an agency.
	UnitID string
	// PersonID names a person, whatever positions they hold.
	PersonID string
	// PositionID names a person's position in a unit.
	PositionID string
	// AccountID names the credentials a person signs in with.
	AccountID string
	// SessionID is the public id of a session; never its token.
	SessionID string
	// GroupID names a group of people.
	GroupID string
	// ResourceID names a meeting room or a piece of equipment.
	ResourceID string
	// DelegationID names a position that is lent.
	DelegationID string
)

// PasswordSession is the Session of connections without one that were opened by
// the account's own password (SMTP, IMAP). Those of app passwords have one each.
const PasswordSession SessionID = "password"

// Actor is who a request acts as. One person may hold several positions; the
// active one travels with each request, so two tabs may differ.
type Actor struct {
	Account  AccountID
	Person   PersonID
	Position PositionID // active position; empty for an account without one (system administrator)
	Agency   AgencyID   // agency of the active position; empty likewise
	UnitPath string     // path of its unit, "/<root>/…/<unit>/"; empty likewise
	Session  SessionID  // of a page; of a mail connection, the credential that opened it, as revocations name it
	Until    time.Time  // when the session ends by itself; zero without a session
	Login    string     // login name, which is the main mail address
	Name     string     // display name, "Họ đệm tên"
	Address  string     // remote IP address, for the audit log
	Grants   []Grant    // administrative roles of the account, each with where it holds

	Clearance int // of the active position: up to which classification it reads

	Locked      bool      // the session was idle for too long: nothing is read or done until its owner proves who they are
	LockedAdmin bool      // likewise for administrative acts alone
	ProvenAt    time.Time // when the owner of the session last proved who they are; zero without a session
	ActiveAt    time.Time // when a person last did something in the session, as far as this node knows

	Delegation DelegationID // set when Position is another's, lent to this person
	Scopes     []Scope      // then: what for
}

// CommandLine is the Name of an Actor without an account: an operator who runs a
// command at the machine itself.
const CommandLine = "command line"

// Role is an administrative role. Roles of content and administration are
// separate: a system administrator reads nobody's content.
type Role string

// The administrative roles.
const (
	RoleSystemAdmin    Role = "system_admin"    // quản trị hệ thống: agencies, their administrators, the installation
	RoleAgencyAdmin    Role = "agency_admin"    // quản trị cơ quan: units, people and accounts of a subtree
	RoleSecurityAdmin  Role = "security_admin"  // quản trị an toàn: sign-in policies, locking, ending sessions
	RoleAuditor        Role = "auditor"         // kiểm toán: reads the audit log, changes nothing
	RoleRecordsOfficer Role = "records_officer" // lưu trữ: retention and holds
)

// Grant is a Role with where it holds.
type Grant struct {
	Role   Role
	Agency AgencyID // empty: the whole installation
	Path   string   // UnitPath of a unit of Agency: that unit and all below it; empty: the whole agency
}

// Scope is a part of the work that a delegation lends.
type Scope string

// The scopes of delegations.
const (
	ScopeMail      Scope = "mail"
	ScopeMeetings  Scope = "meetings"
	ScopeChat      Scope = "chat"
	ScopeDocuments Scope = "documents"
)

// Action is what an Actor wants to do, as "domain.verb": "meeting.join".
type Action string

// Relation is what an actor is to an object, as the object's domain knows it.
type Relation string

// The relations.
const (
	RelationSelf        Relation = "self"         // the object is the actor's own: account, mailbox, photo
	RelationAuthor      Relation = "author"       // made it
	RelationMember      Relation = "member"       // takes part in it
	RelationChair       Relation = "chair"        // leads it
	RelationLeadUnit    Relation = "lead_unit"    // works in the unit that leads it (đơn vị chủ trì)
	RelationRecipient   Relation = "recipient"    // works in an agency that received it
	RelationGuest       Relation = "guest"        // was let in for a time
	RelationGroupOwner  Relation = "group_owner"  // looks after the group
	RelationDelegatedBy Relation = "delegated_by" // lent it to somebody
	RelationDelegate    Relation = "delegate"     // was lent it
)

// Object is what a permission is decided on: the thing, whose it is, and what
// the actor is to it. Its domain fills it; who decides looks nothing up.
type Object struct {
	ObjectRef
	Agency         AgencyID   // whose it is; empty: the installation's
	Path           string     // UnitPath of the unit it belongs to; empty: none in particular
	Relations      []Relation // of the actor
	Classification int        // 0: open to whoever is permitted; the actor's clearance must reach it
	Frozen         bool       // nobody changes it (a closed dossier)
	Held           bool       // nobody removes it (legal hold)
	Role           Role       // of a grant: what is granted
	TargetGrants   []Grant    // of an account: the roles its owner holds; nobody touches accounts above their own
}

// ObjectRef names the object of an action.
type ObjectRef struct {
	Kind string // "meeting", "conversation", "mailbox", …
	ID   string
}

// Decision is the answer to "may this actor do this to that", with the reason
// that the log keeps.
type Decision struct {
	Allowed bool
	Reason  string // a short stable word: "member", "not_member", "disabled"
}

// Person is a person as others see them: enough to show name, position, agency
// in this order, and to write to them.
type Person struct {
	ID          PersonID
	Name        string // display name, "Họ đệm tên", NFC
	GivenName   string // tên: what Vietnamese people are addressed by
	Title       string // title of the main position, "Chuyên viên"
	Unit        string // name of the unit of the main position
	Agency      AgencyID
	AgencyName  string
	AgencyShort string // short name, "UBND TP Hà Nội"; may be empty
	Address     string // main mail address, lower case
	Photo       string // SHA-256 in hex of the picture; empty: none, or none for who asks
}

// Revocation tells that an account or one of its sessions has ended. Every
// node sees each revocation within seconds; whoever holds a connection for it
// closes the connection.
type Revocation struct {
	Seq     int64 // position in the revocation log; rises by one
	Account AccountID
	Session SessionID // or PasswordSession, or an app password's; empty: all sessions and connections of the account
	At      time.Time

	// Position, when not empty, is the only one that the account acts in no
	// more: what it does in others goes on, and so do its sessions.
	Position PositionID
}
