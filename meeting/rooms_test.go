package meeting_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"commsd/identity"
	"commsd/meeting"
)

// hinted waits for the next hint and answers whom it went to.
func (h *house) hinted(id string) []identity.PersonID {
	h.t.Helper()
	select {
	case n := <-h.hints:
		if body, ok := n.body.(meeting.Changed); n.kind != meeting.KindChanged || !ok || body.MeetingID != id {
			h.t.Fatalf("hint %s says %+v", n.kind, n.body)
		}
		return slices.Sorted(slices.Values(n.to))
	case <-time.After(10 * time.Second):
		h.t.Fatal("nobody was told")
		return nil
	}
}

// run follows the rooms until the test ends.
func (h *house) run() {
	ctx, stop := context.WithCancel(h.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.service.Run(ctx) }()
	h.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			h.t.Errorf("Run: %v", err)
		}
	})
}

// nowInside makes these the identities in a meeting's room, and waits until it
// is told.
func (h *house) nowInside(id string, identities ...string) []identity.PersonID {
	h.t.Helper()
	h.mu.Lock()
	h.inside[meeting.RoomName(id)] = identities
	h.mu.Unlock()
	h.changed <- meeting.RoomName(id)
	return h.hinted(id)
}

func TestEndIsTold(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		m := h.create("an", object{"title": "Họp", "invite": []string{"p-chi"}})
		for range 2 { // the second time there is nothing to tell
			h.call("an", "POST", "/api/v1/meetings/"+m.ID+"/end", nil, nil)
		}
		if got := h.hinted(m.ID); !slices.Equal(got, []identity.PersonID{"p-an", "p-chi"}) {
			t.Errorf("told %q", got)
		}
		if len(h.hints) != 0 {
			t.Error("told twice")
		}
	})
}

func TestComingAndGoingIsTold(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		m := h.create("an", object{"title": "Họp", "invite": []string{"p-chi"}})
		h.run()
		if got := h.nowInside(m.ID, "p-an.1", "p-an.2", "p-binh.1"); !slices.Equal(got, []identity.PersonID{"p-an", "p-chi"}) {
			t.Errorf("told %q", got)
		}
		if got := h.list("chi"); got[0].Present != 2 {
			t.Errorf("chi sees %d people in the room, want an, who has two tabs, and binh", got[0].Present)
		}
		h.nowInside(m.ID)
		if got := h.list("chi"); got[0].Present != 0 {
			t.Errorf("chi sees %d people in an empty room", got[0].Present)
		}
	})
}

// An instant meeting that all have left does not stand among the running ones
// for half a day; its link opens it anew all the same.
func TestLeftInstantMeetingIsOver(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		m := h.create("an", object{"title": "Họp ngay"})
		never := h.create("an", object{"title": "Không ai vào"})
		planned := h.create("an", object{"title": "Hẹn giờ", "starts_at": h.clock()})
		h.run()
		past := func(id string) bool {
			t.Helper()
			i := slices.IndexFunc(h.list("an"), func(v meeting.MeetingView) bool { return v.ID == id })
			return h.list("an")[i].Past
		}
		h.nowInside(m.ID, "p-an.1")
		h.nowInside(planned.ID, "p-an.2")
		h.advance(2 * time.Hour)
		if past(m.ID) {
			t.Error("over while an sits in it")
		}
		if !past(never.ID) {
			t.Error("what nobody ever came to still stands")
		}
		h.nowInside(m.ID)
		h.nowInside(planned.ID)
		h.advance(14 * time.Minute)
		if past(m.ID) {
			t.Error("over although an left only just now")
		}
		h.advance(2 * time.Minute)
		if !past(m.ID) {
			t.Error("still running after all have been away for 16 minutes")
		}
		if past(planned.ID) {
			t.Error("a planned meeting is over two hours after its start: a pause may be long")
		}
		h.join("chi", m.ID, nil)
		h.nowInside(m.ID, "p-chi.1")
		if past(m.ID) {
			t.Error("still over after chi came in by the link")
		}
	})
}
