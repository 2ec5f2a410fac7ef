package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/secret"
	"commsd/internal/sqldb"
)

// What is asked about the log itself.
const (
	ActionRead   identity.Action = "audit.read"
	ActionExport identity.Action = "audit.export"
)

// Permissions decides who may read. It looks nothing up and may be called from
// many goroutines.
type Permissions interface {
	Check(actor identity.Actor, action identity.Action, o identity.Object) identity.Decision
}

// Names resolves ids to what people call them; what it does not know is absent
// from the answer. It may be called from many goroutines.
type Names interface {
	People(ctx context.Context, ids []identity.PersonID) (map[identity.PersonID]identity.Person, error)
	AgencyNames(ctx context.Context, ids []identity.AgencyID) (map[identity.AgencyID]string, error)
}

// ServiceConfig holds what NewService needs. Fields without a default are
// required.
type ServiceConfig struct {
	DB          *sqldb.DB
	Log         *Log
	Secrets     *secret.Store // holds the key that signs
	Permissions Permissions
	Names       Names
	Domain      string // mail domain of the installation; names the key when it is made

	Retention time.Duration // how long payloads are kept; 0: 5 years
	KeepHeads time.Duration // how long every signed head is kept, before one a day is; 0: 7 days
	Syslog    SyslogConfig  // zero: nothing is forwarded

	Logger     *slog.Logger          // nil: discards
	Registerer prometheus.Registerer // nil: no metrics
	Now        func() time.Time      // nil: time.Now
}

// MinKeepHeads is the least time for which every signed head is kept.
const MinKeepHeads = 24 * time.Hour

// MinRetention is the least that the law leaves to an installation.
const MinRetention = 365 * 24 * time.Hour

// Validate names what is missing or out of range.
func (c ServiceConfig) Validate() error {
	switch {
	case c.DB == nil:
		return errors.New("audit: ServiceConfig.DB is required")
	case c.Log == nil:
		return errors.New("audit: ServiceConfig.Log is required")
	case c.Secrets == nil:
		return errors.New("audit: ServiceConfig.Secrets is required")
	case c.Permissions == nil:
		return errors.New("audit: ServiceConfig.Permissions is required")
	case c.Names == nil:
		return errors.New("audit: ServiceConfig.Names is required")
	case c.Domain == "":
		return errors.New("audit: ServiceConfig.Domain is required")
	case c.Retention != 0 && c.Retention < MinRetention:
		return errors.New("audit: ServiceConfig.Retention is less than 12 months")
	case c.KeepHeads != 0 && c.KeepHeads < MinKeepHeads:
		return errors.New("audit: ServiceConfig.KeepHeads is less than a day")
	}
	return c.Syslog.Validate()
}

// Service keeps the tree, answers auditors, exports and erases. It may be used
// from many goroutines.
type Service struct {
	// set at construction
	cfg       ServiceConfig
	db        *sqldb.DB
	log       *slog.Logger
	now       func() time.Time
	sequencer *Sequencer
	forwarder *forwarder // nil: nothing is forwarded

	keysMu sync.Mutex
	keys   *keys // guarded by keysMu; nil until first used
}

// NewService checks cfg and returns a Service; it starts nothing.
func NewService(cfg ServiceConfig) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Retention == 0 {
		cfg.Retention = 5 * MinRetention
	}
	if cfg.KeepHeads == 0 {
		cfg.KeepHeads = 7 * 24 * time.Hour
	}
	sequencer, err := NewSequencer(SequencerConfig{DB: cfg.DB, Secrets: cfg.Secrets, Domain: cfg.Domain,
		Sole: cfg.DB.Dialect() == sqldb.SQLite, Log: cfg.Logger, Registerer: cfg.Registerer, Now: cfg.Now})
	if err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg, db: cfg.DB, log: cfg.Logger, now: cfg.Now, sequencer: sequencer}
	if cfg.Syslog.URL != "" {
		if s.forwarder, err = s.newForwarder(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// scope is what actor may do action to: nil for the whole installation, else
// the agencies. An actor who may do it nowhere is refused, and that recorded.
func (s *Service) scope(ctx context.Context, actor identity.Actor, action identity.Action, agency identity.AgencyID) ([]identity.AgencyID, error) {
	object := func(agency identity.AgencyID) identity.Object {
		return identity.Object{ObjectRef: identity.ObjectRef{Kind: "audit_log", ID: string(agency)}, Agency: agency}
	}
	whole := s.cfg.Permissions.Check(actor, action, object(""))
	if whole.Allowed {
		return nil, unlocked(actor)
	}
	scope := []identity.AgencyID{}
	for _, g := range actor.Grants {
		if g.Agency != "" && !slices.Contains(scope, g.Agency) && s.cfg.Permissions.Check(actor, action, object(g.Agency)).Allowed {
			scope = append(scope, g.Agency)
		}
	}
	if len(scope) > 0 && (agency == "" || slices.Contains(scope, agency)) {
		return scope, unlocked(actor)
	}
	reason := whole.Reason
	if agency != "" {
		reason = s.cfg.Permissions.Check(actor, action, object(agency)).Reason
	}
	if err := s.cfg.Log.Refused(ctx, s.db, Event{Actor: actor, Action: action, Object: object(agency).ObjectRef, Owner: agency}, reason); err != nil {
		return nil, fmt.Errorf("audit: record a refusal: %w", err)
	}
	if len(scope) > 0 {
		return nil, errcode.New(errcode.Forbidden, "you audit other agencies than this one; ask the administrator who appointed you")
	}
	return nil, errcode.New(errcode.Forbidden, "only auditors read the log; ask the administrator of your agency to appoint you")
}

// unlocked refuses an auditor whose session has waited so long that what roles
// allow must be proven anew.
func unlocked(actor identity.Actor) error {
	if actor.LockedAdmin {
		return errcode.New(errcode.Locked, "prove who you are again, with your password or a passkey, and repeat")
	}
	return nil
}

// Events lists what f chooses of what actor may see, and the cursor of the rest.
// The question itself is recorded before it is answered.
func (s *Service) Events(ctx context.Context, actor identity.Actor, f Filter) (entries []Entry, next string, err error) {
	if f.Scope, err = s.scope(ctx, actor, ActionRead, f.Agency); err != nil {
		return nil, "", err
	}
	if f.Limit <= 0 {
		f.Limit = 100
	}
	limit := min(f.Limit, 200)
	f.Limit = limit + 1
	if _, _, err := listQuery(f); err != nil {
		return nil, "", err
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return s.cfg.Log.Record(ctx, tx, Event{Actor: actor, Action: ActionRead, Outcome: OK,
			Object: identity.ObjectRef{Kind: "audit_log", ID: string(f.Agency)}, Owner: f.Agency, Detail: f.words()})
	})
	if err != nil {
		return nil, "", fmt.Errorf("audit: record a reading: %w", err)
	}
	err = s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		entries, err = s.cfg.Log.List(ctx, tx, f)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if len(entries) > limit {
		entries = entries[:limit]
		next = entries[limit-1].Cursor()
	}
	return entries, next, nil
}

// words are f in the words of the interface, for the record of a question.
func (f *Filter) words() map[string]string {
	words := map[string]string{"action": string(f.Action), "outcome": f.Outcome, "person": string(f.Person),
		"agency": string(f.Agency), "address": f.Address, "cursor": f.After}
	if f.Object.Kind != "" {
		words["object"] = f.Object.Kind + " " + f.Object.ID
	}
	if !f.From.IsZero() {
		words["from"] = f.From.UTC().Format(time.RFC3339)
	}
	if !f.Until.IsZero() {
		words["until"] = f.Until.UTC().Format(time.RFC3339)
	}
	maps.DeleteFunc(words, func(_, v string) bool { return v == "" })
	return words
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// Run keeps the log until ctx ends: what Access gathers is written, events
// enter the tree, go to syslog, and lose their payloads when their time has
// come. All that was recorded is in the tree when it returns, but for what
// another node is about to append. It returns nil.
func (s *Service) Run(ctx context.Context) error {
	// The sequencer ends last: it takes in what the others record.
	tree, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var sequencer, rest errgroup.Group
	sequencer.Go(func() error { return s.sequencer.Run(tree) })
	rest.Go(func() error { return s.cfg.Log.Run(ctx) })
	rest.Go(func() error { return s.runEraser(ctx) })
	if s.forwarder != nil {
		rest.Go(func() error { return s.forwarder.run(ctx) })
	}
	err := rest.Wait()
	end()
	return errors.Join(err, sequencer.Wait())
}
