package sfu

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

// Header extensions that are read from publishers. The transport's sequence
// number is sent to subscribers, too.
const (
	extAudioLevel = sdp.AudioLevelURI
	extTWCC       = sdp.TransportCCURI
	extMID        = sdp.SDESMidURI
	extRID        = sdp.SDESRTPStreamIDURI
	extRepairRID  = sdp.SDESRepairRTPStreamIDURI
)

const mimeRED = "audio/red"

// codec is what a layer carries.
type codec uint8

const (
	codecOpus codec = iota
	codecVP8
	codecH264
)

// codecOf tells what a MIME type is, false for what cannot be forwarded. RED
// (RFC 2198) wraps Opus.
func codecOf(mime string) (codec, bool) {
	switch strings.ToLower(mime) {
	case strings.ToLower(webrtc.MimeTypeOpus), mimeRED:
		return codecOpus, true
	case strings.ToLower(webrtc.MimeTypeVP8):
		return codecVP8, true
	case strings.ToLower(webrtc.MimeTypeH264):
		return codecH264, true
	}
	return 0, false
}

func (c codec) mime() string {
	switch c {
	case codecVP8:
		return webrtc.MimeTypeVP8
	case codecH264:
		return webrtc.MimeTypeH264
	case codecOpus:
	}
	return webrtc.MimeTypeOpus
}

// Codecs lists the MIME types that may be published.
func Codecs() []string {
	return []string{webrtc.MimeTypeOpus, mimeRED, webrtc.MimeTypeVP8, webrtc.MimeTypeH264}
}

// newMediaEngine registers what may be published and received. VP9 and AV1 come
// with their own issue.
func newMediaEngine() (*webrtc.MediaEngine, error) {
	m := &webrtc.MediaEngine{}
	video := []webrtc.RTCPFeedback{
		{Type: webrtc.TypeRTCPFBTransportCC}, {Type: webrtc.TypeRTCPFBCCM, Parameter: "fir"},
		{Type: webrtc.TypeRTCPFBNACK}, {Type: webrtc.TypeRTCPFBNACK, Parameter: "pli"},
	}
	audio := []webrtc.RTCPFeedback{{Type: webrtc.TypeRTCPFBTransportCC}}
	codecs := []struct {
		mime     string
		clock    uint32
		channels uint16
		fmtp     string
		feedback []webrtc.RTCPFeedback
		pt       webrtc.PayloadType
	}{
		// Clients send what stands first: each packet carries the one before it,
		// too, and a lost one costs nothing.
		{mimeRED, 48000, 2, "111/111", audio, 63},
		{webrtc.MimeTypeOpus, 48000, 2, "minptime=10;useinbandfec=1", audio, 111},
		{webrtc.MimeTypeVP8, 90000, 0, "", video, 96},
		{webrtc.MimeTypeRTX, 90000, 0, "apt=96", nil, 97},
		{webrtc.MimeTypeH264, 90000, 0, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f", video, 102},
		{webrtc.MimeTypeRTX, 90000, 0, "apt=102", nil, 103},
		{webrtc.MimeTypeH264, 90000, 0, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f", video, 104},
		{webrtc.MimeTypeRTX, 90000, 0, "apt=104", nil, 105},
	}
	for _, c := range codecs {
		kind := webrtc.RTPCodecTypeVideo
		if c.channels > 0 {
			kind = webrtc.RTPCodecTypeAudio
		}
		if err := m.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: c.mime, ClockRate: c.clock, Channels: c.channels, SDPFmtpLine: c.fmtp, RTCPFeedback: c.feedback,
		}, PayloadType: c.pt}, kind); err != nil {
			return nil, fmt.Errorf("sfu: register %s: %w", c.mime, err)
		}
	}
	const in, out = webrtc.RTPTransceiverDirectionRecvonly, webrtc.RTPTransceiverDirectionSendonly
	exts := []struct {
		uri        string
		kind       webrtc.RTPCodecType
		directions []webrtc.RTPTransceiverDirection
	}{
		{extAudioLevel, webrtc.RTPCodecTypeAudio, []webrtc.RTPTransceiverDirection{in}},
		{extTWCC, webrtc.RTPCodecTypeAudio, []webrtc.RTPTransceiverDirection{in, out}},
		{extTWCC, webrtc.RTPCodecTypeVideo, []webrtc.RTPTransceiverDirection{in, out}},
		{extMID, webrtc.RTPCodecTypeAudio, []webrtc.RTPTransceiverDirection{in}},
		{extMID, webrtc.RTPCodecTypeVideo, []webrtc.RTPTransceiverDirection{in}},
		{extRID, webrtc.RTPCodecTypeVideo, []webrtc.RTPTransceiverDirection{in}},
		{extRepairRID, webrtc.RTPCodecTypeVideo, []webrtc.RTPTransceiverDirection{in}},
	}
	for _, e := range exts {
		if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: e.uri}, e.kind, e.directions...); err != nil {
			return nil, fmt.Errorf("sfu: register extension %s: %w", e.uri, err)
		}
	}
	return m, nil
}

// retransmissionOf finds the payload type that carries retransmissions of pt
// (RFC 4588, 8.6), 0 when there is none.
func retransmissionOf(pt webrtc.PayloadType, codecs []webrtc.RTPCodecParameters) webrtc.PayloadType {
	apt := "apt=" + strconv.Itoa(int(pt))
	for _, c := range codecs {
		if strings.EqualFold(c.MimeType, webrtc.MimeTypeRTX) && c.SDPFmtpLine == apt {
			return c.PayloadType
		}
	}
	return 0
}

// picture is what forwarding must know of a packet of video.
type picture struct {
	key bool // it begins a key frame: who gets it may begin here
	vp8 vp8  // the descriptor, of VP8 alone
}

// parse reads a payload. It reports false for what is none; an empty payload
// is padding that keeps the numbers whole.
func (p *picture) parse(c codec, payload []byte) bool {
	*p = picture{}
	if len(payload) == 0 {
		return true
	}
	switch c {
	case codecVP8:
		ok := p.vp8.parse(payload)
		p.key = p.vp8.key
		return ok
	case codecH264:
		p.key = beginsH264(payload)
	case codecOpus:
	}
	return true
}

// H.264 NAL unit types (RFC 6184, 5.2).
const (
	nalSPS   = 7
	nalSTAPA = 24
	nalFUA   = 28
)

// beginsH264 tells whether a decoder may begin with this packet: browsers send
// a sequence parameter set before every IDR picture, alone, in an aggregation
// packet (RFC 6184, 5.7.1), or in fragments (5.8).
func beginsH264(b []byte) bool {
	switch b[0] & 0x1F {
	case nalSPS:
		return true
	case nalFUA:
		return len(b) > 1 && b[1]&0x80 != 0 && b[1]&0x1F == nalSPS
	case nalSTAPA:
		for b = b[1:]; len(b) > 2; {
			size := int(binary.BigEndian.Uint16(b))
			if b = b[2:]; size == 0 || size > len(b) {
				return false
			}
			if b[0]&0x1F == nalSPS {
				return true
			}
			b = b[size:]
		}
	}
	return false
}

// redPrimary returns the newest of the blocks in a payload of RED, and the one
// before it where the payload has it; nil for what is no RED (RFC 2198, 3).
func redPrimary(b []byte) (primary, before []byte) {
	sizes, at := 0, 0
	last := 0
	for {
		if at >= len(b) {
			return nil, nil
		}
		if b[at]&0x80 == 0 { // the primary block's header
			at++
			break
		}
		if at+4 > len(b) {
			return nil, nil
		}
		last = int(b[at+2]&0x03)<<8 | int(b[at+3])
		sizes += last
		at += 4
	}
	if at+sizes > len(b) {
		return nil, nil
	}
	primary = b[at+sizes:]
	if last > 0 {
		before = b[at+sizes-last : at+sizes]
	}
	return primary, before
}
