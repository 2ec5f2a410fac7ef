package sfu_test

import (
	"testing"

	"commsd/internal/errcode"
	"commsd/sfu"
)

func publishAndHear(t *testing.T, s *sfu.SFU) (an, binh, chi *client, sid string) {
	t.Helper()
	an = join(t, s, everything("r", "an"), nil)
	binh = join(t, s, everything("r", "binh"), nil)
	chi = join(t, s, everything("r", "chi"), nil)
	pub, sid := an.publish(microphone("mic"))
	an.pump(pub, opus)
	for _, c := range []*client{binh, chi} {
		c.next(c.track(), nil)
	}
	return an, binh, chi, sid
}

func (c *client) allowed(sid string, want bool, after int) {
	c.t.Helper()
	n := 0
	e := await(c, "whether it may receive the track", func(sfu.EventSubscriptionAllowed) bool { n++; return n > after })
	if e.TrackSID != sid || e.Allowed != want || e.ParticipantSID == "" {
		c.t.Fatalf("%s hears %+v, want allowed %v", c.p.Identity(), e, want)
	}
}

// silentAfter waits for an offer after the given count: what was taken away is
// in no section of it any more.
func (c *client) silentAfter(offers int) {
	c.t.Helper()
	n := 0
	await(c, "a further offer", func(sfu.EventOffer) bool { n++; return n > offers })
}

func TestPublisherSaysWhoReceives(t *testing.T) {
	s := serve(t)
	an, binh, chi, sid := publishAndHear(t, s)
	offers := len(all[sfu.EventOffer](chi))
	an.p.AllowSubscribers(sfu.SubscriptionPermission{Grants: []sfu.TrackGrant{
		{Identity: "binh", All: true}, {SID: chi.p.SID(), Tracks: []string{"TR_another"}},
	}})
	chi.allowed(sid, false, 0)
	chi.silentAfter(offers) // without the track
	chi.p.Subscribe([]string{sid}, true)
	chi.allowed(sid, false, 1) // who asks is told again, and gets nothing
	dung := join(t, s, everything("r", "dung"), nil)
	dung.allowed(sid, false, 0)
	an.p.AllowSubscribers(sfu.SubscriptionPermission{Grants: []sfu.TrackGrant{{SID: chi.p.SID(), Tracks: []string{sid}}}})
	chi.allowed(sid, true, 2)
	binh.allowed(sid, false, 0)
	an.p.AllowSubscribers(sfu.SubscriptionPermission{All: true})
	binh.allowed(sid, true, 1)
	dung.allowed(sid, true, 1)
	dung.next(dung.track(), nil)
	if n := len(all[sfu.EventSubscriptionAllowed](an)); n > 0 {
		t.Errorf("the publisher is told %d times of its own track", n)
	}
}

func TestPermissionIsWithdrawn(t *testing.T) {
	s := serve(t)
	an, binh, _, sid := publishAndHear(t, s)
	video, _ := an.publish(camera("cam"))
	an.pump(video, vp8)
	binh.next(binh.track(), nil)
	info, err := s.UpdateParticipant(ctx(t), "r", "an", sfu.MetadataUpdate{}, &sfu.Permission{Publish: true, Subscribe: true, Sources: []sfu.Source{sfu.SourceCamera}})
	if err != nil {
		t.Fatal(err)
	}
	if len(info.Tracks) != 1 || info.Permission.PublishData || info.Tracks[0].Source != sfu.SourceCamera {
		t.Errorf("left with %+v", info)
	}
	if e := await[sfu.EventTrackUnpublished](an, "the end of its track", nil); e.TrackSID != sid {
		t.Errorf("%s was taken away, want %s", e.TrackSID, sid)
	}
	binh.awaitParticipant("an", "without a microphone", func(p sfu.ParticipantInfo) bool { return len(p.Tracks) == 1 && !p.Permission.PublishData })
	an.p.AddTrack(microphone("again"))
	if e := await[sfu.EventTrackRefused](an, "a refusal", nil); e.CID != "again" || e.Limit {
		t.Errorf("refused with %+v", e)
	}
	// Who may not receive any more loses what it has, and gets it back.
	camera := info.Tracks[0].SID
	offers := len(all[sfu.EventOffer](binh))
	none := sfu.Permission{Publish: true}
	if _, err := s.UpdateParticipant(ctx(t), "r", "binh", sfu.MetadataUpdate{}, &none); err != nil {
		t.Fatal(err)
	}
	binh.silentAfter(offers)
	binh.p.Subscribe([]string{camera}, true)
	binh.allowed(camera, false, 0)
	none.Subscribe = true
	if _, err := s.UpdateParticipant(ctx(t), "r", "binh", sfu.MetadataUpdate{}, &none); err != nil {
		t.Fatal(err)
	}
	binh.allowed(camera, true, 1)
	binh.next(binh.track(), nil)
}

func TestServerMutes(t *testing.T) {
	s := serve(t)
	an, binh, _, sid := publishAndHear(t, s)
	for range 2 { // a track that is muted stays so, and its client hears of it once
		info, err := s.MuteTrack(ctx(t), "r", "an", sid)
		if err != nil || !info.Muted {
			t.Fatalf("muted: %+v, %v", info, err)
		}
	}
	binh.awaitParticipant("an", "muted", func(p sfu.ParticipantInfo) bool { return len(p.Tracks) == 1 && p.Tracks[0].Muted })
	back := func(want int) {
		t.Helper()
		if _, err := an.p.Resume(ctx(t), an.note); err != nil {
			t.Fatal(err)
		}
		n := 0
		e := await(an, "its place", func(sfu.EventResumed) bool { n++; return n == want+1 })
		if len(e.Muted) != 1-want || want == 0 && e.Muted[0] != sid {
			t.Errorf("who is back is told that %v are muted", e.Muted)
		}
	}
	back(0)
	an.p.Mute(sid, false)
	binh.awaitParticipant("an", "unmuted", func(p sfu.ParticipantInfo) bool {
		return len(p.Tracks) == 1 && !p.Tracks[0].Muted && p.Tracks[0].Version > 2
	})
	back(1) // of what it unmuted itself nothing is said
	if got := all[sfu.EventTrackMuted](an); len(got) != 1 || got[0].TrackSID != sid || !got[0].Muted {
		t.Errorf("an is told %+v", got)
	}
	for name, err := range map[string]error{
		"room":        second(s.MuteTrack(ctx(t), "nowhere", "an", sid)),
		"participant": second(s.MuteTrack(ctx(t), "r", "nobody", sid)),
		"track":       second(s.MuteTrack(ctx(t), "r", "an", "TR_none")),
		"another's":   second(s.MuteTrack(ctx(t), "r", "binh", sid)),
	} {
		if errcode.Of(err) != errcode.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
