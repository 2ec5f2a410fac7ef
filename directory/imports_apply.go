package directory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"commsd/audit"
	"commsd/directory/permission"
	"commsd/directory/roster"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// An import is applied in batches, not in one transaction: on SQLite one writer
// serves everybody, and a hundred thousand people would keep chat and mail
// waiting for half a minute. Each batch is a transaction that changes its
// people whole, records them, and moves the import's mark; so a process that is
// killed, or another node, goes on where it stopped, and nobody is done twice.
// What is gained by one transaction, that all or nothing is applied, is had
// before the first batch: a list with problems or compared with another state
// is refused whole. Only who is changed by somebody else while it runs is left
// as they are, counted and named.
const (
	batchTime    = 200 * time.Millisecond // that one batch is meant to take
	batchFirst   = 100                    // people of the first batch
	batchMost    = 1000
	importLease  = 30 * time.Second
	importLookup = 10 * time.Second // how often Run looks for an import that another node has left
)

// runImports applies what is to be applied until ctx ends.
func (s *Service) runImports(ctx context.Context) {
	again := time.NewTicker(importLookup)
	defer again.Stop()
	for {
		if err := s.applyImports(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "directory: apply imports", "err", err)
		}
		if err := s.RemoveImports(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "directory: remove old imports", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		case <-s.importPoke:
		}
	}
}

func (s *Service) applyImports(ctx context.Context) error {
	var ids []string
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		ids, err = readTexts(ctx, tx, `SELECT id FROM directory_imports WHERE state = $1 ORDER BY created_at`, ImportApplying)
		return err
	})
	for _, id := range ids {
		err = errors.Join(err, s.ApplyImport(ctx, id))
	}
	return err
}

// ApplyImport applies an import that BeginImport has let through, to its end,
// unless another node is at it. Run calls it.
func (s *Service) ApplyImport(ctx context.Context, id string) error {
	if mine, err := s.leaseImport(ctx, id); err != nil || !mine {
		return err
	}
	size := batchFirst
	for {
		start := time.Now()
		done, err := s.applyBatch(ctx, id, size, true)
		if err != nil && ctx.Err() == nil && errcode.Of(err) != errcode.Unavailable {
			// Somebody stands in the way: one by one, so that only they are left.
			for range size {
				if done, err = s.applyBatch(ctx, id, 1, false); err != nil || done {
					break
				}
			}
		}
		if err != nil {
			return fmt.Errorf("directory: apply import %s: %w", id, err)
		}
		if done {
			return nil
		}
		switch took := time.Since(start); {
		case took > batchTime:
			size = max(1, size/2)
		case took < batchTime/2:
			size = min(2*size, batchMost)
		}
	}
}

// finishAgain is how often FinishImport looks whether another node is done.
const finishAgain = time.Second

// FinishImport is ApplyImport that waits for a node which is at it already.
func (s *Service) FinishImport(ctx context.Context, id string) error {
	for {
		if err := s.ApplyImport(ctx, id); err != nil {
			return err
		}
		var i storedImport
		if err := s.read(ctx, "read an import", func(ctx context.Context, tx *sqldb.Tx) (err error) {
			i, err = readImport(ctx, tx, id, "")
			return err
		}); err != nil || i.State != ImportApplying {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(finishAgain):
		}
	}
}

// leaseImport takes an import for this process.
func (s *Service) leaseImport(ctx context.Context, id string) (mine bool, err error) {
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		now := s.now()
		res, err := tx.Exec(ctx, `UPDATE directory_imports SET lease_until = $1 WHERE id = $2 AND state = $3 AND lease_until < $4`,
			now.Add(importLease).UnixMicro(), id, ImportApplying, now.UnixMicro())
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		mine = n == 1
		return err
	})
	return mine, err
}

// applyBatch applies the next entries. With together unset, an entry that
// cannot be applied is left with its reason instead of failing the batch.
func (s *Service) applyBatch(ctx context.Context, id string, size int, together bool) (done bool, err error) {
	var failed error
	apply := func(ctx context.Context, tx *sqldb.Tx) error {
		i, err := readImport(ctx, tx, id, tx.ForUpdate())
		if err != nil {
			return err
		}
		if i.State != ImportApplying {
			done = true
			return nil
		}
		entries, err := readImportEntries(ctx, tx, id, "", i.Done, size)
		if err != nil {
			return err
		}
		if failed != nil {
			entries[0].Outcome = clip(errcode.Message(failed), 300)
		} else if err := s.applyEntries(ctx, tx, i, entries); err != nil {
			return err
		}
		skipped := 0
		for _, e := range entries {
			if e.Outcome == "" {
				continue
			}
			skipped++
			if _, err := tx.Exec(ctx, `UPDATE directory_import_entries SET outcome = $1 WHERE import_id = $2 AND seq = $3`, e.Outcome, id, e.Seq); err != nil {
				return err
			}
		}
		i.Done, i.Skipped = i.Done+len(entries), i.Skipped+skipped
		done = i.Done >= i.Total
		state, applied, lease := ImportApplying, any(nil), s.now().Add(importLease).UnixMicro()
		if done {
			state, applied, lease = ImportApplied, s.now().UnixMicro(), 0
			if err := s.recordOf(ctx, tx, i.actor, i.Agency, "directory.import_done", importObject(i.Agency).ObjectRef,
				map[string]string{"import": id, "people": fmt.Sprint(i.Done), "skipped": fmt.Sprint(i.Skipped)}); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `UPDATE directory_imports SET state = $1, applied_at = $2, done = $3, skipped = $4, lease_until = $5 WHERE id = $6`,
			state, applied, i.Done, i.Skipped, lease, id)
		return err
	}
	err = s.db.Write(ctx, apply)
	if err != nil && !together && ctx.Err() == nil && errcode.Of(err) != errcode.Unavailable {
		s.log.WarnContext(ctx, "directory: an entry of an import is left out", "import", id, "err", err)
		failed = err
		err = s.db.Write(ctx, apply)
	}
	return done, err
}

// applyEntries applies entries within tx; it gives an outcome to those that
// somebody else has changed.
func (s *Service) applyEntries(ctx context.Context, tx *sqldb.Tx, i storedImport, entries []storedEntry) error {
	if err := unitsAreOpen(ctx, tx, i.Agency, entries); err != nil {
		return err
	}
	var fresh []newStaff
	var made []int
	for k := range entries {
		e := &entries[k]
		if e.Kind == roster.Add && e.Person == "" {
			fresh = append(fresh, staffOf(i.Agency, e.deed))
			made = append(made, k)
			continue
		}
		if err := s.applyEntry(ctx, tx, i, e); err != nil {
			return err
		}
	}
	if err := insertStaff(ctx, tx, fresh, s.now()); err != nil {
		return unique(err, "import_stale", "a personnel number or an address of these people was taken meanwhile")
	}
	for n, k := range made {
		entries[k].Person = string(fresh[n].id)
		for _, b := range entries[k].deed.Begin {
			if b.Kind == KindMain {
				continue
			}
			if err := s.importPost(ctx, tx, i.Agency, fresh[n].id, b); err != nil {
				return err
			}
		}
		if len(entries[k].deed.Begin) > 1 {
			if err := indexPerson(ctx, tx, fresh[n].id, s.now()); err != nil {
				return err
			}
		}
	}
	events := make([]audit.Event, len(entries))
	for k, e := range entries {
		fields := make([]string, len(e.Fields))
		for n, f := range e.Fields {
			fields[n] = f.Name
		}
		events[k] = audit.Event{Actor: i.actor, Owner: i.Agency, Action: permission.ImportPeople, Object: identity.ObjectRef{Kind: "person", ID: e.Person}, Outcome: audit.OK,
			Detail: map[string]string{"import": i.ID, "kind": e.Kind, "fields": strings.Join(fields, " "), "left_out": e.Outcome}}
	}
	return s.cfg.Audit.RecordAll(ctx, tx, events)
}

func staffOf(agency identity.AgencyID, d roster.Deed) newStaff {
	p := newStaff{name: personName{d.Row.Family, d.Row.Middle, d.Row.Given}, address: d.Row.Address, externalKey: d.Row.Key,
		phone: d.Row.Phone, mobile: d.Row.Mobile, office: d.Row.Office, withAccount: true}
	for _, b := range d.Begin {
		if b.Kind == KindMain {
			p.post = newPost{unit: identity.UnitID(b.Unit), agency: agency, title: b.Title, kind: b.Kind, seniority: b.Seniority}
		}
	}
	return p
}

// applyEntry applies what an entry does to somebody who is there.
func (s *Service) applyEntry(ctx context.Context, tx *sqldb.Tx, i storedImport, e *storedEntry) error {
	id := identity.PersonID(e.Person)
	if err := personExists(ctx, tx, id, tx.ForUpdate()); err != nil {
		return err
	}
	old, err := readPerson(ctx, tx, id)
	if err != nil {
		return err
	}
	if old.Version != e.deed.Version {
		e.Outcome = "this person has been changed meanwhile"
		return nil
	}
	home, held, err := personHome(ctx, tx, id, s.now())
	if err != nil {
		return err
	}
	// A list gives nobody more than the page: who is looked after elsewhere, or
	// administers more, is not the importing administrator's.
	if d := s.Check(i.actor, permission.PersonWrite, home); !d.Allowed && touchesPerson(e.deed, held) {
		e.Outcome = errcode.Message(refusal(d.Reason))
		return nil
	}
	for _, q := range e.deed.End {
		if !slices.ContainsFunc(held, func(h heldPosition) bool { return string(h.ID) == q && h.State == "current" }) {
			e.Outcome = "a position of this person has been changed meanwhile"
			return nil
		}
	}
	if len(e.deed.Set) > 0 {
		r := withRow(old, e.deed)
		if err := r.check(); err != nil {
			return err
		}
		if err := s.writePerson(ctx, tx, old, r); err != nil {
			return err
		}
		if r.Address != "" && !old.HasAccount {
			if err := insertAccount(ctx, tx, id, r.Address, "", s.now()); err != nil {
				return err
			}
		}
	}
	if err := s.applyPosts(ctx, tx, i.Agency, id, e.deed, held); err != nil {
		return err
	}
	if e.Kind == roster.Leave {
		return s.closeAccount(ctx, tx, i, id, e)
	}
	return nil
}

// touchesPerson tells whether a deed changes the person or their main post,
// rather than what they hold beside it.
func touchesPerson(d roster.Deed, held []heldPosition) bool {
	if len(d.Set) > 0 || slices.ContainsFunc(d.Begin, func(b roster.Begin) bool { return b.Kind == KindMain }) {
		return true
	}
	return slices.ContainsFunc(held, func(h heldPosition) bool {
		id := string(h.ID)
		return h.Kind == KindMain && (slices.Contains(d.End, id) || slices.ContainsFunc(d.Amend, func(a roster.Amend) bool { return a.ID == id }))
	})
}

// unitsAreOpen refuses entries that begin posts in a unit which was closed since
// the list was compared, and keeps the others open until tx ends.
func unitsAreOpen(ctx context.Context, tx *sqldb.Tx, agency identity.AgencyID, entries []storedEntry) error {
	named := map[identity.UnitID]bool{}
	for _, e := range entries {
		for _, b := range e.deed.Begin {
			named[identity.UnitID(b.Unit)] = true
		}
	}
	if len(named) == 0 {
		return nil
	}
	if err := lockTree(ctx, tx, agency); err != nil {
		return err
	}
	open := 0
	for some := range slices.Chunk(slices.Sorted(maps.Keys(named)), 500) {
		var args arguments
		var n int
		err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM directory_units WHERE agency_id = `+args.add(string(agency))+` AND closed_at IS NULL
			AND id IN (`+placeholders(&args, some)+`)`, args...).Scan(&n)
		if err != nil {
			return fmt.Errorf("look at units: %w", err)
		}
		open += n
	}
	if open < len(named) {
		return errcode.New(errcode.Conflict, "the unit has been closed meanwhile: send the list again with another one")
	}
	return nil
}

// withRow is a person with the columns of a line that change.
func withRow(r PersonRecord, d roster.Deed) PersonRecord {
	for _, column := range d.Set {
		switch column {
		case roster.ColumnKey:
			r.ExternalKey = d.Row.Key
		case roster.ColumnName:
			r.Family, r.Middle, r.Given = d.Row.Family, d.Row.Middle, d.Row.Given
		case roster.ColumnAddress:
			if r.Address != "" {
				r.Aliases = append(slices.Clone(r.Aliases), r.Address) // mail to it still arrives
			}
			r.Address = d.Row.Address
		case roster.ColumnPhone:
			r.Phone = d.Row.Phone
		case roster.ColumnMobile:
			r.Mobile = d.Row.Mobile
		case roster.ColumnOffice:
			r.Office = d.Row.Office
		}
	}
	r.Version++
	return r
}

func (s *Service) applyPosts(ctx context.Context, tx *sqldb.Tx, agency identity.AgencyID, id identity.PersonID, d roster.Deed, held []heldPosition) error {
	now := s.now()
	for _, h := range held {
		p := h.PositionRecord
		amended := slices.IndexFunc(d.Amend, func(a roster.Amend) bool { return a.ID == string(p.ID) })
		switch {
		case slices.Contains(d.End, string(p.ID)):
			p.Until = &now
		case amended >= 0:
			p.Title, p.Seniority = d.Amend[amended].Title, d.Amend[amended].Seniority
		default:
			continue
		}
		p.Version++
		if err := updatePosition(ctx, tx, p); err != nil {
			return err
		}
		if err := s.positionChanged(ctx, tx, p); err != nil {
			return err
		}
	}
	for _, b := range d.Begin {
		if err := s.importPost(ctx, tx, agency, id, b); err != nil {
			return err
		}
	}
	if len(d.Begin) == 0 {
		return nil
	}
	if err := indexPerson(ctx, tx, id, now); err != nil {
		return err
	}
	return s.changedPerson(ctx, tx, id)
}

// importPost begins a position, by the rules that hold for every one.
func (s *Service) importPost(ctx context.Context, tx *sqldb.Tx, agency identity.AgencyID, id identity.PersonID, b roster.Begin) error {
	position, err := newID()
	if err != nil {
		return err
	}
	p := PositionRecord{ID: identity.PositionID(position), Person: id, Title: b.Title, UnitID: identity.UnitID(b.Unit), Agency: agency,
		Kind: b.Kind, Seniority: b.Seniority, From: s.now(), Version: 1}
	if err := p.check(); err != nil {
		return err
	}
	if err := s.checkFits(ctx, tx, p); err != nil {
		return err
	}
	return insertPositionRecord(ctx, tx, p)
}

// closeAccount lets who has left sign in no more, unless they hold a post
// elsewhere, or more than the importing administrator may touch.
func (s *Service) closeAccount(ctx context.Context, tx *sqldb.Tx, i storedImport, id identity.PersonID, e *storedEntry) error {
	positions, err := readPositions(ctx, tx, id, s.now())
	if err != nil || len(positions) > 0 {
		return err
	}
	account, err := accountOfPerson(ctx, tx, id)
	if errcode.Of(err) == errcode.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	o, err := readAccountObject(ctx, tx, account, s.now())
	if err != nil {
		return err
	}
	o.Agency = i.Agency // where they have just left
	if account == i.actor.Account {
		o.Relations = append(o.Relations, identity.RelationSelf)
	}
	if len(o.TargetGrants) > 0 || !s.Check(i.actor, permission.AccountDisable, o).Allowed {
		e.Outcome = "the posts have ended; the account holds administrative roles and stays: take them away first, then disable it"
		return nil
	}
	changed, err := s.disable(ctx, tx, account)
	if err != nil || !changed {
		return err
	}
	return s.recordOf(ctx, tx, i.actor, i.Agency, permission.AccountDisable, o.ObjectRef,
		map[string]string{"reason": "left, by the staff list", "import": i.ID})
}
