package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"commsd/directory/visibility"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// UnitPeople lists the people of a unit and all units below it, as a printed
// directory does: unit by unit in the order of their tree, in each the leaders
// first, then by name. Everybody stands there once, with the position held
// there; of several, with the main one or else the first. Whom actor does not
// see, or does not see in this unit, is not among them. next, when not empty,
// is the cursor of the rest: a page costs the same however deep it is.
func (s *Service) UnitPeople(ctx context.Context, actor identity.Actor, id identity.UnitID, cursor string, limit int) (people []identity.Person, next string, err error) {
	return s.staffOf(ctx, actor, visibility.FieldUnit, cursor, limit, func(ctx context.Context, tx *sqldb.Tx) (scope, error) {
		path, err := readUnitPath(ctx, tx, id)
		if errors.Is(err, sql.ErrNoRows) {
			return scope{}, errcode.New(errcode.NotFound, "there is no such unit in the directory")
		}
		return scope{path: path}, err
	})
}

// AgencyPeople is UnitPeople for a whole agency.
func (s *Service) AgencyPeople(ctx context.Context, actor identity.Actor, id identity.AgencyID, cursor string, limit int) (people []identity.Person, next string, err error) {
	return s.staffOf(ctx, actor, visibility.FieldAgency, cursor, limit, func(context.Context, *sqldb.Tx) (scope, error) {
		return scope{agency: id}, nil
	})
}

// maxPages bounds how many pages are read to fill one with people who are seen;
// a page may be short, or empty, though the list goes on.
const maxPages = 5

const staffList = "staff" // the list that its cursors are of

// staffOf lists people whom actor sees with the field that the list is by.
func (s *Service) staffOf(ctx context.Context, actor identity.Actor, by visibility.Field, cursor string, limit int, find func(context.Context, *sqldb.Tx) (scope, error)) (people []identity.Person, next string, err error) {
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, MaxFound)
	var start *staff
	if cursor != "" {
		start = &staff{}
		if err := s.openCursor(staffList, cursor, start); err != nil {
			return nil, "", err
		}
	}
	err = s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		in, err := find(ctx, tx)
		if err != nil {
			return err
		}
		var last *staff
		after := start
		people = nil
		for range maxPages {
			var page []identity.Person
			if page, last, err = readStaff(ctx, tx, in, after, s.now(), limit-len(people)); err != nil {
				return err
			}
			seen, err := s.viewPeople(ctx, tx, actor, page, func(sight visibility.Sight, _ identity.Person) bool { return sight.Sees(by) })
			if err != nil {
				return err
			}
			people, after = append(people, seen...), last
			if last == nil || len(people) == limit {
				break
			}
		}
		next = ""
		if last != nil {
			next, err = s.sealCursor(staffList, last)
		}
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("directory: list people: %w", err)
	}
	return people, next, nil
}

// staff is the place of one position in the list of a unit's or agency's
// people, which is what a cursor tells.
type staff struct {
	Unit      identity.UnitID     `json:"u"`
	Seniority int64               `json:"s"`
	SortKey   []byte              `json:"k"`
	Position  identity.PositionID `json:"p"`
}
