package directory_test

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"commsd/directory"
	"commsd/internal/httpapi"
)

type accountJSON struct {
	Login, Phone, Mobile, Office, Photo string
	Person                              struct{ ID, Name string }
	HasPassword                         bool `json:"has_password"`
	Factors                             []string
	Policy                              struct {
		MinLength int `json:"min_length"`
		Second    bool
	}
}

func (p *page) status(method, path string, body any) int {
	p.t.Helper()
	return p.call(method, path, body, nil).StatusCode
}

func TestHTTPProfile(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		p := newPage(t, newServer(t, f, false))
		if got := p.status("GET", "/api/v1/account", nil); got != http.StatusUnauthorized {
			t.Errorf("nobody's account answers %d", got)
		}
		p.signIn(an)
		var a accountJSON
		if resp := p.call("GET", "/api/v1/account", nil, &a); resp.StatusCode != 200 || a.Login != an || a.Person.Name != "Nguyễn Văn An" ||
			!a.HasPassword || a.Factors == nil || a.Policy.MinLength != 15 || a.Policy.Second {
			t.Errorf("%d %+v", resp.StatusCode, a)
		}
		change := map[string]string{"phone": "+84 24 3825 1234", "office": "  Phòng   204, nhà A "}
		if resp := p.call("PATCH", "/api/v1/account", change, &a); resp.StatusCode != 200 || a.Phone != "+84 24 3825 1234" || a.Office != "Phòng 204, nhà A" || a.Mobile != "" {
			t.Errorf("%d %+v", resp.StatusCode, a)
		}
		var problem httpapi.Problem
		if resp := p.call("PATCH", "/api/v1/account", map[string]string{"mobile": "<script>"}, &problem); resp.StatusCode != 422 || !strings.Contains(problem.Detail, "mobile") {
			t.Errorf("no number: %d %+v", resp.StatusCode, problem)
		}
		if events := f.events(t, "person.profile"); len(events) != 1 || events[0].Detail["phone"] != "changed" || strings.Contains(events[0].Detail["phone"], "84") {
			t.Errorf("audited %+v", events)
		}
	})
}

func TestHTTPPhoto(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		server := newServer(t, f, false)
		p, other := newPage(t, server), newPage(t, server)
		person := p.signIn(an).Person.ID
		other.signIn(chi)
		var file bytes.Buffer
		m := image.NewRGBA(image.Rect(0, 0, 600, 400))
		for i := range m.Pix {
			m.Pix[i] = uint8(i * 7)
		}
		m.SetRGBA(1, 1, color.RGBA{1, 2, 3, 255})
		if err := jpeg.Encode(&file, m, nil); err != nil {
			t.Fatal(err)
		}
		path := "/api/v1/directory/people/" + person + "/photo"
		if got := other.status("GET", path, nil); got != http.StatusNotFound {
			t.Errorf("before there is one: %d", got)
		}
		put := func(body []byte) (int, string) {
			t.Helper()
			rq, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/api/v1/account/photo", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			rq.Header.Set("Content-Type", "image/jpeg")
			rq.AddCookie(&http.Cookie{Name: p.cookie.Name, Value: p.cookie.Value})
			resp, err := server.Client().Do(rq)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode, string(text)
		}
		if got, text := put([]byte("no picture")); got != 422 {
			t.Errorf("no picture: %d %s", got, text)
		}
		if got, text := put(make([]byte, 2<<20+1)); got != http.StatusRequestEntityTooLarge {
			t.Errorf("over 2 MiB: %d %s", got, text)
		}
		got, text := put(file.Bytes())
		if got != 200 {
			t.Fatalf("%d %s", got, text)
		}
		var a accountJSON
		p.call("GET", "/api/v1/account", nil, &a)
		if !strings.HasPrefix(a.Photo, path+"?v=") || !strings.Contains(text, a.Photo) {
			t.Errorf("the picture is at %q, the answer was %s", a.Photo, text)
		}
		var session directory.DirectorySession
		if p.call("GET", "/api/v1/sessions/current", nil, &session); session.Person.Photo == "" || !strings.HasSuffix(a.Photo, "?v="+session.Person.Photo) {
			t.Errorf("the session names the picture %q", session.Person.Photo)
		}
		resp := other.call("GET", a.Photo, nil, nil)
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "image/jpeg" || !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") ||
			!strings.HasPrefix(resp.Header.Get("Cache-Control"), "private") || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%d %v", resp.StatusCode, resp.Header)
		}
		if resp := other.call("GET", path+"?v=old", nil, nil); resp.StatusCode != 200 || strings.Contains(resp.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("by an old address: %d %v", resp.StatusCode, resp.Header)
		}
		// Who is not to see it, does not get it by its address either.
		hide := map[string]any{"own": []map[string]string{{"field": "photo", "level": "own_agency"}}}
		if got := p.status("PUT", "/api/v1/account/visibility", hide); got != http.StatusOK {
			t.Errorf("hiding answers %d", got)
		}
		if got := other.status("GET", a.Photo, nil); got != http.StatusNotFound {
			t.Errorf("hidden, it answers somebody of another agency %d", got)
		}
		if got := p.status("GET", a.Photo, nil); got != http.StatusOK {
			t.Errorf("hidden, it answers its owner %d", got)
		}
		if got := p.status("DELETE", "/api/v1/account/photo", nil); got != http.StatusNoContent {
			t.Errorf("removing answers %d", got)
		}
		if got := other.status("GET", path, nil); got != http.StatusNotFound {
			t.Errorf("removed, it answers %d", got)
		}
	})
}

func TestHTTPSessionsOfOneself(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		server := newServer(t, f, false)
		here, there, third, other := newPage(t, server), newPage(t, server), newPage(t, server), newPage(t, server)
		for _, p := range []*page{here, there, third} {
			p.signIn(an)
		}
		other.signIn(chi)
		type list struct {
			Sessions []struct {
				ID, Address string
				Method      []string
				UserAgent   string    `json:"user_agent"`
				CreatedAt   time.Time `json:"created_at"`
				Current     bool
			}
		}
		var mine, theirs list
		here.call("GET", "/api/v1/account/sessions", nil, &mine)
		other.call("GET", "/api/v1/account/sessions", nil, &theirs)
		if len(mine.Sessions) != 3 || len(theirs.Sessions) != 1 {
			t.Fatalf("%+v and %+v", mine, theirs)
		}
		current, another := "", ""
		for _, s := range mine.Sessions {
			if s.Address != "127.0.0.1" || !strings.HasPrefix(s.UserAgent, "Go-http-client") || s.CreatedAt.IsZero() || len(s.Method) != 1 {
				t.Errorf("listed as %+v", s)
			}
			if s.Current {
				current += s.ID
			} else {
				another = s.ID
			}
		}
		if got := other.status("DELETE", "/api/v1/account/sessions/"+another, nil); got != http.StatusNotFound {
			t.Errorf("ending another person's session answers %d", got)
		}
		if got := here.status("DELETE", "/api/v1/account/sessions/"+another, nil); got != http.StatusNoContent {
			t.Errorf("ending one answers %d", got)
		}
		if got := here.status("DELETE", "/api/v1/account/sessions", nil); got != http.StatusNoContent {
			t.Errorf("ending the others answers %d", got)
		}
		here.call("GET", "/api/v1/account/sessions", nil, &mine)
		if len(mine.Sessions) != 1 || mine.Sessions[0].ID != current {
			t.Errorf("left are %+v, the current one was %s", mine, current)
		}
		for _, p := range []*page{there, third} {
			if got := p.status("GET", "/api/v1/account", nil); got != http.StatusUnauthorized {
				t.Errorf("an ended session answers %d", got)
			}
		}
	})
}

func TestHTTPAccountOfAPerson(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		server := newServer(t, f, false)
		admin, plain, victim := newPage(t, server), newPage(t, server), newPage(t, server)
		admin.signIn("admin@g2g.example")
		plain.signIn(an)
		person := victim.signIn(dung).Person.ID
		base := "/api/v1/directory/people/" + person
		for _, c := range [][2]string{
			{"GET", "/account"}, {"POST", "/account"}, {"POST", "/codes"}, {"POST", "/require-new-password"}, {"DELETE", "/factors"}, {"DELETE", "/sessions"},
		} {
			if got := plain.status(c[0], base+c[1], nil); got != http.StatusForbidden {
				t.Errorf("%s %s by somebody without a role answers %d", c[0], c[1], got)
			}
		}
		var account struct {
			Login, State string
			Factors      []string
			Sessions     []struct{ ID string }
		}
		if resp := admin.call("GET", base+"/account", nil, &account); resp.StatusCode != 200 || account.Login != dung || account.State != "active" ||
			len(account.Sessions) != 1 || account.Factors == nil {
			t.Errorf("%d %+v", resp.StatusCode, account)
		}
		if got := admin.status("DELETE", base+"/sessions", nil); got != http.StatusNoContent {
			t.Errorf("ending the sessions answers %d", got)
		}
		if got := victim.status("GET", "/api/v1/account", nil); got != http.StatusUnauthorized {
			t.Errorf("afterwards the session answers %d", got)
		}
		reason := map[string]string{"reason": "nghỉ việc"}
		if got := admin.status("POST", base+"/disable", reason); got != http.StatusNoContent {
			t.Errorf("disabling answers %d", got)
		}
		if admin.call("GET", base+"/account", nil, &account); account.State != "disabled" {
			t.Errorf("disabled, it is %+v", account)
		}
		signIn := map[string]string{"login": dung, "password": "commsd-demo-only"}
		if got := victim.status("POST", "/api/v1/sessions", signIn); got != http.StatusUnauthorized {
			t.Errorf("disabled, signing in answers %d", got)
		}
		if got := admin.status("POST", base+"/enable", reason); got != http.StatusNoContent {
			t.Errorf("enabling answers %d", got)
		}
		if got := victim.status("POST", "/api/v1/sessions", signIn); got != http.StatusCreated {
			t.Errorf("enabled, signing in answers %d", got)
		}
		var code struct {
			Code    string
			Expires time.Time `json:"expires_at"`
		}
		resp := admin.call("POST", base+"/codes", nil, &code)
		if resp.StatusCode != http.StatusCreated || len(code.Code) != 19 || code.Expires.IsZero() || resp.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %+v", resp.StatusCode, code)
		}
		guest := newPage(t, server)
		var ticket struct {
			Ticket string
			Next   []string
		}
		if resp := guest.call("POST", "/api/v1/sessions/code", map[string]string{"login": dung, "code": code.Code}, &ticket); resp.StatusCode != http.StatusAccepted ||
			len(ticket.Next) != 1 || ticket.Next[0] != "change_password" || guest.cookie != nil {
			t.Fatalf("%d %+v, cookie %v", resp.StatusCode, ticket, guest.cookie)
		}
		var problem httpapi.Problem
		next := map[string]string{"ticket": ticket.Ticket, "new_password": "ngắn"}
		if resp := guest.call("POST", "/api/v1/sessions/next", next, &problem); resp.StatusCode != 422 || len(problem.Errors) != 1 ||
			problem.Errors[0].Location != "body.new_password" || problem.Errors[0].Message != "too_short" || problem.Errors[0].Value != float64(15) {
			t.Errorf("a short one: %d %+v", resp.StatusCode, problem)
		}
		next["new_password"] = freshPassword
		if resp := guest.call("POST", "/api/v1/sessions/next", next, nil); resp.StatusCode != http.StatusCreated || guest.cookie == nil {
			t.Errorf("a good one: %d, cookie %v", resp.StatusCode, guest.cookie)
		}
		if got := guest.status("POST", "/api/v1/sessions/next", next); got != http.StatusGone {
			t.Errorf("the ticket again: %d", got)
		}
	})
}
