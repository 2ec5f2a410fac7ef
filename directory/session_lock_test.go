package directory_test

import (
	"net/http"
	"testing"
	"time"

	"commsd/directory"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/httpapi"
	"commsd/internal/sqldb"
)

func locking(c *directory.Config) {
	c.IdleLock, c.AdminIdleLock, c.FreshFor = 15*time.Minute, 5*time.Minute, 10*time.Minute
}

func eachLocking(t *testing.T, fn func(t *testing.T, f *fixture)) {
	eachDemo(t, func(t *testing.T, db *sqldb.DB) { fn(t, newFixture(t, db, locking)) })
}

// come returns the actor of a request that comes now.
func (f *fixture) come(t *testing.T, token string) identity.Actor {
	t.Helper()
	actor, err := f.AuthenticateSession(t.Context(), token, "", "192.0.2.9")
	if err != nil {
		t.Fatal(err)
	}
	return actor
}

func (f *fixture) work(t *testing.T, token string) {
	t.Helper()
	if err := f.NoteActivity(t.Context(), f.come(t, token)); err != nil {
		t.Fatal(err)
	}
}

// The page's own polling keeps no session open; what a person does, does.
func TestIdleSessionLocks(t *testing.T) {
	eachLocking(t, func(t *testing.T, f *fixture) {
		worked, _ := f.signIn(t, an)
		polled, _ := f.signIn(t, an)
		for range 20 {
			f.clock.add(time.Minute)
			f.come(t, polled)
			f.work(t, worked)
			f.FlushActive(t.Context())
		}
		if f.come(t, worked).Locked {
			t.Error("a session that somebody works in is locked")
		}
		if !f.come(t, polled).Locked {
			t.Error("a session that only polls stays open")
		}
		// Coming back and moving the mouse opens nothing.
		f.work(t, polled)
		if !f.come(t, polled).Locked {
			t.Error("an act opened a locked session")
		}
		want(t, "a wrong password", f.UnlockSession(t.Context(), f.come(t, polled), "wrong"), errcode.Unauthenticated)
		if !f.come(t, polled).Locked {
			t.Error("a wrong password opened it")
		}
		if err := f.UnlockSession(t.Context(), f.come(t, polled), directory.DemoPassword); err != nil {
			t.Fatal(err)
		}
		if f.come(t, polled).Locked {
			t.Error("the password did not open it")
		}
		if n := len(f.events(t, "session.unlock")); n != 1 {
			t.Errorf("%d unlockings in the log", n)
		}
	})
}

// Administrators are asked again sooner, and a pause is not forgotten by what
// is done after it.
func TestAdministrationLocksSooner(t *testing.T) {
	eachLocking(t, func(t *testing.T, f *fixture) {
		token, _ := f.signIn(t, "admin@g2g.example")
		victim := f.actor(t, dung)
		f.clock.add(5*time.Minute + time.Second)
		if f.come(t, token).Locked {
			t.Fatal("the whole session is locked")
		}
		_, err := f.PersonAccount(t.Context(), f.come(t, token), victim.Person)
		want(t, "after five minutes", err, errcode.Locked)
		f.work(t, token)
		_, err = f.PersonAccount(t.Context(), f.come(t, token), victim.Person)
		want(t, "after moving the mouse", err, errcode.Locked)
		if err := f.UnlockSession(t.Context(), f.come(t, token), directory.DemoPassword); err != nil {
			t.Fatal(err)
		}
		if _, err := f.PersonAccount(t.Context(), f.come(t, token), victim.Person); err != nil {
			t.Errorf("unlocked: %v", err)
		}
	})
}

func TestSensitiveActsNeedAFreshProof(t *testing.T) {
	eachLocking(t, func(t *testing.T, f *fixture) {
		token, _ := f.signIn(t, an)
		admin, _ := f.signIn(t, "admin@g2g.example")
		victim := f.actor(t, dung)
		moha, _ := f.places(t)
		f.grant(t, f.come(t, admin), directory.NewAdminGrant{Person: f.person(t, binh), Role: identity.RoleSecurityAdmin, Agency: moha})
		security, _ := f.signIn(t, binh)
		for range 11 {
			f.clock.add(time.Minute)
			f.work(t, token)
			f.work(t, admin)
			f.work(t, security)
		}
		p, err := f.AgencyPolicy(t.Context(), f.come(t, security), moha)
		if err != nil {
			t.Fatal(err)
		}
		p.SignIn.AppPasswords = !p.SignIn.AppPasswords
		_, err = f.SetAgencyPolicy(t.Context(), f.come(t, security), moha, p)
		want(t, "how an agency signs in", err, errcode.Locked)
		_, _, err = f.MakeAppPassword(t.Context(), f.come(t, token), "x", []string{"imap"}, time.Time{})
		want(t, "an app password", err, errcode.Locked)
		want(t, "an outside address", f.RemoveOutsideAddress(t.Context(), f.come(t, token)), errcode.Locked)
		_, err = f.MakeCode(t.Context(), f.come(t, admin), victim.Person, false, false)
		want(t, "a one-time code", err, errcode.Locked)
		want(t, "factors", f.ResetFactors(t.Context(), f.come(t, admin), victim.Person), errcode.Locked)
		if err := f.UnlockSession(t.Context(), f.come(t, admin), directory.DemoPassword); err != nil {
			t.Fatal(err)
		}
		if _, err = f.MakeCode(t.Context(), f.come(t, admin), victim.Person, false, false); err != nil {
			t.Errorf("fresh again: %v", err)
		}
		// Who may not at all is told so, not asked for a password.
		_, err = f.MakeCode(t.Context(), f.come(t, token), victim.Person, false, false)
		want(t, "somebody without a role", err, errcode.Forbidden)
	})
}

// Another node knows at once that a session was unlocked, and soon that
// somebody works in it.
func TestLockOnTwoNodes(t *testing.T) {
	eachDemo(t, func(t *testing.T, db *sqldb.DB) {
		a := newFixture(t, db, locking)
		b := newFixture(t, db, locking, func(c *directory.Config) { c.Now = a.clock.now })
		token, _ := a.signIn(t, an)
		for range 16 {
			a.clock.add(time.Minute)
			a.work(t, token)
			b.come(t, token)
			a.FlushActive(t.Context())
		}
		if b.come(t, token).Locked {
			t.Error("the other node locks a session that is worked in")
		}
		a.clock.add(16 * time.Minute)
		if !b.come(t, token).Locked {
			t.Fatal("the other node does not lock")
		}
		if err := a.UnlockSession(t.Context(), a.come(t, token), directory.DemoPassword); err != nil {
			t.Fatal(err)
		}
		actor := b.come(t, token)
		if actor.Locked {
			t.Error("the other node still locks")
		}
		if err := b.RequireFresh(t.Context(), actor); err != nil {
			t.Errorf("the other node does not know of the proof: %v", err)
		}
	})
}

func TestLockSwitchedOff(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		token, _ := f.signIn(t, an)
		f.clock.add(11 * time.Hour)
		actor := f.come(t, token)
		if actor.Locked || actor.LockedAdmin {
			t.Error("it locks all the same")
		}
		if err := f.RequireFresh(t.Context(), actor); err != nil {
			t.Error(err)
		}
	})
}

func TestHTTPOfALockedSession(t *testing.T) {
	eachLocking(t, func(t *testing.T, f *fixture) {
		p := newPage(t, newServer(t, f, false))
		if s := p.signIn(an); s.Locked || s.IdleLock != 900 {
			t.Errorf("signed in: %+v", s)
		}
		f.clock.add(14 * time.Minute)
		if resp := p.call("POST", "/api/v1/sessions/current/activity", nil, nil); resp.StatusCode != http.StatusNoContent {
			t.Errorf("activity answers %d", resp.StatusCode)
		}
		f.clock.add(14 * time.Minute)
		if resp := p.call("GET", "/api/v1/account", nil, nil); resp.StatusCode != http.StatusOK {
			t.Errorf("open, it answers %d", resp.StatusCode)
		}
		f.clock.add(2 * time.Minute)
		for _, c := range [][2]string{
			{"GET", "/api/v1/account"}, {"GET", "/api/v1/directory/people"}, {"POST", "/api/v1/sessions/current/activity"},
			{"DELETE", "/api/v1/account/sessions"}, {"GET", "/api/v1/account/app-passwords"},
		} {
			var problem httpapi.Problem
			if resp := p.call(c[0], c[1], nil, &problem); resp.StatusCode != http.StatusLocked || problem.Code != "locked" {
				t.Errorf("%s %s answers %d %+v", c[0], c[1], resp.StatusCode, problem)
			}
		}
		var current directory.DirectorySession
		if resp := p.call("GET", "/api/v1/sessions/current", nil, &current); resp.StatusCode != 200 || !current.Locked || current.Person.Name != "Nguyễn Văn An" {
			t.Errorf("who is signed in: %d %+v", resp.StatusCode, current)
		}
		unlock := func(password string) int {
			return p.call("POST", "/api/v1/sessions/current/unlock", map[string]string{"password": password}, nil).StatusCode
		}
		if got := unlock("wrong"); got != http.StatusUnauthorized {
			t.Errorf("a wrong password answers %d", got)
		}
		if got := unlock(directory.DemoPassword); got != http.StatusNoContent {
			t.Errorf("the password answers %d", got)
		}
		if resp := p.call("GET", "/api/v1/account", nil, nil); resp.StatusCode != http.StatusOK {
			t.Errorf("unlocked, it answers %d", resp.StatusCode)
		}
		// A locked session can be left.
		f.clock.add(16 * time.Minute)
		if resp := p.call("DELETE", "/api/v1/sessions/current", nil, nil); resp.StatusCode != http.StatusNoContent {
			t.Errorf("signing out of a locked session answers %d", resp.StatusCode)
		}
	})
}
