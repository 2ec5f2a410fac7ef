package chat

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
	"commsd/internal/wsconn"
)

// hello is the verb: it attaches the socket to its person, so that pushes
// follow, and answers which logs have grown since the client's cursors.
func (c *client) hello(ctx context.Context, cmd command) *wsconn.Closed {
	if c.saidHello {
		return reasonHelloTwice
	}
	if cmd.Protocol != protocolVersion {
		return reasonVersion
	}
	c.saidHello = true
	c.helloTimer.Stop()
	// After a restart everybody says hello at once; the rest waits here
	// instead of in the database.
	select {
	case c.s.hellos <- struct{}{}:
		defer func() { <-c.s.hellos }()
	case <-ctx.Done():
		return reasonUnavailable
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := c.s.hub.welcome(ctx, c, cmd); err != nil {
		if errcode.Of(err) == errcode.Internal && ctx.Err() == nil {
			c.s.log.Error("hello failed", "person", c.actor.Person, "err", err)
		}
		return reasonUnavailable
	}
	return nil
}

// welcome attaches c and queues its welcome in one step, so that every event
// after the heads it names is pushed after it.
func (h *hub) welcome(ctx context.Context, c *client, cmd command) error {
	if err := h.load(ctx, c.actor.Person); err != nil {
		return err
	}
	unknown := h.unverified(c.actor.Person, cmd)
	wrong, userWrong, err := h.verify(ctx, c.actor.Person, unknown, cmd)
	if err != nil {
		return err
	}
	for {
		h.mu.Lock()
		p := h.people[c.actor.Person]
		if p != nil && p.ready {
			h.enterLocked(p, c, cmd, wrong, userWrong)
			h.mu.Unlock()
			return nil
		}
		h.mu.Unlock()
		// The person's last other socket went in between.
		if err := h.load(ctx, c.actor.Person); err != nil {
			return err
		}
	}
}

// load makes sure that the person's log and conversations are followed here.
func (h *hub) load(ctx context.Context, id identity.PersonID) error {
	for {
		h.mu.Lock()
		p := h.people[id]
		if p == nil {
			p = &person{id: id, loaded: make(chan struct{}), convs: map[string]*stream{}, clients: map[*client]struct{}{}}
			h.people[id] = p
			h.mu.Unlock()
			return h.loadPerson(ctx, p)
		}
		ready, loaded := p.ready, p.loaded
		h.mu.Unlock()
		if ready {
			return nil
		}
		select { // another socket of the person is loading
		case <-loaded:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (h *hub) loadPerson(ctx context.Context, p *person) (err error) {
	defer close(p.loaded)
	defer func() {
		if err != nil {
			h.mu.Lock()
			h.dropLocked(p) // attached or not
			h.mu.Unlock()
		}
	}()
	for {
		var heads []head
		log := &stream{key: string(p.id), person: p}
		err = h.s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			var err error
			if heads, err = headsOf(ctx, tx, p.id); err != nil {
				return err
			}
			log.head.Seq, log.head.EventID, err = personHead(ctx, tx, p.id)
			return err
		})
		if err != nil {
			return err
		}
		fresh, ok := h.attachAll(p, log, heads)
		if !ok {
			continue // members changed since the snapshot
		}
		// Between the snapshot and now nobody here followed these logs.
		err = h.checkHeads(ctx, fresh, map[string]head{string(p.id): log.head})
		if err != nil {
			h.noteFailed() // others may follow them, too, by now
		}
		return err
	}
}

// attachAll attaches p to all its conversations, or to none when the snapshot
// of its memberships is older than a change of members delivered here. It
// returns the conversations that were not followed before.
func (h *hub) attachAll(p *person, log *stream, heads []head) (fresh map[string]head, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, hd := range heads {
		if st := h.convs[hd.Conversation]; st != nil && st.memberSeq > hd.Seq {
			return nil, false
		}
	}
	fresh = map[string]head{}
	for _, hd := range heads {
		if h.convs[hd.Conversation] == nil {
			fresh[hd.Conversation] = hd
		}
		st := h.followLocked(hd)
		h.behindLocked(st, hd.Seq) // whoever followed it first may have failed to check it
		h.attachLocked(p, st)
	}
	p.log, p.ready = log, true
	return fresh, true
}

// followLocked returns the stream of hd's conversation and starts it at hd when
// it is new.
func (h *hub) followLocked(hd head) *stream {
	st := h.convs[hd.Conversation]
	if st == nil {
		st = &stream{key: hd.Conversation, head: hd, local: map[*person]struct{}{}, emptySince: h.s.now()}
		h.convs[hd.Conversation] = st
		h.s.metrics.live.Set(float64(len(h.convs)))
	}
	return st
}

// arrive attaches a person to a conversation joined a moment ago.
func (h *hub) arrive(ctx context.Context, ar arrival) {
	for ctx.Err() == nil {
		hd := head{Conversation: ar.conversation}
		member := false
		err := h.s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			role, err := memberRole(ctx, tx, ar.conversation, ar.person)
			if err != nil || role == "" {
				member = false
				return err
			}
			member = true
			heads, err := headsByID(ctx, tx, []string{ar.conversation})
			if len(heads) == 1 {
				hd = heads[0]
			}
			return err
		})
		if err != nil {
			if ctx.Err() == nil {
				h.s.log.Warn("a new member could not be attached yet", "conversation", ar.conversation, "err", err)
			}
			h.mu.Lock()
			h.missed = append(h.missed, ar)
			h.failed = true
			h.mu.Unlock()
			return
		}
		if !member {
			return // left again
		}
		h.mu.Lock()
		p, st := h.people[ar.person], h.convs[ar.conversation]
		if p == nil || !p.ready {
			h.mu.Unlock()
			return
		}
		if st != nil && st.memberSeq > hd.Seq {
			h.mu.Unlock()
			continue // the snapshot is older than a change of members
		}
		if p.convs[ar.conversation] != nil {
			h.mu.Unlock()
			return // attached meanwhile, by the event that says who joined
		}
		st = h.followLocked(hd)
		h.attachLocked(p, st)
		h.tellLocked(p, headMsg{Type: "head", head: st.head})
		h.mu.Unlock()
		if err := h.checkHeads(ctx, map[string]head{hd.Conversation: hd}, nil); err != nil {
			h.noteFailed()
		}
		return
	}
}

// knownLocked tells whether memory proves that cur is of this log; sure is
// false when only SQL can say.
func (st *stream) knownLocked(cur Cursor) (right, sure bool) {
	switch {
	case cur.Seq == 0:
		return true, true
	case cur.Seq == st.head.Seq:
		return cur.EventID == st.head.EventID, true
	case len(st.ring) > 0 && cur.Seq >= st.ring[0].head.Seq && cur.Seq < st.head.Seq:
		return cur.EventID == st.ring[cur.Seq-st.ring[0].head.Seq].head.EventID, true
	}
	return false, false // older than memory, or newer than this node has heard of
}

// unverified returns the cursors that only SQL can prove.
func (h *hub) unverified(id identity.PersonID, cmd command) map[string]Cursor {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.people[id]
	if p == nil || !p.ready {
		return cmd.Cursors
	}
	unknown := map[string]Cursor{}
	for conv, cur := range cmd.Cursors {
		st := p.convs[conv]
		if st == nil {
			continue // gone
		}
		if right, sure := st.knownLocked(cur); !sure || !right {
			unknown[conv] = cur
		}
	}
	return unknown
}

// verify asks SQL for the events that the cursors name and returns the
// conversations whose cursor is of another history.
func (h *hub) verify(ctx context.Context, id identity.PersonID, cursors map[string]Cursor, cmd command) (wrong map[string]bool, userWrong bool, err error) {
	wrong = map[string]bool{}
	type pair struct {
		conversation string
		cur          Cursor
	}
	var pairs []pair
	for conv, cur := range cursors {
		if cur.Seq > 0 {
			pairs = append(pairs, pair{conv, cur})
			wrong[conv] = true // until found
		}
	}
	err = h.s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if cmd.UserSeq > 0 {
			got, err := personEventIDAt(ctx, tx, id, cmd.UserSeq)
			if err != nil {
				return err
			}
			userWrong = got == "" || (cmd.UserEventID != "" && got != cmd.UserEventID)
		}
		for rest := pairs; len(rest) > 0; {
			n := min(len(rest), batchSize/2)
			var args []any
			for _, pr := range rest[:n] {
				args = append(args, pr.conversation, pr.cur.Seq)
			}
			rest = rest[n:]
			rows, err := tx.Query(ctx, verifyQuery(n), args...)
			if err != nil {
				return fmt.Errorf("chat: verify cursors: %w", err)
			}
			heads, err := scanHeads(rows)
			if err != nil {
				return err
			}
			for _, hd := range heads {
				if cursors[hd.Conversation].EventID == hd.EventID {
					delete(wrong, hd.Conversation)
				}
			}
		}
		return nil
	})
	return wrong, userWrong, err
}

// verifyQuery finds the events of n pairs of conversation and seq.
func verifyQuery(n int) string {
	where := make([]string, n)
	for i := range where {
		where[i] = "(conversation_id = $" + strconv.Itoa(2*i+1) + " AND seq = $" + strconv.Itoa(2*i+2) + ")"
	}
	return `SELECT conversation_id, seq, event_id, 0 FROM chat_event WHERE ` + strings.Join(where, " OR ")
}

// enterLocked makes c one of p's sockets and queues its welcome.
func (h *hub) enterLocked(p *person, c *client, cmd command, wrong map[string]bool, userWrong bool) {
	w := welcomeMsg{
		Type: "welcome", ID: cmd.ID, Protocol: protocolVersion, Person: p.id,
		UserSeq: p.log.head.Seq, UserEventID: p.log.head.EventID, UserReload: userWrong,
		Heads: []head{}, MaxText: h.s.cfg.MaxText, MaxWaiting: h.s.cfg.MaxCommands,
	}
	for conv, cur := range cmd.Cursors {
		st := p.convs[conv]
		switch {
		case st == nil:
			w.Gone = append(w.Gone, conv)
		case wrong[conv]:
			w.Reload = append(w.Reload, conv)
		case cur.Seq > st.head.Seq:
			h.behindLocked(st, cur.Seq) // another node told the client first
		}
	}
	for conv, st := range p.convs {
		if cur, ok := cmd.Cursors[conv]; !ok || wrong[conv] || cur.Seq < st.head.Seq {
			w.Heads = append(w.Heads, st.head)
		}
	}
	if !userWrong {
		h.behindLocked(p.log, cmd.UserSeq) // likewise
	}
	p.clients[c] = struct{}{}
	c.welcomed = true
	data, err := encode(w)
	if err != nil {
		h.s.log.Error("chat message not sent", "err", err)
		return
	}
	c.sendData(data)
}
