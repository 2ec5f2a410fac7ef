package udpmux

import (
	"sync"
	"time"
)

const (
	// DefaultHold bounds how long a packet waits for others of its frame.
	DefaultHold = 500 * time.Microsecond
	// runBytes is what one send carries at most: 8 or 9 packets of video, the most
	// that a camera's frame has. More of them gain little and hold more memory.
	runBytes    = 10 << 10
	maxSegments = 64 // UDP_MAX_SEGMENTS of Linux
	// leastHeld is the size from which a packet may be one of a frame's several.
	// Sound, and pictures of a single packet, are never held.
	leastHeld = 500
)

// udpRun is packets of one size for one address (the last may be shorter) that
// leave with one system call: UDP segmentation offload. A frame's packets but
// its last are of one size.
type udpRun struct {
	buf   *[runBytes]byte // from runs, nil when nothing is held
	bytes int
	size  int // of each packet but the last
	count int
	due   bool // the socket's holding has it
}

var runs = sync.Pool{New: func() any { return new([runBytes]byte) }}

// sendLocked sends b, at once or with those that follow within the hold. What
// is no media overtakes what is held. c.out is held, which keeps the order of
// packets: sending to a UDP socket does not wait.
func (p *udpPeer) sendLocked(b []byte) {
	r := &p.run
	if p.conn.mux.hold <= 0 || !p.to.segments(p.sock) || !IsRTP(b) {
		p.conn.out.send.one(p, b)
		return
	}
	last := b[1]&0x80 != 0 // the marker: a frame's end
	if r.count > 0 && (len(b) > r.size || r.bytes+len(b) > runBytes) {
		p.flushLocked()
	}
	if r.count == 0 {
		if last || len(b) < leastHeld || len(b) > runBytes {
			p.conn.out.send.one(p, b)
			return
		}
		r.buf = runs.Get().(*[runBytes]byte)
		r.size = len(b)
		if !r.due && !p.conn.with.isOpen() {
			r.due = true
			p.sock.holding.add(p)
		}
	}
	r.bytes += copy(r.buf[r.bytes:], b)
	r.count++
	if last || len(b) < r.size || r.count == maxSegments {
		p.flushLocked()
	}
}

// flushLocked sends what is held; c.out is held.
func (p *udpPeer) flushLocked() {
	r := &p.run
	if r.count == 0 {
		return
	}
	p.conn.out.send.run(p, r.buf[:r.bytes], r.size)
	runs.Put(r.buf)
	r.buf, r.bytes, r.count = nil, 0, 0
}

// holding is the peers of one socket that hold packets back.
type holding struct {
	wake chan struct{} // has room for one word that there are some

	mu    sync.Mutex
	peers []*udpPeer // guarded by mu
}

func (h *holding) add(p *udpPeer) {
	h.mu.Lock()
	first := len(h.peers) == 0
	h.peers = append(h.peers, p)
	h.mu.Unlock()
	if first {
		select {
		case h.wake <- struct{}{}:
		default:
		}
	}
}

// run sends what has been held for long enough, until stop. One tick serves all
// peers: a timer for each would cost more than it gains.
func (h *holding) run(stop <-chan struct{}, hold time.Duration) {
	if hold <= 0 {
		return
	}
	timer := time.NewTimer(hold)
	timer.Stop()
	defer timer.Stop()
	var due []*udpPeer
	for {
		select {
		case <-h.wake:
		case <-stop:
			return
		}
		timer.Reset(hold)
		select {
		case <-timer.C:
		case <-stop:
			return
		}
		h.mu.Lock()
		h.peers, due = due[:0], h.peers
		h.mu.Unlock()
		for i, p := range due {
			p.conn.out.Lock()
			p.run.due = false
			p.flushLocked()
			p.conn.out.Unlock()
			due[i] = nil
		}
	}
}
