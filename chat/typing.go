package chat

import (
	"time"

	"commsd/identity"
	"commsd/internal/wsconn"
)

const (
	typingEvery   = 4 * time.Second // more often is dropped; clients send it each 5 s
	typingAny     = time.Second     // likewise, whatever the conversation
	typingMembers = 200             // larger conversations show no typing
)

// typing is the verb: it is never stored, not answered, and shown only to those
// who look at the conversation.
func (c *client) typing(cmd command) {
	now := c.s.now()
	if since := now.Sub(c.typedAt); since < typingAny || (c.typedWhere == cmd.Conversation && since < typingEvery) {
		return
	}
	c.typedWhere, c.typedAt = cmd.Conversation, now
	if !c.s.hub.attached(c.actor.Person, cmd.Conversation) {
		return
	}
	t := typingMsg{Type: "typing", Conversation: cmd.Conversation, Person: c.actor.Person, Name: c.actor.Name}
	c.s.hub.showTyping(t)
	c.s.hub.publish(packet{Typing: &t})
}

func (h *hub) showTyping(t typingMsg) {
	data, err := encode(t)
	if err != nil {
		h.s.log.Error("chat message not sent", "err", err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	st := h.convs[t.Conversation]
	if st == nil || len(st.local) > typingMembers {
		return
	}
	for p := range st.local {
		if p.id == t.Person {
			continue
		}
		for c := range p.clients {
			if c.welcomed && c.looking == t.Conversation && !c.locked.Load() {
				c.push(wsconn.Message{Data: data, Key: keyLoose})
			}
		}
	}
}

// look is the verb: which conversation is on the screen; "" is none.
func (c *client) look(cmd command) {
	c.s.hub.mu.Lock()
	defer c.s.hub.mu.Unlock()
	c.looking = cmd.Conversation
}

func (h *hub) showHint(hp hintPacket) {
	data, err := encode(hp.Hint)
	if err != nil {
		h.s.log.Error("chat message not sent", "err", err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pushToLocked(hp.To, wsconn.Message{Data: data, Key: keyLoose})
}

func (h *hub) pushToLocked(to []identity.PersonID, m wsconn.Message) {
	for _, id := range to {
		if p := h.people[id]; p != nil && p.ready {
			h.pushLocked(p, m)
		}
	}
}
