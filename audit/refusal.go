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

// RefusalLimits says how many refusals of one account are recorded, so that
// nobody fills the log by asking for what they may not. What is left out is
// counted, and the count stands in the next refusal of the account that is
// recorded, or in one of its own by and by.
type RefusalLimits struct {
	Burst    int           // recorded at once; 0: 60
	Every    time.Duration // and one more each; 0: 10 s
	Accounts int           // followed at a time; the one refused longest ago is forgotten first; 0: 10000
}

func (l RefusalLimits) orDefault() RefusalLimits {
	if l.Burst <= 0 {
		l.Burst = 60
	}
	if l.Every <= 0 {
		l.Every = 10 * time.Second
	}
	if l.Accounts <= 0 {
		l.Accounts = 10000
	}
	return l
}

// RefusalsLeftOut is recorded for an account whose refusals came faster than
// they are kept.
const RefusalsLeftOut identity.Action = "audit.refusals_left_out"

// refusals counts what was refused, by account, or by address where nobody is
// signed in.
type refusals struct {
	limits RefusalLimits // set at construction

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

func newRefusals(limits RefusalLimits) refusals {
	return refusals{limits: limits.orDefault(), by: map[string]*list.Element{}, used: list.New()}
}

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
		if r.used.Len() >= r.limits.Accounts {
			last := r.used.Remove(r.used.Back()).(*refused)
			delete(r.by, last.key)
			if last.left > 0 {
				r.left--
			}
		}
		e = r.used.PushFront(&refused{key: key, room: float64(r.limits.Burst), at: now})
		r.by[key] = e
	}
	r.used.MoveToFront(e)
	one := e.Value.(*refused)
	one.fill(now, r.limits)
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

func (r *refused) fill(now time.Time, limits RefusalLimits) {
	if d := now.Sub(r.at); d > 0 {
		r.room = min(float64(limits.Burst), r.room+float64(d)/float64(limits.Every))
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
		if one.fill(now, r.limits); one.left == 0 || one.room < 1 {
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
// its own. It is bounded for each account: see RefusalLimits. Refusals that are
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
