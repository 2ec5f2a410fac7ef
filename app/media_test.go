package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"

	"commsd/app"
	"commsd/app/apptest"
	"commsd/internal/accesstoken"
	"commsd/internal/lkproto"
	"commsd/internal/testpeer/meetingpeer"
)

const operatorKey, operatorSecret = "operator", "an operator's secret of thirty-two bytes"

// operatorToken is what an operator's own program mints with media.api_keys.
func operatorToken(t *testing.T, room, identity string) string {
	t.Helper()
	token, err := accesstoken.Mint(operatorKey, []byte(operatorSecret), accesstoken.Claims{
		Identity: identity, Video: accesstoken.VideoGrant{Room: room, RoomJoin: true},
	}, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func isLeave(m *lkproto.SignalResponse) bool { return m.GetLeave() != nil }

// TestMediaThroughTheNode: two clients meet by an operator's key, with the
// node's own listeners between them; the node's stop sends them elsewhere, and
// a token of a meeting outlives the restart.
func TestMediaThroughTheNode(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cfg := apptest.Config(t.TempDir())
	cfg.Media.APIKeys = map[string]string{operatorKey: operatorSecret}
	n := apptest.StartConfig(t, cfg)
	ws := "ws" + strings.TrimPrefix(n.URL, "http")

	var peers []*meetingpeer.Peer
	for _, who := range []string{"a", "b"} {
		p, err := meetingpeer.Dial(ctx, meetingpeer.Config{URL: ws, Token: operatorToken(t, "operators-room", who)})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		j, err := p.Await(ctx, func(m *lkproto.SignalResponse) bool { return m.GetJoin() != nil })
		if err != nil {
			t.Fatal(err)
		}
		if s := j.GetJoin().GetIceServers(); len(s) > 0 {
			t.Errorf("clients are sent to %v", s)
		}
		peers = append(peers, p)
	}
	pub, _, err := peers[0].Publish(ctx, &lkproto.AddTrackRequest{Cid: "mic", Type: lkproto.TrackType_AUDIO, Source: lkproto.TrackSource_MICROPHONE})
	if err != nil {
		t.Fatal(err)
	}
	source := pub.Pump(5*time.Millisecond, func(i int) *rtp.Packet { return meetingpeer.Opus(uint16(i), uint32(i)*960, []byte("sound")) })
	defer source.Stop()
	tr, err := peers[1].Track(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := tr.Next(ctx, nil); err != nil || string(p.Payload) != "sound" {
		t.Fatalf("received %v, %v", p, err)
	}

	// An operator's key opens no meeting, whoever it names.
	c := signIn(t, n, "an@noivu.g2g.example")
	id, token := joinMeeting(t, n, c)
	var refused *meetingpeer.Refused
	if _, err := meetingpeer.Dial(ctx, meetingpeer.Config{URL: ws, Token: operatorToken(t, "meeting-"+id, "a")}); !errors.As(err, &refused) || refused.Status != 403 {
		t.Errorf("an operator's key in a meeting: %v", err)
	}

	n.Stop(t)
	for _, p := range peers {
		m, err := p.Await(ctx, isLeave)
		if err != nil {
			t.Fatal(err)
		}
		if l := m.GetLeave(); l.GetAction() != lkproto.LeaveRequest_RECONNECT || l.GetReason() != lkproto.DisconnectReason_SERVER_SHUTDOWN {
			t.Errorf("the stop says %v", l)
		}
	}

	again := apptest.StartConfig(t, cfg)
	p, err := meetingpeer.Dial(ctx, meetingpeer.Config{URL: "ws" + strings.TrimPrefix(again.URL, "http"), Token: token})
	if err != nil {
		t.Fatalf("a meeting's token after the restart: %v", err)
	}
	defer p.Close()
}

// joinMeeting makes a meeting and joins it: its id, and the token.
func joinMeeting(t *testing.T, n *apptest.Node, c *http.Client) (id, token string) {
	t.Helper()
	var meeting struct{ ID string }
	res, text := send(t, c, "POST", n.URL+"/api/v1/meetings", `{"title":"Giao ban"}`)
	if err := json.Unmarshal([]byte(text), &meeting); err != nil || res.StatusCode != 201 {
		t.Fatalf("making a meeting: %d %s", res.StatusCode, text)
	}
	var join struct{ URL, Token string }
	res, text = send(t, c, "POST", n.URL+"/api/v1/meetings/"+meeting.ID+"/join", `{}`)
	if err := json.Unmarshal([]byte(text), &join); err != nil || res.StatusCode != 200 {
		t.Fatalf("joining: %d %s", res.StatusCode, text)
	}
	return meeting.ID, join.Token
}

// TestMeetingClientsOfAnyOrigin: a LiveKit client of another page reads what it is
// answered, and why it falls back to an older version.
func TestMeetingClientsOfAnyOrigin(t *testing.T) {
	n := apptest.Start(t, func(c *app.Config) { c.Media.APIKeys = map[string]string{operatorKey: operatorSecret} })
	query := "?access_token=" + url.QueryEscape(operatorToken(t, "r", "a"))
	for _, c := range []struct {
		method, path string
		status       int
		cors         string
	}{
		{"GET", "/rtc/v1/validate" + query, 200, "*"},
		{"GET", "/rtc/v2/validate" + query, 404, "*"},
		{"GET", "/rtc/v2" + query, 404, "*"},
		{"GET", "/rtc/validate" + query, 200, "*"},
		{"GET", "/rtc/validate", 401, "*"},
		{"OPTIONS", "/rtc/v1/validate", 204, "*"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, n.URL+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", "https://elsewhere.example")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := fmt.Sprint(res.StatusCode, res.Header.Get("Access-Control-Allow-Origin")); got != fmt.Sprint(c.status, c.cors) {
			t.Errorf("%s %s: %s, want %d %s", c.method, c.path, got, c.status, c.cors)
		}
	}
}
