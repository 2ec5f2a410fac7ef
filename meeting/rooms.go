package meeting

import (
	"context"
	"time"

	"commsd/identity"
	"commsd/internal/sqldb"
)

// Rooms are the meetings that run right now, on whichever node. It may be
// called from many goroutines.
type Rooms interface {
	// CloseRoom puts everyone out of a room, telling them that the room was
	// ended. It answers nil when nobody is inside.
	CloseRoom(ctx context.Context, room string) error
	// Inside lists the identities of those inside, none for an empty room.
	Inside(ctx context.Context, room string) ([]string, error)
	// Changed waits until somebody has come into a room or left one, and names
	// the rooms where that happened since the last call. Its error is that ctx
	// has ended. Run alone calls it.
	Changed(ctx context.Context) ([]string, error)
}

// changedEvery bounds how often open pages are told who is inside: a thousand
// people who come in at once are a few hints, not a thousand to each.
const changedEvery = time.Second

// Changed is the body of a KindChanged hint.
type Changed struct {
	MeetingID string `json:"meeting_id"`
}

// Run follows who comes and goes until ctx ends: it tells the pages of those
// who belong to the meeting, and keeps when the meeting counts as over.
func (s *Service) Run(ctx context.Context) error {
	if s.rooms == nil {
		<-ctx.Done()
		return nil
	}
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil
		}
		rooms, err := s.rooms.Changed(ctx)
		if err != nil {
			return nil // it says that ctx has ended
		}
		for _, room := range rooms {
			if id, ok := meetingOf(room); ok {
				s.follow(ctx, id)
			}
		}
		pause.Reset(changedEvery)
	}
}

// follow tells of a change in a meeting's room. What fails is logged: lists
// and doors ask by themselves from time to time.
func (s *Service) follow(ctx context.Context, id string) {
	occupied := len(s.Inside(ctx, id)) > 0
	var people []Participant
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		r, err := loadMeeting(ctx, tx, id, tx.ForUpdate())
		if err != nil {
			return err
		}
		if closes := s.closes(r, occupied); !closes.Equal(r.closes) {
			r.closes = closes
			if err := moveClose(ctx, tx, r); err != nil {
				return err
			}
		}
		people, err = loadPeople(ctx, tx, r.id)
		return err
	})
	if err != nil {
		s.log.WarnContext(ctx, "cannot follow who is inside", "meeting", id, "err", err)
		return
	}
	s.hintChanged(ctx, id, people)
}

// closes answers when a meeting that people are in, or that all have left,
// begins to count as over.
func (s *Service) closes(r record, occupied bool) time.Time {
	now := s.now().UTC().Truncate(time.Microsecond)
	planned := r.startsAt.Add(openFor)
	switch {
	case !r.endedAt.IsZero():
		return r.endedAt
	case occupied && r.closes.After(now.Add(openFor/2)):
		return r.closes // far enough: not every arrival writes everyone's list
	case occupied: // were their leaving to be missed, it would be over half a day later
		return later(planned, now.Add(openFor))
	case r.scheduled:
		return planned
	default:
		return now.Add(s.emptyFor)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// hintChanged makes the open pages of a meeting's people ask anew.
func (s *Service) hintChanged(ctx context.Context, id string, people []Participant) {
	if len(people) == 0 {
		return
	}
	to := make([]identity.PersonID, 0, len(people))
	for _, p := range people {
		to = append(to, p.Person)
	}
	s.notifier.Hint(ctx, to, KindChanged, Changed{MeetingID: id})
}
