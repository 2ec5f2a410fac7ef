// Package meeting is meetings as officials know them: who called one, when it
// starts, who is invited, and who is let in. It keeps them in SQL, mints the
// access tokens that open their rooms, and answers the media server's question
// whether a token's holder may still come in (Gate).
//
// It must not know media, WebSockets, or any other domain: people, accounts,
// secrets, notifications and the rooms themselves are asked of small
// interfaces that app connects.
package meeting

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/sqldb"
)

// Limits of one meeting and one request.
const (
	MaxTitle       = 200 // characters of a title, after trimming
	MaxInvitees    = 200 // people named in one request
	MaxPeople      = 1000
	MaxListed      = 100                      // meetings of each half of a list
	MaxAhead       = 2 * 365 * 24 * time.Hour // how far ahead a meeting may be set
	openFor        = 12 * time.Hour           // after its start a meeting counts as over in lists; its door stays open
	notifyDeadline = 5 * time.Second          // a slow notification must not hold an invitation's answer
)

// Relations of a person to a meeting.
const (
	RelationMaker   = "maker"
	RelationInvited = "invited"
	RelationJoined  = "joined" // came by the link, without an invitation
	RelationNone    = "none"   // has the link and has not come yet
)

// The kinds of the notifications and hints that meetings send.
const (
	KindInvited = "meeting.invited" // body: Invited
	KindChanged = "meeting.changed" // a hint: it ended, or somebody came or left; body: Changed
)

// People tells who people are, for lists and for the name a participant
// carries. Unknown ids are absent from the answer. It may be called from many
// goroutines.
type People interface {
	People(ctx context.Context, ids []identity.PersonID) (map[identity.PersonID]identity.Person, error)
}

// Notifier tells people something in their open pages, and keeps it for those
// who are away. It may be called from many goroutines; an error means that the
// notification may not have reached everyone.
type Notifier interface {
	Notify(ctx context.Context, to []identity.PersonID, kind string, body any) error
	// Hint tells their open pages alone that something has changed, and keeps
	// nothing; it may be lost.
	Hint(ctx context.Context, to []identity.PersonID, kind string, body any)
}

// Config holds what New needs. All fields are required unless said otherwise.
type Config struct {
	DB       *sqldb.DB
	Audit    *audit.Log
	Gate     *Gate
	People   People
	Notifier Notifier

	// Rooms may be nil: then nobody is known to be inside, and a meeting that
	// ends closes its door but puts nobody out.
	Rooms Rooms

	// EmptyFor is how long a meeting that began when it was made ("meet now")
	// stays among the running ones with nobody inside; 0 means 15 min. After it
	// lists count it as over. Its door stays open: who comes in by its link makes
	// it a running meeting again. Only ending it shuts the door.
	EmptyFor time.Duration

	// PublicURL is where browsers find this server, "https://hop.example";
	// links and the media server's address are made of it.
	PublicURL string

	Log        *slog.Logger          // nil discards
	Registerer prometheus.Registerer // may be nil
	Now        func() time.Time      // nil is time.Now
}

// Validate tells which field is missing or wrong.
func (c Config) Validate() error {
	switch {
	case c.DB == nil:
		return errors.New("meeting: Config.DB is missing")
	case c.Audit == nil:
		return errors.New("meeting: Config.Audit is missing")
	case c.Gate == nil:
		return errors.New("meeting: Config.Gate is missing")
	case c.People == nil:
		return errors.New("meeting: Config.People is missing")
	case c.Notifier == nil:
		return errors.New("meeting: Config.Notifier is missing")
	case c.EmptyFor < 0:
		return errors.New("meeting: Config.EmptyFor is negative")
	}
	u, err := url.Parse(c.PublicURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("meeting: Config.PublicURL is not an http:// or https:// address: " + c.PublicURL)
	}
	return nil
}

// Service makes, lists and ends meetings, invites to them and opens them. Its
// methods may be called from many goroutines, Run once.
type Service struct {
	// Set at construction.
	db       *sqldb.DB
	audit    *audit.Log
	gate     *Gate
	people   People
	notifier Notifier
	rooms    Rooms
	public   *url.URL
	emptyFor time.Duration
	log      *slog.Logger
	now      func() time.Time
	metrics  metrics
}

type metrics struct {
	created        prometheus.Counter
	invitations    prometheus.Counter
	joins          *prometheus.CounterVec
	notifyFailures prometheus.Counter
}

// New validates cfg and returns a Service. It starts nothing.
func New(cfg Config) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	public, err := url.Parse(cfg.PublicURL)
	if err != nil {
		return nil, err
	}
	s := &Service{
		db: cfg.DB, audit: cfg.Audit, gate: cfg.Gate, people: cfg.People, notifier: cfg.Notifier, rooms: cfg.Rooms,
		public: public, emptyFor: cmp.Or(cfg.EmptyFor, 15*time.Minute), log: cfg.Log, now: cfg.Now, metrics: newMetrics(),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if cfg.Registerer != nil {
		for _, c := range []prometheus.Collector{s.metrics.created, s.metrics.invitations, s.metrics.joins, s.metrics.notifyFailures} {
			if err := cfg.Registerer.Register(c); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

func newMetrics() metrics {
	return metrics{
		created: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "commsd_meeting_created_total", Help: "Meetings made."}),
		invitations: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "commsd_meeting_invitations_total", Help: "People invited to meetings."}),
		joins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "commsd_meeting_joins_total", Help: "Requests for a token, by outcome: ok, denied."}, []string{"outcome"}),
		notifyFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "commsd_meeting_notify_failures_total", Help: "Notifications that failed; the invitation itself stood."}),
	}
}

// Meeting is one meeting as one person sees it.
type Meeting struct {
	ID        string
	Title     string
	Link      string // to send to others
	CreatedBy identity.PersonID
	CreatedAt time.Time
	StartsAt  time.Time
	Scheduled bool      // StartsAt was named; else it started when it was made
	EndedAt   time.Time // zero while the door is open
	Past      bool      // lists count it as over: ended, left by all, or its start is half a day ago
	Relation  string    // of the person who asks
}

// Participant is one person of a meeting.
type Participant struct {
	Person   identity.PersonID
	Relation string
	AddedAt  time.Time
}

// Invited is the body of a KindInvited notification.
type Invited struct {
	MeetingID string        `json:"meeting_id"`
	Title     string        `json:"title"`
	StartsAt  *time.Time    `json:"starts_at,omitempty"` // absent: now
	By        meetingPerson `json:"by"`
}

// Object is how the audit log names a meeting.
func object(id string) identity.ObjectRef { return identity.ObjectRef{Kind: "meeting", ID: id} }

func (s *Service) link(id string) string { return s.public.JoinPath("meetings", id).String() }
