package directory

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"commsd/identity"
	"commsd/internal/sqldb"
)

// unitsAtOnce is how many units the first statement of a page asks for their
// people; where they are empty the following ones ask more, at most unitsMost.
const (
	unitsAtOnce = 8
	unitsMost   = 200
)

// readStaff lists the people in scope, beginning behind after. It walks the
// units in the order of their tree and reads of each as many as the page still
// lacks, so that neither a deep page nor a large unit costs more.
func readStaff(ctx context.Context, tx *sqldb.Tx, in scope, after *staff, now time.Time, limit int) ([]identity.Person, *staff, error) {
	units, err := readUnitOrder(ctx, tx, in)
	if err != nil {
		return nil, nil, err
	}
	if after != nil {
		at := slices.Index(units, after.Unit)
		if at < 0 {
			return nil, nil, nil // it was closed, or moved away
		}
		units = units[at:]
	}
	var places []staffPlace
	n := unitsAtOnce
	if after != nil {
		n = 1 // its own statement begins where the page before ended
	}
	for len(units) > 0 && len(places) <= limit {
		some := units[:min(n, len(units))]
		units = units[len(some):]
		more, err := readUnitsStaff(ctx, tx, in, some, after, now, limit+1-len(places))
		if err != nil {
			return nil, nil, err
		}
		places, after, n = append(places, more...), nil, min(max(2*n, unitsAtOnce), unitsMost)
	}
	var last *staff
	if len(places) > limit {
		places = places[:limit]
		last = &places[limit-1].staff
	}
	people := make([]identity.Person, len(places))
	for i, p := range places {
		people[i] = p.person
	}
	return people, last, nil
}

// staffPlace is one line of the list.
type staffPlace struct {
	staff
	person identity.Person
}

// staffQuery reads the positions of a page of units, in their order, beginning
// behind after, which is of the only one. Of each no more are looked at than the
// page holds. Who holds another position in scope that goes before is listed with
// that one; a count is not made into a join, which would read all of the scope.
func staffQuery(d sqldb.Dialect, in scope, units []identity.UnitID, after *staff, now time.Time, limit int) (string, arguments) {
	var args arguments
	at, most := args.add(now.UnixMicro()), args.add(limit)
	behind := ""
	if after != nil {
		behind = fmt.Sprintf(" AND (q.seniority, q.sort_key, q.id) > (%s, %s, %s)", args.add(after.Seniority), args.add(after.SortKey), args.add(string(after.Position)))
	}
	inScope := in.units(&args, "w")
	of := func(unit, place string) string {
		return `SELECT ` + place + ` AS place, q.id, q.person_id, q.title, q.unit_id, q.agency_id, q.seniority, q.sort_key FROM directory_positions q
			WHERE q.unit_id = ` + unit + ` AND ` + validAt("q", at) + `
				AND (SELECT COUNT(*) FROM directory_positions m JOIN directory_units w ON w.id = m.unit_id
					WHERE m.person_id = q.person_id AND (m.rank, m.id) < (q.rank, q.id) AND ` + validAt("m", at) + ` AND ` + inScope + `) = 0` + behind + `
			ORDER BY q.seniority, q.sort_key, q.id LIMIT ` + most
	}
	if len(units) == 1 {
		return of(args.add(string(units[0])), "0"), args
	}
	parts := make([]string, len(units))
	for i, u := range units {
		id, place := args.add(string(u)), strconv.Itoa(i)
		if d == sqldb.PostgreSQL {
			parts[i] = "(" + id + ", " + place + ")"
		} else {
			parts[i] = `SELECT * FROM (` + of(id, place) + `)`
		}
	}
	all := strings.Join(parts, " UNION ALL ")
	if d == sqldb.PostgreSQL {
		all = `SELECT s.* FROM (VALUES ` + strings.Join(parts, ", ") + `) r (unit, place) CROSS JOIN LATERAL (` + of("r.unit", "r.place") + `) s`
	}
	return `SELECT * FROM (` + all + `) s ORDER BY s.place, s.seniority, s.sort_key, s.id LIMIT ` + most, args
}

func readUnitsStaff(ctx context.Context, tx *sqldb.Tx, in scope, units []identity.UnitID, after *staff, now time.Time, limit int) ([]staffPlace, error) {
	positions, args := staffQuery(tx.Dialect(), in, units, after, now, limit)
	query := `SELECT ` + personColumns + `, q.unit_id, q.seniority, q.sort_key, q.id FROM (` + positions + `) q
		JOIN directory_people p ON p.id = q.person_id
		JOIN directory_units u ON u.id = q.unit_id
		JOIN directory_agencies g ON g.id = q.agency_id
		LEFT JOIN directory_addresses a ON a.person_id = p.id AND a.kind = 'main'
		ORDER BY q.place, q.seniority, q.sort_key, q.id`
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read staff: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []staffPlace
	for rows.Next() {
		var line staffPlace
		if line.person, err = scanPerson(rows, &line.Unit, &line.Seniority, &line.SortKey, &line.Position); err != nil {
			return nil, fmt.Errorf("read staff: %w", err)
		}
		out = append(out, line)
	}
	return out, rows.Err()
}
