package signaling

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/accesstoken"
	"commsd/internal/errcode"
	lk "commsd/internal/lkproto"
	"commsd/sfu"
	"commsd/signaling/owner"
)

// The room service is how an operator's program, with a key of its own, looks
// after the rooms that its tokens open. Rooms of meetings are not among them:
// to its calls they are forbidden, in its lists they are not.

// roomMethod is one method.
type roomMethod struct {
	request func() proto.Message
	room    func(proto.Message) string // that it is about; "" for none in particular
	needs   func(accesstoken.VideoGrant, string) bool
	grant   string // what needs asks for, for people
	makes   bool   // a room that there is not yet
	call    func(*Service, context.Context, *roomCall, proto.Message) (proto.Message, error)
}

func method[Q proto.Message](request func() Q, room func(Q) string, call func(*Service, context.Context, *roomCall, Q) (proto.Message, error)) roomMethod {
	return roomMethod{
		request: func() proto.Message { return request() },
		room:    func(m proto.Message) string { return room(m.(Q)) },
		needs:   func(g accesstoken.VideoGrant, room string) bool { return g.RoomAdmin && g.Room == room },
		grant:   "roomAdmin with the room",
		call: func(s *Service, ctx context.Context, c *roomCall, m proto.Message) (proto.Message, error) {
			return call(s, ctx, c, m.(Q))
		},
	}
}

func (m roomMethod) forMakers() roomMethod {
	m.needs, m.grant = func(g accesstoken.VideoGrant, _ string) bool { return g.RoomCreate }, "roomCreate"
	return m
}

func (m roomMethod) forListers() roomMethod {
	m.needs, m.grant = func(g accesstoken.VideoGrant, _ string) bool { return g.RoomList }, "roomList"
	return m
}

func (m roomMethod) making() roomMethod {
	m.makes = true
	return m
}

var roomMethods = map[string]roomMethod{
	"CreateRoom": method(func() *lk.CreateRoomRequest { return new(lk.CreateRoomRequest) },
		(*lk.CreateRoomRequest).GetName, (*Service).createRoom).forMakers().making(),
	"ListRooms": method(func() *lk.ListRoomsRequest { return new(lk.ListRoomsRequest) },
		func(*lk.ListRoomsRequest) string { return "" }, (*Service).listRooms).forListers(),
	"DeleteRoom": method(func() *lk.DeleteRoomRequest { return new(lk.DeleteRoomRequest) },
		(*lk.DeleteRoomRequest).GetRoom, (*Service).deleteRoom).forMakers(),
	"ListParticipants": method(func() *lk.ListParticipantsRequest { return new(lk.ListParticipantsRequest) },
		(*lk.ListParticipantsRequest).GetRoom, (*Service).listParticipants),
	"GetParticipant": method(func() *lk.RoomParticipantIdentity { return new(lk.RoomParticipantIdentity) },
		(*lk.RoomParticipantIdentity).GetRoom, (*Service).getParticipant),
	"RemoveParticipant": method(func() *lk.RoomParticipantIdentity { return new(lk.RoomParticipantIdentity) },
		(*lk.RoomParticipantIdentity).GetRoom, (*Service).removeParticipant),
	"MutePublishedTrack": method(func() *lk.MuteRoomTrackRequest { return new(lk.MuteRoomTrackRequest) },
		(*lk.MuteRoomTrackRequest).GetRoom, (*Service).mutePublishedTrack),
	"UpdateParticipant": method(func() *lk.UpdateParticipantRequest { return new(lk.UpdateParticipantRequest) },
		(*lk.UpdateParticipantRequest).GetRoom, (*Service).updateParticipant),
	"UpdateSubscriptions": method(func() *lk.UpdateSubscriptionsRequest { return new(lk.UpdateSubscriptionsRequest) },
		(*lk.UpdateSubscriptionsRequest).GetRoom, (*Service).updateSubscriptions),
	"SendData": method(func() *lk.SendDataRequest { return new(lk.SendDataRequest) },
		(*lk.SendDataRequest).GetRoom, (*Service).sendData),
	"UpdateRoomMetadata": method(func() *lk.UpdateRoomMetadataRequest { return new(lk.UpdateRoomMetadataRequest) },
		(*lk.UpdateRoomMetadataRequest).GetRoom, (*Service).updateRoomMetadata),
}

// What the audit log calls the things done to rooms and to those inside.
const (
	actionCreate   identity.Action = "room.create"
	actionEnd      identity.Action = "room.end"
	actionDescribe identity.Action = "room.describe"
	actionRemove   identity.Action = "room.remove_participant"
	actionMute     identity.Action = "room.mute"
	actionUpdate   identity.Action = "room.update_participant"
	actionReceive  identity.Action = "room.update_subscriptions"
	actionCall     identity.Action = "room.call"
)

func roomObject(name string) identity.ObjectRef { return identity.ObjectRef{Kind: "room", ID: name} }

// mayCall tells whether the caller may call m for room.
func (s *Service) mayCall(ctx context.Context, c *roomCall, m roomMethod, room string) error {
	switch {
	case !m.needs(c.grants, room):
		return errcode.New(errcode.Forbidden, "this token lacks the grant %s", m.grant)
	case room == "" && m.grant != "roomList":
		return errcode.New(errcode.Invalid, "name the room")
	case len(room) > 256:
		return errcode.New(errcode.Invalid, "a room's name takes at most 256 bytes")
	case room == "" || s.cfg.OperatorRoom(room):
		return nil
	}
	s.log.WarnContext(ctx, "an operator's key asked for a meeting's room", "key", c.key, "room", room)
	err := s.record(ctx, c, actionCall, room, audit.Denied, nil)
	if err != nil {
		s.log.ErrorContext(ctx, "refusal was not audited", "room", room, "err", err)
	}
	return errcode.New(errcode.Forbidden, "this room is a meeting's, which API keys do not reach")
}

// record has the audit log keep what was done.
func (s *Service) record(ctx context.Context, c *roomCall, action identity.Action, room, outcome string, detail map[string]string) error {
	if s.cfg.Audit == nil {
		return nil
	}
	if detail == nil {
		detail = make(map[string]string)
	}
	detail["api_key"] = c.key
	return s.cfg.Audit(ctx, audit.Event{Actor: identity.Actor{Address: c.from}, Action: action, Object: roomObject(room), Outcome: outcome, Detail: detail})
}

// done has what was done recorded, or what was tried in vain, and returns the
// error to answer with.
func (s *Service) done(ctx context.Context, c *roomCall, action identity.Action, room string, err error, detail map[string]string) error {
	outcome := audit.OK
	if err != nil {
		outcome = audit.Failed
	}
	if failed := s.record(context.WithoutCancel(ctx), c, action, room, outcome, detail); failed != nil {
		s.log.ErrorContext(ctx, "a call of the room service was not audited", "action", action, "room", room, "err", failed)
		if err == nil {
			return errcode.Wrap(failed, errcode.Unavailable, "it was done, but could not be recorded in the audit log")
		}
	}
	return err
}

func (s *Service) createRoom(ctx context.Context, c *roomCall, q *lk.CreateRoomRequest) (proto.Message, error) {
	const longest = 7 * 24 * 60 * 60 // s
	if q.GetEmptyTimeout() > longest || q.GetDepartureTimeout() > longest {
		c.hold.Release()
		return nil, errcode.New(errcode.Invalid, "empty_timeout and departure_timeout are at most %d seconds", longest)
	}
	r, err := s.cfg.SFU.CreateRoom(ctx, q.GetName(), sfu.RoomOptions{
		EmptyTimeout:     time.Duration(q.GetEmptyTimeout()) * time.Second,
		DepartureTimeout: time.Duration(q.GetDepartureTimeout()) * time.Second,
		MaxParticipants:  int(min(q.GetMaxParticipants(), 1<<20)), Metadata: q.GetMetadata(),
	}, c.hold.Release)
	if err = s.done(ctx, c, actionCreate, q.GetName(), err, nil); err != nil {
		return nil, err
	}
	return room(r), nil
}

func (s *Service) listRooms(ctx context.Context, _ *roomCall, q *lk.ListRoomsRequest) (proto.Message, error) {
	all, err := s.roomsEverywhere(ctx)
	if err != nil {
		return nil, err
	}
	out := &lk.ListRoomsResponse{}
	for _, r := range all {
		if len(q.GetNames()) == 0 || slices.Contains(q.GetNames(), r.Name) {
			out.Rooms = append(out.Rooms, room(r))
		}
	}
	return out, nil
}

// roomsHere lists the operators' rooms of this node.
func (s *Service) roomsHere(ctx context.Context) []sfu.RoomInfo {
	out := []sfu.RoomInfo{}
	for _, name := range s.cfg.SFU.RoomNames() {
		if s.cfg.OperatorRoom == nil || !s.cfg.OperatorRoom(name) {
			continue
		}
		if r, err := s.cfg.SFU.Room(ctx, name); err == nil { // else it has just ended
			out = append(out, r)
		}
	}
	return out
}

// roomsEverywhere lists those of all nodes, the oldest first. A list that lacked
// the rooms of a node would tell that they have ended, so each has to answer
// that lives; the error is errcode.Unavailable.
func (s *Service) roomsEverywhere(ctx context.Context) ([]sfu.RoomInfo, error) {
	lists := [][]sfu.RoomInfo{s.roomsHere(ctx)}
	if s.cfg.Owner != nil {
		others, err := s.cfg.Owner.Others(ctx)
		if err != nil {
			return nil, err
		}
		var asking sync.WaitGroup
		var mu sync.Mutex
		for node, address := range others {
			asking.Go(func() {
				theirs, failed := s.roomsAt(ctx, owner.Place{Node: node, Address: address})
				mu.Lock()
				defer mu.Unlock()
				lists, err = append(lists, theirs), errors.Join(err, failed)
			})
		}
		asking.Wait()
		if err != nil {
			return nil, errcode.Wrap(err, errcode.Unavailable, "a server does not tell of its rooms; try again in a few seconds")
		}
	}
	latest := make(map[string]sfu.RoomInfo) // one that moved meanwhile may be in two lists
	for _, r := range slices.Concat(lists...) {
		if was, ok := latest[r.Name]; !ok || was.Created.Before(r.Created) {
			latest[r.Name] = r
		}
	}
	return slices.SortedFunc(maps.Values(latest), func(a, b sfu.RoomInfo) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.Name, b.Name))
	}), nil
}

// roomsAt lists those of another node: none for one that has died meanwhile.
func (s *Service) roomsAt(ctx context.Context, at owner.Place) (rooms []sfu.RoomInfo, err error) {
	for {
		if rooms, err = s.askRooms(ctx, at); err == nil || errors.Is(err, errStopping) {
			return rooms, err
		}
		s.log.DebugContext(ctx, "a node does not tell of its rooms", "node", at.Node, "err", err)
		select {
		case <-time.After(reachAgain):
		case <-ctx.Done():
			return nil, fmt.Errorf("node %s: %w", at.Node, err)
		}
		if others, err := s.cfg.Owner.Others(ctx); err == nil {
			if _, lives := others[at.Node]; !lives {
				return nil, nil
			}
		}
	}
}

func (s *Service) askRooms(ctx context.Context, at owner.Place) ([]sfu.RoomInfo, error) {
	if at.Address == "" {
		return nil, errNoAddress
	}
	if !s.begin() {
		return nil, errStopping
	}
	defer s.sockets.Done()
	ctx, done, err := s.watch(ctx, at)
	if err != nil {
		return nil, err
	}
	defer done()
	var rooms []sfu.RoomInfo
	err = s.ask(ctx, at, http.MethodGet, pathRooms, "", &rooms)
	return rooms, err
}

// answerRooms tells another node of this one's rooms.
func (s *Service) answerRooms(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.roomsHere(r.Context())) // who left hears nothing
}

func (s *Service) deleteRoom(ctx context.Context, c *roomCall, q *lk.DeleteRoomRequest) (proto.Message, error) {
	defer c.hold.Release()
	s.revocations.Add(1) // before the room closes: who comes in later asks again
	err := s.cfg.SFU.EndRoom(ctx, q.GetRoom())
	return &lk.DeleteRoomResponse{}, s.done(ctx, c, actionEnd, q.GetRoom(), err, nil)
}

func (s *Service) listParticipants(ctx context.Context, c *roomCall, q *lk.ListParticipantsRequest) (proto.Message, error) {
	defer c.hold.Release()
	all, err := s.cfg.SFU.Participants(ctx, q.GetRoom())
	return &lk.ListParticipantsResponse{Participants: participants(all)}, err
}

func (s *Service) getParticipant(ctx context.Context, c *roomCall, q *lk.RoomParticipantIdentity) (proto.Message, error) {
	defer c.hold.Release()
	p, err := s.cfg.SFU.Participant(ctx, q.GetRoom(), q.GetIdentity())
	return participant(p), err
}

func (s *Service) removeParticipant(ctx context.Context, c *roomCall, q *lk.RoomParticipantIdentity) (proto.Message, error) {
	defer c.hold.Release()
	s.remove(q.GetRoom(), q.GetIdentity())
	err := s.cfg.SFU.RemoveParticipant(ctx, q.GetRoom(), q.GetIdentity())
	return &lk.RemoveParticipantResponse{}, s.done(ctx, c, actionRemove, q.GetRoom(), err, who(q.GetIdentity()))
}

func (s *Service) mutePublishedTrack(ctx context.Context, c *roomCall, q *lk.MuteRoomTrackRequest) (proto.Message, error) {
	defer c.hold.Release()
	if !q.GetMuted() {
		return nil, errcode.New(errcode.Conflict, "a track is unmuted by its own participant alone")
	}
	t, err := s.cfg.SFU.MuteTrack(ctx, q.GetRoom(), q.GetIdentity(), q.GetTrackSid())
	detail := who(q.GetIdentity())
	detail["track"], detail["source"] = cut(q.GetTrackSid()), string(t.Source)
	return &lk.MuteRoomTrackResponse{Track: track(t)}, s.done(ctx, c, actionMute, q.GetRoom(), err, detail)
}

func (s *Service) updateParticipant(ctx context.Context, c *roomCall, q *lk.UpdateParticipantRequest) (proto.Message, error) {
	defer c.hold.Release()
	u := sfu.MetadataUpdate{Attributes: q.GetAttributes()}
	if name := q.GetName(); name != "" { // the protocol cannot tell an absent string from an empty one
		u.Name = &name
	}
	if metadata := q.GetMetadata(); metadata != "" {
		u.Metadata = &metadata
	}
	detail := who(q.GetIdentity())
	var perm *sfu.Permission
	if q.GetPermission() != nil {
		p := permissionOf(q.GetPermission())
		perm = &p
		words, err := json.Marshal(p)
		if err != nil {
			return nil, err
		}
		detail["permission"] = string(words)
	}
	p, err := s.cfg.SFU.UpdateParticipant(ctx, q.GetRoom(), q.GetIdentity(), u, perm)
	if err = s.done(ctx, c, actionUpdate, q.GetRoom(), err, detail); err != nil {
		return nil, err
	}
	if ses := s.session(p.SID); ses != nil {
		ses.refreshSoon() // its token says what it may, for when it joins anew
	}
	return participant(p), nil
}

func (s *Service) updateSubscriptions(ctx context.Context, c *roomCall, q *lk.UpdateSubscriptionsRequest) (proto.Message, error) {
	defer c.hold.Release()
	sids := wantedSIDs(&lk.UpdateSubscription{TrackSids: q.GetTrackSids(), ParticipantTracks: q.GetParticipantTracks()})
	err := s.cfg.SFU.SetSubscriptions(ctx, q.GetRoom(), q.GetIdentity(), sids, q.GetSubscribe())
	return &lk.UpdateSubscriptionsResponse{}, s.done(ctx, c, actionReceive, q.GetRoom(), err, who(q.GetIdentity()))
}

func (s *Service) sendData(ctx context.Context, c *roomCall, q *lk.SendDataRequest) (proto.Message, error) {
	defer c.hold.Release()
	kind := sfu.Reliable
	if q.GetKind() == lk.DataPacket_LOSSY {
		kind = sfu.Lossy
	}
	data, err := proto.Marshal(&lk.DataPacket{
		Kind: q.GetKind(), DestinationIdentities: q.GetDestinationIdentities(),
		Value: &lk.DataPacket_User{User: &lk.UserPacket{
			Payload: q.GetData(), Topic: q.Topic, DestinationSids: q.GetDestinationSids(), Nonce: q.GetNonce(), //nolint:protogetter // whether it is there counts
			DestinationIdentities: q.GetDestinationIdentities(),
		}},
	})
	if err != nil {
		return nil, err
	}
	to := slices.Concat(q.GetDestinationIdentities(), q.GetDestinationSids())
	return &lk.SendDataResponse{}, s.cfg.SFU.SendData(ctx, q.GetRoom(), kind, data, to)
}

func (s *Service) updateRoomMetadata(ctx context.Context, c *roomCall, q *lk.UpdateRoomMetadataRequest) (proto.Message, error) {
	defer c.hold.Release()
	r, err := s.cfg.SFU.SetRoomMetadata(ctx, q.GetRoom(), q.GetMetadata())
	return room(r), s.done(ctx, c, actionDescribe, q.GetRoom(), err, nil)
}

func who(identity string) map[string]string { return map[string]string{"identity": cut(identity)} }
