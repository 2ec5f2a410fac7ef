package directory

import (
	"net/netip"
	"sync"
	"time"
)

// throttleLimits are those of failed sign-ins. The delay is per account and address together, so
// that whoever guesses at an account from one place locks nobody out at
// another. The bucket per address bounds one place that guesses at many
// accounts; it is wide, since a whole agency may stand behind one address.
type throttleLimits struct {
	free    int // failures before the first delay; room for mail clients that open several connections at once
	longest time.Duration
	burst   int // attempts of one address
}

const (
	firstDelay    = time.Second
	forgetAfter   = 15 * time.Minute
	addressRefill = time.Second // one more attempt each
	maxTracked    = 50000       // entries in each table
)

// throttle counts failed sign-ins on this node.
type throttle struct {
	// set at construction
	limits throttleLimits
	now    func() time.Time

	mu        sync.Mutex
	pairs     map[pair]*failures
	addresses map[string]*bucket
}

type pair struct{ login, address string }

type failures struct {
	count int
	last  time.Time
	until time.Time // nothing is tried before
}

type bucket struct {
	left float64
	at   time.Time
}

func newThrottle(limits throttleLimits, now func() time.Time) *throttle {
	return &throttle{limits: limits, now: now, pairs: map[pair]*failures{}, addresses: map[string]*bucket{}}
}

// anywhere is the address of those who are slowed down from wherever they come:
// they have shown the password, and guess at what else is asked.
const anywhere = "*"

// admit says whether one may try login from address now, and else how long to
// wait. An attempt that is admitted counts as failed until succeed or cancel,
// so that many at once do not slip through together.
func (t *throttle) admit(login, address string) (wait time.Duration) {
	address = network(address)
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()

	b := &bucket{left: 1, at: now}
	if address != anywhere {
		b = t.bucketLocked(address, now)
	}
	if b.left < 1 {
		return time.Duration((1 - b.left) * float64(addressRefill))
	}

	p := pair{login, address}
	f := t.pairs[p]
	if f == nil || now.Sub(f.last) > forgetAfter {
		makeRoom(t.pairs, func(f *failures) bool { return now.Sub(f.last) > forgetAfter })
		f = &failures{}
		t.pairs[p] = f
	}
	if wait := f.until.Sub(now); wait > 0 {
		return wait
	}
	b.left--
	f.count++
	f.last = now
	if over := f.count - t.limits.free; over >= 0 {
		f.until = now.Add(min(t.limits.longest, firstDelay<<min(over, 16)))
	}
	return 0
}

// admitAddress is admit for what costs a little and guesses at no account: the
// bucket of the address alone pays for it.
func (t *throttle) admitAddress(address string) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.bucketLocked(network(address), t.now())
	if b.left < 1 {
		return time.Duration((1 - b.left) * float64(addressRefill))
	}
	b.left--
	return 0
}

// bucketLocked is the bucket of a network, filled up to now.
func (t *throttle) bucketLocked(address string, now time.Time) *bucket {
	b := t.addresses[address]
	if b == nil {
		makeRoom(t.addresses, func(b *bucket) bool { return now.Sub(b.at) > time.Duration(t.limits.burst)*addressRefill })
		b = &bucket{left: float64(t.limits.burst), at: now}
		t.addresses[address] = b
	}
	b.left = min(float64(t.limits.burst), b.left+float64(now.Sub(b.at))/float64(addressRefill))
	b.at = now
	return b
}

// succeed forgets the failures of login from address.
func (t *throttle) succeed(login, address string) {
	address = network(address)
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.pairs, pair{login, address})
	if b := t.addresses[address]; b != nil {
		b.left = min(float64(t.limits.burst), b.left+1)
	}
}

// cancel takes back an admitted attempt that was never tried.
func (t *throttle) cancel(login, address string) {
	address = network(address)
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.pairs[pair{login, address}]; f != nil && f.count > 0 {
		f.count--
	}
	if b := t.addresses[address]; b != nil {
		b.left = min(float64(t.limits.burst), b.left+1)
	}
}

// network is what one machine may change at will: an IPv4 address stands for
// itself, an IPv6 address for its /64.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a.String()
	}
	return p.String()
}

// makeRoom drops what is stale, and else anything: a table that somebody fills
// on purpose costs the limits of some, never memory.
func makeRoom[K comparable, V any](m map[K]V, stale func(V) bool) {
	if len(m) < maxTracked {
		return
	}
	for k, v := range m {
		if stale(v) {
			delete(m, k)
		}
	}
	// A tenth at once, so that a full table is not gone through for each entry.
	for k := range m {
		if len(m) < maxTracked*9/10 {
			return
		}
		delete(m, k)
	}
}
