package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// maxResources bounds one list.
const maxResources = 5000

func errNoResource() error {
	return errcode.New(errcode.NotFound, "there is no such room or equipment in the directory")
}

// readResources reads the resources of an agency, or of all when it is empty;
// only, when not empty, is the one that is wanted.
func readResources(ctx context.Context, tx *sqldb.Tx, agency identity.AgencyID, kind string, only identity.ResourceID) ([]resourcePlace, error) {
	var args arguments
	query := `SELECT r.id, r.agency_id, r.unit_id, u.name, u.path, r.kind, r.name, r.name_en, r.place, r.capacity, r.description, r.version
		FROM directory_resources r JOIN directory_units u ON u.id = r.unit_id WHERE `
	switch {
	case only != "":
		query += `r.id = ` + args.add(string(only))
	case agency != "":
		query += `r.agency_id = ` + args.add(string(agency))
	default:
		query += `1 = 1`
	}
	if kind != "" {
		query += ` AND r.kind = ` + args.add(kind)
	}
	query += ` ORDER BY r.kind DESC, r.name, r.place, r.id LIMIT ` + args.add(maxResources)
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read resources: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []resourcePlace
	for rows.Next() {
		var r resourcePlace
		var path []byte
		if err := rows.Scan(&r.ID, &r.Agency, &r.UnitID, &r.Unit, &path, &r.Kind, &r.Name, &r.NameEN, &r.Place, &r.Capacity, &r.Description, &r.Version); err != nil {
			return nil, fmt.Errorf("read resources: %w", err)
		}
		r.path = string(path)
		out = append(out, r)
	}
	return out, rows.Err()
}

// readResource answers errcode.NotFound where there is none.
func readResource(ctx context.Context, tx *sqldb.Tx, id identity.ResourceID) (resourcePlace, error) {
	if id == "" {
		return resourcePlace{}, errNoResource()
	}
	found, err := readResources(ctx, tx, "", "", id)
	if err == nil && len(found) == 0 {
		err = errNoResource()
	}
	if err != nil {
		return resourcePlace{}, err
	}
	return found[0], nil
}

func insertResource(ctx context.Context, tx *sqldb.Tx, r ResourceRecord, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO directory_resources
		(id, agency_id, unit_id, kind, name, name_en, place, capacity, description, created_at, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		string(r.ID), string(r.Agency), string(r.UnitID), r.Kind, r.Name, r.NameEN, r.Place, r.Capacity, r.Description, now.UnixMicro(), r.Version)
	if err != nil {
		return fmt.Errorf("insert resource: %w", uniqueResource(err, r))
	}
	return nil
}

func uniqueResource(err error, r ResourceRecord) error {
	return unique(err, "name_taken", "the agency has %s at this place already: give it another name or place", r.Name)
}

// updateResource answers a conflict where another change came between.
func updateResource(ctx context.Context, tx *sqldb.Tx, r ResourceRecord) error {
	res, err := tx.Exec(ctx, `UPDATE directory_resources SET unit_id = $1, name = $2, name_en = $3, place = $4, capacity = $5, description = $6, version = $7
		WHERE id = $8 AND version = $9`,
		string(r.UnitID), r.Name, r.NameEN, r.Place, r.Capacity, r.Description, r.Version, string(r.ID), r.Version-1)
	if err != nil {
		return fmt.Errorf("update resource: %w", uniqueResource(err, r))
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, errStale("the room or equipment"))
	}
	return nil
}

// deleteResource returns what it was called.
func deleteResource(ctx context.Context, tx *sqldb.Tx, id identity.ResourceID) (string, error) {
	var name string
	err := tx.QueryRow(ctx, `DELETE FROM directory_resources WHERE id = $1 RETURNING name`, string(id)).Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		return "", errNoResource()
	}
	return name, err
}
