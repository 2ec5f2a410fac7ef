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
// Who holds no post is found by nobody: insertPosition makes the search rows.
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
	return id, nil
}

func insertAddress(ctx context.Context, tx *sqldb.Tx, person identity.PersonID, address, kind string) error {
	_, err := tx.Exec(ctx, `INSERT INTO directory_addresses (address, person_id, kind) VALUES ($1, $2, $3)`,
		normalAddress(address), string(person), kind)
	if err != nil {
		return fmt.Errorf("insert address %s: %w", address, err)
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
		(id, person_id, unit_id, agency_id, title, kind, rank, seniority, valid_from, sort_key)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, (SELECT sort_key FROM directory_people WHERE id = $2))`,
		id, string(person), string(in.id), string(in.agency), normalText(title), kind, rank, seniority, now.UnixMicro())
	if err != nil {
		return fmt.Errorf("insert position: %w", err)
	}
	return indexPerson(ctx, tx, person, now)
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
