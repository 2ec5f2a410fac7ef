package directory

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"commsd/directory/permission"
	"commsd/directory/visibility"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
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

// AgencyPolicy returns what an agency decided. Everybody may know it.
func (s *Service) AgencyPolicy(ctx context.Context, _ identity.Actor, id identity.AgencyID) (AgencyPolicy, error) {
	var p AgencyPolicy
	err := s.read(ctx, "policy", func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := readAgency(ctx, tx, id, ""); err != nil {
			return err
		}
		policies, err := readPolicies(ctx, tx, []identity.AgencyID{id})
		p = policies[id]
		return err
	})
	return p, err
}

// SetAgencyPolicy decides it, at once. What people see of each other is decided
// by administrators and security administrators of the whole agency, sign-in by
// security administrators alone, who must be fresh.
func (s *Service) SetAgencyPolicy(ctx context.Context, actor identity.Actor, id identity.AgencyID, p AgencyPolicy) (AgencyPolicy, error) {
	if err := p.check(); err != nil {
		return AgencyPolicy{}, err
	}
	old, err := s.AgencyPolicy(ctx, actor, id)
	if err != nil {
		return AgencyPolicy{}, err
	}
	return p, s.changePolicy(ctx, actor, id, old, p)
}

// changePolicy makes p of the policy old, as far as actor may; errcode.Conflict
// when it is another by now, so that nobody undoes by an old form what is not
// theirs to decide.
func (s *Service) changePolicy(ctx context.Context, actor identity.Actor, id identity.AgencyID, old, p AgencyPolicy) error {
	o := identity.Object{ObjectRef: identity.ObjectRef{Kind: "agency", ID: string(id)}, Agency: id}
	shows, signs := old.shown(p), old.SignIn != p.SignIn
	act := deed{action: permission.Visibility, objects: on(o)}
	if signs {
		act.action = permission.PolicyWrite
		needs := []identity.Action{permission.PolicyWrite}
		if len(shows) > 0 {
			needs = append(needs, permission.Visibility)
		}
		for _, action := range needs {
			if err := s.permit(ctx, actor, action, o); err != nil {
				return err
			}
		}
		// Whoever may not is told so, not asked for a password.
		if err := s.requireFresh(ctx, actor); err != nil {
			return err
		}
	}
	act.do = func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
		if err := lockTree(ctx, tx, id); err != nil {
			return nil, err
		}
		now, err := readPolicies(ctx, tx, []identity.AgencyID{id})
		if err != nil {
			return nil, err
		}
		if now[id].SignIn != old.SignIn || len(now[id].shown(old)) > 0 {
			return nil, errStale("the policy")
		}
		if signs {
			shows["second_factor"], shows["app_passwords"] = string(p.SignIn.SecondFactor), strconv.FormatBool(p.SignIn.AppPasswords)
		}
		return shows, writePolicy(ctx, tx, id, p, s.now())
	}
	return s.act(ctx, actor, act)
}

// shown says, for the log, what is new in who sees what.
func (p AgencyPolicy) shown(is AgencyPolicy) map[string]string {
	out := map[string]string{}
	for f, level := range is.Visibility.Levels {
		if p.Visibility.Levels[f] != level {
			out[string(f)] = level.String()
		}
	}
	slices.Sort(is.Visibility.Personal)
	if !slices.Equal(p.Visibility.Personal, is.Visibility.Personal) {
		words := make([]string, len(is.Visibility.Personal))
		for i, f := range is.Visibility.Personal {
			words[i] = string(f)
		}
		out["personal"] = strings.Join(words, " ")
	}
	return out
}

func (p AgencyPolicy) check() error {
	for _, f := range visibility.Fields() {
		if p.Visibility.Levels[f] == 0 {
			return errcode.New(errcode.Invalid, "visibility: %s has no level; choose public, all_agencies, own_agency, own_unit or hidden", f)
		}
	}
	for _, f := range p.Visibility.Personal {
		if !visibility.Personal(f) {
			return errcode.New(errcode.Invalid, "personal: %s is the agency's to show; people may set phone, mobile, office and photo", f)
		}
	}
	switch p.SignIn.SecondFactor {
	case SecondFactorAdministrators, SecondFactorEverybody:
		return nil
	}
	return errcode.New(errcode.Invalid, "sign_in.second_factor: choose administrators or everybody")
}

// signInPolicy is what the agency of an account's owner demands of sign-in; the
// default for who has no post.
func signInPolicy(ctx context.Context, tx *sqldb.Tx, agency identity.AgencyID) (SignInPolicy, error) {
	if agency == "" {
		return defaultPolicy().SignIn, nil
	}
	policies, err := readPolicies(ctx, tx, []identity.AgencyID{agency})
	return policies[agency].SignIn, err
}

// PersonVisibility returns who sees what of a person: for the person and who
// administers them.
func (s *Service) PersonVisibility(ctx context.Context, actor identity.Actor, id identity.PersonID) (PersonVisibility, error) {
	var out PersonVisibility
	var o identity.Object
	err := s.read(ctx, "visibility", func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if o, err = personObject(ctx, tx, id, s.now()); err != nil {
			return err
		}
		out, err = s.readVisibility(ctx, tx, id)
		return err
	})
	if err == nil && actor.Person != id {
		o.TargetGrants = nil // reading touches nobody
		err = s.permit(ctx, actor, permission.Visibility, o)
	}
	if err != nil {
		return PersonVisibility{}, err
	}
	return out, nil
}

func (s *Service) readVisibility(ctx context.Context, tx *sqldb.Tx, id identity.PersonID) (PersonVisibility, error) {
	entries, policies, err := s.readWithPolicies(ctx, tx, []identity.PersonID{id})
	if err != nil {
		return PersonVisibility{}, err
	}
	e := entries[id]
	if e == nil {
		return PersonVisibility{}, errcode.New(errcode.NotFound, "there is no such person in the directory")
	}
	p := policies[e.Agency].Visibility
	out := PersonVisibility{Effective: visibility.Levels{}, Allowed: p.Personal, Own: e.Overrides.Own, SetBy: e.Overrides.SetBy}
	for _, f := range visibility.Fields() {
		out.Effective[f] = visibility.LevelOf(f, *e, p)
	}
	return out, nil
}

// SetOwnVisibility sets who sees what of the actor; errcode.Forbidden for a
// field that the agency's policy does not leave to people.
func (s *Service) SetOwnVisibility(ctx context.Context, actor identity.Actor, levels visibility.Levels) (PersonVisibility, error) {
	o := identity.Object{ObjectRef: identity.ObjectRef{Kind: "person", ID: string(actor.Person)}, Relations: []identity.Relation{identity.RelationSelf}}
	var out PersonVisibility
	err := s.act(ctx, actor, deed{
		action: permission.PersonProfile, objects: on(o),
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			if err := personExists(ctx, tx, actor.Person, tx.ForUpdate()); err != nil { // one row holds both choices
				return nil, err
			}
			v, err := s.readVisibility(ctx, tx, actor.Person)
			if err != nil {
				return nil, err
			}
			for f := range levels {
				if !visibility.Personal(f) || !slices.Contains(v.Allowed, f) {
					return nil, errcode.New(errcode.Forbidden, "%s: your agency decides who sees this; ask its administrator", f)
				}
			}
			if err := writeOverrides(ctx, tx, actor.Person, levels, v.SetBy); err != nil {
				return nil, err
			}
			out, err = s.readVisibility(ctx, tx, actor.Person)
			return levelDetail(levels), err
		},
	})
	return out, err
}

// SetPersonVisibility sets who sees what of a person, above the policy and the
// person's own choice.
func (s *Service) SetPersonVisibility(ctx context.Context, actor identity.Actor, id identity.PersonID, levels visibility.Levels) (PersonVisibility, error) {
	var out PersonVisibility
	err := s.act(ctx, actor, deed{
		action: permission.Visibility,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			o, err := personObject(ctx, tx, id, s.now())
			return []identity.Object{o}, err
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			if err := personExists(ctx, tx, id, tx.ForUpdate()); err != nil {
				return nil, err
			}
			v, err := s.readVisibility(ctx, tx, id)
			if err != nil {
				return nil, err
			}
			if err := writeOverrides(ctx, tx, id, v.Own, levels); err != nil {
				return nil, err
			}
			out, err = s.readVisibility(ctx, tx, id)
			return levelDetail(levels), err
		},
	})
	return out, err
}

func levelDetail(levels visibility.Levels) map[string]string {
	out := map[string]string{"visibility": strconv.Itoa(len(levels)) + " set"}
	for f, level := range levels {
		out[string(f)] = level.String()
	}
	return out
}
