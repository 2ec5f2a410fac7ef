package directory

import (
	"time"

	"commsd/identity"
)

// PositionRecord is a post of a person: held now, once, or from a day to come.
type PositionRecord struct {
	ID         identity.PositionID `json:"id"`
	Person     identity.PersonID   `json:"person_id"`
	Title      string              `json:"title" doc:"chức danh: Chuyên viên chính"`
	UnitID     identity.UnitID     `json:"unit_id"`
	Unit       string              `json:"unit"`
	Agency     identity.AgencyID   `json:"agency_id"`
	AgencyName string              `json:"agency_name"`
	Kind       string              `json:"kind" enum:"main,concurrent,acting" doc:"chính, kiêm nhiệm, quyền"`
	Seniority  int                 `json:"seniority" doc:"order of titles in a unit, leaders first: 0"`
	From       time.Time           `json:"valid_from"`
	Until      *time.Time          `json:"valid_until,omitempty" doc:"absent: open"`
	State      string              `json:"state" enum:"current,past,future"`
	Version    int64               `json:"version" doc:"rises with each change; a change that names it is refused after another"`
}

// NewPosition is what BeginPosition makes a position of.
type NewPosition struct {
	Unit      identity.UnitID `json:"unit_id"`
	Title     string          `json:"title" maxLength:"200" doc:"chức danh"`
	Kind      string          `json:"kind,omitempty" enum:"main,concurrent,acting" doc:"absent: main"`
	Seniority *int            `json:"seniority,omitempty" minimum:"0" maximum:"1000000" doc:"order of titles in the unit, leaders first; absent: 100"`
	From      *time.Time      `json:"valid_from,omitempty" doc:"absent: now"`
	Until     *time.Time      `json:"valid_until,omitempty" doc:"absent: open"`
}

// PositionChange is what UpdatePosition changes; what is nil stays.
type PositionChange struct {
	Title     *string    `json:"title,omitempty" maxLength:"200"`
	Kind      *string    `json:"kind,omitempty" enum:"main,concurrent,acting"`
	Seniority *int       `json:"seniority,omitempty" minimum:"0" maximum:"1000000"`
	From      *time.Time `json:"valid_from,omitempty"`
	Until     *time.Time `json:"valid_until,omitempty"`
	Open      bool       `json:"open,omitempty" doc:"takes valid_until away"`
	Version   int64      `json:"version,omitempty" doc:"what the change was made on; refused when it has changed since"`
}

// Transfer ends one position and begins another in one act.
type Transfer struct {
	Position identity.PositionID `json:"position_id,omitempty" doc:"the one that ends; absent: the main one of now"`
	To       NewPosition         `json:"to" doc:"the one that begins; its valid_from is when the other ends"`
}
