package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// Agency is an agency (cơ quan).
type Agency struct {
	ID         identity.AgencyID
	Identifier string // root first: "G09", "H26.05"
	Name       string
	NameEN     string
	ShortName  string
	Parent     identity.AgencyID // empty: none
	People     int               // who hold a post in it
}

// Unit is a part of an agency (đơn vị).
type Unit struct {
	ID     identity.UnitID
	Name   string
	NameEN string
	People int // positions in it and in all units below it
	Units  []*Unit
}

// Agencies returns all agencies by identifier. There may be thousands; their
// units are asked for one agency at a time (AgencyUnits).
func (s *Service) Agencies(ctx context.Context) ([]Agency, error) {
	var agencies []Agency
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		agencies, err = readAgencies(ctx, tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("directory: agencies: %w", err)
	}
	return agencies, nil
}

// AgencyUnits returns the tree of an agency's units, siblings in their order;
// errcode.NotFound when there is no such agency.
func (s *Service) AgencyUnits(ctx context.Context, id identity.AgencyID) ([]*Unit, error) {
	var units []unitRow
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := readAgencyExists(ctx, tx, id); err != nil {
			return err
		}
		var err error
		units, err = readUnitTree(ctx, tx, scope{agency: id}, s.now())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("directory: units of agency: %w", err)
	}
	return unitTree(units), nil
}

func readAgencyExists(ctx context.Context, tx *sqldb.Tx, id identity.AgencyID) error {
	var one int
	err := tx.QueryRow(ctx, `SELECT 1 FROM directory_agencies WHERE id = $1`, string(id)).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return errcode.New(errcode.NotFound, "there is no such agency in the directory")
	}
	return err
}

// unitTree puts units, parents before children, into their tree and adds up
// their people.
func unitTree(units []unitRow) []*Unit {
	byID := make(map[identity.UnitID]*Unit, len(units))
	roots := []*Unit{}
	for i := range units {
		u := &units[i]
		byID[u.ID] = &u.Unit
		if parent := byID[u.parent]; parent != nil {
			parent.Units = append(parent.Units, &u.Unit)
		} else {
			roots = append(roots, &u.Unit)
		}
	}
	// From the back each is whole before it is added.
	for i := len(units) - 1; i >= 0; i-- {
		if parent := byID[units[i].parent]; parent != nil {
			parent.People += units[i].People
		}
	}
	return roots
}
