package sfu

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/transport/v5/packetio"
	"github.com/pion/webrtc/v4"
)

const (
	maxInbound   = 512       // streams that a client may have at a time, retransmissions counted
	maxReports   = 16 << 10  // streams that it may speak of by RTCP
	earlyPackets = 64        // kept of a stream that nobody has claimed yet
	earlyBytes   = 512 << 10 // of all such streams together
)

// streams is where a connection's SRTP ends. What Pion's session decrypts comes
// here on the session's goroutine, packet by packet, and is forwarded at once;
// Pion itself reads no more than the first packets of a stream, from which it
// learns whose it is.
type streams struct {
	t *transport

	mu      sync.Mutex
	in      map[uint32]*inbound   // guarded by mu; by SSRC
	out     map[uint32]*downTrack // guarded by mu; by the SSRC that it is sent with
	repairs map[uint32]*layer     // guarded by mu; layers by the SSRC of their retransmissions
	layers  []*layer              // guarded by mu; that packets are handed to
	reports int                   // guarded by mu; RTCP streams
	early   int                   // guarded by mu; bytes kept
	ids     extensionIDs          // guarded by mu
}

// extensionIDs are those of a connection's header extensions; 0 is none.
type extensionIDs struct{ twcc, mid, repairRID uint8 }

func newStreams(t *transport) *streams {
	return &streams{t: t, in: make(map[uint32]*inbound), out: make(map[uint32]*downTrack), repairs: make(map[uint32]*layer)}
}

// buffer makes what Pion takes for a stream's buffer.
func (s *streams) buffer(kind packetio.BufferPacketType, ssrc uint32) io.ReadWriteCloser {
	var over bool
	var b io.ReadWriteCloser
	s.mu.Lock()
	if kind == packetio.RTCPBufferPacket {
		s.reports++
		over = s.reports > maxReports
		b = &reports{s: s, ssrc: ssrc, done: make(chan struct{})}
	} else {
		in := &inbound{s: s, ssrc: ssrc, done: make(chan struct{}), some: make(chan struct{}, 1)}
		if l := s.repairs[ssrc]; l != nil {
			in.layer, in.repair = l, true
		}
		s.in[ssrc] = in
		over = len(s.in) > maxInbound
		b = in
	}
	s.mu.Unlock()
	if over {
		s.t.fail(errors.New("client sends too many streams"))
	}
	return b
}

// bind hands a layer its packets, the early ones first.
func (s *streams) bind(l *layer) {
	s.mu.Lock()
	s.layers = append(s.layers, l)
	if rtx := uint32(l.remote.RtxSSRC()); rtx != 0 {
		s.repairs[rtx] = l
	}
	s.ids = l.ids
	primary := s.in[l.ssrc]
	others := make([]*inbound, 0, len(s.in))
	for _, in := range s.in {
		if in != primary {
			others = append(others, in)
		}
	}
	s.mu.Unlock()
	if primary == nil { // it has closed
		l.end()
		return
	}
	primary.claim(l, false)
	for _, in := range others {
		in.look(l)
	}
}

// unbind forgets a layer.
func (s *streams) unbind(l *layer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, o := range s.layers {
		if o == l {
			s.layers = append(s.layers[:i], s.layers[i+1:]...)
			break
		}
	}
	for ssrc, o := range s.repairs {
		if o == l {
			delete(s.repairs, ssrc)
		}
	}
}

// send notes which track is sent with an SSRC, nil for none any more.
func (s *streams) send(ssrc uint32, d *downTrack) {
	if ssrc == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d == nil {
		delete(s.out, ssrc)
		return
	}
	s.out[ssrc] = d
}

// repaired finds the layer whose retransmissions a packet is one of, by its
// header extensions (RFC 8852, 3.1); nil when it does not say.
func (s *streams) repaired(pkt *packet) *layer {
	s.mu.Lock()
	defer s.mu.Unlock()
	rid, mid := pkt.extension(s.ids.repairRID), pkt.extension(s.ids.mid)
	if len(rid) == 0 || len(mid) == 0 {
		return nil
	}
	for _, l := range s.layers {
		if l.rid == string(rid) && l.mid == string(mid) {
			return l
		}
	}
	return nil
}

// close ends every stream: nobody reads any more.
func (s *streams) close() {
	s.mu.Lock()
	all := make([]*inbound, 0, len(s.in))
	for _, in := range s.in {
		all = append(all, in)
	}
	s.mu.Unlock()
	for _, in := range all {
		_ = in.Close()
	}
}

// inbound is one incoming stream of RTP.
type inbound struct {
	// Set at construction.
	s    *streams
	ssrc uint32
	some chan struct{} // holds a value when Pion may have something to read
	done chan struct{} // closed with the stream

	mu     sync.Mutex
	layer  *layer  // guarded by mu; that the packets are of; nil: not known yet
	repair bool    // guarded by mu; they are retransmissions of the layer's
	early  []early // guarded by mu; what came before the layer was known
	read   int     // guarded by mu; of those, that Pion has read
	closed bool    // guarded by mu
}

type early struct {
	raw []byte
	at  time.Time
}

// Write takes a packet in. It is called by the SRTP session alone.
func (in *inbound) Write(raw []byte) (int, error) {
	at := time.Now()
	var pkt packet
	ok := pkt.parse(raw)
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.closed || !ok:
	case in.layer != nil:
		in.deliver(&pkt, raw, at)
	default:
		in.keep(raw, at) // also what is claimed at once: Pion waits for a first packet
		if l := in.s.repaired(&pkt); l != nil {
			in.layer, in.repair = l, true
			in.deliver(&pkt, raw, at)
		}
	}
	return len(raw), nil
}

// keep stores a packet for Pion, and for the layer that it will find. in.mu is
// held.
func (in *inbound) keep(raw []byte, at time.Time) {
	s := in.s
	s.mu.Lock()
	full := len(in.early) >= earlyPackets || s.early+len(raw) > earlyBytes
	if !full {
		s.early += len(raw)
	}
	s.mu.Unlock()
	if full {
		return
	}
	in.early = append(in.early, early{append([]byte(nil), raw...), at})
	select {
	case in.some <- struct{}{}:
	default:
	}
}

// claim gives the stream to a layer.
func (in *inbound) claim(l *layer, repair bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed || in.layer != nil {
		return
	}
	in.layer, in.repair = l, repair
	for i, e := range in.early {
		var pkt packet
		raw := e.raw
		if i == 0 {
			raw = bytes.Clone(raw) // Pion may not have read it yet
		}
		if pkt.parse(raw) {
			in.deliver(&pkt, raw, e.at)
		}
	}
	in.drop(1)
}

// drop forgets the early packets but for the first keep. in.mu is held.
func (in *inbound) drop(keep int) {
	keep = min(keep, len(in.early))
	n := 0
	for _, e := range in.early[keep:] {
		n += len(e.raw)
	}
	in.early = in.early[:keep:keep]
	in.s.mu.Lock()
	in.s.early -= n
	in.s.mu.Unlock()
}

// look claims a stream that nobody has for l, if it is of l's retransmissions.
func (in *inbound) look(l *layer) {
	in.s.mu.Lock()
	known := in.s.repairs[in.ssrc] == l
	in.s.mu.Unlock()
	in.mu.Lock()
	for _, e := range in.early {
		var pkt packet
		if known || in.layer != nil {
			break
		}
		known = pkt.parse(e.raw) && in.s.repaired(&pkt) == l
	}
	in.mu.Unlock()
	if known {
		in.claim(l, true)
	}
}

// deliver hands a packet to the layer. in.mu is held, so that packets stay in
// order.
func (in *inbound) deliver(pkt *packet, raw []byte, at time.Time) {
	l := in.layer
	if ext := pkt.extension(l.ids.twcc); len(ext) == 2 {
		l.pub.feedback.received(in.ssrc, binary.BigEndian.Uint16(ext), int64(at.Sub(clockBase)))
	}
	if !in.repair {
		l.packet(pkt, raw, at)
		return
	}
	if len(pkt.payload) < 2 {
		return // padding that probes the way
	}
	// The number that the packet had stands before its payload (RFC 4588, 4):
	// the header moves over it.
	seq := binary.BigEndian.Uint16(pkt.payload)
	header := pkt.headerLen
	copy(raw[2:], raw[:header])
	raw = raw[2:]
	raw[1] = raw[1]&0x80 | l.pt
	binary.BigEndian.PutUint16(raw[2:], seq)
	binary.BigEndian.PutUint32(raw[8:], l.ssrc)
	var repaired packet
	if repaired.parse(raw) {
		l.packet(&repaired, raw, at)
	}
}

// Read gives Pion the early packets, and waits once it has had them.
func (in *inbound) Read(b []byte) (int, error) {
	for {
		in.mu.Lock()
		if in.read < len(in.early) {
			n := copy(b, in.early[in.read].raw)
			in.read++
			in.mu.Unlock()
			return n, nil
		}
		in.mu.Unlock()
		select {
		case <-in.some:
		case <-in.done:
			return 0, io.EOF
		}
	}
}

// Close ends the stream, and with it its layer.
func (in *inbound) Close() error {
	in.mu.Lock()
	if in.closed {
		in.mu.Unlock()
		return nil
	}
	in.closed = true
	close(in.done)
	in.drop(0)
	l := in.layer
	ends := l != nil && !in.repair
	in.mu.Unlock()
	in.s.mu.Lock()
	if in.s.in[in.ssrc] == in {
		delete(in.s.in, in.ssrc)
	}
	in.s.mu.Unlock()
	if ends {
		l.end()
	}
	return nil
}

// reports takes the RTCP that a client sends about one SSRC.
type reports struct {
	s    *streams
	ssrc uint32
	once sync.Once
	done chan struct{}
}

// Write takes one RTCP packet (not a compound one). A packet that speaks of
// several SSRCs comes once for each; what it says of the others is left to
// theirs.
func (r *reports) Write(b []byte) (int, error) {
	if len(b) < 4 {
		return len(b), nil
	}
	var h rtcp.Header
	if h.Unmarshal(b) == nil {
		r.packet(h, b)
	}
	return len(b), nil
}

func (r *reports) packet(h rtcp.Header, b []byte) {
	s := r.s
	defer s.t.recovered()
	s.mu.Lock()
	d := s.out[r.ssrc]
	var l *layer
	if in := s.in[r.ssrc]; in != nil && h.Type == rtcp.TypeSenderReport {
		for _, o := range s.layers {
			if o.ssrc == r.ssrc {
				l = o
			}
		}
	}
	s.mu.Unlock()
	switch {
	case h.Type == rtcp.TypeSenderReport && l != nil:
		var sr rtcp.SenderReport
		if sr.Unmarshal(b) == nil && sr.SSRC == r.ssrc {
			l.senderReport(sr.NTPTime, sr.RTPTime)
		}
	case d == nil: // of nothing that is sent
	case h.Type == rtcp.TypeReceiverReport:
		var rr rtcp.ReceiverReport
		if rr.Unmarshal(b) == nil {
			d.note(rr.Reports)
		}
	case h.Type == rtcp.TypeSenderReport: // of a client that sends on the same connection
		var sr rtcp.SenderReport
		if sr.Unmarshal(b) == nil {
			d.note(sr.Reports)
		}
	case h.Type == rtcp.TypePayloadSpecificFeedback && (h.Count == rtcp.FormatPLI || h.Count == rtcp.FormatFIR):
		d.requestKeyFrame()
	case h.Type == rtcp.TypeTransportSpecificFeedback && h.Count == rtcp.FormatTLN:
		var nack rtcp.TransportLayerNack
		if nack.Unmarshal(b) == nil && nack.MediaSSRC == r.ssrc {
			for _, pair := range nack.Nacks {
				pair.Range(d.resend)
			}
		}
	case h.Type == rtcp.TypeTransportSpecificFeedback && h.Count == rtcp.FormatTCC:
		if len(b) >= 12 && binary.BigEndian.Uint32(b[8:]) == r.ssrc {
			d.p.sub.congestion.received(b)
		}
	}
}

// Read has nothing for Pion.
func (r *reports) Read([]byte) (int, error) {
	<-r.done
	return 0, io.EOF
}

// Close ends the stream.
func (r *reports) Close() error {
	r.once.Do(func() {
		close(r.done)
		r.s.mu.Lock()
		r.s.reports--
		r.s.mu.Unlock()
	})
	return nil
}

// extensionsOf reads the ids that a receiver has agreed to.
func extensionsOf(exts []webrtc.RTPHeaderExtensionParameter) extensionIDs {
	var ids extensionIDs
	for _, e := range exts {
		switch e.URI {
		case extTWCC:
			ids.twcc = uint8(e.ID)
		case extMID:
			ids.mid = uint8(e.ID)
		case extRepairRID:
			ids.repairRID = uint8(e.ID)
		}
	}
	return ids
}
