package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// removeStep is how many entries of an import go in one transaction.
const removeStep = 1000

// RemoveImports removes the imports whose time has come, and those whose
// preparing a crash ended; Run calls it. The audit log keeps who imported what.
func (s *Service) RemoveImports(ctx context.Context) error {
	var ids []string
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		ids, err = readTexts(ctx, tx, dueImports, importPreparing, s.now().UnixMicro(), ImportApplying, s.now().Add(-s.cfg.Imports.Keep).UnixMicro())
		return err
	})
	for _, id := range ids {
		err = errors.Join(err, s.removeImport(ctx, id))
	}
	if err != nil {
		return fmt.Errorf("directory: remove imports: %w", err)
	}
	return nil
}

// dueImports finds what is to be removed; one that is prepared or applied has a
// process at it.
const dueImports = `SELECT id FROM directory_imports
	WHERE state = $1 AND lease_until < $2 OR state NOT IN ($1, $3) AND COALESCE(applied_at, created_at) < $4 ORDER BY created_at`

// removeImport hides an import and takes it away, some entries at a time. What a
// crash leaves of it is hidden, without a lease, and removed by the next.
func (s *Service) removeImport(ctx context.Context, id string) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return one(tx.Exec(ctx, `UPDATE directory_imports SET state = $1, lease_until = 0 WHERE id = $2 AND state <> $3 AND (state <> $1 OR lease_until < $4)`,
			importPreparing, id, ImportApplying, s.now().UnixMicro()))
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil // another node was faster, or somebody is at it after all
	}
	for err == nil {
		var n int64
		err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			res, err := tx.Exec(ctx, `DELETE FROM directory_import_entries WHERE import_id = $1 AND seq IN
				(SELECT seq FROM directory_import_entries WHERE import_id = $1 ORDER BY seq LIMIT $2)`, id, removeStep)
			if err != nil {
				return err
			}
			if n, err = res.RowsAffected(); err != nil || n == removeStep {
				return err
			}
			_, err = tx.Exec(ctx, `DELETE FROM directory_imports WHERE id = $1`, id)
			return err
		})
		if err == nil && n < removeStep {
			s.log.InfoContext(ctx, "directory: an import was removed, its time had come", "import", id)
			return nil
		}
	}
	return fmt.Errorf("import %s: %w", id, err)
}

// keepPreparing renews the lease of an import that is being written, or ends it
// with another state. It fails where the import was taken for a crashed one's.
func keepPreparing(ctx context.Context, tx *sqldb.Tx, id, state string, lease time.Time) error {
	err := one(tx.Exec(ctx, `UPDATE directory_imports SET state = $1, lease_until = $2 WHERE id = $3 AND state = $4 AND lease_until > 0`,
		state, lease.UnixMicro(), id, importPreparing))
	if errors.Is(err, sql.ErrNoRows) {
		return errcode.New(errcode.Unavailable, "the server took too long to keep this list, and gave up; send it again")
	}
	return err
}
