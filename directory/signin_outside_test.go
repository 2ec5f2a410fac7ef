package directory_test

import (
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"commsd/audit"
	"commsd/directory"
	"commsd/directory/oidc"
	"commsd/internal/httpapi"
	"commsd/internal/sqldb"
	"commsd/internal/testpeer/oidcpeer"
)

// outside is a node, a provider of An's domain, and a browser.
type outside struct {
	*factorFixture
	t      *testing.T
	peer   *oidcpeer.Provider
	server *httptest.Server
	client *http.Client
}

func eachOutside(t *testing.T, fn func(t *testing.T, o *outside), change ...func(*directory.Config)) {
	eachDemo(t, func(t *testing.T, db *sqldb.DB) {
		// The server's address is known before the service is made.
		server := httptest.NewUnstartedServer(nil)
		public := "http://" + server.Listener.Addr().String()
		peer := oidcpeer.New(t)
		peer.RedirectURL = public + "/api/v1/sessions/oidc/noivu/callback"
		peer.Claims = map[string]any{"sub": "subject-of-an", "email": an, "email_verified": true}
		o := &outside{t: t, peer: peer, server: server}
		o.factorFixture = newFactorFixture(t, db, append(change, func(c *directory.Config) {
			c.PublicURL = public
			c.Providers = append(c.Providers, oidc.Config{ID: "noivu", Name: "Cổng Bộ Nội vụ", Issuer: peer.URL, ClientID: peer.ClientID,
				ClientSecret: peer.ClientSecret, Domains: []string{"noivu.g2g.example"}, MFA: []string{"mfa"}})
		})...)
		api := httpapi.New(httpapi.Config{Title: "commsd", Version: "test", Authenticator: o.Service, Log: slog.New(slog.DiscardHandler)})
		o.Routes(api)
		server.Config.Handler = api.Handler()
		server.Start()
		t.Cleanup(server.Close)
		o.client = o.browser()
		fn(t, o)
	})
}

func (o *outside) browser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		o.t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// open opens an address and returns where it sends the browser.
func (o *outside) open(address string) *url.URL {
	o.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = o.server.URL + address
	}
	res, err := o.client.Get(address)
	if err != nil {
		o.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusSeeOther {
		o.t.Fatalf("%s answers %s", address, res.Status)
	}
	to, err := res.Location()
	if err != nil {
		o.t.Fatal(err)
	}
	return to
}

// signIn goes the whole way and returns the page that is opened at the end.
func (o *outside) signIn(query string) *url.URL {
	o.t.Helper()
	at := o.open("/api/v1/sessions/oidc/noivu" + query)
	if !strings.HasPrefix(at.String(), o.peer.URL) {
		return at
	}
	return o.open(o.peer.SignIn(at.String()).String())
}

// signedIn tells whether the browser has a session.
func (o *outside) signedIn() bool {
	o.t.Helper()
	res, err := o.client.Get(o.server.URL + "/api/v1/sessions/current")
	if err != nil {
		o.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}

func fragment(u *url.URL) url.Values {
	v, err := url.ParseQuery(u.EscapedFragment())
	if err != nil {
		return nil
	}
	return v
}

// refused is a sign-in that ends at the sign-in page, for the reason given.
func (o *outside) refused(what, code string) {
	o.t.Helper()
	o.client = o.browser()
	at := o.signIn("")
	if at.Path != "/sign-in" || fragment(at).Get("error") != code || fragment(at).Get("message") == "" || fragment(at).Get("provider") != "Cổng Bộ Nội vụ" || o.signedIn() {
		o.t.Errorf("%s: sent to %s", what, at)
	}
}

func TestSignInByAProvider(t *testing.T) {
	eachOutside(t, func(t *testing.T, o *outside) {
		at := o.signIn("?to=%2Fchat%3Fa%3D1&login=" + an)
		if at.Path != "/chat" || at.RawQuery != "a=1" || at.Host != strings.TrimPrefix(o.server.URL, "http://") || !o.signedIn() {
			t.Fatalf("sent to %s", at)
		}
		if e := o.events(t, "session.create"); len(e) != 1 || e[0].Detail["method"] != "oidc" {
			t.Errorf("audited %+v", e)
		}
		if e := o.events(t, "account.link"); len(e) != 1 || e[0].Detail["subject"] != "subject-of-an" {
			t.Errorf("audited %+v", e)
		}
		// The link holds whatever the provider calls the person later, and nobody
		// else of the provider gets in by the address.
		o.client = o.browser()
		o.peer.Claims = map[string]any{"sub": "subject-of-an"}
		if at := o.signIn(""); at.Path != "/" || !o.signedIn() {
			t.Errorf("linked: sent to %s", at)
		}
		o.peer.Claims = map[string]any{"sub": "another", "email": an, "email_verified": true}
		o.refused("another person with the same address", "forbidden")
		if n := len(o.events(t, "account.link")); n != 1 {
			t.Errorf("%d links", n)
		}
		// An administrator ends the link with the factors; then the new one holds.
		admin := o.actor(t, "admin@g2g.example")
		if err := o.ResetFactors(t.Context(), admin, o.person(t, an)); err != nil {
			t.Fatal(err)
		}
		o.client = o.browser()
		if at := o.signIn(""); at.Path != "/" || !o.signedIn() {
			t.Errorf("after the link was ended: sent to %s", at)
		}
	})
}

func TestRefusedByProviders(t *testing.T) {
	eachOutside(t, func(t *testing.T, o *outside) {
		good := maps.Clone(o.peer.Claims)
		count := func() (p, a int) {
			o.read(t, `SELECT (SELECT COUNT(*) FROM directory_people), (SELECT COUNT(*) FROM directory_accounts)`, &p, &a)
			return p, a
		}
		people, accounts := count()
		for what, change := range map[string]map[string]any{
			"another domain":   {"email": "chi@hanoi.g2g.example"},
			"unverified":       {"email_verified": false},
			"nobody's address": {"email": "nobody@noivu.g2g.example"},
		} {
			o.peer.Claims = maps.Clone(good)
			maps.Copy(o.peer.Claims, change)
			o.refused(what, "forbidden")
		}
		o.peer.Claims = good
		o.peer.Refuse = "access_denied"
		o.refused("the provider's no", "unauthenticated")
		o.peer.Refuse = ""
		if p, a := count(); p != people || a != accounts {
			t.Errorf("a provider made people: %d, %d", p-people, a-accounts)
		}
		o.exec(t, `UPDATE directory_accounts SET disabled_at = 1 WHERE login = $1`, an)
		o.refused("a disabled account", "unauthenticated")
		o.exec(t, `UPDATE directory_accounts SET disabled_at = NULL WHERE login = $1`, an)
		if at := o.signIn(""); at.Path != "/" || !o.signedIn() {
			t.Fatalf("sent to %s", at)
		}
		// The account moved to a domain that the provider does not speak for.
		o.exec(t, `UPDATE directory_accounts SET login = 'an@hanoi.g2g.example' WHERE login = $1`, an)
		o.refused("an account that moved", "forbidden")
		failed := 0
		moha, _ := o.places(t)
		for _, e := range o.events(t, "account.sign_in") {
			if e.Outcome == audit.Failed && e.Detail["provider"] == "noivu" {
				failed++
				if e.Owner != moha { // of the account, of the login, or of the provider's domain
					t.Errorf("a failure of %q is told to the auditors of %q", e.Object.ID, e.Owner)
				}
			}
		}
		if failed != 6 {
			t.Errorf("%d failures are audited", failed)
		}
	})
}

func TestStateOfAnotherBrowser(t *testing.T) {
	eachOutside(t, func(t *testing.T, o *outside) {
		start := func() string {
			t.Helper()
			return o.peer.SignIn(o.open("/api/v1/sessions/oidc/noivu").String()).String()
		}
		gone := func(what, address string) {
			t.Helper()
			if at := o.open(address); at.Path != "/sign-in" || fragment(at).Get("error") != "gone" || o.signedIn() {
				t.Errorf("%s: sent to %s", what, at)
			}
		}
		back := start()
		o.client = o.browser()
		gone("a link that somebody else sent", back)

		back = start()
		if at := o.open(back); at.Path != "/" || !o.signedIn() {
			t.Fatalf("sent to %s", at)
		}
		o.client = o.browser()
		gone("the same answer again", back)

		// A cookie that was kept is worth nothing once it was used.
		back = start()
		jar := o.client.Jar.Cookies(mustParse(t, o.server.URL))
		o.open(back)
		o.client = o.browser()
		o.client.Jar.SetCookies(mustParse(t, o.server.URL), jar)
		gone("the cookie again", back)

		// The state of one sign-in does not end another of the same browser.
		first := start()
		start()
		if at := o.open(first); at.Path != "/sign-in" || fragment(at).Get("error") != "unauthenticated" || o.signedIn() {
			t.Errorf("the sign-in before: sent to %s", at)
		}
		back = start()
		o.clock.add(11 * 60 * 1e9)
		gone("after eleven minutes", back)
	})
}

func mustParse(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Nobody is sent to another site, whatever the address says.
func TestOpenRedirects(t *testing.T) {
	eachOutside(t, func(t *testing.T, o *outside) {
		for _, to := range []string{
			"https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "/%0d%0aSet-Cookie:x=1",
			"/\t/evil.example", "evil.example", "http:evil.example", "/api/v1/sessions/current", " //evil.example", "///evil.example", strings.Repeat("/a", 600),
		} {
			o.client = o.browser()
			at := o.open("/api/v1/sessions/oidc/noivu?to=" + url.QueryEscape(to))
			if at.Host != strings.TrimPrefix(o.peer.URL, "http://") {
				continue // refused at once, or sent to our own sign-in page
			}
			at = o.open(o.peer.SignIn(at.String()).String())
			// What is written as a line break stays written so.
			if at.Host != strings.TrimPrefix(o.server.URL, "http://") || at.EscapedPath() != "/" && at.EscapedPath() != "/%0d%0aSet-Cookie:x=1" {
				t.Errorf("%q: sent to %s", to, at)
			}
		}
	}, func(c *directory.Config) { c.AddressBurst = 1000 })
}

// The second factor of an account stays needed unless the provider shows one
// that it was configured to be believed about.
func TestProviderAndSecondFactor(t *testing.T) {
	eachOutside(t, func(t *testing.T, o *outside) {
		a := o.enrolApp(t, o.actor(t, an))
		at := o.signIn("?to=/mail")
		if at.Path != "/sign-in" || at.Query().Get("to") != "/mail" || fragment(at).Get("next") != "totp" || o.signedIn() {
			t.Fatalf("sent to %s", at)
		}
		// The ticket is the browser's own: a link takes nobody else on.
		if fragment(at).Has("ticket") {
			t.Errorf("the address has the ticket: %s", at)
		}
		proof := `{"ticket":"","totp":"` + a.code(t, o.clock.now()) + `"}`
		answered := func(browser *http.Client) int {
			t.Helper()
			res, err := browser.Post(o.server.URL+"/api/v1/sessions/next", "application/json", strings.NewReader(proof))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			return res.StatusCode
		}
		if got := answered(o.browser()); got != http.StatusGone {
			t.Errorf("another browser is answered %d", got)
		}
		if got := answered(o.client); got != http.StatusCreated || !o.signedIn() {
			t.Errorf("the browser that came back is answered %d", got)
		}
		o.peer.Claims["amr"] = []string{"pwd"}
		if at := o.signIn(""); fragment(at).Get("next") != "totp" {
			t.Errorf("with a password at the provider: sent to %s", at)
		}
		o.peer.Claims["amr"] = []string{"pwd", "mfa"}
		if at := o.signIn(""); at.Path != "/" || !o.signedIn() {
			t.Errorf("with two factors at the provider: sent to %s", at)
		}
	})
}

func TestAdministratorsByAProvider(t *testing.T) {
	eachOutside(t, func(t *testing.T, o *outside) {
		const boss = "boss@noivu.g2g.example"
		o.exec(t, `UPDATE directory_accounts SET login = $1 WHERE login = 'admin@g2g.example'`, boss)
		o.peer.Claims = map[string]any{"sub": "boss", "email": boss, "email_verified": true}
		if at := o.signIn(""); fragment(at).Get("next") != "enroll" || o.signedIn() {
			t.Errorf("one factor: sent to %s", at)
		}
		o.peer.Claims["amr"] = []string{"mfa"}
		if at := o.signIn(""); at.Path != "/" || !o.signedIn() {
			t.Errorf("two at the provider: sent to %s", at)
		}
	})
}

// A provider that is away keeps nobody from signing in by password.
func TestProviderThatIsAway(t *testing.T) {
	eachOutside(t, func(t *testing.T, o *outside) {
		o.peer.Stop()
		at := o.signIn("?to=/chat")
		if at.Path != "/sign-in" || at.Query().Get("to") != "/chat" || fragment(at).Get("error") != "unavailable" || !strings.Contains(fragment(at).Get("message"), "Cổng Bộ Nội vụ") {
			t.Errorf("sent to %s", at)
		}
		if in := o.password(t, an); in.Token == "" {
			t.Errorf("%+v", in)
		}
	})
}

// Who has an account is not told: the domain alone decides.
func TestProvidersOfADomain(t *testing.T) {
	eachOutside(t, func(t *testing.T, o *outside) {
		p := newPage(t, o.server)
		for login, want := range map[string]int{
			an: 1, "nobody@noivu.g2g.example": 1, "AN@NOIVU.G2G.EXAMPLE": 1, "chi@hanoi.g2g.example": 0, "an@x.noivu.g2g.example": 0, "": 0, "noivu.g2g.example": 0,
		} {
			var out struct {
				Providers []struct{ ID, Name, Path string }
			}
			res := p.call("POST", "/api/v1/sessions/providers", map[string]string{"login": login}, &out)
			if res.StatusCode != http.StatusOK || len(out.Providers) != want || want == 1 && out.Providers[0].Path != "/api/v1/sessions/oidc/noivu" {
				t.Errorf("%q: %s %+v", login, res.Status, out)
			}
		}
		if res := p.call("GET", "/api/v1/sessions/oidc/another", nil, nil); res.StatusCode != http.StatusNotFound {
			t.Errorf("an unknown provider: %s", res.Status)
		}
		if res := p.call("GET", "/api/v1/sessions/oidc/another/callback?state=x&code=y", nil, nil); res.StatusCode != http.StatusNotFound {
			t.Errorf("an unknown provider's callback: %s", res.Status)
		}
	})
}
