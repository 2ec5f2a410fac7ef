package sfu_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"commsd/internal/testpeer/meetingpeer"
)

// A server runs for months: people who come and go leave nothing behind, long
// before it ends.
func TestParticipantsLeaveNothingBehind(t *testing.T) {
	s := serve(t)
	visit := func(t *testing.T, network webrtc.NetworkType) {
		cfg := &meetingpeer.MediaConfig{Networks: []webrtc.NetworkType{network}}
		an, chi := join(t, s, everything("r", "an"), cfg), join(t, s, everything("r", "chi"), cfg)
		pub, _ := an.publish(camera("cam"))
		an.pump(pub, vp8)
		chi.next(chi.track(), nil)
	}
	stay := join(t, s, everything("other", "stay"), nil)
	stay.up()
	// The first visit warms what is kept on purpose.
	t.Run("first", func(t *testing.T) { visit(t, webrtc.NetworkTypeUDP4) })
	base := settle(t, 0)
	for range 8 {
		t.Run("udp", func(t *testing.T) { visit(t, webrtc.NetworkTypeUDP4) })
		t.Run("tcp", func(t *testing.T) { visit(t, webrtc.NetworkTypeTCP4) })
	}
	if left := settle(t, base); left > base+3 { // each visit has dozens
		buf := make([]byte, 1<<20)
		t.Fatalf("%d goroutines, %d before the visits\n%s", left, base, buf[:runtime.Stack(buf, true)])
	}
}

// settle waits until the number of goroutines is no more than want, or has not
// fallen for a while, and returns it.
func settle(t *testing.T, want int) int {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	least, still := runtime.NumGoroutine(), 0
	for still < 150 && least > want {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the test is over")
		}
		if n := runtime.NumGoroutine(); n < least {
			least, still = n, 0
		} else {
			still++
		}
	}
	return least
}
