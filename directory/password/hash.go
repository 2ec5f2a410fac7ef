// Package password keeps what is known of passwords: argon2id hashes in the PHC
// string format (RFC 9106), computed a few at once, the rules for new ones, and
// the list of those that everybody tries first.
//
// It must not know accounts, transports or databases. Passwords are bytes as
// they were typed: never normalised, never logged.
package password

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Params is the cost of one argon2id hash (RFC 9106).
type Params struct {
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

	// MaxBytes bounds what is hashed. Long pass phrases fit.
	MaxBytes = 1024
)

// Validate names what is out of range.
func (p Params) Validate() error {
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

// Hash is an argon2id hash as the PHC string format writes it:
//
//	$argon2id$v=19$m=19456,t=2,p=1$<salt>$<key>
type Hash struct {
	params Params
	salt   []byte
	key    []byte
}

// String writes the hash; it is what a database keeps.
func (h Hash) String() string {
	b := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		h.params.MemoryKiB, h.params.Passes, h.params.Lanes, b.EncodeToString(h.salt), b.EncodeToString(h.key))
}

// ErrMalformed is what Parse answers for what String does not write.
var ErrMalformed = errors.New("password: malformed hash")

// Parse reads what String writes, and nothing else: other
// algorithms, versions, orders and encodings are refused.
func Parse(s string) (Hash, error) {
	var h Hash
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return h, ErrMalformed
	}
	costs := strings.Split(parts[3], ",")
	if len(costs) != 3 {
		return h, ErrMalformed
	}
	var n [3]uint32
	for i, name := range []string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(costs[i], name)
		v, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil || strconv.FormatUint(v, 10) != digits {
			return h, ErrMalformed
		}
		n[i] = uint32(v)
	}
	if n[2] > maxLanes {
		return h, ErrMalformed
	}
	h.params = Params{MemoryKiB: n[0], Passes: n[1], Lanes: uint8(n[2])}
	if err := h.params.Validate(); err != nil {
		return h, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	b := base64.RawStdEncoding.Strict()
	var err error
	if h.salt, err = b.DecodeString(parts[4]); err != nil || len(h.salt) < 8 || len(h.salt) > 64 {
		return h, ErrMalformed
	}
	if h.key, err = b.DecodeString(parts[5]); err != nil || len(h.key) < 16 || len(h.key) > 64 {
		return h, ErrMalformed
	}
	// The decoder skips line breaks; what is stored holds none.
	if h.String() != s {
		return h, ErrMalformed
	}
	return h, nil
}
