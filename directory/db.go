package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// This file holds the SQL of accounts, sessions and positions; db_people.go
// that of finding people, db_write.go that of making agencies and people.

func newID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("directory: new id: %w", err)
	}
	return id.String(), nil
}

// arguments collects the values of a query that is put together from parts.
type arguments []any

// add returns the placeholder of v.
func (a *arguments) add(v any) string {
	*a = append(*a, v)
	return fmt.Sprintf("$%d", len(*a))
}

// placeholders returns the placeholders of ids, as IN wants them.
func placeholders[T ~string](a *arguments, ids []T) string {
	p := make([]string, len(ids))
	for i, id := range ids {
		p[i] = a.add(string(id))
	}
	return strings.Join(p, ", ")
}

// validAt is the condition that position alias is valid at the time whose
// placeholder is now.
func validAt(alias, now string) string {
	return fmt.Sprintf("%[1]s.valid_from <= %[2]s AND (%[1]s.valid_until IS NULL OR %[1]s.valid_until > %[2]s)", alias, now)
}

func readAccount(ctx context.Context, tx *sqldb.Tx, login string) (account, error) {
	var a account
	err := tx.QueryRow(ctx, `SELECT id, person_id, password_hash, disabled_at IS NOT NULL
		FROM directory_accounts WHERE login = $1`, login).Scan(&a.id, &a.person, &a.hash, &a.disabled)
	return a, err
}

// agencyOfSignIn returns whose auditors are concerned by a sign-in that failed:
// the agency of the account's main position now, else that of the login's mail
// domain, which is all that is known of an account without a position or of a
// login that is nobody's. Empty: no agency's. With a login it is one query
// whatever there is, so that its time tells nothing.
func agencyOfSignIn(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, login string, now time.Time) (identity.AgencyID, error) {
	if login == "" && account != "" {
		var err error
		if login, err = readLogin(ctx, tx, account); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return "", fmt.Errorf("agency of a sign-in: %w", err)
		}
	}
	_, domain, _ := strings.Cut(login, "@")
	var id identity.AgencyID
	err := tx.QueryRow(ctx, `SELECT COALESCE(
		(SELECT m.agency_id FROM directory_accounts a JOIN directory_positions m ON m.person_id = a.person_id
			WHERE a.id = $1 AND `+validAt("m", "$3")+` ORDER BY m.rank, m.id LIMIT 1),
		(SELECT agency_id FROM directory_agency_domains WHERE domain = $2), '')`,
		string(account), domain, now.UnixMicro()).Scan(&id)
	if err != nil {
		return "", fmt.Errorf("agency of a sign-in: %w", err)
	}
	return id, nil
}

// readHolder reads an account's owner; lock is Tx.ForUpdate() where the account
// must not be disabled meanwhile.
func readHolder(ctx context.Context, tx *sqldb.Tx, id identity.AccountID, now time.Time, lock string) (holder, error) {
	h := holder{account: id}
	err := tx.QueryRow(ctx, `SELECT person_id, login, disabled_at IS NOT NULL, must_change
		FROM directory_accounts WHERE id = $1`+lock, string(id)).Scan(&h.person, &h.login, &h.disabled, &h.mustChange)
	if err != nil {
		return h, fmt.Errorf("read account %s: %w", id, err)
	}
	if err := tx.QueryRow(ctx, `SELECT display_name FROM directory_people WHERE id = $1`, string(h.person)).Scan(&h.name); err != nil {
		return h, fmt.Errorf("read person %s: %w", h.person, err)
	}
	if h.positions, err = readPositions(ctx, tx, h.person, now); err != nil {
		return h, err
	}
	if h.lent, err = readLent(ctx, tx, h.person, h.positions, now); err != nil {
		return h, err
	}
	h.grants, err = readGrants(ctx, tx, id)
	return h, err
}

func readPositions(ctx context.Context, tx *sqldb.Tx, person identity.PersonID, now time.Time) ([]Position, error) {
	rows, err := tx.Query(ctx, `SELECT q.id, q.title, u.id, u.name, u.path, g.id, g.name, q.kind, q.clearance
		FROM directory_positions q
		JOIN directory_units u ON u.id = q.unit_id
		JOIN directory_agencies g ON g.id = q.agency_id
		WHERE q.person_id = $1 AND `+validAt("q", "$2")+`
		ORDER BY q.rank, q.id`, string(person), now.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("read positions: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []Position
	for rows.Next() {
		var p Position
		var path []byte
		if err := rows.Scan(&p.ID, &p.Title, &p.UnitID, &p.Unit, &path, &p.Agency, &p.AgencyName, &p.Kind, &p.Clearance); err != nil {
			return nil, fmt.Errorf("read positions: %w", err)
		}
		p.UnitPath = string(path)
		out = append(out, p)
	}
	return out, rows.Err()
}

// readAccountObject reads whose a person's account is and what its owner holds, for
// a permission. The agency and unit are those of the main
// position, or of the last one held.
func readAccountObject(ctx context.Context, tx *sqldb.Tx, id identity.AccountID, now time.Time) (identity.Object, error) {
	o := identity.Object{ObjectRef: identity.ObjectRef{Kind: "account", ID: string(id)}}
	var path []byte
	err := tx.QueryRow(ctx, `SELECT COALESCE(q.agency_id, ''), u.path FROM directory_accounts c
		LEFT JOIN directory_positions q ON q.id = `+homePosition("c.person_id", "$2")+`
		LEFT JOIN directory_units u ON u.id = q.unit_id
		WHERE c.id = $1`, string(id), now.UnixMicro()).Scan(&o.Agency, &path)
	if errors.Is(err, sql.ErrNoRows) {
		return o, errcode.New(errcode.NotFound, "there is no such account")
	}
	if err != nil {
		return o, fmt.Errorf("read account %s: %w", id, err)
	}
	o.Path = string(path)
	o.TargetGrants, err = readGrants(ctx, tx, id)
	return o, err
}

func accountOfPerson(ctx context.Context, tx *sqldb.Tx, person identity.PersonID) (identity.AccountID, error) {
	var id identity.AccountID
	err := tx.QueryRow(ctx, `SELECT id FROM directory_accounts WHERE person_id = $1`, string(person)).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", errcode.New(errcode.NotFound, "this person has no account")
	}
	return id, err
}

// updatePassword replaces the password of an account.
func updatePassword(ctx context.Context, tx *sqldb.Tx, id identity.AccountID, hash string, now time.Time) error {
	return one(tx.Exec(ctx, `UPDATE directory_accounts SET password_hash = $1, password_changed_at = $2, must_change = FALSE WHERE id = $3`,
		hash, now.UnixMicro(), string(id)))
}

func updatePasswordHash(ctx context.Context, tx *sqldb.Tx, id identity.AccountID, old, fresh string) error {
	// Only over the hash that was verified: the password may have changed since.
	_, err := tx.Exec(ctx, `UPDATE directory_accounts SET password_hash = $1 WHERE id = $2 AND password_hash = $3`,
		fresh, string(id), old)
	return err
}

// disableAccount tells whether it changed anything.
func disableAccount(ctx context.Context, tx *sqldb.Tx, id identity.AccountID, now time.Time) (bool, error) {
	var disabled bool
	err := tx.QueryRow(ctx, `SELECT disabled_at IS NOT NULL FROM directory_accounts WHERE id = $1`+tx.ForUpdate(), string(id)).Scan(&disabled)
	if errors.Is(err, sql.ErrNoRows) {
		return false, errcode.New(errcode.NotFound, "there is no such account")
	}
	if err != nil || disabled {
		return false, err
	}
	_, err = tx.Exec(ctx, `UPDATE directory_accounts SET disabled_at = $1 WHERE id = $2`, now.UnixMicro(), string(id))
	return err == nil, err
}

func insertSession(ctx context.Context, tx *sqldb.Tx, s Session, account identity.AccountID, token tokenHash, now time.Time, address, agent, method string) error {
	_, err := tx.Exec(ctx, `INSERT INTO directory_sessions
		(id, token_hash, account_id, created_at, expires_at, last_seen_at, address, user_agent, method, proven_at, active_at)
		VALUES ($1, $2, $3, $4, $5, $4, $6, $7, $8, $4, $4)`,
		string(s.ID), token[:], string(account), now.UnixMicro(), s.ExpiresAt.UnixMicro(), address, agent, method)
	if err != nil {
		return fmt.Errorf("insert session: %w", err)
	}
	return nil
}

// readSession answers sql.ErrNoRows for a session that is unknown, expired, or
// of a disabled account.
func readSession(ctx context.Context, tx *sqldb.Tx, token tokenHash, now time.Time) (*cachedSession, error) {
	c := &cachedSession{readAt: now}
	var account identity.AccountID
	var expires, seen, proven, active, gap int64
	err := tx.QueryRow(ctx, `SELECT id, account_id, expires_at, last_seen_at, proven_at, active_at, idle_gap FROM directory_sessions
		WHERE token_hash = $1 AND expires_at > $2`, token[:], now.UnixMicro()).Scan(&c.id, &account, &expires, &seen, &proven, &active, &gap)
	if err != nil {
		return nil, err
	}
	c.expiresAt, c.lastSeen = time.UnixMicro(expires), time.UnixMicro(seen)
	c.provenAt, c.activeAt, c.idleGap = time.UnixMicro(proven), time.UnixMicro(active), time.Duration(gap)*time.Microsecond
	if c.holder, err = readHolder(ctx, tx, account, now, ""); err != nil {
		return nil, err
	}
	if c.holder.disabled {
		return nil, sql.ErrNoRows
	}
	return c, nil
}

func readSessionExpiry(ctx context.Context, tx *sqldb.Tx, id identity.SessionID, now time.Time) (time.Time, error) {
	var expires int64
	err := tx.QueryRow(ctx, `SELECT expires_at FROM directory_sessions WHERE id = $1 AND expires_at > $2`,
		string(id), now.UnixMicro()).Scan(&expires)
	return time.UnixMicro(expires).UTC(), err
}

func readSessionActive(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, id identity.SessionID, now time.Time) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM directory_sessions s JOIN directory_accounts a ON a.id = s.account_id
		WHERE s.id = $1 AND s.account_id = $2 AND s.expires_at > $3 AND a.disabled_at IS NULL`,
		string(id), string(account), now.UnixMicro()).Scan(&n)
	return n == 1, err
}

func sessionOfToken(ctx context.Context, tx *sqldb.Tx, token tokenHash) (identity.AccountID, identity.SessionID, error) {
	var account identity.AccountID
	var session identity.SessionID
	err := tx.QueryRow(ctx, `SELECT account_id, id FROM directory_sessions WHERE token_hash = $1`, token[:]).Scan(&account, &session)
	return account, session, err
}

// deleteSession tells whether there was one.
func deleteSession(ctx context.Context, tx *sqldb.Tx, id identity.SessionID) (bool, error) {
	res, err := tx.Exec(ctx, `DELETE FROM directory_sessions WHERE id = $1`, string(id))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

func deleteSessionsOf(ctx context.Context, tx *sqldb.Tx, id identity.AccountID) error {
	_, err := tx.Exec(ctx, `DELETE FROM directory_sessions WHERE account_id = $1`, string(id))
	return err
}

func deleteExpired(ctx context.Context, tx *sqldb.Tx, before time.Time) error {
	_, err := tx.Exec(ctx, `DELETE FROM directory_sessions WHERE expires_at < $1`, before.UnixMicro())
	return err
}

// updateSeen writes the last uses that are at least apart later than what
// stands there, which another node may have written.
func updateSeen(ctx context.Context, tx *sqldb.Tx, seen map[string]time.Time, apart time.Duration) error {
	for id, at := range seen {
		_, err := tx.Exec(ctx, `UPDATE directory_sessions SET last_seen_at = $1 WHERE id = $2 AND last_seen_at <= $3`,
			at.UnixMicro(), id, at.Add(-apart).UnixMicro())
		if err != nil {
			return err
		}
	}
	return nil
}
