package app_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"commsd/app"
	"commsd/app/apptest"
	"commsd/internal/accesstoken"
	"commsd/meeting"
)

// TestRoomServiceKeepsOutOfMeetings: an operator's program looks after its own
// rooms through the node, never after a meeting's, and what it does is
// recorded.
func TestRoomServiceKeepsOutOfMeetings(t *testing.T) {
	n := apptest.Start(t, func(c *app.Config) { c.Media.APIKeys = map[string]string{operatorKey: operatorSecret} })
	an := signIn(t, n, "an@noivu.g2g.example")
	id, _ := joinMeeting(t, n, an)
	call := func(method, room, body string) (int, string) {
		t.Helper()
		token, err := accesstoken.Mint(operatorKey, []byte(operatorSecret), accesstoken.Claims{
			Video: accesstoken.VideoGrant{Room: room, RoomAdmin: true, RoomCreate: true, RoomList: true},
		}, time.Hour, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		rq, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.URL+"/twirp/livekit.RoomService/"+method, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		rq.Header.Set("Authorization", "Bearer "+token)
		rq.Header.Set("Content-Type", "application/json")
		res, err := n.Client(t).Do(rq)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	if status, text := call("CreateRoom", "", `{"name":"hall","metadata":"x"}`); status != 200 || !strings.Contains(text, `"RM_`) {
		t.Errorf("making a room: %d %s", status, text)
	}
	if status, text := call("ListRooms", "", `{}`); status != 200 || !strings.Contains(text, `"hall"`) || strings.Contains(text, id) {
		t.Errorf("listing: %d %s", status, text)
	}
	closed := meeting.RoomName(id)
	for method, body := range map[string]string{
		"CreateRoom": `{"name":"` + closed + `"}`, "DeleteRoom": `{"room":"` + closed + `"}`,
		"ListParticipants": `{"room":"` + closed + `"}`, "SendData": `{"room":"` + closed + `","data":"eA=="}`,
	} {
		if status, text := call(method, closed, body); status != 403 || !strings.Contains(text, "permission_denied") {
			t.Errorf("%s of a meeting's room: %d %s", method, status, text)
		}
	}
	admin := signIn(t, n, "admin@g2g.example")
	binh := ask(t, signIn(t, n, "binh@noivu.g2g.example"), "GET", n.URL+"/api/v1/sessions/current", "", 200)["person"].(map[string]any)["id"].(string)
	ask(t, admin, "POST", n.URL+"/api/v1/directory/admin-grants", `{"person_id":"`+binh+`","role":"auditor"}`, 201)
	recorded := map[string]int{}
	for _, e := range ask(t, signIn(t, n, "binh@noivu.g2g.example"), "GET", n.URL+"/api/v1/audit/events", "", 200)["events"].([]any) {
		e := e.(map[string]any)
		if action, _ := e["action"].(string); strings.HasPrefix(action, "room.") {
			detail, _ := e["detail"].(map[string]any)
			recorded[action+" "+e["object_id"].(string)+" "+e["outcome"].(string)+" "+detail["api_key"].(string)]++
		}
	}
	if recorded["room.create hall ok operator"] != 1 || recorded["room.call "+closed+" denied operator"] != 4 {
		t.Errorf("recorded: %v", recorded)
	}
}
