package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/fold"
	"commsd/internal/sqldb"
)

// insertPerson makes a person; address, the main mail address, may be empty.
// Who holds no post is found by nobody: insertPosition makes the search rows.
func insertPerson(ctx context.Context, tx *sqldb.Tx, n personName, address string, now time.Time) (identity.PersonID, error) {
	id, err := newID()
	if err != nil {
		return "", err
	}
	n = n.normal()
	r := PersonRecord{ID: identity.PersonID(id), Family: n.Family, Middle: n.Middle, Given: n.Given, Name: n.display(),
		Address: normalAddress(address), Version: 1}
	if err := insertPersonRecord(ctx, tx, r, now); err != nil {
		return "", err
	}
	return r.ID, writeAddresses(ctx, tx, r)
}

// insertPersonRecord makes a person without addresses. Whoever calls it writes
// those and then the words that the person is found by.
func insertPersonRecord(ctx context.Context, tx *sqldb.Tx, r PersonRecord, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO directory_people
		(id, family_name, middle_name, given_name, display_name, fold, sort_key, phone, mobile, office, external_key, created_at, updated_at, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13)`,
		string(r.ID), r.Family, r.Middle, r.Given, r.Name, fold.String(r.Name), r.parts().sortKey(),
		r.Phone, r.Mobile, r.Office, orNull(r.ExternalKey), now.UnixMicro(), r.Version)
	if err != nil {
		return fmt.Errorf("insert person: %w", uniqueKey(err, r))
	}
	return nil
}

func updatePerson(ctx context.Context, tx *sqldb.Tx, r PersonRecord, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE directory_people SET family_name = $1, middle_name = $2, given_name = $3, display_name = $4, fold = $5, sort_key = $6,
		phone = $7, mobile = $8, office = $9, external_key = $10, updated_at = $11, version = $12 WHERE id = $13`,
		r.Family, r.Middle, r.Given, r.Name, fold.String(r.Name), r.parts().sortKey(),
		r.Phone, r.Mobile, r.Office, orNull(r.ExternalKey), now.UnixMicro(), r.Version, string(r.ID))
	if err != nil {
		return fmt.Errorf("update person: %w", uniqueKey(err, r))
	}
	return nil
}

func uniqueKey(err error, r PersonRecord) error {
	return unique(err, "key_taken", "another person has the key %s of the personnel system", r.ExternalKey)
}

// readPerson answers errcode.NotFound where there is none.
func readPerson(ctx context.Context, tx *sqldb.Tx, id identity.PersonID) (PersonRecord, error) {
	r := PersonRecord{ID: id, Aliases: []string{}}
	err := tx.QueryRow(ctx, `SELECT p.family_name, p.middle_name, p.given_name, p.display_name, p.phone, p.mobile, p.office,
			COALESCE(p.external_key, ''), p.version, c.id IS NOT NULL, c.disabled_at IS NOT NULL
		FROM directory_people p LEFT JOIN directory_accounts c ON c.person_id = p.id WHERE p.id = $1`, string(id)).
		Scan(&r.Family, &r.Middle, &r.Given, &r.Name, &r.Phone, &r.Mobile, &r.Office, &r.ExternalKey, &r.Version, &r.HasAccount, &r.Disabled)
	if errors.Is(err, sql.ErrNoRows) {
		return r, errcode.New(errcode.NotFound, "there is no such person in the directory")
	}
	if err != nil {
		return r, fmt.Errorf("read person %s: %w", id, err)
	}
	if r.Address, err = readMainAddress(ctx, tx, id); err != nil {
		return r, err
	}
	r.Aliases, err = readTexts(ctx, tx, `SELECT address FROM directory_addresses WHERE person_id = $1 AND kind = 'alias' ORDER BY address`, string(id))
	return r, err
}

func readMainAddress(ctx context.Context, tx *sqldb.Tx, id identity.PersonID) (string, error) {
	var address string
	err := tx.QueryRow(ctx, `SELECT address FROM directory_addresses WHERE person_id = $1 AND kind = 'main'`, string(id)).Scan(&address)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return address, err
}

func writeAddresses(ctx context.Context, tx *sqldb.Tx, r PersonRecord) error {
	kind := "main"
	for _, address := range r.addresses() {
		if err := insertAddress(ctx, tx, r.ID, address, kind); err != nil {
			return err
		}
		if err := loginIsFree(ctx, tx, address, r.ID); err != nil {
			return err
		}
		kind = "alias"
	}
	return nil
}

func deleteAddresses(ctx context.Context, tx *sqldb.Tx, id identity.PersonID) error {
	_, err := tx.Exec(ctx, `DELETE FROM directory_addresses WHERE person_id = $1`, string(id))
	return err
}

func insertAddress(ctx context.Context, tx *sqldb.Tx, person identity.PersonID, address, kind string) error {
	address = normalAddress(address)
	_, err := tx.Exec(ctx, `INSERT INTO directory_addresses (address, person_id, kind) VALUES ($1, $2, $3)`,
		address, string(person), kind)
	if err != nil {
		return fmt.Errorf("insert address: %w", uniqueAddress(err, address))
	}
	return nil
}

// updateLogin makes address the login of a person's account.
func updateLogin(ctx context.Context, tx *sqldb.Tx, person identity.PersonID, address string) error {
	_, err := tx.Exec(ctx, `UPDATE directory_accounts SET login = $1 WHERE person_id = $2`, address, string(person))
	if err != nil {
		return fmt.Errorf("update login: %w", unique(err, "address_taken", "another account has the login %s", address))
	}
	return nil
}

// agencyOfDomain returns whose mail domain it is; empty: no agency's.
func agencyOfDomain(ctx context.Context, tx *sqldb.Tx, domain string) (identity.AgencyID, error) {
	var id identity.AgencyID
	err := tx.QueryRow(ctx, `SELECT agency_id FROM directory_agency_domains WHERE domain = $1`, domain).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

func uniqueAddress(err error, address string) error {
	return unique(err, "address_taken", "the address %s is taken: choose another", address)
}

// loginIsFree refuses an address that somebody other than person signs in by: a
// login is an address too, even where it receives no mail.
func loginIsFree(ctx context.Context, tx *sqldb.Tx, address string, person identity.PersonID) error {
	var taken int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM directory_accounts WHERE login = $1 AND person_id <> $2`, address, string(person)).Scan(&taken)
	if err == nil && taken > 0 {
		return errcode.New(errcode.Conflict, "the address %s is the login of somebody else: choose another", address).Because("address_taken")
	}
	return err
}

// maxUnplaced bounds the list of people without a position, the latest first.
const maxUnplaced = 500

func unplacedQuery(agency identity.AgencyID, now time.Time) (string, arguments) {
	var args arguments
	at := args.add(now.UnixMicro())
	where := `NOT EXISTS (SELECT 1 FROM directory_positions w WHERE w.person_id = p.id)`
	if agency != "" {
		where = `p.id IN (SELECT w.person_id FROM directory_positions w WHERE w.agency_id = ` + args.add(string(agency)) + `)
			AND NOT EXISTS (SELECT 1 FROM directory_positions w WHERE w.person_id = p.id AND (w.valid_until IS NULL OR w.valid_until > ` + at + `))`
	}
	return `SELECT ` + personColumns + ` FROM directory_people p ` + mainPosition("LEFT JOIN", at) + ` WHERE ` + where + `
		ORDER BY p.id DESC LIMIT ` + args.add(maxUnplaced), args
}
