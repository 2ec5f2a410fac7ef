package sfu_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
	"github.com/prometheus/client_golang/prometheus"

	"commsd/internal/errcode"
	"commsd/internal/testpeer/meetingpeer"
	"commsd/sfu"
)

func TestParticipantsAreToldOfEachOther(t *testing.T) {
	s := serve(t)
	req := everything("r", "an")
	req.Name, req.Metadata, req.Attributes = "Nguyễn Văn An", "m", map[string]string{"unit": "Vụ Pháp chế"}
	an := join(t, s, req, nil)
	self := await[sfu.EventJoined](an, "its place", nil)
	if self.Self.Name != "Nguyễn Văn An" || self.Self.State != sfu.Joined || len(self.Others) != 0 || self.Room.Name != "r" || !strings.HasPrefix(self.Room.SID, "RM_") || !strings.HasPrefix(self.Self.SID, "PA_") {
		t.Fatalf("joined as %+v in %+v", self.Self, self.Room)
	}
	chi := join(t, s, everything("r", "chi"), nil)
	joined := await[sfu.EventJoined](chi, "its place", nil)
	if len(joined.Others) != 1 || joined.Others[0].Name != "Nguyễn Văn An" || joined.Others[0].Attributes["unit"] != "Vụ Pháp chế" {
		t.Fatalf("chi finds %+v", joined.Others)
	}
	an.awaitParticipant("chi", "comes", func(p sfu.ParticipantInfo) bool { return p.State == sfu.Active })
	got := s.Inside("r")
	if slices.Sort(got); !slices.Equal(got, []string{"an", "chi"}) {
		t.Fatalf("inside are %q", got)
	}
	chi.p.Leave()
	if e := chi.left(); e.Reason != sfu.ReasonClient || e.Action != sfu.ActionDisconnect {
		t.Fatalf("left with %+v", e)
	}
	gone := an.awaitParticipant("chi", "goes", func(p sfu.ParticipantInfo) bool { return p.State == sfu.Disconnected })
	if gone.Reason != sfu.ReasonClient {
		t.Fatalf("gone with %+v", gone)
	}
	last := uint32(0)
	for _, e := range all[sfu.EventParticipants](an) {
		for _, p := range e.Participants {
			if p.Identity != "chi" {
				continue
			}
			if p.Version <= last {
				t.Fatalf("version %d after %d", p.Version, last)
			}
			last = p.Version
		}
	}
	an.p.Leave()
	an.left()
	if got := s.Inside("r"); len(got) != 0 {
		t.Fatalf("left inside are %q", got)
	}
}

// Whoever shows who is inside hears of every coming and going, of many at once
// one time.
func TestChangedNamesRooms(t *testing.T) {
	s := serve(t)
	changed := func() []string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		rooms, err := s.Changed(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return rooms
	}
	an := join(t, s, everything("r", "an"), nil)
	await[sfu.EventJoined](an, "its place", nil)
	chi := join(t, s, everything("r", "chi"), nil)
	await[sfu.EventJoined](chi, "its place", nil)
	dung := join(t, s, everything("other", "dung"), nil)
	await[sfu.EventJoined](dung, "its place", nil)
	if got := changed(); !slices.Equal(got, []string{"other", "r"}) {
		t.Fatalf("changed %q", got)
	}
	chi.p.Leave()
	chi.left()
	if got := changed(); !slices.Equal(got, []string{"r"}) {
		t.Fatalf("changed %q after chi left", got)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if got, err := s.Changed(ended); err == nil {
		t.Fatalf("changed %q though nothing did", got)
	}
}

// The newer of two equal identities stays: it is the same person come back.
func TestSameIdentityPutsTheOlderOut(t *testing.T) { bothForms(t, testSameIdentityPutsTheOlderOut) }

func testSameIdentityPutsTheOlderOut(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	first, second := join(t, s, everything("r", "an"), cfg), join(t, s, everything("r", "an"), cfg)
	if e := first.left(); e.Reason != sfu.ReasonDuplicate || e.Action != sfu.ActionDisconnect {
		t.Fatalf("the first left with %+v", e)
	}
	if joined := await[sfu.EventJoined](second, "its place", nil); len(joined.Others) != 0 {
		t.Fatalf("the second still sees %+v", joined.Others)
	}
	if got := s.Inside("r"); len(got) != 1 {
		t.Fatalf("inside are %q", got)
	}
}

func TestEndAndCloseRoom(t *testing.T) {
	s := serve(t)
	an, chi, dung := join(t, s, everything("r", "an"), nil), join(t, s, everything("r", "chi"), nil), join(t, s, everything("other", "dung"), nil)
	an.p.End(sfu.ReasonRemoved, sfu.ActionDisconnect)
	if e := an.left(); e.Reason != sfu.ReasonRemoved {
		t.Fatalf("an left with %+v", e)
	}
	if !s.CloseRoom("r") || s.CloseRoom("nowhere") {
		t.Fatal("CloseRoom does not know the rooms")
	}
	if e := chi.left(); e.Reason != sfu.ReasonRoomClosed || e.Action != sfu.ActionDisconnect {
		t.Fatalf("chi left with %+v", e)
	}
	dung.up()
	if len(all[sfu.EventLeft](dung)) != 0 {
		t.Fatal("the other room was closed too")
	}
}

func TestFullRoomTurnsAway(t *testing.T) {
	s := serve(t, func(c *sfu.Config) { c.MaxParticipants = 2 })
	join(t, s, everything("r", "an"), nil)
	join(t, s, everything("r", "binh"), nil)
	chi := join(t, s, everything("r", "chi"), nil)
	if e := chi.left(); e.Reason != sfu.ReasonRoomFull {
		t.Fatalf("chi left with %+v", e)
	}
	// Who comes back takes its own place, full or not.
	again := join(t, s, everything("r", "an"), nil)
	await[sfu.EventJoined](again, "its place", nil)
}

func TestDrainSendsEverybodyElsewhere(t *testing.T) {
	s := serve(t)
	an, chi := join(t, s, everything("r", "an"), nil), join(t, s, everything("q", "chi"), nil)
	s.Drain()
	for _, c := range []*client{an, chi} {
		if e := c.left(); e.Reason != sfu.ReasonShutdown || e.Action != sfu.ActionReconnect {
			t.Fatalf("left with %+v", e)
		}
	}
	if _, err := s.Join(ctx(t), everything("r", "an")); errcode.Of(err) != errcode.Unavailable {
		t.Fatalf("a join while draining: %v", err)
	}
}

// A join that the stop overtakes on its way into the room is turned away there:
// it would keep Run from ending.
func TestStopOvertakesJoin(t *testing.T) {
	reg := prometheus.NewRegistry()
	s, err := sfu.New(sfu.Config{UDPListen: "127.0.0.1:0", MediaTimeout: time.Hour, Log: slog.New(slog.DiscardHandler), Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	run, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(run) }()
	<-s.Ready()
	req := everything("r", "an")
	req.Attributes = make(map[string]string) // whose copying takes a while
	for i := range 100_000 {
		req.Attributes[fmt.Sprint(i)] = ""
	}
	c := &client{t: t, changed: make(chan struct{})}
	req.Events = c.note
	var join sync.WaitGroup
	join.Go(func() {
		var err error
		if c.p, err = s.Join(t.Context(), req); err != nil {
			t.Error(err)
		}
	})
	for opened := false; !opened; { // the join has made the room
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			opened = opened || f.GetName() == "commsd_sfu_rooms" && f.GetMetric()[0].GetGauge().GetValue() == 1
		}
	}
	stop()
	join.Wait()
	if e := c.left(); e.Reason != sfu.ReasonShutdown {
		t.Fatalf("left with %+v", e)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(wait):
		t.Fatal("Run does not end")
	}
}

func TestClientWithoutMediaIsSentAway(t *testing.T) {
	s := serve(t, func(c *sfu.Config) { c.MediaTimeout = 50 * time.Millisecond })
	c := silent(t, s, "an") // and nobody answers the offer
	if e := c.left(); e.Reason != sfu.ReasonMediaTimeout || e.Action != sfu.ActionReconnect {
		t.Fatalf("left with %+v", e)
	}
}

// A lost signalling connection keeps its place for a while, and no longer.
func TestLostSignalling(t *testing.T) { bothForms(t, testLostSignalling) }

func testLostSignalling(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t, func(c *sfu.Config) { c.ResumeWindow = 100 * time.Millisecond })
	an, chi := join(t, s, everything("r", "an"), cfg), join(t, s, everything("r", "chi"), cfg)
	an.up()
	an.p.SignalLost(1)
	attachment, err := an.p.Resume(ctx(t), an.note)
	if err != nil || attachment != 2 {
		t.Fatalf("resume: %d, %v", attachment, err)
	}
	back := await[sfu.EventResumed](an, "its return", nil)
	if back.Self.SID != an.p.SID() || len(back.Others) != 1 {
		t.Fatalf("back as %+v", back)
	}
	an.p.SignalLost(1) // of the connection that was given up
	chi.p.SignalLost(1)
	if e := chi.left(); e.Reason != sfu.ReasonSignalLost {
		t.Fatalf("chi left with %+v", e)
	}
	if len(all[sfu.EventLeft](an)) != 0 {
		t.Fatal("an lost its place by the end of an old connection")
	}
	if _, err := chi.p.Resume(ctx(t), chi.note); errcode.Of(err) != errcode.Gone {
		t.Fatalf("resume of a place that ended: %v", err)
	}
}

func TestUnpublish(t *testing.T) { bothForms(t, testUnpublish) }

func testUnpublish(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	an, chi := join(t, s, everything("r", "an"), cfg), join(t, s, everything("r", "chi"), cfg)
	pub, sid := an.publish(microphone("mic"))
	source := an.pump(pub, opus)
	tr := chi.track()
	chi.next(tr, nil)
	await(an, "its listener", func(e sfu.EventTrackSubscribed) bool { return e.TrackSID == sid })
	source.Stop()
	if err := an.RemoveTrack(pub); err != nil {
		t.Fatal(err)
	}
	an.negotiateNow()
	seen := 0
	chi.awaitParticipant("an", "has taken its track away", func(p sfu.ParticipantInfo) bool {
		seen = max(seen, len(p.Tracks))
		return seen == 1 && len(p.Tracks) == 0
	})
	for { // the server takes its section out of the offer, which ends the track
		select {
		case _, ok := <-tr.Packets:
			if ok {
				continue
			}
		case <-time.After(wait):
			t.Fatal("the track does not end")
		}
		break
	}
}

// A client keeps the name that a section's first track had, and takes the next
// one's from its stream, or from the answer on a single connection.
func TestTrackInPlaceOfAnother(t *testing.T) { bothForms(t, testTrackInPlaceOfAnother) }

func testTrackInPlaceOfAnother(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	an, chi := join(t, s, everything("r", "an"), cfg), join(t, s, everything("r", "chi"), cfg)
	pub, _ := an.publish(microphone("mic"))
	source := an.pump(pub, opus)
	first := chi.track()
	chi.next(first, nil)
	source.Stop()
	if err := an.RemoveTrack(pub); err != nil {
		t.Fatal(err)
	}
	an.negotiateNow()
	seen := 0
	chi.awaitParticipant("an", "has taken its track away", func(p sfu.ParticipantInfo) bool {
		seen = max(seen, len(p.Tracks))
		return seen == 1 && len(p.Tracks) == 0
	})
	pub, sid := an.publish(microphone("mic2"))
	an.pump(pub, opus)
	second := chi.track()
	for second.SSRC == first.SSRC { // a late packet of the first, which Pion's client takes for something new
		second = chi.track()
	}
	chi.next(second, nil)
	if cfg.OneConnection {
		if chi.TrackAt(second.MID) != sid {
			t.Errorf("section %s carries %q, want %q", second.MID, chi.TrackAt(second.MID), sid)
		}
		return
	}
	want := an.p.SID() + "|" + sid
	if second.MID != first.MID { // its offer came before the answer that frees the section
		want = an.p.SID() + "|camera"
	}
	if second.Stream != want {
		t.Errorf("the second track comes in stream %q, want %q", second.Stream, want)
	}
}

// A track published muted may never send a packet; it can be taken away all
// the same.
func TestUnpublishWithoutMedia(t *testing.T) { bothForms(t, testUnpublishWithoutMedia) }

func testUnpublishWithoutMedia(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	an, chi := join(t, s, everything("r", "an"), cfg), join(t, s, everything("r", "chi"), cfg)
	info := microphone("mic")
	info.Muted = true
	pub, sid := an.publish(info)
	chi.awaitParticipant("an", "has a muted track", func(p sfu.ParticipantInfo) bool {
		return len(p.Tracks) == 1 && p.Tracks[0].SID == sid && p.Tracks[0].Muted
	})
	if err := an.RemoveTrack(pub); err != nil {
		t.Fatal(err)
	}
	an.negotiateNow()
	seen := 0
	chi.awaitParticipant("an", "has taken its track away", func(p sfu.ParticipantInfo) bool {
		seen = max(seen, len(p.Tracks))
		return seen == 1 && len(p.Tracks) == 0
	})
}

func TestGrantsAreEnforced(t *testing.T) { bothForms(t, testGrantsAreEnforced) }

func testGrantsAreEnforced(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	mute := everything("r", "mute")
	mute.Permission.Publish, mute.Permission.UpdateMetadata, mute.Permission.PublishData = false, false, false
	speaker := everything("r", "speaker")
	speaker.Permission.Sources = []sfu.Source{sfu.SourceMicrophone}
	deaf := everything("r", "deaf")
	deaf.Permission.Subscribe = false
	silent, talks, hears := join(t, s, mute, cfg), join(t, s, speaker, cfg), join(t, s, deaf, cfg)

	silent.p.AddTrack(microphone("mic"))
	if e := await[sfu.EventTrackRefused](silent, "a refusal", nil); e.CID != "mic" || e.Limit {
		t.Fatalf("refused with %+v", e)
	}
	name := "somebody else"
	silent.p.UpdateMetadata(sfu.MetadataUpdate{RequestID: 7, Name: &name})
	if e := await[sfu.EventMetadataRefused](silent, "a refusal", nil); e.RequestID != 7 || e.Limit {
		t.Fatalf("refused with %+v", e)
	}
	talks.p.AddTrack(camera("cam"))
	if e := await[sfu.EventTrackRefused](talks, "a refusal", nil); e.CID != "cam" {
		t.Fatalf("refused with %+v", e)
	}
	disguised := microphone("mic0") // a picture in the name of a microphone
	disguised.Source, disguised.Kind = sfu.SourceMicrophone, sfu.Video
	talks.p.AddTrack(disguised)
	await(talks, "a refusal", func(e sfu.EventTrackRefused) bool { return e.CID == "mic0" })
	// Media that comes without the server's word goes nowhere.
	smuggled, err := silent.AddTrack("mic", kinds[sfu.Audio])
	if err != nil {
		t.Fatal(err)
	}
	silent.negotiateNow()
	silent.pump(smuggled, opus)
	pub, sid := talks.publish(microphone("mic2"))
	talks.pump(pub, opus)
	tr := silent.track()
	silent.next(tr, nil)
	if !strings.HasPrefix(tr.Stream, talks.p.SID()) {
		t.Fatalf("received %s", tr.Stream)
	}
	hears.p.Subscribe([]string{sid}, true) // asking changes nothing
	for _, c := range []*client{hears, talks} {
		for _, e := range all[sfu.EventOffer](c) {
			if strings.Contains(e.SDP, "m=audio") {
				t.Fatalf("%s is offered sound", c.p.Identity())
			}
		}
		for _, e := range all[sfu.EventAnswer](c) {
			if len(e.Tracks) > 0 {
				t.Fatalf("%s is sent %v", c.p.Identity(), e.Tracks)
			}
		}
	}
}

func TestSubscriptionsAreChosen(t *testing.T) { bothForms(t, testSubscriptionsAreChosen) }

func testSubscriptionsAreChosen(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	req := everything("r", "chi")
	req.AutoSubscribe = false
	an, chi := join(t, s, everything("r", "an"), cfg), join(t, s, req, cfg)
	pub, sid := an.publish(microphone("mic"))
	an.pump(pub, opus)
	chi.awaitParticipant("an", "publishes", func(p sfu.ParticipantInfo) bool { return len(p.Tracks) == 1 && p.Tracks[0].MimeType != "" })
	chi.p.Subscribe([]string{"TR_nothing"}, true)
	if e := await[sfu.EventSubscriptionFailed](chi, "a refusal", nil); e.TrackSID != "TR_nothing" {
		t.Fatalf("refused %+v", e)
	}
	chi.p.Subscribe([]string{sid}, true)
	tr := chi.track()
	chi.steady(tr)
	chi.p.SetTrack([]string{sid}, sfu.TrackSettings{Disabled: true})
	chi.p.SetTrack([]string{sid}, sfu.TrackSettings{})
	last := chi.next(tr, nil)
	for range 300 { // no gap where it was off
		p := chi.next(tr, nil)
		if p.SequenceNumber != last.SequenceNumber+1 {
			t.Fatalf("packet %d after %d", p.SequenceNumber, last.SequenceNumber)
		}
		last = p
	}
	chi.p.Subscribe([]string{sid}, false)
	for ok := true; ok; {
		select {
		case _, ok = <-tr.Packets:
		case <-time.After(wait):
			t.Fatal("the track does not end")
		}
	}
}

// What a publisher calls its stream ends up in everybody's descriptions.
func TestStreamNamesAreTame(t *testing.T) { bothForms(t, testStreamNamesAreTame) }

func testStreamNamesAreTame(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	an, chi := join(t, s, everything("r", "an"), cfg), join(t, s, everything("r", "chi"), cfg)
	for cid, stream := range map[string]string{"1": "studio-1", "2": "a b", "3": "x\x00y", "4": "a=b\r\na=ice-lite", "5": "họp", "6": strings.Repeat("x", 65)} {
		info := microphone(cid)
		info.Stream = stream
		pub, sid := an.publish(info)
		an.pump(pub, opus)
		want := an.p.SID() + "|" + sid
		if cid == "1" {
			want = an.p.SID() + "|" + stream
		}
		if tr := chi.track(); tr.Stream != want || tr.ID != sid {
			t.Errorf("%q became %q of %q, want %q", stream, tr.ID, tr.Stream, want)
		}
	}
}

func TestTracksAreBounded(t *testing.T) {
	s := serve(t)
	an := join(t, s, everything("r", "an"), nil)
	for i := range 33 {
		an.p.AddTrack(microphone(fmt.Sprint(i)))
	}
	e := await[sfu.EventTrackRefused](an, "a refusal", nil)
	if !e.Limit || e.CID != "32" {
		t.Fatalf("refused with %+v", e)
	}
	if n := len(all[sfu.EventTrackPublished](an)); n != 32 {
		t.Fatalf("%d tracks taken", n)
	}
}

func TestMetadataUpdates(t *testing.T) {
	s := serve(t)
	an, chi := join(t, s, everything("r", "an"), nil), join(t, s, everything("r", "chi"), nil)
	name := "An"
	an.p.UpdateMetadata(sfu.MetadataUpdate{RequestID: 1, Name: &name, Attributes: map[string]string{"hand": "up"}})
	await(an, "its answer", func(e sfu.EventMetadataUpdated) bool { return e.RequestID == 1 })
	chi.awaitParticipant("an", "raises a hand", func(p sfu.ParticipantInfo) bool { return p.Name == "An" && p.Attributes["hand"] == "up" })
	an.p.UpdateMetadata(sfu.MetadataUpdate{RequestID: 2, Attributes: map[string]string{"hand": ""}})
	chi.awaitParticipant("an", "lowers it", func(p sfu.ParticipantInfo) bool {
		_, up := p.Attributes["hand"]
		return p.Name == "An" && !up
	})
	long := strings.Repeat("x", 64<<10+1)
	an.p.UpdateMetadata(sfu.MetadataUpdate{RequestID: 3, Metadata: &long})
	if e := await[sfu.EventMetadataRefused](an, "a refusal", nil); e.RequestID != 3 || !e.Limit {
		t.Fatalf("refused with %+v", e)
	}
}

// RFC 6464: who is loud is told to all, and so is silence.
func TestSpeakers(t *testing.T) {
	s := serve(t, func(c *sfu.Config) { c.SpeakerInterval = 50 * time.Millisecond })
	an, chi := join(t, s, everything("r", "an"), nil), join(t, s, everything("r", "chi"), nil)
	pub, sid := an.publish(microphone("mic"))
	level := pub.Extension(sdp.AudioLevelURI)
	if level == 0 {
		t.Fatal("audio levels were not negotiated")
	}
	an.pump(pub, func(n int) *rtp.Packet {
		p := opus(n)
		if err := p.SetExtension(level, []byte{20}); err != nil {
			t.Error(err)
		}
		return p
	})
	loud := await(chi, "speech", func(e sfu.EventSpeakers) bool { return len(e.Speakers) == 1 && e.Speakers[0].Active })
	if sp := loud.Speakers[0]; sp.SID != an.p.SID() || sp.Level < 0.05 || sp.Level > 0.2 { // 10^(-20/20)
		t.Fatalf("heard %+v", loud.Speakers)
	}
	an.p.Mute(sid, true)
	await(chi, "silence", func(e sfu.EventSpeakers) bool { return len(e.Speakers) == 1 && !e.Speakers[0].Active })
}

// Descriptions that are none end the place of who sent them and of nobody
// else.
func TestBadDescriptions(t *testing.T) { bothForms(t, testBadDescriptions) }

func testBadDescriptions(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	witness := join(t, s, everything("r", "witness"), cfg)
	for name, offer := range map[string]string{
		"empty":         "",
		"garbage":       "\x00\xff",
		"too many":      "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n" + strings.Repeat("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", 193),
		"long mid":      "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:" + strings.Repeat("x", 33) + "\r\n",
		"no credential": "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := join(t, s, everything("r", "an"), cfg)
			c.p.Offer(offer, 1)
			if e := c.left(); e.Reason != sfu.ReasonMediaFailure || e.Action != sfu.ActionReconnect {
				t.Fatalf("left with %+v", e)
			}
		})
	}
	witness.up()
	if len(all[sfu.EventLeft](witness)) != 0 {
		t.Fatal("the witness was put out")
	}
}

// A client that does not wait for answers fills no queue of ours.
func TestOffersAreBounded(t *testing.T) {
	s := serve(t)
	offer := clientOffer(t, false)
	c := silent(t, s, "an")
	for i := range uint32(200) {
		c.p.Offer(offer, i)
	}
	if e := c.left(); e.Reason != sfu.ReasonMediaFailure || e.Action != sfu.ActionDisconnect {
		t.Fatalf("left with %+v", e)
	}
	if n := len(all[sfu.EventAnswer](c)); n > 100 {
		t.Fatalf("%d offers were answered", n)
	}
}

// Who was away hears of those who left meanwhile, and of nobody who is back.
func TestResumeTellsWhoLeft(t *testing.T) {
	s := serve(t)
	an := join(t, s, everything("r", "an"), nil)
	binh := join(t, s, everything("r", "binh"), nil)
	chi := join(t, s, everything("r", "chi"), nil)
	an.awaitParticipant("chi", "comes", func(p sfu.ParticipantInfo) bool { return p.State != sfu.Disconnected })
	an.p.SignalLost(1)
	binh.p.Leave()
	chi.p.Leave()
	binh.left()
	chi.left()
	again := join(t, s, everything("r", "chi"), nil)
	await[sfu.EventJoined](again, "its place", nil)
	if _, err := an.p.Resume(ctx(t), an.note); err != nil {
		t.Fatal(err)
	}
	e := await[sfu.EventResumed](an, "its place", nil)
	if len(e.Gone) != 1 || e.Gone[0].Identity != "binh" || e.Gone[0].State != sfu.Disconnected {
		t.Errorf("gone are %+v, want binh alone", e.Gone)
	}
	if len(e.Others) != 1 || e.Others[0].SID != again.p.SID() {
		t.Errorf("others are %+v, want chi's new place", e.Others)
	}
}
