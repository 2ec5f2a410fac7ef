package httpapi_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/httpapi"
)

// once lets its token in one time.
type once struct{ over atomic.Bool }

func (o *once) AuthenticateSession(context.Context, string, identity.PositionID, string) (identity.Actor, error) {
	if o.over.Swap(true) {
		return identity.Actor{}, errcode.New(errcode.Unauthenticated, "the session has ended")
	}
	return identity.Actor{Person: "person"}, nil
}

// A body may take minutes; what was ended meanwhile does nothing with it.
func TestASessionThatEndsWhileItsBodyComes(t *testing.T) {
	who := &once{}
	api := httpapi.New(httpapi.Config{Title: "test", Version: "1", Authenticator: who, Log: slog.New(slog.DiscardHandler)})
	done := false
	httpapi.Post(api, "echo", "test", "/api/v1/echo", "Echo", func(context.Context, identity.Actor, *echoIn) (*struct{}, error) {
		done = true
		return nil, nil //nolint:nilnil // 204 has no body
	})
	srv := httptest.NewServer(api.Handler())
	defer srv.Close()
	body, write := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/api/v1/echo", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.AddCookie(&http.Cookie{Name: "commsd_session", Value: "good"})
	go func() {
		_, _ = io.WriteString(write, `{"text":`)
		<-time.After(1200 * time.Millisecond) // a second is what no body of ours takes
		_, _ = io.WriteString(write, `"late"}`)
		_ = write.Close()
	}()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized || done {
		t.Errorf("answered %d, acted: %v", res.StatusCode, done)
	}
}
