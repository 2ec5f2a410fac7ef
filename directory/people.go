package directory

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/fold"
	"commsd/internal/sqldb"
)

// MaxFound is the most people that one search or one page of a list answers.
const MaxFound = 200

// People returns the people of ids that exist, by id.
func (s *Service) People(ctx context.Context, ids []identity.PersonID) (map[identity.PersonID]identity.Person, error) {
	if len(ids) == 0 {
		return map[identity.PersonID]identity.Person{}, nil
	}
	var out map[identity.PersonID]identity.Person
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		out, err = readPeople(ctx, tx, ids, s.now())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("directory: people: %w", err)
	}
	return out, nil
}

// FindPeople returns at most limit people (MaxFound at the most) who hold a
// position and whose name, or main address, has words that begin with each word
// of q, whatever its marks and order. Hits with the very marks come first, then
// the actor's unit, then the actor's agency. An empty q finds the colleagues.
func (s *Service) FindPeople(ctx context.Context, actor identity.Actor, q string, limit int) ([]identity.Person, error) {
	if limit <= 0 {
		limit = 20
	}
	limit = min(limit, MaxFound)
	words := fold.Words(strings.ReplaceAll(q, "\x00", " "))
	var query string
	var args arguments
	switch {
	case len(words) > 0:
		query, args = findQuery(words, actor, s.now(), limit)
	case strings.TrimSpace(q) == "":
		query, args = colleaguesQuery(actor, s.now(), limit)
	default:
		return nil, nil // signs only: nobody is called that
	}
	var out []identity.Person
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		out, err = queryPeople(ctx, tx, query, args)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("directory: find people: %w", err)
	}
	return out, nil
}

// Card is all that the directory shows of one person.
type Card struct {
	identity.Person
	Phone     string // of the desk
	Mobile    string
	Office    string // room and building
	Photo     string // SHA-256 in hex; empty: none
	Positions []Position
}

// Card returns one person; errcode.NotFound when there is none.
func (s *Service) Card(ctx context.Context, id identity.PersonID) (Card, error) {
	var c Card
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		people, err := readPeople(ctx, tx, []identity.PersonID{id}, s.now())
		if err != nil {
			return err
		}
		var ok bool
		if c.Person, ok = people[id]; !ok {
			return errcode.New(errcode.NotFound, "there is no such person in the directory")
		}
		c.Positions, err = readPositions(ctx, tx, id, s.now())
		return err
	})
	if err != nil {
		return Card{}, fmt.Errorf("directory: card: %w", err)
	}
	return c, nil
}

// UnitPeople lists the people of a unit and all units below it, leaders first,
// then by name; each with the position held there. next, when not empty, is
// the cursor of the rest.
func (s *Service) UnitPeople(ctx context.Context, id identity.UnitID, cursor string, limit int) (people []identity.Person, next string, err error) {
	return s.staffOf(ctx, cursor, limit, func(ctx context.Context, tx *sqldb.Tx) (scope, error) {
		path, err := readUnitPath(ctx, tx, id)
		if errors.Is(err, sql.ErrNoRows) {
			return scope{}, errcode.New(errcode.NotFound, "there is no such unit in the directory")
		}
		return scope{path: path}, err
	})
}

// AgencyPeople is UnitPeople for a whole agency.
func (s *Service) AgencyPeople(ctx context.Context, id identity.AgencyID, cursor string, limit int) (people []identity.Person, next string, err error) {
	return s.staffOf(ctx, cursor, limit, func(ctx context.Context, tx *sqldb.Tx) (scope, error) {
		return scope{agency: id}, nil
	})
}

func (s *Service) staffOf(ctx context.Context, cursor string, limit int, find func(context.Context, *sqldb.Tx) (scope, error)) (people []identity.Person, next string, err error) {
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
		var last *staff
		people, last, err = readStaff(ctx, tx, in, after, s.now(), limit)
		next = formatCursor(last)
		return err
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
