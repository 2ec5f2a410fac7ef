package directory

import (
	"context"

	"commsd/directory/visibility"
	"commsd/identity"
	"commsd/internal/errcode"
)

// AgencyPolicy is what an agency decided for its people.
type AgencyPolicy struct {
	Visibility visibility.Policy // with a level for every field
	SignIn     SignInPolicy
}

// SignInPolicy is what an agency demands of sign-in.
type SignInPolicy struct {
	SecondFactor SecondFactorFor
	AppPasswords bool // mail clients and address books may sign in by them
}

// SecondFactorFor tells who needs a second factor.
type SecondFactorFor string

// Who needs a second factor.
const (
	SecondFactorAdministrators SecondFactorFor = "administrators"
	SecondFactorEverybody      SecondFactorFor = "everybody"
)

// PersonVisibility is who sees what of one person.
type PersonVisibility struct {
	Effective visibility.Levels  // every field
	Allowed   []visibility.Field // what the person may set
	Own       visibility.Levels  // what the person set
	SetBy     visibility.Levels  // what an administrator set
}

// defaultPolicy holds for an agency that decided nothing.
func defaultPolicy() AgencyPolicy {
	return AgencyPolicy{
		Visibility: visibility.Policy{Levels: visibility.Default(), Personal: []visibility.Field{visibility.FieldMobile, visibility.FieldPhoto}},
		SignIn:     SignInPolicy{SecondFactor: SecondFactorAdministrators, AppPasswords: true},
	}
}

// AgencyPolicy returns what an agency decided.
func (s *Service) AgencyPolicy(context.Context, identity.Actor, identity.AgencyID) (AgencyPolicy, error) {
	return defaultPolicy(), nil
}

// SetAgencyPolicy decides it.
func (s *Service) SetAgencyPolicy(context.Context, identity.Actor, identity.AgencyID, AgencyPolicy) (AgencyPolicy, error) {
	return AgencyPolicy{}, errcode.New(errcode.Unavailable, "not yet")
}

// PersonVisibility returns who sees what of a person.
func (s *Service) PersonVisibility(context.Context, identity.Actor, identity.PersonID) (PersonVisibility, error) {
	return PersonVisibility{Effective: visibility.Default()}, nil
}

// SetOwnVisibility sets who sees what of the actor.
func (s *Service) SetOwnVisibility(context.Context, identity.Actor, visibility.Levels) (PersonVisibility, error) {
	return PersonVisibility{}, errcode.New(errcode.Unavailable, "not yet")
}

// SetPersonVisibility sets who sees what of a person.
func (s *Service) SetPersonVisibility(context.Context, identity.Actor, identity.PersonID, visibility.Levels) (PersonVisibility, error) {
	return PersonVisibility{}, errcode.New(errcode.Unavailable, "not yet")
}
