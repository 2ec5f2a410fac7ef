package intake

import (
	"sync"

	"commsd/identity"
)

// Revoked remembers which accounts have ended, so that a sign-in that was under
// way meanwhile does not outlive them. The zero value is ready for use by many
// goroutines.
type Revoked struct {
	mu  sync.Mutex
	seq int64                        // guarded by mu
	at  map[identity.AccountID]int64 // guarded by mu
}

// Note says that an account has ended.
func (r *Revoked) Note(a identity.AccountID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == nil {
		r.at = map[identity.AccountID]int64{}
	}
	r.seq++
	r.at[a] = r.seq
}

// Now is asked before a password is looked at.
func (r *Revoked) Now() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seq
}

// Since tells whether the account has ended after now. It is asked once the
// session can be found by whoever ends it.
func (r *Revoked) Since(now int64, a identity.AccountID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at[a] > now
}
