package audit

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"commsd/identity"
	"commsd/internal/sqldb"
)

// ActionErase records that payloads were erased; its object says of what time,
// so that it stands in the leaf itself and verify can tell an erasure from a
// loss.
const ActionErase identity.Action = "audit.erase"

// erasedBefore is the kind of that object; its id is a time of RFC 3339.
const erasedBefore = "payloads_before"

// How often old payloads are looked for, and how many go in one transaction.
const (
	eraseEvery = time.Hour
	eraseBatch = 500
)

// runEraser erases payloads whose time has come until ctx ends. The node with
// the sequencer's lease does it.
func (s *Service) runEraser(ctx context.Context) error {
	tick := time.NewTicker(eraseEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if s.sequencer.lease.Load() == 0 {
			continue
		}
		if n, err := s.Erase(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "audit: old payloads wait to be erased", "err", err)
		} else if n > 0 {
			s.log.InfoContext(ctx, "audit: payloads were erased, their time had come", "events", n)
		}
	}
}

// Erase erases the payloads (addresses, details) of events older than the
// retention, by whole days, and tells of how many. The events, their hashes and
// the tree stay. That it happens is recorded before the first payload goes.
func (s *Service) Erase(ctx context.Context) (int64, error) {
	day := 24 * time.Hour
	before := s.now().Add(zone - s.cfg.Retention).UTC().Truncate(day).Add(-zone)
	var erased int64
	for {
		var n int64
		err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			res, err := tx.Exec(ctx, `DELETE FROM audit_payloads WHERE event_id IN
				(SELECT event_id FROM audit_payloads WHERE at < $1 ORDER BY at LIMIT $2)`, before.UnixMicro(), eraseBatch)
			if err != nil {
				return err
			}
			if n, err = res.RowsAffected(); err != nil || n == 0 || erased > 0 {
				return err
			}
			return s.cfg.Log.Record(ctx, tx, Event{Action: ActionErase, Outcome: OK,
				Object: identity.ObjectRef{Kind: erasedBefore, ID: before.Format(time.RFC3339)},
				Detail: map[string]string{"retention_days": strconv.Itoa(int(s.cfg.Retention / day))}})
		})
		if err != nil {
			return erased, fmt.Errorf("audit: erase payloads: %w", err)
		}
		erased += n
		if n < eraseBatch {
			return erased, nil
		}
	}
}
