// Package bus carries hints between the parts of a node and between nodes:
// "conversation 7 has event 12", "an account was disabled". In one process
// they pass directly; several nodes share a Redis.
//
// A hint is delivered at most once and is never the only copy of anything:
// what counts is in SQL. Whoever may have missed one is told by a Gap and then
// reads SQL. Events that one bus publishes under one topic arrive in order.
//
// The package knows no domain; topics and payloads are opaque to it.
package bus

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"commsd/internal/errcode"
)

// MaxPayload bounds an event's payload in bytes.
const MaxPayload = 1 << 20

// subscriptionQueue is how many events wait for a slow subscriber before they
// become one Gap.
const subscriptionQueue = 1024

// ErrClosed is returned after Close.
var ErrClosed error = errcode.New(errcode.Unavailable, "the server is stopping")

// Event is what a Subscription delivers.
type Event struct {
	Topic   string
	Payload []byte // shared by all subscribers: not to be changed
	// Gap: events of this topic may have been lost, because the subscription
	// has just become live, the subscriber was slow, or Redis was away. The
	// subscriber reads SQL; Payload is empty.
	Gap bool
}

// Bus is one node's end. Its methods may be called from many goroutines.
type Bus interface {
	// Publish hands an event to all subscribers of topic, on this node before
	// it returns, on others soon after. It never waits for Redis: while that
	// is away, other nodes miss the event and get a Gap afterwards. The error
	// is errcode.TooLarge or ErrClosed. The payload is the bus's from now on.
	Publish(ctx context.Context, topic string, payload []byte) error
	// Subscribe registers interest in a topic from now on and never waits.
	// With Redis, a Gap tells when events of other nodes come in as well.
	Subscribe(topic string) (*Subscription, error)
	// Healthy tells whether events reach other nodes at the moment.
	Healthy() bool
	// Close ends all subscriptions and waits for what the bus has started.
	Close() error
}

// Config says which bus to open.
type Config struct {
	// URL is the key redis.url: redis://:password@host:port/db (rediss:// with
	// TLS), or empty for one node alone. Installations that share a Redis
	// differ in db.
	URL string
	// Prefix begins the names of Redis's channels; empty means "commsd".
	Prefix string
	// Log gets a line when Redis goes and when it comes back; nil discards.
	Log *slog.Logger
	// Registerer gets the metrics; nil keeps them to oneself.
	Registerer prometheus.Registerer
}

// Open returns the bus of cfg. A failure is an errcode.Invalid error of one
// line that names redis.url and the cure.
func Open(ctx context.Context, cfg Config) (Bus, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	if cfg.URL == "" {
		return newMedium(m).Node(), nil
	}
	b, err := openRedis(ctx, cfg, m)
	if err != nil {
		m.unregister()
		return nil, err
	}
	return b, nil
}
