package meeting

import (
	"context"
	"strconv"
	"time"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// Invite names more people for a meeting, of any agency. Whoever belongs to the
// meeting may. It answers those who were not invited before. The invitation is
// durable when Invite returns nil; a notification that fails does not undo it.
// Errors: errcode.NotFound, Forbidden, Invalid (unknown people), Gone (ended).
func (s *Service) Invite(ctx context.Context, actor identity.Actor, id string, people []identity.PersonID) ([]identity.PersonID, error) {
	if err := needPerson(actor); err != nil {
		return nil, err
	}
	if len(people) == 0 {
		return nil, errcode.New(errcode.Invalid, "name at least one person to invite")
	}
	invitees, err := s.invitees(ctx, actor, people)
	if err != nil {
		return nil, err
	}
	now := s.now().UTC().Truncate(time.Microsecond)
	var r record
	var added []identity.PersonID
	var refused error
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		added, refused = nil, nil
		var err error
		if r, err = loadMeeting(ctx, tx, id, tx.ForUpdate()); err != nil {
			return err
		}
		if !r.endedAt.IsZero() {
			return errcode.New(errcode.Gone, "the meeting has ended")
		}
		relation, err := loadRelation(ctx, tx, r.id, actor.Person)
		if err != nil {
			return err
		}
		if relation == RelationNone {
			refused = errcode.New(errcode.Forbidden, "join the meeting before you invite others to it")
			return nil
		}
		for _, p := range invitees {
			isNew, err := insertPerson(ctx, tx, r, p, RelationInvited, actor.Person, now)
			if err != nil {
				return err
			}
			if isNew {
				added = append(added, p)
			}
		}
		n, err := countPeople(ctx, tx, r.id)
		if err != nil {
			return err
		}
		if n > MaxPeople {
			return errcode.New(errcode.Invalid, "a meeting has room for %d people; this would make %d", MaxPeople, n)
		}
		return s.recordInvitations(ctx, tx, actor, r.id, added)
	})
	if err == nil && refused != nil {
		err = s.refused(ctx, actor, "meeting.invite", r.id, "not_member", refused)
	}
	if err != nil {
		return nil, err
	}
	s.tellInvited(ctx, actor, r, added)
	return added, nil
}

// invitees checks that the people exist, and drops doubles and the actor.
func (s *Service) invitees(ctx context.Context, actor identity.Actor, ids []identity.PersonID) ([]identity.PersonID, error) {
	if len(ids) > MaxInvitees {
		return nil, errcode.New(errcode.Invalid, "at most %d people can be invited at once", MaxInvitees)
	}
	var unique []identity.PersonID
	seen := map[identity.PersonID]bool{actor.Person: true}
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			unique = append(unique, id)
		}
	}
	if len(unique) == 0 {
		return nil, nil
	}
	known, err := s.people.People(ctx, unique)
	if err != nil {
		return nil, err
	}
	for _, id := range unique {
		if _, ok := known[id]; !ok {
			return nil, errcode.New(errcode.Invalid, "there is no person with the id %s", strconv.QuoteToASCII(clip(string(id))))
		}
	}
	return unique, nil
}

func (s *Service) recordInvitations(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, id string, people []identity.PersonID) error {
	for _, p := range people {
		if err := s.record(ctx, tx, actor, "meeting.invite", id, audit.Event{Detail: map[string]string{"person": string(p)}}); err != nil {
			return err
		}
	}
	return nil
}

// tellInvited notifies after the commit. The invitation stands in everyone's
// list already, so a failure here is only logged and counted.
func (s *Service) tellInvited(ctx context.Context, actor identity.Actor, r record, people []identity.PersonID) {
	if len(people) == 0 {
		return
	}
	s.metrics.invitations.Add(float64(len(people)))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), notifyDeadline) // the client leaving changes nothing for the invited
	defer cancel()
	by, err := s.person(ctx, actor.Person)
	if err != nil {
		s.log.WarnContext(ctx, "cannot tell who invites", "meeting", r.id, "err", err)
		by = identity.Person{ID: actor.Person, Name: actor.Name}
	}
	body := Invited{MeetingID: r.id, Title: r.title, By: viewPerson(by)}
	if r.scheduled {
		body.StartsAt = &r.startsAt
	}
	if err := s.notifier.Notify(ctx, people, KindInvited, body); err != nil {
		s.metrics.notifyFailures.Inc()
		s.log.WarnContext(ctx, "invitations were not announced; they stand in the lists", "meeting", r.id, "people", len(people), "err", err)
	}
}

func (s *Service) person(ctx context.Context, id identity.PersonID) (identity.Person, error) {
	found, err := s.people.People(ctx, []identity.PersonID{id})
	if err != nil {
		return identity.Person{}, err
	}
	p, ok := found[id]
	if !ok {
		return identity.Person{}, errcode.New(errcode.NotFound, "there is no such person")
	}
	return p, nil
}

// clip shortens what a client sent before it is quoted back.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
