package directory_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"commsd/audit"
	"commsd/directory"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/testpeer/passkeypeer"
)

func TestPasskeySignsInAlone(t *testing.T) {
	eachFactor(t, func(t *testing.T, f *factorFixture) {
		actor := f.actor(t, an)
		a, p := f.enrolPasskey(t, actor)
		signIn := func(change func(*directory.NextRequest)) (directory.SignedIn, error) {
			t.Helper()
			ticket, options, err := f.BeginPasskeySignIn(t.Context(), "192.0.2.9")
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(options), "allowCredentials") {
				t.Errorf("the options name credentials: %s", options)
			}
			answer, err := a.Get(options)
			if err != nil {
				t.Fatal(err)
			}
			rq := directory.NextRequest{Ticket: ticket, Proof: directory.Proof{Passkey: answer}, Address: "192.0.2.9"}
			if change != nil {
				change(&rq)
			}
			return f.SignInByPasskey(t.Context(), rq)
		}
		var used directory.NextRequest
		in, err := signIn(func(rq *directory.NextRequest) { used = *rq })
		if err != nil || in.Session.Person.ID != actor.Person {
			t.Fatalf("%+v, %v", in, err)
		}
		_, err = f.SignInByPasskey(t.Context(), used)
		mustCode(t, "the same answer again", err, errcode.Gone)
		_, err = signIn(func(rq *directory.NextRequest) { rq.Proof = used.Proof })
		mustCode(t, "the same answer to another ticket", err, errcode.Unauthenticated)
		_, err = signIn(func(rq *directory.NextRequest) { rq.Proof.Passkey = []byte(`{"id":1}`) })
		mustCode(t, "no credential at all", err, errcode.Unauthenticated)
		_, err = signIn(func(*directory.NextRequest) { f.clock.add(5*time.Minute + time.Second) })
		mustCode(t, "after five minutes", err, errcode.Unauthenticated)

		a.Unverified = true
		_, err = signIn(nil)
		mustCode(t, "an unverified person", err, errcode.Unauthenticated)
		a.Unverified, a.NoHandle = false, true
		_, err = signIn(nil)
		mustCode(t, "no handle", err, errcode.Unauthenticated)
		a.NoHandle, a.Origin = false, "https://comms.example.evil"
		_, err = signIn(nil)
		mustCode(t, "another site", err, errcode.Unauthenticated)
		a.Origin = site

		// A password alone does not get in any more.
		if in := f.password(t, an); in.Token != "" || strings.Join(in.Next, " ") != "passkey" {
			t.Errorf("%+v", in)
		}
		if err := f.RenamePasskey(t.Context(), f.reprove(t, actor), p.ID, "  Máy tính cơ quan "); err != nil {
			t.Error(err)
		}
		if _, err := signIn(nil); err != nil {
			t.Fatal(err)
		}
		factors, err := f.Factors(t.Context(), actor)
		if err != nil || len(factors.Passkeys) != 1 || factors.Passkeys[0].Name != "Máy tính cơ quan" || !factors.Passkeys[0].Used.Equal(f.clock.now()) ||
			factors.Passkeys[0].Carrier != "internal" || factors.Passkeys[0].Synced {
			t.Errorf("%+v, %v", factors, err)
		}
		admin := f.actor(t, "admin@g2g.example")
		if err := f.DisableAccount(t.Context(), admin, actor.Account, "left"); err != nil {
			t.Fatal(err)
		}
		_, disabled := signIn(nil)
		mustCode(t, "a disabled account", disabled, errcode.Unauthenticated)
		f.exec(t, `UPDATE directory_accounts SET disabled_at = NULL`)
		if err := f.RemovePasskey(t.Context(), f.reprove(t, f.actorOf(actor)), p.ID); err != nil {
			t.Fatal(err)
		}
		_, removed := signIn(nil)
		mustCode(t, "a removed passkey", removed, errcode.Unauthenticated)
		if errcode.Message(disabled) != errcode.Message(removed) {
			t.Errorf("%q and %q", errcode.Message(disabled), errcode.Message(removed))
		}
	})
}

// actorOf is the owner of an account whose session has ended.
func (f *factorFixture) actorOf(actor identity.Actor) identity.Actor {
	actor.Session = ""
	return actor
}

func TestPasskeyAsSecondFactor(t *testing.T) {
	eachFactor(t, func(t *testing.T, f *factorFixture) {
		actor := f.actor(t, an)
		a, _ := f.enrolPasskey(t, actor)
		a.NoHandle = true
		ticket := f.password(t, an).Ticket
		prove := func(change func(*directory.Proof)) (directory.SignedIn, error) {
			t.Helper()
			options, create, err := f.TicketPasskey(t.Context(), ticket)
			if err != nil || create {
				t.Fatal(create, err)
			}
			answer, err := a.Get(options)
			if err != nil {
				t.Fatal(err)
			}
			p := directory.Proof{Passkey: answer}
			if change != nil {
				change(&p)
			}
			return f.next(t, ticket, p)
		}
		var wrong directory.Proof
		a.Origin = "https://evil.example"
		_, err := prove(func(p *directory.Proof) { wrong = *p })
		mustCode(t, "another site", err, errcode.Unauthenticated)
		_, err = f.next(t, ticket, wrong)
		mustCode(t, "options that were answered", err, errcode.Unauthenticated)
		a.Origin = site

		// Another person's passkey is no second factor of An's.
		b, _ := f.enrolPasskey(t, f.actor(t, "binh@noivu.g2g.example"))
		_, err = prove(func(p *directory.Proof) {
			_, options, err := f.BeginPasskeySignIn(t.Context(), "192.0.2.9")
			if err != nil {
				t.Fatal(err)
			}
			if p.Passkey, err = b.Get(options); err != nil {
				t.Fatal(err)
			}
		})
		mustCode(t, "another's passkey", err, errcode.Unauthenticated)
		in, err := prove(nil)
		if err != nil || in.Session.Person.ID != actor.Person {
			t.Fatalf("%+v, %v", in, err)
		}

		// A copy of the authenticator is refused, and recorded.
		a.Stuck = true
		ticket = f.password(t, an).Ticket
		_, err = prove(nil)
		mustCode(t, "a copy", err, errcode.Unauthenticated)
		found := false
		for _, e := range f.events(t, "account.sign_in") {
			found = found || e.Outcome == audit.Failed && e.Detail["reason"] == "passkey_cloned" && e.Object.ID == string(actor.Account)
		}
		if !found {
			t.Error("a copy is not audited")
		}
	})
}

func TestPasskeyUnlocks(t *testing.T) {
	eachFactor(t, func(t *testing.T, f *factorFixture) {
		server := newServer(t, f.fixture, false)
		p := newPage(t, server)
		p.call("POST", "/api/v1/sessions", map[string]string{"login": an, "password": directory.DemoPassword}, nil)
		if resp := p.call("POST", "/api/v1/sessions/current/unlock/passkey", struct{}{}, nil); resp.StatusCode != http.StatusConflict {
			t.Errorf("without a passkey: %s", resp.Status)
		}
		var options struct{ Options any }
		if resp := p.call("POST", "/api/v1/account/passkeys/options", struct{}{}, &options); resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
		a := passkeypeer.New(site)
		if resp := p.call("POST", "/api/v1/account/passkeys", map[string]any{"name": "", "credential": answerOf(t, a.Create, options.Options)}, nil); resp.StatusCode != http.StatusCreated {
			t.Fatal(resp.Status)
		}
		f.clock.add(16 * time.Minute)
		var s struct{ Locked bool }
		if p.call("GET", "/api/v1/sessions/current", nil, &s); !s.Locked {
			t.Fatal("the session is not locked")
		}
		if resp := p.call("GET", "/api/v1/account/factors", nil, nil); resp.StatusCode != http.StatusLocked {
			t.Errorf("factors of a locked session: %s", resp.Status)
		}
		unlock := func(change func()) *http.Response {
			t.Helper()
			if resp := p.call("POST", "/api/v1/sessions/current/unlock/passkey", struct{}{}, &options); resp.StatusCode != http.StatusOK {
				t.Fatal(resp.Status)
			}
			answer := answerOf(t, a.Get, options.Options)
			if change != nil {
				change()
			}
			resp := p.call("POST", "/api/v1/sessions/current/unlock", map[string]any{"passkey": answer}, nil)
			if resp.StatusCode == http.StatusNoContent {
				if again := p.call("POST", "/api/v1/sessions/current/unlock", map[string]any{"passkey": answer}, nil); again.StatusCode != http.StatusGone {
					t.Errorf("the same answer again: %s", again.Status)
				}
			}
			return resp
		}
		a.Origin = "https://evil.example"
		if resp := unlock(nil); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("another site: %s", resp.Status)
		}
		a.Origin = site
		if resp := unlock(func() { f.clock.add(5 * time.Minute) }); resp.StatusCode != http.StatusGone {
			t.Errorf("after five minutes: %s", resp.Status)
		}
		// What was begun in one session is not answered in another.
		q := newPage(t, server)
		var ticket struct {
			Ticket  string
			Options any
		}
		q.call("POST", "/api/v1/sessions/passkey/options", struct{}{}, &ticket)
		if resp := q.call("POST", "/api/v1/sessions/passkey", map[string]any{"ticket": ticket.Ticket, "credential": answerOf(t, a.Get, ticket.Options)}, nil); resp.StatusCode != http.StatusCreated {
			t.Fatal(resp.Status)
		}
		if resp := q.call("POST", "/api/v1/sessions/current/unlock/passkey", struct{}{}, &options); resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
		if resp := p.call("POST", "/api/v1/sessions/current/unlock", map[string]any{"passkey": answerOf(t, a.Get, options.Options)}, nil); resp.StatusCode != http.StatusGone {
			t.Errorf("another session's answer: %s", resp.Status)
		}
		if resp := unlock(nil); resp.StatusCode != http.StatusNoContent {
			t.Fatalf("unlock: %s", resp.Status)
		}
		if resp := p.call("POST", "/api/v1/account/recovery-codes", struct{}{}, nil); resp.StatusCode != http.StatusCreated {
			t.Errorf("a fresh session: %s", resp.Status)
		}
	}, func(c *directory.Config) { c.IdleLock = 15 * time.Minute })
}

// Nobody touches a passkey that is not their own.
func TestOthersPasskeys(t *testing.T) {
	eachFactor(t, func(t *testing.T, f *factorFixture) {
		actor := f.actor(t, an)
		a, p := f.enrolPasskey(t, actor)
		binh := f.actor(t, "binh@noivu.g2g.example")
		mustCode(t, "rename", f.RenamePasskey(t.Context(), binh, p.ID, "x"), errcode.NotFound)
		mustCode(t, "remove", f.RemovePasskey(t.Context(), binh, p.ID), errcode.NotFound)
		mustCode(t, "remove none", f.RemoveTOTP(t.Context(), binh), errcode.NotFound)

		// A registration is answered in the session that began it.
		options, err := f.BeginPasskey(t.Context(), binh)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := a.Create(options)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.AddPasskey(t.Context(), actor, "x", answer)
		mustCode(t, "another session's registration", err, errcode.Gone)
		if _, err := f.AddPasskey(t.Context(), binh, "", answer); err != nil {
			t.Fatal(err)
		}
		_, err = f.AddPasskey(t.Context(), binh, "x", answer)
		mustCode(t, "a registration twice", err, errcode.Gone)
		for range 16 {
			if _, err := f.BeginPasskey(t.Context(), binh); err != nil {
				t.Fatal(err)
			}
		}
		_, err = f.BeginPasskey(t.Context(), binh)
		mustCode(t, "very many registrations", err, errcode.RateLimited)
		f.clock.add(6 * time.Minute)
		if _, err := f.BeginPasskey(t.Context(), binh); err != nil {
			t.Error(err)
		}
	})
}

func TestEnrolByPasskey(t *testing.T) {
	eachFactor(t, func(t *testing.T, f *factorFixture) {
		f.exec(t, `UPDATE directory_accounts SET login = 'x@noivu.g2g.example' WHERE login = $1`, an)
		ticket := f.password(t, "x@noivu.g2g.example").Ticket
		a := passkeypeer.New(site)
		options, create, err := f.TicketPasskey(t.Context(), ticket)
		if err != nil || !create {
			t.Fatal(create, err)
		}
		answer, err := a.Create(options)
		if err != nil {
			t.Fatal(err)
		}
		f.clock.add(5 * time.Minute)
		_, err = f.next(t, ticket, directory.Proof{Passkey: answer})
		mustCode(t, "after five minutes", err, errcode.Unauthenticated)
		if options, _, err = f.TicketPasskey(t.Context(), ticket); err != nil {
			t.Fatal(err)
		}
		if answer, err = passkeypeer.New(site).Create(options); err != nil {
			t.Fatal(err)
		}
		done, err := f.SignInNext(t.Context(), directory.NextRequest{Ticket: ticket, Proof: directory.Proof{Passkey: answer}, Name: "Khoá mới"})
		if err != nil || done.Token == "" {
			t.Fatalf("%+v, %v", done, err)
		}
		if n := len(f.events(t, "factor.add")); n != 1 {
			t.Errorf("%d audited", n)
		}
	}, func(c *directory.Config) { c.RequireFactor = directory.RequireFactorAll })
}

// One place that asks for passkey options without end is slowed down.
func TestPasskeyOptionsAreLimited(t *testing.T) {
	eachFactor(t, func(t *testing.T, f *factorFixture) {
		for i := range 6 {
			_, _, err := f.BeginPasskeySignIn(t.Context(), "192.0.2.77")
			if i < 5 && err != nil {
				t.Fatal(err)
			}
			if i == 5 {
				mustCode(t, "the sixth", err, errcode.RateLimited)
			}
		}
		if _, _, err := f.BeginPasskeySignIn(t.Context(), "192.0.2.78"); err != nil {
			t.Errorf("another place: %v", err)
		}
	}, func(c *directory.Config) { c.AddressBurst = 5 })
}

// An installation that is reached by an address says so, and takes codes.
func TestNoPasskeysAtAnAddress(t *testing.T) {
	eachFactor(t, func(t *testing.T, f *factorFixture) {
		actor := f.actor(t, an)
		_, err := f.BeginPasskey(t.Context(), actor)
		mustCode(t, "a passkey", err, errcode.Unavailable)
		_, _, err = f.BeginPasskeySignIn(t.Context(), "192.0.2.9")
		mustCode(t, "a sign-in", err, errcode.Unavailable)
		f.enrolApp(t, actor)
		if factors, err := f.Factors(t.Context(), actor); err != nil || factors.PasskeysHere || !factors.TOTP {
			t.Errorf("%+v, %v", factors, err)
		}
	}, func(c *directory.Config) { c.PublicURL = "https://192.0.2.1" })
}

// answerOf has an authenticator answer options that came as JSON.
func answerOf(t *testing.T, do func([]byte) ([]byte, error), options any) any {
	t.Helper()
	text, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := do(text)
	if err != nil {
		t.Fatal(err)
	}
	return json.RawMessage(answer)
}
