package httpapi_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"commsd/identity"
	"commsd/internal/httpapi"
)

// lender knows one session, which acts in a position that is lent for mail when
// it names it.
type lender struct {
	mu      sync.Mutex
	refused []string // guarded by mu
}

func (*lender) AuthenticateSession(_ context.Context, _ string, position identity.PositionID, _ string) (identity.Actor, error) {
	a := identity.Actor{Person: "person", Position: position}
	if position == "lent" {
		a.Delegation, a.Scopes = "d", []identity.Scope{identity.ScopeMail}
	}
	return a, nil
}

func (l *lender) NoteRefusal(_ context.Context, _ identity.Actor, part, reason string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused = append(l.refused, part+" "+reason)
	return nil
}

// TestLentPosition acts in what it is lent for, and a part of the API that
// nobody thought of is refused to it.
func TestLentPosition(t *testing.T) {
	auth := &lender{}
	api := httpapi.New(httpapi.Config{Title: "test", Version: "1", Authenticator: auth, Log: slog.New(slog.DiscardHandler)})
	for part, want := range map[string]int{"mail": 200, "directory": 200, "account": 200, "sessions": 200, "info": 200,
		"chat": 403, "meetings": 403, "documents": 403, "audit": 403, "newcomer": 403, "mailbox": 403} {
		path := "/api/v1/" + part + "/thing"
		httpapi.Get(api, part, part, path, part, func(context.Context, identity.Actor, *struct{}) (*struct{}, error) { return &struct{}{}, nil })
		api.Handle("GET "+path+"/plain", func(w http.ResponseWriter, r *http.Request) error {
			if _, err := api.Actor(r); err != nil {
				return err
			}
			_, err := io.WriteString(w, "ok")
			return err
		})
		srv := httptest.NewServer(api.Handler())
		header := map[string]string{"Cookie": "commsd_session=good", httpapi.PositionHeader: "lent"}
		cookie := map[string]string{"Cookie": "commsd_session=good"}
		before := len(auth.refused)
		if res, text := do(t, "GET", srv.URL+path+"/plain", "", header); res.StatusCode != want {
			t.Errorf("%s: %d %s, want %d", part, res.StatusCode, text, want)
		}
		if res, text := do(t, "GET", srv.URL+path+"/plain?position=lent", "", cookie); res.StatusCode != want {
			t.Errorf("%s by the query: %d %s, want %d", part, res.StatusCode, text, want)
		}
		if res, text := do(t, "GET", srv.URL+path, "", header); (res.StatusCode == 403) != (want == 403) {
			t.Errorf("%s, described: %d %s, want %d", part, res.StatusCode, text, want)
		}
		if n := len(auth.refused) - before; (n == 3) != (want == 403) {
			t.Errorf("%s: %d refusals were noted", part, n)
		}
		if res, text := do(t, "GET", srv.URL+path+"/plain", "", cookie); res.StatusCode != 200 {
			t.Errorf("%s in the own position: %d %s", part, res.StatusCode, text)
		}
		srv.Close()
	}
}
