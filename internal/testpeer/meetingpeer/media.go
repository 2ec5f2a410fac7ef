package meetingpeer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/logging"
	"github.com/pion/rtcp"
	"github.com/pion/sdp/v3"
	"github.com/pion/transport/v5"
	"github.com/pion/webrtc/v4"

	lk "commsd/internal/lkproto"
)

var kinds = map[lk.TrackType]webrtc.RTPCodecType{lk.TrackType_AUDIO: webrtc.RTPCodecTypeAudio, lk.TrackType_VIDEO: webrtc.RTPCodecTypeVideo}

// The labels of the data channels.
const (
	Reliable = "_reliable"
	Lossy    = "_lossy"
)

// MediaConfig says how a Media reaches its server.
type MediaConfig struct {
	// Net replaces the machine's network; nil means its loopback.
	Net transport.Net
	// Networks are the transports offered; none means UDP over IPv4. Only
	// loopback is used.
	Networks []webrtc.NetworkType
	// AsBrowser gives transport-wide feedback and takes retransmissions on a
	// stream of their own beside each video (RFC 4588); Track's packets have what
	// came so. What to ask for, the test must: Pion's generator of NACKs does not
	// see what has come by the other stream, and asks on.
	AsBrowser bool
	// NoRetransmission has a client AsBrowser take no such stream.
	NoRetransmission bool
	// H264 has it take H264, too, and send its videos in it; without, there is VP8
	// alone.
	H264 bool
	// Interceptors stand between the network (first) and the tracks (last).
	Interceptors []interceptor.Factory
	// Candidate, when set, changes each candidate of the server's: a test may put
	// something of its own between the two. "" leaves the candidate out.
	Candidate func(init string) string
	// OneConnection publishes and receives on one connection.
	OneConnection bool
	// Relay, when set, has the client send and receive through TURN alone.
	Relay *Relay
	// Offer and Answer carry descriptions to the server. They are required.
	Offer, Answer func(sdp string, id uint32) error
}

// firstSections is how many sections to receive in, of each kind, are in the
// first offer of a single connection, as browsers have them.
const firstSections = 3

// Media is the media half of a client: one PeerConnection to publish on and
// one to receive on, or one for both. Its methods may be called from any
// goroutine.
type Media struct {
	// Set at construction.
	cfg  MediaConfig
	pub  *webrtc.PeerConnection
	sub  *webrtc.PeerConnection         // pub itself when there is one
	own  map[string]*webrtc.DataChannel // by label
	open map[string]chan struct{}       // closed once own's channel is open

	tracks chan *Track
	data   chan Data
	up     chan struct{} // closed once sub is connected
	upOnce sync.Once
	loops  sync.WaitGroup // readers and negotiations
	life   context.Context
	end    context.CancelFunc

	negotiating sync.Mutex  // held from an offer to its answer
	answering   sync.Mutex  // held while the server's offer is answered
	answers     chan answer // has room for one

	mu      sync.Mutex
	offerID uint32                                               // guarded by mu
	early   map[*webrtc.PeerConnection][]webrtc.ICECandidateInit // guarded by mu; before their description
	pending bool                                                 // guarded by mu; pub's offer is not answered
	mids    map[string]string                                    // guarded by mu; what the last answer sends where
	playing map[*webrtc.TrackRemote]string                       // guarded by mu; sections of the tracks received
	unblock []func()                                             // guarded by mu; what readers of tracks wait for
	failed  []error                                              // guarded by mu; of negotiations nobody waits for
}

type answer struct {
	sdp string
	id  uint32
}

// Data is a packet that came by a data channel.
type Data struct {
	Label   string
	Payload []byte
}

// NewMedia makes the connections and offers nothing yet. Close ends it.
func NewMedia(cfg MediaConfig) (*Media, error) {
	m := &Media{
		cfg: cfg, own: make(map[string]*webrtc.DataChannel), open: make(map[string]chan struct{}),
		tracks: make(chan *Track, 64), data: make(chan Data, 1024), up: make(chan struct{}), answers: make(chan answer, 1),
		early: make(map[*webrtc.PeerConnection][]webrtc.ICECandidateInit), playing: make(map[*webrtc.TrackRemote]string),
	}
	m.life, m.end = context.WithCancel(context.Background())
	api, err := cfg.api()
	if err != nil {
		return nil, err
	}
	if m.pub, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		return nil, fmt.Errorf("meetingpeer: %w", err)
	}
	if m.sub = m.pub; !cfg.OneConnection {
		if m.sub, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
			return nil, errors.Join(err, m.pub.Close())
		}
	}
	ordered, unordered, none := true, false, uint16(0)
	for label, init := range map[string]*webrtc.DataChannelInit{
		Reliable: {Ordered: &ordered}, Lossy: {Ordered: &unordered, MaxRetransmits: &none},
	} {
		dc, err := m.pub.CreateDataChannel(label, init)
		if err != nil {
			return nil, errors.Join(err, m.pub.Close(), m.sub.Close())
		}
		opened := make(chan struct{})
		dc.OnOpen(func() { close(opened) })
		m.own[label], m.open[label] = dc, opened
		if cfg.OneConnection {
			m.hear(dc)
		}
	}
	if cfg.OneConnection {
		if err := m.addSections(firstSections, firstSections); err != nil {
			return nil, errors.Join(err, m.pub.Close())
		}
	}
	m.sub.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			m.upOnce.Do(func() { close(m.up) })
		}
	})
	m.sub.OnTrack(m.received)
	m.sub.OnDataChannel(m.hear)
	return m, nil
}

func (m *Media) hear(dc *webrtc.DataChannel) {
	label := dc.Label()
	dc.OnMessage(func(msg webrtc.DataChannelMessage) {
		select {
		case m.data <- Data{label, msg.Data}:
		default: // the test has stopped listening
		}
	})
}

// addSections adds sections to receive in.
func (m *Media) addSections(audios, videos int) error {
	receive := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}
	for i := range audios + videos {
		kind := webrtc.RTPCodecTypeAudio
		if i >= audios {
			kind = webrtc.RTPCodecTypeVideo
		}
		if _, err := m.pub.AddTransceiverFromKind(kind, receive); err != nil {
			return fmt.Errorf("meetingpeer: section: %w", err)
		}
	}
	return nil
}

func (cfg MediaConfig) api() (*webrtc.API, error) {
	var se webrtc.SettingEngine
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled
	se.LoggerFactory = quiet
	if cfg.Net != nil {
		se.SetNet(cfg.Net)
	} else {
		se.SetIncludeLoopbackCandidate(true)
		se.SetIPFilter(net.IP.IsLoopback)
	}
	se.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	// Loss is played above SRTP, which must not take what comes again for a
	// replay; and a test may ask for a packet that it has.
	se.DisableSRTPReplayProtection(true)
	if cfg.Relay != nil {
		se.SetICEProxyDialer(cfg.Relay)
	}
	networks := cfg.Networks
	if networks == nil {
		networks = []webrtc.NetworkType{webrtc.NetworkTypeUDP4}
	}
	se.SetNetworkTypes(networks)
	engine := &webrtc.MediaEngine{}
	audio, video := []webrtc.RTCPFeedback(nil), []webrtc.RTCPFeedback{{Type: webrtc.TypeRTCPFBNACK}, {Type: webrtc.TypeRTCPFBNACK, Parameter: "pli"}}
	if cfg.AsBrowser {
		audio = append(audio, webrtc.RTCPFeedback{Type: webrtc.TypeRTCPFBTransportCC})
		video = append(video, webrtc.RTCPFeedback{Type: webrtc.TypeRTCPFBTransportCC})
	}
	err := errors.Join(
		engine.RegisterCodec(webrtc.RTPCodecParameters{
			RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1", RTCPFeedback: audio}, PayloadType: 111,
		}, webrtc.RTPCodecTypeAudio),
		engine.RegisterCodec(webrtc.RTPCodecParameters{
			RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000, RTCPFeedback: video}, PayloadType: 96,
		}, webrtc.RTPCodecTypeVideo),
		engine.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: sdp.AudioLevelURI}, webrtc.RTPCodecTypeAudio),
		engine.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: sdp.TransportCCURI}, webrtc.RTPCodecTypeAudio),
		engine.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: sdp.TransportCCURI}, webrtc.RTPCodecTypeVideo),
		engine.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: sdp.SDESMidURI}, webrtc.RTPCodecTypeVideo),
		engine.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: sdp.SDESRTPStreamIDURI}, webrtc.RTPCodecTypeVideo),
	)
	if cfg.H264 {
		h264 := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000, SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f", RTCPFeedback: video}
		err = errors.Join(err, engine.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: h264, PayloadType: 102}, webrtc.RTPCodecTypeVideo))
	}
	registry := &interceptor.Registry{}
	if cfg.AsBrowser {
		feedback, noFeedback := twcc.NewSenderInterceptor()
		registry.Add(feedback)
		err = errors.Join(err, noFeedback)
	}
	if cfg.AsBrowser && !cfg.NoRetransmission {
		err = errors.Join(err, engine.RegisterCodec(webrtc.RTPCodecParameters{
			RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeRTX, ClockRate: 90000, SDPFmtpLine: "apt=96"}, PayloadType: 97,
		}, webrtc.RTPCodecTypeVideo))
	}
	for _, f := range cfg.Interceptors {
		registry.Add(f)
	}
	return webrtc.NewAPI(webrtc.WithSettingEngine(se), webrtc.WithMediaEngine(engine), webrtc.WithInterceptorRegistry(registry)), err
}

// Close ends both connections and waits for the readers.
func (m *Media) Close() error {
	m.end()
	err := m.closePublisher()
	if m.sub != m.pub {
		err = errors.Join(err, m.closeSubscriber())
	}
	// Pion does not end what began to be received while it closed, and of two that
	// read a stream it wakes one.
	for _, pc := range []*webrtc.PeerConnection{m.pub, m.sub} {
		for _, receiver := range pc.GetReceivers() {
			for _, track := range receiver.Tracks() {
				giveUp(track)
			}
		}
	}
	m.mu.Lock()
	unblock := m.unblock
	m.mu.Unlock()
	for _, f := range unblock {
		f()
	}
	m.loops.Wait()
	return err
}

func giveUp(track *webrtc.TrackRemote) {
	defer func() { _ = recover() }() // Pion panics where the stream has not begun yet
	_ = track.SetReadDeadline(time.Now())
}

// closePublisher lets go of the lock before the loops are waited for: one of
// them may be about to take it.
func (m *Media) closePublisher() error {
	m.negotiating.Lock()
	defer m.negotiating.Unlock()
	return m.pub.GracefulClose()
}

// closeSubscriber waits for an offer that is being answered: Pion would begin
// to gather candidates on what has closed, and never end.
func (m *Media) closeSubscriber() error {
	m.answering.Lock()
	defer m.answering.Unlock()
	return m.sub.GracefulClose()
}

// Negotiate offers the publisher connection as it stands and waits for the
// answer.
func (m *Media) Negotiate(ctx context.Context) error { return m.negotiate(ctx, nil) }

// RestartICE is Negotiate with an ICE restart.
func (m *Media) RestartICE(ctx context.Context) error {
	return m.negotiate(ctx, &webrtc.OfferOptions{ICERestart: true})
}

func (m *Media) negotiate(ctx context.Context, options *webrtc.OfferOptions) error {
	m.negotiating.Lock()
	defer m.negotiating.Unlock()
	sdp, id, err := m.offer(options)
	if err != nil {
		return err
	}
	if err := m.cfg.Offer(sdp, id); err != nil {
		return err
	}
	return m.answered(ctx, id)
}

// Begin starts to negotiate with an offer that the caller brings to the
// server. What fails later is told by Failed.
func (m *Media) Begin() (sdp string, id uint32, err error) {
	m.negotiating.Lock()
	if sdp, id, err = m.offer(nil); err != nil {
		m.negotiating.Unlock()
		return "", 0, err
	}
	m.loops.Go(func() {
		defer m.negotiating.Unlock()
		m.note(m.answered(m.life, id))
	})
	return sdp, id, nil
}

// HandleSections adds sections to receive in and offers them.
func (m *Media) HandleSections(audios, videos int) error {
	if !m.cfg.OneConnection {
		return errors.New("meetingpeer: asked for sections on a connection that only publishes")
	}
	m.loops.Go(func() {
		m.negotiating.Lock()
		err := m.life.Err()
		if err == nil {
			err = m.addSections(audios, videos)
		}
		m.negotiating.Unlock()
		if err == nil {
			err = m.Negotiate(m.life)
		}
		m.note(err)
	})
	return nil
}

func (m *Media) note(err error) {
	if err == nil || m.life.Err() != nil {
		return
	}
	m.mu.Lock()
	m.failed = append(m.failed, err)
	m.mu.Unlock()
}

// Failed lists what went wrong in negotiations that nobody waited for.
func (m *Media) Failed() []error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]error(nil), m.failed...)
}

// offer makes the next offer; negotiating is held.
func (m *Media) offer(options *webrtc.OfferOptions) (sdp string, id uint32, err error) {
	if err := m.life.Err(); err != nil {
		return "", 0, fmt.Errorf("meetingpeer: offer: %w", err)
	}
	m.mu.Lock()
	m.pending = true
	m.mu.Unlock()
	offer, err := m.pub.CreateOffer(options)
	if err != nil {
		return "", 0, fmt.Errorf("meetingpeer: offer: %w", err)
	}
	if err := m.pub.SetLocalDescription(offer); err != nil {
		return "", 0, fmt.Errorf("meetingpeer: offer: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.offerID++
	return offer.SDP, m.offerID, nil
}

func (m *Media) answered(ctx context.Context, id uint32) error {
	for {
		select {
		case a := <-m.answers:
			if a.id != id {
				return fmt.Errorf("meetingpeer: answer to offer %d, the last was %d", a.id, id)
			}
			err := m.pub.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: a.sdp})
			if err != nil {
				return fmt.Errorf("meetingpeer: answer: %w", err)
			}
			m.endSilent()
			return m.late(m.pub)
		case <-ctx.Done():
			return fmt.Errorf("meetingpeer: no answer: %w", ctx.Err())
		}
	}
}

// endSilent ends the tracks of sections in which the server no longer sends. Of
// two who read one, Pion wakes one, which may be who looked for its section.
func (m *Media) endSilent() {
	if !m.cfg.OneConnection {
		return
	}
	m.mu.Lock()
	var ended []*webrtc.TrackRemote
	for remote, mid := range m.playing {
		if m.mids[mid] == "" {
			ended = append(ended, remote)
			delete(m.playing, remote)
		}
	}
	m.mu.Unlock()
	for _, remote := range ended {
		giveUp(remote)
	}
}

// HandleAnswer takes the server's answer to the last offer; mids names the
// tracks of a single connection.
func (m *Media) HandleAnswer(sdp string, id uint32, mids map[string]string) error {
	m.mu.Lock()
	m.mids = mids
	m.mu.Unlock()
	select {
	case m.answers <- answer{m.without(sdp), id}:
		return nil
	default:
		return fmt.Errorf("meetingpeer: answer %d to no offer", id)
	}
}

// HandleOffer takes the server's offer of the subscriber connection and
// answers it.
func (m *Media) HandleOffer(sdp string, id uint32) error {
	m.answering.Lock()
	defer m.answering.Unlock()
	if m.life.Err() != nil {
		return nil // too late
	}
	if err := m.sub.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: m.without(sdp)}); err != nil {
		return fmt.Errorf("meetingpeer: server's offer: %w", err)
	}
	local, err := m.sub.CreateAnswer(nil)
	if err != nil {
		return fmt.Errorf("meetingpeer: own answer: %w", err)
	}
	if err := m.sub.SetLocalDescription(local); err != nil {
		return fmt.Errorf("meetingpeer: own answer: %w", err)
	}
	if err := m.late(m.sub); err != nil {
		return err
	}
	return m.cfg.Answer(local.SDP, id)
}

// without takes the candidates out of a description of the server's, where
// MediaConfig.Candidate decides about them: they come alone as well.
func (m *Media) without(sdp string) string {
	if m.cfg.Candidate == nil {
		return sdp
	}
	var b strings.Builder
	for line := range strings.Lines(sdp) {
		if !strings.HasPrefix(line, "a=candidate:") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// HandleCandidate takes a candidate of the server's, as RTCIceCandidateInit
// JSON, for the subscriber or the publisher connection.
func (m *Media) HandleCandidate(subscriber bool, init string) error {
	if m.cfg.Candidate != nil {
		if init = m.cfg.Candidate(init); init == "" {
			return nil
		}
	}
	var c webrtc.ICECandidateInit
	if err := json.Unmarshal([]byte(init), &c); err != nil {
		return fmt.Errorf("meetingpeer: candidate: %w", err)
	}
	pc := m.pub
	if subscriber {
		pc = m.sub
	}
	m.mu.Lock()
	if pc.RemoteDescription() == nil || pc == m.pub && m.pending {
		m.early[pc] = append(m.early[pc], c)
		m.mu.Unlock()
		return nil
	}
	m.mu.Unlock()
	return pc.AddICECandidate(c)
}

// late adds the candidates that came before their description.
func (m *Media) late(pc *webrtc.PeerConnection) error {
	m.mu.Lock()
	early := m.early[pc]
	delete(m.early, pc)
	if pc == m.pub {
		m.pending = false
	}
	m.mu.Unlock()
	for _, c := range early {
		if err := pc.AddICECandidate(c); err != nil {
			return fmt.Errorf("meetingpeer: candidate: %w", err)
		}
	}
	return nil
}

// TrackAt is the SID of the track that the last answer sends in the section,
// "" for none.
func (m *Media) TrackAt(mid string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mids[mid]
}

// Up is closed once the subscriber connection is connected.
func (m *Media) Up() <-chan struct{} { return m.up }

// Subscriber is the connection that receives, for its statistics.
func (m *Media) Subscriber() *webrtc.PeerConnection { return m.sub }

// Publisher is the connection that sends, for what a client should not do.
func (m *Media) Publisher() *webrtc.PeerConnection { return m.pub }

// Send sends a packet by the data channel of the label, once it is open.
func (m *Media) Send(ctx context.Context, label string, payload []byte) error {
	select {
	case <-m.open[label]:
		return m.own[label].Send(payload)
	case <-ctx.Done():
		return fmt.Errorf("meetingpeer: %s does not open: %w", label, ctx.Err())
	}
}

// Sent waits until the server has acknowledged all that was sent by the data
// channel of the label.
func (m *Media) Sent(ctx context.Context, label string) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for m.own[label].BufferedAmount() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("meetingpeer: %s is not acknowledged: %w", label, ctx.Err())
		}
	}
	return nil
}

// Data brings what comes by data channels.
func (m *Media) Data() <-chan Data { return m.data }

// WriteRTCP sends RTCP on the subscriber connection.
func (m *Media) WriteRTCP(packets ...rtcp.Packet) error { return m.sub.WriteRTCP(packets) }
