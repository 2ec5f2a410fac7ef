package signaling_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	lk "commsd/internal/lkproto"
	"commsd/internal/testpeer/meetingpeer"
)

// What a client that resumes says of itself is made good: data after what it
// has got last comes again, and a track that nobody knows of is none.
func TestSyncState(t *testing.T) {
	s := serve(t)
	an, binh := s.join(t, "an"), s.join(t, "binh")
	if err := an.Negotiate(ctx(t)); err != nil {
		t.Fatal(err)
	}
	for seq := uint32(1); seq <= 3; seq++ {
		data, err := proto.Marshal(&lk.DataPacket{Sequence: seq, Value: &lk.DataPacket_User{User: &lk.UserPacket{Payload: []byte{byte(seq)}}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := an.Send(ctx(t), meetingpeer.Reliable, data); err != nil {
			t.Fatal(err)
		}
	}
	sender := an.joined().GetParticipant().GetSid()
	hears := func(seq uint32) {
		t.Helper()
		select {
		case d := <-binh.Data():
			m := &lk.DataPacket{}
			if err := proto.Unmarshal(d.Payload, m); err != nil {
				t.Fatal(err)
			}
			if m.GetSequence() != seq || m.GetParticipantSid() != sender || m.GetUser().GetPayload()[0] != byte(seq) {
				t.Fatalf("hears %v, want number %d", m, seq)
			}
		case <-time.After(wait):
			t.Fatalf("number %d does not come", seq)
		}
	}
	for seq := uint32(1); seq <= 3; seq++ { // also what was said before its channel was open
		hears(seq)
	}
	binh.signal(&lk.SignalRequest{Message: &lk.SignalRequest_SyncState{SyncState: &lk.SyncState{
		PublishTracks:            []*lk.TrackPublishedResponse{{Cid: "mic", Track: &lk.TrackInfo{Sid: "TR_unheardof"}}},
		DatachannelReceiveStates: []*lk.DataChannelReceiveState{{PublisherSid: sender, LastSeq: 1}},
	}}})
	hears(2)
	hears(3)
	binh.await("track_unpublished", func(m *lk.SignalResponse) bool { return m.GetTrackUnpublished().GetTrackSid() == "TR_unheardof" })
}
