package directory

import (
	"context"
	"fmt"
	"time"

	"commsd/internal/sqldb"
)

// FillAgency is an agency that Fill makes, with its units and people.
type FillAgency struct {
	Identifier, Name, ShortName, Domain string
	Units                               []FillUnit
}

// FillUnit is a unit of a FillAgency.
type FillUnit struct {
	Name   string
	Parent int // index of a unit before it; -1: none
	People []FillPerson
}

// FillPerson is somebody of a FillUnit.
type FillPerson struct {
	Family, Middle, Given, Title, Address string
	Seniority                             int
	Account                               bool
}

// Fill writes an agency with all its people in one transaction, by the bulk
// statements of the import, asking nobody and recording nothing: it is for
// benchmarks on a database of their own.
func Fill(ctx context.Context, db *sqldb.DB, a FillAgency, now time.Time) error {
	err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		id, err := insertAgency(ctx, tx, AgencyRecord{Identifier: a.Identifier, Name: a.Name, ShortName: a.ShortName,
			Domains: []string{a.Domain}, TimeZone: "Asia/Ho_Chi_Minh"}, now)
		if err != nil {
			return err
		}
		places := make([]place, len(a.Units))
		var staff []newStaff
		for i, u := range a.Units {
			parent := place{agency: id}
			if u.Parent >= 0 {
				parent = places[u.Parent]
			}
			if places[i], err = insertUnit(ctx, tx, parent, u.Name, "", i); err != nil {
				return err
			}
			for _, p := range u.People {
				staff = append(staff, newStaff{
					name: personName{p.Family, p.Middle, p.Given}, address: p.Address, withAccount: p.Account,
					post: newPost{unit: places[i].id, agency: id, title: p.Title, kind: KindMain, seniority: p.Seniority},
				})
			}
		}
		return insertStaff(ctx, tx, staff, now)
	})
	if err != nil {
		return fmt.Errorf("directory: fill agency %s: %w", a.Identifier, err)
	}
	return nil
}
