package directory

import (
	"context"
	"fmt"
	"time"

	"commsd/identity"
	"commsd/internal/fold"
	"commsd/internal/sqldb"
)

// place is a unit with what one needs to put units and people into it.
type place struct {
	id     identity.UnitID
	agency identity.AgencyID
	path   []byte
}

// insertUnit makes a unit in parent, or at the root of the agency when parent
// has no id.
func insertUnit(ctx context.Context, tx *sqldb.Tx, parent place, name, nameEN string, rank int) (place, error) {
	id, err := newID()
	if err != nil {
		return place{}, err
	}
	out := place{id: identity.UnitID(id), agency: parent.agency}
	if parent.id == "" {
		out.path = []byte("/" + id + "/")
	} else {
		out.path = append(append([]byte(nil), parent.path...), id+"/"...)
	}
	_, err = tx.Exec(ctx, `INSERT INTO directory_units (id, agency_id, parent_id, path, name, name_en, rank)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		id, string(out.agency), orNull(parent.id), out.path, normalText(name), nameEN, rank)
	if err != nil {
		return place{}, fmt.Errorf("insert unit %s: %w", name, err)
	}
	return out, nil
}

// insertPerson makes a person; address, the main mail address, may be empty.
func insertPerson(ctx context.Context, tx *sqldb.Tx, n personName, address string, now time.Time) (identity.PersonID, error) {
	text, err := newID()
	if err != nil {
		return "", err
	}
	id := identity.PersonID(text)
	n = n.normal()
	_, err = tx.Exec(ctx, `INSERT INTO directory_people
		(id, family_name, middle_name, given_name, display_name, fold, sort_key, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		text, n.Family, n.Middle, n.Given, n.display(), fold.String(n.display()), n.sortKey(), now.UnixMicro())
	if err != nil {
		return "", fmt.Errorf("insert person %s: %w", n.display(), err)
	}
	if address != "" {
		if err := insertAddress(ctx, tx, id, address, "main"); err != nil {
			return "", err
		}
	}
	return id, indexPerson(ctx, tx, id)
}

func insertAddress(ctx context.Context, tx *sqldb.Tx, person identity.PersonID, address, kind string) error {
	_, err := tx.Exec(ctx, `INSERT INTO directory_addresses (address, person_id, kind) VALUES ($1, $2, $3)`,
		normalAddress(address), string(person), kind)
	if err != nil {
		return fmt.Errorf("insert address %s: %w", address, err)
	}
	return nil
}

// indexPerson writes the words that a person is found by. It is called after
// any change of name or main address.
func indexPerson(ctx context.Context, tx *sqldb.Tx, id identity.PersonID) error {
	var name, address string
	err := tx.QueryRow(ctx, `SELECT p.display_name, COALESCE(a.address, '') FROM directory_people p
		LEFT JOIN directory_addresses a ON a.person_id = p.id AND a.kind = 'main' WHERE p.id = $1`, string(id)).Scan(&name, &address)
	if err != nil {
		return fmt.Errorf("index person %s: %w", id, err)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM directory_search_tokens WHERE person_id = $1`, string(id)); err != nil {
		return fmt.Errorf("index person %s: %w", id, err)
	}
	words := fold.Words(name)
	for _, w := range fold.Words(address) {
		// An address has no marks to be right or wrong about.
		words = append(words, fold.Word{Folded: w.Folded})
	}
	for _, w := range words {
		_, err := tx.Exec(ctx, `INSERT INTO directory_search_tokens (token, person_id, marked) VALUES ($1, $2, $3)
			ON CONFLICT DO NOTHING`, []byte(w.Folded), string(id), []byte(w.Marked))
		if err != nil {
			return fmt.Errorf("index person %s: %w", id, err)
		}
	}
	return nil
}

var positionRank = map[string]int{KindMain: 0, KindActing: 1, KindConcurrent: 2}

// insertPosition gives a person a post from now on. seniority orders the people
// of a unit, leaders first.
func insertPosition(ctx context.Context, tx *sqldb.Tx, person identity.PersonID, in place, title, kind string, seniority int, now time.Time) error {
	id, err := newID()
	if err != nil {
		return err
	}
	rank, ok := positionRank[kind]
	if !ok {
		return fmt.Errorf("insert position: unknown kind %q", kind)
	}
	_, err = tx.Exec(ctx, `INSERT INTO directory_positions
		(id, person_id, unit_id, agency_id, title, kind, rank, seniority, valid_from)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		id, string(person), string(in.id), string(in.agency), normalText(title), kind, rank, seniority, now.UnixMicro())
	if err != nil {
		return fmt.Errorf("insert position: %w", err)
	}
	return nil
}

func insertAccount(ctx context.Context, tx *sqldb.Tx, person identity.PersonID, login string, hash string, now time.Time, grants ...identity.Grant) error {
	id, err := newID()
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO directory_accounts (id, person_id, login, password_hash, password_changed_at, created_at)
		VALUES ($1, $2, $3, $4, $5, $5)`, id, string(person), normalAddress(login), hash, now.UnixMicro())
	if err != nil {
		return fmt.Errorf("insert account %s: %w", login, err)
	}
	for _, g := range grants {
		grant, err := newID()
		if err != nil {
			return err
		}
		if err := insertGrant(ctx, tx, grant, identity.AccountID(id), g, "", "", now); err != nil {
			return err
		}
	}
	return nil
}

// orNull is NULL for an empty id.
func orNull[T ~string](id T) any {
	if id == "" {
		return nil
	}
	return string(id)
}
