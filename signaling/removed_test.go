package signaling_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"commsd/internal/accesstoken"
	lk "commsd/internal/lkproto"
	"commsd/internal/testpeer/meetingpeer"
)

// Who is removed stays out, with every token of before, until there is a new
// one.
func TestRemovedStayOut(t *testing.T) { bothVersions(t, testRemovedStayOut) }

func testRemovedStayOut(t *testing.T, version func(*settings)) {
	s := serve(t, version, func(c *settings) { c.signaling.OperatorRoom = func(string) bool { return true } })
	mint := func(at time.Time, life time.Duration, who, room string) string {
		out, err := accesstoken.Mint(apiKey, secret, accesstoken.Claims{Identity: who, Video: accesstoken.VideoGrant{Room: room, RoomJoin: true}}, life, at)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	// Some SDKs make tokens that hold from 1970.
	epoch := time.Unix(0, 0)
	ageless := time.Since(epoch) + time.Hour
	used := mint(epoch, ageless, "an", "r")
	an := s.dial(t, meetingpeer.Config{Token: used})
	sid := an.joined().GetParticipant().GetSid()
	binh := s.dial(t, meetingpeer.Config{Token: mint(epoch, ageless, "binh", "r")})
	binh.joined()
	before := time.Now().Add(-time.Minute)

	o := operator{t: t, s: s, token: token(t, "", grants)}
	o.must("RemoveParticipant", &lk.RoomParticipantIdentity{Room: "r", Identity: "an"}, &lk.RemoveParticipantResponse{})
	if l := an.left(); l.GetReason() != lk.DisconnectReason_PARTICIPANT_REMOVED || l.GetAction() != lk.LeaveRequest_DISCONNECT {
		t.Errorf("an left with %v", l)
	}
	for name, out := range map[string]string{"used": used, "of before": mint(before, time.Hour, "an", "r")} {
		for way, q := range map[string]url.Values{"join": nil, "resume": {"reconnect": {"1"}, "sid": {sid}}} {
			_, err := meetingpeer.Dial(ctx(t), meetingpeer.Config{URL: s.ws, Token: out, Query: q, Media: meetingpeer.MediaConfig{OneConnection: s.one}})
			if r := new(meetingpeer.Refused); !errors.As(err, &r) || r.Status != http.StatusForbidden || r.Body != "you were removed from this room; ask for a new token" {
				t.Errorf("a token %s, to %s: %v", name, way, err)
			}
		}
		if status, body, _ := s.get(t, "GET", "/rtc/validate?access_token="+out); status != http.StatusForbidden {
			t.Errorf("a token %s is valid: %d %q", name, status, body)
		}
	}
	// Nobody else is meant, and no other room.
	for name, in := range map[string]string{
		"another room": mint(before, time.Hour, "an", "r2"), "another person": mint(before, time.Hour, "chi", "r"), "a new token": mint(time.Now(), time.Hour, "an", "r"),
	} {
		if p := s.dial(t, meetingpeer.Config{Token: in}); p.joined() == nil {
			t.Errorf("%s is refused", name)
		}
	}
	binh.barrier(1)
}
