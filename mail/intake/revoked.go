package intake

import (
	"slices"
	"sync"

	"commsd/identity"
)

// keepRevoked is how many revocations are remembered: more than come while one
// password is looked at.
const keepRevoked = 4096

// Revoked remembers which accounts and credentials have ended lately, so that a
// sign-in that was under way meanwhile does not outlive them. The zero value is
// ready for use by many goroutines.
type Revoked struct {
	mu   sync.Mutex
	seq  int64                 // guarded by mu: how many there were
	last []identity.Revocation // guarded by mu: the last of them
}

// Note says that an account, or one credential of it, has ended.
func (r *Revoked) Note(ended identity.Revocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	if len(r.last) == keepRevoked {
		r.last = append(r.last[:0], r.last[1:]...)
	}
	r.last = append(r.last, ended)
}

// Now is asked before a password is looked at.
func (r *Revoked) Now() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seq
}

// Since tells whether what actor signed in by has ended after now. It is asked
// once the session can be found by whoever ends it.
func (r *Revoked) Since(now int64, actor identity.Actor) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	fresh := min(r.seq-now, int64(len(r.last)))
	return slices.ContainsFunc(r.last[int64(len(r.last))-fresh:], func(ended identity.Revocation) bool { return Ends(ended, actor) })
}

// Ends tells whether ended is the end of what actor signed in by.
func Ends(ended identity.Revocation, actor identity.Actor) bool {
	switch {
	case actor.Account == "" || ended.Account != actor.Account:
		return false
	case ended.Position != "":
		return ended.Position == actor.Position
	default:
		return ended.Session == "" || ended.Session == actor.Session
	}
}
