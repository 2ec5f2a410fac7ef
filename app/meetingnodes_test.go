package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"commsd/app"
	"commsd/app/apptest"
	"commsd/internal/lkproto"
	"commsd/internal/testpeer/meetingpeer"
)

// come joins by a token at a node.
func come(t *testing.T, n *apptest.Node, token string) (*meetingpeer.Peer, *lkproto.ParticipantInfo) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	p, err := meetingpeer.Dial(ctx, meetingpeer.Config{URL: socket(n), Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() }) // the server may have closed before
	m, err := p.Await(ctx, func(m *lkproto.SignalResponse) bool { return m.GetJoin() != nil })
	if err != nil {
		t.Fatal(err)
	}
	return p, m.GetJoin().GetParticipant()
}

func socket(n *apptest.Node) string { return "ws" + strings.TrimPrefix(n.URL, "http") }

// staysOut expects that a token opens nothing at a node, neither anew nor for
// the place sid.
func staysOut(t *testing.T, what string, n *apptest.Node, token, sid string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for way, q := range map[string]url.Values{"join": nil, "resume": {"reconnect": {"1"}, "sid": {sid}}} {
		_, err := meetingpeer.Dial(ctx, meetingpeer.Config{URL: socket(n), Token: token, Query: q})
		var r *meetingpeer.Refused
		if !errors.As(err, &r) || r.Status != http.StatusForbidden {
			t.Errorf("%s, %s: %v", what, way, err)
		}
	}
	if res, text := send(t, n.Client(t), "GET", n.URL+"/rtc/validate?access_token="+url.QueryEscape(token), ""); res.StatusCode != http.StatusForbidden {
		t.Errorf("%s, validate: %d %s", what, res.StatusCode, text)
	}
}

// TestOneMeetingOnTwoNodes: those who reach two nodes are in one meeting, which
// both show; who loses the account, and an operator's key, stay out of it by
// either; its end at one node puts out everyone.
func TestOneMeetingOnTwoNodes(t *testing.T) {
	a, b := twoNodes(t, func(c *app.Config) { c.Media.APIKeys = map[string]string{operatorKey: operatorSecret} })
	an := signIn(t, a, "an@noivu.g2g.example")
	id, anToken := joinMeeting(t, a, an)
	anPlace, anSelf := come(t, a, anToken)

	tokenOf := func(n *apptest.Node, login string) (person, token string) {
		t.Helper()
		c := signIn(t, n, login)
		res, text := send(t, c, "POST", n.URL+"/api/v1/meetings/"+id+"/join", `{}`)
		var join struct{ Token string }
		if err := json.Unmarshal([]byte(text), &join); err != nil || res.StatusCode != 200 {
			t.Fatalf("joining: %d %s", res.StatusCode, text)
		}
		_, text = send(t, c, "GET", n.URL+"/api/v1/sessions/current", "")
		var who struct{ Person struct{ ID string } }
		if err := json.Unmarshal([]byte(text), &who); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return who.Person.ID, join.Token
	}
	chi, chiToken := tokenOf(b, "chi@hanoi.g2g.example")
	chiPlace, chiSelf := come(t, b, chiToken)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if _, err := anPlace.AwaitParticipant(ctx, chiSelf.GetIdentity(), func(*lkproto.ParticipantInfo) bool { return true }); err != nil {
		t.Fatalf("an does not see chi: %v", err)
	}
	inside := func(n *apptest.Node, c *http.Client) int {
		t.Helper()
		var m struct{ Inside []struct{ ID string } }
		res, text := send(t, c, "GET", n.URL+"/api/v1/meetings/"+id, "")
		if err := json.Unmarshal([]byte(text), &m); err != nil || res.StatusCode != 200 {
			t.Fatalf("the meeting: %d %s", res.StatusCode, text)
		}
		return len(m.Inside)
	}
	anAtB := signIn(t, b, "an@noivu.g2g.example")
	if here, there := inside(a, an), inside(b, anAtB); here != 2 || there != 2 {
		t.Errorf("inside are %d on the meeting's node and %d on the other, want 2", here, there)
	}

	for name, n := range map[string]*apptest.Node{"the meeting's node": a, "the other node": b} {
		staysOut(t, "an operator's key at "+name, n, operatorToken(t, "meeting-"+id, "spy"), anSelf.GetSid())
	}

	disable(t, a, chi)
	soonCtx, end := context.WithTimeout(ctx, soon)
	defer end()
	if m, err := chiPlace.Await(soonCtx, isLeave); err != nil || m.GetLeave().GetAction() != lkproto.LeaveRequest_DISCONNECT {
		t.Errorf("the disabled account's place: %v, %v", m, err)
	}
	for name, n := range map[string]*apptest.Node{"the meeting's node": a, "the other node": b} {
		staysOut(t, "a disabled account at "+name, n, chiToken, chiSelf.GetSid())
	}

	_, dungToken := tokenOf(b, "dung@hanoi.g2g.example")
	dungPlace, dungSelf := come(t, b, dungToken)
	if res, text := send(t, anAtB, "POST", b.URL+"/api/v1/meetings/"+id+"/end", ""); res.StatusCode >= 300 {
		t.Fatalf("ending: %d %s", res.StatusCode, text)
	}
	for name, p := range map[string]*meetingpeer.Peer{"an": anPlace, "dung": dungPlace} {
		if m, err := p.Await(ctx, isLeave); err != nil || m.GetLeave().GetReason() != lkproto.DisconnectReason_ROOM_DELETED {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	staysOut(t, "an ended meeting", b, dungToken, dungSelf.GetSid())
	if n := inside(b, anAtB); n != 0 {
		t.Errorf("%d are inside a meeting that has ended", n)
	}
}
