package directory_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"commsd/audit"
	"commsd/directory"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

const hashesMetric = "commsd_directory_password_hashes_total"

// An unknown account, a wrong password, a disabled account and an over-long
// password get the same words, and cost the same work: one hash and one audited
// failure.
func TestRefusedSignInsAreAlike(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		admin, dung := f.actor(t, "admin@g2g.example"), f.actor(t, "dung@hanoi.g2g.example")
		if err := f.DisableAccount(t.Context(), admin, dung.Account, "left the office"); err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, c := range []struct{ name, login, password string }{
			{"unknown", "nobody@noivu.g2g.example", directory.DemoPassword},
			{"wrong", "an@noivu.g2g.example", "commsd-demo-onlx"},
			{"disabled", "dung@hanoi.g2g.example", directory.DemoPassword},
			{"over-long", "an@noivu.g2g.example", strings.Repeat("x", 100_000)},
			{"empty", "", ""},
		} {
			hashes, failures := f.counter(t, hashesMetric), len(f.events(t, "account.sign_in"))
			_, err := f.SignIn(t.Context(), directory.SignInRequest{Login: c.login, Password: c.password, Address: "192.0.2.1"})
			if errcode.Of(err) != errcode.Unauthenticated {
				t.Errorf("%s: %v", c.name, err)
			}
			words = append(words, errcode.Message(err))
			if n := f.counter(t, hashesMetric) - hashes; n != 1 {
				t.Errorf("%s: %v hashes", c.name, n)
			}
			if n := len(f.events(t, "account.sign_in")) - failures; n != 1 {
				t.Errorf("%s: %d audited events", c.name, n)
			}
		}
		for _, w := range words {
			if w != words[0] {
				t.Errorf("the answers differ: %q and %q", w, words[0])
			}
		}
		for _, e := range f.events(t, "account.sign_in") {
			if e.Outcome != audit.Failed || e.Address != "192.0.2.1" {
				t.Errorf("audited %+v", e)
			}
		}
	})
}

// Whoever holds a connection for an actor learns when to end it.
func TestActorKnowsWhenTheSessionEnds(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		token, session := f.signIn(t, "an@noivu.g2g.example")
		for _, what := range []string{"from the database", "from the cache"} {
			actor, err := f.AuthenticateSession(t.Context(), token, "", "")
			if err != nil {
				t.Fatal(err)
			}
			// SQL keeps microseconds.
			if d := actor.Until.Sub(session.ExpiresAt).Abs(); d >= time.Microsecond {
				t.Errorf("%s: %v, want %v", what, actor.Until, session.ExpiresAt)
			}
		}
	})
}

func TestSignInsAreAudited(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		token, session := f.signIn(t, "an@noivu.g2g.example")
		actor, err := f.AuthenticateSession(t.Context(), token, "", "192.0.2.9")
		if err != nil {
			t.Fatal(err)
		}
		if err := f.SignOut(t.Context(), actor); err != nil {
			t.Fatal(err)
		}
		for _, action := range []identity.Action{"session.create", "session.end"} {
			events := f.events(t, action)
			if len(events) != 1 {
				t.Fatalf("%s: %d events", action, len(events))
			}
			e := events[0]
			if e.Account != actor.Account || e.Person != actor.Person || e.Position != actor.Position || e.Agency != actor.Agency ||
				e.Object != (identity.ObjectRef{Kind: "session", ID: string(session.ID)}) || e.Outcome != audit.OK || e.Address != "192.0.2.9" {
				t.Errorf("%s is audited as %+v", action, e)
			}
			if strings.Contains(fmt.Sprint(e), token) || strings.Contains(fmt.Sprint(e), directory.DemoPassword) {
				t.Errorf("%s holds a secret: %+v", action, e)
			}
		}
	})
}

// What was typed into the wrong field is not kept.
func TestFailedLoginThatIsNoAddressOfOursIsNotRecorded(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, login := range []string{"my secret password", "S3cret@2026!", "nobody@noivu.g2g.example", "an\n\x1b[2J\u202e@noivu.g2g.example"} {
			if _, err := f.AuthenticatePassword(t.Context(), login, "x", "192.0.2.1", "imap"); errcode.Of(err) != errcode.Unauthenticated {
				t.Fatal(err)
			}
		}
		events := f.events(t, "account.sign_in")
		if len(events) != 4 || events[0].Detail["login"] != "" || events[1].Detail["login"] != "" ||
			events[2].Detail["login"] != "nobody@noivu.g2g.example" || events[2].Detail["scope"] != "imap" ||
			events[3].Detail["login"] != "an\ufffd\ufffd[2j\ufffd@noivu.g2g.example" {
			t.Errorf("audited %+v", events)
		}
	})
}

func TestBruteForceIsSlowedWithoutLockingOut(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const login = "an@noivu.g2g.example"
		limited := false
		for range 30 {
			_, err := f.AuthenticatePassword(t.Context(), login, "guess", "203.0.113.7", "smtp")
			if limited = errcode.Of(err) == errcode.RateLimited; limited {
				break
			}
		}
		if !limited {
			t.Fatal("one may guess without end")
		}
		hashes := f.counter(t, hashesMetric)
		if _, err := f.AuthenticatePassword(t.Context(), login, directory.DemoPassword, "203.0.113.7", "smtp"); errcode.Of(err) != errcode.RateLimited {
			t.Errorf("the right password while limited: %v; it must tell the guesser nothing", err)
		}
		if f.counter(t, hashesMetric) != hashes {
			t.Error("a limited attempt costs a hash")
		}
		if _, err := f.AuthenticatePassword(t.Context(), login, directory.DemoPassword, "192.0.2.1", "smtp"); err != nil {
			t.Errorf("the victim at another address: %v", err)
		}
		f.clock.add(2 * time.Minute)
		if _, err := f.AuthenticatePassword(t.Context(), login, directory.DemoPassword, "203.0.113.7", "smtp"); err != nil {
			t.Errorf("after the delay: %v", err)
		}
	})
}

// A token that a request brings to sign-in is never taken over, and its session
// ends.
func TestSessionFixation(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		victim := directory.SignInRequest{Login: "an@noivu.g2g.example", Password: directory.DemoPassword, Address: "192.0.2.1"}

		// Planted by an attacker: a session of his own.
		planted, _ := f.signIn(t, "chi@hanoi.g2g.example")
		victim.OldToken = planted
		in, err := f.SignIn(t.Context(), victim)
		if err != nil {
			t.Fatal(err)
		}
		if in.Token == planted {
			t.Fatal("the planted token became the victim's")
		}
		if _, err := f.AuthenticateSession(t.Context(), planted, "", ""); errcode.Of(err) != errcode.Unauthenticated {
			t.Errorf("the planted token still opens a session: %v", err)
		}
		// Planted: a token that was never given out.
		victim.OldToken = strings.Repeat("A", len(in.Token))
		in, err = f.SignIn(t.Context(), victim)
		if err != nil || in.Token == victim.OldToken {
			t.Fatal(in.Token, err)
		}
		if _, err := f.AuthenticateSession(t.Context(), victim.OldToken, "", ""); errcode.Of(err) != errcode.Unauthenticated {
			t.Errorf("a made-up token opens a session: %v", err)
		}
		actor, err := f.AuthenticateSession(t.Context(), in.Token, "", "")
		if err != nil || actor.Login != victim.Login {
			t.Errorf("the victim is %+v, %v", actor, err)
		}
	})
}

func TestOnlyTheHashOfATokenIsStored(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		token, session := f.signIn(t, "an@noivu.g2g.example")
		if len(token) != 43 { // 256 bits
			t.Errorf("token of %d characters", len(token))
		}
		sum := sha256.Sum256([]byte(token))
		err := f.db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			var stored []byte
			if err := tx.QueryRow(ctx, `SELECT token_hash FROM directory_sessions WHERE id = $1`, string(session.ID)).Scan(&stored); err != nil {
				return err
			}
			if !bytes.Equal(stored, sum[:]) {
				t.Errorf("stored %x, want %x", stored, sum)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestSessionLasts12Hours(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		token, session := f.signIn(t, "an@noivu.g2g.example")
		if d := session.ExpiresAt.Sub(f.clock.now()); d != 12*time.Hour {
			t.Errorf("the session lasts %v", d)
		}
		actor, err := f.AuthenticateSession(t.Context(), token, "", "")
		if err != nil {
			t.Fatal(err)
		}
		f.clock.add(12*time.Hour - time.Second)
		if _, err := f.AuthenticateSession(t.Context(), token, "", ""); err != nil {
			t.Errorf("a second before its end: %v", err)
		}
		f.clock.add(time.Second)
		if _, err := f.AuthenticateSession(t.Context(), token, "", ""); errcode.Of(err) != errcode.Unauthenticated {
			t.Errorf("at its end, from memory: %v", err)
		}
		if _, err := f.CurrentSession(t.Context(), actor); errcode.Of(err) != errcode.Unauthenticated {
			t.Errorf("at its end, described: %v", err)
		}
	})
}

func TestActivePosition(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		token, session := f.signIn(t, "an@noivu.g2g.example")
		_, other := f.signIn(t, "chi@hanoi.g2g.example")
		if len(session.Positions) != 2 || session.Positions[0].Kind != directory.KindMain || session.Positions[1].Kind != directory.KindConcurrent {
			t.Fatalf("positions %+v", session.Positions)
		}
		for _, c := range []struct {
			ask  identity.PositionID
			want identity.PositionID
		}{{"", session.Positions[0].ID}, {session.Positions[1].ID, session.Positions[1].ID}} {
			actor, err := f.AuthenticateSession(t.Context(), token, c.ask, "")
			if err != nil || actor.Position != c.want || actor.Agency != session.Positions[0].Agency {
				t.Errorf("asked for %q: %+v, %v", c.ask, actor, err)
			}
		}
		for _, bad := range []identity.PositionID{other.Positions[0].ID, "nonsense"} {
			if _, err := f.AuthenticateSession(t.Context(), token, bad, ""); errcode.Of(err) != errcode.Forbidden {
				t.Errorf("acting as %q: %v", bad, err)
			}
		}
		admin := f.actor(t, "admin@g2g.example")
		if admin.Position != "" || admin.Agency != "" || len(admin.Grants) != 1 || admin.Grants[0] != (identity.Grant{Role: identity.RoleSystemAdmin}) {
			t.Errorf("the administrator acts as %+v", admin)
		}
	})
}

func TestMalformedTokens(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, token := range []string{"", "x", strings.Repeat("é", 43), strings.Repeat("\x00", 43), strings.Repeat("A", 1<<20)} {
			if _, err := f.AuthenticateSession(t.Context(), token, "", ""); errcode.Of(err) != errcode.Unauthenticated {
				t.Errorf("token of %d bytes: %v", len(token), err)
			}
		}
	})
}

// A hash of a lower cost is replaced at the next sign-in, once.
func TestRehashWhenTheCostRises(t *testing.T) {
	eachDemo(t, func(t *testing.T, db *sqldb.DB) {
		newFixture(t, db)
		f := newFixture(t, db, func(c *directory.Config) {
			c.Passwords = directory.PasswordParams{MemoryKiB: 128, Passes: 2, Lanes: 1}
		})
		stored := func() (hash string) {
			err := db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
				return tx.QueryRow(ctx, `SELECT password_hash FROM directory_accounts WHERE login = 'an@noivu.g2g.example'`).Scan(&hash)
			})
			if err != nil {
				t.Fatal(err)
			}
			return hash
		}
		if h := stored(); !strings.Contains(h, "$m=64,t=1,p=1$") {
			t.Fatalf("stored %s", h)
		}
		f.signIn(t, "an@noivu.g2g.example")
		raised := stored()
		if !strings.Contains(raised, "$m=128,t=2,p=1$") {
			t.Errorf("after a sign-in at a higher cost: %s", raised)
		}
		f.signIn(t, "an@noivu.g2g.example")
		if stored() != raised {
			t.Error("a hash of today's cost was replaced")
		}
	})
}

func TestDisableAccount(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		admin, an, chi := f.actor(t, "admin@g2g.example"), f.actor(t, "an@noivu.g2g.example"), f.actor(t, "chi@hanoi.g2g.example")
		token, session := f.signIn(t, "chi@hanoi.g2g.example")
		active := func() (bool, error) { return f.SessionActive(t.Context(), chi.Account, session.ID) }
		if _, err := f.AuthenticateSession(t.Context(), token, "", ""); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name  string
			actor identity.Actor
			id    identity.AccountID
			want  errcode.Code
		}{
			{"by an official", an, chi.Account, errcode.Forbidden},
			{"one's own", admin, admin.Account, errcode.Forbidden},
			{"of nobody", admin, "nobody", errcode.NotFound},
		} {
			if err := f.DisableAccount(t.Context(), c.actor, c.id, "test"); errcode.Of(err) != c.want {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
		if active, err := active(); err != nil || !active {
			t.Fatal("refused disabling did something", err)
		}
		if err := f.DisableAccount(t.Context(), admin, chi.Account, "lost laptop"); err != nil {
			t.Fatal(err)
		}
		if err := f.DisableAccount(t.Context(), admin, chi.Account, "again"); err != nil {
			t.Errorf("disabling twice: %v", err)
		}
		if active, err := active(); err != nil || active {
			t.Error("the session is still active", err)
		}
		if _, err := f.AuthenticateSession(t.Context(), token, "", ""); errcode.Of(err) != errcode.Unauthenticated {
			t.Errorf("its session: %v", err)
		}
		var outcomes []string
		for _, e := range f.events(t, "account.disable") {
			outcomes = append(outcomes, e.Outcome)
		}
		if fmt.Sprint(outcomes) != "[denied denied ok]" {
			t.Errorf("audited %v", outcomes)
		}
	})
}

// A session stands from sign-in to its end or expiry, for its own account.
func TestSessionActive(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		an, chi := f.actor(t, "an@noivu.g2g.example"), f.actor(t, "chi@hanoi.g2g.example")
		check := func(when string, account identity.AccountID, session identity.SessionID, want bool) {
			t.Helper()
			if got, err := f.SessionActive(t.Context(), account, session); err != nil || got != want {
				t.Errorf("%s: %v, %v", when, got, err)
			}
		}
		check("signed in", an.Account, an.Session, true)
		check("another's account", chi.Account, an.Session, false)
		check("no session", an.Account, "", false)
		if err := f.SignOut(t.Context(), an); err != nil {
			t.Fatal(err)
		}
		check("signed out", an.Account, an.Session, false)
		check("another's session", chi.Account, chi.Session, true)
		f.clock.add(12 * time.Hour)
		check("expired", chi.Account, chi.Session, false)
	})
}

// The revocation and the audit row stand or fall with the end of the session.
func TestSignOutIsOneTransaction(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		actor := f.actor(t, "an@noivu.g2g.example")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := f.SignOut(ctx, actor); !errors.Is(err, context.Canceled) {
			t.Fatalf("a cancelled sign-out: %v", err)
		}
		if n := len(f.events(t, "session.end")); n != 0 {
			t.Errorf("%d ends are audited of a session that goes on", n)
		}
		if err := f.SignOut(t.Context(), actor); err != nil {
			t.Fatal(err)
		}
		if err := f.SignOut(t.Context(), actor); err != nil {
			t.Errorf("ending twice: %v", err)
		}
		if n := len(f.events(t, "session.end")); n != 1 {
			t.Errorf("%d ends are audited", n)
		}
	})
}
