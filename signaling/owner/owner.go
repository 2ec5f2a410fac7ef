// Package owner decides which of several nodes a room lives on, by rows in
// PostgreSQL that all of them share: a node takes a room with its first
// participant and gives it up after its last.
//
// A node holds its rooms by one lease, which it renews every few seconds. A
// node that cannot renew is told that its rooms are lost well before another
// may take them; so no room is ever on two nodes. The database's clock alone
// says when a lease ends for others, and the machine's time since boot when it
// ends for its holder, so that clocks need not agree and a process that was
// stopped meanwhile knows it at once.
//
// It must not know what a room is, nor how nodes reach each other.
package owner

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// Config holds what New needs. Fields without a default are required.
type Config struct {
	DB *sqldb.DB // PostgreSQL
	// Beats is the same database by connections of its own, one is enough: a
	// renewal that waited for those of DB, which all else uses, would come too
	// late, and the rooms were lost.
	Beats *sqldb.DB
	// Address is the host:port by which other nodes reach this one; empty when
	// they cannot.
	Address string

	Every time.Duration // between renewals; 0: 2 s
	Lease time.Duration // without a renewal the node counts as dead after this; 0: 5 s. Rooms are lost a fifth of it before

	Log        *slog.Logger          // nil: discards
	Registerer prometheus.Registerer // nil: no metrics
	// Clock is the time since some moment, and goes on while the machine sleeps;
	// nil: since boot.
	Clock func() time.Duration
}

// Place tells where a room is.
type Place struct {
	// Hold is not nil for a room on this node; whoever got it releases it.
	Hold *Hold
	// Node and Address are those of another node that has the room. Address is
	// empty when that one cannot be reached.
	Node, Address string
}

// Owner is this node's part. Its methods may be called from many goroutines.
type Owner struct {
	// Set at construction.
	cfg     Config
	db      *sqldb.DB
	log     *slog.Logger
	metrics *metrics
	kick    chan struct{} // has room for one; the lease changed
	again   chan struct{} // has room for one; the lease is lost and its rooms are closed

	work sync.WaitGroup // releases under way; Run waits for it

	mu       sync.Mutex
	id       string           // guarded by mu; of the lease; "": none
	before   string           // guarded by mu; the id of the lease that was lost
	until    time.Duration    // guarded by mu; of Clock: the rooms are ours so long
	known    chan struct{}    // guarded by mu; closed while there is a lease
	losing   bool             // guarded by mu; the lost rooms are not closed yet
	draining bool             // guarded by mu
	rooms    map[string]*room // guarded by mu; that are ours or asked about
	holds    int              // guarded by mu; on rooms of this lease
	idle     chan struct{}    // guarded by mu; closed once draining and without holds
}

// room is one room as this node knows it.
type room struct {
	turn chan struct{} // has room for one: whoever may ask the database about it

	// Guarded by Owner.mu.
	refs  int   // those who use it
	holds int   // those who need the room to be ours
	epoch int64 // 0: not ours

	// Guarded by turn.
	other Place         // that had it a moment ago
	asked time.Duration // when that was
}

// Hold keeps a room on this node until it is released or the lease is lost. A
// nil Hold is that of a node that owns all.
type Hold struct {
	owner *Owner
	name  string
	room  *room
	lease string
	once  sync.Once
}

// otherFor is how long an answer about another's room serves those who wait
// for it, too.
const otherFor = 200 * time.Millisecond

// New checks cfg. It starts nothing.
func New(cfg Config) (*Owner, error) {
	if cfg.DB == nil || cfg.DB.Dialect() != sqldb.PostgreSQL {
		return nil, errors.New("owner: Config.DB must be PostgreSQL; on SQLite one node owns all")
	}
	if cfg.Beats == nil || cfg.Beats == cfg.DB {
		return nil, errors.New("owner: Config.Beats must be a pool of its own")
	}
	if cfg.Every <= 0 {
		cfg.Every = 2 * time.Second
	}
	if cfg.Lease <= 0 {
		cfg.Lease = 5 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = sinceBoot
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, fmt.Errorf("owner: %w", err)
	}
	return &Owner{
		cfg: cfg, db: cfg.DB, log: cfg.Log, metrics: m, kick: make(chan struct{}, 1), again: make(chan struct{}, 1),
		known: make(chan struct{}), rooms: make(map[string]*room), idle: make(chan struct{}),
	}, nil
}

// sinceBoot goes on while the machine is suspended, which Go's own monotonic
// time does not.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return time.Duration(time.Now().UnixNano()) // a kernel without it
	}
	return time.Duration(t.Nano())
}

// Run holds the lease until ctx ends, and gives it up then unless rooms are
// still held. lost is called with the rooms of a lease that has ended; it must
// end them, and return soon: others may take them a fifth of a lease later.
func (o *Owner) Run(ctx context.Context, lost func(rooms []string)) error {
	var loops sync.WaitGroup
	loops.Go(func() { o.watch(ctx, lost) })
	loops.Go(func() { o.sweep(ctx) })
	o.renew(ctx)
	loops.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.cfg.Lease)
	defer cancel()
	o.giveUp(last)
	o.work.Wait()
	return nil
}

// renew beats until ctx ends.
func (o *Owner) renew(ctx context.Context) {
	said := false
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-o.again:
		case <-ctx.Done():
			return
		}
		err := o.beat(ctx)
		wait := o.cfg.Every
		if err != nil {
			wait = o.cfg.Every / 8
			o.metrics.failures.Inc()
			if !said && ctx.Err() == nil {
				o.log.WarnContext(ctx, "the lease of this node's meetings is not renewed: the database does not answer", "err", err)
			}
		}
		said = err != nil
		pause.Reset(wait)
	}
}

// beat renews the lease, or begins one.
func (o *Owner) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, o.cfg.Lease/2)
	defer cancel()
	o.mu.Lock()
	id, before, wait := o.id, o.before, o.losing || o.draining
	o.mu.Unlock()
	if wait {
		return nil
	}
	start := o.cfg.Clock() // what the database does comes after
	if id == "" {
		id = rand.Text()
		if err := insertNode(ctx, o.cfg.Beats, id, before, o.cfg.Address, o.cfg.Lease); err != nil {
			return err
		}
		o.mu.Lock()
		o.id, o.before = id, ""
		o.until = start + o.serveFor()
		close(o.known)
		o.mu.Unlock()
		o.log.InfoContext(ctx, "this node takes meetings", "node", id, "address", o.cfg.Address)
		wake(o.kick)
		return nil
	}
	alive, err := renewNode(ctx, o.cfg.Beats, id, o.cfg.Lease)
	if err != nil {
		return err
	}
	o.mu.Lock()
	switch {
	case o.id != id || o.cfg.Clock() >= o.until: // lost meanwhile
	case alive:
		o.until = start + o.serveFor()
	default:
		o.until = 0
	}
	o.mu.Unlock()
	wake(o.kick)
	return nil
}

// serveFor is how long rooms are served after a renewal was begun. The rest of
// the lease is for closing them.
func (o *Owner) serveFor() time.Duration { return o.cfg.Lease - o.cfg.Lease/5 }

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// watch calls lost when the lease has ended.
func (o *Owner) watch(ctx context.Context, lost func([]string)) {
	end := time.NewTimer(o.cfg.Lease)
	defer end.Stop()
	for {
		select {
		case <-end.C:
		case <-o.kick:
		case <-ctx.Done():
			return
		}
		o.mu.Lock()
		left := o.until - o.cfg.Clock()
		o.mu.Unlock()
		if left <= 0 {
			o.lose(ctx, lost)
			left = o.cfg.Lease
		}
		end.Reset(left)
	}
}

func (o *Owner) lose(ctx context.Context, lost func([]string)) {
	o.mu.Lock()
	if o.id == "" {
		o.mu.Unlock()
		return
	}
	var names []string
	for name, r := range o.rooms {
		if r.epoch != 0 {
			names = append(names, name)
		}
	}
	id := o.id
	o.before, o.id, o.losing = id, "", true
	o.rooms = make(map[string]*room) // holds on the others count no more
	o.holds = 0
	o.known = make(chan struct{})
	o.idleLocked()
	o.mu.Unlock()
	o.metrics.owned.Set(0)
	o.metrics.lost.Inc()
	o.log.ErrorContext(ctx, "this node has lost its meetings: it could not renew its lease in time; their people join again elsewhere", "node", id, "rooms", len(names))
	lost(names)
	o.mu.Lock()
	o.losing = false
	o.mu.Unlock()
	wake(o.again)
}

// sweep tidies the tables until ctx ends.
func (o *Owner) sweep(ctx context.Context) {
	tick := time.NewTicker(30 * o.cfg.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := sweep(ctx, o.db); err != nil && ctx.Err() == nil {
			o.log.WarnContext(ctx, "rooms of dead nodes are not tidied away", "err", err)
		}
	}
}

// Held returns a hold on a room that is this node's already, or nil. A nil
// Owner answers nil.
func (o *Owner) Held(name string) *Hold {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.rooms[name]
	if r == nil {
		return nil
	}
	return o.holdLocked(name, r)
}

func (o *Owner) holdLocked(name string, r *room) *Hold {
	if r.epoch == 0 || !o.liveLocked() {
		return nil
	}
	r.refs++
	r.holds++
	o.holds++
	return &Hold{owner: o, name: name, room: r, lease: o.id}
}

func (o *Owner) liveLocked() bool { return o.id != "" && !o.draining && o.cfg.Clock() < o.until }

// Take returns a hold on a room, which becomes this node's unless it is that
// of another one that lives. The error is errcode.Unavailable while the node
// stops or has no lease.
func (o *Owner) Take(ctx context.Context, name string) (Place, error) {
	id, err := o.lease(ctx)
	if err != nil {
		return Place{}, err
	}
	o.mu.Lock()
	r := o.rooms[name]
	if r == nil {
		r = &room{turn: make(chan struct{}, 1)}
		o.rooms[name] = r
	}
	r.refs++
	o.mu.Unlock()
	defer o.unref(name, r)
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return Place{}, unavailable(ctx.Err())
	}
	o.mu.Lock()
	h := o.holdLocked(name, r)
	o.mu.Unlock()
	if h != nil {
		return Place{Hold: h}, nil
	}
	if r.other.Node != "" && o.cfg.Clock()-r.asked < otherFor {
		return r.other, nil
	}
	node, address, err := findRoom(ctx, o.db, name)
	if err != nil {
		return Place{}, unavailable(err)
	}
	if node != "" && node != id {
		r.other, r.asked = Place{Node: node, Address: address}, o.cfg.Clock()
		return r.other, nil
	}
	return o.take(ctx, name, r, id)
}

// take asks for a room that nobody seems to have. r's turn is the caller's.
func (o *Owner) take(ctx context.Context, name string, r *room, id string) (Place, error) {
	r.other = Place{}
	c, err := takeRoom(ctx, o.db, name, id)
	if err != nil {
		return Place{}, unavailable(err)
	}
	if c.epoch == 0 {
		return Place{Node: c.node, Address: c.address}, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.id != id || !o.liveLocked() {
		return Place{}, unavailable(errors.New("owner: the lease ended while the room was taken"))
	}
	r.epoch = c.epoch
	o.metrics.owned.Inc()
	if c.node != "" {
		o.metrics.takeovers.Inc()
		o.log.WarnContext(ctx, "a meeting's node is dead; this one takes the room", "room", name, "epoch", c.epoch, "from", c.node)
	}
	return Place{Hold: o.holdLocked(name, r)}, nil
}

func unavailable(err error) error {
	return errcode.Wrap(err, errcode.Unavailable, "which server this meeting runs on is not known at the moment; try again in a few seconds")
}

// lease returns the lease's id. It waits for one, but not for a database that is
// away.
func (o *Owner) lease(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, o.cfg.Every)
	defer cancel()
	for {
		o.mu.Lock()
		id, known, draining := o.id, o.known, o.draining
		live := o.liveLocked()
		o.mu.Unlock()
		switch {
		case draining:
			return "", errcode.New(errcode.Unavailable, "the server is stopping; try again in a few seconds")
		case live:
			return id, nil
		case id != "":
			return "", unavailable(errors.New("owner: the lease has ended"))
		}
		select {
		case <-known:
		case <-ctx.Done():
			return "", unavailable(ctx.Err())
		}
	}
}

// Find tells where a room is without taking it; the Place is empty for a room
// that nobody has. A hold on a room of this node comes with it, as from Held.
func (o *Owner) Find(ctx context.Context, name string) (Place, error) {
	if h := o.Held(name); h != nil {
		return Place{Hold: h}, nil
	}
	node, address, err := findRoom(ctx, o.db, name)
	if err != nil {
		return Place{}, unavailable(err)
	}
	o.mu.Lock()
	own := node == o.id
	o.mu.Unlock()
	if own { // given up a moment ago, or not ours yet
		return Place{}, nil
	}
	return Place{Node: node, Address: address}, nil
}

// Others returns the addresses of the other nodes that live, by their ids.
func (o *Owner) Others(ctx context.Context) (map[string]string, error) {
	nodes, err := listNodes(ctx, o.db)
	if err != nil {
		return nil, unavailable(err)
	}
	o.mu.Lock()
	delete(nodes, o.id)
	o.mu.Unlock()
	return nodes, nil
}

// Valid tells whether the room is still this node's.
func (h *Hold) Valid() bool {
	if h == nil {
		return true
	}
	o := h.owner
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.id == h.lease && o.cfg.Clock() < o.until
}

// Node is the id that the node has for others; empty for a nil Hold.
func (h *Hold) Node() string {
	if h == nil {
		return ""
	}
	return h.lease
}

// Release ends the hold. The last one of a room gives it up, soon after. It
// does not block, and a second call does nothing.
func (h *Hold) Release() {
	if h == nil {
		return
	}
	h.once.Do(func() { h.owner.release(h) })
}

func (o *Owner) release(h *Hold) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := h.room
	if o.id != h.lease {
		return // the room was lost, and r with it
	}
	r.holds--
	o.holds--
	o.idleLocked()
	if r.holds > 0 || o.draining {
		o.unrefLocked(h.name, r)
		return
	}
	o.work.Go(func() { // with h's reference
		defer o.unref(h.name, r)
		o.leave(h.name, r, h.lease)
	})
}

// leave gives up a room that nobody holds any more.
func (o *Owner) leave(name string, r *room, id string) {
	r.turn <- struct{}{} // those before us have bounded waits
	defer func() { <-r.turn }()
	o.mu.Lock()
	epoch := r.epoch
	if r.holds > 0 || epoch == 0 || o.id != id || o.draining {
		o.mu.Unlock()
		return
	}
	r.epoch = 0
	o.mu.Unlock()
	o.metrics.owned.Dec()
	ctx, cancel := context.WithTimeout(context.Background(), o.cfg.Lease)
	defer cancel()
	if err := leaveRoom(ctx, o.db, name, id, epoch); err != nil {
		// The row goes on to say that it is ours, which whoever asks us for the
		// room finds true.
		o.log.Warn("an empty room was not given up", "room", name, "err", err)
	}
}

func (o *Owner) unref(name string, r *room) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.unrefLocked(name, r)
}

func (o *Owner) unrefLocked(name string, r *room) {
	r.refs--
	if r.refs == 0 && r.epoch == 0 && o.rooms[name] == r {
		delete(o.rooms, name)
	}
}

func (o *Owner) idleLocked() {
	if !o.draining || o.holds > 0 {
		return
	}
	select {
	case <-o.idle:
	default:
		close(o.idle)
	}
}

// Drain lets no room be taken any more, waits until nobody holds one, and
// gives all of them up at once, so that other nodes may take them. It returns
// when that is done or ctx ends.
func (o *Owner) Drain(ctx context.Context) {
	o.mu.Lock()
	o.draining = true
	o.idleLocked()
	o.mu.Unlock()
	select {
	case <-o.idle:
		o.giveUp(ctx)
	case <-ctx.Done():
	}
}

// giveUp ends the lease unless rooms are held.
func (o *Owner) giveUp(ctx context.Context) {
	o.mu.Lock()
	id, held := o.id, o.holds
	o.draining = true
	if held == 0 {
		o.id, o.before = "", ""
		o.rooms = make(map[string]*room)
	}
	o.mu.Unlock()
	if id == "" || held > 0 {
		return // others wait for the end of the lease
	}
	o.metrics.owned.Set(0)
	if err := deleteNode(ctx, o.cfg.Beats, id); err != nil {
		o.log.WarnContext(ctx, "this node's meetings were not given up; other nodes take them when its lease has ended", "err", err)
	}
}
