package signaling

import (
	"testing"

	"google.golang.org/protobuf/proto"

	lk "commsd/internal/lkproto"
	"commsd/sfu"
)

func TestSubscribedQualityIsTranslated(t *testing.T) {
	got := subscribedQuality(sfu.EventSubscribedQuality{TrackSID: "TR_a", Codecs: []sfu.SubscribedCodec{
		{MimeType: "video/VP8", Layers: []sfu.SubscribedLayer{{Quality: 0, Wanted: true}, {Quality: 2}}},
		{MimeType: "video/H264", Layers: []sfu.SubscribedLayer{{Quality: 1, Wanted: true}}},
	}})
	low, high := &lk.SubscribedQuality{Quality: lk.VideoQuality_LOW, Enabled: true}, &lk.SubscribedQuality{Quality: lk.VideoQuality_HIGH}
	want := &lk.SubscribedQualityUpdate{
		TrackSid: "TR_a", SubscribedQualities: []*lk.SubscribedQuality{low, high},
		SubscribedCodecs: []*lk.SubscribedCodec{
			{Codec: "vp8", Qualities: []*lk.SubscribedQuality{low, high}},
			{Codec: "h264", Qualities: []*lk.SubscribedQuality{{Quality: lk.VideoQuality_MEDIUM, Enabled: true}}},
		},
	}
	if !proto.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestStreamStatesAreTranslated(t *testing.T) {
	got := streamStates(sfu.EventStreamState{States: []sfu.StreamState{
		{TrackSID: "TR_a", ParticipantSID: "PA_a", Paused: true}, {TrackSID: "TR_b", ParticipantSID: "PA_b"},
	}})
	want := &lk.StreamStateUpdate{StreamStates: []*lk.StreamStateInfo{
		{TrackSid: "TR_a", ParticipantSid: "PA_a", State: lk.StreamState_PAUSED},
		{TrackSid: "TR_b", ParticipantSid: "PA_b", State: lk.StreamState_ACTIVE},
	}}
	if !proto.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}
