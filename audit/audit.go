// Package audit keeps who did what. A domain records an event in the
// transaction of what it records, so that neither stands without the other.
//
// It must not know any domain: actions and objects are words of identity.
// Details hold no secret, no password and no content of messages.
package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"commsd/identity"
	"commsd/internal/sqldb"
)

// The outcomes of an action.
const (
	OK     = "ok"     // done
	Denied = "denied" // not permitted
	Failed = "failed" // permitted or open to all, but it did not succeed: a wrong password
)

// Config holds what New needs.
type Config struct {
	Now func() time.Time // nil: time.Now
}

// Log writes and reads the audit log. It may be used from many goroutines.
type Log struct {
	now func() time.Time // set at construction
}

// New returns a Log.
func New(cfg Config) *Log {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Log{now: cfg.Now}
}

// Event is what one calls to mind later: who, as what, did what to what, from
// where, and how it went.
type Event struct {
	Actor   identity.Actor // empty but for Address where nobody is signed in
	Action  identity.Action
	Object  identity.ObjectRef
	Outcome string            // OK, Denied or Failed
	Detail  map[string]string // further words; no secret, no content
}

// Record writes e within tx, the transaction of what e records.
func (l *Log) Record(ctx context.Context, tx *sqldb.Tx, e Event) error {
	if e.Action == "" {
		return errors.New("audit: event without an action")
	}
	switch e.Outcome {
	case OK, Denied, Failed:
	default:
		return fmt.Errorf("audit: %s: unknown outcome %q", e.Action, e.Outcome)
	}
	detail := []byte("{}")
	if len(e.Detail) > 0 {
		var err error
		if detail, err = json.Marshal(e.Detail); err != nil {
			return fmt.Errorf("audit: detail of %s: %w", e.Action, err)
		}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("audit: new id: %w", err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO audit_events
		(id, at, account_id, person_id, position_id, agency_id, action, object_kind, object_id, outcome, address, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		id.String(), l.now().UnixMicro(), string(e.Actor.Account), string(e.Actor.Person), string(e.Actor.Position),
		string(e.Actor.Agency), string(e.Action), e.Object.Kind, e.Object.ID, e.Outcome, e.Actor.Address, string(detail))
	if err != nil {
		return fmt.Errorf("audit: record %s: %w", e.Action, err)
	}
	return nil
}
