package signaling_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"commsd/internal/accesstoken"
	lk "commsd/internal/lkproto"
	"commsd/internal/testpeer/meetingpeer"
)

// packed is the query of version 1 with the given join request.
func packed(t testing.TB, who string, r *lk.JoinRequest) string {
	t.Helper()
	out, err := meetingpeer.JoinRequest(url.Values{"auto_subscribe": {"1"}}, r)
	if err != nil {
		t.Fatal(err)
	}
	return url.Values{"access_token": {token(t, who)}, "join_request": {out}}.Encode()
}

// wrapped is a join_request of the given bytes.
func wrapped(t testing.TB, how lk.WrappedJoinRequest_Compression, data []byte) string {
	t.Helper()
	out, err := proto.Marshal(&lk.WrappedJoinRequest{Compression: how, JoinRequest: data})
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(out) // padding is not needed
}

// zeros is n zeros in gzip.
func zeros(t testing.TB, n int) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	for chunk := make([]byte, 1<<16); n > 0; n -= len(chunk) {
		if _, err := z.Write(chunk[:min(n, len(chunk))]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// What is no join request is refused before there is a socket, in words that
// say what is wrong; a bomb is not unpacked.
func TestJoinRequestsAreRefused(t *testing.T) {
	s := serve(t)
	good := wrapped(t, lk.WrappedJoinRequest_NONE, nil)
	for name, c := range map[string]struct {
		request string
		status  int
		body    string
	}{
		"good":           {good, 200, "success"},
		"absent":         {"", 200, "success"},
		"not base64":     {"%", 403, "join_request is not base64url"},
		"not wrapped":    {"////", 403, "join_request is not base64url"},
		"garbage":        {base64.URLEncoding.EncodeToString([]byte{0xff, 0xff, 0xff}), 403, "join_request is not a WrappedJoinRequest"},
		"garbage within": {wrapped(t, lk.WrappedJoinRequest_NONE, []byte{0xff, 0xff}), 403, "join_request holds no JoinRequest"},
		"other packing":  {wrapped(t, 7, nil), 403, "join_request is compressed in an unknown way; use gzip"},
		"no gzip":        {wrapped(t, lk.WrappedJoinRequest_GZIP, []byte("plain")), 403, "join_request is not gzip"},
		"half gzip":      {wrapped(t, lk.WrappedJoinRequest_GZIP, zeros(t, 5000)[:25]), 403, "join_request is not whole gzip"},
		"bomb":           {wrapped(t, lk.WrappedJoinRequest_GZIP, zeros(t, 10<<20)), 403, "join_request unpacks to more than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			query := "?" + url.Values{"access_token": {token(t, "an")}, "join_request": {c.request}}.Encode()
			if status, body, _ := s.get(t, "GET", "/rtc/v1/validate"+query); status != c.status || body != c.body {
				t.Errorf("validate: %d %q, want %d %q", status, body, c.status, c.body)
			}
			if c.status == 200 {
				return
			}
			if status, body, _ := s.get(t, "GET", "/rtc/v1"+query); status != c.status || body != c.body {
				t.Errorf("socket: %d %q, want %d %q", status, body, c.status, c.body)
			}
			// Who has no token cannot have anything unpacked.
			if status, _, _ := s.get(t, "GET", "/rtc/v1/validate?join_request="+url.QueryEscape(c.request)); status != 401 {
				t.Errorf("without a token: %d", status)
			}
		})
	}
}

// A room of many tracks is left to version 0, to which clients fall back; who
// is inside with one connection may resume.
func TestCrowdedRoomIsLeftToVersion0(t *testing.T) {
	s := serve(t, func(c *settings) { c.one, c.media.OneConnectionTracks = true, 2 })
	an := s.join(t, "an")
	an.publish(microphone("mic"))
	s.join(t, "binh")
	an.publish(camera("cam"))
	query := packed(t, "chi", &lk.JoinRequest{})
	for _, path := range []string{"/rtc/v1/validate?", "/rtc/v1?"} {
		status, body, h := s.get(t, "GET", path+query)
		if status != 404 || strings.Contains(body, "requested room does not exist") || h.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s answers %d %q", path, status, body)
		}
	}
	if err := an.Return(ctx(t), an.joined().GetParticipant().GetSid()); err != nil {
		t.Error(err)
	}
	s.one = false
	s.join(t, "chi")
}

// One connection serves both ways, whether its offer comes with the request or
// after the response.
func TestOneConnection(t *testing.T) {
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("late offer %t", late), func(t *testing.T) {
			s := serve(t, func(c *settings) { c.one = true })
			an := s.dial(t, meetingpeer.Config{Token: token(t, "an"), LateOffer: late})
			chi := s.dial(t, meetingpeer.Config{Token: token(t, "chi"), LateOffer: late})
			for _, p := range []*peer{an, chi} {
				if first := p.Messages(); len(first) > 0 && first[0].GetJoin() == nil {
					t.Fatalf("the first message is %v", first[0])
				}
				if p.joined().GetSubscriberPrimary() {
					t.Error("the server says that it will offer")
				}
				pub, _ := p.publish(microphone("mic"))
				source := pub.Pump(3*time.Millisecond, opus)
				defer source.Stop()
			}
			for _, p := range []*peer{an, chi} {
				tr := hears(t, p, "sound ")
				if at := p.TrackAt(tr.MID); at != tr.ID {
					t.Errorf("section %s is said to carry %q, and carries %s", tr.MID, at, tr.ID)
				}
				p.sees("an", "an in the meeting", func(i *lk.ParticipantInfo) bool { return i.GetState() == lk.ParticipantInfo_ACTIVE })
			}
			hello(t, an, chi)
			for _, m := range an.Messages() {
				if m.GetOffer() != nil {
					t.Fatal("the server offers")
				}
			}
		})
	}
}

// A client gets more sections than its first offer had as soon as there is more
// to receive.
func TestSectionsAreAskedFor(t *testing.T) {
	s := serve(t, func(c *settings) { c.one = true })
	chi := s.join(t, "chi")
	const people, each = 4, 2
	want := map[string]bool{}
	for i := range people {
		p := s.join(t, fmt.Sprint("an", i))
		for n := range each {
			pub, sid := p.publish(microphone(fmt.Sprint("mic", n)))
			source := pub.Pump(5*time.Millisecond, opus)
			defer source.Stop()
			want[sid] = true
		}
	}
	for len(want) > 0 {
		tr := hears(t, chi, "sound ")
		if !want[tr.ID] || chi.TrackAt(tr.MID) != tr.ID {
			t.Fatalf("receives %s in section %s, said to carry %q; still due: %v", tr.ID, tr.MID, chi.TrackAt(tr.MID), want)
		}
		delete(want, tr.ID)
	}
	asked := 0
	for _, m := range chi.Messages() {
		asked += int(m.GetMediaSectionsRequirement().GetNumAudios())
		if m.GetMediaSectionsRequirement().GetNumVideos() > 0 {
			t.Errorf("asked for %v", m.GetMediaSectionsRequirement())
		}
	}
	if asked != people*each-3 {
		t.Errorf("asked for %d sections, want %d", asked, people*each-3)
	}
}

// A join request may announce tracks and, where the token lets it, change what
// others see of the participant.
func TestJoinRequestAsksForMore(t *testing.T) {
	s := serve(t, func(c *settings) { c.one = true })
	may := true
	for who, grant := range map[string]func(*accesstoken.Claims){
		"an":  func(c *accesstoken.Claims) { c.Metadata = "of the token"; c.Video.CanUpdateOwnMetadata = &may },
		"chi": func(c *accesstoken.Claims) { c.Metadata = "of the token" },
	} {
		p := s.dial(t, meetingpeer.Config{Token: token(t, who, grant), Request: &lk.JoinRequest{
			Metadata: "own", ParticipantAttributes: map[string]string{"hand": "up"}, AddTrackRequests: []*lk.AddTrackRequest{microphone("mic")},
		}})
		p.joined()
		p.await("its track", func(m *lk.SignalResponse) bool { return m.GetTrackPublished().GetCid() == "mic" })
		if who == "an" {
			p.sees("an", "its own words", func(i *lk.ParticipantInfo) bool { return i.GetMetadata() == "own" && i.GetAttributes()["hand"] == "up" })
			continue
		}
		p.await("a refusal", func(m *lk.SignalResponse) bool {
			return m.GetRequestResponse().GetReason() == lk.RequestResponse_NOT_ALLOWED
		})
		p.sees("chi", "the token's words", func(i *lk.ParticipantInfo) bool {
			return i.GetMetadata() == "of the token" && len(i.GetAttributes()) == 0
		})
	}
}

// An offer that is none costs its sender the place, and nobody else.
func TestBadOfferInJoinRequest(t *testing.T) {
	s := serve(t, func(c *settings) { c.one = true })
	witness := s.join(t, "witness")
	for _, sdp := range []string{"v=0", "\x00", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=recvonly\r\n"} {
		p := s.dial(t, meetingpeer.Config{Token: token(t, "an"), NoOffer: true, Request: &lk.JoinRequest{
			PublisherOffer: &lk.SessionDescription{Type: "offer", Sdp: sdp, Id: 1},
		}})
		if l := p.left(); l.GetReason() != lk.DisconnectReason_MEDIA_FAILURE || l.GetAction() != lk.LeaveRequest_RECONNECT {
			t.Errorf("%q: left with %v", sdp, l)
		}
	}
	witness.barrier(1)
}

// A place of one version is not resumed with the connections of the other.
func TestResumeNeedsTheSameVersion(t *testing.T) {
	bothVersions(t, func(t *testing.T, version func(*settings)) {
		s := serve(t, version)
		an := s.join(t, "an")
		s.one = !s.one
		lost := s.resume(t, "an", an.joined().GetParticipant().GetSid())
		if l := lost.left(); l.GetReason() != lk.DisconnectReason_STATE_MISMATCH || l.GetAction() != lk.LeaveRequest_RECONNECT {
			t.Fatalf("left with %v", l)
		}
		an.barrier(1)
	})
}
