package app_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"commsd/app/apptest"
)

// ask sends body and reads the answer, which must have the status.
func ask(t *testing.T, c *http.Client, method, url, body string, status int) map[string]any {
	t.Helper()
	res, text := send(t, c, method, url, body)
	if res.StatusCode != status {
		t.Fatalf("%s %s: %d %s, want %d", method, url, res.StatusCode, text, status)
	}
	out := map[string]any{}
	if text != "" {
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			t.Fatalf("%s %s: %v in %s", method, url, err, text)
		}
	}
	return out
}

// TestRefusedContentIsAudited: who asks for what is others' stands in the log,
// with the reason, whatever domain it belongs to; a thing that there is not is
// nobody's.
func TestRefusedContentIsAudited(t *testing.T) {
	n := apptest.Start(t)
	an, chi, dung := signIn(t, n, "an@noivu.g2g.example"), signIn(t, n, "chi@hanoi.g2g.example"), signIn(t, n, "dung@hanoi.g2g.example")
	api := n.URL + "/api/v1"
	chiID := ask(t, chi, "GET", api+"/sessions/current", "", 200)["person"].(map[string]any)["id"].(string)
	binh := ask(t, signIn(t, n, "binh@noivu.g2g.example"), "GET", api+"/sessions/current", "", 200)["person"].(map[string]any)["id"].(string)

	talk := ask(t, an, "POST", api+"/chat/conversations", `{"kind":"direct","person":"`+chiID+`"}`, 201)["id"].(string)
	channel := ask(t, an, "POST", api+"/chat/conversations", `{"kind":"channel","title":"Kín","people":["`+chiID+`"]}`, 201)["id"].(string)
	ask(t, dung, "GET", api+"/chat/conversations/"+talk, "", 404)
	ask(t, dung, "GET", api+"/chat/conversations/"+talk+"/events", "", 404)
	ask(t, dung, "POST", api+"/chat/conversations/"+channel+"/members", `{"people":["`+binh+`"]}`, 404)
	ask(t, dung, "GET", api+"/chat/conversations/01890000-0000-7000-8000-000000000000", "", 404)

	deliver(t, n, "x@far.example", "chi@hanoi.g2g.example", "From: x@far.example\r\nTo: chi@hanoi.g2g.example\r\nSubject: Kin\r\n\r\nKin\r\n")
	box := ask(t, chi, "GET", api+"/mail/mailboxes", "", 200)["mailboxes"].([]any)[0].(map[string]any)["id"].(string)
	letter := ask(t, chi, "GET", api+"/mail/mailboxes/"+box+"/messages", "", 200)["messages"].([]any)[0].(map[string]any)["id"].(string)
	ask(t, dung, "GET", api+"/mail/messages/"+letter, "", 404)
	ask(t, dung, "GET", api+"/mail/messages/"+letter+"/raw", "", 404)
	ask(t, dung, "GET", api+"/mail/messages/01890000-0000-7000-8000-000000000000", "", 404)

	meeting := ask(t, an, "POST", api+"/meetings", `{"title":"Giao ban"}`, 201)["id"].(string)
	ask(t, dung, "POST", api+"/meetings/"+meeting+"/end", "", 403)
	ask(t, dung, "POST", api+"/meetings/"+meeting+"/invitations", `{"people":["`+chiID+`"]}`, 403)

	// The auditor is appointed as auditors are.
	admin := signIn(t, n, "admin@g2g.example")
	ask(t, admin, "POST", api+"/directory/admin-grants", `{"person_id":"`+binh+`","role":"auditor"}`, 201)
	auditor := signIn(t, n, "binh@noivu.g2g.example")
	events := ask(t, auditor, "GET", api+"/audit/events?outcome=denied", "", 200)["events"].([]any)
	got := map[string]int{}
	for _, e := range events {
		e := e.(map[string]any)
		detail, _ := e["detail"].(map[string]any)
		object, _ := e["object_id"].(string)
		reason, _ := detail["reason"].(string)
		got[e["action"].(string)+" "+object+" "+reason]++
	}
	for want, times := range map[string]int{
		"conversation.read " + talk + " not_member":     2,
		"conversation.write " + channel + " not_member": 1,
		"mailbox.read " + letter + " not_owner":         2,
		"meeting.end " + meeting + " not_author":        1,
		"meeting.invite " + meeting + " not_member":     1,
	} {
		if got[want] != times {
			t.Errorf("%q stands there %d times, want %d", want, got[want], times)
		}
		delete(got, want)
	}
	if len(got) != 0 {
		t.Errorf("and also %v of %v", got, events)
	}
	// Nor does the auditor's role open what the log names.
	ask(t, auditor, "GET", api+"/chat/conversations/"+talk, "", 404)
	ask(t, admin, "GET", api+"/mail/messages/"+letter, "", 404)
}
