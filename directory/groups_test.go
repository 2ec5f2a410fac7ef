package directory_test

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"

	"commsd/directory"
	"commsd/identity"
	"commsd/internal/errcode"
)

type memberList struct {
	Members []directory.GroupMember
	Next    string
}

func (o *office) members(p *page, id identity.GroupID, query string) memberList {
	o.t.Helper()
	var list memberList
	p.must("GET", "/groups/"+string(id)+"/members"+query, nil, 200, &list)
	return list
}

func memberNames(list memberList) []string {
	var out []string
	for _, m := range list.Members {
		out = append(out, m.Person.Name)
	}
	return out
}

func TestListedGroupRoundTrip(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		var made, got directory.GroupRecord
		o.admin.must("POST", "/groups", fields{"agency_id": o.moha, "name": norm.NFD.String("Tổ  Công tác"), "kind": "listed",
			"owner_ids": []identity.PersonID{o.person(t, binh)}}, 201, &made)
		if made.Name != "Tổ Công tác" || len(made.Owners) != 1 || made.Owners[0].Name != "Trần Thanh Bình" || !made.MayEdit {
			t.Fatalf("made %+v", made)
		}
		path := "/groups/" + string(made.ID)
		hoa, position := o.hire("Hoà", "hoa@noivu.g2g.example", "Phòng Hành chính", "Văn thư")

		// Its owner looks after it, and nobody else beside administrators.
		owner, other := o.as(binh), o.as(an)
		var byPerson, byPost, again directory.GroupMember
		owner.must("POST", path+"/members", fields{"person_id": o.person(t, an)}, 201, &byPerson)
		owner.must("POST", path+"/members", fields{"position_id": position.ID}, 201, &byPost)
		owner.must("POST", path+"/members", fields{"person_id": o.person(t, an)}, 201, &again)
		if again.Entry != byPerson.Entry || byPost.Position != position.ID || byPost.Person.Name != "Nguyễn Hoà" {
			t.Errorf("added %+v, %+v, %+v", byPerson, byPost, again)
		}
		other.refused("POST", path+"/members", fields{"person_id": o.person(t, an)}, 403)
		other.refused("PATCH", path, fields{"name": "Tổ của An"}, 403)
		owner.refused("POST", path+"/members", fields{"person_id": "nobody"}, 404)
		owner.refused("POST", path+"/members", fields{}, 422, "one of them")
		owner.refused("POST", path+"/members", fields{"person_id": hoa.ID, "position_id": position.ID}, 422, "one of them")
		if got := memberNames(o.members(other, made.ID, "")); !slices.Equal(got, []string{"Nguyễn Văn An", "Nguyễn Hoà"}) {
			t.Errorf("the members are %q", got)
		}
		// Page by page the same.
		first := o.members(other, made.ID, "?limit=1")
		if rest := o.members(other, made.ID, "?limit=1&cursor="+first.Next); first.Next == "" || len(rest.Members) != 1 || rest.Members[0].Entry != byPost.Entry || rest.Next != "" {
			t.Errorf("the second page is %+v", rest)
		}
		other.refused("GET", path+"/members?cursor=x", nil, 422, "cursor")

		// Whoever is meant by a post leaves with it.
		o.clock.add(time.Second)
		o.admin.must("DELETE", "/positions/"+string(position.ID), nil, 204, nil)
		if got := memberNames(o.members(other, made.ID, "")); !slices.Equal(got, []string{"Nguyễn Văn An"}) {
			t.Errorf("after the post has ended the members are %q", got)
		}
		owner.must("DELETE", path+"/members/"+byPerson.Entry, nil, 204, nil)
		owner.refused("DELETE", path+"/members/"+byPerson.Entry, nil, 404)

		owner.must("PATCH", path, fields{"description": "Họp thứ Hai", "version": 1}, 200, &got)
		owner.refused("PATCH", path, fields{"description": "Họp thứ Ba", "version": 1}, 409, "changed meanwhile")
		owner.refused("PATCH", path, fields{"rule_titles": []string{"Vụ trưởng"}}, 422, "no rule")
		o.admin.refused("POST", "/groups", fields{"agency_id": o.moha, "name": "TỔ công tác", "kind": "listed"}, 409, "TỔ công tác")
		o.admin.refused("POST", "/groups", fields{"agency_id": o.moha, "name": "\u2060", "kind": "listed"}, 422, "name")
		var list struct{ Groups []directory.GroupRecord }
		other.must("GET", "/groups?q=cong", nil, 200, &list)
		if len(list.Groups) != 1 || list.Groups[0].Description != "Họp thứ Hai" || list.Groups[0].MayEdit {
			t.Errorf("An finds %+v", list.Groups)
		}
		owner.must("GET", "/groups?q=khac", nil, 200, &list)
		if len(list.Groups) != 0 {
			t.Errorf("khac finds %+v", list.Groups)
		}
		owner.must("DELETE", path, nil, 204, nil)
		owner.refused("GET", path, nil, 404)
		if n := len(o.events(t, "group.write")); n != 9 { // create, 3 + 1 members, 2 refused, 1 removed, changed, deleted
			t.Errorf("%d events of groups were audited, want 9", n)
		}
	})
}

func TestGroupByRuleIsResolvedOnRead(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		var made directory.GroupRecord
		o.admin.must("POST", "/groups", fields{"agency_id": o.moha, "name": "Lãnh đạo phòng", "kind": "rule",
			"rule_unit_id": o.unit("Văn phòng Bộ"), "rule_titles": []string{"truong phong", "Chánh"}}, 201, &made)
		p := o.as(an)
		// The subtree, and titles that begin so: no "Phó Chánh Văn phòng".
		if got := memberNames(o.members(p, made.ID, "")); !slices.Equal(got, []string{"Ngô Quang Đức", "Đặng Thị Ngọc", "Hồ Anh Tuấn"}) {
			t.Errorf("the members are %q", got)
		}
		_, position := o.hire("Hoà", "", "Phòng Hành chính", "Trưởng phòng Quản trị")
		if got := memberNames(o.members(p, made.ID, "")); len(got) != 4 {
			t.Errorf("with a new head of division the members are %q", got)
		}
		o.clock.add(time.Second)
		o.admin.must("DELETE", "/positions/"+string(position.ID), nil, 204, nil)
		first := o.members(p, made.ID, "?limit=2")
		rest := o.members(p, made.ID, "?limit=2&cursor="+first.Next)
		if got := append(memberNames(first), memberNames(rest)...); !slices.Equal(got, []string{"Ngô Quang Đức", "Đặng Thị Ngọc", "Hồ Anh Tuấn"}) || rest.Next != "" {
			t.Errorf("page by page the members are %q", got)
		}
		o.admin.refused("POST", "/groups/"+string(made.ID)+"/members", fields{"person_id": o.person(t, an)}, 422, "rule")

		o.admin.must("PATCH", "/groups/"+string(made.ID), fields{"rule_unit_id": "", "rule_titles": []string{"Không có"}}, 200, nil)
		if got := o.members(p, made.ID, ""); len(got.Members) != 0 {
			t.Errorf("nobody has that title, and the members are %q", memberNames(got))
		}
		o.admin.must("PATCH", "/groups/"+string(made.ID), fields{"rule_titles": []string{}}, 200, nil)
		all, _, err := o.AgencyPeople(t.Context(), o.actor(t, an), o.moha, "", 200)
		if got := o.members(p, made.ID, "?limit=200"); err != nil || len(got.Members) != len(all) {
			t.Errorf("the whole agency has %d members and %d people", len(got.Members), len(all))
		}
		theirs, err := o.AgencyUnits(t.Context(), o.hanoi)
		if err != nil {
			t.Fatal(err)
		}
		o.admin.refused("PATCH", "/groups/"+string(made.ID), fields{"rule_unit_id": theirs[0].ID}, 422, "another agency")
		o.admin.refused("PATCH", "/groups/"+string(made.ID), fields{"rule_titles": []string{"---"}}, 422, "no word")
	})
}

func TestResourceRoundTrip(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		var made, got directory.ResourceRecord
		body := fields{"unit_id": o.unit("Văn phòng Bộ"), "kind": "room", "name": norm.NFD.String("Phòng họp  số 1"), "place": "Tầng 2, nhà A", "capacity": 40}
		o.admin.must("POST", "/resources", body, 201, &made)
		if made.Name != "Phòng họp số 1" || made.Agency != o.moha || made.Unit != "Văn phòng Bộ" || made.Capacity != 40 || made.Place != "Tầng 2, nhà A" {
			t.Fatalf("made %+v", made)
		}
		o.admin.refused("POST", "/resources", body, 409, "Phòng họp số 1")
		o.admin.must("POST", "/resources", fields{"unit_id": o.unit("Văn phòng Bộ"), "kind": "equipment", "name": "Máy chiếu"}, 201, nil)
		path := "/resources/" + string(made.ID)
		o.admin.must("PATCH", path, fields{"capacity": 60, "unit_id": o.unit("Phòng Hành chính"), "version": 1}, 200, &got)
		o.admin.refused("PATCH", path, fields{"capacity": 1, "version": 1}, 409, "changed meanwhile")
		o.admin.must("GET", path, nil, 200, &got)
		if got.Capacity != 60 || got.Unit != "Phòng Hành chính" || got.Version != 2 || got.Name != made.Name {
			t.Errorf("changed %+v", got)
		}
		theirs, err := o.AgencyUnits(t.Context(), o.hanoi)
		if err != nil {
			t.Fatal(err)
		}
		o.admin.refused("PATCH", path, fields{"unit_id": theirs[0].ID}, 422, "another agency")
		o.admin.refused("POST", "/resources", fields{"unit_id": o.unit("Văn phòng Bộ"), "kind": "room", "name": " "}, 422, "name")
		o.admin.refused("POST", "/resources", fields{"unit_id": "none", "kind": "room", "name": "X"}, 404)
		var list struct{ Resources []directory.ResourceRecord }
		o.as(an).must("GET", "/resources", nil, 200, &list)
		if len(list.Resources) != 2 || list.Resources[0].Kind != "room" {
			t.Errorf("An sees %+v", list.Resources)
		}
		o.as(an).must("GET", "/resources?kind=equipment", nil, 200, &list)
		if len(list.Resources) != 1 || list.Resources[0].Name != "Máy chiếu" {
			t.Errorf("An sees the equipment %+v", list.Resources)
		}
		o.as(chi).must("GET", "/resources", nil, 200, &list)
		if len(list.Resources) != 0 {
			t.Errorf("Chi sees %+v in Hà Nội", list.Resources)
		}
		o.admin.must("DELETE", path, nil, 204, nil)
		o.admin.refused("DELETE", path, nil, 404)
	})
}

func TestServiceMailboxRoundTrip(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		var made, got directory.ServiceMailbox
		o.admin.must("POST", "/service-mailboxes", fields{"unit_id": o.unit("Văn phòng Bộ"), "address": "VanPhong@noivu.g2g.example", "name": "Văn phòng Bộ"}, 201, &made)
		if made.Address != "vanphong@noivu.g2g.example" || made.Agency != o.moha || made.Unit != "Văn phòng Bộ" {
			t.Fatalf("made %+v", made)
		}
		path := "/service-mailboxes/" + made.ID
		// An's second post opens it; acting in the first An may not.
		posts := o.positions(o.admin, o.person(t, an))
		o.admin.must("POST", path+"/users", fields{"position_id": posts[1].ID, "may_read": true, "may_send": true}, 201, &got)
		if len(got.Users) != 1 || got.Users[0].Name != "Nguyễn Văn An ("+posts[1].Title+")" || got.MayRead {
			t.Errorf("opened %+v", got)
		}
		var group directory.GroupRecord
		o.admin.must("POST", "/groups", fields{"agency_id": o.moha, "name": "Phó vụ", "kind": "rule", "rule_titles": []string{"Phó Vụ trưởng"}}, 201, &group)
		o.admin.must("POST", path+"/users", fields{"group_id": group.ID, "may_read": true, "may_send": true}, 201, nil)
		o.admin.must("POST", path+"/users", fields{"group_id": group.ID, "may_read": true, "may_send": false}, 201, &got)
		if len(got.Users) != 2 {
			t.Errorf("naming the group again made %+v", got.Users)
		}
		for _, c := range []struct {
			login      string
			position   identity.PositionID
			read, send bool
		}{{an, "", false, false}, {an, posts[1].ID, true, true}, {binh, "", true, false}, {chi, "", false, false}} {
			token, _ := o.signIn(t, c.login)
			actor, err := o.AuthenticateSession(t.Context(), token, c.position, "192.0.2.9")
			if err != nil {
				t.Fatal(err)
			}
			if box, err := o.ServiceMailbox(t.Context(), actor, made.ID); err != nil || box.MayRead != c.read || box.MaySend != c.send {
				t.Errorf("%s as %q: read %v, send %v (%v)", c.login, c.position, box.MayRead, box.MaySend, err)
			}
		}
		o.admin.refused("DELETE", "/groups/"+string(group.ID), nil, 409, "mailboxes")
		o.admin.refused("POST", path+"/users", fields{"group_id": group.ID, "may_read": false, "may_send": false}, 422, "what it may")
		o.admin.refused("POST", path+"/users", fields{"may_read": true, "may_send": false}, 422, "one of them")
		var theirs directory.GroupRecord
		o.admin.must("POST", "/groups", fields{"agency_id": o.hanoi, "name": "Phó vụ", "kind": "rule"}, 201, &theirs)
		o.admin.refused("POST", path+"/users", fields{"group_id": theirs.ID, "may_read": true, "may_send": false}, 422, "its own agency")

		o.admin.must("PATCH", path, fields{"name": "Văn phòng", "unit_id": o.unit("Phòng Hành chính"), "version": 1}, 200, &got)
		o.admin.refused("PATCH", path, fields{"name": "V", "version": 1}, 409, "changed meanwhile")
		if got.Name != "Văn phòng" || got.Unit != "Phòng Hành chính" || got.Address != made.Address {
			t.Errorf("changed %+v", got)
		}
		var list struct{ Mailboxes []directory.ServiceMailbox }
		o.as(binh).must("GET", "/service-mailboxes", nil, 200, &list)
		if len(list.Mailboxes) != 1 || !list.Mailboxes[0].MayRead {
			t.Errorf("Bình sees %+v", list.Mailboxes)
		}
		o.admin.must("DELETE", path+"/users/"+got.Users[0].ID, nil, 204, nil)
		o.admin.refused("DELETE", path+"/users/"+got.Users[0].ID, nil, 404)
		o.admin.must("DELETE", path, nil, 204, nil)
		o.admin.refused("GET", path, nil, 404)
		o.admin.must("DELETE", "/groups/"+string(group.ID), nil, 204, nil)
	})
}

// An address is a person's or a mailbox's, never both; and as long as mail does
// not deliver to mailboxes, theirs resolve to nobody, so that a letter to one is
// refused at the door instead of lost.
func TestServiceMailboxReservesItsAddress(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		box := func(address string) fields {
			return fields{"unit_id": o.unit("Văn phòng Bộ"), "address": address, "name": "Hộp thư"}
		}
		o.admin.refused("POST", "/service-mailboxes", box(an), 409, an)
		o.admin.refused("POST", "/service-mailboxes", box("postmaster@noivu.g2g.example"), 409, "postmaster")
		o.admin.refused("POST", "/service-mailboxes", box("vp@hanoi.g2g.example"), 201) // as system administrator of all
		o.admin.refused("POST", "/service-mailboxes", box("vp@elsewhere.example"), 422, "elsewhere.example")
		o.admin.must("POST", "/service-mailboxes", box("vp@noivu.g2g.example"), 201, nil)
		o.admin.refused("POST", "/service-mailboxes", box("VP@noivu.g2g.example"), 409, "vp@noivu.g2g.example")
		o.admin.refused("POST", "/people", fields{"given_name": "V", "address": "vp@noivu.g2g.example"}, 409, "vp@noivu.g2g.example")
		o.admin.refused("PATCH", "/people/"+string(o.person(t, an)), fields{"aliases": []string{"vp@noivu.g2g.example"}}, 409, "vp@noivu.g2g.example")
		if id, err := o.ResolveAddress(t.Context(), "vp@noivu.g2g.example"); errcode.Of(err) != errcode.NotFound {
			t.Errorf("the mailbox resolves to %q, %v", id, err)
		}
		if from, err := o.SenderAddresses(t.Context(), o.actor(t, an)); err != nil || !slices.Equal(from, []string{an}) {
			t.Errorf("An writes from %q, %v", from, err)
		}
	})
}
