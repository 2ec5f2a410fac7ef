package audit

import (
	"context"
	"time"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/httpapi"
)

// The JSON of the audit log. The names of these types are those of the OpenAPI
// document's schemas, which all domains share.

// auditEvent is one recorded event.
type auditEvent struct {
	ID         string            `json:"id"`
	Seq        *int64            `json:"seq,omitempty" doc:"leaf of the tree, from 0; absent: not in it yet"`
	At         time.Time         `json:"at"`
	AgencyID   string            `json:"agency_id" doc:"of who acted; empty: of none, or not known"`
	OwnerID    string            `json:"owner_id,omitempty" doc:"agency that the object belongs to, where it is another"`
	AccountID  string            `json:"account_id"`
	PersonID   string            `json:"person_id"`
	PositionID string            `json:"position_id"`
	Action     string            `json:"action" doc:"docs/audit.md lists them"`
	ObjectKind string            `json:"object_kind"`
	ObjectID   string            `json:"object_id"`
	Outcome    string            `json:"outcome" enum:"ok,denied,failed"`
	Address    string            `json:"address,omitempty" doc:"remote address"`
	Detail     map[string]string `json:"detail,omitempty"`
	Erased     bool              `json:"erased,omitempty" doc:"address and detail were erased when their time had come"`
}

// auditPerson is a person of an event by name.
type auditPerson struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Title    string `json:"title"`
	AgencyID string `json:"agency_id"`
}

// auditAgency is an agency of an event by name.
type auditAgency struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// EventQuery is the part of a question that all endpoints share. It is
// exported because huma looks into no other embedded type.
type EventQuery struct {
	From       time.Time `query:"from" doc:"first moment"`
	Until      time.Time `query:"until" doc:"first moment no longer in"`
	Action     string    `query:"action" maxLength:"100"`
	Outcome    string    `query:"outcome" enum:"ok,denied,failed"`
	PersonID   string    `query:"person" maxLength:"64" doc:"who acted"`
	ObjectKind string    `query:"object_kind" maxLength:"64" doc:"with object_id"`
	ObjectID   string    `query:"object_id" maxLength:"200"`
	AgencyID   string    `query:"agency" maxLength:"64" doc:"of who acted, or of the object"`
	Address    string    `query:"address" maxLength:"64" doc:"remote IP address"`
}

func (f *EventQuery) filter() Filter {
	return Filter{From: f.From, Until: f.Until, Action: identity.Action(f.Action), Outcome: f.Outcome,
		Person: identity.PersonID(f.PersonID), Object: identity.ObjectRef{Kind: f.ObjectKind, ID: f.ObjectID},
		Agency: identity.AgencyID(f.AgencyID), Address: f.Address}
}

type listEventsInput struct {
	EventQuery
	Cursor string `query:"cursor" maxLength:"128" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"100"`
}

type listEventsOutput struct {
	Body struct {
		Events   []auditEvent  `json:"events" nullable:"false" doc:"newest first"`
		Next     string        `json:"next,omitempty" doc:"cursor of older ones; absent on the last page"`
		People   []auditPerson `json:"people" nullable:"false" doc:"those of the events whom the directory still knows"`
		Agencies []auditAgency `json:"agencies" nullable:"false"`
	}
}

type eventInput struct {
	ID string `path:"id" maxLength:"64"`
}

// auditProof shows an event's place in the tree.
type auditProof struct {
	State      string   `json:"state" enum:"waiting,appended,signed,broken" doc:"waiting: not in the tree yet; appended: in it, no signed head covers it yet; signed: proven against the newest signed head; broken: the proof fails, the log was changed"`
	Leaf       string   `json:"leaf" doc:"leaf hash, base64"`
	Size       int64    `json:"size" doc:"of the signed head"`
	Checkpoint string   `json:"checkpoint" doc:"the signed head"`
	Hashes     []string `json:"hashes" nullable:"false" doc:"audit path of RFC 6962, base64"`
}

type eventOutput struct {
	Body struct {
		Event    auditEvent    `json:"event"`
		People   []auditPerson `json:"people" nullable:"false"`
		Agencies []auditAgency `json:"agencies" nullable:"false"`
		Proof    auditProof    `json:"proof"`
	}
}

// auditCheckpoint is a signed head of the tree.
type auditCheckpoint struct {
	Size int64     `json:"size"`
	At   time.Time `json:"at"`
	Root string    `json:"root" doc:"base64"`
	Note string    `json:"note" doc:"origin, size and root with their signature"`
}

type treeOutput struct {
	Body struct {
		Origin       string           `json:"origin"`
		Key          string           `json:"key" doc:"what signatures are checked with"`
		Size         int64            `json:"size" doc:"events in the tree"`
		Backlog      int64            `json:"backlog" doc:"events that wait for it"`
		WaitingSince *time.Time       `json:"waiting_since,omitempty" doc:"of the oldest of them"`
		Broken       bool             `json:"broken,omitempty" doc:"the newest head was not signed with the key: somebody changed it"`
		Checkpoint   *auditCheckpoint `json:"checkpoint,omitempty" doc:"the newest; absent on an empty log"`
	}
}

type activityInput struct{ EventQuery }

// auditDay counts the events of one day.
type auditDay struct {
	Day    string `json:"day" doc:"2026-11-25, of UTC+7"`
	OK     int64  `json:"ok"`
	Denied int64  `json:"denied"`
	Failed int64  `json:"failed"`
}

type activityOutput struct {
	Body struct {
		Days []auditDay `json:"days" nullable:"false" doc:"days with events, oldest first; of the last 31 days without from"`
	}
}

const tag = "audit"

// Routes registers the REST interface.
func (s *Service) Routes(api *httpapi.API) {
	httpapi.Get(api, "list-audit-events", tag, "/api/v1/audit/events", "List audit events, newest first",
		func(ctx context.Context, actor identity.Actor, in *listEventsInput) (*listEventsOutput, error) {
			f := in.filter()
			f.After, f.Limit, f.NewestFirst = in.Cursor, in.Limit, true
			entries, next, err := s.Events(ctx, actor, f)
			if err != nil {
				return nil, err
			}
			out := &listEventsOutput{}
			out.Body.Events, out.Body.Next = eventsJSON(entries), next
			out.Body.People, out.Body.Agencies, err = s.names(ctx, entries)
			return out, err
		})
	httpapi.Get(api, "get-audit-event", tag, "/api/v1/audit/events/{id}", "Show an audit event and the proof that it is in the log",
		func(ctx context.Context, actor identity.Actor, in *eventInput) (*eventOutput, error) {
			entry, proof, err := s.Event(ctx, actor, in.ID)
			if err != nil {
				return nil, err
			}
			out := &eventOutput{}
			out.Body.Event, out.Body.Proof = eventJSON(&entry), proofJSON(proof)
			out.Body.People, out.Body.Agencies, err = s.names(ctx, []Entry{entry})
			return out, err
		})
	httpapi.Get(api, "get-audit-tree", tag, "/api/v1/audit/tree", "Show the state of the tree that holds the audit log",
		func(ctx context.Context, actor identity.Actor, _ *struct{}) (*treeOutput, error) {
			state, err := s.Tree(ctx, actor)
			if err != nil {
				return nil, err
			}
			return treeJSON(state), nil
		})
	httpapi.Get(api, "get-audit-activity", tag, "/api/v1/audit/activity", "Count audit events by day and outcome",
		func(ctx context.Context, actor identity.Actor, in *activityInput) (*activityOutput, error) {
			days, err := s.Activity(ctx, actor, in.filter())
			if err != nil {
				return nil, err
			}
			out := &activityOutput{}
			out.Body.Days = daysJSON(days)
			return out, nil
		})
	api.Handle("GET /api/v1/audit/export", s.serveExport(api))
}

func daysJSON(days []Day) []auditDay {
	out := make([]auditDay, len(days))
	for i, d := range days {
		out[i] = auditDay{Day: d.Date, OK: d.OK, Denied: d.Denied, Failed: d.Failed}
	}
	return out
}

func eventsJSON(entries []Entry) []auditEvent {
	out := make([]auditEvent, len(entries))
	for i := range entries {
		out[i] = eventJSON(&entries[i])
	}
	return out
}

func eventJSON(e *Entry) auditEvent {
	out := auditEvent{ID: e.ID, At: e.At, AgencyID: string(e.Agency), OwnerID: string(e.Owner), AccountID: string(e.Account),
		PersonID: string(e.Person), PositionID: string(e.Position), Action: string(e.Action), ObjectKind: e.Object.Kind,
		ObjectID: e.Object.ID, Outcome: e.Outcome, Address: e.Address, Detail: e.Detail, Erased: e.Erased}
	if e.Seq >= 0 {
		out.Seq = &e.Seq
	}
	return out
}

// names resolves the people and agencies that entries speak of: who acted, and
// the person or agency it was done to.
func (s *Service) names(ctx context.Context, entries []Entry) ([]auditPerson, []auditAgency, error) {
	people, agencies := map[identity.PersonID]bool{}, map[identity.AgencyID]bool{}
	for i := range entries {
		e := &entries[i]
		people[e.Person] = true
		agencies[e.Agency], agencies[e.Owner] = true, true
		switch e.Object.Kind {
		case "person":
			people[identity.PersonID(e.Object.ID)] = true
		case "agency":
			agencies[identity.AgencyID(e.Object.ID)] = true
		}
		if p := e.Detail["person"]; p != "" {
			people[identity.PersonID(p)] = true
		}
	}
	delete(people, "")
	delete(agencies, "")
	personOut, agencyOut := []auditPerson{}, []auditAgency{}
	known, err := s.cfg.Names.People(ctx, sortedKeys(people))
	if err != nil {
		return nil, nil, err
	}
	for _, id := range sortedKeys(known) {
		p := known[id]
		personOut = append(personOut, auditPerson{ID: string(id), Name: p.Name, Title: p.Title, AgencyID: string(p.Agency)})
		agencies[p.Agency] = true
	}
	delete(agencies, "")
	names, err := s.cfg.Names.AgencyNames(ctx, sortedKeys(agencies))
	if err != nil {
		return nil, nil, err
	}
	for _, id := range sortedKeys(names) {
		agencyOut = append(agencyOut, auditAgency{ID: string(id), Name: names[id]})
	}
	return personOut, agencyOut, nil
}

func errNotFound() error {
	return errcode.New(errcode.NotFound, "there is no such event, or it is another agency's")
}
