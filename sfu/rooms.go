package sfu

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"commsd/internal/errcode"
)

// What an operator's program may do to rooms. All of it answers after it is
// done, with errcode.NotFound where there is no such room, participant or
// track, and errcode.Unavailable while the server stops.

// CreateRoom makes a room before anybody is inside, or changes what a live one
// was told at its making. Zero timeouts mean 5 min and 20 s. With
// Config.MaxRooms live already it answers errcode.RateLimited. ended, which may
// be nil, is called once, when the room has ended or is no longer in need of
// it; it must not block.
func (s *SFU) CreateRoom(ctx context.Context, name string, o RoomOptions, ended func()) (RoomInfo, error) {
	var kept atomic.Bool
	if ended != nil {
		ended = sync.OnceFunc(ended)
		defer func() {
			if !kept.Load() {
				ended()
			}
		}()
	}
	if o.EmptyTimeout <= 0 {
		o.EmptyTimeout = 5 * time.Minute
	}
	if o.DepartureTimeout <= 0 {
		o.DepartureTimeout = 20 * time.Second
	}
	if len(o.Metadata) > maxMetadata {
		return RoomInfo{}, errMetadata
	}
	s.mu.Lock()
	full := s.rooms[name] == nil && len(s.rooms) >= s.cfg.MaxRooms
	s.mu.Unlock()
	if full {
		return RoomInfo{}, errcode.New(errcode.RateLimited, "there are %d rooms already, the most that media.max_rooms allows", s.cfg.MaxRooms)
	}
	return act(ctx, s, name, true, func(r *room) (RoomInfo, error) {
		told := r.options.Metadata != o.Metadata
		r.options, r.made = o, true
		if r.ended == nil && ended != nil {
			r.ended = ended
			kept.Store(true)
		}
		if told {
			r.tellRoom()
		}
		return r.info(), nil
	})
}

var errMetadata = errcode.New(errcode.TooLarge, "metadata and attributes take at most %d bytes together, a name %d", maxMetadata, maxNameLength)

var errNoRoom = errcode.New(errcode.NotFound, "there is no such room")

// EndRoom ends the places of everybody in a room, and the room.
func (s *SFU) EndRoom(ctx context.Context, name string) error {
	_, err := act(ctx, s, name, false, func(r *room) (struct{}, error) {
		roomClosed{reason: ReasonRoomClosed, action: ActionDisconnect}.apply(r)
		return struct{}{}, nil
	})
	return err
}

// RoomNames lists the rooms that are live.
func (s *SFU) RoomNames() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.rooms))
}

// Room tells of one room.
func (s *SFU) Room(ctx context.Context, name string) (RoomInfo, error) {
	return act(ctx, s, name, false, func(r *room) (RoomInfo, error) { return r.info(), nil })
}

// SetRoomMetadata changes what is said of a room.
func (s *SFU) SetRoomMetadata(ctx context.Context, name, metadata string) (RoomInfo, error) {
	if len(metadata) > maxMetadata {
		return RoomInfo{}, errMetadata
	}
	return act(ctx, s, name, false, func(r *room) (RoomInfo, error) {
		r.options.Metadata = metadata
		r.tellRoom()
		return r.info(), nil
	})
}

// Participants lists everybody in a room, in the order of coming.
func (s *SFU) Participants(ctx context.Context, name string) ([]ParticipantInfo, error) {
	return act(ctx, s, name, false, func(r *room) ([]ParticipantInfo, error) {
		out := make([]ParticipantInfo, 0, len(r.bySID))
		for _, p := range r.bySID {
			out = append(out, p.info())
		}
		slices.SortFunc(out, func(a, b ParticipantInfo) int { return a.JoinedAt.Compare(b.JoinedAt) })
		return out, nil
	})
}

// Participant tells of one participant.
func (s *SFU) Participant(ctx context.Context, name, identity string) (ParticipantInfo, error) {
	return with(ctx, s, name, identity, func(_ *room, p *Participant) (ParticipantInfo, error) { return p.info(), nil })
}

// RemoveParticipant ends a participant's place.
func (s *SFU) RemoveParticipant(ctx context.Context, name, identity string) error {
	_, err := with(ctx, s, name, identity, func(r *room, p *Participant) (struct{}, error) {
		r.leave(p, ReasonRemoved, ActionDisconnect)
		return struct{}{}, nil
	})
	return err
}

// UpdateParticipant changes what is said of a participant, and what it may do
// where perm is not nil.
func (s *SFU) UpdateParticipant(ctx context.Context, name, identity string, u MetadataUpdate, perm *Permission) (ParticipantInfo, error) {
	return with(ctx, s, name, identity, func(r *room, p *Participant) (ParticipantInfo, error) {
		if !p.describe(u) {
			return ParticipantInfo{}, errMetadata
		}
		if perm != nil {
			r.permit(p, *perm)
		} else {
			r.touch(p)
		}
		return p.info(), nil
	})
}

// MuteTrack mutes a participant's track; its client is told. To unmute is the
// participant's own matter: nobody is listened to by surprise.
func (s *SFU) MuteTrack(ctx context.Context, name, identity, trackSID string) (TrackInfo, error) {
	return with(ctx, s, name, identity, func(r *room, p *Participant) (TrackInfo, error) {
		t := p.tracks[trackSID]
		if t == nil {
			return TrackInfo{}, errcode.New(errcode.NotFound, "%.64q has no such track", identity)
		}
		if !t.info.Muted {
			r.mute(t, true)
			t.silenced = true
			p.emit(EventTrackMuted{TrackSID: trackSID, Muted: true})
		}
		return t.info, nil
	})
}

// SetSubscriptions begins or ends what a participant receives, as it could
// itself.
func (s *SFU) SetSubscriptions(ctx context.Context, name, identity string, trackSIDs []string, on bool) error {
	_, err := with(ctx, s, name, identity, func(r *room, p *Participant) (struct{}, error) {
		for _, sid := range trackSIDs {
			if r.tracks[sid] == nil {
				return struct{}{}, errcode.New(errcode.NotFound, "there is no track %.64q", sid)
			}
		}
		subscribed{p, trackSIDs, on}.apply(r)
		return struct{}{}, nil
	})
	return err
}

// SendData sends a data packet to those in the room whom to names by identity
// or SID, or to everybody when it names nobody.
func (s *SFU) SendData(ctx context.Context, name string, kind DataKind, data []byte, to []string) error {
	if len(data) > maxDataBytes {
		return errcode.New(errcode.TooLarge, "a data packet takes at most %d bytes", maxDataBytes)
	}
	r, err := act(ctx, s, name, false, func(r *room) (*room, error) { return r, nil })
	if err != nil {
		return err
	}
	// Not on the room's loop, which hears of those who do not take it.
	for _, p := range *r.members.Load() {
		if len(to) == 0 || slices.Contains(to, p.identity) || slices.Contains(to, p.sid) {
			p.sub.sendData(kind, data, true)
		}
	}
	return nil
}

// with calls do on a room's loop with one of its participants.
func with[T any](ctx context.Context, s *SFU, name, identity string, do func(*room, *Participant) (T, error)) (T, error) {
	return act(ctx, s, name, false, func(r *room) (T, error) {
		p := r.byIdentity[identity]
		if p == nil {
			var none T
			return none, errcode.New(errcode.NotFound, "%.64q is not in the room", identity)
		}
		return do(r, p)
	})
}

// result is what a call on a room's loop answers.
type result[T any] struct {
	value T
	err   error
}

var errClosing = errcode.New(errcode.Unavailable, "the room is closing; try again")

// act calls do on the loop of a room, which it makes if fresh.
func act[T any](ctx context.Context, s *SFU, name string, fresh bool, do func(*room) (T, error)) (T, error) {
	var none T
	r, err := s.room(name, fresh)
	if err != nil {
		return none, err
	}
	done := make(chan result[T], 1)
	if !r.post(acted{func() {
		if len(r.bySID) == 0 && !r.made && !fresh {
			done <- result[T]{none, errNoRoom} // it is about to end
			return
		}
		value, err := do(r)
		done <- result[T]{value, err}
	}}) {
		return none, errClosing
	}
	return answerOf(ctx, done, r.done)
}

// answerOf waits for the answer of a room, or until it has ended. A room that
// somebody asks of does not end before, but for one that fails; or it was asked
// to end, and then has answered.
func answerOf[T any](ctx context.Context, done <-chan result[T], ended <-chan struct{}) (none T, err error) {
	select {
	case d := <-done:
		return d.value, d.err
	case <-ended:
		select {
		case d := <-done:
			return d.value, d.err
		default:
			return none, errClosing
		}
	case <-ctx.Done():
		return none, errcode.Wrap(ctx.Err(), errcode.Unavailable, "the room does not answer")
	}
}

type acted struct{ do func() }

func (e acted) apply(r *room) {
	r.sfu.mu.Lock()
	r.expected--
	r.sfu.mu.Unlock()
	e.do()
}

// keep tells whether the room, which is empty, stays for now.
func (r *room) keep() bool {
	if !r.made {
		return false
	}
	if r.empty == nil {
		wait := r.options.EmptyTimeout
		if r.visited {
			wait = r.options.DepartureTimeout
		}
		r.waits++
		e := emptyTooLong{r.waits}
		r.empty = time.AfterFunc(wait, func() { r.post(e) })
	}
	return true
}

// occupy notes that the room is not empty.
func (r *room) occupy() {
	r.visited = true
	if r.empty != nil {
		r.empty.Stop()
		r.empty = nil
	}
}

// emptyTooLong says that a timer of keep ran out.
type emptyTooLong struct{ wait int }

func (e emptyTooLong) apply(r *room) {
	if r.empty != nil && e.wait == r.waits { // else somebody came meanwhile
		r.made = false
	}
}

// tellRoom tells everybody of the room.
func (r *room) tellRoom() {
	e := EventRoom{Room: r.info(), Memo: &Memo{}}
	for _, p := range r.bySID {
		p.emit(e)
	}
}
