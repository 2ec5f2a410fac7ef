package directory

import (
	"context"
	"fmt"
	"time"

	"commsd/identity"
	"commsd/internal/sqldb"
)

func readAgencies(ctx context.Context, tx *sqldb.Tx) ([]Agency, error) {
	rows, err := tx.Query(ctx, `SELECT g.id, g.identifier, g.name, g.name_en, g.short_name, COALESCE(g.parent_id, ''), COALESCE(c.people, 0)
		FROM directory_agencies g LEFT JOIN directory_agency_people c ON c.agency_id = g.id ORDER BY g.identifier`)
	if err != nil {
		return nil, fmt.Errorf("read agencies: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []Agency
	for rows.Next() {
		var a Agency
		if err := rows.Scan(&a.ID, &a.Identifier, &a.Name, &a.NameEN, &a.ShortName, &a.Parent, &a.People); err != nil {
			return nil, fmt.Errorf("read agencies: %w", err)
		}
		out = append(out, a)
	}
	return out, rows.Err()
}

// scope chooses positions: those of an agency, or of a unit and all below it.
type scope struct {
	agency identity.AgencyID
	path   []byte // of a unit
}

// units is the condition on the units of the scope, whose alias is given.
func (c scope) units(args *arguments, alias string) string {
	if c.path == nil {
		return alias + ".agency_id = " + args.add(string(c.agency))
	}
	low, high := prefixRange(c.path)
	return fmt.Sprintf("%[1]s.path >= %[2]s AND %[1]s.path < %[3]s", alias, args.add(low), args.add(high))
}

// unitRow is a unit with the people directly in it.
type unitRow struct {
	Unit
	parent identity.UnitID
}

// readUnitTree reads the open units in scope, parents before children, siblings by
// rank. It counts over the index of positions of these units alone.
func readUnitTree(ctx context.Context, tx *sqldb.Tx, in scope, now time.Time) ([]unitRow, error) {
	var args arguments
	at := args.add(now.UnixMicro())
	return queryUnits(ctx, tx, `SELECT u.id, COALESCE(u.parent_id, ''), u.name, u.name_en,
			(SELECT COUNT(*) FROM directory_positions q WHERE q.unit_id = u.id AND `+validAt("q", at)+`)
		FROM directory_units u WHERE `+in.units(&args, "u")+` AND u.closed_at IS NULL
		ORDER BY LENGTH(u.path), u.rank, u.id`, args)
}

// readUnitOrder reads the open units in scope in the order of their tree, each
// before those below it. It reads nobody's positions: to know who is in thousands
// of units costs far more than to ask the few of a page.
func readUnitOrder(ctx context.Context, tx *sqldb.Tx, in scope) ([]identity.UnitID, error) {
	var args arguments
	rows, err := queryUnits(ctx, tx, `SELECT u.id, COALESCE(u.parent_id, ''), '', '', 0
		FROM directory_units u WHERE `+in.units(&args, "u")+` AND u.closed_at IS NULL
		ORDER BY LENGTH(u.path), u.rank, u.id`, args)
	if err != nil {
		return nil, err
	}
	order := make([]identity.UnitID, 0, len(rows))
	var walk func(units []*Unit)
	walk = func(units []*Unit) {
		for _, u := range units {
			order = append(order, u.ID)
			walk(u.Units)
		}
	}
	walk(unitTree(rows))
	return order, nil
}

func queryUnits(ctx context.Context, tx *sqldb.Tx, query string, args arguments) ([]unitRow, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read units: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []unitRow
	for rows.Next() {
		var u unitRow
		if err := rows.Scan(&u.ID, &u.parent, &u.Name, &u.NameEN, &u.People); err != nil {
			return nil, fmt.Errorf("read units: %w", err)
		}
		out = append(out, u)
	}
	return out, rows.Err()
}
