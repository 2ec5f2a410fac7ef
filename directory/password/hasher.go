package password

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/argon2"

	"commsd/internal/errcode"
)

// HasherConfig holds what NewHasher needs. Fields are required unless said
// otherwise.
type HasherConfig struct {
	Params Params    // cost of new hashes
	AtOnce int       // hashes computed at the same time
	Queue  int       // callers that may wait for one
	Rand   io.Reader // salts

	Computed prometheus.Counter // may be nil
	Waiting  prometheus.Gauge   // may be nil
}

// Validate names what is out of range.
func (c HasherConfig) Validate() error {
	if err := c.Params.Validate(); err != nil {
		return err
	}
	if c.AtOnce < 1 || c.Queue < 0 || c.Rand == nil {
		return errors.New("password: HasherConfig needs AtOnce, Queue and Rand")
	}
	return nil
}

// Hasher computes password hashes, a few at once: each takes 19 MiB and some
// tens of milliseconds of a processor, and people who are signed in already
// come first. It may be used from many goroutines.
type Hasher struct {
	// set at construction
	cfg   HasherConfig
	slots chan struct{}
	dummy Hash

	waiting atomic.Int64
}

// NewHasher returns a Hasher.
func NewHasher(cfg HasherConfig) (*Hasher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	h := &Hasher{cfg: cfg, slots: make(chan struct{}, cfg.AtOnce)}
	h.dummy = Hash{params: cfg.Params, salt: make([]byte, saltLength), key: make([]byte, keyLength)}
	for _, b := range [][]byte{h.dummy.salt, h.dummy.key} {
		if _, err := io.ReadFull(cfg.Rand, b); err != nil {
			return nil, fmt.Errorf("password: dummy hash: %w", err)
		}
	}
	return h, nil
}

// Hash returns a new hash of password, whose bytes are taken as they are.
func (h *Hasher) Hash(ctx context.Context, password string) (Hash, error) {
	out := Hash{params: h.cfg.Params, salt: make([]byte, saltLength)}
	if _, err := io.ReadFull(h.cfg.Rand, out.salt); err != nil {
		return out, fmt.Errorf("password: salt: %w", err)
	}
	var err error
	out.key, err = h.derive(ctx, password, out.salt, h.cfg.Params, keyLength)
	return out, err
}

// Verify tells whether stored is of password.
func (h *Hasher) Verify(ctx context.Context, stored Hash, password string) (bool, error) {
	key, err := h.derive(ctx, password, stored.salt, stored.params, len(stored.key))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(key, stored.key) == 1, nil
}

// Dummy returns a hash that no password has, of today's cost: verifying
// against it takes what a real one takes.
func (h *Hasher) Dummy() Hash { return h.dummy }

// Stale tells whether stored costs other than a new hash would.
func (h *Hasher) Stale(stored Hash) bool {
	return stored.params != h.cfg.Params || len(stored.salt) != saltLength || len(stored.key) != keyLength
}

func (h *Hasher) derive(ctx context.Context, password string, salt []byte, p Params, length int) ([]byte, error) {
	select {
	case h.slots <- struct{}{}:
	default:
		if err := h.wait(ctx); err != nil {
			return nil, err
		}
	}
	defer func() { <-h.slots }()
	if h.cfg.Computed != nil {
		h.cfg.Computed.Inc()
	}
	return argon2.IDKey([]byte(password), salt, p.Passes, p.MemoryKiB, p.Lanes, uint32(length)), nil
}

// wait takes a slot as soon as one is free.
func (h *Hasher) wait(ctx context.Context) error {
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > int64(h.cfg.Queue) {
		return errcode.New(errcode.RateLimited, "too many people are signing in at once; try again in a few seconds")
	}
	if h.cfg.Waiting != nil {
		h.cfg.Waiting.Inc()
		defer h.cfg.Waiting.Dec()
	}
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("password: wait for a hash: %w", ctx.Err())
	}
}
