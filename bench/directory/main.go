// Command directory measures the directory at the size of a country: it invents
// people, writes them to a database of its own, and times searches and pages.
// bench/README.md says what it found.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"time"

	"commsd/audit"
	"commsd/bench/manypeople"
	"commsd/directory"
	"commsd/identity"
	"commsd/internal/bus"
	"commsd/internal/sqldb"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "directory:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(ctx context.Context) (err error) {
	url := flag.String("database", os.Getenv("COMMSD_BENCH_DATABASE"), "postgres://… of an empty database; empty: SQLite in -dir")
	dir := flag.String("dir", "", "folder of the SQLite database; what an earlier run filled is used again")
	people := flag.Int("people", 1_000_000, "people")
	agencies := flag.Int("agencies", 2_000, "agencies")
	rounds := flag.Int("rounds", 200, "how often each query is asked")
	seed := flag.Uint64("seed", 1, "of the people and of who asks")
	imported := flag.Int("import", 100_000, "people of a staff list that is imported at the end; 0: none")
	profile := flag.String("profile", "", "file for a CPU profile of what is measured; empty: none")
	flag.Parse()
	if *url == "" && *dir == "" {
		return fmt.Errorf("name a folder: -dir")
	}
	db, err := sqldb.Open(ctx, sqldb.Config{URL: *url, DataDir: *dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	log := audit.New(audit.Config{})
	b, err := bus.Open(ctx, bus.Config{})
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	s, err := directory.New(directory.Config{DB: db, Bus: b, Audit: log, Domain: "g2g.example"})
	if err != nil {
		return err
	}
	if err := fill(ctx, db, s, *url, *seed, *people, *agencies); err != nil {
		return err
	}
	if err := sizes(ctx, db, *url, *dir); err != nil {
		return err
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return errors.Join(err, f.Close())
		}
		defer func() {
			pprof.StopCPUProfile()
			_ = f.Close() // a profile that is cut short shows itself
		}()
	}
	if *rounds > 0 {
		if err := measure(ctx, db, s, rand.New(rand.NewPCG(*seed, 2)), *rounds); err != nil {
			return err
		}
	}
	if *imported > 0 {
		return measureImport(ctx, db, s, *seed, *imported)
	}
	return nil
}

// say writes a line of the report.
func say(format string, args ...any) { _, _ = fmt.Fprintf(os.Stdout, format, args...) }

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// fill writes the people unless they are there.
func fill(ctx context.Context, db *sqldb.DB, s *directory.Service, url string, seed uint64, people, agencies int) error {
	there, err := s.Agencies(ctx)
	if err != nil || len(there) >= agencies {
		return err
	}
	start := time.Now()
	d := manypeople.New(seed, people, agencies)
	for n := 0; ; n++ {
		a, ok := d.Next()
		if !ok {
			break
		}
		if n < len(there) {
			continue // an earlier run wrote it
		}
		if err := directory.Fill(ctx, db, a, time.Now()); err != nil {
			return err
		}
		if n%200 == 0 {
			say("# %d agencies after %s\n", n+1, time.Since(start).Round(time.Second))
		}
	}
	say("filled with %d people of %d agencies in %s\n", people, agencies, time.Since(start).Round(time.Second))
	if url == "" {
		return nil // nobody takes statistics in SQLite
	}
	// As autovacuum leaves a table that has come to rest.
	pg, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	defer pg.Close()
	_, err = pg.ExecContext(ctx, "VACUUM ANALYZE")
	return err
}

func sizes(ctx context.Context, db *sqldb.DB, url, dir string) error {
	if url == "" {
		for _, name := range []string{"commsd.db", "commsd.db-wal"} {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
				say("%s: %d MiB\n", name, info.Size()>>20)
			}
		}
		return nil
	}
	return db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		rows, err := tx.Query(ctx, `SELECT c.relname, pg_table_size(c.oid) >> 20, pg_indexes_size(c.oid) >> 20 FROM pg_class c
			WHERE c.relkind = 'r' AND c.relname LIKE 'directory%' AND pg_total_relation_size(c.oid) > 8 << 20 ORDER BY pg_total_relation_size(c.oid) DESC`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			var table, index int
			if err := rows.Scan(&name, &table, &index); err != nil {
				return err
			}
			say("%s: %d MiB and %d MiB of indexes\n", name, table, index)
		}
		return rows.Err()
	})
}

// viewer is somebody who asks.
type viewer struct {
	identity.Actor
	unit, root identity.UnitID
}

// viewers are officials of the largest agency, of a large one, and of many small ones.
func viewers(ctx context.Context, db *sqldb.DB, agencies []directory.Agency) ([]viewer, error) {
	slices.SortFunc(agencies, func(a, b directory.Agency) int { return b.People - a.People })
	var out []viewer
	err := db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for i := 0; i < len(agencies); i = i*2 + 1 {
			v := viewer{}
			err := tx.QueryRow(ctx, `SELECT q.id, q.person_id, q.unit_id, q.agency_id, (SELECT u.id FROM directory_units u WHERE u.agency_id = $1 AND u.parent_id IS NULL ORDER BY u.rank LIMIT 1)
				FROM directory_positions q WHERE q.agency_id = $1 ORDER BY q.id LIMIT 1`, string(agencies[i].ID)).Scan(&v.Position, &v.Person, &v.unit, &v.Agency, &v.root)
			if err != nil {
				return err
			}
			out = append(out, v)
		}
		return nil
	})
	return out, err
}

func measure(ctx context.Context, db *sqldb.DB, s *directory.Service, rnd *rand.Rand, rounds int) error {
	agencies, err := s.Agencies(ctx)
	if err != nil {
		return err
	}
	who, err := viewers(ctx, db, agencies)
	if err != nil {
		return err
	}
	say("\n| What is asked | found | p50 ms | p99 ms | CPU p99 ms |\n|---|---|---|---|---|\n")
	var all []sample
	for _, q := range []string{"n", "ng", "nguyen", "nguyễn", "nguyen van", "nguyen van a", "nguyen thi", "nguyen thi huong", "tran huu nguyen", "an nguyen",
		"nguyen an", "nguyen huong", "van huong", "thi tuan", "đức", "dục", "hạ", "trần đức", "le thi van", "h t", "n v", "huong12", "anhnv", "ksor", "zzz", ""} {
		found := 0
		times, err := repeat(rounds, func(i int) error {
			people, err := s.FindPeople(ctx, who[i%len(who)].Actor, q, 20)
			found = len(people)
			return err
		})
		if err != nil {
			return fmt.Errorf("%q: %w", q, err)
		}
		all = append(all, times...)
		line(fmt.Sprintf("search “%s”", q), found, times)
	}
	line("all searches", 0, all)

	typed, err := repeat(rounds*10, func(i int) error {
		name := agencies[rnd.IntN(len(agencies))] // whoever is typed letter by letter
		people, _, err := s.AgencyPeople(ctx, who[0].Actor, name.ID, "", 1)
		if err != nil || len(people) == 0 {
			return err
		}
		letters := []rune(strings.ToLower(people[0].Name))
		_, err = s.FindPeople(ctx, who[i%len(who)].Actor, string(letters[:1+i%len(letters)]), 20)
		return err
	})
	if err != nil {
		return err
	}
	line("a random name typed so far, and a page of one", 0, typed)

	times, err := repeat(rounds, func(i int) error {
		_, _, err := s.UnitPeople(ctx, who[i%len(who)].Actor, who[i%len(who)].unit, "", 100)
		return err
	})
	if err != nil {
		return err
	}
	line("first page of one’s unit", 0, times)
	for _, v := range []viewer{who[0], who[1], who[len(who)-1]} {
		cursor, deepest, pages := "", "", 0
		for {
			_, next, err := s.UnitPeople(ctx, v.Actor, v.root, cursor, 100)
			if err != nil {
				return err
			}
			if pages++; next == "" || pages > 400 {
				break
			}
			deepest, cursor = cursor, next
		}
		for _, at := range []struct{ name, cursor string }{{"first", ""}, {"last", deepest}} {
			times, err := repeat(rounds, func(int) error {
				_, _, err := s.UnitPeople(ctx, v.Actor, v.root, at.cursor, 100)
				return err
			})
			if err != nil {
				return err
			}
			line(fmt.Sprintf("%s of %d pages of an agency’s root unit", at.name, pages), 0, times)
		}
		times, err := repeat(rounds, func(int) error {
			_, err := s.AgencyUnits(ctx, v.Agency)
			return err
		})
		if err != nil {
			return err
		}
		line("units of that agency with their numbers", 0, times)
	}
	times, err = repeat(rounds, func(int) error {
		_, err := s.Agencies(ctx)
		return err
	})
	if err != nil {
		return err
	}
	line("all agencies", 0, times)
	return nil
}

// sample is how long a query took, and what of it this process computed: on a
// machine with other work the two differ. With PostgreSQL the server's part is
// in the first alone.
type sample struct{ took, cpu time.Duration }

func repeat(n int, fn func(i int) error) ([]sample, error) {
	times := make([]sample, n)
	for i := range n {
		start, before := time.Now(), cpu()
		if err := fn(i); err != nil {
			return nil, err
		}
		times[i] = sample{time.Since(start), cpu() - before}
	}
	return times, nil
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func line(what string, found int, times []sample) {
	at := func(share int, of func(sample) time.Duration) float64 {
		sorted := make([]time.Duration, len(times))
		for i, t := range times {
			sorted[i] = of(t)
		}
		slices.Sort(sorted)
		return ms(sorted[len(sorted)*share/100])
	}
	took, cpu := func(t sample) time.Duration { return t.took }, func(t sample) time.Duration { return t.cpu }
	say("| %s | %d | %.1f | %.1f | %.1f |\n", what, found, at(50, took), at(99, took), at(99, cpu))
}
