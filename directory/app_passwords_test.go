package directory_test

import (
	"bytes"
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"commsd/directory"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

func (f *fixture) appPassword(t *testing.T, actor identity.Actor, scopes ...string) (string, directory.AppPassword) {
	t.Helper()
	secret, a, err := f.MakeAppPassword(t.Context(), actor, "Thunderbird ở cơ quan", scopes, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return secret, a
}

func (f *fixture) mail(t *testing.T, login, password, scope string) (identity.Actor, error) {
	t.Helper()
	return f.AuthenticatePassword(t.Context(), login, password, "192.0.2.1", scope)
}

func TestAppPasswordOpensItsScopes(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		owner := f.actor(t, an)
		f.actor(t, chi)
		secret, made := f.appPassword(t, owner, "smtp", "imap")
		if !regexp.MustCompile(`^([0-9a-hjkmnp-tv-z]{4}-){5}[0-9a-hjkmnp-tv-z]{4}$`).MatchString(secret) {
			t.Errorf("shown as %q", secret)
		}
		if !slices.Equal(made.Scopes, []string{"imap", "smtp"}) {
			t.Errorf("for %v", made.Scopes)
		}
		hashes := f.counter(t, hashesMetric)
		for _, typed := range []string{secret, strings.ReplaceAll(secret, "-", ""), strings.ToUpper(strings.ReplaceAll(secret, "-", " "))} {
			actor, err := f.mail(t, an, typed, "imap")
			if err != nil || actor.Person != owner.Person || actor.Session != identity.SessionID("app:"+made.ID) || actor.Position != owner.Position {
				t.Errorf("%q: %+v, %v", typed, actor, err)
			}
		}
		if n := f.counter(t, hashesMetric) - hashes; n != 0 {
			t.Errorf("%v hashes", n)
		}
		for what, try := range map[string][3]string{
			"another scope":    {an, secret, "ldap"},
			"another's login":  {chi, secret, "imap"},
			"unknown login":    {"nobody@noivu.g2g.example", secret, "imap"},
			"a wrong one":      {an, "aaaa-bbbb-cccc-dddd-eeee-ffff", "imap"},
			"a wrong password": {an, "wrong", "imap"},
		} {
			hashes, failed := f.counter(t, hashesMetric), len(f.failures(t))
			_, err := f.mail(t, try[0], try[1], try[2])
			want(t, what, err, errcode.Unauthenticated)
			if n := f.counter(t, hashesMetric) - hashes; n != 1 {
				t.Errorf("%s: %v hashes", what, n)
			}
			if n := len(f.failures(t)) - failed; n != 1 {
				t.Errorf("%s: %d audited failures", what, n)
			}
		}
		// At a page it is worth nothing.
		_, err := f.SignIn(t.Context(), directory.SignInRequest{Login: an, Password: secret})
		want(t, "at a page", err, errcode.Unauthenticated)
	})
}

// Where a second factor is asked for, the login password opens no mail; the
// words are those of a wrong one.
func TestLoginPasswordDoesNotGoAroundTheSecondFactor(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		owner := f.actor(t, an)
		secret, _ := f.appPassword(t, owner, "imap")
		if actor, err := f.mail(t, an, directory.DemoPassword, "imap"); err != nil || actor.Session != identity.PasswordSession {
			t.Fatalf("without a second factor: %+v, %v", actor, err)
		}
		f.withFactor(t, an)
		hashes := f.counter(t, hashesMetric)
		_, right := f.mail(t, an, directory.DemoPassword, "imap")
		if n := f.counter(t, hashesMetric) - hashes; n != 1 {
			t.Errorf("%v hashes", n)
		}
		_, wrong := f.mail(t, an, "wrong", "imap")
		want(t, "the login password", right, errcode.Unauthenticated)
		if errcode.Message(right) != errcode.Message(wrong) {
			t.Errorf("the right one is told by %q", errcode.Message(right))
		}
		if _, err := f.mail(t, an, secret, "imap"); err != nil {
			t.Errorf("the app password: %v", err)
		}
	})
}

func TestAppPasswordsEnd(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		owner, other := f.actor(t, an), f.actor(t, chi)
		secret, made := f.appPassword(t, owner, "imap")
		kept, _ := f.appPassword(t, owner, "imap")
		want(t, "by another", f.EndAppPassword(t.Context(), other, made.ID), errcode.NotFound)
		if err := f.EndAppPassword(t.Context(), owner, made.ID); err != nil {
			t.Fatal(err)
		}
		want(t, "twice", f.EndAppPassword(t.Context(), owner, made.ID), errcode.NotFound)
		_, err := f.mail(t, an, secret, "imap")
		want(t, "ended", err, errcode.Unauthenticated)
		if _, err := f.mail(t, an, kept, "imap"); err != nil {
			t.Errorf("another one: %v", err)
		}
		if got := f.revoked(t, owner.Account); !slices.Equal(got, []identity.SessionID{identity.SessionID("app:" + made.ID)}) {
			t.Errorf("revoked are %v", got)
		}

		soon, _, err := f.MakeAppPassword(t.Context(), owner, "tạm", []string{"imap"}, f.clock.now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.mail(t, an, soon, "imap"); err != nil {
			t.Errorf("before its time: %v", err)
		}
		f.clock.add(time.Hour + time.Second)
		_, err = f.mail(t, an, soon, "imap")
		want(t, "after its time", err, errcode.Unauthenticated)

		if err := f.DisableAccount(t.Context(), f.actor(t, "admin@g2g.example"), owner.Account, "left"); err != nil {
			t.Fatal(err)
		}
		_, err = f.mail(t, an, kept, "imap")
		want(t, "of a disabled account", err, errcode.Unauthenticated)
	})
}

// A connection that stays is asked for again: by then the roles, the post, the
// app password or the agency's mind may have changed.
func TestAuthenticateAgain(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		moha, _ := f.places(t)
		admin, owner := f.actor(t, sysAdmin), f.actor(t, an)
		f.grant(t, admin, directory.NewAdminGrant{Person: f.person(t, binh), Role: identity.RoleSecurityAdmin, Agency: moha})
		security := f.actor(t, binh)
		secret, made := f.appPassword(t, owner, "ldap")
		actor, err := f.mail(t, an, secret, "ldap")
		if err != nil {
			t.Fatal(err)
		}
		again := func(a identity.Actor, scope string) (identity.Actor, error) {
			return f.AuthenticateAgain(t.Context(), a, scope)
		}
		if a, err := again(actor, "ldap"); err != nil || a.Position != owner.Position || a.Session != actor.Session || a.Address != actor.Address || len(a.Grants) != 0 {
			t.Fatalf("%+v, %v", a, err)
		}
		_, err = again(actor, "imap")
		want(t, "for what it is not", err, errcode.Unauthenticated)
		g := f.grant(t, admin, directory.NewAdminGrant{Person: owner.Person, Role: identity.RoleAgencyAdmin, Agency: moha})
		if a, err := again(actor, "ldap"); err != nil || len(a.Grants) != 1 {
			t.Errorf("with a role: %+v, %v", a, err)
		}
		if err := f.RemoveAdminGrant(t.Context(), admin, g.ID); err != nil {
			t.Fatal(err)
		}
		if a, err := again(actor, "ldap"); err != nil || len(a.Grants) != 0 {
			t.Errorf("without it: %+v, %v", a, err)
		}

		p, err := f.AgencyPolicy(t.Context(), owner, moha)
		if err != nil {
			t.Fatal(err)
		}
		for _, allowed := range []bool{false, true} {
			p.SignIn.AppPasswords = allowed
			if _, err := f.SetAgencyPolicy(t.Context(), security, moha, p); err != nil {
				t.Fatal(err)
			}
			if _, err := again(actor, "ldap"); (err == nil) != allowed {
				t.Errorf("where programs may sign in is %v: %v", allowed, err)
			}
		}

		soon, _, err := f.MakeAppPassword(t.Context(), owner, "tạm", []string{"ldap"}, f.clock.now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		short, err := f.mail(t, an, soon, "ldap")
		if err != nil {
			t.Fatal(err)
		}
		byPassword, err := f.mail(t, an, directory.DemoPassword, "ldap")
		if err != nil {
			t.Fatal(err)
		}
		f.clock.add(time.Hour + time.Second)
		_, err = again(short, "ldap")
		want(t, "after its time", err, errcode.Unauthenticated)
		if _, err := again(byPassword, "ldap"); err != nil {
			t.Errorf("by the login password: %v", err)
		}
		f.withFactor(t, an)
		_, err = again(byPassword, "ldap")
		want(t, "by the login password, once there is a second factor", err, errcode.Unauthenticated)
		if _, err := again(actor, "ldap"); err != nil {
			t.Errorf("the app password: %v", err)
		}
		if err := f.EndAppPassword(t.Context(), owner, made.ID); err != nil {
			t.Fatal(err)
		}
		_, err = again(actor, "ldap")
		want(t, "ended", err, errcode.Unauthenticated)
		if err := f.DisableAccount(t.Context(), admin, security.Account, "left"); err != nil {
			t.Fatal(err)
		}
		security.Session = identity.PasswordSession
		_, err = again(security, "ldap")
		want(t, "of a disabled account", err, errcode.Unauthenticated)
	})
}

func TestAppPasswordsAreListedAndBounded(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		owner := f.actor(t, an)
		secret, made := f.appPassword(t, owner, "imap")
		for what, rq := range map[string]struct {
			name    string
			scopes  []string
			expires time.Time
		}{
			"no name":       {" ", []string{"imap"}, time.Time{}},
			"no scope":      {"x", nil, time.Time{}},
			"unknown scope": {"x", []string{"web"}, time.Time{}},
			"past":          {"x", []string{"imap"}, f.clock.now().Add(-time.Second)},
			"long name":     {strings.Repeat("x", 101), []string{"imap"}, time.Time{}},
		} {
			_, _, err := f.MakeAppPassword(t.Context(), owner, rq.name, rq.scopes, rq.expires)
			want(t, what, err, errcode.Invalid)
		}
		used := func() time.Time {
			t.Helper()
			all, err := f.AppPasswords(t.Context(), owner)
			if err != nil || len(all) != 1 || all[0].ID != made.ID || all[0].Name != "Thunderbird ở cơ quan" {
				t.Fatalf("%+v, %v", all, err)
			}
			return all[0].LastUsed
		}
		if !used().IsZero() {
			t.Error("used before it was")
		}
		if _, err := f.mail(t, an, secret, "imap"); err != nil {
			t.Fatal(err)
		}
		first := used()
		f.clock.add(30 * time.Second)
		if _, err := f.mail(t, an, secret, "imap"); err != nil {
			t.Fatal(err)
		}
		if !used().Equal(first) {
			t.Error("written twice within a minute")
		}
		f.clock.add(31 * time.Second)
		if _, err := f.mail(t, an, secret, "imap"); err != nil {
			t.Fatal(err)
		}
		if got := used(); !got.Equal(f.clock.now().UTC()) {
			t.Errorf("last used %v, want %v", got, f.clock.now())
		}
		err := f.db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			var mac []byte
			if err := tx.QueryRow(ctx, `SELECT mac FROM directory_app_passwords`).Scan(&mac); err != nil {
				return err
			}
			if len(mac) != 32 || bytes.Contains(mac, []byte(secret[:4])) {
				t.Errorf("stored %x", mac)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 49 {
			f.appPassword(t, owner, "imap")
		}
		_, _, err = f.MakeAppPassword(t.Context(), owner, "one more", []string{"imap"}, time.Time{})
		want(t, "the 51st", err, errcode.Conflict)
	})
}

// An agency may let no programs sign in at all.
func TestAgencyForbidsPrograms(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		owner, other := f.actor(t, an), f.actor(t, chi)
		secret, _ := f.appPassword(t, owner, "imap")
		elsewhere, _ := f.appPassword(t, other, "imap")
		security := f.actor(t, "admin@g2g.example")
		security.Grants = append(security.Grants, identity.Grant{Role: identity.RoleSecurityAdmin})
		policy, err := f.AgencyPolicy(t.Context(), security, owner.Agency)
		if err != nil {
			t.Fatal(err)
		}
		policy.SignIn.AppPasswords = false
		if _, err := f.SetAgencyPolicy(t.Context(), security, owner.Agency, policy); err != nil {
			t.Fatal(err)
		}
		for what, typed := range map[string]string{"the app password": secret, "the login password": directory.DemoPassword} {
			_, err := f.mail(t, an, typed, "imap")
			want(t, what, err, errcode.Unauthenticated)
		}
		_, _, err = f.MakeAppPassword(t.Context(), owner, "x", []string{"imap"}, time.Time{})
		want(t, "a new one", err, errcode.Forbidden)
		if _, err := f.mail(t, chi, elsewhere, "imap"); err != nil {
			t.Errorf("in another agency: %v", err)
		}
		if _, err := f.SignIn(t.Context(), directory.SignInRequest{Login: an, Password: directory.DemoPassword}); err != nil {
			t.Errorf("at a page: %v", err)
		}
	})
}
