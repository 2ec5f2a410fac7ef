package chat

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/fold"
	"commsd/internal/sqldb"
)

const (
	senderShards = 4   // conversations are spread over them, so that one stays in order
	maxGroup     = 256 // sends in one transaction
	storeWithin  = 30 * time.Second
)

// sendRequest is one message on its way into the log.
type sendRequest struct {
	conversation string
	clientID     string
	sender       identity.PersonID
	senderName   string
	text         string
	done         func(ackMsg, error) // called once, by the sender's goroutine; must not block
}

// sender groups the sends that wait into one transaction. One goroutine a
// shard, so two messages of one client keep their order.
type sender struct {
	s    *Service
	wake chan struct{}

	mu      sync.Mutex
	waiting []sendRequest // guarded by mu
	ended   bool          // guarded by mu
}

func newSender(s *Service) *sender { return &sender{s: s, wake: make(chan struct{}, 1)} }

// submit hands r to the shard of its conversation and never blocks.
func (s *Service) submit(r sendRequest) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(r.conversation)) // a hash does not fail
	sd := s.senders[h.Sum32()%senderShards]
	sd.mu.Lock()
	ended := sd.ended
	if !ended {
		sd.waiting = append(sd.waiting, r)
	}
	sd.mu.Unlock()
	if ended {
		r.done(ackMsg{}, errcode.New(errcode.Unavailable, "the server is stopping; the message is sent again after reconnecting"))
		return
	}
	select {
	case sd.wake <- struct{}{}:
	default:
	}
}

// run stores groups until ctx ends; what waits then is still stored.
func (sd *sender) run(ctx context.Context) {
	for {
		select {
		case <-sd.wake:
		case <-ctx.Done():
			sd.mu.Lock()
			sd.ended = true
			sd.mu.Unlock()
		}
		for {
			group := sd.take()
			if len(group) == 0 {
				break
			}
			sd.s.store(context.WithoutCancel(ctx), group)
		}
		if ctx.Err() != nil {
			return
		}
	}
}

func (sd *sender) take() []sendRequest {
	sd.mu.Lock()
	defer sd.mu.Unlock()
	n := min(len(sd.waiting), maxGroup)
	group := sd.waiting[:n:n]
	sd.waiting = sd.waiting[n:]
	if len(sd.waiting) == 0 {
		sd.waiting = nil
	}
	return group
}

// result is what became of one request in a transaction.
type result struct {
	ack      ackMsg
	repeated bool
	err      error
}

// store writes a group in one transaction and answers each request.
func (s *Service) store(ctx context.Context, group []sendRequest) {
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	// Stable: messages of one conversation keep the order they came in.
	slices.SortStableFunc(group, func(a, b sendRequest) int { return strings.Compare(a.conversation, b.conversation) })
	var results []result
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		results = make([]result, len(group)) // from the start: PostgreSQL may run this again
		var events []ConversationEvent
		for from := 0; from < len(group); {
			to := from + 1
			for to < len(group) && group[to].conversation == group[from].conversation {
				to++
			}
			some, err := s.storeConversation(ctx, tx, group[from:to], results[from:to])
			if err != nil {
				return err
			}
			events = append(events, some...)
			from = to
		}
		tx.AfterCommit(func() { s.hub.announce(events) })
		return nil
	})
	s.metrics.group.Observe(float64(len(group)))
	if err != nil {
		s.hub.askCheck() // it may have been committed all the same
		if code := errcode.Of(err); len(group) > 1 && code != errcode.Unavailable && ctx.Err() == nil {
			// One message may have spoilt it for the rest.
			for i := range group {
				s.store(context.WithoutCancel(ctx), group[i:i+1])
			}
			return
		}
	}
	if err != nil && errcode.Of(err) == errcode.Internal {
		s.log.Error("messages could not be stored", "messages", len(group), "err", err)
		// Whatever broke, the client keeps the message and tries again: should
		// it have been stored, its client id is found.
		err = errcode.Wrap(err, errcode.Unavailable, "the message could not be stored; it will be sent again")
	}
	for i, r := range group {
		res := result{err: err}
		if err == nil {
			res = results[i]
		}
		switch {
		case res.err != nil:
			s.metrics.sends.WithLabelValues(errorCodes[errcode.Of(res.err)]).Inc()
		case res.repeated:
			s.metrics.sends.WithLabelValues("repeated").Inc()
		default:
			s.metrics.sends.WithLabelValues("stored").Inc()
		}
		r.done(res.ack, res.err)
	}
}

// storeConversation stores the group's messages of one conversation. A refusal
// of one message stands in its result; an error loses the whole transaction.
func (s *Service) storeConversation(ctx context.Context, tx *sqldb.Tx, group []sendRequest, results []result) ([]ConversationEvent, error) {
	conv, err := lockConversation(ctx, tx, group[0].conversation)
	if errcode.Of(err) == errcode.NotFound {
		for i := range results {
			results[i].err = err
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	members := map[identity.PersonID]bool{}
	last := map[identity.PersonID]ConversationEvent{}
	var events []ConversationEvent
	for i, r := range group {
		// First, so that a retry is answered even after the sender has left.
		ack, found, err := findSent(ctx, tx, conv.id, r.sender, r.clientID)
		if err != nil {
			return nil, err
		}
		if found {
			results[i] = result{ack: ack, repeated: true}
			continue
		}
		isMember, known := members[r.sender]
		if !known {
			role, err := memberRole(ctx, tx, conv.id, r.sender)
			if err != nil {
				return nil, err
			}
			isMember = role != ""
			members[r.sender] = isMember
		}
		if !isMember {
			results[i].err = errNotMember()
			continue
		}
		e, err := conv.append(ctx, tx, draft{
			kind: kindMessage, sender: r.sender, senderName: r.senderName,
			clientID: r.clientID, body: messageBody{Text: r.text}, at: s.now(),
		})
		if err != nil {
			return nil, err
		}
		results[i].ack = ackMsg{Type: "ack", Conversation: conv.id, ClientID: r.clientID,
			Seq: e.Seq, EventID: e.EventID, Count: e.Count, At: e.At}
		events = append(events, e)
		last[r.sender] = e
	}
	if len(events) == 0 {
		return nil, nil
	}
	if err := conv.save(ctx, tx); err != nil {
		return nil, err
	}
	// In order of people, the locks of members are taken alike everywhere.
	for _, p := range slices.Sorted(maps.Keys(last)) {
		if err := conv.markReadBySender(ctx, tx, p, last[p]); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// send is the verb: check, then submit; the answer comes when the message is
// durable.
func (c *client) send(ctx context.Context, cmd command) {
	text, err := c.s.checkText(cmd.Body)
	if err != nil {
		c.reply(ctx, c.failure(cmd.ID, err))
		return
	}
	if wait := c.limit.take(c.s.now()); wait > 0 {
		c.reply(ctx, errorMsg{Type: "error", ID: cmd.ID, Code: errorCodes[errcode.RateLimited],
			Detail: "too many messages at once", RetryAfterMS: wait.Milliseconds() + 1})
		return
	}
	c.s.submit(sendRequest{
		conversation: cmd.Conversation, clientID: cmd.ClientID,
		sender: c.actor.Person, senderName: c.actor.Name, text: text,
		done: func(ack ackMsg, err error) {
			if err != nil {
				c.tell(c.failure(cmd.ID, err))
				_ = c.s.refused(context.WithoutCancel(ctx), c.actor, actionWrite, cmd.Conversation, err) // it was told
				return
			}
			ack.ID = cmd.ID
			c.tell(ack)
		},
	})
}

// checkText returns the text of a message that may be stored.
func (s *Service) checkText(raw json.RawMessage) (string, error) {
	var body messageBody
	if err := json.Unmarshal(raw, &body); err != nil {
		return "", errcode.New(errcode.Invalid, "body.text must be a text")
	}
	text := strings.ReplaceAll(body.Text, "\r\n", "\n")
	if fold.Blank(text) {
		return "", errcode.New(errcode.Invalid, "an empty message is not sent")
	}
	if len(text) > s.cfg.MaxText {
		return "", errcode.New(errcode.TooLarge, "the message is too long: at most %d bytes", s.cfg.MaxText)
	}
	for _, r := range text {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return "", errcode.New(errcode.Invalid, "the message holds a control character")
		}
	}
	return text, nil
}

// bucket is a token bucket; it belongs to its connection's worker.
type bucket struct {
	rate, burst, tokens float64
	last                time.Time
}

// take returns 0 when a token was taken, else how long to wait for one.
func (b *bucket) take(now time.Time) time.Duration {
	if b.last.IsZero() {
		b.tokens = b.burst
	} else if d := now.Sub(b.last); d > 0 {
		b.tokens = min(b.burst, b.tokens+d.Seconds()*b.rate)
	}
	b.last = now
	if b.tokens >= 1 {
		b.tokens--
		return 0
	}
	return time.Duration((1 - b.tokens) / b.rate * float64(time.Second))
}
