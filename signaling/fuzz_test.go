package signaling_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"commsd/identity"
	lk "commsd/internal/lkproto"
)

// every is one message of each kind that clients send.
func every() []*lk.SignalRequest {
	return []*lk.SignalRequest{
		{Message: &lk.SignalRequest_Offer{Offer: &lk.SessionDescription{Type: "offer", Sdp: "v=0\r\n", Id: 1}}},
		{Message: &lk.SignalRequest_Answer{Answer: &lk.SessionDescription{Type: "answer", Sdp: "v=0\r\n", Id: 1}}},
		{Message: &lk.SignalRequest_Trickle{Trickle: &lk.TrickleRequest{CandidateInit: `{"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host","sdpMid":"0"}`, Target: lk.SignalTarget_SUBSCRIBER}}},
		{Message: &lk.SignalRequest_AddTrack{AddTrack: camera("cam")}},
		{Message: &lk.SignalRequest_Mute{Mute: &lk.MuteTrackRequest{Sid: "TR_x", Muted: true}}},
		{Message: &lk.SignalRequest_Subscription{Subscription: &lk.UpdateSubscription{TrackSids: []string{"TR_x"}, Subscribe: true,
			ParticipantTracks: []*lk.ParticipantTracks{{ParticipantSid: "PA_x", TrackSids: []string{"TR_y"}}}}}},
		{Message: &lk.SignalRequest_TrackSetting{TrackSetting: &lk.UpdateTrackSettings{TrackSids: []string{"TR_x"}, Disabled: true, Quality: lk.VideoQuality_HIGH}}},
		{Message: &lk.SignalRequest_Leave{Leave: &lk.LeaveRequest{}}},
		{Message: &lk.SignalRequest_SubscriptionPermission{SubscriptionPermission: &lk.SubscriptionPermission{AllParticipants: true}}},
		{Message: &lk.SignalRequest_SubscriptionPermission{SubscriptionPermission: &lk.SubscriptionPermission{TrackPermissions: []*lk.TrackPermission{
			{ParticipantIdentity: "witness", AllTracks: true}, {ParticipantSid: "PA_x", TrackSids: []string{"TR_x"}}, {},
		}}}},
		{Message: &lk.SignalRequest_SyncState{SyncState: &lk.SyncState{
			Answer: &lk.SessionDescription{}, Subscription: &lk.UpdateSubscription{TrackSids: []string{"TR_x"}}, TrackSidsDisabled: []string{"TR_x", ""},
			PublishTracks:            []*lk.TrackPublishedResponse{{Cid: "cam", Track: &lk.TrackInfo{Sid: "TR_x"}}, {}},
			DatachannelReceiveStates: []*lk.DataChannelReceiveState{{PublisherSid: "PA_x", LastSeq: 1 << 31}, {}},
		}}},
		{Message: &lk.SignalRequest_Simulate{Simulate: &lk.SimulateScenario{Scenario: &lk.SimulateScenario_Migration{Migration: true}}}},
		{Message: &lk.SignalRequest_Ping{Ping: 1}},
		{Message: &lk.SignalRequest_PingReq{PingReq: &lk.Ping{Timestamp: 1}}},
		{Message: &lk.SignalRequest_UpdateMetadata{UpdateMetadata: &lk.UpdateParticipantMetadata{Name: "x", Attributes: map[string]string{"a": ""}}}},
		{Message: &lk.SignalRequest_UpdateAudioTrack{UpdateAudioTrack: &lk.UpdateLocalAudioTrack{TrackSid: "TR_x", Features: []lk.AudioTrackFeature{99}}}},
		{Message: &lk.SignalRequest_UpdateVideoTrack{UpdateVideoTrack: &lk.UpdateLocalVideoTrack{TrackSid: "TR_x", Width: 1 << 31}}},
		{},
	}
}

// FuzzFrames sends a frame, binary or text, to a server with a meeting on. It
// may cost the sender its socket or its place, and nobody else's.
func FuzzFrames(f *testing.F) {
	for _, m := range every() {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(false, data)
		if data, err = protojson.Marshal(m); err != nil {
			f.Fatal(err)
		}
		f.Add(true, data)
	}
	f.Add(false, []byte{0x0a, 0xff})
	f.Add(true, []byte(`{"offer":null}`))
	f.Add(true, []byte(strings.Repeat(`{"offer":`, 20_000)))
	s := serve(f)
	witness := s.join(f, "witness")
	var mu sync.Mutex
	n := 0
	f.Fuzz(func(t *testing.T, text bool, frame []byte) {
		mu.Lock()
		n++
		who := fmt.Sprint(n)
		mu.Unlock()
		ws, _, err := websocket.DefaultDialer.DialContext(ctx(t), s.ws+"/rtc?access_token="+token(t, who), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.Close()
		if err := ws.SetReadDeadline(time.Now().Add(wait)); err != nil {
			t.Fatal(err)
		}
		kind := websocket.BinaryMessage
		if text {
			kind = websocket.TextMessage
		}
		if err := ws.WriteMessage(kind, frame); err != nil {
			t.Fatal(err)
		}
		const stamp = 123456789
		ping, err := proto.Marshal(&lk.SignalRequest{Message: &lk.SignalRequest_PingReq{PingReq: &lk.Ping{Timestamp: stamp}}})
		if err != nil {
			t.Fatal(err)
		}
		if ws.WriteMessage(websocket.BinaryMessage, ping) == nil {
			// Either the ping is answered or the socket has ended in good order.
			for answered := false; !answered; {
				kind, data, err := ws.ReadMessage()
				if websocket.IsCloseError(err, 1000, 1003, 1008) {
					break
				}
				if err != nil {
					t.Fatalf("the socket ends with %v", err)
				}
				m := &lk.SignalResponse{}
				if kind == websocket.TextMessage {
					err = protojson.Unmarshal(data, m)
				} else {
					err = proto.Unmarshal(data, m)
				}
				if err != nil {
					t.Fatalf("the server sends %x: %v", data, err)
				}
				answered = m.GetPongResp().GetLastPingTimestamp() == stamp
			}
		}
		_ = ws.Close() // without a word
		s.Revoke(identity.Revocation{Account: identity.AccountID("account-" + who)})
		if in, err := s.Inside(ctx(t), "r"); err != nil || len(in) == 0 {
			t.Fatalf("the witness is gone: %q, %v", in, err)
		}
	})
	witness.barrier(1)
}
