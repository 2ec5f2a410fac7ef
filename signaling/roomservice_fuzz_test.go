package signaling_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"commsd/internal/accesstoken"
	lk "commsd/internal/lkproto"
	"commsd/signaling"
)

// FuzzRoomService sends bodies of any kind to the room service. Whatever it
// makes of them, the answer is one of Twirp's, and a meeting goes on.
func FuzzRoomService(f *testing.F) {
	methods := []string{"CreateRoom", "ListRooms", "DeleteRoom", "ListParticipants", "GetParticipant", "RemoveParticipant",
		"MutePublishedTrack", "UpdateParticipant", "UpdateSubscriptions", "SendData", "UpdateRoomMetadata"}
	topic := "t"
	for i, m := range []proto.Message{
		&lk.CreateRoomRequest{Name: "x", EmptyTimeout: 1, Metadata: "m"}, &lk.ListRoomsRequest{Names: []string{"x"}}, &lk.DeleteRoomRequest{Room: "x"},
		&lk.ListParticipantsRequest{Room: "x"}, &lk.RoomParticipantIdentity{Room: "x", Identity: "an"}, &lk.RoomParticipantIdentity{Room: "meeting-1", Identity: "witness"},
		&lk.MuteRoomTrackRequest{Room: "x", Identity: "an", TrackSid: "TR_x", Muted: true},
		&lk.UpdateParticipantRequest{Room: "x", Identity: "an", Attributes: map[string]string{"a": ""}, Permission: &lk.ParticipantPermission{CanPublishSources: []lk.TrackSource{77}}},
		&lk.UpdateSubscriptionsRequest{Room: "x", Identity: "an", TrackSids: []string{"TR_x"}, Subscribe: true},
		&lk.SendDataRequest{Room: "x", Data: []byte("d"), Topic: &topic, Kind: 9}, &lk.UpdateRoomMetadataRequest{Room: "x", Metadata: "m"},
	} {
		binary, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		text, err := protojson.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), false, binary)
		f.Add(uint8(i), true, text)
	}
	f.Add(uint8(0), true, []byte(strings.Repeat(`{"name":`, 20_000)))
	s := serve(f, func(set *settings) {
		set.signaling.OperatorRoom = func(room string) bool { return !strings.HasPrefix(room, "meeting") }
		set.signaling.CallsPerSecond = 1e9
		set.media.MaxRooms = 20
	})
	elsewhere := func(room string) func(*accesstoken.Claims) {
		return func(c *accesstoken.Claims) { c.Video.Room = room }
	}
	witness := s.join(f, "witness", elsewhere("meeting-1"))
	s.join(f, "an", elsewhere("x"))
	operator := token(f, "op", grants, elsewhere("x"))
	f.Fuzz(func(t *testing.T, method uint8, isJSON bool, body []byte) {
		name := methods[int(method)%len(methods)]
		rq, err := http.NewRequestWithContext(ctx(t), http.MethodPost, s.http.URL+"/twirp/livekit.RoomService/"+name, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		rq.Header.Set("Authorization", "Bearer "+operator)
		rq.Header.Set("Content-Type", "application/protobuf")
		if isJSON {
			rq.Header.Set("Content-Type", "application/json")
		}
		res, err := http.DefaultClient.Do(rq)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		data, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusOK {
			var e struct{ Code, Msg string }
			if err := json.Unmarshal(data, &e); err != nil || e.Code == "" || e.Code == "internal" {
				t.Fatalf("%s answers %d %q", name, res.StatusCode, data)
			}
		}
		inside(t, s.Service, "meeting-1", "witness")
	})
	witness.barrier(1)
}

func inside(t *testing.T, s *signaling.Service, room, who string) {
	t.Helper()
	if in, err := s.Inside(ctx(t), room); err != nil || len(in) != 1 || in[0] != who {
		t.Fatalf("inside are %q, %v", in, err)
	}
}
