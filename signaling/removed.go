package signaling

import (
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
	"time"

	"commsd/internal/accesstoken"
	"commsd/internal/errcode"
)

const (
	// removedFor is how long a removal is remembered: longer than the tokens that
	// operators are wont to make.
	removedFor = 24 * time.Hour
	// maxRemovals bounds what is remembered; the oldest goes first.
	maxRemovals = 10_000
	// maxUsed bounds the tokens of one place that are remembered of each kind.
	maxUsed = 64
)

type tokenHash [sha256.Size]byte

// hashOf hashes what a token's signature covers. The signature itself can be
// written in more ways than one.
func hashOf(token string) tokenHash {
	return sha256.Sum256([]byte(token[:max(0, strings.LastIndexByte(token, '.'))]))
}

// remember adds token to known, whose oldest makes room for it.
func remember(known []tokenHash, token tokenHash) []tokenHash {
	if slices.Contains(known, token) {
		return known
	}
	if len(known) >= maxUsed {
		known = slices.Delete(known, 0, 1)
	}
	return append(known, token)
}

// removals are those whom an operator has put out of a room: they come in again
// with a token that was made after that. It is this node's memory alone: with
// the node, and where the room goes to another one, what was removed is
// forgotten.
type removals struct {
	mu sync.Mutex
	by map[removedFrom]removal // guarded by mu
}

type removedFrom struct{ room, identity string }

type removal struct {
	at   time.Time
	used []tokenHash // that the participant came with; some SDKs' tokens do not say when they were made
	made []tokenHash // that this node gave it last, maybe within the second of the removal
}

func (r *removals) add(room, identity string, used, made []tokenHash, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	who := removedFrom{room, identity}
	used, made = append(used, r.by[who].used...), append(made, r.by[who].made...)
	r.by[who] = removal{at: now, used: used[:min(len(used), maxUsed)], made: made[:min(len(made), maxUsed)]}
	if len(r.by) <= maxRemovals {
		return
	}
	oldest := who
	for w, o := range r.by {
		if o.at.Before(r.by[oldest].at) {
			oldest = w
		}
	}
	delete(r.by, oldest)
}

// refuse tells whether a token, whose claims are c, is of somebody who has been
// removed since it was made.
func (r *removals) refuse(c accesstoken.Claims, token tokenHash, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	who := removedFrom{c.Video.Room, c.Identity}
	o, ok := r.by[who]
	if !ok {
		return nil
	}
	if now.Sub(o.at) > removedFor {
		delete(r.by, who)
		return nil
	}
	made := c.NotBefore // in whole seconds; 1970 says nothing
	before := made.Unix() > 0 && made.Before(o.at.Truncate(time.Second))
	if before || slices.Contains(o.used, token) || slices.Contains(o.made, token) {
		return errcode.New(errcode.Forbidden, "you were removed from this room; ask for a new token")
	}
	return nil
}

// remove remembers that who is in room under an identity is put out, who gets no
// token any more.
func (s *Service) remove(room, identity string) {
	s.mu.Lock()
	var used, made []tokenHash
	found := false
	for _, ses := range s.sessions {
		ses.mu.Lock()
		if ses.claims.Video.Room == room && ses.claims.Identity == identity {
			ses.removed, found = true, true
			used, made = append(used, ses.used...), append(made, ses.made...)
		}
		ses.mu.Unlock()
	}
	s.mu.Unlock()
	if !found {
		return
	}
	s.removals.add(room, identity, used, made, s.now())
	s.revocations.Add(1) // who comes in just now is asked again
}
