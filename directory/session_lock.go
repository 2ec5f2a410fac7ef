package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"commsd/audit"
	"commsd/directory/permission"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// A session in which nobody did anything for Config.IdleLock is locked: it reads
// and does nothing until its owner proves who they are again; for
// administrative acts Config.AdminIdleLock is enough. What is kept is when the
// owner last did something and the longest pause since they last proved who
// they are, so that coming back and moving the mouse opens nothing.
//
// Acts are what is written in the chat socket, and the requests that write, but for those with the header
// httpapi.BackgroundHeader, and POST /sessions/current/activity, which a page
// sends when keys or pointer were used, at most once a minute. A page's own
// polling keeps no session open. They are written at most every activeEvery, so
// that the lock may come that much early, never late.

// errLocked is what a locked session is told, and one whose last proof is too
// old for a sensitive act: the page asks for the password, unlocks, and sends
// the request again.
func errLocked() error {
	return errcode.New(errcode.Locked, "prove who you are again, with your password or a passkey, and repeat")
}

// activeEvery is how long after an act the next one is written.
func (s *Service) activeEvery() time.Duration {
	every := time.Minute
	for _, d := range []time.Duration{s.cfg.IdleLock, s.cfg.AdminIdleLock} {
		if d > 0 {
			every = min(every, d/5)
		}
	}
	return every
}

// locks tells whether c is locked, at all and for administrative acts.
func (s *Service) locks(c *cachedSession, now time.Time) (locked, admin bool) {
	gap := max(c.idleGap, now.Sub(s.lastActive(c)))
	locked = s.cfg.IdleLock > 0 && gap > s.cfg.IdleLock
	admin = locked || s.cfg.AdminIdleLock > 0 && gap > s.cfg.AdminIdleLock
	return locked, admin
}

// lastActive is when somebody last worked in c, as far as this node knows.
func (s *Service) lastActive(c *cachedSession) time.Time {
	s.seenMu.Lock()
	defer s.seenMu.Unlock()
	if at := s.active[c.id].at; at.After(c.activeAt) {
		return at
	}
	return c.activeAt
}

// activity is an act that may not be written yet.
type activity struct {
	at      time.Time
	written bool
}

// NoteActivity says that a person did something in actor's session. In one that
// is locked nothing counts.
func (s *Service) NoteActivity(ctx context.Context, actor identity.Actor) error {
	if actor.Session == "" || actor.Locked {
		return nil
	}
	now := s.now()
	gap := now.Sub(actor.ActiveAt)
	switch {
	case gap < s.activeEvery():
		return nil
	case s.cfg.AdminIdleLock > 0 && gap > s.cfg.AdminIdleLock, s.cfg.IdleLock > 0 && gap > s.cfg.IdleLock:
		// A pause that locks something must not be forgotten.
		err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			tx.AfterCommit(func() { s.sessions.drop(actor.Account, actor.Session) })
			return updateActive(ctx, tx, actor.Session, now, s.cfg.IdleLock)
		})
		if err != nil {
			return fmt.Errorf("directory: note that session %s is in use: %w", actor.Session, err)
		}
		return nil
	}
	s.seenMu.Lock()
	defer s.seenMu.Unlock()
	s.active[actor.Session] = activity{at: now}
	return nil
}

// flushActive writes when sessions were last worked in. What is written stays
// in memory until no cached session is older.
func (s *Service) flushActive(ctx context.Context) {
	now := s.now()
	fresh := map[identity.SessionID]time.Time{}
	s.seenMu.Lock()
	for id, a := range s.active {
		switch {
		case !a.written:
			fresh[id] = a.at
		case now.Sub(a.at) > 2*cacheFor+seenEvery:
			delete(s.active, id)
		}
	}
	s.seenMu.Unlock()
	if len(fresh) == 0 {
		return
	}
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for id, at := range fresh {
			if err := updateActive(ctx, tx, id, at, s.cfg.IdleLock); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.log.WarnContext(ctx, "directory: could not write when sessions were last worked in; it is tried again", "err", err)
		return
	}
	s.seenMu.Lock()
	defer s.seenMu.Unlock()
	for id, at := range fresh {
		if a := s.active[id]; a.at.Equal(at) {
			a.written = true
			s.active[id] = a
		}
	}
}

// requireFresh answers errcode.Locked unless actor proved who they are within
// Config.FreshFor. What changes how one signs in, what gives others power or
// secrets calls it before anything else. Actors without a session (the command
// line) pass.
func (s *Service) requireFresh(ctx context.Context, actor identity.Actor) error {
	if s.cfg.FreshFor == 0 || actor.Session == "" || s.now().Sub(actor.ProvenAt) <= s.cfg.FreshFor {
		return nil
	}
	// This node may not know yet of a proof that another one was given.
	var proven time.Time
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		proven, err = readProven(ctx, tx, actor.Session)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return errNoSession()
	}
	if err != nil {
		return fmt.Errorf("directory: last proof of session %s: %w", actor.Session, err)
	}
	if s.now().Sub(proven) > s.cfg.FreshFor {
		return errLocked()
	}
	return nil
}

// UnlockSession opens actor's locked session again, and makes it fresh, by the
// password of the account. Errors are those of AuthenticatePassword.
func (s *Service) UnlockSession(ctx context.Context, actor identity.Actor, password string) error {
	if actor.Session == "" {
		return errNoSession()
	}
	acc, err := s.checkPassword(ctx, actor.Login, password, actor.Address, "unlock")
	if err != nil {
		return err
	}
	if acc.id != actor.Account {
		return errWrongPassword() // the login went to somebody else meanwhile
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.reproved(ctx, tx, actor, provenPassword) })
	if err != nil {
		return fmt.Errorf("directory: unlock a session: %w", err)
	}
	return nil
}

// reproved writes within tx that the owner of actor's session has proven who
// they are by method: the session is open and fresh.
func (s *Service) reproved(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, method string) error {
	now := s.now()
	if err := updateProven(ctx, tx, actor.Session, now); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return errNoSession()
		}
		return err
	}
	tx.AfterCommit(func() { s.sessions.drop(actor.Account, actor.Session) })
	return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: "session.unlock", Outcome: audit.OK,
		Object: identity.ObjectRef{Kind: "session", ID: string(actor.Session)}, Detail: map[string]string{"method": method}})
}

// LocksAt is when a session locks if nobody works in it until then; not after
// now: it is locked. Zero: it never does. The error is errcode.Unauthenticated
// for a session that has ended.
func (s *Service) LocksAt(ctx context.Context, session identity.SessionID) (time.Time, error) {
	if s.cfg.IdleLock == 0 {
		return time.Time{}, nil
	}
	c := &cachedSession{id: session}
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		c.activeAt, c.idleGap, err = readActive(ctx, tx, session)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, errNoSession()
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("directory: session %s: %w", session, err)
	}
	if c.idleGap > s.cfg.IdleLock {
		return s.now(), nil
	}
	return s.lastActive(c).Add(s.cfg.IdleLock), nil
}

// administrative tells whether d lets an actor act by an administrative role,
// for which a shorter pause locks.
func administrative(d identity.Decision) bool { return d.Allowed && d.Reason == permission.ReasonRole }
