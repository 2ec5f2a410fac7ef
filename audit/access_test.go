package audit_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/sqldb"
)

// Openings are gathered, told once for a thing and session, and written when
// the log ends, too.
func TestAccessIsRecordedOnceInAWhile(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.log.Run(ctx) }()
		open := func(session identity.SessionID, id string) {
			h.log.Access(identity.Actor{Account: "account", Session: session, Agency: "agency", Address: "192.0.2.1"}, "mailbox.read", identity.ObjectRef{Kind: "letter", ID: id})
		}
		for range 100 {
			open("s1", "a")
		}
		open("s1", "b")
		open("s2", "a")
		h.clock.advance(11 * time.Minute)
		open("s1", "a")
		for i := range 900 { // more than may wait, in two transactions
			open("s1", fmt.Sprint(i))
		}
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if got := list(t, h.db, h.log, audit.Filter{Object: identity.ObjectRef{Kind: "letter", ID: "a"}}); len(got) != 3 || got[0].Outcome != audit.OK || got[0].Address != "192.0.2.1" {
			t.Errorf("%d openings of a letter: %+v", len(got), got)
		}
		// What found no room is counted in the log itself.
		all, lost := 0, list(t, h.db, h.log, audit.Filter{Action: audit.AccessLost})
		for after := ""; ; {
			page := list(t, h.db, h.log, audit.Filter{Action: "mailbox.read", After: after, Limit: 1000})
			if len(page) == 0 {
				break
			}
			all, after = all+len(page), page[len(page)-1].Cursor()
		}
		missing := 0
		for _, e := range lost {
			n := 0
			if _, err := fmt.Sscan(e.Detail["events"], &n); err != nil {
				t.Fatal(err)
			}
			missing += n
		}
		if all+missing != 904 {
			t.Errorf("%d openings are recorded, %d told as lost, of 904", all, missing)
		}
	})
}

// What has been kept long enough is erased, told, and missed by nobody; what
// somebody else removes is found.
func TestErasingWhatWasKeptLongEnough(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		s := h.sequencer()
		h.record(600)
		h.clock.advance(400 * 24 * time.Hour)
		h.record(5)
		h.step(s)
		service := h.service(func(c *audit.ServiceConfig) { c.Retention = audit.MinRetention })
		if n, err := service.Erase(t.Context()); n != 600 || err != nil {
			t.Fatal(n, err)
		}
		if n, err := service.Erase(t.Context()); n != 0 || err != nil {
			t.Fatal("again: ", n, err)
		}
		h.step(s)
		if r := h.sound(606); r.Erased != 600 {
			t.Errorf("%d erasures are told", r.Erased)
		}
		old := list(t, h.db, h.log, audit.Filter{Limit: 1})[0]
		if !old.Erased || old.Address != "" || old.Detail != nil || old.Person != "person" {
			t.Errorf("an old event: %+v", old)
		}
		if got := list(t, h.db, h.log, audit.Filter{Action: audit.ActionErase}); len(got) != 1 {
			t.Errorf("%d erasures are recorded", len(got))
		}
		h.exec(`DELETE FROM audit_payloads WHERE event_id = (SELECT id FROM audit_events WHERE seq = 602)`)
		if r := h.verify(); len(r.Problems) != 1 || r.Problems[0].Leaf != 602 {
			t.Errorf("a payload that somebody removed: %+v", r.Problems)
		}
	})
}

// Who can write into the database hides nothing that they removed behind an
// erasure of their own, though it stands in the tree like any event.
func TestForgedErasuresHideNothing(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		s := h.sequencer()
		h.record(10)
		for name, at := range map[string]time.Time{"now": h.clock.now(), "to come": h.clock.now().Add(2 * audit.MinRetention)} {
			forge := audit.New(audit.Config{Now: func() time.Time { return at }})
			err := h.db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
				return forge.Record(ctx, tx, audit.Event{Action: audit.ActionErase, Outcome: audit.OK,
					Object: identity.ObjectRef{Kind: "payloads_before", ID: h.clock.now().Add(time.Hour).UTC().Format(time.RFC3339)}})
			})
			if err != nil {
				t.Fatal(name, err)
			}
		}
		h.step(s)
		h.exec(`DELETE FROM audit_payloads WHERE event_id = (SELECT id FROM audit_events WHERE seq = 3)`)
		r := h.verify()
		told := 0
		for _, p := range r.Problems {
			if strings.Contains(p.What, "not written by this program") {
				told++
			}
		}
		if told != 2 || r.Erased != 0 || len(r.Problems) != 3 {
			t.Errorf("%d erasures are told: %+v", r.Erased, r.Problems)
		}
	})
}
