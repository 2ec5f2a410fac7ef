package directory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"commsd/identity"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
)

// post is a position as the plain listing below sees it.
type post struct {
	person identity.PersonID
	unit   int // in the order of the tree
	main   bool
	senior int
	key    []byte
}

// A tree of units of which many are empty is listed page by page as if it were
// listed at once, everybody once and where they stand first, however long the
// pages are.
func TestPagesOfStaffAgreeWithPlainList(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		now := time.Now()
		rnd := rand.New(rand.NewPCG(11, 11))
		var agency identity.AgencyID
		var root place
		var posts []post
		if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) (err error) {
			if agency, err = insertAgency(ctx, tx, AgencyRecord{Identifier: "X02", Name: "Cơ quan", NameEN: "Agency", ShortName: "CQ"}, now); err != nil {
				return err
			}
			if root, err = insertUnit(ctx, tx, place{agency: agency}, "Gốc", "", 0); err != nil {
				return err
			}
			// Made from the back: the order is that of the ranks.
			units := make([]place, 60)
			for i := range units {
				above := root
				if i >= 20 {
					above = units[(i-20)/2] // two below each of the first twenty
				}
				if units[i], err = insertUnit(ctx, tx, above, fmt.Sprint("Đơn vị ", i), "", 100-i); err != nil {
					return err
				}
			}
			order := map[identity.UnitID]int{root.id: 0}
			for i := 19; i >= 0; i-- {
				for _, k := range []int{i, 21 + 2*i, 20 + 2*i} {
					order[units[k].id] = len(order)
				}
			}
			for i := range 90 {
				name := personName{"Nguyễn", fmt.Sprint("Văn ", i%7), string(rune('A' + i%20))}
				p, err := insertPerson(ctx, tx, name, "", now)
				if err != nil {
					return err
				}
				for k := range 1 + i%3%2 {
					// A third of the units have all, the first of them a third of those.
					at, kind := units[rnd.IntN(len(units)/3)*3], []string{KindMain, KindConcurrent}[k]
					if i%3 == 0 && k == 0 {
						at = units[18]
					}
					senior := rnd.IntN(3)
					if err := insertPosition(ctx, tx, p, at, "Chuyên viên", kind, senior, now); err != nil {
						return err
					}
					posts = append(posts, post{p, order[at.id], k == 0, senior, name.normal().sortKey()})
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		// The main post counts, wherever it stands.
		posts = slices.DeleteFunc(posts, func(p post) bool { return !p.main })
		slices.SortStableFunc(posts, func(a, b post) int {
			return cmp.Or(cmp.Compare(a.unit, b.unit), cmp.Compare(a.senior, b.senior), bytes.Compare(a.key, b.key))
		})
		for name, in := range map[string]scope{"agency": {agency: agency}, "unit": {path: root.path}} {
			for _, limit := range []int{1, 3, 7, 29, 89, 90, 200} {
				var got []identity.PersonID
				var after *staff
				for range len(posts) + 1 {
					err := db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
						people, last, err := readStaff(ctx, tx, in, after, now, limit)
						for _, p := range people {
							got = append(got, p.ID)
						}
						if last != nil && len(people) != limit {
							t.Errorf("a page of %d holds %d", limit, len(people))
						}
						after = last
						return err
					})
					if err != nil {
						t.Fatal(err)
					}
					if after == nil {
						break
					}
				}
				if len(got) != len(posts) {
					t.Fatalf("%s by %d: %d people, want %d", name, limit, len(got), len(posts))
				}
				for i, p := range posts {
					if got[i] != p.person {
						t.Fatalf("%s by %d: %s stands at %d, want %s", name, limit, got[i], i, p.person)
					}
				}
			}
		}
	})
}
