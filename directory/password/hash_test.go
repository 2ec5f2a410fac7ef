package password

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"runtime"
	"testing"

	"golang.org/x/text/unicode/norm"

	"commsd/internal/errcode"
)

var cheap = Params{MemoryKiB: 64, Passes: 1, Lanes: 1}

func testHasher(t *testing.T, atOnce, queue int) *Hasher {
	t.Helper()
	h, err := NewHasher(HasherConfig{Params: cheap, AtOnce: atOnce, Queue: queue, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHash(t *testing.T) {
	h := testHasher(t, 1, 1)
	const password = "mật khẩu đủ dài"
	stored, err := h.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	read, err := Parse(stored.String())
	if err != nil {
		t.Fatalf("parse %q: %v", stored, err)
	}
	for _, c := range []struct {
		password string
		want     bool
	}{
		{password, true},
		{password + " ", false},
		{"", false},
		{norm.NFD.String(password), false}, // bytes are taken as they are
	} {
		if got, err := h.Verify(t.Context(), read, c.password); err != nil || got != c.want {
			t.Errorf("verify(%q) = %v, %v; want %v", c.password, got, err, c.want)
		}
	}
	again, err := h.Hash(t.Context(), password)
	if err != nil || bytes.Equal(again.salt, stored.salt) {
		t.Errorf("two hashes share a salt (err %v)", err)
	}
}

// The dummy costs what a fresh hash costs, so that an unknown account takes as
// long as a wrong password.
func TestDummyCostsTheSame(t *testing.T) {
	h := testHasher(t, 1, 1)
	dummy := h.Dummy()
	fresh, err := h.Hash(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if dummy.params != fresh.params || len(dummy.salt) != len(fresh.salt) || len(dummy.key) != len(fresh.key) {
		t.Errorf("dummy %v costs other than fresh %v", dummy, fresh)
	}
}

const validHash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

func TestParseRefuses(t *testing.T) {
	if _, err := Parse(validHash); err != nil {
		t.Fatalf("the valid hash is refused: %v", err)
	}
	for _, s := range []string{
		"",
		"commsd-demo-only",
		"$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
		"$argon2id$v=16$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
		"$argon2id$v=19$t=2,m=19456,p=1$c29tZXNhbHRzb21lc2FsdA$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
		"$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
		"$argon2id$v=19$m=19456,t=0,p=1$c29tZXNhbHRzb21lc2FsdA$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
		"$argon2id$v=19$m=19456,t=2,p=257$c29tZXNhbHRzb21lc2FsdA$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
		"$argon2id$v=19$m=019456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
		"$argon2id$v=19$m=19456,t=2,p=1$$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
		"$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$",
		"$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9",
		validHash + "\n",
		validHash + "$",
	} {
		if h, err := Parse(s); !errors.Is(err, ErrMalformed) {
			t.Errorf("Parse(%q) = %v, %v; want ErrMalformed", s, h, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(validHash)
	f.Add("$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=,t=,p=$$")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := Parse(s)
		if err != nil {
			return
		}
		if h.String() != s {
			t.Errorf("%q is read as %q", s, h)
		}
		if err := h.params.Validate(); err != nil {
			t.Errorf("%q is read with params out of range: %v", s, err)
		}
	})
}

// With all slots taken, as many wait as the queue holds, the next is turned
// away, and one who leaves the queue gives the place back.
func TestHasherQueue(t *testing.T) {
	h := testHasher(t, 1, 1)
	h.slots <- struct{}{} // somebody hashes for long
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := h.Hash(ctx, "waits")
		done <- err
	}()
	for h.waiting.Load() == 0 { // until the other goroutine stands in the queue
		runtime.Gosched()
	}
	if _, err := h.Hash(t.Context(), "one too many"); errcode.Of(err) != errcode.RateLimited {
		t.Errorf("a hash beyond the queue: %v; want RateLimited", err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the waiting hash: %v; want canceled", err)
	}
	if n := h.waiting.Load(); n != 0 {
		t.Errorf("%d still wait", n)
	}
	<-h.slots
	if _, err := h.Hash(t.Context(), "free again"); err != nil {
		t.Error(err)
	}
}
