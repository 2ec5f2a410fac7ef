package directory

import (
	"context"

	"commsd/directory/permission"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// The kinds of resource.
const (
	ResourceRoom      = "room"      // phòng họp
	ResourceEquipment = "equipment" // thiết bị
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

const (
	maxResourceName = 150
	maxPlace        = 200
	maxCapacity     = 100_000
)

// check brings the record to its normal form, and refuses what it may not be.
func (r *ResourceRecord) check() error {
	var err error
	if r.Kind != ResourceRoom && r.Kind != ResourceEquipment {
		return errcode.New(errcode.Invalid, "a resource is a room or a piece of equipment")
	}
	if r.Name, err = wanted("the name of the room or equipment", r.Name, maxResourceName); err != nil {
		return err
	}
	if r.NameEN, err = optional("the English name of the room or equipment", r.NameEN, maxResourceName); err != nil {
		return err
	}
	if r.Place, err = optional("the place", r.Place, maxPlace); err != nil {
		return err
	}
	if r.Description, err = optional("the description", r.Description, maxDescription); err != nil {
		return err
	}
	if r.Capacity < 0 || r.Capacity > maxCapacity {
		return errcode.New(errcode.Invalid, "a room has between 0 and %d seats", maxCapacity).Because("seats_wrong")
	}
	return nil
}

// Resources lists the rooms and equipment of an agency, the actor's when it is
// empty, of one kind or of both.
func (s *Service) Resources(ctx context.Context, actor identity.Actor, agency identity.AgencyID, kind string) ([]ResourceRecord, error) {
	if agency == "" {
		agency = actor.Agency
	}
	out := []ResourceRecord{}
	err := s.read(ctx, "resources", func(ctx context.Context, tx *sqldb.Tx) error {
		found, err := readResources(ctx, tx, agency, kind, "")
		for _, r := range found {
			out = append(out, r.ResourceRecord)
		}
		return err
	})
	return out, err
}

// Resource returns a room or a piece of equipment; errcode.NotFound when there
// is none.
func (s *Service) Resource(ctx context.Context, id identity.ResourceID) (ResourceRecord, error) {
	var r resourcePlace
	err := s.read(ctx, "resource", func(ctx context.Context, tx *sqldb.Tx) (err error) {
		r, err = readResource(ctx, tx, id)
		return err
	})
	return r.ResourceRecord, err
}

// resourcePlace is a resource with what a permission is decided on.
type resourcePlace struct {
	ResourceRecord
	path string // of its unit
}

func (r resourcePlace) object() identity.Object {
	return identity.Object{ObjectRef: identity.ObjectRef{Kind: "resource", ID: string(r.ID)}, Agency: r.Agency, Path: r.path}
}

// CreateResource adds a room or a piece of equipment. Administrators of the
// unit that looks after it may.
func (s *Service) CreateResource(ctx context.Context, actor identity.Actor, n NewResource) (ResourceRecord, error) {
	r := ResourceRecord{UnitID: n.UnitID, Kind: n.Kind, Name: n.Name, NameEN: n.NameEN, Place: n.Place, Capacity: n.Capacity,
		Description: n.Description, Version: 1}
	if err := r.check(); err != nil {
		return ResourceRecord{}, err
	}
	made, err := newID()
	if err != nil {
		return ResourceRecord{}, err
	}
	r.ID = identity.ResourceID(made)
	err = s.act(ctx, actor, deed{
		action: permission.ResourceWrite, made: &made,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			unit, err := readUnit(ctx, tx, n.UnitID)
			return []identity.Object{{ObjectRef: identity.ObjectRef{Kind: "resource"}, Agency: unit.Agency, Path: unit.Path}}, err
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			unit, err := lockedUnit(ctx, tx, n.UnitID)
			if err != nil {
				return nil, err
			}
			r.Agency, r.Unit = unit.Agency, unit.Name
			return map[string]string{"name": r.Name, "kind": r.Kind, "unit": string(r.UnitID)}, insertResource(ctx, tx, r, s.now())
		},
	})
	if err != nil {
		return ResourceRecord{}, err
	}
	return r, nil
}

// lockedUnit reads a unit and keeps it from being closed until tx ends.
func lockedUnit(ctx context.Context, tx *sqldb.Tx, id identity.UnitID) (UnitRecord, error) {
	if err := lockUnit(ctx, tx, id); err != nil {
		return UnitRecord{}, err
	}
	return readUnit(ctx, tx, id)
}

// otherUnit is what a thing's move to another unit of its agency is permitted
// on; none when it stays.
func otherUnit(ctx context.Context, tx *sqldb.Tx, thing identity.Object, from identity.UnitID, to *identity.UnitID) ([]identity.Object, error) {
	if to == nil || *to == from {
		return []identity.Object{thing}, nil
	}
	unit, err := readUnit(ctx, tx, *to)
	if err != nil {
		return nil, err
	}
	if unit.Agency != thing.Agency {
		return nil, errcode.New(errcode.Invalid, "the unit is of another agency: choose one of the same agency").Because("unit_elsewhere")
	}
	return []identity.Object{thing, {ObjectRef: thing.ObjectRef, Agency: unit.Agency, Path: unit.Path}}, nil
}

// UpdateResource changes a room or a piece of equipment. Administrators of its
// unit may, and of the one it is given to.
func (s *Service) UpdateResource(ctx context.Context, actor identity.Actor, id identity.ResourceID, c ResourceChange) (ResourceRecord, error) {
	var out ResourceRecord
	err := s.act(ctx, actor, deed{
		action: permission.ResourceWrite,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			old, err := readResource(ctx, tx, id)
			if err != nil {
				return nil, err
			}
			return otherUnit(ctx, tx, old.object(), old.UnitID, c.UnitID)
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			old, err := readResource(ctx, tx, id)
			if err != nil {
				return nil, err
			}
			if err := sameVersion("the room or equipment", c.Version, old.Version); err != nil {
				return nil, err
			}
			out = old.ResourceRecord
			set(&out.UnitID, c.UnitID)
			set(&out.Name, c.Name)
			set(&out.NameEN, c.NameEN)
			set(&out.Place, c.Place)
			set(&out.Capacity, c.Capacity)
			set(&out.Description, c.Description)
			if err := out.check(); err != nil {
				return nil, err
			}
			out.Version++
			if out.UnitID != old.UnitID {
				unit, err := lockedUnit(ctx, tx, out.UnitID)
				if err != nil {
					return nil, err
				}
				out.Unit = unit.Name
			}
			detail := map[string]string{}
			noteChange(detail, "name", old.Name, out.Name)
			noteChange(detail, "unit", string(old.UnitID), string(out.UnitID))
			noteChange(detail, "place", old.Place, out.Place)
			return detail, updateResource(ctx, tx, out)
		},
	})
	if err != nil {
		return ResourceRecord{}, err
	}
	return out, nil
}

// DeleteResource deletes a room or a piece of equipment. Administrators of its
// unit may.
func (s *Service) DeleteResource(ctx context.Context, actor identity.Actor, id identity.ResourceID) error {
	return s.act(ctx, actor, deed{
		action: permission.ResourceWrite,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			r, err := readResource(ctx, tx, id)
			return []identity.Object{r.object()}, err
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			name, err := deleteResource(ctx, tx, id)
			return map[string]string{"deleted": name}, err
		},
	})
}
