package directory_test

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"commsd/directory"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/httpapi"
)

// Two sign-ins that must set up a second factor are under way, one of them by
// somebody who only stole the password. Once the owner has set theirs up, the
// other neither replaces it nor gets in.
func TestTheFirstFactorIsNotReplacedByASignIn(t *testing.T) {
	eachFactor(t, func(t *testing.T, f *factorFixture) {
		const an = "x@noivu.g2g.example" // accounts of the demo are exempt
		f.exec(t, `UPDATE directory_accounts SET login = $1 WHERE login = 'an@noivu.g2g.example'`, an)
		thief, owner := f.password(t, an).Ticket, f.password(t, an).Ticket
		theirs, err := f.TicketTOTP(t.Context(), thief)
		if err != nil {
			t.Fatal(err)
		}
		setup, err := f.TicketTOTP(t.Context(), owner)
		if err != nil {
			t.Fatal(err)
		}
		phone := app{setup.Secret}
		done, err := f.next(t, owner, directory.Proof{TOTP: phone.code(t, f.clock.now())})
		if err != nil || done.Token == "" {
			t.Fatalf("%+v, %v", done, err)
		}
		_, err = f.next(t, thief, directory.Proof{TOTP: app{theirs.Secret}.code(t, f.clock.now())})
		mustCode(t, "the secret from before", err, errcode.Gone)
		if theirs, err = f.TicketTOTP(t.Context(), thief); err == nil {
			_, err = f.next(t, thief, directory.Proof{TOTP: app{theirs.Secret}.code(t, f.clock.now())})
		}
		mustCode(t, "a secret of later", err, errcode.Gone)
		f.clock.add(time.Minute)
		in := f.password(t, an)
		if in, err = f.next(t, in.Ticket, directory.Proof{TOTP: phone.code(t, f.clock.now())}); err != nil || in.Token == "" {
			t.Errorf("the owner's app lets in no more: %+v, %v", in, err)
		}
	}, func(c *directory.Config) { c.RequireFactor = directory.RequireFactorAll })
}

// Somebody whom nobody sees stands in no list of those who may use a mailbox or
// look after a group, and is told by no cursor.
func TestAHiddenPersonIsInNoOtherList(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		person, post := o.hire("Khuê", "khue@noivu.g2g.example", "Phòng Hành chính", "Văn thư")
		var box directory.ServiceMailbox
		o.admin.must("POST", "/service-mailboxes", fields{"unit_id": o.unit("Văn phòng Bộ"), "address": "hop@noivu.g2g.example", "name": "Hộp thư"}, 201, &box)
		o.admin.must("POST", "/service-mailboxes/"+box.ID+"/users", fields{"position_id": post.ID, "may_read": true, "may_send": false}, 201, nil)
		var group directory.GroupRecord
		o.admin.must("POST", "/groups", fields{"agency_id": o.moha, "name": "Tổ văn thư", "kind": "listed", "owner_ids": []any{person.ID}}, 201, &group)
		faces := []string{"/service-mailboxes?agency_id=" + string(o.moha), "/service-mailboxes/" + box.ID, "/groups?agency_id=" + string(o.moha), "/groups/" + string(group.ID)}
		told := func(p *page, path string) bool {
			var body map[string]any
			p.must("GET", path, nil, 200, &body)
			text, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			return strings.Contains(string(text), string(person.ID)) || strings.Contains(string(text), string(post.ID)) || strings.Contains(string(text), "Khuê")
		}
		other := o.as(chi)
		for _, path := range faces {
			if !told(other, path) {
				t.Errorf("%s does not name a person whom everybody sees", path)
			}
		}
		o.admin.must("PUT", "/people/"+string(person.ID)+"/visibility", fields{"set_by_administrator": []any{fields{"field": "entry", "level": "hidden"}}}, 200, nil)
		for _, path := range faces {
			if told(other, path) {
				t.Errorf("%s names a person whom another agency does not see", path)
			}
			if !told(o.admin, path) {
				t.Errorf("%s does not name the person to an administrator", path)
			}
		}

		list := "/agencies/" + string(o.moha) + "/people?limit=1"
		var page struct {
			People []struct{ ID identity.PersonID }
			Next   string
		}
		other.must("GET", list, nil, 200, &page)
		raw, err := base64.RawURLEncoding.DecodeString(page.Next)
		if page.Next == "" || err == nil && (strings.Contains(string(raw), `"p"`) || strings.Contains(string(raw), string(post.ID))) {
			t.Errorf("a cursor says who stands behind it: %s", raw)
		}
	})
}

// Names, titles and rooms hold nothing that has them read as another's.
func TestNamesAreWhatTheyLookLike(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		unit := o.unit("Phòng Hành chính")
		for what, name := range map[string]string{
			"turned around": "An\u202egnưởrT", "an isolate": "An\u2066", "a tag": "An\U000e0041", "a filler": "An\u3164", "private use": "An\ue000",
			"a Cyrillic letter": "Аn", "a Greek letter": "Ηoàng", "a Cyrillic name": "Вао",
		} {
			o.admin.refused("POST", "/people", fields{"family_name": "Nguyễn", "given_name": name, "position": fields{"unit_id": unit, "title": "Văn thư"}}, 422)
			if what != "a Cyrillic name" {
				o.admin.refused("POST", "/units", fields{"agency_id": o.moha, "name": "Vụ " + name}, 422)
			}
		}
		var r directory.PersonRecord
		o.admin.must("POST", "/people", fields{"family_name": "Nguyễn", "given_name": "A\u200bn\ufeff", "position": fields{"unit_id": unit, "title": "Văn\u00ad thư"}}, 201, &r)
		if r.Name != "Nguyễn An" || o.positions(o.admin, r.ID)[0].Title != "Văn thư" {
			t.Errorf("kept as %q", r.Name)
		}
		// What people write of themselves, others read.
		an := o.as(an)
		for field, value := range map[string]string{"office": "P. 101\u202e", "phone": "024\u202e"} {
			var problem httpapi.Problem
			if res := an.call("PATCH", "/api/v1/account", fields{field: value}, &problem); res.StatusCode != 422 {
				t.Errorf("%s: %d %s", field, res.StatusCode, problem.Detail)
			}
		}
	})
}

// A connection that stays open sees what its owner may see now, and nothing
// once what it was opened with lets in no more.
func TestConnectionsAreAsTheirOwnersAreNow(t *testing.T) {
	eachFactor(t, func(t *testing.T, f *factorFixture) {
		owner, boss := f.actor(t, an), f.actor(t, sysAdmin)
		secret, app, err := f.MakeAppPassword(t.Context(), owner, "Thunderbird", []string{"ldap"}, f.clock.now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		opened, err := f.AuthenticatePassword(t.Context(), an, secret, "192.0.2.9", "ldap")
		if err != nil {
			t.Fatal(err)
		}
		renewed := func() identity.Actor {
			t.Helper()
			a, err := f.AuthenticateAgain(t.Context(), opened, "ldap")
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		g, err := f.AddAdminGrant(t.Context(), boss, directory.NewAdminGrant{Person: owner.Person, Role: identity.RoleAgencyAdmin, Agency: owner.Agency})
		if err != nil {
			t.Fatal(err)
		}
		if a := renewed(); len(a.Grants) != 1 || a.Session != opened.Session || a.Position != opened.Position {
			t.Errorf("with a role: %+v", a)
		}
		if err := f.RemoveAdminGrant(t.Context(), boss, g.ID); err != nil {
			t.Fatal(err)
		}
		if a := renewed(); len(a.Grants) != 0 {
			t.Errorf("without it: %+v", a)
		}
		f.clock.add(time.Hour)
		_, err = f.AuthenticateAgain(t.Context(), opened, "ldap")
		mustCode(t, "when the app password has expired", err, errcode.Unauthenticated)
		f.clock.add(-time.Hour)
		if err := f.EndAppPassword(t.Context(), owner, app.ID); err != nil {
			t.Fatal(err)
		}
		_, err = f.AuthenticateAgain(t.Context(), opened, "ldap")
		mustCode(t, "when it was ended", err, errcode.Unauthenticated)
	})
}

// Whoever becomes an administrator without a second factor goes on in no session
// that a password alone has opened.
func TestANewAdministratorSetsUpAFactorFirst(t *testing.T) {
	eachFactor(t, func(t *testing.T, f *factorFixture) {
		const binh = "x@noivu.g2g.example" // accounts of the demo are exempt
		f.exec(t, `UPDATE directory_accounts SET login = $1 WHERE login = 'binh@noivu.g2g.example'`, binh)
		boss, an, with := f.actor(t, sysAdmin), f.actor(t, an), f.password(t, binh)
		before, err := f.AuthenticateSession(t.Context(), with.Token, "", "192.0.2.9")
		if err != nil {
			t.Fatal(err)
		}
		give := func(p identity.PersonID) {
			t.Helper()
			if _, err := f.AddAdminGrant(t.Context(), boss, directory.NewAdminGrant{Person: p, Role: identity.RoleAgencyAdmin, Agency: before.Agency}); err != nil {
				t.Fatal(err)
			}
		}
		give(before.Person)
		_, err = f.AuthenticateSession(t.Context(), with.Token, "", "192.0.2.9")
		mustCode(t, "the session from before", err, errcode.Unauthenticated)
		if in := f.password(t, binh); in.Token != "" || !slices.Equal(in.Next, []string{"enroll"}) {
			t.Errorf("signing in asks for %v", in.Next)
		}
		ended := func(account identity.AccountID) (n int) {
			f.read(t, `SELECT COUNT(*) FROM directory_revocations WHERE session_id = '' AND NOT refresh AND account_id = '`+string(account)+`'`, &n)
			return n
		}
		if ended(before.Account) != 1 {
			t.Error("mail connections go on")
		}
		give(an.Person)
		if ended(an.Account) != 0 {
			t.Error("somebody who is exempt was signed out")
		}
	}, func(c *directory.Config) { c.RequireFactor = directory.RequireFactorAdmins })
}
