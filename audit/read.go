package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// Entry is one recorded event.
type Entry struct {
	ID       string
	Seq      int64 // leaf of the tree; -1: not in it yet
	At       time.Time
	Account  identity.AccountID
	Person   identity.PersonID
	Position identity.PositionID
	Agency   identity.AgencyID
	Owner    identity.AgencyID // of the object, where it is not Agency
	Action   identity.Action
	Object   identity.ObjectRef
	Outcome  string
	Address  string            // "" once erased
	Detail   map[string]string // nil once erased
	Erased   bool              // Address and Detail are gone, their time had come

	salt        []byte
	payloadHash []byte
	leafHash    []byte
}

// record returns what was hashed.
func (e *Entry) record() record {
	return record{
		id: e.ID, at: e.At.UnixMicro(), agency: string(e.Agency), owner: string(e.Owner),
		account: string(e.Account), person: string(e.Person), position: string(e.Position), action: string(e.Action),
		kind: e.Object.Kind, object: e.Object.ID, outcome: e.Outcome, payloadHash: e.payloadHash,
	}
}

// Filter chooses entries; empty members choose all.
type Filter struct {
	From, Until time.Time // From is in, Until is not
	Person      identity.PersonID
	Object      identity.ObjectRef // both members or neither
	Agency      identity.AgencyID  // of the actor or of the object
	Action      identity.Action
	Outcome     string
	Address     string

	Scope  []identity.AgencyID // agencies that may be seen, each as Agency; nil: all
	Before int64               // leaves below this alone; 0: all, those that are not in the tree yet, too

	NewestFirst bool
	After       string // Cursor of the last entry that was read
	Limit       int    // 0: 100; 1000 at the most
}

// Cursor is the place behind e, for Filter.After.
func (e *Entry) Cursor() string { return strconv.FormatInt(e.At.UnixMicro(), 10) + "." + e.ID }

func parseCursor(s string) (at int64, id string, err error) {
	left, id, ok := strings.Cut(s, ".")
	at, parseErr := strconv.ParseInt(left, 10, 64)
	if !ok || parseErr != nil || id == "" || len(id) > 64 {
		return 0, "", errcode.New(errcode.Invalid, "cursor: not one of ours; begin without a cursor")
	}
	return at, id, nil
}

const entryColumns = `e.id, e.seq, e.at, e.account_id, e.person_id, e.position_id, e.agency_id, e.owner_id,
	e.action, e.object_kind, e.object_id, e.outcome, e.payload_hash, e.leaf_hash, p.salt, p.address, p.detail`

// List reads the entries that f chooses, by time.
func (l *Log) List(ctx context.Context, tx *sqldb.Tx, f Filter) ([]Entry, error) {
	query, args, err := listQuery(f)
	if err != nil {
		return nil, err
	}
	return queryEntries(ctx, tx, query, args)
}

func queryEntries(ctx context.Context, tx *sqldb.Tx, query string, args []any) ([]Entry, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("audit: list: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var entries []Entry
	for rows.Next() {
		e, err := scanEntry(rows)
		if err != nil {
			return nil, fmt.Errorf("audit: list: %w", err)
		}
		entries = append(entries, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("audit: list: %w", err)
	}
	return entries, nil
}

func scanEntry(rows *sql.Rows) (Entry, error) {
	var e Entry
	var at int64
	var seq sql.NullInt64
	var address, detail sql.NullString
	if err := rows.Scan(&e.ID, &seq, &at, &e.Account, &e.Person, &e.Position, &e.Agency, &e.Owner,
		&e.Action, &e.Object.Kind, &e.Object.ID, &e.Outcome, &e.payloadHash, &e.leafHash, &e.salt, &address, &detail); err != nil {
		return e, err
	}
	e.At = time.UnixMicro(at).UTC()
	e.Seq = -1
	if seq.Valid {
		e.Seq = seq.Int64
	}
	if !address.Valid {
		e.Erased = true
		return e, nil
	}
	e.Address = address.String
	if err := json.Unmarshal([]byte(detail.String), &e.Detail); err != nil {
		return e, fmt.Errorf("detail of %s: %w", e.ID, err)
	}
	return e, nil
}

// maxBranches is how many agencies are each looked up by their own index; with
// more, going by time finds enough of them soon.
const maxBranches = 16

// arguments gathers the values of a query.
type arguments []any

func (a *arguments) add(v any) string {
	*a = append(*a, v)
	return "$" + strconv.Itoa(len(*a))
}

// listQuery finds the keys of a page by one index for each branch, in order,
// and then reads their rows.
func listQuery(f Filter) (string, arguments, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, 1000)
	var args arguments
	where, from, at, id, err := f.conditions(&args)
	if err != nil {
		return "", nil, err
	}
	compare, direction := ">", ""
	if f.NewestFirst {
		compare, direction = "<", " DESC"
	}
	if f.After != "" {
		last, lastID, err := parseCursor(f.After)
		if err != nil {
			return "", nil, err
		}
		where = append(where, fmt.Sprintf("(%s, %s) %s (%s, %s)", at, id, compare, args.add(last), args.add(lastID)))
	}
	bound := args.add(limit)
	arms := f.agencyArms(&args)
	for i, arm := range arms {
		all := strings.Join(append(append([]string{}, where...), arm...), " AND ")
		if all == "" {
			all = "1 = 1"
		}
		arms[i] = []string{fmt.Sprintf("SELECT at, id FROM (SELECT %[1]s AS at, %[2]s AS id FROM %[3]s WHERE %[4]s ORDER BY %[1]s%[5]s, %[2]s%[5]s LIMIT %[6]s) AS arm%[7]d",
			at, id, from, all, direction, bound, i)}
	}
	texts := make([]string, len(arms))
	for i, arm := range arms {
		texts[i] = arm[0]
	}
	// UNION and not UNION ALL: one event may be two agencies'.
	return fmt.Sprintf(`SELECT %s FROM (%s) AS k JOIN audit_events e ON e.id = k.id LEFT JOIN audit_payloads p ON p.event_id = e.id
		ORDER BY k.at%s, k.id%s LIMIT %s`, entryColumns, strings.Join(texts, " UNION "), direction, direction, bound), args, nil
}

// conditions are those of f but for the agencies; from, at and id are the table
// that leads and its columns to order by.
func (f *Filter) conditions(args *arguments) (where []string, from, at, id string, err error) {
	from, at, id = "audit_events e", "e.at", "e.id"
	if f.Address != "" {
		from, at, id = "audit_payloads q JOIN audit_events e ON e.id = q.event_id", "q.at", "q.event_id"
		where = append(where, "q.address = "+args.add(f.Address))
	}
	if !f.From.IsZero() {
		where = append(where, at+" >= "+args.add(f.From.UnixMicro()))
	}
	if !f.Until.IsZero() {
		where = append(where, at+" < "+args.add(f.Until.UnixMicro()))
	}
	if f.Person != "" {
		where = append(where, "e.person_id = "+args.add(string(f.Person)))
	}
	if f.Object != (identity.ObjectRef{}) {
		if f.Object.Kind == "" || f.Object.ID == "" {
			return nil, "", "", "", errcode.New(errcode.Invalid, "object_kind and object_id go together; give both or neither")
		}
		where = append(where, "e.object_kind = "+args.add(f.Object.Kind), "e.object_id = "+args.add(f.Object.ID))
	}
	if f.Action != "" {
		where = append(where, "e.action = "+args.add(string(f.Action)))
	}
	switch f.Outcome {
	case "":
	case Denied, Failed:
		where = append(where, "e.outcome = "+args.add(f.Outcome), "e.outcome <> 'ok'") // the second leads to the partial index
	case OK:
		where = append(where, "e.outcome = "+args.add(f.Outcome))
	default:
		return nil, "", "", "", errcode.New(errcode.Invalid, "outcome: %q is none of ok, denied, failed", f.Outcome)
	}
	if f.Before > 0 {
		where = append(where, "e.seq < "+args.add(f.Before))
	}
	return where, from, at, id, nil
}

// agencyArms are the conditions on agencies, one list for each index that
// serves a part of them.
func (f *Filter) agencyArms(args *arguments) [][]string {
	agencies := f.agencies()
	switch {
	case agencies == nil:
		return [][]string{nil}
	case len(agencies) == 0:
		return [][]string{{"1 = 0"}}
	case len(agencies) > maxBranches:
		return [][]string{{agencyCondition(agencies, args)}}
	}
	var arms [][]string
	for _, a := range agencies {
		arg := args.add(string(a))
		arms = append(arms, []string{"e.agency_id = " + arg}, []string{"e.owner_id = " + arg, "e.owner_id <> ''"})
	}
	return arms
}

// agencies are those that may be seen and are asked for; nil: all.
func (f *Filter) agencies() []identity.AgencyID {
	if f.Agency == "" {
		return f.Scope
	}
	if f.Scope == nil {
		return []identity.AgencyID{f.Agency}
	}
	for _, a := range f.Scope {
		if a == f.Agency {
			return []identity.AgencyID{a}
		}
	}
	return []identity.AgencyID{}
}

func agencyCondition(agencies []identity.AgencyID, args *arguments) string {
	list := make([]string, len(agencies))
	for i, a := range agencies {
		list[i] = args.add(string(a))
	}
	in := strings.Join(list, ", ")
	return "(e.agency_id IN (" + in + ") OR e.owner_id IN (" + in + "))"
}
