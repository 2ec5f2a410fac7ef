package directory

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"commsd/directory/searchkey"
	"commsd/identity"
	"commsd/internal/sqldb"
)

// everybody is the scope of the search rows of all who hold a post.
var everybody = []byte{0}

// searched is what a person's search rows are made of.
type searched struct {
	name     searchkey.Name
	agencies []string // where they hold a post, in order; none: found by nobody
}

// indexPerson brings up to date what a person is found and listed by. It is
// called after any change of name, main address or positions, in the same
// transaction.
func indexPerson(ctx context.Context, tx *sqldb.Tx, id identity.PersonID, now time.Time) error {
	return indexPeople(ctx, tx, []identity.PersonID{id}, now)
}

// indexPeople is indexPerson for many, at far less cost for each.
func indexPeople(ctx context.Context, tx *sqldb.Tx, ids []identity.PersonID, now time.Time) error {
	const chunk = 1000 // people whose rows are in memory at a time
	for some := range slices.Chunk(ids, chunk) {
		if err := indexChunk(ctx, tx, some, now); err != nil {
			return fmt.Errorf("index people: %w", err)
		}
	}
	return nil
}

func indexChunk(ctx context.Context, tx *sqldb.Tx, ids []identity.PersonID, now time.Time) error {
	after, err := readSearched(ctx, tx, ids, now)
	if err != nil {
		return err
	}
	before, err := readIndexed(ctx, tx, ids)
	if err != nil {
		return err
	}
	return writeSearched(ctx, tx, before, after)
}

// writeSearched replaces the rows of before by those of after. Who is in before
// is in after.
func writeSearched(ctx context.Context, tx *sqldb.Tx, before, after map[identity.PersonID]searched) error {
	var added, removed searchRows
	people := map[string]int{} // agency → how many more
	var changed []identity.PersonID
	for id, now := range after {
		was, known := before[id]
		if known && was.name == now.name && slices.Equal(was.agencies, now.agencies) {
			continue
		}
		changed = append(changed, id)
		person, err := idBytes(string(id))
		if err != nil {
			return err
		}
		if err := added.add(person, now); err != nil {
			return err
		}
		if err := removed.add(person, was); err != nil {
			return err
		}
		for _, a := range now.agencies {
			people[a]++
		}
		for _, a := range was.agencies {
			people[a]--
		}
	}
	if len(changed) == 0 {
		return nil
	}
	// In the order of the table, so that a page of it is written once; and in
	// one order for all, so that two transactions cannot wait for each other.
	slices.Sort(changed)
	stays := added.without(removed)
	if err := removed.without(added).delete(ctx, tx); err != nil {
		return err
	}
	if err := tx.InsertMany(ctx, `directory_search (scope, key, name, person)`, 4, len(stays),
		func(i int) []any { return []any{stays[i].scope, stays[i].key, stays[i].name, stays[i].person} }, `ON CONFLICT DO NOTHING`); err != nil {
		return err
	}
	if err := insertWords(ctx, tx, changed, after); err != nil {
		return err
	}
	if err := writeIndexed(ctx, tx, changed, after); err != nil {
		return err
	}
	for _, a := range slices.Sorted(maps.Keys(people)) {
		if people[a] == 0 {
			continue
		}
		if _, err := tx.Exec(ctx, `INSERT INTO directory_agency_people (agency_id, people) VALUES ($1, $2)
			ON CONFLICT (agency_id) DO UPDATE SET people = directory_agency_people.people + excluded.people`, a, people[a]); err != nil {
			return err
		}
	}
	return nil
}

// readSearched reads what the rows of ids should be made of, and gives their
// positions the sort key of their names.
func readSearched(ctx context.Context, tx *sqldb.Tx, ids []identity.PersonID, now time.Time) (map[identity.PersonID]searched, error) {
	out := make(map[identity.PersonID]searched, len(ids))
	for some := range slices.Chunk(ids, 500) {
		var args arguments
		list := placeholders(&args, some)
		if _, err := tx.Exec(ctx, `UPDATE directory_positions SET sort_key = (SELECT p.sort_key FROM directory_people p WHERE p.id = person_id)
			WHERE person_id IN (`+list+`) AND sort_key <> (SELECT p.sort_key FROM directory_people p WHERE p.id = person_id)`, args...); err != nil {
			return nil, err
		}
		lock := ""
		if tx.Dialect() == sqldb.PostgreSQL {
			lock = " ORDER BY p.id FOR UPDATE OF p" // two who index one person go one after the other
		}
		rows, err := tx.Query(ctx, `SELECT p.id, p.family_name, p.middle_name, p.given_name, COALESCE(a.address, '')
			FROM directory_people p LEFT JOIN directory_addresses a ON a.person_id = p.id AND a.kind = 'main'
			WHERE p.id IN (`+list+`)`+lock, args...)
		if err != nil {
			return nil, err
		}
		err = eachRow(rows, func() error {
			var id identity.PersonID
			var s searched
			err := rows.Scan(&id, &s.name.Family, &s.name.Middle, &s.name.Given, &s.name.Address)
			out[id] = s
			return err
		})
		if err != nil {
			return nil, err
		}
		// Those that begin later count as well: the rows are there when they do,
		// and who holds nothing yet is left out of what is found.
		rows, err = tx.Query(ctx, `SELECT DISTINCT person_id, agency_id FROM directory_positions
			WHERE person_id IN (`+list+`) AND (valid_until IS NULL OR valid_until > `+args.add(now.UnixMicro())+`) ORDER BY person_id, agency_id`, args...)
		if err != nil {
			return nil, err
		}
		err = eachRow(rows, func() error {
			var id identity.PersonID
			var agency string
			err := rows.Scan(&id, &agency)
			s := out[id]
			s.agencies = append(s.agencies, agency)
			out[id] = s
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// readIndexed reads what the rows of ids were made of.
func readIndexed(ctx context.Context, tx *sqldb.Tx, ids []identity.PersonID) (map[identity.PersonID]searched, error) {
	out := map[identity.PersonID]searched{}
	for some := range slices.Chunk(ids, 500) {
		var args arguments
		rows, err := tx.Query(ctx, `SELECT person_id, family_name, middle_name, given_name, address, agencies
			FROM directory_search_people WHERE person_id IN (`+placeholders(&args, some)+`)`, args...)
		if err != nil {
			return nil, err
		}
		err = eachRow(rows, func() error {
			var id identity.PersonID
			var s searched
			var agencies string
			err := rows.Scan(&id, &s.name.Family, &s.name.Middle, &s.name.Given, &s.name.Address, &agencies)
			s.agencies = strings.Fields(agencies)
			out[id] = s
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func writeIndexed(ctx context.Context, tx *sqldb.Tx, ids []identity.PersonID, as map[identity.PersonID]searched) error {
	return tx.InsertMany(ctx, `directory_search_people (person_id, family_name, middle_name, given_name, address, agencies)`, 6, len(ids),
		func(i int) []any {
			s := as[ids[i]]
			return []any{string(ids[i]), s.name.Family, s.name.Middle, s.name.Given, s.name.Address, strings.Join(s.agencies, " ")}
		}, `ON CONFLICT (person_id) DO UPDATE SET family_name = excluded.family_name, middle_name = excluded.middle_name,
			given_name = excluded.given_name, address = excluded.address, agencies = excluded.agencies`)
}

func insertWords(ctx context.Context, tx *sqldb.Tx, ids []identity.PersonID, as map[identity.PersonID]searched) error {
	seen := map[[2]string]bool{}
	for _, id := range ids {
		for _, w := range as[id].name.Words() {
			seen[[2]string{w.Folded, w.Marked}] = true
		}
	}
	words := slices.SortedFunc(maps.Keys(seen), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
	return tx.InsertMany(ctx, `directory_search_words (folded, marked)`, 2, len(words),
		func(i int) []any { return []any{[]byte(words[i][0]), []byte(words[i][1])} }, `ON CONFLICT DO NOTHING`)
}

// searchRow is a row of the search table.
type searchRow struct{ scope, key, name, person []byte }

func compareRows(a, b searchRow) int {
	return cmp.Or(bytes.Compare(a.scope, b.scope), bytes.Compare(a.key, b.key), bytes.Compare(a.name, b.name), bytes.Compare(a.person, b.person))
}

type searchRows []searchRow

func (r *searchRows) add(person []byte, s searched) error {
	if len(s.agencies) == 0 || len(s.name.Words()) == 0 {
		return nil
	}
	for _, row := range s.name.All() {
		*r = append(*r, searchRow{everybody, row.Key, row.Name, person})
	}
	rows := s.name.Agency()
	for _, a := range s.agencies {
		agency, err := idBytes(a)
		if err != nil {
			return err
		}
		for _, row := range rows {
			*r = append(*r, searchRow{agency, row.Key, row.Name, person})
		}
	}
	return nil
}

// without returns the rows of r that are not in others, in the table's order.
func (r searchRows) without(others searchRows) searchRows {
	others = slices.Clone(others)
	slices.SortFunc(others, compareRows)
	var out searchRows
	for _, row := range r {
		if _, found := slices.BinarySearchFunc(others, row, compareRows); !found {
			out = append(out, row)
		}
	}
	slices.SortFunc(out, compareRows)
	return out
}

func (r searchRows) delete(ctx context.Context, tx *sqldb.Tx) error {
	for _, row := range r {
		if _, err := tx.Exec(ctx, `DELETE FROM directory_search WHERE scope = $1 AND key = $2 AND name = $3 AND person = $4`,
			row.scope, row.key, row.name, row.person); err != nil {
			return err
		}
	}
	return nil
}

// eachRow calls scan for each row and closes rows.
func eachRow(rows *sql.Rows, scan func() error) error {
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	for rows.Next() {
		if err := scan(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// idBytes is the id, a UUID, in 16 bytes.
func idBytes(id string) ([]byte, error) {
	u, err := uuid.Parse(id)
	if err != nil || u.String() != id {
		return nil, fmt.Errorf("the id %q is no UUID", id)
	}
	return u[:], nil
}

func personOfBytes(b []byte) (identity.PersonID, error) {
	u, err := uuid.FromBytes(b)
	if err != nil {
		return "", fmt.Errorf("a person of the search table: %w", err)
	}
	return identity.PersonID(u.String()), nil
}

// indexBacklog makes the rows of at most n people of the backlog and tells how
// many it found there.
func (s *Service) indexBacklog(ctx context.Context, n int) (int, error) {
	var ids []identity.PersonID
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		ids = nil
		lock := ""
		if tx.Dialect() == sqldb.PostgreSQL {
			lock = " FOR UPDATE SKIP LOCKED" // another node may be at it
		}
		rows, err := tx.Query(ctx, `SELECT person_id FROM directory_search_backlog LIMIT $1`+lock, n)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // closed before the next statement, too
		for rows.Next() {
			var id identity.PersonID
			if err := rows.Scan(&id); err != nil {
				return err
			}
			ids = append(ids, id)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(ids) == 0 {
			return err
		}
		if err := indexPeople(ctx, tx, ids, s.now()); err != nil {
			return err
		}
		var args arguments
		_, err = tx.Exec(ctx, `DELETE FROM directory_search_backlog WHERE person_id IN (`+placeholders(&args, ids)+`)`, args...)
		return err
	})
	return len(ids), err
}

// sweepSearch takes those whose last post has ended out of the search, and
// makes the rows of those who have none yet. What is found is right without
// it, but the numbers of people in agencies are not: who holds no post is left
// out of what is found. all looks at posts that ended whenever, as they may
// have while no server ran, and not at the last hours alone.
func (s *Service) sweepSearch(ctx context.Context, all bool) {
	const step, most = 200, 100_000
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		now, since := s.now(), int64(0)
		if !all {
			since = now.Add(-2 * sweepEvery).UnixMicro()
		}
		_, err := tx.Exec(ctx, `INSERT INTO directory_search_backlog (person_id)
			SELECT DISTINCT q.person_id FROM directory_positions q JOIN directory_search_people i ON i.person_id = q.person_id
			WHERE q.valid_until > $1 AND q.valid_until <= $2 AND i.agencies LIKE '%' || q.agency_id || '%'
				AND NOT EXISTS (SELECT 1 FROM directory_positions o WHERE o.person_id = q.person_id AND o.agency_id = q.agency_id
					AND (o.valid_until IS NULL OR o.valid_until > $2))
			ON CONFLICT DO NOTHING`, since, now.UnixMicro())
		return err
	})
	for done := 0; err == nil && done < most; {
		var n int
		if n, err = s.indexBacklog(ctx, step); n == 0 {
			break
		}
		done += n
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		s.log.ErrorContext(ctx, "directory: bring the search up to date", "err", err)
	}
}
