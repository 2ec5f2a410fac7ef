package sfu

import (
	"testing"
	"time"
)

// A client that asks again and again for what is on the way, or for more than
// its line carries beside the picture, does not get it.
func TestResendingIsBounded(t *testing.T) {
	high, _ := stage(t, 1)
	out := &recorder{}
	d := (*high.track.subs.Load())[0]
	d.writer = out
	src := &source{l: high, name: 'a', seq: 100, ts: 5, pid: 7, tl0: 3}
	now := clockBase.Add(time.Minute)
	for i := range 40 {
		src.frame(t, i < 3, now)
		d.p.room.allocate(d.p, int64(now.Sub(clockBase)))
	}
	sent := len(out.got)
	if sent < 30 {
		t.Fatalf("%d packets sent", sent)
	}
	lost := out.got[sent-1].SequenceNumber
	for range 20 {
		d.resend(lost)
	}
	if again := len(out.got) - sent; again != resentMost {
		t.Errorf("one packet was sent again %d times, want %d", again, resentMost)
	}
	// Of a subscriber that gives feedback, a share of what it can take.
	c := d.p.sub.congestion
	c.feedback.Store(true)
	at := int64(time.Minute)
	bytes := 0
	for range 10_000 {
		if c.mayResend(at, 1000, false) {
			bytes += 1000
		}
	}
	share := int(resendShare * startBitrate / 8)
	if bytes < share/4 || bytes > share {
		t.Errorf("%d bytes at once, of %d a second", bytes, share)
	}
	if c.mayResend(at+int64(20*time.Millisecond), 1000, true) {
		t.Error("what is old takes the last of it")
	}
	if !c.mayResend(at+int64(20*time.Millisecond), 1000, false) {
		t.Error("nothing more after a while")
	}
}
