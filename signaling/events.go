package signaling

import (
	lk "commsd/internal/lkproto"
	"commsd/sfu"
)

// event tells the client what happened. It runs on the SFU's goroutines and
// does not block.
func (ses *session) event(so *socket, e sfu.Event) {
	switch e := e.(type) {
	case sfu.EventJoined:
		so.send(&lk.SignalResponse{Message: &lk.SignalResponse_Join{Join: ses.joinResponse(e)}})
	case sfu.EventResumed:
		so.send(&lk.SignalResponse{Message: &lk.SignalResponse_Reconnect{Reconnect: &lk.ReconnectResponse{
			ServerInfo: ses.serverInfo(), LastMessageSeq: ses.data.lastSequence(), IceServers: ses.svc.iceServers(ses.p.SID(), ses.hold.Node()),
		}}})
		for _, sid := range e.Muted {
			so.send(&lk.SignalResponse{Message: &lk.SignalResponse_Mute{Mute: &lk.MuteTrackRequest{Sid: sid, Muted: true}}})
		}
		all := append(append(participants(e.Gone), participants(e.Others)...), participant(e.Self))
		so.send(&lk.SignalResponse{Message: &lk.SignalResponse_Update{Update: &lk.ParticipantUpdate{Participants: all}}})
		so.send(&lk.SignalResponse{Message: &lk.SignalResponse_RoomUpdate{RoomUpdate: &lk.RoomUpdate{Room: room(e.Room)}}})
	case sfu.EventParticipants:
		so.sendShared(once(e.Memo, func() *lk.SignalResponse {
			return &lk.SignalResponse{Message: &lk.SignalResponse_Update{Update: &lk.ParticipantUpdate{Participants: participants(e.Participants)}}}
		}))
	case sfu.EventTrackPublished:
		so.send(&lk.SignalResponse{Message: &lk.SignalResponse_TrackPublished{TrackPublished: &lk.TrackPublishedResponse{Cid: e.CID, Track: track(e.Track)}}})
	case sfu.EventTrackRefused:
		reason := lk.RequestResponse_NOT_ALLOWED
		if e.Limit {
			reason = lk.RequestResponse_LIMIT_EXCEEDED
		}
		so.send(requestResponse(&lk.RequestResponse{Reason: reason, Message: e.Reason,
			Request: &lk.RequestResponse_AddTrack{AddTrack: &lk.AddTrackRequest{Cid: e.CID}}}))
	case sfu.EventMetadataUpdated:
		so.send(requestResponse(&lk.RequestResponse{RequestId: e.RequestID, Reason: lk.RequestResponse_OK}))
	case sfu.EventMetadataRefused:
		r := &lk.RequestResponse{RequestId: e.RequestID, Reason: lk.RequestResponse_NOT_ALLOWED, Message: "not permitted to change own metadata"}
		if e.Limit {
			r.Reason, r.Message = lk.RequestResponse_LIMIT_EXCEEDED, "metadata is too long"
		}
		so.send(requestResponse(r))
	case sfu.EventOffer:
		so.send(&lk.SignalResponse{Message: &lk.SignalResponse_Offer{Offer: &lk.SessionDescription{Type: "offer", Sdp: e.SDP, Id: e.ID}}})
	case sfu.EventAnswer:
		so.send(&lk.SignalResponse{Message: &lk.SignalResponse_Answer{Answer: &lk.SessionDescription{
			Type: "answer", Sdp: e.SDP, Id: e.ID, MidToTrackId: e.Tracks,
		}}})
	case sfu.EventSectionsRequired:
		so.send(&lk.SignalResponse{Message: &lk.SignalResponse_MediaSectionsRequirement{MediaSectionsRequirement: &lk.MediaSectionsRequirement{
			NumAudios: uint32(e.Audios), NumVideos: uint32(e.Videos),
		}}})
	case sfu.EventCandidate:
		target := lk.SignalTarget_PUBLISHER
		if e.Target == sfu.TargetSubscriber {
			target = lk.SignalTarget_SUBSCRIBER
		}
		so.send(&lk.SignalResponse{Message: &lk.SignalResponse_Trickle{Trickle: &lk.TrickleRequest{CandidateInit: e.Init, Target: target}}})
	case sfu.EventSpeakers:
		so.sendShared(once(e.Memo, func() *lk.SignalResponse {
			out := &lk.SpeakersChanged{}
			for _, s := range e.Speakers {
				out.Speakers = append(out.Speakers, &lk.SpeakerInfo{Sid: s.SID, Level: s.Level, Active: s.Active})
			}
			return &lk.SignalResponse{Message: &lk.SignalResponse_SpeakersChanged{SpeakersChanged: out}}
		}))
	case sfu.EventSubscriptionFailed:
		why := lk.SubscriptionError_SE_TRACK_NOTFOUND
		if e.Codec {
			why = lk.SubscriptionError_SE_CODEC_UNSUPPORTED
		}
		so.send(&lk.SignalResponse{Message: &lk.SignalResponse_SubscriptionResponse{SubscriptionResponse: &lk.SubscriptionResponse{TrackSid: e.TrackSID, Err: why}}})
	case sfu.EventTrackSubscribed:
		so.send(&lk.SignalResponse{Message: &lk.SignalResponse_TrackSubscribed{TrackSubscribed: &lk.TrackSubscribed{TrackSid: e.TrackSID}}})
	case sfu.EventQuality:
		so.sendShared(once(e.Memo, func() *lk.SignalResponse {
			return &lk.SignalResponse{Message: &lk.SignalResponse_ConnectionQuality{ConnectionQuality: qualities(e)}}
		}))
	case sfu.EventRoom:
		so.sendShared(once(e.Memo, func() *lk.SignalResponse {
			return &lk.SignalResponse{Message: &lk.SignalResponse_RoomUpdate{RoomUpdate: &lk.RoomUpdate{Room: room(e.Room)}}}
		}))
	case sfu.EventTrackUnpublished:
		so.send(&lk.SignalResponse{Message: &lk.SignalResponse_TrackUnpublished{TrackUnpublished: &lk.TrackUnpublishedResponse{TrackSid: e.TrackSID}}})
	case sfu.EventTrackMuted:
		so.send(&lk.SignalResponse{Message: &lk.SignalResponse_Mute{Mute: &lk.MuteTrackRequest{Sid: e.TrackSID, Muted: e.Muted}}})
	case sfu.EventSubscriptionAllowed:
		so.send(&lk.SignalResponse{Message: &lk.SignalResponse_SubscriptionPermissionUpdate{SubscriptionPermissionUpdate: &lk.SubscriptionPermissionUpdate{
			ParticipantSid: e.ParticipantSID, TrackSid: e.TrackSID, Allowed: e.Allowed,
		}}})
	case sfu.EventStreamState:
		so.send(&lk.SignalResponse{Message: &lk.SignalResponse_StreamStateUpdate{StreamStateUpdate: streamStates(e)}})
	case sfu.EventSubscribedQuality:
		so.send(&lk.SignalResponse{Message: &lk.SignalResponse_SubscribedQualityUpdate{SubscribedQualityUpdate: subscribedQuality(e)}})
	case sfu.EventLeft:
		ses.svc.forget(ses.p.SID())
		ses.hold.Release()
		action := lk.LeaveRequest_DISCONNECT
		if e.Action == sfu.ActionReconnect {
			action = lk.LeaveRequest_RECONNECT
		}
		so.leave(reason(e.Reason), action)
	}
}

// once makes the message of an event that many get alike.
func once(m *sfu.Memo, message func() *lk.SignalResponse) *shared {
	return m.Do(func() any { return &shared{message: message()} }).(*shared)
}

func requestResponse(r *lk.RequestResponse) *lk.SignalResponse {
	return &lk.SignalResponse{Message: &lk.SignalResponse_RequestResponse{RequestResponse: r}}
}

func (ses *session) serverInfo() *lk.ServerInfo {
	return &lk.ServerInfo{Version: serverVersion, Protocol: serverProtocol, NodeId: ses.svc.cfg.Node}
}

func (ses *session) joinResponse(e sfu.EventJoined) *lk.JoinResponse {
	j := &lk.JoinResponse{
		Room:        room(e.Room),
		Participant: participant(e.Self), OtherParticipants: participants(e.Others),
		ServerVersion: serverVersion, ServerInfo: ses.serverInfo(), IceServers: ses.svc.iceServers(ses.p.SID(), ses.hold.Node()),
		// The message is never nil, so that clients do not fall back to servers of
		// their own.
		SubscriberPrimary: !ses.p.OneConnection(), PingInterval: pingInterval, PingTimeout: pingTimeout,
	}
	j.EnabledPublishCodecs = j.Room.EnabledCodecs
	return j
}
