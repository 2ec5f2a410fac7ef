package audit

import (
	"context"

	"commsd/internal/sqldb"
)

// Forget clears what is not for readers, so that tests compare the rest.
func (e *Entry) Forget() { e.salt, e.payloadHash, e.leafHash = nil, nil, nil }

// Append is Step without signing, as a crash between the two leaves it.
func (s *Sequencer) Append(ctx context.Context) (int, error) {
	var err error
	if s.keys, err = openKeys(ctx, s.cfg.Secrets, s.cfg.Domain); err != nil {
		return 0, err
	}
	if _, err := s.take(ctx); err != nil {
		return 0, err
	}
	return s.appendBatch(ctx)
}

// Rewrite stores the tree anew from the rows as they are, which is what
// somebody with the database but without the key can do.
func Rewrite(ctx context.Context, tx *sqldb.Tx) error {
	entries, err := queryEntries(ctx, tx, leavesQuery, []any{0, 1 << 40})
	if err != nil {
		return err
	}
	for _, q := range []string{`DELETE FROM audit_hashes`, `UPDATE audit_events SET seq = NULL`} {
		if _, err := tx.Exec(ctx, q); err != nil {
			return err
		}
	}
	var list []waitingEvent
	for i := range entries {
		w := waitingEvent{record: entries[i].record()}
		leaf := w.leaf()
		w.leafHash = leaf[:]
		if _, err := tx.Exec(ctx, `UPDATE audit_events SET leaf_hash = $2 WHERE id = $1`, w.id, w.leafHash); err != nil {
			return err
		}
		list = append(list, w)
	}
	return appendLeaves(ctx, tx, 0, list)
}

// Forward takes the lease and forwards once.
func (s *Service) Forward(ctx context.Context) error {
	if _, err := s.sequencer.Step(ctx); err != nil {
		return err
	}
	_, err := s.forwarder.forward(ctx, s.sequencer.lease.Load())
	return err
}

// HangUp ends the connection to the syslog receiver.
func (s *Service) HangUp() { s.forwarder.hangUp() }

// ListQuery is the query of a page.
func ListQuery(f Filter) (string, []any, error) { return listQuery(f) }

// PlacesQuery gives events their places in the tree.
var PlacesQuery = placesQuery

// ByWaiting leads to the index of what waits.
var ByWaiting = byWaiting
