package directory

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"time"

	"commsd/identity"
)

// cacheFor bounds how long a change of roles or positions, or a revocation
// while the database is away, goes unnoticed.
const cacheFor = 15 * time.Second

type tokenHash [sha256.Size]byte

// cachedSession is a session with all that a request asks of it. It is not
// changed once it is in the cache.
type cachedSession struct {
	id        identity.SessionID
	holder    holder
	expiresAt time.Time
	lastSeen  time.Time // as stored when it was read
	provenAt  time.Time // likewise
	activeAt  time.Time // likewise
	idleGap   time.Duration
	readAt    time.Time
}

// sessionCache keeps the sessions used last, so that a page's many requests ask
// the database once. Revocations drop entries.
type sessionCache struct {
	capacity int // set at construction

	mu         sync.Mutex
	byToken    map[tokenHash]*list.Element
	byAccount  map[identity.AccountID]map[tokenHash]struct{}
	used       *list.List // of cacheEntry, the latest in front
	generation uint64     // rises with each drop
}

type cacheEntry struct {
	token   tokenHash
	session *cachedSession
}

func newSessionCache(capacity int) *sessionCache {
	return &sessionCache{
		capacity:  capacity,
		byToken:   map[tokenHash]*list.Element{},
		byAccount: map[identity.AccountID]map[tokenHash]struct{}{},
		used:      list.New(),
	}
}

// get returns the session of token, or nil and the generation to put it with.
func (c *sessionCache) get(token tokenHash, now time.Time) (*cachedSession, uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byToken[token]
	if !ok {
		return nil, c.generation
	}
	s := e.Value.(cacheEntry).session
	if now.Sub(s.readAt) > cacheFor || now.Before(s.readAt) || !now.Before(s.expiresAt) {
		c.removeLocked(e)
		return nil, c.generation
	}
	c.used.MoveToFront(e)
	return s, c.generation
}

// put keeps s unless something was revoked since generation was read: what was
// read from the database before may be the very thing that was revoked.
func (c *sessionCache) put(token tokenHash, s *cachedSession, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.generation {
		return
	}
	if e, ok := c.byToken[token]; ok {
		c.removeLocked(e)
	}
	for c.used.Len() >= c.capacity {
		c.removeLocked(c.used.Back())
	}
	c.byToken[token] = c.used.PushFront(cacheEntry{token, s})
	tokens := c.byAccount[s.holder.account]
	if tokens == nil {
		tokens = map[tokenHash]struct{}{}
		c.byAccount[s.holder.account] = tokens
	}
	tokens[token] = struct{}{}
}

// drop forgets one session of an account, or all of them when session is empty.
func (c *sessionCache) drop(account identity.AccountID, session identity.SessionID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	for token := range c.byAccount[account] {
		e := c.byToken[token]
		if session == "" || e.Value.(cacheEntry).session.id == session {
			c.removeLocked(e)
		}
	}
}

func (c *sessionCache) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used.Len()
}

func (c *sessionCache) removeLocked(e *list.Element) {
	entry := c.used.Remove(e).(cacheEntry)
	delete(c.byToken, entry.token)
	account := entry.session.holder.account
	delete(c.byAccount[account], entry.token)
	if len(c.byAccount[account]) == 0 {
		delete(c.byAccount, account)
	}
}
