package sfu

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
)

const (
	keyFrameEvery = 500 * time.Millisecond // at most one request a layer
	layerStalled  = 800 * time.Millisecond // a layer without packets for this long does not count
)

// clockBase makes times of the media path plain numbers.
var clockBase = time.Now()

// layer is one RTP stream of a published track: the whole track, or one of its
// simulcast layers. It forwards what streams hands it.
type layer struct {
	// Set at construction.
	pub     *publisher
	remote  *webrtc.TrackRemote
	kind    Kind
	ssrc    uint32
	rid     string
	rank    int    // 0 low, 1 medium, 2 high
	cid     string // the client's id of the track, as SDP has it
	mid     string
	codec   codec
	known   bool // codec is one that can be forwarded
	pt      uint8
	redPT   uint8 // payload type of RED, 0 when not negotiated
	levelID uint8 // id of the audio level's header extension, 0 when not negotiated
	ids     extensionIDs
	ring    *ring
	rx      reception

	// Set by the room's run before start.
	track *track

	lastSeen atomic.Int64  // since clockBase, ns; 0: never
	octets   atomic.Uint64 // received in all, headers included
	asking   atomic.Bool   // the nack timer runs

	temporal [maxTID + 1]temporalLayer

	// Owned by the room's run.
	rate meter

	// Owned by the connection's RTCP.
	reported time.Time // when a sender report was last handed on

	fan fan // has a lock of its own

	mu      sync.Mutex
	lastPLI time.Time // guarded by mu
	pliDue  bool      // guarded by mu; a request waits for the throttle
	ended   bool      // guarded by mu
	timers  sync.WaitGroup
}

func newLayer(pub *publisher, remote *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) *layer {
	l := &layer{
		pub: pub, remote: remote, ssrc: uint32(remote.SSRC()), rid: remote.RID(),
		cid: remote.ID(), mid: receiver.RTPTransceiver().Mid(),
	}
	l.pt = uint8(remote.PayloadType())
	// What its first packet is of, which may be of anything that was negotiated.
	l.codec, l.known = codecOf(remote.Codec().MimeType)
	if remote.Kind() == webrtc.RTPCodecTypeVideo {
		l.kind = Video
	}
	l.rx.clock = float64(remote.Codec().ClockRate)
	switch l.rid {
	case "q":
	case "h":
		l.rank = 1
	default:
		l.rank = topRank
	}
	l.ring = ringOf(l.kind, l.rank)
	parameters := receiver.GetParameters()
	for _, c := range parameters.Codecs {
		if strings.EqualFold(c.MimeType, mimeRED) {
			l.redPT = uint8(c.PayloadType)
		}
	}
	l.ids = extensionsOf(parameters.HeaderExtensions)
	for _, e := range parameters.HeaderExtensions {
		if e.URI == extAudioLevel {
			l.levelID = uint8(e.ID)
		}
	}
	return l
}

// flows tells whether packets came lately.
func (l *layer) flows(now int64) bool {
	seen := l.lastSeen.Load()
	return seen != 0 && now-seen < int64(layerStalled)
}

// start begins to take packets. The track must be set.
func (l *layer) start() { l.pub.startLayer(l) }

// end is called when the stream has ended. It waits for nothing.
func (l *layer) end() {
	l.mu.Lock()
	again := l.ended
	l.ended = true
	l.mu.Unlock()
	if again {
		return
	}
	l.pub.endLayer(l)
	l.pub.loops.Go(func() {
		l.timers.Wait()
		l.pub.p.room.post(layerEnded{l.pub.p, l})
	})
}

// packet takes one packet in and forwards it. It is called for one packet at a
// time.
func (l *layer) packet(pkt *packet, raw []byte, at time.Time) {
	since := at.Sub(clockBase)
	now := int64(since)
	m := l.pub.p.room.sfu.metrics
	m.received.Inc()
	l.octets.Add(uint64(len(raw)))
	gaps, lost := l.rx.packet(pkt.seq, pkt.ts, at, since)
	l.lastSeen.Store(now)
	t := l.track
	muted := t.muted.Load()
	if !muted { // nobody may ask for it either
		l.ring.put(pkt.seq, raw)
	}
	var v picture
	level := uint8(quietLevel)
	if l.kind == Video {
		if gaps {
			l.askMissing(nackDelay)
		}
		if lost {
			l.requestKeyFrame()
		}
		if !v.parse(l.codec, pkt.payload) {
			return
		}
		if v.vp8.layered {
			l.temporal[v.vp8.tid].take(&v, len(raw))
		}
	} else {
		if !l.pub.soundGoesOn(len(raw), at) {
			m.soundDropped.Inc()
			return
		}
		if ext := pkt.extension(l.levelID); len(ext) >= 1 {
			level = ext[0] & 0x7F
			t.audio.add(level)
		}
	}
	if muted || t.voice && !l.pub.p.room.loudest.hears(t, level, now) {
		return
	}
	l.fan.forward(l, pkt, &v, now)
}

// after runs fn once, unless the layer has ended.
func (l *layer) after(d time.Duration, fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.timers.Add(1)
	time.AfterFunc(d, func() {
		defer l.timers.Done()
		fn()
	})
}

// askMissing asks the publisher for lost packets, in a moment and until they
// have come.
func (l *layer) askMissing(in time.Duration) {
	if !l.asking.CompareAndSwap(false, true) {
		return
	}
	l.after(in, func() {
		l.asking.Store(false)
		seqs, again, lost := l.rx.nack(time.Now())
		if len(seqs) > 0 {
			l.pub.p.room.sfu.metrics.nacks.Add(float64(len(seqs)))
			l.pub.write([]rtcp.Packet{&rtcp.TransportLayerNack{MediaSSRC: l.ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(seqs)}})
		}
		if lost {
			l.requestKeyFrame()
		}
		if again > 0 {
			l.askMissing(again)
		}
	})
}

// requestKeyFrame asks the publisher for a key frame (PLI, RFC 4585, 6.3.1),
// now or as soon as the throttle lets it.
func (l *layer) requestKeyFrame() {
	if l.kind != Video {
		return
	}
	l.mu.Lock()
	wait := keyFrameEvery - time.Since(l.lastPLI)
	if wait > 0 {
		due := l.pliDue
		l.pliDue = true
		l.mu.Unlock()
		if !due {
			l.after(wait, func() {
				l.mu.Lock()
				l.pliDue = false
				l.mu.Unlock()
				l.tryKeyFrame()
			})
		}
		return
	}
	l.mu.Unlock()
	l.tryKeyFrame()
}

// tryKeyFrame is requestKeyFrame without a second try, for callers that come
// again with the next packet.
func (l *layer) tryKeyFrame() {
	l.mu.Lock()
	if l.ended || time.Since(l.lastPLI) < keyFrameEvery {
		l.mu.Unlock()
		return
	}
	l.lastPLI = time.Now()
	l.mu.Unlock()
	l.pub.p.room.sfu.metrics.plis.Inc()
	l.pub.write([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: l.ssrc}})
}

// senderReport takes a report of the publisher's, which ties its timestamps to
// a clock, and hands it on so that sound and picture stay in step.
func (l *layer) senderReport(ntp uint64, ts uint32) {
	now := time.Now()
	l.rx.senderReport(ntp, now)
	if now.Sub(l.reported) < reportPause {
		return
	}
	l.reported = now
	for _, d := range *l.track.subs.Load() {
		d.senderReport(l, ntp, ts)
	}
}
