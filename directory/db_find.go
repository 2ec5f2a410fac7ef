package directory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"commsd/directory/searchkey"
	"commsd/identity"
	"commsd/internal/fold"
	"commsd/internal/sqldb"
)

// searchQuery reads the people whose entries of scope stand in ranges and fit
// query, the best first. It looks at no more than searchBound entries.
func searchQuery(d sqldb.Dialect, scope []byte, ranges []searchkey.Range, query searchkey.Query, exact bool, limit int) (string, arguments) {
	var args arguments
	entries := entriesQuery(&args, d, scope, ranges, searchBound)
	var where, whole []string
	for i := range query.Words() {
		if query.Words() > 1 {
			where = append(where, condition(&args, d, query.Begin(i)))
		}
		whole = append(whole, "CASE WHEN "+condition(&args, d, query.Whole(i))+" THEN 1 ELSE 0 END")
	}
	if exact {
		for _, m := range query.Marks() {
			where = append(where, contains(&args, d, "name", m))
		}
	}
	text := `SELECT person FROM (` + entries + `) e`
	if len(where) > 0 {
		text += ` WHERE ` + strings.Join(where, " AND ")
	}
	return text + ` GROUP BY person, name ORDER BY MAX(` + strings.Join(whole, " + ") + `) DESC, name, person LIMIT ` + args.add(limit), args
}

// entriesQuery reads at most most entries of scope that stand in ranges, range
// by range.
func entriesQuery(args *arguments, d sqldb.Dialect, scope []byte, ranges []searchkey.Range, most int) string {
	in := args.add(scope) + blob(d)
	if len(ranges) == 1 {
		return fmt.Sprintf(`SELECT key, name, person FROM directory_search WHERE scope = %s AND key >= %s AND key < %s ORDER BY scope, key, name, person LIMIT %s`,
			in, args.add(ranges[0].Low)+blob(d), args.add(ranges[0].High)+blob(d), args.add(most))
	}
	values := make([]string, len(ranges))
	for i, r := range ranges {
		values[i] = "(" + args.add(r.Low) + blob(d) + ", " + args.add(r.High) + blob(d) + ")"
	}
	all := `(SELECT column1 AS low, column2 AS high FROM (VALUES ` + strings.Join(values, ", ") + `) v) r`
	if d == sqldb.PostgreSQL {
		return `SELECT s.key, s.name, s.person FROM ` + all + ` CROSS JOIN LATERAL (SELECT key, name, person FROM directory_search
			WHERE scope = ` + in + ` AND key >= r.low AND key < r.high ORDER BY scope, key, name, person LIMIT ` + args.add(most) + `) s LIMIT ` + args.add(most)
	}
	// SQLite keeps the order of a CROSS JOIN's tables: ranges first.
	return `SELECT s.key, s.name, s.person FROM ` + all + `
		CROSS JOIN directory_search s WHERE s.scope = ` + in + ` AND s.key >= r.low AND s.key < r.high LIMIT ` + args.add(most)
}

// countEntries counts what entriesQuery reads.
func countEntries(ctx context.Context, tx *sqldb.Tx, scope []byte, ranges []searchkey.Range, most int) (int, error) {
	var args arguments
	query := `SELECT COUNT(*) FROM (` + entriesQuery(&args, tx.Dialect(), scope, ranges, most) + `) e`
	var n int
	if err := tx.QueryRow(ctx, query, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("count entries: %w", err)
	}
	return n, nil
}

func condition(args *arguments, d sqldb.Dialect, c searchkey.Condition) string {
	return fmt.Sprintf("(key >= %s AND key < %s OR %s)", args.add(c.Front.Low)+blob(d), args.add(c.Front.High)+blob(d), contains(args, d, "key", c.Contains))
}

// contains tests bytes for others; the engines have no such function in common.
func contains(args *arguments, d sqldb.Dialect, column string, part []byte) string {
	if d == sqldb.PostgreSQL {
		return "position(" + args.add(part) + "::bytea IN " + column + ") > 0"
	}
	return "instr(" + column + ", " + args.add(part) + ") > 0"
}

// blob types a placeholder where PostgreSQL cannot tell by itself.
func blob(d sqldb.Dialect) string {
	if d == sqldb.PostgreSQL {
		return "::bytea"
	}
	return ""
}

func readFound(ctx context.Context, tx *sqldb.Tx, query string, args arguments) ([]identity.PersonID, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []identity.PersonID
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			return nil, fmt.Errorf("search: %w", err)
		}
		id, err := personOfBytes(b)
		if err != nil {
			return nil, fmt.Errorf("search: %w", err)
		}
		out = append(out, id)
	}
	return out, rows.Err()
}

// readWords reads at most most words that word i of query can stand for.
func readWords(ctx context.Context, tx *sqldb.Tx, query searchkey.Query, i, most int) ([]fold.Word, error) {
	r, ok := query.WordRange(i)
	if !ok {
		return []fold.Word{}, nil
	}
	rows, err := tx.Query(ctx, `SELECT folded, marked FROM directory_search_words WHERE folded >= $1 AND folded < $2 ORDER BY folded, marked LIMIT $3`, r.Low, r.High, most)
	if err != nil {
		return nil, fmt.Errorf("read words: %w", err)
	}
	out := []fold.Word{}
	err = eachRow(rows, func() error {
		var folded, marked []byte
		err := rows.Scan(&folded, &marked)
		out = append(out, fold.Word{Folded: string(folded), Marked: string(marked)})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read words: %w", err)
	}
	return out, nil
}

// member is somebody of a unit, as they are found.
type member struct {
	id   identity.PersonID
	name searchkey.Name
}

// readUnitNames reads the people directly in the unit of a position, in the
// order of the alphabet, searchBound at the most.
func readUnitNames(ctx context.Context, tx *sqldb.Tx, position identity.PositionID, now time.Time) ([]member, error) {
	rows, err := tx.Query(ctx, `SELECT q.person_id, p.family_name, p.middle_name, p.given_name, COALESCE(a.address, ''), q.sort_key
		FROM directory_positions q JOIN directory_people p ON p.id = q.person_id
		LEFT JOIN directory_addresses a ON a.person_id = p.id AND a.kind = 'main'
		WHERE q.unit_id = (SELECT v.unit_id FROM directory_positions v WHERE v.id = $1) AND `+validAt("q", "$2")+`
		LIMIT $3`, string(position), now.UnixMicro(), searchBound)
	if err != nil {
		return nil, fmt.Errorf("read a unit's names: %w", err)
	}
	type line struct {
		member
		key []byte
	}
	var lines []line
	err = eachRow(rows, func() error {
		var l line
		err := rows.Scan(&l.id, &l.name.Family, &l.name.Middle, &l.name.Given, &l.name.Address, &l.key)
		lines = append(lines, l)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read a unit's names: %w", err)
	}
	slices.SortFunc(lines, func(a, b line) int {
		if c := strings.Compare(string(a.key), string(b.key)); c != 0 {
			return c
		}
		return strings.Compare(string(a.id), string(b.id))
	})
	var out []member
	for i, l := range lines {
		if i == 0 || l.id != lines[i-1].id { // two posts in one unit
			out = append(out, l.member)
		}
	}
	return out, nil
}

// holders reads at most limit of ids, in their order, who hold a post now.
func holders(ctx context.Context, tx *sqldb.Tx, ids []identity.PersonID, now time.Time, limit int) ([]identity.Person, error) {
	var out []identity.Person
	for len(ids) > 0 && len(out) < limit {
		some := ids[:min(limit, len(ids))]
		ids = ids[len(some):]
		people, err := readPeople(ctx, tx, some, now)
		if err != nil {
			return nil, err
		}
		for _, id := range some {
			if p, ok := people[id]; ok && p.Agency != "" && len(out) < limit {
				out = append(out, p)
			}
		}
	}
	return out, nil
}

// everybodyQuery reads the first of all people who hold a post, by name.
func everybodyQuery(now time.Time, limit int) (string, arguments) {
	var args arguments
	at := args.add(now.UnixMicro())
	return `SELECT ` + personColumns + ` FROM directory_people p ` + mainPosition("JOIN", at) + `
		ORDER BY p.sort_key, p.id LIMIT ` + args.add(limit), args
}
