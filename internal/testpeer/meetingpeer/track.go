package meetingpeer

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// Track is a track that is received.
type Track struct {
	ID, Stream string // as the SDP names them
	MID        string
	Kind       webrtc.RTPCodecType
	SSRC       uint32
	Packets    chan *rtp.Packet // closed when the track ends
	RTCP       chan rtcp.Packet // what the server says of it; closed when the track ends
}

// received reads a track of the subscriber connection.
func (m *Media) received(remote *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
	t := &Track{
		ID: remote.ID(), Stream: remote.StreamID(), MID: receiver.RTPTransceiver().Mid(), Kind: remote.Kind(), SSRC: uint32(remote.SSRC()),
		Packets: make(chan *rtp.Packet, 4096), RTCP: make(chan rtcp.Packet, 256),
	}
	m.mu.Lock()
	m.playing[remote] = t.MID
	m.unblock = append(m.unblock, func() {
		_ = remote.SetReadDeadline(time.Now()) // where it has ended nobody reads
		_ = receiver.SetReadDeadline(time.Now())
	})
	m.mu.Unlock()
	m.loops.Go(func() {
		defer close(t.Packets)
		for {
			p, _, err := remote.ReadRTP()
			if err != nil {
				return
			}
			select {
			case t.Packets <- p:
			default: // the test has stopped listening
			}
		}
	})
	m.loops.Go(func() {
		defer close(t.RTCP)
		for {
			packets, _, err := receiver.ReadRTCP()
			if err != nil {
				return
			}
			offer(t.RTCP, packets)
		}
	})
	m.tracks <- t
}

func offer(to chan rtcp.Packet, packets []rtcp.Packet) {
	for _, p := range packets {
		select {
		case to <- p:
		default: // the test does not listen
		}
	}
}

// Track waits for the next received track.
func (m *Media) Track(ctx context.Context) (*Track, error) {
	select {
	case t := <-m.tracks:
		return t, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("meetingpeer: no track: %w", ctx.Err())
	}
}

// Next waits for the next packet that holds for accept, nil for any.
func (t *Track) Next(ctx context.Context, accept func(*rtp.Packet) bool) (*rtp.Packet, error) {
	for {
		select {
		case p, ok := <-t.Packets:
			if !ok {
				return nil, fmt.Errorf("meetingpeer: track %s has ended", t.ID)
			}
			if accept == nil || accept(p) {
				return p, nil
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("meetingpeer: no packet: %w", ctx.Err())
		}
	}
}

// Publication is a track that is published.
type Publication struct {
	CID    string
	RTCP   chan rtcp.Packet // what the server asks; closed when the sender stops
	local  *webrtc.TrackLocalStaticRTP
	sender *webrtc.RTPSender
	video  bool
}

// AddTrack adds a track of the given client id to the publisher connection;
// Negotiate offers it.
func (m *Media) AddTrack(cid string, kind webrtc.RTPCodecType) (*Publication, error) {
	return m.AddTrackAs(cid, kind, 0)
}

// AddTrackAs is AddTrack with an SSRC of the caller's choice, 0 for Pion's.
func (m *Media) AddTrackAs(cid string, kind webrtc.RTPCodecType, ssrc uint32) (*Publication, error) {
	codec := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}
	if kind == webrtc.RTPCodecTypeVideo {
		codec = webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}
		if m.cfg.H264 {
			codec.MimeType = webrtc.MimeTypeH264
		}
	}
	local, err := webrtc.NewTrackLocalStaticRTP(codec, cid, "stream")
	if err != nil {
		return nil, fmt.Errorf("meetingpeer: %w", err)
	}
	sender, err := m.send(local, ssrc)
	if err != nil {
		return nil, fmt.Errorf("meetingpeer: %w", err)
	}
	p := &Publication{CID: cid, RTCP: make(chan rtcp.Packet, 256), local: local, sender: sender, video: kind == webrtc.RTPCodecTypeVideo}
	m.loops.Go(func() {
		defer close(p.RTCP)
		for {
			packets, _, err := sender.ReadRTCP()
			if err != nil {
				return
			}
			offer(p.RTCP, packets)
		}
	})
	return p, nil
}

// send adds a track, in a section of its own where the connection has others to
// receive in, as browsers do.
func (m *Media) send(local webrtc.TrackLocal, ssrc uint32) (*webrtc.RTPSender, error) {
	if !m.cfg.OneConnection && ssrc == 0 {
		return m.pub.AddTrack(local)
	}
	m.negotiating.Lock() // Pion offers a transceiver whole or not at all
	defer m.negotiating.Unlock()
	how := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}
	if ssrc != 0 {
		how.SendEncodings = []webrtc.RTPEncodingParameters{{RTPCodingParameters: webrtc.RTPCodingParameters{SSRC: webrtc.SSRC(ssrc)}}}
	}
	tr, err := m.pub.AddTransceiverFromTrack(local, how)
	if err != nil {
		return nil, err
	}
	return tr.Sender(), nil
}

// RemoveTrack takes a track off the publisher connection; Negotiate tells the
// server.
func (m *Media) RemoveTrack(p *Publication) error {
	if err := m.pub.RemoveTrack(p.sender); err != nil {
		return fmt.Errorf("meetingpeer: %w", err)
	}
	return nil
}

// Write sends one packet; payload type and SSRC are filled in.
func (p *Publication) Write(pkt *rtp.Packet) error { return p.local.WriteRTP(pkt) }

// SSRC is the stream's.
func (p *Publication) SSRC() uint32 {
	return uint32(p.sender.GetParameters().Encodings[0].SSRC)
}

// Extension is the id that was negotiated for a header extension, 0 for none.
func (p *Publication) Extension(uri string) uint8 {
	for _, e := range p.sender.GetParameters().HeaderExtensions {
		if e.URI == uri {
			return uint8(e.ID)
		}
	}
	return 0
}

// Request waits for an RTCP packet that holds for accept.
func (p *Publication) Request(ctx context.Context, accept func(rtcp.Packet) bool) error {
	for {
		select {
		case r, ok := <-p.RTCP:
			if !ok {
				return fmt.Errorf("meetingpeer: publication %s has ended", p.CID)
			}
			if accept(r) {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("meetingpeer: nothing asked: %w", ctx.Err())
		}
	}
}

// Source is a running Pump.
type Source struct {
	stop chan struct{}
	once sync.Once
	wg   sync.WaitGroup
}

// Stop ends the source and waits for it.
func (s *Source) Stop() {
	s.once.Do(func() { close(s.stop) })
	s.wg.Wait()
}

// Pump sends what next makes of 0, 1, 2, … at the given pace until Stop, as a
// camera or a microphone would. A nil packet is a pause.
func (p *Publication) Pump(every time.Duration, next func(n int) *rtp.Packet) *Source {
	s := &Source{stop: make(chan struct{})}
	s.wg.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-s.stop:
				return
			case <-tick.C:
			}
			if pkt := next(n); pkt != nil && p.Write(pkt) != nil {
				return // the connection has closed
			}
		}
	})
	return s
}

// VP8 is a packet that is one whole VP8 frame (RFC 7741, 4.2), with body after
// the descriptor and the frame's first byte.
func VP8(seq uint16, ts uint32, key bool, body []byte) *rtp.Packet {
	frame := byte(0x01)
	if key {
		frame = 0x00
	}
	return &rtp.Packet{
		Header:  rtp.Header{Version: 2, Marker: true, SequenceNumber: seq, Timestamp: ts},
		Payload: append([]byte{0x10, frame}, body...),
	}
}

// Opus is a packet of sound; body is opaque.
func Opus(seq uint16, ts uint32, body []byte) *rtp.Packet {
	return &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: seq, Timestamp: ts}, Payload: body}
}
