package sfu

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"commsd/sfu/bandwidth"
	"commsd/sfu/udpmux"
)

// startBitrate is what a new subscriber is thought to be able to take, in bits
// a second: a picture of 720p and some small ones. Feedback corrects it within
// a moment, either way.
const startBitrate = 3_000_000

// unlimited is the budget of a subscriber that gives no feedback.
const unlimited = 1 << 40

// congestion is what a subscriber's connection can carry, found out by the
// feedback of its client and by padding.
type congestion struct {
	s         *subscriber
	estimator *bandwidth.Estimator
	wanted    atomic.Uint64 // bits a second of the best layers asked for
	feedback  atomic.Bool   // the client has agreed to give feedback

	// Owned by the room's run.
	allocator bandwidth.Allocator

	mu      sync.Mutex
	resend  float64      // guarded by mu; bytes that may be sent again now
	since   int64        // guarded by mu; when resend was reckoned
	padding []*downTrack // guarded by mu; that padding may be sent with
	timer   *time.Timer  // guarded by mu; until more padding is due
	closed  bool         // guarded by mu
	timers  sync.WaitGroup
}

func newCongestion(s *subscriber) *congestion {
	return &congestion{s: s, estimator: bandwidth.New(bandwidth.Config{Start: startBitrate})}
}

// budget is what may be sent, of it reserve for sound, in bits a second.
func (c *congestion) budget(now int64, reserve uint64) bandwidth.Budget {
	if !c.feedback.Load() {
		return bandwidth.Budget{Bitrate: unlimited, Reserve: reserve, Clear: true}
	}
	e := c.estimator.Estimate(now)
	return bandwidth.Budget{Bitrate: e.Bitrate, Reserve: reserve, Clear: e.Clear}
}

// send sends a packet and gives it back to its pool.
func (c *congestion) send(w webrtc.TrackLocalWriter, o *outPacket, payload []byte, twccID uint8, now int64, probe int) {
	if pad := udpmux.Even(len(payload)); pad > 0 {
		o.header.Padding, o.header.PaddingSize = true, byte(pad)
	}
	if twccID != 0 {
		seq := c.estimator.Sent(now, rtpHeader+8+len(payload)+int(o.header.PaddingSize), probe)
		binary.BigEndian.PutUint16(o.twcc[:], seq)
		_ = o.header.SetExtension(twccID, o.twcc[:]) // fails for headers that have some, only
	}
	if _, err := w.WriteRTP(&o.header, payload); err != nil {
		c.s.p.log.Debug("packet not sent", "err", err)
	}
	outPackets.Put(o)
}

// resendShare is the part of what a subscriber can take that what it has lost
// may use. A line that has become narrow loses most of what is sent; its client
// asks for all of that, and the answers would leave no room for anything else.
const resendShare = 0.25

// mayResend asks for n bytes of that part. What is old, of another layer than
// is sent now, must leave half of it.
func (c *congestion) mayResend(now int64, n int, old bool) bool {
	if !c.feedback.Load() {
		return true
	}
	rate := resendShare / 8 * float64(c.estimator.Estimate(now).Bitrate) // bytes a second
	c.mu.Lock()
	defer c.mu.Unlock()
	most := max(rate/2, 4*maxRTPBytes)
	if c.since == 0 {
		c.resend = most
	}
	c.resend = min(c.resend+rate*time.Duration(now-c.since).Seconds(), most)
	c.since = now
	if left := c.resend - float64(n); left < 0 || old && left < most/2 {
		return false
	}
	c.resend -= float64(n)
	return true
}

// mayHaveCome tells whether a packet that was sent at a time would have been
// received, and that heard of, by now.
func (c *congestion) mayHaveCome(now, at int64) bool {
	return now-at > int64(c.estimator.Estimate(now).RTT)*9/10
}

// bound notes that d has been agreed to, unbound that it no longer is.
func (c *congestion) bound(d *downTrack, out outStream) {
	c.s.streams.send(out.ssrc, d)
	c.s.streams.send(out.rtxSSRC, d)
	if out.twccID == 0 {
		return
	}
	c.feedback.Store(true)
	if d.kind != webrtc.RTPCodecTypeVideo {
		return
	}
	c.mu.Lock()
	c.padding = append(c.padding, d)
	c.mu.Unlock()
}

func (c *congestion) unbound(d *downTrack, out outStream) {
	c.s.streams.send(out.ssrc, nil)
	c.s.streams.send(out.rtxSSRC, nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, o := range c.padding {
		if o == d {
			c.padding = append(c.padding[:i], c.padding[i+1:]...)
			return
		}
	}
}

// received takes a transport-wide feedback packet of the client's.
func (c *congestion) received(raw []byte) {
	now := int64(time.Since(clockBase))
	fell, err := c.estimator.FeedbackBytes(now, raw)
	if err != nil {
		c.s.p.log.Debug("feedback not read", "err", err)
		return
	}
	if fell {
		c.s.p.room.hint(congested{c.s.p})
	}
	c.probe(now)
}

// probe sends the padding that is due.
func (c *congestion) probe(now int64) {
	p := c.estimator.Probe(now, c.wanted.Load())
	var room [8]*downTrack // of many, some will do
	c.mu.Lock()
	padding := room[:copy(room[:], c.padding)]
	if p.Next > now && !c.closed && c.timer == nil {
		c.timers.Add(1)
		c.timer = time.AfterFunc(time.Duration(p.Next-now), func() {
			defer c.timers.Done()
			c.mu.Lock()
			c.timer = nil
			c.mu.Unlock()
			c.probe(int64(time.Since(clockBase)))
		})
	}
	c.mu.Unlock()
	for left := p.Bytes; left > 0 && len(padding) > 0; {
		if !padding[0].pad(now, p.ID) {
			padding = padding[1:]
			continue
		}
		left -= bandwidth.ProbePacket
	}
}

// close ends the probing and waits for it.
func (c *congestion) close() {
	c.mu.Lock()
	c.closed = true
	if c.timer != nil && c.timer.Stop() {
		c.timers.Done()
	}
	c.mu.Unlock()
	c.timers.Wait()
}

// pad sends a packet of padding: on the stream of retransmissions, where it
// disturbs no numbers, or, where there is none, between two pictures. It reports
// false when there is no place for one now.
func (d *downTrack) pad(now int64, probe int) bool {
	d.mu.Lock()
	w, out := d.writer, d.out
	if w == nil || out.rtxPT == 0 && !d.mayPadLocked() {
		d.mu.Unlock()
		return false
	}
	o := outPackets.Get().(*outPacket)
	o.header = rtp.Header{Version: 2, Padding: true, Timestamp: d.lastTS, Extensions: o.header.Extensions[:0]}
	if out.rtxPT != 0 {
		d.rtxSeq++
		o.header.PayloadType, o.header.SSRC, o.header.SequenceNumber = out.rtxPT, out.rtxSSRC, d.rtxSeq
	} else {
		o.header.PayloadType, o.header.SSRC, o.header.SequenceNumber = out.pt, out.ssrc, d.fillLocked()
	}
	d.mu.Unlock()
	const size = bandwidth.ProbePacket
	payload := o.buf[:size]
	clear(payload)
	payload[size-1] = size // RFC 3550, 5.1
	d.p.sub.congestion.send(w, o, payload, out.twccID, now, probe)
	return true
}

// congested says that what a subscriber can take has fallen.
type congested struct{ p *Participant }

func (e congested) apply(r *room) {
	if r.bySID[e.p.sid] == e.p {
		r.allocate(e.p, int64(time.Since(clockBase)))
	}
}
