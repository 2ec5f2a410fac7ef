package sfu

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

const (
	epochs      = 32 // of half a second and more, where temporal layers are left out
	resendsASec = 500
	resentKept  = 64
	resentMost  = 5 // times; some clients ask on though they have it
	// epochReach is how far behind the newest packet an epoch's beginning is
	// remembered: further than any ring keeps packets, and near enough that
	// comparing sequence numbers never meets their wrap.
	epochReach = 4096
)

// msidChars are those of a stream's name that no client trips over (RFC 8830, 2
// has some more).
const msidChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

// downTrack sends one track to one subscriber. Of a simulcast track it
// forwards the layer that the room has chosen for it, and of that the temporal
// layers up to one; layers change at key frames, with sequence numbers,
// timestamps and picture ids rewritten so that the subscriber sees one unbroken
// stream.
type downTrack struct {
	// Set at construction.
	p      *Participant
	track  *track
	id     string
	stream string // subscriber.add may change it before anyone reads it
	kind   webrtc.RTPCodecType
	codec  codec

	// Owned by the room's run.
	settings TrackSettings
	held     bool // for want of bandwidth; the client has been told

	receipts   receipts    // has a lock of its own
	unplayable atomic.Bool // the subscriber lacks the codec

	mu sync.Mutex
	// Guarded by mu.
	bound   webrtc.TrackLocalWriter // nil until negotiated
	boundAt int64                   // when bound was set
	writer  webrtc.TrackLocalWriter // bound, once the connection carries it: what is sent before is lost
	out     outStream
	target  *layer // to be sent: of video as the room chose it; nil: nothing
	current *layer // being sent; nil: none yet, or the next packet starts anew
	off     bool   // by the client, which wants nothing
	most    uint8  // the highest temporal layer to send of it
	epoch   int    // count of epochs; epochs[epoch%len] is the current
	begun   int    // the epoch with which the current layer began
	oldest  int    // epochs before this are forgotten
	epochs  [epochs]epoch
	lastSeq uint16 // highest sent
	lastTS  uint32
	lastAt  int64
	lastPID uint16
	lastTL0 uint8
	ended   bool   // a picture, with the packet lastSeq
	lastSrc uint16 // newest of the current layer, sent or not
	srcPID  uint16 // its picture's
	sent    uint32
	octets  uint32

	raisedAt int64 // when most last rose

	rtxSeq   uint16
	resends  int // in the second that began at
	resendAt int64
	resent   [resentKept]resentPacket // of late, by sequence number
}

// resentPacket is one that was sent again.
type resentPacket struct {
	seq   uint16
	times uint16
	at    int64
}

// outStream is what the subscriber has agreed to.
type outStream struct {
	ssrc, rtxSSRC    uint32
	pt, rtxPT, redPT uint8 // 0: not agreed to, of the latter two
	twccID           uint8
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
	tid      uint8 // the highest temporal layer that is sent
	fill     uint8 // numbers before firstOut that padding has
}

// newDownTrack makes the track for p. The published track has a layer.
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
	d := &downTrack{
		p: p, track: t, id: t.info.SID, most: maxTID, stream: t.owner.sid + "|" + stream, kind: webrtc.RTPCodecTypeAudio, settings: TrackSettings{Quality: topRank},
	}
	if s, said := p.settings[t.info.SID]; said {
		d.settings = s
	}
	d.off = d.settings.Disabled
	if t.info.Kind == Video {
		d.kind = webrtc.RTPCodecTypeVideo
	}
	if layers := *t.layers.Load(); len(layers) > 0 {
		d.codec = layers[0].codec
	}
	return d
}

// outPacket is what WriteRTP needs, pooled since it outlives the lock.
type outPacket struct {
	header rtp.Header
	twcc   [2]byte
	buf    [maxRTPBytes + 2]byte
}

var outPackets = sync.Pool{New: func() any { return new(outPacket) }}

// forward sends a packet of layer l, if it is of the layer to send. It is
// called by the layers, where their packets are decrypted.
func (d *downTrack) forward(l *layer, pkt *packet, v *picture, now int64) bool {
	d.mu.Lock()
	if d.writer == nil || d.off {
		d.mu.Unlock()
		return false
	}
	first := l != d.current
	if first {
		if l.kind == Video && l != d.target {
			d.mu.Unlock()
			return false
		}
		if l.kind == Video && !v.key {
			d.mu.Unlock()
			l.tryKeyFrame()
			return false
		}
		d.begin(l, pkt, v, now)
	}
	e, hollow := &d.epochs[d.epoch%epochs], false
	if !first {
		if e, hollow = d.place(pkt, v); e == nil {
			waits := l == d.target && d.waitsFor(v, now)
			d.mu.Unlock()
			if waits {
				l.tryKeyFrame()
			}
			return false
		}
	}
	payload, pt := pkt.payload, d.out.pt
	if l.redPT != 0 && pkt.payloadType == l.redPT {
		if d.out.redPT != 0 {
			pt = d.out.redPT
		} else if payload, _ = redPrimary(payload); payload == nil {
			d.mu.Unlock()
			return false
		}
	}
	seq, ts := pkt.seq+e.seq, pkt.ts+e.ts
	if newer(seq, d.lastSeq) || d.sent == 0 {
		d.lastSeq, d.lastAt = seq, now
		d.slide(e)
		if laterTS(ts, d.lastTS) || d.sent == 0 {
			d.lastTS = ts
		}
		if v.vp8.pidAt > 0 {
			d.lastPID = v.vp8.pid + e.pid
		}
		if v.vp8.tl0At > 0 {
			d.lastTL0 = v.vp8.tl0 + e.tl0
		}
	}
	if seq == d.lastSeq {
		d.ended = pkt.marker
	}
	marker := pkt.marker || first && l.kind == Audio // a talkspurt begins (RFC 3551, 4.1)
	if hollow {
		payload, marker = nil, false
	}
	d.sent++
	d.octets += uint32(len(payload))
	o := outPackets.Get().(*outPacket)
	o.header = rtp.Header{
		Version: 2, Marker: marker, PayloadType: pt, SequenceNumber: seq, Timestamp: ts, SSRC: d.out.ssrc, Extensions: o.header.Extensions[:0],
	}
	if !hollow {
		payload = e.payload(o, 0, payload, v)
	}
	w, twcc := d.writer, d.out.twccID
	d.mu.Unlock()
	d.p.sub.congestion.send(w, o, payload, twcc, now, 0)
	return true
}

// payload is a source's payload with the epoch's picture ids, in o's buffer
// from at on where it differs from the source's or at is not 0.
func (e *epoch) payload(o *outPacket, at int, payload []byte, v *picture) []byte {
	d := &v.vp8
	same := e.pid == 0 && e.tl0 == 0 || d.pidAt == 0 && d.tl0At == 0
	if same && at == 0 {
		return payload
	}
	out := o.buf[at : at+copy(o.buf[at:], payload)]
	if !same {
		d.rewrite(out, d.pid+e.pid, d.tl0+e.tl0)
	}
	return o.buf[:at+len(out)]
}

// begin starts an epoch of layer l with this packet.
func (d *downTrack) begin(l *layer, pkt *packet, v *picture, now int64) {
	e := epoch{layer: l, firstSrc: pkt.seq, firstOut: pkt.seq}
	if d.sent > 0 {
		e.firstOut = d.lastSeq + 1
		e.seq = e.firstOut - pkt.seq
		ticks := uint32(max(1, time.Duration(now-d.lastAt).Seconds()*l.rx.clock))
		e.ts = d.lastTS + ticks - pkt.ts
		if v.vp8.pidAt > 0 {
			e.pid = d.lastPID + 1 - v.vp8.pid
		}
		if v.vp8.tl0At > 0 {
			e.tl0 = d.lastTL0 + 1 - v.vp8.tl0
		}
	}
	e.tid = d.most
	d.epoch++
	d.begun = d.epoch
	d.keepEpoch(e)
	d.current, d.lastSrc, d.srcPID = l, pkt.seq, v.vp8.pid
}

// keepEpoch makes e the current epoch.
func (d *downTrack) keepEpoch(e epoch) {
	d.epochs[d.epoch%epochs] = e
	d.oldest = max(d.oldest, d.epoch-epochs+1, 1)
	for d.oldest < d.epoch && e.firstOut-d.epochs[d.oldest%epochs].firstOut > 2*epochReach {
		d.oldest++
	}
}

// slide moves the beginning of the current epoch along with its packets. Left
// behind by half the numbers' range, it would seem to lie ahead of them. d.mu
// is held.
func (d *downTrack) slide(e *epoch) {
	if gone := d.lastSeq - e.firstOut; gone > 2*epochReach {
		e.firstOut += gone - epochReach
		e.firstSrc += gone - epochReach
		e.fill = 0
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

// aim sets the layer to send, nil for none, and up to which of its temporal
// layers. The one being sent goes on until the other's key frame, but with none.
func (d *downTrack) aim(l *layer, most uint8) {
	d.mu.Lock()
	if most > d.most {
		d.raisedAt = int64(time.Since(clockBase))
	}
	d.most = most
	changed := d.target != l
	d.target = l
	if l == nil {
		d.current = nil
	}
	waits := l != nil && l != d.current && d.writer != nil && !d.off
	d.mu.Unlock()
	if changed && waits {
		l.requestKeyFrame()
	}
}

// aimed is the layer to send, and its highest temporal layer.
func (d *downTrack) aimed() step {
	d.mu.Lock()
	defer d.mu.Unlock()
	return step{d.target, d.most}
}

// turn stops or starts sending at the client's wish.
func (d *downTrack) turn(off bool) {
	d.mu.Lock()
	changed := d.off != off
	d.off = off
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
	l := d.target
	if l == nil {
		l = d.current
	}
	d.mu.Unlock()
	if l != nil {
		l.requestKeyFrame()
	}
}

// senderReport hands on a sender report of layer l with our timestamps.
func (d *downTrack) senderReport(l *layer, ntp uint64, ts uint32) {
	d.mu.Lock()
	if d.current != l || d.writer == nil || d.sent == 0 {
		d.mu.Unlock()
		return
	}
	sr := &rtcp.SenderReport{SSRC: d.out.ssrc, NTPTime: ntp, RTPTime: ts + d.epochs[d.epoch%epochs].ts, PacketCount: d.sent, OctetCount: d.octets}
	d.mu.Unlock()
	d.receipts.sent(ntp, time.Now())
	d.p.sub.write([]rtcp.Packet{sr})
}

// resend answers a NACK for one packet from the ring of its layer, on the
// stream of retransmissions where the subscriber has agreed to one (RFC 4588,
// 4). It reports whether to go on with the next.
func (d *downTrack) resend(seq uint16) bool {
	now := int64(time.Since(clockBase))
	d.mu.Lock()
	e, filled, ok := d.epochOf(seq)
	if now-d.resendAt > int64(time.Second) {
		d.resendAt, d.resends = now, 0
	}
	d.resends++
	if !ok || d.writer == nil || d.off || d.resends > resendsASec {
		more := d.resends <= resendsASec
		d.mu.Unlock()
		return more
	}
	w, out := d.writer, d.out
	again, old, lastTS := d.resent[seq%resentKept], e.layer != d.current, d.lastTS
	d.mu.Unlock()
	if again.seq != seq {
		again = resentPacket{seq: seq}
	}
	if again.times > 0 && (again.times >= resentMost || !d.p.sub.congestion.mayHaveCome(now, again.at)) {
		return true // it may still be on the way
	}
	var raw [maxRTPBytes]byte
	var pkt packet
	n := rtpHeader
	if filled {
		pkt = packet{ts: lastTS - e.ts}
	} else if n = e.layer.ring.get(seq-e.seq, raw[:]); n == 0 || !pkt.parse(raw[:n]) {
		return true
	}
	if !d.p.sub.congestion.mayResend(now, n, old) {
		return false
	}
	d.mu.Lock()
	d.resent[seq%resentKept] = resentPacket{seq, again.times + 1, now}
	d.mu.Unlock()
	var v picture
	payload := pkt.payload
	pt := out.pt
	if e.layer.kind == Video {
		if !v.parse(e.layer.codec, payload) {
			return true
		}
		if v.vp8.layered && v.vp8.tid > e.tid { // it came too late to be left out, see place
			pkt.marker, payload, v = false, nil, picture{}
		}
	} else if e.layer.redPT != 0 && pkt.payloadType == e.layer.redPT {
		if out.redPT != 0 {
			pt = out.redPT
		} else if payload, _ = redPrimary(payload); payload == nil {
			return true
		}
	}
	o := outPackets.Get().(*outPacket)
	o.header = rtp.Header{
		Version: 2, Marker: pkt.marker, PayloadType: pt, SequenceNumber: seq, Timestamp: pkt.ts + e.ts, SSRC: out.ssrc,
		Extensions: o.header.Extensions[:0],
	}
	if out.rtxPT == 0 || out.rtxSSRC == 0 {
		payload = e.payload(o, 0, payload, &v)
	} else {
		d.mu.Lock()
		d.rtxSeq++
		o.header.PayloadType, o.header.SSRC, o.header.SequenceNumber = out.rtxPT, out.rtxSSRC, d.rtxSeq
		d.mu.Unlock()
		binary.BigEndian.PutUint16(o.buf[:], seq)
		payload = e.payload(o, 2, payload, &v)
	}
	d.p.sub.congestion.send(w, o, payload, out.twccID, now, 0)
	d.p.room.sfu.metrics.resent.Inc()
	return true
}

// epochOf finds the epoch that sent seq, or before which it was filled with
// padding; d.mu is held.
func (d *downTrack) epochOf(seq uint16) (e epoch, filled, ok bool) {
	if d.sent == 0 || d.lastSeq-seq > epochReach {
		return epoch{}, false, false // not sent yet, or in no ring any more
	}
	for i := d.epoch; i >= max(d.oldest, 1); i-- {
		e := d.epochs[i%epochs]
		if newer(e.firstOut, seq) && e.firstOut-seq <= uint16(e.fill) {
			return e, true, true
		}
		if !newer(e.firstOut, seq) {
			return e, false, true
		}
	}
	return epoch{}, false, false
}

// What follows implements webrtc.TrackLocal.

var _ webrtc.TrackLocal = (*downTrack)(nil)

// Bind is called once the subscriber has agreed to the track.
func (d *downTrack) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	codecs := c.CodecParameters()
	for _, codec := range codecs {
		if !strings.EqualFold(codec.MimeType, d.codec.mime()) {
			continue
		}
		out := outStream{ssrc: uint32(c.SSRC()), pt: uint8(codec.PayloadType)}
		if pt := retransmissionOf(codec.PayloadType, codecs); pt != 0 && c.SSRCRetransmission() != 0 {
			out.rtxPT, out.rtxSSRC = uint8(pt), uint32(c.SSRCRetransmission())
		}
		for _, other := range codecs {
			if strings.EqualFold(other.MimeType, mimeRED) {
				out.redPT = uint8(other.PayloadType)
			}
		}
		if slices.ContainsFunc(codec.RTCPFeedback, func(f webrtc.RTCPFeedback) bool { return f.Type == webrtc.TypeRTCPFBTransportCC }) {
			out.twccID = extensionsOf(c.HeaderExtensions()).twcc
		}
		d.mu.Lock()
		d.bound, d.out, d.boundAt = c.WriteStream(), out, int64(time.Since(clockBase))
		reached := d.p.sub.reached.Load()
		d.mu.Unlock()
		d.p.sub.congestion.bound(d, out)
		if reached {
			d.flow()
		}
		return codec, nil
	}
	if len(codecs) == 0 {
		return webrtc.RTPCodecParameters{}, fmt.Errorf("sfu: subscriber does not take %s", d.codec.mime())
	}
	// It keeps its place and what else it receives: nothing is sent here, and the
	// room takes the track back.
	d.unplayable.Store(true)
	d.p.room.post(codecLacking{d})
	return codecs[0], nil
}

// flow begins to send, where the subscriber has agreed to the track. It is
// called once its connection stands; a key frame that came before would be lost,
// and the picture be black until another may be asked for.
func (d *downTrack) flow() {
	d.mu.Lock()
	begins := d.writer == nil && d.bound != nil
	d.writer = d.bound
	d.mu.Unlock()
	if begins {
		d.requestKeyFrame()
	}
}

// codecLacking says that d's client lacks the codec of its track.
type codecLacking struct{ d *downTrack }

func (e codecLacking) apply(r *room) {
	p, sid := e.d.p, e.d.id
	if p.subs[sid] != e.d {
		return
	}
	p.unplayable[sid] = true
	p.emit(EventSubscriptionFailed{TrackSID: sid, Codec: true})
	r.subscribe(p, e.d.track)
}

// Unbind is called when sending ends.
func (d *downTrack) Unbind(webrtc.TrackLocalContext) error {
	d.mu.Lock()
	d.bound, d.writer = nil, nil
	out := d.out
	d.mu.Unlock()
	d.p.sub.congestion.unbound(d, out)
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
