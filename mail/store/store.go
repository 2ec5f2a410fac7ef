// Package store keeps mailboxes and messages: rows in SQL, bytes of more than
// 32 KiB in blobs. It gives every message of a mailbox a UID and every change
// of a store a modseq, in the transaction that makes the change, and tells
// those who watch a store, on every node, that it has changed.
//
// It must not know SMTP, IMAP or HTTP, nor who may do what: callers have
// checked that a store is the caller's own.
//
// UIDs and UIDVALIDITY: RFC 9051, section 2.3.1. Modseq: RFC 7162.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"commsd/identity"
	"commsd/internal/blob"
	"commsd/internal/bus"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// Namespace is mail's own in the blob store.
const Namespace = "mail"

// InlineLimit is the largest body that is kept in SQL, in bytes.
const InlineLimit = 32 << 10

// topic carries the ids of stores that have changed.
const topic = "mail.store"

// Config holds what New needs. Registerer, Now and Changed may be nil.
type Config struct {
	DB         *sqldb.DB
	Blobs      blob.Store
	Bus        bus.Bus
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time

	MaxMailboxes int // of one store; 0: 1000

	// Changed is called after a commit on the node that made the change, outside
	// of the transaction. It must not block.
	Changed func(Change)
}

// Change says that something in a person's store is new.
type Change struct {
	Store   ID
	Owner   identity.PersonID
	Arrived bool // mail was delivered, rather than moved or marked
}

// ID names one person's store.
type ID string

// Store is safe for use by many goroutines.
type Store struct {
	// set at construction
	db       *sqldb.DB
	blobs    blob.Store
	bus      bus.Bus
	log      *slog.Logger
	now      func() time.Time
	onChange func(Change)

	maxMailboxes int
	arrived      prometheus.Counter

	mu       sync.Mutex
	watchers map[ID]map[*Watch]struct{} // guarded by mu
}

// New validates cfg and starts nothing.
func New(cfg Config) (*Store, error) {
	if cfg.DB == nil || cfg.Blobs == nil || cfg.Bus == nil || cfg.Log == nil {
		return nil, errors.New("store: DB, Blobs, Bus and Log are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxMailboxes <= 0 {
		cfg.MaxMailboxes = 1000
	}
	if cfg.Changed == nil {
		cfg.Changed = func(Change) {}
	}
	s := &Store{
		db: cfg.DB, blobs: cfg.Blobs, bus: cfg.Bus, log: cfg.Log, now: cfg.Now, onChange: cfg.Changed, maxMailboxes: cfg.MaxMailboxes,
		arrived:  prometheus.NewCounter(prometheus.CounterOpts{Name: "commsd_mail_messages_delivered_total", Help: "Messages put into mailboxes, one for each recipient."}),
		watchers: map[ID]map[*Watch]struct{}{},
	}
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(s.arrived); err != nil {
			return nil, fmt.Errorf("store: register metrics: %w", err)
		}
	}
	return s, nil
}

// Run passes the changes that other nodes make on to this node's watchers
// until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	sub, err := s.bus.Subscribe(topic)
	if err != nil {
		return fmt.Errorf("store: subscribe: %w", err)
	}
	defer sub.Close()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-sub.C:
			switch {
			case !ok:
				return nil
			case e.Gap:
				s.wakeAll()
			default:
				s.wake(ID(e.Payload))
			}
		}
	}
}

// Watch tells of changes to one store.
type Watch struct {
	// C gets a value after one or more changes; the receiver reads what is new
	// from SQL. It is a hint: look at SQL now and then without one too.
	C <-chan struct{}

	c     chan struct{}
	store *Store
	id    ID
}

// Watch begins to watch a store. The caller closes it.
func (s *Store) Watch(id ID) *Watch {
	c := make(chan struct{}, 1)
	w := &Watch{C: c, c: c, store: s, id: id}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchers[id] == nil {
		s.watchers[id] = map[*Watch]struct{}{}
	}
	s.watchers[id][w] = struct{}{}
	return w
}

// Close ends the watch.
func (w *Watch) Close() {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	delete(w.store.watchers[w.id], w)
	if len(w.store.watchers[w.id]) == 0 {
		delete(w.store.watchers, w.id)
	}
}

func (s *Store) wake(id ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.watchers[id] {
		w.nudge()
	}
}

func (s *Store) wakeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ws := range s.watchers {
		for w := range ws {
			w.nudge()
		}
	}
}

func (w *Watch) nudge() {
	select {
	case w.c <- struct{}{}:
	default: // one waits already
	}
}

// announce has the change told once tx is durable.
func (s *Store) announce(ctx context.Context, tx *sqldb.Tx, c Change) {
	tx.AfterCommit(func() {
		s.wake(c.Store)
		if err := s.bus.Publish(context.WithoutCancel(ctx), topic, []byte(c.Store)); err != nil {
			s.log.WarnContext(ctx, "other nodes were not told of a change in a mail store", "store", c.Store, "err", err)
		}
		s.onChange(c)
	})
}

// Open returns the store of a person, and makes it with its mailboxes at first
// use. agency is the person's; "" for people of none.
func (s *Store) Open(ctx context.Context, owner identity.PersonID, agency identity.AgencyID) (ID, error) {
	if owner == "" {
		return "", errcode.New(errcode.NotFound, "this account has no mailbox")
	}
	var id ID
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT id FROM mail_store WHERE owner = $1`, string(owner)).Scan(&id)
	})
	if err == nil {
		return id, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("store: open: %w", err)
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		id, err = s.ensure(ctx, tx, owner, agency)
		return err
	})
	return id, err
}

// ensure finds or makes the store of owner.
func (s *Store) ensure(ctx context.Context, tx *sqldb.Tx, owner identity.PersonID, agency identity.AgencyID) (ID, error) {
	var id ID
	err := tx.QueryRow(ctx, `SELECT id FROM mail_store WHERE owner = $1`, string(owner)).Scan(&id)
	if err == nil {
		return id, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("store: find: %w", err)
	}
	fresh, err := newID()
	if err != nil {
		return "", err
	}
	now := s.now()
	// Two nodes may meet here; the second waits, changes nothing, and reads.
	res, err := tx.Exec(ctx, `INSERT INTO mail_store (id, owner, agency, modseq, history_floor, used_bytes, created_at)
		VALUES ($1, $2, $3, 1, 0, 0, $4) ON CONFLICT (owner) DO NOTHING`, fresh, string(owner), blobAgency(agency), now.UnixMicro())
	if err != nil {
		return "", fmt.Errorf("store: make: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil {
		return "", fmt.Errorf("store: make: %w", err)
	} else if n == 0 {
		err := tx.QueryRow(ctx, `SELECT id FROM mail_store WHERE owner = $1`, string(owner)).Scan(&id)
		return id, err
	}
	id = ID(fresh)
	for _, box := range defaults {
		if _, err := s.insertMailbox(ctx, tx, id, box.name, box.role); err != nil {
			return "", err
		}
	}
	return id, nil
}

// nextModseq numbers the change that tx is about to make. It locks the store's
// row, so that changes of one store are committed in the order of their numbers.
func nextModseq(ctx context.Context, tx *sqldb.Tx, id ID) (modseq int64, owner identity.PersonID, err error) {
	err = tx.QueryRow(ctx, `UPDATE mail_store SET modseq = modseq + 1 WHERE id = $1 RETURNING modseq, owner`, string(id)).Scan(&modseq, &owner)
	if err != nil {
		return 0, "", fmt.Errorf("store: number the change: %w", err)
	}
	return modseq, owner, nil
}

// blobAgency is the agency part of a blob's name.
func blobAgency(a identity.AgencyID) string {
	if a == "" {
		return "installation"
	}
	return string(a)
}

func newID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("store: make an id: %w", err)
	}
	return id.String(), nil
}
