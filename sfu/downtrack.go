package sfu

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

const (
	upgradeAfter = 3 * time.Second // a layer just given up is not trusted again at once
	behindFrames = 5               // frames of a lower layer without any of ours: it has stalled
	epochs       = 8
	resendsASec  = 500
	// epochReach is how far behind the newest packet an epoch's beginning is
	// remembered: further than any ring keeps packets, and near enough that
	// comparing sequence numbers never meets their wrap.
	epochReach = 4096
)

// msidChars are those of a stream's name that no client trips over (RFC 8830, 2
// has some more).
const msidChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

// downTrack sends one track to one subscriber. Of a simulcast track it
// forwards the best layer that flows; layers change at key frames, with
// sequence numbers, timestamps and picture ids rewritten so that the
// subscriber sees one unbroken stream.
type downTrack struct {
	// Set at construction.
	p      *Participant
	track  *track
	id     string
	stream string // subscriber.add may change it before anyone reads it
	kind   webrtc.RTPCodecType
	mime   string

	mu sync.Mutex
	// Guarded by mu.
	writer   webrtc.TrackLocalWriter // nil until negotiated
	ssrc     uint32
	pt       uint8
	disabled bool
	current  *layer // nil: none yet, or the next packet starts anew
	epoch    int    // count of layers begun; epochs[epoch%len] is the current
	oldest   int    // epochs before this are forgotten
	epochs   [epochs]epoch
	lastSeq  uint16 // highest sent
	lastTS   uint32
	lastAt   int64
	lastPID  uint16
	lastTL0  uint8
	behind   int   // frames of lower layers since the last packet of current
	lowered  int64 // when a layer was last given up
	sent     uint32
	octets   uint32
	resends  int // in the second that began at
	resendAt int64
}

// epoch is a run of packets of one layer under one set of offsets. It is all
// that a retransmission needs to find its source packet.
type epoch struct {
	layer    *layer
	firstSrc uint16
	firstOut uint16
	seq      uint16 // offsets, added to the source's
	ts       uint32
	pid      uint16
	tl0      uint8
}

func newDownTrack(p *Participant, t *track) *downTrack {
	// Tracks of one stream are played in step; Firefox knows a track by its
	// stream's name alone.
	stream := t.info.SID
	if !p.streamPerTrack {
		stream = t.info.Stream
		if stream == "" {
			stream = "camera"
			if t.info.Source == SourceScreenShare || t.info.Source == SourceScreenShareAudio {
				stream = "screen"
			}
		}
		if strings.HasPrefix(stream, "TR") || len(stream) > 64 || strings.Trim(stream, msidChars) != "" {
			stream = t.info.SID // not a word that everybody's SDP can carry
		}
	}
	d := &downTrack{p: p, track: t, id: t.info.SID, stream: t.owner.sid + "|" + stream, kind: webrtc.RTPCodecTypeAudio, mime: webrtc.MimeTypeOpus}
	if t.info.Kind == Video {
		d.kind, d.mime = webrtc.RTPCodecTypeVideo, webrtc.MimeTypeVP8
	}
	return d
}

// outPacket is what WriteRTP needs, pooled since it outlives the lock.
type outPacket struct {
	header rtp.Header
	buf    [maxRTPBytes]byte
}

var outPackets = sync.Pool{New: func() any { return new(outPacket) }}

// forward sends a packet of layer l, if it is of the layer to send. It is
// called by the layers' read loops.
func (d *downTrack) forward(l *layer, pkt *packet, v *vp8, now int64) bool {
	d.mu.Lock()
	if d.writer == nil || d.disabled {
		d.mu.Unlock()
		return false
	}
	if l != d.current {
		take, want := d.choose(l, pkt, v, now)
		if !take {
			d.mu.Unlock()
			if want != nil {
				want.tryKeyFrame()
			}
			return false
		}
		d.begin(l, pkt, v, now)
	}
	e := &d.epochs[d.epoch%epochs]
	if newer(e.firstSrc, pkt.seq) {
		d.mu.Unlock()
		return false // from before the layer was begun
	}
	d.behind = 0
	seq, ts := pkt.seq+e.seq, pkt.ts+e.ts
	if newer(seq, d.lastSeq) || d.sent == 0 {
		d.lastSeq, d.lastAt = seq, now
		d.slide(e)
		if laterTS(ts, d.lastTS) || d.sent == 0 {
			d.lastTS = ts
		}
		if v.pidAt > 0 {
			d.lastPID = v.pid + e.pid
		}
		if v.tl0At > 0 {
			d.lastTL0 = v.tl0 + e.tl0
		}
	}
	d.sent++
	d.octets += uint32(len(pkt.payload))
	out := outPackets.Get().(*outPacket)
	out.header = rtp.Header{Version: 2, Marker: pkt.marker, PayloadType: d.pt, SequenceNumber: seq, Timestamp: ts, SSRC: d.ssrc}
	payload := e.payload(out, pkt, v)
	w := d.writer
	d.mu.Unlock()
	_, err := w.WriteRTP(&out.header, payload)
	outPackets.Put(out)
	return err == nil
}

// payload is pkt's payload with the epoch's picture ids, in out's buffer where
// it differs from the source's.
func (e *epoch) payload(out *outPacket, pkt *packet, v *vp8) []byte {
	if e.pid == 0 && e.tl0 == 0 || v.pidAt == 0 && v.tl0At == 0 {
		return pkt.payload
	}
	payload := out.buf[:copy(out.buf[:], pkt.payload)]
	v.rewrite(payload, v.pid+e.pid, v.tl0+e.tl0)
	return payload
}

// choose decides whether to go over to l with this packet, or else which
// layer's key frame to ask for, if any.
func (d *downTrack) choose(l *layer, pkt *packet, v *vp8, now int64) (take bool, want *layer) {
	if l.kind == Audio {
		return true, nil
	}
	cur := d.current
	switch {
	case cur == nil:
		if d.track.best(now) != l {
			return false, nil
		}
	case l.rank > cur.rank:
		if d.lowered != 0 && now-d.lowered < int64(upgradeAfter) {
			return false, nil
		}
	default:
		if pkt.marker {
			d.behind++
		}
		if d.behind < behindFrames || now-cur.lastSeen.Load() < int64(layerStalled) || d.track.best(now) != l {
			return false, nil
		}
	}
	if !v.key {
		return false, l
	}
	if cur != nil && l.rank < cur.rank {
		d.lowered = now
	}
	return true, nil
}

// begin starts an epoch of layer l with this packet.
func (d *downTrack) begin(l *layer, pkt *packet, v *vp8, now int64) {
	e := epoch{layer: l, firstSrc: pkt.seq, firstOut: pkt.seq}
	if d.sent > 0 {
		e.firstOut = d.lastSeq + 1
		e.seq = e.firstOut - pkt.seq
		ticks := uint32(max(1, time.Duration(now-d.lastAt).Seconds()*l.rx.clock))
		e.ts = d.lastTS + ticks - pkt.ts
		if v.pidAt > 0 {
			e.pid = d.lastPID + 1 - v.pid
		}
		if v.tl0At > 0 {
			e.tl0 = d.lastTL0 + 1 - v.tl0
		}
	}
	d.epoch++
	d.epochs[d.epoch%epochs] = e
	d.oldest = max(d.oldest, d.epoch-epochs+1, 1)
	for d.oldest < d.epoch && e.firstOut-d.epochs[d.oldest%epochs].firstOut > 2*epochReach {
		d.oldest++
	}
	d.current = l
	d.behind = 0
}

// slide moves the beginning of the current epoch along with its packets. Left
// behind by half the numbers' range, it would seem to lie ahead of them. d.mu
// is held.
func (d *downTrack) slide(e *epoch) {
	if gone := d.lastSeq - e.firstOut; gone > 2*epochReach {
		e.firstOut += gone - epochReach
		e.firstSrc += gone - epochReach
		d.oldest = d.epoch
	}
}

// pause forgets the current layer: what flows next starts anew, without a gap
// in the numbers.
func (d *downTrack) pause() {
	d.mu.Lock()
	d.current = nil
	d.mu.Unlock()
}

// setDisabled stops or starts sending.
func (d *downTrack) setDisabled(off bool) {
	d.mu.Lock()
	changed := d.disabled != off
	d.disabled = off
	if changed {
		d.current = nil
	}
	d.mu.Unlock()
	if changed && !off {
		d.requestKeyFrame()
	}
}

// requestKeyFrame asks for a key frame of the layer that is or will be sent.
func (d *downTrack) requestKeyFrame() {
	d.mu.Lock()
	l := d.current
	d.mu.Unlock()
	if l == nil {
		if l = d.track.best(int64(time.Since(clockBase))); l == nil {
			return // the first packet asks
		}
	}
	l.requestKeyFrame()
}

// senderReport hands on a sender report of layer l with our timestamps.
func (d *downTrack) senderReport(l *layer, ntp uint64, ts uint32) {
	d.mu.Lock()
	if d.current != l || d.writer == nil || d.sent == 0 {
		d.mu.Unlock()
		return
	}
	sr := &rtcp.SenderReport{SSRC: d.ssrc, NTPTime: ntp, RTPTime: ts + d.epochs[d.epoch%epochs].ts, PacketCount: d.sent, OctetCount: d.octets}
	d.mu.Unlock()
	d.p.sub.write([]rtcp.Packet{sr})
}

// readRTCP obeys the subscriber's requests until sender is stopped.
func (d *downTrack) readRTCP(sender *webrtc.RTPSender) {
	buf := make([]byte, maxRTPBytes)
	for {
		n, _, err := sender.Read(buf)
		if err != nil {
			return
		}
		packets, err := rtcp.Unmarshal(buf[:n])
		if err != nil {
			continue // of a client that must not end the loop with it
		}
		for _, p := range packets {
			switch p := p.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				d.requestKeyFrame()
			case *rtcp.TransportLayerNack:
				for _, pair := range p.Nacks {
					pair.Range(d.resend)
				}
			}
		}
	}
}

// resend answers a NACK for one packet from the ring of its layer. It reports
// whether to go on with the next.
func (d *downTrack) resend(seq uint16) bool {
	now := int64(time.Since(clockBase))
	d.mu.Lock()
	e, ok := d.epochOf(seq)
	if now-d.resendAt > int64(time.Second) {
		d.resendAt, d.resends = now, 0
	}
	d.resends++
	if !ok || d.writer == nil || d.disabled || d.resends > resendsASec {
		more := d.resends <= resendsASec
		d.mu.Unlock()
		return more
	}
	w, ssrc, pt := d.writer, d.ssrc, d.pt
	d.mu.Unlock()
	var raw [maxRTPBytes]byte
	var pkt packet
	n := e.layer.ring.get(seq-e.seq, raw[:])
	if n == 0 || !pkt.parse(raw[:n]) {
		return true
	}
	var v vp8
	if e.layer.kind == Video && !v.parse(pkt.payload) && len(pkt.payload) > 0 {
		return true
	}
	out := outPackets.Get().(*outPacket)
	out.header = rtp.Header{Version: 2, Marker: pkt.marker, PayloadType: pt, SequenceNumber: seq, Timestamp: pkt.ts + e.ts, SSRC: ssrc}
	if _, err := w.WriteRTP(&out.header, e.payload(out, &pkt, &v)); err == nil {
		d.p.room.sfu.metrics.resent.Inc()
	}
	outPackets.Put(out)
	return true
}

// epochOf finds the epoch that sent seq; d.mu is held.
func (d *downTrack) epochOf(seq uint16) (epoch, bool) {
	if d.sent == 0 || d.lastSeq-seq > epochReach {
		return epoch{}, false // not sent yet, or in no ring any more
	}
	for i := d.epoch; i >= max(d.oldest, 1); i-- {
		if e := d.epochs[i%epochs]; !newer(e.firstOut, seq) {
			return e, true
		}
	}
	return epoch{}, false
}

// What follows implements webrtc.TrackLocal.

var _ webrtc.TrackLocal = (*downTrack)(nil)

// Bind is called once the subscriber has agreed to the track.
func (d *downTrack) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	layers := *d.track.layers.Load()
	for _, codec := range c.CodecParameters() {
		if !strings.EqualFold(codec.MimeType, d.mime) {
			continue
		}
		d.mu.Lock()
		d.writer, d.ssrc, d.pt = c.WriteStream(), uint32(c.SSRC()), uint8(codec.PayloadType)
		d.mu.Unlock()
		for _, l := range layers {
			l.requestKeyFrame()
		}
		return codec, nil
	}
	return webrtc.RTPCodecParameters{}, fmt.Errorf("sfu: subscriber does not take %s", d.mime)
}

// Unbind is called when sending ends.
func (d *downTrack) Unbind(webrtc.TrackLocalContext) error {
	d.mu.Lock()
	d.writer = nil
	d.mu.Unlock()
	return nil
}

// ID is the track's id in SDP, from which clients learn its SID.
func (d *downTrack) ID() string { return d.id }

// RID is empty: subscribers get one layer.
func (d *downTrack) RID() string { return "" }

// StreamID is "PA_x|stream", as LiveKit's clients read it.
func (d *downTrack) StreamID() string { return d.stream }

// Kind is the track's kind.
func (d *downTrack) Kind() webrtc.RTPCodecType { return d.kind }
