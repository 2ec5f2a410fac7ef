package chat

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/httpapi"
	"commsd/internal/wsconn"
)

// Routes mounts the socket and what one asks of chat without it.
func (s *Service) Routes(api *httpapi.API) {
	up := wsconn.Upgrader(s.ownOrigin)
	api.Handle("GET /api/v1/chat/socket", func(w http.ResponseWriter, r *http.Request) error {
		actor, err := api.ActorWhileLocked(r)
		if err != nil {
			return err
		}
		if !s.ownOrigin(r) {
			return errcode.New(errcode.Forbidden, "the chat socket opens only for pages of this server")
		}
		ctx, err := s.ready()
		if err != nil {
			return err
		}
		defer s.sockets.Done()
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			s.log.Debug("chat upgrade refused", "err", err)
			return nil // the upgrader has answered
		}
		s.serve(ctx, wsconn.New(ws, s.cfg.Socket), actor, func() error { _, err := api.ActorWhileLocked(r); return err })
		return nil
	})

	const base = "/api/v1/chat/conversations"
	httpapi.Get(api, "list-conversations", "chat", base, "My conversations, newest first", s.handleList)
	httpapi.Register(api, huma.Operation{Method: http.MethodPost, OperationID: "create-conversation", Tags: []string{"chat"}, Path: base,
		Summary: "Open the direct conversation with a person, or make a channel", DefaultStatus: http.StatusCreated}, s.handleCreate)
	httpapi.Get(api, "get-conversation", "chat", base+"/{id}", "One conversation with all its members", s.handleGet)
	httpapi.Patch(api, "rename-conversation", "chat", base+"/{id}", "Rename a channel", s.handleRename)
	httpapi.Post(api, "add-conversation-members", "chat", base+"/{id}/members", "Add people to a channel", s.handleAdd)
	httpapi.Register(api, huma.Operation{Method: http.MethodDelete, OperationID: "remove-conversation-member", Tags: []string{"chat"},
		Path: base + "/{id}/members/{person}", Summary: "Take somebody out of a channel, or leave it", DefaultStatus: http.StatusNoContent}, s.handleRemove)
	httpapi.Get(api, "list-conversation-events", "chat", base+"/{id}/events", "A page of a conversation's log", s.handleEvents)
	httpapi.Get(api, "get-chat-summary", "chat", "/api/v1/chat/summary", "How much is unread", s.handleSummary)
}

// ownOrigin keeps pages of other origins out: browsers send the session cookie
// along whoever asks, and always name the Origin. Programs send none.
func (s *Service) ownOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false // "null" is the origin of sandboxed pages and files
	}
	if s.cfg.PublicURL != "" {
		if own, err := url.Parse(s.cfg.PublicURL); err == nil && strings.EqualFold(own.Scheme, u.Scheme) && strings.EqualFold(own.Host, u.Host) {
			return true
		}
	}
	return strings.EqualFold(u.Host, r.Host)
}

// ConversationMember is a member as a list shows them.
type ConversationMember struct {
	ID         identity.PersonID `json:"id"`
	Name       string            `json:"name"`
	GivenName  string            `json:"given_name"`
	Title      string            `json:"title"`
	Unit       string            `json:"unit"`
	AgencyID   identity.AgencyID `json:"agency_id"`
	AgencyName string            `json:"agency_name"`
	Owner      bool              `json:"owner" doc:"owns the channel"`
}

// Conversation is a conversation as one member sees it.
type Conversation struct {
	ID          string               `json:"id"`
	Kind        string               `json:"kind" enum:"direct,channel"`
	Title       string               `json:"title" doc:"empty for a direct conversation: show the other's name"`
	AgencyID    identity.AgencyID    `json:"agency_id" doc:"the agency that owns it"`
	Seq         int64                `json:"seq" doc:"of the newest event; 0: none yet"`
	EventID     string               `json:"event_id" doc:"of the newest event"`
	Count       int64                `json:"count" doc:"messages in all"`
	ReadSeq     int64                `json:"read_seq" doc:"my read mark"`
	ReadCount   int64                `json:"read_count" doc:"messages up to my read mark"`
	Unread      int64                `json:"unread" doc:"count less read_count"`
	LastAt      time.Time            `json:"last_at"`
	Last        *ConversationEvent   `json:"last,omitempty" doc:"the newest event"`
	Owner       bool                 `json:"owner" doc:"I own the channel"`
	MemberCount int                  `json:"member_count"`
	Members     []ConversationMember `json:"members" nullable:"false" doc:"the first 20 in lists, all in a single conversation"`
}

type chatListOut struct {
	Body struct {
		UserSeq       int64          `json:"user_seq" doc:"head of my own log when the list was read"`
		UserEventID   string         `json:"user_event_id"`
		Conversations []Conversation `json:"conversations" nullable:"false"`
	}
}

func (s *Service) handleList(ctx context.Context, actor identity.Actor, _ *struct{}) (*chatListOut, error) {
	infos, seq, eventID, err := s.list(ctx, actor.Person, "")
	if err != nil {
		return nil, err
	}
	out := &chatListOut{}
	out.Body.UserSeq, out.Body.UserEventID = seq, eventID
	out.Body.Conversations, err = s.describe(ctx, infos)
	return out, err
}

func (s *Service) describe(ctx context.Context, infos []*conversationInfo) ([]Conversation, error) {
	var ids []identity.PersonID
	for _, c := range infos {
		ids = append(ids, c.members...)
	}
	slices.Sort(ids)
	people, err := s.cfg.Directory.People(ctx, slices.Compact(ids))
	if err != nil {
		return nil, err
	}
	convs := make([]Conversation, 0, len(infos))
	for _, c := range infos {
		conv := Conversation{
			ID: c.id, Kind: c.kind, Title: c.title, AgencyID: c.agency, Seq: c.head.Seq, EventID: c.head.EventID,
			Count: c.head.Count, ReadSeq: c.readSeq, ReadCount: c.readCount, Unread: max(0, c.head.Count-c.readCount),
			LastAt: c.lastAt, Last: c.last, Owner: c.role == roleOwner, MemberCount: c.memberCount, Members: []ConversationMember{},
		}
		for _, id := range c.members {
			p := people[id]
			conv.Members = append(conv.Members, ConversationMember{ID: id, Name: p.Name, GivenName: p.GivenName, Title: p.Title, Unit: p.Unit,
				AgencyID: p.Agency, AgencyName: p.AgencyName, Owner: slices.Contains(c.owners, id)})
		}
		convs = append(convs, conv)
	}
	return convs, nil
}

type chatConversationOut struct {
	Status int
	Body   Conversation
}

func (s *Service) one(ctx context.Context, actor identity.Actor, id string, status int) (*chatConversationOut, error) {
	if !isID(id) {
		return nil, errNotMember()
	}
	infos, _, _, err := s.list(ctx, actor.Person, id)
	if err != nil {
		return nil, err
	}
	if len(infos) != 1 {
		return nil, s.refused(ctx, actor, actionRead, id, errNotMember())
	}
	convs, err := s.describe(ctx, infos)
	if err != nil {
		return nil, err
	}
	return &chatConversationOut{Status: status, Body: convs[0]}, nil
}

type chatCreateIn struct {
	Body struct {
		Kind   string              `json:"kind" enum:"direct,channel"`
		Person identity.PersonID   `json:"person,omitempty" doc:"direct: with whom"`
		Title  string              `json:"title,omitempty" maxLength:"500" doc:"channel"`
		People []identity.PersonID `json:"people,omitempty" maxItems:"1000" doc:"channel: who else"`
	}
}

func (s *Service) handleCreate(ctx context.Context, actor identity.Actor, in *chatCreateIn) (*chatConversationOut, error) {
	if in.Body.Kind == kindChannel {
		id, err := s.createChannel(ctx, actor, in.Body.Title, in.Body.People)
		if err != nil {
			return nil, err
		}
		return s.one(ctx, actor, id, http.StatusCreated)
	}
	if in.Body.Person == "" {
		return nil, errcode.New(errcode.Invalid, "person is missing: with whom?")
	}
	id, created, err := s.openDirect(ctx, actor, in.Body.Person)
	if err != nil {
		return nil, err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return s.one(ctx, actor, id, status)
}

type chatIdIn struct {
	ID string `path:"id"`
}

func (s *Service) handleGet(ctx context.Context, actor identity.Actor, in *chatIdIn) (*chatConversationOut, error) {
	return s.one(ctx, actor, in.ID, http.StatusOK)
}

type chatRenameIn struct {
	ID   string `path:"id"`
	Body struct {
		Title string `json:"title" maxLength:"500"`
	}
}

func (s *Service) handleRename(ctx context.Context, actor identity.Actor, in *chatRenameIn) (*chatConversationOut, error) {
	if err := s.rename(ctx, actor, in.ID, in.Body.Title); err != nil {
		return nil, err
	}
	return s.one(ctx, actor, in.ID, http.StatusOK)
}

type chatAddIn struct {
	ID   string `path:"id"`
	Body struct {
		People []identity.PersonID `json:"people" minItems:"1" maxItems:"1000"`
	}
}

func (s *Service) handleAdd(ctx context.Context, actor identity.Actor, in *chatAddIn) (*chatConversationOut, error) {
	if err := s.addMembers(ctx, actor, in.ID, in.Body.People); err != nil {
		return nil, err
	}
	return s.one(ctx, actor, in.ID, http.StatusOK)
}

type chatRemoveIn struct {
	ID     string            `path:"id"`
	Person identity.PersonID `path:"person"`
}

func (s *Service) handleRemove(ctx context.Context, actor identity.Actor, in *chatRemoveIn) (*struct{}, error) {
	return nil, s.removeMember(ctx, actor, in.ID, in.Person)
}

type chatEventsIn struct {
	ID     string `path:"id"`
	After  int64  `query:"after" default:"-1" doc:"events after this seq, oldest first"`
	Before int64  `query:"before" default:"0" minimum:"0" doc:"the newest events before this seq; absent, with after absent too: the newest of all"`
	Limit  int    `query:"limit" minimum:"0" maximum:"200" doc:"0: 100"`
}

type chatEventsOut struct {
	Body struct {
		Head   int64               `json:"head" doc:"seq of the newest event"`
		Events []ConversationEvent `json:"events" nullable:"false" doc:"in the log's order; may be fewer than the limit though there are more"`
	}
}

func (s *Service) handleEvents(ctx context.Context, actor identity.Actor, in *chatEventsIn) (*chatEventsOut, error) {
	if !isID(in.ID) {
		return nil, errNotMember()
	}
	var after, before *int64
	if in.After >= 0 {
		after = &in.After
	} else if in.Before > 0 {
		before = &in.Before
	}
	page, err := s.events(ctx, actor.Person, in.ID, after, before, pullLimit(in.Limit))
	if err != nil {
		return nil, s.refused(ctx, actor, actionRead, in.ID, err)
	}
	s.opened(actor, in.ID)
	out := &chatEventsOut{}
	out.Body.Head, out.Body.Events = page.Head, page.Events
	return out, nil
}

type chatSummaryOut struct {
	Body struct {
		Unread        int64 `json:"unread" doc:"messages"`
		Conversations int64 `json:"conversations" doc:"conversations with unread messages"`
	}
}

func (s *Service) handleSummary(ctx context.Context, actor identity.Actor, _ *struct{}) (*chatSummaryOut, error) {
	out := &chatSummaryOut{}
	var err error
	out.Body.Unread, out.Body.Conversations, err = s.unread(ctx, actor.Person)
	return out, err
}
