package directory

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"commsd/identity"
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

// readSelf reads a person for the person: with the picture, which readPeople
// leaves out since not everybody may see it.
func readSelf(ctx context.Context, tx *sqldb.Tx, id identity.PersonID, now time.Time) (identity.Person, error) {
	people, err := readPeople(ctx, tx, []identity.PersonID{id}, now)
	if err != nil {
		return identity.Person{}, err
	}
	p := people[id]
	if err := tx.QueryRow(ctx, `SELECT photo FROM directory_people WHERE id = $1`, string(id)).Scan(&p.Photo); err != nil {
		return identity.Person{}, fmt.Errorf("read the picture of %s: %w", id, err)
	}
	return p, nil
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

func readUnitPath(ctx context.Context, tx *sqldb.Tx, id identity.UnitID) ([]byte, error) {
	var path []byte
	err := tx.QueryRow(ctx, `SELECT path FROM directory_units WHERE id = $1`, string(id)).Scan(&path)
	return path, err
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
