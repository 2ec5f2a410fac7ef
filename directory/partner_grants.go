package directory

import (
	"context"
	"slices"
	"time"

	"commsd/directory/permission"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// PartnerGrant is a role on one object that its agency gives to another
// agency, whose administrator chooses the people.
type PartnerGrant struct {
	ID          string            `json:"id"`
	Agency      identity.AgencyID `json:"agency_id" doc:"whose the object is"`
	AgencyName  string            `json:"agency_name"`
	Partner     identity.AgencyID `json:"partner_id" doc:"that the role is given to"`
	PartnerName string            `json:"partner_name"`
	ObjectKind  string            `json:"object_kind" enum:"meeting,conversation,dossier"`
	ObjectID    string            `json:"object_id"`
	ObjectName  string            `json:"object_name" doc:"what the grant calls it"`
	Role        string            `json:"role" enum:"member,chair,guest,recipient"`
	Until       *time.Time        `json:"until,omitempty" doc:"absent: open"`
	CreatedAt   time.Time         `json:"created_at"`
	People      []directoryPerson `json:"people" nullable:"false" doc:"whom the partner has chosen"`
	MayAssign   bool              `json:"may_assign" doc:"the reader may choose people of the partner"`
	MayRemove   bool              `json:"may_remove" doc:"the reader may take the grant back"`
}

// NewPartnerGrant is what CreatePartnerGrant makes a grant of.
type NewPartnerGrant struct {
	Agency     identity.AgencyID `json:"agency_id" doc:"whose the object is"`
	Partner    identity.AgencyID `json:"partner_id" doc:"that the role is given to"`
	ObjectKind string            `json:"object_kind" enum:"meeting,conversation,dossier"`
	ObjectID   string            `json:"object_id" minLength:"1" maxLength:"100"`
	ObjectName string            `json:"object_name" maxLength:"300" doc:"how lists call it"`
	Role       string            `json:"role" enum:"member,chair,guest,recipient"`
	Until      *time.Time        `json:"until,omitempty" doc:"absent: open"`
}

const (
	maxObjectName    = 200
	maxObjectID      = 100
	maxPartnerPeople = 500 // of one grant
)

// The kinds of object that partners are let into, and the roles they get there:
// relations, as the object's domain passes them to Check.
var (
	partnerKinds = []string{"meeting", "conversation", "dossier"}
	partnerRoles = []identity.Relation{identity.RelationMember, identity.RelationChair, identity.RelationGuest, identity.RelationRecipient}
)

func (g *PartnerGrant) check(now time.Time) error {
	switch {
	case g.Agency == g.Partner:
		return errcode.New(errcode.Invalid, "an agency is no partner of itself: choose another agency").Because("partner_itself")
	case !slices.Contains(partnerKinds, g.ObjectKind):
		return errcode.New(errcode.Invalid, "roles are given on a meeting, a conversation or a dossier")
	case !slices.Contains(partnerRoles, identity.Relation(g.Role)):
		return errcode.New(errcode.Invalid, "a partner is member, chair, guest or recipient")
	case g.ObjectID == "" || len(g.ObjectID) > maxObjectID:
		return errcode.New(errcode.Invalid, "the id of the object is empty or longer than %d characters", maxObjectID)
	}
	var err error
	if g.ObjectName, err = wanted("the name of the object", g.ObjectName, maxObjectName); err != nil {
		return err
	}
	if g.Until == nil {
		return nil
	}
	until := g.Until.UTC().Truncate(time.Microsecond)
	g.Until = &until
	if !until.After(now) || until.After(latest) {
		return errcode.New(errcode.Invalid, "the role ends in the past or too far from now: correct the day").Because("day_wrong")
	}
	return nil
}

// PartnerRelations returns what actor is to o by roles that the agency of o has
// given to the actor's agency, which has chosen the actor. A role counts while
// it stands, on an object that truly is of the agency that gave it, and for who
// acts in a position of the partner that is their own. The database is asked
// each time, so that what is taken back is gone at once.
func (s *Service) PartnerRelations(ctx context.Context, actor identity.Actor, o identity.Object) ([]identity.Relation, error) {
	if actor.Person == "" || actor.Agency == "" || actor.Delegation != "" || o.Agency == "" || o.Agency == actor.Agency {
		return nil, nil
	}
	var out []identity.Relation
	err := s.read(ctx, "relations of partners", func(ctx context.Context, tx *sqldb.Tx) (err error) {
		out, err = readPartnerRelations(ctx, tx, actor, o, s.now())
		return err
	})
	return out, err
}

// PartnerGrants lists the roles that an agency, the actor's when it is empty,
// gave and was given, as far as the actor has to do with them: by administering
// either agency, or as one of the people chosen.
func (s *Service) PartnerGrants(ctx context.Context, actor identity.Actor, agency identity.AgencyID) ([]PartnerGrant, error) {
	if agency == "" {
		agency = actor.Agency
	}
	out := []PartnerGrant{}
	err := s.read(ctx, "partner grants", func(ctx context.Context, tx *sqldb.Tx) error {
		found, err := s.readPartnerGrants(ctx, tx, agency, "")
		for _, g := range found {
			g.forReader(s, actor)
			chosen := slices.ContainsFunc(g.People, func(p directoryPerson) bool { return p.ID == string(actor.Person) })
			if g.MayAssign || g.MayRemove || chosen {
				out = append(out, g)
			}
		}
		return err
	})
	return out, err
}

// forReader fills in what actor may do with g.
func (g *PartnerGrant) forReader(s *Service, actor identity.Actor) {
	g.MayRemove = s.Check(actor, permission.PartnerWrite, g.given()).Allowed
	// Administrators of any part of the partner choose people of that part.
	g.MayAssign = actor.Delegation == "" && slices.ContainsFunc(actor.Grants, func(r identity.Grant) bool {
		return s.Check(actor, permission.PartnerAssign, identity.Object{ObjectRef: g.ref(), Agency: g.Partner, Path: r.Path}).Allowed
	})
}

func (g PartnerGrant) ref() identity.ObjectRef {
	return identity.ObjectRef{Kind: "partner_grant", ID: g.ID}
}

func (g PartnerGrant) given() identity.Object {
	return identity.Object{ObjectRef: g.ref(), Agency: g.Agency}
}

// CreatePartnerGrant gives a partner agency a role on an object. Administrators
// of the agency that gives it may.
func (s *Service) CreatePartnerGrant(ctx context.Context, actor identity.Actor, n NewPartnerGrant) (PartnerGrant, error) {
	g := PartnerGrant{Agency: n.Agency, Partner: n.Partner, ObjectKind: n.ObjectKind, ObjectID: n.ObjectID, ObjectName: n.ObjectName,
		Role: n.Role, Until: n.Until, People: []directoryPerson{}}
	if err := g.check(s.now()); err != nil {
		return PartnerGrant{}, err
	}
	made, err := newID()
	if err != nil {
		return PartnerGrant{}, err
	}
	err = s.act(ctx, actor, deed{
		action: permission.PartnerWrite, made: &made, objects: on(g.given()),
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			for _, agency := range []identity.AgencyID{g.Agency, g.Partner} {
				if _, err := readAgency(ctx, tx, agency, ""); err != nil {
					return nil, err
				}
			}
			g.ID = made
			if err := insertPartnerGrant(ctx, tx, g, actor.Account, s.now()); err != nil {
				return nil, err
			}
			found, err := s.readPartnerGrant(ctx, tx, made)
			g = found
			return g.detail(), err
		},
	})
	if err != nil {
		return PartnerGrant{}, err
	}
	g.forReader(s, actor)
	return g, nil
}

func (g PartnerGrant) detail() map[string]string {
	return map[string]string{"partner": string(g.Partner), "kind": g.ObjectKind, "object": g.ObjectID, "role": g.Role}
}

// DeletePartnerGrant takes a role back, with the people chosen for it. It holds
// at once.
func (s *Service) DeletePartnerGrant(ctx context.Context, actor identity.Actor, id string) error {
	return s.act(ctx, actor, deed{
		action: permission.PartnerWrite,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			g, err := s.readPartnerGrant(ctx, tx, id)
			return []identity.Object{g.given()}, err
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			if err := lockPartnerGrant(ctx, tx, id); err != nil {
				return nil, err
			}
			g, err := s.readPartnerGrant(ctx, tx, id)
			if err != nil {
				return nil, err
			}
			detail := g.detail()
			detail["done"] = "removed"
			return detail, deletePartnerGrant(ctx, tx, id)
		},
	})
}

// AssignPartner chooses a person of the partner for a role. Administrators of
// the person's unit there may; who gave the role may not.
func (s *Service) AssignPartner(ctx context.Context, actor identity.Actor, id string, person identity.PersonID) (PartnerGrant, error) {
	return s.choose(ctx, actor, id, person, true)
}

// UnassignPartner takes a person out of a role from a partner. It holds at once.
func (s *Service) UnassignPartner(ctx context.Context, actor identity.Actor, id string, person identity.PersonID) error {
	_, err := s.choose(ctx, actor, id, person, false)
	return err
}

func (s *Service) choose(ctx context.Context, actor identity.Actor, id string, person identity.PersonID, in bool) (PartnerGrant, error) {
	var out PartnerGrant
	err := s.act(ctx, actor, deed{
		action: permission.PartnerAssign,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			g, err := s.readPartnerGrant(ctx, tx, id)
			if err != nil {
				return nil, err
			}
			if err := personExists(ctx, tx, person, ""); err != nil {
				return nil, err
			}
			held, err := readHeld(ctx, tx, person, s.now())
			if err != nil {
				return nil, err
			}
			o := identity.Object{ObjectRef: g.ref(), Agency: g.Partner}
			at := slices.IndexFunc(held, func(p heldPosition) bool { return p.Agency == g.Partner && p.State == positionCurrent })
			switch {
			case at >= 0:
				o.Path = held[at].path
			case in:
				return nil, errcode.New(errcode.Invalid, "this person holds no position in the agency that the role was given to: choose one of its people").Because("person_elsewhere")
			}
			return []identity.Object{o}, nil
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			if err := lockPartnerGrant(ctx, tx, id); err != nil {
				return nil, err
			}
			g, err := s.readPartnerGrant(ctx, tx, id)
			if err != nil {
				return nil, err
			}
			detail := g.detail()
			if in {
				if len(g.People) >= maxPartnerPeople {
					return nil, errcode.New(errcode.Invalid, "at most %d people are chosen for one role", maxPartnerPeople)
				}
				detail["added"] = string(person)
				err = insertPartnerPerson(ctx, tx, id, person, actor.Account, s.now())
			} else {
				detail["removed"] = string(person)
				err = deletePartnerPerson(ctx, tx, id, person)
			}
			if err != nil {
				return nil, err
			}
			out, err = s.readPartnerGrant(ctx, tx, id)
			return detail, err
		},
	})
	if err != nil {
		return PartnerGrant{}, err
	}
	out.forReader(s, actor)
	return out, nil
}
