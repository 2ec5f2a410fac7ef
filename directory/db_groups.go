package directory

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/fold"
	"commsd/internal/sqldb"
)

const groupColumns = `SELECT w.id, w.agency_id, COALESCE(w.unit_id, ''), w.name, w.name_en, w.description, w.kind,
		COALESCE(w.rule_unit_id, ''), w.rule_titles, w.version, u.path
	FROM directory_groups w LEFT JOIN directory_units u ON u.id = w.unit_id`

// maxGroups bounds one list.
const maxGroups = 2000

// readGroups reads the groups of an agency, or of all when it is empty; only,
// when not empty, is the one that is wanted.
func readGroups(ctx context.Context, tx *sqldb.Tx, agency identity.AgencyID, only identity.GroupID) ([]groupPlace, error) {
	var args arguments
	query := groupColumns
	switch {
	case only != "":
		query += ` WHERE w.id = ` + args.add(string(only))
	case agency != "":
		query += ` WHERE w.agency_id = ` + args.add(string(agency))
	}
	query += ` ORDER BY w.fold, w.id LIMIT ` + args.add(maxGroups)
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read groups: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []groupPlace
	for rows.Next() {
		g := groupPlace{GroupRecord: GroupRecord{Owners: []directoryGroupOwner{}}}
		var titles string
		var path []byte
		if err := rows.Scan(&g.ID, &g.Agency, &g.UnitID, &g.Name, &g.NameEN, &g.Description, &g.Kind, &g.RuleUnit, &titles, &g.Version, &path); err != nil {
			return nil, fmt.Errorf("read groups: %w", err)
		}
		if err := json.Unmarshal([]byte(titles), &g.RuleTitles); err != nil {
			return nil, fmt.Errorf("read titles of group %s: %w", g.ID, err)
		}
		g.path = string(path)
		out = append(out, g)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read groups: %w", err)
	}
	if err := rows.Close(); err != nil {
		return nil, fmt.Errorf("read groups: %w", err)
	}
	return out, readOwners(ctx, tx, out)
}

// readOwners fills the owners of groups in.
func readOwners(ctx context.Context, tx *sqldb.Tx, groups []groupPlace) error {
	at := map[identity.GroupID]*groupPlace{}
	const chunk = 500 // placeholders in one statement
	for len(groups) > 0 {
		some := groups[:min(chunk, len(groups))]
		groups = groups[len(some):]
		ids := make([]identity.GroupID, len(some))
		for i := range some {
			ids[i] = some[i].ID
			at[some[i].ID] = &some[i]
		}
		if err := readOwnersOf(ctx, tx, ids, at); err != nil {
			return fmt.Errorf("read owners: %w", err)
		}
	}
	return nil
}

func readOwnersOf(ctx context.Context, tx *sqldb.Tx, ids []identity.GroupID, at map[identity.GroupID]*groupPlace) error {
	var args arguments
	rows, err := tx.Query(ctx, `SELECT o.group_id, p.id, p.display_name FROM directory_group_owners o
		JOIN directory_people p ON p.id = o.person_id
		WHERE o.group_id IN (`+placeholders(&args, ids)+`) ORDER BY p.sort_key, p.id`, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	for rows.Next() {
		var group identity.GroupID
		var o directoryGroupOwner
		if err := rows.Scan(&group, &o.ID, &o.Name); err != nil {
			return err
		}
		at[group].Owners = append(at[group].Owners, o)
	}
	return rows.Err()
}

func errNoGroup() error {
	return errcode.New(errcode.NotFound, "there is no such group in the directory")
}

// readGroup answers errcode.NotFound where there is none.
func readGroup(ctx context.Context, tx *sqldb.Tx, id identity.GroupID) (groupPlace, error) {
	if id == "" {
		return groupPlace{}, errNoGroup()
	}
	groups, err := readGroups(ctx, tx, "", id)
	if err == nil && len(groups) == 0 {
		err = errNoGroup()
	}
	if err != nil {
		return groupPlace{}, err
	}
	return groups[0], nil
}

func lockGroup(ctx context.Context, tx *sqldb.Tx, id identity.GroupID) error {
	return lockRow(ctx, tx, "directory_groups", string(id), errNoGroup())
}

// lockRow keeps others from changing a row until tx ends; none is the answer
// where there is no such row.
func lockRow(ctx context.Context, tx *sqldb.Tx, table, id string, none error) error {
	var found string
	err := tx.QueryRow(ctx, `SELECT id FROM `+table+` WHERE id = $1`+tx.ForUpdate(), id).Scan(&found)
	if errors.Is(err, sql.ErrNoRows) {
		return none
	}
	return err
}

func titlesJSON(titles []string) (string, error) {
	b, err := json.Marshal(titles)
	return string(b), err
}

func insertGroup(ctx context.Context, tx *sqldb.Tx, r GroupRecord, now time.Time) error {
	titles, err := titlesJSON(r.RuleTitles)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO directory_groups
		(id, agency_id, unit_id, name, name_en, fold, description, kind, rule_unit_id, rule_titles, created_at, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		string(r.ID), string(r.Agency), orNull(r.UnitID), r.Name, r.NameEN, fold.Marked(r.Name), r.Description, r.Kind,
		orNull(r.RuleUnit), titles, now.UnixMicro(), r.Version)
	if err != nil {
		return fmt.Errorf("insert group: %w", unique(err, "name_taken", "the agency has a group called %s already", r.Name))
	}
	return nil
}

func updateGroup(ctx context.Context, tx *sqldb.Tx, r GroupRecord) error {
	titles, err := titlesJSON(r.RuleTitles)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE directory_groups SET name = $1, name_en = $2, fold = $3, description = $4, rule_unit_id = $5, rule_titles = $6, version = $7
		WHERE id = $8`, r.Name, r.NameEN, fold.Marked(r.Name), r.Description, orNull(r.RuleUnit), titles, r.Version, string(r.ID))
	if err != nil {
		return fmt.Errorf("update group: %w", unique(err, "name_taken", "the agency has a group called %s already", r.Name))
	}
	return nil
}

// writeOwners makes people the owners of a group, and returns them.
func writeOwners(ctx context.Context, tx *sqldb.Tx, id identity.GroupID, owners []identity.PersonID) ([]directoryGroupOwner, error) {
	if len(owners) > maxListed {
		return nil, errcode.New(errcode.Invalid, "at most %d people look after a group", maxListed)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM directory_group_owners WHERE group_id = $1`, string(id)); err != nil {
		return nil, fmt.Errorf("write owners: %w", err)
	}
	for _, person := range owners {
		if err := personExists(ctx, tx, person, ""); err != nil {
			return nil, err
		}
		_, err := tx.Exec(ctx, `INSERT INTO directory_group_owners (group_id, person_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, string(id), string(person))
		if err != nil {
			return nil, fmt.Errorf("write owners: %w", err)
		}
	}
	g := []groupPlace{{GroupRecord: GroupRecord{ID: id, Owners: []directoryGroupOwner{}}}}
	err := readOwners(ctx, tx, g)
	return g[0].Owners, err
}

func deleteGroup(ctx context.Context, tx *sqldb.Tx, id identity.GroupID) error {
	var used int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM directory_service_mailbox_users WHERE group_id = $1`, string(id)).Scan(&used)
	if err == nil && used > 0 {
		err = errcode.New(errcode.Conflict, "the group cannot be deleted: %d mailboxes are open to it; close them to it first", used).Because("group_in_use")
	}
	if err != nil {
		return err
	}
	for _, query := range []string{
		`DELETE FROM directory_group_members WHERE group_id = $1`,
		`DELETE FROM directory_group_owners WHERE group_id = $1`,
		`DELETE FROM directory_groups WHERE id = $1`,
	} {
		if _, err := tx.Exec(ctx, query, string(id)); err != nil {
			return fmt.Errorf("delete group: %w", err)
		}
	}
	return nil
}

// insertGroupMember returns the id of the entry, of the one that was there
// already too. The group is locked.
func insertGroupMember(ctx context.Context, tx *sqldb.Tx, id identity.GroupID, n NewGroupMember, now time.Time) (string, error) {
	var entry string
	err := tx.QueryRow(ctx, `SELECT id FROM directory_group_members
		WHERE group_id = $1 AND COALESCE(person_id, '') = $2 AND COALESCE(position_id, '') = $3`, string(id), string(n.Person), string(n.Position)).Scan(&entry)
	if !errors.Is(err, sql.ErrNoRows) {
		return entry, err
	}
	var members int
	if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM directory_group_members WHERE group_id = $1`, string(id)).Scan(&members); err != nil {
		return "", err
	}
	if members >= maxMembers {
		return "", errcode.New(errcode.Invalid, "a group lists at most %d members: make one by rule instead", maxMembers).Because("group_full")
	}
	if entry, err = newID(); err != nil {
		return "", err
	}
	_, err = tx.Exec(ctx, `INSERT INTO directory_group_members (id, group_id, person_id, position_id, added_at) VALUES ($1, $2, $3, $4, $5)`,
		entry, string(id), orNull(n.Person), orNull(n.Position), now.UnixMicro())
	if err != nil {
		return "", fmt.Errorf("insert member: %w", err)
	}
	return entry, nil
}

// deleteGroupMember returns who it was.
func deleteGroupMember(ctx context.Context, tx *sqldb.Tx, id identity.GroupID, entry string) (string, error) {
	var who string
	err := tx.QueryRow(ctx, `DELETE FROM directory_group_members WHERE group_id = $1 AND id = $2
		RETURNING COALESCE(person_id, position_id)`, string(id), entry).Scan(&who)
	if errors.Is(err, sql.ErrNoRows) {
		return "", errcode.New(errcode.NotFound, "there is no such member in the group")
	}
	return who, err
}

// readListed reads at most limit members of a listed group by name, beginning
// behind after. A post that is not held now is left out.
func readListed(ctx context.Context, tx *sqldb.Tx, id identity.GroupID, after *memberCursor, now time.Time, limit int) ([]memberPlace, error) {
	var args arguments
	at := args.add(now.UnixMicro())
	query := `SELECT ` + personColumns + `, e.id, COALESCE(e.position_id, ''), p.sort_key, e.id
		FROM directory_group_members e
		LEFT JOIN directory_positions h ON h.id = e.position_id AND ` + validAt("h", at) + `
		JOIN directory_people p ON p.id = COALESCE(e.person_id, h.person_id)
		LEFT JOIN directory_positions q ON q.id = COALESCE(h.id, (
			SELECT m.id FROM directory_positions m WHERE m.person_id = p.id AND ` + validAt("m", at) + ` ORDER BY m.rank, m.id LIMIT 1))
		LEFT JOIN directory_units u ON u.id = q.unit_id
		LEFT JOIN directory_agencies g ON g.id = q.agency_id
		LEFT JOIN directory_addresses a ON a.person_id = p.id AND a.kind = 'main'
		WHERE e.group_id = ` + args.add(string(id))
	return queryMembers(ctx, tx, query, args, "e.id", after, limit)
}

// readByRule reads at most limit people who hold a post that the rule of r means
// now, by name, each once, beginning behind after.
func readByRule(ctx context.Context, tx *sqldb.Tx, r GroupRecord, after *memberCursor, now time.Time, limit int) ([]memberPlace, error) {
	in := scope{agency: r.Agency}
	if r.RuleUnit != "" {
		unit, err := readUnit(ctx, tx, r.RuleUnit)
		if errcode.Of(err) == errcode.NotFound {
			return nil, nil // closed meanwhile: nobody is in it
		}
		if err != nil {
			return nil, err
		}
		in.path = []byte(unit.Path)
	}
	titles, err := ruleTitles(ctx, tx, in, r.RuleTitles, now)
	if err != nil || len(titles) == 0 {
		return nil, err
	}
	var args arguments
	at, list := args.add(now.UnixMicro()), placeholders(&args, titles)
	query := `SELECT ` + personColumns + `, '', '', p.sort_key, q.id
		FROM directory_units u
		JOIN directory_positions q ON q.unit_id = u.id
		JOIN directory_people p ON p.id = q.person_id
		JOIN directory_agencies g ON g.id = q.agency_id
		LEFT JOIN directory_addresses a ON a.person_id = p.id AND a.kind = 'main'
		WHERE ` + in.units(&args, "u") + ` AND ` + validAt("q", at) + ` AND q.title IN (` + list + `)
			AND NOT EXISTS (SELECT 1 FROM directory_positions m JOIN directory_units w ON w.id = m.unit_id
				WHERE m.person_id = q.person_id AND (m.rank, m.id) < (q.rank, q.id) AND ` + validAt("m", at) + `
					AND m.title IN (` + list + `) AND ` + in.units(&args, "w") + `)`
	return queryMembers(ctx, tx, query, args, "q.id", after, limit)
}

// ruleTitles reads the titles in scope that begin as the rule says. An agency
// has few titles and many people, so these are matched here.
func ruleTitles(ctx context.Context, tx *sqldb.Tx, in scope, beginnings []string, now time.Time) ([]string, error) {
	var args arguments
	at := args.add(now.UnixMicro())
	titles, err := readTexts(ctx, tx, `SELECT DISTINCT q.title FROM directory_units u JOIN directory_positions q ON q.unit_id = u.id
		WHERE `+in.units(&args, "u")+` AND `+validAt("q", at), args...)
	if err != nil {
		return nil, fmt.Errorf("read titles: %w", err)
	}
	return slices.DeleteFunc(titles, func(t string) bool { return !titled(t, beginnings) }), nil
}

// queryMembers reads a page of members; id is the column that orders those of
// one name.
func queryMembers(ctx context.Context, tx *sqldb.Tx, query string, args arguments, id string, after *memberCursor, limit int) ([]memberPlace, error) {
	if after != nil {
		query += fmt.Sprintf(" AND (p.sort_key, %s) > (%s, %s)", id, args.add(after.SortKey), args.add(after.ID))
	}
	query += ` ORDER BY p.sort_key, ` + id + ` LIMIT ` + args.add(limit)
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read members: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []memberPlace
	for rows.Next() {
		var m memberPlace
		if m.person, err = scanPerson(rows, &m.entry, &m.position, &m.at.SortKey, &m.at.ID); err != nil {
			return nil, fmt.Errorf("read members: %w", err)
		}
		out = append(out, m)
	}
	return out, rows.Err()
}
