// Package bustest runs a test on every implementation of bus.Bus: in-process,
// and on a Redis of its own.
//
// For tests only. The package that uses it has in one of its test files
//
//	func TestMain(m *testing.M) { os.Exit(testengine.Main(m)) }
package bustest

import (
	"context"
	"testing"
	"time"

	"commsd/internal/bus"
	"commsd/internal/testengine"
)

// patience bounds every wait for an event on a busy machine.
const patience = 30 * time.Second

// Each runs fn as the subtests "in-process" and "redis". newBus returns one
// more bus on the same medium, as another node has it, open until the test ends.
func Each(t *testing.T, fn func(t *testing.T, newBus func() bus.Bus)) {
	t.Helper()
	t.Run("in-process", func(t *testing.T) {
		medium := bus.NewMedium()
		fn(t, func() bus.Bus { return closed(t, medium.Node()) })
	})
	t.Run("redis", func(t *testing.T) {
		server := testengine.Redis(t)
		fn(t, func() bus.Bus { return Open(t, server.URL()) })
	})
}

// Open returns a bus on the Redis at url, open until the test ends.
func Open(t *testing.T, url string) bus.Bus {
	t.Helper()
	b, err := bus.Open(context.Background(), bus.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	return closed(t, b)
}

func closed(t *testing.T, b bus.Bus) bus.Bus {
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close the bus: %v", err)
		}
	})
	return b
}

// Live waits until events that from publishes reach sub, and empties sub of
// what the waiting brought.
func Live(t *testing.T, from bus.Bus, sub *bus.Subscription) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	const probe, last = "bustest-probe", "bustest-last"
	publish := func(what string) {
		if err := from.Publish(context.Background(), sub.Topic(), []byte(what)); err != nil {
			t.Fatal(err)
		}
	}
	publish(probe)
	for asked := false; ; {
		select {
		case e, ok := <-sub.C:
			switch {
			case !ok:
				t.Fatal("the subscription was closed")
			case string(e.Payload) == last:
				return
			case string(e.Payload) == probe && !asked:
				asked = true // it is live: what follows in order ends with the last
				publish(last)
			}
		case <-again.C:
			if !asked {
				publish(probe)
			}
		case <-deadline.C:
			t.Fatalf("no event reaches the subscription of %q", sub.Topic())
		}
	}
}

// Next returns the next event of sub.
func Next(t *testing.T, sub *bus.Subscription) bus.Event {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	select {
	case e, ok := <-sub.C:
		if !ok {
			t.Fatalf("the subscription of %q is closed", sub.Topic())
		}
		return e
	case <-deadline.C:
		t.Fatalf("no event on %q", sub.Topic())
	}
	return bus.Event{}
}

// NextGap passes over events until a Gap comes.
func NextGap(t *testing.T, sub *bus.Subscription) {
	t.Helper()
	for !Next(t, sub).Gap {
	}
}
