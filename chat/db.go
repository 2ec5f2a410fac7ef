package chat

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// Locks are taken in this order, so that no two transactions wait for each
// other: conversations by id, then members, then people by id.

// conversationRow is a conversation that the transaction holds locked.
type conversationRow struct {
	id, kind, title string
	head            head
	lastAt          int64
}

// errNotMember is what everybody gets who is not a member, whether or not the
// conversation exists: ids are not to be tried out.
func errNotMember() error { return notMember }

var notMember = errcode.New(errcode.NotFound, "no such conversation, or you are no longer in it")

func lockConversation(ctx context.Context, tx *sqldb.Tx, id string) (*conversationRow, error) {
	c := &conversationRow{id: id, head: head{Conversation: id}}
	err := tx.QueryRow(ctx, `SELECT kind, title, last_seq, last_event_id, last_at, message_count
		FROM chat_conversation WHERE id = $1`+tx.ForUpdate(), id).
		Scan(&c.kind, &c.title, &c.head.Seq, &c.head.EventID, &c.lastAt, &c.head.Count)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errNotMember()
	}
	if err != nil {
		return nil, fmt.Errorf("chat: lock conversation: %w", err)
	}
	return c, nil
}

// draft is an event before it has its place in the log.
type draft struct {
	kind       string
	sender     identity.PersonID
	senderName string
	clientID   string // "": the server's own
	body       any
	at         time.Time
}

// append gives d the next seq of c, which is locked, and stores it. save must
// follow once all events are appended.
func (c *conversationRow) append(ctx context.Context, tx *sqldb.Tx, d draft) (ConversationEvent, error) {
	body, err := json.Marshal(d.body)
	if err != nil {
		return ConversationEvent{}, fmt.Errorf("chat: encode body: %w", err)
	}
	id := newID()
	if d.clientID == "" {
		d.clientID = id
	}
	c.head.Seq++
	c.head.EventID = id
	if d.kind == kindMessage {
		c.head.Count++
	}
	c.lastAt = d.at.UnixMicro()
	_, err = tx.Exec(ctx, `INSERT INTO chat_event
		(conversation_id, seq, kind, event_id, sender, sender_name, client_id, body, message_count, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		c.id, c.head.Seq, d.kind, id, string(d.sender), d.senderName, d.clientID, string(body), c.head.Count, c.lastAt)
	if err != nil {
		return ConversationEvent{}, fmt.Errorf("chat: store event: %w", err)
	}
	return ConversationEvent{
		Type: "event", Conversation: c.id, Seq: c.head.Seq, EventID: id, Kind: d.kind,
		Sender: d.sender, SenderName: d.senderName, ClientID: d.clientID, Body: body,
		Count: c.head.Count, At: time.UnixMicro(c.lastAt).UTC(),
	}, nil
}

func (c *conversationRow) save(ctx context.Context, tx *sqldb.Tx) error {
	_, err := tx.Exec(ctx, `UPDATE chat_conversation
		SET last_seq = $2, last_event_id = $3, last_at = $4, message_count = $5, title = $6 WHERE id = $1`,
		c.id, c.head.Seq, c.head.EventID, c.lastAt, c.head.Count, c.title)
	if err != nil {
		return fmt.Errorf("chat: raise head: %w", err)
	}
	return nil
}

// markReadBySender moves the sender's own read mark: who writes has read. The
// sender's other devices see it by the message itself, so no person event.
func (c *conversationRow) markReadBySender(ctx context.Context, tx *sqldb.Tx, person identity.PersonID, last ConversationEvent) error {
	_, err := tx.Exec(ctx, `UPDATE chat_member SET read_seq = $3, read_count = $4
		WHERE conversation_id = $1 AND person_id = $2 AND read_seq < $3`, c.id, string(person), last.Seq, last.Count)
	if err != nil {
		return fmt.Errorf("chat: mark read: %w", err)
	}
	return nil
}

// memberRole returns "" for somebody who is not a member.
func memberRole(ctx context.Context, tx *sqldb.Tx, conversation string, person identity.PersonID) (string, error) {
	var role string
	err := tx.QueryRow(ctx, memberRoleQuery, conversation, string(person)).Scan(&role)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("chat: look for member: %w", err)
	}
	return role, nil
}

// findSent looks for a message that the client has sent before.
func findSent(ctx context.Context, tx *sqldb.Tx, conversation string, sender identity.PersonID, clientID string) (ackMsg, bool, error) {
	ack := ackMsg{Type: "ack", Conversation: conversation, ClientID: clientID}
	var at int64
	err := tx.QueryRow(ctx, findSentQuery, conversation, string(sender), clientID).Scan(&ack.Seq, &ack.EventID, &ack.Count, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return ack, false, nil
	}
	if err != nil {
		return ack, false, fmt.Errorf("chat: look for client id: %w", err)
	}
	ack.At = time.UnixMicro(at).UTC()
	return ack, true, nil
}

// personDraft is an event of a person's log before it has its place there.
type personDraft struct {
	person identity.PersonID
	kind   string
	body   json.RawMessage
	at     time.Time
}

// appendPerson stores d with the person's next seq.
func appendPerson(ctx context.Context, tx *sqldb.Tx, d personDraft) (PersonEvent, error) {
	e := PersonEvent{Type: "person_event", EventID: newID(), Kind: d.kind, Body: d.body,
		At: time.UnixMicro(d.at.UnixMicro()).UTC()}
	err := tx.QueryRow(ctx, `INSERT INTO chat_person (person_id, last_seq, last_event_id) VALUES ($1, 1, $2)
		ON CONFLICT (person_id) DO UPDATE SET last_seq = chat_person.last_seq + 1, last_event_id = excluded.last_event_id
		RETURNING last_seq`, string(d.person), e.EventID).Scan(&e.Seq)
	if err != nil {
		return e, fmt.Errorf("chat: raise person's head: %w", err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO chat_person_event (person_id, seq, kind, event_id, body, at)
		VALUES ($1, $2, $3, $4, $5, $6)`, string(d.person), e.Seq, e.Kind, e.EventID, string(e.Body), d.at.UnixMicro())
	if err != nil {
		return e, fmt.Errorf("chat: store person event: %w", err)
	}
	return e, nil
}

const eventColumns = `conversation_id, seq, event_id, kind, sender, sender_name, client_id, body, message_count, at`

// The queries over tables that grow; a test holds each to its index.
const (
	eventsAfterQuery = `SELECT ` + eventColumns + ` FROM chat_event
		WHERE conversation_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`
	eventsBeforeQuery = `SELECT ` + eventColumns + ` FROM
		(SELECT ` + eventColumns + ` FROM chat_event WHERE conversation_id = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3) newest
		ORDER BY seq`
	personEventsAfterQuery = `SELECT seq, event_id, kind, body, at FROM chat_person_event
		WHERE person_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`
	findSentQuery = `SELECT seq, event_id, message_count, at FROM chat_event
		WHERE conversation_id = $1 AND sender = $2 AND client_id = $3`
	headsOfQuery = `SELECT c.id, c.last_seq, c.last_event_id, c.message_count
		FROM chat_member m JOIN chat_conversation c ON c.id = m.conversation_id WHERE m.person_id = $1`
	headsByIDQuery  = `SELECT id, last_seq, last_event_id, message_count FROM chat_conversation WHERE id IN (`
	memberRoleQuery = `SELECT role FROM chat_member WHERE conversation_id = $1 AND person_id = $2`
	directQuery     = `SELECT id FROM chat_conversation WHERE pair = $1`
	readMarkQuery   = `SELECT seq, message_count FROM chat_event
		WHERE conversation_id = $1 AND seq <= $2 ORDER BY seq DESC LIMIT 1`
	unreadQuery = `SELECT CAST(COALESCE(sum(c.message_count - m.read_count), 0) AS BIGINT), count(*)
		FROM chat_member m JOIN chat_conversation c ON c.id = m.conversation_id
		WHERE m.person_id = $1 AND c.message_count > m.read_count`
)

func scanEvents(rows *sql.Rows) ([]ConversationEvent, error) {
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	events := []ConversationEvent{}
	for rows.Next() {
		e := ConversationEvent{Type: "event"}
		var body string
		var at int64
		if err := rows.Scan(&e.Conversation, &e.Seq, &e.EventID, &e.Kind, &e.Sender, &e.SenderName, &e.ClientID, &body, &e.Count, &at); err != nil {
			return nil, fmt.Errorf("chat: read events: %w", err)
		}
		e.Body, e.At = json.RawMessage(body), time.UnixMicro(at).UTC()
		events = append(events, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("chat: read events: %w", err)
	}
	return events, nil
}

// eventsAfter reads in the log's order.
func eventsAfter(ctx context.Context, tx *sqldb.Tx, conversation string, after int64, limit int) ([]ConversationEvent, error) {
	rows, err := tx.Query(ctx, eventsAfterQuery, conversation, after, limit)
	if err != nil {
		return nil, fmt.Errorf("chat: read events: %w", err)
	}
	return scanEvents(rows)
}

// eventsBefore reads the newest events before seq, in the log's order.
func eventsBefore(ctx context.Context, tx *sqldb.Tx, conversation string, before int64, limit int) ([]ConversationEvent, error) {
	rows, err := tx.Query(ctx, eventsBeforeQuery, conversation, before, limit)
	if err != nil {
		return nil, fmt.Errorf("chat: read events: %w", err)
	}
	return scanEvents(rows)
}

func personEventsAfter(ctx context.Context, tx *sqldb.Tx, person identity.PersonID, after int64, limit int) ([]PersonEvent, error) {
	rows, err := tx.Query(ctx, personEventsAfterQuery, string(person), after, limit)
	if err != nil {
		return nil, fmt.Errorf("chat: read person events: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	events := []PersonEvent{}
	for rows.Next() {
		e := PersonEvent{Type: "person_event"}
		var body string
		var at int64
		if err := rows.Scan(&e.Seq, &e.EventID, &e.Kind, &body, &at); err != nil {
			return nil, fmt.Errorf("chat: read person events: %w", err)
		}
		e.Body, e.At = json.RawMessage(body), time.UnixMicro(at).UTC()
		events = append(events, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("chat: read person events: %w", err)
	}
	return events, nil
}

// personHead returns zeros for a person without a log yet.
func personHead(ctx context.Context, tx *sqldb.Tx, person identity.PersonID) (seq int64, eventID string, err error) {
	err = tx.QueryRow(ctx, `SELECT last_seq, last_event_id FROM chat_person WHERE person_id = $1`, string(person)).Scan(&seq, &eventID)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, "", nil
	}
	if err != nil {
		return 0, "", fmt.Errorf("chat: read person's head: %w", err)
	}
	return seq, eventID, nil
}

// headsOf returns the heads of all conversations of a person.
func headsOf(ctx context.Context, tx *sqldb.Tx, person identity.PersonID) ([]head, error) {
	rows, err := tx.Query(ctx, headsOfQuery, string(person))
	if err != nil {
		return nil, fmt.Errorf("chat: read heads: %w", err)
	}
	return scanHeads(rows)
}

func scanHeads(rows *sql.Rows) ([]head, error) {
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var heads []head
	for rows.Next() {
		var h head
		if err := rows.Scan(&h.Conversation, &h.Seq, &h.EventID, &h.Count); err != nil {
			return nil, fmt.Errorf("chat: read heads: %w", err)
		}
		heads = append(heads, h)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("chat: read heads: %w", err)
	}
	return heads, nil
}

// batchSize bounds the ids in one query: SQLite takes 32,766 parameters,
// PostgreSQL 65,535, and neither plans the largest well.
const batchSize = 500

// inBatches calls fn with the placeholders "$1, $2, …" and arguments for up to
// batchSize ids at a time.
func inBatches(ids []string, fn func(list string, args []any) error) error {
	for len(ids) > 0 {
		n := min(len(ids), batchSize)
		var list strings.Builder
		args := make([]any, n)
		for i, id := range ids[:n] {
			if i > 0 {
				list.WriteString(", ")
			}
			list.WriteString("$" + strconv.Itoa(i+1))
			args[i] = id
		}
		if err := fn(list.String(), args); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// headsByID reads the heads of many conversations.
func headsByID(ctx context.Context, tx *sqldb.Tx, ids []string) ([]head, error) {
	var heads []head
	err := inBatches(ids, func(list string, args []any) error {
		rows, err := tx.Query(ctx, headsByIDQuery+list+`)`, args...)
		if err != nil {
			return fmt.Errorf("chat: read heads: %w", err)
		}
		some, err := scanHeads(rows)
		heads = append(heads, some...)
		return err
	})
	return heads, err
}

// personHeadsByID reads the heads of many people's logs; Count stays zero.
func personHeadsByID(ctx context.Context, tx *sqldb.Tx, ids []string) ([]head, error) {
	var heads []head
	err := inBatches(ids, func(list string, args []any) error {
		rows, err := tx.Query(ctx, `SELECT person_id, last_seq, last_event_id, 0 FROM chat_person WHERE person_id IN (`+list+`)`, args...)
		if err != nil {
			return fmt.Errorf("chat: read heads: %w", err)
		}
		some, err := scanHeads(rows)
		heads = append(heads, some...)
		return err
	})
	return heads, err
}

// personEventIDAt returns "" where there is no such event.
func personEventIDAt(ctx context.Context, tx *sqldb.Tx, person identity.PersonID, seq int64) (string, error) {
	var id string
	err := tx.QueryRow(ctx, `SELECT event_id FROM chat_person_event WHERE person_id = $1 AND seq = $2`, string(person), seq).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("chat: read event id: %w", err)
	}
	return id, nil
}
