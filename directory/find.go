package directory

import (
	"context"
	"fmt"
	"strings"

	"commsd/directory/searchkey"
	"commsd/identity"
	"commsd/internal/sqldb"
)

// MaxFound is the most people that one search or one page of a list answers.
const MaxFound = 200

// searchBound is how many entries of the index one step of a search looks at,
// and how many people of the actor's own unit.
const searchBound = 2000

// FindPeople returns at most limit people (MaxFound at the most) who hold a
// position and whose name has words that begin with each word of q, whatever
// its marks and order; or whose main address begins with q, or with a word of q
// that holds an @. An empty q finds the colleagues. Only whom actor sees is
// found, by what actor sees.
//
// Hits whose marks are those that were typed come first (a word typed without
// marks asks for none), then the people of the actor's own unit, then of the
// actor's agency, then all others; among them those with more whole words, then
// the order of the alphabet by tên, đệm, họ.
//
// What a search costs is bounded. All of the above holds wherever at most
// searchBound entries begin with a word of q in the actor's agency, or with two
// words of q in the whole directory. Where more do ("nguyen", a single letter),
// the hits are the best among the first searchBound entries, those with whole
// words before others: as many as asked for, but not the first of the alphabet.
// Three words or more, of which each two are that common together, may miss
// people who have all of them; a further letter finds them. Of a unit with more
// than searchBound people some rank as the agency's.
func (s *Service) FindPeople(ctx context.Context, actor identity.Actor, q string, limit int) ([]identity.Person, error) {
	return s.FindPeopleOf(ctx, actor, "", q, limit)
}

// FindPeopleOf is FindPeople among those who hold a position in one agency, of
// whom actor sees that; an empty q finds the first of them. Without an agency it
// is FindPeople.
func (s *Service) FindPeopleOf(ctx context.Context, actor identity.Actor, within identity.AgencyID, q string, limit int) ([]identity.Person, error) {
	if limit <= 0 {
		limit = 20
	}
	limit = min(limit, MaxFound)
	query := searchkey.Parse(q)
	if query.Empty() && strings.TrimSpace(q) != "" {
		return nil, nil // signs only: nobody is called that
	}
	var out []identity.Person
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		// Some of those found may hold no post any more or not yet, or not be seen
		// by the actor; then more are asked for.
		for want := limit; ; want = min(4*want, maxCandidates) {
			candidates, more, err := s.candidates(ctx, tx, actor, within, query, want)
			if err != nil {
				return err
			}
			if out, err = s.viewPeople(ctx, tx, actor, candidates, foundBy(query, within)); err != nil {
				return err
			}
			if len(out) >= limit || !more || want == maxCandidates {
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

// maxCandidates bounds how many people a search looks at to find those whom
// the actor sees.
const maxCandidates = 5 * MaxFound

// candidates returns people whom query finds, whether seen or not, in the order
// of FindPeople, and whether there are more; without words, the colleagues, or
// the first of the agency within.
func (s *Service) candidates(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, within identity.AgencyID, query searchkey.Query, limit int) ([]identity.Person, bool, error) {
	if query.Empty() && within != "" {
		people, last, err := readStaff(ctx, tx, scope{agency: within}, nil, s.now(), limit)
		return people, last != nil, err
	}
	if query.Empty() {
		people, err := s.colleagues(ctx, tx, actor, limit)
		return people, len(people) == limit, err
	}
	f := &finder{tx: tx, query: query, actor: actor, within: within, now: s.now(), want: limit, seen: map[identity.PersonID]bool{}}
	if err := f.find(ctx); err != nil {
		return nil, false, err
	}
	people, err := holders(ctx, tx, f.found, s.now(), limit)
	return people, f.more, err
}

// colleagues are the people directly in the actor's unit by name, then the
// agency's as its page lists them; for an actor of no agency, everybody.
func (s *Service) colleagues(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, limit int) ([]identity.Person, error) {
	now := s.now()
	if actor.Agency == "" {
		query, args := everybodyQuery(now, limit)
		return queryPeople(ctx, tx, query, args)
	}
	unit, err := readUnitNames(ctx, tx, actor.Position, now)
	if err != nil {
		return nil, err
	}
	ids := make([]identity.PersonID, len(unit))
	for i, m := range unit {
		ids[i] = m.id
	}
	out, err := holders(ctx, tx, ids, now, limit)
	if err != nil || len(out) == limit {
		return out, err
	}
	inUnit := make(map[identity.PersonID]bool, len(out))
	for _, p := range out {
		inUnit[p.ID] = true
	}
	agency, _, err := readStaff(ctx, tx, scope{agency: actor.Agency}, nil, now, limit+len(out))
	if err != nil {
		return nil, err
	}
	ids = ids[:0]
	for _, p := range agency {
		if !inUnit[p.ID] {
			ids = append(ids, p.ID)
		}
	}
	rest, err := holders(ctx, tx, ids, now, limit-len(out)) // each as their main position shows them
	return append(out, rest...), err
}
