package directory

import (
	"context"
	"fmt"
	"slices"

	"commsd/directory/searchkey"
	"commsd/directory/visibility"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// FindEntries is FindPeople for faces that show all that the directory has of
// a person (LDAP, CardDAV): what actor does not see is empty, and whom actor
// does not see is not among them. Whatever a face filters by, it must filter
// what this returned: so a hidden number is found by nobody.
func (s *Service) FindEntries(ctx context.Context, actor identity.Actor, q string, limit int) ([]visibility.Entry, error) {
	people, err := s.FindPeople(ctx, actor, q, limit)
	if err != nil || len(people) == 0 {
		return nil, err
	}
	ids := make([]identity.PersonID, len(people))
	for i, p := range people {
		ids[i] = p.ID
	}
	seen, err := s.Entries(ctx, actor, ids)
	if err != nil {
		return nil, err
	}
	out := make([]visibility.Entry, 0, len(seen))
	for _, id := range ids {
		if e, ok := seen[id]; ok {
			out = append(out, e)
		}
	}
	return out, nil
}

// Entry returns what actor sees of one person; errcode.NotFound when that is
// nothing, or there is no such person: the two are not told apart.
func (s *Service) Entry(ctx context.Context, actor identity.Actor, id identity.PersonID) (visibility.Entry, error) {
	seen, err := s.Entries(ctx, actor, []identity.PersonID{id})
	if err != nil {
		return visibility.Entry{}, err
	}
	e, ok := seen[id]
	if !ok {
		return e, errNoPerson()
	}
	return e, nil
}

func errNoPerson() error {
	return errcode.New(errcode.NotFound, "there is no such person in the directory")
}

// Entries returns what actor sees of the people of ids; whom actor does not
// see, or who are not there, are not in it.
func (s *Service) Entries(ctx context.Context, actor identity.Actor, ids []identity.PersonID) (map[identity.PersonID]visibility.Entry, error) {
	out := make(map[identity.PersonID]visibility.Entry, len(ids))
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		entries, policies, err := s.readWithPolicies(ctx, tx, ids)
		if err != nil {
			return err
		}
		for id, e := range entries {
			if viewed, ok := visibility.View(actor, *e, policies[e.Agency].Visibility); ok {
				out[id] = viewed
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("directory: entries: %w", err)
	}
	return out, nil
}

// readWithPolicies reads entries with the policies of their agencies.
func (s *Service) readWithPolicies(ctx context.Context, tx *sqldb.Tx, ids []identity.PersonID) (map[identity.PersonID]*visibility.Entry, map[identity.AgencyID]AgencyPolicy, error) {
	entries, err := readEntries(ctx, tx, ids, s.now())
	if err != nil {
		return nil, nil, err
	}
	var agencies []identity.AgencyID
	for _, e := range entries {
		if e.Agency != "" {
			agencies = append(agencies, e.Agency)
		}
	}
	slices.Sort(agencies)
	policies, err := readPolicies(ctx, tx, slices.Compact(agencies))
	return entries, policies, err
}

// viewPeople leaves of people, in their order, those whom viewer sees, and of
// each what viewer sees; keep may leave out more.
func (s *Service) viewPeople(ctx context.Context, tx *sqldb.Tx, viewer identity.Actor, people []identity.Person, keep func(visibility.Sight, identity.Person) bool) ([]identity.Person, error) {
	if len(people) == 0 {
		return nil, nil
	}
	ids := make([]identity.PersonID, len(people))
	for i, p := range people {
		ids[i] = p.ID
	}
	entries, policies, err := s.readWithPolicies(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]identity.Person, 0, len(people))
	for _, p := range people {
		e := entries[p.ID]
		if e == nil {
			continue
		}
		sight := visibility.Look(viewer, *e, policies[e.Agency].Visibility)
		if sight.Sees(visibility.FieldEntry) && keep(sight, p) {
			p.Photo = e.Photo
			out = append(out, sight.Person(p))
		}
	}
	return out, nil
}

// sights returns what viewer sees of the people of ids, by id; of whom there is
// none, nothing.
func (s *Service) sights(ctx context.Context, tx *sqldb.Tx, viewer identity.Actor, ids []identity.PersonID) (map[identity.PersonID]visibility.Sight, error) {
	entries, policies, err := s.readWithPolicies(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	out := make(map[identity.PersonID]visibility.Sight, len(entries))
	for id, e := range entries {
		out[id] = visibility.Look(viewer, *e, policies[e.Agency].Visibility)
	}
	return out, nil
}

// foundBy returns the condition that a person whom a search found is
// found by what is seen of them: a search by a hidden address finds nobody, nor
// does one in an agency that is hidden.
func foundBy(query searchkey.Query, within identity.AgencyID) func(visibility.Sight, identity.Person) bool {
	return func(sight visibility.Sight, p identity.Person) bool {
		if within != "" && !sight.Sees(visibility.FieldAgency) {
			return false
		}
		return query.Empty() || sight.Sees(visibility.FieldAddress) || p.Address == "" ||
			query.Match(searchkey.Name{Given: p.Name}).Found
	}
}
