package directory

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"commsd/directory/visibility"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// maxPartnerGrants bounds one list.
const maxPartnerGrants = 1000

// readPartnerRelations reads the roles that stand now.
func readPartnerRelations(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, o identity.Object, now time.Time) ([]identity.Relation, error) {
	roles, err := readTexts(ctx, tx, `SELECT g.role FROM directory_partner_grants g
		JOIN directory_partner_people w ON w.grant_id = g.id AND w.person_id = $1
		WHERE g.object_kind = $2 AND g.object_id = $3 AND g.agency_id = $4 AND g.partner_id = $5
			AND (g.until IS NULL OR g.until > $6)
			AND EXISTS (SELECT 1 FROM directory_positions q WHERE q.person_id = $1 AND q.agency_id = $5 AND `+validAt("q", "$6")+`)
		ORDER BY g.role`,
		string(actor.Person), o.Kind, o.ID, string(o.Agency), string(actor.Agency), now.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("read relations of partners: %w", err)
	}
	out := make([]identity.Relation, len(roles))
	for i, role := range roles {
		out[i] = identity.Relation(role)
	}
	return out, nil
}

// readPartnerGrants reads the grants by and to an agency, or of all when it is
// empty; only, when not empty, is the one that is wanted.
func (s *Service) readPartnerGrants(ctx context.Context, tx *sqldb.Tx, agency identity.AgencyID, only string) ([]PartnerGrant, error) {
	var args arguments
	query := `SELECT w.id, w.agency_id, g.name, w.partner_id, p.name, w.object_kind, w.object_id, w.object_name, w.role, w.until, w.created_at
		FROM directory_partner_grants w
		JOIN directory_agencies g ON g.id = w.agency_id
		JOIN directory_agencies p ON p.id = w.partner_id`
	switch {
	case only != "":
		query += ` WHERE w.id = ` + args.add(only)
	case agency != "":
		at := args.add(string(agency))
		query += ` WHERE w.agency_id = ` + at + ` OR w.partner_id = ` + at
	}
	query += ` ORDER BY w.id DESC LIMIT ` + args.add(maxPartnerGrants)
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read partner grants: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []PartnerGrant
	for rows.Next() {
		g := PartnerGrant{People: []directoryPerson{}}
		var until sql.NullInt64
		var created int64
		if err := rows.Scan(&g.ID, &g.Agency, &g.AgencyName, &g.Partner, &g.PartnerName, &g.ObjectKind, &g.ObjectID, &g.ObjectName, &g.Role, &until, &created); err != nil {
			return nil, fmt.Errorf("read partner grants: %w", err)
		}
		g.Until, g.CreatedAt = microsTime(until), time.UnixMicro(created).UTC()
		out = append(out, g)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read partner grants: %w", err)
	}
	if err := rows.Close(); err != nil {
		return nil, fmt.Errorf("read partner grants: %w", err)
	}
	return out, s.readPartnerPeople(ctx, tx, out)
}

// readPartnerPeople fills in whom the partners chose, as everybody may see them
// who meets them.
func (s *Service) readPartnerPeople(ctx context.Context, tx *sqldb.Tx, grants []PartnerGrant) error {
	chosen := make(map[string][]identity.PersonID, len(grants))
	var all []identity.PersonID
	for some := range slices.Chunk(grants, 500) { // placeholders in one statement
		if err := readChosen(ctx, tx, some, chosen); err != nil {
			return fmt.Errorf("read people of partners: %w", err)
		}
	}
	for _, ids := range chosen {
		all = append(all, ids...)
	}
	entries, policies, err := s.readWithPolicies(ctx, tx, all)
	if err != nil {
		return err
	}
	for i := range grants {
		for _, id := range chosen[grants[i].ID] {
			if e := entries[id]; e != nil {
				grants[i].People = append(grants[i].People, personJSON(visibility.Known(*e, policies[e.Agency].Visibility)))
			}
		}
	}
	return nil
}

// readChosen adds to chosen, by grant, whom the partners chose.
func readChosen(ctx context.Context, tx *sqldb.Tx, grants []PartnerGrant, chosen map[string][]identity.PersonID) error {
	ids := make([]string, len(grants))
	for i, g := range grants {
		ids[i] = g.ID
	}
	var args arguments
	rows, err := tx.Query(ctx, `SELECT w.grant_id, p.id FROM directory_partner_people w
		JOIN directory_people p ON p.id = w.person_id WHERE w.grant_id IN (`+placeholders(&args, ids)+`) ORDER BY p.sort_key, p.id`, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	for rows.Next() {
		var grant string
		var id identity.PersonID
		if err := rows.Scan(&grant, &id); err != nil {
			return err
		}
		chosen[grant] = append(chosen[grant], id)
	}
	return rows.Err()
}

func errNoPartnerGrant() error {
	return errcode.New(errcode.NotFound, "there is no such role given to a partner")
}

func lockPartnerGrant(ctx context.Context, tx *sqldb.Tx, id string) error {
	return lockRow(ctx, tx, "directory_partner_grants", id, errNoPartnerGrant())
}

// readPartnerGrant answers errcode.NotFound where there is none.
func (s *Service) readPartnerGrant(ctx context.Context, tx *sqldb.Tx, id string) (PartnerGrant, error) {
	if id == "" {
		return PartnerGrant{}, errNoPartnerGrant()
	}
	found, err := s.readPartnerGrants(ctx, tx, "", id)
	if err != nil {
		return PartnerGrant{}, err
	}
	if len(found) == 0 {
		return PartnerGrant{}, errNoPartnerGrant()
	}
	return found[0], nil
}

func insertPartnerGrant(ctx context.Context, tx *sqldb.Tx, g PartnerGrant, by identity.AccountID, now time.Time) error {
	// The same role that has run out makes room, with the people chosen then.
	old, err := readTexts(ctx, tx, `SELECT id FROM directory_partner_grants
		WHERE object_kind = $1 AND object_id = $2 AND agency_id = $3 AND partner_id = $4 AND role = $5 AND until <= $6`,
		g.ObjectKind, g.ObjectID, string(g.Agency), string(g.Partner), g.Role, now.UnixMicro())
	if err != nil {
		return fmt.Errorf("insert partner grant: %w", err)
	}
	for _, id := range old {
		if err := deletePartnerGrant(ctx, tx, id); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `INSERT INTO directory_partner_grants
		(id, agency_id, partner_id, object_kind, object_id, object_name, role, until, created_by, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		g.ID, string(g.Agency), string(g.Partner), g.ObjectKind, g.ObjectID, g.ObjectName, g.Role, microsOrNull(g.Until), string(by), now.UnixMicro())
	if err != nil {
		return fmt.Errorf("insert partner grant: %w", unique(err, "partner_has_role", "this role on %s was given to that agency already", g.ObjectName))
	}
	return nil
}

func deletePartnerGrant(ctx context.Context, tx *sqldb.Tx, id string) error {
	for _, query := range []string{
		`DELETE FROM directory_partner_people WHERE grant_id = $1`,
		`DELETE FROM directory_partner_grants WHERE id = $1`,
	} {
		if _, err := tx.Exec(ctx, query, id); err != nil {
			return fmt.Errorf("delete partner grant: %w", err)
		}
	}
	return nil
}

func insertPartnerPerson(ctx context.Context, tx *sqldb.Tx, id string, person identity.PersonID, by identity.AccountID, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO directory_partner_people (grant_id, person_id, assigned_by, assigned_at)
		VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, id, string(person), string(by), now.UnixMicro())
	if err != nil {
		return fmt.Errorf("choose a person: %w", err)
	}
	return nil
}

func deletePartnerPerson(ctx context.Context, tx *sqldb.Tx, id string, person identity.PersonID) error {
	res, err := tx.Exec(ctx, `DELETE FROM directory_partner_people WHERE grant_id = $1 AND person_id = $2`, id, string(person))
	if err != nil {
		return fmt.Errorf("take a person out: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		if err != nil {
			return err
		}
		return errcode.New(errcode.NotFound, "this person was not chosen for the role")
	}
	return nil
}
