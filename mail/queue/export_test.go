package queue

import (
	"context"
	"sync"
)

// RunDue leases the items that are due, tries each once, and returns how many
// there were when all attempts have ended: one turn of Run.
func (q *Queue) RunDue(ctx context.Context) (int, error) {
	items, err := q.claim(ctx, q.cfg.Workers)
	var wg sync.WaitGroup
	for _, it := range items {
		wg.Go(func() { q.attempt(ctx, it) })
	}
	wg.Wait()
	return len(items), err
}
