package audit

import (
	"container/list"
	"context"
	"maps"
	"strconv"
	"sync"
	"time"

	"commsd/identity"
	"commsd/internal/sqldb"
)

// How many refusals of one account are recorded: so many at once, and one more
// each refusalEvery, so that nobody fills the log by asking for what they may
// not. What is left out is counted, and the count stands in the next refusal
// of the account that is recorded, or in one of its own by and by. The most
// accounts that are followed at a time bounds the memory; the one that was
// refused longest ago is forgotten first.
const (
	refusalBurst = 60
	refusalEvery = 10 * time.Second
	maxRefused   = 10000
)

// RefusalsLeftOut is recorded for an account whose refusals came faster than
// they are kept.
const RefusalsLeftOut identity.Action = "audit.refusals_left_out"

// refusals counts what was refused, by account, or by address where nobody is
// signed in.
type refusals struct {
	mu   sync.Mutex
	by   map[string]*list.Element // guarded by mu: of *refused
	used *list.List               // guarded by mu: the last refused in front
	left int                      // guarded by mu: accounts with something left out
}

type refused struct {
	key   string
	actor identity.Actor
	room  float64 // refusals that are recorded at once
	at    time.Time
	left  int // refusals that were not recorded
}

func newRefusals() refusals { return refusals{by: map[string]*list.Element{}, used: list.New()} }

// admit tells whether a refusal of actor is recorded, and how many before it
// were not.
func (r *refusals) admit(actor identity.Actor, now time.Time) (record bool, left int) {
	key := "account " + string(actor.Account)
	if actor.Account == "" {
		key = "address " + actor.Address
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.by[key]
	if e == nil {
		if r.used.Len() >= maxRefused {
			last := r.used.Remove(r.used.Back()).(*refused)
			delete(r.by, last.key)
			if last.left > 0 {
				r.left--
			}
		}
		e = r.used.PushFront(&refused{key: key, room: refusalBurst, at: now})
		r.by[key] = e
	}
	r.used.MoveToFront(e)
	one := e.Value.(*refused)
	one.fill(now)
	if one.room < 1 {
		if one.left == 0 {
			r.left++
		}
		one.left++
		one.actor = actor
		return false, 0
	}
	one.room--
	left, one.left = one.left, 0
	if left > 0 {
		r.left--
	}
	return true, left
}

func (r *refused) fill(now time.Time) {
	if d := now.Sub(r.at); d > 0 {
		r.room = min(refusalBurst, r.room+float64(d)/float64(refusalEvery))
		r.at = now
	}
}

// due returns the refusals to be recorded for those left out, of accounts that
// have room again.
func (r *refusals) due(now time.Time) []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left == 0 {
		return nil
	}
	var out []Event
	for e := r.used.Front(); e != nil; e = e.Next() {
		one := e.Value.(*refused)
		if one.fill(now); one.left == 0 || one.room < 1 {
			continue
		}
		out = append(out, Event{Actor: one.actor, Action: RefusalsLeftOut, Outcome: Denied, Detail: map[string]string{"left_out": strconv.Itoa(one.left)}})
		one.room--
		one.left = 0
		r.left--
	}
	return out
}

// Refused records e, which somebody was refused, for reason, in a transaction of
// its own. It is bounded for each account: see refusalBurst. Refusals that are
// not recorded are no error.
func (l *Log) Refused(ctx context.Context, db *sqldb.DB, e Event, reason string) error {
	record, left := l.refusals.admit(e.Actor, l.now())
	if !record {
		return nil
	}
	detail := map[string]string{"reason": reason}
	maps.Copy(detail, e.Detail)
	if left > 0 {
		detail["left_out"] = strconv.Itoa(left)
	}
	e.Outcome, e.Detail = Denied, detail
	return db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return l.Record(ctx, tx, e) })
}
