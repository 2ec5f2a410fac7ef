package chat

import (
	"context"
	"encoding/json"
	"errors"

	"commsd/identity"
	"commsd/internal/sqldb"
	"commsd/internal/wsconn"
)

const (
	defaultPull = 100
	maxPull     = 200
)

func pullLimit(n int) int {
	if n <= 0 {
		return defaultPull
	}
	return min(n, maxPull)
}

// pull is the verb: events after or before a seq.
func (c *client) pull(ctx context.Context, cmd command) {
	limit := pullLimit(cmd.Limit)
	msg := eventsMsg{Type: "events", ID: cmd.ID, Conversation: cmd.Conversation}
	if cmd.After != nil {
		if events, hd, ok := c.s.hub.recent(c.actor.Person, cmd.Conversation, *cmd.After, limit); ok {
			c.s.metrics.fromRing.Inc()
			msg.Events = events
			c.s.opened(c.actor, cmd.Conversation)
			c.page(ctx, cmd.Conversation, hd, hd, func(hd int64) any { msg.Head = hd; return msg })
			return
		}
	}
	c.s.metrics.fromSQL.Inc()
	pushed := c.s.hub.pushed(c.actor.Person, cmd.Conversation)
	page, err := c.s.events(ctx, c.actor.Person, cmd.Conversation, cmd.After, cmd.Before, limit)
	if err == nil {
		msg.Events, err = rawEvents(page.Events)
	}
	if err != nil {
		c.reply(ctx, c.failure(cmd.ID, c.s.refused(ctx, c.actor, actionRead, cmd.Conversation, err)))
		return
	}
	c.s.opened(c.actor, cmd.Conversation)
	c.page(ctx, cmd.Conversation, pushed, page.Head, func(hd int64) any { msg.Head = hd; return msg })
}

// page answers with a page of a log ("": the person's own) that was read when
// its head was hd; pushed is what had been pushed of it before. The head that
// the client is told counts all that is pushed before the answer: a client
// that saw a gap while it waited for the answer learns from it to pull again.
func (c *client) page(ctx context.Context, conversation string, pushed, hd int64, with func(hd int64) any) {
	if hd < pushed {
		c.s.hub.askCheck() // SQL has less than before: it was restored
		c.reply(ctx, with(hd))
		return
	}
	for {
		data, err := encode(with(hd))
		if err != nil {
			c.s.log.Error("chat message not sent", "err", err)
			return
		}
		var now int64
		now, err = c.s.hub.sendPage(c, conversation, hd, wsconn.Message{Data: data})
		switch {
		case now > hd:
			hd = now
		case errors.Is(err, wsconn.ErrQueueFull):
			if c.conn.AwaitRoom(ctx, len(data)) != nil {
				return // the socket has ended
			}
		default:
			return // sent, or the socket has ended
		}
	}
}

// eventPage is what events returns.
type eventPage struct {
	Head   int64
	Events []ConversationEvent
}

// events reads a page of a conversation's log for a member: after a seq, or
// before one, or the newest with neither. It may hold fewer than limit events
// though there are more.
func (s *Service) events(ctx context.Context, person identity.PersonID, conversation string, after, before *int64, limit int) (eventPage, error) {
	var page eventPage
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		role, err := memberRole(ctx, tx, conversation, person)
		if err != nil {
			return err
		}
		heads, err := headsByID(ctx, tx, []string{conversation})
		if err != nil {
			return err
		}
		if role == "" || len(heads) != 1 {
			return errNotMember()
		}
		page.Head = heads[0].Seq
		if after != nil {
			page.Events, err = eventsAfter(ctx, tx, conversation, *after, limit)
			return err
		}
		end := page.Head + 1
		if before != nil {
			end = min(end, *before)
		}
		page.Events, err = eventsBefore(ctx, tx, conversation, end, limit)
		return err
	})
	if err != nil {
		return page, err
	}
	size := 0
	if after != nil {
		for i, e := range page.Events {
			if size += len(e.Body) + 300; size > maxPullBytes && i > 0 {
				page.Events = page.Events[:i]
				break
			}
		}
		return page, nil
	}
	for i := len(page.Events) - 1; i >= 0; i-- {
		if size += len(page.Events[i].Body) + 300; size > maxPullBytes && i < len(page.Events)-1 {
			page.Events = page.Events[i+1:]
			break
		}
	}
	return page, nil
}

// pullPerson is the verb pull_person: the person's own log after a seq.
func (c *client) pullPerson(ctx context.Context, cmd command) {
	limit := pullLimit(cmd.Limit)
	msg := personEventsMsg{Type: "person_events", ID: cmd.ID}
	if events, hd, ok := c.s.hub.recent(c.actor.Person, "", *cmd.After, limit); ok {
		c.s.metrics.fromRing.Inc()
		msg.Events = events
		c.page(ctx, "", hd, hd, func(hd int64) any { msg.Head = hd; return msg })
		return
	}
	c.s.metrics.fromSQL.Inc()
	pushed := c.s.hub.pushed(c.actor.Person, "")
	var hd int64
	var events []PersonEvent
	err := c.s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		if hd, _, err = personHead(ctx, tx, c.actor.Person); err != nil {
			return err
		}
		events, err = personEventsAfter(ctx, tx, c.actor.Person, *cmd.After, limit)
		return err
	})
	if err == nil {
		msg.Events, err = rawEvents(events)
	}
	if err != nil {
		c.reply(ctx, c.failure(cmd.ID, err))
		return
	}
	c.page(ctx, "", pushed, hd, func(hd int64) any { msg.Head = hd; return msg })
}

func rawEvents[E any](events []E) ([]json.RawMessage, error) {
	raw := make([]json.RawMessage, len(events))
	for i, e := range events {
		data, err := encode(e)
		if err != nil {
			return nil, err
		}
		raw[i] = data
	}
	return raw, nil
}

// opened records that a member opened a conversation.
func (s *Service) opened(actor identity.Actor, conversation string) {
	s.cfg.Audit.Access(actor, "conversation.read", identity.ObjectRef{Kind: "conversation", ID: conversation})
}
