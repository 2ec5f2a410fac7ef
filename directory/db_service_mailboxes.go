package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// maxMailboxes bounds one list.
const maxMailboxes = 2000

func errNoServiceMailbox() error {
	return errcode.New(errcode.NotFound, "there is no such mailbox in the directory")
}

// readMailboxes reads the mailboxes of an agency, or of all when it is empty;
// only, when not empty, is the one that is wanted.
func readMailboxes(ctx context.Context, tx *sqldb.Tx, agency identity.AgencyID, only string, now time.Time) ([]mailboxPlace, error) {
	var args arguments
	query := `SELECT m.id, m.agency_id, m.unit_id, u.name, u.path, a.address, m.name, m.name_en, m.version
		FROM directory_service_mailboxes m
		JOIN directory_units u ON u.id = m.unit_id
		JOIN directory_addresses a ON a.mailbox_id = m.id`
	switch {
	case only != "":
		query += ` WHERE m.id = ` + args.add(only)
	case agency != "":
		query += ` WHERE m.agency_id = ` + args.add(string(agency))
	}
	query += ` ORDER BY a.address LIMIT ` + args.add(maxMailboxes)
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read mailboxes: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []mailboxPlace
	for rows.Next() {
		m := mailboxPlace{ServiceMailbox: ServiceMailbox{Users: []ServiceMailboxUser{}}}
		var path []byte
		if err := rows.Scan(&m.ID, &m.Agency, &m.UnitID, &m.Unit, &path, &m.Address, &m.Name, &m.NameEN, &m.Version); err != nil {
			return nil, fmt.Errorf("read mailboxes: %w", err)
		}
		m.path = string(path)
		out = append(out, m)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read mailboxes: %w", err)
	}
	if err := rows.Close(); err != nil {
		return nil, fmt.Errorf("read mailboxes: %w", err)
	}
	return out, readMailboxUsers(ctx, tx, out, now)
}

// readMailboxUsers fills in who may use mailboxes. Posts that have ended are
// left out.
func readMailboxUsers(ctx context.Context, tx *sqldb.Tx, mailboxes []mailboxPlace, now time.Time) error {
	const chunk = 500 // placeholders in one statement
	for len(mailboxes) > 0 {
		some := mailboxes[:min(chunk, len(mailboxes))]
		mailboxes = mailboxes[len(some):]
		at := map[string]*mailboxPlace{}
		ids := make([]string, len(some))
		for i := range some {
			ids[i] = some[i].ID
			at[some[i].ID] = &some[i]
		}
		if err := readMailboxUsersOf(ctx, tx, ids, at, now); err != nil {
			return fmt.Errorf("read users of mailboxes: %w", err)
		}
	}
	return nil
}

func readMailboxUsersOf(ctx context.Context, tx *sqldb.Tx, ids []string, at map[string]*mailboxPlace, now time.Time) error {
	var args arguments
	when := args.add(now.UnixMicro())
	rows, err := tx.Query(ctx, `SELECT w.mailbox_id, w.id, COALESCE(w.position_id, ''), COALESCE(w.group_id, ''),
			COALESCE(g.name, p.display_name, ''), COALESCE(p.id, ''), COALESCE(q.title, ''), w.may_read, w.may_send
		FROM directory_service_mailbox_users w
		LEFT JOIN directory_groups g ON g.id = w.group_id
		LEFT JOIN directory_positions q ON q.id = w.position_id AND `+validAt("q", when)+`
		LEFT JOIN directory_people p ON p.id = q.person_id
		WHERE w.mailbox_id IN (`+placeholders(&args, ids)+`) AND (g.id IS NOT NULL OR q.id IS NOT NULL)
		ORDER BY w.mailbox_id, w.id`, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	for rows.Next() {
		var mailbox string
		var u ServiceMailboxUser
		if err := rows.Scan(&mailbox, &u.ID, &u.Position, &u.Group, &u.Name, &u.person, &u.title, &u.MayRead, &u.MaySend); err != nil {
			return err
		}
		at[mailbox].Users = append(at[mailbox].Users, u)
	}
	return rows.Err()
}

// readMailbox answers errcode.NotFound where there is none.
func readMailbox(ctx context.Context, tx *sqldb.Tx, id string, now time.Time) (mailboxPlace, error) {
	if id == "" {
		return mailboxPlace{}, errNoServiceMailbox()
	}
	found, err := readMailboxes(ctx, tx, "", id, now)
	if err == nil && len(found) == 0 {
		err = errNoServiceMailbox()
	}
	if err != nil {
		return mailboxPlace{}, err
	}
	return found[0], nil
}

func lockMailbox(ctx context.Context, tx *sqldb.Tx, id string) error {
	return lockRow(ctx, tx, "directory_service_mailboxes", id, errNoServiceMailbox())
}

func insertMailbox(ctx context.Context, tx *sqldb.Tx, r ServiceMailbox, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO directory_service_mailboxes (id, agency_id, unit_id, name, name_en, created_at, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`, r.ID, string(r.Agency), string(r.UnitID), r.Name, r.NameEN, now.UnixMicro(), r.Version)
	if err != nil {
		return fmt.Errorf("insert mailbox: %w", err)
	}
	if err := loginIsFree(ctx, tx, r.Address, ""); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO directory_addresses (address, mailbox_id, kind) VALUES ($1, $2, 'service')`, r.Address, r.ID)
	if err != nil {
		return fmt.Errorf("insert address: %w", uniqueAddress(err, r.Address))
	}
	return nil
}

func updateMailbox(ctx context.Context, tx *sqldb.Tx, r ServiceMailbox) error {
	_, err := tx.Exec(ctx, `UPDATE directory_service_mailboxes SET unit_id = $1, name = $2, name_en = $3, version = version + 1 WHERE id = $4`,
		string(r.UnitID), r.Name, r.NameEN, r.ID)
	if err != nil {
		return fmt.Errorf("update mailbox: %w", err)
	}
	return nil
}

func deleteMailbox(ctx context.Context, tx *sqldb.Tx, id string) error {
	for _, query := range []string{
		`DELETE FROM directory_service_mailbox_users WHERE mailbox_id = $1`,
		`DELETE FROM directory_addresses WHERE mailbox_id = $1`,
		`DELETE FROM directory_service_mailboxes WHERE id = $1`,
	} {
		if _, err := tx.Exec(ctx, query, id); err != nil {
			return fmt.Errorf("delete mailbox: %w", err)
		}
	}
	return nil
}

// putMailboxUser adds a post or a group, or sets what it may. The mailbox is
// locked.
func putMailboxUser(ctx context.Context, tx *sqldb.Tx, mailbox string, n NewServiceMailboxUser) error {
	res, err := tx.Exec(ctx, `UPDATE directory_service_mailbox_users SET may_read = $1, may_send = $2
		WHERE mailbox_id = $3 AND COALESCE(position_id, '') = $4 AND COALESCE(group_id, '') = $5`,
		n.MayRead, n.MaySend, mailbox, string(n.Position), string(n.Group))
	if err != nil {
		return fmt.Errorf("write user of mailbox: %w", err)
	}
	if found, err := res.RowsAffected(); err != nil || found > 0 {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO directory_service_mailbox_users (id, mailbox_id, position_id, group_id, may_read, may_send)
		VALUES ($1, $2, $3, $4, $5, $6)`, id, mailbox, orNull(n.Position), orNull(n.Group), n.MayRead, n.MaySend)
	if err != nil {
		return fmt.Errorf("write user of mailbox: %w", err)
	}
	return nil
}

// deleteMailboxUser returns who it was.
func deleteMailboxUser(ctx context.Context, tx *sqldb.Tx, mailbox, entry string) (string, error) {
	var who string
	err := tx.QueryRow(ctx, `DELETE FROM directory_service_mailbox_users WHERE mailbox_id = $1 AND id = $2
		RETURNING COALESCE(position_id, group_id)`, mailbox, entry).Scan(&who)
	if errors.Is(err, sql.ErrNoRows) {
		return "", errcode.New(errcode.NotFound, "the mailbox is not open to it")
	}
	return who, err
}

// inGroup tells whether actor is in a group now: as a person, or by the active
// position.
func inGroup(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, id identity.GroupID, now time.Time) (bool, error) {
	g, err := readGroup(ctx, tx, id)
	if err != nil {
		return false, err
	}
	if g.Kind == GroupListed {
		var n int
		err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM directory_group_members e WHERE e.group_id = $1
			AND (e.person_id = $2 OR e.position_id = $3 AND EXISTS (SELECT 1 FROM directory_positions q WHERE q.id = e.position_id AND `+validAt("q", "$4")+`))`,
			string(id), string(actor.Person), string(actor.Position), now.UnixMicro()).Scan(&n)
		return n > 0, err
	}
	if actor.Position == "" {
		return false, nil
	}
	p, err := readHeldPosition(ctx, tx, actor.Position, now)
	if errcode.Of(err) == errcode.NotFound {
		return false, nil
	}
	if err != nil || p.State != positionCurrent || p.Agency != g.Agency || !titled(p.Title, g.RuleTitles) {
		return false, err
	}
	if g.RuleUnit == "" {
		return true, nil
	}
	unit, err := readUnit(ctx, tx, g.RuleUnit)
	if errcode.Of(err) == errcode.NotFound {
		return false, nil
	}
	return err == nil && strings.HasPrefix(p.path, unit.Path), err
}
