package directory

import (
	"context"
	"fmt"
	"time"

	"commsd/identity"
	"commsd/internal/sqldb"
)

// readRoll reads all people, or those with a position in an agency, by agency
// and name.
func readRoll(ctx context.Context, tx *sqldb.Tx, agency identity.AgencyID, now time.Time) ([]RollEntry, error) {
	var args arguments
	at := args.add(now.UnixMicro())
	query := `SELECT p.id, p.display_name, COALESCE(a.address, ''), COALESCE(q.title, ''), COALESCE(u.name, ''), COALESCE(g.identifier, ''),
			CASE WHEN c.id IS NULL THEN '' WHEN c.disabled_at IS NULL THEN 'active' ELSE 'disabled' END
		FROM directory_people p ` + mainPosition("LEFT JOIN", at) + `
		LEFT JOIN directory_accounts c ON c.person_id = p.id`
	if agency != "" {
		query += ` WHERE p.id IN (SELECT w.person_id FROM directory_positions w WHERE w.agency_id = ` + args.add(string(agency)) + ` AND ` + validAt("w", at) + `)`
	}
	rows, err := tx.Query(ctx, query+` ORDER BY COALESCE(g.identifier, ''), p.sort_key, p.id`, args...)
	if err != nil {
		return nil, fmt.Errorf("read people: %w", err)
	}
	var out []RollEntry
	err = eachRow(rows, func() error {
		var e RollEntry
		err := rows.Scan(&e.Person, &e.Name, &e.Address, &e.Title, &e.Unit, &e.Agency, &e.Account)
		out = append(out, e)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read people: %w", err)
	}
	return out, nil
}
