package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/httpapi"
)

// tokens knows one session: the token "good", with the position "pos".
type tokens struct{}

func (tokens) AuthenticateSession(_ context.Context, token string, position identity.PositionID, address string) (identity.Actor, error) {
	if token != "good" {
		return identity.Actor{}, errcode.New(errcode.Unauthenticated, "the session has ended; sign in again")
	}
	if position != "" && position != "pos" {
		return identity.Actor{}, errcode.New(errcode.Forbidden, "the position is not yours")
	}
	return identity.Actor{Person: "person", Position: position, Address: address}, nil
}

type echoIn struct {
	Body struct {
		Text string `json:"text" minLength:"1" maxLength:"20"`
	}
}

type echoOut struct {
	Body struct {
		Text    string `json:"text"`
		Address string `json:"address"`
	}
}

func serve(t *testing.T, log io.Writer) (*httptest.Server, *httpapi.API) {
	t.Helper()
	api := httpapi.New(httpapi.Config{Title: "test", Version: "1", Authenticator: tokens{}, MaxBodyBytes: 1024,
		Log: slog.New(slog.NewTextHandler(log, nil))})
	httpapi.Post(api, "echo", "test", "/api/v1/echo", "Echo", func(_ context.Context, actor identity.Actor, in *echoIn) (*echoOut, error) {
		out := &echoOut{}
		out.Body.Text, out.Body.Address = in.Body.Text, actor.Address
		return out, nil
	})
	for _, code := range errcode.All() {
		httpapi.RegisterPublic(api, huma.Operation{Method: http.MethodGet, Path: "/api/v1/fail/" + code.String(), OperationID: "fail-" + code.String()},
			func(context.Context, *struct{}) (*struct{}, error) {
				return nil, errcode.Wrap(errors.New("the cause, with the password hunter2"), code, "words for %s", code)
			})
	}
	httpapi.RegisterPublic(api, huma.Operation{Method: http.MethodGet, Path: "/api/v1/broken", OperationID: "broken"},
		func(context.Context, *struct{}) (*struct{}, error) { return nil, errors.New("disk gone") })
	api.Handle("GET /api/v1/plain", func(w http.ResponseWriter, r *http.Request) error {
		actor, err := api.Actor(r)
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, string(actor.Person)+" as "+string(actor.Position))
		return err
	})
	srv := httptest.NewServer(api.Handler())
	t.Cleanup(srv.Close)
	return srv, api
}

func do(t *testing.T, method, url, body string, header map[string]string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

var signedIn = map[string]string{"Cookie": "commsd_session=good"}

func TestActor(t *testing.T) {
	srv, _ := serve(t, io.Discard)
	if res, text := do(t, "POST", srv.URL+"/api/v1/echo", `{"text":"chào"}`, signedIn); res.StatusCode != 200 || !strings.Contains(text, `"chào"`) || !strings.Contains(text, "127.0.0.1") {
		t.Errorf("signed in: %d %s", res.StatusCode, text)
	}
	for name, c := range map[string]struct {
		header map[string]string
		path   string
		want   int
	}{
		"no cookie":         {nil, "/api/v1/plain", 401},
		"unknown token":     {map[string]string{"Cookie": "commsd_session=bad"}, "/api/v1/plain", 401},
		"own position":      {map[string]string{"Cookie": "commsd_session=good", httpapi.PositionHeader: "pos"}, "/api/v1/plain", 200},
		"another's":         {map[string]string{"Cookie": "commsd_session=good", httpapi.PositionHeader: "other"}, "/api/v1/plain", 403},
		"position by query": {signedIn, "/api/v1/plain?position=other", 403},
	} {
		if res, text := do(t, "GET", srv.URL+c.path, "", c.header); res.StatusCode != c.want {
			t.Errorf("%s: %d %s, want %d", name, res.StatusCode, text, c.want)
		}
	}
}

// TestEveryCodeHasItsStatus holds the table whole.
func TestEveryCodeHasItsStatus(t *testing.T) {
	var log bytes.Buffer
	srv, _ := serve(t, &log)
	seen := map[int]bool{}
	for _, code := range errcode.All() {
		res, text := do(t, "GET", srv.URL+"/api/v1/fail/"+code.String(), "", nil)
		var p httpapi.Problem
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatalf("%s: %v in %s", code, err, text)
		}
		if res.StatusCode < 400 || res.StatusCode != p.Status || p.Code != code.String() || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %+v", code, res.StatusCode, p)
		}
		if seen[res.StatusCode] {
			t.Errorf("%s shares the status %d with another code", code, res.StatusCode)
		}
		seen[res.StatusCode] = true
		if strings.Contains(text, "hunter2") || (code == errcode.Internal && strings.Contains(text, "words for")) {
			t.Errorf("%s: the answer tells the cause: %s", code, text)
		}
	}
	if res, text := do(t, "GET", srv.URL+"/api/v1/broken", "", nil); res.StatusCode != 500 || strings.Contains(text, "disk") {
		t.Errorf("an error without a code: %d %s", res.StatusCode, text)
	}
	if !strings.Contains(log.String(), "disk gone") {
		t.Error("the log does not hold an error without a code")
	}
}

func TestRefusals(t *testing.T) {
	srv, _ := serve(t, io.Discard)
	for name, c := range map[string]struct {
		method, path, body string
		want               int
	}{
		"unknown member": {"POST", "/api/v1/echo", `{"text":"a","extra":1}`, 422},
		"too long":       {"POST", "/api/v1/echo", `{"text":"` + strings.Repeat("a", 21) + `"}`, 422},
		"too large":      {"POST", "/api/v1/echo", `{"text":"` + strings.Repeat("a", 2000) + `"}`, 413},
		"no json":        {"POST", "/api/v1/echo", `{`, 400},
		"unknown path":   {"GET", "/api/v1/nothing", "", 404},
		"wrong method":   {"DELETE", "/api/v1/echo", "", 405},
	} {
		res, text := do(t, c.method, srv.URL+c.path, c.body, signedIn)
		var p httpapi.Problem
		if err := json.Unmarshal([]byte(text), &p); err != nil || res.StatusCode != c.want || p.Status != c.want || p.Detail == "" {
			t.Errorf("%s: %d %s (%v), want %d", name, res.StatusCode, text, err, c.want)
		}
		if res.Header.Get("Content-Type") != "application/problem+json" || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", name, res.Header)
		}
	}
}

func TestOpenAPIIsServed(t *testing.T) {
	srv, _ := serve(t, io.Discard)
	res, text := do(t, "GET", srv.URL+"/api/v1/openapi.json", "", nil)
	var doc struct {
		OpenAPI string
		Paths   map[string]any
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil || res.StatusCode != 200 {
		t.Fatal(err, res.StatusCode)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || doc.Paths["/api/v1/echo"] == nil {
		t.Fatalf("openapi %q, paths %v", doc.OpenAPI, doc.Paths)
	}
}

func TestCookieName(t *testing.T) {
	if httpapi.CookieName(true) != "__Host-commsd_session" || httpapi.CookieName(false) != "commsd_session" {
		t.Fatal("the contract's names have changed")
	}
}
