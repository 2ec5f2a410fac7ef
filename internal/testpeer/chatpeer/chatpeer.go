// Package chatpeer is a client of the chat protocol as docs/protocols/chat.md
// describes it, for tests: it reconnects, resumes from its cursors, pulls gaps
// and sends again what was not acknowledged, for as long as its Run lives.
//
// It knows the wire alone and no package of the server.
package chatpeer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
)

// Close codes after which a client must not come back by itself.
const (
	CodeSessionEnded = 4501
	codeClientFault  = 4400 // to 4499
)

// Config says where to connect, and as whom.
type Config struct {
	// URL is asked before each connection, so that a test may move the peer to
	// another node: ws://host:port/api/v1/chat/socket.
	URL    func() string
	Header http.Header // the session cookie
	// MaxBackoff bounds the pause between attempts; 0: 200 ms.
	MaxBackoff time.Duration
	// Resume is what the client kept from before, without gaps from seq 1.
	Resume map[string][]Event
	// ReadPause, when set, is called before each frame is read: a slow reader.
	ReadPause func()
}

// Event is an entry of a conversation's log.
type Event struct {
	Type         string          `json:"type"`
	Conversation string          `json:"conversation"`
	Seq          int64           `json:"seq"`
	EventID      string          `json:"event_id"`
	Kind         string          `json:"kind"`
	Sender       string          `json:"sender"`
	SenderName   string          `json:"sender_name"`
	ClientID     string          `json:"client_id"`
	Body         json.RawMessage `json:"body"`
	Count        int64           `json:"count"`
	At           time.Time       `json:"at"`
}

// Text returns the text of a message, "" for other kinds.
func (e Event) Text() string {
	var body struct{ Text string }
	if e.Kind != "message" || json.Unmarshal(e.Body, &body) != nil {
		return ""
	}
	return body.Text
}

// PersonEvent is an entry of the person's own log.
type PersonEvent struct {
	Seq     int64           `json:"seq"`
	EventID string          `json:"event_id"`
	Kind    string          `json:"kind"`
	Body    json.RawMessage `json:"body"`
}

// Ack is the server's word that a message is durable.
type Ack struct {
	Conversation string `json:"conversation"`
	ClientID     string `json:"client_id"`
	Seq          int64  `json:"seq"`
	EventID      string `json:"event_id"`
}

// Frame is any message of the server: the union of what the peer reads.
type Frame struct {
	Type          string            `json:"type"`
	ID            int64             `json:"id"`
	Code          string            `json:"code"`
	Detail        string            `json:"detail"`
	Conversation  string            `json:"conversation"`
	Conversations []string          `json:"conversations"`
	Person        json.RawMessage   `json:"person"`
	UserSeq       int64             `json:"user_seq"`
	UserReload    bool              `json:"user_reload"`
	Heads         []Event           `json:"heads"`
	Reload        []string          `json:"reload"`
	Gone          []string          `json:"gone"`
	Events        []json.RawMessage `json:"events"`
	Head          int64             `json:"head"`
	Kind          string            `json:"kind"`
	Body          json.RawMessage   `json:"body"`
	Seq           int64             `json:"seq"`
	AfterMS       int64             `json:"after_ms"`
	RetryAfterMS  int64             `json:"retry_after_ms"`
	Raw           []byte            `json:"-"`
}

type pending struct {
	conversation, clientID, text string
	done                         chan result
}

type result struct {
	ack Ack
	err error
}

// Refused is an error message of the server: retrying is no use.
type Refused struct{ Code, Detail string }

// Error returns code and words.
func (r *Refused) Error() string { return "chatpeer: refused: " + r.Code + ": " + r.Detail }

// Peer is one client. Its methods may be called from many goroutines.
type Peer struct {
	cfg Config // set at construction

	mu        sync.Mutex
	changed   chan struct{}          // guarded by mu; closed and replaced at each change
	ws        *websocket.Conn        // guarded by mu; nil while away
	welcomed  bool                   // guarded by mu
	nextID    int64                  // guarded by mu
	logs      map[string][]Event     // guarded by mu; without gaps, from seq 1
	behind    map[string]bool        // guarded by mu; a pull is under way
	person    []PersonEvent          // guarded by mu; without gaps, from seq 1
	waiting   []*pending             // guarded by mu; in the order they were sent
	byID      map[int64]func(*Frame) // guarded by mu; what to do with an answer
	other     []Frame                // guarded by mu; typing, hints, lagging, reload, head …
	connects  int                    // guarded by mu
	ended     *websocket.CloseError  // guarded by mu; the last close frame
	violation error                  // guarded by mu; the first breach of the protocol by the server
}

// New returns a peer; Run connects it.
func New(cfg Config) *Peer {
	if cfg.MaxBackoff == 0 {
		cfg.MaxBackoff = 200 * time.Millisecond
	}
	p := &Peer{cfg: cfg, changed: make(chan struct{}), logs: map[string][]Event{}, behind: map[string]bool{},
		byID: map[int64]func(*Frame){}}
	for conv, log := range cfg.Resume {
		p.logs[conv] = slices.Clone(log)
	}
	return p
}

func (p *Peer) notifyLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Run stays connected until ctx ends, the session ends, or the server finds
// the client at fault; the error says which.
func (p *Peer) Run(ctx context.Context) error {
	for attempt := 0; ; attempt++ {
		start := time.Now()
		err := p.once(ctx)
		var ce *websocket.CloseError
		if errors.As(err, &ce) {
			p.mu.Lock()
			p.ended = ce
			p.notifyLocked()
			p.mu.Unlock()
			if ce.Code == CodeSessionEnded || (ce.Code >= codeClientFault && ce.Code < codeClientFault+100) {
				return ce
			}
		}
		if time.Since(start) > time.Second {
			attempt = 0
		}
		backoff := min(p.cfg.MaxBackoff, 10*time.Millisecond<<min(attempt, 10))
		timer := time.NewTimer(rand.N(backoff)) // full jitter
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

func (p *Peer) once(ctx context.Context) error {
	dialer := websocket.Dialer{HandshakeTimeout: 10 * time.Second}
	ws, resp, err := dialer.DialContext(ctx, p.cfg.URL(), p.cfg.Header)
	if resp != nil {
		_ = resp.Body.Close()
	}
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = ws.Close() })
	defer stop()
	defer func() { _ = ws.Close() }()
	p.mu.Lock()
	p.ws, p.welcomed, p.byID, p.behind = ws, false, map[int64]func(*Frame){}, map[string]bool{}
	p.connects++
	p.helloLocked()
	p.notifyLocked()
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.ws, p.welcomed = nil, false
		p.notifyLocked()
		p.mu.Unlock()
	}()
	for {
		if p.cfg.ReadPause != nil {
			p.cfg.ReadPause()
		}
		_, data, err := ws.ReadMessage()
		if err != nil {
			return err
		}
		for line := range bytes.SplitSeq(data, []byte{'\n'}) {
			var f Frame
			if err := json.Unmarshal(line, &f); err != nil {
				return p.breach("unreadable message %q: %v", line, err)
			}
			f.Raw = line
			p.mu.Lock()
			p.takeLocked(&f)
			p.notifyLocked()
			p.mu.Unlock()
		}
	}
}

func (p *Peer) breach(format string, args ...any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.breachLocked(format, args...)
}

func (p *Peer) breachLocked(format string, args ...any) error {
	err := fmt.Errorf("chatpeer: "+format, args...)
	if p.violation == nil {
		p.violation = err
	}
	return err
}

func (p *Peer) helloLocked() {
	cursors := map[string]any{}
	for conv, log := range p.logs {
		c := map[string]any{"seq": len(log), "event_id": ""}
		if len(log) > 0 {
			c["event_id"] = log[len(log)-1].EventID
		}
		cursors[conv] = c
	}
	hello := map[string]any{"type": "hello", "protocol": 1, "cursors": cursors, "user_seq": len(p.person)}
	if n := len(p.person); n > 0 {
		hello["user_event_id"] = p.person[n-1].EventID
	}
	p.askLocked(hello, p.welcomeLocked)
}

// askLocked sends a command and leaves its answer to fn. A write that fails
// shows in the reader.
func (p *Peer) askLocked(cmd map[string]any, fn func(*Frame)) {
	p.nextID++
	cmd["id"] = p.nextID
	p.byID[p.nextID] = fn
	p.writeLocked(cmd)
}

func (p *Peer) writeLocked(v any) {
	if p.ws == nil {
		return
	}
	_ = p.ws.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_ = p.ws.WriteJSON(v)
}

func (p *Peer) welcomeLocked(f *Frame) {
	if f.Type != "welcome" {
		_ = p.breachLocked("hello answered with %s %s", f.Type, f.Code)
		return
	}
	p.welcomed = true
	for _, conv := range f.Gone {
		delete(p.logs, conv)
	}
	for _, conv := range f.Reload {
		p.logs[conv] = nil
	}
	if f.UserReload {
		p.person = nil
	}
	for _, h := range f.Heads {
		p.reachLocked(h.Conversation, h.Seq)
	}
	if f.UserSeq > int64(len(p.person)) {
		p.pullPersonLocked()
	}
	for _, w := range p.waiting {
		p.sendLocked(w)
	}
}

func (p *Peer) takeLocked(f *Frame) {
	if fn := p.byID[f.ID]; f.ID != 0 && fn != nil {
		delete(p.byID, f.ID)
		fn(f)
		return
	}
	switch f.Type {
	case "event":
		p.eventLocked(f.Raw)
	case "person_event":
		p.personEventLocked(f.Raw)
	case "head":
		p.reachLocked(f.Conversation, f.Seq)
	case "lagging":
		for _, conv := range f.Conversations {
			p.pullLocked(conv)
		}
		if string(f.Person) == "true" {
			p.pullPersonLocked()
		}
		p.other = append(p.other, *f)
	case "reload":
		p.logs[f.Conversation] = nil
		p.pullLocked(f.Conversation)
		p.other = append(p.other, *f)
	default:
		p.other = append(p.other, *f)
	}
}

// reachLocked pulls when the log ends before seq.
func (p *Peer) reachLocked(conv string, seq int64) {
	if _, ok := p.logs[conv]; !ok {
		p.logs[conv] = nil
	}
	if int64(len(p.logs[conv])) < seq {
		p.pullLocked(conv)
	}
}

func (p *Peer) pullLocked(conv string) {
	if p.behind[conv] {
		return
	}
	p.behind[conv] = true
	p.askLocked(map[string]any{"type": "pull", "conversation": conv, "after": len(p.logs[conv]), "limit": 200}, func(f *Frame) {
		delete(p.behind, conv)
		if f.Type != "events" {
			return // no longer a member
		}
		for _, raw := range f.Events {
			p.eventLocked(raw)
		}
		p.reachLocked(conv, f.Head)
	})
}

func (p *Peer) eventLocked(raw []byte) {
	var e Event
	if err := json.Unmarshal(raw, &e); err != nil {
		_ = p.breachLocked("unreadable event: %v", err)
		return
	}
	log := p.logs[e.Conversation]
	switch last := int64(len(log)); {
	case e.Seq <= last:
		if log[e.Seq-1].EventID != e.EventID {
			_ = p.breachLocked("event %d of %s has two ids", e.Seq, e.Conversation)
		}
	case e.Seq == last+1:
		p.logs[e.Conversation] = append(log, e)
	default:
		p.reachLocked(e.Conversation, e.Seq)
	}
}

func (p *Peer) pullPersonLocked() {
	if p.behind[""] {
		return
	}
	p.behind[""] = true
	p.askLocked(map[string]any{"type": "pull_person", "after": len(p.person)}, func(f *Frame) {
		delete(p.behind, "")
		for _, raw := range f.Events {
			p.personEventLocked(raw)
		}
		if f.Head > int64(len(p.person)) && len(f.Events) > 0 {
			p.pullPersonLocked()
		}
	})
}

func (p *Peer) personEventLocked(raw []byte) {
	var e PersonEvent
	if err := json.Unmarshal(raw, &e); err != nil {
		_ = p.breachLocked("unreadable person event: %v", err)
		return
	}
	switch last := int64(len(p.person)); {
	case e.Seq <= last:
	case e.Seq == last+1:
		p.person = append(p.person, e)
		if e.Kind == "conversation.joined" {
			var body struct{ Conversation string }
			if json.Unmarshal(e.Body, &body) == nil {
				p.reachLocked(body.Conversation, 1)
			}
		}
	default:
		p.pullPersonLocked()
	}
}

// Send sends a message and waits until it is durable, over as many connections
// as that takes.
func (p *Peer) Send(ctx context.Context, conversation, text string) (Ack, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Ack{}, err
	}
	return p.SendAs(ctx, conversation, id.String(), text)
}

// SendAs is Send with the client id in the caller's hand.
func (p *Peer) SendAs(ctx context.Context, conversation, clientID, text string) (Ack, error) {
	w := &pending{conversation: conversation, clientID: clientID, text: text, done: make(chan result, 1)}
	p.mu.Lock()
	p.waiting = append(p.waiting, w)
	if p.welcomed {
		p.sendLocked(w)
	}
	p.mu.Unlock()
	select {
	case r := <-w.done:
		return r.ack, r.err
	case <-ctx.Done():
		return Ack{}, fmt.Errorf("chatpeer: not acknowledged: %w", ctx.Err())
	}
}

func (p *Peer) sendLocked(w *pending) {
	p.askLocked(map[string]any{"type": "send", "conversation": w.conversation, "client_id": w.clientID,
		"body": map[string]string{"text": w.text}}, func(f *Frame) {
		r := result{}
		switch {
		case f.Type == "ack":
			if err := json.Unmarshal(f.Raw, &r.ack); err != nil {
				r.err = err
			}
		case f.Code == "unavailable" || f.Code == "internal" || f.Code == "rate_limited":
			// Nothing is known about the message: the same client id again.
			time.AfterFunc(time.Duration(max(50, f.RetryAfterMS))*time.Millisecond, func() {
				p.mu.Lock()
				defer p.mu.Unlock()
				if p.welcomed && slices.Contains(p.waiting, w) {
					p.sendLocked(w)
				}
			})
			return
		default:
			r.err = &Refused{Code: f.Code, Detail: f.Detail}
		}
		if i := slices.Index(p.waiting, w); i >= 0 {
			p.waiting = slices.Delete(p.waiting, i, i+1)
			w.done <- r
		}
	})
}

// Ask sends any command and returns its answer from the same connection.
func (p *Peer) Ask(ctx context.Context, cmd map[string]any) (Frame, error) {
	if err := p.Until(ctx, func() bool { return p.welcomed }); err != nil {
		return Frame{}, err
	}
	answer := make(chan Frame, 1)
	p.mu.Lock()
	p.askLocked(cmd, func(f *Frame) { answer <- *f })
	p.mu.Unlock()
	select {
	case f := <-answer:
		return f, nil
	case <-ctx.Done():
		return Frame{}, ctx.Err()
	}
}

// Tell sends a command without waiting for an answer.
func (p *Peer) Tell(cmd map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writeLocked(cmd)
}

// Until waits until cond, called with the peer's lock held, is true.
func (p *Peer) Until(ctx context.Context, cond func() bool) error {
	for {
		p.mu.Lock()
		ok, changed := cond(), p.changed
		p.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Ready waits for a welcome.
func (p *Peer) Ready(ctx context.Context) error {
	return p.Until(ctx, func() bool { return p.welcomed })
}

// Reached waits until the log of a conversation has seq.
func (p *Peer) Reached(ctx context.Context, conversation string, seq int64) error {
	return p.Until(ctx, func() bool { return int64(len(p.logs[conversation])) >= seq })
}

// PersonReached waits until the person's log has an event of kind, and returns
// the newest one.
func (p *Peer) PersonReached(ctx context.Context, kind string) (PersonEvent, error) {
	return p.PersonWhere(ctx, func(e PersonEvent) bool { return e.Kind == kind })
}

// PersonWhere waits until the person's log has an event that match takes, and
// returns the newest one.
func (p *Peer) PersonWhere(ctx context.Context, match func(PersonEvent) bool) (PersonEvent, error) {
	var found PersonEvent
	err := p.Until(ctx, func() bool {
		for _, e := range p.person {
			if match(e) {
				found = e
			}
		}
		return found.Seq > 0
	})
	return found, err
}

// Saw waits until a message of the type has come that is neither an event nor
// an answer, and returns the first.
func (p *Peer) Saw(ctx context.Context, kind string) (Frame, error) {
	var found Frame
	err := p.Until(ctx, func() bool {
		i := slices.IndexFunc(p.other, func(f Frame) bool { return f.Type == kind })
		if i >= 0 {
			found = p.other[i]
		}
		return i >= 0
	})
	return found, err
}

// Log returns a copy of what the peer has of a conversation, from seq 1.
func (p *Peer) Log(conversation string) []Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.logs[conversation])
}

// Has tells whether the peer has a log of the conversation.
func (p *Peer) Has(conversation string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.logs[conversation]
	return ok
}

// Connects counts the connections so far.
func (p *Peer) Connects() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.connects
}

// Ended returns the last close frame; nil: none yet.
func (p *Peer) Ended() *websocket.CloseError {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// Closed waits for a close frame.
func (p *Peer) Closed(ctx context.Context) (*websocket.CloseError, error) {
	err := p.Until(ctx, func() bool { return p.ended != nil })
	return p.Ended(), err
}

// Violation returns the first breach of the protocol by the server.
func (p *Peer) Violation() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.violation
}

// Break cuts the connection as a lost network does.
func (p *Peer) Break() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ws != nil {
		_ = p.ws.UnderlyingConn().Close()
	}
}
