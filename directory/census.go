package directory

import (
	"context"
	"fmt"

	"commsd/identity"
	"commsd/internal/sqldb"
)

// Census is what an operator's check of an installation asks of its directory.
type Census struct {
	Domains        []string // mail domains of all agencies
	People         int
	Administrators int  // accounts in use with the role system_admin of the whole installation
	Demo           bool // filled by the demo, whose password everyone knows
}

// ReadCensus reads the census within tx.
func ReadCensus(ctx context.Context, tx *sqldb.Tx) (Census, error) {
	var c Census
	var demo int
	err := tx.QueryRow(ctx, `SELECT (SELECT COUNT(*) FROM directory_people), (SELECT COUNT(*) FROM directory_demo),
		(SELECT COUNT(DISTINCT a.id) FROM directory_accounts a JOIN directory_admin_grants g ON g.account_id = a.id
			WHERE a.disabled_at IS NULL AND g.role = $1 AND g.agency_id IS NULL)`, string(identity.RoleSystemAdmin)).
		Scan(&c.People, &demo, &c.Administrators)
	if err != nil {
		return c, fmt.Errorf("directory: census: %w", err)
	}
	c.Demo = demo > 0
	rows, err := tx.Query(ctx, `SELECT domain FROM directory_agency_domains ORDER BY domain`)
	if err != nil {
		return c, fmt.Errorf("directory: census: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	for rows.Next() {
		var d string
		if err := rows.Scan(&d); err != nil {
			return c, fmt.Errorf("directory: census: %w", err)
		}
		c.Domains = append(c.Domains, d)
	}
	return c, rows.Err()
}
