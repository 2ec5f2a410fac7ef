package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	pingInterval   = 2 * time.Second // of the receiving connection
	silenceLimit   = 5 * time.Second // after which it counts as dead
	subscribeBatch = 500             // topics of one command
)

var errSilent = errors.New("redis does not answer")

// receive holds one connection after the other on which Redis delivers. Each
// is made anew rather than mended by the library, which would hide the break.
func (b *redisBus) receive(ctx context.Context) {
	warned := false
	for pause := firstPause; ; {
		began := time.Now()
		err := b.receiveOnce(ctx, func() {
			b.receives.Store(true)
			b.metrics.connected.Set(1)
			if warned {
				b.log.Info("Redis delivers events again", "redis", b.address)
			}
			warned = false
		})
		b.receives.Store(false)
		b.metrics.connected.Set(0)
		if ctx.Err() != nil {
			return
		}
		if !warned {
			b.log.Warn("Redis is away: events of other nodes are read from the database, slower", "redis", b.address, "err", err)
			warned = true
		}
		if time.Since(began) > longestPause {
			pause = firstPause
		}
		if !wait(ctx, pause) {
			return
		}
		pause = min(2*pause, longestPause)
	}
}

// receiveOnce serves one connection until it breaks or ctx ends. connected is
// called when Redis has confirmed the first subscription.
func (b *redisBus) receiveOnce(ctx context.Context, connected func()) error {
	ps := b.client.Subscribe(ctx) // connects at the first command
	c := &connection{bus: b, ps: ps}
	c.heard.Store(time.Now().UnixNano())
	if err := ps.Subscribe(ctx, b.control()); err != nil {
		_ = ps.Close()
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var keeper sync.WaitGroup
	var keepErr error
	keeper.Go(func() {
		keepErr = c.keep(ctx)
		_ = ps.Close() // ends the loop below
	})
	err := c.loop(ctx, connected)
	cancel()
	keeper.Wait()
	if keepErr != nil && !errors.Is(keepErr, context.Canceled) {
		err = keepErr
	}
	return err
}

// connection is one receiving connection.
type connection struct {
	bus   *redisBus
	ps    *redis.PubSub
	heard atomic.Int64 // when Redis last sent something, in Unix nanoseconds
}

// loop delivers what Redis sends. Whenever Redis confirms a subscription its
// subscribers get a Gap: events before that moment may have passed them by.
func (c *connection) loop(ctx context.Context, connected func()) error {
	b := c.bus
	for {
		received, err := c.ps.Receive(ctx)
		if err != nil {
			return err
		}
		c.heard.Store(time.Now().UnixNano())
		switch m := received.(type) {
		case *redis.Subscription:
			topic, isTopic := strings.CutPrefix(m.Channel, b.prefix+"t:")
			switch {
			case m.Kind != "subscribe":
			case isTopic:
				b.registry.deliver(Event{Topic: topic, Gap: true})
			case m.Channel == b.control():
				connected()
			}
		case *redis.Message:
			c.message(m)
		case *redis.Pong:
		default:
			return fmt.Errorf("redis sent an unknown message %T", received)
		}
	}
}

func (c *connection) message(m *redis.Message) {
	b := c.bus
	id, kind, payload, ok := decodeFrame([]byte(m.Payload))
	topic, isTopic := strings.CutPrefix(m.Channel, b.prefix+"t:")
	switch {
	case !ok:
		b.metrics.droppedFrame.Inc()
	case id == b.id: // delivered when it was published
	case kind == frameGap:
		b.registry.gapAll()
	case isTopic:
		b.metrics.received.Inc()
		b.registry.deliver(Event{Topic: topic, Payload: payload})
	}
}

// keep subscribes to what the registry wants, and finds out when the
// connection is dead although nobody has said so.
func (c *connection) keep(ctx context.Context) error {
	b := c.bus
	ping := time.NewTicker(pingInterval)
	defer ping.Stop()
	// Changes from before are part of what is wanted from the start.
	subscribed := map[string]bool{}
	changes := b.registry.changes()
	for _, topic := range b.registry.wanted() {
		if changes == nil {
			changes = map[string]bool{}
		}
		changes[topic] = true
	}
	for {
		if err := c.follow(ctx, changes, subscribed); err != nil {
			return err
		}
		changes = nil
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-b.changed:
			changes = b.registry.changes()
		case now := <-ping.C:
			if now.Sub(time.Unix(0, c.heard.Load())) > silenceLimit {
				return errSilent
			}
			if err := c.ps.Ping(ctx); err != nil {
				return err
			}
		}
	}
}

// follow brings subscribed in line with the changes of the registry.
func (c *connection) follow(ctx context.Context, changes, subscribed map[string]bool) error {
	var more, less []string
	for topic, wanted := range changes {
		switch {
		case wanted && !subscribed[topic]:
			subscribed[topic] = true
			more = append(more, c.bus.channel(topic))
		case !wanted && subscribed[topic]:
			delete(subscribed, topic)
			less = append(less, c.bus.channel(topic))
		}
	}
	for len(more) > 0 {
		n := min(len(more), subscribeBatch)
		if err := c.ps.Subscribe(ctx, more[:n]...); err != nil {
			return err
		}
		more = more[n:]
	}
	for len(less) > 0 {
		n := min(len(less), subscribeBatch)
		if err := c.ps.Unsubscribe(ctx, less[:n]...); err != nil {
			return err
		}
		less = less[n:]
	}
	return nil
}
