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

// runEraser erases payloads whose time has come, and thins the signed heads once
// a day, until ctx ends. The node with the sequencer's lease does it.
func (s *Service) runEraser(ctx context.Context) error {
	tick := time.NewTicker(eraseEvery)
	defer tick.Stop()
	var thinned time.Time
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
		if today := startOfDay(s.now()); !today.Equal(thinned) {
			if n, err := s.ThinHeads(ctx); err != nil && ctx.Err() == nil {
				s.log.ErrorContext(ctx, "audit: old signed heads wait to be thinned", "err", err)
			} else if err == nil {
				s.log.InfoContext(ctx, "audit: old signed heads were thinned to one a day", "removed", n)
				thinned = today
			}
		}
	}
}

// startOfDay is when the day of t began in Việt Nam.
func startOfDay(t time.Time) time.Time { return t.Add(zone).UTC().Truncate(24 * time.Hour).Add(-zone) }

// headsChunk is how many heads are looked at in one transaction.
const headsChunk = 500

// ThinHeads removes, of the signed heads older than KeepHeads, all but the last
// of each day, and tells of how many. Nothing becomes unverifiable by it: the
// tree of a later head holds every leaf of those before it, so that the one that
// stays covers what the others did; and a head that somebody keeps outside is
// held against the leaves, not against a stored copy of it.
func (s *Service) ThinHeads(ctx context.Context) (removed int64, err error) {
	before := startOfDay(s.now().Add(-s.cfg.KeepHeads)).UnixMicro()
	for last := int64(-1); ; {
		var n int64
		next := int64(-1)
		err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			sizes, ats, err := readHeadTimes(ctx, tx, last, headsChunk+1)
			if err != nil {
				return err
			}
			n, next = 0, -1
			if len(sizes) > headsChunk {
				next = sizes[headsChunk-1]
			}
			var old arguments
			for i := range len(sizes) - 1 { // the newest of all has none behind it
				if ats[i] < before && dayOf(ats[i]) == dayOf(ats[i+1]) {
					old.add(sizes[i])
				}
			}
			n = int64(len(old))
			if n == 0 {
				return nil
			}
			_, err = tx.Exec(ctx, `DELETE FROM audit_checkpoints WHERE size IN (`+sqldb.Placeholders(1, len(old))+`)`, old...)
			return err
		})
		if err != nil {
			return removed, fmt.Errorf("audit: thin the signed heads: %w", err)
		}
		removed += n
		if next < 0 {
			return removed, nil
		}
		last = next
	}
}

// readHeadTimes reads the sizes of the heads beyond last, ascending, and when
// they were signed.
func readHeadTimes(ctx context.Context, tx *sqldb.Tx, last int64, limit int) (sizes, ats []int64, err error) {
	rows, err := tx.Query(ctx, `SELECT size, at FROM audit_checkpoints WHERE size > $1 ORDER BY size LIMIT $2`, last, limit)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	for rows.Next() {
		var size, at int64
		if err := rows.Scan(&size, &at); err != nil {
			return nil, nil, err
		}
		sizes, ats = append(sizes, size), append(ats, at)
	}
	return sizes, ats, rows.Err()
}

// Erase erases the payloads (addresses, details) of events older than the
// retention, by whole days, and tells of how many. The events, their hashes and
// the tree stay. That it happens is recorded before the first payload goes.
func (s *Service) Erase(ctx context.Context) (int64, error) {
	day := 24 * time.Hour
	before := startOfDay(s.now().Add(-s.cfg.Retention))
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
