package sfu

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	var p pace
	now := time.Unix(1, 0)
	if d := p.take(dataAtOnce, now, false); d != 0 {
		t.Fatalf("what may go at once waits %v", d)
	}
	if d := p.take(1000, now, true); d <= 0 {
		t.Fatal("nothing is left, yet a lossy packet goes on")
	}
	if d := p.take(dataASecond, now, false); d != time.Second {
		t.Fatalf("a second's worth waits %v", d)
	}
	if d := p.take(dataASecond, now, false); d != 2*time.Second {
		t.Fatalf("the next second's worth waits %v", d)
	}
	now = now.Add(3 * time.Second)
	if d := p.take(dataASecond, now, true); d != 0 {
		t.Fatalf("after a rest a lossy packet waits %v", d)
	}
	now = now.Add(time.Hour)
	if d := p.take(dataAtOnce, now, false); d != 0 {
		t.Fatalf("after a long rest, what may go at once waits %v", d)
	}
	if d := p.take(dataASecond, now, false); d != time.Second {
		t.Fatalf("rest was saved up: %v", d)
	}
}
