package directory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"commsd/audit"
	"commsd/directory/searchkey"
	"commsd/identity"
	"commsd/internal/bus"
	"commsd/internal/fold"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
)

// known is a person as the plain search below sees one.
type known struct {
	id       identity.PersonID
	name     searchkey.Name
	unit     identity.UnitID
	agency   identity.AgencyID
	alsoUnit identity.UnitID
	gone     bool
}

func (k known) display() string {
	return personName{k.name.Family, k.name.Middle, k.name.Given}.display()
}

// plainFind is FindPeople as its comment promises it, by looking at everybody.
func plainFind(people []known, unit identity.UnitID, agency identity.AgencyID, query string) []identity.PersonID {
	q := searchkey.Parse(query)
	type hit struct {
		known
		searchkey.Match
		stage int
	}
	var hits []hit
	for _, k := range people {
		m := q.Match(k.name)
		if k.gone || !m.Found {
			continue
		}
		stage := 2
		switch {
		case k.unit == unit || k.alsoUnit == unit:
			stage = 0
		case k.agency == agency:
			stage = 1
		}
		if q.Marked() && !m.Exact {
			stage += 10
		}
		hits = append(hits, hit{k, m, stage})
	}
	slices.SortFunc(hits, func(a, b hit) int {
		return cmp.Or(cmp.Compare(a.stage, b.stage), cmp.Compare(b.Whole, a.Whole),
			bytes.Compare(a.name.Order(), b.name.Order()), cmp.Compare(a.id, b.id))
	})
	var out []identity.PersonID
	for _, h := range hits {
		out = append(out, h.id)
	}
	return out
}

// A small directory is found in as if everybody were looked at, in the very
// order that FindPeople promises, whatever is typed.
func TestFindAgreesWithPlainSearch(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		now := time.Now()
		s := newInternal(t, db, func() time.Time { return now })
		rnd := rand.New(rand.NewPCG(7, 7))
		people, units := randomDirectory(t, db, rnd, 300, now)
		viewer := identity.Actor{Agency: units[3].agency}
		if err := db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			return tx.QueryRow(ctx, `SELECT id FROM directory_positions WHERE unit_id = $1 AND valid_until IS NULL LIMIT 1`, string(units[3].id)).Scan(&viewer.Position)
		}); err != nil {
			t.Fatal(err)
		}
		byID := map[identity.PersonID]known{}
		for _, k := range people {
			byID[k.id] = k
		}
		check := func(q string, limit int) {
			t.Helper()
			found, err := s.FindPeople(t.Context(), viewer, q, limit)
			if err != nil {
				t.Fatalf("find %q: %v", q, err)
			}
			want := plainFind(people, units[3].id, viewer.Agency, q)
			want = want[:min(len(want), limit)]
			var got []identity.PersonID
			for _, p := range found {
				got = append(got, p.ID)
			}
			if !slices.Equal(got, want) {
				show := func(ids []identity.PersonID) (out []string) {
					for _, id := range ids {
						out = append(out, fmt.Sprintf("%s <%s> %s", byID[id].display(), byID[id].name.Address, byID[id].unit[30:]))
					}
					return out
				}
				t.Errorf("%q of %d:\n got %q\nwant %q", q, limit, show(got), show(want))
			}
		}
		for _, q := range []string{"n", "nguyen", "nguyễn", "nguyen van", "nguyen van a", "van nguyen", "an nguyen", "nguyen an", "đức", "duc", "dục",
			"tran huu nguyen", "n v", "h h", "an an", "nguyen n", "an@", "annv", "nguyen an@", "h'hen", "hương thị", "thi huong", "d đ", "x", "Nguyễn Văn An", "a b c d e f g h i"} {
			check(q, 20)
			check(q, 200)
		}
		for range 100 {
			check(randomQuery(rnd, people), 1+rnd.IntN(200))
			if t.Failed() {
				return
			}
		}
	})
}

// randomQuery types parts of a name, in some order, with marks or without.
func randomQuery(rnd *rand.Rand, people []known) string {
	k := people[rnd.IntN(len(people))]
	words := strings.Fields(k.display())
	rnd.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
	words = words[:1+rnd.IntN(len(words))]
	if rnd.IntN(8) == 0 {
		words = append(words, k.name.Address[:1+rnd.IntN(len(k.name.Address))])
	}
	for i, w := range words {
		if r := []rune(w); rnd.IntN(2) == 0 {
			words[i] = string(r[:1+rnd.IntN(len(r))])
		}
	}
	q := strings.Join(words, " ")
	if rnd.IntN(2) == 0 {
		q = fold.String(q)
	}
	return q
}

func randomDirectory(t *testing.T, db *sqldb.DB, rnd *rand.Rand, n int, now time.Time) (people []known, units []place) {
	t.Helper()
	families := []string{"Nguyễn", "Nguyễn", "Nguyễn", "Trần", "Lê", "Phạm", "Đỗ", "H'Hen", "Nguyên", "Ðặng", ""}
	middles := []string{"Văn", "Thị", "Thị Thanh", "Hữu", "", "Đức", "Thị Hồng Ánh", "An", "Nguyên", "Hương Thảo Vy Anh"}
	given := []string{"An", "Ân", "Anh", "Ánh", "Đức", "Dục", "Hương", "Hường", "Nguyên", "Văn", "Vân", "Niê", "Thị", "Hà", "Hạ"}
	err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		for a := range 3 {
			agency, err := insertAgency(ctx, tx, AgencyRecord{Identifier: fmt.Sprintf("X%02d", a+1), Name: fmt.Sprint("Cơ quan ", a), TimeZone: "Asia/Ho_Chi_Minh"}, now)
			if err != nil {
				return err
			}
			for u := range 4 {
				unit, err := insertUnit(ctx, tx, place{agency: agency}, fmt.Sprint("Đơn vị ", u), "", u)
				if err != nil {
					return err
				}
				units = append(units, unit)
			}
		}
		for i := range n {
			name := personName{families[rnd.IntN(len(families))], middles[rnd.IntN(len(middles))], given[rnd.IntN(len(given))]}
			address := fmt.Sprintf("%s%d@x%d.example", strings.ReplaceAll(fold.String(name.Given+name.Family), "'", ""), i, i%3)
			id, err := insertPerson(ctx, tx, name, address, now)
			if err != nil {
				return err
			}
			unit := units[rnd.IntN(len(units))]
			k := known{id: id, unit: unit.id, agency: unit.agency, name: searchkey.Name{Family: name.normal().Family, Middle: name.normal().Middle, Given: name.normal().Given, Address: address}}
			if err := insertPosition(ctx, tx, id, unit, "Chuyên viên", KindMain, rnd.IntN(3), now); err != nil {
				return err
			}
			if also := units[rnd.IntN(len(units))]; rnd.IntN(6) == 0 && also.agency == unit.agency {
				k.alsoUnit = also.id
				if err := insertPosition(ctx, tx, id, also, "Thư ký", KindConcurrent, 9, now); err != nil {
					return err
				}
			}
			if rnd.IntN(10) == 0 { // gone since; the rows of half of them are still there
				k.gone = true
				if _, err := tx.Exec(ctx, `UPDATE directory_positions SET valid_until = $1 WHERE person_id = $2`, now.UnixMicro(), string(id)); err != nil {
					return err
				}
				if i%2 == 0 {
					if err := indexPerson(ctx, tx, id, now); err != nil {
						return err
					}
				}
			}
			people = append(people, k)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return people, units
}

func newInternal(t *testing.T, db *sqldb.DB, now func() time.Time) *Service {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	s, err := New(Config{DB: db, Bus: b, Audit: audit.New(audit.Config{Now: now}), Domain: "g2g.example", Passwords: cheap, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
