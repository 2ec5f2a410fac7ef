package directory_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"commsd/audit"
	"commsd/directory"
	"commsd/identity"
)

func TestPartnerGrantRoundTrip(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		admin := o.session(t, sysAdmin).actor()
		o.grant(t, admin, directory.NewAdminGrant{Person: o.person(t, an), Role: identity.RoleAgencyAdmin, Agency: o.moha})
		o.grant(t, admin, directory.NewAdminGrant{Person: o.person(t, chi), Role: identity.RoleAgencyAdmin, Agency: o.hanoi})
		ours, partner := o.as(an), o.as(chi)
		dungs := o.session(t, dung)
		object := identity.Object{ObjectRef: identity.ObjectRef{Kind: "conversation", ID: "c-1"}, Agency: o.moha}
		relations := func(of identity.Object) []identity.Relation {
			t.Helper()
			rs, err := o.PartnerRelations(t.Context(), dungs.actor(), of)
			if err != nil {
				t.Fatal(err)
			}
			return rs
		}

		body := fields{"agency_id": o.moha, "partner_id": o.hanoi, "object_kind": "conversation", "object_id": "c-1", "object_name": "Tổ công tác liên ngành", "role": "member"}
		var made, got directory.PartnerGrant
		ours.must("POST", "/partner-grants", body, 201, &made)
		if made.AgencyName != "Bộ Nội vụ" || !made.MayRemove || made.MayAssign || len(made.People) != 0 {
			t.Fatalf("made %+v", made)
		}
		ours.refused("POST", "/partner-grants", body, 409, "Tổ công tác liên ngành")
		path := "/partner-grants/" + made.ID
		// Who gives the role does not choose the people, and the other way round.
		ours.refused("POST", path+"/people", fields{"person_id": o.person(t, dung)}, 403)
		o.admin.refused("POST", path+"/people", fields{"person_id": o.person(t, dung)}, 403)
		partner.refused("DELETE", path, nil, 403)
		partner.refused("POST", path+"/people", fields{"person_id": o.person(t, binh)}, 422, "no position in the agency")
		if rs := relations(object); len(rs) != 0 {
			t.Errorf("before anybody is chosen Dũng is %v", rs)
		}
		for range 2 { // twice is no error
			partner.must("POST", path+"/people", fields{"person_id": o.person(t, dung)}, 201, &got)
		}
		if len(got.People) != 1 || got.People[0].Name != "Phạm Anh Dũng" || !got.MayAssign || got.MayRemove {
			t.Errorf("chosen %+v", got)
		}
		if rs := relations(object); !slices.Equal(rs, []identity.Relation{identity.RelationMember}) {
			t.Errorf("Dũng is %v", rs)
		}
		// Another object, and one that is not of the agency that gave the role.
		for _, of := range []identity.Object{
			{ObjectRef: identity.ObjectRef{Kind: "conversation", ID: "c-2"}, Agency: o.moha},
			{ObjectRef: identity.ObjectRef{Kind: "meeting", ID: "c-1"}, Agency: o.moha},
			{ObjectRef: object.ObjectRef, Agency: "another"},
			{ObjectRef: object.ObjectRef},
		} {
			if rs := relations(of); len(rs) != 0 {
				t.Errorf("on %+v Dũng is %v", of, rs)
			}
		}
		var list struct{ Grants []directory.PartnerGrant }
		for p, want := range map[*page]int{ours: 1, partner: 1, o.as(dung): 1, o.as(binh): 0, o.admin: 1} {
			p.must("GET", "/partner-grants", nil, 200, &list)
			if len(list.Grants) != want {
				t.Errorf("%d grants are listed, want %d", len(list.Grants), want)
			}
		}

		// What is taken away is gone at once.
		partner.must("DELETE", path+"/people/"+string(o.person(t, dung)), nil, 204, nil)
		if rs := relations(object); len(rs) != 0 {
			t.Errorf("taken out Dũng is %v", rs)
		}
		partner.refused("DELETE", path+"/people/"+string(o.person(t, dung)), nil, 404)
		partner.must("POST", path+"/people", fields{"person_id": o.person(t, dung)}, 201, nil)
		ours.must("DELETE", path, nil, 204, nil)
		if rs := relations(object); len(rs) != 0 {
			t.Errorf("after the grant is taken back Dũng is %v", rs)
		}
		ours.refused("DELETE", path, nil, 404)
	})
}

func TestPartnerGrantEndsByItself(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		admin := o.session(t, sysAdmin).actor()
		o.grant(t, admin, directory.NewAdminGrant{Person: o.person(t, chi), Role: identity.RoleAgencyAdmin, Agency: o.hanoi})
		until := o.clock.now().Add(time.Minute)
		body := fields{"agency_id": o.moha, "partner_id": o.hanoi, "object_kind": "meeting", "object_id": "m-1", "object_name": "Giao ban", "role": "guest", "until": until}
		var made directory.PartnerGrant
		o.admin.must("POST", "/partner-grants", body, 201, &made)
		o.as(chi).must("POST", "/partner-grants/"+made.ID+"/people", fields{"person_id": o.person(t, dung)}, 201, nil)
		dungs := o.session(t, dung)
		object := identity.Object{ObjectRef: identity.ObjectRef{Kind: "meeting", ID: "m-1"}, Agency: o.moha}
		for _, c := range []struct{ after time.Duration }{{0}, {time.Minute}} {
			o.clock.add(c.after)
			rs, err := o.PartnerRelations(t.Context(), dungs.actor(), object)
			if err != nil || (len(rs) == 1) != (c.after == 0) {
				t.Errorf("after %v Dũng is %v, %v", c.after, rs, err)
			}
		}
		o.admin.refused("POST", "/partner-grants", body, 422, "past")
		body["until"] = o.clock.now().Add(time.Hour)
		o.admin.must("POST", "/partner-grants", body, 201, &made) // the one that ran out makes room
		if len(made.People) != 0 {
			t.Errorf("the new grant has the old one's people: %+v", made.People)
		}
		for _, bad := range []fields{{"partner_id": o.moha}, {"object_name": " "}} {
			for k, v := range body {
				if _, set := bad[k]; !set {
					bad[k] = v
				}
			}
			o.admin.refused("POST", "/partner-grants", bad, 422)
		}
	})
}

// Every write of the model by an official without a role is refused, and the
// refusal is in the audit log.
func TestWritesWithoutPermissionAreRefusedAndAudited(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		var group directory.GroupRecord
		o.admin.must("POST", "/groups", fields{"agency_id": o.moha, "name": "Nhóm", "kind": "listed"}, 201, &group)
		var member directory.GroupMember
		o.admin.must("POST", "/groups/"+string(group.ID)+"/members", fields{"person_id": o.person(t, an)}, 201, &member)
		var room directory.ResourceRecord
		o.admin.must("POST", "/resources", fields{"unit_id": o.unit("Văn phòng Bộ"), "kind": "room", "name": "Phòng"}, 201, &room)
		var box directory.ServiceMailbox
		o.admin.must("POST", "/service-mailboxes", fields{"unit_id": o.unit("Văn phòng Bộ"), "address": "vp@noivu.g2g.example", "name": "Hộp"}, 201, &box)
		position := o.positions(o.admin, o.person(t, an))[0]
		o.admin.must("POST", "/service-mailboxes/"+box.ID+"/users", fields{"position_id": position.ID, "may_read": true, "may_send": false}, 201, &box)
		var partner directory.PartnerGrant
		o.admin.must("POST", "/partner-grants", fields{"agency_id": o.moha, "partner_id": o.hanoi, "object_kind": "meeting", "object_id": "m", "object_name": "H", "role": "guest"}, 201, &partner)

		// Bình is an official of the agency, Dũng of another.
		unit, person := o.unit("Phòng Hành chính"), string(o.person(t, an))
		for _, login := range []string{binh, dung} {
			p := o.as(login)
			for _, w := range []struct {
				method, path string
				body         fields
				action       identity.Action
			}{
				{"POST", "/agencies", fields{"identifier": "G10", "name": "B"}, "agency.create"},
				{"PATCH", "/agencies/" + string(o.moha), fields{"name": "B"}, "agency.update"},
				{"POST", "/units", fields{"agency_id": o.moha, "name": "B"}, "unit.write"},
				{"POST", "/units", fields{"agency_id": o.moha, "parent_id": unit, "name": "B"}, "unit.write"},
				{"PATCH", "/units/" + unit, fields{"name": "B"}, "unit.write"},
				{"PATCH", "/units/" + unit, fields{"parent_id": ""}, "unit.write"},
				{"DELETE", "/units/" + unit, nil, "unit.write"},
				{"POST", "/people", fields{"given_name": "B", "position": fields{"unit_id": unit, "title": "B"}}, "person.write"},
				{"POST", "/people", fields{"given_name": "B"}, "person.write"},
				{"PATCH", "/people/" + person, fields{"given_name": "B"}, "person.write"},
				{"GET", "/people/" + person + "/record", nil, "person.profile"},
				{"POST", "/people/" + person + "/positions", fields{"unit_id": unit, "title": "B", "kind": "acting"}, "position.write"},
				{"POST", "/people/" + person + "/transfer", fields{"to": fields{"unit_id": unit, "title": "B"}}, "position.write"},
				{"PATCH", "/positions/" + string(position.ID), fields{"title": "B"}, "position.write"},
				{"DELETE", "/positions/" + string(position.ID), nil, "position.write"},
				{"POST", "/groups", fields{"agency_id": o.moha, "name": "B", "kind": "listed"}, "group.write"},
				{"PATCH", "/groups/" + string(group.ID), fields{"name": "B"}, "group.write"},
				{"DELETE", "/groups/" + string(group.ID), nil, "group.write"},
				{"POST", "/groups/" + string(group.ID) + "/members", fields{"person_id": person}, "group.write"},
				{"DELETE", "/groups/" + string(group.ID) + "/members/" + member.Entry, nil, "group.write"},
				{"POST", "/resources", fields{"unit_id": unit, "kind": "room", "name": "B"}, "resource.write"},
				{"PATCH", "/resources/" + string(room.ID), fields{"name": "B"}, "resource.write"},
				{"DELETE", "/resources/" + string(room.ID), nil, "resource.write"},
				{"POST", "/service-mailboxes", fields{"unit_id": unit, "address": "b@noivu.g2g.example", "name": "B"}, "service_mailbox.write"},
				{"PATCH", "/service-mailboxes/" + box.ID, fields{"name": "B"}, "service_mailbox.write"},
				{"DELETE", "/service-mailboxes/" + box.ID, nil, "service_mailbox.remove"},
				{"POST", "/service-mailboxes/" + box.ID + "/users", fields{"position_id": position.ID, "may_read": true, "may_send": true}, "service_mailbox.write"},
				{"DELETE", "/service-mailboxes/" + box.ID + "/users/" + box.Users[0].ID, nil, "service_mailbox.write"},
				{"POST", "/partner-grants", fields{"agency_id": o.moha, "partner_id": o.hanoi, "object_kind": "meeting", "object_id": "n", "object_name": "B", "role": "guest"}, "partner_grant.write"},
				{"DELETE", "/partner-grants/" + partner.ID, nil, "partner_grant.write"},
				{"POST", "/partner-grants/" + partner.ID + "/people", fields{"person_id": o.person(t, dung)}, "partner_grant.assign"},
				{"DELETE", "/partner-grants/" + partner.ID + "/people/" + person, nil, "partner_grant.assign"},
			} {
				o.clock.add(10 * time.Second) // what one account's refusals write is bounded
				before := o.refusals(w.action)
				var body any
				if w.body != nil {
					body = w.body
				}
				if resp := p.call(w.method, api+w.path, body, nil); resp.StatusCode != http.StatusForbidden {
					t.Errorf("%s: %s %s %v answers %d", login, w.method, w.path, w.body, resp.StatusCode)
				}
				after := o.refusals(w.action)
				if len(after) != len(before)+1 {
					t.Errorf("%s: %s %s: %d refusals are audited, %d before", login, w.method, w.path, len(after), len(before))
				} else if after[0].Account == "" || after[0].Detail["reason"] != "no_role" || strings.Contains(after[0].Object.ID, " ") {
					t.Errorf("%s: %s %s is audited as %+v", login, w.method, w.path, after[0])
				}
			}
		}
		o.readUnits()
		if _, stands := o.units["Phòng Hành chính"]; !stands {
			t.Error("a refused write did something")
		}
	})
}

// refusals lists the audited refusals of an action, the last first.
func (o *office) refusals(action identity.Action) []audit.Entry {
	return slices.DeleteFunc(o.events(o.t, action), func(e audit.Entry) bool { return e.Outcome != audit.Denied })
}
