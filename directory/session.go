package directory

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

const (
	tokenBytes  = 32 // 256 bits
	maxAgent    = 256
	seenMinimum = time.Minute // between two writes of a session's last use
	keepExpired = 24 * time.Hour
)

// What a refused request is told; the same for a token that never was, has
// ended or has expired.
func errNoSession() error {
	return errcode.New(errcode.Unauthenticated, "the session has ended; sign in again")
}

// Session is what a signed-in person's page needs to know first.
type Session struct {
	ID        identity.SessionID
	Person    identity.Person
	Positions []Position // valid now, the main one first, then those that are lent
	Grants    []identity.Grant
	ExpiresAt time.Time
	Locked    bool // idle for too long; UnlockSession opens it again
}

// SignInRequest is one attempt to sign in at a page.
type SignInRequest struct {
	Login     string
	Password  string // bytes as typed
	Address   string // remote IP address
	UserAgent string
	OldToken  string // session token that came with the request; its session ends
}

// SignIn checks a password, and opens a session unless the account asks for
// more: then it answers a ticket for SignInNext. Errors are those of
// AuthenticatePassword.
func (s *Service) SignIn(ctx context.Context, rq SignInRequest) (SignedIn, error) {
	acc, err := s.checkPassword(ctx, rq.Login, rq.Password, rq.Address, "web")
	if err != nil {
		return SignedIn{}, err
	}
	var in SignedIn
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		in, err = s.begin(ctx, tx, acc.id, []string{provenPassword}, origin{rq.Address, rq.UserAgent, rq.OldToken})
		return err
	})
	if err != nil {
		return SignedIn{}, fmt.Errorf("directory: sign in: %w", err)
	}
	return in, nil
}

// newToken returns a secret of 256 bits and what is stored of it.
func (s *Service) newToken() (string, tokenHash, error) {
	secret := make([]byte, tokenBytes)
	if _, err := io.ReadFull(s.cfg.Rand, secret); err != nil {
		return "", tokenHash{}, fmt.Errorf("directory: token: %w", err)
	}
	token := base64.RawURLEncoding.EncodeToString(secret)
	return token, sha256.Sum256([]byte(token)), nil
}

// openSession ends the session that the request came with and opens one for h,
// who has proven enough. The token is always new: one that a request brought is
// never taken over.
func (s *Service) openSession(ctx context.Context, tx *sqldb.Tx, h holder, proven []string, from origin) (SignedIn, error) {
	token, hash, err := s.newToken()
	if err != nil {
		return SignedIn{}, err
	}
	id, err := newID()
	if err != nil {
		return SignedIn{}, err
	}
	if old, ok := hashToken(from.OldToken); ok {
		if err := s.endByToken(ctx, tx, old); err != nil {
			return SignedIn{}, err
		}
	}
	now, method := s.now(), strings.Join(proven, " ")
	session := Session{ID: identity.SessionID(id), Positions: h.all(), Grants: h.grants, ExpiresAt: now.Add(s.cfg.SessionLifetime)}
	if err := insertSession(ctx, tx, session, h.account, hash, now, from.Address, clip(from.UserAgent, maxAgent), method); err != nil {
		return SignedIn{}, err
	}
	if session.Person, err = readSelf(ctx, tx, h.person, now); err != nil {
		return SignedIn{}, err
	}
	err = s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: h.actor(h.main(), session.ID, from.Address), Action: "session.create",
		Object: identity.ObjectRef{Kind: "session", ID: id}, Outcome: audit.OK, Detail: map[string]string{"scope": "web", "method": method}})
	return SignedIn{Token: token, Session: session}, err
}

// AuthenticateSession finds who a session token belongs to, acting in the given
// position, or in the main one when position is empty. The error is
// errcode.Unauthenticated for a token that is unknown, ended or expired, and
// errcode.Forbidden for a position that the person does not hold now.
func (s *Service) AuthenticateSession(ctx context.Context, token string, position identity.PositionID, address string) (identity.Actor, error) {
	hash, ok := hashToken(token)
	if !ok {
		return identity.Actor{}, errNoSession()
	}
	now := s.now()
	c, generation := s.sessions.get(hash, now)
	var locked, lockedAdmin bool
	if c != nil {
		s.metrics.cacheHits.Inc()
		locked, lockedAdmin = s.locks(c, now)
		if locked || lockedAdmin && len(c.holder.grants) > 0 {
			c = nil // another node may know that it was unlocked or worked in
		}
	} else {
		s.metrics.cacheMiss.Inc()
	}
	if c == nil {
		err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			var err error
			c, err = readSession(ctx, tx, hash, now)
			return err
		})
		if errors.Is(err, sql.ErrNoRows) {
			return identity.Actor{}, errNoSession()
		}
		if err != nil {
			return identity.Actor{}, fmt.Errorf("directory: read a session: %w", err)
		}
		s.sessions.put(hash, c, generation)
		locked, lockedAdmin = s.locks(c, now)
	}
	p := c.holder.main()
	if position != "" {
		if p, ok = c.holder.position(position, now); !ok {
			return identity.Actor{}, errcode.New(errcode.Forbidden, "you do not hold this position now; choose another")
		}
	}
	s.noteSeen(c, now)
	actor := c.holder.actor(p, c.id, address)
	actor.Until, actor.ProvenAt, actor.ActiveAt = c.expiresAt, c.provenAt, s.lastActive(c)
	actor.Locked, actor.LockedAdmin = locked, lockedAdmin
	if p.Delegation != "" && p.lentUntil.Before(actor.Until) {
		actor.Until = p.lentUntil // what hangs on the position ends with the delegation
	}
	return actor, nil
}

// CurrentSession describes the session that actor came by.
func (s *Service) CurrentSession(ctx context.Context, actor identity.Actor) (Session, error) {
	var out Session
	now := s.now()
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		h, err := readHolder(ctx, tx, actor.Account, now, "")
		if err != nil {
			return err
		}
		expires, err := readSessionExpiry(ctx, tx, actor.Session, now)
		if err != nil {
			return err
		}
		person, err := readSelf(ctx, tx, h.person, now)
		if err != nil {
			return err
		}
		out = Session{ID: actor.Session, Person: person, Positions: h.all(), Grants: h.grants, ExpiresAt: expires, Locked: actor.Locked}
		return nil
	})
	if errors.Is(err, sql.ErrNoRows) {
		return Session{}, errNoSession()
	}
	if err != nil {
		return Session{}, fmt.Errorf("directory: describe a session: %w", err)
	}
	return out, nil
}

// SignOut ends the session that actor came by, here at once and on other nodes
// within seconds. One that has ended already is no error.
func (s *Service) SignOut(ctx context.Context, actor identity.Actor) error {
	if actor.Session == "" {
		return errNoSession()
	}
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		ended, err := deleteSession(ctx, tx, actor.Session)
		if err != nil || !ended {
			return err
		}
		if err := s.revoke(ctx, tx, actor.Account, actor.Session); err != nil {
			return err
		}
		return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: "session.end",
			Object: identity.ObjectRef{Kind: "session", ID: string(actor.Session)}, Outcome: audit.OK})
	})
	if err != nil {
		return fmt.Errorf("directory: end a session: %w", err)
	}
	return nil
}

// endByToken ends the session of a token, if there is one.
func (s *Service) endByToken(ctx context.Context, tx *sqldb.Tx, token tokenHash) error {
	account, session, err := sessionOfToken(ctx, tx, token)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := deleteSession(ctx, tx, session); err != nil {
		return err
	}
	return s.revoke(ctx, tx, account, session)
}

func (s *Service) noteSeen(c *cachedSession, now time.Time) {
	if now.Sub(c.lastSeen) < seenMinimum {
		return
	}
	s.seenMu.Lock()
	defer s.seenMu.Unlock()
	s.seen[string(c.id)] = now
}

// flushSeen writes when sessions were last used. What cannot be written is
// dropped: the next use notes it again.
func (s *Service) flushSeen(ctx context.Context) {
	s.seenMu.Lock()
	seen := s.seen
	s.seen = map[string]time.Time{}
	s.seenMu.Unlock()
	if len(seen) == 0 {
		return
	}
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return updateSeen(ctx, tx, seen, seenMinimum)
	})
	if err != nil {
		s.log.WarnContext(ctx, "directory: could not write when sessions were last used", "err", err)
	}
}

// sweepSessions removes sessions that expired a while ago, which let nobody in
// since, and revocations that every node has followed or need not.
func (s *Service) sweepSessions(ctx context.Context) {
	before := s.now().Add(-keepExpired)
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := deleteExpired(ctx, tx, before); err != nil {
			return err
		}
		if err := deleteRevocations(ctx, tx, s.now().Add(-keepRevocations)); err != nil {
			return err
		}
		return deleteExpiredTickets(ctx, tx, s.now())
	})
	if err != nil {
		s.log.WarnContext(ctx, "directory: could not remove expired sessions", "err", err)
	}
}

// hashToken returns what is stored of a token, and false for what cannot be one.
func hashToken(token string) (tokenHash, bool) {
	if len(token) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return tokenHash{}, false
	}
	return sha256.Sum256([]byte(token)), true
}

// clip makes foreign text fit to be stored.
func clip(s string, length int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
	if len(s) > length {
		s = strings.ToValidUTF8(s[:length], "")
	}
	return s
}
