package chat

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/wsconn"
)

// Keys of queued messages; a conversation's events have its id.
const (
	keyPerson = "person"    // events of the person's log
	keyLoose  = "ephemeral" // typing and hints: nobody pulls them again
)

const maxPullBytes = 128 << 10 // of the events in one answer

// client is one socket. Its commands are worked off by a goroutine that exists
// only while there are some, so an idle socket costs its reader alone.
type client struct {
	// set at construction
	s          *Service
	conn       *wsconn.Conn
	actor      identity.Actor
	helloTimer *time.Timer
	expiry     *time.Timer // ends the socket with its session; nil: never

	// owned by the worker
	saidHello  bool
	limit      bucket
	typedAt    time.Time
	typedWhere string
	workedAt   time.Time // when it was last said that somebody works in the session

	// guarded by hub.mu
	welcomed bool                // attached: pushes go out
	looking  string              // conversation on its screen
	held     map[string]struct{} // logs of which something was withheld while locked

	locked    atomic.Bool // the session is locked; written with lockMu held
	lockMu    sync.Mutex
	lockTimer *time.Timer // guarded by lockMu
	lockEnded bool        // guarded by lockMu: the socket is ending, nobody looks any more

	closing atomic.Bool    // close was called: commands that wait are not run
	worker  sync.WaitGroup // serve waits for it

	mu      sync.Mutex
	waiting []command // guarded by mu; the first one is under way while working
	bytes   int       // guarded by mu; of waiting
	working bool      // guarded by mu
}

// serve runs a socket until it ends.
func (s *Service) serve(ctx context.Context, conn *wsconn.Conn, actor identity.Actor, still func() error) {
	c := &client{s: s, conn: conn, actor: actor, limit: bucket{rate: s.cfg.SendRate, burst: float64(s.cfg.SendBurst)}}
	c.helloTimer = time.AfterFunc(s.cfg.HelloWithin, func() { c.close(reasonHelloTimeout) })
	if !actor.Until.IsZero() {
		c.expiry = time.AfterFunc(actor.Until.Sub(s.now()), c.endSession)
		defer c.expiry.Stop()
	}
	c.watchLock(ctx)
	defer c.stopLock()
	s.hub.add(c)
	// A revocation or a drain between the upgrade's checks and add has not
	// found this socket.
	switch err := still(); errcode.Of(err) {
	case errcode.Unauthenticated, errcode.Forbidden:
		c.endSession()
	default:
		if err != nil {
			c.close(reasonUnavailable) // nobody can tell at the moment
		}
	}
	s.mu.Lock()
	draining := s.draining
	s.mu.Unlock()
	if draining {
		c.drain(s.drainWithin(1))
	}

	err := conn.Run(ctx, c.take)
	c.helloTimer.Stop()
	c.worker.Wait() // before remove, or a hello under way would enter the hub again
	s.hub.remove(c)
	code := "broken"
	var cl *wsconn.Closed
	switch {
	case errors.As(err, &cl) && cl.Remote:
		code = "client" // whose code may be any number
	case errors.As(err, &cl):
		code = strconv.Itoa(cl.Code)
	case ctx.Err() != nil:
		code = strconv.Itoa(wsconn.CodeGoingAway)
	}
	s.metrics.closed.WithLabelValues(code).Inc()
	s.log.Debug("chat socket ended", "person", actor.Person, "err", err)
}

// take decodes a frame on the read loop and leaves its commands to the worker.
func (c *client) take(ctx context.Context, m wsconn.Message) error {
	if bytes.Count(m.Data, []byte{'\n'}) > c.s.cfg.MaxCommands {
		return reasonTooFast // decoded, they would be many times as long
	}
	cmds, bad := decodeFrame(m)
	if bad != nil {
		return bad
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting)+len(cmds) > c.s.cfg.MaxCommands || c.bytes+len(m.Data) > c.s.cfg.MaxCommandBytes {
		return reasonTooFast
	}
	c.waiting = append(c.waiting, cmds...)
	for _, cmd := range cmds {
		c.bytes += cmd.size
	}
	if !c.working {
		c.working = true
		c.worker.Go(func() { c.work(ctx) })
	}
	return nil
}

func (c *client) work(ctx context.Context) {
	for {
		c.mu.Lock()
		if len(c.waiting) == 0 {
			c.waiting, c.working = nil, false
			c.mu.Unlock()
			return
		}
		cmd := c.waiting[0]
		c.mu.Unlock()
		if ctx.Err() != nil || c.closing.Load() {
			return // working stays true: nothing more is run
		}
		if reason := c.do(ctx, cmd); reason != nil {
			c.close(reason)
			return
		}
		c.mu.Lock()
		c.waiting[0] = command{} // the array lives on
		c.waiting = c.waiting[1:]
		c.bytes -= cmd.size
		c.mu.Unlock()
	}
}

// do runs one command. Each verb has a file of its name.
func (c *client) do(ctx context.Context, cmd command) *wsconn.Closed {
	if cmd.Type == "hello" {
		return c.hello(ctx, cmd)
	}
	if !c.saidHello {
		return reasonHelloFirst
	}
	if c.refuses(ctx, cmd) {
		return nil
	}
	if cmd.Type == "send" || cmd.Type == "typing" {
		c.noteWork(ctx)
	}
	switch cmd.Type {
	case "send":
		c.send(ctx, cmd)
	case "pull":
		c.pull(ctx, cmd)
	case "pull_person":
		c.pullPerson(ctx, cmd)
	case "read":
		c.read(ctx, cmd)
	case "typing":
		c.typing(cmd)
	case "look":
		c.look(cmd)
	case "ping":
		c.reply(ctx, okMsg{Type: "pong", ID: cmd.ID})
	}
	return nil
}

// push queues a message that the client can do without: when the queue is
// full, all such messages are dropped and the client is told to pull.
func (c *client) push(m wsconn.Message) {
	if m.Key == keyLoose && c.conn.Queued() > c.s.cfg.Socket.QueueBytes/2 {
		return
	}
	if !errors.Is(c.conn.Send(m), wsconn.ErrQueueFull) {
		return // queued, or the socket is ending
	}
	c.shed(m.Key)
}

// shed empties the queue of pushes and says whose.
func (c *client) shed(also string) {
	c.s.metrics.lagging.Inc()
	lag := laggingMsg{Type: "lagging", Conversations: []string{}}
	seen := false
	for _, key := range append(c.conn.Shed(), also) {
		switch {
		case key == keyPerson:
			lag.Person = true
		case key == keyLoose, key == "":
		case key == also && seen:
		default:
			seen = seen || key == also
			lag.Conversations = append(lag.Conversations, key)
		}
	}
	if !lag.Person && len(lag.Conversations) == 0 {
		return // nothing that anybody would miss
	}
	data, err := encode(lag)
	if err == nil && !errors.Is(c.conn.Send(wsconn.Message{Data: data}), wsconn.ErrQueueFull) {
		return
	}
	c.close(reasonTooSlow)
}

// sendData queues a message that is never shed and does not wait; a client that
// leaves no room even for those is closed.
func (c *client) sendData(data []byte) {
	if !errors.Is(c.conn.Send(wsconn.Message{Data: data}), wsconn.ErrQueueFull) {
		return
	}
	c.shed("")
	if errors.Is(c.conn.Send(wsconn.Message{Data: data}), wsconn.ErrQueueFull) {
		c.close(reasonTooSlow)
	}
}

// reply answers a command from the worker. It waits for room in the queue: who
// asks faster than they read waits for the answers, and is not cut off.
func (c *client) reply(ctx context.Context, v any) {
	data, err := encode(v)
	if err != nil {
		c.s.log.Error("chat message not sent", "err", err)
		return
	}
	_ = c.conn.SendWait(ctx, wsconn.Message{Data: data}) // fails only with the socket
}

// tell is reply for others than the worker, who may not wait.
func (c *client) tell(v any) {
	data, err := encode(v)
	if err != nil {
		c.s.log.Error("chat message not sent", "err", err)
		return
	}
	c.sendData(data)
}

// failure is the error message for a command.
func (c *client) failure(id int64, err error) errorMsg {
	code, detail := errcode.Of(err), errcode.Message(err)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		code, detail = errcode.Unavailable, "the server did not get to it; try again in a moment"
	case code == errcode.Internal:
		c.s.log.Error("chat command failed", "person", c.actor.Person, "err", err)
	}
	return errorMsg{Type: "error", ID: id, Code: errorCodes[code], Detail: detail}
}

func (c *client) close(why *wsconn.Closed) {
	c.closing.Store(true)
	c.conn.Close(why.Code, why.Reason)
}

// endSession closes the socket because its session has ended: what waits for a
// slow reader is not shown any more.
func (c *client) endSession() {
	c.closing.Store(true)
	c.conn.Shed()
	c.close(reasonSessionEnded)
}

// drain tells the client when to come back, and closes.
func (c *client) drain(within time.Duration) {
	c.tell(reconnectMsg{Type: "reconnect_after", AfterMS: rand.N(within).Milliseconds()})
	c.close(reasonDraining)
}

// jitter returns d ±50 %, so that nodes do not ask all at once.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }
