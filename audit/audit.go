// Package audit keeps who did what. A domain records an event in the
// transaction of what it records, so that neither stands without the other; a
// sequencer then takes the events into a Merkle tree whose head is signed, so
// that nobody changes or removes one unseen. docs/protocols/audit.md is the
// format, docs/audit.md what is recorded.
//
// It must not know any domain: actions and objects are words of identity, who
// may read is asked of an interface. Details hold no secret, no password and no
// content of messages.
package audit

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"commsd/identity"
	"commsd/internal/sqldb"
)

// The outcomes of an action.
const (
	OK     = "ok"     // done
	Denied = "denied" // not permitted
	Failed = "failed" // permitted or open to all, but it did not succeed: a wrong password
)

// maxDetail bounds one word of a detail, in bytes; the rest is cut off.
const maxDetail = 64 << 10

// Config holds what New needs.
type Config struct {
	Now func() time.Time // nil: time.Now
	DB  *sqldb.DB        // for Access; nil: Access keeps nothing
	Log *slog.Logger     // nil: discards

	Refusals   RefusalLimits
	MaxWaiting int // openings that may wait to be written; 0: 4096
}

// Log writes and reads the audit log. It may be used from many goroutines.
type Log struct {
	now      func() time.Time // set at construction
	db       *sqldb.DB        // likewise
	log      *slog.Logger     // likewise
	accesses accesses
	refusals refusals
}

// New returns a Log.
func New(cfg Config) *Log {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxWaiting <= 0 {
		cfg.MaxWaiting = 4096
	}
	return &Log{now: cfg.Now, db: cfg.DB, log: cfg.Log, accesses: newAccesses(cfg.MaxWaiting), refusals: newRefusals(cfg.Refusals)}
}

// Event is what one calls to mind later: who, as what, did what to what, from
// where, and how it went.
type Event struct {
	Actor   identity.Actor // empty but for Address where nobody is signed in
	Action  identity.Action
	Object  identity.ObjectRef
	Owner   identity.AgencyID // whose the object is; that agency's auditors see the event, too. Empty: the actor's agency, or not known
	Outcome string            // OK, Denied or Failed
	Detail  map[string]string // further words; no secret, no content
}

// Record writes e within tx, the transaction of what e records.
func (l *Log) Record(ctx context.Context, tx *sqldb.Tx, e Event) error {
	return l.recordAt(ctx, tx, e, l.now())
}

// RecordAll is Record for many events at once, at far less cost for each.
func (l *Log) RecordAll(ctx context.Context, tx *sqldb.Tx, events []Event) error {
	at := l.now()
	rows := make([]row, len(events))
	for i, e := range events {
		var err error
		if rows[i], err = newRow(e, at); err != nil {
			return err
		}
	}
	return insertRows(ctx, tx, rows)
}

func (l *Log) recordAt(ctx context.Context, tx *sqldb.Tx, e Event, at time.Time) error {
	r, err := newRow(e, at)
	if err != nil {
		return err
	}
	return insertRows(ctx, tx, []row{r})
}

// row is an event as it is kept.
type row struct {
	record
	payload
	leaf tlog.Hash
	json string // payload.detail
}

func newRow(e Event, at time.Time) (row, error) {
	if e.Action == "" {
		return row{}, errors.New("audit: event without an action")
	}
	switch e.Outcome {
	case OK, Denied, Failed:
	default:
		return row{}, fmt.Errorf("audit: %s: unknown outcome %q", e.Action, e.Outcome)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return row{}, fmt.Errorf("audit: new id: %w", err)
	}
	p := payload{salt: make([]byte, saltLength), address: e.Actor.Address, detail: map[string]string{}}
	if _, err := rand.Read(p.salt); err != nil {
		return row{}, fmt.Errorf("audit: new salt: %w", err)
	}
	for key, word := range e.Detail {
		// JSON has no other bytes, and what is hashed must be what is stored.
		p.detail[strings.ToValidUTF8(key, "\ufffd")] = clip(strings.ToValidUTF8(word, "\ufffd"), maxDetail)
	}
	if e.Actor.Account == "" && e.Actor.Name == identity.CommandLine {
		p.detail["scope"] = "command"
	}
	detail, err := json.Marshal(p.detail)
	if err != nil {
		return row{}, fmt.Errorf("audit: detail of %s: %w", e.Action, err)
	}
	r := record{
		id: id.String(), at: at.UnixMicro(), agency: string(e.Actor.Agency), owner: string(e.Owner),
		account: string(e.Actor.Account), person: string(e.Actor.Person), position: string(e.Actor.Position),
		action: string(e.Action), kind: e.Object.Kind, object: e.Object.ID, outcome: e.Outcome, payloadHash: p.hash(),
	}
	if r.owner == r.agency {
		r.owner = ""
	}
	return row{record: r, payload: p, leaf: r.leaf(), json: string(detail)}, nil
}

func insertRows(ctx context.Context, tx *sqldb.Tx, rows []row) error {
	err := tx.InsertMany(ctx, `audit_events
		(id, at, account_id, person_id, position_id, agency_id, owner_id, action, object_kind, object_id, outcome, payload_hash, leaf_hash)`, 13, len(rows), func(i int) []any {
		r := &rows[i]
		return []any{r.id, r.at, r.account, r.person, r.position, r.agency, r.owner, r.action, r.kind, r.object, r.outcome, r.payloadHash, r.leaf[:]}
	}, "")
	if err == nil {
		err = tx.InsertMany(ctx, `audit_payloads (event_id, at, salt, address, detail)`, 5, len(rows), func(i int) []any {
			r := &rows[i]
			return []any{r.id, r.at, r.salt, r.address, r.json}
		}, "")
	}
	if err != nil {
		return fmt.Errorf("audit: record %s: %w", rows[0].action, err)
	}
	return nil
}

// clip cuts s to n bytes at most, at the beginning of a letter.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}
