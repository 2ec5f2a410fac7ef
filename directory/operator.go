package directory

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"commsd/audit"
	"commsd/directory/permission"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/fold"
	"commsd/internal/sqldb"
)

// SplitName takes a name apart as Vietnamese names are written: họ first, tên
// last, đệm between. A name of one word is a given name.
func SplitName(name string) (family, middle, given string) {
	words := strings.Fields(normalText(name))
	switch len(words) {
	case 0:
		return "", "", ""
	case 1:
		return "", "", words[0]
	}
	return words[0], strings.Join(words[1:len(words)-1], " "), words[len(words)-1]
}

// NewAdministrator is a system administrator to be made.
type NewAdministrator struct {
	Login    string // mail address, in a domain that is received here
	Name     string // "Họ đệm tên"; unused where the person is in the directory
	Password string // bytes as typed
}

// CreateAdministrator makes an account that administers the whole installation:
// for the person whose main address is the login, or for a new person. It is for
// the command line, which needs no administrator to be there before. Errors:
// errcode.Conflict where there is such an account, errcode.Invalid for a
// password that breaks the rules.
func (s *Service) CreateAdministrator(ctx context.Context, actor identity.Actor, n NewAdministrator) (PersonRecord, error) {
	o := identity.Object{ObjectRef: identity.ObjectRef{Kind: "account"}, Role: identity.RoleSystemAdmin}
	if err := s.permit(ctx, actor, permission.GrantWrite, o); err != nil {
		return PersonRecord{}, err
	}
	r, exists, err := s.administratorToBe(ctx, actor, n)
	if err != nil {
		return PersonRecord{}, err
	}
	// Whoever administers proves a second factor from the first sign-in on, but
	// until then the password stands alone.
	var words []string
	for _, text := range []string{r.Name, r.Address, s.cfg.Domain, "commsd"} {
		for _, w := range fold.Words(text) {
			words = append(words, w.Folded)
		}
	}
	hash, err := s.freshHash(ctx, credential{login: r.Address, words: words}, n.Password)
	if err != nil {
		return PersonRecord{}, err
	}
	grant, err := newID()
	if err != nil {
		return PersonRecord{}, err
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if !exists {
			if err := insertPersonRecord(ctx, tx, r, s.now()); err != nil {
				return err
			}
			if err := writeAddresses(ctx, tx, r); err != nil {
				return err
			}
		}
		if err := insertAccount(ctx, tx, r.ID, r.Address, hash, s.now()); err != nil {
			return err
		}
		account, err := accountOfPerson(ctx, tx, r.ID)
		if err != nil {
			return err
		}
		if err := insertGrant(ctx, tx, grant, account, identity.Grant{Role: identity.RoleSystemAdmin}, "", actor.Account, s.now()); err != nil {
			return err
		}
		ref := identity.ObjectRef{Kind: "account", ID: string(account)}
		for action, detail := range map[identity.Action]map[string]string{
			permission.AccountCreate: {"login": r.Address, "person": string(r.ID)},
			permission.GrantWrite:    {"person": string(r.ID), "role": string(identity.RoleSystemAdmin), "done": "given"},
		} {
			if err := s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: action, Object: ref, Outcome: audit.OK, Detail: detail}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return PersonRecord{}, fmt.Errorf("directory: create an administrator: %w", err)
	}
	return r, nil
}

// administratorToBe finds or makes up the person of an administrator, and
// refuses one who has an account.
func (s *Service) administratorToBe(ctx context.Context, actor identity.Actor, n NewAdministrator) (r PersonRecord, exists bool, err error) {
	address, _, err := parseAddress(n.Login)
	if err != nil {
		return r, false, err
	}
	id, err := s.ResolveAddress(ctx, address)
	if err != nil && errcode.Of(err) != errcode.NotFound {
		return r, false, err
	}
	if err == nil {
		err := s.read(ctx, "person", func(ctx context.Context, tx *sqldb.Tx) (err error) {
			r, err = readPerson(ctx, tx, id)
			return err
		})
		switch {
		case err != nil:
			return r, false, err
		case r.HasAccount:
			return r, false, errcode.New(errcode.Conflict, "%s has an account already, with the login %s: give it the role on the administration page instead", r.Name, r.Address)
		case r.Address != address:
			return r, false, errcode.New(errcode.Conflict, "%s is a further address of %s: name the main one, %s", address, r.Name, r.Address)
		}
		return r, true, nil
	}
	made, err := newID()
	if err != nil {
		return r, false, err
	}
	r = PersonRecord{ID: identity.PersonID(made), Address: address, Version: 1}
	r.Family, r.Middle, r.Given = SplitName(n.Name)
	if err := r.check(); err != nil {
		return r, false, err
	}
	return r, false, s.read(ctx, "mail domain", func(ctx context.Context, tx *sqldb.Tx) error {
		return s.mayAddress(ctx, tx, actor, "", address)
	})
}

// RollEntry is one line of the list of people for an operator.
type RollEntry struct {
	Person  identity.PersonID
	Name    string
	Address string // main; empty: none
	Title   string
	Unit    string
	Agency  string // identifier
	Account string // "", "active" or "disabled"
}

// Roll lists people by agency and name, those without a position and without an
// account too: for whoever administers the whole installation. An agency's
// identifier and the beginnings of words of the name narrow it down.
func (s *Service) Roll(ctx context.Context, actor identity.Actor, identifier, q string, limit int) ([]RollEntry, error) {
	if err := s.permit(ctx, actor, permission.AccountRead, identity.Object{ObjectRef: identity.ObjectRef{Kind: "directory"}}); err != nil {
		return nil, err
	}
	var agency identity.AgencyID
	if identifier != "" {
		a, err := s.ResolveAgency(ctx, identifier)
		if err != nil {
			return nil, err
		}
		agency = a.ID
	}
	words := fold.Words(q)
	out := []RollEntry{}
	err := s.read(ctx, "people", func(ctx context.Context, tx *sqldb.Tx) error {
		all, err := readRoll(ctx, tx, agency, s.now())
		for _, e := range all {
			if len(out) < limit && named(e.Name, words) {
				out = append(out, e)
			}
		}
		return err
	})
	return out, err
}

// UnitByName finds the one open unit of an agency that is called so, or has this
// id; errcode.NotFound or Conflict where there is none or are several.
func (s *Service) UnitByName(ctx context.Context, agency identity.AgencyID, name string) (identity.UnitID, error) {
	units, err := s.AgencyUnits(ctx, agency)
	if err != nil {
		return "", err
	}
	var found []identity.UnitID
	wanted := fold.Marked(normalText(name))
	var walk func([]*Unit)
	walk = func(units []*Unit) {
		for _, u := range units {
			if string(u.ID) == name || fold.Marked(u.Name) == wanted {
				found = append(found, u.ID)
			}
			walk(u.Units)
		}
	}
	walk(units)
	switch len(found) {
	case 0:
		return "", errcode.New(errcode.NotFound, "the agency has no unit called %s: --new-unit adds it", clip(name, 100))
	case 1:
		return found[0], nil
	}
	slices.Sort(found)
	return "", errcode.New(errcode.Conflict, "%d units of the agency are called %s: name one by its id, such as %s", len(found), clip(name, 100), found[0])
}
