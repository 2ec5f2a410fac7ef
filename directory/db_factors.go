package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"commsd/directory/factor"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// factorCount is what an account can prove itself by beside its password.
type factorCount struct {
	totp     bool
	passkeys int
	recovery int // codes left; they are no factor by themselves
}

// any tells whether there is a second factor.
func (c factorCount) any() bool { return c.totp || c.passkeys > 0 }

func countFactors(ctx context.Context, tx *sqldb.Tx, id identity.AccountID) (factorCount, error) {
	var c factorCount
	err := tx.QueryRow(ctx, `SELECT
		EXISTS (SELECT 1 FROM directory_totp WHERE account_id = $1 AND sealed IS NOT NULL),
		(SELECT COUNT(*) FROM directory_passkeys WHERE account_id = $1),
		(SELECT COUNT(*) FROM directory_recovery_codes WHERE account_id = $1 AND used_at IS NULL)`,
		string(id)).Scan(&c.totp, &c.passkeys, &c.recovery)
	if err != nil {
		return c, fmt.Errorf("count the factors of account %s: %w", id, err)
	}
	return c, nil
}

// lockAccount makes changes of an account, its factors and its roles wait for
// each other, so that two cannot each leave the other's as the last.
func lockAccount(ctx context.Context, tx *sqldb.Tx, id identity.AccountID) error {
	var found string
	err := tx.QueryRow(ctx, `SELECT id FROM directory_accounts WHERE id = $1`+tx.ForUpdate(), string(id)).Scan(&found)
	if errors.Is(err, sql.ErrNoRows) {
		return errcode.New(errcode.NotFound, "there is no such account")
	}
	if err != nil {
		return fmt.Errorf("lock account %s: %w", id, err)
	}
	return nil
}

func readLogin(ctx context.Context, tx *sqldb.Tx, id identity.AccountID) (string, error) {
	var login string
	err := tx.QueryRow(ctx, `SELECT login FROM directory_accounts WHERE id = $1`, string(id)).Scan(&login)
	return login, err
}

// storedTOTP is an account's authenticator app.
type storedTOTP struct {
	sealed, pending []byte
	lastStep        int64
	pendingAt       int64
	confirmedAt     int64
	lastUsedAt      int64
}

// readTOTP answers the zero value for an account without one.
func readTOTP(ctx context.Context, tx *sqldb.Tx, id identity.AccountID) (storedTOTP, error) {
	var t storedTOTP
	err := tx.QueryRow(ctx, `SELECT sealed, pending, last_step, COALESCE(pending_at, 0), COALESCE(confirmed_at, 0), COALESCE(last_used_at, 0)
		FROM directory_totp WHERE account_id = $1`, string(id)).
		Scan(&t.sealed, &t.pending, &t.lastStep, &t.pendingAt, &t.confirmedAt, &t.lastUsedAt)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return t, fmt.Errorf("read the authenticator app of account %s: %w", id, err)
	}
	return t, nil
}

func upsertPendingTOTP(ctx context.Context, tx *sqldb.Tx, id identity.AccountID, sealed []byte, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO directory_totp (account_id, last_step, pending, pending_at) VALUES ($1, 0, $2, $3)
		ON CONFLICT (account_id) DO UPDATE SET pending = excluded.pending, pending_at = excluded.pending_at`,
		string(id), sealed, now.UnixMicro())
	if err != nil {
		return fmt.Errorf("store a pending authenticator app of account %s: %w", id, err)
	}
	return nil
}

// confirmTOTP puts the pending app in the place of the one before; step is that
// of the code that confirmed it.
func confirmTOTP(ctx context.Context, tx *sqldb.Tx, id identity.AccountID, step int64, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE directory_totp SET sealed = pending, confirmed_at = $2, last_step = $3, last_used_at = $2,
		pending = NULL, pending_at = NULL WHERE account_id = $1 AND pending IS NOT NULL`, string(id), now.UnixMicro(), step)
	if err != nil {
		return fmt.Errorf("confirm the authenticator app of account %s: %w", id, err)
	}
	return nil
}

// takeStep stores that step was accepted, and answers false when it, or a later
// one, was already.
func takeStep(ctx context.Context, tx *sqldb.Tx, id identity.AccountID, step int64, now time.Time) (bool, error) {
	res, err := tx.Exec(ctx, `UPDATE directory_totp SET last_step = $2, last_used_at = $3 WHERE account_id = $1 AND last_step < $2`,
		string(id), step, now.UnixMicro())
	if err != nil {
		return false, fmt.Errorf("take a step of account %s: %w", id, err)
	}
	return changed(res)
}

func deleteTOTP(ctx context.Context, tx *sqldb.Tx, id identity.AccountID) (bool, error) {
	res, err := tx.Exec(ctx, `DELETE FROM directory_totp WHERE account_id = $1`, string(id))
	if err != nil {
		return false, fmt.Errorf("remove the authenticator app of account %s: %w", id, err)
	}
	return changed(res)
}

// replaceRecoveryCodes ends all codes of an account and stores new ones; none
// leaves it without.
func replaceRecoveryCodes(ctx context.Context, tx *sqldb.Tx, id identity.AccountID, hashes [][]byte, now time.Time) error {
	if _, err := tx.Exec(ctx, `DELETE FROM directory_recovery_codes WHERE account_id = $1`, string(id)); err != nil {
		return fmt.Errorf("end the recovery codes of account %s: %w", id, err)
	}
	for _, hash := range hashes {
		_, err := tx.Exec(ctx, `INSERT INTO directory_recovery_codes (account_id, code_hash, created_at) VALUES ($1, $2, $3)`,
			string(id), hash, now.UnixMicro())
		if err != nil {
			return fmt.Errorf("store a recovery code of account %s: %w", id, err)
		}
	}
	return nil
}

// takeRecoveryCode tells whether the code was there and unused; it is used now.
func takeRecoveryCode(ctx context.Context, tx *sqldb.Tx, id identity.AccountID, hash []byte, now time.Time) (bool, error) {
	res, err := tx.Exec(ctx, `UPDATE directory_recovery_codes SET used_at = $3 WHERE account_id = $1 AND code_hash = $2 AND used_at IS NULL`,
		string(id), hash, now.UnixMicro())
	if err != nil {
		return false, fmt.Errorf("take a recovery code of account %s: %w", id, err)
	}
	return changed(res)
}

func readRecoveryMade(ctx context.Context, tx *sqldb.Tx, id identity.AccountID) (int64, error) {
	var at int64
	err := tx.QueryRow(ctx, `SELECT COALESCE(MIN(created_at), 0) FROM directory_recovery_codes WHERE account_id = $1`, string(id)).Scan(&at)
	return at, err
}

// storedPasskey is a passkey with what its owner sees of it.
type storedPasskey struct {
	factor.Passkey
	id         string
	name       string
	createdAt  int64
	lastUsedAt int64 // 0: never
}

func readPasskeys(ctx context.Context, tx *sqldb.Tx, id identity.AccountID) ([]storedPasskey, error) {
	rows, err := tx.Query(ctx, `SELECT id, credential_id, public_key, sign_count, flags, aaguid, transports, name, created_at, COALESCE(last_used_at, 0)
		FROM directory_passkeys WHERE account_id = $1 ORDER BY id`, string(id))
	if err != nil {
		return nil, fmt.Errorf("read the passkeys of account %s: %w", id, err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []storedPasskey
	for rows.Next() {
		var p storedPasskey
		var transports string
		if err := rows.Scan(&p.id, &p.Credential, &p.PublicKey, &p.SignCount, &p.Flags, &p.AAGUID, &transports, &p.name, &p.createdAt, &p.lastUsedAt); err != nil {
			return nil, fmt.Errorf("read the passkeys of account %s: %w", id, err)
		}
		p.Transports = strings.Fields(transports)
		out = append(out, p)
	}
	return out, rows.Err()
}

// accountOfPasskey answers "" for a credential that nobody registered, and for
// one of a disabled account.
func accountOfPasskey(ctx context.Context, tx *sqldb.Tx, credential []byte) (identity.AccountID, error) {
	var id identity.AccountID
	err := tx.QueryRow(ctx, `SELECT k.account_id FROM directory_passkeys k JOIN directory_accounts a ON a.id = k.account_id
		WHERE k.credential_id = $1 AND a.disabled_at IS NULL`, credential).Scan(&id)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("find a passkey: %w", err)
	}
	return id, nil
}

func insertPasskey(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, p factor.Passkey, name string, now time.Time) (string, error) {
	id, err := newID()
	if err != nil {
		return "", err
	}
	res, err := tx.Exec(ctx, `INSERT INTO directory_passkeys
		(id, account_id, credential_id, public_key, sign_count, flags, aaguid, transports, name, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (credential_id) DO NOTHING`,
		id, string(account), p.Credential, p.PublicKey, int64(p.SignCount), int64(p.Flags), notNull(p.AAGUID), strings.Join(p.Transports, " "), name, now.UnixMicro())
	if err != nil {
		return "", fmt.Errorf("store a passkey of account %s: %w", account, err)
	}
	stored, err := changed(res)
	if err == nil && !stored {
		err = errcode.New(errcode.Conflict, "this passkey is registered already")
	}
	return id, err
}

// notNull is b, empty in place of NULL.
func notNull(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// usePasskey stores what an assertion changed. It answers false when the
// counter has risen meanwhile to where this assertion stands or beyond: two
// answers with one count.
func usePasskey(ctx context.Context, tx *sqldb.Tx, id string, p factor.Passkey, now time.Time) (bool, error) {
	res, err := tx.Exec(ctx, `UPDATE directory_passkeys SET sign_count = $2, flags = $3, last_used_at = $4
		WHERE id = $1 AND (sign_count < $2 OR sign_count = 0 AND $2 = 0)`, id, int64(p.SignCount), int64(p.Flags), now.UnixMicro())
	if err != nil {
		return false, fmt.Errorf("use passkey %s: %w", id, err)
	}
	return changed(res)
}

func renamePasskey(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, id, name string) (bool, error) {
	res, err := tx.Exec(ctx, `UPDATE directory_passkeys SET name = $3 WHERE id = $1 AND account_id = $2`, id, string(account), name)
	if err != nil {
		return false, fmt.Errorf("rename passkey %s: %w", id, err)
	}
	return changed(res)
}

func deletePasskey(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, id string) (bool, error) {
	res, err := tx.Exec(ctx, `DELETE FROM directory_passkeys WHERE id = $1 AND account_id = $2`, id, string(account))
	if err != nil {
		return false, fmt.Errorf("remove passkey %s: %w", id, err)
	}
	return changed(res)
}

// deleteFactors removes every factor of an account, its recovery codes, what was
// counted against it, and who it is at outside providers.
func deleteFactors(ctx context.Context, tx *sqldb.Tx, id identity.AccountID) error {
	for _, table := range []string{"directory_totp", "directory_recovery_codes", "directory_passkeys", "directory_factor_failures", "directory_outside_identities"} {
		if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE account_id = $1`, string(id)); err != nil {
			return fmt.Errorf("remove the factors of account %s: %w", id, err)
		}
	}
	return nil
}

// maxChallenges bounds how many ceremonies one session has under way.
const maxChallenges = 16

func insertChallenge(ctx context.Context, tx *sqldb.Tx, hash [32]byte, session identity.SessionID, purpose string, now, until time.Time) error {
	_, err := tx.Exec(ctx, `DELETE FROM directory_passkey_challenges WHERE expires_at <= $1`, now.UnixMicro())
	if err != nil {
		return fmt.Errorf("forget old challenges: %w", err)
	}
	var n int
	err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM directory_passkey_challenges WHERE session_id = $1`, string(session)).Scan(&n)
	if err != nil {
		return fmt.Errorf("count challenges: %w", err)
	}
	if n >= maxChallenges {
		return errcode.New(errcode.RateLimited, "too many passkey requests are open; try again in a few minutes").After(factor.ChallengeLifetime)
	}
	_, err = tx.Exec(ctx, `INSERT INTO directory_passkey_challenges (challenge_hash, session_id, purpose, expires_at) VALUES ($1, $2, $3, $4)`,
		hash[:], string(session), purpose, until.UnixMicro())
	if err != nil {
		return fmt.Errorf("store a challenge: %w", err)
	}
	return nil
}

// takeChallenge tells whether the challenge is the session's for that purpose,
// and not too old; it is spent now.
func takeChallenge(ctx context.Context, tx *sqldb.Tx, hash [32]byte, session identity.SessionID, purpose string, now time.Time) (bool, error) {
	res, err := tx.Exec(ctx, `DELETE FROM directory_passkey_challenges
		WHERE challenge_hash = $1 AND session_id = $2 AND purpose = $3 AND expires_at > $4`,
		hash[:], string(session), purpose, now.UnixMicro())
	if err != nil {
		return false, fmt.Errorf("take a challenge: %w", err)
	}
	return changed(res)
}

func readFactorFailures(ctx context.Context, tx *sqldb.Tx, id identity.AccountID) (failures int, retryAt time.Time, err error) {
	var at int64
	err = tx.QueryRow(ctx, `SELECT failures, retry_at FROM directory_factor_failures WHERE account_id = $1`, string(id)).Scan(&failures, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, time.Time{}, nil
	}
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("read wrong codes of account %s: %w", id, err)
	}
	return failures, time.UnixMicro(at), nil
}

func writeFactorFailures(ctx context.Context, tx *sqldb.Tx, id identity.AccountID, failures int, retryAt time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO directory_factor_failures (account_id, failures, retry_at) VALUES ($1, $2, $3)
		ON CONFLICT (account_id) DO UPDATE SET failures = excluded.failures, retry_at = excluded.retry_at`,
		string(id), failures, retryAt.UnixMicro())
	if err != nil {
		return fmt.Errorf("count a wrong code of account %s: %w", id, err)
	}
	return nil
}

func deleteFactorFailures(ctx context.Context, tx *sqldb.Tx, id identity.AccountID) error {
	_, err := tx.Exec(ctx, `DELETE FROM directory_factor_failures WHERE account_id = $1`, string(id))
	if err != nil {
		return fmt.Errorf("forget wrong codes of account %s: %w", id, err)
	}
	return nil
}

func changed(res sql.Result) (bool, error) {
	n, err := res.RowsAffected()
	return n > 0, err
}
