package directory

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"

	"commsd/identity"
)

var cheap = PasswordParams{MemoryKiB: 64, Passes: 1, Lanes: 1}

var testLimits = throttleLimits{free: 10, longest: time.Minute, burst: 200}

func TestThrottle(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	th := newThrottle(testLimits, func() time.Time { return now })
	for i := range testLimits.free {
		if wait := th.admit("an", "192.0.2.1"); wait != 0 {
			t.Fatalf("attempt %d waits %v", i+1, wait)
		}
	}
	if wait := th.admit("an", "192.0.2.1"); wait != firstDelay {
		t.Errorf("the attempt after the free ones waits %v, want %v", wait, firstDelay)
	}
	if wait := th.admit("an", "192.0.2.2"); wait != 0 {
		t.Errorf("the victim's own address waits %v", wait)
	}
	if wait := th.admit("binh", "192.0.2.1"); wait != 0 {
		t.Errorf("another account from the same address waits %v", wait)
	}
	last := time.Duration(0)
	for range 10 {
		now = now.Add(max(last, firstDelay))
		if wait := th.admit("an", "192.0.2.1"); wait != 0 {
			t.Fatalf("after its delay an attempt waits %v", wait)
		}
		wait := th.admit("an", "192.0.2.1")
		if wait < last || wait > testLimits.longest {
			t.Errorf("delay %v after %v", wait, last)
		}
		last = wait
	}
	if last != testLimits.longest {
		t.Errorf("the delay grew to %v, want %v", last, testLimits.longest)
	}
	th.succeed("an", "192.0.2.1")
	if wait := th.admit("an", "192.0.2.1"); wait != 0 {
		t.Errorf("after a success an attempt waits %v", wait)
	}
}

func TestThrottleAddressGuessingAtMany(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	th := newThrottle(testLimits, func() time.Time { return now })
	for i := range testLimits.burst {
		// One machine moves within its /64 as it likes.
		if wait := th.admit(fmt.Sprint(i), fmt.Sprintf("2001:db8::%x", i)); wait != 0 {
			t.Fatalf("attempt %d waits %v", i+1, wait)
		}
	}
	if wait := th.admit("next", "2001:db8::ffff"); wait == 0 {
		t.Error("one /64 may guess at accounts without end")
	}
	if wait := th.admit("next", "2001:db8:0:1::1"); wait != 0 {
		t.Errorf("another /64 waits %v", wait)
	}
	now = now.Add(addressRefill)
	if wait := th.admit("next", "2001:db8::ffff"); wait != 0 {
		t.Errorf("after the refill an attempt waits %v", wait)
	}
}

func TestThrottleMemoryIsBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	th := newThrottle(testLimits, func() time.Time { return now })
	for i := range maxTracked + 1000 {
		th.admit("login", fmt.Sprintf("2001:db8:%x:%x::", i>>16, i&0xffff))
	}
	if len(th.pairs) > maxTracked || len(th.addresses) > maxTracked {
		t.Errorf("%d pairs and %d addresses are tracked, more than %d", len(th.pairs), len(th.addresses), maxTracked)
	}
}

func TestSessionCache(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	c := newSessionCache(2)
	session := func(account, id string) *cachedSession {
		return &cachedSession{id: identity.SessionID(id), holder: holder{account: identity.AccountID(account)}, expiresAt: now.Add(time.Hour), readAt: now}
	}
	put := func(token byte, s *cachedSession) {
		_, generation := c.get(tokenHash{token}, now)
		c.put(tokenHash{token}, s, generation)
	}
	held := func(token byte) bool {
		s, _ := c.get(tokenHash{token}, now)
		return s != nil
	}
	put(1, session("a", "s1"))
	put(2, session("a", "s2"))
	if !held(1) || !held(2) {
		t.Fatal("sessions are not kept")
	}
	held(1) // 2 is now the one used longest ago
	put(3, session("b", "s3"))
	if held(2) || !held(1) || !held(3) || c.len() != 2 {
		t.Error("the cache did not drop the session used longest ago")
	}
	c.drop("a", "another")
	if !held(1) {
		t.Error("the end of one session dropped another")
	}
	c.drop("a", "")
	if held(1) || !held(3) {
		t.Error("the end of an account did not drop its sessions alone")
	}

	// What was read before a revocation is not put after it.
	_, generation := c.get(tokenHash{4}, now)
	c.drop("a", "s4")
	c.put(tokenHash{4}, session("a", "s4"), generation)
	if held(4) {
		t.Error("a session read before its revocation came into the cache after it")
	}

	now = now.Add(cacheFor + 1)
	if held(3) {
		t.Error("an entry is served beyond its time")
	}
	if len(c.byAccount) != 0 || c.len() != 0 {
		t.Errorf("the cache keeps %d accounts and %d entries of nobody", len(c.byAccount), c.len())
	}
}

func TestSortKeyOrdersByGivenNameFirst(t *testing.T) {
	// The alphabet: a ă â … d đ e ê … o ô ơ … u ư.
	want := []personName{
		{"Nguyễn", "Văn", "An"},
		{"Trần", "Văn", "An"},
		{"Lê", "Thị Ngọc", "Anh"},
		{"Đỗ", "", "Ân"},
		{"Lê", "Văn", "Cường"},
		{"Phạm", "Tiến", "Dũng"},
		{"Bùi", "Anh", "Đức"},
		{"Ngô", "Quang", "Đức"},
		{"Vũ", "", "Ô"},
		{"Vũ", "", "Ơn"},
		{"An", "", "Uyên"},
		{"An", "", "Ước"},
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, func(a, b personName) int { return bytes.Compare(a.sortKey(), b.sortKey()) })
	if !slices.Equal(got, want) {
		t.Errorf("order\n got %v\nwant %v", got, want)
	}
}

func TestNamesAreNormal(t *testing.T) {
	n := personName{norm.NFD.String(" Nguyễn "), "  Hữu\u00a0", "Ðức"}.normal()
	if want := (personName{"Nguyễn", "Hữu", "Đức"}); n != want {
		t.Errorf("normal() = %+q, want %+q", n, want)
	}
	if got := (personName{"Đỗ", "", "Ân"}).display(); got != "Đỗ Ân" {
		t.Errorf("display() = %q", got)
	}
}

func TestPrefixRange(t *testing.T) {
	for _, c := range []struct{ prefix, inside, outside string }{
		{"du", "duc", "dv"},
		{"du", "du", "dt\xff"},
		{"a\xff", "a\xff\xff", "b"},
		{"z", "z\xff\xff", "{"},
	} {
		low, high := prefixRange([]byte(c.prefix))
		in := func(s string) bool {
			return cmp.Compare(s, string(low)) >= 0 && cmp.Compare(s, string(high)) < 0
		}
		if !in(c.inside) || in(c.outside) {
			t.Errorf("prefixRange(%q) = %q, %q: holds %q: %v, holds %q: %v", c.prefix, low, high, c.inside, in(c.inside), c.outside, in(c.outside))
		}
	}
}
