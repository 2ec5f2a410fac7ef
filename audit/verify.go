package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"commsd/internal/secret"
	"commsd/internal/sqldb"
)

// VerifyConfig says what Verify checks. Fields without a default are required.
type VerifyConfig struct {
	DB      *sqldb.DB
	Secrets *secret.Store

	// Checkpoint is a signed head that was kept outside: the log must still
	// continue it. Empty: none.
	Checkpoint []byte
	// Since is a signed head up to which the log was verified before: events
	// below it are not read again, the stored tree alone must still lead to it.
	// Empty: everything is read.
	Since []byte
	// Progress is called every some thousand events; nil: nobody watches.
	Progress func(done, total int64)
	Now      func() time.Time // nil: time.Now
}

// Problem is one thing that is not as it was recorded.
type Problem struct {
	Leaf int64  // where it is, the first leaf of a range; -1: not at a leaf
	ID   string // of the event, where it is known
	What string
}

func (p Problem) String() string {
	switch {
	case p.Leaf < 0:
		return p.What
	case p.ID == "":
		return fmt.Sprintf("leaf %d: %s", p.Leaf, p.What)
	default:
		return fmt.Sprintf("leaf %d, event %s: %s", p.Leaf, p.ID, p.What)
	}
}

// VerifyReport is what Verify found.
type VerifyReport struct {
	Key          string // text of the key that signed
	Size         int64  // leaves in the tree
	Checked      int64  // of them, read and recomputed
	Backlog      int64  // events that wait for the tree
	WaitingSince time.Time
	Erased       int64 // checked events whose payload's time had come
	Checkpoints  int64 // signed heads that were checked
	Newest       *Checkpoint
	Problems     []Problem // in the order they were found; at most maxProblems
	More         int64     // problems beyond those
}

// maxProblems is how many problems a report tells one by one.
const maxProblems = 20

// verifier is one run of Verify.
type verifier struct {
	cfg      VerifyConfig
	key      note.Verifier
	report   VerifyReport
	next     int64               // the leaf that is read next
	frontier map[int64]tlog.Hash // hashes of the complete subtrees left of next, by stored index
	outside  *Checkpoint         // of cfg.Checkpoint
	heads    []Checkpoint        // the next signed heads, ascending
	lastHead int64               // size of the head read last
	good     int64               // the newest size whose signed head fits
	erased   time.Time           // payloads of events before this may be gone
	forged   map[string]bool     // erasures by their ids that were found to be none
}

// Verify recomputes every leaf and the whole tree, and holds them against every
// signed head. Its error tells that it could not; what it found stands in the
// report. It reads in chunks and changes nothing.
func Verify(ctx context.Context, cfg VerifyConfig) (*VerifyReport, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	v := &verifier{cfg: cfg, frontier: map[int64]tlog.Hash{}, forged: map[string]bool{}}
	k, err := openKeysWith(ctx, cfg.Secrets, func() ([]byte, error) { return nil, errNoKey })
	if errors.Is(err, errNoKey) && len(cfg.Checkpoint)+len(cfg.Since) == 0 {
		// Right where nothing has entered the tree yet.
		if err := cfg.DB.Read(ctx, v.begin); err != nil {
			return nil, fmt.Errorf("audit: verify: %w", err)
		}
		if v.report.Size > 0 {
			v.found(-1, "", errNoKey.Error())
		}
		return &v.report, nil
	}
	if err != nil {
		return nil, err
	}
	v.key, v.report.Key = k.verifier, k.public
	var since *Checkpoint
	for _, f := range []struct {
		what string
		text []byte
		to   **Checkpoint
	}{{"--checkpoint", cfg.Checkpoint, &v.outside}, {"--since", cfg.Since, &since}} {
		if len(f.text) == 0 {
			continue
		}
		c, err := ParseCheckpoint(f.text, v.key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.what, err)
		}
		*f.to = &c
	}
	if err := cfg.DB.Read(ctx, v.begin); err != nil {
		return nil, fmt.Errorf("audit: verify: %w", err)
	}
	for _, c := range []*Checkpoint{v.outside, since} {
		if c != nil && c.Size > v.report.Size {
			v.found(v.report.Size, "", fmt.Sprintf("the log ends here, but a head of %d events was signed: the tail was cut off", c.Size))
		}
	}
	if since != nil && since.Size <= v.report.Size {
		err := cfg.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return v.resume(ctx, tx, since) })
		if err != nil {
			return nil, fmt.Errorf("audit: verify: %w", err)
		}
	}
	for v.next < v.report.Size {
		if err := cfg.DB.Read(ctx, v.chunk); err != nil {
			return nil, fmt.Errorf("audit: verify: %w", err)
		}
		if cfg.Progress != nil {
			cfg.Progress(v.next, v.report.Size)
		}
	}
	return &v.report, nil
}

// errNoKey tells that nothing can have been signed.
var errNoKey = errors.New("this database has no key of the audit log: nothing was ever signed, or the key was removed")

func (v *verifier) found(leaf int64, id, what string) {
	if len(v.report.Problems) == maxProblems {
		v.report.More++
		return
	}
	v.report.Problems = append(v.report.Problems, Problem{Leaf: leaf, ID: id, What: what})
}

// begin reads how far the log is and what stands outside of its tree.
func (v *verifier) begin(ctx context.Context, tx *sqldb.Tx) error {
	var err error
	if v.report.Size, err = readSize(ctx, tx); err != nil {
		return err
	}
	state := &TreeState{}
	if err := readBacklog(ctx, tx, state); err != nil {
		return err
	}
	v.report.Backlog, v.report.WaitingSince = state.Backlog, state.WaitingSince
	var leaf int64
	var id string
	err = tx.QueryRow(ctx, `SELECT seq, id FROM audit_events WHERE seq >= $1 ORDER BY seq LIMIT 1`, v.report.Size).Scan(&leaf, &id)
	switch {
	case err == nil:
		v.found(leaf, id, fmt.Sprintf("has a place beyond the tree's %d leaves", v.report.Size))
	case !errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("look beyond the tree: %w", err)
	}
	if err := v.readErasures(ctx, tx); err != nil {
		return err
	}
	return v.beyond(ctx, tx)
}

// beyond finds heads that were signed of more leaves than there are.
func (v *verifier) beyond(ctx context.Context, tx *sqldb.Tx) error {
	var size int64
	err := tx.QueryRow(ctx, `SELECT COALESCE(MAX(size), 0) FROM audit_checkpoints`).Scan(&size)
	if err != nil {
		return fmt.Errorf("read checkpoints: %w", err)
	}
	if size > v.report.Size {
		v.found(v.report.Size, "", fmt.Sprintf("the log ends here, but a head of %d events was signed: the tail was cut off", size))
	}
	return nil
}

// clockSlack is how far the clocks of nodes may differ.
const clockSlack = time.Hour

// readErasures finds until when payloads may be gone. An erasure that names a
// time which could not have come is none: whoever writes into the database could
// hide by one row what they removed.
func (v *verifier) readErasures(ctx context.Context, tx *sqldb.Tx) error {
	rows, err := tx.Query(ctx, `SELECT id, at, object_id FROM audit_events WHERE action = $1 AND object_kind = $2`, string(ActionErase), erasedBefore)
	if err != nil {
		return fmt.Errorf("read erasures: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	for rows.Next() {
		var id, text string
		var micros int64
		if err := rows.Scan(&id, &micros, &text); err != nil {
			return fmt.Errorf("read erasures: %w", err)
		}
		at := time.UnixMicro(micros)
		before, err := time.Parse(time.RFC3339, text)
		switch {
		case err != nil || at.Sub(before) < MinRetention || at.After(v.cfg.Now().Add(clockSlack)):
			if v.forged[id] { // told already
				continue
			}
			v.forged[id] = true
			v.found(-1, id, fmt.Sprintf("event %s says that payloads from before %.40q were erased, whose time had not come: it was not written by this program", id, text))
		case before.After(v.erased):
			v.erased = before
		}
	}
	return rows.Err()
}

// resume begins behind the leaves of a head that was verified before.
func (v *verifier) resume(ctx context.Context, tx *sqldb.Tx, since *Checkpoint) error {
	tree := newTreeReader(ctx, tx)
	root, err := tlog.TreeHash(since.Size, tree)
	var missing *missingHashError
	if err != nil && !errors.As(err, &missing) {
		return err
	}
	if err != nil || root != since.Root {
		v.found(0, "", fmt.Sprintf("the stored tree does not continue the head of %d events of --since; verify the whole log without it", since.Size))
		return nil //nolint:nilerr // it is a finding: everything is read
	}
	if c := v.outside; c != nil && c.Size <= since.Size {
		if err := v.compareStored(tree, c); err != nil {
			return err
		}
	}
	v.frontier, v.next, v.lastHead, v.good = tree.known, since.Size, since.Size, since.Size
	return nil
}

func (v *verifier) compareStored(tree *treeReader, c *Checkpoint) error {
	root, err := tlog.TreeHash(c.Size, tree)
	var missing *missingHashError
	if err != nil && !errors.As(err, &missing) {
		return err
	}
	if err != nil || root != c.Root {
		v.found(0, "", fmt.Sprintf("the stored tree does not continue the head of %d events that was kept outside", c.Size))
	}
	return nil
}

// verifyChunk is how many leaves one transaction reads.
const verifyChunk = 1000

// chunk reads and recomputes the next leaves.
func (v *verifier) chunk(ctx context.Context, tx *sqldb.Tx) error {
	end := min(v.next+verifyChunk, v.report.Size)
	entries, err := queryEntries(ctx, tx, leavesQuery, []any{v.next, end})
	if err != nil {
		return err
	}
	stored, err := readStored(ctx, tx, tlog.StoredHashIndex(0, v.next), tlog.StoredHashIndex(0, end))
	if err != nil {
		return err
	}
	if slices.ContainsFunc(entries, func(e Entry) bool { return e.Erased }) {
		if err := v.readErasures(ctx, tx); err != nil { // one may have begun meanwhile
			return err
		}
	}
	i := 0
	for ; v.next < end; v.next++ {
		if err := v.headsUpTo(ctx, tx); err != nil {
			return err
		}
		var e *Entry
		if i < len(entries) && entries[i].Seq == v.next {
			e = &entries[i]
			i++
		}
		if err := v.leaf(e, stored); err != nil {
			return err
		}
	}
	return v.headsUpTo(ctx, tx)
}

// readStored reads the tree's hashes of a range of stored indexes.
func readStored(ctx context.Context, tx *sqldb.Tx, from, to int64) (map[int64]tlog.Hash, error) {
	rows, err := tx.Query(ctx, `SELECT idx, hash FROM audit_hashes WHERE idx >= $1 AND idx < $2`, from, to)
	if err != nil {
		return nil, fmt.Errorf("read the tree: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	hashes := make(map[int64]tlog.Hash, to-from)
	for rows.Next() {
		var idx int64
		var hash []byte
		if err := rows.Scan(&idx, &hash); err != nil {
			return nil, fmt.Errorf("read the tree: %w", err)
		}
		hashes[idx] = toHash(hash)
	}
	return hashes, rows.Err()
}

// leaf checks the event of leaf v.next (nil: there is none) and the hashes that
// the tree stores with it. Where they differ it goes on with what is stored, so
// that one change is one problem.
func (v *verifier) leaf(e *Entry, stored map[int64]tlog.Hash) error {
	n := v.next
	first := tlog.StoredHashIndex(0, n)
	kept, have := stored[first]
	hash := kept
	v.report.Checked++
	switch {
	case !have:
		v.found(n, idOf(e), "the tree has no hash of it")
		if e != nil {
			r := e.record()
			hash = r.leaf()
		}
	case e == nil:
		v.found(n, "", "the event is missing: its row was removed")
	default:
		v.entry(e, kept)
	}
	fresh, err := tlog.StoredHashesForRecordHash(n, hash, frontierReader(v.frontier, true))
	if err != nil {
		return err
	}
	for level := 1; level < len(fresh); level++ {
		kept, ok := stored[first+int64(level)]
		if !ok || kept != fresh[level] {
			v.found(n+1-1<<level, idOf(e), fmt.Sprintf("the tree's hash over leaves %d to %d is not that of these leaves", n+1-1<<level, n))
		}
		if ok {
			fresh[level] = kept
		}
	}
	v.frontier[first+int64(len(fresh)-1)] = fresh[len(fresh)-1]
	return nil
}

func idOf(e *Entry) string {
	if e == nil {
		return ""
	}
	return e.ID
}

// entry checks one event against the hash that the tree has of it.
func (v *verifier) entry(e *Entry, kept tlog.Hash) {
	r := e.record()
	switch leaf := r.leaf(); {
	case leaf != toHash(e.leafHash):
		v.found(e.Seq, e.ID, "its fields are not those that were recorded")
	case leaf != kept:
		v.found(e.Seq, e.ID, "is not the event that the tree has in this place")
	}
	if e.Erased {
		if !e.At.Before(v.erased) {
			v.found(e.Seq, e.ID, "its payload is missing, and its time to be erased had not come")
			return
		}
		v.report.Erased++
		return
	}
	p := payload{salt: e.salt, address: e.Address, detail: e.Detail}
	if string(p.hash()) != string(e.payloadHash) {
		v.found(e.Seq, e.ID, "its payload (address, detail) is not the one that was recorded")
	}
}

// headsUpTo holds the leaves below v.next against the heads signed of them.
func (v *verifier) headsUpTo(ctx context.Context, tx *sqldb.Tx) error {
	if c := v.outside; c != nil && c.Size == v.next && c.Size > 0 {
		if v.root() != c.Root {
			v.found(v.good, "", fmt.Sprintf("the head of %d events that was kept outside is not of this log: an event from here to leaf %d was changed", c.Size, c.Size-1))
		}
	}
	for {
		if len(v.heads) == 0 {
			if v.lastHead < 0 {
				return nil
			}
			if err := v.readHeads(ctx, tx); err != nil {
				return err
			}
			if len(v.heads) == 0 {
				v.lastHead = -1 // all are read
				return nil
			}
		}
		head := v.heads[0]
		if head.Size > v.next {
			return nil
		}
		v.heads = v.heads[1:]
		v.head(&head)
	}
}

// readHeads reads the next signed heads.
func (v *verifier) readHeads(ctx context.Context, tx *sqldb.Tx) error {
	rows, err := tx.Query(ctx, `SELECT size, at, note FROM audit_checkpoints WHERE size > $1 AND size <= $2 ORDER BY size LIMIT 500`, v.lastHead, v.report.Size)
	if err != nil {
		return fmt.Errorf("read checkpoints: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	for rows.Next() {
		var c Checkpoint
		var at int64
		if err := rows.Scan(&c.Size, &at, &c.Note); err != nil {
			return fmt.Errorf("read checkpoints: %w", err)
		}
		c.At = time.UnixMicro(at).UTC()
		v.heads, v.lastHead = append(v.heads, c), c.Size
	}
	return rows.Err()
}

// head checks one signed head of v.next leaves.
func (v *verifier) head(c *Checkpoint) {
	v.report.Checkpoints++
	signed, err := ParseCheckpoint([]byte(c.Note), v.key)
	if err != nil {
		v.found(-1, "", fmt.Sprintf("the head stored of %d events, of %s, has no valid signature: %v", c.Size, c.At.Format(time.RFC3339), err))
		return
	}
	signed.At = c.At
	if signed.Size != c.Size {
		v.found(-1, "", fmt.Sprintf("the head stored of %d events was signed of %d", c.Size, signed.Size))
		return
	}
	if v.root() != signed.Root {
		v.found(v.good, "", fmt.Sprintf("the head signed of %d events at %s is not of this log: an event from here to leaf %d was changed",
			c.Size, c.At.Format(time.RFC3339), c.Size-1))
		return
	}
	v.good, v.report.Newest = c.Size, &signed
}

// root is the hash of the tree of the leaves below v.next.
func (v *verifier) root() tlog.Hash {
	h, err := tlog.TreeHash(v.next, frontierReader(v.frontier, false))
	if err != nil {
		return tlog.Hash{} // cannot be: the reader never fails
	}
	return h
}
