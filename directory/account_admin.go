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

// AccountState is what an administrator sees of an account; never a secret.
type AccountState struct {
	ID                identity.AccountID
	Login             string
	CreatedAt         time.Time
	DisabledAt        time.Time // zero: not disabled
	HasPassword       bool
	PasswordChangedAt time.Time
	MustChange        bool
	Factors           []string  // steps that it proves itself by beside the password
	CodeUntil         time.Time // a one-time code is out until then; zero: none
	AppPasswords      int
	OutsideAddress    string // half hidden; empty: none is verified
	Sessions          []SessionEntry
}

// administer is permit on a person's account by an administrator who must be
// fresh, with the account's id. An actor without any role learns nothing about
// accounts.
func (s *Service) administer(ctx context.Context, actor identity.Actor, person identity.PersonID, action identity.Action) (identity.AccountID, identity.Object, error) {
	id, o, err := s.permitOnAccount(ctx, actor, person, action)
	if err != nil {
		return "", o, err
	}
	return id, o, s.requireFresh(ctx, actor)
}

func (s *Service) permitOnAccount(ctx context.Context, actor identity.Actor, person identity.PersonID, action identity.Action) (identity.AccountID, identity.Object, error) {
	o := identity.Object{ObjectRef: identity.ObjectRef{Kind: "account"}}
	var id identity.AccountID
	if len(actor.Grants) > 0 {
		err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			var err error
			id, err = accountOfPerson(ctx, tx, person)
			return err
		})
		if err != nil {
			return "", o, fmt.Errorf("directory: account of person %s: %w", person, err)
		}
		if o, err = s.accountObject(ctx, actor, id); err != nil {
			return "", o, fmt.Errorf("directory: account %s: %w", id, err)
		}
	}
	return id, o, s.permit(ctx, actor, action, o)
}

// administerStill locks an account that actor may do action to, and reads in the
// transaction of the act whether that is so yet: whose owner has been given a
// role since, or moved, is out of reach.
func (s *Service) administerStill(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, id identity.AccountID, action identity.Action) (identity.Object, error) {
	if err := lockAccount(ctx, tx, id); err != nil {
		return identity.Object{}, err
	}
	o, err := readAccountObject(ctx, tx, id, s.now())
	if err != nil {
		return o, err
	}
	if actor.Account == id {
		o.Relations = []identity.Relation{identity.RelationSelf}
	}
	if d := s.Check(actor, action, o); !d.Allowed {
		return o, refusal(d.Reason)
	}
	return o, nil
}

// PersonAccount describes a person's account to an administrator above it.
func (s *Service) PersonAccount(ctx context.Context, actor identity.Actor, person identity.PersonID) (AccountState, error) {
	id, _, err := s.permitOnAccount(ctx, actor, person, permission.AccountRead)
	if err != nil {
		return AccountState{}, err
	}
	return s.accountState(ctx, id)
}

func (s *Service) accountState(ctx context.Context, id identity.AccountID) (AccountState, error) {
	a := AccountState{ID: id}
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var created, disabled, changed, code int64
		err := tx.QueryRow(ctx, `SELECT a.login, a.created_at, COALESCE(a.disabled_at, 0), a.password_hash <> '', a.password_changed_at, a.must_change,
				COALESCE((SELECT c.expires_at FROM directory_one_time_codes c WHERE c.account_id = a.id AND c.expires_at > $2), 0)
			FROM directory_accounts a WHERE a.id = $1`, string(id), s.now().UnixMicro()).
			Scan(&a.Login, &created, &disabled, &a.HasPassword, &changed, &a.MustChange, &code)
		if err != nil {
			return err
		}
		a.CreatedAt, a.DisabledAt, a.PasswordChangedAt, a.CodeUntil = timeOf(created), timeOf(disabled), timeOf(changed), timeOf(code)
		if a.AppPasswords, err = countAppPasswords(ctx, tx, id); err != nil {
			return err
		}
		if a.Factors, _, err = s.factors.Needs(ctx, tx, id); err != nil {
			return err
		}
		row, err := readOutside(ctx, tx, id)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if row.address != "" {
			a.OutsideAddress = halfHidden(row.address)
		}
		a.Sessions, err = s.readSessions(ctx, tx, id)
		return err
	})
	if err != nil {
		return AccountState{}, fmt.Errorf("directory: account %s: %w", id, err)
	}
	return a, nil
}

// CreateAccount makes an account without a password for a person who has none,
// with the person's main address as its login; a one-time code lets them in. The
// actor must be fresh.
func (s *Service) CreateAccount(ctx context.Context, actor identity.Actor, person identity.PersonID) (AccountState, error) {
	o := identity.Object{ObjectRef: identity.ObjectRef{Kind: "person", ID: string(person)}}
	if len(actor.Grants) > 0 {
		err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			var err error
			o, err = personObject(ctx, tx, person, s.now())
			return err
		})
		if err != nil {
			return AccountState{}, fmt.Errorf("directory: person %s: %w", person, err)
		}
	}
	if err := s.permit(ctx, actor, permission.AccountCreate, o); err != nil {
		return AccountState{}, err
	}
	if err := s.requireFresh(ctx, actor); err != nil {
		return AccountState{}, err
	}
	var id identity.AccountID
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		at, err := personObject(ctx, tx, person, s.now())
		if err != nil {
			return err
		}
		if d := s.Check(actor, permission.AccountCreate, at); !d.Allowed {
			return refusal(d.Reason)
		}
		var login string
		err = tx.QueryRow(ctx, `SELECT address FROM directory_addresses WHERE person_id = $1 AND kind = 'main'`, string(person)).Scan(&login)
		if errors.Is(err, sql.ErrNoRows) {
			return errcode.New(errcode.Invalid, "this person has no mail address to sign in with; give them one first").Because("no_address")
		}
		if err != nil {
			return err
		}
		if _, err := accountOfPerson(ctx, tx, person); errcode.Of(err) != errcode.NotFound {
			if err == nil {
				err = errcode.New(errcode.Conflict, "this person has an account already").Because("account_exists")
			}
			return err
		}
		if err := insertAccount(ctx, tx, person, login, "", s.now()); err != nil {
			return err
		}
		if id, err = accountOfPerson(ctx, tx, person); err != nil {
			return err
		}
		return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: permission.AccountCreate, Outcome: audit.OK,
			Object: identity.ObjectRef{Kind: "account", ID: string(id)}, Owner: at.Agency, Detail: map[string]string{"login": login}})
	})
	if err != nil {
		return AccountState{}, fmt.Errorf("directory: make an account: %w", err)
	}
	return s.accountState(ctx, id)
}

// EnablePerson lets a disabled account sign in again. Its sessions do not come
// back. Doing it twice is no error.
func (s *Service) EnablePerson(ctx context.Context, actor identity.Actor, person identity.PersonID, reason string) error {
	id, _, err := s.administer(ctx, actor, person, permission.AccountEnable)
	if err != nil {
		return err
	}
	return s.change(ctx, actor, permission.AccountEnable, id, map[string]string{"reason": clip(reason, 500)}, func(ctx context.Context, tx *sqldb.Tx) error {
		return one(tx.Exec(ctx, `UPDATE directory_accounts SET disabled_at = NULL WHERE id = $1 AND disabled_at IS NOT NULL`, string(id)))
	})
}

// RequireNewPassword has a person choose a new password at the next sign-in.
func (s *Service) RequireNewPassword(ctx context.Context, actor identity.Actor, person identity.PersonID) error {
	id, _, err := s.administer(ctx, actor, person, permission.AccountReset)
	if err != nil {
		return err
	}
	return s.change(ctx, actor, permission.AccountReset, id, map[string]string{"must_change": "true"}, func(ctx context.Context, tx *sqldb.Tx) error {
		return one(tx.Exec(ctx, `UPDATE directory_accounts SET must_change = TRUE WHERE id = $1 AND NOT must_change`, string(id)))
	})
}

// ResetFactors takes a person's second factors away, who lost them. Sessions
// stay; what signs in next asks for the password alone.
func (s *Service) ResetFactors(ctx context.Context, actor identity.Actor, person identity.PersonID) error {
	id, _, err := s.administer(ctx, actor, person, permission.AccountReset)
	if err != nil {
		return err
	}
	return s.change(ctx, actor, permission.AccountReset, id, map[string]string{"factors": "removed"}, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := deleteTicketsOf(ctx, tx, id); err != nil {
			return err
		}
		return s.factors.Reset(ctx, tx, id)
	})
}

// change runs fn on an account and audits it in one transaction; sql.ErrNoRows
// from fn means that there was nothing to change.
func (s *Service) change(ctx context.Context, actor identity.Actor, action identity.Action, id identity.AccountID, detail map[string]string,
	fn func(context.Context, *sqldb.Tx) error,
) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		o, err := s.administerStill(ctx, tx, actor, id, action)
		if err != nil {
			return err
		}
		if err := fn(ctx, tx); err != nil {
			return err
		}
		return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: action, Outcome: audit.OK, Object: o.ObjectRef, Owner: o.Agency, Detail: detail})
	})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("directory: %s on account %s: %w", action, id, err)
	}
	return nil
}
