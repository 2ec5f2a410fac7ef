package directory_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"commsd/directory"
	"commsd/internal/httpapi"
)

// page is a browser: it keeps its cookie.
type page struct {
	t      *testing.T
	server *httptest.Server
	client *http.Client
	cookie *http.Cookie
}

func newServer(t *testing.T, f *fixture, secure bool, more ...func(*httpapi.API)) *httptest.Server {
	t.Helper()
	api := httpapi.New(httpapi.Config{Title: "commsd", Version: "test", Secure: secure, Authenticator: f.Service, Log: slog.New(slog.DiscardHandler)})
	f.Routes(api)
	for _, fn := range more {
		fn(api)
	}
	server := httptest.NewServer(api.Handler())
	t.Cleanup(server.Close)
	return server
}

func newPage(t *testing.T, server *httptest.Server) *page {
	return &page{t: t, server: server, client: server.Client()}
}

// call sends body as JSON and reads the answer into out; both may be nil.
func (p *page) call(method, path string, body, out any) *http.Response {
	p.t.Helper()
	if body == nil {
		return p.send(method, path, "", "", out)
	}
	b, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.send(method, path, "application/json", string(b), out)
}

// send is call with a body of any type; "" sends none.
func (p *page) send(method, path, contentType, body string, out any) *http.Response {
	p.t.Helper()
	rq, err := http.NewRequestWithContext(p.t.Context(), method, p.server.URL+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if contentType != "" {
		rq.Header.Set("Content-Type", contentType)
	}
	if p.cookie != nil {
		rq.AddCookie(&http.Cookie{Name: p.cookie.Name, Value: p.cookie.Value})
	}
	resp, err := p.client.Do(rq)
	if err != nil {
		p.t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err := resp.Body.Close(); err != nil {
		p.t.Fatal(err)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	for _, c := range resp.Cookies() {
		if c.MaxAge < 0 {
			p.cookie = nil
		} else {
			p.cookie = c
		}
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			p.t.Fatalf("%s %s answers %d %s: %v", method, path, resp.StatusCode, text, err)
		}
	}
	return resp
}

func (p *page) signIn(login string) directory.DirectorySession {
	p.t.Helper()
	var s directory.DirectorySession
	resp := p.call("POST", "/api/v1/sessions", map[string]string{"login": login, "password": directory.DemoPassword}, &s)
	if resp.StatusCode != http.StatusCreated {
		p.t.Fatalf("sign in answers %d", resp.StatusCode)
	}
	return s
}

func TestHTTPSignInAndOut(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		p := newPage(t, newServer(t, f, false))
		var problem httpapi.Problem
		if resp := p.call("GET", "/api/v1/sessions/current", nil, &problem); resp.StatusCode != 401 || problem.Code != "unauthenticated" ||
			resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("before signing in: %d %+v", resp.StatusCode, problem)
		}

		s := p.signIn("an@noivu.g2g.example")
		if s.Person.Name != "Nguyễn Văn An" || s.Person.GivenName != "An" || s.Person.AgencyName != "Bộ Nội vụ" || s.Person.AgencyShort != "BNV" ||
			s.Person.Address != "an@noivu.g2g.example" || len(s.Positions) != 2 || s.Positions[0].Kind != "main" || s.Grants == nil || len(s.Grants) != 0 {
			t.Errorf("signed in as %+v", s)
		}
		c := p.cookie
		if c == nil || c.Name != "commsd_session" || !c.HttpOnly || c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 12*3600 {
			t.Fatalf("cookie %+v", c)
		}
		var current directory.DirectorySession
		if resp := p.call("GET", "/api/v1/sessions/current", nil, &current); resp.StatusCode != 200 || current.Person != s.Person ||
			resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("current session: %d %+v", resp.StatusCode, current)
		}

		if resp := p.call("DELETE", "/api/v1/sessions/current", nil, nil); resp.StatusCode != http.StatusNoContent || p.cookie != nil {
			t.Errorf("sign-out answers %d and leaves %v", resp.StatusCode, p.cookie)
		}
		p.cookie = c // kept by whoever copied it
		for _, path := range []string{"/api/v1/sessions/current", "/api/v1/directory/people?q=duc"} {
			if resp := p.call("GET", path, nil, &problem); resp.StatusCode != 401 || problem.Code != "unauthenticated" {
				t.Errorf("%s after sign-out: %d %+v", path, resp.StatusCode, problem)
			}
		}
	})
}

func TestHTTPSecureCookie(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		p := newPage(t, newServer(t, f, true))
		p.signIn("an@noivu.g2g.example")
		if c := p.cookie; c == nil || c.Name != "__Host-commsd_session" || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" {
			t.Errorf("cookie %+v", c)
		}
		if resp := p.call("GET", "/api/v1/sessions/current", nil, nil); resp.StatusCode != 200 {
			t.Errorf("its session answers %d", resp.StatusCode)
		}
	})
}

// Administrators alone disable accounts, with a reason.
func TestHTTPDisablePerson(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		server := newServer(t, f, false)
		an, admin, chi := newPage(t, server), newPage(t, server), newPage(t, server)
		an.signIn("an@noivu.g2g.example")
		self := admin.signIn("admin@g2g.example").Person.ID
		path := func(person string) string { return "/api/v1/directory/people/" + person + "/disable" }
		victim := chi.signIn("chi@hanoi.g2g.example").Person.ID
		reason := map[string]string{"reason": "left the office"}
		for _, c := range []struct {
			name   string
			page   *page
			person string
			body   any
			want   int
		}{
			{"by an official", an, victim, reason, 403},
			{"by an official, of nobody", an, "nobody", reason, 403},
			{"of nobody", admin, "nobody", reason, 404},
			{"one's own", admin, self, reason, 403},
			{"without a reason", admin, victim, map[string]string{"reason": ""}, 422},
		} {
			if resp := c.page.call("POST", path(c.person), c.body, nil); resp.StatusCode != c.want {
				t.Errorf("%s answers %d, want %d", c.name, resp.StatusCode, c.want)
			}
		}
		if resp := chi.call("GET", "/api/v1/sessions/current", nil, nil); resp.StatusCode != 200 {
			t.Errorf("refused disabling did something: %d", resp.StatusCode)
		}
		for range 2 { // twice is no error
			if resp := admin.call("POST", path(victim), reason, nil); resp.StatusCode != 204 {
				t.Errorf("disabling answers %d", resp.StatusCode)
			}
		}
		if resp := chi.call("GET", "/api/v1/sessions/current", nil, nil); resp.StatusCode != 401 {
			t.Errorf("the disabled account's session answers %d", resp.StatusCode)
		}
	})
}

// Signing in again in the same browser ends the session it had.
func TestHTTPSignInEndsTheOldSession(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		p := newPage(t, newServer(t, f, false))
		p.signIn("an@noivu.g2g.example")
		old := p.cookie
		p.signIn("chi@hanoi.g2g.example")
		if p.cookie.Value == old.Value {
			t.Fatal("the token was kept across sign-in")
		}
		p.cookie = old
		if resp := p.call("GET", "/api/v1/sessions/current", nil, nil); resp.StatusCode != 401 {
			t.Errorf("the old session answers %d", resp.StatusCode)
		}
	})
}

func TestHTTPRefusedSignIns(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		p := newPage(t, newServer(t, f, false))
		var answers []httpapi.Problem
		for _, login := range []string{"an@noivu.g2g.example", "nobody@noivu.g2g.example"} {
			var problem httpapi.Problem
			if resp := p.call("POST", "/api/v1/sessions", map[string]string{"login": login, "password": "wrong"}, &problem); resp.StatusCode != 401 || len(resp.Cookies()) != 0 {
				t.Errorf("%s answers %d with %v", login, resp.StatusCode, resp.Cookies())
			}
			answers = append(answers, problem)
		}
		if answers[0].Detail != answers[1].Detail || answers[0].Code != "unauthenticated" || answers[1].Code != "unauthenticated" {
			t.Errorf("a known and an unknown account answer %+v and %+v", answers[0], answers[1])
		}
		for _, body := range []any{
			map[string]string{"login": "an@noivu.g2g.example"},
			map[string]any{"login": 1, "password": "x"},
			map[string]string{"login": strings.Repeat("a", 400), "password": "x"},
			map[string]string{"login": "a", "password": "x", "admin": "true"},
		} {
			var problem httpapi.Problem
			if resp := p.call("POST", "/api/v1/sessions", body, &problem); resp.StatusCode != 422 || problem.Code != "invalid" {
				t.Errorf("%v answers %d %+v", body, resp.StatusCode, problem)
			}
		}
		var limited *http.Response
		var problem httpapi.Problem
		for range 20 {
			limited = p.call("POST", "/api/v1/sessions", map[string]string{"login": "an@noivu.g2g.example", "password": "wrong"}, &problem)
		}
		if limited.StatusCode != 429 || problem.Code != "rate_limited" {
			t.Errorf("after many failures: %d %+v", limited.StatusCode, problem)
		}
		if wait, err := strconv.Atoi(limited.Header.Get("Retry-After")); err != nil || wait < 1 {
			t.Errorf("Retry-After is %q; want the seconds to wait", limited.Header.Get("Retry-After"))
		}
	})
}

func TestHTTPDirectory(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		p := newPage(t, newServer(t, f, false))
		p.signIn("chi@hanoi.g2g.example")

		var found struct{ People []directory.DirectoryPerson }
		for _, q := range []string{"duc", "Đức", "ĐỨC"} {
			if resp := p.call("GET", "/api/v1/directory/people?q="+url.QueryEscape(q), nil, &found); resp.StatusCode != 200 || len(found.People) != 5 {
				t.Fatalf("%q finds %d %+v", q, resp.StatusCode, found)
			}
		}
		p.call("GET", "/api/v1/directory/people?q=nguyen+van+an&limit=1", nil, &found)
		if len(found.People) != 1 {
			t.Fatalf("found %+v", found)
		}
		an := found.People[0]

		var card directory.DirectoryCard
		if resp := p.call("GET", "/api/v1/directory/people/"+an.ID, nil, &card); resp.StatusCode != 200 || card.Name != an.Name || card.Unit != an.Unit || card.Address != an.Address || len(card.Positions) != 2 {
			t.Errorf("card %d %+v", resp.StatusCode, card)
		}
		var problem httpapi.Problem
		if resp := p.call("GET", "/api/v1/directory/people/nobody", nil, &problem); resp.StatusCode != 404 || problem.Code != "not_found" {
			t.Errorf("the card of nobody: %d %+v", resp.StatusCode, problem)
		}

		var tree struct{ Agencies []directory.DirectoryAgency }
		p.call("GET", "/api/v1/directory/agencies", nil, &tree)
		if len(tree.Agencies) != 2 || tree.Agencies[1].NameEN != "Hanoi People's Committee" {
			t.Fatalf("agencies %+v", tree)
		}
		var below struct{ Units []directory.DirectoryUnit }
		p.call("GET", "/api/v1/directory/agencies/"+tree.Agencies[0].ID+"/units", nil, &below)
		if len(below.Units) < 4 || len(below.Units[1].Units) != 2 {
			t.Fatalf("units %+v", below)
		}
		unit := below.Units[1]
		var page struct {
			People []directory.DirectoryPerson
			Next   string
		}
		p.call("GET", "/api/v1/directory/units/"+unit.ID+"/people?limit=4", nil, &page)
		if len(page.People) != 4 || page.Next == "" {
			t.Fatalf("first page %+v", page)
		}
		next := page.Next
		page.Next = ""
		p.call("GET", "/api/v1/directory/units/"+unit.ID+"/people?limit=4&cursor="+url.QueryEscape(next), nil, &page)
		if len(page.People) != unit.People-4 || page.Next != "" {
			t.Errorf("second page %+v", page)
		}
		p.call("GET", "/api/v1/directory/agencies/"+tree.Agencies[0].ID+"/people", nil, &page)
		if len(page.People) != tree.Agencies[0].People {
			t.Errorf("the agency lists %d people and counts %d", len(page.People), tree.Agencies[0].People)
		}
		for _, path := range []string{"people?limit=0", "people?limit=1000", "people?q=" + strings.Repeat("a", 300)} {
			if resp := p.call("GET", "/api/v1/directory/"+path, nil, nil); resp.StatusCode != 422 {
				t.Errorf("%.40s answers %d", path, resp.StatusCode)
			}
		}
	})
}

func TestHTTPActivePosition(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		server := newServer(t, f, false)
		p := newPage(t, server)
		s := p.signIn("an@noivu.g2g.example")
		for position, want := range map[string]int{"": 200, s.Positions[1].ID: 200, "another": 403} {
			rq, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/api/v1/sessions/current", nil)
			if err != nil {
				t.Fatal(err)
			}
			rq.AddCookie(&http.Cookie{Name: p.cookie.Name, Value: p.cookie.Value})
			if position != "" {
				rq.Header.Set(httpapi.PositionHeader, position)
			}
			resp, err := server.Client().Do(rq)
			if err != nil {
				t.Fatal(err)
			}
			if err := resp.Body.Close(); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != want {
				t.Errorf("acting as %q: %d, want %d", position, resp.StatusCode, want)
			}
		}
	})
}
