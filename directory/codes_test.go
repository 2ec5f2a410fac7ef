package directory_test

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"commsd/directory"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

const freshPassword = "thuyền về có nhớ bến chăng"

func (f *fixture) code(t *testing.T, admin identity.Actor, person identity.PersonID, endApps bool) string {
	t.Helper()
	c, err := f.MakeCode(t.Context(), admin, person, false, endApps)
	if err != nil {
		t.Fatal(err)
	}
	if !c.ExpiresAt.Equal(f.clock.now().Add(72 * time.Hour)) {
		t.Errorf("it expires at %v", c.ExpiresAt)
	}
	return c.Code
}

func (f *fixture) byCode(t *testing.T, login, code string) (directory.SignedIn, error) {
	t.Helper()
	return f.SignInByCode(t.Context(), login, code, "192.0.2.9", "test")
}

func TestResetByOneTimeCode(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		admin, victim := f.actor(t, "admin@g2g.example"), f.actor(t, chi)
		app, _, err := f.MakeAppPassword(t.Context(), victim, "Thunderbird", []string{"imap"}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		first := f.code(t, admin, victim.Person, false)
		code := f.code(t, admin, victim.Person, false)
		if len(code) != 19 || strings.Count(code, "-") != 3 || strings.ContainsAny(code, "ILOU") {
			t.Errorf("the code is %q", code)
		}
		_, err = f.byCode(t, chi, first)
		want(t, "a code that a later one has replaced", err, errcode.Unauthenticated)

		// Typed as people type.
		typed := strings.ToLower(strings.ReplaceAll(code, "-", " "))
		in, err := f.byCode(t, "Chi@HANOI.g2g.example ", typed)
		if err != nil || in.Token != "" || !slices.Equal(in.Next, []string{"change_password"}) {
			t.Fatalf("by the code: %+v, %v", in, err)
		}
		if _, err := f.Sessions(t.Context(), victim); err != nil {
			t.Fatal(err)
		}
		// Interrupted, one begins again; the sign-in before ends.
		again, err := f.byCode(t, chi, code)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.next(t, in.Ticket, directory.Proof{NewPassword: freshPassword})
		want(t, "the sign-in before", err, errcode.Gone)
		done, err := f.next(t, again.Ticket, directory.Proof{NewPassword: freshPassword})
		if err != nil || done.Token == "" {
			t.Fatal(err)
		}
		_, err = f.byCode(t, chi, code)
		want(t, "the code again", err, errcode.Unauthenticated)

		actor, err := f.AuthenticateSession(t.Context(), done.Token, "", "")
		if err != nil {
			t.Fatal(err)
		}
		if all, err := f.Sessions(t.Context(), actor); err != nil || len(all) != 1 {
			t.Errorf("after a reset there are %d sessions, %v", len(all), err)
		}
		if _, err := f.AuthenticatePassword(t.Context(), chi, app, "192.0.2.1", "imap"); err != nil {
			t.Errorf("an app password that was not to end: %v", err)
		}
		events := f.events(t, "account.reset")
		if len(events) != 2 || events[0].Detail["code"] != "shown" || events[0].Account != admin.Account || events[0].Object.ID != string(victim.Account) {
			t.Errorf("audited %+v", events)
		}
		for _, e := range events {
			for _, v := range e.Detail {
				if strings.Contains(v, code) || strings.Contains(v, first) {
					t.Error("the log holds a code")
				}
			}
		}
	})
}

func TestCodeThatEndsAppPasswords(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		admin, victim := f.actor(t, "admin@g2g.example"), f.actor(t, chi)
		app, made, err := f.MakeAppPassword(t.Context(), victim, "Thunderbird", []string{"imap"}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		in, err := f.byCode(t, chi, f.code(t, admin, victim.Person, true))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.AuthenticatePassword(t.Context(), chi, app, "192.0.2.1", "imap"); err != nil {
			t.Errorf("before the code is used up: %v", err)
		}
		if _, err := f.next(t, in.Ticket, directory.Proof{NewPassword: freshPassword}); err != nil {
			t.Fatal(err)
		}
		_, err = f.AuthenticatePassword(t.Context(), chi, app, "192.0.2.1", "imap")
		want(t, "the app password", err, errcode.Unauthenticated)
		if !slices.Contains(f.revoked(t, victim.Account), identity.SessionID("app:"+made.ID)) {
			t.Error("its connections go on")
		}
	})
}

// A code proves who one is as a password does; a second factor stays.
func TestCodeDoesNotReplaceTheSecondFactor(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		admin, victim := f.actor(t, "admin@g2g.example"), f.actor(t, chi)
		factors := f.withFactor(t, chi)
		in, err := f.byCode(t, chi, f.code(t, admin, victim.Person, false))
		if err != nil || !slices.Contains(in.Next, "totp") || slices.Contains(in.Next, "change_password") {
			t.Fatalf("asked for %v, %v", in.Next, err)
		}
		_, err = f.next(t, in.Ticket, directory.Proof{NewPassword: freshPassword})
		want(t, "a new password without the second factor", err, errcode.Invalid)
		if in, err = f.next(t, in.Ticket, directory.Proof{TOTP: rightly}); err != nil || !slices.Equal(in.Next, []string{"change_password"}) {
			t.Fatalf("then asked for %v, %v", in.Next, err)
		}
		if done, err := f.next(t, in.Ticket, directory.Proof{NewPassword: freshPassword}); err != nil || done.Token == "" {
			t.Fatal(err)
		}

		// Taking it away is an act of its own.
		if err := f.ResetFactors(t.Context(), admin, victim.Person); err != nil || factors.Resets.Load() != 1 {
			t.Errorf("%d resets, %v", factors.Resets.Load(), err)
		}
		if in, err := f.SignIn(t.Context(), directory.SignInRequest{Login: chi, Password: freshPassword}); err != nil || in.Token == "" {
			t.Errorf("afterwards: %+v, %v", in, err)
		}
	})
}

// Unknown accounts, wrong and expired codes and disabled accounts get the same
// words for the same work.
func TestRefusedCodesAreAlike(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		admin := f.actor(t, "admin@g2g.example")
		gone := f.code(t, admin, f.actor(t, dung).Person, false)
		if err := f.DisablePerson(t.Context(), admin, f.actor(t, dung).Person, "left"); err != nil {
			t.Fatal(err)
		}
		expired := f.code(t, admin, f.actor(t, an).Person, false)
		f.clock.add(72*time.Hour + time.Second)
		admin = f.actor(t, "admin@g2g.example")
		f.code(t, admin, f.actor(t, chi).Person, false)
		words := map[string]bool{}
		for _, c := range []struct{ name, login, code string }{
			{"unknown", "nobody@noivu.g2g.example", expired},
			{"no code", "binh@noivu.g2g.example", expired},
			{"wrong", chi, expired},
			{"another's", an, expired},
			{"disabled", dung, gone},
			{"malformed", chi, "…"},
			{"empty", "", ""},
		} {
			hashes, failed := f.counter(t, hashesMetric), len(f.failures(t))
			_, err := f.byCode(t, c.login, c.code)
			want(t, c.name, err, errcode.Unauthenticated)
			words[errcode.Message(err)] = true
			if n := f.counter(t, hashesMetric) - hashes; n != 0 {
				t.Errorf("%s: %v hashes", c.name, n)
			}
			if n := len(f.failures(t)) - failed; n != 1 {
				t.Errorf("%s: %d audited failures", c.name, n)
			}
		}
		if len(words) != 1 {
			t.Errorf("the answers differ: %v", words)
		}
	})
}

// Brute force of codes is slowed down where it comes from, and locks nobody out.
func TestBruteForceOfCodesIsSlowed(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		admin, victim := f.actor(t, "admin@g2g.example"), f.actor(t, chi)
		code := f.code(t, admin, victim.Person, false)
		limited := false
		for range 30 {
			_, err := f.SignInByCode(t.Context(), chi, "0000-0000-0000-0000", "203.0.113.7", "")
			if limited = errcode.Of(err) == errcode.RateLimited; limited {
				break
			}
		}
		if !limited {
			t.Fatal("one may guess without end")
		}
		_, err := f.SignInByCode(t.Context(), chi, code, "203.0.113.7", "")
		want(t, "the right code while limited", err, errcode.RateLimited)
		if _, err := f.byCode(t, chi, code); err != nil {
			t.Errorf("the victim at another address: %v", err)
		}
	})
}

func TestCodesAreStoredHashed(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		code := f.code(t, f.actor(t, "admin@g2g.example"), f.actor(t, chi).Person, false)
		err := f.db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			var stored []byte
			if err := tx.QueryRow(ctx, `SELECT code_hash FROM directory_one_time_codes`).Scan(&stored); err != nil {
				return err
			}
			if len(stored) != 32 || strings.Contains(string(stored), code[:4]) {
				t.Errorf("stored %q", stored)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestWhoMakesCodes(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		admin, plain := f.actor(t, "admin@g2g.example"), f.actor(t, an)
		_, err := f.MakeCode(t.Context(), plain, f.actor(t, chi).Person, false, false)
		want(t, "somebody without a role", err, errcode.Forbidden)
		_, err = f.MakeCode(t.Context(), plain, "nobody", false, false)
		want(t, "somebody without a role learns who has an account", err, errcode.Forbidden)
		_, err = f.MakeCode(t.Context(), admin, admin.Person, false, false)
		want(t, "for oneself", err, errcode.Forbidden)
		_, err = f.MakeCode(t.Context(), admin, "nobody", false, false)
		want(t, "for nobody", err, errcode.NotFound)
		_, err = f.MakeCode(t.Context(), admin, plain.Person, true, false)
		want(t, "to send where nothing is sent", err, errcode.Unavailable)
	})
}

// whileMaking runs do when the next random bytes are asked for: after the
// permission to make a code was checked, before it is made.
type whileMaking struct{ do func() }

func (w *whileMaking) Read(b []byte) (int, error) {
	if do := w.do; do != nil {
		w.do = nil
		do()
	}
	return rand.Read(b)
}

// Who reached an account before its owner was given a role does not come by the
// role through a code made for the account.
func TestCodeDoesNotOutliveARise(t *testing.T) {
	eachDemo(t, func(t *testing.T, db *sqldb.DB) {
		during := &whileMaking{}
		f := newFixture(t, db, func(c *directory.Config) { c.Rand = during })
		moha, _ := f.places(t)
		admin, victim := f.actor(t, sysAdmin), f.person(t, an)
		f.grant(t, admin, directory.NewAdminGrant{Person: f.person(t, binh), Role: identity.RoleAgencyAdmin, Agency: moha})
		low := f.actor(t, binh)
		rise := func() directory.AdminGrant {
			return f.grant(t, admin, directory.NewAdminGrant{Person: victim, Role: identity.RoleSystemAdmin})
		}
		code := f.code(t, low, victim, false)
		in, err := f.byCode(t, an, code)
		if err != nil {
			t.Fatal(err)
		}
		g := rise()
		_, err = f.byCode(t, an, code)
		want(t, "a code that the agency's administrator holds", err, errcode.Unauthenticated)
		_, err = f.next(t, in.Ticket, directory.Proof{NewPassword: freshPassword})
		want(t, "the sign-in that began by it", err, errcode.Gone)
		if err := f.RemoveAdminGrant(t.Context(), admin, g.ID); err != nil {
			t.Fatal(err)
		}

		// The code of whoever gives the role goes on.
		code = f.code(t, admin, victim, false)
		g = rise()
		if _, err := f.byCode(t, an, code); err != nil {
			t.Errorf("an invitation by whoever gave the role: %v", err)
		}
		if err := f.RemoveAdminGrant(t.Context(), admin, g.ID); err != nil {
			t.Fatal(err)
		}

		during.do = func() { rise() }
		_, err = f.MakeCode(t.Context(), low, victim, false, false)
		want(t, "a code while the role is given", err, errcode.Forbidden)
	})
}

// Who begins next week is invited before that, by the agency's administrator.
func TestInvitationBeforeTheFirstDay(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		moha, _ := f.places(t)
		f.grant(t, f.actor(t, sysAdmin), directory.NewAdminGrant{Person: f.person(t, binh), Role: identity.RoleAgencyAdmin, Agency: moha})
		low := f.actor(t, binh)
		unit, err := f.CreateUnit(t.Context(), low, directory.NewUnit{Agency: moha, Name: "Ban Quản lý"})
		if err != nil {
			t.Fatal(err)
		}
		monday := f.clock.now().Add(7 * 24 * time.Hour)
		p, err := f.CreatePerson(t.Context(), low, directory.NewPerson{Given: "Hoà", Address: "hoa@noivu.g2g.example",
			Position: &directory.NewPosition{Unit: unit.ID, Title: "Chuyên viên", From: &monday}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.CreateAccount(t.Context(), low, p.ID); err != nil {
			t.Fatal(err)
		}
		if code := f.code(t, low, p.ID, false); code == "" {
			t.Error("no code")
		}
	})
}

// A person without an account gets one, and comes in by a code.
func TestInvitation(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		admin := f.actor(t, "admin@g2g.example")
		people, err := f.FindPeople(t.Context(), admin, "", 200)
		if err != nil {
			t.Fatal(err)
		}
		var invited identity.Person
		for _, p := range people {
			if has, err := f.HasAccount(t.Context(), p.ID); err == nil && !has && p.Address != "" {
				invited = p
			}
		}
		if invited.ID == "" {
			all, err := f.FindPeople(t.Context(), f.actor(t, an), "", 200)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range all {
				if has, err := f.HasAccount(t.Context(), p.ID); err == nil && !has && p.Address != "" {
					invited = p
				}
			}
		}
		if invited.ID == "" {
			t.Fatal("the demo has nobody without an account")
		}
		_, err = f.CreateAccount(t.Context(), f.actor(t, an), invited.ID)
		want(t, "by somebody without a role", err, errcode.Forbidden)
		a, err := f.CreateAccount(t.Context(), admin, invited.ID)
		if err != nil || a.Login != invited.Address || a.HasPassword || len(a.Sessions) != 0 {
			t.Fatalf("made %+v, %v", a, err)
		}
		_, err = f.CreateAccount(t.Context(), admin, invited.ID)
		want(t, "a second account", err, errcode.Conflict)

		// There is no password yet, and trying costs what it always costs.
		hashes := f.counter(t, hashesMetric)
		_, err = f.SignIn(t.Context(), directory.SignInRequest{Login: a.Login})
		want(t, "without a password", err, errcode.Unauthenticated)
		if n := f.counter(t, hashesMetric) - hashes; n != 1 {
			t.Errorf("%v hashes", n)
		}
		in, err := f.byCode(t, a.Login, f.code(t, admin, invited.ID, false))
		if err != nil {
			t.Fatal(err)
		}
		if done, err := f.next(t, in.Ticket, directory.Proof{NewPassword: freshPassword}); err != nil || done.Token == "" {
			t.Fatal(err)
		}
		if a, err = f.PersonAccount(t.Context(), admin, invited.ID); err != nil || !a.HasPassword || !a.CodeUntil.IsZero() || len(a.Sessions) != 1 {
			t.Errorf("afterwards %+v, %v", a, err)
		}
	})
}

// mailbag keeps what the system sends.
type mailbag struct{ to, text []string }

func (m *mailbag) SendSystem(_ context.Context, to, _, text string) error {
	m.to, m.text = append(m.to, to), append(m.text, text)
	return nil
}

func TestCodeByOutsideAddress(t *testing.T) {
	eachDemo(t, func(t *testing.T, db *sqldb.DB) {
		bag := &mailbag{}
		f := newFixture(t, db, func(c *directory.Config) { c.Mailer = bag })
		admin, owner := f.actor(t, "admin@g2g.example"), f.actor(t, chi)
		_, err := f.MakeCode(t.Context(), admin, owner.Person, true, false)
		want(t, "without a verified address", err, errcode.Conflict)
		for _, address := range []string{"", "chi", "chi@hanoi.g2g.example", "a@b.example\r\nBcc: x@y.example", "Chi <chi@mail.example>"} {
			want(t, "address "+address, f.SetOutsideAddress(t.Context(), owner, address), errcode.Invalid)
		}
		if err := f.SetOutsideAddress(t.Context(), owner, "Chi.Le@mail.example"); err != nil {
			t.Fatal(err)
		}
		want(t, "another at once", f.SetOutsideAddress(t.Context(), owner, "other@mail.example"), errcode.RateLimited)
		digits := digitsIn(bag.text[0], 8)
		if len(bag.to) != 1 || bag.to[0] != "chi.le@mail.example" || len(digits) != 8 {
			t.Fatalf("sent to %v: %q", bag.to, bag.text)
		}
		_, err = f.MakeCode(t.Context(), admin, owner.Person, true, false)
		want(t, "to an address that nobody verified", err, errcode.Conflict)
		want(t, "a wrong code", f.ConfirmOutsideAddress(t.Context(), owner, "00000000"), errcode.Invalid)
		if err := f.ConfirmOutsideAddress(t.Context(), owner, digits[:4]+" "+digits[4:]); err != nil {
			t.Fatal(err)
		}
		c, err := f.MakeCode(t.Context(), admin, owner.Person, true, false)
		if err != nil || c.Code != "" || c.SentTo != "c…e@mail.example" || len(bag.to) != 2 {
			t.Fatalf("%+v, %v", c, err)
		}
		i := strings.Index(bag.text[1], ": ")
		if in, err := f.byCode(t, chi, bag.text[1][i+2:i+21]); err != nil || in.Ticket == "" {
			t.Errorf("the code that was sent: %v\n%s", err, bag.text[1])
		}

		// Five guesses, then a new code must be asked for.
		f.clock.add(2 * time.Minute)
		if err := f.SetOutsideAddress(t.Context(), owner, "new@mail.example"); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			want(t, "a guess", f.ConfirmOutsideAddress(t.Context(), owner, "1"), errcode.Invalid)
		}
		want(t, "the right code after them", f.ConfirmOutsideAddress(t.Context(), owner, digitsIn(bag.text[2], 8)), errcode.Gone)
		if p, err := f.Profile(t.Context(), owner); err != nil || p.Outside.Address != "chi.le@mail.example" || p.Outside.Pending != "new@mail.example" {
			t.Errorf("the profile says %+v, %v", p.Outside, err)
		}
		if err := f.RemoveOutsideAddress(t.Context(), owner); err != nil {
			t.Fatal(err)
		}
		_, err = f.MakeCode(t.Context(), admin, owner.Person, true, false)
		want(t, "to an address that was removed", err, errcode.Conflict)
		want(t, "a letter to somebody else's address after each removal", f.SetOutsideAddress(t.Context(), owner, "victim@mail.example"), errcode.RateLimited)
		f.clock.add(time.Minute)
		if err := f.SetOutsideAddress(t.Context(), owner, "new@mail.example"); err != nil {
			t.Error(err)
		}
	})
}

// digitsIn finds the first run of n digits.
func digitsIn(text string, n int) string {
	run := ""
	for _, r := range text {
		if r < '0' || r > '9' {
			run = ""
			continue
		}
		if run += string(r); len(run) == n {
			return run
		}
	}
	return ""
}
