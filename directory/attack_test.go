package directory_test

import (
	"testing"
	"time"

	"commsd/directory"
	"commsd/internal/errcode"
)

// Two sign-ins that must set up a second factor are under way, one of them by
// somebody who only stole the password. Once the owner has set theirs up, the
// other neither replaces it nor gets in.
func TestTheFirstFactorIsNotReplacedByASignIn(t *testing.T) {
	eachFactor(t, func(t *testing.T, f *factorFixture) {
		const an = "x@noivu.g2g.example" // accounts of the demo are exempt
		f.exec(t, `UPDATE directory_accounts SET login = $1 WHERE login = 'an@noivu.g2g.example'`, an)
		thief, owner := f.password(t, an).Ticket, f.password(t, an).Ticket
		theirs, err := f.TicketTOTP(t.Context(), thief)
		if err != nil {
			t.Fatal(err)
		}
		setup, err := f.TicketTOTP(t.Context(), owner)
		if err != nil {
			t.Fatal(err)
		}
		phone := app{setup.Secret}
		done, err := f.next(t, owner, directory.Proof{TOTP: phone.code(t, f.clock.now())})
		if err != nil || done.Token == "" {
			t.Fatalf("%+v, %v", done, err)
		}
		_, err = f.next(t, thief, directory.Proof{TOTP: app{theirs.Secret}.code(t, f.clock.now())})
		mustCode(t, "the secret from before", err, errcode.Gone)
		if theirs, err = f.TicketTOTP(t.Context(), thief); err == nil {
			_, err = f.next(t, thief, directory.Proof{TOTP: app{theirs.Secret}.code(t, f.clock.now())})
		}
		mustCode(t, "a secret of later", err, errcode.Gone)
		f.clock.add(time.Minute)
		in := f.password(t, an)
		if in, err = f.next(t, in.Ticket, directory.Proof{TOTP: phone.code(t, f.clock.now())}); err != nil || in.Token == "" {
			t.Errorf("the owner's app lets in no more: %+v, %v", in, err)
		}
	}, func(c *directory.Config) { c.RequireFactor = directory.RequireFactorAll })
}
