package directory

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"commsd/audit"
	"commsd/directory/oidc"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// Provider is an outside provider as the sign-in page shows it.
type Provider struct {
	ID   string
	Name string
}

// Providers are those that people of login's mail domain may sign in by. The
// domain alone decides, so that the answer tells nothing of an account.
func (s *Service) Providers(login string) []Provider {
	var out []Provider
	login = normalAddress(clip(login, 320))
	for _, p := range s.providers {
		if p.Serves(login) {
			out = append(out, Provider{ID: p.Config().ID, Name: p.Config().Name})
		}
	}
	return out
}

func (s *Service) provider(id string) (*oidc.Provider, error) {
	for _, p := range s.providers {
		if p.Config().ID == id {
			return p, nil
		}
	}
	return nil, errcode.New(errcode.NotFound, "there is no such provider of sign-in")
}

// outsideState is what the ticket of a sign-in by a provider keeps.
type outsideState struct {
	Provider string `json:"provider"`
	To       string `json:"to"` // page that is opened at the end
}

// StartOutside begins a sign-in by a provider: it returns the address there that
// the browser is sent to and a secret that the browser keeps, as a cookie, and
// brings back to FinishOutside. login, which may be empty, is a hint; to is the
// page that is opened at the end. Errors: errcode.NotFound, errcode.RateLimited,
// and errcode.Unavailable when the provider does not answer.
func (s *Service) StartOutside(ctx context.Context, id, login, to, address string) (location, secret string, err error) {
	p, err := s.provider(id)
	if err != nil {
		return "", "", err
	}
	if wait := s.throttle.admitAddress(address); wait > 0 {
		return "", "", errLimited(wait)
	}
	state, err := json.Marshal(outsideState{Provider: id, To: localPage(to)})
	if err != nil {
		return "", "", fmt.Errorf("directory: sign in by %s: %w", id, err)
	}
	if login = normalAddress(clip(login, 320)); !p.Serves(login) {
		login = ""
	}
	secret, hash, err := s.newToken()
	if err != nil {
		return "", "", err
	}
	// The provider first: one that is away costs no row.
	if location, err = p.Start(ctx, []byte(secret), login); err != nil {
		return "", "", errOutside(p, err)
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return insertTicket(ctx, tx, ticket{hash: hash, next: []string{provenOutside}, state: state}, s.now().Add(s.cfg.TicketLifetime))
	})
	if err != nil {
		return "", "", fmt.Errorf("directory: sign in by %s: %w", id, err)
	}
	return location, secret, nil
}

// OutsideRequest is what a browser brings back from a provider.
type OutsideRequest struct {
	Provider  string
	Secret    string // of StartOutside
	Answer    url.Values
	Address   string
	UserAgent string
	OldToken  string
}

// FinishOutside believes a provider about who came back, or not, and takes the
// sign-in on; to is the page to open, also beside an error. Errors:
// errcode.Gone for a sign-in that is over or was begun by another browser,
// errcode.Unavailable for a provider that is away, errcode.Unauthenticated for
// an answer that is not believed, and errcode.Forbidden for a person who has no
// account here.
func (s *Service) FinishOutside(ctx context.Context, rq OutsideRequest) (in SignedIn, to string, err error) {
	p, err := s.provider(rq.Provider)
	if err != nil {
		return SignedIn{}, "/", err
	}
	state, err := s.takeOutside(ctx, rq.Secret, rq.Provider)
	if err != nil {
		return SignedIn{}, "/", err
	}
	who, err := p.Finish(ctx, []byte(rq.Secret), rq.Answer)
	if err != nil {
		return SignedIn{}, state.To, s.failedOutside(ctx, p, rq, "", "", errOutside(p, err))
	}
	var account identity.AccountID
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		if account, err = s.accountOutside(ctx, tx, p, who, rq.Address); err != nil {
			return err
		}
		proven := []string{provenOutside}
		if who.MFA {
			proven = append(proven, provenOutsideFactor)
		}
		in, err = s.begin(ctx, tx, account, proven, origin{rq.Address, rq.UserAgent, rq.OldToken})
		return err
	})
	if code := errcode.Of(err); code == errcode.Forbidden || code == errcode.Unauthenticated {
		return SignedIn{}, state.To, s.failedOutside(ctx, p, rq, account, who.Login, err)
	}
	if err != nil {
		return SignedIn{}, state.To, fmt.Errorf("directory: sign in by %s: %w", rq.Provider, err)
	}
	return in, state.To, nil
}

// takeOutside uses the ticket of a sign-in by a provider up, whatever comes of
// it.
func (s *Service) takeOutside(ctx context.Context, secret, provider string) (outsideState, error) {
	t, err := s.openTicket(ctx, secret, provenOutside)
	if err != nil {
		return outsideState{}, errTicketGone()
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return deleteTicket(ctx, tx, t.hash) })
	if errors.Is(err, sql.ErrNoRows) {
		return outsideState{}, errTicketGone()
	}
	if err != nil {
		return outsideState{}, fmt.Errorf("directory: take a sign-in by %s: %w", provider, err)
	}
	var state outsideState
	if err := json.Unmarshal(t.state, &state); err != nil || state.Provider != provider {
		return outsideState{}, errTicketGone()
	}
	return state, nil
}

// accountOutside finds whose account a provider's person has, and links the two
// the first time. It makes no account.
func (s *Service) accountOutside(ctx context.Context, tx *sqldb.Tx, p *oidc.Provider, who oidc.Identity, address string) (identity.AccountID, error) {
	noAccount := errcode.New(errcode.Forbidden, "%s knows you, but you have no account here; ask your administrator", p.Config().Name)
	now := s.now()
	account, err := readProviderIdentity(ctx, tx, who, now)
	if err != nil {
		return "", err
	}
	if account != "" {
		login, err := readLogin(ctx, tx, account)
		if err != nil {
			return "", fmt.Errorf("login of account %s: %w", account, err)
		}
		if !p.Serves(login) {
			return account, noAccount // it moved to a domain that is not this provider's
		}
		return account, nil
	}
	if who.Login == "" {
		return "", errcode.New(errcode.Forbidden, "%s does not say that your mail address is verified and one of its own; ask its administrator", p.Config().Name)
	}
	a, err := readAccount(ctx, tx, who.Login)
	if errors.Is(err, sql.ErrNoRows) {
		return "", noAccount
	}
	if err != nil {
		return "", fmt.Errorf("find an account: %w", err)
	}
	linked, err := linkProviderIdentity(ctx, tx, who, a.id, now)
	if err != nil {
		return "", err
	}
	if !linked {
		return a.id, errcode.New(errcode.Forbidden, "this account belongs to somebody else at %s; ask your administrator", p.Config().Name)
	}
	h, err := readHolder(ctx, tx, a.id, now, "")
	if err != nil {
		return "", err
	}
	return a.id, s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: h.actor(h.main(), "", address), Action: "account.link", Outcome: audit.OK,
		Object: identity.ObjectRef{Kind: "account", ID: string(a.id)}, Detail: map[string]string{"provider": p.Config().ID, "subject": who.Subject}})
}

// failedOutside records why a sign-in by a provider failed, and returns it.
// Where nobody knows whose it was (neither account nor login), it is of the
// agency whose only provider it is.
func (s *Service) failedOutside(ctx context.Context, p *oidc.Provider, rq OutsideRequest, account identity.AccountID, login string, why error) error {
	if domains := p.Config().Domains; account == "" && login == "" && len(domains) == 1 {
		login = "@" + domains[0]
	}
	s.metrics.signIns.WithLabelValues("web", "failed").Inc()
	s.log.InfoContext(ctx, "directory: a sign-in by a provider failed", "provider", rq.Provider, "err", why)
	err := s.recordFailed(ctx, account, login, rq.Address,
		map[string]string{"scope": "web", "step": provenOutside, "provider": rq.Provider, "reason": errcode.Of(why).String()})
	if err != nil {
		return fmt.Errorf("directory: record a failed sign-in: %w", err)
	}
	return why
}

// errOutside says what a provider's failure means to the person.
func errOutside(p *oidc.Provider, err error) error {
	name := p.Config().Name
	switch {
	case errors.Is(err, oidc.ErrUnavailable):
		return errcode.Wrap(err, errcode.Unavailable, "%s does not answer; try again later, or sign in by your password", name)
	case errors.Is(err, oidc.ErrDenied):
		return errcode.Wrap(err, errcode.Unauthenticated, "%s did not sign you in", name)
	default:
		return errcode.Wrap(err, errcode.Unauthenticated, "the answer of %s cannot be believed; begin again", name)
	}
}

// localPage is a page of ours that somebody may be sent to: a path, never an
// address elsewhere (RFC 3986 section 4.2: "//host/…" is one, and browsers take
// a backslash for a slash).
func localPage(to string) string {
	const home = "/"
	if len(to) > 1024 || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.HasPrefix(to, "/api/") {
		return home
	}
	for _, r := range to {
		if r < 0x21 || r == '\\' || r == 0x7f {
			return home
		}
	}
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil {
		return home
	}
	return to
}

// readProviderIdentity answers "" for a provider's person who was never here.
func readProviderIdentity(ctx context.Context, tx *sqldb.Tx, who oidc.Identity, now time.Time) (identity.AccountID, error) {
	var account identity.AccountID
	err := tx.QueryRow(ctx, `UPDATE directory_outside_identities SET last_used_at = $3 WHERE issuer = $1 AND subject = $2 RETURNING account_id`,
		who.Issuer, who.Subject, now.UnixMicro()).Scan(&account)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("find who %s is: %w", who.Issuer, err)
	}
	return account, nil
}

// linkProviderIdentity answers false when the account is another's at that issuer.
func linkProviderIdentity(ctx context.Context, tx *sqldb.Tx, who oidc.Identity, account identity.AccountID, now time.Time) (bool, error) {
	res, err := tx.Exec(ctx, `INSERT INTO directory_outside_identities (issuer, subject, account_id, linked_at, last_used_at)
		VALUES ($1, $2, $3, $4, $4) ON CONFLICT DO NOTHING`, who.Issuer, who.Subject, string(account), now.UnixMicro())
	if err != nil {
		return false, fmt.Errorf("link account %s: %w", account, err)
	}
	return changed(res)
}

// newProviders makes the outside providers of cfg.
func newProviders(cfg Config) ([]*oidc.Provider, error) {
	var out []*oidc.Provider
	taken := map[string]bool{}
	for i, c := range cfg.Providers {
		if taken[c.ID] {
			return nil, fmt.Errorf("directory: provider %q stands twice", c.ID)
		}
		taken[c.ID] = true
		c.RedirectURL = strings.TrimSuffix(cfg.PublicURL, "/") + outsidePath + url.PathEscape(c.ID) + "/callback"
		c.Log, c.Now = cfg.Log, cfg.Now
		p, err := oidc.New(c)
		if err != nil {
			return nil, fmt.Errorf("directory: provider %d: %w", i+1, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// outsideCookie is the name of the cookie that keeps the secret of a sign-in by
// a provider.
func outsideCookie(secure bool) string {
	if secure {
		return "__Host-commsd_outside"
	}
	return "commsd_outside"
}

// outsideFragment is what the sign-in page is told: what is asked for next, or
// why nothing is. It stands behind the #, which browsers keep to themselves.
func outsideFragment(name string, in SignedIn, err error) string {
	v := url.Values{}
	if err != nil {
		v.Set("error", errcode.Of(err).String())
		v.Set("message", errcode.Message(err))
		v.Set("provider", name)
	} else {
		v.Set("next", strings.Join(in.Next, " "))
	}
	return v.Encode()
}
