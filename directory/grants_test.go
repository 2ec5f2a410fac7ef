package directory_test

import (
	"slices"
	"strings"
	"testing"

	"commsd/audit"
	"commsd/directory"
	"commsd/directory/permission"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// session is a signed-in person whose requests each find their actor anew.
type session struct {
	t     *testing.T
	f     *fixture
	token string
}

func (f *fixture) session(t *testing.T, login string) session {
	token, _ := f.signIn(t, login)
	return session{t, f, token}
}

func (s session) actor() identity.Actor {
	s.t.Helper()
	a, err := s.f.AuthenticateSession(s.t.Context(), s.token, "", "192.0.2.9")
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (f *fixture) person(t *testing.T, login string) identity.PersonID {
	t.Helper()
	id, err := f.ResolveAddress(t.Context(), login)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

const (
	sysAdmin = "admin@g2g.example"
	an       = "an@noivu.g2g.example" // two units of Bộ Nội vụ
	binh     = "binh@noivu.g2g.example"
	chi      = "chi@hanoi.g2g.example"
	dung     = "dung@hanoi.g2g.example"
)

// places are the demo's agencies and the units of its first.
func (f *fixture) places(t *testing.T) (moha, hanoi identity.AgencyID) {
	t.Helper()
	agencies, err := f.Agencies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return agencies[0].ID, agencies[1].ID
}

func (f *fixture) grant(t *testing.T, by identity.Actor, n directory.NewAdminGrant) directory.AdminGrant {
	t.Helper()
	g, err := f.AddAdminGrant(t.Context(), by, n)
	if err != nil {
		t.Fatalf("grant %+v: %v", n, err)
	}
	return g
}

func TestGrantReachesOpenSessions(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		moha, _ := f.places(t)
		admin, binhs := f.session(t, sysAdmin), f.session(t, binh)
		if a := binhs.actor(); len(a.Grants) != 0 {
			t.Fatalf("Bình holds %v", a.Grants)
		}
		n := directory.NewAdminGrant{Person: f.person(t, binh), Role: identity.RoleAgencyAdmin, Agency: moha}
		g := f.grant(t, admin.actor(), n)
		want := []identity.Grant{{Role: identity.RoleAgencyAdmin, Agency: moha}}
		if a := binhs.actor(); !slices.Equal(a.Grants, want) {
			t.Errorf("the session that was open holds %v, want %v", a.Grants, want)
		}
		if g.Login != binh || g.Person.Name == "" || g.AgencyName != "Bộ Nội vụ" || g.GrantedBy == "" || !g.GrantedAt.Equal(f.clock.now()) {
			t.Errorf("the grant is %+v", g)
		}
		if again := f.grant(t, admin.actor(), n); again.ID != g.ID {
			t.Errorf("given twice, it is another: %+v", again)
		}
		if err := f.RemoveAdminGrant(t.Context(), admin.actor(), g.ID); err != nil {
			t.Fatal(err)
		}
		if a := binhs.actor(); len(a.Grants) != 0 {
			t.Errorf("taken away, the session still holds %v", a.Grants)
		}
		if err := f.RemoveAdminGrant(t.Context(), admin.actor(), g.ID); errcode.Of(err) != errcode.NotFound {
			t.Errorf("taken away twice: %v", err)
		}
		var did []string
		for _, e := range f.events(t, permission.GrantWrite) {
			if e.Outcome != audit.OK || e.Detail["login"] == "" && e.Detail["given"] != "before" {
				t.Errorf("audited %+v", e)
			}
			did = append(did, e.Detail["did"])
		}
		slices.Sort(did)
		if !slices.Equal(did, []string{"", "given", "taken"}) {
			t.Errorf("audited %q", did)
		}
	})
}

// TestGrantReachesOtherNodes: a node that only polls the log forgets what it
// remembered of an account, and signs nobody out.
func TestGrantReachesOtherNodes(t *testing.T) {
	eachDemo(t, func(t *testing.T, db *sqldb.DB) {
		one := newFixture(t, db)
		other := newFixture(t, db) // with a bus of its own: hints do not arrive
		ended := other.start(t)
		moha, _ := one.places(t)
		token, _ := one.signIn(t, binh)
		there := session{t, other, token}
		if a := there.actor(); len(a.Grants) != 0 {
			t.Fatalf("Bình holds %v", a.Grants)
		}
		one.grant(t, one.actor(t, sysAdmin), directory.NewAdminGrant{Person: one.person(t, binh), Role: identity.RoleAgencyAdmin, Agency: moha})
		// What the log holds behind it comes behind it.
		last := one.actor(t, dung)
		if err := one.SignOut(t.Context(), last); err != nil {
			t.Fatal(err)
		}
		if r := next(t, ended); r.Session != last.Session {
			t.Errorf("the other node ended %+v", r)
		}
		if a := there.actor(); len(a.Grants) != 1 {
			t.Errorf("the session on the other node holds %v", a.Grants)
		}
	})
}

func TestGrantRefusals(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		moha, hanoi := f.places(t)
		_, ans := f.signIn(t, an)
		department, office := ans.Positions[0].UnitID, ans.Positions[1].UnitID
		admin := f.actor(t, sysAdmin)
		f.grant(t, admin, directory.NewAdminGrant{Person: f.person(t, an), Role: identity.RoleAgencyAdmin, Agency: moha})
		f.grant(t, admin, directory.NewAdminGrant{Person: f.person(t, binh), Role: identity.RoleAgencyAdmin, Agency: moha, Unit: department})
		f.grant(t, admin, directory.NewAdminGrant{Person: f.person(t, chi), Role: identity.RoleAuditor, Agency: hanoi})
		of := func(login string) identity.PersonID { return f.person(t, login) }
		for name, c := range map[string]struct {
			by   string
			n    directory.NewAdminGrant
			want errcode.Code
		}{
			"nobody":                         {dung, directory.NewAdminGrant{Person: of(an), Role: identity.RoleAuditor, Agency: moha}, errcode.Forbidden},
			"auditor":                        {chi, directory.NewAdminGrant{Person: of(dung), Role: identity.RoleAuditor, Agency: hanoi}, errcode.Forbidden},
			"to oneself":                     {sysAdmin, directory.NewAdminGrant{Person: of(sysAdmin), Role: identity.RoleSecurityAdmin}, errcode.Forbidden},
			"another agency":                 {an, directory.NewAdminGrant{Person: of(binh), Role: identity.RoleAgencyAdmin, Agency: hanoi}, errcode.Forbidden},
			"the installation":               {an, directory.NewAdminGrant{Person: of(binh), Role: identity.RoleAgencyAdmin}, errcode.Forbidden},
			"system administrator":           {an, directory.NewAdminGrant{Person: of(binh), Role: identity.RoleSystemAdmin}, errcode.Forbidden},
			"a role one lacks":               {an, directory.NewAdminGrant{Person: of(binh), Role: identity.RoleAuditor, Agency: moha}, errcode.Forbidden},
			"a person of another agency":     {an, directory.NewAdminGrant{Person: of(dung), Role: identity.RoleAgencyAdmin, Agency: moha}, errcode.Forbidden},
			"a unit's admin, the agency":     {binh, directory.NewAdminGrant{Person: of(an), Role: identity.RoleAgencyAdmin, Agency: moha}, errcode.Forbidden},
			"a unit's admin, another unit":   {binh, directory.NewAdminGrant{Person: of(an), Role: identity.RoleAgencyAdmin, Agency: moha, Unit: office}, errcode.Forbidden},
			"one system administrator there": {sysAdmin, directory.NewAdminGrant{Person: of(an), Role: identity.RoleSystemAdmin, Agency: moha}, errcode.Invalid},
			"no role":                        {sysAdmin, directory.NewAdminGrant{Person: of(an), Role: "king", Agency: moha}, errcode.Invalid},
			"a unit of no agency":            {sysAdmin, directory.NewAdminGrant{Person: of(an), Role: identity.RoleAgencyAdmin, Unit: office}, errcode.Invalid},
			"a unit of another agency":       {sysAdmin, directory.NewAdminGrant{Person: of(an), Role: identity.RoleAgencyAdmin, Agency: hanoi, Unit: office}, errcode.NotFound},
			"no agency":                      {sysAdmin, directory.NewAdminGrant{Person: of(an), Role: identity.RoleAgencyAdmin, Agency: "none"}, errcode.NotFound},
			"no person":                      {sysAdmin, directory.NewAdminGrant{Person: "nobody", Role: identity.RoleAgencyAdmin, Agency: moha}, errcode.NotFound},
			"an auditor who administers":     {sysAdmin, directory.NewAdminGrant{Person: of(chi), Role: identity.RoleAgencyAdmin, Agency: hanoi}, errcode.Conflict},
			"an administrator who audits":    {sysAdmin, directory.NewAdminGrant{Person: of(an), Role: identity.RoleAuditor, Agency: moha}, errcode.Conflict},
		} {
			before := len(f.denied(t, permission.GrantWrite))
			_, err := f.AddAdminGrant(t.Context(), f.actor(t, c.by), c.n)
			if errcode.Of(err) != c.want {
				t.Errorf("%s: %v, want %s", name, err, c.want)
			}
			if audited := len(f.denied(t, permission.GrantWrite)) - before; (audited == 1) != (c.want == errcode.Forbidden) {
				t.Errorf("%s: %d refusals were audited", name, audited)
			}
		}
		// A unit's administrator gives in the unit.
		f.grant(t, f.actor(t, an), directory.NewAdminGrant{Person: of(binh), Role: identity.RoleAgencyAdmin, Agency: moha, Unit: office})

		for login, want := range map[string]int{sysAdmin: 6, an: 3, binh: 2, chi: 1} {
			grants, err := f.AdminGrants(t.Context(), f.actor(t, login), directory.AdminGrantFilter{})
			if err != nil || len(grants) != want {
				t.Errorf("%s sees %d roles %+v, want %d (%v)", login, len(grants), grants, want, err)
			}
			for _, g := range grants {
				mine := g.Login == login
				if g.Removable && (mine || login == chi) || !g.Removable && login == sysAdmin && !mine {
					t.Errorf("%s may take away %+v: %v", login, g, g.Removable)
				}
			}
		}
		if _, err := f.AdminGrants(t.Context(), f.actor(t, dung), directory.AdminGrantFilter{}); errcode.Of(err) != errcode.Forbidden {
			t.Errorf("Dũng lists roles: %v", err)
		}
		only, err := f.AdminGrants(t.Context(), admin, directory.AdminGrantFilter{Agency: moha, Person: of(binh), Role: identity.RoleAgencyAdmin})
		if err != nil || len(only) != 2 {
			t.Errorf("filtered: %+v, %v", only, err)
		}
	})
}

func (f *fixture) denied(t *testing.T, action identity.Action) []audit.Entry {
	t.Helper()
	return slices.DeleteFunc(f.events(t, action), func(e audit.Entry) bool { return e.Outcome != audit.Denied })
}

// TestLastSystemAdminStays, whoever is at it: the actors know of each other's
// roles what was true before either of them lost theirs.
func TestLastSystemAdminStays(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first := f.actor(t, sysAdmin)
		second := f.grant(t, first, directory.NewAdminGrant{Person: f.person(t, an), Role: identity.RoleSystemAdmin})
		stale := f.actor(t, an)
		all, err := f.AdminGrants(t.Context(), first, directory.AdminGrantFilter{Role: identity.RoleSystemAdmin})
		if err != nil || len(all) != 2 {
			t.Fatalf("system administrators %+v, %v", all, err)
		}
		own := all[slices.IndexFunc(all, func(g directory.AdminGrant) bool { return g.ID != second.ID })]

		if err := f.RemoveAdminGrant(t.Context(), first, own.ID); errcode.Of(err) != errcode.Forbidden {
			t.Errorf("the own role: %v", err)
		}
		if err := f.RemoveAdminGrant(t.Context(), first, second.ID); err != nil {
			t.Fatal(err)
		}
		if err := f.RemoveAdminGrant(t.Context(), stale, own.ID); errcode.Of(err) != errcode.Conflict || !strings.Contains(errcode.Message(err), "make another one first") {
			t.Errorf("the last one's role: %v", err)
		}
		if err := f.DisablePerson(t.Context(), stale, f.person(t, sysAdmin), "test"); errcode.Of(err) != errcode.Conflict {
			t.Errorf("disabling the last one: %v", err)
		}
		// One who cannot sign in does not count.
		f.grant(t, first, directory.NewAdminGrant{Person: f.person(t, an), Role: identity.RoleSystemAdmin})
		if err := f.DisablePerson(t.Context(), first, f.person(t, an), "test"); err != nil {
			t.Fatal(err)
		}
		if err := f.RemoveAdminGrant(t.Context(), stale, own.ID); errcode.Of(err) != errcode.Conflict {
			t.Errorf("the last one's role, beside a disabled one: %v", err)
		}
		if a := f.actor(t, sysAdmin); len(a.Grants) != 1 {
			t.Errorf("the last system administrator holds %v", a.Grants)
		}
	})
}

// TestTwoSystemAdminsAtOnce take each other's role away: one of them stays.
func TestTwoSystemAdminsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first := f.actor(t, sysAdmin)
		f.grant(t, first, directory.NewAdminGrant{Person: f.person(t, an), Role: identity.RoleSystemAdmin})
		second := f.actor(t, an)
		all, err := f.AdminGrants(t.Context(), first, directory.AdminGrantFilter{Role: identity.RoleSystemAdmin})
		if err != nil || len(all) != 2 {
			t.Fatalf("system administrators %+v, %v", all, err)
		}
		errs := make(chan error, 2)
		for _, g := range all {
			by := first
			if g.Account == first.Account {
				by = second
			}
			go func() { errs <- f.RemoveAdminGrant(t.Context(), by, g.ID) }()
		}
		one, other := <-errs, <-errs
		if (one == nil) == (other == nil) {
			t.Fatalf("both end alike: %v, %v", one, other)
		}
	})
}
