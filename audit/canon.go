package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"
)

// The two encodings below are the format of docs/protocols/audit.md, which
// strangers verify by: they never change. Another one gets another first line.
const (
	eventPrefix   = "commsd audit event 1\n"
	payloadPrefix = "commsd audit payload 1\n"
)

// saltLength is the bytes of randomness that keep a payload from being guessed
// by its hash.
const saltLength = 16

// record is an event as it is hashed and stored.
type record struct {
	id          string
	at          int64 // microseconds since the epoch
	agency      string
	owner       string // agency of the object where it is another
	account     string
	person      string
	position    string
	action      string
	kind        string
	object      string
	outcome     string
	payloadHash []byte
}

// payload is what is personal in an event.
type payload struct {
	salt    []byte
	address string
	detail  map[string]string
}

// leafData is what the leaf of r hashes (RFC 6962 section 2.1: d(n)).
func (r *record) leafData() []byte {
	b := make([]byte, 0, 512)
	b = append(b, eventPrefix...)
	for _, s := range []string{
		r.id, strconv.FormatInt(r.at, 10), r.agency, r.owner, r.account, r.person, r.position,
		r.action, r.kind, r.object, r.outcome, string(r.payloadHash),
	} {
		b = appendField(b, s)
	}
	return b
}

func (r *record) leaf() tlog.Hash { return tlog.RecordHash(r.leafData()) }

func (p *payload) hash() []byte {
	b := make([]byte, 0, 256)
	b = append(b, payloadPrefix...)
	b = appendField(b, string(p.salt))
	b = appendField(b, p.address)
	for _, key := range slices.Sorted(maps.Keys(p.detail)) {
		b = appendField(b, key)
		b = appendField(b, p.detail[key])
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

// appendField writes the length before the bytes, so that no two lists of
// fields are written alike.
func appendField(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s))) //nolint:gosec // Record bounds what it takes
	return append(b, s...)
}
