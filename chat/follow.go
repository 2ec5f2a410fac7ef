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
		for n < len(events) && (n == 0 || size+len(events[n].Body) < 256<<10) {
			size += len(events[n].Body)
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
	h.publish(packet{PersonEvents: events})
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
			if !ok {
				if ctx.Err() != nil {
					return nil
				}
				return errors.New("chat: the bus closed before Run ended")
			}
			if ev.Gap {
				h.askCheck()
				continue
			}
			var p packet
			if err := json.Unmarshal(ev.Payload, &p); err != nil {
				h.s.log.Warn("unreadable chat packet on the bus", "err", err)
				continue
			}
			if p.Node == h.s.node {
				continue
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
// away.
func (h *hub) watchHeads(ctx context.Context) {
	tick := time.NewTicker(h.s.cfg.HeadsAway)
	defer tick.Stop()
	next := h.s.now().Add(jitter(h.s.cfg.HeadsEvery))
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.check:
		case <-tick.C:
			if h.s.cfg.Bus.Healthy() && h.s.now().Before(next) {
				continue
			}
		}
		next = h.s.now().Add(jitter(h.s.cfg.HeadsEvery))
		h.forget()
		convs, people := h.following()
		if err := h.checkHeads(ctx, convs, people); err != nil && ctx.Err() == nil {
			h.s.log.Warn("heads of conversations could not be read", "err", err)
		}
	}
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
func (h *hub) following() (convs, people map[string]int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	convs, people = map[string]int64{}, map[string]int64{}
	for id, st := range h.convs {
		convs[id] = st.head.Seq
	}
	for id, p := range h.people {
		if p.ready {
			people[string(id)] = p.log.head.Seq
		}
	}
	return convs, people
}

// checkHeads reads the heads of the named logs in one go. The values are the
// heads known before: a head in SQL that is lower means a restored database.
func (h *hub) checkHeads(ctx context.Context, convs, people map[string]int64) error {
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
	compare := func(known map[string]int64, heads []head, find func(id string) *stream) {
		found := make(map[string]head, len(heads))
		for _, hd := range heads {
			found[hd.Conversation] = hd
		}
		for id, before := range known {
			st, hd := find(id), found[id] // an absent row is a head of zero
			switch {
			case st == nil:
			case hd.Seq < before:
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

func keys(m map[string]int64) []string {
	ids := make([]string, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	return ids
}

// resetLocked starts a log over that has shrunk in SQL, and has its listeners
// load it anew.
func (h *hub) resetLocked(st *stream, hd head) {
	hd.Conversation = st.key
	if st.person != nil {
		hd.Conversation = ""
	}
	st.head, st.wanted, st.ring, st.memberSeq = hd, hd.Seq, nil, 0
	h.s.log.Warn("a chat log is shorter in SQL than it was: was the database restored?", "log", st.key, "seq", hd.Seq)
	if st.person != nil {
		h.tellLocked(st.person, reloadMsg{Type: "reload", Person: true})
		return
	}
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
		after := st.head.Seq
		h.mu.Unlock()
		entries, err := h.read(ctx, st, after)
		h.mu.Lock()
		for _, e := range entries {
			if e.head.Seq == st.head.Seq+1 {
				h.deliverLocked(st, e)
			}
		}
		if err != nil || len(entries) == 0 || st.wanted <= st.head.Seq {
			if err == nil && len(entries) == 0 {
				st.wanted = st.head.Seq // heard of, but not in SQL
			}
			st.catching = false
			h.mu.Unlock()
			if err != nil && ctx.Err() == nil {
				// The next check of heads tries again.
				h.s.log.Warn("chat log could not be read", "log", st.key, "err", err)
			}
			return
		}
		h.mu.Unlock()
	}
}

func (h *hub) read(ctx context.Context, st *stream, after int64) ([]entry, error) {
	var entries []entry
	err := h.s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if st.person != nil {
			events, err := personEventsAfter(ctx, tx, st.person.id, after, catchUpLimit)
			if err != nil {
				return err
			}
			entries, err = entriesOf(events, entryOfPerson)
			return err
		}
		events, err := eventsAfter(ctx, tx, st.key, after, catchUpLimit)
		if err != nil {
			return err
		}
		entries, err = entriesOf(events, entryOf)
		return err
	})
	return entries, err
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
