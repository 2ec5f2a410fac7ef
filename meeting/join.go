package meeting

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"time"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// roomPrefix sets the rooms of meetings apart from those that an operator's
// own API key opens.
const roomPrefix = "meeting-"

// RoomName is the media server's name of a meeting's room.
func RoomName(id string) string { return roomPrefix + id }

// meetingOf is RoomName's inverse; false for a room that is no meeting's.
func meetingOf(room string) (string, bool) { return strings.CutPrefix(room, roomPrefix) }

// identityOf names one tab of one person: LiveKit's protocol puts the older of
// two equal identities out, and a person may sit at two machines.
func identityOf(person identity.PersonID, tab string) string { return string(person) + "." + tab }

// personOf is identityOf's inverse, "" for an identity of other making.
func personOf(ident string) identity.PersonID {
	person, _, found := strings.Cut(ident, ".")
	if !found {
		return ""
	}
	return identity.PersonID(person)
}

// maxTab bounds what a client names its tab.
const maxTab = 40

// Metadata is what every participant can read of another, beside the name. It
// is the participant metadata of the protocol, as JSON.
type Metadata struct {
	Person      string `json:"person"`
	Title       string `json:"title"`
	AgencyName  string `json:"agency_name"`
	AgencyShort string `json:"agency_short"`
}

// Admitted is what opens a room.
type Admitted struct {
	Identity string
	Token    string
}

// Join lets a person in by the meeting's id: it writes down that they came and
// mints a token. tab sets apart the person's tabs and devices; empty makes one up.
// Errors: errcode.NotFound, Gone (ended), Forbidden (full), Invalid (tab).
func (s *Service) Join(ctx context.Context, actor identity.Actor, id, tab string) (Admitted, error) {
	if err := needPerson(actor); err != nil {
		return Admitted{}, err
	}
	if tab == "" {
		tab = strings.ReplaceAll(newID(), "-", "")
	}
	if len(tab) > maxTab || strings.Trim(strings.ToLower(tab), idAlphabet+"ilou") != "" {
		return Admitted{}, errcode.New(errcode.Invalid, "tab must be at most %d letters and digits", maxTab)
	}
	person, err := s.person(ctx, actor.Person)
	if err != nil {
		return Admitted{}, err
	}
	now := s.now().UTC().Truncate(time.Microsecond)
	ident := identityOf(actor.Person, tab)
	var r record
	var refused error
	var why string
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		refused = nil
		var err error
		if r, err = loadMeeting(ctx, tx, id, tx.ForUpdate()); err != nil {
			return err
		}
		if !r.endedAt.IsZero() {
			refused, why = errcode.New(errcode.Gone, "the meeting has ended"), "ended"
			return nil
		}
		relation, err := loadRelation(ctx, tx, r.id, actor.Person)
		if err != nil {
			return err
		}
		if relation == RelationNone {
			n, err := countPeople(ctx, tx, r.id)
			if err != nil {
				return err
			}
			if n >= MaxPeople {
				refused, why = errcode.New(errcode.Forbidden, "a meeting has room for %d people, and this one is full", MaxPeople), "full"
				return nil
			}
			if _, err := insertPerson(ctx, tx, r, actor.Person, RelationJoined, actor.Person, now); err != nil {
				return err
			}
		}
		return s.record(ctx, tx, actor, "meeting.join", r.id, audit.Event{Detail: map[string]string{"identity": ident}})
	})
	if err == nil && refused != nil {
		err = s.refused(ctx, actor, "meeting.join", r.id, why, refused)
	}
	if err != nil {
		s.metrics.joins.WithLabelValues("denied").Inc()
		return Admitted{}, err
	}
	metadata, err := json.Marshal(Metadata{Person: string(person.ID), Title: person.Title, AgencyName: person.AgencyName, AgencyShort: cmp.Or(person.AgencyShort, person.AgencyName)})
	if err != nil {
		return Admitted{}, err
	}
	token, err := s.gate.mint(ctx, actor, r.id, ident, person.Name, string(metadata), now)
	if err != nil {
		return Admitted{}, err
	}
	s.metrics.joins.WithLabelValues("ok").Inc()
	return Admitted{Identity: ident, Token: token}, nil
}

// SocketURL is where the media server's protocol is spoken: on the public host,
// whatever Host the request had, which a proxy in front may have rewritten to
// an address that clients cannot reach.
func (s *Service) SocketURL() string {
	u := *s.public
	u.Scheme = "ws"
	if s.public.Scheme == "https" {
		u.Scheme = "wss"
	}
	u.Path, u.RawQuery, u.Fragment = "", "", ""
	return u.String()
}
