package directory

import (
	"context"
	"fmt"
	"time"

	"commsd/identity"
	"commsd/internal/sqldb"
)

// readStaff lists the people in scope, beginning behind after. It walks the
// units in the order of their tree and reads of each as many as the page still
// lacks, so that neither a deep page nor a large unit costs more.
func readStaff(ctx context.Context, tx *sqldb.Tx, in scope, after *staff, now time.Time, limit int) ([]identity.Person, *staff, error) {
	units, err := readUnitsHeld(ctx, tx, in, now)
	if err != nil {
		return nil, nil, err
	}
	var people []identity.Person
	var last staff
	waiting := after != nil // for the unit of the cursor to come by
	more := false
	var walk func(units []*Unit) error
	walk = func(units []*Unit) error {
		for _, u := range units {
			var from *staff
			if waiting && u.ID == after.Unit {
				waiting, from = false, after
			}
			// unitTree has added up what is below.
			if !waiting && u.People > 0 {
				places, err := readUnitStaff(ctx, tx, in, u.ID, from, now, limit+1-len(people))
				if err != nil {
					return err
				}
				if room := limit - len(people); len(places) > room {
					places, more = places[:room], true
				}
				if len(places) > 0 {
					last = places[len(places)-1].staff
				}
				for _, p := range places {
					people = append(people, p.person)
				}
			}
			if more {
				return nil
			}
			if err := walk(u.Units); err != nil || more {
				return err
			}
		}
		return nil
	}
	if err := walk(unitTree(units)); err != nil {
		return nil, nil, err
	}
	if !more {
		return people, nil, nil
	}
	return people, &last, nil
}

// staffPlace is one line of the list.
type staffPlace struct {
	staff
	person identity.Person
}

// staffQuery reads the positions of a page of one unit, beginning behind after.
// Who holds another position in scope that goes before is listed with that one;
// a count is not made into a join, which would read all of the scope.
func staffQuery(in scope, unit identity.UnitID, after *staff, now time.Time, limit int) (string, arguments) {
	var args arguments
	at := args.add(now.UnixMicro())
	query := `SELECT q.id, q.person_id, q.title, q.unit_id, q.agency_id, q.seniority, q.sort_key FROM directory_positions q
		WHERE q.unit_id = ` + args.add(string(unit)) + ` AND ` + validAt("q", at) + `
			AND (SELECT COUNT(*) FROM directory_positions m JOIN directory_units w ON w.id = m.unit_id
				WHERE m.person_id = q.person_id AND (m.rank, m.id) < (q.rank, q.id) AND ` + validAt("m", at) + ` AND ` + in.units(&args, "w") + `) = 0`
	if after != nil {
		query += fmt.Sprintf(" AND (q.seniority, q.sort_key, q.id) > (%s, %s, %s)",
			args.add(after.Seniority), args.add(after.SortKey), args.add(string(after.Position)))
	}
	return query + ` ORDER BY q.seniority, q.sort_key, q.id LIMIT ` + args.add(limit), args
}

func readUnitStaff(ctx context.Context, tx *sqldb.Tx, in scope, unit identity.UnitID, after *staff, now time.Time, limit int) ([]staffPlace, error) {
	positions, args := staffQuery(in, unit, after, now, limit)
	query := `SELECT ` + personColumns + `, q.seniority, q.sort_key, q.id FROM (` + positions + `) q
		JOIN directory_people p ON p.id = q.person_id
		JOIN directory_units u ON u.id = q.unit_id
		JOIN directory_agencies g ON g.id = q.agency_id
		LEFT JOIN directory_addresses a ON a.person_id = p.id AND a.kind = 'main'
		ORDER BY q.seniority, q.sort_key, q.id`
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read staff: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []staffPlace
	for rows.Next() {
		line := staffPlace{staff: staff{Unit: unit}}
		if line.person, err = scanPerson(rows, &line.Seniority, &line.SortKey, &line.Position); err != nil {
			return nil, fmt.Errorf("read staff: %w", err)
		}
		out = append(out, line)
	}
	return out, rows.Err()
}
