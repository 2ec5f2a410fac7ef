package directory_test

import (
	"slices"
	"testing"
	"time"

	"commsd/directory"
	"commsd/identity"
)

func TestPositionRoundTrip(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		person, first := o.hire("Hoà", "hoa@noivu.g2g.example", "Phòng Hành chính", "Văn thư")
		path := "/people/" + string(person.ID) + "/positions"
		var also, changed directory.PositionRecord
		until := o.clock.now().Add(90 * 24 * time.Hour).UTC()
		o.admin.must("POST", path, fields{"unit_id": o.unit("Phòng Tổng hợp"), "title": " Thủ  quỹ ", "kind": "concurrent", "seniority": 3, "valid_until": until}, 201, &also)
		if also.Title != "Thủ quỹ" || also.Kind != "concurrent" || also.Unit != "Phòng Tổng hợp" || also.AgencyName != "Bộ Nội vụ" || also.Seniority != 3 ||
			also.State != "current" || !also.Until.Equal(until) {
			t.Fatalf("made %+v", also)
		}
		o.admin.must("PATCH", "/positions/"+string(also.ID), fields{"title": "Kế toán", "open": true, "version": 1}, 200, &changed)
		if changed.Title != "Kế toán" || changed.Until != nil || changed.Version != 2 {
			t.Errorf("changed %+v", changed)
		}
		o.admin.refused("PATCH", "/positions/"+string(also.ID), fields{"title": "Khác", "version": 1}, 409, "changed meanwhile")
		// The unit's page lists the person there now.
		people, _, err := o.UnitPeople(t.Context(), o.actor(t, an), identity.UnitID(o.unit("Phòng Tổng hợp")), "", 50)
		if err != nil || !slices.Contains(names(people), "Nguyễn Hoà") {
			t.Errorf("the unit's people are %q, %v", names(people), err)
		}

		o.clock.add(time.Second)
		o.admin.must("DELETE", "/positions/"+string(also.ID), nil, 204, nil)
		o.admin.refused("DELETE", "/positions/"+string(also.ID), nil, 409, "ended already")
		held := o.positions(o.admin, person.ID)
		if len(held) != 2 || held[0].ID != first.ID || held[0].State != "current" || held[1].ID != also.ID || held[1].State != "past" {
			t.Errorf("ending a position keeps it as history: %+v", held)
		}
		// Others see what is held now.
		if seen := o.positions(o.as(an), person.ID); len(seen) != 1 || seen[0].ID != first.ID {
			t.Errorf("An sees %+v", seen)
		}
		// One that has not begun is withdrawn: it never was.
		var later directory.PositionRecord
		o.admin.must("POST", path, fields{"unit_id": o.unit("Phòng Tổng hợp"), "title": "Thủ quỹ", "kind": "concurrent", "valid_from": o.clock.now().Add(time.Hour)}, 201, &later)
		if later.State != "future" {
			t.Errorf("made %+v", later)
		}
		o.admin.must("DELETE", "/positions/"+string(later.ID), nil, 204, nil)
		if held := o.positions(o.admin, person.ID); len(held) != 2 {
			t.Errorf("the withdrawn one is listed: %+v", held)
		}
		o.admin.refused("PATCH", "/positions/"+string(later.ID), fields{"title": "T"}, 404)
		if n := len(o.events(t, "position.write")); n != 5 {
			t.Errorf("%d acts were audited, want 5", n)
		}
	})
}

func TestOneMainPositionAtATime(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		person, first := o.hire("Hoà", "", "Phòng Hành chính", "Văn thư")
		path := "/people/" + string(person.ID) + "/positions"
		second := fields{"unit_id": o.unit("Phòng Tổng hợp"), "title": "Chuyên viên", "kind": "main"}
		o.admin.refused("POST", path, second, 409, "one main position at a time", "Văn thư", "Phòng Hành chính")
		second["valid_from"] = o.clock.now().Add(10 * 24 * time.Hour) // the first is open
		o.admin.refused("POST", path, second, 409, "one main position at a time")

		// The first ends when the second begins: they touch and do not overlap.
		o.admin.must("PATCH", "/positions/"+string(first.ID), fields{"valid_until": second["valid_from"]}, 200, nil)
		o.admin.must("POST", path, second, 201, nil)
		o.admin.refused("PATCH", "/positions/"+string(first.ID), fields{"open": true}, 409, "one main position at a time")
		var also directory.PositionRecord
		o.admin.must("POST", path, fields{"unit_id": o.unit("Phòng Tổng hợp"), "title": "Thủ quỹ", "kind": "concurrent"}, 201, &also)
		o.admin.refused("PATCH", "/positions/"+string(also.ID), fields{"kind": "main"}, 409, "one main position at a time")
		for _, bad := range []fields{
			{"valid_from": "2027-01-01T00:00:00Z", "valid_until": "2027-01-01T00:00:00Z"}, {"valid_from": "0001-01-01T00:00:00Z"}, {"valid_from": "2201-01-01T00:00:00Z"},
		} {
			body := fields{"unit_id": o.unit("Phòng Tổng hợp"), "title": "Tạp vụ", "kind": "concurrent"}
			for k, v := range bad {
				body[k] = v
			}
			o.admin.refused("POST", path, body, 422, "position")
		}
	})
}

func TestOverlappingActingPositionsAreRefused(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		hoa, _ := o.hire("Hoà", "", "Phòng Hành chính", "Văn thư")
		mai, _ := o.hire("Mai", "", "Phòng Hành chính", "Chuyên viên")
		now := o.clock.now()
		acts := func(from, until time.Duration) fields {
			return fields{"unit_id": o.unit("Phòng Tổng hợp"), "title": "Quyền Trưởng phòng", "kind": "acting", "valid_from": now.Add(from), "valid_until": now.Add(until)}
		}
		path := func(p directory.PersonRecord) string { return "/people/" + string(p.ID) + "/positions" }
		o.admin.must("POST", path(hoa), acts(0, 10*time.Hour), 201, nil)
		// The same person, title and unit twice; marks and case make no other title.
		again := acts(5*time.Hour, 15*time.Hour)
		again["title"] = "QUYỀN  trưởng phòng"
		o.admin.refused("POST", path(hoa), again, 409, "at that time already")
		// Another person in the same post.
		o.admin.refused("POST", path(mai), acts(9*time.Hour, 20*time.Hour), 409, "somebody else acts")
		o.admin.must("POST", path(mai), acts(10*time.Hour, 20*time.Hour), 201, nil)
		// Another unit's post of the same title is another post.
		other := acts(0, 10*time.Hour)
		other["unit_id"] = o.unit("Phòng Hành chính")
		o.admin.must("POST", path(mai), other, 201, nil)
		// A concurrent one becomes no second acting one either.
		var concurrent directory.PositionRecord
		body := acts(12*time.Hour, 13*time.Hour)
		body["kind"] = "concurrent"
		o.admin.must("POST", path(hoa), body, 201, &concurrent)
		o.admin.refused("PATCH", "/positions/"+string(concurrent.ID), fields{"kind": "acting"}, 409, "somebody else acts")
	})
}

// Ten administrators appoint at once: one of them does.
func TestPositionsAtOnce(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		admin := o.session(t, sysAdmin).actor()
		person, err := o.CreatePerson(t.Context(), admin, directory.NewPerson{Given: "Hoà"})
		if err != nil {
			t.Fatal(err)
		}
		errs := make(chan error, 10)
		for range cap(errs) {
			go func() {
				_, err := o.BeginPosition(t.Context(), admin, person.ID, directory.NewPosition{Unit: identity.UnitID(o.unit("Phòng Hành chính")), Title: "Văn thư"})
				errs <- err
			}()
		}
		begun := 0
		for range cap(errs) {
			if <-errs == nil {
				begun++
			}
		}
		if held := o.positions(o.admin, person.ID); begun != 1 || len(held) != 1 {
			t.Errorf("%d were begun, %d are held", begun, len(held))
		}
	})
}

func TestTransferEndsAndBeginsInOneAct(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		person, first := o.hire("Hoà", "", "Phòng Hành chính", "Văn thư")
		path := "/people/" + string(person.ID) + "/transfer"
		day := o.clock.now().Add(24 * time.Hour)
		var done struct{ Ended, Begun directory.PositionRecord }
		o.admin.must("POST", path, fields{"to": fields{"unit_id": o.unit("Phòng Tổng hợp"), "title": "Chuyên viên", "valid_from": day}}, 201, &done)
		if done.Ended.ID != first.ID || !done.Ended.Until.Equal(day) || done.Ended.State != "current" ||
			done.Begun.Kind != "main" || !done.Begun.From.Equal(day) || done.Begun.State != "future" {
			t.Errorf("transferred %+v", done)
		}
		// What cannot begin ends nothing.
		o.admin.refused("POST", path, fields{"to": fields{"unit_id": "nowhere", "title": "Chuyên viên"}}, 404)
		o.admin.refused("POST", path, fields{"to": fields{"unit_id": o.unit("Phòng Tổng hợp"), "title": "Phó phòng", "valid_from": day.Add(-time.Hour)}}, 409, "one main position at a time")
		o.admin.refused("POST", path, fields{"position_id": "none", "to": fields{"unit_id": o.unit("Phòng Tổng hợp"), "title": "Phó phòng"}}, 404)
		if held := o.positions(o.admin, person.ID); len(held) != 2 || !held[0].Until.Equal(day) {
			t.Errorf("after refused transfers: %+v", held)
		}
	})
}

// Between agencies a person is given by the one and taken by the other: an
// administrator of one alone does neither.
func TestPeopleAreNotTakenFromAnotherAgency(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		admin := o.session(t, sysAdmin).actor()
		o.grant(t, admin, directory.NewAdminGrant{Person: o.person(t, chi), Role: identity.RoleAgencyAdmin, Agency: o.hanoi})
		p := o.as(chi)
		theirs, err := o.AgencyUnits(t.Context(), o.hanoi)
		if err != nil {
			t.Fatal(err)
		}
		ours := theirs[0].ID
		person, position := o.hire("Hoà", "", "Phòng Hành chính", "Văn thư")
		path := "/people/" + string(person.ID)
		p.refused("POST", path+"/transfer", fields{"to": fields{"unit_id": ours, "title": "Chuyên viên"}}, 403)
		p.refused("DELETE", "/positions/"+string(position.ID), nil, 403)
		// Beside the main position elsewhere, a post here is a matter of here.
		p.must("POST", path+"/positions", fields{"unit_id": ours, "title": "Uỷ viên", "kind": "concurrent"}, 201, nil)
		// Who has left is still of where they were last.
		o.clock.add(time.Second)
		o.admin.must("DELETE", "/positions/"+string(position.ID), nil, 204, nil)
		mai, last := o.hire("Mai", "", "Phòng Hành chính", "Văn thư")
		o.clock.add(time.Second)
		o.admin.must("DELETE", "/positions/"+string(last.ID), nil, 204, nil)
		for _, kind := range []string{"main", "concurrent", "acting"} {
			p.refused("POST", "/people/"+string(mai.ID)+"/positions", fields{"unit_id": ours, "title": "Chuyên viên", "kind": kind}, 403)
		}
		o.admin.must("POST", "/people/"+string(mai.ID)+"/positions", fields{"unit_id": ours, "title": "Chuyên viên"}, 201, nil)
	})
}

// A position that begins or ends is there or gone at the next request of a
// session that is open, which goes on.
func TestChangedPositionsReachOpenSessions(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		binhs := o.session(t, binh)
		before := binhs.actor()
		path := "/people/" + string(before.Person) + "/positions"
		var made directory.PositionRecord
		o.admin.must("POST", path, fields{"unit_id": o.unit("Phòng Tổng hợp"), "title": "Cố vấn", "kind": "concurrent"}, 201, &made)
		acts := func() error {
			_, err := o.AuthenticateSession(t.Context(), binhs.token, made.ID, "192.0.2.9")
			return err
		}
		if err := acts(); err != nil {
			t.Errorf("the new position is not held: %v", err)
		}
		o.clock.add(time.Second)
		o.admin.must("DELETE", "/positions/"+string(made.ID), nil, 204, nil)
		if err := acts(); err == nil {
			t.Error("the position that has ended still acts")
		}
		if after := binhs.actor(); after.Session != before.Session {
			t.Error("the session has ended")
		}
	})
}

// Whose last position has ended is found by no search, and still by
// administrators who give them one again.
func TestUnplacedPeople(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		person, position := o.hire("Hoà", "hoa@noivu.g2g.example", "Phòng Hành chính", "Văn thư")
		unplaced := func(p *page, query string) []string {
			t.Helper()
			var list struct{ People []directory.DirectoryPerson }
			p.must("GET", "/people/unplaced"+query, nil, 200, &list)
			var out []string
			for _, p := range list.People {
				out = append(out, p.Name)
			}
			return out
		}
		here := "?agency_id=" + string(o.moha)
		if got := unplaced(o.admin, here); len(got) != 0 {
			t.Errorf("before anybody has left: %q", got)
		}
		o.clock.add(time.Second)
		o.admin.must("DELETE", "/positions/"+string(position.ID), nil, 204, nil)
		if got := unplaced(o.admin, here); !slices.Equal(got, []string{"Nguyễn Hoà"}) {
			t.Errorf("after she has left: %q", got)
		}
		if got := unplaced(o.admin, "?agency_id="+string(o.hanoi)); len(got) != 0 {
			t.Errorf("elsewhere: %q", got)
		}
		if got := unplaced(o.admin, ""); !slices.Contains(got, "Quản trị hệ thống") || slices.Contains(got, "Nguyễn Hoà") {
			t.Errorf("who never held a position: %q", got)
		}
		o.as(binh).refused("GET", "/people/unplaced"+here, nil, 403)
		o.admin.must("POST", "/people/"+string(person.ID)+"/positions", fields{"unit_id": o.unit("Phòng Tổng hợp"), "title": "Văn thư"}, 201, nil)
		if got := unplaced(o.admin, here); len(got) != 0 {
			t.Errorf("after she has come back: %q", got)
		}
	})
}
