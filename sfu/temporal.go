package sfu

import (
	"sync/atomic"
	"time"
)

// maxTID is the highest temporal layer that VP8 can name (RFC 7741, 4.2).
const maxTID = 3

// raiseWait is how long a subscriber waits for a frame by which a temporal layer
// may be taken up again, before its publisher is asked for a key frame.
const raiseWait = 2 * time.Second

// temporalLayer is what comes of one temporal layer of a stream: the frames that
// none of a lower one refers to, so that they can be left out.
type temporalLayer struct {
	octets, frames atomic.Uint64 // received in all

	// Owned by the room's run.
	rate meter
	pace meter // of frames
}

// take counts a packet.
func (t *temporalLayer) take(v *picture, octets int) {
	t.octets.Add(uint64(octets))
	if v.vp8.start {
		t.frames.Add(1)
	}
}

// measure takes what has come since the last call. It is the room's run's.
func (l *layer) measure(since time.Duration) {
	l.rate.take(l.octets.Load(), since)
	for i := range l.temporal {
		t := &l.temporal[i]
		t.rate.take(t.octets.Load(), since)
		t.pace.take(t.frames.Load(), since)
	}
}

// share is the part of the stream's bitrate that its temporal layers up to tid
// take; 1 where it has none.
func (l *layer) share(tid uint8) float64 {
	var part, all float64
	for i := range l.temporal {
		bits := l.temporal[i].rate.bits
		all += bits
		if i <= int(tid) {
			part += bits
		}
	}
	if all <= 0 {
		return 1
	}
	return part / all
}

// enough is the temporal layer up to which there are as many frames a second as
// are wanted, 0 for all there are. What is sent now stays enough for somewhat
// longer: a stream's pace is never quite even, and each change shows.
func (l *layer) enough(fps uint32, sent step) uint8 {
	frames := 0.0
	for i := range l.temporal {
		frames += l.temporal[i].pace.perSecond()
		part := 0.9
		if sent == (step{l, uint8(i)}) {
			part = 0.8
		}
		if fps > 0 && frames >= part*float64(fps) && l.share(uint8(i)) < 1 {
			return uint8(i)
		}
	}
	return maxTID
}

// step is what may be sent of a track: a layer, up to a temporal layer.
type step struct {
	layer *layer
	tid   uint8
}

// place finds the epoch under which a packet of the current layer is sent, nil
// when it is not; hollow, its number alone is wanted. It is called for each
// packet, in the order they come. d.mu is held.
//
// Numbers and picture ids close up over what is left out. A packet that the
// publisher has sent before the newest, and that comes late, has its number
// still: it was not known then what it is of.
func (d *downTrack) place(pkt *packet, v *picture) (e *epoch, hollow bool) {
	if !newer(pkt.seq, d.lastSrc) {
		return d.late(pkt, v)
	}
	d.lastSrc = pkt.seq
	e = &d.epochs[d.epoch%epochs]
	if !v.vp8.layered {
		return e, false
	}
	fresh := v.vp8.pid != d.srcPID
	d.srcPID = v.vp8.pid
	if v.vp8.start && e.tid != d.most {
		switch {
		case d.most < e.tid, v.key:
			e = d.split(pkt.seq, pkt.seq, 0, 0, d.most)
		case v.vp8.sync && v.vp8.tid == e.tid+1:
			e = d.split(pkt.seq, pkt.seq, 0, 0, v.vp8.tid)
		}
	}
	if v.vp8.tid <= e.tid {
		return e, false
	}
	pids := uint16(0)
	if fresh && v.vp8.pidAt > 0 {
		pids = 1
	}
	d.split(pkt.seq, pkt.seq+1, 1, pids, e.tid)
	return nil, false
}

// waitsFor tells whether a packet that is left out is of a temporal layer that
// should be sent, and has waited for too long for a frame that takes it up. That
// such packets come is what tells: most may be above all that the stream has. d.mu
// is held.
func (d *downTrack) waitsFor(v *picture, now int64) bool {
	return v.vp8.layered && v.vp8.tid > d.epochs[d.epoch%epochs].tid && v.vp8.tid <= d.most && now-d.raisedAt > int64(raiseWait)
}

// split begins an epoch of the same layer at the packet next, which takes up the
// numbers after seqs and pids have been left out. The present one has had no
// packet where it begins at at. d.mu is held.
func (d *downTrack) split(at, next uint16, seqs, pids uint16, tid uint8) *epoch {
	e := d.epochs[d.epoch%epochs]
	empty := e.firstSrc == at
	e.firstSrc, e.tid = next, tid
	e.seq -= seqs
	e.pid -= pids
	e.firstOut = next + e.seq
	if !empty {
		e.fill = 0
		d.epoch++
	}
	d.keepEpoch(e)
	return &d.epochs[d.epoch%epochs]
}

// late is place for a packet that comes after later ones.
func (d *downTrack) late(pkt *packet, v *picture) (found *epoch, hollow bool) {
	for i := d.epoch; i >= max(d.begun, d.oldest, 1); i-- {
		e := &d.epochs[i%epochs]
		if newer(e.firstSrc, pkt.seq) {
			continue
		}
		if i < d.epoch {
			next := &d.epochs[(i+1)%epochs]
			if !newer(next.firstOut-uint16(next.fill), pkt.seq+e.seq) {
				return nil, false // it was left out
			}
		}
		return e, v.vp8.layered && v.vp8.tid > e.tid
	}
	return nil, false // from before the layer was begun
}

// mayPadLocked tells whether a packet of padding may come next on the stream
// itself: not inside a picture, and not before there was one.
func (d *downTrack) mayPadLocked() bool {
	return d.sent > 0 && !d.off && (d.ended || d.current == nil)
}

// maxFill is how many packets of padding one epoch counts. More between two of
// the layer are of further epochs, which begin with the same packet.
const maxFill = 250

// fillLocked takes the next number for a packet of padding. What comes next of
// the layer moves up by one.
func (d *downTrack) fillLocked() uint16 {
	e := d.epochs[d.epoch%epochs]
	next := d.lastSrc + 1
	if e.firstSrc != next || e.fill == maxFill {
		e.fill = 0
		d.epoch++
	}
	e.firstSrc = next
	e.seq++
	e.firstOut = next + e.seq
	e.fill++
	d.keepEpoch(e)
	d.lastSeq = e.firstOut - 1 // further than the next, where one is kept for a packet that is late
	d.sent++
	return d.lastSeq
}
