package client

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"commsd/bench/media/camera"
)

// Publication says what a client sends.
type Publication struct {
	Layers []string // RIDs of the video, lowest first; none: no video
	Audio  bool
	Silent bool // comfort noise alone
	Seed   uint64
	Pump   *camera.Pump // paces it
}

// namedPackets is how many packets of a stream tell its section and layer:
// Chromium leaves that out once the server must have understood.
const namedPackets = 100

// publishing is a publication on its connection.
type publishing struct {
	conn  *connection
	video *webrtc.RTPSender
	audio *webrtc.RTPSender
	rids  map[string]*webrtc.TrackLocalStaticRTP
	sound *webrtc.TrackLocalStaticRTP
	total atomic.Uint32 // packets of the connection, for transport-wide numbers
}

const streamName = "bench"

// The client's ids of its tracks.
const (
	videoCID = "camera"
	audioCID = "microphone"
)

// addTracks puts what is to be published on conn, before the offer.
func addTracks(conn *connection, p *Publication) (*publishing, error) {
	out := &publishing{conn: conn, rids: make(map[string]*webrtc.TrackLocalStaticRTP)}
	var err error
	if p.Audio {
		codec := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}
		if out.sound, err = webrtc.NewTrackLocalStaticRTP(codec, audioCID, streamName); err == nil {
			out.audio, err = conn.AddTrack(out.sound)
		}
		if err != nil {
			return nil, fmt.Errorf("client: audio: %w", err)
		}
	}
	for i, rid := range p.Layers {
		codec := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}
		t, err := webrtc.NewTrackLocalStaticRTP(codec, videoCID, streamName, webrtc.WithRTPStreamID(rid))
		if err == nil && i == 0 {
			out.video, err = conn.AddTrack(t)
		} else if err == nil {
			err = out.video.AddEncoding(t)
		}
		if err != nil {
			return nil, fmt.Errorf("client: video layer %s: %w", rid, err)
		}
		out.rids[rid] = t
	}
	return out, nil
}

// start sends, once the answer has been applied and the connection stands. Its
// readers are loops', and end with the connection.
func (p *publishing) start(spec *Publication, loops *sync.WaitGroup) error {
	cfg := camera.Config{Silent: spec.Silent, Seed: spec.Seed, Start: time.Now(), Video: make(map[string]camera.Track)}
	if p.audio != nil {
		mid, twcc, level := ids(p.audio, sdp.SDESMidURI), ids(p.audio, sdp.TransportCCURI), ids(p.audio, sdp.AudioLevelURI)
		name := []byte(p.midOf(p.audio))
		sent := 0
		cfg.Audio = func(pkt *rtp.Packet) error {
			if sent++; sent <= namedPackets {
				if err := set(pkt, mid, name); err != nil {
					return err
				}
			}
			return errors.Join(p.number(pkt, twcc), p.sound.WriteRTP(pkt))
		}
		if level != 0 {
			cfg.Level = func(pkt *rtp.Packet, dBov uint8) {
				voice := byte(0x80)
				if dBov == 127 {
					voice = 0
				}
				_ = set(pkt, level, []byte{voice | dBov}) // one byte always fits
			}
		}
	}
	ssrcs := make(map[uint32]string)
	if p.video != nil {
		mid, twcc, ridID := ids(p.video, sdp.SDESMidURI), ids(p.video, sdp.TransportCCURI), ids(p.video, sdp.SDESRTPStreamIDURI)
		name := []byte(p.midOf(p.video))
		for _, e := range p.video.GetParameters().Encodings {
			ssrcs[uint32(e.SSRC)] = e.RID
		}
		for rid, track := range p.rids {
			label, sent := []byte(rid), 0
			cfg.Video[rid] = func(pkt *rtp.Packet) error {
				if sent++; sent <= namedPackets {
					if err := errors.Join(set(pkt, mid, name), set(pkt, ridID, label)); err != nil {
						return err
					}
				}
				return errors.Join(p.number(pkt, twcc), track.WriteRTP(pkt))
			}
		}
	}
	source, err := camera.New(cfg)
	if err != nil {
		return err
	}
	if p.audio != nil {
		loops.Go(func() { drain(p.audio) })
	}
	for rid := range p.rids {
		loops.Go(func() { obey(p.video, rid, ssrcs, source) })
	}
	spec.Pump.Add(source)
	return nil
}

// number writes the transport-wide number.
func (p *publishing) number(pkt *rtp.Packet, id uint8) error {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], uint16(p.total.Add(1)))
	return set(pkt, id, b[:])
}

func set(pkt *rtp.Packet, id uint8, value []byte) error {
	if id == 0 || len(value) == 0 {
		return nil
	}
	return pkt.SetExtension(id, value)
}

// ids is what was negotiated for a header extension, 0 for none.
func ids(s *webrtc.RTPSender, uri string) uint8 {
	for _, e := range s.GetParameters().HeaderExtensions {
		if e.URI == uri {
			return uint8(e.ID)
		}
	}
	return 0
}

func (p *publishing) midOf(s *webrtc.RTPSender) string {
	for _, t := range p.conn.GetTransceivers() {
		if t.Sender() == s {
			return t.Mid()
		}
	}
	return ""
}

// drain reads RTCP, on which the answers to NACKs depend.
func drain(s *webrtc.RTPSender) {
	buf := make([]byte, 1500)
	for {
		if _, _, err := s.Read(buf); err != nil {
			return
		}
	}
}

// obey makes key frames when the server asks.
func obey(s *webrtc.RTPSender, rid string, ssrcs map[uint32]string, source *camera.Source) {
	for {
		packets, _, err := s.ReadSimulcastRTCP(rid)
		if err != nil {
			return
		}
		for _, p := range packets {
			switch p := p.(type) {
			case *rtcp.PictureLossIndication:
				source.KeyFrame(ssrcs[p.MediaSSRC])
			case *rtcp.FullIntraRequest:
				for _, f := range p.FIR {
					source.KeyFrame(ssrcs[f.SSRC])
				}
			}
		}
	}
}
