package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"

	"commsd/audit"
	"commsd/directory/password"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/fold"
	"commsd/internal/sqldb"
)

// One answer for an account that is unknown or disabled and for a password
// that is wrong.
func errWrongPassword() error {
	return errcode.New(errcode.Unauthenticated, "the account or the password is wrong")
}

func errLimited(wait time.Duration) error {
	return errcode.New(errcode.RateLimited,
		"too many failed attempts from here; try again in %d seconds", int(math.Ceil(wait.Seconds()))).After(wait)
}

// AuthenticatePassword checks a login and its password for a protocol without
// sessions; scope names it ("smtp", "imap", one of AppScopes). An app password
// of that scope lets in; the account's own password does only where nothing
// else is asked for at a page. The actor acts in the main position. The error is
// errcode.Unauthenticated when the pair is wrong, errcode.RateLimited when this
// address failed too often on this account, or too many sign in at once: trying
// again later is right.
func (s *Service) AuthenticatePassword(ctx context.Context, login, password, address, scope string) (identity.Actor, error) {
	app, ok, err := s.tryAppPassword(ctx, normalAddress(clip(login, 320)), password, scope)
	if err != nil {
		return identity.Actor{}, err
	}
	id, session := app.account, appSession(app.id)
	if !ok {
		acc, err := s.checkPassword(ctx, login, password, address, scope)
		if err != nil {
			return identity.Actor{}, err
		}
		id, session = acc.id, identity.PasswordSession
	} else {
		s.metrics.signIns.WithLabelValues(scope, "ok").Inc()
	}
	var actor identity.Actor
	refused := "" // why the right password opens nothing here
	now := s.now()
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		refused = ""
		h, err := readHolder(ctx, tx, id, now, "")
		if err != nil {
			return err
		}
		if h.disabled {
			return errWrongPassword()
		}
		if refused, err = s.refusesPrograms(ctx, tx, h, ok); err != nil {
			return err
		}
		if ok && refused == "" && now.Sub(app.lastUsed) >= usedMinimum {
			if err := updateAppUsed(ctx, tx, app.id, now); err != nil {
				return err
			}
		}
		actor = h.actor(h.main(), session, address)
		event := audit.Event{Actor: actor, Action: "account.sign_in", Object: identity.ObjectRef{Kind: "account", ID: string(id)},
			Outcome: audit.OK, Detail: map[string]string{"scope": scope}}
		if ok {
			event.Detail["app_password"] = app.id
		}
		if refused != "" {
			// The words are those of a wrong password: whoever guesses here
			// must not learn that the password is right.
			event.Outcome, event.Detail["reason"] = audit.Denied, refused
		}
		return s.cfg.Audit.Record(ctx, tx, event)
	})
	if errors.Is(err, sql.ErrNoRows) || err == nil && refused != "" {
		return identity.Actor{}, errWrongPassword() // the app password was ended meanwhile
	}
	if err != nil {
		return identity.Actor{}, fmt.Errorf("directory: sign in: %w", err)
	}
	return actor, nil
}

// AuthenticateAgain returns the actor of AuthenticatePassword as it is now, for a
// connection that stays: in the main position of today, with the roles of today.
// errcode.Unauthenticated when what it signed in by lets in to scope no more.
func (s *Service) AuthenticateAgain(ctx context.Context, actor identity.Actor, scope string) (identity.Actor, error) {
	app, ok := strings.CutPrefix(string(actor.Session), appSessionPrefix)
	now := s.now()
	var again identity.Actor
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		h, err := readHolder(ctx, tx, actor.Account, now, "")
		if err != nil {
			return err
		}
		refused, err := s.refusesPrograms(ctx, tx, h, ok)
		if err != nil {
			return err
		}
		good := true
		if ok {
			if good, err = appPasswordHolds(ctx, tx, actor.Account, app, scope, now); err != nil {
				return err
			}
		}
		if h.disabled || refused != "" || !good {
			return errNoSession()
		}
		again = h.actor(h.main(), actor.Session, actor.Address)
		return nil
	})
	if errors.Is(err, sql.ErrNoRows) {
		return identity.Actor{}, errNoSession()
	}
	if err != nil {
		return identity.Actor{}, fmt.Errorf("directory: sign in again: %w", err)
	}
	return again, nil
}

// refusesPrograms tells why h may not sign in to a protocol without sessions by
// what was right; empty: it may. An agency may forbid it altogether. Where a
// second factor is asked for, or a new password must be chosen first, the
// account's own password alone would go around that: app is true for an app
// password.
func (s *Service) refusesPrograms(ctx context.Context, tx *sqldb.Tx, h holder, app bool) (string, error) {
	policy, err := signInPolicy(ctx, tx, h.main().Agency)
	if err != nil {
		return "", err
	}
	if !policy.AppPasswords {
		return "programs_forbidden", nil
	}
	if app {
		return "", nil
	}
	offered, enroll, err := s.factors.Needs(ctx, tx, h.account)
	if len(offered) > 0 || enroll || h.mustChange {
		return "app_password_needed", err
	}
	return "", err
}

// account is what a password is checked against.
type account struct {
	id       identity.AccountID
	person   identity.PersonID
	hash     string
	disabled bool
}

// checkPassword does the same work, one hash and one audited failure, whether
// the account is unknown, disabled, or the password wrong.
func (s *Service) checkPassword(ctx context.Context, login, password, address, scope string) (account, error) {
	login = normalAddress(clip(login, 320))
	if wait := s.throttle.admit(login, address); wait > 0 {
		s.metrics.signIns.WithLabelValues(scope, "limited").Inc()
		s.log.WarnContext(ctx, "directory: sign-in limited", "address", address, "scope", scope)
		return account{}, errLimited(wait)
	}
	acc, ok, err := s.tryPassword(ctx, login, password)
	if err != nil {
		s.throttle.cancel(login, address)
		return account{}, fmt.Errorf("directory: check a password: %w", err)
	}
	if !ok {
		s.metrics.signIns.WithLabelValues(scope, "failed").Inc()
		if err := s.recordFailure(ctx, acc, login, address, scope); err != nil {
			return account{}, fmt.Errorf("directory: record a failed sign-in: %w", err)
		}
		return account{}, errWrongPassword()
	}
	s.throttle.succeed(login, address)
	s.metrics.signIns.WithLabelValues(scope, "ok").Inc()
	return acc, nil
}

// tryPassword answers false, and the account if there is one, when the pair is
// wrong.
func (s *Service) tryPassword(ctx context.Context, login, typed string) (account, bool, error) {
	var acc account
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		acc, err = readAccount(ctx, tx, login)
		return err
	})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return account{}, false, err
	}
	stored, known := s.hasher.Dummy(), err == nil && !acc.disabled && acc.hash != "" && len(typed) <= password.MaxBytes
	if known {
		if stored, err = password.Parse(acc.hash); err != nil {
			return account{}, false, fmt.Errorf("account %s: %w", acc.id, err)
		}
	}
	if len(typed) > password.MaxBytes {
		typed = typed[:password.MaxBytes]
	}
	ok, err := s.hasher.Verify(ctx, stored, typed)
	if err != nil || !ok || !known {
		return acc, false, err
	}
	if s.hasher.Stale(stored) {
		s.rehash(ctx, acc, typed)
	}
	return acc, true, nil
}

// rehash stores the password at today's cost, now that it is known. A failure
// is no reason to turn the person away.
func (s *Service) rehash(ctx context.Context, acc account, typed string) {
	fresh, err := s.hasher.Hash(ctx, typed)
	if err == nil {
		err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			return updatePasswordHash(ctx, tx, acc.id, acc.hash, fresh.String())
		})
	}
	if err != nil {
		s.log.WarnContext(ctx, "directory: could not store a password hash at today's cost", "account", acc.id, "err", err)
	}
}

func (s *Service) recordFailure(ctx context.Context, acc account, login, address, scope string) error {
	detail := map[string]string{"scope": scope}
	// What is no address of ours may be a password in the wrong field.
	if at := strings.LastIndexByte(login, '@'); at > 0 {
		local, err := s.IsLocalDomain(ctx, login[at+1:])
		if err != nil {
			return err
		}
		if local {
			detail["login"] = strings.Map(func(r rune) rune {
				if fold.Hidden(r) {
					return unicode.ReplacementChar // auditors read what stands there
				}
				return r
			}, login)
		}
	}
	return s.recordFailed(ctx, acc.id, login, address, detail)
}

// recordFailed records that nobody came in at account (empty: there is none
// that login names), for the auditors of its agency. login may be left out where
// there is an account.
func (s *Service) recordFailed(ctx context.Context, account identity.AccountID, login, address string, detail map[string]string) error {
	return s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		owner, err := agencyOfSignIn(ctx, tx, account, login, s.now())
		if err != nil {
			return err
		}
		return s.cfg.Audit.Record(ctx, tx, audit.Event{
			Actor:   identity.Actor{Address: address},
			Action:  "account.sign_in",
			Object:  identity.ObjectRef{Kind: "account", ID: string(account)},
			Owner:   owner,
			Outcome: audit.Failed, Detail: detail,
		})
	})
}

// MayActIn tells whether account may act in a position now: it is one of its own
// or lent to it, and the account is not disabled. The database is asked, not the
// cache.
func (s *Service) MayActIn(ctx context.Context, account identity.AccountID, position identity.PositionID) (bool, error) {
	var may bool
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		now := s.now()
		h, err := readHolder(ctx, tx, account, now, "")
		if err != nil {
			return err
		}
		_, may = h.position(position, now)
		may = may && !h.disabled
		return nil
	})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, fmt.Errorf("directory: position %s: %w", position, err)
	}
	return may, nil
}

// SessionActive tells whether a session of account still stands: it has neither
// ended nor expired, and the account is not disabled. The database is asked, not
// the cache.
func (s *Service) SessionActive(ctx context.Context, account identity.AccountID, session identity.SessionID) (bool, error) {
	var active bool
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		active, err = readSessionActive(ctx, tx, account, session, s.now())
		return err
	})
	if err != nil {
		return false, fmt.Errorf("directory: session %s: %w", session, err)
	}
	return active, nil
}
