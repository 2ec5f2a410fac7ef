package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"commsd/identity"
	"commsd/internal/sqldb"
)

// Entry is one recorded event.
type Entry struct {
	ID       string
	At       time.Time
	Account  identity.AccountID
	Person   identity.PersonID
	Position identity.PositionID
	Agency   identity.AgencyID
	Action   identity.Action
	Object   identity.ObjectRef
	Outcome  string
	Address  string
	Detail   map[string]string
}

// Filter chooses entries; empty members choose all.
type Filter struct {
	Account identity.AccountID
	Object  identity.ObjectRef // both members or neither
	Agency  identity.AgencyID
	Action  identity.Action
	After   string // id of the last entry already read
	Limit   int    // 0: 100; 1000 at the most
}

// List reads the entries that f chooses, oldest first.
func (l *Log) List(ctx context.Context, tx *sqldb.Tx, f Filter) ([]Entry, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, 1000)

	var where []string
	var args []any
	add := func(column, value string) {
		args = append(args, value)
		where = append(where, fmt.Sprintf(column, len(args)))
	}
	if f.Account != "" {
		add("account_id = $%d", string(f.Account))
	}
	if f.Object.Kind != "" {
		add("object_kind = $%d", f.Object.Kind)
		add("object_id = $%d", f.Object.ID)
	}
	if f.Agency != "" {
		add("agency_id = $%d", string(f.Agency))
	}
	if f.Action != "" {
		add("action = $%d", string(f.Action))
	}
	add("id > $%d", f.After)
	args = append(args, limit)

	rows, err := tx.Query(ctx, fmt.Sprintf(`SELECT id, at, account_id, person_id, position_id, agency_id,
		action, object_kind, object_id, outcome, address, detail
		FROM audit_events WHERE %s ORDER BY id LIMIT $%d`, strings.Join(where, " AND "), len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("audit: list: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var entries []Entry
	for rows.Next() {
		var e Entry
		var at int64
		var detail string
		if err := rows.Scan(&e.ID, &at, &e.Account, &e.Person, &e.Position, &e.Agency,
			&e.Action, &e.Object.Kind, &e.Object.ID, &e.Outcome, &e.Address, &detail); err != nil {
			return nil, fmt.Errorf("audit: list: %w", err)
		}
		e.At = time.UnixMicro(at).UTC()
		if err := json.Unmarshal([]byte(detail), &e.Detail); err != nil {
			return nil, fmt.Errorf("audit: detail of %s: %w", e.ID, err)
		}
		entries = append(entries, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("audit: list: %w", err)
	}
	return entries, nil
}
