package directory

import (
	"context"
	"fmt"

	"commsd/identity"
	"commsd/internal/sqldb"
)

// Agency is an agency (cơ quan) with its units.
type Agency struct {
	ID         identity.AgencyID
	Identifier string // root first: "G09", "H26.05"
	Name       string
	NameEN     string
	ShortName  string
	Parent     identity.AgencyID // empty: none
	People     int               // who hold a position in it
	Units      []*Unit
}

// Unit is a part of an agency (đơn vị).
type Unit struct {
	ID     identity.UnitID
	Name   string
	NameEN string
	People int // positions in it and in all units below it
	Units  []*Unit
}

// Agencies returns all agencies by identifier, each with the tree of its units.
func (s *Service) Agencies(ctx context.Context) ([]Agency, error) {
	var agencies []Agency
	var units []unitRow
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		if agencies, err = readAgencies(ctx, tx, s.now()); err != nil {
			return err
		}
		units, err = readUnits(ctx, tx, s.now())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("directory: agencies: %w", err)
	}
	byID := make(map[identity.UnitID]*Unit, len(units))
	roots := map[identity.AgencyID][]*Unit{}
	for i := range units {
		u := &units[i]
		byID[u.ID] = &u.Unit
		if parent := byID[u.parent]; parent != nil {
			parent.Units = append(parent.Units, &u.Unit)
		} else {
			roots[u.agency] = append(roots[u.agency], &u.Unit)
		}
	}
	// Children stand behind their parents, so from the back each is whole
	// before it is added.
	for i := len(units) - 1; i >= 0; i-- {
		if parent := byID[units[i].parent]; parent != nil {
			parent.People += units[i].People
		}
	}
	for i := range agencies {
		agencies[i].Units = roots[agencies[i].ID]
	}
	return agencies, nil
}
