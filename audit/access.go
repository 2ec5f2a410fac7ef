package audit

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"commsd/identity"
	"commsd/internal/sqldb"
)

const (
	accessWindow = 10 * time.Minute // one opening of a thing counts as the same: a page that reads a conversation asks many times
	flushEvery   = time.Second
	flushAtOnce  = 500              // openings in one transaction: others write in between, and what is written stays written
	lastFlush    = 10 * time.Second // when the log ends
)

// AccessLost is recorded when openings came faster than they could be kept.
const AccessLost identity.Action = "audit.access_lost"

// access is one opening of a thing by one who may open it without asking: what
// makes two openings the same.
type access struct {
	account identity.AccountID
	session identity.SessionID
	action  identity.Action
	object  identity.ObjectRef
}

type waitingAccess struct {
	event Event
	at    time.Time
}

// accesses gathers openings between two flushes.
type accesses struct {
	most int // set at construction: that may wait

	mu      sync.Mutex
	waiting []waitingAccess      // guarded by mu
	seen    map[access]time.Time // guarded by mu: when it was recorded last
	lost    int                  // guarded by mu
}

func newAccesses(most int) accesses { return accesses{most: most, seen: map[access]time.Time{}} }

// Access records that actor opened something of their own, or what they are a
// member of: once in ten minutes for the same thing and session, written within
// a second, in batches. It never waits and never fails; a crash loses the last
// second. So whoever opens what belongs to another records it with Record,
// and shows it after the commit.
func (l *Log) Access(actor identity.Actor, action identity.Action, object identity.ObjectRef) {
	if l.db == nil {
		return
	}
	now := l.now()
	key := access{actor.Account, actor.Session, action, object}
	a := &l.accesses
	a.mu.Lock()
	defer a.mu.Unlock()
	if last, ok := a.seen[key]; ok && now.Sub(last) < accessWindow && !now.Before(last) {
		return
	}
	if len(a.waiting) >= a.most {
		a.lost++
		return
	}
	if len(a.seen) >= 16*a.most {
		clear(a.seen) // some are recorded once more; none is missed
	}
	a.seen[key] = now
	a.waiting = append(a.waiting, waitingAccess{at: now, event: Event{Actor: actor, Action: action, Object: object, Outcome: OK}})
}

// Run writes what Access gathers until ctx ends, the last of it then. It
// returns nil.
func (l *Log) Run(ctx context.Context) error {
	if l.db == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFlush)
			defer cancel()
			if err := l.flush(last); err != nil {
				l.log.ErrorContext(ctx, "audit: the last openings are not recorded", "err", err)
			}
			return nil
		case <-tick.C:
			if err := l.flush(ctx); err != nil && ctx.Err() == nil {
				l.log.ErrorContext(ctx, "audit: openings wait to be recorded", "err", err)
			}
		}
	}
}

// flush writes what waits. What could not be written waits on.
func (l *Log) flush(ctx context.Context) error {
	a := &l.accesses
	a.mu.Lock()
	batch, lost := a.waiting, a.lost
	a.waiting, a.lost = nil, 0
	a.mu.Unlock()
	for _, e := range l.refusals.due(l.now()) {
		batch = append(batch, waitingAccess{event: e, at: l.now()})
	}
	for len(batch) > 0 || lost > 0 {
		part := batch[:min(flushAtOnce, len(batch))]
		err := l.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			for _, w := range part {
				if err := l.recordAt(ctx, tx, w.event, w.at); err != nil {
					return err
				}
			}
			if lost == 0 {
				return nil
			}
			return l.Record(ctx, tx, Event{Action: AccessLost, Outcome: Failed, Detail: map[string]string{"events": strconv.Itoa(lost)}})
		})
		if err != nil {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.waiting = append(batch, a.waiting...)
			if over := len(a.waiting) - a.most; over > 0 {
				a.waiting, a.lost = a.waiting[:a.most], a.lost+over
			}
			a.lost += lost
			return fmt.Errorf("audit: record %d openings: %w", len(batch), err)
		}
		batch, lost = batch[len(part):], 0
	}
	return nil
}
