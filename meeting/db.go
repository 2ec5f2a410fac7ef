package meeting

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// record is a row of meeting_meetings.
type record struct {
	id        string
	agency    identity.AgencyID
	title     string
	createdBy identity.PersonID
	createdAt time.Time
	startsAt  time.Time
	scheduled bool
	endedAt   time.Time // zero while open
	closes    time.Time // lists begin to count the meeting as over
}

const meetingColumns = `m.id, m.agency_id, m.title, m.created_by, m.created_at, m.starts_at, m.scheduled, m.ended_at, m.closes_at`

// scan reads meetingColumns, and then more.
func (r *record) scan(row interface{ Scan(...any) error }, more ...any) error {
	var created, starts, closes int64
	var ended sql.NullInt64
	if err := row.Scan(append([]any{&r.id, &r.agency, &r.title, &r.createdBy, &created, &starts, &r.scheduled, &ended, &closes}, more...)...); err != nil {
		return err
	}
	r.createdAt, r.startsAt, r.closes = time.UnixMicro(created).UTC(), time.UnixMicro(starts).UTC(), time.UnixMicro(closes).UTC()
	if ended.Valid {
		r.endedAt = time.UnixMicro(ended.Int64).UTC()
	}
	return nil
}

func insertMeeting(ctx context.Context, tx *sqldb.Tx, r record) error {
	_, err := tx.Exec(ctx, `INSERT INTO meeting_meetings (id, agency_id, title, created_by, created_at, starts_at, scheduled, closes_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		r.id, string(r.agency), r.title, string(r.createdBy), r.createdAt.UnixMicro(), r.startsAt.UnixMicro(), r.scheduled, r.closes.UnixMicro())
	return err
}

// loadMeeting reads a meeting by an id as a person may have typed it; lock is
// tx.ForUpdate() or "". The error is errcode.NotFound for what is not one.
func loadMeeting(ctx context.Context, tx *sqldb.Tx, typed, lock string) (record, error) {
	notFound := errcode.New(errcode.NotFound, "there is no such meeting; check the link")
	id := parseID(typed)
	if id == "" {
		return record{}, notFound
	}
	var r record
	err := r.scan(tx.QueryRow(ctx, `SELECT `+meetingColumns+` FROM meeting_meetings m WHERE m.id = $1`+lock, id))
	if errors.Is(err, sql.ErrNoRows) {
		return record{}, notFound
	}
	return r, err
}

// endMeeting writes r.endedAt and r.closes, and so moves the meeting to the past of everyone's
// list.
func endMeeting(ctx context.Context, tx *sqldb.Tx, r record, by identity.PersonID) error {
	if _, err := tx.Exec(ctx, `UPDATE meeting_meetings SET ended_at = $1, ended_by = $2 WHERE id = $3`,
		r.endedAt.UnixMicro(), string(by), r.id); err != nil {
		return err
	}
	return moveClose(ctx, tx, r)
}

// moveClose writes r.closes, and with it the meeting's place in everyone's
// list.
func moveClose(ctx context.Context, tx *sqldb.Tx, r record) error {
	if _, err := tx.Exec(ctx, `UPDATE meeting_meetings SET closes_at = $1 WHERE id = $2`, r.closes.UnixMicro(), r.id); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE meeting_people SET closes_at = $1 WHERE meeting_id = $2`, r.closes.UnixMicro(), r.id)
	return err
}

// insertPerson puts a meeting into a person's list; true when the relation is
// new to that person. An invitation replaces having come by the link, nothing
// replaces having made the meeting.
func insertPerson(ctx context.Context, tx *sqldb.Tx, r record, person identity.PersonID, relation string, by identity.PersonID, at time.Time) (bool, error) {
	res, err := tx.Exec(ctx, `INSERT INTO meeting_people (meeting_id, person_id, relation, added_by, added_at, closes_at)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (meeting_id, person_id) DO UPDATE SET relation = excluded.relation, added_by = excluded.added_by
		WHERE meeting_people.relation = 'joined' AND excluded.relation = 'invited'`,
		r.id, string(person), relation, string(by), at.UnixMicro(), r.closes.UnixMicro())
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

func loadRelation(ctx context.Context, tx *sqldb.Tx, id string, person identity.PersonID) (string, error) {
	relation := RelationNone
	err := tx.QueryRow(ctx, `SELECT relation FROM meeting_people WHERE meeting_id = $1 AND person_id = $2`, id, string(person)).Scan(&relation)
	if errors.Is(err, sql.ErrNoRows) {
		return RelationNone, nil
	}
	return relation, err
}

func countPeople(ctx context.Context, tx *sqldb.Tx, id string) (int, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM meeting_people WHERE meeting_id = $1`, id).Scan(&n)
	return n, err
}

// loadPeople answers the maker first, then the rest as they were added.
func loadPeople(ctx context.Context, tx *sqldb.Tx, id string) ([]Participant, error) {
	rows, err := tx.Query(ctx, `SELECT person_id, relation, added_at FROM meeting_people WHERE meeting_id = $1
		ORDER BY added_at, CASE relation WHEN 'maker' THEN 0 ELSE 1 END, person_id`, id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err tells what went wrong
	var people []Participant
	for rows.Next() {
		var p Participant
		var added int64
		if err := rows.Scan(&p.Person, &p.Relation, &added); err != nil {
			return nil, err
		}
		p.AddedAt = time.UnixMicro(added).UTC()
		people = append(people, p)
	}
	return people, rows.Err()
}

type listedRecord struct {
	record
	relation string
}

// The halves of a person's list; each is one walk of meeting_people_list.
const (
	listAheadSQL = `SELECT ` + meetingColumns + `, p.relation FROM meeting_people p JOIN meeting_meetings m ON m.id = p.meeting_id
		WHERE p.person_id = $1 AND p.closes_at > $2 ORDER BY p.closes_at, p.meeting_id LIMIT $3`
	listPastSQL = `SELECT ` + meetingColumns + `, p.relation FROM meeting_people p JOIN meeting_meetings m ON m.id = p.meeting_id
		WHERE p.person_id = $1 AND p.closes_at <= $2 ORDER BY p.closes_at DESC, p.meeting_id DESC LIMIT $3`
)

func listMeetings(ctx context.Context, tx *sqldb.Tx, person identity.PersonID, past bool, now time.Time) ([]listedRecord, error) {
	query := listAheadSQL
	if past {
		query = listPastSQL
	}
	rows, err := tx.Query(ctx, query, string(person), now.UnixMicro(), MaxListed)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err tells what went wrong
	var list []listedRecord
	for rows.Next() {
		var r listedRecord
		if err := r.scan(rows, &r.relation); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}
