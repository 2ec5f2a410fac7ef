package directory

import (
	"context"
	"fmt"

	"commsd/directory/visibility"
	"commsd/identity"
	"commsd/internal/sqldb"
)

// People returns the people of ids that exist, by id, as they may be shown to
// anybody who meets them in a conversation, a meeting or a letter: always the
// name, and beside it what officials of all agencies see (visibility.Known).
func (s *Service) People(ctx context.Context, ids []identity.PersonID) (map[identity.PersonID]identity.Person, error) {
	out := make(map[identity.PersonID]identity.Person, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		entries, policies, err := s.readWithPolicies(ctx, tx, ids)
		if err != nil {
			return err
		}
		for id, e := range entries {
			out[id] = visibility.Known(*e, policies[e.Agency].Visibility)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("directory: people: %w", err)
	}
	return out, nil
}

// PeopleFor returns of the people of ids what viewer sees, by id; whom viewer
// does not see are not in it.
func (s *Service) PeopleFor(ctx context.Context, viewer identity.Actor, ids []identity.PersonID) (map[identity.PersonID]identity.Person, error) {
	entries, err := s.Entries(ctx, viewer, ids)
	if err != nil {
		return nil, err
	}
	out := make(map[identity.PersonID]identity.Person, len(entries))
	for id, e := range entries {
		out[id] = e.Person
	}
	return out, nil
}

// AgencyOf returns the agency of a person's main position, whoever may see it:
// by it things are filed. It is empty for a person without one.
func (s *Service) AgencyOf(ctx context.Context, id identity.PersonID) (identity.AgencyID, error) {
	var agency identity.AgencyID
	err := s.read(ctx, "agency of a person", func(ctx context.Context, tx *sqldb.Tx) error {
		positions, err := readPositions(ctx, tx, id, s.now())
		if len(positions) > 0 {
			agency = positions[0].Agency
		}
		return err
	})
	return agency, err
}

// Card is all that a viewer sees of one person.
type Card struct {
	identity.Person
	Phone     string // of the desk
	Mobile    string
	Office    string // room and building
	Positions []Position
}

// Card returns what actor sees of one person; errcode.NotFound when that is
// nothing, or there is no such person.
func (s *Service) Card(ctx context.Context, actor identity.Actor, id identity.PersonID) (Card, error) {
	e, err := s.Entry(ctx, actor, id)
	if err != nil {
		return Card{}, err
	}
	c := Card{Person: e.Person, Phone: e.Phone, Mobile: e.Mobile, Office: e.Office}
	for _, q := range e.Places {
		c.Positions = append(c.Positions, Position{ID: q.Position, Title: q.Title, UnitID: q.UnitID, Unit: q.Unit, UnitPath: q.UnitPath,
			Agency: q.Agency, AgencyName: q.AgencyName, Kind: q.Kind})
	}
	return c, nil
}
