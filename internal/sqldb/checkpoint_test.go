package sqldb

import (
	"context"
	"log/slog"
	"testing"
)

// What many writes leave in SQLite's log comes to its file by the folder, before
// the writer would have to stop for it; a few writes stay in the log.
func TestLogIsFoldedBesideTheWriter(t *testing.T) {
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := openSQLite(t.Context(), Config{DataDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}, m)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.close(); err != nil {
			t.Error(err)
		}
	}()
	s, ok := e.(*sqliteDB)
	if !ok {
		t.Fatalf("SQLite is a %T", e)
	}
	fill := func(pages int) {
		t.Helper()
		_, err := s.write(t.Context(), func(tx *Tx) error {
			_, err := tx.Exec(context.Background(), `INSERT INTO heap (data) VALUES (zeroblob($1))`, pages*4096)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.write(t.Context(), func(tx *Tx) error {
		_, err := tx.Exec(context.Background(), `CREATE TABLE heap (data BYTEA)`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	fill(foldPages / 4)
	if err := s.folder.fold(); err != nil {
		t.Fatal(err)
	}
	before, folded, err := s.folder.checkpoint("NOOP")
	if err != nil || before < foldPages/4 || folded != 0 {
		t.Fatalf("after a few writes %d of %d pages are folded: %v", folded, before, err)
	}
	fill(foldPages)
	if err := s.folder.fold(); err != nil { // by the one connection: after the folder's own, if that was first
		t.Fatal(err)
	}
	length, folded, err := s.folder.checkpoint("NOOP")
	if err != nil || length < before+foldPages || folded != length {
		t.Errorf("after many writes %d of %d pages are folded: %v", folded, length, err)
	}
	fill(foldAtWrite)
	if err := s.folder.fold(); err != nil {
		t.Fatal(err)
	}
	if length, folded, err = s.folder.checkpoint("NOOP"); err != nil || folded != length {
		t.Errorf("the writer left %d of %d pages: %v", length-folded, length, err)
	}
	fill(1)
	if length, _, err = s.folder.checkpoint("NOOP"); err != nil || length > foldPages {
		t.Errorf("the log goes on at %d pages though all of it was in the file: %v", length, err)
	}
}
