package directory

import (
	"context"
	"fmt"
	"time"

	"commsd/directory/visibility"
	"commsd/identity"
	"commsd/internal/sqldb"
)

// readEntries reads the entries of ids that exist, whole: who shows them asks
// visibility first.
func readEntries(ctx context.Context, tx *sqldb.Tx, ids []identity.PersonID, now time.Time) (map[identity.PersonID]*visibility.Entry, error) {
	out := make(map[identity.PersonID]*visibility.Entry, len(ids))
	const chunk = 500 // placeholders in one statement
	for len(ids) > 0 {
		some := ids[:min(chunk, len(ids))]
		ids = ids[len(some):]
		if err := readEntryPeople(ctx, tx, some, out); err != nil {
			return nil, err
		}
		if err := readEntryPlaces(ctx, tx, some, now, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func readEntryPeople(ctx context.Context, tx *sqldb.Tx, ids []identity.PersonID, out map[identity.PersonID]*visibility.Entry) error {
	var args arguments
	rows, err := tx.Query(ctx, `SELECT p.id, p.display_name, p.family_name, p.middle_name, p.given_name, p.phone, p.mobile, p.office, p.photo,
			COALESCE(a.address, ''), COALESCE(v.own, ''), COALESCE(v.set_by, '')
		FROM directory_people p
		LEFT JOIN directory_addresses a ON a.person_id = p.id AND a.kind = 'main'
		LEFT JOIN directory_person_visibility v ON v.person_id = p.id
		WHERE p.id IN (`+placeholders(&args, ids)+`)`, args...)
	if err != nil {
		return fmt.Errorf("read entries: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	for rows.Next() {
		var e visibility.Entry
		var own, setBy string
		if err := rows.Scan(&e.ID, &e.Name, &e.Family, &e.Middle, &e.GivenName, &e.Phone, &e.Mobile, &e.Office, &e.Photo, &e.Address, &own, &setBy); err != nil {
			return fmt.Errorf("read entries: %w", err)
		}
		if e.Overrides.Own, err = parseLevels(own); err == nil {
			e.Overrides.SetBy, err = parseLevels(setBy)
		}
		if err != nil {
			return fmt.Errorf("visibility of person %s: %w", e.ID, err)
		}
		out[e.ID] = &e
	}
	return rows.Err()
}

func readEntryPlaces(ctx context.Context, tx *sqldb.Tx, ids []identity.PersonID, now time.Time, out map[identity.PersonID]*visibility.Entry) error {
	var args arguments
	at := args.add(now.UnixMicro())
	rows, err := tx.Query(ctx, `SELECT q.person_id, q.id, q.title, q.kind, u.id, u.name, u.path, g.id, g.identifier, g.name, g.short_name
		FROM directory_positions q
		JOIN directory_units u ON u.id = q.unit_id
		JOIN directory_agencies g ON g.id = q.agency_id
		WHERE q.person_id IN (`+placeholders(&args, ids)+`) AND `+validAt("q", at)+`
		ORDER BY q.person_id, q.rank, q.id`, args...)
	if err != nil {
		return fmt.Errorf("read posts of entries: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	for rows.Next() {
		var person identity.PersonID
		var q visibility.Place
		var path []byte
		var identifier, short string
		if err := rows.Scan(&person, &q.Position, &q.Title, &q.Kind, &q.UnitID, &q.Unit, &path, &q.Agency, &identifier, &q.AgencyName, &short); err != nil {
			return fmt.Errorf("read posts of entries: %w", err)
		}
		q.UnitPath = string(path)
		e := out[person]
		if e == nil {
			continue // made since the people were read
		}
		if len(e.Places) == 0 {
			e.Title, e.Unit, e.Agency, e.AgencyName, e.AgencyShort, e.AgencyIdentifier = q.Title, q.Unit, q.Agency, q.AgencyName, short, identifier
		}
		e.Places = append(e.Places, q)
	}
	return rows.Err()
}
