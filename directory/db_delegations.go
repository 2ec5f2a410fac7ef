package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

func formatScopes(scopes []identity.Scope) string {
	words := make([]string, len(scopes))
	for i, scope := range scopes {
		words[i] = string(scope)
	}
	return strings.Join(words, " ")
}

func parseScopes(text string) []identity.Scope {
	var out []identity.Scope
	for word := range strings.FieldsSeq(text) {
		out = append(out, identity.Scope(word))
	}
	return out
}

func insertDelegation(ctx context.Context, tx *sqldb.Tx, id string, giver identity.PersonID, n NewDelegation, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO directory_delegations
		(id, position_id, giver_id, taker_id, scopes, valid_from, valid_until, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		id, string(n.Position), string(giver), string(n.To), formatScopes(n.Scopes), n.From.UnixMicro(), n.Until.UnixMicro(), now.UnixMicro())
	if err != nil {
		return fmt.Errorf("insert delegation: %w", err)
	}
	return nil
}

// endDelegation tells whether it was still to end. Its end stands in
// valid_until too, so that one condition tells what is over.
func endDelegation(ctx context.Context, tx *sqldb.Tx, id identity.DelegationID, now time.Time) (bool, error) {
	res, err := tx.Exec(ctx, `UPDATE directory_delegations SET ended_at = $1, valid_until = $1, valid_from = CASE WHEN valid_from > $1 THEN $1 ELSE valid_from END
		WHERE id = $2 AND valid_until > $1`, now.UnixMicro(), string(id))
	if err != nil {
		return false, fmt.Errorf("end delegation %s: %w", id, err)
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// readDelegations reads delegations with all that is shown of them, newest
// first; where is a condition over d with args from $1.
func readDelegations(ctx context.Context, tx *sqldb.Tx, where string, now time.Time, args ...any) ([]Delegation, error) {
	rows, err := tx.Query(ctx, `SELECT d.id, d.giver_id, d.taker_id, d.scopes, d.valid_from, d.valid_until, d.created_at,
			q.id, q.title, u.id, u.name, u.path, g.id, g.name, q.kind
		FROM directory_delegations d
		JOIN directory_positions q ON q.id = d.position_id
		JOIN directory_units u ON u.id = q.unit_id
		JOIN directory_agencies g ON g.id = q.agency_id
		WHERE `+where+` ORDER BY d.created_at DESC, d.id DESC`, args...)
	if err != nil {
		return nil, fmt.Errorf("read delegations: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []Delegation
	var ids []identity.PersonID
	for rows.Next() {
		var d Delegation
		var scopes string
		var path []byte
		var from, until, created int64
		if err := rows.Scan(&d.ID, &d.Giver.ID, &d.Taker.ID, &scopes, &from, &until, &created,
			&d.Position.ID, &d.Position.Title, &d.Position.UnitID, &d.Position.Unit, &path, &d.Position.Agency, &d.Position.AgencyName, &d.Position.Kind); err != nil {
			return nil, fmt.Errorf("read delegations: %w", err)
		}
		d.Scopes, d.Position.UnitPath = parseScopes(scopes), string(path)
		d.From, d.Until, d.CreatedAt = time.UnixMicro(from), time.UnixMicro(until), time.UnixMicro(created)
		out = append(out, d)
		ids = append(ids, d.Giver.ID, d.Taker.ID)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read delegations: %w", err)
	}
	if err := rows.Close(); err != nil {
		return nil, fmt.Errorf("read delegations: %w", err)
	}
	people, err := readPeople(ctx, tx, ids, now)
	for i := range out {
		out[i].Giver, out[i].Taker = people[out[i].Giver.ID], people[out[i].Taker.ID]
	}
	return out, err
}

// readLent reads the positions that are lent to a person now: while the giver
// holds them and can sign in, and the person has a post in the same agency.
// own are the person's own positions.
func readLent(ctx context.Context, tx *sqldb.Tx, person identity.PersonID, own []Position, now time.Time) ([]Position, error) {
	rows, err := tx.Query(ctx, `SELECT d.id, d.scopes, d.valid_until, p.display_name,
			q.id, q.title, u.id, u.name, u.path, g.id, g.name, q.kind, q.clearance
		FROM directory_delegations d
		JOIN directory_positions q ON q.id = d.position_id
		JOIN directory_units u ON u.id = q.unit_id
		JOIN directory_agencies g ON g.id = q.agency_id
		JOIN directory_people p ON p.id = d.giver_id
		JOIN directory_accounts c ON c.person_id = d.giver_id
		WHERE d.taker_id = $1 AND d.valid_from <= $2 AND d.valid_until > $2 AND c.disabled_at IS NULL AND q.person_id = d.giver_id AND `+validAt("q", "$2")+`
		ORDER BY p.sort_key, q.rank, q.id`, string(person), now.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("read lent positions: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []Position
	for rows.Next() {
		var p Position
		var scopes string
		var path []byte
		var until int64
		if err := rows.Scan(&p.Delegation, &scopes, &until, &p.DelegatedBy,
			&p.ID, &p.Title, &p.UnitID, &p.Unit, &path, &p.Agency, &p.AgencyName, &p.Kind, &p.Clearance); err != nil {
			return nil, fmt.Errorf("read lent positions: %w", err)
		}
		p.Scopes, p.UnitPath, p.lentUntil = parseScopes(scopes), string(path), time.UnixMicro(until)
		colleague, clearance := false, 0
		for _, q := range own {
			colleague = colleague || q.Agency == p.Agency
			clearance = max(clearance, q.Clearance)
		}
		if colleague {
			p.Clearance = min(p.Clearance, clearance) // a secret is entrusted to a person
			out = append(out, p)
		}
	}
	return out, rows.Err()
}

// readColleague tells whether a person holds a post in a position's agency, and
// the account that they sign in with; empty without one that is enabled.
func readColleague(ctx context.Context, tx *sqldb.Tx, person identity.PersonID, position identity.PositionID, now time.Time) (bool, identity.AccountID, error) {
	var colleague bool
	var account identity.AccountID
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM directory_positions q JOIN directory_positions o ON o.agency_id = q.agency_id
			WHERE o.id = $2 AND q.person_id = p.id AND `+validAt("q", "$3")+`), COALESCE(c.id, '')
		FROM directory_people p LEFT JOIN directory_accounts c ON c.person_id = p.id AND c.disabled_at IS NULL
		WHERE p.id = $1`, string(person), string(position), now.UnixMicro()).Scan(&colleague, &account)
	if errors.Is(err, sql.ErrNoRows) {
		return false, "", errcode.New(errcode.NotFound, "there is no such person in the directory")
	}
	return colleague, account, err
}

func lockPerson(ctx context.Context, tx *sqldb.Tx, id identity.PersonID) error {
	var one int
	err := tx.QueryRow(ctx, `SELECT 1 FROM directory_people WHERE id = $1`+tx.ForUpdate(), string(id)).Scan(&one)
	if err != nil {
		return fmt.Errorf("lock person %s: %w", id, err)
	}
	return nil
}

// takersOf returns the accounts to which positions of a person are lent.
func takersOf(ctx context.Context, tx *sqldb.Tx, giver identity.PersonID, now time.Time) ([]identity.AccountID, error) {
	texts, err := readTexts(ctx, tx, `SELECT DISTINCT c.id FROM directory_delegations d JOIN directory_accounts c ON c.person_id = d.taker_id
		WHERE d.giver_id = $1 AND d.valid_until > $2`, string(giver), now.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("read takers: %w", err)
	}
	accounts := make([]identity.AccountID, len(texts))
	for i, text := range texts {
		accounts[i] = identity.AccountID(text)
	}
	return accounts, nil
}

func personOfAccount(ctx context.Context, tx *sqldb.Tx, id identity.AccountID) (identity.PersonID, error) {
	var person identity.PersonID
	err := tx.QueryRow(ctx, `SELECT person_id FROM directory_accounts WHERE id = $1`, string(id)).Scan(&person)
	return person, err
}
