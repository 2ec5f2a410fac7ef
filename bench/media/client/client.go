// Package client is what a load driver sends into a meeting by the hundred: a
// participant that speaks the signalling protocol of docs/protocols/meeting.md
// (LiveKit's, version 0), publishes what package camera plays and counts what
// it receives. It is made to cost little, so that it does not disturb what is
// measured; internal/testpeer/meetingpeer is the client that looks closely.
//
// It must not know the server's packages, nor what is done with the counts.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"github.com/pion/webrtc/v4"
	"google.golang.org/protobuf/proto"

	"commsd/bench/media/camera"
	"commsd/bench/media/tally"
	lk "commsd/internal/lkproto"
)

// Config says where and as whom to join. All fields are required unless said
// otherwise.
type Config struct {
	URL         string // ws://host:port
	Token       string
	Local       netip.Addr // address to send media from
	Certificate webrtc.Certificate
	Publish     *Publication // nil: receive only
	Delays      *tally.Delays
}

// Times are how long the steps of joining took, from before the socket was
// opened. Zero stands for what has not happened.
type Times struct {
	Joined    time.Duration // the server's first message
	Connected time.Duration // the connection that receives
	Picture   time.Duration // the first packet of video
}

// Client is one participant. Its methods may be called from any goroutine.
type Client struct {
	// Set at construction.
	cfg   Config
	begin time.Time
	ws    *websocket.Conn
	stop  chan struct{}
	ready chan struct{} // closed once it is connected and, where it publishes, sends
	loops sync.WaitGroup

	write   sync.Mutex   // one writer at a time
	pending atomic.Int32 // what ready waits for

	// Owned by the reader.
	sub, pub    *connection
	publishing  *publishing
	announced   int // tracks that the server has taken
	early       map[lk.SignalTarget][]webrtc.ICECandidateInit
	connectOnce sync.Once

	mu    sync.Mutex
	times Times       // guarded by mu
	conn  *connection // guarded by mu; sub, for the counts
	err   error       // guarded by mu; why it ended
	ended bool        // guarded by mu; by Close
}

// Join opens the socket and returns; Ready tells when media can flow.
func Join(ctx context.Context, cfg Config) (*Client, error) {
	c := &Client{
		cfg: cfg, begin: time.Now(), stop: make(chan struct{}), ready: make(chan struct{}),
		early: make(map[lk.SignalTarget][]webrtc.ICECandidateInit),
	}
	q := url.Values{"access_token": {cfg.Token}, "protocol": {"15"}, "sdk": {"go"}, "version": {"2.0.0"}, "auto_subscribe": {"1"}, "adaptive_stream": {"0"}}
	ws, resp, err := websocket.DefaultDialer.DialContext(ctx, cfg.URL+"/rtc?"+q.Encode(), nil)
	if err != nil {
		if resp != nil {
			err = fmt.Errorf("%w: %s", err, resp.Status)
			_ = resp.Body.Close()
		}
		return nil, fmt.Errorf("client: join: %w", err)
	}
	c.ws = ws
	c.pending.Store(1) // connected
	if cfg.Publish != nil {
		c.pending.Store(2) // and sending
	}
	c.loops.Go(c.read)
	c.loops.Go(c.ping)
	return c, nil
}

// Ready waits until the client is connected and sends what it publishes.
func (c *Client) Ready(ctx context.Context) error {
	select {
	case <-c.ready:
		return nil
	case <-c.stop:
		return errors.Join(errors.New("client: ended before it was connected"), c.Err())
	case <-ctx.Done():
		return fmt.Errorf("client: not connected: %w", ctx.Err())
	}
}

// Err is why the client ended by itself, nil while it is in the room.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Times are those of joining.
func (c *Client) Times() Times {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.times
	if c.conn != nil {
		if at, ok := c.conn.tap.firstOf("video"); ok {
			t.Picture = at.Sub(c.begin)
		}
	}
	return t
}

// Received counts what came, and how many bytes it was in all.
func (c *Client) Received() (audio, video tally.Count, packets, bytes int64) {
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	if conn == nil {
		return
	}
	return conn.received()
}

// Close leaves and waits for all that Join started.
func (c *Client) Close() error {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	_ = c.send(&lk.SignalRequest{Message: &lk.SignalRequest_Leave{Leave: &lk.LeaveRequest{Reason: lk.DisconnectReason_CLIENT_INITIATED}}})
	_ = c.ws.Close()
	c.loops.Wait()
	return nil
}

func (c *Client) send(m *lk.SignalRequest) error {
	data, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	c.write.Lock()
	defer c.write.Unlock()
	_ = c.ws.SetWriteDeadline(time.Now().Add(10 * time.Second)) // a failure shows in the write
	if err := c.ws.WriteMessage(websocket.BinaryMessage, data); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	return nil
}

func (c *Client) ping() {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-c.stop:
			return
		case now := <-tick.C:
			_ = c.send(&lk.SignalRequest{Message: &lk.SignalRequest_PingReq{PingReq: &lk.Ping{Timestamp: now.UnixMilli()}}}) // the reader sees the end
		}
	}
}

// read is the client's loop; it ends with the socket, and everything with it.
func (c *Client) read() {
	var err error
	for err == nil {
		var data []byte
		if _, data, err = c.ws.ReadMessage(); err != nil {
			break
		}
		// Updates are most of what comes in a large room, and nothing is done
		// with them: their field number is told by the first byte.
		if len(data) > 0 && data[0] == 5<<3|2 {
			continue
		}
		m := &lk.SignalResponse{}
		if err = proto.Unmarshal(data, m); err == nil {
			err = c.handle(m)
		}
	}
	c.mu.Lock()
	if !c.ended {
		c.err = err
	}
	c.mu.Unlock()
	close(c.stop)
	_ = c.ws.Close()
	for _, conn := range []*connection{c.pub, c.sub} {
		if conn != nil {
			conn.close()
		}
	}
}

func (c *Client) handle(m *lk.SignalResponse) error {
	switch m := m.GetMessage().(type) {
	case *lk.SignalResponse_Join:
		c.note(func(t *Times) { t.Joined = time.Since(c.begin) })
		if c.cfg.Publish != nil {
			return c.announce()
		}
	case *lk.SignalResponse_Offer:
		return c.offered(m.Offer)
	case *lk.SignalResponse_TrackPublished:
		if c.announced--; c.announced == 0 {
			return c.offer()
		}
	case *lk.SignalResponse_Answer:
		return c.answered(m.Answer)
	case *lk.SignalResponse_Trickle:
		return c.candidate(m.Trickle)
	case *lk.SignalResponse_Leave:
		return fmt.Errorf("client: the server ended it: %s", m.Leave.GetReason())
	default: // of no use to us
	}
	return nil
}

// done takes one off what ready waits for.
func (c *Client) done() {
	if c.pending.Add(-1) == 0 {
		close(c.ready)
	}
}

func (c *Client) note(change func(*Times)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.times)
}

// offered answers the server's offer of the receiving connection.
func (c *Client) offered(d *lk.SessionDescription) error {
	if c.sub == nil {
		conn, err := newConnection(c.cfg.Local, c.cfg.Certificate, false)
		if err != nil {
			return err
		}
		c.sub = conn
		c.mu.Lock()
		c.conn = conn
		c.mu.Unlock()
		conn.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
			if s == webrtc.PeerConnectionStateConnected {
				c.connectOnce.Do(func() {
					c.note(func(t *Times) { t.Connected = time.Since(c.begin) })
					c.done()
				})
			}
		})
		measure(conn, c.cfg.Delays, &c.loops, c.stop)
	}
	answer, err := c.sub.answer(d.GetSdp())
	if err != nil {
		return err
	}
	if err := c.late(c.sub, lk.SignalTarget_SUBSCRIBER); err != nil {
		return err
	}
	return c.send(&lk.SignalRequest{Message: &lk.SignalRequest_Answer{Answer: &lk.SessionDescription{Type: "answer", Sdp: answer, Id: d.GetId()}}})
}

// announce tells the server what will be published.
func (c *Client) announce() error {
	p := c.cfg.Publish
	var requests []*lk.AddTrackRequest
	if p.Audio {
		requests = append(requests, &lk.AddTrackRequest{Cid: audioCID, Name: audioCID, Type: lk.TrackType_AUDIO, Source: lk.TrackSource_MICROPHONE})
	}
	if len(p.Layers) > 0 {
		r := &lk.AddTrackRequest{Cid: videoCID, Name: videoCID, Type: lk.TrackType_VIDEO, Source: lk.TrackSource_CAMERA}
		for i, rid := range p.Layers {
			r.Width, r.Height = camera.Widths[rid], camera.Heights[rid]
			r.Layers = append(r.Layers, &lk.VideoLayer{
				Quality: lk.VideoQuality(i), Width: r.GetWidth(), Height: r.GetHeight(), Bitrate: camera.Bitrates[rid], SpatialLayer: int32(i), Rid: rid,
			})
		}
		r.SimulcastCodecs = []*lk.SimulcastCodec{{Codec: "vp8", Cid: videoCID, Layers: r.GetLayers()}}
		requests = append(requests, r)
	}
	c.announced = len(requests)
	for _, r := range requests {
		if err := c.send(&lk.SignalRequest{Message: &lk.SignalRequest_AddTrack{AddTrack: r}}); err != nil {
			return err
		}
	}
	return nil
}

// offer offers the sending connection.
func (c *Client) offer() error {
	conn, err := newConnection(c.cfg.Local, c.cfg.Certificate, true)
	if err != nil {
		return err
	}
	c.pub = conn
	if c.publishing, err = addTracks(conn, c.cfg.Publish); err != nil {
		return err
	}
	// LiveKit's server makes the connection with data channels in mind.
	if _, err := conn.CreateDataChannel("_reliable", nil); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	var once sync.Once
	conn.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			once.Do(func() {
				if c.publishing.start(c.cfg.Publish, &c.loops) == nil {
					c.done()
				}
			})
		}
	})
	sdp, err := conn.offer()
	if err != nil {
		return err
	}
	return c.send(&lk.SignalRequest{Message: &lk.SignalRequest_Offer{Offer: &lk.SessionDescription{Type: "offer", Sdp: sdp, Id: 1}}})
}

// answered takes the server's answer to offer.
func (c *Client) answered(d *lk.SessionDescription) error {
	if c.pub == nil {
		return errors.New("client: an answer to no offer")
	}
	if err := c.pub.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: d.GetSdp()}); err != nil {
		return fmt.Errorf("client: server's answer: %w", err)
	}
	return c.late(c.pub, lk.SignalTarget_PUBLISHER)
}

// candidate takes a candidate of the server's, now or once its description has
// come.
func (c *Client) candidate(t *lk.TrickleRequest) error {
	var init webrtc.ICECandidateInit
	if err := json.Unmarshal([]byte(t.GetCandidateInit()), &init); err != nil {
		return fmt.Errorf("client: candidate: %w", err)
	}
	conn := c.pub
	if t.GetTarget() == lk.SignalTarget_SUBSCRIBER {
		conn = c.sub
	}
	c.early[t.GetTarget()] = append(c.early[t.GetTarget()], init)
	if conn == nil || conn.RemoteDescription() == nil {
		return nil
	}
	return c.late(conn, t.GetTarget())
}

func (c *Client) late(conn *connection, target lk.SignalTarget) error {
	for _, init := range c.early[target] {
		if err := conn.AddICECandidate(init); err != nil {
			return fmt.Errorf("client: candidate: %w", err)
		}
	}
	delete(c.early, target)
	return nil
}
