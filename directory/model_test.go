package directory_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"

	"commsd/audit"
	"commsd/directory"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/httpapi"
	"commsd/internal/sqldb"
)

const api = "/api/v1/directory"

type fields = map[string]any

// must is call with the status that is wanted.
func (p *page) must(method, path string, body any, want int, out any) {
	p.t.Helper()
	var problem httpapi.Problem
	into := out
	if want >= 400 {
		into = &problem
	}
	if resp := p.call(method, api+path, body, into); resp.StatusCode != want {
		p.t.Fatalf("%s %s answers %d, want %d: %+v", method, path, resp.StatusCode, want, problem)
	}
}

// refused is must for a refusal, whose words say what is wrong.
func (p *page) refused(method, path string, body any, want int, words ...string) {
	p.t.Helper()
	var problem httpapi.Problem
	resp := p.call(method, api+path, body, &problem)
	if resp.StatusCode != want {
		p.t.Errorf("%s %s answers %d, want %d: %s", method, path, resp.StatusCode, want, problem.Detail)
		return
	}
	for _, w := range words {
		if !strings.Contains(problem.Detail+" "+problem.Reason, w) {
			p.t.Errorf("%s %s: %q does not say %q", method, path, problem.Detail, w)
		}
	}
}

// office is a server with a system administrator's page, and what the demo has.
type office struct {
	*fixture
	t           *testing.T
	admin       *page
	moha, hanoi identity.AgencyID
	units       map[string]directory.DirectoryUnit // of Bộ Nội vụ and Hà Nội, by name
}

func eachOffice(t *testing.T, fn func(t *testing.T, o *office)) {
	each(t, func(t *testing.T, f *fixture) {
		server := newServer(t, f, false)
		o := &office{fixture: f, t: t, admin: newPage(t, server), units: map[string]directory.DirectoryUnit{}}
		o.admin.signIn(sysAdmin)
		o.moha, o.hanoi = f.places(t)
		o.readUnits()
		fn(t, o)
	})
}

func (o *office) readUnits() {
	o.t.Helper()
	clear(o.units)
	for _, agency := range []identity.AgencyID{o.moha, o.hanoi} {
		tree, err := o.AgencyUnits(o.t.Context(), agency)
		if err != nil {
			o.t.Fatal(err)
		}
		var walk func([]*directory.Unit)
		walk = func(units []*directory.Unit) {
			for _, u := range units {
				o.units[u.Name] = directory.DirectoryUnit{ID: string(u.ID), Name: u.Name}
				walk(u.Units)
			}
		}
		walk(tree)
	}
}

// as is the page of another person in the same office.
func (o *office) as(login string) *page {
	o.t.Helper()
	p := &page{t: o.t, server: o.admin.server, client: o.admin.client}
	p.signIn(login)
	return p
}

func (o *office) unit(name string) string {
	o.t.Helper()
	u, ok := o.units[name]
	if !ok {
		o.t.Fatalf("there is no unit %s", name)
	}
	return u.ID
}

// hire adds a person of a unit and returns them with their position.
func (o *office) hire(given, address, unit, title string) (directory.PersonRecord, directory.PositionRecord) {
	o.t.Helper()
	var r directory.PersonRecord
	o.admin.must("POST", "/people", fields{"family_name": "Nguyễn", "given_name": given, "address": address,
		"position": fields{"unit_id": o.unit(unit), "title": title}}, 201, &r)
	return r, o.positions(o.admin, r.ID)[0]
}

func (o *office) positions(p *page, person identity.PersonID) []directory.PositionRecord {
	o.t.Helper()
	var list struct{ Positions []directory.PositionRecord }
	p.must("GET", "/people/"+string(person)+"/positions", nil, 200, &list)
	return list.Positions
}

func TestAgencyRoundTrip(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		var made, got directory.AgencyRecord
		o.admin.must("POST", "/agencies", fields{"identifier": "h26.05", "aliases": []string{"000.05.00.h26"},
			"name": norm.NFD.String(" Sở  Nội vụ "), "name_en": "Department of Home Affairs", "short_name": "SNV",
			"parent_id": o.hanoi, "domains": []string{"SoNoiVu.hanoi.g2g.example", "bücher.example"}}, 201, &made)
		if made.Identifier != "H26.05" || !slices.Equal(made.Aliases, []string{"000.05.00.H26"}) || made.Name != "Sở Nội vụ" || made.Parent != o.hanoi ||
			!slices.Equal(made.Domains, []string{"sonoivu.hanoi.g2g.example", "xn--bcher-kva.example"}) || made.TimeZone != "Asia/Ho_Chi_Minh" || made.Version != 1 {
			t.Fatalf("made %+v", made)
		}
		// By either form of the identifier, in any case.
		for _, text := range []string{"H26.05", "h26.05", " 000.05.00.H26", "000.05.00.h26"} {
			if found, err := o.ResolveAgency(t.Context(), text); err != nil || found.ID != made.ID {
				t.Errorf("ResolveAgency(%q) = %+v, %v", text, found, err)
			}
		}
		o.admin.must("GET", "/agencies/resolve?identifier=000.05.00.H26", nil, 200, &got)
		if got.ID != made.ID {
			t.Errorf("resolved %+v", got)
		}
		o.admin.refused("GET", "/agencies/resolve?identifier=H26.06", nil, 404, "H26.06")
		if local, err := o.IsLocalDomain(t.Context(), "sonoivu.hanoi.g2g.example"); err != nil || !local {
			t.Errorf("its domain is local: %v, %v", local, err)
		}

		o.admin.must("PATCH", "/agencies/"+string(made.ID), fields{"name": "Sở Nội vụ Hà Nội", "version": 1}, 200, &got)
		if got.Name != "Sở Nội vụ Hà Nội" || got.Version != 2 || got.Identifier != "H26.05" || len(got.Domains) != 2 {
			t.Errorf("changed %+v", got)
		}
		o.admin.must("GET", "/agencies/"+string(made.ID), nil, 200, &got)
		if got.Name != "Sở Nội vụ Hà Nội" || got.Version != 2 {
			t.Errorf("read %+v", got)
		}
		o.admin.refused("PATCH", "/agencies/"+string(made.ID), fields{"name": "Sở", "version": 1}, 409, "changed meanwhile")
		o.admin.refused("PATCH", "/agencies/"+string(made.ID), fields{"parent_id": made.ID}, 422, "below itself")
		o.admin.refused("PATCH", "/agencies/"+string(o.hanoi), fields{"parent_id": made.ID}, 422, "below itself")
		o.admin.refused("PATCH", "/agencies/"+string(o.hanoi), fields{"domains": []string{}}, 409, "addresses", "hanoi.g2g.example")
		created, updated := o.events(t, "agency.create"), o.events(t, "agency.update")
		if len(created) != 1 || created[0].Object.ID != string(made.ID) || len(updated) != 1 || !strings.Contains(updated[0].Detail["name"], "→") {
			t.Errorf("audited %+v and %+v", created, updated)
		}
	})
}

func TestDuplicateIdentifierAliasAndDomainAreConflicts(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		agency := func(more fields) fields {
			body := fields{"identifier": "G22", "name": "Thanh tra Chính phủ"}
			for k, v := range more {
				body[k] = v
			}
			return body
		}
		o.admin.must("POST", "/agencies", agency(fields{"aliases": []string{"000.00.00.G22"}, "domains": []string{"thanhtra.example"}}), 201, nil)
		o.admin.refused("POST", "/agencies", agency(nil), 409, "identifier", "G22")
		o.admin.refused("POST", "/agencies", agency(fields{"identifier": "G23", "aliases": []string{"000.00.00.G22"}}), 409, "former identifier", "000.00.00.G22")
		o.admin.refused("POST", "/agencies", agency(fields{"identifier": "G23", "domains": []string{"Thanhtra.EXAMPLE"}}), 409, "mail domain", "thanhtra.example")
		o.admin.refused("PATCH", "/agencies/"+string(o.moha), fields{"identifier": "G22"}, 409, "identifier", "G22")
		o.admin.refused("PATCH", "/agencies/"+string(o.moha), fields{"domains": []string{"noivu.g2g.example", "hanoi.g2g.example"}}, 409, "hanoi.g2g.example")
		if agencies, err := o.Agencies(t.Context()); err != nil || len(agencies) != 3 {
			t.Errorf("%d agencies stand, want 3 (%v)", len(agencies), err)
		}
	})
}

func TestBadIdentifiersAndNamesAreRefused(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		for _, bad := range []fields{
			{"identifier": "22G"}, {"identifier": "G2"}, {"identifier": "000.00.00.G22"}, {"identifier": "G22."}, {"identifier": "G22..01"},
			{"identifier": "G22.1234567890.1234567890.1234567890"}, {"identifier": "Đ22"},
			{"aliases": []string{"G22"}}, {"aliases": []string{"00.00.00.G22"}},
			{"name": ""}, {"name": " \u200b\u2060"}, {"name": "\u3164"}, {"name": "Bộ\u202eNội vụ"}, {"name": strings.Repeat("ộ", 301)},
			{"domains": []string{"localhost"}}, {"domains": []string{"a b.example"}}, {"domains": []string{"-a.example"}},
			{"time_zone": "Asia/Hanoi"}, {"time_zone": "Local"},
		} {
			body := fields{"identifier": "G22", "name": "Thanh tra Chính phủ"}
			for k, v := range bad {
				body[k] = v
			}
			o.admin.refused("POST", "/agencies", body, 422)
		}
		o.admin.must("POST", "/agencies", fields{"identifier": "G22.1234567890.1234567890.123456789"[:35], "name": "Dài vừa đủ"}, 201, nil)
	})
}

// An agency's administrators call it what they like, and take no identifier and
// no mail domain.
func TestAgencyAdminDoesNotTakeDomains(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		o.grant(t, o.session(t, sysAdmin).actor(), directory.NewAdminGrant{Person: o.person(t, an), Role: identity.RoleAgencyAdmin, Agency: o.moha})
		p := o.as(an)
		var got directory.AgencyRecord
		p.must("GET", "/agencies/"+string(o.moha), nil, 200, &got)
		// A form sends what it has not changed, too.
		p.must("PATCH", "/agencies/"+string(o.moha), fields{"short_name": "Nội vụ", "identifier": got.Identifier, "domains": got.Domains}, 200, &got)
		if got.ShortName != "Nội vụ" {
			t.Errorf("changed %+v", got)
		}
		for _, c := range []fields{{"domains": []string{"noivu.g2g.example", "gov.example"}}, {"identifier": "G10"}, {"aliases": []string{"000.00.00.G10"}}, {"parent_id": o.hanoi}} {
			p.refused("PATCH", "/agencies/"+string(o.moha), c, 403)
		}
		p.refused("PATCH", "/agencies/"+string(o.hanoi), fields{"short_name": "HN"}, 403)
		p.refused("POST", "/agencies", fields{"identifier": "G10", "name": "Bộ mới"}, 403)
	})
}

func TestUnitRoundTrip(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		office := o.unit("Văn phòng Bộ")
		var made, got directory.UnitRecord
		o.admin.must("POST", "/units", fields{"agency_id": o.moha, "parent_id": office, "name": norm.NFD.String("Phòng  Tài vụ")}, 201, &made)
		if made.Name != "Phòng Tài vụ" || made.Path != "/"+office+"/"+string(made.ID)+"/" || made.Rank < 1 || made.Version != 1 {
			t.Fatalf("made %+v", made)
		}
		o.admin.must("PATCH", "/units/"+string(made.ID), fields{"name": "Phòng Kế hoạch - Tài chính", "rank": 0, "version": 1}, 200, &got)
		o.admin.refused("PATCH", "/units/"+string(made.ID), fields{"name": "Phòng", "version": 1}, 409, "changed meanwhile")
		o.admin.must("GET", "/units/"+string(made.ID), nil, 200, &got)
		if got.Name != "Phòng Kế hoạch - Tài chính" || got.Rank != 0 || got.Version != 2 || got.Parent != identity.UnitID(office) {
			t.Errorf("changed %+v", got)
		}
		o.admin.must("DELETE", "/units/"+string(made.ID), nil, 204, nil)
		o.admin.refused("GET", "/units/"+string(made.ID), nil, 404)
		o.admin.refused("POST", "/units", fields{"agency_id": o.moha, "parent_id": made.ID, "name": "Tổ"}, 404)
		o.readUnits()
		if _, stands := o.units["Phòng Kế hoạch - Tài chính"]; stands {
			t.Error("the deleted unit is listed")
		}
		o.admin.refused("POST", "/units", fields{"agency_id": o.hanoi, "parent_id": office, "name": "Phòng"}, 422, "another agency")
		for _, name := range []string{"", "\u2060", "Phòng\u202e"} {
			o.admin.refused("POST", "/units", fields{"agency_id": o.moha, "name": name}, 422, "unit")
		}
		if n := len(o.events(t, "unit.write")); n != 3 {
			t.Errorf("%d acts were audited, want 3", n)
		}
	})
}

func TestUnitIsNotMovedBelowItself(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		office, division := o.unit("Văn phòng Bộ"), o.unit("Phòng Hành chính")
		for _, to := range []string{office, division} {
			o.admin.refused("PATCH", "/units/"+office, fields{"parent_id": to}, 422, "below itself")
		}
		if u, err := o.Unit(t.Context(), identity.UnitID(office)); err != nil || u.Parent != "" {
			t.Errorf("the office moved: %+v, %v", u, err)
		}
	})
}

func TestUnitStaysInItsAgency(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		theirs, err := o.AgencyUnits(t.Context(), o.hanoi)
		if err != nil {
			t.Fatal(err)
		}
		o.admin.refused("PATCH", "/units/"+o.unit("Phòng Hành chính"), fields{"parent_id": theirs[0].ID}, 422, "another agency")
	})
}

// Moving a unit rewrites the paths of all below it, and administrative roles
// there hold on, in sessions that are open too.
func TestMovedUnitTakesAllBelowAndItsRolesAlong(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		office, division := o.unit("Văn phòng Bộ"), o.unit("Phòng Hành chính")
		o.grant(t, o.session(t, sysAdmin).actor(), directory.NewAdminGrant{Person: o.person(t, an), Role: identity.RoleAgencyAdmin, Agency: o.moha, Unit: identity.UnitID(division)})
		p := o.as(an)
		team := func(name string, want int) (u directory.UnitRecord) {
			p.must("POST", "/units", fields{"agency_id": o.moha, "parent_id": division, "name": name}, want, &u)
			return u
		}
		before := team("Tổ Văn thư", 201)
		// An may not move what is not An's to another place.
		p.refused("PATCH", "/units/"+division, fields{"parent_id": ""}, 403)

		var moved directory.UnitRecord
		o.admin.must("PATCH", "/units/"+division, fields{"parent_id": ""}, 200, &moved)
		if moved.Path != "/"+division+"/" || moved.Parent != "" {
			t.Fatalf("moved to %+v", moved)
		}
		if below, err := o.Unit(t.Context(), before.ID); err != nil || below.Path != "/"+division+"/"+string(before.ID)+"/" {
			t.Errorf("below it is %+v, %v", below, err)
		}
		team("Tổ Lưu trữ", 201)
		p.refused("POST", "/units", fields{"agency_id": o.moha, "parent_id": office, "name": "Tổ"}, 403)

		// Its people are counted where it is now.
		tree, err := o.AgencyUnits(t.Context(), o.moha)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(tree, func(u *directory.Unit) bool {
			return u.Name == "Phòng Hành chính" && u.People == 2 && len(u.Units) == 2
		}) {
			t.Error("the moved unit does not stand at the root with its people and units")
		}
		// And back, to a deeper place.
		o.admin.must("PATCH", "/units/"+division, fields{"parent_id": o.unit("Phòng Tổng hợp")}, 200, &moved)
		if want := "/" + office + "/" + o.unit("Phòng Tổng hợp") + "/" + division + "/"; moved.Path != want {
			t.Errorf("moved to %s, want %s", moved.Path, want)
		}
		team("Tổ In ấn", 201)
	})
}

func TestUnitWithPeopleOrUnitsIsNotDeleted(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		o.admin.refused("DELETE", "/units/"+o.unit("Văn phòng Bộ"), nil, 409, "2 units")
		o.admin.refused("DELETE", "/units/"+o.unit("Phòng Hành chính"), nil, 409, "2 people")

		var made directory.UnitRecord
		o.admin.must("POST", "/units", fields{"agency_id": o.moha, "name": "Ban Quản lý dự án"}, 201, &made)
		o.units["Ban"] = directory.DirectoryUnit{ID: string(made.ID)}
		var room directory.ResourceRecord
		o.admin.must("POST", "/resources", fields{"unit_id": made.ID, "kind": "room", "name": "Phòng họp A"}, 201, &room)
		o.admin.refused("DELETE", "/units/"+string(made.ID), nil, 409, "meeting rooms")
		o.admin.must("DELETE", "/resources/"+string(room.ID), nil, 204, nil)

		// Who worked there keeps it in the history.
		person, position := o.hire("Hoà", "hoa@noivu.g2g.example", "Ban", "Chuyên viên")
		o.admin.refused("DELETE", "/units/"+string(made.ID), nil, 409, "1 people")
		o.clock.add(time.Second)
		o.admin.must("DELETE", "/positions/"+string(position.ID), nil, 204, nil)
		// Whose role held there loses it, which the log tells.
		keeper := o.actor(t, an)
		o.grant(t, o.actor(t, sysAdmin), directory.NewAdminGrant{Person: keeper.Person, Role: identity.RoleAgencyAdmin, Agency: o.moha, Unit: made.ID})
		o.admin.must("DELETE", "/units/"+string(made.ID), nil, 204, nil)
		if !slices.ContainsFunc(o.events(t, "unit.write"), func(e audit.Entry) bool {
			return e.Detail["deleted"] == made.Name && e.Detail["roles_taken_from"] == string(keeper.Account)
		}) {
			t.Error("the log does not tell")
		}
		if a := o.actor(t, an); len(a.Grants) != 0 {
			t.Errorf("in a unit that is gone An holds %+v", a.Grants)
		}
		if past := o.positions(o.admin, person.ID); len(past) != 1 || past[0].Unit != "Ban Quản lý dự án" || past[0].State != "past" {
			t.Errorf("the history is %+v", past)
		}
	})
}

func TestPersonRoundTrip(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		var made, got directory.PersonRecord
		o.admin.must("POST", "/people", fields{"family_name": norm.NFD.String("Đỗ"), "middle_name": " Thị ", "given_name": norm.NFD.String("Thuỳ"),
			"address": "Thuy.Do@noivu.g2g.example", "aliases": []string{"dothuy@noivu.g2g.example"}, "phone": "024 3976 4116", "mobile": "0912 345 678",
			"office": "P. 301, nhà A", "external_key": "NV-0042",
			"position": fields{"unit_id": o.unit("Phòng Hành chính"), "title": norm.NFD.String("Chuyên  viên")}}, 201, &made)
		if made.Name != "Đỗ Thị Thuỳ" || made.Address != "thuy.do@noivu.g2g.example" || made.ExternalKey != "NV-0042" || made.HasAccount {
			t.Fatalf("made %+v", made)
		}
		if found := o.find(t, o.actor(t, an), "do thuy"); !slices.Equal(found, []string{"Đỗ Thị Thuỳ"}) {
			t.Errorf("she is found as %q", found)
		}
		for _, a := range []string{"thuy.do@noivu.g2g.example", "dothuy@noivu.g2g.example"} {
			if id, err := o.ResolveAddress(t.Context(), a); err != nil || id != made.ID {
				t.Errorf("%s is %s, %v", a, id, err)
			}
		}
		if ps := o.positions(o.admin, made.ID); len(ps) != 1 || ps[0].Title != "Chuyên viên" || ps[0].Kind != "main" || ps[0].State != "current" {
			t.Errorf("her positions are %+v", ps)
		}

		o.admin.must("PATCH", "/people/"+string(made.ID), fields{"given_name": "Thủy", "address": "thuy@noivu.g2g.example", "mobile": "", "version": 1}, 200, &got)
		if got.Name != "Đỗ Thị Thủy" || got.Address != "thuy@noivu.g2g.example" || got.Mobile != "" || got.Phone != "024 3976 4116" ||
			!slices.Equal(got.Aliases, []string{"dothuy@noivu.g2g.example", "thuy.do@noivu.g2g.example"}) || got.Version != 2 {
			t.Errorf("changed %+v", got)
		}
		o.admin.refused("PATCH", "/people/"+string(made.ID), fields{"given_name": "T", "version": 1}, 409, "changed meanwhile")
		var read directory.PersonRecord
		o.admin.must("GET", "/people/"+string(made.ID)+"/record", nil, 200, &read)
		if read.Name != got.Name || !slices.Equal(read.Aliases, got.Aliases) || read.Version != 2 {
			t.Errorf("read %+v", read)
		}
		// An address that is given up is free again.
		o.admin.must("PATCH", "/people/"+string(made.ID), fields{"aliases": []string{}}, 200, nil)
		if _, err := o.ResolveAddress(t.Context(), "dothuy@noivu.g2g.example"); errcode.Of(err) != errcode.NotFound {
			t.Errorf("the address that was given up: %v", err)
		}
		// Others see no record of hers; she has none of another.
		o.as(an).refused("GET", "/people/"+string(made.ID)+"/record", nil, 403)
	})
}

func TestDuplicateAddressLoginAndExternalKeyAreConflicts(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		person := func(more fields) fields {
			body := fields{"given_name": "Mới", "position": fields{"unit_id": o.unit("Phòng Hành chính"), "title": "Chuyên viên"}}
			for k, v := range more {
				body[k] = v
			}
			return body
		}
		o.admin.must("POST", "/people", person(fields{"address": "moi@noivu.g2g.example", "external_key": "NV-1"}), 201, nil)
		o.admin.refused("POST", "/people", person(fields{"address": "MOI@noivu.g2g.example"}), 409, "moi@noivu.g2g.example", "address_taken")
		o.admin.refused("POST", "/people", person(fields{"address": "moi2@noivu.g2g.example", "aliases": []string{"an@noivu.g2g.example"}}), 409, "an@noivu.g2g.example")
		o.admin.refused("POST", "/people", person(fields{"external_key": "NV-1"}), 409, "NV-1", "key_taken")
		o.admin.refused("PATCH", "/people/"+string(o.person(t, binh)), fields{"address": "an@noivu.g2g.example"}, 409, "an@noivu.g2g.example")
		o.admin.refused("PATCH", "/people/"+string(o.person(t, binh)), fields{"external_key": "NV-1"}, 409, "NV-1")
		// A login that is no address any more is still somebody's.
		if err := o.db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE directory_accounts SET login = 'login@noivu.g2g.example' WHERE login = $1`, binh)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		o.admin.refused("POST", "/people", person(fields{"address": "login@noivu.g2g.example"}), 409, "login", "address_taken")
		if found := o.find(t, o.actor(t, an), "moi"); !slices.Equal(found, []string{"Mới"}) {
			t.Errorf("refused people stand: %q", found)
		}
	})
}

func TestNamesThatCannotBeSeenAreRefused(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		for _, given := range []string{"", " ", "\u200b", "\u3164", "\u0301", "An\u202e", "An\u0007", strings.Repeat("a", 81)} {
			o.admin.refused("POST", "/people", fields{"given_name": given, "position": fields{"unit_id": o.unit("Phòng Hành chính"), "title": "Chuyên viên"}}, 422, "tên")
		}
		o.admin.refused("POST", "/people", fields{"given_name": "An", "position": fields{"unit_id": o.unit("Phòng Hành chính"), "title": "\u2060"}}, 422, "title")
	})
}

func TestAddressesAreInTheAgencysDomains(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		o.grant(t, o.session(t, sysAdmin).actor(), directory.NewAdminGrant{Person: o.person(t, an), Role: identity.RoleAgencyAdmin, Agency: o.moha})
		p := o.as(an)
		person := func(address string) fields {
			return fields{"given_name": "Mới", "address": address, "position": fields{"unit_id": o.unit("Phòng Hành chính"), "title": "Chuyên viên"}}
		}
		p.refused("POST", "/people", person("moi@hanoi.g2g.example"), 403, "another agency")
		p.refused("POST", "/people", person("ceo@g2g.example"), 403)
		p.refused("POST", "/people", person("moi@elsewhere.example"), 422, "elsewhere.example")
		for _, bad := range []string{"moi", "@noivu.g2g.example", "mới@noivu.g2g.example", "a b@noivu.g2g.example", ".a@noivu.g2g.example", "a..b@noivu.g2g.example", `"a"@noivu.g2g.example`} {
			p.refused("POST", "/people", person(bad), 422, "mail address")
		}
		p.must("POST", "/people", person("moi@noivu.g2g.example"), 201, nil)
	})
}

// The main address is the login; who signs in by it learns at once.
func TestMainAddressIsTheLogin(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		binhs := o.as(binh)
		id := o.person(t, binh)
		o.admin.must("PATCH", "/people/"+string(id), fields{"address": "thanh.binh@noivu.g2g.example"}, 200, nil)
		if resp := binhs.call("GET", "/api/v1/sessions/current", nil, nil); resp.StatusCode != 200 {
			t.Errorf("the open session answers %d", resp.StatusCode)
		}
		o.as("thanh.binh@noivu.g2g.example")
		if owner, err := o.ResolveAddress(t.Context(), binh); err != nil || owner != id {
			t.Errorf("letters to the former address go to %s, %v", owner, err)
		}
		o.admin.refused("PATCH", "/people/"+string(id), fields{"address": ""}, 422)
	})
}

// Nobody changes who administers more than they do.
func TestPersonAboveIsNotChanged(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		admin := o.session(t, sysAdmin).actor()
		division := identity.UnitID(o.unit("Phòng Tổng hợp"))
		reform := identity.UnitID(o.unit("Vụ Cải cách hành chính"))
		o.grant(t, admin, directory.NewAdminGrant{Person: o.person(t, binh), Role: identity.RoleAgencyAdmin, Agency: o.moha})
		o.grant(t, admin, directory.NewAdminGrant{Person: o.person(t, an), Role: identity.RoleAgencyAdmin, Agency: o.moha, Unit: reform})
		p := o.as(an)
		p.refused("PATCH", "/people/"+string(o.person(t, binh)), fields{"address": "x@noivu.g2g.example"}, 403, "more than you")
		p.refused("PATCH", "/people/"+string(o.person(t, "tuanha@noivu.g2g.example")), fields{"office": "1"}, 403)
		p.must("PATCH", "/people/"+string(o.person(t, "anlt@noivu.g2g.example")), fields{"office": "P. 2"}, 200, nil)
		// Who has no position is the installation's.
		p.refused("POST", "/people", fields{"given_name": "Ngoài"}, 403)
		p.refused("POST", "/people/"+string(o.person(t, sysAdmin))+"/positions", fields{"unit_id": reform, "title": "Chuyên viên"}, 403)
		p.refused("POST", "/people", fields{"given_name": "Khác", "position": fields{"unit_id": division, "title": "Chuyên viên"}}, 403)
		if n := o.denials(t); n != 5 {
			t.Errorf("%d refusals were audited, want 5", n)
		}
	})
}

// denials counts the refusals in the audit log.
func (f *fixture) denials(t *testing.T) int {
	t.Helper()
	var n int
	if err := f.db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT COUNT(*) FROM audit_events WHERE outcome = 'denied'`).Scan(&n)
	}); err != nil {
		t.Fatal(err)
	}
	return n
}
