package mail

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"commsd/internal/blob"
	"commsd/mail/store"
)

const (
	// How many blobs are looked up at once.
	collectBatch = 500
	// A message's bytes are put before the store of its first reader is made:
	// this long at the most.
	beforeTheFirst = time.Hour
)

// runCollector collects now and then until ctx ends. Several nodes may do so at
// a time: each finds less to do.
func (s *Service) runCollector(ctx context.Context) error {
	pause := func() time.Duration {
		return time.Duration(float64(s.cfg.CollectEvery) * (0.5 + s.cfg.Jitter()))
	}
	timer := time.NewTimer(pause())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if err := s.collectSafely(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.ErrorContext(ctx, "what mail needs no more could not be removed; it is tried again later", "err", err)
		}
		timer.Reset(pause())
	}
}

// collectSafely is collect, of which a defect ends no more.
func (s *Service) collectSafely(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("mail: panic while collecting: %v\n%s", v, debug.Stack())
		}
	}()
	return s.collect(ctx)
}

// collect removes what nothing needs any more: uploads that were never used,
// what came of mail that left long ago, and then blobs without a row.
//
// A blob is put before the row that refers to it is committed. The age keeps
// those that are between the two: Put renews it, also where the bytes were
// there already, and Delete looks at it once more.
func (s *Service) collect(ctx context.Context) error {
	uploads, err := s.store.ExpireUploads(ctx)
	if err != nil {
		return err
	}
	items, err := s.queue.Forget(ctx)
	if err != nil {
		return err
	}
	blobs, err := s.collectBlobs(ctx)
	if err != nil {
		return err
	}
	if uploads > 0 || items > 0 || blobs > 0 {
		s.cfg.Log.InfoContext(ctx, "mail removed what it needs no more", "uploads", uploads, "queue_items", items, "blobs", blobs)
	}
	return nil
}

func (s *Service) collectBlobs(ctx context.Context) (removed int, err error) {
	before := s.cfg.Now().Add(-s.cfg.CollectAfter)
	// Blobs from before the first store are another database's: somebody has
	// paired the blobs with the wrong one, or has lost it. They are left alone.
	began, err := s.store.Began(ctx)
	if err != nil || began.IsZero() {
		return 0, err
	}
	began = began.Add(-beforeTheFirst)
	var batch []blob.Ref
	flush := func() error {
		used := map[blob.Ref]bool{}
		if err := errors.Join(s.store.BlobsInUse(ctx, batch, used), s.queue.BlobsInUse(ctx, batch, used)); err != nil {
			return err
		}
		for _, ref := range batch {
			if used[ref] {
				continue
			}
			gone, err := s.cfg.Blobs.Delete(ctx, ref, before)
			if err != nil {
				return err
			}
			if gone {
				removed++
				s.collected.Inc()
			}
		}
		batch = batch[:0]
		return nil
	}
	err = s.cfg.Blobs.Walk(ctx, store.Namespace, func(ref blob.Ref, put time.Time) error {
		if !put.Before(before) || put.Before(began) {
			return nil
		}
		ref.Size = 0 // as used has them
		if batch = append(batch, ref); len(batch) < collectBatch {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	return removed, err
}
