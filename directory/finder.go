package directory

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"commsd/directory/searchkey"
	"commsd/identity"
	"commsd/internal/fold"
	"commsd/internal/sqldb"
)

const (
	// maxForms is how many words of the directory one word of a query may stand
	// for and still be looked up as each of them.
	maxForms = 100
	// fewEntries is when a range is small enough to look for no smaller one.
	fewEntries = 200
)

// finder runs the steps of one search, each bounded, until it has as many as
// wanted: with the typed marks and then whatever the marks, in the unit, the
// agency, and the whole directory.
type finder struct {
	// set at construction
	tx     *sqldb.Tx
	query  searchkey.Query
	actor  identity.Actor
	within identity.AgencyID // the only agency that is looked in; empty: all
	now    time.Time
	want   int

	found []identity.PersonID // in their order
	seen  map[identity.PersonID]bool
	more  bool // a step had more than it was asked for
	forms [][]fold.Word
}

// area is a part of the directory that a step looks in.
type area struct {
	key    []byte // of its search rows
	ranges func(ctx context.Context, key []byte, exact bool) ([]searchkey.Range, error)
}

func (f *finder) find(ctx context.Context) error {
	unit, areas, err := f.nearestFirst(ctx)
	if err != nil {
		return err
	}
	for _, exact := range []bool{true, false} {
		if exact && !f.query.Marked() {
			continue
		}
		for _, m := range unit {
			if m.Exact || !exact {
				f.take(m.id)
			}
		}
		for _, in := range areas {
			if len(f.found) == f.want {
				f.more = true
				return nil
			}
			ranges, err := in.ranges(ctx, in.key, exact)
			if err != nil {
				return err
			}
			if err := f.step(ctx, in.key, ranges, exact); err != nil {
				return err
			}
		}
	}
	return nil
}

// nearestFirst returns who of the actor's unit is looked for, and where to look
// after that. Within an agency there is nothing nearer than it.
func (f *finder) nearestFirst(ctx context.Context) (unit []unitMatch, areas []area, err error) {
	if f.within != "" {
		key, err := idBytes(string(f.within))
		if err != nil {
			return nil, nil, nil //nolint:nilerr // an id of nothing: nobody works there
		}
		return nil, []area{{key, f.agencyRanges}}, nil
	}
	if f.actor.Agency != "" {
		members, err := readUnitNames(ctx, f.tx, f.actor.Position, f.now)
		if err != nil {
			return nil, nil, err
		}
		key, err := idBytes(string(f.actor.Agency))
		if err != nil {
			return nil, nil, err
		}
		unit, areas = matching(f.query, members), []area{{key, f.agencyRanges}}
	}
	return unit, append(areas, area{everybody, f.allRanges}), nil
}

// take adds a person unless an earlier step has.
func (f *finder) take(id identity.PersonID) {
	if f.seen[id] {
		return
	}
	if len(f.found) >= f.want {
		f.more = true
		return
	}
	f.seen[id] = true
	f.found = append(f.found, id)
}

// step takes the best of what ranges of scope hold.
func (f *finder) step(ctx context.Context, scope []byte, ranges []searchkey.Range, exact bool) error {
	if len(ranges) == 0 {
		return nil
	}
	// Those that earlier steps took come again.
	query, args := searchQuery(f.tx.Dialect(), scope, ranges, f.query, exact, f.want+len(f.found)+1)
	ids, err := readFound(ctx, f.tx, query, args)
	if err != nil {
		return err
	}
	for _, id := range ids {
		f.take(id)
	}
	return nil
}

// agencyRanges are those of the query's rarest word in an agency.
func (f *finder) agencyRanges(ctx context.Context, agency []byte, exact bool) ([]searchkey.Range, error) {
	if i := f.query.Address(); i >= 0 {
		return f.query.Single(i), nil
	}
	var choices [][]searchkey.Range
	for i := range f.query.Words() {
		ranges, err := f.single(ctx, i, exact)
		if err != nil {
			return nil, err
		}
		choices = append(choices, ranges)
	}
	return f.rarest(ctx, agency, choices)
}

// allRanges are those of the query's rarest two words in the whole directory.
func (f *finder) allRanges(ctx context.Context, _ []byte, exact bool) ([]searchkey.Range, error) {
	if i := f.query.Address(); i >= 0 {
		return f.query.Single(i), nil
	}
	if f.query.Words() == 1 {
		return f.single(ctx, 0, exact)
	}
	// The longest words are the rarest, mostly; three make three pairs.
	order := make([]int, f.query.Words())
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(f.query.Length(b), f.query.Length(a)) })
	order = order[:min(len(order), 3)]
	var choices [][]searchkey.Range
	for k, i := range order {
		for _, j := range order[k+1:] {
			ranges, err := f.pair(ctx, i, j, exact)
			if err != nil {
				return nil, err
			}
			if len(ranges) == 0 {
				return nil, nil // one of the words is nobody's
			}
			choices = append(choices, ranges)
		}
	}
	return f.rarest(ctx, everybody, choices)
}

// single is where word i stands in front. With typed marks it is each of the
// words it can stand for, lest the marks be rare and the letters common.
func (f *finder) single(ctx context.Context, i int, exact bool) ([]searchkey.Range, error) {
	if !exact || !f.query.Typed(i) {
		return f.query.Single(i), nil
	}
	forms, all, err := f.formsOf(ctx, i, exact)
	if err != nil || !all {
		return f.query.Single(i), err
	}
	return searchkey.Forms(forms), nil
}

// pair is where words i and j stand in front, in one order or the other.
func (f *finder) pair(ctx context.Context, i, j int, exact bool) ([]searchkey.Range, error) {
	a, allA, err := f.formsOf(ctx, i, exact)
	if err != nil {
		return nil, err
	}
	b, allB, err := f.formsOf(ctx, j, exact)
	if err != nil {
		return nil, err
	}
	switch {
	case allA && len(a) == 0 || allB && len(b) == 0:
		return nil, nil
	case allA && allB:
		return append(f.query.Pair(a, j), f.query.Pair(b, i)...), nil
	case allA: // j stands for too many words: it is a letter or two, and not rare behind i
		return append(f.query.Pair(a, j), f.query.Single(i)...), nil
	case allB:
		return append(f.query.Pair(b, i), f.query.Single(j)...), nil
	}
	return f.rarest(ctx, everybody, [][]searchkey.Range{f.query.Single(i), f.query.Single(j)})
}

// formsOf returns what word i can stand for; all is false when that is too
// much.
func (f *finder) formsOf(ctx context.Context, i int, exact bool) (forms []fold.Word, all bool, err error) {
	if f.forms == nil {
		f.forms = make([][]fold.Word, f.query.Words())
	}
	words := f.forms[i]
	if words == nil {
		if words, err = readWords(ctx, f.tx, f.query, i, 4*maxForms); err != nil {
			return nil, false, err
		}
		f.forms[i] = words
	}
	if len(words) == 4*maxForms {
		return nil, false, nil
	}
	for _, w := range words {
		if !exact || f.query.Stands(i, w) {
			forms = append(forms, w)
		}
	}
	return forms, len(forms) <= maxForms, nil
}

// rarest returns the choice with the fewest entries.
func (f *finder) rarest(ctx context.Context, scope []byte, choices [][]searchkey.Range) ([]searchkey.Range, error) {
	best, least := 0, searchBound+1
	for i, ranges := range choices {
		if len(choices) == 1 {
			break
		}
		if len(ranges) == 0 {
			return nil, nil // nobody has such a word
		}
		n, err := countEntries(ctx, f.tx, scope, ranges, least)
		if err != nil {
			return nil, err
		}
		if n < least {
			best, least = i, n
		}
		if n < fewEntries {
			break
		}
	}
	return choices[best], nil
}

// unitMatch is somebody of the actor's own unit whom a query finds.
type unitMatch struct {
	searchkey.Match
	id    identity.PersonID
	order []byte
}

// matching returns the members that q finds, in their order.
func matching(q searchkey.Query, members []member) []unitMatch {
	var out []unitMatch
	for _, m := range members {
		if match := q.Match(m.name); match.Found {
			out = append(out, unitMatch{match, m.id, m.name.Order()})
		}
	}
	slices.SortFunc(out, func(a, b unitMatch) int {
		return cmp.Or(cmp.Compare(b.Whole, a.Whole), bytes.Compare(a.order, b.order), cmp.Compare(a.id, b.id))
	})
	return out
}
