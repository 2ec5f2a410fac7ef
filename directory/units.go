package directory

import (
	"context"
	"strings"

	"commsd/directory/permission"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
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

// check brings the record to its normal form, and refuses what it may not be.
func (r *UnitRecord) check() error {
	var err error
	if r.Name, err = wanted("the name of the unit", r.Name, maxName); err != nil {
		return err
	}
	r.NameEN, err = optional("the English name of the unit", r.NameEN, maxName)
	return err
}

func unitObject(r UnitRecord) identity.Object {
	return identity.Object{ObjectRef: identity.ObjectRef{Kind: "unit", ID: string(r.ID)}, Agency: r.Agency, Path: r.Path}
}

// Unit returns a unit; errcode.NotFound when there is none, or it is closed.
func (s *Service) Unit(ctx context.Context, id identity.UnitID) (UnitRecord, error) {
	var r UnitRecord
	err := s.read(ctx, "unit", func(ctx context.Context, tx *sqldb.Tx) (err error) {
		r, err = readUnit(ctx, tx, id)
		return err
	})
	return r, err
}

// CreateUnit adds a unit below another, or at the root of its agency. An
// administrator of what it is added to may.
func (s *Service) CreateUnit(ctx context.Context, actor identity.Actor, n NewUnit) (UnitRecord, error) {
	r := UnitRecord{Agency: n.Agency, Parent: n.Parent, Name: n.Name, NameEN: n.NameEN, Version: 1}
	if err := r.check(); err != nil {
		return UnitRecord{}, err
	}
	id, err := newID()
	if err != nil {
		return UnitRecord{}, err
	}
	r.ID = identity.UnitID(id)
	err = s.act(ctx, actor, deed{
		action: permission.UnitWrite, made: &id,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			above, err := readPlaceAbove(ctx, tx, n.Agency, n.Parent)
			above.ID = ""
			return []identity.Object{unitObject(above)}, err
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			if err := lockTree(ctx, tx, n.Agency); err != nil {
				return nil, err
			}
			above, err := readPlaceAbove(ctx, tx, n.Agency, n.Parent)
			if err != nil {
				return nil, err
			}
			r.Path = childPath(above.Path, r.ID)
			if n.Rank != nil {
				r.Rank = *n.Rank
			} else if r.Rank, err = nextUnitRank(ctx, tx, n.Agency, n.Parent); err != nil {
				return nil, err
			}
			return map[string]string{"name": r.Name, "agency": string(r.Agency), "parent": string(r.Parent)}, insertUnitRecord(ctx, tx, r)
		},
	})
	if err != nil {
		return UnitRecord{}, err
	}
	return r, nil
}

// UpdateUnit changes a unit, or moves it with all below it to another place in
// its agency. Who moves it administers what it leaves and what it comes to.
func (s *Service) UpdateUnit(ctx context.Context, actor identity.Actor, id identity.UnitID, c UnitChange) (UnitRecord, error) {
	var out UnitRecord
	err := s.act(ctx, actor, deed{
		action: permission.UnitWrite,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			old, err := readUnit(ctx, tx, id)
			if err != nil {
				return nil, err
			}
			objects := []identity.Object{unitObject(old)}
			if c.Parent == nil || *c.Parent == old.Parent {
				return objects, nil
			}
			for _, parent := range []identity.UnitID{old.Parent, *c.Parent} {
				above, err := readPlaceAbove(ctx, tx, old.Agency, parent)
				if err != nil {
					return nil, err
				}
				above.ID = id // the log names what was to be moved
				objects = append(objects, unitObject(above))
			}
			return objects, nil
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			old, err := readUnit(ctx, tx, id)
			if err != nil {
				return nil, err
			}
			if err := lockTree(ctx, tx, old.Agency); err != nil {
				return nil, err
			}
			if old, err = readUnit(ctx, tx, id); err != nil { // as it is under the lock
				return nil, err
			}
			if err := sameVersion("the unit", c.Version, old.Version); err != nil {
				return nil, err
			}
			out = old
			set(&out.Name, c.Name)
			set(&out.NameEN, c.NameEN)
			set(&out.Rank, c.Rank)
			set(&out.Parent, c.Parent)
			if err := out.check(); err != nil {
				return nil, err
			}
			out.Version++
			detail := map[string]string{}
			noteChange(detail, "name", old.Name, out.Name)
			noteChange(detail, "name_en", old.NameEN, out.NameEN)
			if out.Rank != old.Rank {
				detail["rank"] = "changed"
			}
			if out.Parent != old.Parent {
				noteChange(detail, "parent", string(old.Parent), string(out.Parent))
				if out.Path, err = s.moveUnit(ctx, tx, old, out.Parent); err != nil {
					return nil, err
				}
			}
			return detail, updateUnit(ctx, tx, out)
		},
	})
	if err != nil {
		return UnitRecord{}, err
	}
	return out, nil
}

// moveUnit writes the paths of a unit and all below it anew, and those of the
// administrative roles that hold there. It returns the unit's new path.
func (s *Service) moveUnit(ctx context.Context, tx *sqldb.Tx, unit UnitRecord, to identity.UnitID) (string, error) {
	above, err := readPlaceAbove(ctx, tx, unit.Agency, to)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(above.Path, unit.Path) {
		return "", errcode.New(errcode.Invalid, "a unit cannot be moved below itself: choose another unit above it").Because("unit_below_itself")
	}
	path := childPath(above.Path, unit.ID)
	// Roles hold in units by their ids and move along.
	accounts, err := accountsGranted(ctx, tx, unit.Path)
	if err != nil {
		return "", err
	}
	if err := movePaths(ctx, tx, unit.Path, path); err != nil {
		return "", err
	}
	return path, s.refreshAll(ctx, tx, accounts)
}

// DeleteUnit closes a unit that holds nothing any more: neither units, nor
// people now or to come, nor groups, rooms or mailboxes. Its row stays for the
// posts that were held in it; its administrative roles go. An administrator of
// what stands above it may.
func (s *Service) DeleteUnit(ctx context.Context, actor identity.Actor, id identity.UnitID) error {
	return s.act(ctx, actor, deed{
		action: permission.UnitWrite,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			r, err := readUnit(ctx, tx, id)
			if err != nil {
				return nil, err
			}
			above, err := readPlaceAbove(ctx, tx, r.Agency, r.Parent)
			above.ID = id
			return []identity.Object{unitObject(above)}, err
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			r, err := readUnit(ctx, tx, id)
			if err != nil {
				return nil, err
			}
			if err := lockTree(ctx, tx, r.Agency); err != nil {
				return nil, err
			}
			if err := lockUnit(ctx, tx, id); err != nil {
				return nil, err
			}
			if r, err = readUnit(ctx, tx, id); err != nil { // it may have been moved before the lock
				return nil, err
			}
			if err := unitIsEmpty(ctx, tx, id, s.now()); err != nil {
				return nil, err
			}
			accounts, err := removeGrants(ctx, tx, r.Path)
			if err != nil {
				return nil, err
			}
			if err := s.refreshAll(ctx, tx, accounts); err != nil {
				return nil, err
			}
			detail := map[string]string{"deleted": r.Name}
			if len(accounts) > 0 {
				detail["roles_taken_from"] = listed(accounts)
			}
			return detail, closeUnit(ctx, tx, id, s.now())
		},
	})
}

// listed names accounts in the log, a space between.
func listed(accounts []identity.AccountID) string {
	words := make([]string, len(accounts))
	for i, a := range accounts {
		words[i] = string(a)
	}
	return strings.Join(words, " ")
}
