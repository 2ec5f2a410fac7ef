package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// insertGrant gives an account g's role in g's agency, or in unit of it when
// that is not empty; by is empty for the command line.
func insertGrant(ctx context.Context, tx *sqldb.Tx, id string, account identity.AccountID, g identity.Grant, unit identity.UnitID, by identity.AccountID, now time.Time) error {
	if (g.Path != "") != (unit != "") {
		return fmt.Errorf("grant %s: a role in a unit is given by the unit's id", g.Role)
	}
	_, err := tx.Exec(ctx, `INSERT INTO directory_admin_grants (id, account_id, role, agency_id, unit_id, granted_by, granted_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		id, string(account), string(g.Role), orNull(g.Agency), orNull(unit), string(by), now.UnixMicro())
	if err != nil {
		return fmt.Errorf("grant %s: %w", g.Role, err)
	}
	return nil
}

func deleteGrant(ctx context.Context, tx *sqldb.Tx, id string) error {
	_, err := tx.Exec(ctx, `DELETE FROM directory_admin_grants WHERE id = $1`, id)
	return err
}

// readGrants reads the roles of an account as permissions see them. A role in a
// unit has that unit's path of now.
func readGrants(ctx context.Context, tx *sqldb.Tx, id identity.AccountID) ([]identity.Grant, error) {
	held, err := readGrantsOf(ctx, tx, []identity.AccountID{id})
	return held[id], err
}

// readGrantsOf is readGrants for many.
func readGrantsOf(ctx context.Context, tx *sqldb.Tx, ids []identity.AccountID) (map[identity.AccountID][]identity.Grant, error) {
	out := make(map[identity.AccountID][]identity.Grant, len(ids))
	for some := range slices.Chunk(ids, 500) { // placeholders in one statement
		var args arguments
		rows, err := tx.Query(ctx, `SELECT r.account_id, r.role, COALESCE(r.agency_id, ''), u.path FROM directory_admin_grants r
			LEFT JOIN directory_units u ON u.id = r.unit_id
			WHERE r.account_id IN (`+placeholders(&args, some)+`) ORDER BY r.role, r.agency_id, u.path`, args...)
		if err != nil {
			return nil, fmt.Errorf("read grants: %w", err)
		}
		err = eachRow(rows, func() error {
			var id identity.AccountID
			var g identity.Grant
			var path []byte
			err := rows.Scan(&id, &g.Role, &g.Agency, &path)
			g.Path = string(path)
			out[id] = append(out[id], g)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read grants: %w", err)
		}
	}
	return out, nil
}

// readAdminGrants reads roles with all that is shown of them; id, when not
// empty, is the only one.
func readAdminGrants(ctx context.Context, tx *sqldb.Tx, filter AdminGrantFilter, id string, limit int, now time.Time) ([]AdminGrant, error) {
	var args arguments
	where := ""
	for _, c := range [...]struct{ column, is string }{
		{"r.id", id}, {"r.agency_id", string(filter.Agency)}, {"c.person_id", string(filter.Person)}, {"r.role", string(filter.Role)},
	} {
		if c.is != "" {
			where += " AND " + c.column + " = " + args.add(c.is)
		}
	}
	rows, err := tx.Query(ctx, `SELECT r.id, r.account_id, c.person_id, c.login, c.disabled_at IS NOT NULL, r.role,
			COALESCE(r.agency_id, ''), COALESCE(g.name, ''), COALESCE(r.unit_id, ''), COALESCE(u.name, ''), u.path,
			COALESCE(b.display_name, r.granted_by), r.granted_at
		FROM directory_admin_grants r
		JOIN directory_accounts c ON c.id = r.account_id
		JOIN directory_people p ON p.id = c.person_id
		LEFT JOIN directory_agencies g ON g.id = r.agency_id
		LEFT JOIN directory_units u ON u.id = r.unit_id
		LEFT JOIN directory_accounts bc ON bc.id = r.granted_by
		LEFT JOIN directory_people b ON b.id = bc.person_id
		WHERE TRUE`+where+`
		ORDER BY COALESCE(g.identifier, ''), r.role, p.sort_key, r.id LIMIT `+args.add(limit), args...)
	if err != nil {
		return nil, fmt.Errorf("read administrative roles: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []AdminGrant
	var ids []identity.PersonID
	for rows.Next() {
		var g AdminGrant
		var path []byte
		var at int64
		if err := rows.Scan(&g.ID, &g.Account, &g.Person.ID, &g.Login, &g.Disabled, &g.Role, &g.Agency, &g.AgencyName, &g.Unit, &g.UnitName, &path, &g.GrantedBy, &at); err != nil {
			return nil, fmt.Errorf("read administrative roles: %w", err)
		}
		g.UnitPath, g.GrantedAt = string(path), time.UnixMicro(at)
		out = append(out, g)
		ids = append(ids, g.Person.ID)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read administrative roles: %w", err)
	}
	if err := rows.Close(); err != nil {
		return nil, fmt.Errorf("read administrative roles: %w", err)
	}
	people, err := readPeople(ctx, tx, ids, now)
	for i := range out {
		out[i].Person = people[out[i].Person.ID]
	}
	return out, err
}

// readGrantPlace returns the path of the unit in which n is to hold, empty for
// more than a unit, and refuses a place that there is not.
func readGrantPlace(ctx context.Context, tx *sqldb.Tx, n NewAdminGrant) (string, error) {
	if n.Agency == "" {
		return "", nil
	}
	if _, err := readAgency(ctx, tx, n.Agency, ""); err != nil || n.Unit == "" {
		return "", err
	}
	var path []byte
	err := tx.QueryRow(ctx, `SELECT path FROM directory_units WHERE id = $1 AND agency_id = $2 AND closed_at IS NULL`, string(n.Unit), string(n.Agency)).Scan(&path)
	if errors.Is(err, sql.ErrNoRows) {
		return "", errcode.New(errcode.NotFound, "unit_id: there is no such unit in this agency")
	}
	return string(path), err
}

// countSystemAdmins counts the system administrators who can sign in, but for
// one account.
func countSystemAdmins(ctx context.Context, tx *sqldb.Tx, but identity.AccountID) (int, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM directory_admin_grants r JOIN directory_accounts c ON c.id = r.account_id
		WHERE r.role = $1 AND r.agency_id IS NULL AND c.disabled_at IS NULL AND c.id <> $2`, string(identity.RoleSystemAdmin), string(but)).Scan(&n)
	return n, err
}
