package sfu

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// A panic ends the connection, or the room, that it comes from, and no other.
func TestPanicIsKept(t *testing.T) {
	s, err := New(Config{UDPListen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	run, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(run) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	wait, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	place := func(room, identity string) (*Participant, chan EventLeft) {
		left := make(chan EventLeft, 1)
		p, err := s.Join(wait, JoinRequest{Room: room, Identity: identity, Events: func(e Event) {
			if l, ok := e.(EventLeft); ok {
				left <- l
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		return p, left
	}
	lost := func(left chan EventLeft) {
		t.Helper()
		select {
		case l := <-left:
			if l.Action != ActionReconnect || l.Reason != ReasonMediaFailure {
				t.Errorf("left with %+v", l)
			}
		case <-wait.Done():
			t.Fatal("a place whose room or connection failed does not end")
		}
	}
	var nothing func() // to be called
	other, otherLeft := place("other", "witness")
	an, anLeft := place("r", "an")
	binh, binhLeft := place("r", "binh")
	an.pub.queue.Do(func() { nothing() })
	lost(anLeft)
	if _, err := binh.Info(wait); err != nil {
		t.Errorf("who shared a room with it: %v", err)
	}
	_, chiLeft := place("r", "chi")
	if _, err := act(wait, s, "r", false, func(*room) (int, error) { nothing(); return 0, nil }); err == nil {
		t.Error("a room answers though it failed")
	}
	lost(binhLeft)
	lost(chiLeft)
	if n := testutil.ToFloat64(s.metrics.panics); n != 2 {
		t.Errorf("%v panics are counted", n)
	}
	again, againLeft := place("r", "an")
	for _, p := range []*Participant{other, again} {
		if _, err := p.Info(wait); err != nil {
			t.Errorf("%s: %v", p.identity, err)
		}
	}
	select {
	case l := <-otherLeft:
		t.Errorf("another room's left with %+v", l)
	case l := <-againLeft:
		t.Errorf("who came again left with %+v", l)
	default:
	}
}
