package directory

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// App passwords are for programs that know no second factor and keep the
// password in a file: 120 random bits, so that a keyed hash keeps them and
// finds them at no cost, each for some protocols only, each ended alone.
const (
	appPasswordLength = 24
	maxAppPasswords   = 50
	maxAppName        = 100
	usedMinimum       = time.Minute // between two writes of an app password's last use
)

// AppScopes are the protocols that an app password may be for.
var AppScopes = []string{"imap", "smtp", "ldap", "xmpp", "carddav"}

// AppPassword is one program's password, without the password.
type AppPassword struct {
	ID        string
	Name      string // what its owner calls it: "Thunderbird ở nhà"
	Scopes    []string
	CreatedAt time.Time
	LastUsed  time.Time // zero: never; a minute exact
	ExpiresAt time.Time // zero: never
}

// appSession is what connections opened by an app password carry and its
// revocation names.
func appSession(id string) identity.SessionID { return identity.SessionID(appSessionPrefix + id) }

const appSessionPrefix = "app:"

// AppPasswords lists actor's own, oldest first.
func (s *Service) AppPasswords(ctx context.Context, actor identity.Actor) ([]AppPassword, error) {
	var out []AppPassword
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		out, err = readAppPasswords(ctx, tx, actor.Account)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("directory: app passwords: %w", err)
	}
	return out, nil
}

// MakeAppPassword makes an app password for actor, who must be fresh, and
// returns it; it is shown this once.
func (s *Service) MakeAppPassword(ctx context.Context, actor identity.Actor, name string, scopes []string, expires time.Time) (string, AppPassword, error) {
	if err := s.requireFresh(ctx, actor); err != nil {
		return "", AppPassword{}, err
	}
	now := s.now()
	name = normalText(clip(name, 4*maxAppName))
	switch {
	case name == "" || utf8.RuneCountInString(name) > maxAppName:
		return "", AppPassword{}, errcode.New(errcode.Invalid, "name: say which program or device it is for, in 1 to %d characters", maxAppName)
	case len(scopes) == 0:
		return "", AppPassword{}, errcode.New(errcode.Invalid, "scopes: choose at least one of %s", strings.Join(AppScopes, ", "))
	case !expires.IsZero() && !expires.After(now):
		return "", AppPassword{}, errcode.New(errcode.Invalid, "expires_at lies in the past; leave it out or choose a later time")
	}
	for _, scope := range scopes {
		if !slices.Contains(AppScopes, scope) {
			return "", AppPassword{}, errcode.New(errcode.Invalid, "scopes: %q is none of %s", scope, strings.Join(AppScopes, ", "))
		}
	}
	scopes = slices.DeleteFunc(slices.Clone(AppScopes), func(s string) bool { return !slices.Contains(scopes, s) })
	word, err := s.randomWord(appPasswordLength)
	if err != nil {
		return "", AppPassword{}, err
	}
	id, err := newID()
	if err != nil {
		return "", AppPassword{}, err
	}
	a := AppPassword{ID: id, Name: name, Scopes: scopes, CreatedAt: now, ExpiresAt: expires}
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		h, err := readHolder(ctx, tx, actor.Account, now, tx.ForUpdate()) // two do not both take the last place
		if err != nil {
			return err
		}
		policy, err := signInPolicy(ctx, tx, h.main().Agency)
		if err != nil {
			return err
		}
		if !policy.AppPasswords {
			return errcode.New(errcode.Forbidden, "your agency lets no programs sign in; use the pages")
		}
		n, err := countAppPasswords(ctx, tx, actor.Account)
		if err != nil {
			return err
		}
		if n >= maxAppPasswords {
			return errcode.New(errcode.Conflict, "there are %d app passwords already; remove those that nothing uses any more", n)
		}
		if err := insertAppPassword(ctx, tx, actor.Account, a, s.macOf(word)); err != nil {
			return err
		}
		return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: "app_password.create", Outcome: audit.OK,
			Object: identity.ObjectRef{Kind: "app_password", ID: id}, Detail: map[string]string{"scopes": strings.Join(scopes, " "), "name": name}})
	})
	if err != nil {
		return "", AppPassword{}, fmt.Errorf("directory: make an app password: %w", err)
	}
	return strings.ToLower(grouped(word)), a, nil
}

// EndAppPassword ends one of actor's app passwords and the connections that it
// opened. errcode.NotFound where there is none.
func (s *Service) EndAppPassword(ctx context.Context, actor identity.Actor, id string) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := deleteAppPassword(ctx, tx, actor.Account, id); err != nil {
			return err
		}
		if err := s.revoke(ctx, tx, actor.Account, appSession(id)); err != nil {
			return err
		}
		return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: "app_password.end", Outcome: audit.OK,
			Object: identity.ObjectRef{Kind: "app_password", ID: id}})
	})
	if errors.Is(err, sql.ErrNoRows) {
		return errcode.New(errcode.NotFound, "there is no such app password")
	}
	if err != nil {
		return fmt.Errorf("directory: end an app password: %w", err)
	}
	return nil
}

// endAppPasswords ends all of an account's within tx.
func (s *Service) endAppPasswords(ctx context.Context, tx *sqldb.Tx, id identity.AccountID) error {
	all, err := readAppPasswords(ctx, tx, id)
	if err != nil {
		return err
	}
	for _, a := range all {
		if err := deleteAppPassword(ctx, tx, id, a.ID); err != nil {
			return err
		}
		if err := s.revoke(ctx, tx, id, appSession(a.ID)); err != nil {
			return err
		}
	}
	return nil
}

// macOf is what is stored of an app password. The key lies sealed in the
// database, so that a stolen copy of the rows is good for nothing.
func (s *Service) macOf(word string) []byte {
	m := hmac.New(sha256.New, s.cfg.AppPasswordKey)
	m.Write([]byte(word))
	return m.Sum(nil)
}

// appAccount is who an app password lets in.
type appAccount struct {
	id       string
	account  identity.AccountID
	login    string
	scopes   []string
	disabled bool
	lastUsed time.Time
}

// tryAppPassword answers false where typed is no app password of login that is
// good for scope; nothing costly is done to find out.
func (s *Service) tryAppPassword(ctx context.Context, login, typed, scope string) (appAccount, bool, error) {
	word, ok := ungrouped(typed, appPasswordLength)
	if !ok {
		return appAccount{}, false, nil
	}
	var a appAccount
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		a, err = readAppAccount(ctx, tx, s.macOf(word), s.now())
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return appAccount{}, false, nil
	}
	if err != nil {
		return appAccount{}, false, fmt.Errorf("directory: find an app password: %w", err)
	}
	return a, !a.disabled && a.login == login && slices.Contains(a.scopes, scope), nil
}

func insertAppPassword(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, a AppPassword, mac []byte) error {
	var expires any
	if !a.ExpiresAt.IsZero() {
		expires = a.ExpiresAt.UnixMicro()
	}
	_, err := tx.Exec(ctx, `INSERT INTO directory_app_passwords (id, account_id, name, scopes, mac, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`, a.ID, string(account), a.Name, strings.Join(a.Scopes, " "), mac, a.CreatedAt.UnixMicro(), expires)
	return err
}

func readAppPasswords(ctx context.Context, tx *sqldb.Tx, account identity.AccountID) ([]AppPassword, error) {
	rows, err := tx.Query(ctx, `SELECT id, name, scopes, created_at, COALESCE(last_used_at, 0), COALESCE(expires_at, 0)
		FROM directory_app_passwords WHERE account_id = $1 ORDER BY id`, string(account))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []AppPassword
	for rows.Next() {
		var a AppPassword
		var scopes string
		var created, used, expires int64
		if err := rows.Scan(&a.ID, &a.Name, &scopes, &created, &used, &expires); err != nil {
			return nil, err
		}
		a.Scopes, a.CreatedAt, a.LastUsed, a.ExpiresAt = strings.Fields(scopes), timeOf(created), timeOf(used), timeOf(expires)
		out = append(out, a)
	}
	return out, rows.Err()
}

// timeOf is the zero time, which stands for never, for 0.
func timeOf(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

func countAppPasswords(ctx context.Context, tx *sqldb.Tx, account identity.AccountID) (int, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM directory_app_passwords WHERE account_id = $1`, string(account)).Scan(&n)
	return n, err
}

// deleteAppPassword answers sql.ErrNoRows where there is none.
func deleteAppPassword(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, id string) error {
	return one(tx.Exec(ctx, `DELETE FROM directory_app_passwords WHERE id = $1 AND account_id = $2`, id, string(account)))
}

func readAppAccount(ctx context.Context, tx *sqldb.Tx, mac []byte, now time.Time) (appAccount, error) {
	var a appAccount
	var scopes string
	var used int64
	err := tx.QueryRow(ctx, `SELECT p.id, p.account_id, p.scopes, COALESCE(p.last_used_at, 0), a.login, a.disabled_at IS NOT NULL
		FROM directory_app_passwords p JOIN directory_accounts a ON a.id = p.account_id
		WHERE p.mac = $1 AND (p.expires_at IS NULL OR p.expires_at > $2)`, mac, now.UnixMicro()).
		Scan(&a.id, &a.account, &scopes, &used, &a.login, &a.disabled)
	a.scopes, a.lastUsed = strings.Fields(scopes), timeOf(used)
	return a, err
}

// appPasswordHolds tells whether an app password of account lets in to scope.
func appPasswordHolds(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, id, scope string, now time.Time) (bool, error) {
	var scopes string
	err := tx.QueryRow(ctx, `SELECT scopes FROM directory_app_passwords WHERE id = $1 AND account_id = $2 AND (expires_at IS NULL OR expires_at > $3)`,
		id, string(account), now.UnixMicro()).Scan(&scopes)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read app password %s: %w", id, err)
	}
	return slices.Contains(strings.Fields(scopes), scope), nil
}

func updateAppUsed(ctx context.Context, tx *sqldb.Tx, id string, now time.Time) error {
	// The row may have been ended since it was read; then nobody comes in.
	return one(tx.Exec(ctx, `UPDATE directory_app_passwords SET last_used_at = $1 WHERE id = $2`, now.UnixMicro(), id))
}
