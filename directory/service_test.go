package directory_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/text/unicode/norm"

	"commsd/audit"
	"commsd/directory"
	"commsd/identity"
	"commsd/internal/bus"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
)

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Now().Truncate(time.Microsecond)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

var cheap = directory.PasswordParams{MemoryKiB: 64, Passes: 1, Lanes: 1}

type fixture struct {
	*directory.Service
	db      *sqldb.DB
	audit   *audit.Log
	clock   *clock
	metrics *prometheus.Registry
}

// newFixture returns a service over db with the demo people in it.
func newFixture(t testing.TB, db *sqldb.DB, change ...func(*directory.Config)) *fixture {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	f := &fixture{db: db, clock: newClock(), metrics: prometheus.NewRegistry()}
	f.audit = audit.New(audit.Config{Now: f.clock.now})
	cfg := directory.Config{DB: db, Bus: b, Audit: f.audit, Domain: "g2g.example", Now: f.clock.now, Registerer: f.metrics, Passwords: cheap}
	for _, fn := range change {
		fn(&cfg)
	}
	if f.Service, err = directory.New(cfg); err != nil {
		t.Fatal(err)
	}
	if err := f.SeedDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

func each(t *testing.T, fn func(t *testing.T, f *fixture)) {
	eachDemo(t, func(t *testing.T, db *sqldb.DB) { fn(t, newFixture(t, db)) })
}

// eachDemo runs fn on databases that hold the demo people already, so that each
// newFixture need not make them anew.
func eachDemo(t *testing.T, fn func(t *testing.T, db *sqldb.DB)) {
	sqldbtest.EachFrom(t, "demo", func(ctx context.Context, db *sqldb.DB) error {
		b, err := bus.Open(ctx, bus.Config{})
		if err != nil {
			return err
		}
		defer func() { _ = b.Close() }()
		s, err := directory.New(directory.Config{DB: db, Bus: b, Audit: audit.New(audit.Config{}), Domain: "g2g.example", Passwords: cheap})
		if err != nil {
			return err
		}
		return s.SeedDemo(ctx)
	}, fn)
}

// signIn opens a session for a demo account.
func (f *fixture) signIn(t *testing.T, login string) (string, directory.Session) {
	t.Helper()
	in, err := f.SignIn(t.Context(), directory.SignInRequest{Login: login, Password: directory.DemoPassword, Address: "192.0.2.9", UserAgent: "test"})
	if err != nil {
		t.Fatalf("sign in %s: %v", login, err)
	}
	return in.Token, in.Session
}

func (f *fixture) actor(t *testing.T, login string) identity.Actor {
	t.Helper()
	token, _ := f.signIn(t, login)
	actor, err := f.AuthenticateSession(t.Context(), token, "", "192.0.2.9")
	if err != nil {
		t.Fatal(err)
	}
	return actor
}

func (f *fixture) find(t *testing.T, actor identity.Actor, q string) []string {
	t.Helper()
	people, err := f.FindPeople(t.Context(), actor, q, 50)
	if err != nil {
		t.Fatalf("find %q: %v", q, err)
	}
	return names(people)
}

func names(people []identity.Person) []string {
	var out []string
	for _, p := range people {
		out = append(out, p.Name)
	}
	return out
}

// events lists what was audited under action.
func (f *fixture) events(t *testing.T, action identity.Action) []audit.Entry {
	t.Helper()
	var out []audit.Entry
	err := f.db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		out, err = f.audit.List(ctx, tx, audit.Filter{Action: action, Limit: 1000})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// counter reads one of the service's metrics, summed over its labels.
func (f *fixture) counter(t *testing.T, name string) float64 {
	t.Helper()
	families, err := f.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, m := range families {
		if m.GetName() == name {
			for _, v := range m.GetMetric() {
				sum += v.GetCounter().GetValue()
			}
			return sum
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

func TestSeedDemoFillsOnlyAnEmptyDirectory(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		before, err := f.Agencies(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(before) != 2 || before[0].Name != "Bộ Nội vụ" || before[1].Identifier != "H26" {
			t.Fatalf("agencies %+v", before)
		}
		if before[0].People+before[1].People < 25 {
			t.Errorf("%d + %d people: the directory looks empty", before[0].People, before[1].People)
		}
		if err := f.SeedDemo(t.Context()); err != nil {
			t.Fatal(err)
		}
		after, err := f.Agencies(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(after) != 2 || after[0].People != before[0].People {
			t.Errorf("a second SeedDemo changed the directory: %+v", after)
		}
		if n := len(f.events(t, "directory.seed_demo")); n != 1 {
			t.Errorf("seeding was audited %d times", n)
		}
		for _, login := range []string{"an@noivu.g2g.example", "binh@noivu.g2g.example", "chi@hanoi.g2g.example", "dung@hanoi.g2g.example", "admin@g2g.example"} {
			if _, err := f.AuthenticatePassword(t.Context(), login, directory.DemoPassword, "192.0.2.1", "imap"); err != nil {
				t.Errorf("%s cannot sign in: %v", login, err)
			}
		}
	})
}

func TestFindPeople(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		an, chi := f.actor(t, "an@noivu.g2g.example"), f.actor(t, "chi@hanoi.g2g.example")

		// Folded, and own agency before the other. "Dục" is as good a hit as
		// "Đức" when no mark was typed.
		fromMinistry := []string{"Đinh Tiến Dục", "Nguyễn Hữu Đức", "Ngô Quang Đức", "Dương Đức Thắng", "Tô Minh Đức"}
		if got := f.find(t, an, "duc"); !sameSet(got, fromMinistry) || !sameSet(got[:3], fromMinistry[:3]) {
			t.Errorf("an finds %q by duc", got)
		}
		if got := f.find(t, chi, "duc"); !sameSet(got, fromMinistry) || got[0] != "Tô Minh Đức" || got[1] != "Dương Đức Thắng" {
			t.Errorf("chi, whose unit has Tô Minh Đức, finds %q by duc", got)
		}

		// Marks that were typed put their hits in front, of whatever agency.
		for _, q := range []string{"Đức", "đức", norm.NFD.String("Đức"), "Ðức"} {
			got := f.find(t, an, q)
			if len(got) != 5 || got[4] != "Đinh Tiến Dục" {
				t.Errorf("an finds %q by %q; Dục is not last", got, q)
			}
		}
		if got := f.find(t, an, "dục"); len(got) != 5 || got[0] != "Đinh Tiến Dục" {
			t.Errorf("an finds %q by dục; Dục is not first", got)
		}
		if got := f.find(t, an, "ân"); len(got) == 0 || got[0] != "Lý Thu Ân" {
			t.Errorf("an finds %q by ân", got)
		}

		for _, c := range []struct {
			q    string
			want []string
		}{
			{"nguyen duc", []string{"Nguyễn Hữu Đức"}},
			{"duc nguyen", []string{"Nguyễn Hữu Đức"}},
			{"DUC  ngu", []string{"Nguyễn Hữu Đức"}},
			{"nguyen van an", []string{"Nguyễn Văn An"}},
			{"kim chi", []string{"Lê Thị Kim Chi"}},
			{"chi@hanoi", []string{"Lê Thị Kim Chi"}},
			{"khongcoai", nil},
			{"duc khongcoai", nil},
			{"%", nil},
			{"---", nil},
			{"a\x00b", nil},
			{strings.Repeat("nguyen ", 40), nil},
		} {
			got := f.find(t, an, c.q)
			if c.want == nil && strings.HasPrefix(c.q, "nguyen ") {
				continue // many words are only not to fail
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("an finds %q by %q, want %q", got, c.q, c.want)
			}
		}

		// The domain of an address does not answer for a name.
		if got := f.find(t, an, "hanoi"); len(got) != 0 {
			t.Errorf("an finds %q by hanoi", got)
		}
		// Nothing typed: the unit, then the agency, nobody else.
		colleagues := f.find(t, an, "")
		if len(colleagues) < 10 || !sameSet(colleagues[:3], []string{"Nguyễn Văn An", "Trần Thanh Bình", "Lý Thu Ân"}) {
			t.Errorf("colleagues %q", colleagues)
		}
		if slices.Contains(colleagues, "Lê Thị Kim Chi") {
			t.Error("the other agency's people are among the colleagues")
		}
		// In one agency, though it is not one's own, and nobody of the others.
		hanoi := chi.Agency
		of := func(q string) []string {
			t.Helper()
			people, err := f.FindPeopleOf(t.Context(), an, hanoi, q, 50)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, p := range people {
				if p.Agency != hanoi {
					t.Errorf("%s of %s is found in Hà Nội by %q", p.Name, p.AgencyName, q)
				}
				names = append(names, p.Name)
			}
			return names
		}
		if got := of("Đức"); !slices.Equal(got, []string{"Tô Minh Đức", "Dương Đức Thắng"}) && !slices.Equal(got, []string{"Dương Đức Thắng", "Tô Minh Đức"}) {
			t.Errorf("an finds %q in Hà Nội by Đức", got)
		}
		if got := of(""); len(got) < 10 {
			t.Errorf("the people of Hà Nội are %q", got)
		}
		if people, err := f.FindPeopleOf(t.Context(), an, "no-agency", "duc", 50); err != nil || len(people) != 0 {
			t.Errorf("in no agency are %v (%v)", people, err)
		}
		// Who holds no position is not found.
		if got := f.find(t, an, "quản trị hệ thống"); len(got) != 0 {
			t.Errorf("an finds %q, who hold no position", got)
		}
		if people, err := f.FindPeople(t.Context(), an, "n", 2); err != nil || len(people) != 2 {
			t.Errorf("limit 2 answers %d (%v)", len(people), err)
		}
		people, err := f.FindPeople(t.Context(), chi, "nguyen van an", 1)
		if err != nil || len(people) != 1 {
			t.Fatal(people, err)
		}
		p := people[0]
		p.ID, p.Agency = "", ""
		if want := (identity.Person{Name: "Nguyễn Văn An", GivenName: "An", Title: "Chuyên viên chính", Unit: "Vụ Cải cách hành chính",
			AgencyName: "Bộ Nội vụ", AgencyShort: "BNV", Address: "an@noivu.g2g.example"}); p != want {
			t.Errorf("found %+v, want %+v", p, want)
		}
	})
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

func TestPeople(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		an, admin := f.actor(t, "an@noivu.g2g.example"), f.actor(t, "admin@g2g.example")
		people, err := f.People(t.Context(), []identity.PersonID{an.Person, admin.Person, "nobody"})
		if err != nil {
			t.Fatal(err)
		}
		if len(people) != 2 || people[an.Person].Name != "Nguyễn Văn An" {
			t.Errorf("people %+v", people)
		}
		if p := people[admin.Person]; p.Address != "admin@g2g.example" || p.Title != "" || p.Agency != "" {
			t.Errorf("the administrator without a position is %+v", p)
		}
		if people, err := f.People(t.Context(), nil); err != nil || len(people) != 0 {
			t.Errorf("nobody asked: %v, %v", people, err)
		}
		many := make([]identity.PersonID, 1200)
		for i := range many {
			many[i] = an.Person
		}
		if people, err := f.People(t.Context(), many); err != nil || len(people) != 1 {
			t.Errorf("1200 ids: %d people, %v", len(people), err)
		}
		if _, err := f.Card(t.Context(), an, "nobody"); errcode.Of(err) != errcode.NotFound {
			t.Errorf("the card of nobody: %v", err)
		}
	})
}

func TestAgenciesAndUnits(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		agencies, err := f.Agencies(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		viewer := f.actor(t, "chi@hanoi.g2g.example")
		ministry := agencies[0]
		units, err := f.AgencyUnits(t.Context(), ministry.ID)
		if err != nil {
			t.Fatal(err)
		}
		office := units[1]
		if office.Name != "Văn phòng Bộ" || len(office.Units) != 2 || office.People != 2+2+2 {
			t.Fatalf("the office is %+v", office)
		}
		people, next, err := f.UnitPeople(t.Context(), viewer, office.ID, "", 100)
		if err != nil || next != "" {
			t.Fatal(err, next)
		}
		// Unit by unit, in each the leaders first; An with the post held here.
		want := []string{"Ngô Quang Đức", "Vũ Thị Hồng Hạnh", "Đặng Thị Ngọc", "Bùi Thị Kim Oanh", "Hồ Anh Tuấn", "Nguyễn Văn An"}
		if got := names(people); !slices.Equal(got, want) {
			t.Errorf("the office's people are %q", got)
		}
		for _, p := range people {
			if p.Name == "Nguyễn Văn An" && p.Title != "Thư ký Ban Chỉ đạo cải cách hành chính" {
				t.Errorf("An is shown as %q here", p.Title)
			}
		}

		// Pages of one hold the same people in the same order.
		var paged []string
		cursor := ""
		for range 20 {
			page, next, err := f.UnitPeople(t.Context(), viewer, office.ID, cursor, 1)
			if err != nil {
				t.Fatal(err)
			}
			paged = append(paged, names(page)...)
			if cursor = next; cursor == "" {
				break
			}
		}
		if !slices.Equal(paged, names(people)) {
			t.Errorf("page by page %q, at once %q", paged, names(people))
		}
		all, _, err := f.AgencyPeople(t.Context(), viewer, ministry.ID, "", 200)
		if err != nil || len(all) != ministry.People {
			t.Errorf("the agency lists %d people and counts %d (%v)", len(all), ministry.People, err)
		}
		if _, err := f.AgencyUnits(t.Context(), "no-agency"); errcode.Of(err) != errcode.NotFound {
			t.Errorf("units of no agency: %v", err)
		}
		if _, _, err := f.UnitPeople(t.Context(), viewer, "no-unit", "", 10); errcode.Of(err) != errcode.NotFound {
			t.Errorf("people of no unit: %v", err)
		}
		for _, bad := range []string{"x", "e30", "!!"} {
			if _, _, err := f.UnitPeople(t.Context(), viewer, office.ID, bad, 10); errcode.Of(err) != errcode.Invalid {
				t.Errorf("cursor %q: %v", bad, err)
			}
		}
	})
}

func TestAddresses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		an := f.actor(t, "an@noivu.g2g.example")
		for _, a := range []string{"an@noivu.g2g.example", " AN@Noivu.G2G.example "} {
			if id, err := f.ResolveAddress(t.Context(), a); err != nil || id != an.Person {
				t.Errorf("ResolveAddress(%q) = %q, %v", a, id, err)
			}
		}
		for _, a := range []string{"", "an", "nobody@noivu.g2g.example", "an@hanoi.g2g.example", "a\x00n@noivu.g2g.example", "\xff@x"} {
			if id, err := f.ResolveAddress(t.Context(), a); errcode.Of(err) != errcode.NotFound && a != "a\x00n@noivu.g2g.example" {
				t.Errorf("ResolveAddress(%q) = %q, %v", a, id, err)
			}
		}
		admin := f.actor(t, "admin@g2g.example")
		for _, d := range []string{"g2g.example", "noivu.g2g.example", "hanoi.g2g.example"} {
			if id, err := f.ResolveAddress(t.Context(), "postmaster@"+d); err != nil || id != admin.Person {
				t.Errorf("postmaster of %s is %q, %v", d, id, err)
			}
		}
		for d, want := range map[string]bool{"g2g.example": true, "NOIVU.g2g.example": true, "hanoi.g2g.example.": true, "example": false, "": false, "x.noivu.g2g.example": false} {
			if got, err := f.IsLocalDomain(t.Context(), d); err != nil || got != want {
				t.Errorf("IsLocalDomain(%q) = %v, %v", d, got, err)
			}
		}
		from, err := f.SenderAddresses(t.Context(), an)
		if err != nil || !slices.Equal(from, []string{"an@noivu.g2g.example"}) {
			t.Errorf("An may write from %q (%v)", from, err)
		}
		if from, _ := f.SenderAddresses(t.Context(), admin); len(from) != 4 || from[0] != "admin@g2g.example" {
			t.Errorf("the administrator may write from %q", from)
		}
	})
}

func TestConfigValidate(t *testing.T) {
	for _, c := range []struct {
		change func(*directory.Config)
		want   string
	}{
		{func(c *directory.Config) {}, "Config.DB"},
		{func(c *directory.Config) { c.DB = &sqldb.DB{} }, "Config.Bus"},
	} {
		var cfg directory.Config
		c.change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Validate = %v, want one that names %s", err, c.want)
		}
	}
}
