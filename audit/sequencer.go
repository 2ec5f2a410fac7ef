package audit

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"commsd/internal/secret"
	"commsd/internal/sqldb"
)

// SequencerConfig holds what NewSequencer needs. Fields without a default are
// required.
type SequencerConfig struct {
	DB      *sqldb.DB
	Secrets *secret.Store
	Domain  string // names the key when it is made

	Every time.Duration // between looks for new events; 0: 1 s
	Lease time.Duration // without a renewal it is another's turn after this; 0: 10 s
	Batch int           // events appended in one transaction; 0: 250

	// Sole tells that no other sequencer can be running on the database, as on
	// SQLite, whose folder one process locks: a lease that stands there is a
	// dead one's, and is taken at once.
	Sole bool

	Log        *slog.Logger          // nil: discards
	Registerer prometheus.Registerer // nil: no metrics
	Now        func() time.Time      // nil: time.Now
	Rand       io.Reader             // nil: crypto/rand; the owner's name and salts
}

// Sequencer takes recorded events into the tree and signs its head. Of those on
// one database the one with the lease works; the others watch it.
type Sequencer struct {
	// set at construction
	cfg     SequencerConfig
	db      *sqldb.DB
	log     *slog.Logger
	owner   string
	metrics *sequencerMetrics

	// Owned by whoever runs Step: Run's goroutine, or a test's.
	keys  *keys
	watch watchedLease
	said  string // the error that was logged last

	// Written by whoever runs Step, read by all.
	lease atomic.Int64 // epoch of the lease that is held; 0: none
}

// watchedLease is another's lease as it was seen last, so that a dead owner is
// known by a row that does not change, whatever the clocks say.
type watchedLease struct {
	epoch, expires int64
	since          time.Time // of this process's clock, which does not step
}

// errLostLease tells that another has taken over.
var errLostLease = errors.New("audit: the sequencer's lease is another's now")

// NewSequencer checks cfg and returns a Sequencer; it starts nothing.
func NewSequencer(cfg SequencerConfig) (*Sequencer, error) {
	if cfg.DB == nil || cfg.Secrets == nil || cfg.Domain == "" {
		return nil, errors.New("audit: SequencerConfig.DB, Secrets and Domain are required")
	}
	if cfg.Every <= 0 {
		cfg.Every = time.Second
	}
	if cfg.Lease <= 0 {
		cfg.Lease = 10 * time.Second
	}
	if cfg.Batch <= 0 {
		cfg.Batch = 250
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	name := make([]byte, 8)
	if _, err := io.ReadFull(cfg.Rand, name); err != nil {
		return nil, fmt.Errorf("audit: name of the sequencer: %w", err)
	}
	return &Sequencer{cfg: cfg, db: cfg.DB, log: cfg.Log, owner: hex.EncodeToString(name), metrics: newSequencerMetrics(cfg.Registerer)}, nil
}

// Run appends and signs until ctx ends, then takes in what is left, signs the
// last head and hands the lease on. It returns nil. Only one Run may be called
// on a Sequencer.
func (s *Sequencer) Run(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.Every)
	defer tick.Stop()
	for {
		if _, err := s.Step(ctx); err != nil && ctx.Err() == nil {
			s.metrics.errors.Inc()
			if err.Error() != s.said { // once, not each second
				s.said = err.Error()
				s.log.ErrorContext(ctx, "audit: events wait to enter the tree", "err", err)
			}
		} else {
			s.said = ""
		}
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Lease)
			defer cancel()
			if err := s.Drain(last); err != nil {
				s.log.ErrorContext(ctx, "audit: the last events wait for the next start", "err", err)
			}
			return nil
		case <-tick.C:
		}
	}
}

// Step takes or renews the lease; whoever holds it appends all that waits and
// signs the head when it is new. It tells whether this is the owner. Another's
// live lease is no error.
func (s *Sequencer) Step(ctx context.Context) (owner bool, err error) {
	if s.keys == nil {
		if s.keys, err = openKeys(ctx, s.cfg.Secrets, s.cfg.Domain); err != nil {
			return false, err
		}
	}
	if s.lease.Load() == 0 {
		took, err := s.take(ctx)
		if err != nil || !took {
			return false, err
		}
	}
	err = s.work(ctx)
	if errors.Is(err, errLostLease) {
		s.log.WarnContext(ctx, "audit: another node appends to the log now", "owner", s.owner)
		s.lease.Store(0)
		return false, nil
	}
	return err == nil, err
}

func (s *Sequencer) work(ctx context.Context) error {
	if idle, err := s.idle(ctx); idle || err != nil {
		return err
	}
	for {
		n, err := s.appendBatch(ctx)
		if err != nil {
			return err
		}
		if n < s.cfg.Batch {
			break
		}
	}
	return s.signHead(ctx)
}

// idle tells that nothing waits, the head is signed, and the lease has most of
// its time: there is nothing to write.
func (s *Sequencer) idle(ctx context.Context) (idle bool, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var epoch, expires, size, signed int64
		var waiting bool
		err := tx.QueryRow(ctx, `SELECT epoch, expires_at, size, (SELECT COALESCE(MAX(size), 0) FROM audit_checkpoints),
			EXISTS (SELECT 1 FROM audit_events WHERE seq IS NULL) FROM audit_sequencer WHERE id = 1`).Scan(&epoch, &expires, &size, &signed, &waiting)
		if err != nil {
			return err
		}
		left := time.UnixMicro(expires).Sub(s.cfg.Now())
		idle = !waiting && signed == size && epoch == s.lease.Load() && left > s.cfg.Lease/2 && left <= s.cfg.Lease
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("audit: look for new events: %w", err)
	}
	return idle, nil
}

// Drain appends all that waits, signs, and gives up the lease, so that another
// need not wait for its end. It does nothing when the lease is another's.
func (s *Sequencer) Drain(ctx context.Context) error {
	owner, err := s.Step(ctx)
	if err != nil || !owner {
		return err
	}
	return s.holding(ctx, func(ctx context.Context, tx *sqldb.Tx, _ int64) error {
		_, err := tx.Exec(ctx, `UPDATE audit_sequencer SET owner = '', expires_at = 0 WHERE id = 1`)
		if err == nil {
			tx.AfterCommit(func() { s.lease.Store(0) })
		}
		return err
	})
}

// take takes a lease that is nobody's or a dead one's, has ended, or was not
// renewed for its whole length while this one watched.
func (s *Sequencer) take(ctx context.Context) (bool, error) {
	var epoch int64
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		epoch = 0
		var owner string
		var last, expires int64
		err := tx.QueryRow(ctx, `SELECT owner, epoch, expires_at FROM audit_sequencer WHERE id = 1`+tx.ForUpdate()).Scan(&owner, &last, &expires)
		if err != nil {
			return err
		}
		now := s.cfg.Now()
		if owner != "" && !s.cfg.Sole && expires > now.UnixMicro() && !s.silent(last, expires, now) {
			return nil
		}
		epoch = last + 1
		_, err = tx.Exec(ctx, `UPDATE audit_sequencer SET owner = $1, epoch = $2, expires_at = $3 WHERE id = 1`,
			s.owner, epoch, now.Add(s.cfg.Lease).UnixMicro())
		return err
	})
	if err != nil {
		return false, fmt.Errorf("audit: take the sequencer's lease: %w", err)
	}
	s.lease.Store(epoch)
	return epoch != 0, nil
}

// silent tells whether the lease has been the same for its whole length.
func (s *Sequencer) silent(epoch, expires int64, now time.Time) bool {
	if s.watch.epoch != epoch || s.watch.expires != expires || now.Before(s.watch.since) {
		s.watch = watchedLease{epoch: epoch, expires: expires, since: now}
		return false
	}
	return now.Sub(s.watch.since) >= s.cfg.Lease
}

// holding runs fn in a transaction that has seen that the lease is still held,
// and holds its row, so that none of two owners does anything after the other.
// It renews the lease.
func (s *Sequencer) holding(ctx context.Context, fn func(ctx context.Context, tx *sqldb.Tx, size int64) error) error {
	return s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return holding(ctx, tx, s.lease.Load(), func(size int64) error {
			_, err := tx.Exec(ctx, `UPDATE audit_sequencer SET expires_at = $1 WHERE id = 1`, s.cfg.Now().Add(s.cfg.Lease).UnixMicro())
			if err != nil {
				return fmt.Errorf("audit: renew the sequencer's lease: %w", err)
			}
			return fn(ctx, tx, size)
		})
	})
}

// holding runs fn when epoch is still the lease's, holding its row.
func holding(ctx context.Context, tx *sqldb.Tx, epoch int64, fn func(size int64) error) error {
	var now, size int64
	err := tx.QueryRow(ctx, `SELECT epoch, size FROM audit_sequencer WHERE id = 1`+tx.ForUpdate()).Scan(&now, &size)
	if err != nil {
		return fmt.Errorf("audit: read the sequencer's lease: %w", err)
	}
	if now != epoch || epoch == 0 {
		return errLostLease
	}
	return fn(size)
}

// appendBatch appends the next events and tells how many they were.
func (s *Sequencer) appendBatch(ctx context.Context) (int, error) {
	n := 0
	err := s.holding(ctx, func(ctx context.Context, tx *sqldb.Tx, size int64) error {
		list, err := readWaiting(ctx, tx, s.cfg.Batch)
		n = len(list)
		if err != nil || n == 0 {
			return err
		}
		for i := range list {
			if len(list[i].leafHash) == 0 {
				if err := s.seal(ctx, tx, &list[i]); err != nil {
					return err
				}
			}
		}
		if err := appendLeaves(ctx, tx, size, list); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE audit_sequencer SET size = $1 WHERE id = 1`, size+int64(n))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("audit: append %d events: %w", n, err)
	}
	s.metrics.appended.Add(float64(n))
	return n, nil
}

// signHead signs the head when none of its size was signed.
func (s *Sequencer) signHead(ctx context.Context) error {
	var signed *Checkpoint
	err := s.holding(ctx, func(ctx context.Context, tx *sqldb.Tx, size int64) error {
		signed = nil
		var have int64
		if err := tx.QueryRow(ctx, `SELECT COALESCE(MAX(size), 0) FROM audit_checkpoints`).Scan(&have); err != nil {
			return fmt.Errorf("audit: read the newest checkpoint: %w", err)
		}
		if have == size {
			return nil
		}
		var err error
		signed, err = s.keys.sign(ctx, tx, size, s.cfg.Now())
		return err
	})
	var tampered *tamperedError
	if errors.As(err, &tampered) {
		s.metrics.tampered.Set(1)
	}
	if err != nil {
		return fmt.Errorf("audit: sign the head: %w", err)
	}
	if signed != nil {
		s.metrics.size.Set(float64(signed.Size))
		s.metrics.tampered.Set(0)
	}
	return nil
}
