package sfu_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"commsd/internal/testpeer/meetingpeer"
	"commsd/sfu"
)

// wait bounds whatever a test waits for.
const wait = 20 * time.Second

var kinds = map[sfu.Kind]webrtc.RTPCodecType{sfu.Audio: webrtc.RTPCodecTypeAudio, sfu.Video: webrtc.RTPCodecTypeVideo}

func ctx(t testing.TB) context.Context {
	t.Helper()
	c, cancel := context.WithTimeout(t.Context(), wait)
	t.Cleanup(cancel)
	return c
}

// serve runs an SFU on free ports of loopback until the test ends.
func serve(t testing.TB, change ...func(*sfu.Config)) *sfu.SFU {
	t.Helper()
	cfg := sfu.Config{UDPListen: "127.0.0.1:0", TCPListen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&cfg)
	}
	s, err := sfu.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	run, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(run) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(wait):
			t.Error("Run does not end")
		}
	})
	select {
	case <-s.Ready():
	case err := <-ended:
		ended <- err
		t.Fatalf("Run ended at once: %v", err)
	case <-time.After(wait):
		t.Fatal("not ready")
	}
	return s
}

// client is a participant with real connections.
type client struct {
	*meetingpeer.Media
	t testing.TB
	p *sfu.Participant

	mu      sync.Mutex
	changed chan struct{} // guarded by mu; closed and renewed with each event
	events  []sfu.Event   // guarded by mu
}

func everything(room, identity string) sfu.JoinRequest {
	return sfu.JoinRequest{
		Room: room, Identity: identity, AutoSubscribe: true,
		Permission: sfu.Permission{Subscribe: true, Publish: true, PublishData: true, UpdateMetadata: true},
		Route:      func(_ sfu.DataKind, data []byte) (sfu.Data, bool) { return sfu.Data{Payload: data}, true },
	}
}

// bothForms runs a test with clients of two connections and of one.
func bothForms(t *testing.T, test func(t *testing.T, cfg *meetingpeer.MediaConfig)) {
	t.Helper()
	t.Run("two connections", func(t *testing.T) { test(t, &meetingpeer.MediaConfig{}) })
	t.Run("one connection", func(t *testing.T) { test(t, &meetingpeer.MediaConfig{OneConnection: true}) })
}

// join takes a place and answers what the server offers. cfg may be nil.
func join(t testing.TB, s *sfu.SFU, req sfu.JoinRequest, cfg *meetingpeer.MediaConfig) *client {
	t.Helper()
	c := &client{t: t, changed: make(chan struct{})}
	if cfg == nil {
		cfg = &meetingpeer.MediaConfig{}
	}
	media := *cfg
	media.Offer = func(sdp string, id uint32) error { c.p.Offer(sdp, id); return nil }
	media.Answer = func(sdp string, id uint32) error { c.p.Answer(sdp, id); return nil }
	var err error
	if c.Media, err = meetingpeer.NewMedia(media); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	req.Events = c.note
	if req.OneConnection = media.OneConnection; media.OneConnection {
		first, id, err := c.Begin()
		if err != nil {
			t.Fatal(err)
		}
		req.Offer = &sfu.Offer{SDP: first, ID: id}
	}
	if c.p, err = s.Join(ctx(t), req); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { c.negotiate(stop) })
	t.Cleanup(func() {
		close(stop)
		wg.Wait()
		c.p.Leave()
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		for _, err := range c.Failed() {
			t.Errorf("%s: %v", req.Identity, err)
		}
	})
	return c
}

func (c *client) note(e sfu.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, e)
	close(c.changed)
	c.changed = make(chan struct{})
}

// negotiate does what the server's descriptions and candidates ask for.
func (c *client) negotiate(stop <-chan struct{}) {
	for next := 0; ; {
		c.mu.Lock()
		events, changed := c.events, c.changed
		c.mu.Unlock()
		for ; next < len(events); next++ {
			var err error
			switch e := events[next].(type) {
			case sfu.EventOffer:
				err = c.HandleOffer(e.SDP, e.ID)
			case sfu.EventAnswer:
				err = c.HandleAnswer(e.SDP, e.ID, e.Tracks)
			case sfu.EventSectionsRequired:
				err = c.HandleSections(e.Audios, e.Videos)
			case sfu.EventCandidate:
				err = c.HandleCandidate(e.Target == sfu.TargetSubscriber, e.Init)
			}
			if err != nil {
				c.t.Errorf("%s: %v", c.p.Identity(), err)
			}
		}
		select {
		case <-changed:
		case <-stop:
			return
		}
	}
}

// all lists the events of type T so far.
func all[T sfu.Event](c *client) []T {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []T
	for _, e := range c.events {
		if e, ok := e.(T); ok {
			out = append(out, e)
		}
	}
	return out
}

// await waits for an event, past or coming, of type T that holds for accept.
func await[T sfu.Event](c *client, what string, accept func(T) bool) T {
	c.t.Helper()
	limit := time.NewTimer(wait)
	defer limit.Stop()
	for next := 0; ; {
		c.mu.Lock()
		events, changed := c.events, c.changed
		c.mu.Unlock()
		for ; next < len(events); next++ {
			if e, ok := events[next].(T); ok && (accept == nil || accept(e)) {
				return e
			}
		}
		select {
		case <-changed:
		case <-limit.C:
			c.t.Fatalf("%s hears nothing of %s", c.p.Identity(), what)
		}
	}
}

// awaitParticipant waits for an update of identity that holds for accept.
func (c *client) awaitParticipant(identity, what string, accept func(sfu.ParticipantInfo) bool) sfu.ParticipantInfo {
	c.t.Helper()
	var got sfu.ParticipantInfo
	await(c, identity+" "+what, func(e sfu.EventParticipants) bool {
		i := slices.IndexFunc(e.Participants, func(p sfu.ParticipantInfo) bool { return p.Identity == identity && accept(p) })
		if i >= 0 {
			got = e.Participants[i]
		}
		return i >= 0
	})
	return got
}

func (c *client) left() sfu.EventLeft {
	c.t.Helper()
	return await[sfu.EventLeft](c, "its end", nil)
}

// up waits for the receiving connection.
func (c *client) up() {
	c.t.Helper()
	select {
	case <-c.Up():
	case <-time.After(wait):
		c.t.Fatalf("%s: no media connection", c.p.Identity())
	}
}

// publish announces and offers a track, and returns its SID.
func (c *client) publish(info sfu.TrackInfo) (*meetingpeer.Publication, string) {
	c.t.Helper()
	c.p.AddTrack(info)
	e := await(c, "its track", func(e sfu.EventTrackPublished) bool { return e.CID == info.CID })
	kind := kinds[info.Kind]
	pub, err := c.AddTrack(info.CID, kind)
	if err != nil {
		c.t.Fatal(err)
	}
	c.negotiateNow()
	return pub, e.Track.SID
}

func (c *client) negotiateNow() {
	c.t.Helper()
	if err := c.Negotiate(ctx(c.t)); err != nil {
		c.t.Fatal(err)
	}
}

// track waits for a received track.
func (c *client) track() *meetingpeer.Track {
	c.t.Helper()
	t, err := c.Track(ctx(c.t))
	if err != nil {
		c.t.Fatalf("%s: %v", c.p.Identity(), err)
	}
	return t
}

// next waits for a packet of the track that holds for accept.
func (c *client) next(tr *meetingpeer.Track, accept func(*rtp.Packet) bool) *rtp.Packet {
	c.t.Helper()
	p, err := tr.Next(ctx(c.t), accept)
	if err != nil {
		c.t.Fatalf("%s: %v", c.p.Identity(), err)
	}
	return p
}

// probed is how many packets Pion's client may read of a stream that begins
// before the answer that announces it, to learn its section. Those are lost.
const probed = 11

// steady waits for a packet after which every one is seen.
func (c *client) steady(tr *meetingpeer.Track) *rtp.Packet {
	c.t.Helper()
	for range probed {
		c.next(tr, nil)
	}
	return c.next(tr, nil)
}

// pump sends what next makes until the test ends or the source is stopped.
func (c *client) pump(pub *meetingpeer.Publication, next func(n int) *rtp.Packet) *meetingpeer.Source {
	s := pub.Pump(3*time.Millisecond, next)
	c.t.Cleanup(s.Stop)
	return s
}

// opus and vp8 make the n-th packet of a plain stream, numbered in its body;
// every 30th picture is a key frame.
func opus(n int) *rtp.Packet {
	return meetingpeer.Opus(uint16(n), uint32(n)*960, fmt.Appendf(nil, "sound %d", n))
}

func vp8(n int) *rtp.Packet {
	return meetingpeer.VP8(uint16(n), uint32(n)*3000, n%30 == 0, fmt.Appendf(nil, "picture %d", n))
}

func microphone(cid string) sfu.TrackInfo {
	return sfu.TrackInfo{CID: cid, Kind: sfu.Audio, Source: sfu.SourceMicrophone}
}

func camera(cid string) sfu.TrackInfo {
	return sfu.TrackInfo{CID: cid, Kind: sfu.Video, Source: sfu.SourceCamera, Width: 640, Height: 360}
}
