package sqldb_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"commsd/internal/errcode"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
)

var ctx = context.Background()

// table makes the table of these tests.
func table(t testing.TB, db *sqldb.DB) {
	t.Helper()
	write(t, db, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE item (name TEXT NOT NULL PRIMARY KEY, n BIGINT NOT NULL, data BYTEA, flag BOOLEAN NOT NULL)`)
		return err
	})
}

func write(t testing.TB, db *sqldb.DB, fn func(context.Context, *sqldb.Tx) error) {
	t.Helper()
	if err := db.Write(ctx, fn); err != nil {
		t.Fatal(err)
	}
}

func insert(ctx context.Context, tx *sqldb.Tx, name string, n int64) error {
	_, err := tx.Exec(ctx, `INSERT INTO item (name, n, flag) VALUES ($1, $2, $3)`, name, n, false)
	return err
}

func names(t testing.TB, db *sqldb.DB) string {
	t.Helper()
	var all []string
	err := db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		rows, err := tx.Query(ctx, `SELECT name FROM item ORDER BY name`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				return err
			}
			all = append(all, s)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func TestValuesRoundTripAlike(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		table(t, db)
		long := bytes.Repeat([]byte{0, 1, 0xff}, 11000)
		for _, data := range [][]byte{nil, {}, {0}, []byte("123"), long} {
			for _, flag := range []bool{true, false} {
				const big = int64(1)<<62 + 1
				write(t, db, func(ctx context.Context, tx *sqldb.Tx) error {
					_, err := tx.Exec(ctx, `INSERT INTO item (name, n, data, flag) VALUES ($3, $2, $1, $4)
						ON CONFLICT (name) DO UPDATE SET n = excluded.n, data = excluded.data, flag = excluded.flag`,
						data, big, "Đức\n", flag)
					return err
				})
				err := db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
					var gotN int64
					var gotData []byte
					var gotFlag, isTrue, isNull bool
					if err := tx.QueryRow(ctx, `SELECT n, data, flag, flag = TRUE, data IS NULL FROM item WHERE name = $1 AND flag = $2`,
						"Đức\n", flag).Scan(&gotN, &gotData, &gotFlag, &isTrue, &isNull); err != nil {
						return err
					}
					if gotN != big || !bytes.Equal(gotData, data) || gotFlag != flag || isTrue != flag || isNull != (data == nil) {
						t.Errorf("wrote %d %.9x %v, read %d %.9x %v (= TRUE: %v, data NULL: %v)", big, data, flag, gotN, gotData, gotFlag, isTrue, isNull)
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func TestTextThatOnlyOneEngineTakesIsRefused(t *testing.T) {
	type name string
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		table(t, db)
		for _, arg := range []any{"a\x00b", "\xff\xfe", name("\x00")} {
			err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, `INSERT INTO item (name, n, flag) VALUES ($1, 1, FALSE)`, arg)
				return err
			})
			if errcode.Of(err) != errcode.Invalid {
				t.Errorf("%q: got %v, want an invalid error", arg, err)
			}
		}
		err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			return tx.QueryRow(ctx, `SELECT n FROM item WHERE n = $1`, time.Now()).Scan(new(int64))
		})
		if err == nil || !strings.Contains(err.Error(), "UnixMicro") {
			t.Errorf("a time.Time: got %v, want a hint at UnixMicro", err)
		}
		if got := names(t, db); got != "" {
			t.Errorf("stored %q", got)
		}
	})
}

func TestLikeTellsCaseApart(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		table(t, db)
		write(t, db, func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, "Anh", 1) })
		err := db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			var upper, lower int
			if err := tx.QueryRow(ctx, `SELECT
				(SELECT count(*) FROM item WHERE name LIKE $1), (SELECT count(*) FROM item WHERE name LIKE $2)`,
				"An%", "an%").Scan(&upper, &lower); err != nil {
				return err
			}
			if upper != 1 || lower != 0 {
				t.Errorf("LIKE 'An%%' finds %d, LIKE 'an%%' %d, want 1 and 0", upper, lower)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestWriteThatFailsLeavesNothing(t *testing.T) {
	refused := errcode.New(errcode.Conflict, "refused")
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		table(t, db)
		write(t, db, func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, "kept", 1) })
		hook := func() { t.Error("a hook of a failed write ran") }

		err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			tx.AfterCommit(hook)
			if err := insert(ctx, tx, "refused", 1); err != nil {
				return err
			}
			return refused
		})
		if !errors.Is(err, refused) {
			t.Errorf("got %v, want the function's own error", err)
		}
		err = db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			tx.AfterCommit(hook)
			if err := insert(ctx, tx, "panicked", 1); err != nil {
				return err
			}
			panic("boom") //nolint:forbidigo // a panic is what is tested
		})
		if err == nil || !strings.Contains(err.Error(), "boom") {
			t.Errorf("got %v, want the panic as an error", err)
		}
		cancelled, cancel := context.WithCancel(ctx)
		err = db.Write(cancelled, func(ctx context.Context, tx *sqldb.Tx) error {
			tx.AfterCommit(hook)
			err := insert(ctx, tx, "cancelled", 1)
			cancel()
			return err
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		var exited sync.WaitGroup
		exited.Go(func() {
			_ = db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				tx.AfterCommit(hook)
				_ = insert(ctx, tx, "exited", 1)
				runtime.Goexit()
				return nil
			})
		})
		exited.Wait()
		err = db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			if err := insert(ctx, tx, "swallowed", 1); err != nil {
				return err
			}
			_ = insert(ctx, tx, "kept", 2)
			if err := insert(ctx, tx, "more", 1); err == nil {
				t.Error("a statement after a failed one was taken")
			}
			return nil
		})
		if err == nil {
			t.Error("a write whose statement failed returned nil")
		}
		if got := names(t, db); got != "kept" {
			t.Errorf("the table holds %q, want kept alone", got)
		}
	})
}

func TestReadSeesOneStateAndCannotWrite(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		table(t, db)
		count := func(tx *sqldb.Tx) (n int) {
			if err := tx.QueryRow(ctx, `SELECT count(*) FROM item`).Scan(&n); err != nil {
				t.Error(err)
			}
			return n
		}
		err := db.Read(ctx, func(_ context.Context, tx *sqldb.Tx) error {
			before := count(tx)
			write(t, db, func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, "new", 1) })
			if after := count(tx); after != before {
				t.Errorf("a read saw %d rows, then %d", before, after)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, "by read", 1) }); err == nil {
			t.Error("a read has written")
		}
		if got := names(t, db); got != "new" {
			t.Errorf("the table holds %q", got)
		}
	})
}

func TestNestedTransactionsFailAtOnce(t *testing.T) {
	nop := func(context.Context, *sqldb.Tx) error { return nil }
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		nested := func(ctx context.Context, _ *sqldb.Tx) error {
			if err := db.Write(ctx, nop); !errors.Is(err, sqldb.ErrNested) {
				t.Errorf("Write inside: %v", err)
			}
			if err := db.Read(ctx, nop); !errors.Is(err, sqldb.ErrNested) {
				t.Errorf("Read inside: %v", err)
			}
			return nil
		}
		write(t, db, nested)
		if err := db.Read(ctx, nested); err != nil {
			t.Error(err)
		}
		var inner context.Context
		ran := 0
		write(t, db, func(ctx context.Context, tx *sqldb.Tx) error {
			inner = ctx
			tx.AfterCommit(func() {
				ran++
				if err := db.Write(inner, nop); err != nil {
					t.Errorf("Write in a hook, after the commit: %v", err)
				}
			})
			return nil
		})
		if ran != 1 {
			t.Errorf("the hook ran %d times", ran)
		}
	})
}

func TestIsUnique(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		table(t, db)
		write(t, db, func(ctx context.Context, tx *sqldb.Tx) error {
			if _, err := tx.Exec(ctx, `CREATE UNIQUE INDEX item_n ON item (n)`); err != nil {
				return err
			}
			return insert(ctx, tx, "a", 1)
		})
		for what, c := range map[string]struct {
			name string
			n    any
			want bool
		}{
			"primary key":  {"a", 2, true},
			"unique index": {"b", 1, true},
			"not null":     {"c", nil, false},
		} {
			err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, `INSERT INTO item (name, n, flag) VALUES ($1, $2, FALSE)`, c.name, c.n)
				return err
			})
			if err == nil || sqldb.IsUnique(err) != c.want {
				t.Errorf("%s: IsUnique(%v) is %v", what, err, !c.want)
			}
			err = db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				return tx.QueryRow(ctx, `INSERT INTO item (name, n, flag) VALUES ($1, $2, FALSE) RETURNING n`, c.name, c.n).Scan(new(int64))
			})
			if err == nil || sqldb.IsUnique(err) != c.want {
				t.Errorf("%s, RETURNING: IsUnique(%v) is %v", what, err, !c.want)
			}
		}
		if sqldb.IsUnique(nil) || sqldb.IsUnique(sql.ErrNoRows) {
			t.Error("IsUnique takes what is none")
		}
	})
}

func TestConcurrentWritesAllCount(t *testing.T) {
	const writers, each = 16, 25
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		table(t, db)
		write(t, db, func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, "sum", 0) })
		var all sync.WaitGroup
		for range writers {
			all.Go(func() {
				for i := range each {
					err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
						var n int64
						if err := tx.QueryRow(ctx, `SELECT n FROM item WHERE name = $1`+tx.ForUpdate(), "sum").Scan(&n); err != nil {
							return err
						}
						if _, err := tx.Exec(ctx, `UPDATE item SET n = $1 WHERE name = 'sum'`, n+1); err != nil {
							return err
						}
						if i%5 == 4 {
							return errcode.New(errcode.Conflict, "every fifth is undone")
						}
						return nil
					})
					if (err != nil) != (i%5 == 4) {
						t.Errorf("write %d: %v", i, err)
					}
				}
			})
		}
		all.Wait()
		err := db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			var n int64
			if err := tx.QueryRow(ctx, `SELECT n FROM item`).Scan(&n); err != nil {
				return err
			}
			if want := int64(writers * each * 4 / 5); n != want {
				t.Errorf("the sum is %d, want %d", n, want)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestClosedDatabaseSaysSo(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		if err := db.Ping(ctx); err != nil {
			t.Errorf("Ping of an open database: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		nop := func(context.Context, *sqldb.Tx) error { return nil }
		for what, err := range map[string]error{"Ping": db.Ping(ctx), "Read": db.Read(ctx, nop), "Write": db.Write(ctx, nop)} {
			if errcode.Of(err) != errcode.Unavailable {
				t.Errorf("%s after Close: %v", what, err)
			}
		}
	})
}
