package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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
	"commsd/internal/sqldb/sqldbtest"
	"commsd/internal/testengine"
	"commsd/mail/mailtest"
	"commsd/mail/store"
)

func TestMain(m *testing.M) { os.Exit(testengine.Main(m)) }

const letter = "From: an@noivu.example\nSubject: Công văn\n\nKính gửi\n"

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func coded(t testing.TB, err error, code errcode.Code) {
	t.Helper()
	if err == nil || errcode.Of(err) != code {
		t.Fatalf("error %v, want %s", err, code)
	}
}

// box is a mailbox under test.
type box struct {
	t  testing.TB
	st *store.Store
	store.Mailbox
}

func open(t testing.TB, st *store.Store, role store.Role) box {
	t.Helper()
	return box{t, st, mailtest.Mailbox(t, st, mailtest.ChiActor, role)}
}

// check compares the counters with the rows themselves.
func (b box) check(uids ...uint32) {
	b.t.Helper()
	state, err := b.st.Snapshot(b.t.Context(), b.Store, b.ID)
	ok(b.t, err)
	if !slices.Equal(state.UIDs, uids) {
		b.t.Fatalf("%s holds %v, want %v", b.Name, state.UIDs, uids)
	}
	rows, err := b.st.Rows(b.t.Context(), b.Mailbox, uids)
	ok(b.t, err)
	var unseen, deleted, size, first int64
	for i, r := range rows {
		if r.Flags&store.Seen == 0 {
			if unseen++; first == 0 {
				first = int64(i + 1)
			}
		}
		if r.Flags&store.Deleted != 0 {
			deleted++
		}
		size += r.Size
		if r.ModSeq > state.Mailbox.ModSeq {
			b.t.Fatalf("a row's modseq %d is over its mailbox's %d", r.ModSeq, state.Mailbox.ModSeq)
		}
	}
	m := state.Mailbox
	if m.Total != int64(len(uids)) || m.Unseen != unseen || m.Deleted != deleted || m.Size != size || int64(state.Unseen) != first {
		b.t.Fatalf("%s counts %+v (first unseen %d), its rows say unseen %d from %d, deleted %d, size %d", b.Name, m, state.Unseen, unseen, first, deleted, size)
	}
	if n := len(uids); n > 0 && m.UIDNext <= uids[n-1] {
		b.t.Fatalf("%s would give UID %d again", b.Name, m.UIDNext)
	}
}

func TestDeliverMarkMoveRemove(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		st := mailtest.Store(t, db)
		for range 5 {
			mailtest.Put(t, st, mailtest.ChiActor, letter)
		}
		inbox, archive := open(t, st, store.RoleInbox), open(t, st, store.RoleArchive)
		inbox.check(1, 2, 3, 4, 5)
		since := inbox.ModSeq

		rows, err := st.SetFlags(ctx, inbox.Mailbox, []uint32{1, 3, 9}, store.FlagsAdd, store.Seen|store.Flagged, []string{"$Forwarded", "b"})
		ok(t, err)
		if len(rows) != 2 || rows[0].ModSeq != rows[1].ModSeq || rows[0].ModSeq <= since || !slices.Equal(rows[0].Keywords, []string{"$Forwarded", "b"}) {
			t.Fatalf("marked %+v", rows)
		}
		_, err = st.SetFlags(ctx, inbox.Mailbox, []uint32{3}, store.FlagsRemove, store.Flagged, []string{"B"})
		ok(t, err)
		again, err := st.SetFlags(ctx, inbox.Mailbox, []uint32{1}, store.FlagsAdd, store.Seen, nil)
		ok(t, err)
		if again[0].ModSeq != rows[0].ModSeq {
			t.Fatal("a change that changes nothing got a modseq")
		}
		_, err = st.SetFlags(ctx, inbox.Mailbox, []uint32{2}, store.FlagsSet, store.Deleted, nil)
		ok(t, err)
		inbox.check(1, 2, 3, 4, 5)
		_, err = st.SetFlags(ctx, inbox.Mailbox, []uint32{2}, store.FlagsAdd, 0, []string{"two words"})
		coded(t, err, errcode.Invalid)

		pairs, err := st.Copy(ctx, inbox.Mailbox, []uint32{1, 2, 77}, archive.Mailbox)
		ok(t, err)
		if !slices.Equal(pairs, []store.Pair{{From: 1, To: 1}, {From: 2, To: 2}}) {
			t.Fatalf("copied %v", pairs)
		}
		pairs, err = st.Move(ctx, inbox.Mailbox, []uint32{1, 4}, archive.Mailbox)
		ok(t, err)
		if !slices.Equal(pairs, []store.Pair{{From: 1, To: 3}, {From: 4, To: 4}}) {
			t.Fatalf("moved %v", pairs)
		}
		inbox.check(2, 3, 5)
		archive.check(1, 2, 3, 4)
		_, err = st.Move(ctx, inbox.Mailbox, []uint32{2}, inbox.Mailbox)
		coded(t, err, errcode.Invalid)
		other := mailtest.Mailbox(t, st, mailtest.AnActor, store.RoleInbox)
		_, err = st.Move(ctx, inbox.Mailbox, []uint32{2}, other)
		coded(t, err, errcode.NotFound)

		gone, err := st.Expunge(ctx, archive.Mailbox, []uint32{1})
		ok(t, err)
		if len(gone) != 0 {
			t.Fatalf("removed %v, which was not marked", gone)
		}
		gone, err = st.Expunge(ctx, archive.Mailbox, nil)
		ok(t, err)
		if !slices.Equal(gone, []uint32{2}) {
			t.Fatalf("removed %v", gone)
		}
		ok(t, st.Remove(ctx, inbox.Mailbox, []uint32{2, 3}))
		inbox.check(5)
		archive.check(1, 3, 4)

		// Who knew the mailbox of before learns exactly what has changed.
		c, err := st.Changes(ctx, inbox.Mailbox, since)
		ok(t, err)
		if len(c.Changed) != 0 || !slices.Equal(c.Removed, []store.Range{{First: 1, Last: 1}, {First: 2, Last: 3}, {First: 4, Last: 4}}) || c.Gone {
			t.Fatalf("changes %+v", c)
		}
		c, err = st.Changes(ctx, inbox.Mailbox, c.ModSeq)
		ok(t, err)
		if len(c.Changed)+len(c.Removed) != 0 {
			t.Fatalf("changes since now: %+v", c)
		}
		mailtest.Put(t, st, mailtest.ChiActor, letter)
		inbox.check(5, 6) // a UID is never given twice

		// A message that no mailbox holds any more is no more, its bytes neither.
		kept, err := st.Rows(ctx, inbox.Mailbox, []uint32{5})
		ok(t, err)
		_, _, err = st.Message(ctx, inbox.Store, kept[0].Message)
		ok(t, err)
		ok(t, st.Remove(ctx, inbox.Mailbox, []uint32{5}))
		_, _, err = st.Message(ctx, inbox.Store, kept[0].Message)
		coded(t, err, errcode.NotFound)
		if used := number(t, db, `SELECT used_bytes FROM mail_store WHERE id = $1`, string(inbox.Store)); used != open(t, st, store.RoleInbox).Size+open(t, st, store.RoleArchive).Size {
			t.Fatalf("%d bytes are counted", used)
		}
		if n := number(t, db, `SELECT count(*) FROM mail_message WHERE store_id = $1`, string(inbox.Store)); n != 3 {
			t.Fatalf("%d messages are kept, want 3", n)
		}
	})
}

func number(t testing.TB, db *sqldb.DB, query string, args ...any) (n int64) {
	t.Helper()
	ok(t, db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error { return tx.QueryRow(ctx, query, args...).Scan(&n) }))
	return n
}

func TestMailboxes(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		st := mailtest.Store(t, db)
		inbox := open(t, st, store.RoleInbox)
		id := inbox.Store
		first, err := st.CreateMailbox(ctx, id, "Du\u031b\u0323 án/2026") // marks apart
		ok(t, err)
		if first.Name != "Dự án/2026" {
			t.Fatalf("the name is kept as %q", first.Name)
		}
		_, err = st.CreateMailbox(ctx, id, "Dự án/2026/")
		coded(t, err, errcode.Conflict)
		for _, bad := range []string{"", "/", "a//b", " a", "a*", "a\x01", "..", strings.Repeat("a/", 11) + "a", strings.Repeat("a", 256)} {
			_, err = st.CreateMailbox(ctx, id, bad)
			coded(t, err, errcode.Invalid)
		}
		_, err = st.CreateMailbox(ctx, id, "Dự án")
		ok(t, err)
		ok(t, st.RenameMailbox(ctx, id, "Dự án", "Cũ"))
		moved, err := st.MailboxNamed(ctx, id, "Cũ/2026")
		ok(t, err)
		if moved.ID != first.ID || moved.UIDValidity != first.UIDValidity {
			t.Fatalf("renamed %+v to %+v", first, moved)
		}
		coded(t, st.RenameMailbox(ctx, id, "Cũ", "Cũ/a"), errcode.Invalid)
		coded(t, st.RenameMailbox(ctx, id, "Cũ", "inbox"), errcode.Conflict)
		coded(t, st.RenameMailbox(ctx, id, "none", "other"), errcode.NotFound)
		coded(t, st.RenameMailbox(ctx, id, "INBOX", "other"), errcode.Forbidden)
		coded(t, st.DeleteMailbox(ctx, id, "Trash"), errcode.Forbidden)
		ok(t, st.Subscribe(ctx, id, "Cũ", false))

		mailtest.Put(t, st, mailtest.ChiActor, letter)
		_, err = st.Move(ctx, inbox.Mailbox, []uint32{1}, moved)
		ok(t, err)
		ok(t, st.DeleteMailbox(ctx, id, "Cũ/2026"))
		c, err := st.Changes(ctx, moved, 0)
		ok(t, err)
		if !c.Gone || number(t, db, `SELECT count(*) FROM mail_message WHERE store_id = $1`, string(id)) != 0 || number(t, db, `SELECT used_bytes FROM mail_store WHERE id = $1`, string(id)) != 0 {
			t.Fatal("a deleted mailbox leaves something behind")
		}
		// A name that is made again is another mailbox to every client.
		second, err := st.CreateMailbox(ctx, id, "Cũ/2026")
		ok(t, err)
		if second.UIDValidity <= moved.UIDValidity {
			t.Fatalf("UIDVALIDITY %d after %d", second.UIDValidity, moved.UIDValidity)
		}
		var names []string
		all, err := st.Mailboxes(ctx, id)
		ok(t, err)
		for _, m := range all {
			names = append(names, m.Name)
		}
		if names[0] != "INBOX" || len(names) != 8 || !slices.Contains(names, "Cũ") {
			t.Fatalf("mailboxes %q", names)
		}
		_, err = st.Open(ctx, "", "")
		coded(t, err, errcode.NotFound)
	})
}

// Small bodies are in SQL, large ones in a blob of each agency.
func TestBodies(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		st := mailtest.Store(t, db)
		for _, n := range []int{1, 600, 700, 20_000} {
			text := mailtest.CRLF("From: an@noivu.example\nSubject: x\n\n" + strings.Repeat(strings.Repeat("y", 48)+"\n", n))
			c, err := st.Ingest(ctx, []identity.AgencyID{mailtest.ChiAgency, mailtest.AnAgency, mailtest.ChiAgency}, strings.NewReader(text))
			ok(t, err)
			to := []store.Delivery{
				{Owner: mailtest.Chi, Agency: mailtest.ChiAgency, Trace: []byte("Delivered-To: chi\r\n"), Arrived: true},
				{Owner: mailtest.An, Agency: mailtest.AnAgency, Trace: []byte("Delivered-To: an\r\n"), Arrived: true},
				{Owner: mailtest.An, Agency: mailtest.AnAgency, Mailbox: store.RoleSent, Flags: store.Seen},
			}
			ok(t, st.Deliver(ctx, c, to, nil))
			for _, at := range []struct {
				who   identity.Actor
				role  store.Role
				trace string
			}{{mailtest.ChiActor, store.RoleInbox, "Delivered-To: chi\r\n"}, {mailtest.AnActor, store.RoleInbox, "Delivered-To: an\r\n"}, {mailtest.AnActor, store.RoleSent, ""}} {
				list := mailtest.Messages(t, st, mailtest.Mailbox(t, st, at.who, at.role))
				if got := list[len(list)-1]; got != at.trace+text {
					t.Fatalf("%d bytes came as %d: %.100q", len(text), len(got), got)
				}
			}
			// Any range, over the border of trace and body.
			box := mailtest.Mailbox(t, st, mailtest.ChiActor, store.RoleInbox)
			entries, _, err := st.List(ctx, box, nil, 1, "")
			ok(t, err)
			m, _, err := st.Message(ctx, box.Store, entries[0].Message)
			ok(t, err)
			b, err := st.OpenBytes(ctx, m)
			ok(t, err)
			defer b.Close()
			whole := "Delivered-To: chi\r\n" + text
			for _, r := range [][2]int64{{0, 5}, {17, 10}, {19, 4}, {int64(len(whole)) - 3, 100}, {-1, 3}, {int64(len(whole)) + 5, 3}, {5, -1}} {
				section, err := b.Section(r[0], r[1])
				ok(t, err)
				got, err := io.ReadAll(section)
				ok(t, err)
				from := min(max(r[0], 0), int64(len(whole)))
				if want := whole[from:min(from+max(r[1], 0), int64(len(whole)))]; string(got) != want {
					t.Fatalf("range %v is %q, want %q", r, got, want)
				}
			}
		}
	})
}

// A reader's own error comes through, and nothing is delivered.
func TestIngestFails(t *testing.T) {
	st := mailtest.Store(t, sqldbtest.Open(t, sqldbtest.SQLite(t)))
	cut := errors.New("cut")
	for _, n := range []int{10, 100_000} {
		_, err := st.Ingest(t.Context(), []identity.AgencyID{"a"}, io.MultiReader(strings.NewReader(strings.Repeat("x", n)), failing{cut}))
		if !errors.Is(err, cut) {
			t.Fatalf("after %d bytes: %v", n, err)
		}
	}
	c, err := st.Ingest(t.Context(), []identity.AgencyID{mailtest.ChiAgency}, strings.NewReader("a: b\r\n\r\n"))
	ok(t, err)
	err = st.Deliver(t.Context(), c, []store.Delivery{{Owner: mailtest.Chi, Agency: mailtest.ChiAgency}}, func(context.Context, *sqldb.Tx) error { return cut })
	if !errors.Is(err, cut) {
		t.Fatal(err)
	}
	open(t, st, store.RoleInbox).check()
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Many deliver into the same and into each other's mailboxes at once, on two
// nodes: every UID is given once, every counter is right, nobody waits forever.
func TestConcurrentDelivery(t *testing.T) {
	sqldbtest.EachConfig(t, func(t *testing.T, cfg sqldb.Config) {
		b, err := bus.Open(t.Context(), bus.Config{})
		ok(t, err)
		defer b.Close()
		blobs, err := blob.Open(t.Context(), blob.Config{DataDir: t.TempDir()})
		ok(t, err)
		db := sqldbtest.Open(t, cfg)
		nodes := []*store.Store{mailtest.StoreOn(t, db, b, blobs), mailtest.StoreOn(t, db, b, blobs)}
		if strings.HasPrefix(cfg.URL, "postgres") {
			nodes[1] = mailtest.StoreOn(t, sqldbtest.Open(t, cfg), b, blobs)
		}
		const each = 15
		var wg sync.WaitGroup
		failed := make(chan error, 100)
		for i := range 4 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				st := nodes[i%2]
				for range each {
					c, err := st.Ingest(t.Context(), []identity.AgencyID{mailtest.ChiAgency, mailtest.AnAgency}, strings.NewReader(mailtest.CRLF(letter)))
					if err == nil {
						to := []store.Delivery{{Owner: mailtest.Chi, Agency: mailtest.ChiAgency}, {Owner: mailtest.An, Agency: mailtest.AnAgency}}
						if i%2 == 0 {
							slices.Reverse(to)
						}
						err = st.Deliver(t.Context(), c, to, nil)
					}
					if err != nil {
						failed <- err
						return
					}
				}
			}()
		}
		wg.Wait()
		close(failed)
		for err := range failed {
			t.Error(err)
		}
		var uids []uint32
		for i := range uint32(4 * each) {
			uids = append(uids, i+1)
		}
		open(t, nodes[0], store.RoleInbox).check(uids...)
	})
}

// A change on one node wakes those who watch the store on any other.
func TestWatch(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.SQLite(t))
	b, err := bus.Open(t.Context(), bus.Config{})
	ok(t, err)
	defer b.Close()
	blobs, err := blob.Open(t.Context(), blob.Config{DataDir: t.TempDir()})
	ok(t, err)
	var changes []store.Change
	here, err := store.New(store.Config{DB: db, Blobs: blobs, Bus: b, Log: mailtest.Log(t), Changed: func(c store.Change) { changes = append(changes, c) }})
	ok(t, err)
	there := mailtest.StoreOn(t, db, b, blobs)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- there.Run(ctx) }()
	defer func() { cancel(); ok(t, <-done) }()

	inbox := open(t, here, store.RoleInbox)
	near, far, stranger := here.Watch(inbox.Store), there.Watch(inbox.Store), there.Watch("another")
	defer near.Close()
	defer far.Close()
	defer stranger.Close()
	changes = nil
	deadline := time.After(10 * time.Second)
	// Run may still be about to subscribe: deliver until it hears.
	for heard := false; !heard; {
		mailtest.Put(t, here, mailtest.ChiActor, letter)
		select {
		case <-far.C:
			heard = true
		case <-time.After(50 * time.Millisecond):
		case <-deadline:
			t.Fatal("the other node heard nothing")
		}
	}
	select {
	case <-near.C:
	default:
		t.Fatal("the node itself heard nothing")
	}
	if changes[0] != (store.Change{Store: inbox.Store, Owner: mailtest.Chi, Arrived: true}) {
		t.Fatalf("told of %+v", changes)
	}
	select {
	case <-stranger.C:
		t.Fatal("a stranger was woken")
	default:
	}
}

func TestList(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		st := mailtest.Store(t, db)
		for i := range 7 {
			mailtest.Put(t, st, mailtest.ChiActor, fmt.Sprintf("From: Đỗ Đức <duc%d@far.example>\nSubject: Thư số %d\n\n100%% _xong_ %d\n", i, i, i))
		}
		inbox := open(t, st, store.RoleInbox)
		var got []uint32
		var after *store.Cursor
		for pages := 1; ; pages++ {
			entries, more, err := st.List(t.Context(), inbox.Mailbox, after, 3, "")
			ok(t, err)
			for _, e := range entries {
				got = append(got, e.UID)
			}
			if !more {
				if pages != 3 {
					t.Fatalf("%d pages", pages)
				}
				break
			}
			last := entries[len(entries)-1]
			after = &store.Cursor{Date: last.Date.UnixMicro(), UID: last.UID}
		}
		if !slices.Equal(got, []uint32{7, 6, 5, 4, 3, 2, 1}) {
			t.Fatalf("listed %v", got)
		}
		for query, want := range map[string]int{"duc": 7, "ĐỨC thu so": 7, "duc4": 1, "100%": 7, "10%x": 0, "_xong_": 7, "xong_x": 0, "!": 0, "none": 0, strings.Repeat("duc ", 30): 7} {
			entries, _, err := st.List(t.Context(), inbox.Mailbox, nil, 10, query)
			ok(t, err)
			if len(entries) != want {
				t.Errorf("%q finds %d, want %d", query, len(entries), want)
			}
		}
	})
}

func TestMailboxesAreBounded(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		b, err := bus.Open(t.Context(), bus.Config{})
		ok(t, err)
		defer b.Close()
		blobs, err := blob.Open(t.Context(), blob.Config{DataDir: t.TempDir()})
		ok(t, err)
		st, err := store.New(store.Config{DB: db, Blobs: blobs, Bus: b, Log: mailtest.Log(t), MaxMailboxes: 8})
		ok(t, err)
		inbox := open(t, st, store.RoleInbox)
		made := 0
		for i := range 10 {
			_, err = st.CreateMailbox(t.Context(), inbox.Store, fmt.Sprint("box ", i))
			if err != nil {
				break
			}
			made++
		}
		if errcode.Of(err) != errcode.TooLarge || made == 0 {
			t.Fatalf("%d were made, then %v", made, err)
		}
		boxes, err := st.Mailboxes(t.Context(), inbox.Store)
		ok(t, err)
		if len(boxes) != 8 {
			t.Fatalf("%d mailboxes", len(boxes))
		}
	})
}
