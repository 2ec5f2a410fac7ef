package signaling_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
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
	// A signature may be written in several ways: base64 leaves out newlines, and
	// two bits of the last character say nothing.
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	rest, last := used[:len(used)-1], strings.IndexByte(alphabet, used[len(used)-1])
	for name, out := range map[string]string{
		"used": used, "of before": mint(before, time.Hour, "an", "r"),
		"used, with a newline": used + "\n", "used, with other spare bits": rest + alphabet[last^1:last^1+1],
	} {
		for way, q := range map[string]url.Values{"join": nil, "resume": {"reconnect": {"1"}, "sid": {sid}}} {
			_, err := meetingpeer.Dial(ctx(t), meetingpeer.Config{URL: s.ws, Token: out, Query: q, Media: meetingpeer.MediaConfig{OneConnection: s.one}})
			if r := new(meetingpeer.Refused); !errors.As(err, &r) || r.Status != http.StatusForbidden || r.Body != "you were removed from this room; ask for a new token" {
				t.Errorf("a token %s, to %s: %v", name, way, err)
			}
		}
		if status, body, _ := s.get(t, "GET", "/rtc/validate?access_token="+url.QueryEscape(out)); status != http.StatusForbidden {
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

// The token that the server itself gave within the second of the removal opens
// nothing: it does not say that it was made before.
func TestRemovedWithinTheSecond(t *testing.T) { bothVersions(t, testRemovedWithinTheSecond) }

func testRemovedWithinTheSecond(t *testing.T, version func(*settings)) {
	now := time.Now()
	s := serve(t, version, func(c *settings) {
		c.signaling.OperatorRoom = func(string) bool { return true }
		c.signaling.Now = func() time.Time { return now }
	})
	mint := func(who, name string, v accesstoken.VideoGrant) string {
		out, err := accesstoken.Mint(apiKey, secret, accesstoken.Claims{Identity: who, Name: name, Video: v}, time.Hour, now)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	in := accesstoken.VideoGrant{Room: "r", RoomJoin: true}
	o := operator{t: t, s: s, token: mint("", "", accesstoken.VideoGrant{Room: "r", RoomAdmin: true})}
	an := s.dial(t, meetingpeer.Config{Token: mint("an", "An", in)})
	an.joined()
	o.must("UpdateParticipant", &lk.UpdateParticipantRequest{Room: "r", Identity: "an", Permission: &lk.ParticipantPermission{CanSubscribe: true}}, &lk.ParticipantInfo{})
	given := an.await("a new token", func(m *lk.SignalResponse) bool { return m.GetRefreshToken() != "" }).GetRefreshToken()
	o.must("RemoveParticipant", &lk.RoomParticipantIdentity{Room: "r", Identity: "an"}, &lk.RemoveParticipantResponse{})
	an.left()
	_, err := meetingpeer.Dial(ctx(t), meetingpeer.Config{URL: s.ws, Token: given, Media: meetingpeer.MediaConfig{OneConnection: s.one}})
	if r := new(meetingpeer.Refused); !errors.As(err, &r) || r.Status != http.StatusForbidden {
		t.Errorf("the token that the server gave: %v", err)
	}
	s.dial(t, meetingpeer.Config{Token: mint("an", "An again", in)}).joined()
}

// TestRemovedIsToldByEveryNode: whichever node is asked why a socket was
// refused, the one answers that knows.
func TestRemovedIsToldByEveryNode(t *testing.T) {
	nodes := serveNodes(t, "a", "b")
	a, b := nodes[0], nodes[1]
	used := token(t, "an")
	an := a.dial(t, meetingpeer.Config{Token: used})
	an.joined()
	a.join(t, "binh") // so that the room stays
	ask := func(path string) string {
		status, body, _ := b.get(t, "GET", path+"?access_token="+used)
		return fmt.Sprint(status, " ", body)
	}
	for _, path := range []string{"/rtc/validate", "/rtc/v1/validate"} {
		if got := ask(path); got != "200 success" {
			t.Errorf("%s answers %s", path, got)
		}
	}
	o := operator{t: t, s: a.server, token: token(t, "", grants)}
	o.must("RemoveParticipant", &lk.RoomParticipantIdentity{Room: "r", Identity: "an"}, &lk.RemoveParticipantResponse{})
	an.left()
	for _, path := range []string{"/rtc/validate", "/rtc/v1/validate"} {
		if got := ask(path); got != "403 you were removed from this room; ask for a new token" {
			t.Errorf("%s answers %s", path, got)
		}
	}
}
