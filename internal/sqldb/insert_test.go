package sqldb_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
)

func insertItems(ctx context.Context, tx *sqldb.Tx, list []string, conflict string) error {
	return tx.InsertMany(ctx, "item (name, n, flag)", 3, len(list), func(i int) []any { return []any{list[i], i, false} }, conflict)
}

func itemNames(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%03d", prefix, i)
	}
	return out
}

// One row that cannot be inserted takes all others with it, those of earlier
// statements and of its own; who writes in the same group keeps theirs.
func TestInsertManyIsWholeOrNothing(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		table(t, db)
		good := itemNames("a", 250)
		write(t, db, func(ctx context.Context, tx *sqldb.Tx) error {
			if err := insertItems(ctx, tx, nil, ""); err != nil {
				return err
			}
			return insertItems(ctx, tx, good, "")
		})
		write(t, db, func(ctx context.Context, tx *sqldb.Tx) error {
			return insertItems(ctx, tx, append(itemNames("a", 120), "b"), "ON CONFLICT DO NOTHING")
		})
		bad := itemNames("c", 180)
		bad[150] = good[7]
		release := blockWriter(t, db)
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
					if i%2 == 0 {
						return insertItems(ctx, tx, bad, "")
					}
					return insert(ctx, tx, fmt.Sprint("d", i), 1)
				})
				if (err == nil) != (i%2 == 1) {
					t.Errorf("write %d: %v", i, err)
				}
			})
		}
		release()
		all.Wait()
		want := strings.Join(append(good, "b", "d1", "d3", "d5"), " ")
		if got := names(t, db); got != want {
			t.Errorf("the table holds %s, want %s", got, want)
		}
	})
}
