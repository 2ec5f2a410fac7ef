package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"
	"golang.org/x/sync/errgroup"

	"commsd/bench/media/camera"
	"commsd/bench/media/client"
	"commsd/bench/media/tally"
	"commsd/internal/accesstoken"
)

const (
	joinsAtOnce = 10
	joinWithin  = 30 * time.Second // all of them; and each gives a tenth of a second more
	flowWithin  = 15 * time.Second // until every stream has brought something
	settle      = 3 * time.Second  // until estimates and garbage collection are at rest
)

// participant is a client of any protocol.
type participant interface {
	Ready(ctx context.Context) error
	Times() client.Times
	Received() (audio, video tally.Count, packets, bytes int64)
	Err() error
	Close() error
}

// Target is a server to measure.
type Target struct {
	Name   string
	URL    string // ws://host:port
	Key    string
	Secret string
	PID    int // 0: its CPU time and memory are not told
	// Join, when set, speaks another protocol.
	Join func(ctx context.Context, room, identity string, cfg client.Config) (participant, error)
}

// Result is what one run found. Rates are a second of the window.
type Result struct {
	Server   string   `json:"server"`
	Scenario Scenario `json:"scenario"`
	Failed   string   `json:"failed,omitempty"` // why there are no figures

	Window   time.Duration `json:"window_ns"`
	Sent     float64       `json:"sent_per_s"`
	Received float64       `json:"received_per_s"` // packets of media, repetitions included
	Mbits    float64       `json:"received_mbit_per_s"`
	Streams  int           `json:"streams"` // that flowed
	Wanted   int           `json:"streams_wanted"`
	Audio    tally.Count   `json:"audio"` // of the window
	Video    tally.Count   `json:"video"`
	Delay    tally.Spread  `json:"delay"` // one packet in 16
	Left     int           `json:"left"`  // clients that the server lost

	Joined    tally.Spread `json:"joined"`
	Connected tally.Spread `json:"connected"`
	Picture   tally.Spread `json:"picture"`

	CPU          time.Duration `json:"server_cpu_ns"`
	CPUPerPacket float64       `json:"server_cpu_us_per_packet"`
	RSSBefore    int64         `json:"server_rss_before"`
	RSS          int64         `json:"server_rss"`
	RSSPerClient int64         `json:"server_rss_per_client"`
	DriverCPU    time.Duration `json:"driver_cpu_ns"`
	Load         float64       `json:"load"` // of the machine
	JoinCPU      time.Duration `json:"server_join_cpu_ns"`
}

// Lost is the share of packets that did not come.
func (r Result) Lost() float64 { return r.Audio.Plus(r.Video).Lost() }

// crowd is who is in the rooms of a run.
type crowd struct {
	target Target
	cfg    client.Config
	pump   *camera.Pump
	delays *tally.Delays
	name   string // of the run, which rooms' names begin with

	wg   sync.WaitGroup // the pump
	stop context.CancelFunc

	mu      sync.Mutex
	clients []participant // guarded by mu
	next    uint64        // guarded by mu; seed
}

func newCrowd(ctx context.Context, target Target, local netip.Addr) (*crowd, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	// One for all: making hundreds costs the driver, and a server checks each.
	certificate, err := webrtc.GenerateCertificate(key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	c := &crowd{target: target, pump: &camera.Pump{}, delays: &tally.Delays{}, name: "bench-" + rand.Text()[:8]}
	c.cfg = client.Config{URL: target.URL, Local: local, Certificate: *certificate, Delays: c.delays}
	ctx, c.stop = context.WithCancel(ctx)
	c.wg.Go(func() { c.pump.Run(ctx) })
	return c, nil
}

// close sends everybody out.
func (c *crowd) close() {
	c.stop()
	c.wg.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	var leaving sync.WaitGroup
	for _, p := range c.clients {
		leaving.Go(func() { _ = p.Close() }) // the socket may be gone already
	}
	leaving.Wait()
	c.clients = nil
}

// person is one who is to join.
type person struct {
	room, identity string
	publishes      bool
	layers         []string
	silent         bool
}

// people lists who takes part in s.
func (c *crowd) people(s Scenario) []person {
	var out []person
	for r := range s.Rooms {
		for n := range s.Publishers + s.Subscribers {
			out = append(out, person{
				room: fmt.Sprintf("%s-%d", c.name, r), identity: fmt.Sprintf("p%d-%d", r, n),
				publishes: n < s.Publishers, layers: s.layers(), silent: n >= s.Speakers || r%max(s.SpeakIn, 1) != 0,
			})
		}
	}
	return out
}

// join brings people in, some at once, and waits until all are connected.
func (c *crowd) join(ctx context.Context, people []person) error {
	ctx, cancel := context.WithTimeout(ctx, joinWithin+time.Duration(len(people))*100*time.Millisecond)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(joinsAtOnce)
	for _, p := range people {
		group.Go(func() error {
			cfg := c.cfg
			if p.publishes {
				c.mu.Lock()
				c.next++
				seed := c.next
				c.mu.Unlock()
				cfg.Publish = &client.Publication{Layers: p.layers, Audio: true, Silent: p.silent, Seed: seed, Pump: c.pump}
			}
			one, err := c.enter(ctx, p, cfg)
			if err != nil {
				return err
			}
			c.mu.Lock()
			c.clients = append(c.clients, one)
			c.mu.Unlock()
			return one.Ready(ctx)
		})
	}
	return group.Wait()
}

func (c *crowd) enter(ctx context.Context, p person, cfg client.Config) (participant, error) {
	if c.target.Join != nil {
		return c.target.Join(ctx, p.room, p.identity, cfg)
	}
	var err error
	cfg.Token, err = accesstoken.Mint(c.target.Key, []byte(c.target.Secret), accesstoken.Claims{
		Identity: p.identity, Name: p.identity, Video: accesstoken.VideoGrant{Room: p.room, RoomJoin: true},
	}, time.Hour, time.Now())
	if err != nil {
		return nil, err
	}
	return client.Join(ctx, cfg)
}

// totals is what all clients received.
type totals struct {
	audio, video   tally.Count
	packets, bytes int64
	left           int
}

func (c *crowd) totals() (t totals) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.clients {
		audio, video, packets, bytes := p.Received()
		t.audio, t.video = t.audio.Plus(audio), t.video.Plus(video)
		t.packets += packets
		t.bytes += bytes
		if p.Err() != nil {
			t.left++
		}
	}
	return t
}

// flowing waits until as many streams of sound and of video flow, or long
// enough.
func (c *crowd) flowing(ctx context.Context, audio, video int) error {
	ctx, cancel := context.WithTimeout(ctx, flowWithin)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if t := c.totals(); t.audio.Streams >= audio && t.video.Streams >= video {
			return nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil // the result tells how many do
			}
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// pause waits for d, or for the end.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// measure watches what flows for a while.
func (c *crowd) measure(ctx context.Context, window time.Duration) (Result, error) {
	r := Result{Server: c.target.Name}
	before, delays, sent, began := c.totals(), c.delays.Snapshot(), c.pump.Sent(), time.Now()
	usage, err := c.cpu()
	if err != nil {
		return r, err
	}
	own, err := cpuTime(os.Getpid())
	if err != nil {
		return r, err
	}
	if err := pause(ctx, window); err != nil {
		return r, err
	}
	after, sentAfter := c.totals(), c.pump.Sent()
	r.Window = time.Since(began)
	used, err := c.cpu()
	if err != nil {
		return r, err
	}
	ownAfter, err := cpuTime(os.Getpid())
	if err != nil {
		return r, err
	}
	seconds := r.Window.Seconds()
	r.Sent = float64(sentAfter-sent) / seconds
	r.Received = float64(after.packets-before.packets) / seconds
	r.Mbits = float64(after.bytes-before.bytes) * 8 / 1e6 / seconds
	r.Audio, r.Video = after.audio.Since(before.audio), after.video.Since(before.video)
	r.Streams = after.audio.Streams + after.video.Streams
	r.Delay = c.delays.Since(delays)
	r.Left = after.left
	r.CPU, r.DriverCPU, r.Load = used-usage, ownAfter-own, load()
	if n := after.packets - before.packets; n > 0 {
		r.CPUPerPacket = float64(r.CPU.Microseconds()) / float64(n)
	}
	if c.target.PID != 0 {
		if r.RSS, err = resident(c.target.PID); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (c *crowd) cpu() (time.Duration, error) {
	if c.target.PID == 0 {
		return 0, nil
	}
	return cpuTime(c.target.PID)
}

// times are those of joining, of all.
func (c *crowd) times(r *Result) {
	var joined, connected, picture tally.Delays
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.clients {
		t := p.Times()
		for at, d := range map[time.Duration]*tally.Delays{t.Joined: &joined, t.Connected: &connected, t.Picture: &picture} {
			if at > 0 {
				d.Add(at)
			}
		}
	}
	r.Joined, r.Connected, r.Picture = joined.Since(nil), connected.Since(nil), picture.Since(nil)
}

// warm holds a small meeting and ends it: what a server loads and makes once,
// for its first clients, is not what each costs.
func warm(ctx context.Context, target Target, local netip.Addr) error {
	c, err := newCrowd(ctx, target, local)
	if err != nil {
		return err
	}
	defer c.close()
	s := Scenario{Rooms: 1, Publishers: 1, Subscribers: 2, Layer: "f", Speakers: 1}
	if err := c.join(ctx, c.people(s)); err != nil {
		return err
	}
	if err := c.flowing(ctx, s.streams(), s.streams()); err != nil {
		return err
	}
	return pause(ctx, settle)
}

// Run plays a scenario against a server and measures it for window. during
// runs meanwhile, and is waited for.
func Run(ctx context.Context, target Target, s Scenario, window time.Duration, local netip.Addr, during func()) (Result, error) {
	fail := func(err error) (Result, error) {
		return Result{}, fmt.Errorf("%s against %s: %w", s.Name, target.Name, err)
	}
	if err := s.Validate(); err != nil {
		return fail(err)
	}
	var rss int64
	var before time.Duration
	var err error
	if target.PID != 0 {
		if err := warm(ctx, target, local); err != nil {
			return fail(err)
		}
		if rss, err = resident(target.PID); err != nil {
			return fail(err)
		}
		if before, err = cpuTime(target.PID); err != nil {
			return fail(err)
		}
	}
	c, err := newCrowd(ctx, target, local)
	if err != nil {
		return fail(err)
	}
	defer c.close()
	if err := c.join(ctx, c.people(s)); err != nil {
		return fail(err)
	}
	joined, err := c.cpu()
	if err != nil {
		return fail(err)
	}
	audio, video := s.streams(), 0
	if s.Layer != "" {
		video = s.streams()
	}
	if err := c.flowing(ctx, audio, video); err != nil {
		return fail(err)
	}
	if err := pause(ctx, settle); err != nil {
		return fail(err)
	}
	var beside sync.WaitGroup
	beside.Go(during)
	defer beside.Wait()
	r, err := c.measure(ctx, window)
	if err != nil {
		return fail(err)
	}
	r.Scenario, r.Wanted, r.RSSBefore, r.JoinCPU = s, audio+video, rss, joined-before
	if rss > 0 {
		r.RSSPerClient = (r.RSS - rss) / int64(s.people())
	}
	c.times(&r)
	return r, nil
}
