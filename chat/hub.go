package chat

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"commsd/identity"
	"commsd/internal/wsconn"
)

// entry is an event of either log, encoded once for all its receivers.
type entry struct {
	head   head // its own seq, id and count
	data   []byte
	joined []identity.PersonID // who is a member from this event on
	left   []identity.PersonID // who is none from this event on
	opened string              // of a person's log: the conversation joined
}

// stream is one log that somebody on this node listens to. It delivers each
// seq once and in order, whatever the bus does.
type stream struct {
	key    string
	person *person              // whose log; nil: a conversation's
	local  map[*person]struct{} // members on this node, of a conversation

	head       head    // last event delivered
	wanted     int64   // newest seq heard of
	catching   bool    // waits for a catch-up worker or has one
	ring       []entry // the last events, without gaps, up to head
	memberSeq  int64   // of the last change of members delivered
	emptySince time.Time
}

// person is somebody with a socket on this node.
type person struct {
	id      identity.PersonID
	loaded  chan struct{} // closed once ready or given up
	ready   bool          // log and conversations are attached
	log     *stream
	convs   map[string]*stream
	clients map[*client]struct{}
}

// hub knows who on this node listens to what. Network writes do not happen
// under its lock: sending to a socket only queues.
type hub struct {
	s     *Service
	wake  chan struct{} // wakes the catch-up workers
	check chan struct{} // asks for a check of all heads

	mu       sync.Mutex
	convs    map[string]*stream               // guarded by mu
	people   map[identity.PersonID]*person    // guarded by mu
	clients  map[*client]struct{}             // guarded by mu; every open socket, before hello too
	accounts map[identity.AccountID][]*client // guarded by mu; the same by account, oldest first
	behind   []*stream                        // guarded by mu; streams that wait for a worker
	arrivals []arrival                        // guarded by mu; people to attach to conversations
	missed   []arrival                        // guarded by mu; those whose attaching failed
	failed   bool                             // guarded by mu; SQL could not be read: the next tick tries again
	empty    chan struct{}                    // guarded by mu; closed when the last socket has gone; nil: nobody waits
}

// arrival is a person to be attached to a conversation that this node does not
// follow yet.
type arrival struct {
	person       identity.PersonID
	conversation string
}

func newHub(s *Service) *hub {
	return &hub{
		s: s, wake: make(chan struct{}, catchUpWorkers), check: make(chan struct{}, 1),
		convs:   map[string]*stream{},
		people:  map[identity.PersonID]*person{},
		clients: map[*client]struct{}{}, accounts: map[identity.AccountID][]*client{},
	}
}

// add counts a socket in, before it has said hello. Of an account that has too
// many the oldest gives way: the newest is before somebody's eyes.
func (h *hub) add(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clients[c] = struct{}{}
	own := append(h.accounts[c.actor.Account], c)
	h.accounts[c.actor.Account] = own
	open := slices.DeleteFunc(slices.Clone(own), func(o *client) bool { return o.closing.Load() })
	for ; len(open) > h.s.cfg.MaxSockets; open = open[1:] {
		open[0].close(reasonTooMany)
	}
	h.s.metrics.sockets.Set(float64(len(h.clients)))
}

// remove forgets a socket, and its person with the last one.
func (h *hub) remove(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clients, c)
	if own := slices.DeleteFunc(h.accounts[c.actor.Account], func(o *client) bool { return o == c }); len(own) > 0 {
		h.accounts[c.actor.Account] = own
	} else {
		delete(h.accounts, c.actor.Account)
	}
	h.s.metrics.sockets.Set(float64(len(h.clients)))
	if len(h.clients) == 0 && h.empty != nil {
		close(h.empty)
		h.empty = nil
	}
	p := h.people[c.actor.Person]
	if p == nil {
		return
	}
	delete(p.clients, c)
	if len(p.clients) == 0 && p.ready {
		h.dropLocked(p)
	}
}

func (h *hub) dropLocked(p *person) {
	if h.people[p.id] == p {
		delete(h.people, p.id)
	}
	for _, st := range p.convs {
		h.detachLocked(p, st)
	}
}

func (h *hub) attachLocked(p *person, st *stream) {
	st.local[p] = struct{}{}
	p.convs[st.key] = st
}

func (h *hub) detachLocked(p *person, st *stream) {
	delete(st.local, p)
	delete(p.convs, st.key)
	if len(st.local) == 0 {
		st.emptySince = h.s.now()
	}
}

func (h *hub) clientsOf(account identity.AccountID) []*client {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.accounts[account])
}

func (h *hub) allClients() []*client {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*client, 0, len(h.clients))
	for c := range h.clients {
		all = append(all, c)
	}
	return all
}

func (h *hub) awaitEmpty(ctx context.Context) {
	h.mu.Lock()
	if len(h.clients) == 0 {
		h.mu.Unlock()
		return
	}
	if h.empty == nil {
		h.empty = make(chan struct{})
	}
	empty := h.empty
	h.mu.Unlock()
	select {
	case <-empty:
	case <-ctx.Done():
	}
}

// offerLocked takes an event in whatever order it comes: the next one is
// delivered, an old one dropped, and a gap makes a worker read SQL.
func (h *hub) offerLocked(st *stream, e entry) {
	switch {
	case e.head.Seq <= st.head.Seq:
	case e.head.Seq == st.head.Seq+1:
		h.deliverLocked(st, e)
	default:
		h.behindLocked(st, e.head.Seq)
	}
}

// behindLocked notes that SQL holds events of st up to seq.
func (h *hub) behindLocked(st *stream, seq int64) {
	st.wanted = max(st.wanted, seq)
	if st.catching || st.wanted <= st.head.Seq {
		return
	}
	st.catching = true
	h.behind = append(h.behind, st)
	h.nudge()
}

func (h *hub) nudge() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func (h *hub) deliverLocked(st *stream, e entry) {
	st.head = e.head
	st.ring = append(st.ring, e)
	if len(st.ring) > 2*h.s.cfg.Memory { // moved seldom, not at each event
		st.ring = append([]entry(nil), st.ring[len(st.ring)-h.s.cfg.Memory:]...)
	}
	if st.person != nil {
		if e.opened != "" {
			h.arriveLocked(st.person, e.opened)
		}
		h.pushLocked(st.person, wsconn.Message{Data: e.data, Key: keyPerson})
		return
	}
	// Who joins sees the event, who leaves does not.
	for _, id := range e.joined {
		if p := h.people[id]; p != nil && p.ready {
			h.attachLocked(p, st)
		}
	}
	for _, id := range e.left {
		if p := h.people[id]; p != nil && p.ready {
			h.detachLocked(p, st)
		}
	}
	if len(e.joined)+len(e.left) > 0 {
		st.memberSeq = e.head.Seq
	}
	m := wsconn.Message{Data: e.data, Key: st.key}
	for p := range st.local {
		h.pushLocked(p, m)
		h.countLocked(p, st.head)
	}
}

func (h *hub) pushLocked(p *person, m wsconn.Message) {
	for c := range p.clients {
		switch {
		case !c.welcomed:
		case m.Key != keyLoose && c.locked.Load():
			c.withholdLocked(m.Key)
		default:
			c.push(m)
			h.s.metrics.delivered.Inc()
		}
	}
}

// countLocked tells the sockets of p whose session is locked how many messages
// a conversation has now, which is all that they learn of an event.
func (h *hub) countLocked(p *person, hd head) {
	for c := range p.clients {
		if c.welcomed && c.locked.Load() {
			c.tell(headMsg{Type: "head", head: hd})
		}
	}
}

// arriveLocked has a worker attach p to a conversation, unless it is.
func (h *hub) arriveLocked(p *person, conversation string) {
	if p.convs[conversation] != nil {
		return
	}
	h.arrivals = append(h.arrivals, arrival{person: p.id, conversation: conversation})
	h.nudge()
}

// recent returns events after seq from memory, when all of them are there and
// the person is a member.
func (h *hub) recent(id identity.PersonID, conversation string, after int64, limit int) (_ []json.RawMessage, headSeq int64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	st := h.logLocked(id, conversation)
	if st == nil || after > st.head.Seq || (after < st.head.Seq && (len(st.ring) == 0 || st.ring[0].head.Seq > after+1)) {
		return nil, 0, false
	}
	events := []json.RawMessage{}
	size := 0
	if after < st.head.Seq {
		for _, e := range st.ring[after+1-st.ring[0].head.Seq:] {
			if len(events) >= limit || (len(events) > 0 && size+len(e.data) > maxPullBytes) {
				break
			}
			events = append(events, e.data)
			size += len(e.data)
		}
	}
	return events, st.head.Seq, true
}

// logLocked returns the stream of a conversation that the person is attached
// to, or with "" that of the person's own log; nil: none here.
func (h *hub) logLocked(id identity.PersonID, conversation string) *stream {
	p := h.people[id]
	switch {
	case p == nil || !p.ready:
		return nil
	case conversation == "":
		return p.log
	}
	return p.convs[conversation]
}

// pushed returns how much of a log has been pushed to the person.
func (h *hub) pushed(id identity.PersonID, conversation string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if st := h.logLocked(id, conversation); st != nil {
		return st.head.Seq
	}
	return 0
}

// sendPage queues a page that names hd as the head, unless more has been pushed
// meanwhile; then it returns that.
func (h *hub) sendPage(c *client, conversation string, hd int64, m wsconn.Message) (pushed int64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if st := h.logLocked(c.actor.Person, conversation); st != nil && st.head.Seq > hd {
		return st.head.Seq, nil
	}
	return hd, c.conn.Send(m)
}

// attached tells whether the person is attached to the conversation on this node.
func (h *hub) attached(id identity.PersonID, conversation string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.logLocked(id, conversation) != nil
}
