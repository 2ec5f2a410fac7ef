package meeting_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"commsd/identity"
	"commsd/meeting"
)

type object = map[string]any

func TestCreateInvitesAndLists(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		m := h.create("an", object{"title": "  Giao ban   tuần ", "invite": []string{"p-chi", "p-chi", "p-an"}})
		if m.Title != "Giao ban tuần" || m.Relation != "maker" || m.CreatedBy.Name != "Nguyễn Văn An" || m.StartsAt != nil || m.Past {
			t.Errorf("made %+v", m)
		}
		if m.Link != "https://hop.g2g.example/meetings/"+m.ID {
			t.Errorf("link is %q", m.Link)
		}
		got := h.list("chi")
		if len(got) != 1 || got[0].ID != m.ID || got[0].Relation != "invited" || got[0].CreatedBy.AgencyName != "Bộ Nội vụ" {
			t.Errorf("chi's list is %+v", got)
		}
		if got := h.list("binh"); len(got) != 0 {
			t.Errorf("binh, whom nobody invited, sees %+v", got)
		}
		if len(h.notified) != 1 || h.notified[0].kind != meeting.KindInvited || !slices.Equal(h.notified[0].to, []identity.PersonID{"p-chi"}) {
			t.Fatalf("notified %+v", h.notified)
		}
		body, ok := h.notified[0].body.(meeting.Invited)
		if !ok || body.MeetingID != m.ID || body.Title != m.Title || body.By.Name != "Nguyễn Văn An" || body.By.Title != "Chuyên viên" || body.StartsAt != nil {
			t.Errorf("notification says %+v", h.notified[0].body)
		}
		if got, want := h.audited(m.ID), []string{"meeting.create ok", "meeting.invite ok"}; !slices.Equal(got, want) {
			t.Errorf("audited %q, want %q", got, want)
		}
	})
}

func TestFailedNotificationKeepsInvitation(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.notifyErr = errors.New("chat is away")
		m := h.create("an", object{"title": "Họp gấp"})
		var out struct{ Invited []string }
		status, raw := h.call("an", "POST", "/api/v1/meetings/"+m.ID+"/invitations", object{"people": []string{"p-chi"}}, &out)
		if status != http.StatusOK || !slices.Equal(out.Invited, []string{"p-chi"}) {
			t.Fatalf("invite answered %d: %s", status, raw)
		}
		if got := h.list("chi"); len(got) != 1 || got[0].ID != m.ID {
			t.Errorf("chi's list is %+v", got)
		}
		// Once more: she is invited already, and is not told twice.
		h.call("an", "POST", "/api/v1/meetings/"+m.ID+"/invitations", object{"people": []string{"p-chi"}}, &out)
		if len(out.Invited) != 0 || len(h.notified) != 1 {
			t.Errorf("second invitation: %v invited, %d notifications", out.Invited, len(h.notified))
		}
	})
}

func TestTitles(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		for name, c := range map[string]struct {
			body any
			want string // in the detail
		}{
			"empty":        {object{"title": ""}, "empty"},
			"blank":        {object{"title": " \u00a0 "}, "empty"},
			"unseen":       {object{"title": "\u3164\u115f"}, "empty"},
			"missing":      {object{}, "title"},
			"too long":     {object{"title": strings.Repeat("ữ", 201)}, "at most 200"},
			"newline":      {object{"title": "Họp\nkín"}, "control character"},
			"nul":          {object{"title": "Họp\u0000"}, "control character"},
			"turned round": {object{"title": "Họp \u202egnort"}, "control character"},
			"not text":     {object{"title": 7}, "string"},
			"no JSON":      {"{", "unexpected"},
			"unknown key":  {object{"title": "Họp", "titel": "x"}, "titel"},
			"past":         {object{"title": "Họp", "starts_at": "2020-01-01T00:00:00Z"}, "starts_at"},
			"far":          {object{"title": "Họp", "starts_at": "2040-01-01T00:00:00Z"}, "starts_at"},
			"no time":      {object{"title": "Họp", "starts_at": "mai"}, "starts_at"},
			"stranger":     {object{"title": "Họp", "invite": []string{"p-nobody"}}, "p-nobody"},
		} {
			status, raw := h.call("an", "POST", "/api/v1/meetings", c.body, nil)
			if status != http.StatusUnprocessableEntity && (name != "no JSON" || status != http.StatusBadRequest) {
				t.Errorf("%s: answered %d: %s", name, status, raw)
			}
			if !strings.Contains(raw, c.want) {
				t.Errorf("%s: says %s, want it to name %q", name, raw, c.want)
			}
		}
		if got := h.list("an"); len(got) != 0 {
			t.Errorf("refused meetings stand in the list: %+v", got)
		}
		if m := h.create("an", object{"title": strings.Repeat("ữ", 200)}); m.Title != strings.Repeat("ữ", 200) {
			t.Errorf("longest title came back as %q", m.Title)
		}
		// Marks typed apart are the same letters.
		if m := h.create("an", object{"title": "Ho\u0323p"}); m.Title != "Họp" {
			t.Errorf("decomposed title came back as %q", m.Title)
		}
	})
}

func TestListOrder(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		at := func(d time.Duration) string { return h.clock().Add(d).Format(time.RFC3339) }
		next := h.create("an", object{"title": "ngày mai", "starts_at": at(24 * time.Hour)})
		far := h.create("an", object{"title": "tuần sau", "starts_at": at(7 * 24 * time.Hour)})
		now := h.create("chi", object{"title": "bây giờ", "invite": []string{"p-an"}})
		over := h.create("an", object{"title": "hôm qua", "starts_at": at(-20 * time.Hour)})
		ended := h.create("an", object{"title": "đã kết thúc", "starts_at": at(time.Hour)})
		if status, raw := h.call("an", "POST", "/api/v1/meetings/"+ended.ID+"/end", nil, nil); status != http.StatusOK {
			t.Fatalf("end answered %d: %s", status, raw)
		}
		want := []string{now.ID, next.ID, far.ID, ended.ID, over.ID}
		var got []string
		var past []bool
		for _, m := range h.list("an") {
			got, past = append(got, m.ID), append(past, m.Past)
		}
		if !slices.Equal(got, want) || !slices.Equal(past, []bool{false, false, false, true, true}) {
			t.Errorf("list is %q (past %v), want %q", got, past, want)
		}
		h.advance(13 * time.Hour)
		if list := h.list("an"); list[0].ID != next.ID || list[2].ID != now.ID || !list[2].Past {
			t.Errorf("half a day later the list is %+v", list)
		}
	})
}

func TestGetShowsPeopleToThoseWhoBelong(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		m := h.create("an", object{"title": "Họp", "invite": []string{"p-chi"}})
		h.inside["meeting-"+m.ID] = []string{"p-an.tab1", "p-an.tab2", "recorder"}
		var d meeting.MeetingDetail
		if status, raw := h.call("chi", "GET", "/api/v1/meetings/"+strings.ToUpper(m.ID), nil, &d); status != http.StatusOK {
			t.Fatalf("get answered %d: %s", status, raw)
		}
		if len(d.People) != 2 || d.People[0].Person.ID != "p-an" || d.People[0].Relation != "maker" || d.People[1].Person.Name != "Lê Thị Chi" {
			t.Errorf("people are %+v", d.People)
		}
		if len(d.Inside) != 1 || d.Inside[0].ID != "p-an" {
			t.Errorf("inside are %+v, want an once", d.Inside)
		}
		d = meeting.MeetingDetail{}
		h.call("binh", "GET", "/api/v1/meetings/"+m.ID, nil, &d)
		if d.Relation != "none" || d.Title != "Họp" || len(d.People) != 0 {
			t.Errorf("binh, who has only the link, gets %+v", d)
		}
		// Who has left the directory stands there by id.
		h.gone["p-chi"] = true
		d = meeting.MeetingDetail{}
		h.call("an", "GET", "/api/v1/meetings/"+m.ID, nil, &d)
		if len(d.People) != 2 || d.People[1].Person.ID != "p-chi" || d.People[1].Person.Name != "" {
			t.Errorf("people after chi has left are %+v", d.People)
		}
		h.gone["p-chi"] = false
		// Who only has the link invites nobody until she has come.
		path := "/api/v1/meetings/" + m.ID
		if status, _ := h.call("binh", "POST", path+"/invitations", object{"people": []string{"p-chi"}}, nil); status != http.StatusForbidden {
			t.Errorf("stranger's invitation answered %d", status)
		}
		if status, raw := h.call("binh", "POST", path+"/join", nil, nil); status != http.StatusOK {
			t.Errorf("join answered %d: %s", status, raw)
		}
		if got := h.list("binh"); len(got) != 1 || got[0].Relation != "joined" {
			t.Errorf("binh's list after joining is %+v", got)
		}
	})
}

func TestWhatIsNotThere(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		for _, id := range []string{"0000-0000-0000-0000-0000", "x", "0190f5a2-7b1c-7000-8000-000000000000", "%27%20OR%201=1", "%00"} {
			path := "/api/v1/meetings/" + id
			for _, c := range []struct {
				method, path string
				body         any
			}{
				{"GET", path, nil}, {"POST", path + "/join", nil}, {"POST", path + "/end", nil},
				{"POST", path + "/invitations", object{"people": []string{"p-chi"}}},
			} {
				if status, raw := h.call("an", c.method, c.path, c.body, nil); status != http.StatusNotFound {
					t.Errorf("%s %s answered %d: %s", c.method, c.path, status, raw)
				}
			}
		}
		for _, who := range []string{"", "stranger"} {
			if status, _ := h.call(who, "GET", "/api/v1/meetings", nil, nil); status != http.StatusUnauthorized {
				t.Errorf("%q may list: %d", who, status)
			}
		}
		if status, _ := h.call("admin", "POST", "/api/v1/meetings", object{"title": "Họp"}, nil); status != http.StatusForbidden {
			t.Errorf("an account of no person made a meeting: %d", status)
		}
	})
}

func TestEnd(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		m := h.create("an", object{"title": "Họp", "invite": []string{"p-chi"}})
		path := "/api/v1/meetings/" + m.ID
		if status, _ := h.call("chi", "POST", path+"/end", nil, nil); status != http.StatusForbidden {
			t.Errorf("a guest's end answered %d", status)
		}
		for range 2 { // the second changes nothing
			var got meeting.MeetingView
			if status, raw := h.call("an", "POST", path+"/end", nil, &got); status != http.StatusOK || got.EndedAt == nil || !got.Past {
				t.Errorf("end answered %d: %s", status, raw)
			}
		}
		if !slices.Contains(h.closed, "meeting-"+m.ID) {
			t.Errorf("closed rooms %q", h.closed)
		}
		for _, c := range []string{"/join", "/invitations"} {
			var body any
			if c == "/invitations" {
				body = object{"people": []string{"p-binh"}}
			}
			if status, raw := h.call("an", "POST", path+c, body, nil); status != http.StatusGone {
				t.Errorf("%s after the end answered %d: %s", c, status, raw)
			}
		}
		want := []string{"meeting.create ok", "meeting.invite ok", "meeting.end denied", "meeting.end ok", "meeting.join denied"}
		if got := h.audited(m.ID); !slices.Equal(got, want) {
			t.Errorf("audited %q, want %q", got, want)
		}
	})
}

// Whoever sits in a meeting without touching anything keeps their place: their
// locked session shows that meeting and opens its room again, and nothing else.
func TestLockedSessionKeepsItsPlace(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		m, other := h.create("an", object{"title": "Giao ban"}), h.create("an", object{"title": "Việc khác"})
		try := func(method, path string) int {
			t.Helper()
			var body any
			if method == "POST" {
				body = object{}
			}
			status, _ := h.call("an.locked", method, "/api/v1/meetings/"+path, body, nil)
			return status
		}
		for _, path := range []string{m.ID, m.ID + "/join"} {
			method := "GET"
			if path != m.ID {
				method = "POST"
			}
			if got := try(method, path); got != http.StatusLocked {
				t.Errorf("outside, %s %s answers %d", method, path, got)
			}
		}
		h.mu.Lock()
		h.inside[meeting.RoomName(m.ID)] = []string{"p-an.1", "p-binh.1"}
		h.mu.Unlock()
		if got := try("GET", m.ID); got != http.StatusOK {
			t.Errorf("inside, the meeting answers %d", got)
		}
		if got := try("POST", m.ID+"/join"); got != http.StatusOK {
			t.Errorf("inside, its door answers %d", got)
		}
		for _, c := range [][2]string{{"GET", other.ID}, {"POST", other.ID + "/join"}, {"POST", m.ID + "/end"}} {
			if got := try(c[0], c[1]); got != http.StatusLocked {
				t.Errorf("inside another, %s %s answers %d", c[0], c[1], got)
			}
		}
	})
}
