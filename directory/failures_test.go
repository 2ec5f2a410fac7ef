package directory_test

import (
	"strings"
	"testing"

	"commsd/audit"
	"commsd/directory"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
)

// The auditors of an agency see who could not come in at its accounts and its
// domains, by whichever way.
func TestFailedSignInsBelongToAnAgency(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		admin, anActor, chiActor := f.actor(t, "admin@g2g.example"), f.actor(t, an), f.actor(t, chi)
		ministry, hanoi := anActor.Agency, chiActor.Agency
		if ministry == "" || hanoi == "" || ministry == hanoi {
			t.Fatalf("the demo's agencies are %q and %q", ministry, hanoi)
		}
		forLDAP, _ := f.appPassword(t, f.actor(t, an), "ldap")
		f.withFactor(t, chi)
		signIn := func(login string) func() error {
			return func() error {
				_, err := f.SignIn(t.Context(), directory.SignInRequest{Login: login, Password: "sai", Address: "192.0.2.1"})
				return err
			}
		}
		program := func(login, password, scope string) func() error {
			return func() error { _, err := f.mail(t, login, password, scope); return err }
		}
		for _, c := range []struct {
			what  string
			try   func() error
			owner identity.AgencyID
		}{
			{"a password at the page", signIn(an), ministry},
			{"a login nobody has, of an agency's domain", signIn("khong.ai@hanoi.g2g.example"), hanoi},
			{"a login nobody has, of no agency's domain", signIn("khong.ai@example.net"), ""},
			{"a login without a domain", signIn("khong.ai"), ""},
			{"an account without a position or a domain of an agency", signIn("admin@g2g.example"), ""},
			{"IMAP", program(an, "sai", "imap"), ministry},
			{"SMTP", program(chi, "sai", "smtp"), hanoi},
			{"LDAP", program(chi, "sai", "ldap"), hanoi},
			{"an app password for something else", program(an, forLDAP, "imap"), ministry},
			{"an app password of somebody else", program(chi, forLDAP, "ldap"), hanoi},
			{"a one-time code", func() error { _, err := f.byCode(t, an, "AAAA-AAAA-AAAA-AAAA"); return err }, ministry},
			{"a second factor", func() error {
				_, err := f.next(t, f.begin(t, chi).Ticket, directory.Proof{TOTP: "000000"})
				return err
			}, hanoi},
		} {
			before := len(f.failures(t))
			if err := c.try(); errcode.Of(err) != errcode.Unauthenticated {
				t.Errorf("%s: %v", c.what, err)
				continue
			}
			failed := f.failures(t)
			if len(failed) != before+1 {
				t.Errorf("%s: %d failures are recorded", c.what, len(failed)-before)
				continue
			}
			if e := failed[before]; e.Owner != c.owner || e.Agency != "" || e.Account != "" {
				t.Errorf("%s: recorded for %q (want %q), as done by %q of %q", c.what, e.Owner, c.owner, e.Account, e.Agency)
			}
		}

		// What an administrator from above does or was refused is the
		// agency's to know, too.
		if _, err := f.MakeCode(t.Context(), admin, anActor.Person, false, false); err != nil {
			t.Fatal(err)
		}
		if err := f.EndSessionsOf(t.Context(), admin, chiActor.Person); err != nil {
			t.Fatal(err)
		}
		for action, owner := range map[identity.Action]identity.AgencyID{"account.reset": ministry, "account.end_sessions": hanoi} {
			if e := f.events(t, action); len(e) != 1 || e[0].Owner != owner || e[0].Outcome != audit.OK {
				t.Errorf("%s is recorded as %+v", action, e)
			}
		}
	})
}

// The owner learns that a recovery code was used even where the sign-in asks
// for more, and before it is complete.
func TestOwnerIsToldOfARecoveryCodeBeforeTheNewPassword(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		bag := &mailbag{}
		f := newFactorFixture(t, db, func(c *directory.Config) { c.Mailer = bag })
		actor := f.actor(t, an)
		f.enrolApp(t, actor)
		codes, err := f.NewRecoveryCodes(t.Context(), actor)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.RequireNewPassword(t.Context(), f.actor(t, "admin@g2g.example"), actor.Person); err != nil {
			t.Fatal(err)
		}
		before := len(bag.text)
		in, err := f.next(t, f.password(t, an).Ticket, directory.Proof{RecoveryCode: codes[0]})
		if err != nil || in.Token != "" || strings.Join(in.Next, " ") != "change_password" {
			t.Fatalf("after the recovery code: %+v, %v", in, err)
		}
		if len(bag.text) != before+1 || bag.to[before] != an || !strings.Contains(bag.text[before], "by a recovery code") {
			t.Errorf("told %q: %q", bag.to[before:], bag.text[before:])
		}
		if in, err = f.next(t, in.Ticket, directory.Proof{NewPassword: freshPassword}); err != nil || in.Token == "" {
			t.Fatal(err)
		}
		if len(bag.text) != before+1 {
			t.Errorf("told once more: %q", bag.text[before+1:])
		}
	})
}
