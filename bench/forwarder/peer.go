package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/gorilla/websocket"
	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
	"google.golang.org/protobuf/proto"

	lk "commsd/internal/lkproto"
)

// newAPI is Pion as it comes, on loopback.
func newAPI() (*webrtc.API, error) {
	var se webrtc.SettingEngine
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled
	se.LoggerFactory = quiet
	se.SetIncludeLoopbackCandidate(true)
	se.SetIPFilter(net.IP.IsLoopback)
	se.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	se.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	engine, registry := &webrtc.MediaEngine{}, &interceptor.Registry{}
	err := errors.Join(
		engine.RegisterDefaultCodecs(),
		engine.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: sdp.AudioLevelURI}, webrtc.RTPCodecTypeAudio),
		webrtc.RegisterDefaultInterceptors(engine, registry),
	)
	return webrtc.NewAPI(webrtc.WithSettingEngine(se), webrtc.WithMediaEngine(engine), webrtc.WithInterceptorRegistry(registry)), err
}

// peer is one client.
type peer struct {
	api     *webrtc.API
	ws      *websocket.Conn
	sid     string
	room    *room
	pub     *webrtc.PeerConnection // owned by the socket's reader
	highest atomic.Value           // RID of the highest layer
	loops   sync.WaitGroup

	write sync.Mutex // one writer at a time

	mu      sync.Mutex
	sub     *webrtc.PeerConnection // guarded by mu
	waiting bool                   // guarded by mu; for an answer
	due     bool                   // guarded by mu; another offer is
	offers  uint32                 // guarded by mu
}

var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

// serve is one client's socket.
func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	// Who may join is not what is measured: the token is read, not checked.
	var claims struct {
		jwt.RegisteredClaims
		Video struct {
			Room string `json:"room"`
		} `json:"video"`
	}
	if _, _, err := jwt.NewParser().ParseUnverified(r.URL.Query().Get("access_token"), &claims); err != nil {
		http.Error(w, "no token", http.StatusUnauthorized)
		return
	}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the upgrader has answered
	}
	p := &peer{api: s.api, ws: ws, sid: "PA_" + uuid.NewString()[:8], room: s.room(claims.Video.Room)}
	p.highest.Store("")
	defer p.close()
	if err := p.join(claims.Subject); err != nil {
		return
	}
	p.room.enter(p)
	defer p.room.leave(p)
	for {
		_, data, err := ws.ReadMessage()
		if err != nil {
			return
		}
		m := &lk.SignalRequest{}
		if proto.Unmarshal(data, m) != nil || p.handle(m) != nil {
			return
		}
	}
}

func (p *peer) close() {
	_ = p.ws.Close()
	p.mu.Lock()
	sub := p.sub
	p.mu.Unlock()
	for _, pc := range []*webrtc.PeerConnection{p.pub, sub} {
		if pc != nil {
			_ = pc.GracefulClose() // it has gone
		}
	}
	p.loops.Wait()
}

func (p *peer) send(m *lk.SignalResponse) error {
	data, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	p.write.Lock()
	defer p.write.Unlock()
	return p.ws.WriteMessage(websocket.BinaryMessage, data)
}

// connect makes one of the two connections.
func (p *peer) connect(target lk.SignalTarget) (*webrtc.PeerConnection, error) {
	pc, err := p.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	pc.OnICECandidate(func(c *webrtc.ICECandidate) {
		if c == nil {
			return
		}
		if init, err := json.Marshal(c.ToJSON()); err == nil {
			_ = p.send(&lk.SignalResponse{Message: &lk.SignalResponse_Trickle{Trickle: &lk.TrickleRequest{CandidateInit: string(init), Target: target}}}) // the reader sees the end
		}
	})
	return pc, nil
}

func (p *peer) join(identity string) error {
	pc, err := p.connect(lk.SignalTarget_SUBSCRIBER)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.sub = pc
	p.mu.Unlock()
	if _, err := pc.CreateDataChannel("_reliable", nil); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	return p.send(&lk.SignalResponse{Message: &lk.SignalResponse_Join{Join: &lk.JoinResponse{
		Room: &lk.Room{}, Participant: &lk.ParticipantInfo{Sid: p.sid, Identity: identity}, SubscriberPrimary: true, PingInterval: 5, PingTimeout: 15,
	}}})
}

func (p *peer) handle(m *lk.SignalRequest) error {
	switch m := m.GetMessage().(type) {
	case *lk.SignalRequest_AddTrack:
		if layers := m.AddTrack.GetLayers(); len(layers) > 0 {
			p.highest.Store(layers[len(layers)-1].GetRid())
		}
		return p.send(&lk.SignalResponse{Message: &lk.SignalResponse_TrackPublished{TrackPublished: &lk.TrackPublishedResponse{
			Cid: m.AddTrack.GetCid(), Track: &lk.TrackInfo{Sid: "TR_" + m.AddTrack.GetCid()},
		}}})
	case *lk.SignalRequest_Offer:
		return p.offered(m.Offer)
	case *lk.SignalRequest_Answer:
		return p.answered(m.Answer)
	case *lk.SignalRequest_Leave:
		return errors.New("left")
	default: // candidates stand in the descriptions; the rest is of no use
		return nil
	}
}

// offered answers the connection on which the client publishes.
func (p *peer) offered(d *lk.SessionDescription) error {
	if p.pub == nil {
		pc, err := p.connect(lk.SignalTarget_PUBLISHER)
		if err != nil {
			return err
		}
		p.pub = pc
		pc.OnTrack(func(remote *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
			p.loops.Go(func() { p.arrived(pc, remote) })
		})
	}
	if err := p.pub.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: d.GetSdp()}); err != nil {
		return fmt.Errorf("offer: %w", err)
	}
	answer, err := p.pub.CreateAnswer(nil)
	if err == nil {
		err = p.pub.SetLocalDescription(answer)
	}
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return p.send(&lk.SignalResponse{Message: &lk.SignalResponse_Answer{Answer: &lk.SessionDescription{Type: "answer", Sdp: answer.SDP, Id: d.GetId()}}})
}

// subscribe adds tracks to what the client receives and offers them.
func (p *peer) subscribe(tracks ...*track) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range tracks {
		if sender, err := p.sub.AddTrack(t.local); err == nil {
			p.loops.Go(func() { watch(sender, t) })
		}
	}
	p.due = true
	p.offerLocked()
}

func (p *peer) offerLocked() {
	if !p.due || p.waiting {
		return
	}
	offer, err := p.sub.CreateOffer(nil)
	if err == nil {
		err = p.sub.SetLocalDescription(offer)
	}
	if err != nil {
		return // it is closing
	}
	p.due, p.waiting = false, true
	p.offers++
	_ = p.send(&lk.SignalResponse{Message: &lk.SignalResponse_Offer{Offer: &lk.SessionDescription{Type: "offer", Sdp: offer.SDP, Id: p.offers}}}) // the reader sees the end
}

func (p *peer) answered(d *lk.SessionDescription) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.sub.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: d.GetSdp()}); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	p.waiting = false
	p.offerLocked()
	return nil
}
