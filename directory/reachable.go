package directory

import (
	"context"
	"fmt"

	"commsd/identity"
	"commsd/internal/sqldb"
)

// HasAccount tells whether a person can sign in, so that somebody will read
// what is written to them. A disabled account does not count.
func (s *Service) HasAccount(ctx context.Context, id identity.PersonID) (bool, error) {
	var has bool
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM directory_accounts WHERE person_id = $1 AND disabled_at IS NULL)`, string(id)).Scan(&has)
	})
	if err != nil {
		return false, fmt.Errorf("directory: account of person %s: %w", id, err)
	}
	return has, nil
}
