package directory

import (
	"context"
	"fmt"
	"time"

	"commsd/identity"
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

func insertAccount(ctx context.Context, tx *sqldb.Tx, person identity.PersonID, login string, hash string, now time.Time, grants ...identity.Grant) error {
	id, err := newID()
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO directory_accounts (id, person_id, login, password_hash, password_changed_at, created_at)
		VALUES ($1, $2, $3, $4, $5, $5)`, id, string(person), normalAddress(login), hash, now.UnixMicro())
	if err != nil {
		return fmt.Errorf("insert account %s: %w", login, unique(err, "address_taken", "there is an account %s already, or this person has one", login))
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
