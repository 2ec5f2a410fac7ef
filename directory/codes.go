package directory

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
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

// One-time codes let somebody in who has no password, or lost it: 16 characters
// that an administrator prints, or has sent to the person's verified outside
// address. 80 random bits need neither a slow hash nor a limit on tries that an
// attacker could use up for the owner; guesses are slowed down like those at
// passwords.
const codeLength = 16

// Code is a one-time code just made. It is shown once.
type Code struct {
	Code      string // grouped; empty when it was sent
	SentTo    string // the outside address, half hidden; empty when it was not sent
	ExpiresAt time.Time
}

// MakeCode makes a one-time code for a person's account; an earlier one ends.
// send has it sent to the person's verified outside address instead of answered;
// endApps has its use end the app passwords too. A second factor stays: taking
// that away is an act of its own. The actor must be fresh.
func (s *Service) MakeCode(ctx context.Context, actor identity.Actor, person identity.PersonID, send, endApps bool) (Code, error) {
	account, _, err := s.administer(ctx, actor, person, permission.AccountReset)
	if err != nil {
		return Code{}, err
	}
	var to string
	if send {
		if to, err = s.outsideAddress(ctx, account); err != nil {
			return Code{}, err
		}
	}
	word, err := s.randomWord(codeLength)
	if err != nil {
		return Code{}, err
	}
	now := s.now()
	out := Code{ExpiresAt: now.Add(s.cfg.CodeLifetime)}
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		o, err := s.administerStill(ctx, tx, actor, account, permission.AccountReset)
		if err != nil {
			return err
		}
		if err := upsertCode(ctx, tx, account, hashCode(account, word), endApps, actor.Account, now, out.ExpiresAt); err != nil {
			return err
		}
		if err := deleteTicketsOf(ctx, tx, account); err != nil {
			return err
		}
		how := "shown"
		if send {
			how = "sent"
		}
		return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: permission.AccountReset, Object: o.ObjectRef,
			Owner: o.Agency, Outcome: audit.OK, Detail: map[string]string{"code": how}})
	})
	if err != nil {
		return Code{}, fmt.Errorf("directory: make a one-time code: %w", err)
	}
	if !send {
		out.Code = grouped(word)
		return out, nil
	}
	out.SentTo = halfHidden(to)
	if err := s.sendCode(ctx, account, to, grouped(word), out.ExpiresAt); err != nil {
		return Code{}, err
	}
	return out, nil
}

// SignInByCode begins a sign-in by a one-time code; the answer is a ticket that
// ends in a new password. Unknown accounts, wrong codes and expired ones get
// the same words and the same work.
func (s *Service) SignInByCode(ctx context.Context, login, code, address, agent string) (SignedIn, error) {
	login = normalAddress(clip(login, 320))
	if wait := s.throttle.admit(login, address); wait > 0 {
		s.metrics.signIns.WithLabelValues("code", "limited").Inc()
		return SignedIn{}, errLimited(wait)
	}
	word, _ := ungrouped(code, codeLength) // what is none has no match
	var in SignedIn
	var acc account
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		if acc, err = readAccount(ctx, tx, login); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		stored, err := readCode(ctx, tx, acc.id, s.now())
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		given := hashCode(acc.id, word)
		if subtle.ConstantTimeCompare(stored, given[:]) != 1 || acc.disabled {
			return errWrongCode()
		}
		// Whoever entered it before and went away may begin again; that
		// earlier sign-in ends.
		if err := deleteTicketsOf(ctx, tx, acc.id); err != nil {
			return err
		}
		in, err = s.begin(ctx, tx, acc.id, []string{provenCode}, origin{Address: address, UserAgent: agent})
		return err
	})
	switch {
	case err == nil:
		s.throttle.succeed(login, address)
		s.metrics.signIns.WithLabelValues("code", "ok").Inc()
		return in, nil
	case errcode.Of(err) == errcode.Unauthenticated:
		s.metrics.signIns.WithLabelValues("code", "failed").Inc()
		if err := s.recordFailure(ctx, acc, login, address, "code"); err != nil {
			return SignedIn{}, fmt.Errorf("directory: record a failed sign-in: %w", err)
		}
		return SignedIn{}, errWrongCode()
	default:
		s.throttle.cancel(login, address)
		return SignedIn{}, fmt.Errorf("directory: sign in by a code: %w", err)
	}
}

func errWrongCode() error {
	return errcode.New(errcode.Unauthenticated, "the account or the code is wrong, or the code has expired; ask your administrator for a new one")
}

// hashCode binds a code to its account, so that no row serves another.
func hashCode(account identity.AccountID, word string) [sha256.Size]byte {
	return sha256.Sum256([]byte("code\x00" + string(account) + "\x00" + word))
}

func upsertCode(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, hash [sha256.Size]byte, endApps bool, by identity.AccountID, now, until time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO directory_one_time_codes (account_id, code_hash, end_apps, created_by, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (account_id) DO UPDATE SET code_hash = excluded.code_hash, end_apps = excluded.end_apps,
			created_by = excluded.created_by, created_at = excluded.created_at, expires_at = excluded.expires_at`,
		string(account), hash[:], endApps, string(by), now.UnixMicro(), until.UnixMicro())
	return err
}

func readCode(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, now time.Time) ([]byte, error) {
	var hash []byte
	err := tx.QueryRow(ctx, `SELECT code_hash FROM directory_one_time_codes WHERE account_id = $1 AND expires_at > $2`,
		string(account), now.UnixMicro()).Scan(&hash)
	return hash, err
}

// readCodeEndsApps answers sql.ErrNoRows where there is no code that holds.
func readCodeEndsApps(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, now time.Time) (bool, error) {
	var ends bool
	err := tx.QueryRow(ctx, `SELECT end_apps FROM directory_one_time_codes WHERE account_id = $1 AND expires_at > $2`,
		string(account), now.UnixMicro()).Scan(&ends)
	return ends, err
}

// deleteForeignCode ends the code of an account that another administrator than
// by made, and any sign-in by it that is under way.
func deleteForeignCode(ctx context.Context, tx *sqldb.Tx, account, by identity.AccountID) error {
	if _, err := tx.Exec(ctx, `DELETE FROM directory_one_time_codes WHERE account_id = $1 AND created_by <> '' AND created_by <> $2`,
		string(account), string(by)); err != nil {
		return fmt.Errorf("end the one-time code of account %s: %w", account, err)
	}
	return deleteTicketsOf(ctx, tx, account)
}

func deleteCode(ctx context.Context, tx *sqldb.Tx, account identity.AccountID) error {
	_, err := tx.Exec(ctx, `DELETE FROM directory_one_time_codes WHERE account_id = $1`, string(account))
	return err
}
