package directory_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"commsd/identity"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
)

// A directory of before people were found by search rows (migration 17) becomes
// searchable by itself once the server runs.
func TestPeopleOfBeforeTheSearchAreFound(t *testing.T) {
	const agency, unit = "018f0000-0000-7000-8000-0000000000aa", "018f0000-0000-7000-8000-0000000000bb"
	const people = 203 // more than one step of the sweep
	id := func(kind, n int) string { return fmt.Sprintf("018f0000-0000-7000-%04d-%012d", 8000+kind, n) }
	fill := func(t *testing.T, db *sql.DB) {
		t.Helper()
		rows := map[string][]string{}
		for n := range people {
			given, address := "Bình", fmt.Sprintf("n%d@cu.example", n)
			if n == people-1 {
				given, address = "Đức", "duc@cu.example"
			}
			rows["directory_people (id, family_name, middle_name, given_name, display_name, fold, sort_key, created_at)"] = append(
				rows["directory_people (id, family_name, middle_name, given_name, display_name, fold, sort_key, created_at)"],
				fmt.Sprintf("('%s', 'Đặng', 'Văn', '%s', 'Đặng Văn %s', 'dang van', '%d', 1)", id(0, n), given, given, n))
			rows["directory_positions (id, person_id, unit_id, agency_id, title, kind, rank, seniority, valid_from)"] = append(
				rows["directory_positions (id, person_id, unit_id, agency_id, title, kind, rank, seniority, valid_from)"],
				fmt.Sprintf("('%s', '%s', '%s', '%s', 'Chuyên viên', 'main', 0, 50, 1)", id(1, n), id(0, n), unit, agency))
			rows["directory_addresses (address, person_id, kind)"] = append(rows["directory_addresses (address, person_id, kind)"],
				fmt.Sprintf("('%s', '%s', 'main')", address, id(0, n)))
		}
		statements := []string{
			`INSERT INTO directory_agencies (id, identifier, name, name_en, short_name, time_zone, created_at) VALUES ('` + agency + `', 'G99', 'Cơ quan cũ', '', 'CQC', 'Asia/Ho_Chi_Minh', 1)`,
			`INSERT INTO directory_units (id, agency_id, path, name, name_en, rank) VALUES ('` + unit + `', '` + agency + `', '/` + unit + `/', 'Văn phòng', '', 0)`,
		}
		for _, table := range []string{"directory_people (id, family", "directory_positions (", "directory_addresses ("} {
			for name, values := range rows {
				if strings.HasPrefix(name, table) {
					statements = append(statements, "INSERT INTO "+name+" VALUES "+strings.Join(values, ", "))
				}
			}
		}
		for _, q := range statements {
			if _, err := db.ExecContext(t.Context(), q); err != nil {
				t.Fatalf("%.100s: %v", q, err)
			}
		}
	}
	sqldbtest.EachBefore(t, 17, fill, func(t *testing.T, cfg sqldb.Config) {
		f := newFixture(t, sqldbtest.Open(t, cfg))
		if n := f.rows(t, "directory_search_backlog"); n != people {
			t.Fatalf("%d people wait to be searchable after the upgrade", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx) }()
		again := time.NewTicker(5 * time.Millisecond)
		defer again.Stop()
		limit := time.After(time.Minute)
		for f.rows(t, "directory_search_backlog") > 0 {
			select {
			case <-again.C:
			case <-limit:
				t.Fatal("people are not made searchable")
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		viewer := identity.Actor{Account: "viewer", Person: identity.PersonID(id(0, 0)), Position: identity.PositionID(id(1, 0)), Agency: agency, UnitPath: "/" + unit + "/"}
		for query, want := range map[string]int{"duc": 1, "đức": 1, "dang van duc": 1, "duc@cu": 1, "đặng": 50, "nobody": 0} {
			if got := f.find(t, viewer, query); len(got) != want {
				t.Errorf("%q finds %d, want %d", query, len(got), want)
			}
		}
		var count int
		if f.read(t, `SELECT people FROM directory_agency_people WHERE agency_id = '`+agency+`'`, &count); count != people {
			t.Errorf("the agency has %d people", count)
		}
	})
}
