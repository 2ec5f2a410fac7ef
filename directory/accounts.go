package directory

import (
	"context"
	"fmt"
	"slices"

	"commsd/audit"
	"commsd/directory/permission"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// Check decides whether actor may do action to o, and why. It looks nothing up;
// whoever asks brings the relations.
func (s *Service) Check(actor identity.Actor, action identity.Action, o identity.Object) identity.Decision {
	return permission.Check(actor, action, o)
}

// permit is Check that records a refusal, in a transaction of its own, and
// answers it as errcode.Forbidden. It is called outside of transactions.
func (s *Service) permit(ctx context.Context, actor identity.Actor, action identity.Action, o identity.Object) error {
	d := s.Check(actor, action, o)
	if d.Allowed {
		if actor.LockedAdmin && administrative(d) {
			return errLocked()
		}
		return nil
	}
	s.log.InfoContext(ctx, "directory: refused", "account", actor.Account, "action", action, "kind", o.Kind, "object", o.ID, "reason", d.Reason)
	err := s.cfg.Audit.Refused(ctx, s.db, audit.Event{Actor: actor, Action: action, Object: o.ObjectRef, Owner: o.Agency}, d.Reason)
	if err != nil {
		return fmt.Errorf("directory: record a refusal: %w", err)
	}
	return refusal(d.Reason)
}

// NoteRefusal records that actor may not act in a part of the API in the
// position that was chosen.
func (s *Service) NoteRefusal(ctx context.Context, actor identity.Actor, part, reason string) error {
	return s.cfg.Audit.Refused(ctx, s.db, audit.Event{Actor: actor, Action: "position.act", Object: identity.ObjectRef{Kind: "api", ID: part}}, reason)
}

func refusal(reason string) error {
	switch reason {
	case permission.ReasonNotOwn:
		return errcode.New(errcode.Forbidden, "you cannot do this to your own account; ask another administrator").Because("own_account")
	case permission.ReasonAbove:
		return errcode.New(errcode.Forbidden, "this account holds more than you do; ask an administrator above both").Because("account_above")
	case permission.ReasonOutside:
		return errcode.New(errcode.Forbidden, "your administration does not reach here; ask the administrator of that agency").Because("out_of_reach")
	case permission.ReasonClearance:
		return errcode.New(errcode.Forbidden, "this is classified above what your position is cleared for")
	case permission.ReasonFrozen, permission.ReasonHeld:
		return errcode.New(errcode.Forbidden, "this is closed or held and cannot be changed")
	case permission.ReasonNotDelegated:
		return errcode.New(errcode.Forbidden, "the position that you act in was not lent for this; choose your own position")
	default:
		return errcode.New(errcode.Forbidden, "only an administrator may do this; ask yours")
	}
}

// accountObject is what permit needs of an account.
func (s *Service) accountObject(ctx context.Context, actor identity.Actor, id identity.AccountID) (identity.Object, error) {
	var o identity.Object
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		o, err = readAccountObject(ctx, tx, id, s.now())
		return err
	})
	if err != nil {
		return o, err
	}
	if actor.Account == id {
		o.Relations = []identity.Relation{identity.RelationSelf}
	}
	return o, nil
}

// DisablePerson is DisableAccount for the account of a person; errcode.NotFound
// when there is none.
func (s *Service) DisablePerson(ctx context.Context, actor identity.Actor, id identity.PersonID, reason string) error {
	var account identity.AccountID
	if len(actor.Grants) > 0 { // anybody else learns nothing about accounts
		err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			var err error
			account, err = accountOfPerson(ctx, tx, id)
			return err
		})
		if err != nil {
			return fmt.Errorf("directory: account of person %s: %w", id, err)
		}
	}
	return s.DisableAccount(ctx, actor, account, reason)
}

// DisableAccount ends all of an account's sessions and connections, everywhere
// within seconds, and lets it sign in no more. An administrator above the
// account may, and not to the own one. Disabling twice is no error.
func (s *Service) DisableAccount(ctx context.Context, actor identity.Actor, id identity.AccountID, reason string) error {
	o := identity.Object{ObjectRef: identity.ObjectRef{Kind: "account", ID: string(id)}}
	if len(actor.Grants) > 0 {
		var err error
		if o, err = s.accountObject(ctx, actor, id); err != nil {
			return fmt.Errorf("directory: disable account %s: %w", id, err)
		}
	}
	if err := s.permit(ctx, actor, permission.AccountDisable, o); err != nil {
		return err
	}
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		o, err := s.administerStill(ctx, tx, actor, id, permission.AccountDisable)
		if err != nil {
			return err
		}
		changed, err := s.disable(ctx, tx, id)
		if err != nil || !changed {
			return err
		}
		return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: permission.AccountDisable, Outcome: audit.OK,
			Object: o.ObjectRef, Owner: o.Agency, Detail: map[string]string{"reason": clip(reason, 500)}})
	})
	if err != nil {
		return fmt.Errorf("directory: disable account %s: %w", id, err)
	}
	return nil
}

// disable ends within tx all that an account has open, and what it lends. It
// tells whether it changed anything; errcode.Conflict for the last system
// administrator.
func (s *Service) disable(ctx context.Context, tx *sqldb.Tx, id identity.AccountID) (bool, error) {
	changed, err := disableAccount(ctx, tx, id, s.now())
	if err != nil || !changed {
		return false, err
	}
	if err := deleteSessionsOf(ctx, tx, id); err != nil {
		return false, err
	}
	if err := s.revoke(ctx, tx, id, ""); err != nil {
		return false, err
	}
	held, err := readGrants(ctx, tx, id)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(held, func(g identity.Grant) bool { return g.Role == identity.RoleSystemAdmin }) {
		if err := keepSystemAdmin(ctx, tx, id); err != nil {
			return false, err
		}
	}
	owner, err := personOfAccount(ctx, tx, id)
	if err != nil {
		return false, err
	}
	return true, s.tellTakers(ctx, tx, owner)
}
