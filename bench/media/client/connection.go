package client

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/logging"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"commsd/bench/media/tally"
)

// connection is one PeerConnection over a socket of its own, as each client's
// is: a server groups what it sends by destination.
type connection struct {
	*webrtc.PeerConnection
	tap *tap
	mux io.Closer
}

// newConnection makes one. A sending one keeps what it sent for the server's
// NACKs; a receiving one asks for nothing again, so that loss shows.
func newConnection(ip netip.Addr, certificate webrtc.Certificate, sends bool) (*connection, error) {
	t, err := listenTap(ip)
	if err != nil {
		return nil, err
	}
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled
	mux := ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: t, Logger: quiet.NewLogger("mux")})
	var se webrtc.SettingEngine
	se.LoggerFactory = quiet
	se.SetIncludeLoopbackCandidate(true)
	se.SetIPFilter(func(other net.IP) bool { return other.Equal(ip.AsSlice()) })
	se.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	se.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	se.SetICEUDPMux(mux)
	// Most packets never reach SRTP, which must not mind.
	se.DisableSRTPReplayProtection(true)
	se.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80)
	engine, err := newMediaEngine()
	registry := &interceptor.Registry{}
	if err == nil && sends {
		var responder *nack.ResponderInterceptorFactory
		responder, err = nack.NewResponderInterceptor(nack.WithResponderLoggerFactory(quiet))
		registry.Add(responder)
	}
	var pc *webrtc.PeerConnection
	if err == nil {
		api := webrtc.NewAPI(webrtc.WithSettingEngine(se), webrtc.WithMediaEngine(engine), webrtc.WithInterceptorRegistry(registry))
		pc, err = api.NewPeerConnection(webrtc.Configuration{Certificates: []webrtc.Certificate{certificate}})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("client: %w", err), mux.Close())
	}
	return &connection{pc, t, mux}, nil
}

// newMediaEngine has the codecs and header extensions that Chromium would
// offer for Opus and VP8, without retransmission streams.
func newMediaEngine() (*webrtc.MediaEngine, error) {
	m := &webrtc.MediaEngine{}
	twcc := webrtc.RTCPFeedback{Type: webrtc.TypeRTCPFBTransportCC}
	err := errors.Join(
		m.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1", RTCPFeedback: []webrtc.RTCPFeedback{twcc},
		}, PayloadType: 111}, webrtc.RTPCodecTypeAudio),
		m.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeVP8, ClockRate: 90000, RTCPFeedback: []webrtc.RTCPFeedback{
				twcc, {Type: webrtc.TypeRTCPFBCCM, Parameter: "fir"}, {Type: webrtc.TypeRTCPFBNACK}, {Type: webrtc.TypeRTCPFBNACK, Parameter: "pli"},
			},
		}, PayloadType: 96}, webrtc.RTPCodecTypeVideo),
	)
	audio, video := webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo
	for _, e := range []struct {
		uri  string
		kind webrtc.RTPCodecType
	}{
		{sdp.AudioLevelURI, audio}, {sdp.TransportCCURI, audio}, {sdp.SDESMidURI, audio},
		{sdp.TransportCCURI, video}, {sdp.SDESMidURI, video}, {sdp.SDESRTPStreamIDURI, video},
	} {
		err = errors.Join(err, m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: e.uri}, e.kind))
	}
	return m, err
}

// closeWithin bounds the wait for a PeerConnection's end: one that is closed
// just when its media starts may wait for itself for ever
// (srtp.SessionSRTP hands over a new stream that nobody takes any more).
const closeWithin = 5 * time.Second

// close ends the connection and its socket.
func (c *connection) close() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = c.GracefulClose() // nobody waits for it any more
	}()
	timeout := time.NewTimer(closeWithin)
	defer timeout.Stop()
	select {
	case <-closed:
	case <-timeout.C:
	}
	_ = c.mux.Close()
	_ = c.tap.Close()
}

// received counts what came.
func (c *connection) received() (audio, video tally.Count, packets, bytes int64) {
	return c.tap.count("audio"), c.tap.count("video"), c.tap.received.Load(), c.tap.bytes.Load()
}

// answer takes an offer and returns the answer with its candidates.
func (c *connection) answer(offer string) (string, error) {
	if err := c.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", fmt.Errorf("client: server's offer: %w", err)
	}
	c.tap.describe(readMedia(offer))
	local, err := c.CreateAnswer(nil)
	if err != nil {
		return "", fmt.Errorf("client: answer: %w", err)
	}
	return c.local(local)
}

// offer returns an offer with its candidates.
func (c *connection) offer() (string, error) {
	local, err := c.CreateOffer(nil)
	if err != nil {
		return "", fmt.Errorf("client: offer: %w", err)
	}
	return c.local(local)
}

func (c *connection) local(d webrtc.SessionDescription) (string, error) {
	gathered := webrtc.GatheringCompletePromise(c.PeerConnection)
	if err := c.SetLocalDescription(d); err != nil {
		return "", fmt.Errorf("client: %s: %w", d.Type, err)
	}
	<-gathered // there is one address; this takes no time
	return c.LocalDescription().SDP, nil
}

// readMedia reads payload types and the id of transport-wide congestion
// control from a description.
func readMedia(text string) (kinds map[uint8]string, twccID uint8) {
	kinds = make(map[uint8]string)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "a=rtpmap:"); ok {
			pt, codec, _ := strings.Cut(rest, " ")
			n, err := strconv.ParseUint(pt, 10, 7)
			name, _, _ := strings.Cut(strings.ToLower(codec), "/")
			switch {
			case err != nil:
			case name == "opus" || name == "red" && strings.Contains(codec, "48000"):
				kinds[uint8(n)] = "audio"
			case name == "vp8":
				kinds[uint8(n)] = "video"
			}
		}
		if rest, ok := strings.CutPrefix(line, "a=extmap:"); ok {
			id, uri, _ := strings.Cut(rest, " ")
			id, _, _ = strings.Cut(id, "/")
			if n, err := strconv.ParseUint(id, 10, 8); err == nil && uri == sdp.TransportCCURI {
				twccID = uint8(n)
			}
		}
	}
	return kinds, twccID
}
