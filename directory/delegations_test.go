package directory_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"commsd/directory"
	"commsd/directory/permission"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/httpapi"
	"commsd/internal/sqldb"
)

// as finds the actor of the session's request in a position.
func (s session) as(position identity.PositionID) (identity.Actor, error) {
	return s.f.AuthenticateSession(s.t.Context(), s.token, position, "192.0.2.9")
}

func (s session) current() directory.Session {
	s.t.Helper()
	current, err := s.f.CurrentSession(s.t.Context(), s.actor())
	if err != nil {
		s.t.Fatal(err)
	}
	return current
}

// lend has Bình lend the main position to An.
func (f *fixture) lend(t *testing.T, giver session, n directory.NewDelegation) directory.Delegation {
	t.Helper()
	own := giver.current().Positions[0]
	if n.Position == "" {
		n.Position = own.ID
	}
	if n.To == "" {
		n.To = f.person(t, an)
	}
	if n.Scopes == nil {
		n.Scopes = []identity.Scope{identity.ScopeMail}
	}
	if n.Until.IsZero() {
		n.Until = f.clock.now().Add(48 * time.Hour)
	}
	d, err := f.Delegate(t.Context(), giver.actor(), n)
	if err != nil {
		t.Fatalf("lend %+v: %v", n, err)
	}
	return d
}

func TestLentPosition(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		moha, _ := f.places(t)
		giver, taker := f.session(t, binh), f.session(t, an)
		f.grant(t, f.actor(t, sysAdmin), directory.NewAdminGrant{Person: f.person(t, an), Role: identity.RoleAgencyAdmin, Agency: moha})
		own := taker.actor()
		d := f.lend(t, giver, directory.NewDelegation{Scopes: []identity.Scope{identity.ScopeMail, identity.ScopeChat}})
		if d.State(f.clock.now()) != "active" || d.Giver.Name == "" || d.Taker.Address != an {
			t.Errorf("the delegation is %+v", d)
		}
		positions := taker.current().Positions
		if len(positions) != 3 || positions[0].ID != own.Position {
			t.Fatalf("the session's positions are %+v", positions)
		}
		last := positions[2]
		if last.ID != d.Position.ID || last.DelegatedBy != "Trần Thanh Bình" || last.Delegation != d.ID || !slices.Equal(last.Scopes, d.Scopes) {
			t.Errorf("the lent position is %+v", last)
		}
		if a := taker.actor(); a.Position != own.Position || a.Delegation != "" {
			t.Errorf("nothing chosen, it acts as %+v", a)
		}
		a, err := taker.as(d.Position.ID)
		if err != nil || a.Person != own.Person || a.Account != own.Account || a.Login != an || a.Position != d.Position.ID || a.Agency != moha || a.Delegation != d.ID || len(a.Scopes) != 2 {
			t.Errorf("in the lent position it is %+v, %v", a, err)
		}
		// The administrator's role stays behind.
		if err := f.DisablePerson(t.Context(), a, f.person(t, binh), "test"); errcode.Of(err) != errcode.Forbidden {
			t.Errorf("an administrative act in a lent position: %v", err)
		}
		// It is not lent on.
		_, err = f.Delegate(t.Context(), a, directory.NewDelegation{Position: d.Position.ID, To: f.person(t, binh), Scopes: d.Scopes, Until: f.clock.now().Add(time.Hour)})
		if errcode.Of(err) != errcode.Forbidden {
			t.Errorf("lending on: %v", err)
		}
		_, err = f.Delegate(t.Context(), taker.actor(), directory.NewDelegation{Position: d.Position.ID, To: f.person(t, binh), Scopes: d.Scopes, Until: f.clock.now().Add(time.Hour)})
		if errcode.Of(err) != errcode.Forbidden {
			t.Errorf("lending on from the own position: %v", err)
		}
		// Nor does a mail client act in it.
		if m, err := f.AuthenticatePassword(t.Context(), an, directory.DemoPassword, "192.0.2.9", "imap"); err != nil || m.Position != own.Position || m.Delegation != "" {
			t.Errorf("a mail client acts as %+v, %v", m, err)
		}
		given, received, err := f.Delegations(t.Context(), giver.actor())
		if err != nil || len(given) != 1 || len(received) != 0 {
			t.Errorf("the giver's list: %+v, %+v, %v", given, received, err)
		}
		if given, received, err = f.Delegations(t.Context(), taker.actor()); err != nil || len(given) != 0 || len(received) != 1 || received[0].ID != d.ID {
			t.Errorf("the taker's list: %+v, %+v, %v", given, received, err)
		}
	})
}

// TestLentPositionEnds in each way there is, in the session that is open.
func TestLentPositionEnds(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, f *fixture, giver, taker session, d directory.Delegation) error{
		"taken back": func(t *testing.T, f *fixture, giver, _ session, d directory.Delegation) error {
			return f.EndDelegation(t.Context(), giver.actor(), d.ID)
		},
		"given back": func(t *testing.T, f *fixture, _, taker session, d directory.Delegation) error {
			return f.EndDelegation(t.Context(), taker.actor(), d.ID)
		},
		"its time is over": func(_ *testing.T, f *fixture, _, _ session, d directory.Delegation) error {
			f.clock.add(time.Hour) // and the cached session is as old as a session gets
			return nil
		},
		"the giver's account is disabled": func(t *testing.T, f *fixture, _, _ session, _ directory.Delegation) error {
			return f.DisablePerson(t.Context(), f.actor(t, sysAdmin), f.person(t, binh), "test")
		},
		"the position ends": func(t *testing.T, f *fixture, _, _ session, d directory.Delegation) error {
			f.exec(t, `UPDATE directory_positions SET valid_until = $1 WHERE id = $2`, f.clock.now().UnixMicro(), string(d.Position.ID))
			f.clock.add(16 * time.Second) // nobody told the cache
			return nil
		},
		"the taker leaves the agency": func(t *testing.T, f *fixture, _, _ session, d directory.Delegation) error {
			f.exec(t, `UPDATE directory_positions SET valid_until = $1 WHERE person_id = $2`, f.clock.now().UnixMicro(), string(d.Taker.ID))
			f.clock.add(16 * time.Second)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, f *fixture) {
				giver, taker := f.session(t, binh), f.session(t, an)
				d := f.lend(t, giver, directory.NewDelegation{Until: f.clock.now().Add(time.Hour)})
				a, err := taker.as(d.Position.ID)
				if err != nil || !a.Until.Equal(d.Until) {
					t.Fatalf("before: %+v, %v", a, err)
				}
				if err := end(t, f, giver, taker, d); err != nil {
					t.Fatal(err)
				}
				if a, err := taker.as(d.Position.ID); errcode.Of(err) != errcode.Forbidden {
					t.Errorf("it still acts as %+v, %v", a, err)
				}
				if positions := taker.current().Positions; slices.ContainsFunc(positions, func(p directory.Position) bool { return p.ID == d.Position.ID }) {
					t.Errorf("the session still has %+v", positions)
				}
			})
		})
	}
}

func (f *fixture) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	err := f.db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestEndedDelegationEndsWhatActsInIt: connections in the lent position are
// told to end, and nothing else of the account is.
func TestEndedDelegationEndsWhatActsInIt(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ended := f.start(t)
		giver, taker := f.session(t, binh), f.session(t, an)
		d := f.lend(t, giver, directory.NewDelegation{})
		for _, who := range []identity.AccountID{giver.actor().Account, taker.actor().Account} {
			if may, err := f.MayActIn(t.Context(), who, d.Position.ID); !may || err != nil {
				t.Errorf("%s does not act in it: %t, %v", who, may, err)
			}
		}
		if may, err := f.MayActIn(t.Context(), "nobody", d.Position.ID); may || err != nil {
			t.Errorf("nobody acts in it: %t, %v", may, err)
		}
		if err := f.EndDelegation(t.Context(), giver.actor(), d.ID); err != nil {
			t.Fatal(err)
		}
		if may, err := f.MayActIn(t.Context(), taker.actor().Account, d.Position.ID); may || err != nil {
			t.Errorf("acts in it: %t, %v", may, err)
		}
		if r := next(t, ended); r.Position != d.Position.ID || r.Account != taker.actor().Account || r.Session != "" {
			t.Errorf("ended %+v", r)
		}
		if err := f.EndDelegation(t.Context(), giver.actor(), d.ID); err != nil {
			t.Errorf("ending it twice: %v", err)
		}
		var did []string
		for _, e := range f.events(t, permission.Delegate) {
			did = append(did, e.Detail["did"])
		}
		slices.Sort(did)
		if !slices.Equal(did, []string{"ended", "ended before", "lent"}) {
			t.Errorf("audited %q", did)
		}
	})
}

// How long and how many are configuration.
func TestDelegationBounds(t *testing.T) {
	eachDemo(t, func(t *testing.T, db *sqldb.DB) {
		f := newFixture(t, db, func(c *directory.Config) { c.LongestDelegation, c.MaxDelegations = 48*time.Hour, 1 })
		giver := f.session(t, binh)
		lend := func(from, until time.Duration) error {
			now := f.clock.now()
			_, err := f.Delegate(t.Context(), giver.actor(), directory.NewDelegation{Position: giver.current().Positions[0].ID, To: f.person(t, an),
				Scopes: []identity.Scope{identity.ScopeMail}, From: now.Add(from), Until: now.Add(until)})
			return err
		}
		for what, err := range map[string]error{"for longer": lend(0, 49*time.Hour), "beforehand": lend(49*time.Hour, 50*time.Hour)} {
			if errcode.Of(err) != errcode.Invalid || !strings.Contains(err.Error(), "for 2 days") {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := lend(0, 24*time.Hour); err != nil {
			t.Fatal(err)
		}
		if err := lend(12*time.Hour, 36*time.Hour); errcode.Of(err) != errcode.Conflict || !strings.Contains(err.Error(), "1 positions already") {
			t.Errorf("one more at the same time: %v", err)
		}
		if err := lend(25*time.Hour, 48*time.Hour); err != nil {
			t.Errorf("the next, when the first has ended: %v", err)
		}
	})
}

func TestDelegationRefusals(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		giver := f.session(t, binh)
		mine, theirs := giver.current().Positions[0].ID, f.session(t, an).current().Positions[0].ID
		soon, mail := f.clock.now().Add(time.Hour), []identity.Scope{identity.ScopeMail}
		for name, c := range map[string]struct {
			n    directory.NewDelegation
			want errcode.Code
		}{
			"another's position":     {directory.NewDelegation{Position: theirs, To: f.person(t, an), Scopes: mail, Until: soon}, errcode.Forbidden},
			"no position":            {directory.NewDelegation{Position: "none", To: f.person(t, an), Scopes: mail, Until: soon}, errcode.Forbidden},
			"to oneself":             {directory.NewDelegation{Position: mine, To: f.person(t, binh), Scopes: mail, Until: soon}, errcode.Invalid},
			"to another agency":      {directory.NewDelegation{Position: mine, To: f.person(t, chi), Scopes: mail, Until: soon}, errcode.Invalid},
			"to nobody":              {directory.NewDelegation{Position: mine, To: "nobody", Scopes: mail, Until: soon}, errcode.NotFound},
			"to one without account": {directory.NewDelegation{Position: mine, To: f.person(t, "anlt@noivu.g2g.example"), Scopes: mail, Until: soon}, errcode.Conflict},
			"for nothing":            {directory.NewDelegation{Position: mine, To: f.person(t, an), Until: soon}, errcode.Invalid},
			"for something unknown":  {directory.NewDelegation{Position: mine, To: f.person(t, an), Scopes: []identity.Scope{"money"}, Until: soon}, errcode.Invalid},
			"for the same twice":     {directory.NewDelegation{Position: mine, To: f.person(t, an), Scopes: append(mail, mail...), Until: soon}, errcode.Invalid},
			"until yesterday":        {directory.NewDelegation{Position: mine, To: f.person(t, an), Scopes: mail, Until: f.clock.now().Add(-time.Hour)}, errcode.Invalid},
			"for two years":          {directory.NewDelegation{Position: mine, To: f.person(t, an), Scopes: mail, Until: f.clock.now().Add(2 * 366 * 24 * time.Hour)}, errcode.Invalid},
		} {
			if d, err := f.Delegate(t.Context(), giver.actor(), c.n); errcode.Of(err) != c.want {
				t.Errorf("%s: %+v, %v, want %s", name, d, err, c.want)
			}
		}
		d := f.lend(t, giver, directory.NewDelegation{})
		if _, err := f.Delegate(t.Context(), giver.actor(), directory.NewDelegation{Position: mine, To: f.person(t, an), Scopes: mail, Until: soon}); errcode.Of(err) != errcode.Conflict {
			t.Errorf("lent twice: %v", err)
		}
		for _, login := range []string{chi, sysAdmin} {
			if err := f.EndDelegation(t.Context(), f.actor(t, login), d.ID); errcode.Of(err) != errcode.NotFound {
				t.Errorf("%s ends it: %v", login, err)
			}
		}
		if n := len(f.denied(t, permission.Delegate)); n != 4 {
			t.Errorf("%d refusals were audited", n)
		}
		// One that begins later does not act before.
		later := f.lend(t, f.session(t, an), directory.NewDelegation{To: f.person(t, binh), From: f.clock.now().Add(time.Hour)})
		if later.State(f.clock.now()) != "coming" {
			t.Errorf("it is %s", later.State(f.clock.now()))
		}
		if _, err := giver.as(later.Position.ID); errcode.Of(err) != errcode.Forbidden {
			t.Errorf("before its time: %v", err)
		}
		f.clock.add(time.Hour + time.Minute)
		if _, err := f.session(t, binh).as(later.Position.ID); err != nil {
			t.Errorf("in its time: %v", err)
		}
	})
}

// TestClearanceOfALentPosition is no higher than the taker's own.
func TestClearanceOfALentPosition(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		giver, taker := f.session(t, binh), f.session(t, an)
		f.exec(t, `UPDATE directory_positions SET clearance = 3 WHERE person_id = $1`, string(f.person(t, binh)))
		f.exec(t, `UPDATE directory_positions SET clearance = 1 WHERE person_id = $1`, string(f.person(t, an)))
		if a := giver.actor(); a.Clearance != 3 {
			t.Errorf("the giver is cleared for %d", a.Clearance)
		}
		d := f.lend(t, giver, directory.NewDelegation{})
		if a, err := taker.as(d.Position.ID); err != nil || a.Clearance != 1 {
			t.Errorf("the taker is cleared for %d, %v", a.Clearance, err)
		}
	})
}

// TestTwoTabsAtOnce: one session acts in two positions at the same time, and in
// the lent one only for what it is lent for.
func TestTwoTabsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		server := newServer(t, f, false, func(api *httpapi.API) {
			for _, part := range []string{"mail", "chat"} {
				api.Handle("GET /api/v1/"+part+"/whoami", func(w http.ResponseWriter, r *http.Request) error {
					actor, err := api.Actor(r)
					w.Header().Set("Acting", string(actor.Position))
					return err
				})
			}
		})
		giver, tab := newPage(t, server), newPage(t, server)
		from := giver.signIn(binh)
		mine := tab.signIn(an)
		var lent struct {
			ID       string
			Position struct{ ID string }
			State    string
		}
		resp := giver.call("POST", "/api/v1/account/delegations", map[string]any{"position_id": from.Positions[0].ID, "person_id": mine.Person.ID,
			"scopes": []string{"mail"}, "ends_at": f.clock.now().Add(time.Hour)}, &lent)
		if resp.StatusCode != http.StatusCreated || lent.State != "active" {
			t.Fatalf("lending answers %d %+v", resp.StatusCode, lent)
		}
		var now directory.DirectorySession
		tab.call("GET", "/api/v1/sessions/current", nil, &now)
		if p := now.Positions[len(now.Positions)-1]; p.DelegatedBy != from.Person.Name || p.DelegationID != lent.ID || !slices.Equal(p.DelegatedScopes, []string{"mail"}) {
			t.Fatalf("the session's positions are %+v", now.Positions)
		}
		ask := func(position, path string) (int, string) {
			rq, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
			if err != nil {
				t.Error(err)
				return 0, ""
			}
			rq.AddCookie(tab.cookie)
			rq.Header.Set(httpapi.PositionHeader, position)
			resp, err := server.Client().Do(rq)
			if err != nil {
				t.Error(err)
				return 0, ""
			}
			defer resp.Body.Close()
			return resp.StatusCode, resp.Header.Get("Acting")
		}
		var tabs sync.WaitGroup
		for _, position := range []string{now.Positions[0].ID, now.Positions[1].ID, lent.Position.ID} {
			tabs.Go(func() {
				for range 20 {
					if status, acting := ask(position, "/api/v1/mail/whoami"); status != 200 || acting != position {
						t.Errorf("as %s it answers %d and acts as %s", position, status, acting)
					}
					want := 200
					if position == lent.Position.ID {
						want = 403 // lent for mail alone
					}
					if status, _ := ask(position, "/api/v1/chat/whoami"); status != want {
						t.Errorf("chat as %s answers %d, want %d", position, status, want)
					}
				}
			})
		}
		tabs.Wait()
		if refused := f.denied(t, "position.act"); len(refused) == 0 || refused[0].Object.ID != "chat" || refused[0].Detail["reason"] != permission.ReasonNotDelegated {
			t.Errorf("audited %+v", refused)
		}
	})
}
