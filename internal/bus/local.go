package bus

import (
	"context"
	"sync"

	"commsd/internal/errcode"
)

// Subscription delivers the events of one topic.
type Subscription struct {
	// C delivers the events and is closed by Close. A subscriber that does not
	// keep up gets a Gap for what it missed.
	C <-chan Event

	topic    string
	registry *registry

	mu     sync.Mutex
	queue  chan Event // sent to and closed under mu only
	closed bool
}

// Topic returns what was subscribed to.
func (s *Subscription) Topic() string { return s.topic }

// Close ends the subscription. It may be called more than once, and while
// events come in.
func (s *Subscription) Close() {
	s.registry.remove(s)
	s.end()
}

func (s *Subscription) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.queue)
	}
}

// push queues e. The queue's last place is kept for a Gap: whatever is dropped
// while that one waits is older than the moment it is read.
func (s *Subscription) push(e Event, m *metrics) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	switch free := cap(s.queue) - len(s.queue); {
	case free > 1:
	case free == 1:
		if !e.Gap {
			m.droppedSlow.Inc()
		}
		e = Event{Topic: s.topic, Gap: true}
	default:
		if !e.Gap {
			m.droppedSlow.Inc()
		}
		return
	}
	if e.Gap {
		m.gaps.Inc()
	}
	s.queue <- e
}

// registry holds the subscriptions of one or more buses of this process.
type registry struct {
	metrics *metrics
	changed func() // called without the lock after a topic came or went; may be nil

	mu     sync.RWMutex
	topics map[string]map[*Subscription]struct{}
	dirty  map[string]struct{} // topics that came or went; kept only with changed
}

func newRegistry(m *metrics, changed func()) *registry {
	return &registry{metrics: m, changed: changed,
		topics: map[string]map[*Subscription]struct{}{}, dirty: map[string]struct{}{}}
}

func (r *registry) add(topic string) *Subscription {
	queue := make(chan Event, subscriptionQueue)
	s := &Subscription{C: queue, topic: topic, registry: r, queue: queue}
	r.mu.Lock()
	subs := r.topics[topic]
	if subs == nil {
		subs = map[*Subscription]struct{}{}
		r.topics[topic] = subs
	}
	subs[s] = struct{}{}
	first := len(subs) == 1
	if first && r.changed != nil {
		r.dirty[topic] = struct{}{}
	}
	r.mu.Unlock()
	if first && r.changed != nil {
		r.changed()
	}
	return s
}

func (r *registry) remove(s *Subscription) {
	r.mu.Lock()
	subs := r.topics[s.topic]
	delete(subs, s)
	last := subs != nil && len(subs) == 0
	if last {
		delete(r.topics, s.topic)
		if r.changed != nil {
			r.dirty[s.topic] = struct{}{}
		}
	}
	r.mu.Unlock()
	if last && r.changed != nil {
		r.changed()
	}
}

// deliver hands e to the subscribers of its topic.
func (r *registry) deliver(e Event) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for s := range r.topics[e.Topic] {
		s.push(e, r.metrics)
	}
}

// gapAll tells every subscriber of a gap.
func (r *registry) gapAll() {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for topic, subs := range r.topics {
		for s := range subs {
			s.push(Event{Topic: topic, Gap: true}, r.metrics)
		}
	}
}

// closeTopic ends the subscriptions of a topic.
func (r *registry) closeTopic(topic string) {
	r.mu.Lock()
	subs := r.topics[topic]
	delete(r.topics, topic)
	r.mu.Unlock()
	for s := range subs {
		s.end()
	}
}

// wanted returns the topics that have subscribers.
func (r *registry) wanted() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]string, 0, len(r.topics))
	for topic := range r.topics {
		all = append(all, topic)
	}
	return all
}

// changes returns the topics that came or went since the last call, and
// whether each has subscribers now.
func (r *registry) changes() map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.dirty) == 0 {
		return nil
	}
	now := make(map[string]bool, len(r.dirty))
	for topic := range r.dirty {
		now[topic] = len(r.topics[topic]) > 0
	}
	clear(r.dirty)
	return now
}

// Medium joins buses of one process, for tests that run several nodes in it.
type Medium struct{ registry *registry }

// NewMedium returns a medium without nodes.
func NewMedium() *Medium {
	m, _ := newMetrics(nil) // cannot fail without a registerer
	return newMedium(m)
}

func newMedium(m *metrics) *Medium { return &Medium{registry: newRegistry(m, nil)} }

// Node returns one more bus on the medium.
func (m *Medium) Node() Bus { return &local{registry: m.registry} }

// local is a bus whose nodes are all in this process.
type local struct {
	registry *registry

	mu     sync.Mutex
	closed bool
	mine   []*Subscription // guarded by mu; closed ones are swept when it grows
}

var _ Bus = (*local)(nil)

// Publish implements Bus.
func (l *local) Publish(_ context.Context, topic string, payload []byte) error {
	if err := checkPayload(payload); err != nil {
		return err
	}
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return ErrClosed
	}
	l.registry.metrics.published.Inc()
	l.registry.deliver(Event{Topic: topic, Payload: payload})
	return nil
}

// Subscribe implements Bus.
func (l *local) Subscribe(topic string) (*Subscription, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	if len(l.mine) == cap(l.mine) {
		l.mine = sweep(l.mine)
	}
	s := l.registry.add(topic)
	l.mine = append(l.mine, s)
	return s, nil
}

// Healthy implements Bus.
func (l *local) Healthy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.closed
}

// Close implements Bus.
func (l *local) Close() error {
	l.mu.Lock()
	mine := l.mine
	l.closed, l.mine = true, nil
	l.mu.Unlock()
	for _, s := range mine {
		s.Close()
	}
	l.registry.metrics.unregister()
	return nil
}

// sweep drops the closed subscriptions.
func sweep(all []*Subscription) []*Subscription {
	open := all[:0]
	for _, s := range all {
		s.mu.Lock()
		if !s.closed {
			open = append(open, s)
		}
		s.mu.Unlock()
	}
	clear(all[len(open):])
	return open
}

func checkPayload(payload []byte) error {
	if len(payload) > MaxPayload {
		return errcode.New(errcode.TooLarge, "an event has %d bytes; the bus takes %d", len(payload), MaxPayload)
	}
	return nil
}
