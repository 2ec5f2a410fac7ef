package bus

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	redislog "github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"commsd/internal/errcode"
)

const (
	redisTimeout = time.Second // of connecting, of one read, of one write
	sendQueue    = 4096        // events that wait for Redis
	sendBatch    = 128         // events of one pipeline
	firstPause   = 50 * time.Millisecond
	longestPause = 2 * time.Second
	flushTimeout = 500 * time.Millisecond // of Close
)

// silenceLibrary keeps go-redis from writing to standard error; we log what
// matters ourselves.
var silenceLibrary = sync.OnceFunc(redislog.Disable)

// redisBus is a node's end of a Redis. Events go to the node's own subscribers
// directly, so that one node alone does not feel an outage; the sender and the
// receiver goroutine do the rest.
type redisBus struct {
	// set at construction
	client   *redis.Client
	id       busID
	prefix   string // of channel names
	address  string // for the log
	log      *slog.Logger
	metrics  *metrics
	registry *registry
	out      chan outgoing
	changed  chan struct{} // of capacity 1: the registry's topics changed
	stop     context.CancelFunc
	running  sync.WaitGroup

	overflowed atomic.Bool // out was full since the sender last looked
	sends      atomic.Bool // the sender's last attempt succeeded
	receives   atomic.Bool // the receiver is connected
	closed     atomic.Bool
	closeOnce  sync.Once
	closeErr   error
}

var _ Bus = (*redisBus)(nil)

type outgoing struct {
	topic   string
	payload []byte
}

func openRedis(ctx context.Context, cfg Config, m *metrics) (*redisBus, error) {
	silenceLibrary()
	options, err := redis.ParseURL(cfg.URL)
	if err != nil { // which repeats the URL, password included
		return nil, errcode.New(errcode.Invalid, "redis.url: cannot be understood: it must read redis://:password@host:port/db, or be empty for one node alone")
	}
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout = redisTimeout, redisTimeout, redisTimeout
	options.MaxRetries = -1 // a hint is not worth a second attempt
	options.DialerRetries = 1
	options.PoolSize = 4
	options.ContextTimeoutEnabled = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if cfg.Prefix == "" {
		cfg.Prefix = "commsd"
	}
	id, err := newBusID()
	if err != nil {
		return nil, err
	}
	b := &redisBus{
		client: redis.NewClient(options), id: id,
		// Redis's channels, unlike its keys, do not belong to a db.
		prefix:  fmt.Sprintf("%s:%d:", cfg.Prefix, options.DB),
		address: options.Addr, log: cfg.Log, metrics: m,
		out: make(chan outgoing, sendQueue), changed: make(chan struct{}, 1),
	}
	b.registry = newRegistry(m, b.topicsChanged)
	if err := b.client.Ping(ctx).Err(); err != nil {
		_ = b.client.Close() // never connected
		return nil, unreachable(options.Addr, err)
	}
	b.sends.Store(true)
	running, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.running.Go(func() { b.send(running) })
	b.running.Go(func() { b.receive(running) })
	return b, nil
}

// unreachable words the failure of the first Ping for an operator.
func unreachable(address string, err error) error {
	said := strings.Join(strings.Fields(err.Error()), " ")
	for _, refusal := range []string{"NOAUTH", "WRONGPASS", "NOPERM", "ERR AUTH", "ERR invalid password", "ERR Client sent AUTH"} {
		if strings.HasPrefix(said, refusal) {
			return errcode.New(errcode.Invalid, "redis.url: Redis at %s refuses user or password: correct them in the URL (redis://user:password@host:port/db)", address)
		}
	}
	return errcode.New(errcode.Invalid, "redis.url: Redis at %s cannot be reached (%s): start it, correct the address, or leave it empty for one node alone", address, said)
}

// control is the channel on which a bus tells that it has lost events. A topic
// cannot have its name: those of topics begin with "t:".
func (b *redisBus) control() string { return b.prefix + "control" }

func (b *redisBus) channel(topic string) string { return b.prefix + "t:" + topic }

// Publish implements Bus.
func (b *redisBus) Publish(_ context.Context, topic string, payload []byte) error {
	if err := checkPayload(payload); err != nil {
		return err
	}
	if b.closed.Load() {
		return ErrClosed
	}
	b.metrics.published.Inc()
	b.registry.deliver(Event{Topic: topic, Payload: payload})
	select {
	case b.out <- outgoing{topic, payload}:
	default:
		b.metrics.droppedRedis.Inc()
		b.overflowed.Store(true)
	}
	return nil
}

// Subscribe implements Bus.
func (b *redisBus) Subscribe(topic string) (*Subscription, error) {
	if b.closed.Load() {
		return nil, ErrClosed
	}
	s := b.registry.add(topic)
	if b.closed.Load() { // Close may have passed over s
		s.Close()
		return nil, ErrClosed
	}
	return s, nil
}

func (b *redisBus) topicsChanged() {
	select {
	case b.changed <- struct{}{}:
	default: // the receiver will look anyway
	}
}

// Healthy implements Bus.
func (b *redisBus) Healthy() bool {
	return !b.closed.Load() && b.sends.Load() && b.receives.Load()
}

// Close implements Bus.
func (b *redisBus) Close() error {
	b.closeOnce.Do(func() {
		b.closed.Store(true)
		b.stop()
		b.running.Wait()
		for _, topic := range b.registry.wanted() {
			b.registry.closeTopic(topic)
		}
		b.closeErr = b.client.Close()
		b.metrics.unregister()
	})
	return b.closeErr
}

// send passes events to Redis. When one is lost, all that wait are dropped as
// stale, and the first thing to pass again is the news of the loss, which
// becomes a Gap for every subscriber elsewhere.
func (b *redisBus) send(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			b.flush()
			return
		case first := <-b.out:
			// Close does not cut it off: what is on its way are a node's last
			// words. The client's own timeouts bound it.
			err := b.publish(context.WithoutCancel(ctx), b.batch(first))
			if (err != nil || b.overflowed.Swap(false)) && !b.recoverSending(ctx, err) {
				return
			}
		}
	}
}

// batch returns first and what waits behind it, up to a pipeline's worth.
func (b *redisBus) batch(first outgoing) []outgoing {
	batch := []outgoing{first}
	for len(batch) < sendBatch {
		select {
		case next := <-b.out:
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}

func (b *redisBus) publish(ctx context.Context, batch []outgoing) error {
	pipe := b.client.Pipeline()
	for _, o := range batch {
		pipe.Publish(ctx, b.channel(o.topic), encodeFrame(b.id, frameEvent, o.payload))
	}
	_, err := pipe.Exec(ctx)
	if err != nil {
		b.metrics.droppedRedis.Add(float64(len(batch)))
	}
	return err
}

// recoverSending returns true once Redis has taken the news of a loss, false
// when the bus is closed first.
func (b *redisBus) recoverSending(ctx context.Context, err error) bool {
	if err != nil && ctx.Err() == nil {
		b.sends.Store(false)
		b.log.Warn("Redis is away: other nodes learn of events later, by reading the database", "redis", b.address, "err", err)
	}
	away := err != nil
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		b.dropWaiting()
		if err = b.client.Publish(ctx, b.control(), encodeFrame(b.id, frameGap, nil)).Err(); err == nil {
			break
		}
		if !wait(ctx, pause) {
			return false
		}
	}
	b.sends.Store(true)
	if away {
		b.log.Info("Redis takes events again", "redis", b.address)
	}
	return true
}

func (b *redisBus) dropWaiting() {
	b.overflowed.Store(false)
	for {
		select {
		case <-b.out:
			b.metrics.droppedRedis.Inc()
		default:
			return
		}
	}
}

// flush sends what waits when the bus is closed, such as a node's last words.
func (b *redisBus) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	for {
		select {
		case first := <-b.out:
			if b.publish(ctx, b.batch(first)) != nil {
				return
			}
		default:
			return
		}
	}
}

// wait pauses for about d; it answers false when ctx ends first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d/2 + rand.N(d))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
