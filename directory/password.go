package directory

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/argon2"

	"commsd/internal/errcode"
)

// PasswordParams is the cost of one argon2id hash (RFC 9106).
type PasswordParams struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// What a stored hash may ask for at the most, so that a damaged row cannot take
// the machine's memory.
const (
	maxMemoryKiB = 256 * 1024
	maxPasses    = 16
	maxLanes     = 16

	saltLength = 16
	keyLength  = 32

	// maxPassword bounds what is hashed, in bytes. Long pass phrases fit.
	maxPassword = 1024
)

func (p PasswordParams) validate() error {
	switch {
	case p.Passes < 1 || p.Passes > maxPasses:
		return fmt.Errorf("passes %d not in 1..%d", p.Passes, maxPasses)
	case p.Lanes < 1 || p.Lanes > maxLanes:
		return fmt.Errorf("lanes %d not in 1..%d", p.Lanes, maxLanes)
	case p.MemoryKiB < 8*uint32(p.Lanes) || p.MemoryKiB > maxMemoryKiB:
		return fmt.Errorf("memory %d KiB not in %d..%d", p.MemoryKiB, 8*p.Lanes, maxMemoryKiB)
	}
	return nil
}

// passwordHash is an argon2id hash as the PHC string format writes it:
//
//	$argon2id$v=19$m=19456,t=2,p=1$<salt>$<key>
type passwordHash struct {
	params PasswordParams
	salt   []byte
	key    []byte
}

func (h passwordHash) String() string {
	b := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		h.params.MemoryKiB, h.params.Passes, h.params.Lanes, b.EncodeToString(h.salt), b.EncodeToString(h.key))
}

var errPasswordHash = errors.New("directory: malformed password hash")

// parsePasswordHash reads what String writes, and nothing else: other
// algorithms, versions, orders and encodings are refused.
func parsePasswordHash(s string) (passwordHash, error) {
	var h passwordHash
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return h, errPasswordHash
	}
	costs := strings.Split(parts[3], ",")
	if len(costs) != 3 {
		return h, errPasswordHash
	}
	var n [3]uint32
	for i, name := range []string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(costs[i], name)
		v, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil || strconv.FormatUint(v, 10) != digits {
			return h, errPasswordHash
		}
		n[i] = uint32(v)
	}
	if n[2] > maxLanes {
		return h, errPasswordHash
	}
	h.params = PasswordParams{MemoryKiB: n[0], Passes: n[1], Lanes: uint8(n[2])}
	if err := h.params.validate(); err != nil {
		return h, fmt.Errorf("%w: %w", errPasswordHash, err)
	}
	b := base64.RawStdEncoding.Strict()
	var err error
	if h.salt, err = b.DecodeString(parts[4]); err != nil || len(h.salt) < 8 || len(h.salt) > 64 {
		return h, errPasswordHash
	}
	if h.key, err = b.DecodeString(parts[5]); err != nil || len(h.key) < 16 || len(h.key) > 64 {
		return h, errPasswordHash
	}
	// The decoder skips line breaks; what is stored holds none.
	if h.String() != s {
		return h, errPasswordHash
	}
	return h, nil
}

// hasher computes password hashes, a few at once: each takes 19 MiB and some
// tens of milliseconds of a processor, and people who are signed in already
// come first.
type hasher struct {
	// set at construction
	params     PasswordParams
	slots      chan struct{}
	maxWaiting int64
	rand       io.Reader
	metrics    *metrics

	waiting atomic.Int64
}

func newHasher(p PasswordParams, atOnce, queue int, rand io.Reader, m *metrics) *hasher {
	return &hasher{params: p, slots: make(chan struct{}, atOnce), maxWaiting: int64(queue), rand: rand, metrics: m}
}

// hash returns a new hash of password, whose bytes are taken as they are.
func (h *hasher) hash(ctx context.Context, password string) (passwordHash, error) {
	out := passwordHash{params: h.params, salt: make([]byte, saltLength)}
	if _, err := io.ReadFull(h.rand, out.salt); err != nil {
		return out, fmt.Errorf("directory: salt: %w", err)
	}
	var err error
	out.key, err = h.derive(ctx, password, out.salt, h.params, keyLength)
	return out, err
}

// verify tells whether stored is of password.
func (h *hasher) verify(ctx context.Context, stored passwordHash, password string) (bool, error) {
	key, err := h.derive(ctx, password, stored.salt, stored.params, len(stored.key))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(key, stored.key) == 1, nil
}

// dummy returns a hash that no password has, of today's cost: verifying
// against it takes what a real one takes.
func (h *hasher) dummy() (passwordHash, error) {
	out := passwordHash{params: h.params, salt: make([]byte, saltLength), key: make([]byte, keyLength)}
	for _, b := range [][]byte{out.salt, out.key} {
		if _, err := io.ReadFull(h.rand, b); err != nil {
			return out, fmt.Errorf("dummy hash: %w", err)
		}
	}
	return out, nil
}

func (h *hasher) derive(ctx context.Context, password string, salt []byte, p PasswordParams, length int) ([]byte, error) {
	select {
	case h.slots <- struct{}{}:
	default:
		if h.waiting.Add(1) > h.maxWaiting {
			h.waiting.Add(-1)
			return nil, errcode.New(errcode.RateLimited, "too many people are signing in at once; try again in a few seconds")
		}
		h.metrics.hashQueue.Inc()
		defer h.metrics.hashQueue.Dec()
		select {
		case h.slots <- struct{}{}:
			h.waiting.Add(-1)
		case <-ctx.Done():
			h.waiting.Add(-1)
			return nil, fmt.Errorf("directory: wait for a password hash: %w", ctx.Err())
		}
	}
	defer func() { <-h.slots }()
	h.metrics.hashes.Inc()
	return argon2.IDKey([]byte(password), salt, p.Passes, p.MemoryKiB, p.Lanes, uint32(length)), nil
}
