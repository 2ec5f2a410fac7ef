package directory

import (
	"context"
	"fmt"

	"commsd/identity"
	"commsd/internal/sqldb"
)

// AgencyNames returns the full names of the agencies of ids that exist, by id.
func (s *Service) AgencyNames(ctx context.Context, ids []identity.AgencyID) (map[identity.AgencyID]string, error) {
	names := make(map[identity.AgencyID]string, len(ids))
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		const chunk = 500 // placeholders in one statement
		for rest := ids; len(rest) > 0; {
			some := rest[:min(chunk, len(rest))]
			rest = rest[len(some):]
			if err := readAgencyNames(ctx, tx, some, names); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("directory: names of agencies: %w", err)
	}
	return names, nil
}

func readAgencyNames(ctx context.Context, tx *sqldb.Tx, ids []identity.AgencyID, names map[identity.AgencyID]string) error {
	var args arguments
	rows, err := tx.Query(ctx, `SELECT id, name FROM directory_agencies WHERE id IN (`+placeholders(&args, ids)+`)`, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	for rows.Next() {
		var id identity.AgencyID
		var name string
		if err := rows.Scan(&id, &name); err != nil {
			return err
		}
		names[id] = name
	}
	return rows.Err()
}
