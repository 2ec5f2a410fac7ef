package directory_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"commsd/directory"
	"commsd/directory/directorytest"
	"commsd/directory/permission"
	"commsd/directory/visibility"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// gallery is the demo with the subject of the matrix, everybody who looks at
// it, and the pages that they look at it with.
type gallery struct {
	*fixture
	subject identity.PersonID
	place   visibility.Place
	logins  map[directorytest.Viewer]string
	actors  map[directorytest.Viewer]identity.Actor
	pages   map[directorytest.Viewer]*page
}

const noPost = "tudo@g2g.example"

func newGallery(t *testing.T, f *fixture) *gallery {
	t.Helper()
	g := &gallery{fixture: f, subject: f.person(t, directorytest.Subject), logins: map[directorytest.Viewer]string{},
		actors: map[directorytest.Viewer]identity.Actor{}, pages: map[directorytest.Viewer]*page{}}
	err := f.db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		for _, q := range []struct {
			query string
			args  []any
		}{
			{`UPDATE directory_people SET phone = $1, mobile = $2, office = $3, photo = $4 WHERE id = $5`,
				[]any{directorytest.Phone, directorytest.Mobile, directorytest.Office, directorytest.Photo, string(g.subject)}},
			{`INSERT INTO directory_people (id, family_name, middle_name, given_name, display_name, fold, sort_key, created_at)
				VALUES ('no-post', 'Đỗ', 'Tự', 'Do', 'Đỗ Tự Do', 'do tu do', $1, 0)`, []any{[]byte{1}}},
			{`INSERT INTO directory_accounts (id, person_id, login, password_hash, password_changed_at, created_at)
				SELECT 'account-no-post', 'no-post', $1, password_hash, 0, 0 FROM directory_accounts WHERE login = $2`, []any{noPost, chi}},
			{`INSERT INTO directory_accounts (id, person_id, login, password_hash, password_changed_at, created_at)
				SELECT 'account-subject', $1, $2, password_hash, 0, 0 FROM directory_accounts WHERE login = $3`, []any{string(g.subject), directorytest.Subject, chi}},
		} {
			if _, err := tx.Exec(ctx, q.query, q.args...); err != nil {
				return fmt.Errorf("%s: %w", q.query, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for viewer, login := range directorytest.Logins {
		g.logins[viewer] = login
	}
	g.logins[directorytest.Self], g.logins[directorytest.NoPost] = directorytest.Subject, noPost
	server := newServer(t, f, false)
	for viewer, login := range g.logins {
		g.actors[viewer] = f.actor(t, login)
		g.pages[viewer] = newPage(t, server)
		g.pages[viewer].signIn(login)
	}
	e, err := f.Entry(t.Context(), g.actors[directorytest.Self], g.subject)
	if err != nil || len(e.Places) != 1 {
		t.Fatalf("the subject's posts are %+v, %v", e.Places, err)
	}
	g.place = e.Places[0]
	return g
}

func (g *gallery) set(t *testing.T, levels visibility.Levels) {
	t.Helper()
	admin := g.actors[directorytest.Admin]
	p, err := g.AgencyPolicy(t.Context(), admin, g.place.Agency)
	if err != nil {
		t.Fatal(err)
	}
	p.Visibility.Levels = levels
	if _, err := g.SetAgencyPolicy(t.Context(), admin, g.place.Agency, p); err != nil {
		t.Fatal(err)
	}
}

var (
	listed = []visibility.Field{visibility.FieldName, visibility.FieldTitle, visibility.FieldUnit, visibility.FieldAgency, visibility.FieldAddress, visibility.FieldPhoto}
	whole  = append(slices.Clone(listed), visibility.FieldPhone, visibility.FieldMobile, visibility.FieldOffice)
)

func shown(people []identity.Person, id identity.PersonID) map[visibility.Field]string {
	for _, p := range people {
		if p.ID == id {
			return map[visibility.Field]string{visibility.FieldName: p.Name, visibility.FieldTitle: p.Title, visibility.FieldUnit: p.Unit,
				visibility.FieldAgency: p.AgencyName, visibility.FieldAddress: p.Address, visibility.FieldPhoto: p.Photo}
		}
	}
	return nil
}

func shownEntry(e visibility.Entry) map[visibility.Field]string {
	out := shown([]identity.Person{e.Person}, e.ID)
	out[visibility.FieldPhone], out[visibility.FieldMobile], out[visibility.FieldOffice] = e.Phone, e.Mobile, e.Office
	return out
}

// find is the face of a search for q.
func (g *gallery) find(name, q string, by visibility.Field) directorytest.Face {
	return directorytest.Face{Name: name, Fields: listed, By: by, Look: func(t *testing.T, viewer directorytest.Viewer) map[visibility.Field]string {
		people, err := g.FindPeople(t.Context(), g.actors[viewer], q, 200)
		if err != nil {
			t.Fatal(err)
		}
		return shown(people, g.subject)
	}}
}

// get is the face of a page that answers a list of people.
func (g *gallery) get(name, path string, by visibility.Field) directorytest.Face {
	return directorytest.Face{Name: name, Fields: listed, By: by, Look: func(t *testing.T, viewer directorytest.Viewer) map[visibility.Field]string {
		var answer struct{ People []directory.DirectoryPerson }
		if resp := g.pages[viewer].call("GET", path, nil, &answer); resp.StatusCode != 200 {
			t.Fatalf("%s answers %d", path, resp.StatusCode)
		}
		for _, p := range answer.People {
			if p.ID == string(g.subject) {
				if (p.AgencyID == "") != (p.AgencyName == "") || (p.AgencyShort == "") != (p.AgencyName == "") {
					t.Errorf("%s tells the agency by halves: %+v", path, p)
				}
				return map[visibility.Field]string{visibility.FieldName: p.Name, visibility.FieldTitle: p.Title, visibility.FieldUnit: p.Unit,
					visibility.FieldAgency: p.AgencyName, visibility.FieldAddress: p.Address, visibility.FieldPhoto: p.Photo}
			}
		}
		return nil
	}}
}

// TestVisibilityMatrix runs the one matrix against every face of this package.
// The completion of addresses and of people in pages is the HTTP search.
func TestVisibilityMatrix(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		g := newGallery(t, f)
		directorytest.RunVisibility(t, g.set, []directorytest.Face{
			g.find("search by name", "luong vinh", ""),
			g.find("search by address", "vinhlt@", visibility.FieldAddress),
			g.find("search by both", "vinh vinhlt@hanoi", visibility.FieldAddress),
			g.get("HTTP search", "/api/v1/directory/people?q=luong+the+vinh", ""),
			g.get("HTTP search by address", "/api/v1/directory/people?q=vinhlt@hanoi.g2g.example", visibility.FieldAddress),
			g.get("HTTP search in the agency", "/api/v1/directory/people?q=luong+the+vinh&agency_id="+string(g.place.Agency), visibility.FieldAgency),
			g.get("HTTP unit", "/api/v1/directory/units/"+string(g.place.UnitID)+"/people", visibility.FieldUnit),
			g.get("HTTP agency", "/api/v1/directory/agencies/"+string(g.place.Agency)+"/people", visibility.FieldAgency),
			{Name: "address book", Fields: whole, Look: func(t *testing.T, viewer directorytest.Viewer) map[visibility.Field]string {
				entries, err := g.FindEntries(t.Context(), g.actors[viewer], "luong the vinh", 10)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range entries {
					if e.ID == g.subject {
						if (e.AgencyIdentifier == "") != (e.AgencyName == "") {
							t.Errorf("tells the agency by halves: %+v", e)
						}
						return shownEntry(e)
					}
				}
				return nil
			}},
			{Name: "HTTP card", Fields: whole, Look: func(t *testing.T, viewer directorytest.Viewer) map[visibility.Field]string {
				var c directory.DirectoryCard
				resp := g.pages[viewer].call("GET", "/api/v1/directory/people/"+string(g.subject), nil, &c)
				if resp.StatusCode == 404 {
					return nil
				}
				for _, q := range c.Positions {
					if q.Title != c.Title || q.Unit != c.Unit || q.AgencyName != c.AgencyName || (q.UnitID == "") != (q.Unit == "") || (q.AgencyID == "") != (q.AgencyName == "") {
						t.Errorf("the card's posts tell more than the card: %+v", c)
					}
				}
				return map[visibility.Field]string{visibility.FieldName: c.Name, visibility.FieldTitle: c.Title, visibility.FieldUnit: c.Unit,
					visibility.FieldAgency: c.AgencyName, visibility.FieldAddress: c.Address, visibility.FieldPhone: c.Phone,
					visibility.FieldMobile: c.Mobile, visibility.FieldOffice: c.Office, visibility.FieldPhoto: c.Photo}
			}},
			{Name: "names of recipients", Fields: listed, Look: func(t *testing.T, viewer directorytest.Viewer) map[visibility.Field]string {
				people, err := g.PeopleFor(t.Context(), g.actors[viewer], []identity.PersonID{g.subject})
				if err != nil {
					t.Fatal(err)
				}
				return shown(slices.Collect(maps.Values(people)), g.subject)
			}},
			{Name: "HTTP positions", Fields: []visibility.Field{visibility.FieldTitle, visibility.FieldUnit, visibility.FieldAgency}, Look: func(t *testing.T, viewer directorytest.Viewer) map[visibility.Field]string {
				var answer struct{ Positions []directory.PositionRecord }
				resp := g.pages[viewer].call("GET", "/api/v1/directory/people/"+string(g.subject)+"/positions", nil, &answer)
				if resp.StatusCode == 404 {
					return nil
				}
				if len(answer.Positions) != 1 {
					t.Fatalf("%d positions", len(answer.Positions))
				}
				q := answer.Positions[0]
				return map[visibility.Field]string{visibility.FieldTitle: q.Title, visibility.FieldUnit: q.Unit, visibility.FieldAgency: q.AgencyName}
			}},
			{Name: "beside others' words", Fields: listed, Known: true, Look: func(t *testing.T, _ directorytest.Viewer) map[visibility.Field]string {
				people, err := g.People(t.Context(), []identity.PersonID{g.subject})
				if err != nil {
					t.Fatal(err)
				}
				return shown([]identity.Person{people[g.subject]}, g.subject)
			}},
		})
	})
}

func levels(pairs ...any) visibility.Levels {
	out := visibility.Levels{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i].(visibility.Field)] = pairs[i+1].(visibility.Level)
	}
	return out
}

// TestVisibilityOfOnePerson: what the person sets where the agency lets, and
// what an administrator sets above both.
func TestVisibilityOfOnePerson(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		g := newGallery(t, f)
		self, admin, other := g.actors[directorytest.Self], g.actors[directorytest.Admin], g.actors[directorytest.Other]
		see := func() visibility.Entry {
			t.Helper()
			e, err := g.Entry(t.Context(), other, g.subject)
			if err != nil && errcode.Of(err) != errcode.NotFound {
				t.Fatal(err)
			}
			return e
		}
		if e := see(); e.Mobile != "" || e.Photo != directorytest.Photo || e.Phone != directorytest.Phone {
			t.Errorf("by default another agency sees %+v", e)
		}
		v, err := g.SetOwnVisibility(t.Context(), self, levels(visibility.FieldMobile, visibility.AllAgencies, visibility.FieldPhoto, visibility.OwnUnit))
		if err != nil || v.Effective[visibility.FieldMobile] != visibility.AllAgencies || v.Effective[visibility.FieldPhone] != visibility.AllAgencies {
			t.Fatalf("%+v, %v", v, err)
		}
		if e := see(); e.Mobile != directorytest.Mobile || e.Photo != "" {
			t.Errorf("as the person wishes another agency sees %+v", e)
		}
		for _, field := range []visibility.Field{visibility.FieldPhone, visibility.FieldName, visibility.FieldEntry, visibility.FieldAddress} {
			if _, err := g.SetOwnVisibility(t.Context(), self, levels(field, visibility.Hidden)); errcode.Of(err) != errcode.Forbidden {
				t.Errorf("the person hides %s: %v", field, err)
			}
		}
		// The agency takes the choice back: what people set counts no more.
		p, err := g.AgencyPolicy(t.Context(), admin, g.place.Agency)
		if err != nil {
			t.Fatal(err)
		}
		p.Visibility.Personal = nil
		if _, err := g.SetAgencyPolicy(t.Context(), admin, g.place.Agency, p); err != nil {
			t.Fatal(err)
		}
		if e := see(); e.Mobile != "" || e.Photo != directorytest.Photo {
			t.Errorf("the agency decides again, and another agency sees %+v", e)
		}

		// An administrator hides the person as a whole.
		if _, err := g.SetPersonVisibility(t.Context(), admin, g.subject, levels(visibility.FieldEntry, visibility.Hidden)); err != nil {
			t.Fatal(err)
		}
		if e := see(); e.ID != "" {
			t.Errorf("hidden, yet seen as %+v", e)
		}
		if got := f.find(t, g.actors[directorytest.Unit], "luong the vinh"); len(got) != 0 {
			t.Errorf("hidden, yet found: %q", got)
		}
		if agency, err := g.AgencyOf(t.Context(), g.subject); err != nil || agency != g.place.Agency {
			t.Errorf("letters to them are filed by the agency %q, %v", agency, err)
		}
		people, err := g.People(t.Context(), []identity.PersonID{g.subject})
		if p := people[g.subject]; err != nil || p.Name != directorytest.SubjectName || p.Title+p.Unit+p.AgencyName+p.Address != "" {
			t.Errorf("in a conversation they are %+v, %v", p, err)
		}
		if v, err := g.PersonVisibility(t.Context(), self, g.subject); err != nil || v.Effective[visibility.FieldEntry] != visibility.Hidden || len(v.SetBy) != 1 {
			t.Errorf("the person is told %+v, %v", v, err)
		}
		if _, err := g.PersonVisibility(t.Context(), other, g.subject); errcode.Of(err) != errcode.Forbidden {
			t.Errorf("another reads what is hidden: %v", err)
		}
		if _, err := g.SetPersonVisibility(t.Context(), other, g.subject, nil); errcode.Of(err) != errcode.Forbidden {
			t.Errorf("another sets what is hidden: %v", err)
		}
		if n := len(f.events(t, permission.Visibility)); n < 4 {
			t.Errorf("%d events", n)
		}
	})
}

// What a person sets while an administrator hides something does not undo that.
func TestOwnChoiceKeepsAnAdministrators(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		self := f.actor(t, an)
		own := make(chan error, 1)
		err := f.db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			var id string
			if err := tx.QueryRow(ctx, `SELECT id FROM directory_people WHERE id = $1`+tx.ForUpdate(), string(self.Person)).Scan(&id); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `INSERT INTO directory_person_visibility (person_id, own, set_by) VALUES ($1, '{}', '{"phone":"hidden"}')`, id); err != nil {
				return err
			}
			go func() {
				_, err := f.SetOwnVisibility(t.Context(), self, levels(visibility.FieldMobile, visibility.OwnUnit))
				own <- err
			}()
			if tx.Dialect() == sqldb.SQLite {
				return nil // its writers stand in one line
			}
			for waiting := false; !waiting; { // for this transaction's row; not to be seen, it ends with the test's time
				err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid)`).Scan(&waiting)
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-own; err != nil {
			t.Fatal(err)
		}
		v, err := f.PersonVisibility(t.Context(), self, self.Person)
		if err != nil || v.Effective[visibility.FieldPhone] != visibility.Hidden || v.Effective[visibility.FieldMobile] != visibility.OwnUnit {
			t.Errorf("%+v, %v", v, err)
		}
	})
}

// TestHiddenPeopleTakeNoPlace: whom one does not see neither fills a search nor
// ends a list.
func TestHiddenPeopleTakeNoPlace(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		g := newGallery(t, f)
		agency := g.actors[directorytest.Agency]
		before := f.find(t, agency, "nguyen")
		if len(before) < 3 {
			t.Fatalf("found %q", before)
		}
		everybody, _, err := f.AgencyPeople(t.Context(), agency, g.place.Agency, "", 200)
		if err != nil {
			t.Fatal(err)
		}
		first, err := f.FindPeople(t.Context(), agency, "nguyen", 1)
		if err != nil || len(first) != 1 {
			t.Fatal(first, err)
		}
		for _, id := range []identity.PersonID{first[0].ID, everybody[0].ID} {
			if _, err := f.SetPersonVisibility(t.Context(), g.actors[directorytest.Admin], id, levels(visibility.FieldEntry, visibility.Hidden)); err != nil {
				t.Fatal(err)
			}
		}
		next, err := f.FindPeople(t.Context(), agency, "nguyen", 1)
		if err != nil || len(next) != 1 || next[0].ID == first[0].ID {
			t.Errorf("with the first hidden, one search finds %q, %v", names(next), err)
		}
		var listed []string
		cursor := ""
		for range 50 {
			page, next, err := f.AgencyPeople(t.Context(), agency, g.place.Agency, cursor, 2)
			if err != nil {
				t.Fatal(err)
			}
			listed = append(listed, names(page)...)
			if cursor = next; cursor == "" {
				break
			}
		}
		if want := names(everybody); len(listed) != len(want)-1 && len(listed) != len(want)-2 || slices.Contains(listed, everybody[0].Name) {
			t.Errorf("page by page %q of %q", listed, want)
		}
	})
}

func TestPolicyRefusals(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		moha, hanoi := f.places(t)
		admin := f.actor(t, sysAdmin)
		f.grant(t, admin, directory.NewAdminGrant{Person: f.person(t, an), Role: identity.RoleAgencyAdmin, Agency: moha})
		f.grant(t, admin, directory.NewAdminGrant{Person: f.person(t, binh), Role: identity.RoleSecurityAdmin, Agency: moha})
		now, err := f.AgencyPolicy(t.Context(), f.actor(t, chi), moha)
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range visibility.Fields() {
			if now.Visibility.Levels[field] != visibility.Default()[field] {
				t.Errorf("undecided, %s is %s", field, now.Visibility.Levels[field])
			}
		}
		change := func(fn func(*directory.AgencyPolicy)) directory.AgencyPolicy {
			p := now
			p.Visibility.Levels = visibility.Default()
			fn(&p)
			return p
		}
		shows := change(func(p *directory.AgencyPolicy) { p.Visibility.Levels[visibility.FieldMobile] = visibility.Hidden })
		signs := change(func(p *directory.AgencyPolicy) { p.SignIn.SecondFactor = directory.SecondFactorEverybody })
		both := change(func(p *directory.AgencyPolicy) {
			p.Visibility.Levels[visibility.FieldMobile] = visibility.OwnUnit
			p.SignIn.AppPasswords = false
		})
		for name, c := range map[string]struct {
			by     string
			agency identity.AgencyID
			p      directory.AgencyPolicy
			want   errcode.Code
		}{
			"nobody":                       {dung, moha, shows, errcode.Forbidden},
			"another agency's":             {an, hanoi, shows, errcode.Forbidden},
			"an administrator, of sign-in": {an, moha, signs, errcode.Forbidden},
			"an administrator, of both":    {an, moha, both, errcode.Forbidden},
			"the system's, of sign-in":     {sysAdmin, moha, signs, errcode.Forbidden},
			"no agency":                    {sysAdmin, "none", shows, errcode.NotFound},
			"a field without a level":      {an, moha, change(func(p *directory.AgencyPolicy) { delete(p.Visibility.Levels, visibility.FieldName) }), errcode.Invalid},
			"the address left to people":   {an, moha, change(func(p *directory.AgencyPolicy) { p.Visibility.Personal = []visibility.Field{visibility.FieldAddress} }), errcode.Invalid},
			"a second factor for nobody":   {binh, moha, change(func(p *directory.AgencyPolicy) { p.SignIn.SecondFactor = "nobody" }), errcode.Invalid},
		} {
			if _, err := f.SetAgencyPolicy(t.Context(), f.actor(t, c.by), c.agency, c.p); errcode.Of(err) != c.want {
				t.Errorf("%s: %v, want %s", name, err, c.want)
			}
			if is, err := f.AgencyPolicy(t.Context(), admin, moha); err != nil || is.SignIn != now.SignIn || is.Visibility.Levels[visibility.FieldMobile] != now.Visibility.Levels[visibility.FieldMobile] {
				t.Fatalf("%s changed the policy to %+v, %v", name, is, err)
			}
		}
		for _, c := range []struct {
			name, by string
			p        directory.AgencyPolicy
		}{{"administrator", an, shows}, {"security administrator", binh, both}, {"security administrator, of sign-in", binh, signs}} {
			if _, err := f.SetAgencyPolicy(t.Context(), f.actor(t, c.by), moha, c.p); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			is, err := f.AgencyPolicy(t.Context(), admin, moha)
			if err != nil || is.SignIn != c.p.SignIn || is.Visibility.Levels[visibility.FieldMobile] != c.p.Visibility.Levels[visibility.FieldMobile] {
				t.Errorf("%s: the policy is %+v, %v", c.name, is, err)
			}
		}
	})
}

// An old form does not undo what was decided meanwhile, least of all what is not
// its owner's to decide.
func TestPolicyChangedMeanwhile(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		moha, _ := f.places(t)
		admin := f.actor(t, sysAdmin)
		f.grant(t, admin, directory.NewAdminGrant{Person: f.person(t, an), Role: identity.RoleAgencyAdmin, Agency: moha})
		f.grant(t, admin, directory.NewAdminGrant{Person: f.person(t, binh), Role: identity.RoleSecurityAdmin, Agency: moha})
		low := f.actor(t, an) // while the password is enough
		was, err := f.AgencyPolicy(t.Context(), admin, moha)
		if err != nil {
			t.Fatal(err)
		}
		strict := was
		strict.SignIn.SecondFactor = directory.SecondFactorEverybody
		if _, err := f.SetAgencyPolicy(t.Context(), f.actor(t, binh), moha, strict); err != nil {
			t.Fatal(err)
		}
		shows := was
		shows.Visibility.Levels = visibility.Default()
		shows.Visibility.Levels[visibility.FieldMobile] = visibility.Hidden
		err = directory.ChangePolicy(t.Context(), f.Service, low, moha, was, shows)
		want(t, "on the policy of before", err, errcode.Conflict)
		is, err := f.AgencyPolicy(t.Context(), admin, moha)
		if err != nil || is.SignIn != strict.SignIn {
			t.Errorf("it is %+v, %v", is, err)
		}
	})
}

func TestHTTPPolicy(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		g := newGallery(t, f)
		path := "/api/v1/directory/agencies/" + string(g.place.Agency) + "/policy"
		var p map[string]any
		if resp := g.pages[directorytest.Agency].call("GET", path, nil, &p); resp.StatusCode != 200 {
			t.Fatalf("reading answers %d", resp.StatusCode)
		}
		fields := p["visibility"].(map[string]any)
		if fields["mobile"] != "own_agency" || fields["entry"] != "all_agencies" || len(fields) != len(visibility.Fields()) {
			t.Errorf("the policy is %+v", p)
		}
		fields["mobile"] = "all_agencies"
		if resp := g.pages[directorytest.Agency].call("PUT", path, p, nil); resp.StatusCode != 403 {
			t.Errorf("an official writes: %d", resp.StatusCode)
		}
		var now map[string]any
		if resp := g.pages[directorytest.Admin].call("PUT", path, p, &now); resp.StatusCode != 200 || now["visibility"].(map[string]any)["mobile"] != "all_agencies" {
			t.Errorf("the administrator writes: %d %+v", resp.StatusCode, now)
		}
		fields["mobile"] = "friends"
		if resp := g.pages[directorytest.Admin].call("PUT", path, p, nil); resp.StatusCode != 422 {
			t.Errorf("an unknown level: %d", resp.StatusCode)
		}
		var own struct {
			Effective map[string]string
			Allowed   []string
			Own       []struct{ Field, Level string }
		}
		resp := g.pages[directorytest.Self].call("PUT", "/api/v1/account/visibility", map[string]any{"own": []map[string]string{{"field": "mobile", "level": "own_unit"}}}, &own)
		if resp.StatusCode != 200 || own.Effective["mobile"] != "own_unit" || len(own.Own) != 1 || !slices.Contains(own.Allowed, "mobile") {
			t.Errorf("the own choice: %d %+v", resp.StatusCode, own)
		}
	})
}
