package directory_test

import (
	"crypto/rand"
	"runtime"
	"testing"

	"commsd/directory"
	"commsd/directory/password"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
)

// realCost is what the server hashes with.
var realCost = directory.PasswordParams{MemoryKiB: 19 * 1024, Passes: 2, Lanes: 1}

// BenchmarkHash is argon2id alone, as many at once as the server lets.
func BenchmarkHash(b *testing.B) {
	h, err := password.NewHasher(password.HasherConfig{Params: realCost, AtOnce: max(1, runtime.GOMAXPROCS(0)-1), Queue: 1 << 20, Rand: rand.Reader})
	if err != nil {
		b.Fatal(err)
	}
	stored, err := h.Hash(b.Context(), directory.DemoPassword)
	if err != nil {
		b.Fatal(err)
	}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if ok, err := h.Verify(b.Context(), stored, directory.DemoPassword); err != nil || !ok {
				b.Fatal(ok, err)
			}
		}
	})
}

// BenchmarkSignIn is a whole sign-in at a page, session included; beside
// BenchmarkHash it tells what all but the hash costs.
func BenchmarkSignIn(b *testing.B) {
	for name, config := range map[string]func(testing.TB) sqldb.Config{"sqlite": sqldbtest.SQLite, "postgresql": sqldbtest.PostgreSQL} {
		b.Run(name, func(b *testing.B) {
			f := newFixture(b, sqldbtest.Open(b, config(b)), func(c *directory.Config) { c.Passwords, c.MaxHashQueue = realCost, 1<<20 })
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := f.SignIn(b.Context(), directory.SignInRequest{Login: an, Password: directory.DemoPassword}); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
