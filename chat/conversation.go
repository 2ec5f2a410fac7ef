package chat

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/fold"
	"commsd/internal/sqldb"
)

const (
	kindDirect  = "direct"
	kindChannel = "channel"
	roleOwner   = "owner"
	roleMember  = "member"
	maxTitle    = 120 // characters
)

// openDirect returns the id of the direct conversation of two people and makes
// it when there is none; there is one for a pair, whoever asks first.
func (s *Service) openDirect(ctx context.Context, actor identity.Actor, other identity.PersonID) (id string, created bool, err error) {
	if other == actor.Person {
		return "", false, errcode.New(errcode.Invalid, "a direct conversation needs somebody else")
	}
	// First, since what was written stays readable when the other has no account any more.
	if id, err := s.findDirect(ctx, actor.Person, other); id != "" || err != nil {
		return id, false, err
	}
	if _, err := s.peopleToAdd(ctx, []identity.PersonID{other}); err != nil {
		return "", false, err
	}
	members := []identity.PersonID{actor.Person, other}
	slices.Sort(members)
	pair := pairOf(actor.Person, other)
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		id, created = newID(), false
		now := s.now()
		res, err := tx.Exec(ctx, `INSERT INTO chat_conversation
			(id, kind, title, pair, agency_id, created_by, created_at, last_seq, last_event_id, last_at, message_count)
			VALUES ($1, 'direct', '', $2, $3, $4, $5, 0, '', $5, 0) ON CONFLICT (pair) DO NOTHING`,
			id, pair, string(actor.Agency), string(actor.Person), now.UnixMicro())
		if err != nil {
			return fmt.Errorf("chat: make direct conversation: %w", err)
		}
		n, err := res.RowsAffected()
		if err != nil {
			return fmt.Errorf("chat: make direct conversation: %w", err)
		}
		if n == 0 {
			err := tx.QueryRow(ctx, directQuery, pair).Scan(&id)
			if err != nil {
				return fmt.Errorf("chat: find direct conversation: %w", err)
			}
			return nil
		}
		created = true
		for _, m := range members {
			if err := insertMember(ctx, tx, id, m, roleMember, head{}); err != nil {
				return err
			}
		}
		return s.tellMembership(ctx, tx, kindConversationJoined, id, members)
	})
	return id, created, err
}

// pairOf is what a direct conversation of two people is found by.
func pairOf(a, b identity.PersonID) string { return string(min(a, b)) + " " + string(max(a, b)) }

// findDirect returns "" when the two have none yet.
func (s *Service) findDirect(ctx context.Context, a, b identity.PersonID) (id string, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, directQuery, pairOf(a, b)).Scan(&id)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("chat: find direct conversation: %w", err)
	}
	return id, nil
}

// peopleToAdd returns people who can take part, in order, or says who cannot.
func (s *Service) peopleToAdd(ctx context.Context, ids []identity.PersonID) ([]identity.Person, error) {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	known, err := s.cfg.Directory.People(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("chat: look up people: %w", err)
	}
	people := make([]identity.Person, 0, len(ids))
	for _, id := range ids {
		p, ok := known[id]
		if !ok {
			return nil, errcode.New(errcode.NotFound, "there is no such person in the directory")
		}
		can, err := s.cfg.Directory.HasAccount(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("chat: look up account: %w", err)
		}
		if !can {
			return nil, errcode.New(errcode.Conflict, "%s has no account and cannot read messages; write an e-mail instead", p.Name)
		}
		people = append(people, p)
	}
	return people, nil
}

// insertMember adds a member at a head. What was written before counts as
// read: who comes late does not owe it to anybody.
func insertMember(ctx context.Context, tx *sqldb.Tx, conversation string, person identity.PersonID, role string, at head) error {
	_, err := tx.Exec(ctx, `INSERT INTO chat_member (conversation_id, person_id, role, joined_seq, read_seq, read_count)
		VALUES ($1, $2, $3, $4, $4, $5)`, conversation, string(person), role, at.Seq, at.Count)
	if err != nil {
		return fmt.Errorf("chat: add member: %w", err)
	}
	return nil
}

// tellMembership writes conversation.joined or .left to the logs of people, who
// are sorted.
func (s *Service) tellMembership(ctx context.Context, tx *sqldb.Tx, kind, conversation string, people []identity.PersonID) error {
	raw, err := json.Marshal(conversationBody{Conversation: conversation})
	if err != nil {
		return fmt.Errorf("chat: encode body: %w", err)
	}
	packets, err := s.notifyTx(ctx, tx, people, kind, raw)
	if err != nil {
		return err
	}
	tx.AfterCommit(func() { s.hub.announcePeople(packets) })
	return nil
}

// createChannel makes a channel that actor owns.
func (s *Service) createChannel(ctx context.Context, actor identity.Actor, title string, ids []identity.PersonID) (string, error) {
	title, err := checkTitle(title)
	if err != nil {
		return "", err
	}
	ids = slices.DeleteFunc(slices.Clone(ids), func(id identity.PersonID) bool { return id == actor.Person })
	if len(ids)+1 > s.cfg.MaxMembers {
		return "", errcode.New(errcode.TooLarge, "a channel takes at most %d people", s.cfg.MaxMembers)
	}
	people, err := s.peopleToAdd(ctx, ids)
	if err != nil {
		return "", err
	}
	people = append(people, identity.Person{ID: actor.Person, Name: actor.Name})
	slices.SortFunc(people, func(a, b identity.Person) int { return strings.Compare(string(a.ID), string(b.ID)) })
	var id string
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		id = newID()
		now := s.now()
		_, err := tx.Exec(ctx, `INSERT INTO chat_conversation
			(id, kind, title, pair, agency_id, created_by, created_at, last_seq, last_event_id, last_at, message_count)
			VALUES ($1, 'channel', $2, NULL, $3, $4, $5, 0, '', $5, 0)`,
			id, title, string(actor.Agency), string(actor.Person), now.UnixMicro())
		if err != nil {
			return fmt.Errorf("chat: make channel: %w", err)
		}
		conv := &conversationRow{id: id, kind: kindChannel, title: title, head: head{Conversation: id}}
		if err := s.join(ctx, tx, conv, actor, people); err != nil {
			return err
		}
		return s.record(ctx, tx, actor, "chat.create_channel", id, nil)
	})
	return id, err
}

// join adds people, who are sorted, to a locked conversation.
func (s *Service) join(ctx context.Context, tx *sqldb.Tx, conv *conversationRow, actor identity.Actor, people []identity.Person) error {
	body := membersBody{}
	ids := make([]identity.PersonID, len(people))
	for i, p := range people {
		body.People = append(body.People, namedPerson{ID: p.ID, Name: p.Name})
		ids[i] = p.ID
	}
	e, err := conv.append(ctx, tx, draft{kind: kindJoined, sender: actor.Person, senderName: actor.Name, body: body, at: s.now()})
	if err != nil {
		return err
	}
	for _, p := range people {
		role := roleMember
		if p.ID == actor.Person {
			role = roleOwner // nobody adds themselves but the one who makes a channel
		}
		if err := insertMember(ctx, tx, conv.id, p.ID, role, conv.head); err != nil {
			return err
		}
	}
	if err := conv.save(ctx, tx); err != nil {
		return err
	}
	tx.AfterCommit(func() { s.hub.announce([]ConversationEvent{e}) })
	return s.tellMembership(ctx, tx, kindConversationJoined, conv.id, ids)
}

// changeChannel runs fn with the channel locked and the actor's role in it.
func (s *Service) changeChannel(ctx context.Context, actor identity.Actor, id string,
	fn func(ctx context.Context, tx *sqldb.Tx, conv *conversationRow, role string) error) error {
	if !isID(id) {
		return errNotMember()
	}
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		conv, err := lockConversation(ctx, tx, id)
		if err != nil {
			return err
		}
		role, err := memberRole(ctx, tx, id, actor.Person)
		if err != nil {
			return err
		}
		if role == "" {
			return errNotMember()
		}
		if conv.kind != kindChannel {
			return errcode.New(errcode.Conflict, "a direct conversation stays as it is; make a channel for more people")
		}
		return fn(ctx, tx, conv, role)
	})
	return s.refused(ctx, actor, actionWrite, id, err)
}

// rename changes a channel's title; every member may.
func (s *Service) rename(ctx context.Context, actor identity.Actor, id, title string) error {
	title, err := checkTitle(title)
	if err != nil {
		return err
	}
	return s.changeChannel(ctx, actor, id, func(ctx context.Context, tx *sqldb.Tx, conv *conversationRow, _ string) error {
		if conv.title == title {
			return nil
		}
		conv.title = title
		e, err := conv.append(ctx, tx, draft{kind: kindRenamed, sender: actor.Person, senderName: actor.Name,
			body: map[string]string{"title": title}, at: s.now()})
		if err != nil {
			return err
		}
		if err := conv.save(ctx, tx); err != nil {
			return err
		}
		tx.AfterCommit(func() { s.hub.announce([]ConversationEvent{e}) })
		return nil
	})
}

// addMembers adds people to a channel; every member may. Those who are in it
// already stay as they are.
func (s *Service) addMembers(ctx context.Context, actor identity.Actor, id string, ids []identity.PersonID) error {
	people, err := s.peopleToAdd(ctx, ids)
	if err != nil {
		return err
	}
	return s.changeChannel(ctx, actor, id, func(ctx context.Context, tx *sqldb.Tx, conv *conversationRow, _ string) error {
		var count int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM chat_member WHERE conversation_id = $1`, id).Scan(&count); err != nil {
			return fmt.Errorf("chat: count members: %w", err)
		}
		var added []identity.Person
		for _, p := range people {
			role, err := memberRole(ctx, tx, id, p.ID)
			if err != nil {
				return err
			}
			if role == "" {
				added = append(added, p)
			}
		}
		if len(added) == 0 {
			return nil
		}
		if count+len(added) > s.cfg.MaxMembers {
			return errcode.New(errcode.TooLarge, "a channel takes at most %d people", s.cfg.MaxMembers)
		}
		if err := s.join(ctx, tx, conv, actor, added); err != nil {
			return err
		}
		return s.record(ctx, tx, actor, "chat.add_members", id, added)
	})
}

// removeMember takes somebody out of a channel: owners may, and everybody
// themselves. From that event on the person sees nothing more of it.
func (s *Service) removeMember(ctx context.Context, actor identity.Actor, id string, person identity.PersonID) error {
	known, err := s.cfg.Directory.People(ctx, []identity.PersonID{person})
	if err != nil {
		return fmt.Errorf("chat: look up people: %w", err)
	}
	gone := identity.Person{ID: person, Name: known[person].Name}
	return s.changeChannel(ctx, actor, id, func(ctx context.Context, tx *sqldb.Tx, conv *conversationRow, role string) error {
		if person != actor.Person && role != roleOwner {
			return errcode.New(errcode.Forbidden, "only those who own the channel take somebody out of it")
		}
		res, err := tx.Exec(ctx, `DELETE FROM chat_member WHERE conversation_id = $1 AND person_id = $2`, id, string(person))
		if err != nil {
			return fmt.Errorf("chat: remove member: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err // was no member
		}
		e, err := conv.append(ctx, tx, draft{kind: kindLeft, sender: actor.Person, senderName: actor.Name,
			body: membersBody{People: []namedPerson{{ID: gone.ID, Name: gone.Name}}}, at: s.now()})
		if err != nil {
			return err
		}
		if err := conv.save(ctx, tx); err != nil {
			return err
		}
		if err := keepOwner(ctx, tx, id); err != nil {
			return err
		}
		tx.AfterCommit(func() { s.hub.announce([]ConversationEvent{e}) })
		if err := s.tellMembership(ctx, tx, kindConversationLeft, id, []identity.PersonID{person}); err != nil {
			return err
		}
		return s.record(ctx, tx, actor, "chat.remove_member", id, []identity.Person{gone})
	})
}

// keepOwner makes the member of longest standing owner when none is left.
func keepOwner(ctx context.Context, tx *sqldb.Tx, id string) error {
	var heir string
	err := tx.QueryRow(ctx, `SELECT person_id FROM chat_member WHERE conversation_id = $1
		AND NOT EXISTS (SELECT 1 FROM chat_member o WHERE o.conversation_id = $1 AND o.role = 'owner')
		ORDER BY joined_seq, person_id LIMIT 1`, id).Scan(&heir)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("chat: find an owner: %w", err)
	}
	if _, err := tx.Exec(ctx, `UPDATE chat_member SET role = 'owner' WHERE conversation_id = $1 AND person_id = $2`, id, heir); err != nil {
		return fmt.Errorf("chat: make an owner: %w", err)
	}
	return nil
}

func (s *Service) record(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, action identity.Action, id string, people []identity.Person) error {
	e := audit.Event{Actor: actor, Action: action, Object: identity.ObjectRef{Kind: "conversation", ID: id}, Outcome: audit.OK}
	if len(people) > 0 {
		ids := make([]string, len(people))
		for i, p := range people {
			ids[i] = string(p.ID)
		}
		e.Detail = map[string]string{"people": strings.Join(ids, " ")}
	}
	return s.cfg.Audit.Record(ctx, tx, e)
}

func checkTitle(title string) (string, error) {
	title = strings.Join(strings.Fields(title), " ")
	switch {
	case fold.Blank(title):
		return "", errcode.New(errcode.Invalid, "a channel needs a title")
	case utf8.RuneCountInString(title) > maxTitle:
		return "", errcode.New(errcode.Invalid, "the title is too long: at most %d characters", maxTitle)
	case strings.IndexFunc(title, unicode.IsControl) >= 0:
		return "", errcode.New(errcode.Invalid, "the title holds a control character")
	case strings.IndexFunc(title, func(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) }) >= 0:
		// They have what follows read as another text than it is.
		return "", errcode.New(errcode.Invalid, "the title holds a character that turns the direction of writing")
	}
	return title, nil
}

// shownMembers is how many members a conversation in the list names.
const shownMembers = 20

// conversationInfo is a conversation as one member sees it.
type conversationInfo struct {
	id, kind, title, role string
	agency                identity.AgencyID
	head                  head
	lastAt                time.Time
	readSeq, readCount    int64
	memberCount           int
	members               []identity.PersonID // the first shownMembers, or all
	owners                []identity.PersonID // of members
	last                  *ConversationEvent
}

// list reads all conversations of a person, newest first, or the one named.
func (s *Service) list(ctx context.Context, person identity.PersonID, only string) (convs []*conversationInfo, userSeq int64, userEventID string, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		convs = nil
		if userSeq, userEventID, err = personHead(ctx, tx, person); err != nil {
			return err
		}
		byID, err := s.listRows(ctx, tx, person, only, &convs)
		if err != nil {
			return err
		}
		shown := shownMembers
		if only != "" {
			shown = s.cfg.MaxMembers
		}
		return listMembers(ctx, tx, person, only, shown, byID)
	})
	return convs, userSeq, userEventID, err
}

const (
	listRowsQuery = `SELECT c.id, c.kind, c.title, c.agency_id, c.last_seq, c.last_event_id, c.message_count, c.last_at,
		m.role, m.read_seq, m.read_count,
		e.kind, e.event_id, e.sender, e.sender_name, e.client_id, e.body, e.at
		FROM chat_member m JOIN chat_conversation c ON c.id = m.conversation_id
		LEFT JOIN chat_event e ON e.conversation_id = c.id AND e.seq = c.last_seq
		WHERE m.person_id = $1`
	listQuery    = listRowsQuery + ` ORDER BY c.last_at DESC, c.id`
	listOneQuery = listRowsQuery + ` AND m.conversation_id = $2`

	membersStart = `SELECT conversation_id, person_id, role, members FROM (
			SELECT conversation_id, person_id, role,
				row_number() OVER (PARTITION BY conversation_id ORDER BY joined_seq, person_id) AS place,
				count(*) OVER (PARTITION BY conversation_id) AS members
			FROM chat_member WHERE conversation_id IN (SELECT conversation_id FROM chat_member WHERE person_id = $1`
	membersEnd        = `)) numbered WHERE place <= $2 ORDER BY conversation_id, place`
	membersQuery      = membersStart + membersEnd
	membersOfOneQuery = membersStart + ` AND conversation_id = $3` + membersEnd
)

func (s *Service) listRows(ctx context.Context, tx *sqldb.Tx, person identity.PersonID, only string, convs *[]*conversationInfo) (map[string]*conversationInfo, error) {
	query, args := listQuery, []any{string(person)}
	if only != "" {
		query, args = listOneQuery, append(args, only)
	}
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("chat: list conversations: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	byID := map[string]*conversationInfo{}
	for rows.Next() {
		c := &conversationInfo{}
		var lastAt int64
		var kind, eventID, sender, senderName, clientID, body sql.NullString
		var at sql.NullInt64
		if err := rows.Scan(&c.id, &c.kind, &c.title, &c.agency, &c.head.Seq, &c.head.EventID, &c.head.Count, &lastAt,
			&c.role, &c.readSeq, &c.readCount, &kind, &eventID, &sender, &senderName, &clientID, &body, &at); err != nil {
			return nil, fmt.Errorf("chat: list conversations: %w", err)
		}
		c.head.Conversation, c.lastAt = c.id, time.UnixMicro(lastAt).UTC()
		if kind.Valid {
			c.last = &ConversationEvent{Type: "event", Conversation: c.id, Seq: c.head.Seq, EventID: eventID.String, Kind: kind.String,
				Sender: identity.PersonID(sender.String), SenderName: senderName.String, ClientID: clientID.String,
				Body: json.RawMessage(body.String), Count: c.head.Count, At: time.UnixMicro(at.Int64).UTC()}
		}
		*convs = append(*convs, c)
		byID[c.id] = c
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("chat: list conversations: %w", err)
	}
	return byID, nil
}

func listMembers(ctx context.Context, tx *sqldb.Tx, person identity.PersonID, only string, shown int, byID map[string]*conversationInfo) error {
	query, args := membersQuery, []any{string(person), shown}
	if only != "" {
		query, args = membersOfOneQuery, append(args, only)
	}
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("chat: list members: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	for rows.Next() {
		var id, role string
		var member identity.PersonID
		var count int
		if err := rows.Scan(&id, &member, &role, &count); err != nil {
			return fmt.Errorf("chat: list members: %w", err)
		}
		if c := byID[id]; c != nil {
			c.memberCount = count
			c.members = append(c.members, member)
			if role == roleOwner {
				c.owners = append(c.owners, member)
			}
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("chat: list members: %w", err)
	}
	return nil
}
