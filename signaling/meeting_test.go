package signaling_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"commsd/internal/accesstoken"
	lk "commsd/internal/lkproto"
	"commsd/internal/testpeer/meetingpeer"
)

func opus(n int) *rtp.Packet {
	return meetingpeer.Opus(uint16(n), uint32(n)*960, fmt.Appendf(nil, "sound %d", n))
}

func vp8(n int) *rtp.Packet {
	return meetingpeer.VP8(uint16(n), uint32(n)*3000, n%30 == 0, fmt.Appendf(nil, "picture %d", n))
}

// hears expects a track whose packets hold text.
func hears(t *testing.T, p *peer, text string) *meetingpeer.Track {
	t.Helper()
	tr, err := p.Track(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Next(ctx(t), func(pkt *rtp.Packet) bool { return strings.Contains(string(pkt.Payload), text) }); err != nil {
		t.Fatal(err)
	}
	return tr
}

// Two meet over real sockets; one of them speaks JSON and is answered in kind.
func TestTwoMeet(t *testing.T) { bothVersions(t, testTwoMeet) }

func testTwoMeet(t *testing.T, version func(*settings)) {
	s := serve(t, version)
	an := s.dial(t, meetingpeer.Config{Token: token(t, "an")})
	chi := s.dial(t, meetingpeer.Config{Token: token(t, "chi"), Text: true})
	people := []*peer{an, chi}
	for _, p := range people {
		p.joined()
		for _, r := range []*lk.AddTrackRequest{microphone("mic"), camera("cam")} {
			pub, sid := p.publish(r)
			if !strings.HasPrefix(sid, "TR_") {
				t.Fatalf("sid %q", sid)
			}
			next := opus
			if r.GetType() == lk.TrackType_VIDEO {
				next = vp8
			}
			source := pub.Pump(3*time.Millisecond, next)
			defer source.Stop()
		}
	}
	for i, p := range people {
		other := people[1-i]
		sid := other.joined().GetParticipant().GetSid()
		kinds := map[webrtc.RTPCodecType]bool{}
		for range 2 {
			tr := hears(t, p, " ")
			kinds[tr.Kind] = true
			if !strings.HasPrefix(tr.Stream, sid+"|") {
				t.Errorf("stream %q of %s", tr.Stream, sid)
			}
		}
		if len(kinds) != 2 {
			t.Fatalf("received only %v", kinds)
		}
		info := p.sees([]string{"chi", "an"}[i], "the other's tracks", func(i *lk.ParticipantInfo) bool {
			return i.GetState() == lk.ParticipantInfo_ACTIVE && len(i.GetTracks()) == 2 && i.GetTracks()[1].GetMimeType() != "" && i.GetTracks()[0].GetMimeType() != ""
		})
		if !info.GetIsPublisher() || info.GetTracks()[1].GetSource() != lk.TrackSource_CAMERA || info.GetTracks()[1].GetWidth() != 640 {
			t.Errorf("the other is %v", info)
		}
	}
	// The join came before chi's first word, and all after it in kind.
	chi.barrier(1)
	text, count := chi.Texts()
	chi.barrier(2)
	if after, all := chi.Texts(); text == 0 || after-text != all-count {
		t.Fatalf("of %d messages %d in text frames, then of %d more %d", count, text, all-count, after-text)
	}
	if text, _ := an.Texts(); text != 0 {
		t.Fatalf("%d text frames to a client that speaks binary", text)
	}
}

func TestMuteAndUnpublish(t *testing.T) { bothVersions(t, testMuteAndUnpublish) }

func testMuteAndUnpublish(t *testing.T, version func(*settings)) {
	s := serve(t, version)
	an, chi := s.join(t, "an"), s.join(t, "chi")
	pub, sid := an.publish(microphone("mic"))
	source := pub.Pump(3*time.Millisecond, opus)
	defer source.Stop()
	hears(t, chi, "sound ")
	an.await("subscribed", func(m *lk.SignalResponse) bool { return m.GetTrackSubscribed().GetTrackSid() == sid })
	an.signal(&lk.SignalRequest{Message: &lk.SignalRequest_Mute{Mute: &lk.MuteTrackRequest{Sid: sid, Muted: true}}})
	chi.sees("an", "a muted track", func(i *lk.ParticipantInfo) bool { return len(i.GetTracks()) == 1 && i.GetTracks()[0].GetMuted() })
	// Nobody mutes another's track by this message.
	chi.signal(&lk.SignalRequest{Message: &lk.SignalRequest_Mute{Mute: &lk.MuteTrackRequest{Sid: sid, Muted: false}}})
	chi.barrier(1)
	an.signal(&lk.SignalRequest{Message: &lk.SignalRequest_UpdateAudioTrack{UpdateAudioTrack: &lk.UpdateLocalAudioTrack{
		TrackSid: sid, Features: []lk.AudioTrackFeature{lk.AudioTrackFeature_TF_NOISE_SUPPRESSION},
	}}})
	chi.sees("an", "its features, still muted", func(i *lk.ParticipantInfo) bool {
		return len(i.GetTracks()) == 1 && i.GetTracks()[0].GetMuted() && len(i.GetTracks()[0].GetAudioFeatures()) == 1
	})
	if err := an.RemoveTrack(pub); err != nil {
		t.Fatal(err)
	}
	if err := an.Negotiate(ctx(t)); err != nil {
		t.Fatal(err)
	}
	chi.sees("an", "no track", func(i *lk.ParticipantInfo) bool { return len(i.GetTracks()) == 0 })
}

func TestPings(t *testing.T) {
	s := serve(t)
	p := s.join(t, "an")
	before := time.Now().UnixMilli()
	p.signal(&lk.SignalRequest{Message: &lk.SignalRequest_Ping{Ping: before}})
	p.await("pong", func(m *lk.SignalResponse) bool { return m.GetPong() >= before })
	p.signal(&lk.SignalRequest{Message: &lk.SignalRequest_PingReq{PingReq: &lk.Ping{Timestamp: 42, Rtt: 3}}})
	p.await("pong_resp", func(m *lk.SignalResponse) bool {
		return m.GetPongResp().GetLastPingTimestamp() == 42 && m.GetPongResp().GetTimestamp() >= before
	})
}

func TestGrantsReachTheRoom(t *testing.T) { bothVersions(t, testGrantsReachTheRoom) }

func testGrantsReachTheRoom(t *testing.T, version func(*settings)) {
	s := serve(t, version)
	no := false
	refused := func(p *peer, r *lk.AddTrackRequest) {
		t.Helper()
		p.signal(&lk.SignalRequest{Message: &lk.SignalRequest_AddTrack{AddTrack: r}})
		m := p.await("a refusal", func(m *lk.SignalResponse) bool { return m.GetRequestResponse() != nil }).GetRequestResponse()
		if m.GetReason() != lk.RequestResponse_NOT_ALLOWED || m.GetAddTrack().GetCid() != r.GetCid() {
			t.Fatalf("refused with %v", m)
		}
	}
	listener := s.join(t, "listener", func(c *accesstoken.Claims) {
		// The sources narrow what canPublish allows, they never widen it.
		c.Video.CanPublish, c.Video.CanPublishSources = &no, []string{"camera"}
	})
	refused(listener, camera("cam"))
	speaker := s.join(t, "speaker", func(c *accesstoken.Claims) { c.Video.CanPublishSources = []string{"microphone"} })
	refused(speaker, camera("cam"))
	speaker.publish(microphone("mic"))
	hidden := s.join(t, "hidden", func(c *accesstoken.Claims) { c.Video.Hidden = true })
	hidden.barrier(1)
	late := s.join(t, "late")
	for _, o := range late.joined().GetOtherParticipants() {
		if o.GetIdentity() == "hidden" {
			t.Fatal("a hidden participant is shown")
		}
	}
	listener.signal(&lk.SignalRequest{Message: &lk.SignalRequest_UpdateMetadata{UpdateMetadata: &lk.UpdateParticipantMetadata{Name: "Bộ trưởng", RequestId: 5}}})
	m := listener.await("a refusal", func(m *lk.SignalResponse) bool { return m.GetRequestResponse().GetRequestId() == 5 })
	if m.GetRequestResponse().GetReason() != lk.RequestResponse_NOT_ALLOWED {
		t.Fatalf("refused with %v", m)
	}
	yes := true
	renamer := s.join(t, "renamer", func(c *accesstoken.Claims) { c.Video.CanUpdateOwnMetadata = &yes })
	renamer.signal(&lk.SignalRequest{Message: &lk.SignalRequest_UpdateMetadata{UpdateMetadata: &lk.UpdateParticipantMetadata{Name: "An", RequestId: 6}}})
	renamer.await("consent", func(m *lk.SignalResponse) bool {
		return m.GetRequestResponse().GetRequestId() == 6 && m.GetRequestResponse().GetReason() == lk.RequestResponse_OK
	})
	late.sees("renamer", "the new name", func(i *lk.ParticipantInfo) bool { return i.GetName() == "An" })
}

func TestRequestsAreBounded(t *testing.T) {
	s := serve(t)
	p := s.join(t, "an")
	p.signal(&lk.SignalRequest{Message: &lk.SignalRequest_AddTrack{AddTrack: microphone(strings.Repeat("x", 257))}})
	m := p.await("a refusal", func(m *lk.SignalResponse) bool { return m.GetRequestResponse() != nil })
	if m.GetRequestResponse().GetReason() != lk.RequestResponse_LIMIT_EXCEEDED {
		t.Fatalf("refused with %v", m)
	}
	r := camera("cam")
	r.Name, r.Layers = strings.Repeat("ầ", 200), make([]*lk.VideoLayer, 100)
	for i := range r.Layers {
		r.Layers[i] = &lk.VideoLayer{Rid: strings.Repeat("q", 1000)}
	}
	p.signal(&lk.SignalRequest{Message: &lk.SignalRequest_AddTrack{AddTrack: r}})
	got := p.await("the track", func(m *lk.SignalResponse) bool { return m.GetTrackPublished().GetCid() == "cam" }).GetTrackPublished().GetTrack()
	if len(got.GetName()) > 256 || len(got.GetLayers()) > 4 || len(got.GetLayers()[0].GetRid()) > 256 {
		t.Fatalf("took %d bytes of a name, %d layers", len(got.GetName()), len(got.GetLayers()))
	}
	p.signal(&lk.SignalRequest{Message: &lk.SignalRequest_Subscription{Subscription: &lk.UpdateSubscription{TrackSids: []string{"TR_none"}, Subscribe: true}}})
	p.await("no such track", func(m *lk.SignalResponse) bool {
		return m.GetSubscriptionResponse().GetTrackSid() == "TR_none" && m.GetSubscriptionResponse().GetErr() == lk.SubscriptionError_SE_TRACK_NOTFOUND
	})
}

func TestBadFrames(t *testing.T) {
	s := serve(t)
	for name, c := range map[string]struct {
		kind int
		data []byte
		code int
	}{
		"binary":  {websocket.BinaryMessage, []byte{0xff, 0xff, 0xff}, 1003},
		"text":    {websocket.TextMessage, []byte("{"), 1003},
		"too big": {websocket.BinaryMessage, make([]byte, 1<<20+1), 1009},
	} {
		t.Run(name, func(t *testing.T) {
			p := s.join(t, "an")
			if err := p.SendFrame(c.kind, c.data); err != nil {
				t.Fatal(err)
			}
			if code := p.closeCode(); code != c.code {
				t.Fatalf("closed with %d, want %d", code, c.code)
			}
		})
	}
	t.Run("too many", func(t *testing.T) {
		p := s.join(t, "an")
		ping, err := proto.Marshal(&lk.SignalRequest{Message: &lk.SignalRequest_Ping{Ping: 1}})
		if err != nil {
			t.Fatal(err)
		}
		for range 1500 { // as many as a client says in a full room
			if err := p.SendFrame(websocket.BinaryMessage, ping); err != nil {
				t.Fatal(err)
			}
		}
		p.barrier(1)
		for range 20_000 { // far more in a minute than there are in it
			if p.SendFrame(websocket.BinaryMessage, ping) != nil {
				break
			}
		}
		if code := p.closeCode(); code != 1008 {
			t.Fatalf("closed with %d", code)
		}
	})
	t.Run("too much", func(t *testing.T) {
		p := s.join(t, "an")
		unknown := protowire.AppendBytes(protowire.AppendTag(nil, 999, protowire.BytesType), make([]byte, 500<<10))
		for range 100 {
			if p.SendFrame(websocket.BinaryMessage, unknown) != nil {
				break
			}
		}
		if code := p.closeCode(); code != 1008 {
			t.Fatalf("closed with %d", code)
		}
	})
	t.Run("unknown", func(t *testing.T) { // the protocol grows by what older servers skip
		p := s.join(t, "an")
		data := protowire.AppendBytes(protowire.AppendTag(nil, 999, protowire.BytesType), []byte("new"))
		for kind, frame := range map[int][]byte{websocket.BinaryMessage: data, websocket.TextMessage: []byte(`{"somethingNew":{"x":[1]}}`)} {
			if err := p.SendFrame(kind, frame); err != nil {
				t.Fatal(err)
			}
		}
		p.barrier(1)
	})
}

func TestSimulatedFailures(t *testing.T) { bothVersions(t, testSimulatedFailures) }

func testSimulatedFailures(t *testing.T, version func(*settings)) {
	s := serve(t, version)
	for name, c := range map[string]struct {
		scenario *lk.SimulateScenario
		action   lk.LeaveRequest_Action
	}{
		"server leaves":  {&lk.SimulateScenario{Scenario: &lk.SimulateScenario_ServerLeave{ServerLeave: true}}, lk.LeaveRequest_DISCONNECT},
		"node fails":     {&lk.SimulateScenario{Scenario: &lk.SimulateScenario_NodeFailure{NodeFailure: true}}, lk.LeaveRequest_RECONNECT},
		"full reconnect": {&lk.SimulateScenario{Scenario: &lk.SimulateScenario_LeaveRequestFullReconnect{LeaveRequestFullReconnect: true}}, lk.LeaveRequest_RECONNECT},
		"migration":      {&lk.SimulateScenario{Scenario: &lk.SimulateScenario_Migration{Migration: true}}, lk.LeaveRequest_RESUME},
	} {
		t.Run(name, func(t *testing.T) {
			p, witness := s.join(t, "an"), s.join(t, "witness")
			p.signal(&lk.SignalRequest{Message: &lk.SignalRequest_Simulate{Simulate: c.scenario}})
			if l := p.left(); l.GetAction() != c.action {
				t.Fatalf("left with %v", l)
			}
			witness.barrier(1)
		})
	}
}

// Firefox tells streams apart, but not tracks: each gets a stream of its own.
func TestFirefoxGetsAStreamPerTrack(t *testing.T) { bothVersions(t, testFirefoxGetsAStreamPerTrack) }

func testFirefoxGetsAStreamPerTrack(t *testing.T, version func(*settings)) {
	s := serve(t, version)
	an := s.join(t, "an")
	fox := s.dial(t, meetingpeer.Config{Token: token(t, "fox"), Query: url.Values{"browser": {"Firefox"}}})
	pub, sid := an.publish(microphone("mic"))
	source := pub.Pump(3*time.Millisecond, opus)
	defer source.Stop()
	if tr := hears(t, fox, "sound "); tr.Stream != an.joined().GetParticipant().GetSid()+"|"+sid {
		t.Fatalf("stream %q", tr.Stream)
	}
}

// hello makes sure that packets pass from one to another by both channels.
func hello(t *testing.T, from, to *peer) {
	t.Helper()
	if err := from.Negotiate(ctx(t)); err != nil {
		t.Fatal(err)
	}
	for _, label := range []string{meetingpeer.Reliable, meetingpeer.Lossy} {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for heard := false; !heard; {
			select {
			case <-tick.C: // who has no channel yet hears nothing
				from.data(label, &lk.DataPacket{Value: &lk.DataPacket_User{User: &lk.UserPacket{Payload: []byte("hello")}}})
			case d := <-to.Data():
				heard = d.Label == label
			case <-time.After(wait):
				t.Fatalf("nothing comes by %s", label)
			}
		}
	}
}

func (p *peer) data(label string, m *lk.DataPacket) {
	p.t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.Send(ctx(p.t), label, data); err != nil {
		p.t.Fatal(err)
	}
}

// packet waits for the next data packet that is no hello.
func (p *peer) packet() (string, *lk.DataPacket) {
	p.t.Helper()
	for {
		select {
		case d := <-p.Data():
			m := &lk.DataPacket{}
			if err := proto.Unmarshal(d.Payload, m); err != nil {
				p.t.Fatal(err)
			}
			if string(m.GetUser().GetPayload()) != "hello" {
				return d.Label, m
			}
		case <-time.After(wait):
			p.t.Fatal("no data packet")
		}
	}
}

func TestDataPackets(t *testing.T) { bothVersions(t, testDataPackets) }

func testDataPackets(t *testing.T, version func(*settings)) {
	s := serve(t, version)
	an, chi, binh := s.join(t, "an"), s.join(t, "chi"), s.join(t, "binh")
	hello(t, an, chi)
	hello(t, an, binh)
	sid := an.joined().GetParticipant().GetSid()
	user := func(text string, to ...string) *lk.DataPacket {
		return &lk.DataPacket{DestinationIdentities: to, Value: &lk.DataPacket_User{User: &lk.UserPacket{Payload: []byte(text)}}}
	}
	// The sender is stamped, whatever the packet says.
	forged := user("forged")
	forged.ParticipantIdentity, forged.ParticipantSid, forged.Kind, forged.Sequence = "minister", "PA_minister", lk.DataPacket_LOSSY, 7
	forged.GetUser().ParticipantIdentity, forged.GetUser().ParticipantSid = "minister", "PA_minister"
	an.data(meetingpeer.Reliable, forged)
	label, got := chi.packet()
	if label != meetingpeer.Reliable || got.GetParticipantIdentity() != "an" || got.GetParticipantSid() != sid || got.GetUser().GetParticipantIdentity() != "an" ||
		got.GetUser().GetParticipantSid() != sid || got.GetKind() != lk.DataPacket_RELIABLE || got.GetSequence() != 7 || string(got.GetUser().GetPayload()) != "forged" {
		t.Fatalf("by %s: %v", label, got)
	}
	// Said again after a resume: once is enough.
	an.data(meetingpeer.Reliable, forged)
	// To some alone, by each place where clients say it.
	an.data(meetingpeer.Reliable, user("new way", "chi"))
	old := user("old way")
	old.GetUser().DestinationIdentities = []string{"chi"}
	an.data(meetingpeer.Reliable, old)
	older := user("older way")
	older.GetUser().DestinationSids = []string{chi.joined().GetParticipant().GetSid()}
	an.data(meetingpeer.Reliable, older)
	// What the server does not know passes as it is.
	raw := protowire.AppendBytes(protowire.AppendTag(nil, 13, protowire.BytesType), []byte("a stream's header"))
	if err := an.Send(ctx(t), meetingpeer.Reliable, raw); err != nil {
		t.Fatal(err)
	}
	if err := an.Send(ctx(t), meetingpeer.Reliable, []byte{0xff}); err != nil { // and what is no packet does not
		t.Fatal(err)
	}
	an.data(meetingpeer.Reliable, user("last"))
	for _, want := range []string{"new way", "old way", "older way", "", "last"} {
		_, got := chi.packet()
		if string(got.GetUser().GetPayload()) != want {
			t.Fatalf("chi got %v, want %q", got, want)
		}
		if want == "" && (!strings.HasSuffix(string(got.ProtoReflect().GetUnknown()), "a stream's header") || got.GetParticipantIdentity() != "an") {
			t.Fatalf("an unknown packet came as %v", got)
		}
	}
	for _, want := range []string{"forged", "", "last"} {
		if _, got := binh.packet(); string(got.GetUser().GetPayload()) != want {
			t.Fatalf("binh got %v, want %q", got, want)
		}
	}
	an.data(meetingpeer.Lossy, user("quickly"))
	if label, got := chi.packet(); label != meetingpeer.Lossy || got.GetKind() != lk.DataPacket_LOSSY || string(got.GetUser().GetPayload()) != "quickly" {
		t.Fatalf("by %s: %v", label, got)
	}
}
