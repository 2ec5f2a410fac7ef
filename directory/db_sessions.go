package directory

import (
	"context"
	"time"

	"commsd/identity"
	"commsd/internal/sqldb"
)

// updateActive writes that somebody worked in a session, and how long the pause
// before was. A pause longer than lock (0: none is) leaves the session locked.
// What another node wrote later stays.
func updateActive(ctx context.Context, tx *sqldb.Tx, id identity.SessionID, at time.Time, lock time.Duration) error {
	longest := lock.Microseconds()
	if lock == 0 {
		longest = 1 << 62
	}
	_, err := tx.Exec(ctx, `UPDATE directory_sessions SET active_at = $1,
			idle_gap = CASE WHEN $1 - active_at > idle_gap THEN $1 - active_at ELSE idle_gap END
		WHERE id = $2 AND active_at < $1 AND $1 - active_at <= $3`,
		at.UnixMicro(), string(id), longest)
	return err
}

func readActive(ctx context.Context, tx *sqldb.Tx, id identity.SessionID) (at time.Time, gap time.Duration, err error) {
	var active, micros int64
	err = tx.QueryRow(ctx, `SELECT active_at, idle_gap FROM directory_sessions WHERE id = $1`, string(id)).Scan(&active, &micros)
	return time.UnixMicro(active), time.Duration(micros) * time.Microsecond, err
}

func readProven(ctx context.Context, tx *sqldb.Tx, id identity.SessionID) (time.Time, error) {
	var proven int64
	err := tx.QueryRow(ctx, `SELECT proven_at FROM directory_sessions WHERE id = $1`, string(id)).Scan(&proven)
	return time.UnixMicro(proven), err
}

// updateProven answers sql.ErrNoRows for a session that has ended.
func updateProven(ctx context.Context, tx *sqldb.Tx, id identity.SessionID, now time.Time) error {
	return one(tx.Exec(ctx, `UPDATE directory_sessions SET proven_at = $1, active_at = $1, idle_gap = 0
		WHERE id = $2 AND expires_at > $1`, now.UnixMicro(), string(id)))
}
