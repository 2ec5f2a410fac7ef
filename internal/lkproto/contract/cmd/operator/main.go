// Command operator looks after a room with LiveKit's own client of the room
// service, for the test that the server is what that client takes it for. It
// finds "an" and "binh" in the room "r", with one track of an's.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"
)

type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "operator protobuf|json URL TOKEN")
		os.Exit(2) //nolint:forbidigo // this is main
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client := &http.Client{Transport: bearer(os.Args[3])}
	rooms := livekit.NewRoomServiceProtobufClient(os.Args[2], client)
	if os.Args[1] == "json" {
		rooms = livekit.NewRoomServiceJSONClient(os.Args[2], client)
	}
	if err := look(ctx, rooms); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func look(ctx context.Context, rooms livekit.RoomService) error {
	hall, err := rooms.CreateRoom(ctx, &livekit.CreateRoomRequest{Name: "hall", EmptyTimeout: 60, MaxParticipants: 5, Metadata: "agenda"})
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	list, err := rooms.ListRooms(ctx, &livekit.ListRoomsRequest{Names: []string{"hall"}})
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	if len(list.Rooms) != 1 || list.Rooms[0].Sid != hall.Sid || list.Rooms[0].Metadata != "agenda" || list.Rooms[0].EmptyTimeout != 60 || list.Rooms[0].MaxParticipants != 5 {
		return fmt.Errorf("made %v, listed %v", hall, list)
	}
	list, err = rooms.ListRooms(ctx, &livekit.ListRoomsRequest{})
	if err != nil || len(list.Rooms) != 2 || list.Rooms[0].Name != "r" || list.Rooms[0].NumParticipants != 2 || list.Rooms[1].Name != "hall" {
		return fmt.Errorf("all rooms are %v, %w", list, err)
	}
	if _, err = rooms.DeleteRoom(ctx, &livekit.DeleteRoomRequest{Room: "hall"}); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	all, err := rooms.ListParticipants(ctx, &livekit.ListParticipantsRequest{Room: "r"})
	if err != nil {
		return fmt.Errorf("list participants: %w", err)
	}
	if len(all.Participants) != 2 || all.Participants[0].Identity != "an" || len(all.Participants[0].Tracks) != 1 {
		return fmt.Errorf("participants are %v", all)
	}
	sid := all.Participants[0].Tracks[0].Sid
	muted, err := rooms.MutePublishedTrack(ctx, &livekit.MuteRoomTrackRequest{Room: "r", Identity: "an", TrackSid: sid, Muted: true})
	if err != nil || muted.Track.Sid != sid || !muted.Track.Muted {
		return fmt.Errorf("muted %v, %w", muted, err)
	}
	an, err := rooms.UpdateParticipant(ctx, &livekit.UpdateParticipantRequest{
		Room: "r", Identity: "an", Attributes: map[string]string{"seat": "1"}, Permission: &livekit.ParticipantPermission{CanSubscribe: true},
	})
	if err != nil || an.Attributes["seat"] != "1" || an.Permission.CanPublish || len(an.Tracks) != 0 {
		return fmt.Errorf("an is %v, %w", an, err)
	}
	if _, err = rooms.SendData(ctx, &livekit.SendDataRequest{Room: "r", Data: []byte("x"), DestinationIdentities: []string{"an"}}); err != nil {
		return fmt.Errorf("send data: %w", err)
	}
	r, err := rooms.UpdateRoomMetadata(ctx, &livekit.UpdateRoomMetadataRequest{Room: "r", Metadata: "minutes"})
	if err != nil || r.Metadata != "minutes" {
		return fmt.Errorf("room is %v, %w", r, err)
	}
	if _, err = rooms.RemoveParticipant(ctx, &livekit.RoomParticipantIdentity{Room: "r", Identity: "an"}); err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	_, err = rooms.GetParticipant(ctx, &livekit.RoomParticipantIdentity{Room: "r", Identity: "an"})
	if fault := twirp.Error(nil); !errors.As(err, &fault) || fault.Code() != twirp.NotFound {
		return fmt.Errorf("who was removed: %w, want not_found", err)
	}
	_, err = rooms.ListParticipants(ctx, &livekit.ListParticipantsRequest{Room: "another"})
	if fault := twirp.Error(nil); !errors.As(err, &fault) || fault.Code() != twirp.PermissionDenied {
		return fmt.Errorf("another room: %w, want permission_denied", err)
	}
	return nil
}
