package directory

import (
	"context"
	"time"

	"commsd/identity"
	"commsd/internal/errcode"
)

// AdminGrant is an administrative role that somebody holds.
type AdminGrant struct {
	ID         string
	Account    identity.AccountID
	Person     identity.Person
	Login      string
	Role       identity.Role
	Agency     identity.AgencyID // empty: the whole installation
	AgencyName string
	Unit       identity.UnitID // that unit and all below it; empty: the whole agency
	UnitName   string
	GrantedBy  string // name; empty: the command line
	GrantedAt  time.Time
	Disabled   bool // the account is
	Removable  bool // by who asked
}

// AdminGrantFilter narrows AdminGrants; empty fields do not.
type AdminGrantFilter struct {
	Agency identity.AgencyID
	Person identity.PersonID
	Role   identity.Role
}

// NewAdminGrant is a role to be given.
type NewAdminGrant struct {
	Person identity.PersonID
	Role   identity.Role
	Agency identity.AgencyID // empty: the whole installation
	Unit   identity.UnitID   // empty: the whole agency
}

// AdminGrants lists the roles within what actor administers.
func (s *Service) AdminGrants(context.Context, identity.Actor, AdminGrantFilter) ([]AdminGrant, error) {
	return nil, nil
}

// AddAdminGrant gives a person a role.
func (s *Service) AddAdminGrant(context.Context, identity.Actor, NewAdminGrant) (AdminGrant, error) {
	return AdminGrant{}, errcode.New(errcode.Unavailable, "not yet")
}

// RemoveAdminGrant takes a role away.
func (s *Service) RemoveAdminGrant(context.Context, identity.Actor, string) error {
	return errcode.New(errcode.Unavailable, "not yet")
}
