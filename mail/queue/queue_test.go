package queue_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"commsd/identity"
	"commsd/internal/blob"
	"commsd/internal/bus"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
	"commsd/internal/sqldb/sqldbtest"
	"commsd/internal/testengine"
	"commsd/mail/queue"
	"commsd/mail/store"
)

func TestMain(m *testing.M) { os.Exit(testengine.Main(m)) }

// people is a directory of one.
type people struct{}

func (people) ResolveAddress(_ context.Context, a string) (identity.PersonID, error) {
	if a == "an@here.example" {
		return "an", nil
	}
	return "", errcode.New(errcode.NotFound, "nobody")
}
func (people) IsLocalDomain(_ context.Context, d string) (bool, error) {
	return d == "here.example", nil
}
func (people) AgencyOf(context.Context, identity.PersonID) (identity.AgencyID, error) {
	return "a", nil
}

// sink is the other side: a real SMTP server that answers as told.
type sink struct {
	mu     sync.Mutex
	answer func(to string) error
	got    []string
}

func (s *sink) NewSession(*smtp.Conn) (smtp.Session, error) { return &sinkSession{s}, nil }

type sinkSession struct{ s *sink }

func (*sinkSession) Reset()                               {}
func (*sinkSession) Logout() error                        { return nil }
func (*sinkSession) Mail(string, *smtp.MailOptions) error { return nil }
func (x *sinkSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	return x.s.answer(to)
}
func (x *sinkSession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	x.s.got = append(x.s.got, string(b))
	return err
}

func TestRetriesThenBounces(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := context.Background()
		log := slog.New(slog.DiscardHandler)
		b, err := bus.Open(ctx, bus.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		blobs, err := blob.Open(ctx, blob.Config{DataDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
		clock := func() time.Time { return now }
		st, err := store.New(store.Config{DB: db, Blobs: blobs, Bus: b, Log: log, Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		far := &sink{answer: func(to string) error {
			if strings.HasPrefix(to, "bad@") {
				return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
			}
			return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted"}
		}}
		srv := smtp.NewServer(far)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- srv.Serve(l) }()
		defer func() { _ = srv.Close(); <-served }()

		newQueue := func() *queue.Queue {
			q, err := queue.New(queue.Config{DB: db, Store: st, Directory: people{}, Hostname: "here.example", Log: log, Smarthost: l.Addr().String(), Now: clock})
			if err != nil {
				t.Fatal(err)
			}
			return q
		}
		q := newQueue()
		content, err := st.Ingest(ctx, []identity.AgencyID{"a"}, strings.NewReader("From: an@here.example\r\nSubject: out\r\n\r\nhello\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		err = st.Deliver(ctx, content, nil, func(ctx context.Context, tx *sqldb.Tx) error {
			return q.Enqueue(ctx, tx, queue.Item{Sender: "an", Agency: "a", MailFrom: "an@here.example", To: []string{"good@far.example", "bad@far.example", "slow@far.example"}, Content: content})
		})
		if err != nil {
			t.Fatal(err)
		}
		due := func(q *queue.Queue, want int) {
			t.Helper()
			n, err := q.RunDue(ctx)
			if err != nil || n != want {
				t.Fatalf("%d items were due, want %d: %v", n, want, err)
			}
		}
		inbox := func() []store.Entry {
			t.Helper()
			id, err := st.Open(ctx, "an", "a")
			if err != nil {
				t.Fatal(err)
			}
			box, err := st.MailboxOf(ctx, id, store.RoleInbox)
			if err != nil {
				t.Fatal(err)
			}
			list, _, err := st.List(ctx, box, nil, 10, "")
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		due(q, 1) // bad fails, the others wait
		if list := inbox(); len(list) != 1 || !strings.Contains(list[0].Envelope.Subject, "Mail not delivered") {
			t.Fatalf("inbox %+v", list)
		}
		due(q, 0) // not before the backoff
		// Another process takes over: nothing but SQL remembers.
		q = newQueue()
		far.mu.Lock()
		far.answer = func(to string) error {
			if strings.HasPrefix(to, "good@") {
				return nil
			}
			return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted"}
		}
		far.mu.Unlock()
		now = now.Add(2 * time.Minute)
		due(q, 1)
		if len(far.got) != 1 || !strings.Contains(far.got[0], "hello") {
			t.Fatalf("the sink got %q", far.got)
		}
		now = now.Add(6 * 24 * time.Hour)
		due(q, 1) // expiry
		if list := inbox(); len(list) != 2 || !strings.Contains(list[0].Preview, "slow@far.example") {
			t.Fatalf("inbox %+v", list)
		}
		now = now.Add(24 * time.Hour)
		due(q, 0)
	})
}
