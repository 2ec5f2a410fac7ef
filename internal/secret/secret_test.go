package secret_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"commsd/internal/errcode"
	"commsd/internal/secret"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
	"commsd/internal/testengine"
)

func TestMain(m *testing.M) { os.Exit(testengine.Main(m)) }

var ctx = context.Background()

func value(s string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(s), nil }
}

func never() ([]byte, error) { return nil, errors.New("must not be made") }

func key(t *testing.T, path string) *secret.Key {
	t.Helper()
	k, err := secret.OpenKey(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// mustName checks that err is for an operator: one line, which names
// secret_key_file and holds no key.
func mustName(t *testing.T, err error) {
	t.Helper()
	if errcode.Of(err) != errcode.Invalid || !strings.Contains(errcode.Message(err), "secret_key_file") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want an invalid error of one line that names secret_key_file", err)
	}
}

func TestSecretIsMadeOnceAndKept(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		path := filepath.Join(t.TempDir(), "secret.key")
		first := secret.New(db, key(t, path))
		if got, err := first.Get(ctx, "a", value("one")); err != nil || string(got) != "one" {
			t.Fatalf("the first Get: %q, %v", got, err)
		}
		again := secret.New(db, key(t, path)) // as after a restart
		if got, err := again.Get(ctx, "a", never); err != nil || string(got) != "one" {
			t.Errorf("Get with the key read again: %q, %v", got, err)
		}
		if _, err := again.Get(ctx, "b", never); err == nil || !strings.Contains(err.Error(), "must not be made") {
			t.Errorf("a failed make: %v", err)
		}
		if got, err := again.Get(ctx, "b", value("two")); err != nil || string(got) != "two" {
			t.Errorf("Get after a failed make: %q, %v", got, err)
		}
		var sealed []byte
		if err := db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			return tx.QueryRow(ctx, `SELECT sealed FROM secret_store WHERE name = 'a'`).Scan(&sealed)
		}); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(sealed, []byte("one")) {
			t.Error("the secret lies in the database in the clear")
		}
	})
}

func TestNodesAgreeOnOneSecret(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		path := filepath.Join(t.TempDir(), "new", "secret.key")
		got := make([]string, 8)
		var nodes sync.WaitGroup
		for i := range got {
			nodes.Go(func() {
				k, err := secret.OpenKey(path)
				if err != nil {
					t.Error(err)
					return
				}
				v, err := secret.New(db, k).Get(ctx, "shared", value(fmt.Sprint("of node ", i)))
				if err != nil {
					t.Error(err)
				}
				got[i] = string(v)
			})
		}
		nodes.Wait()
		for _, v := range got {
			if v != got[0] || v == "" {
				t.Fatalf("the nodes got %q", got)
			}
		}
		if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	})
}

func TestSecretThatWasTamperedWithIsRefused(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		dir := t.TempDir()
		store := secret.New(db, key(t, filepath.Join(dir, "secret.key")))
		for _, name := range []string{"a", "b"} {
			if _, err := store.Get(ctx, name, value("of "+name)); err != nil {
				t.Fatal(err)
			}
		}
		_, err := secret.New(db, key(t, filepath.Join(dir, "other.key"))).Get(ctx, "a", never)
		mustName(t, err)

		for what, change := range map[string]string{
			"put in another's place": `UPDATE secret_store SET sealed = (SELECT sealed FROM secret_store WHERE name = 'b') WHERE name = 'a'`,
			"emptied":                `UPDATE secret_store SET sealed = '' WHERE name = 'a'`,
		} {
			if err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, change)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			got, err := store.Get(ctx, "a", never)
			if err == nil {
				t.Errorf("%s: got %q", what, got)
			}
			mustName(t, err)
		}
	})
}

// A domain's own secret opens on every node, under its own name alone.
func TestSealedForADomain(t *testing.T) {
	dir := t.TempDir()
	store, node := secret.New(nil, key(t, filepath.Join(dir, "secret.key"))), secret.New(nil, key(t, filepath.Join(dir, "secret.key")))
	sealed, err := store.Seal("directory.totp/an", []byte("JBSWY3DP"))
	if err != nil || bytes.Contains(sealed, []byte("JBSWY3DP")) {
		t.Fatalf("sealed as %q: %v", sealed, err)
	}
	if got, err := node.Open("directory.totp/an", sealed); err != nil || string(got) != "JBSWY3DP" {
		t.Errorf("opened as %q: %v", got, err)
	}
	got, err := node.Open("directory.totp/binh", sealed)
	if err == nil {
		t.Errorf("under another name: %q", got)
	}
	mustName(t, err)
	for _, n := range []int{0, 1 << 20} {
		if _, err := store.Seal("directory.totp/an", make([]byte, n)); err == nil {
			t.Errorf("sealed %d bytes", n)
		}
	}
}

func TestKeyFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "secret.key")
	k := key(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the key file has mode %v (%v), want 0600", info.Mode(), err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	encoded := string(text[len("commsd-secret-key-1:") : len(text)-1])
	if printed := fmt.Sprintf("%v %+v %#v %s", k, k, k, k); printed != strings.TrimSpace(strings.Repeat("secret.Key ", 4)) {
		t.Errorf("a key prints as %q", printed)
	}

	write := func(name, content string, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p, mode); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, p := range []string{
		write("open.key", string(text), 0o640),
		write("empty.key", "", 0o600),
		write("short.key", string(text[:40]), 0o600),
		write("long.key", strings.Repeat("x", 1<<20), 0o600),
		write("bare.key", encoded, 0o600),
		dir,
		filepath.Join(path, "below a file"),
	} {
		_, err := secret.OpenKey(p)
		mustName(t, err)
		if err != nil && strings.Contains(err.Error(), encoded[:20]) {
			t.Errorf("%s: the error holds the key", p)
		}
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, text) {
		t.Error("the key file has changed")
	}
}
