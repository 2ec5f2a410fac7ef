package directory_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"commsd/directory"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
)

// newcomers is a staff list of n people who are new to Hanoi.
func newcomers(n int) string {
	var list strings.Builder
	list.WriteString(header)
	for i := range n {
		fmt.Fprintf(&list, "N%d;Nguyễn Văn An;n%d@hanoi.g2g.example;Chuyên viên;Sở Tài chính;\n", i, i)
	}
	return list.String()
}

func TestOldImportsAreRemoved(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		day := 24 * time.Hour
		_, admin := hanoi(t, f)
		applied, refused := f.preview(t, everybodyOfHanoi), f.preview(t, header+"X;Y;nobody;;;\n")
		f.clock.add(40 * day)
		f.apply(t, applied.ID, false)
		compared := f.preview(t, newcomers(3))
		running := f.preview(t, everybodyOfHanoi+"HN09;Ngô Thị An;anntt@hanoi.g2g.example;Văn thư;Phòng Nội chính;\n")
		if _, err := f.BeginImport(t.Context(), admin, running.ID, true); err != nil {
			t.Fatal(err)
		}
		after := func(d time.Duration, kept ...string) {
			t.Helper()
			f.clock.add(d)
			if err := f.RemoveImports(t.Context()); err != nil {
				t.Fatal(err)
			}
			for what, id := range map[string]string{"refused": refused.ID, "applied": applied.ID, "compared": compared.ID, "running": running.ID} {
				_, err := f.Import(t.Context(), admin, id)
				var entries int
				f.read(t, `SELECT COUNT(*) FROM directory_import_entries WHERE import_id = '`+id+`'`, &entries)
				if keep := strings.Contains(strings.Join(kept, " "), what); keep && err != nil || !keep && (errcode.Of(err) != errcode.NotFound || entries > 0) {
					t.Errorf("the import that was %s: %v, %d entries", what, err, entries)
				}
			}
		}
		after(0, "refused", "applied", "compared", "running")
		after(51*day, "applied", "compared", "running") // 91 days after it was compared and refused
		after(40*day, "running")                        // 91 days after that was applied, and the other compared; who applies one now needs its entries
		if err := f.ApplyImport(t.Context(), running.ID); err != nil {
			t.Fatal(err)
		}
		after(89*day, "running")
		after(2 * day)
	})
}

// What a crash left half written is hidden and goes; what is being written stays.
func TestHalfWrittenImportsAreRemoved(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		crashed := f.preview(t, newcomers(2))
		half := func(lease time.Duration) {
			t.Helper()
			err := f.db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, `UPDATE directory_imports SET state = 'preparing', lease_until = $1`, f.clock.now().Add(lease).UnixMicro())
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := f.RemoveImports(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if half(time.Second); f.rows(t, "directory_imports") != 1 || f.rows(t, "directory_import_entries") != 2 {
			t.Error("an import was removed while it was written")
		}
		if half(-time.Second); f.rows(t, "directory_imports") != 0 || f.rows(t, "directory_import_entries") != 0 {
			t.Error("a half-written import stays")
		}
		_, admin := hanoi(t, f)
		if _, err := f.Import(t.Context(), admin, crashed.ID); errcode.Of(err) != errcode.NotFound {
			t.Errorf("it is seen: %v", err)
		}
	})
}

// Two nodes that both believe to hold an import apply each of its lines once.
func TestImportOnTwoNodesAtOnce(t *testing.T) {
	sqldbtest.EachConfig(t, func(t *testing.T, cfg sqldb.Config) {
		const people = 90
		db := sqldbtest.Open(t, cfg)
		f := newFixture(t, db)
		other := db
		if cfg.URL != "" {
			other = sqldbtest.Open(t, cfg) // another node
		}
		nodes := []*fixture{f, newFixture(t, other)}
		i := f.preview(t, newcomers(people))
		_, admin := hanoi(t, f)
		if _, err := f.BeginImport(t.Context(), admin, i.ID, false); err != nil {
			t.Fatal(err)
		}
		before := len(f.events(t, "directory.import"))
		var applying sync.WaitGroup
		for n, node := range nodes {
			applying.Go(func() {
				if err := directory.ApplyBatches(t.Context(), node.Service, i.ID, 4+n); err != nil {
					t.Errorf("node %d: %v", n, err)
				}
			})
		}
		applying.Wait()
		i, err := f.Import(t.Context(), admin, i.ID)
		if err != nil || i.State != directory.ImportApplied || i.Done != people || i.Skipped != 0 {
			t.Errorf("%+v, %v", i, err)
		}
		var made, posts int
		f.read(t, `SELECT COUNT(*) FROM directory_people WHERE external_key LIKE 'N%'`, &made)
		f.read(t, `SELECT COUNT(*) FROM directory_positions q JOIN directory_people p ON p.id = q.person_id WHERE p.external_key LIKE 'N%'`, &posts)
		if events := len(f.events(t, "directory.import")) - before; made != people || posts != people || events != people {
			t.Errorf("%d people with %d posts were made, and %d recorded", made, posts, events)
		}
		if n := len(f.events(t, "directory.import_done")); n != 1 {
			t.Errorf("it ended %d times", n)
		}
	})
}
