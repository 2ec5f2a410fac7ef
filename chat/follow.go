package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"commsd/identity"
	"commsd/internal/bus"
	"commsd/internal/sqldb"
)

const (
	topic          = "chat" // one for all: a node drops what it does not follow
	catchUpWorkers = 4
	catchUpLimit   = 500
	maxPacket      = 256 << 10   // of events that are published as one
	forgetAfter    = time.Minute // a conversation without listeners stays in memory this long
)

// packet is what nodes tell each other.
type packet struct {
	Node         string              `json:"n"` // a node skips its own
	Events       []ConversationEvent `json:"e,omitempty"`
	PersonEvents []personPacket      `json:"p,omitempty"`
	Typing       *typingMsg          `json:"t,omitempty"`
	Hint         *hintPacket         `json:"h,omitempty"`
}

type personPacket struct {
	Person identity.PersonID `json:"p"`
	Event  PersonEvent       `json:"e"`
}

type hintPacket struct {
	To   []identity.PersonID `json:"to"`
	Hint hintMsg             `json:"hint"`
}

// publish tells the other nodes; a failure only costs them time.
func (h *hub) publish(p packet) {
	p.Node = h.s.node
	data, err := encode(p)
	if err != nil {
		h.s.log.Error("chat event not published", "err", err)
		return
	}
	if err := h.s.cfg.Bus.Publish(context.Background(), topic, data); err != nil {
		h.s.log.Debug("chat event not published", "err", err) // the bus counts and logs its own failures
	}
}

// announce delivers committed events here and tells the other nodes.
func (h *hub) announce(events []ConversationEvent) {
	if len(events) == 0 {
		return
	}
	h.takeEvents(events)
	for len(events) > 0 { // a packet stays well under what Redis likes
		n, size := 0, 0
		for n < len(events) && (n == 0 || size+len(events[n].Body)+400 < maxPacket) {
			size += len(events[n].Body) + 400
			n++
		}
		h.publish(packet{Events: events[:n]})
		events = events[n:]
	}
}

func (h *hub) announcePeople(events []personPacket) {
	if len(events) == 0 {
		return
	}
	h.takePersonEvents(events)
	for len(events) > 0 {
		n, size := 0, 0
		for n < len(events) && (n == 0 || size+len(events[n].Event.Body)+400 < maxPacket) {
			size += len(events[n].Event.Body) + 400
			n++
		}
		h.publish(packet{PersonEvents: events[:n]})
		events = events[n:]
	}
}

func (h *hub) takeEvents(events []ConversationEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range events {
		st := h.convs[e.Conversation]
		if st == nil {
			continue // nobody here listens
		}
		en, err := entryOf(e)
		if err != nil {
			h.s.log.Error("chat event lost from memory", "conversation", e.Conversation, "seq", e.Seq, "err", err)
			h.behindLocked(st, e.Seq)
			continue
		}
		h.offerLocked(st, en)
	}
}

func (h *hub) takePersonEvents(events []personPacket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, pe := range events {
		p := h.people[pe.Person]
		if p == nil || !p.ready {
			continue
		}
		en, err := entryOfPerson(pe.Event)
		if err != nil {
			h.s.log.Error("person event lost from memory", "person", pe.Person, "seq", pe.Event.Seq, "err", err)
			h.behindLocked(p.log, pe.Event.Seq)
			continue
		}
		h.offerLocked(p.log, en)
	}
}

func entryOf(e ConversationEvent) (entry, error) {
	en := entry{head: head{Conversation: e.Conversation, Seq: e.Seq, EventID: e.EventID, Count: e.Count}}
	if e.Kind == kindJoined || e.Kind == kindLeft {
		var body membersBody
		if err := json.Unmarshal(e.Body, &body); err != nil {
			return en, fmt.Errorf("chat: members of event: %w", err)
		}
		for _, p := range body.People {
			if e.Kind == kindJoined {
				en.joined = append(en.joined, p.ID)
			} else {
				en.left = append(en.left, p.ID)
			}
		}
	}
	var err error
	en.data, err = encode(e)
	return en, err
}

func entryOfPerson(e PersonEvent) (entry, error) {
	en := entry{head: head{Seq: e.Seq, EventID: e.EventID}}
	if e.Kind == kindConversationJoined {
		var body conversationBody
		if err := json.Unmarshal(e.Body, &body); err != nil {
			return en, fmt.Errorf("chat: conversation of event: %w", err)
		}
		en.opened = body.Conversation
	}
	var err error
	en.data, err = encode(e)
	return en, err
}

// follow takes what other nodes tell until ctx ends.
func (h *hub) follow(ctx context.Context, sub *bus.Subscription) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case ev, ok := <-sub.C:
			switch {
			case ok && ev.Gap:
				h.askCheck()
			case ok:
				h.takePacket(ev.Payload)
			case ctx.Err() == nil:
				return errors.New("chat: the bus closed before Run ended")
			}
		}
	}
}

func (h *hub) takePacket(payload []byte) {
	var p packet
	if err := json.Unmarshal(payload, &p); err != nil {
		h.s.log.Warn("unreadable chat packet on the bus", "err", err)
		return
	}
	if p.Node == h.s.node {
		return
	}
	h.takeEvents(p.Events)
	h.takePersonEvents(p.PersonEvents)
	if p.Typing != nil {
		h.showTyping(*p.Typing)
	}
	if p.Hint != nil {
		h.showHint(*p.Hint)
	}
}

func (h *hub) askCheck() {
	select {
	case h.check <- struct{}{}:
	default:
	}
}

// watchHeads compares what this node has delivered with SQL: now and then
// while the bus is well, after each of its gaps, and all the time while it is
// away or SQL could not be read.
func (h *hub) watchHeads(ctx context.Context) {
	tick := time.NewTicker(h.s.cfg.HeadsAway)
	defer tick.Stop()
	next := h.s.now().Add(jitter(h.s.cfg.HeadsEvery))
	for {
		asked := false
		select {
		case <-ctx.Done():
			return
		case <-h.check:
			asked = true
		case <-tick.C:
		}
		// First, and whatever else is the matter: it has those attached who
		// could not be before.
		failed := h.takeFailed()
		if !asked && !failed && h.s.cfg.Bus.Healthy() && h.s.now().Before(next) {
			continue
		}
		next = h.s.now().Add(jitter(h.s.cfg.HeadsEvery))
		h.forget()
		convs, people := h.following()
		if err := h.checkHeads(ctx, convs, people); err != nil && ctx.Err() == nil {
			h.s.log.Warn("heads of conversations could not be read", "err", err)
			h.noteFailed()
		}
	}
}

func (h *hub) noteFailed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failed = true
}

// takeFailed tells whether SQL could not be read since the last call, and has
// the workers try again to attach those who arrived then.
func (h *hub) takeFailed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	failed := h.failed
	h.failed = false
	if len(h.missed) > 0 {
		h.arrivals, h.missed = append(h.arrivals, h.missed...), nil
		h.nudge()
	}
	return failed
}

// forget drops conversations that nobody here has listened to for a while.
func (h *hub) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.s.now().Add(-forgetAfter)
	for id, st := range h.convs {
		if len(st.local) == 0 && !st.catching && st.emptySince.Before(old) {
			delete(h.convs, id)
		}
	}
	h.s.metrics.live.Set(float64(len(h.convs)))
}

// following returns all logs followed here, with the head of each.
func (h *hub) following() (convs, people map[string]head) {
	h.mu.Lock()
	defer h.mu.Unlock()
	convs, people = map[string]head{}, map[string]head{}
	for id, st := range h.convs {
		convs[id] = st.head
	}
	for id, p := range h.people {
		if p.ready {
			people[string(id)] = p.log.head
		}
	}
	return convs, people
}

// checkHeads reads the heads of the named logs in one go. The values are the
// heads known before: a head in SQL that is lower, or another event, means a
// restored database.
func (h *hub) checkHeads(ctx context.Context, convs, people map[string]head) error {
	if len(convs)+len(people) == 0 {
		return nil
	}
	var convHeads, personHeads []head
	err := h.s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		if convHeads, err = headsByID(ctx, tx, keys(convs)); err != nil {
			return err
		}
		personHeads, err = personHeadsByID(ctx, tx, keys(people))
		return err
	})
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	compare := func(known map[string]head, heads []head, find func(id string) *stream) {
		found := make(map[string]head, len(heads))
		for _, hd := range heads {
			found[hd.Conversation] = hd
		}
		for id, before := range known {
			st, hd := find(id), found[id] // an absent row is a head of zero
			switch {
			case st == nil:
			case hd.Seq < before.Seq, hd.Seq == before.Seq && hd.EventID != before.EventID:
				h.resetLocked(st, hd)
			default:
				h.behindLocked(st, hd.Seq)
			}
		}
	}
	compare(convs, convHeads, func(id string) *stream { return h.convs[id] })
	compare(people, personHeads, func(id string) *stream {
		if p := h.people[identity.PersonID(id)]; p != nil && p.ready {
			return p.log
		}
		return nil
	})
	return nil
}

func keys(m map[string]head) []string {
	ids := make([]string, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	return ids
}

// resetLocked deals with a log that is not in SQL what it was: a conversation's
// listeners load it anew; a person, whose memberships may be others now, too,
// comes back with a new connection.
func (h *hub) resetLocked(st *stream, hd head) {
	h.s.log.Warn("a chat log differs in SQL from what it was: was the database restored?", "log", st.key, "seq", hd.Seq)
	if p := st.person; p != nil {
		h.dropLocked(p)
		for c := range p.clients {
			c.close(reasonUnavailable)
		}
		return
	}
	hd.Conversation = st.key
	st.head, st.wanted, st.ring, st.memberSeq = hd, hd.Seq, nil, 0
	for p := range st.local {
		h.tellLocked(p, reloadMsg{Type: "reload", Conversation: st.key})
	}
}

// tellLocked pushes v, which is never shed, to all sockets of p.
func (h *hub) tellLocked(p *person, v any) {
	data, err := encode(v)
	if err != nil {
		h.s.log.Error("chat message not sent", "err", err)
		return
	}
	for c := range p.clients {
		if c.welcomed {
			c.sendData(data)
		}
	}
}

// catchUpLoop is one worker: it reads from SQL what streams lack.
func (h *hub) catchUpLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
		}
		for {
			h.mu.Lock()
			var st *stream
			var ar arrival
			switch {
			case len(h.behind) > 0:
				st, h.behind = h.behind[0], h.behind[1:]
			case len(h.arrivals) > 0:
				ar, h.arrivals = h.arrivals[0], h.arrivals[1:]
			}
			if len(h.behind)+len(h.arrivals) > 0 {
				h.nudge() // another worker may help
			}
			h.mu.Unlock()
			if st != nil {
				h.catchUp(ctx, st)
			} else if ar.conversation != "" {
				h.arrive(ctx, ar)
			} else {
				break
			}
		}
	}
}

// catchUp reads st's log from SQL until nothing newer is known.
func (h *hub) catchUp(ctx context.Context, st *stream) {
	h.s.metrics.catchUps.Inc()
	for {
		h.mu.Lock()
		known, wanted := st.head, st.wanted
		h.mu.Unlock()
		entries, other, err := h.read(ctx, st, known)
		h.mu.Lock()
		if other != nil {
			h.resetLocked(st, *other)
		}
		for _, e := range entries {
			if e.head.Seq == st.head.Seq+1 {
				h.deliverLocked(st, e)
			}
		}
		// What was heard of before the read would have been in it.
		stuck := st.head == known && st.wanted == wanted
		if err != nil || other != nil || stuck || st.wanted <= st.head.Seq {
			if stuck {
				st.wanted = st.head.Seq
			}
			if err != nil {
				h.failed = true // the next tick checks all heads
			}
			st.catching = false
			h.mu.Unlock()
			if err != nil && ctx.Err() == nil {
				h.s.log.Warn("chat log could not be read", "log", st.key, "err", err)
			}
			return
		}
		h.mu.Unlock()
	}
}

// read returns the events of st's log after known. other is not nil when SQL
// does not hold known itself, and is SQL's head then.
func (h *hub) read(ctx context.Context, st *stream, known head) (entries []entry, other *head, err error) {
	err = h.s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		entries, other = nil, nil
		// With the known one, to see that it is there.
		from := max(known.Seq-1, 0)
		var hd head
		var err error
		if st.person != nil {
			var events []PersonEvent
			if events, err = personEventsAfter(ctx, tx, st.person.id, from, catchUpLimit); err != nil {
				return err
			}
			if entries, err = entriesOf(events, entryOfPerson); err != nil {
				return err
			}
			hd.Seq, hd.EventID, err = personHead(ctx, tx, st.person.id)
		} else {
			var events []ConversationEvent
			if events, err = eventsAfter(ctx, tx, st.key, from, catchUpLimit); err != nil {
				return err
			}
			if entries, err = entriesOf(events, entryOf); err != nil {
				return err
			}
			var heads []head
			if heads, err = headsByID(ctx, tx, []string{st.key}); len(heads) == 1 {
				hd = heads[0]
			}
		}
		if err != nil || known.Seq == 0 {
			return err
		}
		if len(entries) == 0 || entries[0].head.Seq != known.Seq || entries[0].head.EventID != known.EventID {
			entries, other = nil, &hd
			return nil
		}
		entries = entries[1:]
		return nil
	})
	return entries, other, err
}

func entriesOf[E any](events []E, one func(E) (entry, error)) ([]entry, error) {
	entries := make([]entry, 0, len(events))
	for _, e := range events {
		en, err := one(e)
		if err != nil {
			return nil, err
		}
		entries = append(entries, en)
	}
	return entries, nil
}
