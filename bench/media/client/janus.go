package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/pion/webrtc/v4"

	"commsd/bench/media/tally"
)

// Janus is a participant of a room of Janus' VideoRoom plugin, by its
// WebSocket API. It publishes, or it receives what is published when it joins:
// Janus has a connection for each, and tells nobody else's business here.
type Janus struct {
	// Set at construction.
	cfg   Config
	begin time.Time
	ws    *websocket.Conn
	stop  chan struct{}
	loops sync.WaitGroup
	room  string

	write sync.Mutex // one writer at a time

	mu      sync.Mutex
	next    int                          // guarded by mu; transaction
	waiting map[string]chan janusMessage // guarded by mu; by transaction
	times   Times                        // guarded by mu
	err     error                        // guarded by mu
	ended   bool                         // guarded by mu

	// Set by JoinJanus, before it returns.
	session, handle uint64
	conn            *connection
	connected       chan struct{}
}

type janusMessage struct {
	Janus       string `json:"janus"`
	Transaction string `json:"transaction"`
	Data        struct {
		ID uint64 `json:"id"`
	} `json:"data"`
	Error struct {
		Reason string `json:"reason"`
	} `json:"error"`
	Plugin struct {
		Data struct {
			Error        string `json:"error"`
			Code         int    `json:"error_code"`
			Participants []struct {
				ID        json.RawMessage `json:"id"`
				Publisher bool            `json:"publisher"`
			} `json:"participants"`
		} `json:"data"`
	} `json:"plugindata"`
	JSEP struct {
		Type string `json:"type"`
		SDP  string `json:"sdp"`
	} `json:"jsep"`
}

type object = map[string]any

// roomExists is the plugin's code for that.
const roomExists = 427

// JoinJanus joins a room, which the first to come makes.
func JoinJanus(ctx context.Context, room, identity string, cfg Config) (*Janus, error) {
	j := &Janus{
		cfg: cfg, begin: time.Now(), stop: make(chan struct{}), room: room,
		waiting: make(map[string]chan janusMessage), connected: make(chan struct{}),
	}
	dialer := websocket.Dialer{Subprotocols: []string{"janus-protocol"}, HandshakeTimeout: 10 * time.Second}
	ws, resp, err := dialer.DialContext(ctx, cfg.URL, http.Header{})
	if err != nil {
		if resp != nil {
			_ = resp.Body.Close()
		}
		return nil, fmt.Errorf("client: join: %w", err)
	}
	j.ws = ws
	j.loops.Go(j.read)
	j.loops.Go(j.keepAlive)
	if err := j.enter(ctx, identity); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}

// enter makes session and handle, and publishes or subscribes.
func (j *Janus) enter(ctx context.Context, identity string) error {
	m, err := j.ask(ctx, object{"janus": "create"})
	if err != nil {
		return err
	}
	j.session = m.Data.ID
	if m, err = j.ask(ctx, object{"janus": "attach", "plugin": "janus.plugin.videoroom"}); err != nil {
		return err
	}
	j.handle = m.Data.ID
	m, err = j.tell(ctx, object{
		"request": "create", "room": j.room, "publishers": 1000, "bitrate": 10_000_000, "videocodec": "vp8", "audiocodec": "opus", "notify_joining": false,
		"fir_freq": 0,
	}, nil)
	if err != nil && m.Plugin.Data.Code != roomExists {
		return err
	}
	sends := j.cfg.Publish != nil
	if j.conn, err = newConnection(j.cfg.Local, j.cfg.Certificate, sends); err != nil {
		return err
	}
	var once sync.Once
	var p *publishing
	if sends {
		// The VideoRoom takes the first for the highest.
		spec := *j.cfg.Publish
		spec.Layers = slices.Clone(spec.Layers)
		slices.Reverse(spec.Layers)
		if p, err = addTracks(j.conn, &spec); err != nil {
			return err
		}
	} else {
		measure(j.conn, j.cfg.Delays, &j.loops, j.stop)
	}
	j.conn.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s != webrtc.PeerConnectionStateConnected {
			return
		}
		once.Do(func() {
			if p != nil && p.start(j.cfg.Publish, &j.loops) != nil {
				return
			}
			j.mu.Lock()
			j.times.Connected = time.Since(j.begin)
			j.mu.Unlock()
			close(j.connected)
		})
	})
	if sends {
		return j.publish(ctx, identity)
	}
	return j.subscribe(ctx)
}

func (j *Janus) publish(ctx context.Context, identity string) error {
	if _, err := j.order(ctx, object{"request": "join", "ptype": "publisher", "room": j.room, "id": identity, "display": identity}, nil); err != nil {
		return err
	}
	j.joined()
	offer, err := j.conn.offer()
	if err != nil {
		return err
	}
	m, err := j.order(ctx, object{"request": "publish"}, object{"type": "offer", "sdp": offer})
	if err != nil {
		return err
	}
	if err := j.conn.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: m.JSEP.SDP}); err != nil {
		return fmt.Errorf("client: server's answer: %w", err)
	}
	return nil
}

// subscribe waits for somebody to publish and asks for all that is published.
func (j *Janus) subscribe(ctx context.Context) error {
	var feeds []object
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for len(feeds) == 0 {
		m, err := j.tell(ctx, object{"request": "listparticipants", "room": j.room}, nil)
		if err != nil {
			return err
		}
		for _, p := range m.Plugin.Data.Participants {
			if p.Publisher {
				feeds = append(feeds, object{"feed": p.ID})
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("client: nobody publishes: %w", ctx.Err())
		}
	}
	m, err := j.order(ctx, object{"request": "join", "ptype": "subscriber", "room": j.room, "streams": feeds}, nil)
	if err != nil {
		return err
	}
	j.joined()
	answer, err := j.conn.answer(m.JSEP.SDP)
	if err != nil {
		return err
	}
	_, err = j.order(ctx, object{"request": "start"}, object{"type": "answer", "sdp": answer})
	return err
}

func (j *Janus) joined() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.times.Joined = time.Since(j.begin)
}

// send sends a request of a new transaction.
func (j *Janus) send(m object) (transaction string, answer chan janusMessage, err error) {
	answer = make(chan janusMessage, 4)
	j.mu.Lock()
	j.next++
	transaction = strconv.Itoa(j.next)
	j.waiting[transaction] = answer
	j.mu.Unlock()
	m["transaction"] = transaction
	if j.session != 0 {
		m["session_id"] = j.session
	}
	if j.handle != 0 {
		m["handle_id"] = j.handle
	}
	data, err := json.Marshal(m)
	if err != nil {
		return transaction, nil, fmt.Errorf("client: %w", err)
	}
	j.write.Lock()
	defer j.write.Unlock()
	_ = j.ws.SetWriteDeadline(time.Now().Add(10 * time.Second)) // a failure shows in the write
	if err := j.ws.WriteMessage(websocket.TextMessage, data); err != nil {
		return transaction, nil, fmt.Errorf("client: %w", err)
	}
	return transaction, answer, nil
}

// exchange sends m and waits for an answer of the kind wanted.
func (j *Janus) exchange(ctx context.Context, m object, wanted string) (janusMessage, error) {
	transaction, answers, err := j.send(m)
	defer func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		delete(j.waiting, transaction)
	}()
	if err != nil {
		return janusMessage{}, err
	}
	for {
		select {
		case a := <-answers:
			switch {
			case a.Janus == "error":
				return a, fmt.Errorf("client: Janus refused: %s", a.Error.Reason)
			case a.Plugin.Data.Error != "":
				return a, fmt.Errorf("client: VideoRoom refused: %s", a.Plugin.Data.Error)
			case a.Janus == wanted:
				return a, nil
			}
		case <-j.stop:
			return janusMessage{}, errors.Join(errors.New("client: the socket ended"), j.Err())
		case <-ctx.Done():
			return janusMessage{}, fmt.Errorf("client: Janus does not answer: %w", ctx.Err())
		}
	}
}

func (j *Janus) ask(ctx context.Context, m object) (janusMessage, error) {
	return j.exchange(ctx, m, "success")
}

// tell sends the plugin what it answers at once, order what it answers later.
func (j *Janus) tell(ctx context.Context, body, jsep object) (janusMessage, error) {
	return j.exchange(ctx, request(body, jsep), "success")
}

func (j *Janus) order(ctx context.Context, body, jsep object) (janusMessage, error) {
	return j.exchange(ctx, request(body, jsep), "event")
}

func request(body, jsep object) object {
	m := object{"janus": "message", "body": body}
	if jsep != nil {
		m["jsep"] = jsep
	}
	return m
}

func (j *Janus) read() {
	var err error
	for err == nil {
		var m janusMessage
		if err = j.ws.ReadJSON(&m); err != nil {
			break
		}
		j.mu.Lock()
		to := j.waiting[m.Transaction]
		j.mu.Unlock()
		if to != nil && m.Janus != "ack" {
			select {
			case to <- m:
			default: // nobody waits for a fifth answer
			}
		}
	}
	j.mu.Lock()
	if !j.ended {
		j.err = err
	}
	j.mu.Unlock()
	close(j.stop)
}

func (j *Janus) keepAlive() {
	tick := time.NewTicker(20 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-j.stop:
			return
		case <-tick.C:
			_, _, _ = j.send(object{"janus": "keepalive"}) // the reader sees the end
		}
	}
}

// Ready waits until media can flow.
func (j *Janus) Ready(ctx context.Context) error {
	select {
	case <-j.connected:
		return nil
	case <-j.stop:
		return errors.Join(errors.New("client: ended before it was connected"), j.Err())
	case <-ctx.Done():
		return fmt.Errorf("client: not connected: %w", ctx.Err())
	}
}

// Times are those of joining.
func (j *Janus) Times() Times {
	j.mu.Lock()
	defer j.mu.Unlock()
	t := j.times
	if at, ok := j.conn.tap.firstOf("video"); ok {
		t.Picture = at.Sub(j.begin)
	}
	return t
}

// Received counts what came.
func (j *Janus) Received() (audio, video tally.Count, packets, bytes int64) {
	return j.conn.received()
}

// Err is why the client ended by itself.
func (j *Janus) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// Close leaves and waits for all that JoinJanus started.
func (j *Janus) Close() error {
	j.mu.Lock()
	j.ended = true
	j.mu.Unlock()
	if j.session != 0 {
		_, _, _ = j.send(object{"janus": "destroy"}) // it may have gone
	}
	_ = j.ws.Close()
	if j.conn != nil {
		j.conn.close()
	}
	j.loops.Wait()
	return nil
}
