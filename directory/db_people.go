package directory

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"commsd/identity"
	"commsd/internal/fold"
	"commsd/internal/sqldb"
)

const personColumns = `p.id, p.display_name, p.given_name, COALESCE(q.title, ''), COALESCE(u.name, ''),
	COALESCE(g.id, ''), COALESCE(g.name, ''), COALESCE(g.short_name, ''), COALESCE(a.address, '')`

// mainPosition joins person p to its main position q, unit u, agency g and main
// address a; join is LEFT JOIN or JOIN for those with a position only.
func mainPosition(join, now string) string {
	return fmt.Sprintf(`%[1]s directory_positions q ON q.id = (
			SELECT m.id FROM directory_positions m WHERE m.person_id = p.id AND %[2]s ORDER BY m.rank, m.id LIMIT 1)
		%[1]s directory_units u ON u.id = q.unit_id
		%[1]s directory_agencies g ON g.id = q.agency_id
		LEFT JOIN directory_addresses a ON a.person_id = p.id AND a.kind = 'main'`, join, validAt("m", now))
}

func scanPerson(rows *sql.Rows, more ...any) (identity.Person, error) {
	var p identity.Person
	err := rows.Scan(append([]any{&p.ID, &p.Name, &p.GivenName, &p.Title, &p.Unit, &p.Agency, &p.AgencyName, &p.AgencyShort, &p.Address}, more...)...)
	return p, err
}

// readPeople reads the people of ids that exist.
func readPeople(ctx context.Context, tx *sqldb.Tx, ids []identity.PersonID, now time.Time) (map[identity.PersonID]identity.Person, error) {
	out := make(map[identity.PersonID]identity.Person, len(ids))
	const chunk = 500 // placeholders in one statement
	for len(ids) > 0 {
		some := ids[:min(chunk, len(ids))]
		ids = ids[len(some):]
		var args arguments
		at := args.add(now.UnixMicro())
		people, err := queryPeople(ctx, tx, `SELECT `+personColumns+` FROM directory_people p `+
			mainPosition("LEFT JOIN", at)+` WHERE p.id IN (`+placeholders(&args, some)+`)`, args)
		if err != nil {
			return nil, err
		}
		for _, p := range people {
			out[p.ID] = p
		}
	}
	return out, nil
}

func queryPeople(ctx context.Context, tx *sqldb.Tx, query string, args arguments) ([]identity.Person, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read people: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []identity.Person
	for rows.Next() {
		p, err := scanPerson(rows)
		if err != nil {
			return nil, fmt.Errorf("read people: %w", err)
		}
		out = append(out, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read people: %w", err)
	}
	return out, nil
}

// maxWords bounds the joins of one search; a name has fewer words.
const maxWords = 8

// findQuery puts together the search for people each of whose given words
// begins a word of theirs, in any order. In front stand those whose marks match
// the typed ones, then the viewer's unit, then the viewer's agency, then those
// with whole words, then the order of the alphabet.
func findQuery(words []fold.Word, viewer identity.Actor, now time.Time, limit int) (string, arguments) {
	var args arguments
	if len(words) > maxWords {
		words = words[:maxWords]
	}
	var with, joins, exact, whole []string
	for i, w := range words {
		low, high := prefixRange([]byte(w.Folded))
		markLow, markHigh := prefixRange([]byte(w.Marked))
		from, to := args.add(low), args.add(high)
		with = append(with, fmt.Sprintf(`h%d AS (
			SELECT person_id, MAX(CASE WHEN marked >= %s AND marked < %s THEN 1 ELSE 0 END) AS exact,
				MAX(CASE WHEN token = %s THEN 1 ELSE 0 END) AS whole
			FROM directory_search_tokens WHERE token >= %s AND token < %s GROUP BY person_id)`,
			i, args.add(markLow), args.add(markHigh), from, from, to))
		if i > 0 {
			joins = append(joins, fmt.Sprintf("JOIN h%d ON h%d.person_id = h0.person_id", i, i))
		}
		exact = append(exact, fmt.Sprintf("h%d.exact", i))
		whole = append(whole, fmt.Sprintf("h%d.whole", i))
	}
	at := args.add(now.UnixMicro())
	position := args.add(string(viewer.Position))
	agency := args.add(string(viewer.Agency))
	query := `WITH ` + strings.Join(with, ", ") + `
		SELECT ` + personColumns + ` FROM h0 ` + strings.Join(joins, " ") + `
		JOIN directory_people p ON p.id = h0.person_id ` + mainPosition("JOIN", at) + `
		LEFT JOIN directory_positions v ON v.id = ` + position + `
		ORDER BY ` + strings.Join(exact, " + ") + ` DESC,
			CASE WHEN q.unit_id = v.unit_id THEN 0 ELSE 1 END, CASE WHEN q.agency_id = ` + agency + ` THEN 0 ELSE 1 END,
			` + strings.Join(whole, " + ") + ` DESC, p.sort_key, p.id
		LIMIT ` + args.add(limit)
	return query, args
}

// colleaguesQuery is the search for nothing in particular: the viewer's unit,
// then the viewer's agency.
func colleaguesQuery(viewer identity.Actor, now time.Time, limit int) (string, arguments) {
	var args arguments
	at := args.add(now.UnixMicro())
	position := args.add(string(viewer.Position))
	where := ""
	if viewer.Agency != "" {
		where = `WHERE p.id IN (SELECT person_id FROM directory_positions WHERE agency_id = ` + args.add(string(viewer.Agency)) + `)`
	}
	query := `SELECT ` + personColumns + ` FROM directory_people p ` + mainPosition("JOIN", at) + `
		LEFT JOIN directory_positions v ON v.id = ` + position + ` ` + where + `
		ORDER BY CASE WHEN q.unit_id = v.unit_id THEN 0 ELSE 1 END, p.sort_key, p.id
		LIMIT ` + args.add(limit)
	return query, args
}

// prefixRange returns the half-open range of byte strings that begin with
// prefix, which is not empty.
func prefixRange(prefix []byte) (low, high []byte) {
	high = append([]byte(nil), prefix...)
	for i := len(high) - 1; i >= 0; i-- {
		if high[i] < 0xff {
			high[i]++
			return prefix, high[:i+1]
		}
	}
	return prefix, nil // only 0xff bytes, which UTF-8 does not hold
}

// staff is the place of one person in the list of a unit's or agency's people.
type staff struct {
	seniority int64
	sortKey   []byte
	person    identity.PersonID
}

// scope chooses positions: those of an agency, or of a unit and all below it.
type scope struct {
	agency identity.AgencyID
	path   []byte // of a unit
}

func (c scope) condition(args *arguments, alias string) string {
	if c.path == nil {
		return alias + ".agency_id = " + args.add(string(c.agency))
	}
	low, high := prefixRange(c.path)
	return fmt.Sprintf("%s.unit_id IN (SELECT id FROM directory_units WHERE path >= %s AND path < %s)", alias, args.add(low), args.add(high))
}

// readStaff lists the people in scope by seniority and name, each with the
// position they hold there, beginning behind after.
func readStaff(ctx context.Context, tx *sqldb.Tx, in scope, after *staff, now time.Time, limit int) ([]identity.Person, *staff, error) {
	var args arguments
	at := args.add(now.UnixMicro())
	query := `SELECT ` + personColumns + `, q.seniority, p.sort_key
		FROM (SELECT DISTINCT x.person_id FROM directory_positions x WHERE ` + in.condition(&args, "x") + ` AND ` + validAt("x", at) + `) s
		JOIN directory_people p ON p.id = s.person_id
		JOIN directory_positions q ON q.id = (SELECT m.id FROM directory_positions m
			WHERE m.person_id = s.person_id AND ` + in.condition(&args, "m") + ` AND ` + validAt("m", at) + ` ORDER BY m.rank, m.id LIMIT 1)
		JOIN directory_units u ON u.id = q.unit_id
		JOIN directory_agencies g ON g.id = q.agency_id
		LEFT JOIN directory_addresses a ON a.person_id = p.id AND a.kind = 'main'`
	if after != nil {
		query += fmt.Sprintf(" WHERE (q.seniority, p.sort_key, p.id) > (%s, %s, %s)",
			args.add(after.seniority), args.add(after.sortKey), args.add(string(after.person)))
	}
	query += ` ORDER BY q.seniority, p.sort_key, p.id LIMIT ` + args.add(limit+1)
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, nil, fmt.Errorf("read staff: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var people []identity.Person
	var last staff
	for rows.Next() {
		var place staff
		p, err := scanPerson(rows, &place.seniority, &place.sortKey)
		if err != nil {
			return nil, nil, fmt.Errorf("read staff: %w", err)
		}
		if len(people) == limit {
			return people, &last, nil
		}
		place.person = p.ID
		people, last = append(people, p), place
	}
	return people, nil, rows.Err()
}

func readUnitPath(ctx context.Context, tx *sqldb.Tx, id identity.UnitID) ([]byte, error) {
	var path []byte
	err := tx.QueryRow(ctx, `SELECT path FROM directory_units WHERE id = $1`, string(id)).Scan(&path)
	return path, err
}

func readAgencies(ctx context.Context, tx *sqldb.Tx, now time.Time) ([]Agency, error) {
	rows, err := tx.Query(ctx, `SELECT g.id, g.identifier, g.name, g.name_en, g.short_name, COALESCE(g.parent_id, ''),
			(SELECT COUNT(DISTINCT q.person_id) FROM directory_positions q WHERE q.agency_id = g.id AND `+validAt("q", "$1")+`)
		FROM directory_agencies g ORDER BY g.identifier`, now.UnixMicro())
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

// unitRow is a unit with the people directly in it.
type unitRow struct {
	Unit
	agency identity.AgencyID
	parent identity.UnitID
}

// readUnits reads all units that are open, parents before children, siblings by rank.
func readUnits(ctx context.Context, tx *sqldb.Tx, now time.Time) ([]unitRow, error) {
	rows, err := tx.Query(ctx, `SELECT u.id, u.agency_id, COALESCE(u.parent_id, ''), u.name, u.name_en, COALESCE(c.people, 0)
		FROM directory_units u
		LEFT JOIN (SELECT q.unit_id, COUNT(DISTINCT q.person_id) AS people FROM directory_positions q
			WHERE `+validAt("q", "$1")+` GROUP BY q.unit_id) c ON c.unit_id = u.id
		WHERE u.closed_at IS NULL
		ORDER BY LENGTH(u.path), u.rank, u.id`, now.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("read units: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []unitRow
	for rows.Next() {
		var u unitRow
		if err := rows.Scan(&u.ID, &u.agency, &u.parent, &u.Name, &u.NameEN, &u.People); err != nil {
			return nil, fmt.Errorf("read units: %w", err)
		}
		out = append(out, u)
	}
	return out, rows.Err()
}

func readAddressOwner(ctx context.Context, tx *sqldb.Tx, address string) (identity.PersonID, error) {
	var id identity.PersonID
	err := tx.QueryRow(ctx, `SELECT person_id FROM directory_addresses WHERE address = $1 AND person_id IS NOT NULL`, address).Scan(&id)
	return id, err
}

func readAddresses(ctx context.Context, tx *sqldb.Tx, person identity.PersonID) ([]string, error) {
	// 'main' sorts behind 'alias'.
	rows, err := tx.Query(ctx, `SELECT address FROM directory_addresses WHERE person_id = $1 ORDER BY kind DESC, address`, string(person))
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []string
	for rows.Next() {
		var a string
		if err := rows.Scan(&a); err != nil {
			return nil, fmt.Errorf("read addresses: %w", err)
		}
		out = append(out, a)
	}
	return out, rows.Err()
}

func readDomain(ctx context.Context, tx *sqldb.Tx, domain string) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM directory_agency_domains WHERE domain = $1`, domain).Scan(&n)
	return n > 0, err
}
