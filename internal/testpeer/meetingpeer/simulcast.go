package meetingpeer

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

// Rids are the layers of a Simulcast, the lowest first.
const Rids = "qhf"

const (
	pictureBytes = 1100 // of a picture in one packet
	keyFactor    = 3    // a key frame is so many times as large as others
)

// Simulcast is a camera that is published in three layers.
type Simulcast struct {
	media  *Media
	sender *webrtc.RTPSender
	layers [len(Rids)]*webrtc.TrackLocalStaticRTP
	asked  [len(Rids)]atomic.Bool // for a key frame
	taken  atomic.Int64           // pictures
}

// Taken counts the pictures that were taken, each in all layers.
func (s *Simulcast) Taken() int { return int(s.taken.Load()) }

// AddSimulcast adds a VP8 track of the given client id, in three layers, to the
// publisher connection; Negotiate offers it.
func (m *Media) AddSimulcast(cid string) (*Simulcast, error) {
	s := &Simulcast{media: m}
	for i, rid := range Rids {
		codec := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}
		layer, err := webrtc.NewTrackLocalStaticRTP(codec, cid, "stream", webrtc.WithRTPStreamID(string(rid)))
		if err == nil && i == 0 {
			s.sender, err = m.pub.AddTrack(layer)
		} else if err == nil {
			err = s.sender.AddEncoding(layer)
		}
		if err != nil {
			return nil, fmt.Errorf("meetingpeer: layer %c: %w", rid, err)
		}
		s.layers[i] = layer
		s.asked[i].Store(true)
	}
	for i, rid := range Rids {
		m.loops.Go(func() {
			for {
				packets, _, err := s.sender.ReadSimulcastRTCP(string(rid))
				if err != nil {
					return
				}
				for _, p := range packets {
					switch p.(type) {
					case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
						s.asked[i].Store(true)
					}
				}
			}
		})
	}
	return s, nil
}

// Film sends pictures, every so often, of layers with these rates in bits a
// second until it is stopped: a key frame of a layer when it is asked for and
// each five seconds. The connection must have been negotiated.
func (s *Simulcast) Film(every time.Duration, rates [len(Rids)]int) *Source {
	src := &Source{stop: make(chan struct{})}
	films := make([]*film, len(Rids))
	for i, rid := range Rids {
		films[i] = &film{
			track: s.layers[i], rid: byte(rid), size: int(float64(rates[i]) * every.Seconds() / 8), ticks: uint32(every.Seconds() * 90000),
			ridID: s.extension(sdp.SDESRTPStreamIDURI), midID: s.extension(sdp.SDESMidURI), mid: s.mid(), frames: int(5 * time.Second / every),
		}
	}
	src.wg.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-src.stop:
				return
			case <-tick.C:
			}
			s.taken.Add(1)
			for i, f := range films {
				key := s.asked[i].Swap(false)
				if f.picture(key || n%f.frames == 0) != nil {
					return // the connection has closed
				}
			}
		}
	})
	return src
}

func (s *Simulcast) extension(uri string) uint8 {
	for _, e := range s.sender.GetParameters().HeaderExtensions {
		if e.URI == uri {
			return uint8(e.ID)
		}
	}
	return 0
}

func (s *Simulcast) mid() string {
	for _, t := range s.media.pub.GetTransceivers() {
		if t.Sender() == s.sender {
			return t.Mid()
		}
	}
	return ""
}

// film is the encoder of one layer.
type film struct {
	track        *webrtc.TrackLocalStaticRTP
	rid          byte
	mid          string
	ridID, midID uint8
	size, frames int
	ticks        uint32

	seq, pid uint16
	ts       uint32
}

// picture sends a frame: a descriptor with a picture id of 15 bits (RFC 7741,
// 4.2), the frame's first byte, the layer's letter, and nothing more of use.
func (f *film) picture(key bool) error {
	left := max(f.size, 2)
	if key {
		left *= keyFactor
	}
	f.pid = (f.pid + 1) & 0x7FFF
	f.ts += f.ticks
	for first := true; left > 0; first = false {
		n := min(left, pictureBytes)
		left -= n
		payload := make([]byte, 4+n)
		payload[0], payload[1] = 0x80, 0x80
		binary.BigEndian.PutUint16(payload[2:], f.pid|0x8000)
		if first {
			payload[0] |= 0x10
			if !key {
				payload[4] = 0x01
			}
			payload[5] = f.rid
		}
		p := &rtp.Packet{Header: rtp.Header{Version: 2, Marker: left == 0, SequenceNumber: f.seq, Timestamp: f.ts}, Payload: payload}
		f.seq++
		for id, value := range map[uint8]string{f.ridID: string(f.rid), f.midID: f.mid} {
			if id == 0 {
				continue
			}
			if err := p.SetExtension(id, []byte(value)); err != nil {
				return fmt.Errorf("meetingpeer: layer %c: %w", f.rid, err)
			}
		}
		if err := f.track.WriteRTP(p); err != nil {
			return fmt.Errorf("meetingpeer: layer %c: %w", f.rid, err)
		}
	}
	return nil
}

// Picture is what a Viewer has seen of a packet that begins a Film's frame.
type Picture struct {
	Layer byte // its letter
	Key   bool
	ID    uint16 // of 15 bits, without a gap in what one viewer gets
}

// PictureOf reads the first packet of a Film's frame.
func PictureOf(p *rtp.Packet) (Picture, bool) {
	b := p.Payload
	if len(b) < 6 || b[0]&0x90 != 0x90 || b[1] != 0x80 || b[2]&0x80 == 0 {
		return Picture{}, false
	}
	return Picture{Layer: b[5], Key: b[4]&1 == 0, ID: binary.BigEndian.Uint16(b[2:]) & 0x7FFF}, true
}
