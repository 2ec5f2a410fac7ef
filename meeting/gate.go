package meeting

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"log/slog"
	"sync"
	"time"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/accesstoken"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// APIKey names the key that signs the tokens of meetings; its secret is the
// server's own and never leaves it. An operator's key cannot have this name.
const APIKey = "commsd-meeting"

const (
	secretName = "meeting.api"
	tokenLife  = 10 * time.Minute // signaling refreshes a token well before

	reasonOperatorKey = "operator_key"
)

// Sessions tells whether a session still stands, that is, has neither ended nor
// expired and its account may act, and a position in which somebody came. It may be called from many goroutines.
type Sessions interface {
	SessionActive(ctx context.Context, account identity.AccountID, session identity.SessionID) (bool, error)
	// MayActIn tells whether a position is the account's now, its own or lent.
	MayActIn(ctx context.Context, account identity.AccountID, position identity.PositionID) (bool, error)
}

// Secrets keeps what the server makes for itself, sealed, the same on all
// nodes; fresh is called when name is not there yet. It may be called from many
// goroutines.
type Secrets interface {
	Get(ctx context.Context, name string, fresh func() ([]byte, error)) ([]byte, error)
}

// GateConfig holds what NewGate needs. All fields are required unless said
// otherwise.
type GateConfig struct {
	DB       *sqldb.DB
	Audit    *audit.Log
	Sessions Sessions
	Secrets  Secrets
	Log      *slog.Logger     // nil discards
	Now      func() time.Time // nil is time.Now
}

// Gate decides who gets through the door of a meeting's room. It stands apart
// from Service because the media server asks it, and Service in turn asks the
// media server. Its methods may be called from many goroutines.
type Gate struct {
	// Set at construction.
	db       *sqldb.DB
	audit    *audit.Log
	sessions Sessions
	secrets  Secrets
	log      *slog.Logger
	now      func() time.Time

	mu     sync.Mutex // guards what follows
	secret []byte     // nil until first used
}

// NewGate validates cfg and returns a Gate. It starts nothing.
func NewGate(cfg GateConfig) (*Gate, error) {
	switch {
	case cfg.DB == nil:
		return nil, errors.New("meeting: GateConfig.DB is missing")
	case cfg.Audit == nil:
		return nil, errors.New("meeting: GateConfig.Audit is missing")
	case cfg.Sessions == nil:
		return nil, errors.New("meeting: GateConfig.Sessions is missing")
	case cfg.Secrets == nil:
		return nil, errors.New("meeting: GateConfig.Secrets is missing")
	}
	g := &Gate{db: cfg.DB, audit: cfg.Audit, sessions: cfg.Sessions, secrets: cfg.Secrets, log: cfg.Log, now: cfg.Now}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	if g.now == nil {
		g.now = time.Now
	}
	return g, nil
}

// Secret is the secret of APIKey, 32 bytes, made once for all nodes.
func (g *Gate) Secret(ctx context.Context) ([]byte, error) {
	g.mu.Lock()
	secret := g.secret
	g.mu.Unlock()
	if secret != nil {
		return secret, nil
	}
	// Outside the lock: two callers may both ask, and get the same answer.
	secret, err := g.secrets.Get(ctx, secretName, func() ([]byte, error) {
		fresh := make([]byte, 32)
		_, err := rand.Read(fresh)
		return fresh, err
	})
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.secret = secret
	return secret, nil
}

// mint makes the token that opens the room to an identity. Whom it was made for
// stands in it, under our signature.
func (g *Gate) mint(ctx context.Context, actor identity.Actor, id, ident, name, metadata string, now time.Time) (string, error) {
	secret, err := g.Secret(ctx)
	if err != nil {
		return "", err
	}
	lent := identity.PositionID("")
	if actor.Delegation != "" {
		lent = actor.Position // the place ends with it; an own post may end, and the person stays
	}
	yes := true
	return accesstoken.Mint(APIKey, secret, accesstoken.Claims{
		Identity: ident, Name: name, Metadata: metadata, Account: actor.Account, Session: actor.Session, Position: lent,
		Video: accesstoken.VideoGrant{Room: RoomName(id), RoomJoin: true, CanPublish: &yes, CanSubscribe: &yes, CanPublishData: &yes},
	}, tokenLife, now)
}

// Admit tells whether the holder of a token, whose signature has been checked,
// may be in its room now: at a join, a resume and a refresh. Rooms that no
// meeting made are an operator's, and open to any of his keys. Errors:
// errcode.Forbidden with the reason, Gone (the meeting has ended), NotFound.
func (g *Gate) Admit(ctx context.Context, claims accesstoken.Claims) error {
	id, isMeeting := meetingOf(claims.Video.Room)
	ours := subtle.ConstantTimeCompare([]byte(claims.Key), []byte(APIKey)) == 1
	switch {
	case !isMeeting && !ours:
		return nil
	case !isMeeting:
		return errcode.New(errcode.Forbidden, "this token is for meetings only")
	case !ours:
		g.log.WarnContext(ctx, "an operator's key tried to open a meeting", "key", claims.Key, "room", claims.Video.Room)
		return g.deny(ctx, id, claims, reasonOperatorKey,
			errcode.New(errcode.Forbidden, "meetings open only to the people who belong to them, not to API keys"))
	}
	var r record
	err := g.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		r, err = loadMeeting(ctx, tx, id, "")
		return err
	})
	if err != nil {
		return err
	}
	if !r.endedAt.IsZero() {
		return g.deny(ctx, r.id, claims, "ended", errcode.New(errcode.Gone, "the meeting has ended"))
	}
	// The token may be younger than the session's end (a refresh that crossed
	// it), so its own life says nothing: the directory is asked each time.
	active, err := g.sessions.SessionActive(ctx, claims.Account, claims.Session)
	if err != nil {
		return err
	}
	if !active {
		return g.deny(ctx, r.id, claims, "session_over", errcode.New(errcode.Forbidden, "this session has ended; sign in again"))
	}
	if claims.Position == "" {
		return nil
	}
	if active, err = g.sessions.MayActIn(ctx, claims.Account, claims.Position); err != nil {
		return err
	}
	if !active {
		return g.deny(ctx, r.id, claims, "delegation_over",
			errcode.New(errcode.Forbidden, "the position in which you came is lent to you no more; choose your own and come in again"))
	}
	return nil
}

// OperatorRoom tells whether a room is an operator's, by its name: no meeting
// made it.
func (g *Gate) OperatorRoom(room string) bool {
	_, isMeeting := meetingOf(room)
	return !isMeeting
}

// deny writes a refusal to the audit log and returns it. A log that cannot be
// written changes nothing about the refusal.
func (g *Gate) deny(ctx context.Context, id string, c accesstoken.Claims, reason string, refusal *errcode.Error) error {
	actor := identity.Actor{}
	if reason != reasonOperatorKey { // what his token says of accounts is only his word
		actor = identity.Actor{Account: c.Account, Person: personOf(c.Identity), Session: c.Session}
	}
	err := g.audit.Refused(ctx, g.db, audit.Event{Actor: actor, Action: "meeting.admit", Object: object(id),
		Detail: map[string]string{"identity": clip(c.Identity)}}, reason)
	if err != nil {
		g.log.ErrorContext(ctx, "refusal was not audited", "meeting", id, "reason", reason, "err", err)
	}
	return refusal
}
