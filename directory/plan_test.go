package directory

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"commsd/directory/searchkey"
	"commsd/identity"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
)

// In a directory of thousands, the searches go by index.
func TestQueriesUseIndexes(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		now := time.Now()
		viewer, units := crowd(t, db, 1200, now)
		if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, "ANALYZE")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		agency, err := idBytes(string(viewer.Agency))
		if err != nil {
			t.Fatal(err)
		}
		plans := map[string]plan{
			"session":         {`SELECT id FROM directory_sessions WHERE token_hash = $1`, arguments{make([]byte, 32)}},
			"sessions of one": {`SELECT id FROM directory_sessions WHERE account_id = $1 AND expires_at > $2 ORDER BY id DESC`, arguments{"x", 1}},
			"login":           {`SELECT id FROM directory_accounts WHERE login = $1`, arguments{"an@noivu.g2g.example"}},
			"address":         {`SELECT person_id FROM directory_addresses WHERE address = $1`, arguments{"an@noivu.g2g.example"}},
		}
		for name, q := range map[string]string{"one word": "duc", "marks": "đức", "letter": "n", "two words": "đức nguyen", "three": "d nguyen dem42"} {
			for scope, id := range map[string][]byte{"agency": agency, "everybody": everybody} {
				plans["find by "+name+" in "+scope] = findPlan(t, db, viewer, id, q)
			}
		}
		for scope, in := range map[string]scope{"unit": {path: units[7].path}, "agency": {agency: viewer.Agency}} {
			query, args := staffQuery(db.Dialect(), in, []identity.UnitID{units[7].id}, &staff{SortKey: []byte{1}, Position: "x"}, now, 100)
			plans["staff of a unit in "+scope] = plan{query, args}
			query, args = staffQuery(db.Dialect(), in, []identity.UnitID{units[7].id, units[8].id, units[9].id}, nil, now, 100)
			plans["staff of units in "+scope] = plan{query, args}
		}
		query, args := everybodyQuery(now, 20)
		plans["everybody"] = plan{query, args}
		// A scan of these grows with the directory; SQLite names the alias.
		scans := regexp.MustCompile(`Seq Scan on directory_(search|people|positions|addresses|accounts|sessions)\b|SCAN ([aqpms]|directory_\w+)($| USING COVERING)`)
		look := func(t *testing.T) {
			for name, q := range plans {
				said := sqldbtest.Explain(t, db, q.query, q.args...)
				for line := range strings.Lines(said) {
					if scans.MatchString(strings.TrimSpace(line)) {
						t.Errorf("%s scans a table that grows:\n%s", name, said)
					}
				}
				if !strings.Contains(strings.ToUpper(said), "INDEX") && !strings.Contains(said, "PRIMARY KEY") {
					t.Errorf("%s uses no index:\n%s", name, said)
				}
			}
		}
		if db.Dialect() == sqldb.SQLite {
			t.Run("without statistics", look) // as a server's database is: nobody takes them
		}
		if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, "ANALYZE") // PostgreSQL does by itself
			return err
		}); err != nil {
			t.Fatal(err)
		}
		t.Run("with statistics", look)
	})
}

// plan is a query whose plan is looked at.
type plan struct {
	query string
	args  arguments
}

func findPlan(t *testing.T, db *sqldb.DB, viewer identity.Actor, scope []byte, q string) (out plan) {
	t.Helper()
	err := db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		f := &finder{tx: tx, query: searchkey.Parse(q), actor: viewer}
		ranges, err := f.allRanges(ctx, scope, f.query.Marked())
		if string(scope) != string(everybody) {
			ranges, err = f.agencyRanges(ctx, scope, f.query.Marked())
		}
		out.query, out.args = searchQuery(tx.Dialect(), scope, ranges, f.query, f.query.Marked(), 20)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// crowd fills db with n people of one agency.
func crowd(t *testing.T, db *sqldb.DB, n int, now time.Time) (viewer identity.Actor, units []place) {
	t.Helper()
	families := []string{"Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Đỗ", "Vũ", "Bùi"}
	given := []string{"An", "Bình", "Chi", "Dũng", "Đức", "Giang", "Hà", "Khánh", "Lan", "Minh", "Ngọc", "Phúc", "Quân", "Sơn", "Thảo", "Uyên", "Vinh", "Yến"}
	err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		agency, err := insertAgency(ctx, tx, AgencyRecord{Identifier: "X01", Name: "Cơ quan lớn", NameEN: "Large agency", ShortName: "CQL"}, now)
		if err != nil {
			return err
		}
		for i := range 100 {
			u, err := insertUnit(ctx, tx, place{agency: agency}, fmt.Sprint("Đơn vị ", i), fmt.Sprint("Unit ", i), i)
			if err != nil {
				return err
			}
			units = append(units, u)
		}
		for i := range n {
			name := personName{families[i%len(families)], fmt.Sprint("Đệm", i), given[i%len(given)]}
			p, err := insertPerson(ctx, tx, name, fmt.Sprintf("p%d@large.example", i), now)
			if err != nil {
				return err
			}
			if err := insertPosition(ctx, tx, p, units[i%len(units)], "Chuyên viên", KindMain, 5, now); err != nil {
				return err
			}
			login := fmt.Sprintf("p%d@large.example", i)
			if err := insertAccount(ctx, tx, p, login, "", now); err != nil {
				return err
			}
			acc, err := readAccount(ctx, tx, login)
			if err != nil {
				return err
			}
			session := Session{ID: identity.SessionID(login), ExpiresAt: now.Add(time.Hour)}
			if err := insertSession(ctx, tx, session, acc.id, tokenHash{byte(i), byte(i >> 8)}, now, "", "", "password"); err != nil {
				return err
			}
		}
		viewer.Agency = agency
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return viewer, units
}
