package directory

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"commsd/identity"
	"commsd/internal/fold"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
)

// In a directory of thousands, the searches go by index.
func TestQueriesUseIndexes(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		now := time.Now()
		viewer, units := crowd(t, db, 3000, now)
		if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, "ANALYZE")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		find, findArgs := findQuery(fold.Words("đức nguyen 42"), viewer, now, 20)
		// A scan of these grows with the directory.
		big := []string{"directory_search_tokens", "directory_people", "directory_positions", "directory_addresses", "directory_accounts", "directory_sessions"}
		for name, q := range map[string]struct {
			query string
			args  arguments
		}{
			"find":    {find, findArgs},
			"session": {`SELECT id FROM directory_sessions WHERE token_hash = $1`, arguments{make([]byte, 32)}},
			"login":   {`SELECT id FROM directory_accounts WHERE login = $1`, arguments{"an@noivu.g2g.example"}},
			"address": {`SELECT person_id FROM directory_addresses WHERE address = $1`, arguments{"an@noivu.g2g.example"}},
			"staff":   staffPlan(units[7], now),
		} {
			plan := sqldbtest.Explain(t, db, q.query, q.args...)
			for _, table := range big {
				if name == "find" && table != "directory_search_tokens" && table != "directory_people" {
					continue // few rows are left; the engine may hash them
				}
				if strings.Contains(plan, "Seq Scan on "+table) || strings.Contains(plan, "SCAN "+table) {
					t.Errorf("%s scans %s:\n%s", name, table, plan)
				}
			}
			if !strings.Contains(strings.ToUpper(plan), "INDEX") {
				t.Errorf("%s uses no index:\n%s", name, plan)
			}
		}
	})
}

func staffPlan(unit place, now time.Time) (q struct {
	query string
	args  arguments
}) {
	at := q.args.add(now.UnixMicro())
	q.query = `SELECT DISTINCT x.person_id FROM directory_positions x WHERE ` +
		scope{path: unit.path}.condition(&q.args, "x") + ` AND ` + validAt("x", at)
	return q
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
