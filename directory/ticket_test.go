package directory_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"commsd/audit"
	"commsd/directory"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

const rightly = "246810" // the code of FakeFactors

// withFactor gives login a second factor.
func (f *fixture) withFactor(t *testing.T, login string) *directory.FakeFactors {
	t.Helper()
	factors := &directory.FakeFactors{Offered: []string{"totp", "recovery_code"}, Account: f.actor(t, login).Account, Right: rightly}
	factors.Use(f.Service)
	return factors
}

func (f *fixture) begin(t *testing.T, login string) directory.SignedIn {
	t.Helper()
	in, err := f.SignIn(t.Context(), directory.SignInRequest{Login: login, Password: directory.DemoPassword, Address: "192.0.2.9"})
	if err != nil {
		t.Fatal(err)
	}
	if in.Token != "" || in.Ticket == "" {
		t.Fatalf("the password alone opened a session: %+v", in)
	}
	return in
}

func (f *fixture) next(t *testing.T, ticket string, p directory.Proof) (directory.SignedIn, error) {
	t.Helper()
	return f.SignInNext(t.Context(), directory.NextRequest{Ticket: ticket, Proof: p, Address: "192.0.2.9", UserAgent: "test"})
}

// want fails unless err has the code.
func want(t *testing.T, what string, err error, code errcode.Code) {
	t.Helper()
	if err == nil || errcode.Of(err) != code {
		t.Errorf("%s: %v, want %v", what, err, code)
	}
}

func TestSecondFactorStandsBeforeTheSession(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.withFactor(t, an)
		in := f.begin(t, an)
		if !slices.Equal(in.Next, []string{"totp", "recovery_code"}) {
			t.Errorf("asked for %v", in.Next)
		}
		_, err := f.AuthenticateSession(t.Context(), in.Ticket, "", "")
		want(t, "a ticket for a session", err, errcode.Unauthenticated)
		_, err = f.next(t, in.Ticket, directory.Proof{TOTP: "000000"})
		want(t, "a wrong code", err, errcode.Unauthenticated)
		_, err = f.next(t, in.Ticket, directory.Proof{NewPassword: "con mèo trèo cây cau"})
		want(t, "a new password that was not asked for", err, errcode.Invalid)
		_, err = f.next(t, in.Ticket, directory.Proof{})
		want(t, "no answer", err, errcode.Invalid)
		_, err = f.next(t, in.Ticket, directory.Proof{TOTP: rightly, RecoveryCode: rightly})
		want(t, "two answers", err, errcode.Invalid)

		done, err := f.next(t, in.Ticket, directory.Proof{TOTP: rightly})
		if err != nil || done.Token == "" || done.Ticket != "" {
			t.Fatalf("the right code: %+v, %v", done, err)
		}
		actor, err := f.AuthenticateSession(t.Context(), done.Token, "", "")
		if err != nil || actor.Login != an {
			t.Errorf("signed in as %s, %v", actor.Login, err)
		}
		_, err = f.next(t, in.Ticket, directory.Proof{TOTP: rightly})
		want(t, "the ticket again", err, errcode.Gone)
		if failed := f.failures(t); len(failed) != 1 || failed[0].Detail["step"] != "totp" || failed[0].Object.ID != string(actor.Account) || failed[0].Address != "192.0.2.9" {
			t.Errorf("the wrong code is audited as %+v", failed)
		}
		all, err := f.Sessions(t.Context(), actor)
		if err != nil || !slices.Equal(all[0].Method, []string{"password", "totp"}) {
			t.Errorf("the session was opened by %+v, %v", all, err)
		}
	})
}

// failures lists the failed sign-ins in the log.
func (f *fixture) failures(t *testing.T) []audit.Entry {
	t.Helper()
	return slices.DeleteFunc(f.events(t, "account.sign_in"), func(e audit.Entry) bool { return e.Outcome != audit.Failed })
}

func TestTicketsEnd(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		factors := f.withFactor(t, an)
		for _, ticket := range []string{"", "x", strings.Repeat("A", 43), strings.Repeat("\x00", 43)} {
			_, err := f.next(t, ticket, directory.Proof{TOTP: rightly})
			want(t, "a made-up ticket", err, errcode.Gone)
		}
		late := f.begin(t, an)
		f.clock.add(10*time.Minute + time.Second)
		_, err := f.next(t, late.Ticket, directory.Proof{TOTP: rightly})
		want(t, "after ten minutes", err, errcode.Gone)

		guessed := f.begin(t, an)
		for range 5 {
			_, err := f.next(t, guessed.Ticket, directory.Proof{TOTP: "111111"})
			want(t, "a guess", err, errcode.Unauthenticated)
		}
		_, err = f.next(t, guessed.Ticket, directory.Proof{TOTP: rightly})
		want(t, "the right code after five wrong ones", err, errcode.Gone)

		disabled := f.begin(t, an)
		if err := f.DisableAccount(t.Context(), f.actor(t, "admin@g2g.example"), factors.Account, "left"); err != nil {
			t.Fatal(err)
		}
		_, err = f.next(t, disabled.Ticket, directory.Proof{TOTP: rightly})
		want(t, "of an account that was disabled meanwhile", err, errcode.Unauthenticated)

		f.SweepSessions(t.Context())
		f.clock.add(time.Hour)
		f.SweepSessions(t.Context())
		if n := f.rows(t, "directory_sign_in_tickets"); n != 0 {
			t.Errorf("%d tickets lie about", n)
		}
	})
}

// rows counts those of a table.
func (f *fixture) rows(t *testing.T, table string) int {
	t.Helper()
	var n int
	err := f.db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT COUNT(*) FROM `+table).Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Brute force: whoever has the password guesses at the code by many tickets
// from many addresses, and is slowed down all the same.
func TestBruteForceOfSecondFactorIsSlowed(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.withFactor(t, an)
		limited := false
		for i := range 30 {
			in, err := f.SignIn(t.Context(), directory.SignInRequest{Login: an, Password: directory.DemoPassword, Address: addressOf(i)})
			if err != nil {
				t.Fatal(err)
			}
			_, err = f.SignInNext(t.Context(), directory.NextRequest{Ticket: in.Ticket, Proof: directory.Proof{TOTP: "111111"}, Address: addressOf(i)})
			if limited = errcode.Of(err) == errcode.RateLimited; limited {
				if errcode.RetryAfter(err) <= 0 {
					t.Error("it is not told for how long")
				}
				break
			}
		}
		if !limited {
			t.Fatal("one may guess without end")
		}
		// The owner waits a minute at the most, and nobody else does.
		f.clock.add(time.Minute + time.Second)
		in := f.begin(t, an)
		if done, err := f.next(t, in.Ticket, directory.Proof{TOTP: rightly}); err != nil || done.Token == "" {
			t.Errorf("the owner after a minute: %v", err)
		}
	})
}

func addressOf(i int) string { return "203.0.113." + string(rune('1'+i%9)) }

func TestTicketsAreStoredHashed(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.withFactor(t, an)
		in := f.begin(t, an)
		var stored []byte
		err := f.db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			return tx.QueryRow(ctx, `SELECT token_hash FROM directory_sign_in_tickets`).Scan(&stored)
		})
		if err != nil || len(stored) != 32 || bytes.Contains(stored, []byte(in.Ticket)) {
			t.Errorf("stored %x, %v", stored, err)
		}
	})
}

func TestForcedChangeOfPassword(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		admin, victim := f.actor(t, "admin@g2g.example"), f.actor(t, dung)
		if err := f.RequireNewPassword(t.Context(), admin, victim.Person); err != nil {
			t.Fatal(err)
		}
		_, err := f.AuthenticatePassword(t.Context(), dung, directory.DemoPassword, "192.0.2.1", "imap")
		want(t, "mail while a new password is due", err, errcode.Unauthenticated)
		in := f.begin(t, dung)
		if !slices.Equal(in.Next, []string{"change_password"}) {
			t.Fatalf("asked for %v", in.Next)
		}
		for typed, reason := range map[string]string{
			"ngắn": "too_short", directory.DemoPassword: "context", "passwordpassword": "common", "phamanhdung1985!": "context",
		} {
			_, err := f.next(t, in.Ticket, directory.Proof{NewPassword: typed})
			want(t, typed, err, errcode.Invalid)
			if !strings.Contains(errcode.Message(err), map[string]string{"too_short": "15", "common": "first", "context": "others know"}[reason]) {
				t.Errorf("%q is refused with %q", typed, errcode.Message(err))
			}
		}
		const fresh = "gió đưa cành trúc la đà"
		done, err := f.next(t, in.Ticket, directory.Proof{NewPassword: fresh})
		if err != nil || done.Token == "" {
			t.Fatal(err)
		}
		if again, err := f.SignIn(t.Context(), directory.SignInRequest{Login: dung, Password: fresh}); err != nil || again.Token == "" {
			t.Errorf("with the new password: %+v, %v", again, err)
		}
		if err := f.RequireNewPassword(t.Context(), admin, victim.Person); err != nil {
			t.Fatal(err)
		}
		if in, err = f.SignIn(t.Context(), directory.SignInRequest{Login: dung, Password: fresh}); err != nil {
			t.Fatal(err)
		}
		_, err = f.next(t, in.Ticket, directory.Proof{NewPassword: fresh})
		want(t, "the old password again", err, errcode.Invalid)
		if !strings.Contains(errcode.Message(err), "old one") {
			t.Errorf("it is refused with %q", errcode.Message(err))
		}
		if n := len(f.events(t, "account.change_password")); n != 1 {
			t.Errorf("%d changes in the log", n)
		}
	})
}

func TestChangeOfPasswordEndsWhatTheOldOneOpened(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		here, there := f.actor(t, an), f.actor(t, an)
		otherToken, _ := f.signIn(t, an)
		const fresh = "trăng lên đỉnh núi trăng mờ"
		want(t, "with a wrong old password", f.ChangePassword(t.Context(), here, "wrong", fresh), errcode.Unauthenticated)
		want(t, "to the same", f.ChangePassword(t.Context(), here, directory.DemoPassword, directory.DemoPassword), errcode.Invalid)
		if err := f.ChangePassword(t.Context(), here, directory.DemoPassword, fresh); err != nil {
			t.Fatal(err)
		}
		all, err := f.Sessions(t.Context(), here)
		if err != nil || len(all) != 1 || all[0].ID != here.Session {
			t.Errorf("left are %+v, %v", all, err)
		}
		_, err = f.AuthenticateSession(t.Context(), otherToken, "", "")
		want(t, "another session", err, errcode.Unauthenticated)
		_, err = f.SignIn(t.Context(), directory.SignInRequest{Login: an, Password: directory.DemoPassword})
		want(t, "the old password", err, errcode.Unauthenticated)
		ended := f.revoked(t, here.Account)
		if !slices.Contains(ended, there.Session) || !slices.Contains(ended, identity.PasswordSession) || slices.Contains(ended, here.Session) || slices.Contains(ended, "") {
			t.Errorf("revoked are %v", ended)
		}
	})
}

// revoked lists what of an account was revoked.
func (f *fixture) revoked(t *testing.T, account identity.AccountID) []identity.SessionID {
	t.Helper()
	var out []identity.SessionID
	err := f.db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		out = nil
		rows, err := tx.Query(ctx, `SELECT session_id FROM directory_revocations WHERE account_id = $1 ORDER BY seq`, string(account))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id identity.SessionID
			if err := rows.Scan(&id); err != nil {
				return err
			}
			out = append(out, id)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
