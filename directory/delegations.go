package directory

import (
	"context"
	"time"

	"commsd/identity"
	"commsd/internal/errcode"
)

// Delegation is a position that its holder lends (ủy quyền).
type Delegation struct {
	ID        identity.DelegationID
	Position  Position
	Giver     identity.Person
	Taker     identity.Person
	Scopes    []identity.Scope
	From      time.Time
	Until     time.Time // its end, whether planned or before its time
	CreatedAt time.Time
}

// State is "coming", "active" or "ended" at now.
func (d Delegation) State(now time.Time) string {
	switch {
	case !now.Before(d.Until):
		return "ended"
	case now.Before(d.From):
		return "coming"
	default:
		return "active"
	}
}

// NewDelegation is a delegation to be made.
type NewDelegation struct {
	Position identity.PositionID // one that the actor holds now
	To       identity.PersonID
	Scopes   []identity.Scope
	From     time.Time // zero: now
	Until    time.Time
}

// Delegations returns what actor lends and what is lent to actor.
func (s *Service) Delegations(context.Context, identity.Actor) (given, received []Delegation, err error) {
	return nil, nil, nil
}

// Delegate lends a position of actor's own.
func (s *Service) Delegate(context.Context, identity.Actor, NewDelegation) (Delegation, error) {
	return Delegation{}, errcode.New(errcode.Unavailable, "not yet")
}

// EndDelegation ends a delegation that actor gave or received.
func (s *Service) EndDelegation(context.Context, identity.Actor, identity.DelegationID) error {
	return errcode.New(errcode.Unavailable, "not yet")
}
