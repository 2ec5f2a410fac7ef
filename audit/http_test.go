package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/httpapi"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
)

// grants lets auditors read where their grants hold, as the directory does.
type grants struct{ everyone }

func (grants) Check(actor identity.Actor, action identity.Action, o identity.Object) identity.Decision {
	for _, g := range actor.Grants {
		if g.Role == identity.RoleAuditor && (g.Agency == "" || g.Agency == o.Agency) {
			return identity.Decision{Allowed: true, Reason: "role"}
		}
	}
	return identity.Decision{Reason: "no_role"}
}

// doors signs in by the token alone: "all", "a", "b", "nobody", and "idle", an
// auditor of everything who was away.
type doors struct{}

func (doors) AuthenticateSession(_ context.Context, token string, _ identity.PositionID, address string) (identity.Actor, error) {
	actor := identity.Actor{Account: identity.AccountID("account-" + token), Person: identity.PersonID("person-" + token), Address: address}
	switch token {
	case "all":
		actor.Grants = []identity.Grant{{Role: identity.RoleAuditor}}
	case "a", "b":
		actor.Agency = identity.AgencyID(token)
		actor.Grants = []identity.Grant{{Role: identity.RoleAuditor, Agency: actor.Agency}}
	case "idle":
		actor.Grants, actor.LockedAdmin = []identity.Grant{{Role: identity.RoleAuditor}}, true
	case "nobody":
	default:
		return identity.Actor{}, errcode.New(errcode.Unauthenticated, "sign in")
	}
	return actor, nil
}

type answer struct {
	Events []struct {
		ID, Action, Outcome string
		Seq                 *int64
		ObjectID            string `json:"object_id"`
		AgencyID            string `json:"agency_id"`
	}
	Next     string
	Size     int64
	Backlog  int64
	People   []struct{ ID, Name string }
	Days     []struct{ OK, Denied, Failed int64 }
	Proof    struct{ State string }
	Detail   string
	Type     string
	Agencies []struct{ ID, Name string }
}

func serveAudit(t *testing.T, h *house) func(who, path string) (int, answer, string) {
	t.Helper()
	s := h.service(func(c *audit.ServiceConfig) { c.Permissions = grants{} })
	api := httpapi.New(httpapi.Config{Title: "test", Authenticator: doors{}, Log: slog.New(slog.DiscardHandler)})
	s.Routes(api)
	srv := httptest.NewServer(api.Handler())
	t.Cleanup(srv.Close)
	return func(who, path string) (int, answer, string) {
		t.Helper()
		rq, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/api/v1/audit/"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		rq.AddCookie(&http.Cookie{Name: httpapi.CookieName(false), Value: who})
		rs, err := srv.Client().Do(rq)
		if err != nil {
			t.Fatal(err)
		}
		defer rs.Body.Close()
		text, err := io.ReadAll(rs.Body)
		if err != nil {
			t.Fatal(err)
		}
		var a answer
		_ = json.Unmarshal(text, &a) // an export is no one object
		return rs.StatusCode, a, string(text)
	}
}

// An auditor of an agency sees what its people did and what was done to what is
// its own, and nothing else; whoever is no auditor sees nothing, and that is
// recorded.
func TestAuditorsSeeTheirAgencysEventsOnly(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		get := serveAudit(t, h)
		for _, e := range []audit.Event{
			{Actor: identity.Actor{Agency: "a"}, Object: identity.ObjectRef{Kind: "thing", ID: "a's"}},
			{Actor: identity.Actor{Agency: "b"}, Object: identity.ObjectRef{Kind: "thing", ID: "b's"}},
			{Actor: identity.Actor{Agency: "b"}, Owner: "a", Object: identity.ObjectRef{Kind: "thing", ID: "b to a's"}},
			{Object: identity.ObjectRef{Kind: "thing", ID: "nobody's"}},
			{Owner: "a", Object: identity.ObjectRef{Kind: "thing", ID: "system to a's"}},
		} {
			e.Action, e.Outcome = "thing.change", audit.OK
			if err := record(t, h.db, h.log, e); err != nil {
				t.Fatal(err)
			}
			h.clock.advance(time.Second)
		}
		h.step(h.sequencer())
		all := []string{"system to a's", "nobody's", "b to a's", "b's", "a's"}
		for _, c := range []struct {
			who, query string
			want       []string
		}{
			{"all", "", all},
			{"a", "", []string{"system to a's", "b to a's", "a's"}},
			{"b", "", []string{"b to a's", "b's"}},
			{"all", "&agency=a", []string{"system to a's", "b to a's", "a's"}},
			{"a", "&agency=a", []string{"system to a's", "b to a's", "a's"}},
			{"all", "&object_kind=thing&object_id=nobody%27s", []string{"nobody's"}},
			{"a", "&object_kind=thing&object_id=nobody%27s", nil},
			{"all", "&outcome=denied", nil},
		} {
			status, a, text := get(c.who, "events?action=thing.change"+c.query)
			var got []string
			for _, e := range a.Events {
				got = append(got, e.ObjectID)
			}
			if status != 200 || !slices.Equal(got, c.want) {
				t.Errorf("%s %s: %d %v, want %v: %s", c.who, c.query, status, got, c.want, text)
			}
			// An export and one event by its id tell the same.
			_, _, lines := get(c.who, "export?action=thing.change"+c.query)
			if n := strings.Count(lines, `"type":"event"`); n != len(c.want) {
				t.Errorf("%s %s: %d events are exported, want %d", c.who, c.query, n, len(c.want))
			}
			for _, id := range all {
				i := slices.Index(c.want, id)
				if i < 0 {
					continue
				}
				if status, a, _ := get(c.who, "events/"+a.Events[i].ID); status != 200 || a.Proof.State != "signed" {
					t.Errorf("%s: event %s: %d %+v", c.who, id, status, a.Proof)
				}
			}
		}
		_, everything, _ := get("all", "events?action=thing.change")
		if status, _, _ := get("b", "events/"+everything.Events[4].ID); status != 404 {
			t.Errorf("another agency's event by its id: %d", status)
		}
		for _, path := range []string{"events", "tree", "activity", "export", "events/" + everything.Events[0].ID} {
			if status, a, _ := get("nobody", path); status != 403 || !strings.Contains(a.Detail, "only auditors") {
				t.Errorf("no auditor, %s: %d %s", path, status, a.Detail)
			}
		}
		for _, path := range []string{"events", "tree", "activity", "export", "events/" + everything.Events[0].ID} {
			if status, a, text := get("idle", path); status != 423 || len(a.Events) > 0 {
				t.Errorf("an auditor who was away, %s: %d %s", path, status, text)
			}
		}
		if status, a, _ := get("a", "events?agency=b"); status != 403 || !strings.Contains(a.Detail, "other agencies") {
			t.Errorf("another agency: %d %s", status, a.Detail)
		}
		if status, _, _ := get("", "events"); status != 401 {
			t.Errorf("not signed in: %d", status)
		}
		if got := list(t, h.db, h.log, audit.Filter{Outcome: audit.Denied, Limit: 1000}); len(got) != 6 {
			t.Errorf("%d refusals are recorded, want 6", len(got))
		}
		if got := list(t, h.db, h.log, audit.Filter{Action: audit.ActionExport, Outcome: audit.OK}); len(got) != 8 {
			t.Errorf("%d exports are recorded, want 8", len(got))
		}
	})
}

func TestPagesStateAndActivity(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		get := serveAudit(t, h)
		h.record(25)
		h.step(h.sequencer())
		seen := map[string]bool{}
		pages := 0
		for next := ""; ; pages++ {
			status, a, text := get("all", "events?limit=10&action=meeting.join&cursor="+url.QueryEscape(next))
			if status != 200 {
				t.Fatal(status, text)
			}
			for _, e := range a.Events {
				if seen[e.ID] || e.Seq == nil {
					t.Errorf("event %s comes twice, or has no place", e.ID)
				}
				seen[e.ID] = true
			}
			if next = a.Next; next == "" {
				break
			}
		}
		if len(seen) != 25 || pages != 2 {
			t.Errorf("%d events on %d pages", len(seen), pages+1)
		}
		if _, a, text := get("all", "tree"); a.Size != 25 || a.Backlog != 3 { // the three questions
			t.Errorf("tree: %s", text)
		}
		for _, query := range []string{"", "?action=meeting.join", "?agency=agency"} {
			if _, a, text := get("all", "activity"+query); len(a.Days) != 1 || a.Days[0].Denied != 25 {
				t.Errorf("activity%s: %s", query, text)
			}
		}
		if _, a, _ := get("all", "events?person=person&limit=1"); len(a.People) != 1 || a.People[0].Name != "Nguyễn Văn An" || len(a.Agencies) != 1 {
			t.Errorf("names: %+v %+v", a.People, a.Agencies)
		}
		for _, query := range []string{"cursor=x", "cursor=1.", "object_kind=meeting", "outcome=perhaps", "from=yesterday"} {
			if status, _, text := get("all", "events?"+query); status != 422 {
				t.Errorf("%s: %d %s", query, status, text)
			}
		}
		if status, _, text := get("all", "export?from=yesterday"); status != 422 || !strings.Contains(text, "from") {
			t.Errorf("export from yesterday: %d %s", status, text)
		}
	})
}

// In a log of many events each question goes by an index, in order: the first
// page costs the same whatever the log's size.
func TestQuestionsUseIndexes(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		fill(t, db, 60000) // with fewer, reading all is right for PostgreSQL
		for name, f := range map[string]audit.Filter{
			"all": {}, "time": {From: time.UnixMicro(5e9), Until: time.UnixMicro(9e9)},
			"person": {Person: "person-7"}, "action": {Action: "action.3"}, "object": {Object: identity.ObjectRef{Kind: "meeting", ID: "m77"}},
			"denied": {Outcome: audit.Denied}, "agency": {Agency: "agency-3"}, "address": {Address: "192.0.2.9"},
			"scope": {Scope: []identity.AgencyID{"agency-1", "agency-2"}}, "scope, action": {Scope: []identity.AgencyID{"agency-1"}, Action: "action.3"},
		} {
			for _, cursor := range []string{"", "9000000000.id"} {
				f.NewestFirst, f.After, f.Limit = true, cursor, 50
				query, args, err := audit.ListQuery(f)
				if err != nil {
					t.Fatal(err)
				}
				plan := sqldbtest.Explain(t, db, query, args...)
				for _, bad := range []string{"Seq Scan on audit_events", "Seq Scan on audit_payloads", "SCAN e\n", "SCAN q\n"} {
					if strings.Contains(plan+"\n", bad) {
						t.Errorf("%s, cursor %q: %s:\n%s", name, cursor, bad, plan)
					}
				}
			}
		}
		plan := sqldbtest.Explain(t, db, `SELECT id FROM audit_events`+audit.ByWaiting(db.Dialect())+` WHERE seq IS NULL ORDER BY id LIMIT 250`)
		if !strings.Contains(plan, "audit_events_unsequenced") {
			t.Errorf("what waits is not found by its index:\n%s", plan)
		}
		var places []any
		for i := range 250 {
			places = append(places, fmt.Sprint("id", 10000001+i), i)
		}
		plan = sqldbtest.Explain(t, db, audit.PlacesQuery(250), places...)
		if !strings.Contains(plan, "audit_events_pkey") && !strings.Contains(plan, "SEARCH audit_events USING INDEX sqlite_autoindex_audit_events_1 (id=?)") {
			t.Errorf("who is given a place is not found by id:\n%s", plan)
		}
	})
}

// fill writes n events that are in no tree, as fast as the engine can.
func fill(t testing.TB, db *sqldb.DB, n int) {
	t.Helper()
	err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		for _, q := range []string{
			`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO audit_events
			(id, seq, at, account_id, person_id, position_id, agency_id, action, object_kind, object_id, outcome, payload_hash, leaf_hash)
			SELECT 'id' || (10000000 + i), i, 1000000 * CAST(i AS BIGINT), '', 'person-' || (i %% 100), '', 'agency-' || (i %% 20), 'action.' || (i %% 40), 'meeting', 'm' || (i %% 1000),
			CASE WHEN i %% 97 = 0 THEN 'denied' ELSE 'ok' END, NULL, NULL FROM n`,
			`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO audit_payloads (event_id, at, salt, address, detail)
			SELECT 'id' || (10000000 + i), 1000000 * CAST(i AS BIGINT), NULL, '192.0.2.' || (i %% 200), '{}' FROM n`,
		} {
			if _, err := tx.Exec(ctx, fmt.Sprintf(q, n)); err != nil {
				return err
			}
		}
		if tx.Dialect() == sqldb.SQLite {
			return nil // nobody takes statistics there
		}
		_, err := tx.Exec(ctx, `ANALYZE`) // as autovacuum does
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
