package directory

import (
	"context"
	"slices"
	"time"

	"commsd/directory/permission"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// Delegation is a position that its holder lends (ủy quyền).
type Delegation struct {
	ID        identity.DelegationID
	Position  Position
	Giver     identity.Person
	Taker     identity.Person
	Scopes    []identity.Scope
	From      time.Time
	Until     time.Time // its end, whether planned or before its time
	CreatedAt time.Time
}

// State is "coming", "active" or "ended" at now.
func (d Delegation) State(now time.Time) string {
	switch {
	case !now.Before(d.Until):
		return "ended"
	case now.Before(d.From):
		return "coming"
	default:
		return "active"
	}
}

// NewDelegation is a delegation to be made.
type NewDelegation struct {
	Position identity.PositionID // one that the actor holds now
	To       identity.PersonID
	Scopes   []identity.Scope
	From     time.Time // zero: now
	Until    time.Time
}

// keepDelegations is how long an ended one is listed.
const keepDelegations = 365 * 24 * time.Hour

const kindDelegation = "delegation"

// Delegations returns what actor lends and what is lent to actor, newest first,
// the ended ones of the last year too.
func (s *Service) Delegations(ctx context.Context, actor identity.Actor) (given, received []Delegation, err error) {
	err = s.read(ctx, "delegations", func(ctx context.Context, tx *sqldb.Tx) error {
		after := s.now().Add(-keepDelegations)
		if given, err = readDelegations(ctx, tx, "d.giver_id = $1 AND d.valid_until > $2", s.now(), string(actor.Person), after.UnixMicro()); err != nil {
			return err
		}
		received, err = readDelegations(ctx, tx, "d.taker_id = $1 AND d.valid_until > $2", s.now(), string(actor.Person), after.UnixMicro())
		return err
	})
	return given, received, err
}

// Delegate lends a position that actor holds to a colleague of the same agency
// who can sign in. What is lent is the position, never the person: the
// colleague keeps to their own mailbox, conversations and meetings, and gets
// what hangs on the position for the scopes named. It carries no
// administrative role, and a lent position is not lent on. It ends with the
// position, with the colleague's last post in the agency, when either account
// is disabled, and when one of the two ends it.
func (s *Service) Delegate(ctx context.Context, actor identity.Actor, n NewDelegation) (Delegation, error) {
	now := s.now()
	if n.From.IsZero() || n.From.Before(now) {
		n.From = now
	}
	if err := n.check(now, s.cfg.LongestDelegation); err != nil {
		return Delegation{}, err
	}
	id, err := newID()
	if err != nil {
		return Delegation{}, err
	}
	var out Delegation
	err = s.act(ctx, actor, deed{
		action: permission.Delegate, made: &id,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			o := identity.Object{ObjectRef: identity.ObjectRef{Kind: kindDelegation}}
			own, err := readPositions(ctx, tx, actor.Person, now)
			if i := slices.IndexFunc(own, func(p Position) bool { return p.ID == n.Position }); i >= 0 {
				o.Agency, o.Path, o.Relations = own[i].Agency, own[i].UnitPath, []identity.Relation{identity.RelationSelf}
			}
			return []identity.Object{o}, err
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			// The giver's row keeps the same from being lent twice at once.
			if err := lockPerson(ctx, tx, actor.Person); err != nil {
				return nil, err
			}
			taker, err := s.mayTake(ctx, tx, actor, n)
			if err != nil {
				return nil, err
			}
			if err := insertDelegation(ctx, tx, id, actor.Person, n, now); err != nil {
				return nil, err
			}
			found, err := readDelegations(ctx, tx, "d.id = $1", now, id)
			if err != nil || len(found) == 0 {
				return nil, err
			}
			out = found[0]
			return out.detail("lent"), s.refresh(ctx, tx, taker)
		},
	})
	return out, err
}

func (n NewDelegation) check(now time.Time, longest time.Duration) error {
	switch {
	case len(n.Scopes) == 0:
		return errcode.New(errcode.Invalid, "scopes: choose what the position is lent for: mail, meetings, chat, documents")
	case !n.Until.After(n.From):
		return errcode.New(errcode.Invalid, "ends_at: the delegation ends before it begins; choose a later day")
	case n.Until.Sub(n.From) > longest, n.From.Sub(now) > longest:
		return errcode.New(errcode.Invalid, "ends_at: a position is lent for %d days at the most, and not longer beforehand", max(1, longest/(24*time.Hour)))
	}
	for i, scope := range n.Scopes {
		switch scope {
		case identity.ScopeMail, identity.ScopeMeetings, identity.ScopeChat, identity.ScopeDocuments:
		default:
			return errcode.New(errcode.Invalid, "scopes: there is no scope of that name; choose among mail, meetings, chat, documents")
		}
		if slices.Contains(n.Scopes[:i], scope) {
			return errcode.New(errcode.Invalid, "scopes: %s stands there twice", scope)
		}
	}
	return nil
}

// mayTake returns the account of who a position is lent to, or says why it
// cannot be.
func (s *Service) mayTake(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, n NewDelegation) (identity.AccountID, error) {
	if n.To == actor.Person {
		return "", errcode.New(errcode.Invalid, "person_id: this is you; choose a colleague")
	}
	colleague, account, err := readColleague(ctx, tx, n.To, n.Position, s.now())
	switch {
	case err != nil:
		return "", err
	case !colleague:
		return "", errcode.New(errcode.Invalid, "person_id: a position is lent to a colleague of the same agency")
	case account == "":
		return "", errcode.New(errcode.Conflict, "this colleague has no account to sign in with; choose another one")
	}
	running, err := readDelegations(ctx, tx, "d.giver_id = $1 AND d.valid_until > $2", s.now(), string(actor.Person), n.From.UnixMicro())
	if err != nil {
		return "", err
	}
	if len(running) >= s.cfg.MaxDelegations {
		return "", errcode.New(errcode.Conflict, "you lend %d positions already; end one first", len(running))
	}
	for _, d := range running {
		if d.Position.ID == n.Position && d.Taker.ID == n.To && d.From.Before(n.Until) {
			return "", errcode.New(errcode.Conflict, "this position is lent to %s at that time already; end that first", d.Taker.Name)
		}
	}
	return account, nil
}

// EndDelegation ends a delegation that actor gave or received, at once on every
// node. Ending it twice is no error; errcode.NotFound for anybody else's.
func (s *Service) EndDelegation(ctx context.Context, actor identity.Actor, id identity.DelegationID) error {
	var d Delegation
	err := s.act(ctx, actor, deed{
		action: permission.Delegate,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			found, err := readDelegations(ctx, tx, "d.id = $1", s.now(), string(id))
			if err != nil {
				return nil, err
			}
			if len(found) == 0 {
				return nil, errNoDelegation()
			}
			d = found[0]
			o := identity.Object{ObjectRef: identity.ObjectRef{Kind: kindDelegation, ID: string(id)}, Agency: d.Position.Agency, Path: d.Position.UnitPath}
			switch actor.Person {
			case d.Giver.ID:
				o.Relations = []identity.Relation{identity.RelationDelegatedBy}
			case d.Taker.ID:
				o.Relations = []identity.Relation{identity.RelationDelegate}
			}
			return []identity.Object{o}, nil
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			ended, err := endDelegation(ctx, tx, id, s.now())
			if err != nil {
				return nil, err
			}
			if !ended {
				return map[string]string{"did": "ended before"}, nil
			}
			account, err := accountOfPerson(ctx, tx, d.Taker.ID)
			if err != nil {
				return nil, err
			}
			return d.detail("ended"), s.leave(ctx, tx, account, d.Position.ID)
		},
	})
	if errcode.Of(err) == errcode.Forbidden && actor.Delegation == "" {
		return errNoDelegation() // whose it is, is nobody else's business
	}
	return err
}

// tellTakers has every node read anew what is lent to those to whom a person
// lends positions: it may have ended with a change of the person's.
func (s *Service) tellTakers(ctx context.Context, tx *sqldb.Tx, giver identity.PersonID) error {
	accounts, err := takersOf(ctx, tx, giver, s.now())
	if err != nil {
		return err
	}
	for _, account := range accounts {
		if err := s.refresh(ctx, tx, account); err != nil {
			return err
		}
	}
	return nil
}

func errNoDelegation() error {
	return errcode.New(errcode.NotFound, "there is no such delegation of yours")
}

// detail is what the log keeps of a delegation.
func (d Delegation) detail(did string) map[string]string {
	return map[string]string{"did": did, "position": string(d.Position.ID), "to": string(d.Taker.ID), "scopes": formatScopes(d.Scopes),
		"from": d.From.UTC().Format(time.RFC3339), "until": d.Until.UTC().Format(time.RFC3339)}
}
