package directory

import (
	"context"
	"fmt"
	"time"

	"commsd/directory/searchkey"
	"commsd/identity"
	"commsd/internal/fold"
	"commsd/internal/sqldb"
)

// newStaff is a person to be made together with a post.
type newStaff struct {
	id      identity.PersonID // set by insertStaff
	account identity.AccountID

	name                  personName
	address               string // main mail address; empty: neither mailbox nor account
	externalKey           string // empty: none
	phone, mobile, office string
	post                  newPost
	withAccount           bool // without a password: a one-time code opens it
}

// newPost is a position to be made.
type newPost struct {
	unit      identity.UnitID
	agency    identity.AgencyID
	title     string
	kind      string
	seniority int
}

// insertStaff makes many people at once, with few statements, and what they are
// found by.
func insertStaff(ctx context.Context, tx *sqldb.Tx, staff []newStaff, now time.Time) error {
	keys := make([][]byte, len(staff))
	positions := make([]string, len(staff))
	var mailed, accounts []int
	for i := range staff {
		p := &staff[i]
		p.name = p.name.normal()
		for _, id := range []*string{(*string)(&p.id), &positions[i], (*string)(&p.account)} {
			made, err := newID()
			if err != nil {
				return err
			}
			*id = made
		}
		keys[i] = p.name.sortKey()
		if p.address != "" {
			p.address = normalAddress(p.address)
			mailed = append(mailed, i)
			if p.withAccount {
				accounts = append(accounts, i)
			}
		}
		if _, ok := positionRank[p.post.kind]; !ok {
			return fmt.Errorf("insert staff: unknown kind %q", p.post.kind)
		}
	}
	at := now.UnixMicro()
	err := tx.InsertMany(ctx, `directory_people (id, family_name, middle_name, given_name, display_name, fold, sort_key,
		created_at, updated_at, phone, mobile, office, external_key)`, 13, len(staff), func(i int) []any {
		p := staff[i]
		var key any
		if p.externalKey != "" {
			key = p.externalKey
		}
		return []any{string(p.id), p.name.Family, p.name.Middle, p.name.Given, p.name.display(), fold.String(p.name.display()), keys[i],
			at, at, p.phone, p.mobile, p.office, key}
	}, "")
	if err != nil {
		return fmt.Errorf("insert staff: %w", err)
	}
	err = tx.InsertMany(ctx, `directory_addresses (address, person_id, kind)`, 3, len(mailed), func(i int) []any {
		p := staff[mailed[i]]
		return []any{p.address, string(p.id), "main"}
	}, "")
	if err != nil {
		return fmt.Errorf("insert staff: %w", err)
	}
	err = tx.InsertMany(ctx, `directory_positions (id, person_id, unit_id, agency_id, title, kind, rank, seniority, valid_from, sort_key)`, 10, len(staff), func(i int) []any {
		p := staff[i]
		return []any{positions[i], string(p.id), string(p.post.unit), string(p.post.agency), normalText(p.post.title), p.post.kind,
			positionRank[p.post.kind], p.post.seniority, at, keys[i]}
	}, "")
	if err != nil {
		return fmt.Errorf("insert staff: %w", err)
	}
	err = tx.InsertMany(ctx, `directory_accounts (id, person_id, login, password_hash, password_changed_at, created_at)`, 6, len(accounts), func(i int) []any {
		p := staff[accounts[i]]
		return []any{string(p.account), string(p.id), p.address, "", at, at}
	}, "")
	if err != nil {
		return fmt.Errorf("insert staff: %w", err)
	}
	found := make(map[identity.PersonID]searched, len(staff))
	for _, p := range staff {
		n := searchkey.Name{Family: p.name.Family, Middle: p.name.Middle, Given: p.name.Given, Address: p.address}
		found[p.id] = searched{name: n, agencies: []string{string(p.post.agency)}}
	}
	return writeSearched(ctx, tx, nil, found)
}
