package chat

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"commsd/identity"
	"commsd/internal/sqldb"
)

// read is the verb: it moves the person's read mark forward; all their devices
// hear of it. A mark never goes back.
func (c *client) read(ctx context.Context, cmd command) {
	if err := c.s.markRead(ctx, c.actor.Person, cmd.Conversation, cmd.Seq); err != nil {
		c.reply(ctx, c.failure(cmd.ID, c.s.refused(ctx, c.actor, actionRead, cmd.Conversation, err)))
		return
	}
	c.reply(ctx, okMsg{Type: "ok", ID: cmd.ID})
}

func (s *Service) markRead(ctx context.Context, person identity.PersonID, conversation string, seq int64) error {
	return s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var before int64
		err := tx.QueryRow(ctx, `SELECT read_seq FROM chat_member
			WHERE conversation_id = $1 AND person_id = $2`+tx.ForUpdate(), conversation, string(person)).Scan(&before)
		if errors.Is(err, sql.ErrNoRows) {
			return errNotMember()
		}
		if err != nil {
			return fmt.Errorf("chat: read mark: %w", err)
		}
		if seq <= before {
			return nil
		}
		// A seq past the head means all there is.
		body := readBody{Conversation: conversation}
		err = tx.QueryRow(ctx, readMarkQuery, conversation, seq).Scan(&body.Seq, &body.Count)
		if errors.Is(err, sql.ErrNoRows) || (err == nil && body.Seq <= before) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("chat: read mark: %w", err)
		}
		if _, err := tx.Exec(ctx, `UPDATE chat_member SET read_seq = $3, read_count = $4
			WHERE conversation_id = $1 AND person_id = $2`, conversation, string(person), body.Seq, body.Count); err != nil {
			return fmt.Errorf("chat: read mark: %w", err)
		}
		raw, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("chat: read mark: %w", err)
		}
		e, err := appendPerson(ctx, tx, personDraft{person: person, kind: kindRead, body: raw, at: s.now()})
		if err != nil {
			return err
		}
		tx.AfterCommit(func() { s.hub.announcePeople([]personPacket{{Person: person, Event: e}}) })
		return nil
	})
}

// unread counts a person's unread messages and the conversations they are in.
func (s *Service) unread(ctx context.Context, person identity.PersonID) (messages, conversations int64, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, unreadQuery, string(person)).Scan(&messages, &conversations)
	})
	if err != nil {
		return 0, 0, fmt.Errorf("chat: count unread: %w", err)
	}
	return messages, conversations, nil
}
