package directory_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"commsd/audit"
	"commsd/directory"
	"commsd/identity"
)

// agencyPolicyJSON is what the page of a policy sends back whole.
type agencyPolicyJSON struct {
	Visibility map[string]string `json:"visibility"`
	Personal   []string          `json:"personal"`
	SignIn     struct {
		SecondFactor string `json:"second_factor"`
		AppPasswords bool   `json:"app_passwords"`
	} `json:"sign_in"`
}

// Who decides which half of whose policy, over HTTP, by every role in every
// reach. What people see of each other is decided by administrators and security
// administrators of the whole agency, sign-in by security administrators alone,
// not even by the system administrator.
func TestAgencyPolicyMatrix(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		moha, hanoi := f.places(t)
		_, ans := f.signIn(t, an)
		unit, admin := ans.Positions[0].UnitID, f.actor(t, sysAdmin)
		server := newServer(t, f, false)
		ofAn, ofAdmin := newPage(t, server), newPage(t, server)
		ofAn.signIn(an)
		ofAdmin.signIn(sysAdmin)
		role := func(r identity.Role, agency identity.AgencyID, unit identity.UnitID) directory.NewAdminGrant {
			return directory.NewAdminGrant{Person: f.person(t, an), Role: r, Agency: agency, Unit: unit}
		}
		agencyAdmin, securityAdmin := role(identity.RoleAgencyAdmin, moha, ""), role(identity.RoleSecurityAdmin, moha, "")
		const shows, signs, both = "who sees what", "sign-in", "both"
		for _, c := range []struct {
			who    string
			page   *page
			grants []directory.NewAdminGrant
			moha   []string // what they decide of their own agency
			hanoi  []string // and of another
		}{
			{"nobody", ofAn, nil, nil, nil},
			{"system administrator", ofAdmin, nil, []string{shows}, []string{shows}},
			{"agency administrator", ofAn, []directory.NewAdminGrant{agencyAdmin}, []string{shows}, nil},
			{"administrator of a unit", ofAn, []directory.NewAdminGrant{role(identity.RoleAgencyAdmin, moha, unit)}, nil, nil},
			{"security administrator", ofAn, []directory.NewAdminGrant{securityAdmin}, []string{shows, signs, both}, nil},
			{"security administrator of a unit", ofAn, []directory.NewAdminGrant{role(identity.RoleSecurityAdmin, moha, unit)}, nil, nil},
			{"security administrator elsewhere", ofAn, []directory.NewAdminGrant{role(identity.RoleSecurityAdmin, hanoi, "")}, nil, []string{shows, signs, both}},
			{"security administrator everywhere", ofAn, []directory.NewAdminGrant{role(identity.RoleSecurityAdmin, "", "")}, []string{shows, signs, both}, []string{shows, signs, both}},
			{"both administrators", ofAn, []directory.NewAdminGrant{agencyAdmin, securityAdmin}, []string{shows, signs, both}, nil},
			{"auditor", ofAn, []directory.NewAdminGrant{role(identity.RoleAuditor, moha, "")}, nil, nil},
			{"records officer", ofAn, []directory.NewAdminGrant{role(identity.RoleRecordsOfficer, moha, "")}, nil, nil},
		} {
			var given []directory.AdminGrant
			for _, g := range c.grants {
				given = append(given, f.grant(t, admin, g))
			}
			for agency, may := range map[identity.AgencyID][]string{moha: c.moha, hanoi: c.hanoi} {
				path := "/agencies/" + string(agency) + "/policy"
				for _, what := range []string{shows, signs, both} {
					var before, after agencyPolicyJSON
					c.page.must("GET", path, nil, http.StatusOK, &before) // everybody may know it
					change := before
					if what != signs {
						change.Visibility = map[string]string{}
						for field, level := range before.Visibility {
							change.Visibility[field] = level
						}
						change.Visibility["phone"] = map[string]string{"own_agency": "own_unit"}[before.Visibility["phone"]]
						if change.Visibility["phone"] == "" {
							change.Visibility["phone"] = "own_agency"
						}
					}
					if what != shows {
						change.SignIn.AppPasswords = !before.SignIn.AppPasswords
					}
					want, events := http.StatusForbidden, len(f.denied(t, "policy.write"))+len(f.denied(t, "visibility.write"))
					if slices.Contains(may, what) {
						want = http.StatusOK
					}
					got := c.page.call("PUT", api+path, change, nil).StatusCode
					c.page.must("GET", path, nil, http.StatusOK, &after)
					if got != want {
						t.Errorf("%s, %s of %s: answers %d, want %d", c.who, what, agency, got, want)
					}
					wanted := before
					if want == http.StatusOK {
						wanted = change
					}
					if fmt.Sprint(after) != fmt.Sprint(wanted) {
						t.Errorf("%s, %s of %s: the policy is %v, want %v", c.who, what, agency, after, wanted)
					}
					refused := len(f.denied(t, "policy.write")) + len(f.denied(t, "visibility.write")) - events
					if (refused == 1) != (want == http.StatusForbidden) {
						t.Errorf("%s, %s of %s: %d refusals are recorded", c.who, what, agency, refused)
					}
				}
			}
			for _, g := range given {
				if err := f.RemoveAdminGrant(t.Context(), admin, g.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, e := range f.events(t, "policy.write") {
			if e.Outcome == audit.OK && e.Object.ID != string(moha) && e.Object.ID != string(hanoi) {
				t.Errorf("recorded of %+v", e.Object)
			}
		}
	})
}

// A security administrator looks after accounts, and is no administrator of
// people, no auditor, and gets into nobody's account.
func TestSecurityAdministratorOverHTTP(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		moha, _ := f.places(t)
		admin := f.actor(t, sysAdmin)
		f.grant(t, admin, directory.NewAdminGrant{Person: f.person(t, an), Role: identity.RoleSecurityAdmin, Agency: moha})
		p := newPage(t, newServer(t, f, false))
		p.signIn(an)
		own, other := "/people/"+string(f.person(t, binh)), "/people/"+string(f.person(t, chi))
		reason := map[string]string{"reason": "thử"}
		for _, c := range []struct {
			method, path string
			body         any
			want         int
		}{
			{"GET", own + "/account", nil, 200},
			{"POST", own + "/disable", reason, 204},
			{"POST", own + "/enable", reason, 204},
			{"DELETE", own + "/sessions", nil, 204},
			{"GET", own + "/visibility", nil, 200},
			{"GET", other + "/account", nil, 403},
			{"POST", other + "/disable", reason, 403},
			{"POST", "/people/" + string(admin.Person) + "/disable", reason, 403},
			{"POST", "/people/" + string(f.person(t, an)) + "/disable", reason, 403}, // not to oneself
			{"POST", own + "/codes", map[string]bool{}, 403},                         // would let them in
			{"DELETE", own + "/factors", nil, 403},
			{"POST", "/agencies", map[string]any{"identifier": "G99", "name": "Cơ quan", "domains": []string{"g99.example"}}, 403},
			{"GET", "/admin-grants", nil, 200},
			{"POST", "/admin-grants", map[string]string{"person_id": string(f.person(t, binh)), "role": "security_admin", "agency_id": string(moha)}, 403},
		} {
			if got := p.call(c.method, api+c.path, c.body, nil).StatusCode; got != c.want {
				t.Errorf("%s %s answers %d, want %d", c.method, c.path, got, c.want)
			}
		}
	})
}
