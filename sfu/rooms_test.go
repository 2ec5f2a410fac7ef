package sfu_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"commsd/internal/errcode"
	"commsd/sfu"
)

func TestMadeRoom(t *testing.T) {
	s := serve(t, func(c *sfu.Config) { c.MaxRooms = 1 })
	ended := make(chan struct{})
	made, err := s.CreateRoom(ctx(t), "r", sfu.RoomOptions{EmptyTimeout: time.Hour, DepartureTimeout: time.Hour, MaxParticipants: 1, Metadata: "one"}, func() { close(ended) })
	if err != nil || made.SID == "" || made.Metadata != "one" || made.Participants != 0 {
		t.Fatalf("made %+v, %v", made, err)
	}
	if _, err := s.CreateRoom(ctx(t), "another", sfu.RoomOptions{}, nil); errcode.Of(err) != errcode.RateLimited {
		t.Errorf("one room too many: %v", err)
	}
	if _, err := s.CreateRoom(ctx(t), "r", sfu.RoomOptions{Metadata: strings.Repeat("x", 65<<10)}, nil); errcode.Of(err) != errcode.TooLarge {
		t.Errorf("too much metadata: %v", err)
	}
	an := join(t, s, everything("r", "an"), nil)
	if e := await[sfu.EventJoined](an, "its place", nil); e.Room.SID != made.SID || e.Room.Metadata != "one" {
		t.Errorf("an came into %+v", e.Room)
	}
	binh := join(t, s, everything("r", "binh"), nil)
	if e := binh.left(); e.Reason != sfu.ReasonRoomFull {
		t.Errorf("one person too many: %+v", e)
	}
	if _, err := s.SetRoomMetadata(ctx(t), "r", "two"); err != nil {
		t.Fatal(err)
	}
	await(an, "the metadata", func(e sfu.EventRoom) bool { return e.Room.Metadata == "two" })
	if err := s.RemoveParticipant(ctx(t), "r", "an"); err != nil {
		t.Fatal(err)
	}
	if e := an.left(); e.Reason != sfu.ReasonRemoved {
		t.Errorf("an left with %+v", e)
	}
	if again, err := s.Room(ctx(t), "r"); err != nil || again.SID != made.SID || again.Metadata != "two" {
		t.Errorf("after the last has left: %+v, %v", again, err)
	}
	// Made again, with less patience: the timeout that runs is the old one, so
	// somebody comes and goes.
	if _, err := s.CreateRoom(ctx(t), "r", sfu.RoomOptions{DepartureTimeout: time.Millisecond}, nil); err != nil {
		t.Fatal(err)
	}
	chi := join(t, s, everything("r", "chi"), nil)
	await[sfu.EventJoined](chi, "its place", nil)
	chi.p.Leave()
	chi.left()
	select {
	case <-ended:
	case <-time.After(wait):
		t.Fatal("the room stays")
	}
	if slices.Contains(s.RoomNames(), "r") {
		t.Error("the room is listed after its end")
	}
	if _, err := s.Room(ctx(t), "r"); errcode.Of(err) != errcode.NotFound {
		t.Errorf("a room that has ended: %v", err)
	}
}

func TestSendDataToSome(t *testing.T) {
	s := serve(t)
	p := talkers(t, s, nil, "an", "binh")
	an, binh := p[0], p[1]
	if err := s.SendData(ctx(t), "r", sfu.Reliable, []byte("to binh"), []string{"binh"}); err != nil {
		t.Fatal(err)
	}
	if err := s.SendData(ctx(t), "r", sfu.Reliable, []byte("to all"), nil); err != nil {
		t.Fatal(err)
	}
	an.hears("_reliable", "to all")
	binh.hears("_reliable", "to binh")
	binh.hears("_reliable", "to all")
	if err := s.SendData(ctx(t), "r", sfu.Lossy, make([]byte, 65<<10), nil); errcode.Of(err) != errcode.TooLarge {
		t.Errorf("too big: %v", err)
	}
}

func TestServerSubscribes(t *testing.T) {
	s := serve(t)
	_, binh, _, sid := publishAndHear(t, s)
	offers := len(all[sfu.EventOffer](binh))
	if err := s.SetSubscriptions(ctx(t), "r", "binh", []string{sid}, false); err != nil {
		t.Fatal(err)
	}
	binh.silentAfter(offers)
	if err := s.SetSubscriptions(ctx(t), "r", "binh", []string{sid}, true); err != nil {
		t.Fatal(err)
	}
	binh.next(binh.track(), nil)
	if err := s.SetSubscriptions(ctx(t), "r", "binh", []string{"TR_none"}, true); errcode.Of(err) != errcode.NotFound {
		t.Errorf("an unknown track: %v", err)
	}
}
