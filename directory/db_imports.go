package directory

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"commsd/directory/permission"
	"commsd/directory/roster"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// readImportState reads what a staff list of an agency is compared with: its
// units and the people who hold a post in it now.
func readImportState(ctx context.Context, tx *sqldb.Tx, agency identity.AgencyID, now time.Time) (roster.State, error) {
	var state roster.State
	rows, err := tx.Query(ctx, `SELECT id, COALESCE(parent_id, ''), name FROM directory_units WHERE agency_id = $1 AND closed_at IS NULL ORDER BY id`, string(agency))
	if err != nil {
		return state, fmt.Errorf("read units: %w", err)
	}
	err = eachRow(rows, func() error {
		var u roster.Unit
		err := rows.Scan(&u.ID, &u.Parent, &u.Name)
		state.Units = append(state.Units, u)
		return err
	})
	if err != nil {
		return state, fmt.Errorf("read units: %w", err)
	}
	domains, err := readTexts(ctx, tx, `SELECT domain FROM directory_agency_domains WHERE agency_id = $1`, string(agency))
	if err != nil {
		return state, fmt.Errorf("read mail domains: %w", err)
	}
	state.Domain = func(d string) bool { return slices.Contains(domains, d) }
	rows, err = tx.Query(ctx, `SELECT p.id, COALESCE(p.external_key, ''), p.family_name, p.middle_name, p.given_name, COALESCE(a.address, ''),
			p.phone, p.mobile, p.office, p.version, q.id, q.unit_id, q.title, q.kind, q.seniority, q.version
		FROM directory_positions q JOIN directory_people p ON p.id = q.person_id
		LEFT JOIN directory_addresses a ON a.person_id = p.id AND a.kind = 'main'
		WHERE q.agency_id = $1 AND `+validAt("q", "$2")+` ORDER BY q.person_id, q.rank, q.id`, string(agency), now.UnixMicro())
	if err != nil {
		return state, fmt.Errorf("read people: %w", err)
	}
	err = eachRow(rows, func() error {
		var p roster.Person
		var q roster.Post
		if err := rows.Scan(&p.ID, &p.Key, &p.Family, &p.Middle, &p.Given, &p.Address, &p.Phone, &p.Mobile, &p.Office, &p.Version,
			&q.ID, &q.Unit, &q.Title, &q.Kind, &q.Seniority, &q.Version); err != nil {
			return err
		}
		if n := len(state.People); n == 0 || state.People[n-1].ID != p.ID {
			state.People = append(state.People, p)
		}
		last := &state.People[len(state.People)-1]
		last.Posts = append(last.Posts, q)
		return nil
	})
	if err != nil {
		return state, fmt.Errorf("read people: %w", err)
	}
	return state, nil
}

// stateHash tells one state of an agency from another.
func stateHash(state roster.State) (out [sha256.Size]byte) {
	h := sha256.New()
	text := func(words ...string) {
		for _, s := range words {
			_ = binary.Write(h, binary.BigEndian, uint32(len(s))) // a hash takes everything
			h.Write([]byte(s))
		}
	}
	for _, u := range state.Units {
		text("unit", u.ID, u.Parent, u.Name)
	}
	for _, p := range state.People {
		text("person", p.ID, p.Key, p.Family, p.Middle, p.Given, p.Address, p.Phone, p.Mobile, p.Office, fmt.Sprint(p.Version))
		for _, q := range p.Posts {
			text("post", q.ID, q.Unit, q.Title, q.Kind, fmt.Sprint(q.Seniority, q.Version))
		}
	}
	h.Sum(out[:0])
	return out
}

// addImportLookups lets state find the people outside of the agency whose
// personnel number or address stands in file. Of those who hold no post
// elsewhere it says whom actor may not give one: they are looked after by the
// agency where they were last, or administer more than actor does.
func (s *Service) addImportLookups(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, state *roster.State, agency identity.AgencyID, file roster.File) error {
	here := make(map[string]bool, 2*len(state.People))
	for _, p := range state.People {
		here["k"+p.Key], here["a"+p.Address] = true, true
	}
	var keys, addresses []string
	for _, r := range file.Rows {
		if r.Key != "" && !here["k"+r.Key] {
			keys = append(keys, r.Key)
		}
		if r.Address != "" && !here["a"+r.Address] {
			addresses = append(addresses, r.Address)
		}
	}
	byKey, err := s.findOutside(ctx, tx, actor, agency, "p.external_key", keys)
	if err != nil {
		return fmt.Errorf("look up personnel numbers: %w", err)
	}
	byAddress, err := s.findOutside(ctx, tx, actor, agency, "a.address", addresses)
	if err != nil {
		return fmt.Errorf("look up addresses: %w", err)
	}
	state.Lookup = func(key, address string) (roster.Person, bool) {
		if p, ok := byKey[key]; ok && key != "" {
			return p, true
		}
		p, ok := byAddress[address]
		return p, ok && address != ""
	}
	return nil
}

// outsider is somebody who is not of an agency, with who looks after them.
type outsider struct {
	roster.Person
	value    string // that they were found by
	home     identity.Object
	homeName string
	account  identity.AccountID // that holds roles; empty: none does
}

// findOutside reads people by a column: p.external_key, or a.address.
func (s *Service) findOutside(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, agency identity.AgencyID, column string, values []string) (map[string]roster.Person, error) {
	found := map[string]roster.Person{}
	for some := range slices.Chunk(values, 500) {
		var args arguments
		at, own := args.add(s.now().UnixMicro()), args.add(string(agency))
		rows, err := tx.Query(ctx, `SELECT `+column+`, p.id, COALESCE(p.external_key, ''), p.family_name, p.middle_name, p.given_name,
				COALESCE((SELECT m.address FROM directory_addresses m WHERE m.person_id = p.id AND m.kind = 'main'), ''),
				p.phone, p.mobile, p.office, p.version, COALESCE((SELECT MIN(g.name) FROM directory_positions q JOIN directory_agencies g ON g.id = q.agency_id
					WHERE q.person_id = p.id AND q.agency_id <> `+own+` AND (q.valid_until IS NULL OR q.valid_until > `+at+`)), ''),
				COALESCE(h.agency_id, ''), hu.path, COALESCE(hg.name, ''),
				COALESCE((SELECT c.id FROM directory_accounts c WHERE c.person_id = p.id AND EXISTS (SELECT 1 FROM directory_admin_grants r WHERE r.account_id = c.id)), '')
			FROM directory_people p LEFT JOIN directory_addresses a ON a.person_id = p.id
			LEFT JOIN directory_positions h ON h.id = `+homePosition("p.id", at)+`
			LEFT JOIN directory_units hu ON hu.id = h.unit_id
			LEFT JOIN directory_agencies hg ON hg.id = h.agency_id
			WHERE `+column+` IN (`+placeholders(&args, some)+`)`, args...)
		if err != nil {
			return nil, err
		}
		var people []outsider
		err = eachRow(rows, func() error {
			var o outsider
			var path []byte
			err := rows.Scan(&o.value, &o.ID, &o.Key, &o.Family, &o.Middle, &o.Given, &o.Address, &o.Phone, &o.Mobile, &o.Office, &o.Version, &o.Elsewhere,
				&o.home.Agency, &path, &o.homeName, &o.account)
			o.home.Path = string(path)
			people = append(people, o)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, o := range people {
			if o.account != "" {
				if o.home.TargetGrants, err = readGrants(ctx, tx, o.account); err != nil {
					return nil, err
				}
			}
			if !s.Check(actor, permission.PersonWrite, o.home).Allowed {
				o.Keeper = cmp.Or(o.homeName, s.cfg.Domain)
			}
			found[o.value] = o.Person
		}
	}
	return found, nil
}

// storedImport is an Import as it is kept.
type storedImport struct {
	Import
	compared [sha256.Size]byte
	actor    identity.Actor
	lease    int64
}

const importColumns = `id, agency_id, state, actor, file_name, compared, report, total, done, skipped, lease_until, created_at, applied_at`

func scanImport(scan func(...any) error) (storedImport, error) {
	var i storedImport
	var who, report string
	var compared []byte
	var created int64
	var applied sql.NullInt64
	if err := scan(&i.ID, &i.Agency, &i.State, &who, &i.FileName, &compared, &report, &i.Total, &i.Done, &i.Skipped, &i.lease, &created, &applied); err != nil {
		return i, err
	}
	var actor importActor
	if err := errors.Join(json.Unmarshal([]byte(who), &actor), json.Unmarshal([]byte(report), &i.ImportReport)); err != nil {
		return i, err
	}
	copy(i.compared[:], compared)
	i.actor, i.By, i.CreatedAt, i.AppliedAt = actor.actor(), actor.Name, time.UnixMicro(created).UTC(), microsTime(applied)
	return i, nil
}

// readImport answers errcode.NotFound where there is none, or it is not whole.
func readImport(ctx context.Context, tx *sqldb.Tx, id, lock string) (storedImport, error) {
	i, err := scanImport(tx.QueryRow(ctx, `SELECT `+importColumns+` FROM directory_imports WHERE id = $1 AND state <> '`+importPreparing+`'`+lock, id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return i, errcode.New(errcode.NotFound, "there is no such import")
	}
	return i, err
}

func readImports(ctx context.Context, tx *sqldb.Tx, agency identity.AgencyID) ([]Import, error) {
	rows, err := tx.Query(ctx, `SELECT `+importColumns+` FROM directory_imports WHERE agency_id = $1 AND state <> '`+importPreparing+`'
		ORDER BY created_at DESC, id DESC LIMIT 50`, string(agency))
	if err != nil {
		return nil, err
	}
	var out []Import
	err = eachRow(rows, func() error {
		i, err := scanImport(rows.Scan)
		i.Problems = []roster.ImportProblem{} // of one import alone
		out = append(out, i.Import)
		return err
	})
	return out, err
}

// storedEntry is an ImportEntry with what is applied.
type storedEntry struct {
	ImportEntry
	deed roster.Deed
}

// entryJSON is an entry as it is kept.
type entryJSON struct {
	roster.Entry
	Deed roster.Deed `json:"deed"`
}

func insertImportEntries(ctx context.Context, tx *sqldb.Tx, id string, behind int, entries []roster.Entry) error {
	texts := make([]string, len(entries))
	for i, e := range entries {
		b, err := json.Marshal(entryJSON{e, e.Deed})
		if err != nil {
			return err
		}
		texts[i] = string(b)
	}
	return tx.InsertMany(ctx, `directory_import_entries (import_id, seq, kind, entry, outcome)`, 5, len(entries), func(i int) []any {
		return []any{id, behind + i + 1, entries[i].Kind, texts[i], ""}
	}, "")
}

func readImportEntries(ctx context.Context, tx *sqldb.Tx, id, kind string, after, limit int) ([]storedEntry, error) {
	var args arguments
	query := `SELECT seq, entry, outcome FROM directory_import_entries WHERE import_id = ` + args.add(id) + ` AND seq > ` + args.add(after)
	if kind != "" {
		query += ` AND kind = ` + args.add(kind)
	}
	rows, err := tx.Query(ctx, query+` ORDER BY seq LIMIT `+args.add(limit), args...)
	if err != nil {
		return nil, fmt.Errorf("read entries: %w", err)
	}
	var out []storedEntry
	err = eachRow(rows, func() error {
		var e storedEntry
		var text string
		if err := rows.Scan(&e.Seq, &text, &e.Outcome); err != nil {
			return err
		}
		var j entryJSON
		err := json.NewDecoder(strings.NewReader(text)).Decode(&j)
		e.Entry, e.deed = j.Entry, j.Deed
		e.Deed = j.Deed
		out = append(out, e)
		return err
	})
	return out, err
}
