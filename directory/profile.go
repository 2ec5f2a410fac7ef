package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"commsd/audit"
	"commsd/directory/password"
	"commsd/directory/permission"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// Profile is what people see of themselves.
type Profile struct {
	Person                identity.Person
	Phone, Mobile, Office string
	Photo                 string // hash; empty: none
	Account               AccountState
	MinPassword           int // runes of a new one
	MaxPassword           int // bytes
	Outside               OutsideAddress
	SendsOutside          bool
}

// ProfileChange holds what is to change; nil: that stays.
type ProfileChange struct{ Phone, Mobile, Office *string }

// Profile describes actor's own account.
func (s *Service) Profile(ctx context.Context, actor identity.Actor) (Profile, error) {
	account, err := s.accountState(ctx, actor.Account)
	if err != nil {
		return Profile{}, err
	}
	p := Profile{Account: account, MinPassword: s.cfg.Policy.Alone, MaxPassword: password.MaxBytes, SendsOutside: s.cfg.Mailer != nil}
	if len(account.Factors) > 0 {
		p.MinPassword = s.cfg.Policy.WithFactor
	}
	err = s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		people, err := readPeople(ctx, tx, []identity.PersonID{actor.Person}, s.now())
		if err != nil {
			return err
		}
		p.Person = people[actor.Person]
		row, err := readOutside(ctx, tx, actor.Account)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		p.Outside = OutsideAddress{Address: row.address, Pending: row.pending}
		return tx.QueryRow(ctx, `SELECT phone, mobile, office, photo FROM directory_people WHERE id = $1`, string(actor.Person)).
			Scan(&p.Phone, &p.Mobile, &p.Office, &p.Photo)
	})
	if err != nil {
		return Profile{}, fmt.Errorf("directory: profile of %s: %w", actor.Person, err)
	}
	return p, nil
}

// UpdateProfile changes what people may change of themselves.
func (s *Service) UpdateProfile(ctx context.Context, actor identity.Actor, c ProfileChange) (Profile, error) {
	if err := s.permitProfile(ctx, actor); err != nil {
		return Profile{}, err
	}
	var set []string
	var args arguments
	detail := map[string]string{}
	for _, f := range []struct {
		name   string
		value  *string
		number bool
	}{{"phone", c.Phone, true}, {"mobile", c.Mobile, true}, {"office", c.Office, false}} {
		if f.value == nil {
			continue
		}
		text, err := optional(f.name, clip(*f.value, 400), maxOffice)
		if err != nil {
			return Profile{}, err
		}
		if f.number && !telephone(text) {
			return Profile{}, errcode.New(errcode.Invalid, "%s: write a telephone number with digits, spaces and + ( ) . - only, like +84 24 3825 1234", f.name).Because("phone_malformed")
		}
		set = append(set, f.name+" = "+args.add(text))
		detail[f.name] = "changed"
	}
	if len(set) > 0 {
		err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			a := args
			query := `UPDATE directory_people SET ` + strings.Join(set, ", ") + `, updated_at = ` + a.add(s.now().UnixMicro()) + ` WHERE id = ` + a.add(string(actor.Person))
			if err := one(tx.Exec(ctx, query, a...)); err != nil {
				return err
			}
			return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: permission.PersonProfile, Outcome: audit.OK,
				Object: identity.ObjectRef{Kind: "person", ID: string(actor.Person)}, Detail: detail})
		})
		if err != nil {
			return Profile{}, fmt.Errorf("directory: change the profile of %s: %w", actor.Person, err)
		}
	}
	return s.Profile(ctx, actor)
}

func (s *Service) permitProfile(ctx context.Context, actor identity.Actor) error {
	return s.permit(ctx, actor, permission.PersonProfile, identity.Object{
		ObjectRef: identity.ObjectRef{Kind: "person", ID: string(actor.Person)}, Agency: actor.Agency,
		Relations: []identity.Relation{identity.RelationSelf},
	})
}

// telephone tells whether s is written as telephone numbers are; empty is none.
func telephone(s string) bool {
	for _, r := range s {
		if !unicode.IsDigit(r) && !strings.ContainsRune("+ ().-/", r) {
			return false
		}
	}
	return true
}
