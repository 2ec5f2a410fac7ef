package sfu

import (
	"fmt"

	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

// Header extensions that are read from publishers.
const (
	extAudioLevel = sdp.AudioLevelURI
	extTWCC       = sdp.TransportCCURI
	extMID        = sdp.SDESMidURI
	extRID        = sdp.SDESRTPStreamIDURI
)

// Codecs lists the MIME types that may be published.
func Codecs() []string { return []string{webrtc.MimeTypeOpus, webrtc.MimeTypeVP8} }

// newMediaEngine registers VP8 and Opus. H264, RED and retransmission streams
// come with the media plane's own issue.
func newMediaEngine() (*webrtc.MediaEngine, error) {
	m := &webrtc.MediaEngine{}
	codecs := []struct {
		params webrtc.RTPCodecParameters
		kind   webrtc.RTPCodecType
	}{
		{webrtc.RTPCodecParameters{RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1",
			RTCPFeedback: []webrtc.RTCPFeedback{{Type: webrtc.TypeRTCPFBTransportCC}},
		}, PayloadType: 111}, webrtc.RTPCodecTypeAudio},
		{webrtc.RTPCodecParameters{RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeVP8, ClockRate: 90000,
			RTCPFeedback: []webrtc.RTCPFeedback{
				{Type: webrtc.TypeRTCPFBTransportCC}, {Type: webrtc.TypeRTCPFBCCM, Parameter: "fir"},
				{Type: webrtc.TypeRTCPFBNACK}, {Type: webrtc.TypeRTCPFBNACK, Parameter: "pli"},
			},
		}, PayloadType: 96}, webrtc.RTPCodecTypeVideo},
	}
	for _, c := range codecs {
		if err := m.RegisterCodec(c.params, c.kind); err != nil {
			return nil, fmt.Errorf("sfu: register %s: %w", c.params.MimeType, err)
		}
	}
	exts := []struct {
		uri  string
		kind webrtc.RTPCodecType
	}{
		{extAudioLevel, webrtc.RTPCodecTypeAudio},
		{extTWCC, webrtc.RTPCodecTypeAudio}, {extTWCC, webrtc.RTPCodecTypeVideo},
		{extMID, webrtc.RTPCodecTypeAudio}, {extMID, webrtc.RTPCodecTypeVideo},
		{extRID, webrtc.RTPCodecTypeVideo},
	}
	for _, e := range exts {
		if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: e.uri}, e.kind, webrtc.RTPTransceiverDirectionRecvonly); err != nil {
			return nil, fmt.Errorf("sfu: register extension %s: %w", e.uri, err)
		}
	}
	return m, nil
}
