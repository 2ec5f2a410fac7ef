package sfu

import (
	"sync"
	"sync/atomic"
)

const (
	// defaultFanOut is from how many subscribers on the ways of several processors
	// take less time than one.
	defaultFanOut = 50
	// laneQueue is how many packets may wait for a lane. The publisher's next ones
	// wait where they came in, then.
	laneQueue = 128
)

// fan sends a layer's packets to the subscribers of its track: to few of them
// where the packets come in, to many by lanes, each of which serves a part of
// them on a goroutine that exists only while there is something to send. So what
// one processor takes long for is done by several, and the next packet is read
// meanwhile.
//
// A subscriber gets its packets in order: it is served by one lane, and by
// another only once all have nothing left to do.
type fan struct {
	mu    sync.Mutex
	calm  sync.Cond     // waits for busy to be 0, or room in a lane
	subs  *[]*downTrack // guarded by mu; whom the lanes serve
	lanes []*lane       // guarded by mu; of subs; none: they are few
	spare []*lane       // guarded by mu; that are not in use
	busy  int           // guarded by mu; lanes that run
}

// lane serves a part of a layer's subscribers.
type lane struct {
	layer *layer
	work  func() // run; made once, so that starting it allocates nothing

	// Changed while the lane does not run.
	subs []*downTrack

	queue   []*sharedPacket // guarded by fan.mu
	batch   []*sharedPacket // being sent; owned by run
	running bool            // guarded by fan.mu
}

// sharedPacket is a packet on its way through the lanes. It is pooled.
type sharedPacket struct {
	left    atomic.Int32 // lanes that have not sent it yet
	pkt     packet
	picture picture
	now     int64
	buf     [maxRTPBytes]byte
}

var sharedPackets = sync.Pool{New: func() any { return new(sharedPacket) }}

// lanesFor is how many lanes serve so many subscribers, 0 for none.
func (s *SFU) lanesFor(subscribers int) int {
	if s.cfg.FanOut < 0 || subscribers < s.cfg.FanOut || s.procs < 2 {
		return 0
	}
	return min(s.procs, max(2, 2*subscribers/s.cfg.FanOut))
}

// forward sends a packet to all subscribers. It is called for one packet at a
// time.
func (f *fan) forward(l *layer, pkt *packet, v *picture, now int64) {
	subs := l.track.subs.Load()
	f.mu.Lock()
	if f.subs != subs {
		f.divide(l, subs)
	}
	if len(f.lanes) > 0 {
		f.share(l, pkt, v, now)
		f.mu.Unlock()
		return
	}
	f.mu.Unlock()
	sent := 0
	for _, d := range *subs {
		if d.forward(l, pkt, v, now) {
			sent++
		}
	}
	l.pub.p.room.sfu.metrics.forwarded.Add(float64(sent))
}

// divide deals subs out among the lanes, once these have sent what they have.
// f.mu is held.
func (f *fan) divide(l *layer, subs *[]*downTrack) {
	for f.busy > 0 {
		f.calm.Wait()
	}
	f.subs = subs
	f.spare, f.lanes = append(f.spare, f.lanes...), f.lanes[:0]
	all, count := *subs, l.pub.p.room.sfu.lanesFor(len(*subs))
	for i := range count {
		var n *lane
		if last := len(f.spare) - 1; last >= 0 {
			n, f.spare = f.spare[last], f.spare[:last]
		} else {
			n = &lane{layer: l}
			n.work = n.run
			f.calm.L = &f.mu
		}
		n.subs = all[i*len(all)/count : (i+1)*len(all)/count]
		f.lanes = append(f.lanes, n)
	}
	for _, n := range f.spare {
		n.subs = nil
	}
}

// share gives the lanes a copy of the packet. f.mu is held.
func (f *fan) share(l *layer, pkt *packet, v *picture, now int64) {
	s := sharedPackets.Get().(*sharedPacket)
	s.pkt, s.picture, s.now = *pkt, *v, now
	s.pkt.ext, s.pkt.payload = nil, s.buf[:copy(s.buf[:], pkt.payload)]
	s.left.Store(int32(len(f.lanes)))
	for _, n := range f.lanes {
		for len(n.queue) >= laneQueue {
			f.calm.Wait()
		}
		n.queue = append(n.queue, s)
		if !n.running {
			n.running = true
			f.busy++
			l.pub.loops.Add(1)
			go n.work()
		}
	}
}

// take gives a lane what waits for it. Without anything the lane ends, unless
// it has something to finish first.
func (f *fan) take(n *lane, unfinished bool) []*sharedPacket {
	f.mu.Lock()
	defer f.mu.Unlock()
	n.queue, n.batch = n.batch[:0], n.queue
	if len(n.batch) == 0 && !unfinished {
		n.running = false
		f.busy--
	}
	f.calm.Broadcast()
	return n.batch
}

// run sends what waits. A subscriber gets all of it before the next one does:
// what is needed for one stays in the processor's cache. What comes meanwhile
// may belong to the same frames: runs are sent off when there is nothing more.
func (n *lane) run() {
	l := n.layer
	defer l.pub.loops.Done()
	gathered := false
	for {
		batch := l.fan.take(n, gathered)
		switch {
		case len(batch) > 0:
			n.send(batch, !gathered)
		case gathered:
			for _, d := range n.subs {
				d.p.sub.together.End()
			}
		default:
			return
		}
		gathered = len(batch) > 0
	}
}

func (n *lane) send(batch []*sharedPacket, first bool) {
	l := n.layer
	sent := 0
	for _, d := range n.subs {
		if first {
			d.p.sub.together.Begin()
		}
		for _, s := range batch {
			if d.forward(l, &s.pkt, &s.picture, s.now) {
				sent++
			}
		}
	}
	l.pub.p.room.sfu.metrics.forwarded.Add(float64(sent))
	for i, s := range batch {
		batch[i] = nil
		if s.left.Add(-1) == 0 {
			sharedPackets.Put(s)
		}
	}
}
