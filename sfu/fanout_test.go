package sfu

import (
	"encoding/binary"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtp"
)

// list notes the numbers of the packets that a subscriber gets.
type list struct {
	mu      sync.Mutex
	numbers []uint16
	gate    chan struct{} // closed to let packets through; nil: open
}

func (s *list) WriteRTP(h *rtp.Header, payload []byte) (int, error) {
	if s.gate != nil {
		<-s.gate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// The source's number, which the payload repeats: a copy that is used again too
	// early would show.
	if binary.BigEndian.Uint16(payload[len(payload)-2:]) != binary.BigEndian.Uint16(payload[4:]) {
		s.numbers = append(s.numbers, 0)
	}
	s.numbers = append(s.numbers, binary.BigEndian.Uint16(payload[4:]))
	return len(payload), nil
}

func (s *list) Write([]byte) (int, error) { return 0, nil }

func (s *list) got() []uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.numbers)
}

// parallel is a stage whose packets go by lanes.
func parallel(t testing.TB, subscribers int) (*layer, []*list) {
	t.Helper()
	l, _ := stage(t, subscribers)
	s := l.pub.p.room.sfu
	s.procs, s.cfg.FanOut = 4, 10
	lists := make([]*list, subscribers)
	for i, d := range *l.track.subs.Load() {
		lists[i] = &list{}
		d.writer = lists[i]
	}
	return l, lists
}

// numbered is frame with its number in the payload.
func numbered(t testing.TB, n int) []byte {
	raw := frame(t, n == 1)
	binary.BigEndian.PutUint16(raw[rtpHeader+4:], uint16(n))
	binary.BigEndian.PutUint16(raw[len(raw)-2:], uint16(n))
	return raw
}

func TestLanes(t *testing.T) {
	l, _ := parallel(t, 1)
	s := l.pub.p.room.sfu
	for _, c := range []struct{ procs, fanOut, subscribers, want int }{
		{4, 10, 9, 0}, {4, 10, 10, 2}, {4, 10, 15, 3}, {4, 10, 1000, 4}, {1, 10, 1000, 0}, {4, -1, 1000, 0}, {4, 1, 1, 2},
	} {
		s.procs, s.cfg.FanOut = c.procs, c.fanOut
		if got := s.lanesFor(c.subscribers); got != c.want {
			t.Errorf("%+v: %d lanes", c, got)
		}
	}
}

// Who receives by a lane gets every packet of its time, once and in order, while
// others come and go and their number passes the threshold both ways.
func TestLanesKeepTheOrder(t *testing.T) {
	const packets = 600
	l, lists := parallel(t, 30)
	all := *l.track.subs.Load()
	var pkt packet
	for n := 1; n <= packets; n++ {
		switch n % 20 {
		case 5: // few are left
			few := slices.Clone(all[:3])
			l.track.subs.Store(&few)
		case 10:
			l.track.subs.Store(&all)
		case 15: // another share for everybody
			turned := append(slices.Clone(all[11:]), all[:11]...)
			l.track.subs.Store(&turned)
		}
		if !feed(l, &pkt, numbered(t, n), n, time.Now()) {
			t.Fatal("not a packet")
		}
	}
	l.pub.loops.Wait()
	for i, s := range lists {
		var want []uint16
		for n := 1; n <= packets; n++ {
			if at := n % 20; i < 3 || at < 5 || at >= 10 {
				want = append(want, uint16(n))
			}
		}
		if got := s.got(); !slices.Equal(got, want) {
			t.Fatalf("subscriber %d got %d packets, want %d: %v", i, len(got), len(want), got)
		}
	}
}

// A lane that does not get on keeps nothing for ever: its publisher waits.
func TestFullLaneIsWaitedFor(t *testing.T) {
	const packets = 4 * laneQueue
	l, lists := parallel(t, 20)
	gate := make(chan struct{})
	lists[19].gate = gate
	var fed atomic.Int32
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var pkt packet
		for n := 1; n <= packets; n++ {
			feed(l, &pkt, numbered(t, n), n, time.Now())
			fed.Add(1)
		}
	}()
	full := func() bool {
		l.fan.mu.Lock()
		defer l.fan.mu.Unlock()
		return len(l.fan.lanes) > 0 && len(l.fan.lanes[len(l.fan.lanes)-1].queue) >= laneQueue
	}
	for !full() {
		runtime.Gosched()
	}
	for range 10_000 { // time for a publisher that does not wait
		runtime.Gosched()
	}
	// The lane has a batch besides, which is no more than its queue.
	if n := fed.Load(); n > 2*laneQueue {
		t.Errorf("%d packets were taken in", n)
	}
	close(gate)
	<-ended
	l.pub.loops.Wait()
	for i, s := range lists {
		if got := s.got(); len(got) != packets || !slices.IsSorted(got) {
			t.Errorf("subscriber %d got %d of %d packets", i, len(got), packets)
		}
	}
}

// Lanes cost the garbage collector nothing either.
func TestFanOutAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, and has pools forget; make go-test runs this without")
	}
	l, sinks := stage(t, 100)
	l.pub.p.room.sfu.procs = 2
	var pkt packet
	raw := frame(t, true)
	n := 0
	at := time.Now()
	step := func() {
		n, at = n+1, at.Add(time.Millisecond)
		feed(l, &pkt, raw, n, at)
	}
	for range 2000 { // rings, pools and queues fill
		step()
	}
	if len(l.fan.lanes) != 2 {
		t.Fatalf("%d lanes", len(l.fan.lanes))
	}
	if allocs := testing.AllocsPerRun(2000, step); allocs >= 1 {
		t.Errorf("%v allocations a packet to %d subscribers", allocs, len(sinks))
	}
	l.pub.loops.Wait()
	if sinks[0].packets != n || sinks[99].packets != n {
		t.Errorf("%d and %d of %d packets came through", sinks[0].packets, sinks[99].packets, n)
	}
}
