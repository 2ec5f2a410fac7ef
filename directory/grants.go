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
	UnitPath   string
	GrantedBy  string // name; empty: the command line
	GrantedAt  time.Time
	Disabled   bool // the account is
	Removable  bool // by who asked
}

// grant is g as permissions see it.
func (g AdminGrant) grant() identity.Grant {
	return identity.Grant{Role: g.Role, Agency: g.Agency, Path: g.UnitPath}
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

// MaxGrants is the most roles that AdminGrants lists; a filter finds the rest.
const MaxGrants = 2000

// AdminGrants lists who holds which role, within what actor looks after or
// audits, by agency, role and name.
func (s *Service) AdminGrants(ctx context.Context, actor identity.Actor, filter AdminGrantFilter) ([]AdminGrant, error) {
	if len(actor.Grants) == 0 || actor.Delegation != "" {
		return nil, s.permit(ctx, actor, permission.GrantWrite, identity.Object{ObjectRef: identity.ObjectRef{Kind: kindGrant}})
	}
	var out []AdminGrant
	err := s.read(ctx, "administrative roles", func(ctx context.Context, tx *sqldb.Tx) error {
		all, err := readAdminGrants(ctx, tx, filter, "", MaxGrants, s.now())
		if err != nil {
			return err
		}
		ids := make([]identity.AccountID, len(all))
		for i, g := range all {
			ids[i] = g.Account
		}
		slices.Sort(ids)
		held, err := readGrantsOf(ctx, tx, slices.Compact(ids))
		if err != nil {
			return err
		}
		out = []AdminGrant{}
		for _, g := range all {
			place := identity.Object{Agency: g.Agency, Path: g.UnitPath}
			if !s.Check(actor, permission.AccountRead, place).Allowed && !s.Check(actor, permission.AuditRead, place).Allowed {
				continue
			}
			g.Removable = s.Check(actor, permission.GrantWrite, grantObject(actor, g, held[g.Account])).Allowed
			out = append(out, g)
		}
		return nil
	})
	return out, err
}

const kindGrant = "admin_grant"

// grantObject is what the permission to give or take g is decided on.
func grantObject(actor identity.Actor, g AdminGrant, held []identity.Grant) identity.Object {
	o := identity.Object{ObjectRef: identity.ObjectRef{Kind: kindGrant, ID: g.ID}, Agency: g.Agency, Path: g.UnitPath, Role: g.Role, TargetGrants: held}
	if g.Account == actor.Account {
		o.Relations = []identity.Relation{identity.RelationSelf}
	}
	return o
}

var roles = []identity.Role{identity.RoleSystemAdmin, identity.RoleAgencyAdmin, identity.RoleSecurityAdmin, identity.RoleAuditor, identity.RoleRecordsOfficer}

// AddAdminGrant gives a person a role, at once in all of their sessions; those of
// somebody who must set up a second factor now end, so that they do. Who
// may is decided where the role is to hold and on the account that gets it. A
// one-time code of the account that somebody else made ends. Giving the same twice is no error. Errors: errcode.NotFound, Invalid, and
// Conflict for an auditor who would administer, or the other way round.
func (s *Service) AddAdminGrant(ctx context.Context, actor identity.Actor, n NewAdminGrant) (AdminGrant, error) {
	if err := s.requireFresh(ctx, actor); err != nil {
		return AdminGrant{}, err
	}
	switch {
	case !slices.Contains(roles, n.Role):
		return AdminGrant{}, errcode.New(errcode.Invalid, "role: there is no role of that name")
	case n.Role == identity.RoleSystemAdmin && (n.Agency != "" || n.Unit != ""):
		return AdminGrant{}, errcode.New(errcode.Invalid, "role: a system administrator is one for the whole installation; leave agency and unit empty")
	case n.Agency == "" && n.Unit != "":
		return AdminGrant{}, errcode.New(errcode.Invalid, "unit_id: name the unit's agency too")
	}
	id, err := newID()
	if err != nil {
		return AdminGrant{}, err
	}
	var g AdminGrant
	made := id
	err = s.act(ctx, actor, deed{
		action: permission.GrantWrite,
		made:   &made,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			place, err := readGrantPlace(ctx, tx, n)
			if err != nil {
				return nil, err
			}
			account, err := accountOfPerson(ctx, tx, n.Person)
			if err != nil {
				return nil, err
			}
			g = AdminGrant{ID: id, Account: account, Role: n.Role, Agency: n.Agency, Unit: n.Unit, UnitPath: place}
			of, err := readAccountObject(ctx, tx, account, s.now())
			if err != nil {
				return nil, err
			}
			at := grantObject(actor, g, of.TargetGrants)
			of.Role, of.Relations = n.Role, at.Relations
			return []identity.Object{at, of}, nil
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			if err := s.lockRoles(ctx, tx, g.Account); err != nil {
				return nil, err
			}
			held, err := readAdminGrants(ctx, tx, AdminGrantFilter{Person: n.Person}, "", MaxGrants, s.now())
			if err != nil {
				return nil, err
			}
			for _, h := range held {
				if h.grant() == g.grant() {
					g, made = h, h.ID
					return map[string]string{"person": string(n.Person), "role": string(n.Role), "given": "before"}, nil
				}
				if (h.Role == identity.RoleAuditor) != (n.Role == identity.RoleAuditor) {
					return nil, errcode.New(errcode.Conflict, "an auditor holds no other role, so that nobody audits what they did: choose another person, or take the other role away first").Because("auditor_alone")
				}
			}
			if err := insertGrant(ctx, tx, id, g.Account, g.grant(), n.Unit, actor.Account, s.now()); err != nil {
				return nil, err
			}
			if err := s.endUnprovenSessions(ctx, tx, g.Account); err != nil {
				return nil, err
			}
			// Who reached the account until now might have made themselves a
			// way in, and would come by the role with it.
			if err := deleteForeignCode(ctx, tx, g.Account, actor.Account); err != nil {
				return nil, err
			}
			found, err := readAdminGrants(ctx, tx, AdminGrantFilter{}, id, 1, s.now())
			if err != nil || len(found) == 0 {
				return nil, err
			}
			g = found[0]
			return grantDetail(g, "given"), nil
		},
	})
	g.Removable = true // who gives may take
	return g, err
}

// RemoveAdminGrant takes a role away, at once in all of its holder's sessions,
// which go on. Errors: errcode.NotFound, and Conflict for the last system
// administrator.
func (s *Service) RemoveAdminGrant(ctx context.Context, actor identity.Actor, id string) error {
	if err := s.requireFresh(ctx, actor); err != nil {
		return err
	}
	if len(actor.Grants) == 0 { // learns nothing about roles
		return s.permit(ctx, actor, permission.GrantWrite, identity.Object{ObjectRef: identity.ObjectRef{Kind: kindGrant, ID: clip(id, 128)}})
	}
	var g AdminGrant
	return s.act(ctx, actor, deed{
		action: permission.GrantWrite,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			found, err := readAdminGrants(ctx, tx, AdminGrantFilter{}, id, 1, s.now())
			if err != nil {
				return nil, err
			}
			if len(found) == 0 {
				return nil, errcode.New(errcode.NotFound, "there is no such role, or it has been taken away already")
			}
			g = found[0]
			held, err := readGrants(ctx, tx, g.Account)
			return []identity.Object{grantObject(actor, g, held)}, err
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			if err := s.lockRoles(ctx, tx, g.Account); err != nil {
				return nil, err
			}
			if g.Role == identity.RoleSystemAdmin {
				if err := keepSystemAdmin(ctx, tx, g.Account); err != nil {
					return nil, err
				}
			}
			return grantDetail(g, "taken"), deleteGrant(ctx, tx, g.ID)
		},
	})
}

// endUnprovenSessions ends all sessions and connections of an account that must
// have a second factor and has none: they were opened by less than its roles
// ask for.
func (s *Service) endUnprovenSessions(ctx context.Context, tx *sqldb.Tx, account identity.AccountID) error {
	_, enroll, err := s.factors.Needs(ctx, tx, account)
	if err != nil || !enroll {
		return err
	}
	if err := deleteSessionsOf(ctx, tx, account); err != nil {
		return err
	}
	return s.revoke(ctx, tx, account, "")
}

// lockRoles keeps others from changing anybody's roles until tx ends, and has
// every node read those of account anew after that. An account's row is locked
// before the log's, as disabling does.
func (s *Service) lockRoles(ctx context.Context, tx *sqldb.Tx, account identity.AccountID) error {
	if err := lockAccount(ctx, tx, account); err != nil {
		return err
	}
	return s.refresh(ctx, tx, account)
}

// keepSystemAdmin refuses to do without account, a system administrator, when
// no other is left who can sign in. The caller holds the lock that a revocation
// or a refresh takes, so that two do not leave at once.
func keepSystemAdmin(ctx context.Context, tx *sqldb.Tx, account identity.AccountID) error {
	others, err := countSystemAdmins(ctx, tx, account)
	if err == nil && others == 0 {
		return errcode.New(errcode.Conflict, "this is the last system administrator who can sign in; make another one first").Because("last_administrator")
	}
	return err
}

func grantDetail(g AdminGrant, did string) map[string]string {
	return map[string]string{"did": did, "role": string(g.Role), "account": string(g.Account), "person": string(g.Person.ID), "login": g.Login,
		"agency": string(g.Agency), "unit": string(g.Unit)}
}
