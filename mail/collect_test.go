package mail_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"commsd/identity"
	"commsd/internal/blob"
	"commsd/internal/blob/blobtest"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
	"commsd/mail"
	"commsd/mail/mailtest"
	"commsd/mail/queue"
	"commsd/mail/store"
)

// office is mail with a clock that stands ahead of the blobs' by later.
type office struct {
	t     *testing.T
	later time.Duration
	blobs blob.Store
	store *store.Store
	queue *queue.Queue
	mail  *mail.Service
	box   store.ID
}

func newOffice(t *testing.T, db *sqldb.DB, blobs blob.Store, edit ...func(*mail.Config)) *office {
	t.Helper()
	o := &office{t: t, blobs: blobs, store: mailtest.StoreOn(t, db, mailtest.Bus(t), blobs)}
	now := func() time.Time { return time.Now().Add(o.later) }
	cfg := mail.Config{
		Domain: "mx.noivu.example", DB: db, Bus: mailtest.Bus(t), Blobs: blobs, Directory: &mailtest.Directory{}, TLS: mailtest.TLS(t), Log: mailtest.Log(t), Now: now,
	}
	for _, e := range edit {
		e(&cfg)
	}
	var err error
	if o.mail, err = mail.New(cfg); err != nil {
		t.Fatal(err)
	}
	o.queue, err = queue.New(queue.Config{DB: db, Store: o.store, Directory: &mailtest.Directory{}, Hostname: "mx.noivu.example", Log: mailtest.Log(t), Hold: true})
	if err != nil {
		t.Fatal(err)
	}
	if o.box, err = o.store.Open(t.Context(), mailtest.An, mailtest.AnAgency); err != nil {
		t.Fatal(err)
	}
	return o
}

// text is too large for SQL.
func text(name string) string {
	return "Subject: " + name + "\r\n\r\n" + strings.Repeat(name+" at length\r\n", 5000)
}

func (o *office) ingest(name string, agencies ...identity.AgencyID) *store.Content {
	o.t.Helper()
	c, err := o.store.Ingest(o.t.Context(), agencies, strings.NewReader(text(name)))
	if err != nil {
		o.t.Fatal(err)
	}
	return c
}

func (o *office) upload(name string) store.Upload {
	o.t.Helper()
	u, err := o.store.AddUpload(o.t.Context(), o.box, mailtest.AnAgency, name, "text/plain", strings.NewReader(text(name)))
	if err != nil {
		o.t.Fatal(err)
	}
	return u
}

func (o *office) saveDraft(id, name string, uploads ...string) {
	o.t.Helper()
	if err := o.store.SaveDraft(o.t.Context(), o.box, mailtest.AnAgency, id, "{}", uploads, o.ingest(name, mailtest.AnAgency)); err != nil {
		o.t.Fatal(err)
	}
}

// collect has the blobs of exactly these names left at a time ahead.
func (o *office) collect(later time.Duration, want ...string) {
	o.t.Helper()
	o.later = later
	if err := o.mail.Collect(o.t.Context()); err != nil {
		o.t.Fatal(err)
	}
	var left []string
	for _, ref := range mailtest.Blobs(o.t, o.blobs) {
		f, err := o.blobs.Open(o.t.Context(), ref)
		if err != nil {
			o.t.Fatal(err)
		}
		all, err := io.ReadAll(f)
		if err != nil {
			o.t.Fatal(err)
		}
		f.Close()
		subject, _, _ := strings.Cut(strings.TrimPrefix(string(all), "Subject: "), "\r\n")
		left = append(left, ref.Agency+" "+subject)
	}
	slices.Sort(left)
	slices.Sort(want)
	if !slices.Equal(left, want) {
		o.t.Fatalf("after %v there are the blobs\n%s\nwant\n%s", later, strings.Join(left, "\n"), strings.Join(want, "\n"))
	}
}

// What somebody can still read stays; what nothing refers to goes, a day after
// it was put.
func TestCollects(t *testing.T) {
	blobtest.Each(t, func(t *testing.T, blobs blob.Store) {
		sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
			for _, ref := range mailtest.Blobs(t, blobs) { // of the other database
				if _, err := blobs.Delete(t.Context(), ref, time.Now().Add(time.Hour)); err != nil {
					t.Fatal(err)
				}
			}
			o := newOffice(t, db, blobs)
			ctx := t.Context()

			letter := o.ingest("letter", mailtest.AnAgency, mailtest.ChiAgency)
			if err := o.store.Deliver(ctx, letter, []store.Delivery{{Owner: mailtest.Chi, Agency: mailtest.ChiAgency}}, nil); err != nil {
				t.Fatal(err)
			}
			out := o.ingest("out", mailtest.AnAgency)
			err := o.store.Deliver(ctx, out, nil, func(ctx context.Context, tx *sqldb.Tx) error {
				return o.queue.Enqueue(ctx, tx, queue.Item{Sender: mailtest.An, Agency: mailtest.AnAgency, MailFrom: mailtest.AnMail, To: []string{"x@far.example"}, Content: out})
			})
			if err != nil {
				t.Fatal(err)
			}
			attached := o.upload("attached")
			o.upload("abandoned")
			draft := uuid.NewString()
			all := []string{"hanoi letter", "noivu letter", "noivu out", "noivu attached", "noivu abandoned"}
			for i := range 5 {
				o.saveDraft(draft, fmt.Sprint("draft ", i), attached.ID)
				all = append(all, fmt.Sprint("noivu draft ", i))
			}
			o.collect(23*time.Hour, all...)
			// Nobody at noivu got the letter: its copy there goes, hanoi's stays.
			o.collect(25*time.Hour, "hanoi letter", "noivu out", "noivu attached", "noivu abandoned", "noivu draft 4")
			o.collect(8*24*time.Hour, "hanoi letter", "noivu out", "noivu attached", "noivu draft 4")
			if got := mailtest.Messages(t, o.store, mailtest.Mailbox(t, o.store, mailtest.ChiActor, store.RoleInbox)); len(got) != 1 || got[0] != text("letter") {
				t.Fatalf("chi reads %d messages, want the letter", len(got))
			}
			// The draft goes, and its file with it.
			err = db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return o.store.EndDraftTx(ctx, tx, o.box, draft) })
			if err != nil {
				t.Fatal(err)
			}
			o.collect(8*24*time.Hour, "hanoi letter", "noivu out")
		})
	})
}

// remembering walks as it was two days ago: by the time that what it says is
// acted on, everything has been put again.
type remembering struct{ blob.Store }

func (r remembering) Walk(ctx context.Context, namespace string, fn func(blob.Ref, time.Time) error) error {
	return r.Store.Walk(ctx, namespace, func(ref blob.Ref, put time.Time) error { return fn(ref, put.Add(-48*time.Hour)) })
}

// Bytes that are put again while they are collected stay: the row that refers
// to them is about to be committed.
func TestCollectorLeavesWhatIsPutAgain(t *testing.T) {
	blobtest.Each(t, func(t *testing.T, blobs blob.Store) {
		db := sqldbtest.Open(t, sqldbtest.SQLite(t))
		o := newOffice(t, db, remembering{blobs})
		err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE mail_store SET created_at = $1`, time.Now().Add(-1000*time.Hour).UnixMicro())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		o.ingest("letter", mailtest.AnAgency)
		o.collect(0, "noivu letter")
		o.collect(25 * time.Hour) // once it is old, it goes
	})
}

// A database that knows nothing of the blobs, as after a mistake in the
// configuration, does not empty the store.
func TestCollectorLeavesTheBlobsOfAnotherDatabase(t *testing.T) {
	blobs, err := blob.Open(t.Context(), blob.Config{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	first := newOffice(t, sqldbtest.Open(t, sqldbtest.SQLite(t)), blobs)
	first.ingest("letter", mailtest.AnAgency)
	db := sqldbtest.Open(t, sqldbtest.SQLite(t))
	wrong := newOffice(t, db, blobs)
	for _, made := range []string{`UPDATE mail_store SET created_at = $1`, `DELETE FROM mail_store WHERE created_at = $1`} {
		err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			if strings.HasPrefix(made, "DELETE") {
				if _, err := tx.Exec(ctx, `DELETE FROM mail_mailbox`); err != nil {
					return err
				}
			}
			_, err := tx.Exec(ctx, made, int64(4e15)) // in 2096
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		wrong.collect(100*365*24*time.Hour, "noivu letter")
	}
}

// walked tells of every walk.
type walked struct {
	blob.Store
	c chan struct{}
}

func (w walked) Walk(ctx context.Context, namespace string, fn func(blob.Ref, time.Time) error) error {
	select {
	case w.c <- struct{}{}:
	case <-ctx.Done():
	}
	return w.Store.Walk(ctx, namespace, fn)
}

func TestRunCollectsAgainAndAgain(t *testing.T) {
	blobs, err := blob.Open(t.Context(), blob.Config{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	w := walked{blobs, make(chan struct{})}
	o := newOffice(t, sqldbtest.Open(t, sqldbtest.SQLite(t)), w, func(c *mail.Config) { c.CollectEvery = time.Millisecond })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- o.mail.Run(ctx) }()
	for range 3 {
		select {
		case <-w.c:
		case <-time.After(20 * time.Second):
			t.Fatal("nothing is collected")
		}
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Run did not end")
	}
}
