package meeting

import (
	"context"
	"time"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// Draft is what a meeting is made of.
type Draft struct {
	Title    string
	StartsAt time.Time // zero: it starts now
	Invite   []identity.PersonID
}

// Create makes a meeting and invites people to it in one transaction, then
// notifies them. Errors: errcode.Invalid for a bad title, start or invitee.
func (s *Service) Create(ctx context.Context, actor identity.Actor, d Draft) (Meeting, error) {
	if err := needPerson(actor); err != nil {
		return Meeting{}, err
	}
	title, err := cleanTitle(d.Title)
	if err != nil {
		return Meeting{}, err
	}
	now := s.now().UTC().Truncate(time.Microsecond)
	starts := now
	if !d.StartsAt.IsZero() {
		starts = d.StartsAt.UTC().Truncate(time.Microsecond)
		if starts.Before(now.Add(-24*time.Hour)) || starts.After(now.Add(MaxAhead)) {
			return Meeting{}, errcode.New(errcode.Invalid, "starts_at must lie between yesterday and two years from now")
		}
	}
	invitees, err := s.invitees(ctx, actor, d.Invite)
	if err != nil {
		return Meeting{}, err
	}
	r := record{
		id: newID(), agency: actor.Agency, title: title, createdBy: actor.Person,
		createdAt: now, startsAt: starts, scheduled: !d.StartsAt.IsZero(),
	}
	r.closes = s.closes(r, false)
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := insertMeeting(ctx, tx, r); err != nil {
			return err
		}
		if _, err := insertPerson(ctx, tx, r, actor.Person, RelationMaker, actor.Person, now); err != nil {
			return err
		}
		for _, p := range invitees {
			if _, err := insertPerson(ctx, tx, r, p, RelationInvited, actor.Person, now); err != nil {
				return err
			}
		}
		if err := s.record(ctx, tx, actor, "meeting.create", r.id, audit.Event{Detail: map[string]string{"title": title}}); err != nil {
			return err
		}
		return s.recordInvitations(ctx, tx, actor, r.id, invitees)
	})
	if err != nil {
		return Meeting{}, err
	}
	s.metrics.created.Inc()
	s.tellInvited(ctx, actor, r, invitees)
	return s.view(r, RelationMaker), nil
}

// List answers the meetings that a person made, is invited to or came to:
// those ahead or running, soonest first, then those that are over, newest
// first; at most MaxListed of each.
func (s *Service) List(ctx context.Context, actor identity.Actor) ([]Meeting, error) {
	if err := needPerson(actor); err != nil {
		return nil, err
	}
	var all []Meeting
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		all = all[:0]
		for _, past := range []bool{false, true} {
			rows, err := listMeetings(ctx, tx, actor.Person, past, s.now())
			if err != nil {
				return err
			}
			for _, row := range rows {
				all = append(all, s.view(row.record, row.relation))
			}
		}
		return nil
	})
	return all, err
}

// Get answers one meeting to anyone signed in who has its id, and its people
// to those who belong to it. Errors: errcode.NotFound.
func (s *Service) Get(ctx context.Context, actor identity.Actor, id string) (Meeting, []Participant, error) {
	if err := needPerson(actor); err != nil {
		return Meeting{}, nil, err
	}
	var m Meeting
	var people []Participant
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		r, err := loadMeeting(ctx, tx, id, "")
		if err != nil {
			return err
		}
		relation, err := loadRelation(ctx, tx, r.id, actor.Person)
		if err != nil {
			return err
		}
		m = s.view(r, relation)
		if relation != RelationNone {
			people, err = loadPeople(ctx, tx, r.id)
		}
		return err
	})
	return m, people, err
}

// End closes a meeting's door for good and puts everyone out. Only who made
// it may; ending it again does nothing. Errors: errcode.NotFound, Forbidden.
func (s *Service) End(ctx context.Context, actor identity.Actor, id string) (Meeting, error) {
	if err := needPerson(actor); err != nil {
		return Meeting{}, err
	}
	var r record
	var people []Participant // to be told; none where it had ended before
	var refused error
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		refused, people = nil, nil
		var err error
		if r, err = loadMeeting(ctx, tx, id, tx.ForUpdate()); err != nil {
			return err
		}
		if r.createdBy != actor.Person {
			refused = errcode.New(errcode.Forbidden, "only who made a meeting may end it")
			return nil
		}
		if !r.endedAt.IsZero() {
			return nil
		}
		r.endedAt = s.now().UTC().Truncate(time.Microsecond)
		r.closes = r.endedAt
		if people, err = loadPeople(ctx, tx, r.id); err != nil {
			return err
		}
		if err := endMeeting(ctx, tx, r, actor.Person); err != nil {
			return err
		}
		return s.record(ctx, tx, actor, "meeting.end", r.id, audit.Event{})
	})
	if err == nil && refused != nil {
		err = s.refused(ctx, actor, "meeting.end", r.id, "not_author", refused)
	}
	if err != nil {
		return Meeting{}, err
	}
	s.hintChanged(ctx, r.id, people)
	if s.rooms != nil {
		// The door is shut either way; those inside are put out at the latest
		// when their token is refreshed.
		if err := s.rooms.CloseRoom(ctx, RoomName(r.id)); err != nil {
			s.log.WarnContext(ctx, "room of an ended meeting did not close", "meeting", r.id, "err", err)
		}
	}
	return s.view(r, RelationMaker), nil
}

// Inside tells who is in a meeting right now, none where that is not known.
func (s *Service) Inside(ctx context.Context, id string) []identity.PersonID {
	if s.rooms == nil {
		return nil
	}
	identities, err := s.rooms.Inside(ctx, RoomName(id))
	if err != nil {
		s.log.WarnContext(ctx, "cannot tell who is inside", "meeting", id, "err", err)
		return nil
	}
	var inside []identity.PersonID
	seen := map[identity.PersonID]bool{}
	for _, i := range identities {
		if p := personOf(i); p != "" && !seen[p] {
			seen[p] = true
			inside = append(inside, p)
		}
	}
	return inside
}

func (s *Service) view(r record, relation string) Meeting {
	return Meeting{
		ID: r.id, Title: r.title, Link: s.link(r.id), CreatedBy: r.createdBy, CreatedAt: r.createdAt,
		StartsAt: r.startsAt, Scheduled: r.scheduled, EndedAt: r.endedAt,
		Past: !r.closes.After(s.now()), Relation: relation,
	}
}

// record writes an audit event in tx; e needs only what differs from a
// success.
func (s *Service) record(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, action identity.Action, id string, e audit.Event) error {
	e.Actor, e.Action, e.Object = actor, action, object(id)
	if e.Outcome == "" {
		e.Outcome = audit.OK
	}
	return s.audit.Record(ctx, tx, e)
}

// refused records that actor was refused action, and returns the refusal. A log
// that cannot be written changes nothing about it.
func (s *Service) refused(ctx context.Context, actor identity.Actor, action identity.Action, id, reason string, refusal error) error {
	if err := s.audit.Refused(ctx, s.db, audit.Event{Actor: actor, Action: action, Object: object(id)}, reason); err != nil {
		s.log.ErrorContext(ctx, "refusal was not audited", "meeting", id, "reason", reason, "err", err)
	}
	return refusal
}

// needPerson refuses accounts that nobody can see in a meeting.
func needPerson(actor identity.Actor) error {
	if actor.Person == "" {
		return errcode.New(errcode.Forbidden, "this account belongs to no person, so it cannot take part in meetings")
	}
	return nil
}
