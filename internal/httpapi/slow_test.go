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

	"commsd/internal/httpapi"
)

// A letter of 4 MiB takes its time on a slow line.
func TestABodyMayTakeWhatItsSizeNeeds(t *testing.T) {
	_, api := serve(t, io.Discard)
	for path, size := range map[string]int64{"/api/v1/letter": 4 << 20, "/api/v1/note": 0} {
		httpapi.RegisterPublic(api, huma.Operation{Method: http.MethodPost, Path: path, OperationID: path, MaxBodyBytes: size},
			func(context.Context, *echoIn) (*struct{}, error) { return nil, nil }) //nolint:nilnil // 204 has no body
	}
	paths := api.Huma.OpenAPI().Paths
	if got := paths["/api/v1/letter"].Post.BodyReadTimeout; got != 69*time.Second {
		t.Errorf("4 MiB may take %s: 64 KiB a second take 64 s", got)
	}
	if got := paths["/api/v1/note"].Post.BodyReadTimeout; got < 5*time.Second || got > 6*time.Second {
		t.Errorf("1 KiB may take %s", got)
	}
}

// A body that is too slow is answered as what may be tried again, never as a
// request that is wrong.
func TestASlowBodyIsUnavailable(t *testing.T) {
	srv, api := serve(t, io.Discard)
	httpapi.RegisterPublic(api, huma.Operation{Method: http.MethodPost, Path: "/api/v1/slow", OperationID: "slow", BodyReadTimeout: 50 * time.Millisecond},
		func(context.Context, *echoIn) (*struct{}, error) { return nil, nil }) //nolint:nilnil // 204 has no body
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(c, "POST /api/v1/slow HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"text\""); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var p httpapi.Problem
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil || res.StatusCode != http.StatusRequestTimeout || p.Code != "unavailable" {
		t.Fatalf("%d %+v, %v", res.StatusCode, p, err)
	}
}
