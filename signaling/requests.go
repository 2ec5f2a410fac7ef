package signaling

import (
	"context"
	"encoding/json"

	"github.com/pion/webrtc/v4"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	lk "commsd/internal/lkproto"
	"commsd/internal/wsconn"
	"commsd/sfu"
)

// codeUnsupportedData refuses a frame that is no message of the protocol (RFC
// 6455, 7.4.1).
const codeUnsupportedData = 1003

const (
	maxTrackSIDs = 1000 // in one request
	maxCID       = 256  // bytes of a client's name for a track; others are told of it
)

// decode reads a client's message. Unknown fields and messages are skipped, as
// the protocol grows by them.
func decode(m wsconn.Message) (*lk.SignalRequest, error) {
	r := &lk.SignalRequest{}
	var err error
	if m.Binary && tooManyFields(m.Data, r.ProtoReflect().Descriptor()) || !m.Binary && tooManyValues(m.Data) {
		return nil, &wsconn.Closed{Code: codePolicy, Reason: "message of too many parts"}
	}
	if m.Binary {
		err = proto.Unmarshal(m.Data, r)
	} else {
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(m.Data, r)
	}
	if err != nil {
		return nil, &wsconn.Closed{Code: codeUnsupportedData, Reason: "not a message of the protocol"}
	}
	return r, nil
}

// handle does what a client's message asks for. An error closes the socket.
func (ses *session) handle(_ context.Context, so *socket, m wsconn.Message) error {
	r, err := decode(m)
	if err != nil {
		return err
	}
	if !ses.share.take(weight(r), len(m.Data)) {
		return &wsconn.Closed{Code: codePolicy, Reason: "too many messages"}
	}
	ses.do(so, r)
	return nil
}

// do does what a client asks for.
func (ses *session) do(so *socket, r *lk.SignalRequest) {
	p := ses.p
	switch r := r.GetMessage().(type) {
	case *lk.SignalRequest_Offer:
		p.Offer(r.Offer.GetSdp(), r.Offer.GetId())
	case *lk.SignalRequest_Answer:
		p.Answer(r.Answer.GetSdp(), r.Answer.GetId())
	case *lk.SignalRequest_Trickle:
		ses.trickle(r.Trickle)
	case *lk.SignalRequest_AddTrack:
		if len(r.AddTrack.GetCid()) > maxCID {
			so.send(requestResponse(&lk.RequestResponse{Reason: lk.RequestResponse_LIMIT_EXCEEDED, Message: "cid is too long"}))
			return
		}
		p.AddTrack(trackOf(r.AddTrack))
	case *lk.SignalRequest_Mute:
		p.Mute(r.Mute.GetSid(), r.Mute.GetMuted())
	case *lk.SignalRequest_Subscription:
		p.Subscribe(wantedSIDs(r.Subscription), r.Subscription.GetSubscribe())
	case *lk.SignalRequest_TrackSetting:
		ses.trackSetting(r.TrackSetting)
	case *lk.SignalRequest_UpdateMetadata:
		ses.updateMetadata(r.UpdateMetadata)
	case *lk.SignalRequest_UpdateAudioTrack:
		features := int32s(r.UpdateAudioTrack.GetFeatures())
		p.UpdateTrack(r.UpdateAudioTrack.GetTrackSid(), func(t *sfu.TrackInfo) { t.Features = features })
	case *lk.SignalRequest_UpdateVideoTrack:
		width, height := r.UpdateVideoTrack.GetWidth(), r.UpdateVideoTrack.GetHeight()
		p.UpdateTrack(r.UpdateVideoTrack.GetTrackSid(), func(t *sfu.TrackInfo) { t.Width, t.Height = width, height })
	case *lk.SignalRequest_Ping:
		so.send(&lk.SignalResponse{Message: &lk.SignalResponse_Pong{Pong: ses.svc.now().UnixMilli()}})
	case *lk.SignalRequest_PingReq:
		so.send(&lk.SignalResponse{Message: &lk.SignalResponse_PongResp{PongResp: &lk.Pong{
			LastPingTimestamp: r.PingReq.GetTimestamp(), Timestamp: ses.svc.now().UnixMilli(),
		}}})
	case *lk.SignalRequest_Leave:
		p.Leave()
	case *lk.SignalRequest_Simulate:
		ses.simulate(so, r.Simulate)
	case *lk.SignalRequest_SubscriptionPermission:
		p.AllowSubscribers(subscriptionPermission(r.SubscriptionPermission))
	case *lk.SignalRequest_SyncState:
		ses.sync(r.SyncState)
	case nil:
	}
}

func (ses *session) trickle(r *lk.TrickleRequest) {
	var c webrtc.ICECandidateInit
	if json.Unmarshal([]byte(r.GetCandidateInit()), &c) != nil {
		return // one candidate less
	}
	target := sfu.TargetPublisher
	if r.GetTarget() == lk.SignalTarget_SUBSCRIBER {
		target = sfu.TargetSubscriber
	}
	ses.p.Candidate(target, c)
}

func wantedSIDs(u *lk.UpdateSubscription) []string {
	sids := u.GetTrackSids()
	for _, p := range u.GetParticipantTracks() {
		sids = append(sids, p.GetTrackSids()...)
	}
	return sids[:min(len(sids), maxTrackSIDs)]
}

func (ses *session) trackSetting(u *lk.UpdateTrackSettings) {
	sids := u.GetTrackSids()
	ses.p.SetTrack(sids[:min(len(sids), maxTrackSIDs)], sfu.TrackSettings{
		Disabled: u.GetDisabled(), Width: u.GetWidth(), Height: u.GetHeight(), FPS: u.GetFps(),
		Quality: uint8(u.GetQuality()), Priority: u.GetPriority(),
	})
}

func (ses *session) updateMetadata(u *lk.UpdateParticipantMetadata) {
	m := sfu.MetadataUpdate{RequestID: u.GetRequestId(), Attributes: u.GetAttributes()}
	// The protocol cannot tell an absent string from an empty one.
	if s := u.GetMetadata(); s != "" {
		m.Metadata = &s
	}
	if s := u.GetName(); s != "" {
		m.Name = &s
	}
	ses.p.UpdateMetadata(m)
}

// simulate plays the failures that clients use to test themselves, on the
// asker's own session alone.
func (ses *session) simulate(so *socket, s *lk.SimulateScenario) {
	switch s.GetScenario().(type) {
	case *lk.SimulateScenario_ServerLeave:
		ses.p.End(sfu.ReasonShutdown, sfu.ActionDisconnect)
	case *lk.SimulateScenario_NodeFailure, *lk.SimulateScenario_LeaveRequestFullReconnect:
		ses.p.End(sfu.ReasonStateMismatch, sfu.ActionReconnect)
	case *lk.SimulateScenario_Migration:
		so.leave(lk.DisconnectReason_MIGRATION, lk.LeaveRequest_RESUME)
	}
}

// sync takes what a client that resumes believes. Its place was kept, so what
// it says twice changes nothing; what got lost with its socket is made good.
func (ses *session) sync(s *lk.SyncState) {
	if sids := wantedSIDs(s.GetSubscription()); len(sids) > 0 {
		ses.p.Subscribe(sids, s.GetSubscription().GetSubscribe())
	}
	if sids := s.GetTrackSidsDisabled(); len(sids) > 0 {
		ses.p.SetTrack(sids[:min(len(sids), maxTrackSIDs)], sfu.TrackSettings{Disabled: true})
	}
	var published []string
	for _, t := range s.GetPublishTracks()[:min(len(s.GetPublishTracks()), maxTrackSIDs)] {
		published = append(published, t.GetTrack().GetSid())
	}
	ses.p.Published(published)
	last := make(map[string]uint32)
	states := s.GetDatachannelReceiveStates()
	for _, d := range states[:min(len(states), maxTrackSIDs)] {
		last[d.GetPublisherSid()] = d.GetLastSeq()
	}
	ses.p.Replay(last)
}
