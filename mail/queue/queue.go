// Package queue holds mail for outside until another server has taken each
// recipient, with retries, and tells the sender when it gives up. Items are
// leased in SQL, so that any number of nodes work on one queue and a node's
// death only delays.
//
// It must not know who may send: what is enqueued has been checked.
//
// RFC 5321 (sections 4.5.4 on retries, 5.1 on finding hosts), RFC 3464 (delivery
// status), RFC 7505 (null MX), RFC 3207 (STARTTLS, here opportunistic: no
// certificate is demanded until MTA-STS or DANE says so).
package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"commsd/identity"
	"commsd/internal/blob"
	"commsd/internal/sqldb"
	"commsd/mail/route"
	"commsd/mail/store"
)

// Resolver finds the hosts of a domain; *net.Resolver is one.
type Resolver interface {
	LookupMX(ctx context.Context, domain string) ([]*net.MX, error)
	LookupHost(ctx context.Context, host string) ([]string, error)
}

// Config holds what New needs. Fields that say a default may be left out.
type Config struct {
	DB         *sqldb.DB
	Store      *store.Store
	Directory  route.Directory
	Hostname   string // what we call ourselves
	Log        *slog.Logger
	Registerer prometheus.Registerer // default: none

	// Smarthost, host:port, takes all mail; empty: each domain's MX.
	Smarthost string
	// Hold keeps mail here, to be shown and never sent.
	Hold bool

	Lifetime time.Duration // how long an item is tried, default 5 days
	KeepDone time.Duration // how long what came of an item is kept, default 7 days
	Workers  int           // items worked on at once, default 4
	Poll     time.Duration // how often SQL is looked at, default 5 s
	Lease    time.Duration // default 15 min; an attempt ends well before
	Grace    time.Duration // for attempts under way when Run ends, default 3 s

	Now      func() time.Time                                                     // default time.Now
	Jitter   func() float64                                                       // in [0,1), default random
	Resolver Resolver                                                             // default the system's
	Dial     func(ctx context.Context, network, address string) (net.Conn, error) // default net.Dialer's
	MXPort   string                                                               // default "25"
}

func (c *Config) fill() error {
	if c.DB == nil || c.Store == nil || c.Directory == nil || c.Hostname == "" || c.Log == nil {
		return errors.New("queue: DB, Store, Directory, Hostname and Log are required")
	}
	if c.Lifetime == 0 {
		c.Lifetime = 5 * 24 * time.Hour
	}
	if c.KeepDone == 0 {
		c.KeepDone = 7 * 24 * time.Hour
	}
	if c.Workers == 0 {
		c.Workers = 4
	}
	if c.Poll == 0 {
		c.Poll = 5 * time.Second
	}
	if c.Lease == 0 {
		c.Lease = 15 * time.Minute
	}
	if c.Grace == 0 {
		c.Grace = 3 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Jitter == nil {
		c.Jitter = rand.Float64
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: 30 * time.Second}).DialContext
	}
	if c.MXPort == "" {
		c.MXPort = "25"
	}
	return nil
}

// Queue is safe for use by many goroutines.
type Queue struct {
	// set at construction
	cfg      Config
	node     string // names this process's leases
	wake     chan struct{}
	attempts *prometheus.CounterVec // of recipients, by outcome
	panics   prometheus.Counter
}

// New validates cfg and starts nothing.
func New(cfg Config) (*Queue, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	node, err := uuid.NewRandom()
	if err != nil {
		return nil, fmt.Errorf("queue: name the node: %w", err)
	}
	q := &Queue{
		cfg: cfg, node: node.String(), wake: make(chan struct{}, 1),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "commsd_mailqueue_recipients_total", Help: "Recipients tried, by outcome: sent, failed, again."}, []string{"outcome"}),
		panics:   prometheus.NewCounter(prometheus.CounterOpts{Name: "commsd_mailqueue_panics_total", Help: "Panics in the work on an item: one domain's turn, or the noting of what came of it."}),
	}
	if cfg.Registerer != nil {
		for _, c := range []prometheus.Collector{q.attempts, q.panics} {
			if err := cfg.Registerer.Register(c); err != nil {
				return nil, fmt.Errorf("queue: register metrics: %w", err)
			}
		}
	}
	return q, nil
}

// Item is a message for recipients outside.
type Item struct {
	Sender   identity.PersonID
	Agency   identity.AgencyID // whose blobs hold the content
	MailFrom string            // normalised; "" is the null sender
	To       []string          // normalised
	Trace    []byte            // header lines to send before the content
	Content  *store.Content
}

// Enqueue adds an item in the caller's transaction.
func (q *Queue) Enqueue(ctx context.Context, tx *sqldb.Tx, it Item) error {
	if len(it.To) == 0 {
		return errors.New("queue: an item without recipients")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("queue: make an id: %w", err)
	}
	inline, ref, err := it.Content.Location(it.Agency)
	if err != nil {
		return err
	}
	var body any
	if ref.SHA256 == "" {
		body = append([]byte{}, inline...)
	}
	state := "active"
	if q.cfg.Hold {
		state = "held"
	}
	now := q.cfg.Now()
	_, err = tx.Exec(ctx, `INSERT INTO mail_queue (id, sender, mail_from, subject, trace, body, blob_agency, blob_sha256, body_size,
			state, attempts, next_at, expires_at, leased_until, lease_owner, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11, $12, 0, '', $11)`,
		id.String(), string(it.Sender), it.MailFrom, it.Content.Message.Envelope.Subject, append([]byte{}, it.Trace...), body, ref.Agency, ref.SHA256, it.Content.Size,
		state, now.UnixMicro(), now.Add(q.cfg.Lifetime).UnixMicro())
	if err != nil {
		return fmt.Errorf("queue: add: %w", err)
	}
	for _, to := range it.To {
		_, err := tx.Exec(ctx, `INSERT INTO mail_queue_recipient (queue_id, recipient, state, code, enhanced, answer, remote, changed_at)
			VALUES ($1, $2, 'pending', 0, '', '', '', $3) ON CONFLICT DO NOTHING`, id.String(), to, now.UnixMicro())
		if err != nil {
			return fmt.Errorf("queue: add recipient: %w", err)
		}
	}
	tx.AfterCommit(q.Wake)
	return nil
}

// Wake has Run look at the queue at once.
func (q *Queue) Wake() {
	select {
	case q.wake <- struct{}{}:
	default: // it is about to
	}
}

// Run works on the queue until ctx ends. Attempts under way have Grace to end;
// then they are cut short, and what they came to is noted all the same.
func (q *Queue) Run(ctx context.Context) error {
	if q.cfg.Hold {
		<-ctx.Done()
		return nil
	}
	attempts, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var running sync.WaitGroup
	busy := make(chan struct{}, q.cfg.Workers)
	ticker := time.NewTicker(q.cfg.Poll)
	defer ticker.Stop()
	for ctx.Err() == nil {
		var items []work
		var err error
		if free := cap(busy) - len(busy); free > 0 {
			items, err = q.claim(ctx, free)
		}
		if err != nil && ctx.Err() == nil {
			q.cfg.Log.ErrorContext(ctx, "the mail queue could not be worked on", "err", err)
		}
		for _, it := range items {
			busy <- struct{}{} // there is room: nobody else puts in
			running.Add(1)
			go func() {
				defer running.Done()
				q.attempt(attempts, it)
				<-busy
				q.Wake() // there may be more
			}()
		}
		select {
		case <-ctx.Done():
		case <-q.wake:
		case <-ticker.C:
		}
	}
	timer := time.AfterFunc(q.cfg.Grace, cut)
	defer timer.Stop()
	running.Wait()
	return nil
}

// errDefect says that something panicked.
var errDefect = errors.New("queue: a defect")

// guard runs fn. A panic in it ends no more than fn, is logged, and comes back
// as errDefect.
func (q *Queue) guard(item string, fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			q.panics.Inc()
			q.cfg.Log.Error("panic at an item of the mail queue", "item", item, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = errDefect
		}
	}()
	return fn()
}

// work is an item under lease.
type work struct {
	id       string
	sender   identity.PersonID
	mailFrom string
	trace    []byte
	body     []byte
	ref      blob.Ref
	size     int64
	attempts int
	created  time.Time
	expires  time.Time
	to       []result // pending, as they stand; those longest without a try come first
}

const dueQuery = `SELECT id, sender, mail_from, trace, body, blob_agency, blob_sha256, body_size, attempts, created_at, expires_at
	FROM mail_queue WHERE state = 'active' AND next_at <= $1 AND leased_until <= $1 ORDER BY next_at LIMIT $2`

// claim leases at most n due items. Two nodes never get the same one.
func (q *Queue) claim(ctx context.Context, n int) ([]work, error) {
	var items []work
	err := q.cfg.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		items = nil
		now := q.cfg.Now()
		lock := tx.ForUpdate()
		if lock != "" {
			lock += " SKIP LOCKED" // what another node is leasing is no longer due
		}
		rows, err := tx.Query(ctx, dueQuery+lock, now.UnixMicro(), n)
		if err != nil {
			return err
		}
		for rows.Next() {
			it := work{ref: blob.Ref{Namespace: store.Namespace}}
			var created, expires int64
			if err := rows.Scan(&it.id, &it.sender, &it.mailFrom, &it.trace, &it.body, &it.ref.Agency, &it.ref.SHA256, &it.size, &it.attempts, &created, &expires); err != nil {
				rows.Close()
				return err
			}
			it.ref.Size = it.size
			it.created, it.expires = time.UnixMicro(created), time.UnixMicro(expires)
			items = append(items, it)
		}
		rows.Close()
		if err := rows.Err(); err != nil {
			return err
		}
		for i := range items {
			if _, err := tx.Exec(ctx, `UPDATE mail_queue SET leased_until = $1, lease_owner = $2 WHERE id = $3`,
				now.Add(q.cfg.Lease).UnixMicro(), q.node, items[i].id); err != nil {
				return err
			}
			if items[i].to, err = pending(ctx, tx, items[i].id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("queue: lease: %w", err)
	}
	return items, nil
}

const pendingQuery = `SELECT recipient, code, enhanced, answer, remote FROM mail_queue_recipient
	WHERE queue_id = $1 AND state = 'pending' ORDER BY changed_at, recipient`

func pending(ctx context.Context, tx *sqldb.Tx, id string) ([]result, error) {
	rows, err := tx.Query(ctx, pendingQuery, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []result
	for rows.Next() {
		r := result{state: Pending}
		if err := rows.Scan(&r.recipient, &r.code, &r.enhanced, &r.answer, &r.remote); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// backoff is how long to wait after the n-th attempt (from 1): a minute,
// doubling to four hours, a fifth more or less so that items part.
func (q *Queue) backoff(n int) time.Duration {
	d := time.Minute << min(n-1, 8)
	d = min(d, 4*time.Hour)
	return time.Duration(float64(d) * (0.8 + 0.4*q.cfg.Jitter()))
}
