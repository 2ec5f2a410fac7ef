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
)

// Accounts tells whether an account may still act. It may be called from many
// goroutines.
type Accounts interface {
	AccountActive(ctx context.Context, id identity.AccountID) (bool, error)
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
	Accounts Accounts
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
	accounts Accounts
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
	case cfg.Accounts == nil:
		return nil, errors.New("meeting: GateConfig.Accounts is missing")
	case cfg.Secrets == nil:
		return nil, errors.New("meeting: GateConfig.Secrets is missing")
	}
	g := &Gate{db: cfg.DB, audit: cfg.Audit, accounts: cfg.Accounts, secrets: cfg.Secrets, log: cfg.Log, now: cfg.Now}
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

// mint makes the token of a pass that is already saved.
func (g *Gate) mint(ctx context.Context, actor identity.Actor, id, ident, name, metadata string, now time.Time) (string, error) {
	secret, err := g.Secret(ctx)
	if err != nil {
		return "", err
	}
	yes := true
	return accesstoken.Mint(APIKey, secret, accesstoken.Claims{
		Identity: ident, Name: name, Metadata: metadata, Account: actor.Account, Session: actor.Session,
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
		return g.deny(ctx, id, pass{identity: claims.Identity}, "operator_key",
			errcode.New(errcode.Forbidden, "meetings open only to the people who belong to them, not to API keys"))
	}
	var r record
	var p pass
	var found bool
	err := g.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		if r, err = loadMeeting(ctx, tx, id, ""); err != nil {
			return err
		}
		p, found, err = loadPass(ctx, tx, r.id, claims.Identity)
		return err
	})
	switch {
	case err != nil:
		return err
	case !found:
		return g.deny(ctx, r.id, pass{identity: claims.Identity}, "no_pass", errcode.New(errcode.Forbidden, "ask to join the meeting first"))
	case !r.endedAt.IsZero():
		return g.deny(ctx, r.id, p, "ended", errcode.New(errcode.Gone, "the meeting has ended"))
	case p.revoked:
		return g.deny(ctx, r.id, p, "signed_out", errcode.New(errcode.Forbidden, "this session has ended; sign in again"))
	}
	active, err := g.accounts.AccountActive(ctx, p.account)
	if err != nil {
		return err
	}
	if !active {
		return g.deny(ctx, r.id, p, "disabled", errcode.New(errcode.Forbidden, "this account is disabled"))
	}
	return nil
}

// Revoke takes back the passes of an ended session or a disabled account, so
// that a token that still runs opens nothing. Every node may do it; the second
// changes nothing.
func (g *Gate) Revoke(ctx context.Context, r identity.Revocation) error {
	return g.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		// A refreshed token is younger than its pass: a meeting lasts a day at most.
		return revokePasses(ctx, tx, r, r.At.Add(-24*time.Hour))
	})
}

// Revoked is Revoke for whoever fans revocations out and waits for nobody's
// error: it is logged, and a closed session opens nothing anyway.
func (g *Gate) Revoked(r identity.Revocation) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := g.Revoke(ctx, r); err != nil {
		g.log.ErrorContext(ctx, "passes were not taken back", "account", string(r.Account), "err", err)
	}
}

// deny writes a refusal to the audit log and returns it. A log that cannot be
// written changes nothing about the refusal.
func (g *Gate) deny(ctx context.Context, id string, p pass, reason string, refusal *errcode.Error) error {
	err := g.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return g.audit.Record(ctx, tx, audit.Event{
			Actor:  identity.Actor{Account: p.account, Person: p.person, Session: p.session},
			Action: "meeting.admit", Object: object(id), Outcome: audit.Denied,
			Detail: map[string]string{"reason": reason, "identity": clip(p.identity)},
		})
	})
	if err != nil {
		g.log.ErrorContext(ctx, "refusal was not audited", "meeting", id, "reason", reason, "err", err)
	}
	return refusal
}
