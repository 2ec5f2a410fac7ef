package directory

import (
	"slices"
	"time"

	"commsd/identity"
)

// Position is a post (vị trí) that a person holds now.
type Position struct {
	ID         identity.PositionID
	Title      string // chức danh: "Chuyên viên chính"
	UnitID     identity.UnitID
	Unit       string
	Agency     identity.AgencyID
	AgencyName string
	Kind       string // KindMain, KindConcurrent or KindActing
	UnitPath   string // "/<root>/…/<unit>/"
	Clearance  int    // up to which classification its holder reads

	// Lent by another person; empty for one's own.
	Delegation  identity.DelegationID
	DelegatedBy string // who lends it, by name
	Scopes      []identity.Scope
	lentUntil   time.Time
}

// The kinds of position.
const (
	KindMain       = "main"
	KindConcurrent = "concurrent" // kiêm nhiệm
	KindActing     = "acting"     // quyền
)

// holder is the owner of an account with what may change from one request to
// the next: positions and roles.
type holder struct {
	account    identity.AccountID
	person     identity.PersonID
	login      string
	name       string
	disabled   bool
	mustChange bool       // a new password at the next sign-in
	positions  []Position // valid now, the main one first
	lent       []Position // of others, lent to the person now; none of them acts unless it is named
	grants     []identity.Grant
}

// main is the position that acts when a request names none; the zero Position
// for an account without one.
func (h holder) main() Position {
	if len(h.positions) == 0 {
		return Position{}
	}
	return h.positions[0]
}

func (h holder) position(id identity.PositionID, now time.Time) (Position, bool) {
	for _, p := range h.positions {
		if p.ID == id {
			return p, true
		}
	}
	for _, p := range h.lent {
		if p.ID == id && now.Before(p.lentUntil) {
			return p, true
		}
	}
	return Position{}, false
}

// all returns the positions that the person may act in.
func (h holder) all() []Position { return slices.Concat(h.positions, h.lent) }

func (h holder) actor(p Position, session identity.SessionID, address string) identity.Actor {
	return identity.Actor{
		Account: h.account, Person: h.person, Position: p.ID, Agency: p.Agency, UnitPath: p.UnitPath, Session: session,
		Login: h.login, Name: h.name, Address: address, Grants: slices.Clone(h.grants), Clearance: p.Clearance,
		Delegation: p.Delegation, Scopes: slices.Clone(p.Scopes),
	}
}
