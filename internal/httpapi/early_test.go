package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/httpapi"
)

// Who may not come in is told so before their body is read, and kept in memory.
func TestRefusedBeforeTheBody(t *testing.T) {
	srv, api := serve(t, io.Discard)
	after := make(chan struct{}, 1)
	op := huma.Operation{Method: http.MethodPost, Path: "/api/v1/list", OperationID: "list", MaxBodyBytes: 64 << 20}
	httpapi.Register(api, httpapi.Before(api, op, func(_ context.Context, actor identity.Actor) (func(), error) {
		if actor.Position == "" {
			return nil, errcode.New(errcode.RateLimited, "another list is being read").After(3 * time.Second)
		}
		return func() { after <- struct{}{} }, nil
	}), func(_ context.Context, actor identity.Actor, _ *echoIn) (*echoOut, error) {
		out := &echoOut{}
		out.Body.Text = string(actor.Person)
		return out, nil
	})
	for name, c := range map[string]struct {
		path, header string
		want         int
		code         string
	}{
		"nobody signed in":    {"/api/v1/list", "", 401, "unauthenticated"},
		"another's position":  {"/api/v1/list", "Cookie: commsd_session=good\r\n" + httpapi.PositionHeader + ": other\r\n", 403, "forbidden"},
		"what Before refuses": {"/api/v1/list", "Cookie: commsd_session=good\r\n", 429, "rate_limited"},
	} {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// Well below what this body may take: the server would wait for it.
		if err := conn.SetDeadline(time.Now().Add(4 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Type: application/json\r\nContent-Length: 10000000\r\n\r\n", c.path, c.header); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: no answer without a body: %v", name, err)
		}
		defer res.Body.Close()
		var p httpapi.Problem
		if err := json.NewDecoder(res.Body).Decode(&p); err != nil || res.StatusCode != c.want || p.Code != c.code || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %+v, %v", name, res.StatusCode, p, err)
		}
		if c.want == 429 && res.Header.Get("Retry-After") != "3" {
			t.Errorf("%s: Retry-After %q", name, res.Header.Get("Retry-After"))
		}
	}
	res, text := do(t, "POST", srv.URL+"/api/v1/list", `{"text":"x"}`, map[string]string{"Cookie": "commsd_session=good", httpapi.PositionHeader: "pos"})
	if res.StatusCode != 200 {
		t.Fatalf("who may: %d %s", res.StatusCode, text)
	}
	select {
	case <-after:
	case <-time.After(30 * time.Second):
		t.Error("what Before returned was not called")
	}
}
