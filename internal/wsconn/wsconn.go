// Package wsconn drives one gorilla WebSocket connection: one reader, one
// writer that exists only while there is something to write, and a queue
// bounded in bytes, so that neither a slow peer nor ten thousand idle ones cost
// the server more than they should.
//
// It must not know what the messages say, nor who sent them. What to do about
// a full queue (shed, or close with a numbered reason) is its user's decision.
package wsconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Defaults of Config.
const (
	DefaultQueueBytes   = 512 << 10
	DefaultWriteTimeout = 10 * time.Second
	DefaultPingInterval = 25 * time.Second
	DefaultPongTimeout  = 20 * time.Second
	DefaultCloseTimeout = 2 * time.Second
	DefaultReadLimit    = 64 << 10
	DefaultFrameBytes   = 64 << 10
)

// Close codes of RFC 6455, section 7.4.1, that a user of the package needs.
const (
	CodeNormal    = websocket.CloseNormalClosure
	CodeGoingAway = websocket.CloseGoingAway
	CodeInternal  = websocket.CloseInternalServerErr
	CodeTooBig    = websocket.CloseMessageTooBig
)

var (
	// ErrQueueFull says that Send refused a message because the queue holds
	// Config.QueueBytes already. The connection lives on.
	ErrQueueFull = errors.New("wsconn: queue full")
	// ErrClosed says that Send refused a message because the connection is
	// closing or closed.
	ErrClosed = errors.New("wsconn: closed")
)

// Config bounds a connection. The zero value of each field means its default.
type Config struct {
	QueueBytes   int           // most bytes that wait for the writer
	WriteTimeout time.Duration // most time one frame may take; past it the connection breaks
	PingInterval time.Duration // a ping this often; negative: none, and no read deadline
	PongTimeout  time.Duration // silence allowed after a ping is due; any message counts as life
	CloseTimeout time.Duration // from Close to the end of the TCP connection, whatever the peer does
	ReadLimit    int64         // most bytes of one received message; past it the peer gets close code 1009
	Batch        int           // text messages joined by a newline in one frame, at most; 0 or 1: each its own
	FrameBytes   int           // a joined frame takes no further message past this size
}

func (c Config) withDefaults() Config {
	if c.QueueBytes == 0 {
		c.QueueBytes = DefaultQueueBytes
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = DefaultWriteTimeout
	}
	if c.PingInterval == 0 {
		c.PingInterval = DefaultPingInterval
	}
	if c.PongTimeout == 0 {
		c.PongTimeout = DefaultPongTimeout
	}
	if c.CloseTimeout == 0 {
		c.CloseTimeout = DefaultCloseTimeout
	}
	if c.ReadLimit == 0 {
		c.ReadLimit = DefaultReadLimit
	}
	if c.Batch < 1 {
		c.Batch = 1
	}
	if c.FrameBytes == 0 {
		c.FrameBytes = DefaultFrameBytes
	}
	return c
}

// Message is one WebSocket message. Its Data is shared, never copied and never
// written to: one encoding serves all its receivers.
type Message struct {
	Binary bool
	Data   []byte
	// Key says what the message belongs to, for Shed. Messages without a key
	// are never shed.
	Key string
}

// Closed is why an orderly connection ended.
type Closed struct {
	Code   int
	Reason string
	Remote bool // the peer closed
}

// Error names side, code and reason.
func (c *Closed) Error() string {
	side := "here"
	if c.Remote {
		side = "by the peer"
	}
	return fmt.Sprintf("wsconn: closed %s: %d %s", side, c.Code, c.Reason)
}

// Upgrader returns an upgrader with the small buffers that let thousands of
// connections idle cheaply: the write buffer is borrowed while a frame is
// written. originAllowed decides whether the request's Origin may connect.
func Upgrader(originAllowed func(*http.Request) bool) *websocket.Upgrader {
	return &websocket.Upgrader{
		HandshakeTimeout: 10 * time.Second,
		ReadBufferSize:   1024,
		WriteBufferSize:  4096,
		WriteBufferPool:  &sync.Pool{},
		CheckOrigin:      originAllowed,
	}
}

// Conn is one connection. Run must be called exactly once; Send, SendWait,
// AwaitRoom, Shed, Close and Queued may be called from any goroutine, before, during and after it.
type Conn struct {
	// Set at construction.
	ws  *websocket.Conn
	cfg Config

	writers sync.WaitGroup // the writer, while there is one; Run waits for it

	mu       sync.Mutex
	queue    []Message               // guarded by mu; queue[head:] waits
	head     int                     // guarded by mu
	bytes    int                     // guarded by mu; waiting or being written
	writing  bool                    // guarded by mu; a writer exists
	pingDue  bool                    // guarded by mu
	ended    bool                    // guarded by mu; Run has returned or is about to
	closing  *Closed                 // guarded by mu; set by the first Close
	broken   error                   // guarded by mu; what stopped the writer
	ping     *time.Timer             // guarded by mu; fires pingTick
	hard     *time.Timer             // guarded by mu; ends the TCP connection after Close
	room     chan struct{}           // guarded by mu; closed when the queue shrinks or ends; nil: nobody waits
	cancelRd context.CancelCauseFunc // guarded by mu; ends the context of handle
}

// New wraps ws. It starts nothing; Run does.
func New(ws *websocket.Conn, cfg Config) *Conn {
	c := &Conn{ws: ws, cfg: cfg.withDefaults()}
	ws.SetReadLimit(c.cfg.ReadLimit)
	return c
}

// Run reads until the connection ends and calls handle for each message, one
// at a time. It returns why the connection ended: a *Closed when either side
// closed it, handle's error when handle failed (the peer gets its code when it
// is a *Closed, else 1011), ctx's cause when ctx ended (the peer gets 1001),
// or what broke. When it returns, the writer has ended and the TCP connection
// is closed. The context given to handle ends with the connection.
func (c *Conn) Run(ctx context.Context, handle func(ctx context.Context, m Message) error) error {
	rctx, cancel := context.WithCancelCause(ctx)
	defer cancel(ErrClosed)
	c.mu.Lock()
	c.cancelRd = cancel
	if c.broken != nil {
		cancel(c.broken)
	}
	if c.cfg.PingInterval > 0 {
		c.ping = time.AfterFunc(c.cfg.PingInterval, c.pingTick)
	}
	c.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { c.Close(CodeGoingAway, "going away") })

	c.extendDeadline()
	c.ws.SetPongHandler(func(string) error { c.extendDeadline(); return nil })
	c.ws.SetPingHandler(func(data string) error {
		c.extendDeadline()
		// A pong that cannot be written says nothing the writer will not notice.
		_ = c.ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(c.cfg.WriteTimeout))
		return nil
	})
	c.ws.SetCloseHandler(func(int, string) error { return nil }) // finish echoes, after the queue

	readErr, handleErr := c.readLoop(rctx, handle)
	if handleErr != nil {
		var cl *Closed
		if errors.As(handleErr, &cl) {
			c.Close(cl.Code, cl.Reason)
		} else {
			c.Close(CodeInternal, "internal error")
		}
		readErr = c.awaitPeer()
	}
	stop()
	c.finish(readErr)
	return c.why(ctx, readErr, handleErr)
}

func (c *Conn) readLoop(ctx context.Context, handle func(context.Context, Message) error) (readErr, handleErr error) {
	for {
		kind, data, err := c.ws.ReadMessage()
		if err != nil {
			return err, nil
		}
		c.extendDeadline()
		if c.isClosing() {
			continue // only the peer's close frame is still of interest
		}
		if err := handle(ctx, Message{Binary: kind == websocket.BinaryMessage, Data: data}); err != nil {
			return nil, err
		}
	}
}

// awaitPeer reads until the peer has answered our close frame or the hard
// deadline has closed the connection.
func (c *Conn) awaitPeer() error {
	for {
		if _, _, err := c.ws.NextReader(); err != nil {
			return err
		}
	}
}

// finish ends the writer and the TCP connection.
func (c *Conn) finish(readErr error) {
	var peer *websocket.CloseError
	orderly := errors.As(readErr, &peer) && peer.Code != websocket.CloseAbnormalClosure
	c.mu.Lock()
	if orderly && c.closing == nil {
		// RFC 6455 section 5.5.1: a close frame is answered with one.
		c.closeLocked(&Closed{Code: echoCode(peer.Code), Remote: true})
	}
	if !orderly {
		c.dropQueueLocked() // nobody is there to read it
	}
	c.ended = true
	c.roomLocked()
	if c.ping != nil {
		c.ping.Stop()
	}
	c.mu.Unlock()
	if !orderly {
		c.linger(readErr)
		_ = c.ws.Close() // wakes a writer that is stuck
	}
	c.writers.Wait()
	c.mu.Lock()
	if c.hard != nil {
		c.hard.Stop()
	}
	c.mu.Unlock()
	_ = c.ws.Close() // a second close changes nothing
}

// linger lets the close frame that refuses an oversized or malformed message
// arrive: closing a socket with unread bytes resets it, and a reset overtakes
// what was sent.
func (c *Conn) linger(readErr error) {
	var ne net.Error
	if errors.As(readErr, &ne) {
		return // the network failed, not the message
	}
	conn := c.ws.UnderlyingConn()
	if cw, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = cw.CloseWrite() // a failure shows in the read below
	}
	_ = conn.SetReadDeadline(time.Now().Add(c.cfg.CloseTimeout))
	_, _ = io.Copy(io.Discard, io.LimitReader(conn, 16*c.cfg.ReadLimit))
}

func (c *Conn) dropQueueLocked() {
	for _, m := range c.queue[c.head:] {
		c.bytes -= len(m.Data)
	}
	c.queue, c.head = nil, 0
}

// echoCode turns the codes that must not appear on the wire into one that may.
func echoCode(code int) int {
	if code == websocket.CloseNoStatusReceived || code == websocket.CloseTLSHandshake {
		return CodeNormal
	}
	return code
}

func (c *Conn) why(ctx context.Context, readErr, handleErr error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var peer *websocket.CloseError
	switch {
	case handleErr != nil:
		return handleErr
	case ctx.Err() != nil && c.closing != nil && c.closing.Code == CodeGoingAway:
		return context.Cause(ctx)
	case c.closing != nil && !c.closing.Remote:
		return c.closing
	case errors.Is(readErr, websocket.ErrReadLimit):
		return &Closed{Code: CodeTooBig, Reason: "message too big"}
	case errors.As(readErr, &peer) && peer.Code != websocket.CloseAbnormalClosure:
		return &Closed{Code: peer.Code, Reason: peer.Text, Remote: true}
	case c.broken != nil:
		return fmt.Errorf("wsconn: write: %w", c.broken)
	default:
		return fmt.Errorf("wsconn: read: %w", readErr)
	}
}

// extendDeadline notes a sign of life.
func (c *Conn) extendDeadline() {
	if c.cfg.PingInterval <= 0 {
		return
	}
	_ = c.ws.SetReadDeadline(time.Now().Add(c.cfg.PingInterval + c.cfg.PongTimeout))
}

func (c *Conn) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing != nil
}

// Send queues m and never blocks. ErrQueueFull: m was not queued, the rest
// is untouched. ErrClosed: the connection is closing, closed or broken. An
// empty queue takes a message of any size.
func (c *Conn) Send(m Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.roomForLocked(len(m.Data)); err != nil {
		return err
	}
	c.queue = append(c.queue, m)
	c.bytes += len(m.Data)
	c.startWriterLocked()
	return nil
}

// SendWait is Send that waits for room: a peer that asks faster than it reads
// waits for its answers. It returns nil, ErrClosed, or ctx's error; a writer
// that is stuck ends the wait by breaking the connection.
func (c *Conn) SendWait(ctx context.Context, m Message) error {
	for {
		if err := c.Send(m); !errors.Is(err, ErrQueueFull) {
			return err
		}
		if err := c.AwaitRoom(ctx, len(m.Data)); err != nil {
			return err
		}
	}
}

// AwaitRoom waits until Send would take a message of so many bytes, which
// another Send may then have taken away again. Its errors are SendWait's.
func (c *Conn) AwaitRoom(ctx context.Context, bytes int) error {
	for {
		c.mu.Lock()
		err := c.roomForLocked(bytes)
		if !errors.Is(err, ErrQueueFull) {
			c.mu.Unlock()
			return err
		}
		if c.room == nil {
			c.room = make(chan struct{})
		}
		room := c.room
		c.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Conn) roomForLocked(bytes int) error {
	switch {
	case c.closing != nil || c.ended || c.broken != nil:
		return ErrClosed
	case c.bytes > 0 && c.bytes+bytes > c.cfg.QueueBytes:
		return ErrQueueFull
	}
	return nil
}

func (c *Conn) roomLocked() {
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

// Shed drops every waiting message that has a key and returns the distinct
// keys in the order of their first message.
func (c *Conn) Shed() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var keys []string
	seen := make(map[string]bool)
	var kept []Message
	for _, m := range c.queue[c.head:] {
		if m.Key == "" {
			kept = append(kept, m)
			continue
		}
		c.bytes -= len(m.Data)
		if !seen[m.Key] {
			seen[m.Key] = true
			keys = append(keys, m.Key)
		}
	}
	c.queue, c.head = kept, 0
	c.roomLocked()
	return keys
}

// Queued returns how many bytes wait or are being written.
func (c *Conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}

// Close sends what is queued and then a close frame with code and reason (at
// most 123 bytes), waits for the peer's answer until CloseTimeout, and ends the
// connection. It returns at once; Run returns when all is done. The first call
// counts.
func (c *Conn) Close(code int, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing == nil && !c.ended {
		c.closeLocked(&Closed{Code: code, Reason: reason})
	}
}

func (c *Conn) closeLocked(why *Closed) {
	c.closing = why
	c.roomLocked()
	c.hard = time.AfterFunc(c.cfg.CloseTimeout, func() { _ = c.ws.Close() })
	c.startWriterLocked()
}

func (c *Conn) pingTick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing != nil || c.ended || c.broken != nil {
		return
	}
	c.pingDue = true
	c.startWriterLocked()
	c.ping.Reset(c.cfg.PingInterval)
}

func (c *Conn) startWriterLocked() {
	if c.writing || c.broken != nil || c.ended {
		return
	}
	c.writing = true
	c.writers.Go(c.write)
}

// write is the writer: it ends when nothing is left to write.
func (c *Conn) write() {
	var batch []Message
	for {
		var ping bool
		var last *Closed
		batch, ping, last = c.next(batch[:0])
		if len(batch) == 0 && !ping && last == nil {
			return
		}
		var err error
		deadline := time.Now().Add(c.cfg.WriteTimeout)
		switch {
		case ping:
			err = c.ws.WriteControl(websocket.PingMessage, nil, deadline)
		case last != nil:
			err = c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(last.Code, last.Reason), deadline)
		default:
			err = c.writeFrame(batch, deadline)
		}
		if c.wrote(batch, last != nil, err) {
			return
		}
	}
}

// next takes what one frame carries: a ping first, then waiting messages, the
// close frame when all are out. With nothing to take the writer is over.
func (c *Conn) next(batch []Message) (_ []Message, ping bool, last *Closed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pingDue {
		c.pingDue = false
		return batch, true, nil
	}
	size := 0
	for c.head < len(c.queue) && len(batch) < c.cfg.Batch {
		m := c.queue[c.head]
		if len(batch) > 0 && (m.Binary || batch[0].Binary || size+len(m.Data) > c.cfg.FrameBytes) {
			break
		}
		batch = append(batch, m)
		size += len(m.Data) + 1
		c.queue[c.head] = Message{}
		c.head++
	}
	if c.head == len(c.queue) {
		c.queue, c.head = nil, 0 // an idle connection holds no queue
	}
	if len(batch) > 0 {
		return batch, false, nil
	}
	if c.closing != nil {
		return batch, false, c.closing
	}
	c.writing = false
	return batch, false, nil
}

// wrote accounts for what was written and tells whether the writer is over.
func (c *Conn) wrote(batch []Message, last bool, err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range batch {
		c.bytes -= len(m.Data)
	}
	c.roomLocked()
	if err == nil && !last {
		return false
	}
	if err != nil {
		c.broken = err
		if c.cancelRd != nil {
			c.cancelRd(err)
		}
		_ = c.ws.Close() // the reader learns of it; closing a socket does not block
	} else {
		c.broken = net.ErrClosed // nothing may follow a close frame
	}
	c.writing = false
	c.queue, c.head, c.bytes = nil, 0, 0
	return true
}

var newline = []byte{'\n'}

func (c *Conn) writeFrame(batch []Message, deadline time.Time) error {
	if err := c.ws.SetWriteDeadline(deadline); err != nil {
		return err
	}
	kind := websocket.TextMessage
	if batch[0].Binary {
		kind = websocket.BinaryMessage
	}
	if len(batch) == 1 {
		return c.ws.WriteMessage(kind, batch[0].Data)
	}
	w, err := c.ws.NextWriter(kind)
	if err != nil {
		return err
	}
	for i, m := range batch {
		if i > 0 {
			if _, err := w.Write(newline); err != nil {
				return err
			}
		}
		if _, err := w.Write(m.Data); err != nil {
			return err
		}
	}
	return w.Close()
}
