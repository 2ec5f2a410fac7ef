package directory

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"commsd/identity"
	"commsd/internal/sqldb"
)

// revokedTopic hints on the bus that the revocation log has grown.
const revokedTopic = "directory.revoked"

// clockSlack is how far the clocks of two nodes may differ.
const clockSlack = 10 * time.Second

// revoke appends to the revocation log within tx. Once it is committed, this
// node forgets the session at once and the others are told.
func (s *Service) revoke(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, session identity.SessionID) error {
	return s.append(ctx, tx, revocationRow{Revocation: identity.Revocation{Account: account, Session: session}})
}

// refresh tells every node, by the same log, that the roles of an account or
// the positions that are lent to it have changed: what is cached of it is read
// anew. Nothing ends.
func (s *Service) refresh(ctx context.Context, tx *sqldb.Tx, account identity.AccountID) error {
	return s.append(ctx, tx, revocationRow{Revocation: identity.Revocation{Account: account}, refresh: true})
}

// leave is revoke for what an account does in one position, which it holds no
// more; its sessions go on.
func (s *Service) leave(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, position identity.PositionID) error {
	return s.append(ctx, tx, revocationRow{Revocation: identity.Revocation{Account: account, Position: position}})
}

// revocationRow is a line of the log.
type revocationRow struct {
	identity.Revocation
	refresh bool // nothing ends, but what is remembered of the account is out of date
}

func (s *Service) append(ctx context.Context, tx *sqldb.Tx, row revocationRow) error {
	seq, err := appendRevocation(ctx, tx, row, s.now())
	if err != nil {
		return err
	}
	tx.AfterCommit(func() {
		s.sessions.drop(row.Account, row.Session)
		select {
		case s.poke <- struct{}{}:
		default: // Run is going to look anyway
		}
		if err := s.cfg.Bus.Publish(context.WithoutCancel(ctx), revokedTopic, []byte(strconv.FormatInt(seq, 10))); err != nil {
			s.log.WarnContext(ctx, "directory: other nodes learn of a revocation by polling only", "seq", seq, "err", err)
		}
	})
	return nil
}

// keepRecent is how many revocations a watcher that comes late still gets.
const keepRecent = 256

// WatchRevocations calls fn for each revocation that Run reads, those of the
// node's first moments included, in order, one at a time, until ctx ends; it
// returns nil then. fn may take its time; nothing is lost meanwhile.
func (s *Service) WatchRevocations(ctx context.Context, fn func(identity.Revocation)) error {
	w := &watcher{wake: make(chan struct{}, 1)}
	s.watchMu.Lock()
	for _, r := range s.recent {
		w.add(r)
	}
	s.watchers[w] = struct{}{}
	s.watchMu.Unlock()
	defer func() {
		s.watchMu.Lock()
		defer s.watchMu.Unlock()
		delete(s.watchers, w)
	}()
	for {
		for _, r := range w.take() {
			if ctx.Err() != nil {
				return nil
			}
			fn(r)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		}
	}
}

// watcher is the queue of one WatchRevocations. Revocations are rare and
// small; it is not bounded.
type watcher struct {
	wake chan struct{}

	mu    sync.Mutex
	queue []identity.Revocation
}

func (w *watcher) add(r identity.Revocation) {
	w.mu.Lock()
	w.queue = append(w.queue, r)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *watcher) take() []identity.Revocation {
	w.mu.Lock()
	defer w.mu.Unlock()
	q := w.queue
	w.queue = nil
	return q
}

// keepRevocations is how long the log is kept. No node follows it from further
// back: it begins with its own start, and one that cannot read the database for
// so long serves nobody.
const keepRevocations = 7 * 24 * time.Hour

func deleteRevocations(ctx context.Context, tx *sqldb.Tx, before time.Time) error {
	if _, err := tx.Exec(ctx, `DELETE FROM directory_revocations WHERE at < $1`, before.UnixMicro()); err != nil {
		return fmt.Errorf("remove old revocations: %w", err)
	}
	return nil
}

// revocationFollower is Run's place in the revocation log.
type revocationFollower struct {
	s       *Service
	placed  bool
	cursor  int64 // the last revocation that was handed on
	failing bool
}

// poll hands on what is new in the log.
func (f *revocationFollower) poll(ctx context.Context) {
	s := f.s
	for {
		var news []revocationRow
		err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			if !f.placed {
				// What ended before this node was made hangs on nothing here.
				// The slack hands on a little more than needed, which harms
				// nobody.
				cursor, err := lastRevocationBefore(ctx, tx, s.started.Add(-clockSlack))
				if err != nil {
					return err
				}
				f.cursor, f.placed = cursor, true
			}
			var err error
			news, err = readRevocations(ctx, tx, f.cursor, 500)
			return err
		})
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			s.metrics.pollErrors.Inc()
			if !f.failing {
				s.log.ErrorContext(ctx, "directory: cannot read the revocation log; sessions leave the cache after "+cacheFor.String(), "err", err)
			}
			f.failing = true
			return
		}
		if f.failing {
			s.log.InfoContext(ctx, "directory: the revocation log can be read again")
			f.failing = false
		}
		if len(news) == 0 {
			return
		}
		for _, r := range news {
			s.sessions.drop(r.Account, r.Session)
			f.cursor = r.Seq
			if r.refresh {
				continue
			}
			s.metrics.revoked.Inc()
			s.handOn(r.Revocation)
		}
	}
}

func (s *Service) handOn(r identity.Revocation) {
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	if len(s.recent) == keepRecent {
		s.recent = append(s.recent[:0], s.recent[1:]...)
	}
	s.recent = append(s.recent, r)
	for w := range s.watchers {
		w.add(r)
	}
}

func appendRevocation(ctx context.Context, tx *sqldb.Tx, row revocationRow, at time.Time) (int64, error) {
	var seq int64
	err := tx.QueryRow(ctx, `UPDATE directory_revocation_head SET seq = seq + 1 WHERE id = 1 RETURNING seq`).Scan(&seq)
	if err != nil {
		return 0, fmt.Errorf("number a revocation: %w", err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO directory_revocations (seq, account_id, session_id, position_id, refresh, at) VALUES ($1, $2, $3, $4, $5, $6)`,
		seq, string(row.Account), string(row.Session), string(row.Position), row.refresh, at.UnixMicro())
	if err != nil {
		return 0, fmt.Errorf("append a revocation: %w", err)
	}
	return seq, nil
}

func lastRevocationBefore(ctx context.Context, tx *sqldb.Tx, at time.Time) (int64, error) {
	var seq int64
	err := tx.QueryRow(ctx, `SELECT COALESCE(MAX(seq), 0) FROM directory_revocations WHERE at < $1`, at.UnixMicro()).Scan(&seq)
	return seq, err
}

func readRevocations(ctx context.Context, tx *sqldb.Tx, after int64, limit int) ([]revocationRow, error) {
	rows, err := tx.Query(ctx, `SELECT seq, account_id, session_id, position_id, refresh, at FROM directory_revocations
		WHERE seq > $1 ORDER BY seq LIMIT $2`, after, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []revocationRow
	for rows.Next() {
		var r revocationRow
		var at int64
		if err := rows.Scan(&r.Seq, &r.Account, &r.Session, &r.Position, &r.refresh, &at); err != nil {
			return nil, err
		}
		r.At = time.UnixMicro(at).UTC()
		out = append(out, r)
	}
	return out, rows.Err()
}
