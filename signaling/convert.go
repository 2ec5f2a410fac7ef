package signaling

import (
	"maps"
	"strings"

	lk "commsd/internal/lkproto"
	"commsd/sfu"
)

// What follows translates between the SFU's words and the protocol's.

var sourceNames = map[lk.TrackSource]sfu.Source{
	lk.TrackSource_UNKNOWN: sfu.SourceUnknown, lk.TrackSource_CAMERA: sfu.SourceCamera, lk.TrackSource_MICROPHONE: sfu.SourceMicrophone,
	lk.TrackSource_SCREEN_SHARE: sfu.SourceScreenShare, lk.TrackSource_SCREEN_SHARE_AUDIO: sfu.SourceScreenShareAudio,
}

func sourceOf(s lk.TrackSource) sfu.Source {
	if name, ok := sourceNames[s]; ok {
		return name
	}
	return sfu.SourceUnknown
}

func source(s sfu.Source) lk.TrackSource {
	for number, name := range sourceNames {
		if name == s {
			return number
		}
	}
	return lk.TrackSource_UNKNOWN
}

func sources(names []string) []sfu.Source {
	var out []sfu.Source
	for _, n := range names {
		out = append(out, sfu.Source(n))
	}
	return out
}

var reasons = map[sfu.Reason]lk.DisconnectReason{
	sfu.ReasonUnknown: lk.DisconnectReason_UNKNOWN_REASON, sfu.ReasonClient: lk.DisconnectReason_CLIENT_INITIATED,
	sfu.ReasonDuplicate: lk.DisconnectReason_DUPLICATE_IDENTITY, sfu.ReasonShutdown: lk.DisconnectReason_SERVER_SHUTDOWN,
	sfu.ReasonRemoved: lk.DisconnectReason_PARTICIPANT_REMOVED, sfu.ReasonRoomClosed: lk.DisconnectReason_ROOM_DELETED,
	sfu.ReasonStateMismatch: lk.DisconnectReason_STATE_MISMATCH, sfu.ReasonSignalLost: lk.DisconnectReason_SIGNAL_CLOSE,
	sfu.ReasonRoomFull:     lk.DisconnectReason_JOIN_FAILURE,
	sfu.ReasonMediaTimeout: lk.DisconnectReason_CONNECTION_TIMEOUT, sfu.ReasonMediaFailure: lk.DisconnectReason_MEDIA_FAILURE,
}

func reason(r sfu.Reason) lk.DisconnectReason { return reasons[r] }

func int32s[E ~int32](in []E) []int32 {
	var out []int32
	for _, e := range in[:min(len(in), 16)] {
		out = append(out, int32(e))
	}
	return out
}

func room(r sfu.RoomInfo) *lk.Room {
	out := &lk.Room{
		Sid: r.SID, Name: r.Name, CreationTime: r.Created.Unix(), CreationTimeMs: r.Created.UnixMilli(), Metadata: r.Metadata,
		NumParticipants: uint32(r.Participants), NumPublishers: uint32(r.Publishers), MaxParticipants: uint32(r.MaxParticipants),
		EmptyTimeout: uint32(r.EmptyTimeout.Seconds()), DepartureTimeout: uint32(r.DepartureTimeout.Seconds()),
	}
	for _, mime := range sfu.Codecs() {
		out.EnabledCodecs = append(out.EnabledCodecs, &lk.Codec{Mime: mime})
	}
	return out
}

func participants(all []sfu.ParticipantInfo) []*lk.ParticipantInfo {
	out := make([]*lk.ParticipantInfo, 0, len(all))
	for _, p := range all {
		out = append(out, participant(p))
	}
	return out
}

func participant(p sfu.ParticipantInfo) *lk.ParticipantInfo {
	out := &lk.ParticipantInfo{
		Sid: p.SID, Identity: p.Identity, Name: p.Name, Metadata: p.Metadata, Attributes: maps.Clone(p.Attributes),
		State: lk.ParticipantInfo_State(p.State), JoinedAt: p.JoinedAt.Unix(), JoinedAtMs: p.JoinedAt.UnixMilli(),
		Version: p.Version, IsPublisher: p.Publisher, DisconnectReason: reason(p.Reason),
		Permission: permission(p.Permission), // unset, a client refuses to publish
	}
	for _, t := range p.Tracks {
		out.Tracks = append(out.Tracks, track(t))
	}
	return out
}

func permission(p sfu.Permission) *lk.ParticipantPermission {
	out := &lk.ParticipantPermission{
		CanSubscribe: p.Subscribe, CanPublish: p.Publish, CanPublishData: p.PublishData, CanUpdateMetadata: p.UpdateMetadata, Hidden: p.Hidden,
	}
	for _, s := range p.Sources {
		out.CanPublishSources = append(out.CanPublishSources, source(s))
	}
	return out
}

func permissionOf(p *lk.ParticipantPermission) sfu.Permission {
	out := sfu.Permission{
		Subscribe: p.GetCanSubscribe(), Publish: p.GetCanPublish(), PublishData: p.GetCanPublishData(),
		UpdateMetadata: p.GetCanUpdateMetadata(), Hidden: p.GetHidden(),
	}
	for _, s := range p.GetCanPublishSources() {
		out.Sources = append(out.Sources, sourceOf(s))
	}
	return out
}

// subscriptionPermission reads who may receive a participant's tracks, within
// bounds: who and what is too much to be heard is not let in.
func subscriptionPermission(s *lk.SubscriptionPermission) sfu.SubscriptionPermission {
	out := sfu.SubscriptionPermission{All: s.GetAllParticipants()}
	grants, tracks := s.GetTrackPermissions(), 0
	for _, g := range grants[:min(len(grants), maxTrackSIDs)] {
		sids := g.GetTrackSids()
		sids = sids[:min(len(sids), maxTrackSIDs-tracks)]
		tracks += len(sids)
		out.Grants = append(out.Grants, sfu.TrackGrant{Identity: g.GetParticipantIdentity(), SID: g.GetParticipantSid(), All: g.GetAllTracks(), Tracks: sids})
	}
	return out
}

func track(t sfu.TrackInfo) *lk.TrackInfo {
	out := &lk.TrackInfo{
		Sid: t.SID, Name: t.Name, Muted: t.Muted, Width: t.Width, Height: t.Height, Simulcast: t.Simulcast,
		DisableDtx: t.DisableDTX, DisableRed: t.DisableRED, Stereo: t.Stereo, Source: source(t.Source),
		MimeType: t.MimeType, Mid: t.MID, Stream: t.Stream, Encryption: lk.Encryption_Type(t.Encryption),
		Version: &lk.TimedVersion{UnixMicro: t.Published.UnixMicro(), Ticks: int32(t.Version)},
	}
	if t.Kind == sfu.Video {
		out.Type = lk.TrackType_VIDEO
	}
	for _, f := range t.Features {
		out.AudioFeatures = append(out.AudioFeatures, lk.AudioTrackFeature(f))
	}
	for _, l := range t.Layers {
		out.Layers = append(out.Layers, &lk.VideoLayer{
			Quality: lk.VideoQuality(l.Quality), Width: l.Width, Height: l.Height, Bitrate: l.Bitrate, Ssrc: l.SSRC, Rid: l.RID,
		})
	}
	if t.MimeType != "" {
		out.Codecs = []*lk.SimulcastCodecInfo{{MimeType: t.MimeType, Mid: t.MID, Cid: t.CID, Layers: out.Layers}}
	}
	return out
}

var qualityNames = map[sfu.Quality]lk.ConnectionQuality{
	sfu.QualityPoor: lk.ConnectionQuality_POOR, sfu.QualityGood: lk.ConnectionQuality_GOOD,
	sfu.QualityExcellent: lk.ConnectionQuality_EXCELLENT, sfu.QualityLost: lk.ConnectionQuality_LOST,
}

func qualities(e sfu.EventQuality) *lk.ConnectionQualityUpdate {
	out := &lk.ConnectionQualityUpdate{}
	for _, q := range e.Qualities {
		out.Updates = append(out.Updates, &lk.ConnectionQualityInfo{ParticipantSid: q.SID, Quality: qualityNames[q.Quality], Score: q.Score})
	}
	return out
}

func streamStates(e sfu.EventStreamState) *lk.StreamStateUpdate {
	out := &lk.StreamStateUpdate{}
	for _, s := range e.States {
		state := lk.StreamState_ACTIVE
		if s.Paused {
			state = lk.StreamState_PAUSED
		}
		out.StreamStates = append(out.StreamStates, &lk.StreamStateInfo{ParticipantSid: s.ParticipantSID, TrackSid: s.TrackSID, State: state})
	}
	return out
}

func subscribedQuality(e sfu.EventSubscribedQuality) *lk.SubscribedQualityUpdate {
	out := &lk.SubscribedQualityUpdate{TrackSid: e.TrackSID}
	for _, c := range e.Codecs {
		codec := &lk.SubscribedCodec{Codec: codecName(c.MimeType)}
		for _, l := range c.Layers {
			codec.Qualities = append(codec.Qualities, &lk.SubscribedQuality{Quality: lk.VideoQuality(l.Quality), Enabled: l.Wanted})
		}
		out.SubscribedCodecs = append(out.SubscribedCodecs, codec)
	}
	if len(out.SubscribedCodecs) > 0 { // what clients read that know of no second codec
		out.SubscribedQualities = out.SubscribedCodecs[0].Qualities
	}
	return out
}

// codecName is a codec as messages about it name it: "video/VP8" is "vp8".
func codecName(mime string) string {
	_, name, _ := strings.Cut(strings.ToLower(mime), "/")
	return name
}

// trackOf reads what a client announces, within bounds.
func trackOf(r *lk.AddTrackRequest) sfu.TrackInfo {
	t := sfu.TrackInfo{
		CID: r.GetCid(), Name: cut(r.GetName()), Stream: cut(r.GetStream()), Source: sourceOf(r.GetSource()),
		Muted: r.GetMuted(), Width: r.GetWidth(), Height: r.GetHeight(), Stereo: r.GetStereo(),
		DisableDTX: r.GetDisableDtx(), DisableRED: r.GetDisableRed(), Encryption: uint8(r.GetEncryption()),
		Features: int32s(r.GetAudioFeatures()),
	}
	if r.GetType() == lk.TrackType_VIDEO {
		t.Kind = sfu.Video
	}
	layers := r.GetLayers()
	if codecs := r.GetSimulcastCodecs(); len(codecs) > 0 { // the first is meant, the others are spares
		if len(layers) == 0 {
			layers = codecs[0].GetLayers()
		}
		for _, mime := range sfu.Codecs() {
			if strings.EqualFold(mime, "video/"+codecs[0].GetCodec()) {
				t.Codec = mime
			}
		}
	}
	for _, l := range layers[:min(len(layers), 4)] {
		t.Layers = append(t.Layers, sfu.VideoLayer{
			Quality: uint8(l.GetQuality()), Width: l.GetWidth(), Height: l.GetHeight(), Bitrate: l.GetBitrate(), SSRC: l.GetSsrc(), RID: cut(l.GetRid()),
		})
	}
	t.Simulcast = len(t.Layers) > 1
	return t
}

// cut bounds a name that others will receive.
func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), 256)], "") }
