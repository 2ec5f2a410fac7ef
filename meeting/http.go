package meeting

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/httpapi"
)

// Routes registers the REST API of meetings.
func (s *Service) Routes(api *httpapi.API) {
	httpapi.Register(api, huma.Operation{
		Method: http.MethodPost, OperationID: "create-meeting", Tags: []string{"meeting"}, Path: "/api/v1/meetings",
		Summary: "Make a meeting and invite people to it", DefaultStatus: http.StatusCreated,
	}, s.handleCreate)
	httpapi.Get(api, "list-meetings", "meeting", "/api/v1/meetings",
		"List the meetings I made, am invited to or came to: those ahead first, soonest first, then those that are over, newest first", s.handleList)
	// Whoever sits in a meeting without touching anything is no passer-by at a
	// locked screen: what keeps their place goes on.
	httpapi.Register(api, httpapi.WhileLocked(huma.Operation{Method: http.MethodGet, OperationID: "get-meeting", Tags: []string{"meeting"},
		Path: "/api/v1/meetings/{id}", Summary: "Get a meeting and who belongs to it"}), s.handleGet)
	httpapi.Post(api, "invite-to-meeting", "meeting", "/api/v1/meetings/{id}/invitations", "Invite people of any agency", s.handleInvite)
	httpapi.Register(api, httpapi.WhileLocked(huma.Operation{Method: http.MethodPost, OperationID: "join-meeting", Tags: []string{"meeting"},
		Path: "/api/v1/meetings/{id}/join", Summary: "Get the address and the token that open a meeting's room"}), s.handleJoin)
	httpapi.Post(api, "end-meeting", "meeting", "/api/v1/meetings/{id}/end", "End a meeting for everyone; only who made it may", s.handleEnd)
}

// meetingPerson is a person on the wire.
type meetingPerson struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	GivenName   string `json:"given_name"`
	Title       string `json:"title"`
	Unit        string `json:"unit"`
	AgencyID    string `json:"agency_id"`
	AgencyName  string `json:"agency_name"`
	AgencyShort string `json:"agency_short"`
	Address     string `json:"address"`
}

func viewPerson(p identity.Person) meetingPerson {
	return meetingPerson{
		ID: string(p.ID), Name: p.Name, GivenName: p.GivenName, Title: p.Title, Unit: p.Unit,
		AgencyID: string(p.Agency), AgencyName: p.AgencyName, AgencyShort: p.AgencyShort, Address: p.Address,
	}
}

// meetingView is a meeting on the wire.
type meetingView struct {
	ID        string        `json:"id" doc:"opens the meeting to anyone signed in"`
	Title     string        `json:"title"`
	Link      string        `json:"link" doc:"page of the meeting, to send to others"`
	StartsAt  *time.Time    `json:"starts_at,omitempty" doc:"absent when no time was named: it began when it was made"`
	CreatedAt time.Time     `json:"created_at"`
	CreatedBy meetingPerson `json:"created_by"`
	EndedAt   *time.Time    `json:"ended_at,omitempty" doc:"absent while people can come in"`
	Past      bool          `json:"past" doc:"counts as over: ended; or half a day after its start; or, when it began as it was made, 15 minutes after all have left. Until it is ended people can come in, which makes it a running meeting again"`
	Relation  string        `json:"relation" enum:"maker,invited,joined,none" doc:"what the meeting is to me; joined: came by the link; none: has the link only"`
	Present   int           `json:"present" doc:"how many people are in the room right now, as far as known"`
}

// meetingParticipant is one person of a meeting, on the wire.
type meetingParticipant struct {
	Person   meetingPerson `json:"person"`
	Relation string        `json:"relation" enum:"maker,invited,joined"`
}

// meetingDetail is a meeting with its people. The fields stand here once more
// because huma does not see those of an embedded private type.
type meetingDetail struct {
	ID        string               `json:"id" doc:"opens the meeting to anyone signed in"`
	Title     string               `json:"title"`
	Link      string               `json:"link" doc:"page of the meeting, to send to others"`
	StartsAt  *time.Time           `json:"starts_at,omitempty" doc:"absent when no time was named: it began when it was made"`
	CreatedAt time.Time            `json:"created_at"`
	CreatedBy meetingPerson        `json:"created_by"`
	EndedAt   *time.Time           `json:"ended_at,omitempty" doc:"absent while people can come in"`
	Past      bool                 `json:"past" doc:"counts as over: ended; or half a day after its start; or, when it began as it was made, 15 minutes after all have left. Until it is ended people can come in, which makes it a running meeting again"`
	Relation  string               `json:"relation" enum:"maker,invited,joined,none" doc:"what the meeting is to me; joined: came by the link; none: has the link only"`
	People    []meetingParticipant `json:"people" doc:"who made it, is invited or came; empty for someone who has only the link"`
	Inside    []meetingPerson      `json:"inside" doc:"who is in the room right now, as far as known"`
}

type meetingInput struct {
	ID string `path:"id" maxLength:"60" doc:"the meeting's id"`
}

type createMeetingInput struct {
	Body struct {
		Title    string     `json:"title" doc:"1 to 200 characters on one line" example:"Giao ban tuần"`
		StartsAt *time.Time `json:"starts_at,omitempty" doc:"absent: now"`
		Invite   []string   `json:"invite,omitempty" nullable:"false" doc:"ids of people, at most 200"`
	}
}

type meetingOutput struct{ Body meetingView }

func (s *Service) handleCreate(ctx context.Context, actor identity.Actor, in *createMeetingInput) (*meetingOutput, error) {
	d := Draft{Title: in.Body.Title, Invite: personIDs(in.Body.Invite)}
	if in.Body.StartsAt != nil {
		d.StartsAt = *in.Body.StartsAt
	}
	m, err := s.Create(ctx, actor, d)
	if err != nil {
		return nil, err
	}
	return s.meetingOutput(ctx, m)
}

type listMeetingsOutput struct {
	Body struct {
		Meetings []meetingView `json:"meetings" nullable:"false"`
	}
}

func (s *Service) handleList(ctx context.Context, actor identity.Actor, _ *struct{}) (*listMeetingsOutput, error) {
	meetings, err := s.List(ctx, actor)
	if err != nil {
		return nil, err
	}
	views, err := s.viewMeetings(ctx, meetings)
	if err != nil {
		return nil, err
	}
	out := &listMeetingsOutput{}
	out.Body.Meetings = views
	return out, nil
}

type meetingDetailOutput struct{ Body meetingDetail }

// whileLocked lets a locked session go on with a meeting that its person is in.
func (s *Service) whileLocked(ctx context.Context, actor identity.Actor, id string) error {
	if !actor.Locked || slices.Contains(s.Inside(ctx, id), actor.Person) {
		return nil
	}
	return errcode.New(errcode.Locked, "this session was idle for too long; prove who you are again, then repeat")
}

func (s *Service) handleGet(ctx context.Context, actor identity.Actor, in *meetingInput) (*meetingDetailOutput, error) {
	if err := s.whileLocked(ctx, actor, in.ID); err != nil {
		return nil, err
	}
	m, people, err := s.Get(ctx, actor, in.ID)
	if err != nil {
		return nil, err
	}
	inside := s.Inside(ctx, m.ID)
	ids := append([]identity.PersonID{m.CreatedBy}, inside...)
	for _, p := range people {
		ids = append(ids, p.Person)
	}
	known, err := s.people.People(ctx, ids)
	if err != nil {
		return nil, err
	}
	v := viewMeeting(m, known)
	out := &meetingDetailOutput{Body: meetingDetail{
		ID: v.ID, Title: v.Title, Link: v.Link, StartsAt: v.StartsAt, CreatedAt: v.CreatedAt, CreatedBy: v.CreatedBy,
		EndedAt: v.EndedAt, Past: v.Past, Relation: v.Relation, People: []meetingParticipant{}, Inside: []meetingPerson{},
	}}
	for _, p := range people {
		who := known[p.Person]
		who.ID = p.Person // also of somebody who is no longer in the directory
		out.Body.People = append(out.Body.People, meetingParticipant{Person: viewPerson(who), Relation: p.Relation})
	}
	for _, id := range inside {
		if p, ok := known[id]; ok {
			out.Body.Inside = append(out.Body.Inside, viewPerson(p))
		}
	}
	return out, nil
}

type inviteToMeetingInput struct {
	ID   string `path:"id" maxLength:"60" doc:"the meeting's id"`
	Body struct {
		People []string `json:"people" nullable:"false" doc:"ids of people, at most 200"`
	}
}

type inviteToMeetingOutput struct {
	Body struct {
		Invited []string `json:"invited" nullable:"false" doc:"ids of those who were not invited before"`
	}
}

func (s *Service) handleInvite(ctx context.Context, actor identity.Actor, in *inviteToMeetingInput) (*inviteToMeetingOutput, error) {
	added, err := s.Invite(ctx, actor, in.ID, personIDs(in.Body.People))
	if err != nil {
		return nil, err
	}
	out := &inviteToMeetingOutput{}
	out.Body.Invited = make([]string, 0, len(added))
	for _, id := range added {
		out.Body.Invited = append(out.Body.Invited, string(id))
	}
	return out, nil
}

type joinMeetingInput struct {
	ID   string `path:"id" maxLength:"60" doc:"the meeting's id"`
	Body *struct {
		Tab string `json:"tab,omitempty" doc:"letters and digits that name this tab of this device; a second join of the same tab puts the first one out"`
	} `required:"false"`
}

type joinMeetingOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		URL      string `json:"url" doc:"where the LiveKit protocol is spoken" example:"ws://localhost:8080"`
		Token    string `json:"token" doc:"LiveKit access token, for ten minutes"`
		Identity string `json:"identity" doc:"who the token makes me in the room"`
	}
}

func (s *Service) handleJoin(ctx context.Context, actor identity.Actor, in *joinMeetingInput) (*joinMeetingOutput, error) {
	if err := s.whileLocked(ctx, actor, in.ID); err != nil {
		return nil, err
	}
	tab := ""
	if in.Body != nil {
		tab = in.Body.Tab
	}
	admitted, err := s.Join(ctx, actor, in.ID, tab)
	if err != nil {
		return nil, err
	}
	out := &joinMeetingOutput{CacheControl: "no-store"}
	out.Body.URL, out.Body.Token, out.Body.Identity = s.SocketURL(), admitted.Token, admitted.Identity
	return out, nil
}

func (s *Service) handleEnd(ctx context.Context, actor identity.Actor, in *meetingInput) (*meetingOutput, error) {
	m, err := s.End(ctx, actor, in.ID)
	if err != nil {
		return nil, err
	}
	return s.meetingOutput(ctx, m)
}

func (s *Service) meetingOutput(ctx context.Context, m Meeting) (*meetingOutput, error) {
	views, err := s.viewMeetings(ctx, []Meeting{m})
	if err != nil {
		return nil, err
	}
	return &meetingOutput{Body: views[0]}, nil
}

func (s *Service) viewMeetings(ctx context.Context, meetings []Meeting) ([]meetingView, error) {
	var ids []identity.PersonID
	seen := map[identity.PersonID]bool{}
	for _, m := range meetings {
		if !seen[m.CreatedBy] {
			seen[m.CreatedBy] = true
			ids = append(ids, m.CreatedBy)
		}
	}
	views := make([]meetingView, 0, len(meetings))
	if len(ids) == 0 {
		return views, nil
	}
	known, err := s.people.People(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, m := range meetings {
		v := viewMeeting(m, known)
		if m.EndedAt.IsZero() {
			v.Present = len(s.Inside(ctx, m.ID))
		}
		views = append(views, v)
	}
	return views, nil
}

// viewMeeting shows a maker who is no longer in the directory by id alone.
func viewMeeting(m Meeting, known map[identity.PersonID]identity.Person) meetingView {
	by := known[m.CreatedBy]
	by.ID = m.CreatedBy
	v := meetingView{
		ID: m.ID, Title: m.Title, Link: m.Link, CreatedAt: m.CreatedAt, CreatedBy: viewPerson(by),
		Past: m.Past, Relation: m.Relation,
	}
	if m.Scheduled {
		v.StartsAt = &m.StartsAt
	}
	if !m.EndedAt.IsZero() {
		v.EndedAt = &m.EndedAt
	}
	return v
}

func personIDs(ids []string) []identity.PersonID {
	people := make([]identity.PersonID, 0, len(ids))
	for _, id := range ids {
		people = append(people, identity.PersonID(id))
	}
	return people
}
