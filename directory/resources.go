package directory

import (
	"commsd/identity"
)

// ResourceRecord is a meeting room or a piece of equipment.
type ResourceRecord struct {
	ID          identity.ResourceID `json:"id"`
	Agency      identity.AgencyID   `json:"agency_id"`
	UnitID      identity.UnitID     `json:"unit_id" doc:"that looks after it"`
	Unit        string              `json:"unit"`
	Kind        string              `json:"kind" enum:"room,equipment"`
	Name        string              `json:"name"`
	NameEN      string              `json:"name_en"`
	Place       string              `json:"place" doc:"building, floor"`
	Capacity    int                 `json:"capacity" doc:"of a room: seats; 0: not said"`
	Description string              `json:"description"`
	Version     int64               `json:"version" doc:"rises with each change; a change that names it is refused after another"`
}

// NewResource is what CreateResource makes a resource of.
type NewResource struct {
	UnitID      identity.UnitID `json:"unit_id"`
	Kind        string          `json:"kind" enum:"room,equipment"`
	Name        string          `json:"name" maxLength:"200"`
	NameEN      string          `json:"name_en,omitempty" maxLength:"200"`
	Place       string          `json:"place,omitempty" maxLength:"300"`
	Capacity    int             `json:"capacity,omitempty" minimum:"0" maximum:"100000"`
	Description string          `json:"description,omitempty" maxLength:"1000"`
}

// ResourceChange is what UpdateResource changes; what is nil stays.
type ResourceChange struct {
	UnitID      *identity.UnitID `json:"unit_id,omitempty" doc:"another unit of the same agency"`
	Name        *string          `json:"name,omitempty" maxLength:"200"`
	NameEN      *string          `json:"name_en,omitempty" maxLength:"200"`
	Place       *string          `json:"place,omitempty" maxLength:"300"`
	Capacity    *int             `json:"capacity,omitempty" minimum:"0" maximum:"100000"`
	Description *string          `json:"description,omitempty" maxLength:"1000"`
	Version     int64            `json:"version,omitempty" doc:"what the change was made on; refused when it has changed since"`
}
