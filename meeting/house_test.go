package meeting_test

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
	"sync"
	"testing"
	"time"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/httpapi"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
	"commsd/meeting"
)

// house is a meeting service behind real HTTP. It stands in for the
// neighbours that app connects: who is signed in, who people are, and where
// notifications go.
type house struct {
	t       *testing.T
	db      *sqldb.DB
	service *meeting.Service
	gate    *meeting.Gate
	url     string
	client  *http.Client

	hints   chan notification
	changed chan string // rooms that somebody came into or left

	mu          sync.Mutex
	now         time.Time
	over        map[identity.SessionID]bool // sessions that have ended
	sessionsErr error
	notified    []notification
	notifyErr   error
	closed      []string            // rooms that were closed
	inside      map[string][]string // identities in each room
	gone        map[identity.PersonID]bool
}

type notification struct {
	to   []identity.PersonID
	kind string
	body any
}

var persons = map[identity.PersonID]identity.Person{
	"p-an": {ID: "p-an", Name: "Nguyễn Văn An", GivenName: "An", Title: "Chuyên viên", Unit: "Văn phòng", Agency: "a-bnv",
		AgencyName: "Bộ Nội vụ", Address: "an@noivu.g2g.example"},
	"p-binh": {ID: "p-binh", Name: "Trần Thị Bình", GivenName: "Bình", Title: "Chánh Văn phòng", Agency: "a-bnv", AgencyName: "Bộ Nội vụ"},
	"p-chi":  {ID: "p-chi", Name: "Lê Thị Chi", GivenName: "Chi", Title: "Phó Giám đốc", Agency: "a-hn", AgencyName: "UBND thành phố Hà Nội", AgencyShort: "UBND TP Hà Nội"},
}

// AuthenticateSession: a token is the name after "p-"; with ".locked" behind it
// the session is locked.
func (h *house) AuthenticateSession(_ context.Context, token string, _ identity.PositionID, address string) (identity.Actor, error) {
	if token == "admin" {
		return identity.Actor{Account: "acc-admin", Session: "s-admin", Address: address}, nil
	}
	token, locked := strings.CutSuffix(token, ".locked")
	p, ok := persons[identity.PersonID("p-"+token)]
	if !ok {
		return identity.Actor{}, errcode.New(errcode.Unauthenticated, "sign in first")
	}
	return identity.Actor{
		Account: identity.AccountID("acc-" + token), Person: p.ID, Agency: p.Agency, Name: p.Name,
		Session: identity.SessionID("s-" + token), Address: address, Locked: locked,
	}, nil
}

func (h *house) People(_ context.Context, ids []identity.PersonID) (map[identity.PersonID]identity.Person, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := map[identity.PersonID]identity.Person{}
	for _, id := range ids {
		if p, ok := persons[id]; ok && !h.gone[id] {
			found[id] = p
		}
	}
	return found, nil
}

func (h *house) SessionActive(_ context.Context, account identity.AccountID, session identity.SessionID) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return account != "" && session != "" && !h.over[session], h.sessionsErr
}

// MayActIn: "lent" is a position until it is over, by the name of a session.
func (h *house) MayActIn(_ context.Context, account identity.AccountID, position identity.PositionID) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return account != "" && position == "lent" && !h.over["lent"], h.sessionsErr
}

func (h *house) Notify(_ context.Context, to []identity.PersonID, kind string, body any) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notified = append(h.notified, notification{to, kind, body})
	return h.notifyErr
}

func (h *house) Hint(_ context.Context, to []identity.PersonID, kind string, body any) {
	h.hints <- notification{to, kind, body}
}

func (h *house) CloseRoom(_ context.Context, room string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = append(h.closed, room)
	return errors.New("the node is away") // an end stands all the same
}

func (h *house) Inside(_ context.Context, room string) ([]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.inside[room], nil
}

func (h *house) Changed(ctx context.Context) ([]string, error) {
	select {
	case room := <-h.changed:
		return []string{"an operator's", room}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Get keeps secrets in memory.
func (h *house) Get(_ context.Context, name string, _ func() ([]byte, error)) ([]byte, error) {
	if name != "meeting.api" {
		return nil, errors.New("unknown secret " + name)
	}
	return []byte("0123456789abcdef0123456789abcdef"), nil
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func newHouse(t *testing.T, db *sqldb.DB) *house {
	t.Helper()
	h := &house{
		t: t, db: db, now: time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC),
		over: map[identity.SessionID]bool{}, inside: map[string][]string{},
		gone: map[identity.PersonID]bool{}, hints: make(chan notification, 10), changed: make(chan string),
	}
	log := audit.New(audit.Config{Now: h.clock})
	gate, err := meeting.NewGate(meeting.GateConfig{DB: db, Audit: log, Sessions: h, Secrets: h, Now: h.clock})
	if err != nil {
		t.Fatal(err)
	}
	service, err := meeting.New(meeting.Config{
		DB: db, Audit: log, Gate: gate, People: h, Notifier: h, Rooms: h, PublicURL: "https://hop.g2g.example", Now: h.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	api := httpapi.New(httpapi.Config{Title: "commsd", Version: "test", Authenticator: h, Log: slog.New(slog.DiscardHandler)})
	service.Routes(api)
	server := httptest.NewServer(api.Handler())
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	h.service, h.gate, h.url, h.client = service, gate, server.URL, &http.Client{Transport: transport}
	return h
}

// each runs a test on both engines.
func each(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { test(t, newHouse(t, db)) })
}

// call sends body, unless nil, as who ("" is nobody) and reads the answer
// into out, unless nil. It answers the status and the raw body.
func (h *house) call(who, method, path string, body, out any) (int, string) {
	h.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = bytes.NewBufferString(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			h.t.Fatal(err)
		}
		reader = bytes.NewReader(raw)
	}
	rq, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, reader)
	if err != nil {
		h.t.Fatal(err)
	}
	if reader != nil {
		rq.Header.Set("Content-Type", "application/json")
	}
	if who != "" {
		rq.AddCookie(&http.Cookie{Name: "commsd_session", Value: who})
	}
	rs, err := h.client.Do(rq)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = rs.Body.Close() }()
	raw, err := io.ReadAll(rs.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	if out != nil && rs.StatusCode < 300 {
		if err := json.Unmarshal(raw, out); err != nil {
			h.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	}
	return rs.StatusCode, string(raw)
}

func (h *house) create(who string, body any) meeting.MeetingView {
	h.t.Helper()
	var m meeting.MeetingView
	if status, raw := h.call(who, "POST", "/api/v1/meetings", body, &m); status != http.StatusCreated {
		h.t.Fatalf("create answered %d: %s", status, raw)
	}
	return m
}

func (h *house) list(who string) []meeting.MeetingView {
	h.t.Helper()
	var out struct{ Meetings []meeting.MeetingView }
	if status, raw := h.call(who, "GET", "/api/v1/meetings", nil, &out); status != http.StatusOK {
		h.t.Fatalf("list answered %d: %s", status, raw)
	}
	return out.Meetings
}

// audited lists the audit events of a meeting as "action outcome".
func (h *house) audited(id string) []string {
	h.t.Helper()
	var events []string
	err := h.db.Read(h.t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		entries, err := audit.New(audit.Config{}).List(ctx, tx, audit.Filter{Object: identity.ObjectRef{Kind: "meeting", ID: id}})
		for _, e := range entries {
			events = append(events, string(e.Action)+" "+e.Outcome)
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return events
}
