package directory_test

import (
	"context"
	"encoding/base32"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"commsd/directory"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/secret"
	"commsd/internal/sqldb"
	"commsd/internal/testpeer/passkeypeer"
)

const site = "https://comms.example"

// eachFactor is each with all that second factors need, and nobody required to
// have one unless change says so.
func eachFactor(t *testing.T, fn func(t *testing.T, f *factorFixture), change ...func(*directory.Config)) {
	eachDemo(t, func(t *testing.T, db *sqldb.DB) { fn(t, newFactorFixture(t, db, change...)) })
}

// factorFixture is a fixture that keeps what it was made with, for a second node.
type factorFixture struct {
	*fixture
	config directory.Config
}

func newFactorFixture(t *testing.T, db *sqldb.DB, change ...func(*directory.Config)) *factorFixture {
	t.Helper()
	key, err := secret.OpenKey(filepath.Join(t.TempDir(), "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	f := &factorFixture{}
	changes := append([]func(*directory.Config){func(c *directory.Config) {
		c.PublicURL, c.Secrets, c.FreshFor = site, secret.New(db, key), 10*time.Minute
	}}, change...)
	f.fixture = newFixture(t, db, append(changes, func(c *directory.Config) { f.config = *c })...)
	return f
}

// node is a second service over the same database.
func (f *factorFixture) node(t *testing.T) *factorFixture {
	t.Helper()
	cfg := f.config
	cfg.Registerer = nil
	other := *f.fixture
	var err error
	if other.Service, err = directory.New(cfg); err != nil {
		t.Fatal(err)
	}
	return &factorFixture{fixture: &other, config: cfg}
}

// app is an authenticator app.
type app struct{ secret string }

func (a app) code(t *testing.T, at time.Time) string {
	t.Helper()
	code, err := totp.GenerateCode(a.secret, at)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// wrong is a code that no step around at has.
func (a app) wrong(t *testing.T, at time.Time) string {
	t.Helper()
	for n := range 10 {
		code := fmt.Sprintf("%06d", n)
		if code != a.code(t, at) && code != a.code(t, at.Add(-30*time.Second)) && code != a.code(t, at.Add(30*time.Second)) {
			return code
		}
	}
	t.Fatal("every code is right")
	return ""
}

// enrolApp sets up an authenticator app for actor.
func (f *factorFixture) enrolApp(t *testing.T, actor identity.Actor) app {
	t.Helper()
	setup, err := f.BeginTOTP(t.Context(), actor)
	if err != nil {
		t.Fatal(err)
	}
	a := app{setup.Secret}
	if err := f.ConfirmTOTP(t.Context(), actor, a.code(t, f.clock.now())); err != nil {
		t.Fatal(err)
	}
	f.clock.add(time.Minute) // past the step that is taken now
	return a
}

// enrolPasskey registers a passkey for actor.
func (f *factorFixture) enrolPasskey(t *testing.T, actor identity.Actor) (*passkeypeer.Authenticator, directory.Passkey) {
	t.Helper()
	a := passkeypeer.New(site)
	options, err := f.BeginPasskey(t.Context(), actor)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := a.Create(options)
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.AddPasskey(t.Context(), actor, "Khoá của An", answer)
	if err != nil {
		t.Fatal(err)
	}
	return a, p
}

func (f *factorFixture) password(t *testing.T, login string) directory.SignedIn {
	t.Helper()
	in, err := f.SignIn(t.Context(), directory.SignInRequest{Login: login, Password: directory.DemoPassword, Address: "192.0.2.9"})
	if err != nil {
		t.Fatalf("sign in %s: %v", login, err)
	}
	return in
}

func (f *factorFixture) next(t *testing.T, ticket string, p directory.Proof) (directory.SignedIn, error) {
	t.Helper()
	return f.SignInNext(t.Context(), directory.NextRequest{Ticket: ticket, Proof: p, Address: "192.0.2.9"})
}

func mustCode(t *testing.T, what string, err error, want errcode.Code) {
	t.Helper()
	if err == nil || errcode.Of(err) != want {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestSignInByTOTP(t *testing.T) {
	eachFactor(t, func(t *testing.T, f *factorFixture) {
		actor := f.actor(t, an)
		a := f.enrolApp(t, actor)

		in := f.password(t, an)
		if in.Token != "" || strings.Join(in.Next, " ") != "totp" {
			t.Fatalf("%+v", in)
		}
		_, err := f.next(t, in.Ticket, directory.Proof{TOTP: a.wrong(t, f.clock.now())})
		mustCode(t, "a wrong code", err, errcode.Unauthenticated)
		code := a.code(t, f.clock.now())
		done, err := f.next(t, in.Ticket, directory.Proof{TOTP: code})
		if err != nil || done.Token == "" || done.Session.Person.ID != actor.Person {
			t.Fatalf("%+v, %v", done, err)
		}
		_, err = f.next(t, in.Ticket, directory.Proof{TOTP: code})
		mustCode(t, "a ticket twice", err, errcode.Gone)

		// The same code, and one of a step before, are not taken again.
		in = f.password(t, an)
		_, err = f.next(t, in.Ticket, directory.Proof{TOTP: code})
		mustCode(t, "the same code", err, errcode.Unauthenticated)
		_, err = f.next(t, in.Ticket, directory.Proof{TOTP: a.code(t, f.clock.now().Add(-30*time.Second))})
		mustCode(t, "an older code", err, errcode.Unauthenticated)
		if done, err = f.next(t, in.Ticket, directory.Proof{TOTP: a.code(t, f.clock.now().Add(30*time.Second))}); err != nil || done.Token == "" {
			t.Errorf("the code of a clock that is fast: %v", err)
		}

		// The secret is not in the database.
		var sealed []byte
		f.read(t, `SELECT sealed FROM directory_totp`, &sealed)
		if raw, err := base32.StdEncoding.DecodeString(a.secret); err != nil || strings.Contains(string(sealed), string(raw)) || strings.Contains(string(sealed), a.secret) {
			t.Errorf("the secret lies in the clear: %q (%v)", sealed, err)
		}
	})
}

// read scans the one row of a query.
func (f *fixture) read(t *testing.T, query string, into ...any) {
	t.Helper()
	err := f.db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, query).Scan(into...)
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func (f *factorFixture) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	err := f.db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// Many who answer at once on two nodes with one code: one of them gets in.
func TestACodeIsTakenOnceOnTwoNodes(t *testing.T) {
	eachDemo(t, func(t *testing.T, db *sqldb.DB) {
		one := newFactorFixture(t, db, func(c *directory.Config) { c.FreeCodes, c.FreeFailures = 100, 100 })
		two := one.node(t)
		actor := one.actor(t, an)
		a := one.enrolApp(t, actor)
		codes, err := one.NewRecoveryCodes(t.Context(), actor)
		if err != nil {
			t.Fatal(err)
		}
		for what, proof := range map[string]directory.Proof{
			"code of an app": {TOTP: a.code(t, one.clock.now())}, "recovery code": {RecoveryCode: codes[0]},
		} {
			var mu sync.Mutex
			var in int
			var people sync.WaitGroup
			for i := range 8 {
				node := one
				if i%2 == 1 {
					node = two
				}
				ticket := node.password(t, an).Ticket
				people.Go(func() {
					done, err := node.next(t, ticket, proof)
					if err != nil && errcode.Of(err) != errcode.Unauthenticated {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					if done.Token != "" {
						in++
					}
				})
			}
			people.Wait()
			if in != 1 {
				t.Errorf("%s: %d got in", what, in)
			}
		}
	})
}

// Six digits do not stand against many guesses: tickets run out, and a fresh
// ticket, another address or another node waits too.
func TestGuessingCodes(t *testing.T) {
	eachFactor(t, func(t *testing.T, f *factorFixture) {
		a := f.enrolApp(t, f.actor(t, an))
		in := f.password(t, an)
		for range 5 {
			_, err := f.next(t, in.Ticket, directory.Proof{TOTP: a.wrong(t, f.clock.now())})
			mustCode(t, "a guess", err, errcode.Unauthenticated)
			f.clock.add(2 * time.Second)
		}
		_, err := f.next(t, in.Ticket, directory.Proof{TOTP: a.code(t, f.clock.now())})
		mustCode(t, "a ticket after five guesses", err, errcode.Gone)

		other, guesses := f.node(t), 5
		end := f.clock.now().Add(24 * time.Hour)
		for f.clock.now().Before(end) {
			in = other.password(t, an)
			_, err := other.next(t, in.Ticket, directory.Proof{TOTP: a.wrong(t, f.clock.now())})
			f.clock.add(max(errcode.RetryAfter(err), time.Second))
			switch errcode.Of(err) {
			case errcode.RateLimited:
			case errcode.Unauthenticated:
				guesses++
			default:
				t.Fatal(err)
			}
		}
		if guesses > 120 {
			t.Errorf("%d guesses in a day", guesses)
		}
		// The owner waits a while and gets in; nothing is held against them then.
		f.clock.add(15 * time.Minute)
		if done, err := f.next(t, f.password(t, an).Ticket, directory.Proof{TOTP: a.code(t, f.clock.now())}); err != nil || done.Token == "" {
			t.Fatal(err)
		}
		f.clock.add(time.Minute)
		_, err = f.next(t, f.password(t, an).Ticket, directory.Proof{TOTP: a.wrong(t, f.clock.now())})
		mustCode(t, "a guess after that", err, errcode.Unauthenticated)
	})
}

func TestReplacingTheApp(t *testing.T) {
	eachFactor(t, func(t *testing.T, f *factorFixture) {
		actor := f.actor(t, an)
		mustCode(t, "no app yet", f.ConfirmTOTP(t.Context(), actor, "123456"), errcode.Gone)
		old := f.enrolApp(t, actor)
		setup, err := f.BeginTOTP(t.Context(), actor)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(setup.QR, "data:image/svg+xml;base64,") || !strings.HasPrefix(setup.URI, "otpauth://totp/g2g.example:"+an) {
			t.Errorf("%+v", setup)
		}
		fresh := app{setup.Secret}
		mustCode(t, "a wrong code", f.ConfirmTOTP(t.Context(), actor, fresh.wrong(t, f.clock.now())), errcode.Invalid)
		if _, err := f.next(t, f.password(t, an).Ticket, directory.Proof{TOTP: old.code(t, f.clock.now())}); err != nil {
			t.Errorf("the old app until the new one is confirmed: %v", err)
		}
		f.clock.add(time.Minute)
		if err := f.ConfirmTOTP(t.Context(), actor, fresh.code(t, f.clock.now())); err != nil {
			t.Fatal(err)
		}
		_, err = f.next(t, f.password(t, an).Ticket, directory.Proof{TOTP: fresh.code(t, f.clock.now())})
		mustCode(t, "the code that confirmed", err, errcode.Unauthenticated)
		f.clock.add(time.Minute)
		_, err = f.next(t, f.password(t, an).Ticket, directory.Proof{TOTP: old.code(t, f.clock.now())})
		mustCode(t, "the old app", err, errcode.Unauthenticated)
		if _, err := f.next(t, f.password(t, an).Ticket, directory.Proof{TOTP: fresh.code(t, f.clock.now())}); err != nil {
			t.Errorf("the new app: %v", err)
		}
		if _, err := f.BeginTOTP(t.Context(), f.reprove(t, actor)); err != nil {
			t.Fatal(err)
		}
		f.clock.add(31 * time.Minute)
		mustCode(t, "an old QR code", f.ConfirmTOTP(t.Context(), f.reprove(t, actor), "123456"), errcode.Gone)
	})
}

// reprove is actor with a proof of a moment ago.
func (f *factorFixture) reprove(_ *testing.T, actor identity.Actor) identity.Actor {
	actor.ProvenAt = f.clock.now()
	return actor
}

func TestRecoveryCodes(t *testing.T) {
	eachFactor(t, func(t *testing.T, f *factorFixture) {
		actor := f.actor(t, an)
		_, err := f.NewRecoveryCodes(t.Context(), actor)
		mustCode(t, "without a factor", err, errcode.Conflict)
		f.enrolApp(t, actor)
		first, err := f.NewRecoveryCodes(t.Context(), actor)
		if err != nil || len(first) != 10 {
			t.Fatal(first, err)
		}
		in := f.password(t, an)
		if strings.Join(in.Next, " ") != "totp recovery_code" {
			t.Errorf("next %v", in.Next)
		}
		if done, err := f.next(t, in.Ticket, directory.Proof{RecoveryCode: strings.ToUpper(strings.ReplaceAll(first[3], "-", " "))}); err != nil || done.Token == "" {
			t.Fatal(err)
		}
		_, err = f.next(t, f.password(t, an).Ticket, directory.Proof{RecoveryCode: first[3]})
		mustCode(t, "a code twice", err, errcode.Unauthenticated)
		factors, err := f.Factors(t.Context(), actor)
		if err != nil || factors.RecoveryLeft != 9 || !factors.TOTP || factors.Required || factors.PasswordInApp {
			t.Errorf("%+v, %v", factors, err)
		}
		second, err := f.NewRecoveryCodes(t.Context(), actor)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.next(t, f.password(t, an).Ticket, directory.Proof{RecoveryCode: first[0]})
		mustCode(t, "a code of the set before", err, errcode.Unauthenticated)
		if _, err := f.next(t, f.password(t, an).Ticket, directory.Proof{RecoveryCode: second[0]}); err != nil {
			t.Error(err)
		}
		// Another's code opens nothing.
		binh := f.actor(t, "binh@noivu.g2g.example")
		f.enrolApp(t, binh)
		if _, err := f.NewRecoveryCodes(t.Context(), f.reprove(t, binh)); err != nil {
			t.Fatal(err)
		}
		_, err = f.next(t, f.password(t, "binh@noivu.g2g.example").Ticket, directory.Proof{RecoveryCode: second[1]})
		mustCode(t, "another's code", err, errcode.Unauthenticated)
		if n := len(f.events(t, "factor.use")); n != 2 {
			t.Errorf("%d uses of recovery codes are audited", n)
		}
		// Whoever removes the last factor has nothing left to recover.
		if err := f.RemoveTOTP(t.Context(), f.reprove(t, actor)); err != nil {
			t.Fatal(err)
		}
		if in := f.password(t, an); in.Token == "" {
			t.Errorf("after the last factor went: %+v", in)
		}
		var left int
		f.read(t, `SELECT COUNT(*) FROM directory_recovery_codes WHERE account_id = '`+string(actor.Account)+`'`, &left)
		if left != 0 {
			t.Errorf("%d codes are left", left)
		}
	})
}

// Changing factors needs a proof of who one is that is not old.
func TestFactorsNeedAFreshSession(t *testing.T) {
	eachFactor(t, func(t *testing.T, f *factorFixture) {
		actor := f.actor(t, an)
		_, p := f.enrolPasskey(t, actor)
		f.clock.add(11 * time.Minute)
		_, begin := f.BeginTOTP(t.Context(), actor)
		_, codes := f.NewRecoveryCodes(t.Context(), actor)
		_, options := f.BeginPasskey(t.Context(), actor)
		_, add := f.AddPasskey(t.Context(), actor, "", []byte("{}"))
		for what, err := range map[string]error{
			"begin an app": begin, "confirm an app": f.ConfirmTOTP(t.Context(), actor, "123456"), "remove an app": f.RemoveTOTP(t.Context(), actor),
			"recovery codes": codes, "begin a passkey": options, "add a passkey": add,
			"rename a passkey": f.RenamePasskey(t.Context(), actor, p.ID, "x"), "remove a passkey": f.RemovePasskey(t.Context(), actor, p.ID),
		} {
			mustCode(t, what, err, errcode.Locked)
		}
		if n := len(f.events(t, "factor.remove")); n != 0 {
			t.Errorf("%d factors were removed", n)
		}
	})
}

// An administrator without a second factor gets as far as setting one up, and
// does not remove the last.
func TestAdministratorsMustEnrol(t *testing.T) {
	eachFactor(t, func(t *testing.T, f *factorFixture) {
		const boss = "boss@g2g.example"
		if in := f.password(t, "admin@g2g.example"); in.Token == "" {
			t.Errorf("the demo's own administrator: %+v", in)
		}
		f.exec(t, `UPDATE directory_accounts SET login = $1 WHERE login = 'admin@g2g.example'`, boss)
		in := f.password(t, boss)
		if in.Token != "" || strings.Join(in.Next, " ") != "enroll" {
			t.Fatalf("%+v", in)
		}
		_, err := f.next(t, in.Ticket, directory.Proof{TOTP: "123456"})
		mustCode(t, "a code of no app", err, errcode.Gone)
		_, err = f.next(t, in.Ticket, directory.Proof{RecoveryCode: "x"})
		mustCode(t, "a recovery code", err, errcode.Invalid)
		if _, err := f.AuthenticatePassword(t.Context(), boss, directory.DemoPassword, "192.0.2.9", "imap"); errcode.Of(err) != errcode.Unauthenticated {
			t.Errorf("mail by the password alone: %v", err)
		}

		setup, err := f.TicketTOTP(t.Context(), in.Ticket)
		if err != nil {
			t.Fatal(err)
		}
		a := app{setup.Secret}
		_, err = f.next(t, in.Ticket, directory.Proof{TOTP: a.wrong(t, f.clock.now())})
		mustCode(t, "a wrong code", err, errcode.Invalid)
		done, err := f.next(t, in.Ticket, directory.Proof{TOTP: a.code(t, f.clock.now())})
		if err != nil || done.Token == "" {
			t.Fatalf("%+v, %v", done, err)
		}
		actor, err := f.AuthenticateSession(t.Context(), done.Token, "", "192.0.2.9")
		if err != nil {
			t.Fatal(err)
		}
		mustCode(t, "remove the last factor", f.RemoveTOTP(t.Context(), actor), errcode.Conflict)
		key, p := f.enrolPasskey(t, actor)
		if err := f.RemoveTOTP(t.Context(), actor); err != nil {
			t.Errorf("remove one of two: %v", err)
		}
		mustCode(t, "remove the last passkey", f.RemovePasskey(t.Context(), actor, p.ID), errcode.Conflict)
		if factors, err := f.Factors(t.Context(), actor); err != nil || !factors.Required || factors.TOTP || len(factors.Passkeys) != 1 {
			t.Errorf("%+v, %v", factors, err)
		}
		ticket, options, err := f.BeginPasskeySignIn(t.Context(), "192.0.2.9")
		if err != nil {
			t.Fatal(err)
		}
		answer, err := key.Get(options)
		if err != nil {
			t.Fatal(err)
		}
		if in, err := f.SignInByPasskey(t.Context(), directory.NextRequest{Ticket: ticket, Proof: directory.Proof{Passkey: answer}}); err != nil || in.Token == "" {
			t.Errorf("an administrator by passkey: %+v, %v", in, err)
		}
	})
}

// Whoever did not change their factors themselves learns of it by mail.
func TestOwnersAreTold(t *testing.T) {
	eachDemo(t, func(t *testing.T, db *sqldb.DB) {
		bag := &mailbag{}
		f := newFactorFixture(t, db, func(c *directory.Config) { c.Mailer = bag })
		actor := f.actor(t, an)
		f.enrolApp(t, actor)
		_, p := f.enrolPasskey(t, actor)
		codes, err := f.NewRecoveryCodes(t.Context(), actor)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.next(t, f.password(t, an).Ticket, directory.Proof{RecoveryCode: codes[0]}); err != nil {
			t.Fatal(err)
		}
		if err := f.RemovePasskey(t.Context(), actor, p.ID); err != nil {
			t.Fatal(err)
		}
		words := []string{"app was added", "passkey was added", "recovery codes were made", "by a recovery code", "passkey was removed"}
		if len(bag.text) != len(words) {
			t.Fatalf("told %q", bag.text)
		}
		for i, w := range words {
			if bag.to[i] != an || !strings.Contains(bag.text[i], w) || strings.Contains(bag.text[i], codes[0]) {
				t.Errorf("letter %d to %s: %q", i, bag.to[i], bag.text[i])
			}
		}
	})
}

// An agency that demands a second factor of everybody gets it, of its own people
// alone.
func TestAgencyDemandsAFactor(t *testing.T) {
	eachFactor(t, func(t *testing.T, f *factorFixture) {
		moha, _ := f.places(t)
		f.exec(t, `INSERT INTO directory_admin_grants (id, account_id, role, agency_id, unit_id, granted_by, granted_at)
			SELECT 'grant-1', id, 'security_admin', NULL, NULL, '', 0 FROM directory_accounts WHERE login = 'dung@hanoi.g2g.example'`)
		security := f.actor(t, dung)
		policy, err := f.AgencyPolicy(t.Context(), security, moha)
		if err != nil {
			t.Fatal(err)
		}
		actor := f.actor(t, an)
		policy.SignIn.SecondFactor = directory.SecondFactorEverybody
		if _, err := f.SetAgencyPolicy(t.Context(), security, moha, policy); err != nil {
			t.Fatal(err)
		}
		if in := f.password(t, an); in.Token != "" || strings.Join(in.Next, " ") != "enroll" {
			t.Errorf("%+v", in)
		}
		if in := f.password(t, chi); in.Token == "" {
			t.Errorf("another agency's: %+v", in)
		}
		f.enrolApp(t, actor)
		mustCode(t, "the last factor", f.RemoveTOTP(t.Context(), f.reprove(t, actor)), errcode.Conflict)
	})
}

// Where nobody must have a factor, administrators may do without.
func TestNobodyMustEnrol(t *testing.T) {
	eachFactor(t, func(t *testing.T, f *factorFixture) {
		f.exec(t, `UPDATE directory_accounts SET login = 'boss@g2g.example' WHERE login = 'admin@g2g.example'`)
		if in := f.password(t, "boss@g2g.example"); in.Token == "" {
			t.Errorf("%+v", in)
		}
	}, func(c *directory.Config) { c.RequireFactor = directory.RequireFactorNone })
}

// With a second factor the login password opens no mail, and the answer is that
// of a wrong password.
func TestSecondFactorClosesMail(t *testing.T) {
	eachFactor(t, func(t *testing.T, f *factorFixture) {
		imap := func(password string) error {
			_, err := f.AuthenticatePassword(t.Context(), an, password, "192.0.2.9", "imap")
			return err
		}
		open, err := f.AuthenticatePassword(t.Context(), an, directory.DemoPassword, "192.0.2.9", "imap")
		if err != nil {
			t.Fatal(err)
		}
		f.enrolApp(t, f.actor(t, an))
		if !slices.Contains(f.revoked(t, open.Account), identity.PasswordSession) {
			t.Error("what the password opened before goes on")
		}
		_, err = f.AuthenticateAgain(t.Context(), open, "imap")
		mustCode(t, "a connection from before", err, errcode.Unauthenticated)
		right, wrong := imap(directory.DemoPassword), imap("not the password")
		mustCode(t, "mail", right, errcode.Unauthenticated)
		if errcode.Message(right) != errcode.Message(wrong) {
			t.Errorf("%q and %q", errcode.Message(right), errcode.Message(wrong))
		}
	})
}

// An administrator takes the factors of somebody who lost them; the person
// signs in by password and what was set up before is worth nothing.
func TestFactorsAreReset(t *testing.T) {
	eachFactor(t, func(t *testing.T, f *factorFixture) {
		actor := f.actor(t, an)
		f.enrolApp(t, actor)
		a, _ := f.enrolPasskey(t, actor)
		if _, err := f.NewRecoveryCodes(t.Context(), actor); err != nil {
			t.Fatal(err)
		}
		mustCode(t, "by a colleague", f.ResetFactors(t.Context(), f.actor(t, "binh@noivu.g2g.example"), actor.Person), errcode.Forbidden)
		admin := f.actor(t, "admin@g2g.example")
		mustCode(t, "one's own", f.ResetFactors(t.Context(), admin, admin.Person), errcode.Forbidden)
		if err := f.ResetFactors(t.Context(), admin, actor.Person); err != nil {
			t.Fatal(err)
		}
		if in := f.password(t, an); in.Token == "" {
			t.Errorf("%+v", in)
		}
		ticket, options, err := f.BeginPasskeySignIn(t.Context(), "192.0.2.9")
		if err != nil {
			t.Fatal(err)
		}
		answer, err := a.Get(options)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.SignInByPasskey(t.Context(), directory.NextRequest{Ticket: ticket, Proof: directory.Proof{Passkey: answer}})
		mustCode(t, "a passkey of before", err, errcode.Unauthenticated)
		var n int
		f.read(t, `SELECT (SELECT COUNT(*) FROM directory_totp) + (SELECT COUNT(*) FROM directory_passkeys) + (SELECT COUNT(*) FROM directory_recovery_codes)`, &n)
		if n != 0 {
			t.Errorf("%d factors are left", n)
		}
		if e := f.events(t, "account.reset"); len(e) != 3 || e[0].Outcome == e[2].Outcome {
			t.Errorf("audited %+v", e)
		}
	})
}
