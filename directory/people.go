package directory

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"commsd/directory/visibility"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/fold"
	"commsd/internal/sqldb"
)

// MaxFound is the most people that one search or one page of a list answers.
const MaxFound = 200

// People returns the people of ids that exist, by id, as they may be shown to
// anybody who meets them in a conversation, a meeting or a letter: always the
// name, and beside it what officials of all agencies see (visibility.Known).
func (s *Service) People(ctx context.Context, ids []identity.PersonID) (map[identity.PersonID]identity.Person, error) {
	out := make(map[identity.PersonID]identity.Person, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		entries, policies, err := s.readWithPolicies(ctx, tx, ids)
		if err != nil {
			return err
		}
		for id, e := range entries {
			out[id] = visibility.Known(*e, policies[e.Agency].Visibility)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("directory: people: %w", err)
	}
	return out, nil
}

// maxCandidates bounds how many people a search looks at to find those whom
// the actor sees.
const maxCandidates = 5 * MaxFound

// FindPeople returns at most limit people (MaxFound at the most) who hold a
// position and whose name, or main address, has words that begin with each word
// of q, whatever its marks and order. Hits with the very marks come first, then
// the actor's unit, then the actor's agency. An empty q finds the colleagues.
// Only whom actor sees is found, by what actor sees.
func (s *Service) FindPeople(ctx context.Context, actor identity.Actor, q string, limit int) ([]identity.Person, error) {
	if limit <= 0 {
		limit = 20
	}
	limit = min(limit, MaxFound)
	words := fold.Words(strings.ReplaceAll(q, "\x00", " "))
	if len(words) == 0 && strings.TrimSpace(q) != "" {
		return nil, nil // signs only: nobody is called that
	}
	var out []identity.Person
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for ask := limit; ; ask = min(4*ask, maxCandidates) {
			candidates, err := s.candidates(ctx, tx, actor, words, ask)
			if err != nil {
				return err
			}
			if out, err = s.viewPeople(ctx, tx, actor, candidates, foundBy(words)); err != nil {
				return err
			}
			if len(out) >= limit || len(candidates) < ask || ask == maxCandidates {
				out = out[:min(limit, len(out))]
				return nil
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("directory: find people: %w", err)
	}
	return out, nil
}

// candidates returns the people whom words find, whether seen or not, in the
// order of FindPeople; without words, the colleagues.
func (s *Service) candidates(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, words []fold.Word, limit int) ([]identity.Person, error) {
	query, args := colleaguesQuery(actor, s.now(), limit)
	if len(words) > 0 {
		query, args = findQuery(words, actor, s.now(), limit)
	}
	return queryPeople(ctx, tx, query, args)
}

// Card is all that a viewer sees of one person.
type Card struct {
	identity.Person
	Phone     string // of the desk
	Mobile    string
	Office    string // room and building
	Photo     string // SHA-256 in hex; empty: none
	Positions []Position
}

// Card returns what actor sees of one person; errcode.NotFound when that is
// nothing, or there is no such person.
func (s *Service) Card(ctx context.Context, actor identity.Actor, id identity.PersonID) (Card, error) {
	e, err := s.Entry(ctx, actor, id)
	if err != nil {
		return Card{}, err
	}
	c := Card{Person: e.Person, Phone: e.Phone, Mobile: e.Mobile, Office: e.Office, Photo: e.Photo}
	for _, q := range e.Places {
		c.Positions = append(c.Positions, Position{ID: q.Position, Title: q.Title, UnitID: q.UnitID, Unit: q.Unit, UnitPath: q.UnitPath,
			Agency: q.Agency, AgencyName: q.AgencyName, Kind: q.Kind})
	}
	return c, nil
}

// UnitPeople lists the people of a unit and all units below it, leaders first,
// then by name; each with the position held there. next, when not empty, is
// the cursor of the rest. Whom actor does not see, or does not see in this unit,
// is not among them.
func (s *Service) UnitPeople(ctx context.Context, actor identity.Actor, id identity.UnitID, cursor string, limit int) (people []identity.Person, next string, err error) {
	return s.staffOf(ctx, actor, visibility.FieldUnit, cursor, limit, func(ctx context.Context, tx *sqldb.Tx) (scope, error) {
		path, err := readUnitPath(ctx, tx, id)
		if errors.Is(err, sql.ErrNoRows) {
			return scope{}, errcode.New(errcode.NotFound, "there is no such unit in the directory")
		}
		return scope{path: path}, err
	})
}

// AgencyPeople is UnitPeople for a whole agency.
func (s *Service) AgencyPeople(ctx context.Context, actor identity.Actor, id identity.AgencyID, cursor string, limit int) (people []identity.Person, next string, err error) {
	return s.staffOf(ctx, actor, visibility.FieldAgency, cursor, limit, func(ctx context.Context, tx *sqldb.Tx) (scope, error) {
		return scope{agency: id}, nil
	})
}

// maxPages bounds how many pages are read to fill one with people who are seen;
// a page may be short, or empty, though the list goes on.
const maxPages = 5

// staffOf lists people whom actor sees with the field that the list is by.
func (s *Service) staffOf(ctx context.Context, actor identity.Actor, by visibility.Field, cursor string, limit int, find func(context.Context, *sqldb.Tx) (scope, error)) (people []identity.Person, next string, err error) {
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, MaxFound)
	after, err := parseCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	err = s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		in, err := find(ctx, tx)
		if err != nil {
			return err
		}
		people = nil
		for range maxPages {
			page, last, err := readStaff(ctx, tx, in, after, s.now(), limit-len(people))
			if err != nil {
				return err
			}
			seen, err := s.viewPeople(ctx, tx, actor, page, func(sight visibility.Sight, _ identity.Person) bool { return sight.Sees(by) })
			if err != nil {
				return err
			}
			people, next, after = append(people, seen...), formatCursor(last), last
			if last == nil || len(people) == limit {
				break
			}
		}
		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("directory: list people: %w", err)
	}
	return people, next, nil
}

type cursorJSON struct {
	Seniority int64             `json:"s"`
	SortKey   []byte            `json:"k"`
	Person    identity.PersonID `json:"p"`
}

func formatCursor(s *staff) string {
	if s == nil {
		return ""
	}
	b, err := json.Marshal(cursorJSON{s.seniority, s.sortKey, s.person})
	if err != nil {
		return "" // numbers and bytes always marshal
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseCursor(s string) (*staff, error) {
	if s == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	var c cursorJSON
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil || c.Person == "" || c.SortKey == nil {
		return nil, errcode.New(errcode.Invalid, "the cursor is not one that this list gave")
	}
	return &staff{c.Seniority, c.SortKey, c.Person}, nil
}
