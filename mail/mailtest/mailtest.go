// Package mailtest gives the tests of mail a directory of two people of two
// agencies, a store, a certificate, and clients that speak line by line and
// may break every rule.
//
// For tests only; it must not know any of the servers.
package mailtest

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"commsd/identity"
	"commsd/internal/blob"
	"commsd/internal/bus"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
	"commsd/internal/tlscert"
	"commsd/mail/store"
)

// The people, their addresses, and the password of both. An has two addresses.
const (
	An       = identity.PersonID("person-an")
	Chi      = identity.PersonID("person-chi")
	AnMail   = "an@noivu.example"
	AnOther  = "van.an@noivu.example"
	ChiMail  = "chi@hanoi.example"
	Password = "right"

	AnAgency  = identity.AgencyID("noivu")
	ChiAgency = identity.AgencyID("hanoi")
)

// AnActor and ChiActor are the people as signed in.
var (
	AnActor  = identity.Actor{Account: "account-an", Person: An, Agency: AnAgency, Name: "Nguyễn Văn An"}
	ChiActor = identity.Actor{Account: "account-chi", Person: Chi, Agency: ChiAgency, Name: "Lê Thị Kim Chi"}
)

var addresses = map[string]identity.PersonID{AnMail: An, AnOther: An, ChiMail: Chi}

// Directory answers for the two people. The zero value is ready; any goroutine
// may call it.
type Directory struct {
	mu        sync.Mutex
	limited   bool   // guarded by mu
	panics    string // guarded by mu
	meanwhile func() // guarded by mu
	ended     bool   // guarded by mu
}

// End has nobody stay signed in.
func (d *Directory) End() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
}

// AuthenticateAgain implements the servers' Authenticator.
func (d *Directory) AuthenticateAgain(_ context.Context, actor identity.Actor, _ string) (identity.Actor, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return identity.Actor{}, errcode.New(errcode.Unauthenticated, "sign in again")
	}
	return actor, nil
}

// Meanwhile has fn called while a password is looked at; nil nothing.
func (d *Directory) Meanwhile(fn func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.meanwhile = fn
}

// Panic has the sign-in of one login panic; "" none.
func (d *Directory) Panic(login string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.panics = login
}

// Limit has all sign-ins refused as too many, or no more.
func (d *Directory) Limit(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.limited = on
}

// AuthenticatePassword implements the servers' Authenticator.
func (d *Directory) AuthenticatePassword(_ context.Context, login, password, _, _ string) (identity.Actor, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.meanwhile != nil {
		d.meanwhile()
	}
	if d.panics == login {
		var name any = login
		_ = name.(net.Conn) // which it is not
	}
	if d.limited {
		return identity.Actor{}, errcode.New(errcode.RateLimited, "too many failed attempts from here")
	}
	if password == Password {
		switch addresses[login] {
		case An:
			return AnActor, nil
		case Chi:
			return ChiActor, nil
		}
	}
	return identity.Actor{}, errcode.New(errcode.Unauthenticated, "wrong name or password")
}

// ResolveAddress implements route.Directory.
func (d *Directory) ResolveAddress(_ context.Context, address string) (identity.PersonID, error) {
	if p, ok := addresses[address]; ok {
		return p, nil
	}
	return "", errcode.New(errcode.NotFound, "nobody has this address")
}

// IsLocalDomain implements route.Directory.
func (d *Directory) IsLocalDomain(_ context.Context, domain string) (bool, error) {
	return domain == "noivu.example" || domain == "hanoi.example", nil
}

// AgencyOf implements route.Directory.
func (d *Directory) AgencyOf(_ context.Context, id identity.PersonID) (identity.AgencyID, error) {
	return map[identity.PersonID]identity.AgencyID{An: AnAgency, Chi: ChiAgency}[id], nil
}

// PeopleFor implements mail.Directory: everybody sees everybody.
func (d *Directory) PeopleFor(_ context.Context, _ identity.Actor, ids []identity.PersonID) (map[identity.PersonID]identity.Person, error) {
	all := map[identity.PersonID]identity.Person{
		An:  {ID: An, Agency: AnAgency, Name: AnActor.Name},
		Chi: {ID: Chi, Agency: ChiAgency, Name: ChiActor.Name},
	}
	maps.DeleteFunc(all, func(id identity.PersonID, _ identity.Person) bool { return !slices.Contains(ids, id) })
	return all, nil
}

// SenderAddresses implements submission.Senders.
func (d *Directory) SenderAddresses(_ context.Context, actor identity.Actor) ([]string, error) {
	var out []string
	for a, p := range addresses {
		if p == actor.Person {
			out = append(out, a)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Store returns a store on db with a bus and a folder of blobs of its own.
func Store(t testing.TB, db *sqldb.DB) *store.Store {
	t.Helper()
	blobs, err := blob.Open(context.Background(), blob.Config{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return StoreOn(t, db, Bus(t), blobs)
}

// Bus returns a bus of one node.
func Bus(t testing.TB) bus.Bus {
	t.Helper()
	b, err := bus.Open(context.Background(), bus.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close the bus: %v", err)
		}
	})
	return b
}

// Blobs lists the blobs of mail.
func Blobs(t testing.TB, blobs blob.Store) []blob.Ref {
	t.Helper()
	var out []blob.Ref
	err := blobs.Walk(context.Background(), store.Namespace, func(ref blob.Ref, _ time.Time) error {
		out = append(out, ref)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// StoreOn is Store on a bus and blobs that other stores share.
func StoreOn(t testing.TB, db *sqldb.DB, b bus.Bus, blobs blob.Store) *store.Store {
	t.Helper()
	st, err := store.New(store.Config{DB: db, Blobs: blobs, Bus: b, Log: Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// Mailbox opens the mailbox of a role of a person's store.
func Mailbox(t testing.TB, st *store.Store, who identity.Actor, role store.Role) store.Mailbox {
	t.Helper()
	id, err := st.Open(context.Background(), who.Person, who.Agency)
	if err != nil {
		t.Fatal(err)
	}
	box, err := st.MailboxOf(context.Background(), id, role)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

// Put delivers message, whose lines may end in LF alone, to a person's INBOX.
func Put(t testing.TB, st *store.Store, who identity.Actor, message string) {
	t.Helper()
	PutRaw(t, st, who, []byte(CRLF(message)))
}

// PutRaw is Put of bytes as they are.
func PutRaw(t testing.TB, st *store.Store, who identity.Actor, message []byte) {
	t.Helper()
	c, err := st.Ingest(context.Background(), []identity.AgencyID{who.Agency}, bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Deliver(context.Background(), c, []store.Delivery{{Owner: who.Person, Agency: who.Agency, Arrived: true}}, nil); err != nil {
		t.Fatal(err)
	}
}

// CRLF gives every line the end that SMTP wants.
func CRLF(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

// Messages reads all messages of a mailbox as they are stored, oldest first.
func Messages(t testing.TB, st *store.Store, box store.Mailbox) []string {
	t.Helper()
	ctx := context.Background()
	state, err := st.Snapshot(ctx, box.Store, box.ID)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := st.Rows(ctx, box, state.UIDs)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, row := range rows {
		m, _, err := st.Message(ctx, box.Store, row.Message)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, Whole(t, st, m))
	}
	return out
}

// Whole reads a message as it is stored.
func Whole(t testing.TB, st *store.Store, m *store.Message) string {
	t.Helper()
	b, err := st.OpenBytes(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	r, err := b.Section(0, m.Size())
	if err != nil {
		t.Fatal(err)
	}
	var s strings.Builder
	if _, err := io.Copy(&s, r); err != nil {
		t.Fatal(err)
	}
	return s.String()
}

// Log writes warnings and errors to the test's output.
func Log(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// secrets keeps nothing: every test has a certificate of its own.
type secrets struct{}

func (secrets) Get(_ context.Context, _ string, create func() ([]byte, error)) ([]byte, error) {
	return create()
}

// TLS returns a server's configuration for localhost and 127.0.0.1.
func TLS(t testing.TB) *tls.Config {
	t.Helper()
	cfg, err := tlscert.Own(context.Background(), secrets{}, []string{"localhost", "127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// Serve runs serve on a free port of loopback until the test ends or the
// returned function is called, which waits for serve's end.
func Serve(t testing.TB, serve func(context.Context, net.Listener) error) (address string, stop func()) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, l) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("serve: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the server did not end")
		}
	})
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

// Quiet is a logger that drops everything.
func Quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
