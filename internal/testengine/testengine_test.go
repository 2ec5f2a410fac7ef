package testengine_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"

	"commsd/internal/testengine"
)

func TestMain(m *testing.M) { os.Exit(testengine.Main(m)) }

func open(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestPostgresGivesEachTestADatabaseOfItsOwn(t *testing.T) {
	ctx := context.Background()
	var urls []string
	for range 2 {
		url := testengine.Postgres(t)
		if _, err := open(t, url).ExecContext(ctx, `CREATE TABLE mine (id BIGINT)`); err != nil {
			t.Fatal(err)
		}
		urls = append(urls, url)
	}
	if urls[0] == urls[1] {
		t.Errorf("two databases have the address %s", urls[0])
	}
}

func TestPostgresFromCopiesTheTemplate(t *testing.T) {
	ctx := context.Background()
	fills := 0
	fill := func(url string) error {
		fills++
		db, err := sql.Open("pgx", url)
		if err != nil {
			return err
		}
		defer db.Close()
		_, err = db.ExecContext(ctx, `CREATE TABLE seed AS SELECT 7::bigint AS id`)
		return err
	}
	for range 2 {
		db := open(t, testengine.PostgresFrom(t, "seeded", fill))
		var id int64
		if err := db.QueryRowContext(ctx, `UPDATE seed SET id = id + 1 RETURNING id`).Scan(&id); err != nil || id != 8 {
			t.Errorf("the copy holds %d (%v), want 8: each test changes its own", id, err)
		}
	}
	if fills != 1 {
		t.Errorf("the template was filled %d times", fills)
	}
}

func TestRedisStopStartPauseFlush(t *testing.T) {
	ctx := context.Background()
	server := testengine.Redis(t)
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	set := func() {
		t.Helper()
		if err := client.Set(ctx, "k", "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	gone := func(after string) {
		t.Helper()
		if err := client.Get(ctx, "k").Err(); !errors.Is(err, redis.Nil) {
			t.Errorf("after %s the key answers %v, want it gone", after, err)
		}
	}
	set()
	server.Flush(t)
	gone("Flush")
	set()
	server.Stop(t)
	if err := client.Ping(ctx).Err(); err == nil {
		t.Error("a stopped server answers")
	}
	server.Start(t)
	gone("Stop and Start")
	server.Pause(t)
	server.Resume(t)
	set()
	server.Pause(t) // the end of the test stops a paused server
}
