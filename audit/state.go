package audit

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// TreeState is how far the tree is.
type TreeState struct {
	Origin       string
	Key          string // text of the key that signatures are checked with
	Size         int64
	Backlog      int64     // events that wait for the tree
	WaitingSince time.Time // of the oldest of them; zero: none
	Checkpoint   *Checkpoint
	Broken       bool // the newest head was not signed with the key
}

// maxBacklog is where counting what waits stops.
const maxBacklog = 1_000_000

// openKeys returns the keys without waiting for the sequencer to have begun.
func (s *Service) openKeys(ctx context.Context) (*keys, error) {
	s.keysMu.Lock()
	defer s.keysMu.Unlock()
	if s.keys == nil {
		k, err := openKeys(ctx, s.cfg.Secrets, s.cfg.Domain)
		if err != nil {
			return nil, err
		}
		s.keys = k
	}
	return s.keys, nil
}

// Tree tells auditors how far the tree is.
func (s *Service) Tree(ctx context.Context, actor identity.Actor) (*TreeState, error) {
	if _, err := s.scope(ctx, actor, ActionRead, ""); err != nil {
		return nil, err
	}
	k, err := s.openKeys(ctx)
	if err != nil {
		return nil, err
	}
	state := &TreeState{Origin: k.verifier.Name(), Key: k.public}
	err = s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		if state.Size, err = readSize(ctx, tx); err != nil {
			return err
		}
		if err := readBacklog(ctx, tx, state); err != nil {
			return err
		}
		state.Checkpoint, err = newestCheckpoint(ctx, tx, k.verifier)
		if errcode.Of(err) == errcode.Invalid {
			state.Broken = true
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("audit: state of the tree: %w", err)
	}
	return state, nil
}

func readBacklog(ctx context.Context, tx *sqldb.Tx, state *TreeState) error {
	// By id the first is the oldest but for clocks; it is read by the index.
	var oldest int64
	err := tx.QueryRow(ctx, `SELECT at FROM audit_events`+byWaiting(tx.Dialect())+` WHERE seq IS NULL ORDER BY id LIMIT 1`).Scan(&oldest)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("audit: count what waits: %w", err)
	}
	state.WaitingSince = time.UnixMicro(oldest).UTC()
	err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM (SELECT id FROM audit_events WHERE seq IS NULL LIMIT $1) AS waiting`, maxBacklog).Scan(&state.Backlog)
	if err != nil {
		return fmt.Errorf("audit: count what waits: %w", err)
	}
	return nil
}

// Proof is an event's place in the tree.
type Proof struct {
	State      string // waiting, appended, signed or broken
	Leaf       tlog.Hash
	Checkpoint *Checkpoint // nil: none was signed yet
	Hashes     tlog.RecordProof
}

// The states of a Proof.
const (
	proofWaiting  = "waiting"
	proofAppended = "appended"
	proofSigned   = "signed"
	proofBroken   = "broken"
)

// Event returns one event that actor may see, and checks its proof against the
// newest signed head. The look is recorded before it is answered.
func (s *Service) Event(ctx context.Context, actor identity.Actor, id string) (Entry, *Proof, error) {
	scope, err := s.scope(ctx, actor, ActionRead, "")
	if err != nil {
		return Entry{}, nil, err
	}
	k, err := s.openKeys(ctx)
	if err != nil {
		return Entry{}, nil, err
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return s.cfg.Log.Record(ctx, tx, Event{Actor: actor, Action: ActionRead, Object: identity.ObjectRef{Kind: "audit_event", ID: id}, Outcome: OK})
	})
	if err != nil {
		return Entry{}, nil, fmt.Errorf("audit: record a reading: %w", err)
	}
	var entry Entry
	var proof *Proof
	err = s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		entries, err := queryEntries(ctx, tx, `SELECT `+entryColumns+` FROM audit_events e LEFT JOIN audit_payloads p ON p.event_id = e.id
			WHERE e.id = $1`, []any{id})
		if err != nil {
			return err
		}
		if len(entries) == 0 || !visible(scope, &entries[0]) {
			return errNotFound()
		}
		entry = entries[0]
		proof, err = prove(ctx, tx, k, &entry)
		return err
	})
	if err != nil {
		return Entry{}, nil, fmt.Errorf("audit: event %s: %w", id, err)
	}
	return entry, proof, nil
}

func visible(scope []identity.AgencyID, e *Entry) bool {
	if scope == nil {
		return true
	}
	for _, a := range scope {
		if e.Agency == a || e.Owner == a {
			return true
		}
	}
	return false
}

// intact tells whether e is what was hashed when it was recorded.
func intact(e *Entry) bool {
	r := e.record()
	if r.leaf() != toHash(e.leafHash) || len(e.leafHash) != tlog.HashSize {
		return false
	}
	if e.Erased {
		return true
	}
	p := payload{salt: e.salt, address: e.Address, detail: e.Detail}
	return string(p.hash()) == string(e.payloadHash)
}

func prove(ctx context.Context, tx *sqldb.Tx, k *keys, e *Entry) (*Proof, error) {
	r := e.record()
	p := &Proof{State: proofWaiting, Leaf: r.leaf()}
	if e.Seq < 0 {
		return p, nil
	}
	p.State = proofAppended
	var err error
	if p.Checkpoint, err = newestCheckpoint(ctx, tx, k.verifier); err != nil {
		if errcode.Of(err) == errcode.Invalid {
			p.State = proofBroken // somebody else's signature
			return p, nil
		}
		return nil, err
	}
	if p.Checkpoint == nil || p.Checkpoint.Size <= e.Seq {
		return p, nil
	}
	p.State = proofSigned
	p.Hashes, err = tlog.ProveRecord(p.Checkpoint.Size, e.Seq, newTreeReader(ctx, tx))
	var missing *missingHashError
	if err != nil && !errors.As(err, &missing) {
		return nil, err
	}
	if err != nil || !intact(e) || tlog.CheckRecord(p.Hashes, p.Checkpoint.Size, p.Checkpoint.Root, e.Seq, p.Leaf) != nil {
		p.State = proofBroken
	}
	return p, nil
}

// Day counts the events of one day.
type Day struct {
	Date               string // 2026-11-25, of UTC+7
	OK, Denied, Failed int64
}

// Activity counts events by day and outcome. Without further conditions than
// time, outcome and agency the sequencer's counts answer; else the events are
// counted, by the index of the condition.
func (s *Service) Activity(ctx context.Context, actor identity.Actor, f Filter) ([]Day, error) {
	scope, err := s.scope(ctx, actor, ActionRead, f.Agency)
	if err != nil {
		return nil, err
	}
	f.Scope = scope
	if f.Until.IsZero() {
		f.Until = s.now().Add(time.Second)
	}
	if f.From.IsZero() {
		f.From = f.Until.Add(-31 * 24 * time.Hour)
	}
	if f.Until.Sub(f.From) > 366*24*time.Hour {
		return nil, errcode.New(errcode.Invalid, "from, until: more than a year; ask for a year at most")
	}
	query, args, err := activityQuery(f)
	if err != nil {
		return nil, err
	}
	days := []Day{}
	err = s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		days = days[:0]
		rows, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // Err below tells what went wrong
		for rows.Next() {
			var day, events int64
			var outcome string
			if err := rows.Scan(&day, &outcome, &events); err != nil {
				return err
			}
			name := time.Unix(day*24*3600, 0).UTC().Format(time.DateOnly)
			if len(days) == 0 || days[len(days)-1].Date != name {
				days = append(days, Day{Date: name})
			}
			switch d := &days[len(days)-1]; outcome {
			case OK:
				d.OK = events
			case Denied:
				d.Denied = events
			case Failed:
				d.Failed = events
			}
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("audit: activity: %w", err)
	}
	return days, nil
}

func activityQuery(f Filter) (string, arguments, error) {
	var args arguments
	agencies := f.agencies()
	if f.Action == "" && f.Person == "" && f.Object == (identity.ObjectRef{}) && f.Address == "" && (agencies == nil || len(agencies) == 1) {
		agency := everyAgency
		if agencies != nil {
			agency = string(agencies[0])
		}
		query := `SELECT day, outcome, CAST(SUM(events) AS BIGINT) FROM audit_activity WHERE agency_id = ` + args.add(agency) +
			` AND day >= ` + args.add(dayOf(f.From.UnixMicro())) + ` AND day <= ` + args.add(dayOf(f.Until.UnixMicro()-1))
		if f.Outcome != "" {
			query += ` AND outcome = ` + args.add(f.Outcome)
		}
		return query + ` GROUP BY day, outcome ORDER BY day`, args, nil
	}
	where, from, at, _, err := f.conditions(&args)
	if err != nil {
		return "", nil, err
	}
	if agencies != nil {
		condition := "1 = 0"
		if len(agencies) > 0 {
			condition = agencyCondition(agencies, &args)
		}
		where = append(where, condition)
	}
	day := fmt.Sprintf("(%s + %d) / %d", at, zone.Microseconds(), dayMicros)
	return fmt.Sprintf(`SELECT %s AS day, e.outcome, COUNT(*) FROM %s WHERE %s GROUP BY 1, 2 ORDER BY 1`, day, from, strings.Join(where, " AND ")), args, nil
}

func proofJSON(p *Proof) auditProof {
	out := auditProof{State: p.State, Leaf: p.Leaf.String(), Hashes: make([]string, len(p.Hashes))}
	if p.Checkpoint != nil {
		out.Size, out.Checkpoint = p.Checkpoint.Size, p.Checkpoint.Note
	}
	for i, h := range p.Hashes {
		out.Hashes[i] = base64.StdEncoding.EncodeToString(h[:])
	}
	return out
}

func treeJSON(state *TreeState) *treeOutput {
	out := &treeOutput{}
	out.Body.Origin, out.Body.Key, out.Body.Size, out.Body.Backlog = state.Origin, state.Key, state.Size, state.Backlog
	out.Body.Broken = state.Broken
	if !state.WaitingSince.IsZero() {
		out.Body.WaitingSince = &state.WaitingSince
	}
	if c := state.Checkpoint; c != nil {
		out.Body.Checkpoint = &auditCheckpoint{Size: c.Size, At: c.At, Root: c.Root.String(), Note: c.Note}
	}
	return out
}
