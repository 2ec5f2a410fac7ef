package directory

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"commsd/directory/permission"
	"commsd/directory/roster"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// ImportLimits bound the staff lists that are imported.
type ImportLimits struct {
	MaxRows    int // of one list; 0: 200,000
	MaxBytes   int // of one list; 0: 64 MiB
	LeaveShare int // percent of an agency's people with a personnel number who may leave by one import; 0: 10

	Keep time.Duration // how long a list is kept after it was applied, or compared and never applied; 0: 90 days
}

func (l *ImportLimits) setDefaults() {
	if l.MaxRows <= 0 {
		l.MaxRows = 200_000
	}
	if l.MaxBytes <= 0 {
		l.MaxBytes = 64 << 20
	}
	if l.LeaveShare <= 0 {
		l.LeaveShare = 10
	}
	if l.Keep <= 0 {
		l.Keep = 90 * 24 * time.Hour
	}
}

// MaxImportProblems is how many problems of a list are kept; all are counted.
const MaxImportProblems = 1000

// The states of an import.
const (
	ImportRefused   = "refused"   // the list has problems: put them right and send it again
	ImportPreviewed = "previewed" // compared; nothing has changed yet
	ImportApplying  = "applying"
	ImportApplied   = "applied"
	ImportStale     = "stale" // the agency has changed since it was compared: send the list again

	importPreparing = "preparing" // its entries are being written or removed; nobody sees it
)

// Import is a staff list that was compared with the directory.
type Import struct {
	ID        string            `json:"id"`
	Agency    identity.AgencyID `json:"agency_id"`
	State     string            `json:"state" enum:"refused,previewed,applying,applied,stale"`
	By        string            `json:"by" doc:"name of who compared it"`
	FileName  string            `json:"file_name"`
	CreatedAt time.Time         `json:"created_at"`
	AppliedAt *time.Time        `json:"applied_at,omitempty"`

	ImportReport

	Total   int `json:"total" doc:"people whom it changes"`
	Done    int `json:"done" doc:"of them, so far"`
	Skipped int `json:"skipped" doc:"of those done: left as they were, since somebody changed them meanwhile; each entry says why"`
}

// ImportReport is what comparing a list found.
type ImportReport struct {
	Rows       int      `json:"rows" doc:"lines of the list"`
	Columns    []string `json:"columns" nullable:"false" doc:"what was understood"`
	Ignored    []string `json:"ignored" nullable:"false" doc:"headers of columns that were not"`
	Adds       int      `json:"adds" doc:"people who are new, or back"`
	Changes    int      `json:"changes"`
	Moves      int      `json:"moves" doc:"people whose main post goes to another unit"`
	Leaves     int      `json:"leaves" doc:"people with a personnel number who are not in the list: their posts in the agency end"`
	Unchanged  int      `json:"unchanged"`
	MayLeave   int      `json:"may_leave" doc:"more leaves than these need override_leaves"`
	NeedsForce bool     `json:"needs_override" doc:"more leave than a list may end at once: apply with override_leaves"`

	Problems     []roster.ImportProblem `json:"problems" nullable:"false" doc:"the first 1000"`
	ProblemCount int                    `json:"problem_count" doc:"all"`
}

// ImportEntry is what an import does about one person.
type ImportEntry struct {
	Seq int `json:"seq"`
	roster.Entry
	Outcome string `json:"outcome" doc:"why it was left as it was; empty: it was applied, or will be"`
}

// importActor is who applies an import, kept beside it, since it may outlive
// the request and even the process.
type importActor struct {
	Account  identity.AccountID  `json:"account,omitempty"`
	Person   identity.PersonID   `json:"person,omitempty"`
	Position identity.PositionID `json:"position,omitempty"`
	Agency   identity.AgencyID   `json:"agency,omitempty"`
	Login    string              `json:"login,omitempty"`
	Name     string              `json:"name"`
	Address  string              `json:"address,omitempty"`
	Grants   []identity.Grant    `json:"grants,omitempty"`
}

func keepActor(a identity.Actor) importActor {
	return importActor{a.Account, a.Person, a.Position, a.Agency, a.Login, a.Name, a.Address, a.Grants}
}

func (a importActor) actor() identity.Actor {
	return identity.Actor{Account: a.Account, Person: a.Person, Position: a.Position, Agency: a.Agency, Login: a.Login, Name: a.Name,
		Address: a.Address, Grants: a.Grants}
}

func importObject(id identity.AgencyID) identity.Object {
	return identity.Object{ObjectRef: identity.ObjectRef{Kind: "agency", ID: string(id)}, Agency: id}
}

// PreviewImport compares a staff list with what the directory holds of an
// agency, keeps what it would change, and changes nothing. A list with problems
// is kept as ImportRefused, with its problems alone.
func (s *Service) PreviewImport(ctx context.Context, actor identity.Actor, agency identity.AgencyID, fileName string, data []byte) (Import, error) {
	if err := s.permit(ctx, actor, permission.ImportPeople, importObject(agency)); err != nil {
		return Import{}, err
	}
	problems := roster.NewProblems(MaxImportProblems)
	file := roster.Parse(data, roster.Limits{Rows: s.cfg.Imports.MaxRows, Bytes: s.cfg.Imports.MaxBytes}, problems)
	var plan roster.Plan
	var compared [sha256.Size]byte
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := readAgencyExists(ctx, tx, agency); err != nil {
			return err
		}
		state, err := readImportState(ctx, tx, agency, s.now())
		if err != nil {
			return err
		}
		compared = stateHash(state)
		if len(file.Rows) == 0 {
			return nil
		}
		if err := s.addImportLookups(ctx, tx, actor, &state, agency, file); err != nil {
			return err
		}
		plan = roster.Diff(file, state, problems)
		return nil
	})
	if err != nil {
		return Import{}, fmt.Errorf("directory: compare a staff list: %w", err)
	}
	r := ImportReport{Rows: len(file.Rows), Columns: orEmpty(file.Columns), Ignored: orEmpty(file.Ignored),
		Problems: problems.Shown, ProblemCount: problems.Count}
	state := ImportRefused
	if problems.Count == 0 {
		state = ImportPreviewed
		r.Problems = []roster.ImportProblem{}
		r.Adds, r.Changes, r.Moves, r.Leaves, r.Unchanged = plan.Adds, plan.Changes, plan.Moves, plan.Leaves, plan.Unchanged
		r.MayLeave = plan.Keyed * s.cfg.Imports.LeaveShare / 100
		r.NeedsForce = r.Leaves > r.MayLeave
	} else {
		plan.Entries = nil
	}
	return s.keepImport(ctx, actor, newImport{agency: agency, state: state, fileName: clip(fileName, 200), fileHash: sha256.Sum256(data),
		compared: compared, report: r, entries: plan.Entries})
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// newImport is an import to be kept.
type newImport struct {
	agency             identity.AgencyID
	state, fileName    string
	fileHash, compared [sha256.Size]byte
	report             ImportReport
	entries            []roster.Entry
}

// keepImport writes an import with its entries, some at a time, so that no one
// else's write waits for all of them.
func (s *Service) keepImport(ctx context.Context, actor identity.Actor, n newImport) (Import, error) {
	id, err := newID()
	if err != nil {
		return Import{}, err
	}
	report, err := json.Marshal(n.report)
	if err != nil {
		return Import{}, fmt.Errorf("directory: keep an import: %w", err)
	}
	who, err := json.Marshal(keepActor(actor))
	if err != nil {
		return Import{}, fmt.Errorf("directory: keep an import: %w", err)
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO directory_imports (id, agency_id, state, actor, file_name, file_hash, compared, report, total, done, skipped, lease_until, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, $10, $11)`,
			id, string(n.agency), importPreparing, string(who), n.fileName, n.fileHash[:], n.compared[:], string(report), len(n.entries),
			s.now().Add(importLease).UnixMicro(), s.now().UnixMicro())
		return err
	})
	const step = 1000
	for start := 0; err == nil && start < len(n.entries); start += step {
		some := n.entries[start:min(start+step, len(n.entries))]
		err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			if err := keepPreparing(ctx, tx, id, importPreparing, s.now().Add(importLease)); err != nil {
				return err
			}
			return insertImportEntries(ctx, tx, id, start, some)
		})
	}
	if err == nil {
		err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			if err := keepPreparing(ctx, tx, id, n.state, time.UnixMicro(0)); err != nil {
				return err
			}
			return s.recordOf(ctx, tx, actor, n.agency, "directory.import_preview", importObject(n.agency).ObjectRef, map[string]string{"import": id, "state": n.state,
				"rows": fmt.Sprint(n.report.Rows), "problems": fmt.Sprint(n.report.ProblemCount), "entries": fmt.Sprint(len(n.entries))})
		})
	}
	if err != nil {
		return Import{}, fmt.Errorf("directory: keep an import: %w", err)
	}
	return s.Import(ctx, actor, id)
}

// Import returns an import; errcode.NotFound when there is none.
func (s *Service) Import(ctx context.Context, actor identity.Actor, id string) (Import, error) {
	var i storedImport
	if err := s.read(ctx, "read an import", func(ctx context.Context, tx *sqldb.Tx) (err error) {
		i, err = readImport(ctx, tx, id, "")
		return err
	}); err != nil {
		return Import{}, err
	}
	return i.Import, s.permit(ctx, actor, permission.ImportPeople, importObject(i.Agency))
}

// Imports returns the last imports of an agency, the last first.
func (s *Service) Imports(ctx context.Context, actor identity.Actor, agency identity.AgencyID) ([]Import, error) {
	if err := s.permit(ctx, actor, permission.ImportPeople, importObject(agency)); err != nil {
		return nil, err
	}
	var out []Import
	err := s.read(ctx, "list imports", func(ctx context.Context, tx *sqldb.Tx) (err error) {
		out, err = readImports(ctx, tx, agency)
		return err
	})
	return out, err
}

// ImportEntries returns what an import changes, beginning behind the entry
// after; of one kind, or of all when kind is empty.
func (s *Service) ImportEntries(ctx context.Context, actor identity.Actor, id, kind string, after, limit int) ([]ImportEntry, error) {
	if _, err := s.Import(ctx, actor, id); err != nil {
		return nil, err
	}
	var out []ImportEntry
	err := s.read(ctx, "read an import's entries", func(ctx context.Context, tx *sqldb.Tx) error {
		all, err := readImportEntries(ctx, tx, id, kind, after, limit)
		for _, e := range all {
			out = append(out, e.ImportEntry)
		}
		return err
	})
	return out, err
}

// BeginImport has an import that was previewed applied as it was shown: by Run,
// in batches, each of which changes its people whole. It refuses with Conflict
// what was applied before, what would let more people leave than a list may
// (unless override), and, marking it stale, what was compared with another state
// of the agency than there is now.
func (s *Service) BeginImport(ctx context.Context, actor identity.Actor, id string, override bool) (Import, error) {
	i, err := s.Import(ctx, actor, id)
	if err != nil {
		return i, err
	}
	switch {
	case i.State == ImportRefused:
		return i, errcode.New(errcode.Conflict, "the list has %d problems: put them right and send it again", i.ProblemCount)
	case i.State != ImportPreviewed:
		return i, errcode.New(errcode.Conflict, "this import is %s already: send the list again to compare it anew", i.State).Because("import_stale")
	case i.NeedsForce && !override:
		return i, errcode.New(errcode.Conflict, "%d people would leave, more than the %d that one list may end (import.max_leave_share): look whether the list is whole; if so, apply it with override_leaves", i.Leaves, i.MayLeave)
	}
	who, err := json.Marshal(keepActor(actor))
	if err != nil {
		return i, fmt.Errorf("directory: apply an import: %w", err)
	}
	// Not in the transaction, which others wait for: what changes between the
	// two is met by the version of each person.
	var compared [sha256.Size]byte
	if err := s.read(ctx, "compare an import anew", func(ctx context.Context, tx *sqldb.Tx) error {
		state, err := readImportState(ctx, tx, i.Agency, s.now())
		compared = stateHash(state)
		return err
	}); err != nil {
		return i, err
	}
	stale := false
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		now, err := readImport(ctx, tx, id, tx.ForUpdate())
		if err != nil {
			return err
		}
		if now.State != ImportPreviewed {
			return errcode.New(errcode.Conflict, "this import is %s already", now.State)
		}
		if err := lockTree(ctx, tx, i.Agency); err != nil { // two lists of one agency do not begin together
			return err
		}
		var busy int
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM directory_imports WHERE agency_id = $1 AND state = $2`, string(i.Agency), ImportApplying).Scan(&busy); err != nil {
			return err
		}
		if busy > 0 {
			return errcode.New(errcode.Conflict, "another list of this agency is being applied: wait for it, then send this one again").Because("import_running")
		}
		stale = compared != now.compared
		to := ImportApplying
		if stale {
			to = ImportStale
		}
		if _, err := tx.Exec(ctx, `UPDATE directory_imports SET state = $1, actor = $2 WHERE id = $3`, to, string(who), id); err != nil {
			return err
		}
		if stale {
			return nil
		}
		tx.AfterCommit(s.pokeImports)
		return s.recordOf(ctx, tx, actor, i.Agency, permission.ImportPeople, importObject(i.Agency).ObjectRef, map[string]string{"import": id,
			"adds": fmt.Sprint(i.Adds), "changes": fmt.Sprint(i.Changes), "moves": fmt.Sprint(i.Moves), "leaves": fmt.Sprint(i.Leaves), "override_leaves": fmt.Sprint(override)})
	})
	if err != nil {
		return i, fmt.Errorf("directory: apply an import: %w", err)
	}
	if stale {
		return i, errcode.New(errcode.Conflict, "the agency has been changed since the list was compared: send the list again and look at what it changes now").Because("import_stale")
	}
	return s.Import(ctx, actor, id)
}

func (s *Service) pokeImports() {
	select {
	case s.importPoke <- struct{}{}:
	default:
	}
}
