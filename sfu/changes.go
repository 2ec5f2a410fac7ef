package sfu

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// changes are the rooms whose members changed since somebody last asked: many
// changes of a room are one.
type changes struct {
	some chan struct{} // holds one value while there are rooms to take

	mu    sync.Mutex
	rooms map[string]struct{} // guarded by mu
}

func newChanges() *changes {
	return &changes{some: make(chan struct{}, 1), rooms: make(map[string]struct{})}
}

func (c *changes) add(room string) {
	c.mu.Lock()
	c.rooms[room] = struct{}{}
	c.mu.Unlock()
	select {
	case c.some <- struct{}{}:
	default:
	}
}

func (c *changes) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := slices.Sorted(maps.Keys(c.rooms))
	clear(c.rooms)
	return names
}

// Changed waits until somebody has come into a room or left one, and names the
// rooms where that happened since the last call. One caller at a time: each
// change is told once. Its error is that ctx has ended.
func (s *SFU) Changed(ctx context.Context) ([]string, error) {
	select {
	case <-s.changes.some:
		return s.changes.take(), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
