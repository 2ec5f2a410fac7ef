package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

var positionRank = map[string]int{KindMain: 0, KindActing: 1, KindConcurrent: 2}

// insertPosition gives a person a post from now on. seniority orders the people
// of a unit, leaders first.
func insertPosition(ctx context.Context, tx *sqldb.Tx, person identity.PersonID, in place, title, kind string, seniority int, now time.Time) error {
	id, err := newID()
	if err != nil {
		return err
	}
	p := PositionRecord{ID: identity.PositionID(id), Person: person, Title: title, UnitID: in.id, Agency: in.agency,
		Kind: kind, Seniority: seniority, From: now, Version: 1}
	if err := p.check(); err != nil {
		return err
	}
	if err := insertPositionRecord(ctx, tx, p); err != nil {
		return err
	}
	return indexPerson(ctx, tx, person, now)
}

func insertPositionRecord(ctx context.Context, tx *sqldb.Tx, p PositionRecord) error {
	_, err := tx.Exec(ctx, `INSERT INTO directory_positions
		(id, person_id, unit_id, agency_id, title, kind, rank, seniority, valid_from, valid_until, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		string(p.ID), string(p.Person), string(p.UnitID), string(p.Agency), p.Title, p.Kind, positionRank[p.Kind], p.Seniority,
		p.From.UnixMicro(), microsOrNull(p.Until), p.Version)
	if err != nil {
		return fmt.Errorf("insert position: %w", err)
	}
	return nil
}

func updatePosition(ctx context.Context, tx *sqldb.Tx, p PositionRecord) error {
	_, err := tx.Exec(ctx, `UPDATE directory_positions SET title = $1, kind = $2, rank = $3, seniority = $4,
		valid_from = $5, valid_until = $6, version = $7 WHERE id = $8`,
		p.Title, p.Kind, positionRank[p.Kind], p.Seniority, p.From.UnixMicro(), microsOrNull(p.Until), p.Version, string(p.ID))
	if err != nil {
		return fmt.Errorf("update position: %w", err)
	}
	return nil
}

const heldColumns = `q.id, q.person_id, q.title, q.unit_id, u.name, u.path, q.agency_id, g.name, q.kind, q.seniority, q.valid_from, q.valid_until, q.version
	FROM directory_positions q
	JOIN directory_units u ON u.id = q.unit_id
	JOIN directory_agencies g ON g.id = q.agency_id`

// held is the condition that a position was not withdrawn before it began.
const held = `(q.valid_until IS NULL OR q.valid_until > q.valid_from)`

// readHeld reads all positions of a person: of now by rank, then those to come,
// the next first, then the past ones, the last first.
func readHeld(ctx context.Context, tx *sqldb.Tx, person identity.PersonID, now time.Time) ([]heldPosition, error) {
	return queryHeld(ctx, tx, now, `SELECT `+heldColumns+` WHERE q.person_id = $1 AND `+held+`
		ORDER BY CASE WHEN q.valid_from > $2 THEN 1 WHEN q.valid_until <= $2 THEN 2 ELSE 0 END,
			CASE WHEN q.valid_from > $2 THEN q.valid_from WHEN q.valid_until <= $2 THEN -q.valid_until ELSE q.rank END, q.id`,
		string(person), now.UnixMicro())
}

// readActing reads who acts in a unit, has acted or will.
func readActing(ctx context.Context, tx *sqldb.Tx, unit identity.UnitID, now time.Time) ([]heldPosition, error) {
	return queryHeld(ctx, tx, now, `SELECT `+heldColumns+` WHERE q.unit_id = $1 AND q.kind = 'acting' AND `+held+` ORDER BY q.id`, string(unit))
}

// readHeldPosition answers errcode.NotFound where there is none.
func readHeldPosition(ctx context.Context, tx *sqldb.Tx, id identity.PositionID, now time.Time) (heldPosition, error) {
	all, err := queryHeld(ctx, tx, now, `SELECT `+heldColumns+` WHERE q.id = $1 AND `+held, string(id))
	if err == nil && len(all) == 0 {
		err = errcode.New(errcode.NotFound, "there is no such position")
	}
	if err != nil {
		return heldPosition{}, err
	}
	return all[0], nil
}

func queryHeld(ctx context.Context, tx *sqldb.Tx, now time.Time, query string, args ...any) ([]heldPosition, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read positions: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []heldPosition
	for rows.Next() {
		var p heldPosition
		var path []byte
		var from int64
		var until sql.NullInt64
		if err := rows.Scan(&p.ID, &p.Person, &p.Title, &p.UnitID, &p.Unit, &path, &p.Agency, &p.AgencyName, &p.Kind, &p.Seniority, &from, &until, &p.Version); err != nil {
			return nil, fmt.Errorf("read positions: %w", err)
		}
		p.path, p.From, p.Until = string(path), time.UnixMicro(from).UTC(), microsTime(until)
		p.State = p.stateAt(now)
		out = append(out, p)
	}
	return out, rows.Err()
}

// personExists answers errcode.NotFound where there is none; lock is
// Tx.ForUpdate() where nobody else may change the person's positions meanwhile.
func personExists(ctx context.Context, tx *sqldb.Tx, id identity.PersonID, lock string) error {
	var found string
	err := tx.QueryRow(ctx, `SELECT id FROM directory_people WHERE id = $1`+lock, string(id)).Scan(&found)
	if errors.Is(err, sql.ErrNoRows) {
		return errcode.New(errcode.NotFound, "there is no such person in the directory")
	}
	return err
}

func microsOrNull(t *time.Time) any {
	if t == nil {
		return nil
	}
	return t.UnixMicro()
}

func microsTime(v sql.NullInt64) *time.Time {
	if !v.Valid {
		return nil
	}
	t := time.UnixMicro(v.Int64).UTC()
	return &t
}

// lentTo returns the accounts of those to whom a position is lent, now or from
// a day to come.
func lentTo(ctx context.Context, tx *sqldb.Tx, id identity.PositionID, now time.Time) ([]identity.AccountID, error) {
	texts, err := readTexts(ctx, tx, `SELECT DISTINCT c.id FROM directory_delegations d
		JOIN directory_accounts c ON c.person_id = d.taker_id
		WHERE d.position_id = $1 AND d.ended_at IS NULL AND d.valid_until > $2`, string(id), now.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("read whom a position is lent to: %w", err)
	}
	accounts := make([]identity.AccountID, len(texts))
	for i, text := range texts {
		accounts[i] = identity.AccountID(text)
	}
	return accounts, nil
}
