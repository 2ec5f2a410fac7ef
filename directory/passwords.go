package directory

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"

	"commsd/audit"
	"commsd/directory/password"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// credential is what a new password of an account is judged by.
type credential struct {
	account identity.AccountID
	login   string
	hash    string   // stored; empty: never had one
	second  bool     // a second factor is asked for too
	words   []string // what others know of the owner
}

// readCredential reads what a new password of an account is judged by.
func (s *Service) readCredential(ctx context.Context, id identity.AccountID) (credential, error) {
	c := credential{account: id}
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		h, err := readHolder(ctx, tx, id, s.now(), "")
		if err != nil {
			return err
		}
		acc, err := readAccount(ctx, tx, h.login)
		if err != nil {
			return err
		}
		offered, _, err := s.factors.Needs(ctx, tx, id)
		if err != nil {
			return err
		}
		c.login, c.hash, c.second = h.login, acc.hash, len(offered) > 0
		c.words, err = readPersonWords(ctx, tx, h, s.cfg.Domain)
		return err
	})
	if err != nil {
		return c, fmt.Errorf("directory: account %s: %w", id, err)
	}
	return c, nil
}

// judge answers errcode.Invalid with a *password.Refusal inside for a password
// that is not to be taken.
func (s *Service) judge(c credential, typed string) error {
	err := s.cfg.Policy.Check(typed, c.second, c.words)
	var refusal *password.Refusal
	if errors.As(err, &refusal) {
		return errcode.Wrap(refusal, errcode.Invalid, "%s", refusal.Error())
	}
	return err
}

func errSamePassword() error {
	r := &password.Refusal{Reason: password.ReasonSame}
	return errcode.Wrap(r, errcode.Invalid, "%s", r.Error())
}

// freshHash judges a new password and hashes it. It takes one hash, and one
// more where there is an old password to compare with.
func (s *Service) freshHash(ctx context.Context, c credential, typed string) (string, error) {
	if err := s.judge(c, typed); err != nil {
		return "", err
	}
	if c.hash != "" {
		stored, err := password.Parse(c.hash)
		if err != nil {
			return "", fmt.Errorf("directory: account %s: %w", c.account, err)
		}
		same, err := s.hasher.Verify(ctx, stored, typed)
		if err != nil {
			return "", err
		}
		if same {
			return "", errSamePassword()
		}
	}
	fresh, err := s.hasher.Hash(ctx, typed)
	return fresh.String(), err
}

// ChangePassword replaces actor's own password, which must be shown again, and
// ends all other sessions and the mail connections that were opened with it.
// Errors: those of AuthenticatePassword for the old one, errcode.Invalid for a
// new one that breaks the rules.
func (s *Service) ChangePassword(ctx context.Context, actor identity.Actor, current, fresh string) error {
	if actor.Session == "" {
		return errNoSession()
	}
	acc, err := s.checkPassword(ctx, actor.Login, current, actor.Address, "change_password")
	if err != nil {
		return err
	}
	if acc.id != actor.Account {
		return errWrongPassword()
	}
	c, err := s.readCredential(ctx, actor.Account)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(current), []byte(fresh)) == 1 {
		return errSamePassword()
	}
	c.hash = "" // the old one was just typed and compared
	hash, err := s.freshHash(ctx, c, fresh)
	if err != nil {
		return err
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.setPassword(ctx, tx, actor.Account, hash, actor.Session); err != nil {
			return err
		}
		if err := s.reproved(ctx, tx, actor, provenPassword); err != nil {
			return err
		}
		return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: "account.change_password", Outcome: audit.OK,
			Object: identity.ObjectRef{Kind: "account", ID: string(actor.Account)}})
	})
	if err != nil {
		return fmt.Errorf("directory: change a password: %w", err)
	}
	return nil
}

// setPassword stores a new password within tx and ends what the old one opened:
// all sessions but keep, sign-ins under way, a one-time code, and mail
// connections by password.
func (s *Service) setPassword(ctx context.Context, tx *sqldb.Tx, id identity.AccountID, hash string, keep identity.SessionID) error {
	if err := updatePassword(ctx, tx, id, hash, s.now()); err != nil {
		return err
	}
	if err := deleteTicketsOf(ctx, tx, id); err != nil {
		return err
	}
	if err := deleteCode(ctx, tx, id); err != nil {
		return err
	}
	if err := s.endSessions(ctx, tx, id, keep); err != nil {
		return err
	}
	return s.revoke(ctx, tx, id, identity.PasswordSession)
}

// changeByTicket sets the password that a sign-in asks for.
func (s *Service) changeByTicket(ctx context.Context, token, typed string, from origin) (SignedIn, error) {
	t, err := s.openTicket(ctx, token, stepChangePassword)
	if err != nil {
		return SignedIn{}, err
	}
	c, err := s.readCredential(ctx, t.account)
	if err != nil {
		return SignedIn{}, err
	}
	hash, err := s.freshHash(ctx, c, typed)
	if err != nil {
		return SignedIn{}, err
	}
	return s.advance(ctx, token, stepChangePassword, from, func(ctx context.Context, tx *sqldb.Tx, t *ticket) (string, error) {
		apps := false
		if slices.Contains(t.proven, provenCode) {
			var err error
			// The code was kept until now, so that whoever is cut off in
			// between can begin again; it ends here.
			if apps, err = readCodeEndsApps(ctx, tx, t.account, s.now()); err != nil {
				return "", err
			}
		}
		if err := s.setPassword(ctx, tx, t.account, hash, ""); err != nil {
			return "", err
		}
		if apps {
			if err := s.endAppPasswords(ctx, tx, t.account); err != nil {
				return "", err
			}
		}
		owner, err := agencyOfSignIn(ctx, tx, t.account, "", s.now())
		if err != nil {
			return "", err
		}
		return provenNewPassword, s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: identity.Actor{Account: t.account, Address: from.Address}, Owner: owner,
			Action: "account.change_password", Outcome: audit.OK, Object: identity.ObjectRef{Kind: "account", ID: string(t.account)}})
	})
}
