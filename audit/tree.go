package audit

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"commsd/internal/sqldb"
)

// treeReader reads stored hashes in a transaction; fresh ones, which are not
// stored yet, and those read before from memory.
type treeReader struct {
	ctx   context.Context //nolint:containedctx // tlog's interface has none; it lives for one call
	tx    *sqldb.Tx
	known map[int64]tlog.Hash
	limit int // hashes kept in memory; beyond it they are forgotten
}

func newTreeReader(ctx context.Context, tx *sqldb.Tx) *treeReader {
	return &treeReader{ctx: ctx, tx: tx, known: map[int64]tlog.Hash{}, limit: 1 << 16}
}

// hashChunk bounds the placeholders of one statement.
const hashChunk = 500

// ReadHashes implements tlog.HashReader.
func (r *treeReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	if err := r.load(indexes); err != nil {
		return nil, err
	}
	hashes := make([]tlog.Hash, len(indexes))
	for i, idx := range indexes {
		h, ok := r.known[idx]
		if !ok {
			return nil, &missingHashError{idx}
		}
		hashes[i] = h
	}
	return hashes, nil
}

// missingHashError tells that the tree lacks a hash it must hold.
type missingHashError struct{ idx int64 }

func (e *missingHashError) Error() string {
	level, n := tlog.SplitStoredHashIndex(e.idx)
	return fmt.Sprintf("the tree lacks hash %d of level %d", n, level)
}

// load reads what is not known yet.
func (r *treeReader) load(indexes []int64) error {
	var missing []any
	for _, idx := range indexes {
		if _, ok := r.known[idx]; !ok {
			missing = append(missing, idx)
		}
	}
	if len(r.known)+len(missing) > r.limit {
		clear(r.known)
		missing = missing[:0]
		for _, idx := range indexes {
			missing = append(missing, idx)
		}
	}
	for len(missing) > 0 {
		some := missing[:min(hashChunk, len(missing))]
		missing = missing[len(some):]
		if err := r.loadSome(some); err != nil {
			return fmt.Errorf("audit: read the tree: %w", err)
		}
	}
	return nil
}

func (r *treeReader) loadSome(indexes []any) error {
	rows, err := r.tx.Query(r.ctx, `SELECT idx, hash FROM audit_hashes WHERE idx IN (`+sqldb.Placeholders(1, len(indexes))+`)`, indexes...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	for rows.Next() {
		var idx int64
		var hash []byte
		if err := rows.Scan(&idx, &hash); err != nil {
			return err
		}
		r.known[idx] = toHash(hash)
	}
	return rows.Err()
}

func toHash(b []byte) (h tlog.Hash) {
	copy(h[:], b)
	return h
}

// readSize reads how many leaves the tree has.
func readSize(ctx context.Context, tx *sqldb.Tx) (int64, error) {
	var size int64
	if err := tx.QueryRow(ctx, `SELECT size FROM audit_sequencer WHERE id = 1`).Scan(&size); err != nil {
		return 0, fmt.Errorf("audit: read the size of the tree: %w", err)
	}
	return size, nil
}

// waitingEvent is an event that is not in the tree yet.
type waitingEvent struct {
	record
	leafHash []byte
}

// byWaiting leads SQLite to the index of what waits, in its order; by itself it
// takes the one of all places and sorts the whole backlog for each batch.
func byWaiting(d sqldb.Dialect) string {
	if d == sqldb.SQLite {
		return " INDEXED BY audit_events_unsequenced"
	}
	return ""
}

// readWaiting reads the next events for the tree, in the order of their ids.
// One that is committed late, or was made by a clock set back, comes in a later
// batch: what it is found by is that it has no place, not when it was made.
func readWaiting(ctx context.Context, tx *sqldb.Tx, limit int) ([]waitingEvent, error) {
	rows, err := tx.Query(ctx, `SELECT id, at, agency_id, owner_id, account_id, person_id, position_id, action, object_kind, object_id,
		outcome, payload_hash, leaf_hash FROM audit_events`+byWaiting(tx.Dialect())+` WHERE seq IS NULL ORDER BY id LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("audit: read what waits: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var list []waitingEvent
	for rows.Next() {
		var w waitingEvent
		if err := rows.Scan(&w.id, &w.at, &w.agency, &w.owner, &w.account, &w.person, &w.position, &w.action, &w.kind, &w.object,
			&w.outcome, &w.payloadHash, &w.leafHash); err != nil {
			return nil, fmt.Errorf("audit: read what waits: %w", err)
		}
		list = append(list, w)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("audit: read what waits: %w", err)
	}
	return list, nil
}

// seal gives an event that was recorded before there was a tree its salt and
// hashes.
func (s *Sequencer) seal(ctx context.Context, tx *sqldb.Tx, w *waitingEvent) error {
	p := payload{salt: make([]byte, saltLength)}
	if _, err := s.cfg.Rand.Read(p.salt); err != nil {
		return fmt.Errorf("audit: new salt: %w", err)
	}
	var detail string
	err := tx.QueryRow(ctx, `SELECT address, detail FROM audit_payloads WHERE event_id = $1`, w.id).Scan(&p.address, &detail)
	switch {
	case errors.Is(err, sql.ErrNoRows): // erased before it came in
	case err != nil:
		return fmt.Errorf("audit: payload of %s: %w", w.id, err)
	default:
		if err := json.Unmarshal([]byte(detail), &p.detail); err != nil {
			return fmt.Errorf("audit: detail of %s: %w", w.id, err)
		}
	}
	w.payloadHash = p.hash()
	leaf := w.leaf()
	w.leafHash = leaf[:]
	if _, err := tx.Exec(ctx, `UPDATE audit_payloads SET salt = $2 WHERE event_id = $1`, w.id, p.salt); err != nil {
		return fmt.Errorf("audit: seal %s: %w", w.id, err)
	}
	_, err = tx.Exec(ctx, `UPDATE audit_events SET payload_hash = $2, leaf_hash = $3 WHERE id = $1`, w.id, w.payloadHash, w.leafHash)
	if err != nil {
		return fmt.Errorf("audit: seal %s: %w", w.id, err)
	}
	return nil
}

// appendLeaves puts list behind the tree's size leaves.
func appendLeaves(ctx context.Context, tx *sqldb.Tx, size int64, list []waitingEvent) error {
	tree := newTreeReader(ctx, tx)
	// The heads of the complete subtrees are all that appending reads.
	if _, err := tlog.TreeHash(size, tree); err != nil {
		return fmt.Errorf("audit: append to the tree: %w", err)
	}
	var hashes, places arguments
	var hashRows []string
	for i := range list {
		n := size + int64(i)
		stored, err := tlog.StoredHashesForRecordHash(n, toHash(list[i].leafHash), tree)
		if err != nil {
			return fmt.Errorf("audit: append to the tree: %w", err)
		}
		first := tlog.StoredHashIndex(0, n)
		for j, h := range stored {
			tree.known[first+int64(j)] = h
			hashRows = append(hashRows, "("+hashes.add(first+int64(j))+", "+hashes.add(bytes.Clone(h[:]))+")")
		}
		places = append(places, list[i].id, n)
	}
	if _, err := tx.Exec(ctx, `INSERT INTO audit_hashes (idx, hash) VALUES `+strings.Join(hashRows, ", "), hashes...); err != nil {
		return fmt.Errorf("audit: append to the tree: %w", err)
	}
	res, err := tx.Exec(ctx, placesQuery(len(list)), places...)
	if err != nil {
		return fmt.Errorf("audit: give events their places: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n != int64(len(list)) {
		return fmt.Errorf("audit: %d of %d events were given their places: %w", n, len(list), errors.Join(err, errLostLease))
	}
	return countActivity(ctx, tx, list)
}

// placesQuery gives n events their places; its arguments are the id and the place
// of each. The ids stand there twice, and the sign before seq, lest SQLite look
// for them among all that wait.
func placesQuery(n int) string {
	rows, ids := make([]string, n), make([]string, n)
	for i := range n {
		ids[i] = fmt.Sprintf("CAST($%d AS TEXT)", 2*i+1)
		rows[i] = fmt.Sprintf("(%s, CAST($%d AS BIGINT))", ids[i], 2*i+2)
	}
	return `UPDATE audit_events SET seq = v.column2 FROM (VALUES ` + strings.Join(rows, ", ") + `) AS v
		WHERE audit_events.id IN (` + strings.Join(ids, ", ") + `) AND audit_events.id = v.column1 AND +audit_events.seq IS NULL`
}

// everyAgency stands for the whole installation in audit_activity.
const everyAgency = "*"

// zone is where days begin: Việt Nam has one time, and no summer.
const zone = 7 * time.Hour

const dayMicros = int64(24 * time.Hour / time.Microsecond)

func dayOf(at int64) int64 { return (at + zone.Microseconds()) / dayMicros }

type activityKey struct {
	agency  string
	day     int64
	outcome string
}

func countActivity(ctx context.Context, tx *sqldb.Tx, list []waitingEvent) error {
	counts := map[activityKey]int64{}
	for i := range list {
		w := &list[i]
		day := dayOf(w.at)
		counts[activityKey{everyAgency, day, w.outcome}]++
		if w.agency != "" {
			counts[activityKey{w.agency, day, w.outcome}]++
		}
		if w.owner != "" {
			counts[activityKey{w.owner, day, w.outcome}]++
		}
	}
	var values []string
	var args arguments
	for k, n := range counts {
		values = append(values, fmt.Sprintf("(%s, %s, %s, %s)", args.add(k.agency), args.add(k.day), args.add(k.outcome), args.add(n)))
	}
	_, err := tx.Exec(ctx, `INSERT INTO audit_activity (agency_id, day, outcome, events) VALUES `+strings.Join(values, ", ")+`
		ON CONFLICT (agency_id, day, outcome) DO UPDATE SET events = audit_activity.events + excluded.events`, args...)
	if err != nil {
		return fmt.Errorf("audit: count by day: %w", err)
	}
	return nil
}
