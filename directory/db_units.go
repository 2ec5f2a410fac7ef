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

// childPath is the path of unit id below the unit of path above, which is empty
// at the root of an agency.
func childPath(above string, id identity.UnitID) string {
	if above == "" {
		above = "/"
	}
	return above + string(id) + "/"
}

func errNoUnit() error {
	return errcode.New(errcode.NotFound, "there is no such unit in the directory")
}

// readUnit answers errcode.NotFound where there is no such open unit.
func readUnit(ctx context.Context, tx *sqldb.Tx, id identity.UnitID) (UnitRecord, error) {
	r := UnitRecord{ID: id}
	var path []byte
	err := tx.QueryRow(ctx, `SELECT agency_id, COALESCE(parent_id, ''), path, name, name_en, rank, version
		FROM directory_units WHERE id = $1 AND closed_at IS NULL`, string(id)).
		Scan(&r.Agency, &r.Parent, &path, &r.Name, &r.NameEN, &r.Rank, &r.Version)
	r.Path = string(path)
	if errors.Is(err, sql.ErrNoRows) {
		return r, errNoUnit()
	}
	if err != nil {
		return r, fmt.Errorf("read unit %s: %w", id, err)
	}
	return r, nil
}

// readPlaceAbove reads the unit that others stand in: parent, which must be of
// agency, or the agency's root, a record without id and path, when parent is
// empty.
func readPlaceAbove(ctx context.Context, tx *sqldb.Tx, agency identity.AgencyID, parent identity.UnitID) (UnitRecord, error) {
	if parent == "" {
		_, err := readAgency(ctx, tx, agency, "")
		return UnitRecord{Agency: agency}, err
	}
	r, err := readUnit(ctx, tx, parent)
	if err == nil && r.Agency != agency {
		return r, errcode.New(errcode.Invalid, "the unit above is of another agency: a unit stays in its agency").Because("unit_elsewhere")
	}
	return r, err
}

// lockTree keeps others from changing the units of an agency until tx ends.
// A person's row is locked before it, a unit's row after it.
func lockTree(ctx context.Context, tx *sqldb.Tx, agency identity.AgencyID) error {
	_, err := readAgency(ctx, tx, agency, tx.ForUpdate())
	return err
}

// lockUnit keeps others from giving posts in a unit, or from closing it, until
// tx ends.
func lockUnit(ctx context.Context, tx *sqldb.Tx, id identity.UnitID) error {
	var open bool
	err := tx.QueryRow(ctx, `SELECT closed_at IS NULL FROM directory_units WHERE id = $1`+tx.ForUpdate(), string(id)).Scan(&open)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !open {
		return errNoUnit()
	}
	return err
}

func nextUnitRank(ctx context.Context, tx *sqldb.Tx, agency identity.AgencyID, parent identity.UnitID) (int, error) {
	var rank int
	err := tx.QueryRow(ctx, `SELECT COALESCE(MAX(rank) + 1, 0) FROM directory_units
		WHERE agency_id = $1 AND COALESCE(parent_id, '') = $2`, string(agency), string(parent)).Scan(&rank)
	return rank, err
}

func insertUnitRecord(ctx context.Context, tx *sqldb.Tx, r UnitRecord) error {
	_, err := tx.Exec(ctx, `INSERT INTO directory_units (id, agency_id, parent_id, path, name, name_en, rank, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		string(r.ID), string(r.Agency), orNull(r.Parent), []byte(r.Path), r.Name, r.NameEN, r.Rank, r.Version)
	if err != nil {
		return fmt.Errorf("insert unit: %w", err)
	}
	return nil
}

func updateUnit(ctx context.Context, tx *sqldb.Tx, r UnitRecord) error {
	_, err := tx.Exec(ctx, `UPDATE directory_units SET parent_id = $1, name = $2, name_en = $3, rank = $4, version = $5 WHERE id = $6`,
		orNull(r.Parent), r.Name, r.NameEN, r.Rank, r.Version, string(r.ID))
	if err != nil {
		return fmt.Errorf("update unit: %w", err)
	}
	return nil
}

// movePaths puts the subtree of path from under path to. Paths are put together
// here because the engines concatenate bytes differently.
func movePaths(ctx context.Context, tx *sqldb.Tx, from, to string) error {
	low, high := prefixRange([]byte(from))
	rows, err := tx.Query(ctx, `SELECT id, path FROM directory_units WHERE path >= $1 AND path < $2`, low, high)
	if err != nil {
		return fmt.Errorf("read paths: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	paths := map[string][]byte{}
	for rows.Next() {
		var id string
		var path []byte
		if err := rows.Scan(&id, &path); err != nil {
			return fmt.Errorf("read paths: %w", err)
		}
		paths[id] = append([]byte(to), path[len(from):]...)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read paths: %w", err)
	}
	if err := rows.Close(); err != nil {
		return fmt.Errorf("read paths: %w", err)
	}
	for id, path := range paths {
		if _, err := tx.Exec(ctx, `UPDATE directory_units SET path = $1 WHERE id = $2`, path, id); err != nil {
			return fmt.Errorf("write path of unit %s: %w", id, err)
		}
	}
	return nil
}

// removeGrants takes the administrative roles that hold in a unit at path or
// below it away, and returns whose they were.
func removeGrants(ctx context.Context, tx *sqldb.Tx, path string) ([]identity.AccountID, error) {
	accounts, err := accountsGranted(ctx, tx, path)
	if err != nil {
		return nil, err
	}
	low, high := prefixRange([]byte(path))
	_, err = tx.Exec(ctx, `DELETE FROM directory_admin_grants WHERE unit_id IN (SELECT id FROM directory_units WHERE path >= $1 AND path < $2)`, low, high)
	if err != nil {
		return nil, fmt.Errorf("remove grants: %w", err)
	}
	return accounts, nil
}

// accountsGranted returns who holds an administrative role in a unit at path or
// below it.
func accountsGranted(ctx context.Context, tx *sqldb.Tx, path string) ([]identity.AccountID, error) {
	low, high := prefixRange([]byte(path))
	texts, err := readTexts(ctx, tx, `SELECT DISTINCT r.account_id FROM directory_admin_grants r
		JOIN directory_units u ON u.id = r.unit_id WHERE u.path >= $1 AND u.path < $2`, low, high)
	if err != nil {
		return nil, fmt.Errorf("read grants: %w", err)
	}
	accounts := make([]identity.AccountID, len(texts))
	for i, text := range texts {
		accounts[i] = identity.AccountID(text)
	}
	return accounts, nil
}

// unitIsEmpty refuses a unit that holds anything, and says what.
func unitIsEmpty(ctx context.Context, tx *sqldb.Tx, id identity.UnitID, now time.Time) error {
	for _, q := range []struct {
		holds, query string
		args         []any
	}{
		{"%d units are in it: move or delete them first", `SELECT COUNT(*) FROM directory_units WHERE parent_id = $1 AND closed_at IS NULL`, nil},
		{"%d people hold a position in it, now or from a day to come: transfer them first",
			`SELECT COUNT(DISTINCT person_id) FROM directory_positions WHERE unit_id = $1 AND (valid_until IS NULL OR valid_until > $2)`, []any{now.UnixMicro()}},
		{"%d groups belong to it or choose their members in it: change them first", `SELECT COUNT(*) FROM directory_groups WHERE unit_id = $1 OR rule_unit_id = $1`, nil},
		{"%d meeting rooms or pieces of equipment are in its care: give them to another unit first", `SELECT COUNT(*) FROM directory_resources WHERE unit_id = $1`, nil},
		{"%d mailboxes are its own: give them to another unit first", `SELECT COUNT(*) FROM directory_service_mailboxes WHERE unit_id = $1`, nil},
	} {
		var n int
		if err := tx.QueryRow(ctx, q.query, append([]any{string(id)}, q.args...)...).Scan(&n); err != nil {
			return fmt.Errorf("what is in unit %s: %w", id, err)
		}
		if n > 0 {
			return errcode.New(errcode.Conflict, "the unit cannot be deleted: "+q.holds, n).Because("unit_not_empty")
		}
	}
	return nil
}

func closeUnit(ctx context.Context, tx *sqldb.Tx, id identity.UnitID, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE directory_units SET closed_at = $1, version = version + 1 WHERE id = $2`, now.UnixMicro(), string(id))
	if err != nil {
		return fmt.Errorf("close unit %s: %w", id, err)
	}
	return nil
}
