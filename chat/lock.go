package chat

import (
	"context"
	"errors"
	"time"

	"commsd/identity"
	"commsd/internal/errcode"
)

// SessionLocks tells when a session locks for want of its owner's acts. It may
// be called from many goroutines.
type SessionLocks interface {
	// LocksAt is when session locks if nothing is done in it until then; not
	// after now: it is locked. Zero: it never does. The error is
	// errcode.Unauthenticated for a session that has ended.
	LocksAt(ctx context.Context, session identity.SessionID) (time.Time, error)

	// NoteActivity says that a person did something in actor's session.
	NoteActivity(ctx context.Context, actor identity.Actor) error
}

// The socket of a locked session lives on for counts and presence: it is sent
// heads and hints, but neither events nor who is typing, and what reads or
// writes is refused. Once its owner has unlocked it, lagging names the logs of
// which something was withheld. Each socket has a timer for when its session
// may lock, so that no push and no command asks the database.

const (
	lockAgain   = 30 * time.Second // between two looks at a locked session; a command looks at once
	lockAnswers = 10 * time.Second // how long a look may take
	workEvery   = time.Minute      // between two words of a socket that somebody works in its session
)

// watchLock looks whether the session is locked, and when to look again. It is
// called by serve, the timer and the worker.
func (c *client) watchLock(ctx context.Context) {
	locks := c.s.cfg.Locks
	if locks == nil || c.actor.Session == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lockAnswers)
	defer cancel()
	c.lockMu.Lock()
	defer c.lockMu.Unlock()
	if c.lockEnded {
		return
	}
	at, err := locks.LocksAt(ctx, c.actor.Session)
	again := lockAgain
	switch left := at.Sub(c.s.now()); {
	case errcode.Of(err) == errcode.Unauthenticated:
		c.endSession()
		return
	case err != nil:
		// Nobody can tell: what was locked stays so, what was open is looked
		// at again soon.
		if !errors.Is(err, context.Canceled) {
			c.s.log.Warn("cannot tell whether a session is locked", "person", c.actor.Person, "err", err)
		}
	case at.IsZero():
		c.unlock()
		return
	case left <= 0:
		c.locked.Store(true)
	default:
		c.unlock()
		again = left + time.Millisecond // not before it
	}
	if c.lockTimer == nil {
		c.lockTimer = time.AfterFunc(again, func() { c.watchLock(context.WithoutCancel(ctx)) })
	} else {
		c.lockTimer.Reset(again)
	}
}

// unlock shows again what was withheld. lockMu is held.
func (c *client) unlock() {
	if !c.locked.Swap(false) {
		return
	}
	c.s.hub.mu.Lock()
	held := c.held
	c.held = nil
	c.s.hub.mu.Unlock()
	lag := laggingMsg{Type: "lagging", Conversations: []string{}}
	for key := range held {
		if key == keyPerson {
			lag.Person = true
		} else {
			lag.Conversations = append(lag.Conversations, key)
		}
	}
	if lag.Person || len(lag.Conversations) > 0 {
		c.tell(lag)
	}
}

// noteWork says that somebody writes in the session. The worker calls it.
func (c *client) noteWork(ctx context.Context) {
	now := c.s.now()
	if c.s.cfg.Locks == nil || c.actor.Session == "" || now.Sub(c.workedAt) < workEvery {
		return
	}
	c.workedAt = now
	actor := c.actor
	actor.Locked = false // it was when the socket opened, perhaps; refuses has looked since
	if err := c.s.cfg.Locks.NoteActivity(ctx, actor); err != nil && !errors.Is(err, context.Canceled) {
		c.s.log.Warn("could not note that a session is in use", "person", c.actor.Person, "err", err)
	}
}

// stopLock ends the timer with the socket, and waits for a look under way.
func (c *client) stopLock() {
	c.lockMu.Lock()
	defer c.lockMu.Unlock()
	c.lockEnded = true
	if c.lockTimer != nil {
		c.lockTimer.Stop()
	}
}

// withholdLocked notes that something of a log was not shown. hub.mu is held.
func (c *client) withholdLocked(key string) {
	if c.held == nil {
		c.held = map[string]struct{}{}
	}
	c.held[key] = struct{}{}
}

// refuses tells whether cmd may not run because the session is locked, and
// answers it.
func (c *client) refuses(ctx context.Context, cmd command) bool {
	if !c.locked.Load() {
		return false
	}
	if c.watchLock(ctx); !c.locked.Load() {
		return false
	}
	switch cmd.Type {
	case "send", "pull", "pull_person", "read":
		c.reply(ctx, c.failure(cmd.ID, errcode.New(errcode.Locked, "this session was idle for too long; prove who you are again, then repeat")))
		return true
	case "typing", "look":
		return true
	}
	return false
}
