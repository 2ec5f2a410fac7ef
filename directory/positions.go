package directory

import (
	"context"
	"time"

	"commsd/directory/permission"
	"commsd/directory/visibility"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/fold"
	"commsd/internal/sqldb"
)

// PositionRecord is a post of a person: held now, once, or from a day to come.
type PositionRecord struct {
	ID         identity.PositionID `json:"id"`
	Person     identity.PersonID   `json:"person_id"`
	Title      string              `json:"title" doc:"chức danh: Chuyên viên chính"`
	UnitID     identity.UnitID     `json:"unit_id"`
	Unit       string              `json:"unit"`
	Agency     identity.AgencyID   `json:"agency_id"`
	AgencyName string              `json:"agency_name"`
	Kind       string              `json:"kind" enum:"main,concurrent,acting" doc:"chính, kiêm nhiệm, quyền"`
	Seniority  int                 `json:"seniority" doc:"order of titles in a unit, leaders first: 0"`
	From       time.Time           `json:"valid_from"`
	Until      *time.Time          `json:"valid_until,omitempty" doc:"absent: open"`
	State      string              `json:"state" enum:"current,past,future"`
	Version    int64               `json:"version" doc:"rises with each change; a change that names it is refused after another"`
}

// NewPosition is what BeginPosition makes a position of.
type NewPosition struct {
	Unit      identity.UnitID `json:"unit_id"`
	Title     string          `json:"title" maxLength:"200" doc:"chức danh"`
	Kind      string          `json:"kind,omitempty" enum:"main,concurrent,acting" doc:"absent: main"`
	Seniority *int            `json:"seniority,omitempty" minimum:"0" maximum:"1000000" doc:"order of titles in the unit, leaders first; absent: 100"`
	From      *time.Time      `json:"valid_from,omitempty" doc:"absent: now"`
	Until     *time.Time      `json:"valid_until,omitempty" doc:"absent: open"`
}

// PositionChange is what UpdatePosition changes; what is nil stays.
type PositionChange struct {
	Title     *string    `json:"title,omitempty" maxLength:"200"`
	Kind      *string    `json:"kind,omitempty" enum:"main,concurrent,acting"`
	Seniority *int       `json:"seniority,omitempty" minimum:"0" maximum:"1000000"`
	From      *time.Time `json:"valid_from,omitempty"`
	Until     *time.Time `json:"valid_until,omitempty"`
	Open      bool       `json:"open,omitempty" doc:"takes valid_until away"`
	Version   int64      `json:"version,omitempty" doc:"what the change was made on; refused when it has changed since"`
}

// Transfer ends one position and begins another in one act.
type Transfer struct {
	Position identity.PositionID `json:"position_id,omitempty" doc:"the one that ends; absent: the main one of now"`
	To       NewPosition         `json:"to" doc:"the one that begins; its valid_from is when the other ends"`
}

const (
	maxTitle         = 150
	defaultSeniority = 100
)

// The states of a position.
const (
	positionCurrent = "current"
	positionPast    = "past"
	positionFuture  = "future"
)

// heldPosition is a position with what a permission is decided on.
type heldPosition struct {
	PositionRecord
	path string // of its unit
}

func (p heldPosition) object() identity.Object {
	return identity.Object{ObjectRef: identity.ObjectRef{Kind: "position", ID: string(p.ID)}, Agency: p.Agency, Path: p.path}
}

// seenBy empties what a viewer does not see.
func (p PositionRecord) seenBy(sight visibility.Sight) PositionRecord {
	if !sight.Sees(visibility.FieldTitle) {
		p.Title = ""
	}
	if !sight.Sees(visibility.FieldUnit) {
		p.UnitID, p.Unit = "", ""
	}
	if !sight.Sees(visibility.FieldAgency) {
		p.Agency, p.AgencyName = "", ""
	}
	return p
}

func (p PositionRecord) stateAt(now time.Time) string {
	switch {
	case p.From.After(now):
		return positionFuture
	case p.Until != nil && !p.Until.After(now):
		return positionPast
	}
	return positionCurrent
}

// overlaps tells whether two positions are held at one time, however short.
func (p PositionRecord) overlaps(q PositionRecord) bool {
	return (q.Until == nil || p.From.Before(*q.Until)) && (p.Until == nil || q.From.Before(*p.Until))
}

// samePost tells whether two positions are one post: title and unit.
func (p PositionRecord) samePost(q PositionRecord) bool {
	return p.UnitID == q.UnitID && fold.Marked(p.Title) == fold.Marked(q.Title)
}

// earliest and latest bound the days that positions are written for; a year
// beyond them is a slip of the keyboard.
var (
	earliest = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// check brings the record to its normal form, and refuses what it may not be.
func (p *PositionRecord) check() error {
	var err error
	if p.Title, err = wanted("the title of the position", p.Title, maxTitle); err != nil {
		return err
	}
	if _, ok := positionRank[p.Kind]; !ok {
		return errcode.New(errcode.Invalid, "a position is main, concurrent or acting")
	}
	p.From = p.From.UTC().Truncate(time.Microsecond)
	if p.From.Before(earliest) || p.From.After(latest) {
		return errcode.New(errcode.Invalid, "the position begins in the year %d: correct the day", p.From.Year()).Because("day_wrong")
	}
	if p.Until == nil {
		return nil
	}
	until := p.Until.UTC().Truncate(time.Microsecond)
	p.Until = &until
	switch {
	case !until.After(p.From):
		return errcode.New(errcode.Invalid, "the position ends before it begins: correct one of the days").Because("days_crossed")
	case until.After(latest):
		return errcode.New(errcode.Invalid, "the position ends in the year %d: correct the day, or leave the end open", until.Year()).Because("day_wrong")
	}
	return nil
}

// fits refuses p beside the positions that its person holds, and beside those
// of others who act in its unit.
func (p PositionRecord) fits(own []heldPosition, acting []heldPosition) error {
	for _, q := range own {
		if q.ID == p.ID || !p.overlaps(q.PositionRecord) {
			continue
		}
		if p.Kind == KindMain && q.Kind == KindMain {
			return errcode.New(errcode.Conflict, "there is one main position at a time, and this person's is %s, %s: end it first, or transfer the person", q.Title, q.Unit).Because("main_position_held")
		}
		if p.samePost(q.PositionRecord) {
			return errcode.New(errcode.Conflict, "this person holds the position %s, %s at that time already", q.Title, q.Unit).Because("position_held")
		}
	}
	if p.Kind != KindActing {
		return nil
	}
	for _, q := range acting {
		if q.ID != p.ID && q.Person != p.Person && p.samePost(q.PositionRecord) && p.overlaps(q.PositionRecord) {
			return errcode.New(errcode.Conflict, "somebody else acts as %s, %s at that time: end that first", q.Title, q.Unit).Because("acting_held")
		}
	}
	return nil
}

// personHome is what a permission over a person is decided on: the unit of the
// main position of now, or else of the next to begin, or else of the last.
// Without any it is the installation's.
func personHome(ctx context.Context, tx *sqldb.Tx, id identity.PersonID, now time.Time) (o identity.Object, held []heldPosition, err error) {
	o = identity.Object{ObjectRef: identity.ObjectRef{Kind: "person", ID: string(id)}}
	if held, err = readHeld(ctx, tx, id, now); err != nil {
		return o, nil, err
	}
	if len(held) > 0 { // readHeld's order is this one
		o.Agency, o.Path = held[0].Agency, held[0].path
	}
	account, err := accountOfPerson(ctx, tx, id)
	if errcode.Of(err) == errcode.NotFound {
		return o, held, nil
	}
	if err != nil {
		return o, nil, err
	}
	o.TargetGrants, err = readGrants(ctx, tx, account)
	return o, held, err
}

// mainNow tells whether a main position is held now.
func mainNow(held []heldPosition) bool {
	return len(held) > 0 && held[0].Kind == KindMain && held[0].State == positionCurrent
}

// PersonPositions returns the positions of a person: of now, the main one
// first, and for the person and administrators those to come and the past ones.
func (s *Service) PersonPositions(ctx context.Context, actor identity.Actor, id identity.PersonID) ([]PositionRecord, error) {
	out := []PositionRecord{}
	err := s.read(ctx, "positions", func(ctx context.Context, tx *sqldb.Tx) error {
		if err := personExists(ctx, tx, id, ""); err != nil {
			return err
		}
		o, held, err := personHome(ctx, tx, id, s.now())
		if err != nil {
			return err
		}
		o.TargetGrants = nil // reading touches nobody
		all := actor.Person == id || s.Check(actor, permission.PositionWrite, o).Allowed
		entries, policies, err := s.readWithPolicies(ctx, tx, []identity.PersonID{id})
		if err != nil {
			return err
		}
		e := entries[id]
		sight := visibility.Look(actor, *e, policies[e.Agency].Visibility)
		if !all && !sight.Sees(visibility.FieldEntry) {
			return errNoPerson()
		}
		for _, p := range held {
			if all || p.State == positionCurrent {
				out = append(out, p.seenBy(sight))
			}
		}
		return nil
	})
	return out, err
}

// BeginPosition gives a person a position. Administrators of its unit may; when
// it is the main position, or the only one, those of the person's present or
// last unit at the same time, so that nobody takes people over from another
// agency.
func (s *Service) BeginPosition(ctx context.Context, actor identity.Actor, id identity.PersonID, n NewPosition) (PositionRecord, error) {
	p, err := s.newPosition(id, n, s.now())
	if err != nil {
		return PositionRecord{}, err
	}
	made := string(p.ID)
	err = s.act(ctx, actor, deed{
		action: permission.PositionWrite, made: &made,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			if err := personExists(ctx, tx, id, ""); err != nil {
				return nil, err
			}
			unit, err := readUnit(ctx, tx, p.UnitID)
			if err != nil {
				return nil, err
			}
			home, held, err := personHome(ctx, tx, id, s.now())
			if err != nil {
				return nil, err
			}
			objects := []identity.Object{{ObjectRef: identity.ObjectRef{Kind: "position"}, Agency: unit.Agency, Path: unit.Path}}
			if p.Kind == KindMain || !mainNow(held) {
				objects = append(objects, home)
			}
			return objects, nil
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			if err := personExists(ctx, tx, id, tx.ForUpdate()); err != nil {
				return nil, err
			}
			if err := s.beginPosition(ctx, tx, &p); err != nil {
				return nil, err
			}
			return p.detail(), s.changedPerson(ctx, tx, id)
		},
	})
	if err != nil {
		return PositionRecord{}, err
	}
	return p, nil
}

// newPosition is the position that n asks for, in its normal form.
func (s *Service) newPosition(id identity.PersonID, n NewPosition, from time.Time) (PositionRecord, error) {
	made, err := newID()
	if err != nil {
		return PositionRecord{}, err
	}
	p := PositionRecord{ID: identity.PositionID(made), Person: id, Title: n.Title, UnitID: n.Unit, Kind: n.Kind,
		Seniority: defaultSeniority, From: from, Until: n.Until, Version: 1}
	if p.Kind == "" {
		p.Kind = KindMain
	}
	set(&p.Seniority, n.Seniority)
	set(&p.From, n.From)
	return p, p.check()
}

// beginPosition writes a position that is new, and fills in what it is called after.
// The person's row is locked.
func (s *Service) beginPosition(ctx context.Context, tx *sqldb.Tx, p *PositionRecord) error {
	if err := lockUnit(ctx, tx, p.UnitID); err != nil {
		return err
	}
	unit, err := readUnit(ctx, tx, p.UnitID)
	if err != nil {
		return err
	}
	agency, err := readAgency(ctx, tx, unit.Agency, "")
	if err != nil {
		return err
	}
	p.Unit, p.Agency, p.AgencyName, p.State = unit.Name, agency.ID, agency.Name, p.stateAt(s.now())
	if err := s.checkFits(ctx, tx, *p); err != nil {
		return err
	}
	if err := insertPositionRecord(ctx, tx, *p); err != nil {
		return err
	}
	return indexPerson(ctx, tx, p.Person, s.now())
}

func (s *Service) checkFits(ctx context.Context, tx *sqldb.Tx, p PositionRecord) error {
	own, err := readHeld(ctx, tx, p.Person, s.now())
	if err != nil {
		return err
	}
	var acting []heldPosition
	if p.Kind == KindActing {
		if acting, err = readActing(ctx, tx, p.UnitID, s.now()); err != nil {
			return err
		}
	}
	return p.fits(own, acting)
}

// detail is what the log keeps of a position.
func (p PositionRecord) detail() map[string]string {
	d := map[string]string{"person": string(p.Person), "title": p.Title, "unit": string(p.UnitID), "kind": p.Kind, "from": p.From.Format(time.RFC3339)}
	if p.Until != nil {
		d["until"] = p.Until.Format(time.RFC3339)
	}
	return d
}

// TransferPerson ends one position and begins another in one act. Who does it
// administers both units.
func (s *Service) TransferPerson(ctx context.Context, actor identity.Actor, id identity.PersonID, t Transfer) (ended, begun PositionRecord, err error) {
	// find returns the one that ends, and what else the act is permitted on.
	find := func(ctx context.Context, tx *sqldb.Tx) (old heldPosition, more []identity.Object, err error) {
		home, held, err := personHome(ctx, tx, id, s.now())
		if err != nil {
			return heldPosition{}, nil, err
		}
		for _, p := range held {
			if p.ID == t.Position || t.Position == "" && p.Kind == KindMain && p.State == positionCurrent {
				leaves := p.object()
				if p.Kind == KindMain {
					leaves.TargetGrants = home.TargetGrants
				} else if t.To.Kind == KindMain || !mainNow(held) {
					more = append(more, home)
				}
				return p, append(more, leaves), nil
			}
		}
		if t.Position != "" {
			return heldPosition{}, nil, errcode.New(errcode.NotFound, "this person has no such position")
		}
		return heldPosition{}, nil, errcode.New(errcode.Invalid, "this person has no main position now: begin one instead").Because("main_position_missing")
	}
	if begun, err = s.newPosition(id, t.To, s.now()); err != nil {
		return PositionRecord{}, PositionRecord{}, err
	}
	made := string(begun.ID)
	err = s.act(ctx, actor, deed{
		action: permission.PositionWrite, made: &made,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			if err := personExists(ctx, tx, id, ""); err != nil {
				return nil, err
			}
			unit, err := readUnit(ctx, tx, begun.UnitID)
			if err != nil {
				return nil, err
			}
			_, objects, err := find(ctx, tx)
			return append(objects, identity.Object{ObjectRef: identity.ObjectRef{Kind: "position"}, Agency: unit.Agency, Path: unit.Path}), err
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			if err := personExists(ctx, tx, id, tx.ForUpdate()); err != nil {
				return nil, err
			}
			old, _, err := find(ctx, tx)
			if err != nil {
				return nil, err
			}
			if t.To.Kind == "" {
				begun.Kind = old.Kind
			}
			ended = old.PositionRecord
			if ended.Until != nil && !ended.Until.After(begun.From) {
				return nil, errcode.New(errcode.Conflict, "the position %s, %s has ended before that day: begin the other instead", old.Title, old.Unit).Because("position_ended")
			}
			at := begun.From
			ended.Until = &at
			if err := ended.check(); err != nil {
				return nil, err
			}
			ended.Version++
			ended.State = ended.stateAt(s.now())
			if err := updatePosition(ctx, tx, ended); err != nil {
				return nil, err
			}
			if err := s.beginPosition(ctx, tx, &begun); err != nil {
				return nil, err
			}
			detail := begun.detail()
			detail["ended"] = string(ended.ID)
			return detail, s.positionChanged(ctx, tx, ended)
		},
	})
	if err != nil {
		return PositionRecord{}, PositionRecord{}, err
	}
	return ended, begun, nil
}

// positionObjects is what a change of a position is permitted on: its unit, and
// for a main position the roles its holder has.
func (s *Service) positionObjects(ctx context.Context, tx *sqldb.Tx, id identity.PositionID, becomes string) ([]identity.Object, error) {
	p, err := readHeldPosition(ctx, tx, id, s.now())
	if err != nil {
		return nil, err
	}
	objects := []identity.Object{p.object()}
	if p.Kind != KindMain && becomes != KindMain {
		return objects, nil
	}
	home, _, err := personHome(ctx, tx, p.Person, s.now())
	if err != nil {
		return nil, err
	}
	objects[0].TargetGrants = home.TargetGrants
	if p.Kind != KindMain { // it would make the person this agency's
		home.ObjectRef = objects[0].ObjectRef
		objects = append(objects, home)
	}
	return objects, nil
}

// UpdatePosition changes a position. One that is moved to another unit is a
// transfer instead, so that its history is kept.
func (s *Service) UpdatePosition(ctx context.Context, actor identity.Actor, id identity.PositionID, c PositionChange) (PositionRecord, error) {
	var out PositionRecord
	err := s.act(ctx, actor, deed{
		action: permission.PositionWrite,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			becomes := ""
			set(&becomes, c.Kind)
			return s.positionObjects(ctx, tx, id, becomes)
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			old, err := s.lockPosition(ctx, tx, id)
			if err != nil {
				return nil, err
			}
			if err := sameVersion("the position", c.Version, old.Version); err != nil {
				return nil, err
			}
			out = old.PositionRecord
			set(&out.Title, c.Title)
			set(&out.Kind, c.Kind)
			set(&out.Seniority, c.Seniority)
			set(&out.From, c.From)
			if c.Until != nil {
				out.Until = c.Until
			}
			if c.Open {
				out.Until = nil
			}
			if err := out.check(); err != nil {
				return nil, err
			}
			out.Version++
			out.State = out.stateAt(s.now())
			if out.State != positionPast { // a closed unit gets no people by an old post
				if _, err := readUnit(ctx, tx, out.UnitID); err != nil {
					return nil, err
				}
			}
			if err := s.checkFits(ctx, tx, out); err != nil {
				return nil, err
			}
			if err := updatePosition(ctx, tx, out); err != nil {
				return nil, err
			}
			return out.detail(), s.positionChanged(ctx, tx, out)
		},
	})
	if err != nil {
		return PositionRecord{}, err
	}
	return out, nil
}

// lockPosition reads a position and keeps others from changing its person's
// positions and its unit until tx ends.
func (s *Service) lockPosition(ctx context.Context, tx *sqldb.Tx, id identity.PositionID) (heldPosition, error) {
	p, err := readHeldPosition(ctx, tx, id, s.now())
	if err != nil {
		return p, err
	}
	if err := personExists(ctx, tx, p.Person, tx.ForUpdate()); err != nil {
		return p, err
	}
	if err := lockUnit(ctx, tx, p.UnitID); err != nil && errcode.Of(err) != errcode.NotFound {
		return p, err
	}
	return readHeldPosition(ctx, tx, id, s.now())
}

// positionChanged writes anew what p's person is found by, and has every node read the positions of p's person anew, and of
// those to whom it is lent. Where p is not held now, what they do in it ends;
// their sessions go on.
func (s *Service) positionChanged(ctx context.Context, tx *sqldb.Tx, p PositionRecord) error {
	if err := indexPerson(ctx, tx, p.Person, s.now()); err != nil {
		return err
	}
	accounts, err := lentTo(ctx, tx, p.ID, s.now())
	if err != nil {
		return err
	}
	own, err := accountOfPerson(ctx, tx, p.Person)
	switch {
	case err == nil:
		accounts = append(accounts, own)
	case errcode.Of(err) != errcode.NotFound:
		return err
	}
	for _, account := range accounts {
		if p.stateAt(s.now()) == positionCurrent {
			err = s.refresh(ctx, tx, account)
		} else {
			err = s.leave(ctx, tx, account, p.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// EndPosition ends a position now and keeps it as history. One that has not
// begun is withdrawn: it never was. Ending what has ended is errcode.Conflict.
func (s *Service) EndPosition(ctx context.Context, actor identity.Actor, id identity.PositionID) error {
	return s.act(ctx, actor, deed{
		action: permission.PositionWrite,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			return s.positionObjects(ctx, tx, id, "")
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			old, err := s.lockPosition(ctx, tx, id)
			if err != nil {
				return nil, err
			}
			p := old.PositionRecord
			end := s.now().UTC().Truncate(time.Microsecond)
			what := "ended"
			switch p.stateAt(end) {
			case positionPast:
				return nil, errcode.New(errcode.Conflict, "this position has ended already").Because("position_ended")
			case positionFuture:
				end, what = p.From, "withdrawn" // held at no time
			}
			p.Until = &end
			p.Version++
			if err := updatePosition(ctx, tx, p); err != nil {
				return nil, err
			}
			detail := p.detail()
			detail["done"] = what
			return detail, s.positionChanged(ctx, tx, p)
		},
	})
}
