package directory

import (
	"context"
	"fmt"
	"strings"
	"time"

	"commsd/audit"
	"commsd/directory/permission"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// SessionEntry is one session in the list of an account's.
type SessionEntry struct {
	ID        identity.SessionID
	Address   string   // where it was opened
	UserAgent string   // by what
	Method    []string // how: password, totp, …
	CreatedAt time.Time
	LastSeen  time.Time // a minute exact
	ExpiresAt time.Time
	Locked    bool
}

// Sessions lists actor's own sessions, the newest first.
func (s *Service) Sessions(ctx context.Context, actor identity.Actor) ([]SessionEntry, error) {
	return s.sessionsOf(ctx, actor.Account)
}

func (s *Service) sessionsOf(ctx context.Context, account identity.AccountID) ([]SessionEntry, error) {
	var out []SessionEntry
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		out, err = s.readSessions(ctx, tx, account)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("directory: sessions: %w", err)
	}
	return out, nil
}

// EndSession ends one of actor's own sessions, here at once and on other nodes
// within seconds. errcode.NotFound where actor has no such session.
func (s *Service) EndSession(ctx context.Context, actor identity.Actor, id identity.SessionID) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		ended, err := deleteSessionOf(ctx, tx, actor.Account, id)
		if err != nil {
			return err
		}
		if !ended {
			return errcode.New(errcode.NotFound, "there is no such session; it may have ended already")
		}
		if err := s.revoke(ctx, tx, actor.Account, id); err != nil {
			return err
		}
		return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: "session.end", Outcome: audit.OK,
			Object: identity.ObjectRef{Kind: "session", ID: string(id)}})
	})
	if err != nil {
		return fmt.Errorf("directory: end a session: %w", err)
	}
	return nil
}

// EndOtherSessions ends all of actor's sessions but the one that actor came by.
func (s *Service) EndOtherSessions(ctx context.Context, actor identity.Actor) error {
	if actor.Session == "" {
		return errNoSession()
	}
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.endSessions(ctx, tx, actor.Account, actor.Session); err != nil {
			return err
		}
		return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: "session.end_others", Outcome: audit.OK,
			Object: identity.ObjectRef{Kind: "account", ID: string(actor.Account)}})
	})
	if err != nil {
		return fmt.Errorf("directory: end sessions: %w", err)
	}
	return nil
}

// EndSessionsOf ends all sessions and connections of a person's account, for an
// administrator above it. The account stays.
func (s *Service) EndSessionsOf(ctx context.Context, actor identity.Actor, person identity.PersonID) error {
	account, _, err := s.administer(ctx, actor, person, permission.AccountEndSessions)
	if err != nil {
		return err
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		o, err := s.administerStill(ctx, tx, actor, account, permission.AccountEndSessions)
		if err != nil {
			return err
		}
		if err := deleteSessionsOf(ctx, tx, account); err != nil {
			return err
		}
		if err := deleteTicketsOf(ctx, tx, account); err != nil {
			return err
		}
		if err := s.revoke(ctx, tx, account, ""); err != nil {
			return err
		}
		return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: permission.AccountEndSessions, Outcome: audit.OK,
			Object: o.ObjectRef, Owner: o.Agency})
	})
	if err != nil {
		return fmt.Errorf("directory: end the sessions of account %s: %w", account, err)
	}
	return nil
}

// endSessions ends all sessions of an account but keep (empty: none is kept)
// within tx.
func (s *Service) endSessions(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, keep identity.SessionID) error {
	all, err := s.readSessions(ctx, tx, account)
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.ID == keep {
			continue
		}
		if _, err := deleteSession(ctx, tx, e.ID); err != nil {
			return err
		}
		if err := s.revoke(ctx, tx, account, e.ID); err != nil {
			return err
		}
	}
	return nil
}

// readSessions lists the sessions of an account that have not expired.
func (s *Service) readSessions(ctx context.Context, tx *sqldb.Tx, account identity.AccountID) ([]SessionEntry, error) {
	now := s.now()
	rows, err := tx.Query(ctx, `SELECT id, address, user_agent, method, created_at, last_seen_at, expires_at, active_at, idle_gap
		FROM directory_sessions WHERE account_id = $1 AND expires_at > $2 ORDER BY id DESC`, string(account), now.UnixMicro())
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []SessionEntry
	for rows.Next() {
		var e SessionEntry
		var method string
		var created, seen, expires, active, gap int64
		if err := rows.Scan(&e.ID, &e.Address, &e.UserAgent, &method, &created, &seen, &expires, &active, &gap); err != nil {
			return nil, err
		}
		e.Method, e.CreatedAt, e.LastSeen, e.ExpiresAt = strings.Fields(method), timeOf(created), timeOf(seen), timeOf(expires)
		e.Locked, _ = s.locks(&cachedSession{id: e.ID, activeAt: time.UnixMicro(active), idleGap: time.Duration(gap) * time.Microsecond}, now)
		out = append(out, e)
	}
	return out, rows.Err()
}

// deleteSessionOf tells whether account had that session.
func deleteSessionOf(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, id identity.SessionID) (bool, error) {
	res, err := tx.Exec(ctx, `DELETE FROM directory_sessions WHERE id = $1 AND account_id = $2`, string(id), string(account))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}
