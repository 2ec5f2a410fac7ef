package owner_test

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the raw connections of tests
	"github.com/prometheus/client_golang/prometheus"

	"commsd/internal/errcode"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
	"commsd/internal/testengine"
	"commsd/signaling/owner"
)

// lease is long enough for a busy machine, and short enough to wait for.
const lease = 4 * time.Second

// node is one owner that runs.
type node struct {
	*owner.Owner
	t     *testing.T
	db    *sqldb.DB
	reg   *prometheus.Registry
	ahead atomic.Int64 // of the clock, in ns
	lost  chan lostLease
	end   func() // ends Run
}

// lostLease is what lost was called with, and when.
type lostLease struct {
	rooms []string
	at    time.Time
}

func start(t *testing.T, cfg sqldb.Config, address string) *node {
	t.Helper()
	n := &node{t: t, db: sqldbtest.Open(t, cfg), reg: prometheus.NewRegistry(), lost: make(chan lostLease, 8)}
	begin := time.Now()
	var err error
	n.Owner, err = owner.New(owner.Config{
		DB: n.db, Beats: beats(t, cfg), Address: address, Every: lease / 8, Lease: lease, Registerer: n.reg,
		Clock: func() time.Duration { return time.Since(begin) + time.Duration(n.ahead.Load()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- n.Run(ctx, func(rooms []string) {
			slices.Sort(rooms)
			n.lost <- lostLease{rooms, time.Now()}
		})
	}()
	var once sync.Once
	n.end = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-ended:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(20 * time.Second):
				t.Error("Run does not end")
			}
		})
	}
	t.Cleanup(n.end)
	return n
}

// beats is what a lease of the database is renewed by.
func beats(t *testing.T, cfg sqldb.Config) *sqldb.DB {
	t.Helper()
	cfg.MaxConns, cfg.Beside = 1, true
	return sqldbtest.Open(t, cfg)
}

func ctx(t *testing.T) context.Context {
	t.Helper()
	c, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return c
}

// take makes room n's.
func (n *node) take(room string) *owner.Hold {
	n.t.Helper()
	p, err := n.Take(ctx(n.t), room)
	if err != nil {
		n.t.Fatal(err)
	}
	if p.Hold == nil {
		n.t.Fatalf("%s is at %s", room, p.Address)
	}
	n.t.Cleanup(p.Hold.Release)
	return p.Hold
}

// soon takes room as soon as it can be had.
func (n *node) soon(room string) *owner.Hold {
	n.t.Helper()
	c := ctx(n.t)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		p, err := n.Take(c, room)
		if err != nil && errcode.Of(err) != errcode.Unavailable {
			n.t.Fatal(err)
		}
		if p.Hold != nil {
			n.t.Cleanup(p.Hold.Release)
			return p.Hold
		}
		select {
		case <-again.C:
		case <-c.Done():
			n.t.Fatalf("%s stays at %q: %v", room, p.Address, err)
		}
	}
}

// elsewhere checks that room is at another node.
func (n *node) elsewhere(room, address string) {
	n.t.Helper()
	for what, find := range map[string]func(context.Context, string) (owner.Place, error){"Take": n.Take, "Find": n.Find} {
		p, err := find(ctx(n.t), room)
		if err != nil || p.Hold != nil || p.Node == "" || p.Address != address {
			n.t.Fatalf("%s: %+v, %v; want %s", what, p, err, address)
		}
	}
}

// awaitLost waits for the loss of a lease and tells when it was.
func (n *node) awaitLost(want ...string) time.Time {
	n.t.Helper()
	select {
	case got := <-n.lost:
		if !slices.Equal(got.rooms, want) {
			n.t.Errorf("lost %q, want %q", got.rooms, want)
		}
		return got.at
	case <-time.After(20 * time.Second):
		n.t.Fatal("the lease is not lost")
		return time.Time{}
	}
}

func raw(t *testing.T, cfg sqldb.Config) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", cfg.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func row(t *testing.T, db *sql.DB, room string) (node string, epoch int64) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), `SELECT node, epoch FROM signaling_rooms WHERE room = $1`, room).Scan(&node, &epoch); err != nil {
		t.Fatal(err)
	}
	return node, epoch
}

// metric reads a metric without labels.
func (n *node) metric(name string) float64 {
	n.t.Helper()
	families, err := n.reg.Gather()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	n.t.Fatalf("no metric %s", name)
	return 0
}

// TestRoomHasOneOwner: whoever comes first has it until the last hold ends, and
// each taking raises the epoch.
func TestRoomHasOneOwner(t *testing.T) {
	cfg := sqldbtest.PostgreSQL(t)
	db := raw(t, cfg)
	a, b := start(t, cfg, "a:1"), start(t, cfg, "b:1")
	first, second := a.take("r"), a.take("r")
	b.elsewhere("r", "a:1")
	if h := b.Held("r"); h != nil {
		t.Error("the other node has a hold")
	}
	if p, err := b.Find(ctx(t), "nowhere"); err != nil || p != (owner.Place{}) {
		t.Errorf("a room of nobody: %+v, %v", p, err)
	}
	if got := a.metric("commsd_signaling_rooms_owned"); got != 1 {
		t.Errorf("rooms owned: %v", got)
	}
	first.Release()
	first.Release() // counts once
	b.elsewhere("r", "a:1")
	_, epoch := row(t, db, "r")
	second.Release()
	b.soon("r")
	if _, now := row(t, db, "r"); now != epoch+1 {
		t.Errorf("epoch %d after %d", now, epoch)
	}
	a.elsewhere("r", "b:1")
	if got := a.metric("commsd_signaling_rooms_owned"); got != 0 {
		t.Errorf("rooms owned: %v", got)
	}
	if got := b.metric("commsd_signaling_takeovers_total"); got != 0 {
		t.Errorf("takeovers of a room that was given up: %v", got)
	}
}

// TestHoldsNeverOverlap: three nodes take and release one room as fast as they
// can; holds that are valid at the same time are of one node.
func TestHoldsNeverOverlap(t *testing.T) {
	cfg := sqldbtest.PostgreSQL(t)
	var mu sync.Mutex
	var holder string
	holds, changes := 0, 0
	var workers sync.WaitGroup
	until := time.Now().Add(3 * time.Second)
	for _, name := range []string{"a", "b", "c"} {
		n := start(t, cfg, name+":1")
		for range 3 {
			workers.Go(func() {
				for time.Now().Before(until) {
					p, err := n.Take(ctx(t), "r")
					if err != nil {
						t.Error(err)
						return
					}
					if p.Hold == nil {
						continue
					}
					mu.Lock()
					if holds > 0 && holder != name {
						t.Errorf("%s has a room that %s holds", name, holder)
					}
					if holder != name {
						changes++
					}
					holder = name
					holds++
					mu.Unlock()
					mu.Lock()
					holds--
					mu.Unlock()
					p.Hold.Release()
				}
			})
		}
	}
	workers.Wait()
	if changes < 3 {
		t.Errorf("the room moved %d times: nothing was tried", changes)
	}
}

// TestDeadNodesRoomsAreTaken: not before its lease ends, and then at once.
func TestDeadNodesRoomsAreTaken(t *testing.T) {
	cfg := sqldbtest.PostgreSQL(t)
	db := raw(t, cfg)
	a, b := start(t, cfg, "a:1"), start(t, cfg, "b:1")
	a.take("r")
	_, epoch := row(t, db, "r")
	a.end() // it holds a room, so it keeps its lease to the end
	b.elsewhere("r", "a:1")
	b.soon("r")
	if _, now := row(t, db, "r"); now != epoch+1 {
		t.Errorf("epoch %d after %d", now, epoch)
	}
	if got := b.metric("commsd_signaling_takeovers_total"); got != 1 {
		t.Errorf("takeovers: %v", got)
	}
}

// TestStoppedProcessKnows: a process that stood still for longer than its lease
// has no valid hold from the first moment on, whatever its timers do.
func TestStoppedProcessKnows(t *testing.T) {
	a := start(t, sqldbtest.PostgreSQL(t), "a:1")
	h := a.take("r")
	if !h.Valid() {
		t.Fatal("a fresh hold is not valid")
	}
	a.ahead.Store(int64(time.Hour))
	if h.Valid() || a.Held("r") != nil {
		t.Error("it goes on as if nothing had been")
	}
	a.awaitLost("r")
	again := a.soon("r") // with a new lease
	if h.Valid() || !again.Valid() {
		t.Errorf("valid: the old hold %v, the new one %v", h.Valid(), again.Valid())
	}
	h.Release() // of the lease before: takes nothing from the new one
	if a.Held("r") == nil {
		t.Error("an old hold's release gave up the room")
	}
}

// TestSplitNodeLosesFirst: a node that the database does not hear has given up
// its rooms before another gets one, and comes back with a lease of its own.
func TestSplitNodeLosesFirst(t *testing.T) {
	cfg := sqldbtest.PostgreSQL(t)
	wire, url := testengine.NewWire(t, cfg.URL)
	a, b := start(t, sqldb.Config{URL: url, DataDir: t.TempDir()}, "a:1"), start(t, cfg, "b:1")
	h := a.take("r")
	a.take("s")
	b.elsewhere("r", "a:1")
	wire.Stall()
	b.soon("r")
	took := time.Now()
	if h.Valid() {
		t.Error("another has the room, and its owner holds it")
	}
	if before := took.Sub(a.awaitLost("r", "s")); before <= 0 {
		t.Errorf("the rooms were lost %v before another had one", before)
	}
	if _, err := a.Take(shortly(t), "r"); errcode.Of(err) != errcode.Unavailable {
		t.Errorf("a node without a lease takes rooms: %v", err)
	}
	wire.Resume()
	a.soon("s")
	a.elsewhere("r", "b:1")
}

func shortly(t *testing.T) context.Context {
	t.Helper()
	c, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	t.Cleanup(cancel)
	return c
}

// TestLeaseThatEndedStaysSo: no renewal revives it.
func TestLeaseThatEndedStaysSo(t *testing.T) {
	cfg := sqldbtest.PostgreSQL(t)
	db := raw(t, cfg)
	a := start(t, cfg, "a:1")
	a.take("r")
	was, epoch := row(t, db, "r")
	if _, err := db.ExecContext(t.Context(), `UPDATE signaling_nodes SET expires_at = 1`); err != nil {
		t.Fatal(err)
	}
	a.awaitLost("r")
	a.soon("r")
	if is, now := row(t, db, "r"); is == was || now != epoch+1 {
		t.Errorf("%s with epoch %d after %s with %d", is, now, was, epoch)
	}
	if got := a.metric("commsd_signaling_leases_lost_total"); got != 1 {
		t.Errorf("leases lost: %v", got)
	}
}

// TestTakingWaitsForARenewal: one that is under way when the lease seems to
// have ended counts.
func TestTakingWaitsForARenewal(t *testing.T) {
	cfg := sqldbtest.PostgreSQL(t)
	db := raw(t, cfg)
	b := start(t, cfg, "b:1")
	b.take("other") // it runs
	const now = `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`
	for _, q := range []string{
		`INSERT INTO signaling_nodes (id, address, expires_at) VALUES ('A', 'a:1', 1)`,
		`INSERT INTO signaling_rooms (room, node, epoch, left_at) VALUES ('r', 'A', 7, 0)`,
	} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	renewal, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = renewal.Rollback() }() // fails after the commit
	// It was in time, and is slow.
	if _, err := renewal.ExecContext(t.Context(), `UPDATE signaling_nodes SET expires_at = `+now+` + 60000000 WHERE id = 'A'`); err != nil {
		t.Fatal(err)
	}
	await := func(what, query string) {
		t.Helper()
		again := time.NewTicker(10 * time.Millisecond)
		defer again.Stop()
		for c := ctx(t); ; {
			var yes bool
			if err := db.QueryRowContext(c, query).Scan(&yes); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if yes {
				return
			}
			<-again.C
		}
	}
	type answer struct {
		place owner.Place
		err   error
	}
	got := make(chan answer, 1)
	go func() {
		p, err := b.Take(ctx(t), "r")
		got <- answer{p, err}
	}()
	await("the taking to wait", `SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'DELETE FROM signaling_nodes%')`)
	if err := renewal.Commit(); err != nil {
		t.Fatal(err)
	}
	a := <-got
	if a.err != nil || a.place.Hold != nil || a.place.Address != "a:1" {
		t.Errorf("a living node's room was taken: %+v, %v", a.place, a.err)
	}
}

// TestStaleOwnerWritesNothing: what it gives up late is not its own any more.
func TestStaleOwnerWritesNothing(t *testing.T) {
	cfg := sqldbtest.PostgreSQL(t)
	db := raw(t, cfg)
	a := start(t, cfg, "a:1")
	a.take("r").Release()
	a.soon("r")
	id, epoch := row(t, db, "r")
	stale := sqldbtest.Open(t, cfg)
	if err := errors.Join(owner.LeaveRoom(ctx(t), stale, "r", id, epoch-1), owner.LeaveRoom(ctx(t), stale, "r", "another", epoch)); err != nil {
		t.Fatal(err)
	}
	if is, now := row(t, db, "r"); is != id || now != epoch {
		t.Errorf("the row says %q, %d; want %q, %d", is, now, id, epoch)
	}
}

// TestDrainGivesUpAtOnce: once nobody holds a room, and not before.
func TestDrainGivesUpAtOnce(t *testing.T) {
	cfg := sqldbtest.PostgreSQL(t)
	a, b := start(t, cfg, "a:1"), start(t, cfg, "b:1")
	h := a.take("r")
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		a.Drain(ctx(t))
	}()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for { // until it has begun
		p, err := a.Take(ctx(t), "s")
		if errcode.Of(err) == errcode.Unavailable {
			break
		}
		p.Hold.Release()
		<-again.C
	}
	b.elsewhere("r", "a:1")
	if !h.Valid() {
		t.Error("the hold ended with the beginning of the drain")
	}
	h.Release()
	select {
	case <-drained:
	case <-time.After(20 * time.Second):
		t.Fatal("the drain does not end with the last hold")
	}
	if p, err := b.Take(ctx(t), "r"); err != nil || p.Hold == nil {
		t.Fatalf("the room cannot be had at once: %+v, %v", p, err)
	}
	if got := b.metric("commsd_signaling_takeovers_total"); got != 0 {
		t.Errorf("takeovers of a node that drained: %v", got)
	}
}

// TestSweep frees what the dead left behind and keeps what lives.
func TestSweep(t *testing.T) {
	cfg := sqldbtest.PostgreSQL(t)
	db := raw(t, cfg)
	a := start(t, cfg, "a:1")
	a.take("r")
	for _, q := range []string{
		`INSERT INTO signaling_nodes (id, address, expires_at) VALUES ('dead', '', 1)`,
		`INSERT INTO signaling_rooms (room, node, epoch, left_at) VALUES ('of the dead', 'dead', 3, 0), ('long left', '', 3, 1)`,
	} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if err := owner.Sweep(ctx(t), sqldbtest.Open(t, cfg)); err != nil {
		t.Fatal(err)
	}
	if node, epoch := row(t, db, "of the dead"); node != "" || epoch != 3 {
		t.Errorf("a dead node's room: %q, %d", node, epoch)
	}
	if node, _ := row(t, db, "r"); node == "" {
		t.Error("a living node's room was freed")
	}
	var rooms, nodes int
	if err := db.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM signaling_rooms), (SELECT count(*) FROM signaling_nodes)`).Scan(&rooms, &nodes); err != nil {
		t.Fatal(err)
	}
	if rooms != 2 || nodes != 1 {
		t.Errorf("%d rooms and %d nodes are left", rooms, nodes)
	}
	others, err := a.Others(ctx(t))
	if err != nil || len(others) != 0 {
		t.Errorf("others: %v, %v", others, err)
	}
}

// TestLeaseComesBackAtOnce: once the rooms of a lost lease are closed.
func TestLeaseComesBackAtOnce(t *testing.T) {
	n := &node{t: t, lost: make(chan lostLease, 1)}
	begin := time.Now()
	cfg := sqldbtest.PostgreSQL(t)
	var err error
	n.Owner, err = owner.New(owner.Config{
		DB: sqldbtest.Open(t, cfg), Beats: beats(t, cfg), Every: time.Minute, Lease: 150 * time.Second, // longer than anything is waited for
		Clock: func() time.Duration { return time.Since(begin) + time.Duration(n.ahead.Load()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	c, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- n.Run(c, func(rooms []string) { n.lost <- lostLease{rooms, time.Now()} })
	}()
	n.take("r")
	n.ahead.Store(int64(time.Hour))
	n.Wake()
	n.awaitLost("r")
	n.soon("r")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestFullPoolKeepsTheLease: while all else of a node waits for connections to
// the database, its rooms stay its own.
func TestFullPoolKeepsTheLease(t *testing.T) {
	cfg := sqldbtest.PostgreSQL(t)
	cfg.MaxConns = 2
	db := raw(t, cfg)
	a, b := start(t, cfg, "a:1"), start(t, cfg, "b:1")
	h := a.take("r")
	release := make(chan struct{})
	var slow sync.WaitGroup
	defer slow.Wait()
	defer close(release)
	busy := make(chan struct{})
	for range cfg.MaxConns {
		slow.Go(func() {
			err := a.db.Read(t.Context(), func(context.Context, *sqldb.Tx) error {
				busy <- struct{}{}
				<-release
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		<-busy
	}
	if _, err := a.Find(shortly(t), "s"); errcode.Of(err) != errcode.Unavailable {
		t.Fatalf("there is a connection left: %v", err)
	}
	until := func() (at int64) {
		t.Helper()
		if err := db.QueryRowContext(ctx(t), `SELECT expires_at FROM signaling_nodes WHERE address = 'a:1'`).Scan(&at); err != nil {
			t.Fatalf("the node's row: %v", err)
		}
		return at
	}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	c := ctx(t)
	for begin := until(); until()-begin < 2*lease.Microseconds(); {
		select {
		case <-again.C:
		case <-c.Done():
			t.Fatal("the lease is not renewed")
		}
	}
	if !h.Valid() {
		t.Error("the room is lost")
	}
	b.elsewhere("r", "a:1")
	if got := a.metric("commsd_signaling_leases_lost_total"); got != 0 {
		t.Errorf("leases lost: %v", got)
	}
}

// TestRefusesSQLite: there one node owns all.
func TestRefusesSQLite(t *testing.T) {
	if _, err := owner.New(owner.Config{DB: sqldbtest.Open(t, sqldbtest.SQLite(t)), Beats: sqldbtest.Open(t, sqldbtest.SQLite(t))}); err == nil {
		t.Error("no error")
	}
}
