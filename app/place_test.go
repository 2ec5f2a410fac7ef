package app_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/proto"

	"commsd/app/apptest"
	"commsd/internal/lkproto"
)

// TestSigningOutLeavesTheMeeting: the end of a session ends its place in a
// meeting, and the token that is left over opens nothing.
func TestSigningOutLeavesTheMeeting(t *testing.T) {
	n := apptest.Start(t)
	c := signIn(t, n, "an@noivu.g2g.example")
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
	address := join.URL + "/rtc?protocol=15&auto_subscribe=1&access_token=" + url.QueryEscape(join.Token)
	ws, res, err := websocket.DefaultDialer.DialContext(t.Context(), address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	defer ws.Close()
	if err := ws.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	read := func() (*lkproto.SignalResponse, error) {
		_, data, err := ws.ReadMessage()
		if err != nil {
			return nil, err
		}
		m := &lkproto.SignalResponse{}
		return m, proto.Unmarshal(data, m)
	}
	if m, err := read(); err != nil || m.GetJoin() == nil {
		t.Fatalf("first came %v, %v", m, err)
	}

	if res, _ := send(t, c, "DELETE", n.URL+"/api/v1/sessions/current", ""); res.StatusCode != 204 {
		t.Fatalf("signing out: %d", res.StatusCode)
	}
	var left *lkproto.LeaveRequest
	for {
		m, err := read()
		var closed *websocket.CloseError
		if errors.As(err, &closed) {
			break
		}
		if err != nil {
			t.Fatalf("the place in the meeting stays: %v", err)
		}
		if l := m.GetLeave(); l != nil {
			left = l
		}
	}
	if left == nil || left.GetAction() != lkproto.LeaveRequest_DISCONNECT {
		t.Errorf("the client was told %v, want to stay away", left)
	}
	validate := "http" + strings.TrimPrefix(join.URL, "ws") + "/rtc/validate?access_token=" + url.QueryEscape(join.Token)
	if res, text := send(t, &http.Client{Transport: c.Transport}, "GET", validate, ""); res.StatusCode != 401 && res.StatusCode != 403 {
		t.Errorf("the token still opens the room: %d %s", res.StatusCode, text)
	}
}
