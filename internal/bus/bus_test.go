package bus_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"commsd/internal/bus"
	"commsd/internal/bus/bustest"
	"commsd/internal/errcode"
	"commsd/internal/testengine"
)

func TestMain(m *testing.M) { os.Exit(testengine.Main(m)) }

var ctx = context.Background()

func subscribe(t *testing.T, b bus.Bus, topic string) *bus.Subscription {
	t.Helper()
	s, err := b.Subscribe(topic)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func publish(t *testing.T, b bus.Bus, topic, payload string) {
	t.Helper()
	if err := b.Publish(ctx, topic, []byte(payload)); err != nil {
		t.Fatal(err)
	}
}

func TestEventsReachAllNodesInOrder(t *testing.T) {
	bustest.Each(t, func(t *testing.T, newBus func() bus.Bus) {
		one, two := newBus(), newBus()
		var subs []*bus.Subscription
		for _, b := range []bus.Bus{one, one, two} {
			subs = append(subs, subscribe(t, b, "a"))
		}
		other := subscribe(t, two, "b")
		for _, s := range subs {
			bustest.Live(t, one, s)
		}
		bustest.Live(t, one, other)
		// The probes of one subscription reach its neighbours, too.
		drain(subs...)
		const n = 300
		for i := range n {
			publish(t, one, "a", fmt.Sprint(i))
		}
		publish(t, one, "b", "")
		for at, s := range subs {
			for i := range n {
				e := bustest.Next(t, s)
				for strings.HasPrefix(string(e.Payload), "bustest-") {
					e = bustest.Next(t, s)
				}
				if e.Gap || e.Topic != "a" || string(e.Payload) != fmt.Sprint(i) {
					t.Fatalf("subscription %d: event %d is %q of %q (gap %v)", at, i, e.Payload, e.Topic, e.Gap)
				}
			}
		}
		if e := bustest.Next(t, other); e.Topic != "b" || e.Gap || len(e.Payload) != 0 {
			t.Errorf("the other topic got %+v", e)
		}
	})
}

func drain(subs ...*bus.Subscription) {
	for _, s := range subs {
		for len(s.C) > 0 {
			<-s.C
		}
	}
}

func TestSlowSubscriberGetsAGapAndGoesOn(t *testing.T) {
	bustest.Each(t, func(t *testing.T, newBus func() bus.Bus) {
		one, two := newBus(), newBus()
		slow := subscribe(t, two, "a")
		bustest.Live(t, one, slow)
		const n = 5000
		for i := range n {
			publish(t, two, "a", fmt.Sprint(i)) // its own node's events come at once
		}
		next := 0
		for {
			e := bustest.Next(t, slow)
			if e.Gap {
				break
			}
			if string(e.Payload) != fmt.Sprint(next) {
				t.Fatalf("got %q, want %d", e.Payload, next)
			}
			next++
		}
		if next == 0 || next >= n {
			t.Errorf("%d of %d events came before the gap", next, n)
		}
		drain(slow)
		publish(t, one, "a", "after")
		for string(bustest.Next(t, slow).Payload) != "after" {
		}
	})
}

func TestCloseEndsSubscriptions(t *testing.T) {
	bustest.Each(t, func(t *testing.T, newBus func() bus.Bus) {
		b := newBus()
		first, second := subscribe(t, b, "a"), subscribe(t, b, "a")
		var publishers sync.WaitGroup
		quit := make(chan struct{})
		publishers.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
					_ = b.Publish(ctx, "a", []byte("x")) // fails once the bus is closed
				}
			}
		})
		first.Close()
		first.Close()
		for range first.C { // ends, since C is closed
		}
		bustest.Next(t, second)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		for range second.C {
		}
		close(quit)
		publishers.Wait()
		if err := b.Publish(ctx, "a", nil); errcode.Of(err) != errcode.Unavailable {
			t.Errorf("Publish after Close: %v", err)
		}
		if _, err := b.Subscribe("a"); errcode.Of(err) != errcode.Unavailable {
			t.Errorf("Subscribe after Close: %v", err)
		}
		if b.Healthy() {
			t.Error("a closed bus is healthy")
		}
	})
}

func TestPayloadIsBounded(t *testing.T) {
	bustest.Each(t, func(t *testing.T, newBus func() bus.Bus) {
		one, two := newBus(), newBus()
		s := subscribe(t, two, "a")
		bustest.Live(t, one, s)
		large := bytes.Repeat([]byte{0xff}, bus.MaxPayload)
		if err := one.Publish(ctx, "a", append(large, 0)); errcode.Of(err) != errcode.TooLarge {
			t.Errorf("got %v", err)
		}
		if err := one.Publish(ctx, "a", large); err != nil {
			t.Error(err)
		}
		if e := bustest.Next(t, s); !bytes.Equal(e.Payload, large) {
			t.Errorf("got %d bytes, want %d", len(e.Payload), len(large))
		}
	})
}

// outage runs breakIt and mend on a Redis that two nodes use: meanwhile the
// node's own subscribers are served without delay, and afterwards the other
// node's get a gap and then events.
func outage(t *testing.T, breakIt, mend func(*testengine.RedisServer)) {
	server := testengine.Redis(t)
	one, two := bustest.Open(t, server.URL()), bustest.Open(t, server.URL())
	own, far := subscribe(t, one, "own"), subscribe(t, two, "far")
	bustest.Live(t, one, far)
	bustest.Live(t, one, own)
	bustest.Live(t, two, own)

	breakIt(server)
	for i := range 2000 { // while sent and received, before and after it is noticed
		publish(t, one, "far", "lost or not")
		publish(t, one, "own", fmt.Sprint("during ", i))
		if e := bustest.Next(t, own); string(e.Payload) != fmt.Sprint("during ", i) {
			t.Fatalf("the node's own subscriber got %q (gap %v), want event %d", e.Payload, e.Gap, i)
		}
	}
	waitFor(t, "the bus to notice", func() bool { return !one.Healthy() })
	late := subscribe(t, two, "late") // must not wait for Redis either
	mend(server)

	bustest.NextGap(t, far)
	waitFor(t, "the bus to recover", func() bool { return one.Healthy() && two.Healthy() })
	bustest.Live(t, one, far)
	bustest.Live(t, one, late)
}

// waitFor looks again every few milliseconds.
func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !is() {
		select {
		case <-again.C:
		case <-deadline.C:
			t.Fatalf("waited too long for %s", what)
		}
	}
}

func TestRedisStoppedAndStarted(t *testing.T) {
	outage(t, func(s *testengine.RedisServer) { s.Stop(t) }, func(s *testengine.RedisServer) { s.Start(t) })
}

func TestRedisFrozen(t *testing.T) {
	outage(t, func(s *testengine.RedisServer) { s.Pause(t) }, func(s *testengine.RedisServer) { s.Resume(t) })
}

func TestRedisFrozenAndReplaced(t *testing.T) {
	outage(t, func(s *testengine.RedisServer) { s.Pause(t) }, func(s *testengine.RedisServer) { s.Stop(t); s.Start(t) })
}

func TestInstallationsOnOneRedisDoNotMeet(t *testing.T) {
	server := testengine.Redis(t)
	here := bustest.Open(t, server.URL())
	there := bustest.Open(t, strings.TrimSuffix(server.URL(), "/0")+"/1")
	mine, theirs := subscribe(t, here, "a"), subscribe(t, there, "a")
	bustest.Live(t, here, mine)
	bustest.Live(t, there, theirs)
	drain(mine, theirs)
	second := bustest.Open(t, server.URL())
	secondSub := subscribe(t, second, "a")
	bustest.Live(t, here, secondSub) // what here publishes has passed Redis
	bustest.Live(t, there, theirs)
	for len(theirs.C) > 0 {
		t.Errorf("an event crossed over: %+v", <-theirs.C)
	}
}

func TestUnusableRedisNamesKeyAndCure(t *testing.T) {
	server := testengine.Redis(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	l.Close()
	for what, url := range map[string]string{
		"nobody listens": "redis://:hush-hush@" + free + "/0",
		"not a URL":      "redis://:hush-hush@%zz/0",
		"no scheme":      "localhost:hush-hush",
		"wrong password": "redis://:hush-hush@" + server.Addr() + "/0",
		"no password":    "redis://" + server.Addr(),
	} {
		reg := prometheus.NewRegistry()
		_, err := bus.Open(ctx, bus.Config{URL: url, Registerer: reg})
		if errcode.Of(err) != errcode.Invalid || !strings.HasPrefix(errcode.Message(err), "redis.url: ") {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if s := err.Error(); strings.Contains(s, "\n") || strings.Contains(s, "hush-hush") {
			t.Errorf("%s: not one line, or with the password: %q", what, s)
		}
		if left, err := reg.Gather(); err != nil || len(left) > 0 {
			t.Errorf("%s: metrics stay registered: %v %v", what, left, err)
		}
	}
}

// More topics than fit one command, some of which come and go.
func TestManyTopics(t *testing.T) {
	bustest.Each(t, func(t *testing.T, newBus func() bus.Bus) {
		one, two := newBus(), newBus()
		const many = 1200
		var subs []*bus.Subscription
		for i := range many {
			subs = append(subs, subscribe(t, two, fmt.Sprint("topic ", i)))
		}
		for _, i := range []int{0, 499, 500, 1199} {
			bustest.Live(t, one, subs[i])
		}
		for i, s := range subs {
			if i%2 == 0 {
				s.Close()
			}
		}
		again := subscribe(t, two, "topic 0")
		bustest.Live(t, one, again)
		bustest.Live(t, one, subs[1199])
		for range subs[0].C { // ended when it was closed
		}
		publish(t, one, "topic 0", "for the new one alone")
		if e := bustest.Next(t, again); string(e.Payload) != "for the new one alone" {
			t.Errorf("got %+v", e)
		}
	})
}

// What others publish on our channels is counted and dropped.
func TestForeignBytesAreDropped(t *testing.T) {
	server := testengine.Redis(t)
	reg := prometheus.NewRegistry()
	b, err := bus.Open(ctx, bus.Config{URL: server.URL(), Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	sub := subscribe(t, b, "a")
	other := bustest.Open(t, server.URL())
	bustest.Live(t, other, sub)
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	for _, junk := range []string{"", "junk", "\x01" + strings.Repeat("x", 16) + "z", strings.Repeat("\x01", 2<<20)} {
		for _, channel := range []string{"commsd:0:t:a", "commsd:0:control"} {
			if n, err := client.Publish(ctx, channel, junk).Result(); err != nil || n == 0 {
				t.Fatalf("%s: %d receivers, %v", channel, n, err)
			}
		}
	}
	publish(t, other, "a", "good")
	if e := bustest.Next(t, sub); string(e.Payload) != "good" || e.Gap {
		t.Errorf("got %.20q (gap %v)", e.Payload, e.Gap)
	}
	if got := value(t, reg, "commsd_bus_dropped_events_total", "malformed"); got != 8 {
		t.Errorf("%v foreign messages were counted, want 8", got)
	}
	if got := value(t, reg, "commsd_bus_connected", ""); got != 1 {
		t.Errorf("connected is %v", got)
	}
}

// value reads a metric, of one reason where it has several.
func value(t *testing.T, reg *prometheus.Registry, name, reason string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (reason == "" || m.GetLabel()[0].GetValue() == reason) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// The last words of a node that stops reach the others.
func TestCloseSendsWhatWaits(t *testing.T) {
	bustest.Each(t, func(t *testing.T, newBus func() bus.Bus) {
		one, two := newBus(), newBus()
		sub := subscribe(t, two, "a")
		bustest.Live(t, one, sub)
		const n = 200
		for i := range n {
			publish(t, one, "a", fmt.Sprint(i))
		}
		if err := one.Close(); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if e := bustest.Next(t, sub); string(e.Payload) != fmt.Sprint(i) {
				t.Fatalf("event %d is %q (gap %v)", i, e.Payload, e.Gap)
			}
		}
	})
}
