package directory

import (
	"commsd/identity"
)

// UnitRecord is a unit as those see it who look after it.
type UnitRecord struct {
	ID      identity.UnitID   `json:"id"`
	Agency  identity.AgencyID `json:"agency_id"`
	Parent  identity.UnitID   `json:"parent_id" doc:"empty: at the root of the agency"`
	Path    string            `json:"path" doc:"ids from the root to this unit, each between slashes; an administrative role of a unit names it"`
	Name    string            `json:"name"`
	NameEN  string            `json:"name_en"`
	Rank    int               `json:"rank" doc:"order among siblings"`
	Version int64             `json:"version" doc:"rises with each change; a change that names it is refused after another"`
}

// NewUnit is what CreateUnit makes a unit of.
type NewUnit struct {
	Agency identity.AgencyID `json:"agency_id"`
	Parent identity.UnitID   `json:"parent_id,omitempty" doc:"absent: at the root of the agency"`
	Name   string            `json:"name" maxLength:"400"`
	NameEN string            `json:"name_en,omitempty" maxLength:"400"`
	Rank   *int              `json:"rank,omitempty" minimum:"0" maximum:"1000000" doc:"order among siblings; absent: behind them"`
}

// UnitChange is what UpdateUnit changes; what is nil stays.
type UnitChange struct {
	Name    *string          `json:"name,omitempty" maxLength:"400"`
	NameEN  *string          `json:"name_en,omitempty" maxLength:"400"`
	Rank    *int             `json:"rank,omitempty" minimum:"0" maximum:"1000000"`
	Parent  *identity.UnitID `json:"parent_id,omitempty" doc:"moves the unit with all below it; empty: to the root of its agency"`
	Version int64            `json:"version,omitempty" doc:"what the change was made on; refused when it has changed since"`
}
