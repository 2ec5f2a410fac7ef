package sfu

import "sync"

// Sizes of rings in packets, powers of two: about two seconds of 3 Mb/s video,
// or of a lower layer of it.
const (
	videoRing = 512
	audioRing = 64
)

// ringOf makes the ring of a layer.
func ringOf(k Kind, rank int) *ring {
	if k == Audio {
		return newRing(audioRing)
	}
	return newRing(videoRing >> (topRank - rank))
}

// ring keeps the last packets of one published layer, so that the
// retransmission a subscriber asks for (RFC 4585, 6.2.1) costs its publisher
// nothing. Slots keep their buffers: in the steady state it does not allocate.
type ring struct {
	mu    sync.RWMutex
	slots []slot // guarded by mu
}

type slot struct {
	used bool
	seq  uint16
	data []byte
}

func newRing(size int) *ring { return &ring{slots: make([]slot, size)} }

// put stores a copy of raw under seq.
func (r *ring) put(seq uint16, raw []byte) {
	r.mu.Lock()
	s := &r.slots[int(seq)&(len(r.slots)-1)]
	s.used, s.seq, s.data = true, seq, append(s.data[:0], raw...)
	r.mu.Unlock()
}

// get copies the packet seq into buf and returns its length, 0 when the ring
// no longer has it.
func (r *ring) get(seq uint16, buf []byte) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s := &r.slots[int(seq)&(len(r.slots)-1)]
	if !s.used || s.seq != seq {
		return 0
	}
	return copy(buf, s.data)
}
