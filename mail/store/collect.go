package store

import (
	"context"
	"fmt"
	"time"

	"commsd/internal/blob"
	"commsd/internal/sqldb"
)

const (
	expireQuery = `DELETE FROM mail_upload WHERE created_at < $1
		AND NOT EXISTS (SELECT 1 FROM mail_message m WHERE m.id = draft_id)`
	messageBlobsQuery = `SELECT blob_agency, blob_sha256 FROM mail_message WHERE blob_sha256 IN (`
	uploadBlobsQuery  = `SELECT blob_agency, blob_sha256 FROM mail_upload WHERE blob_sha256 IN (`
)

// ExpireUploads forgets the files that were sent up a week ago or more and that
// no draft refers to, and returns how many there were.
func (s *Store) ExpireUploads(ctx context.Context) (n int64, err error) {
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		res, err := tx.Exec(ctx, expireQuery, s.now().Add(-uploadLife).UnixMicro())
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("store: expire uploads: %w", err)
	}
	return n, nil
}

// Began is when the first store was made; zero while there is none.
func (s *Store) Began(ctx context.Context) (time.Time, error) {
	var first int64
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT coalesce(min(created_at), 0) FROM mail_store`).Scan(&first)
	})
	if err != nil || first == 0 {
		return time.Time{}, err
	}
	return time.UnixMicro(first), nil
}

// BlobsInUse adds to used those of refs that a message or an upload refers to,
// without their sizes.
func (s *Store) BlobsInUse(ctx context.Context, refs []blob.Ref, used map[blob.Ref]bool) error {
	for _, query := range []string{messageBlobsQuery, uploadBlobsQuery} {
		if err := BlobsIn(ctx, s.db, query, refs, used); err != nil {
			return err
		}
	}
	return nil
}

// BlobsIn adds to used what a query finds that gives agency and SHA-256 of
// blobs and ends in "blob_sha256 IN (".
func BlobsIn(ctx context.Context, db *sqldb.DB, query string, refs []blob.Ref, used map[blob.Ref]bool) error {
	if len(refs) == 0 {
		return nil
	}
	var sums []any
	for _, ref := range refs {
		sums = append(sums, ref.SHA256)
	}
	err := db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		rows, err := tx.Query(ctx, query+sqldb.Placeholders(1, len(sums))+`)`, sums...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			ref := blob.Ref{Namespace: Namespace}
			if err := rows.Scan(&ref.Agency, &ref.SHA256); err != nil {
				return err
			}
			used[ref] = true
		}
		return rows.Err()
	})
	if err != nil {
		return fmt.Errorf("store: look for what refers to blobs: %w", err)
	}
	return nil
}
