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

// insertAgency makes an agency of r, which needs no id.
func insertAgency(ctx context.Context, tx *sqldb.Tx, r AgencyRecord, now time.Time) (identity.AgencyID, error) {
	if err := r.check(); err != nil {
		return "", err
	}
	id, err := newID()
	if err != nil {
		return "", err
	}
	r.ID, r.Version = identity.AgencyID(id), 1
	return r.ID, insertAgencyRecord(ctx, tx, r, now)
}

func insertAgencyRecord(ctx context.Context, tx *sqldb.Tx, r AgencyRecord, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO directory_agencies
		(id, identifier, name, name_en, short_name, parent_id, time_zone, created_at, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		string(r.ID), r.Identifier, r.Name, r.NameEN, r.ShortName, orNull(r.Parent), r.TimeZone, now.UnixMicro(), r.Version)
	if err != nil {
		return fmt.Errorf("insert agency: %w", unique(err, "identifier_taken", "another agency has the identifier %s", r.Identifier))
	}
	return insertAgencyNames(ctx, tx, r)
}

func updateAgency(ctx context.Context, tx *sqldb.Tx, r AgencyRecord) error {
	_, err := tx.Exec(ctx, `UPDATE directory_agencies SET identifier = $1, name = $2, name_en = $3, short_name = $4,
		parent_id = $5, time_zone = $6, version = $7 WHERE id = $8`,
		r.Identifier, r.Name, r.NameEN, r.ShortName, orNull(r.Parent), r.TimeZone, r.Version, string(r.ID))
	if err != nil {
		return fmt.Errorf("update agency: %w", unique(err, "identifier_taken", "another agency has the identifier %s", r.Identifier))
	}
	for _, table := range []string{"directory_agency_aliases", "directory_agency_domains"} {
		if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE agency_id = $1`, string(r.ID)); err != nil {
			return fmt.Errorf("update agency: %w", err)
		}
	}
	return insertAgencyNames(ctx, tx, r)
}

// insertAgencyNames writes an agency's former identifiers and its domains.
func insertAgencyNames(ctx context.Context, tx *sqldb.Tx, r AgencyRecord) error {
	for _, a := range r.Aliases {
		_, err := tx.Exec(ctx, `INSERT INTO directory_agency_aliases (alias, agency_id) VALUES ($1, $2)`, a, string(r.ID))
		if err != nil {
			return fmt.Errorf("insert alias: %w", unique(err, "alias_taken", "another agency has the former identifier %s", a))
		}
	}
	for rank, d := range r.Domains {
		_, err := tx.Exec(ctx, `INSERT INTO directory_agency_domains (domain, agency_id, rank) VALUES ($1, $2, $3)`, d, string(r.ID), rank)
		if err != nil {
			return fmt.Errorf("insert mail domain: %w", unique(err, "domain_taken", "another agency has the mail domain %s", d))
		}
	}
	return nil
}

// readAgency answers errcode.NotFound where there is none.
func readAgency(ctx context.Context, tx *sqldb.Tx, id identity.AgencyID, lock string) (AgencyRecord, error) {
	r := AgencyRecord{ID: id}
	err := tx.QueryRow(ctx, `SELECT identifier, name, name_en, short_name, COALESCE(parent_id, ''), time_zone, version
		FROM directory_agencies WHERE id = $1`+lock, string(id)).
		Scan(&r.Identifier, &r.Name, &r.NameEN, &r.ShortName, &r.Parent, &r.TimeZone, &r.Version)
	if errors.Is(err, sql.ErrNoRows) {
		return r, errcode.New(errcode.NotFound, "there is no such agency in the directory")
	}
	if err != nil {
		return r, fmt.Errorf("read agency %s: %w", id, err)
	}
	if r.Aliases, err = readTexts(ctx, tx, `SELECT alias FROM directory_agency_aliases WHERE agency_id = $1 ORDER BY alias`, string(id)); err != nil {
		return r, err
	}
	r.Domains, err = readTexts(ctx, tx, `SELECT domain FROM directory_agency_domains WHERE agency_id = $1 ORDER BY rank, domain`, string(id))
	return r, err
}

func agencyOfIdentifier(ctx context.Context, tx *sqldb.Tx, text string) (identity.AgencyID, error) {
	var id identity.AgencyID
	err := tx.QueryRow(ctx, `SELECT id FROM directory_agencies WHERE identifier = $1
		UNION ALL SELECT agency_id FROM directory_agency_aliases WHERE alias = $1 LIMIT 1`, text).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", errcode.New(errcode.NotFound, "no agency has the identifier %s: write it root first, such as H26.05", text)
	}
	return id, err
}

// checkParentAgency refuses a parent that does not exist, or that stands below
// the agency itself.
func checkParentAgency(ctx context.Context, tx *sqldb.Tx, id, parent identity.AgencyID) error {
	for at := parent; at != ""; {
		if at == id {
			return errcode.New(errcode.Invalid, "an agency cannot stand below itself: choose another agency above it").Because("agency_below_itself")
		}
		// The lock keeps two agencies from being put below each other at once.
		err := tx.QueryRow(ctx, `SELECT COALESCE(parent_id, '') FROM directory_agencies WHERE id = $1`+tx.ForUpdate(), string(at)).Scan(&at)
		if errors.Is(err, sql.ErrNoRows) {
			return errcode.New(errcode.NotFound, "the agency above is not in the directory")
		}
		if err != nil {
			return fmt.Errorf("read the agencies above: %w", err)
		}
	}
	return nil
}

// domainIsFree refuses to take a mail domain away that somebody is written to
// in. It reads all addresses; taking a domain away is rare.
func domainIsFree(ctx context.Context, tx *sqldb.Tx, domain string) error {
	var n int
	// A domain holds neither % nor _ nor \.
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM directory_addresses WHERE address LIKE $1`, "%@"+domain).Scan(&n)
	if err == nil && n > 0 {
		return errcode.New(errcode.Conflict, "%d addresses are in the mail domain %s: change them first", n, domain).Because("domain_in_use")
	}
	return err
}

// readTexts reads one column of text.
func readTexts(ctx context.Context, tx *sqldb.Tx, query string, args ...any) ([]string, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	out := []string{}
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return out, rows.Err()
}
