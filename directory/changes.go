package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/fold"
	"commsd/internal/sqldb"
)

// CommandLine is the actor of commands that work on the database directly.
// Whoever may read the database's secrets is above every administrator; what
// they do is audited as done by no account, with scope=command.
func CommandLine() identity.Actor {
	return identity.Actor{Name: identity.CommandLine, Grants: []identity.Grant{{Role: identity.RoleSystemAdmin}}}
}

// deed is one administrative act.
type deed struct {
	action identity.Action
	// objects reads what the act is permitted on; the first is what the log
	// names. It runs twice: for the permission, and again in the transaction of
	// the act, so that what has moved meanwhile is not changed by yesterday's
	// right.
	objects func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error)
	// do changes it. What it returns goes into the log.
	do   func(ctx context.Context, tx *sqldb.Tx) (detail map[string]string, err error)
	made *string // id of what do makes; nil: it was there before
}

// act checks the permission of d, does it, and records it in the transaction
// of what it did. A refusal is recorded too.
func (s *Service) act(ctx context.Context, actor identity.Actor, d deed) error {
	var objects []identity.Object
	read := func(ctx context.Context, tx *sqldb.Tx) (err error) {
		objects, err = d.objects(ctx, tx)
		return err
	}
	if err := s.db.Read(ctx, read); err != nil {
		return fmt.Errorf("directory: %s: %w", d.action, err)
	}
	for _, o := range objects {
		if err := s.permit(ctx, actor, d.action, o); err != nil {
			return err
		}
	}
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := read(ctx, tx); err != nil {
			return err
		}
		for _, o := range objects {
			if again := s.Check(actor, d.action, o); !again.Allowed {
				return refusal(again.Reason)
			}
		}
		detail, err := d.do(ctx, tx)
		if err != nil {
			return err
		}
		ref := objects[0].ObjectRef
		if d.made != nil {
			ref.ID = *d.made
		}
		return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: d.action, Object: ref, Owner: objects[0].Agency, Outcome: audit.OK, Detail: detail})
	})
	if err != nil {
		return fmt.Errorf("directory: %s: %w", d.action, err)
	}
	return nil
}

// on is the one object of a deed that needs no reading.
func on(o identity.Object) func(context.Context, *sqldb.Tx) ([]identity.Object, error) {
	return func(context.Context, *sqldb.Tx) ([]identity.Object, error) { return []identity.Object{o}, nil }
}

// recordOf writes what actor did to something of owner's into the audit log,
// within tx.
func (s *Service) recordOf(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, owner identity.AgencyID, action identity.Action, ref identity.ObjectRef, detail map[string]string) error {
	return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Owner: owner, Action: action, Object: ref, Outcome: audit.OK, Detail: detail})
}

// read runs fn in a read-only transaction and says what for when it fails.
func (s *Service) read(ctx context.Context, what string, fn func(ctx context.Context, tx *sqldb.Tx) error) error {
	if err := s.db.Read(ctx, fn); err != nil {
		return fmt.Errorf("directory: %s: %w", what, err)
	}
	return nil
}

// wanted brings text of a form to its normal form, and refuses it when nothing
// of it can be seen, or it is too long; what names it.
func wanted(what, text string, most int) (string, error) {
	text, err := optional(what, text, most)
	if err == nil && text == "" {
		return "", errcode.New(errcode.Invalid, "%s is empty: write what people will read", what).Because("text_empty")
	}
	return text, err
}

// optional is wanted for what may be empty.
func optional(what, text string, most int) (string, error) {
	if !utf8.ValidString(text) {
		return "", errcode.New(errcode.Invalid, "%s is not UTF-8 text", what)
	}
	text = normalText(text)
	switch {
	case text == "":
		return "", nil
	case fold.Blank(text):
		return "", errcode.New(errcode.Invalid, "%s holds nothing that can be seen: write what people will read", what).Because("text_empty")
	case utf8.RuneCountInString(text) > most:
		return "", errcode.New(errcode.Invalid, "%s is longer than %d characters: shorten it", what, most).Because("text_long")
	case fold.Mixed(text):
		return "", errcode.New(errcode.Invalid, "%s has a word with letters of two alphabets that look alike: type it anew", what).Because("text_mixed")
	case strings.IndexFunc(text, fold.Hidden) >= 0:
		return "", errcode.New(errcode.Invalid, "%s holds a character that cannot be seen or turns the text around: type it anew", what).Because("text_hidden")
	}
	return text, nil
}

// errStale is for a change that was made on an older state than there is.
func errStale(what string) error {
	return errcode.New(errcode.Conflict, "%s has been changed meanwhile: load it again and repeat your change", what).Because("changed_meanwhile")
}

// sameVersion refuses a change made on version wants, when it names one, of
// what now has version has.
func sameVersion(what string, wants, has int64) error {
	if wants != 0 && wants != has {
		return errStale(what)
	}
	return nil
}

// unique turns the violation of a unique index into a Conflict that names the
// thing.
func unique(err error, reason, format string, args ...any) error {
	var coded *errcode.Error
	if err == nil || errors.As(err, &coded) || !sqldb.IsUnique(err) {
		return err
	}
	return errcode.Wrap(err, errcode.Conflict, format, args...).Because(reason)
}

// changedPerson has every node read anew what it remembers of a person's
// account, if there is one, and of the accounts of those to whom positions of
// the person are lent. Nobody is signed out.
func (s *Service) changedPerson(ctx context.Context, tx *sqldb.Tx, person identity.PersonID) error {
	if err := s.tellTakers(ctx, tx, person); err != nil {
		return err
	}
	account, err := accountOfPerson(ctx, tx, person)
	if errcode.Of(err) == errcode.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	return s.refresh(ctx, tx, account)
}

// refreshAll is refresh for several accounts.
func (s *Service) refreshAll(ctx context.Context, tx *sqldb.Tx, accounts []identity.AccountID) error {
	for _, account := range accounts {
		if err := s.refresh(ctx, tx, account); err != nil {
			return err
		}
	}
	return nil
}
