package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// A sign-in that needs more than a password goes by tickets. Each step of it
// (a second factor, a new password) ends its ticket and gives either the next
// one or the session. A ticket is as secret as a session's token, is stored as
// a hash, lives for Config.TicketLifetime, is used once, and takes
// maxTicketTries wrong answers.
//
// Whoever keeps second factors implements secondFactors and is put into
// Service.factors by New. A step that is no plain answer to POST /sessions/next
// (a passkey's options, enrolment) uses the same three calls:
//
//	t, err := s.openTicket(ctx, token, stepPasskey) // is it good, whose is it
//	err = s.setTicketState(ctx, token, challenge)   // what the answer is checked with
//	in, err := s.advance(ctx, token, stepPasskey, from, func(ctx, tx, t) (proven string, err error) {…})
//
// advance answers what POST /sessions answers: a session, or the next ticket.
// A sign-in that begins otherwise (a passkey alone, an outside provider) has
// proved who it is by its own means and calls begin with the word for that, or,
// where something must be kept meanwhile, newTicket with an empty account.

// The steps of a sign-in, as tickets name them in "next". Those of proofs are
// at the same time the words for what has been proven.
const (
	stepTOTP           = "totp"
	stepPasskey        = "passkey"
	stepRecoveryCode   = "recovery_code"
	stepChangePassword = "change_password"
	stepEnroll         = "enroll"
)

// Words for what has been proven that are no steps.
const (
	provenPassword      = "password"
	provenCode          = "code"         // a one-time code of an invitation or a reset
	provenOutside       = "oidc"         // an outside provider
	provenOutsideFactor = "oidc_factor"  // a second factor, as an outside provider says
	provenNewPassword   = "new_password" // a password was chosen in this sign-in
	provenEnrolled      = "enrolled"     // a second factor was set up in this sign-in
)

const maxTicketTries = 5

// secondFactors is what a sign-in asks of whoever keeps second factors. Its
// methods may be called from many goroutines, and write in tx alone.
type secondFactors interface {
	// Needs tells which steps (stepTOTP, …) the account can prove itself by
	// beside its password; none: it has no second factor. enroll is true where
	// it must have one before it gets a session.
	Needs(ctx context.Context, tx *sqldb.Tx, account identity.AccountID) (offered []string, enroll bool, err error)

	// Admit counts an attempt at a code before it is looked at, so that many at
	// once, on whatever node, do not slip through together. The error is
	// errcode.RateLimited. It is called outside of transactions.
	Admit(ctx context.Context, account identity.AccountID) error

	// Verify checks p, which answers one of the steps that Needs offered, and
	// uses it up: a TOTP step and a recovery code count once. state is what
	// setTicketState left. It answers false for a wrong proof, or an error of
	// code Unauthenticated that says more; then the transaction is rolled back.
	Verify(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, p Proof, state []byte) (bool, error)

	// Reset takes all second factors of account away.
	Reset(ctx context.Context, tx *sqldb.Tx, account identity.AccountID) error
}

// Proof answers a ticket; one member is set.
type Proof struct {
	TOTP         string
	RecoveryCode string
	Passkey      []byte // JSON of the credential, as the browser gives it
	NewPassword  string // bytes as typed
}

// step is which step p answers; empty for none or several.
func (p Proof) step() string {
	var steps []string
	for _, s := range []struct {
		set  bool
		step string
	}{{p.TOTP != "", stepTOTP}, {p.RecoveryCode != "", stepRecoveryCode}, {len(p.Passkey) > 0, stepPasskey}, {p.NewPassword != "", stepChangePassword}} {
		if s.set {
			steps = append(steps, s.step)
		}
	}
	if len(steps) != 1 {
		return ""
	}
	return steps[0]
}

// origin is where a sign-in comes from.
type origin struct {
	Address   string // remote IP address
	UserAgent string
	OldToken  string // session token that came with the request; its session ends with the sign-in
}

// SignedIn is how far a sign-in has come: a session, or a ticket with which to
// take the next step.
type SignedIn struct {
	Token   string // of Session; empty while there is a ticket
	Session Session

	Ticket      string
	Next        []string // any one of these is asked for now
	MinPassword int      // runes of a new password, where that is what is asked for
}

// ticket is a sign-in that is under way.
type ticket struct {
	hash    tokenHash
	account identity.AccountID // empty: not known yet
	proven  []string
	next    []string
	state   []byte
}

func errTicketGone() error {
	return errcode.New(errcode.Gone, "this sign-in took too long or has ended; begin again")
}

// errWrongProof is what a wrong second factor is told.
func errWrongProof() error {
	return errcode.New(errcode.Unauthenticated, "the code is wrong or was used already; try again")
}

// begin takes a sign-in on that has proven who it is by the words in proven.
// It must run in the transaction that used the proof up.
func (s *Service) begin(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, proven []string, from origin) (SignedIn, error) {
	h, err := readHolder(ctx, tx, account, s.now(), tx.ForUpdate())
	if err != nil {
		return SignedIn{}, err
	}
	if h.disabled {
		return SignedIn{}, errWrongPassword()
	}
	next, err := s.remaining(ctx, tx, h, proven)
	if err != nil {
		return SignedIn{}, err
	}
	if len(next) > 0 {
		token, err := s.newTicket(ctx, tx, ticket{account: account, proven: proven, next: next})
		return SignedIn{Ticket: token, Next: next, MinPassword: s.minPassword(next, proven)}, err
	}
	return s.openSession(ctx, tx, h, proven, from)
}

// remaining tells what a sign-in still has to show: a second factor first, so
// that nobody changes a password by a password or a code alone.
func (s *Service) remaining(ctx context.Context, tx *sqldb.Tx, h holder, proven []string) ([]string, error) {
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(proven, w) })
	}
	offered, enroll, err := s.factors.Needs(ctx, tx, h.account)
	if err != nil {
		return nil, fmt.Errorf("second factors of %s: %w", h.account, err)
	}
	second := has(stepTOTP, stepPasskey, stepRecoveryCode, provenEnrolled, provenOutsideFactor)
	if len(offered) > 0 && !second {
		return offered, nil
	}
	if !has(provenNewPassword) && (has(provenCode) || h.mustChange && has(provenPassword)) {
		return []string{stepChangePassword}, nil
	}
	if enroll && !second {
		return []string{stepEnroll}, nil
	}
	return nil, nil
}

// minPassword is how short a new password may be, for who is asked for one after
// what is proven: a second factor is asked for first where there is any.
func (s *Service) minPassword(next, proven []string) int {
	switch {
	case !slices.Contains(next, stepChangePassword):
		return 0
	case slices.ContainsFunc(proven, func(w string) bool { return w == stepTOTP || w == stepPasskey || w == stepRecoveryCode }):
		return s.cfg.Policy.WithFactor
	}
	return s.cfg.Policy.Alone
}

// newTicket stores t under a new token.
func (s *Service) newTicket(ctx context.Context, tx *sqldb.Tx, t ticket) (string, error) {
	token, hash, err := s.newToken()
	if err != nil {
		return "", err
	}
	t.hash = hash
	return token, insertTicket(ctx, tx, t, s.now().Add(s.cfg.TicketLifetime))
}

// openTicket reads a ticket that waits for one of steps. The error is errcode.Gone for
// one that is unknown, used, used up or expired, errcode.Invalid for one that
// waits for something else.
func (s *Service) openTicket(ctx context.Context, token string, steps ...string) (ticket, error) {
	hash, ok := hashToken(token)
	if !ok {
		return ticket{}, errTicketGone()
	}
	var t ticket
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		t, err = readTicket(ctx, tx, hash, s.now())
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return ticket{}, errTicketGone()
	}
	if err != nil {
		return ticket{}, fmt.Errorf("directory: read a sign-in: %w", err)
	}
	if !slices.ContainsFunc(steps, func(step string) bool { return slices.Contains(t.next, step) }) {
		return ticket{}, errcode.New(errcode.Invalid, "this sign-in does not wait for %s but for one of %v", steps[0], t.next)
	}
	return t, nil
}

// setTicketState keeps what the answer to a ticket is checked with.
func (s *Service) setTicketState(ctx context.Context, token string, state []byte) error {
	hash, ok := hashToken(token)
	if !ok {
		return errTicketGone()
	}
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return updateTicketState(ctx, tx, hash, state, s.now())
	})
	if errors.Is(err, sql.ErrNoRows) {
		return errTicketGone()
	}
	if err != nil {
		return fmt.Errorf("directory: keep the state of a sign-in: %w", err)
	}
	return nil
}

// advance ends the ticket of token, which must wait for step, and takes the
// sign-in on. prove checks the answer and writes what it must in the same
// transaction; it returns the word for what is proven now, sets t.account where
// that was not known, and answers errWrongProof for a wrong answer, which is
// counted, slowed down and audited.
func (s *Service) advance(ctx context.Context, token, step string, from origin,
	prove func(ctx context.Context, tx *sqldb.Tx, t *ticket) (proven string, err error),
) (SignedIn, error) {
	t, err := s.openTicket(ctx, token, step)
	if err != nil {
		return SignedIn{}, err
	}
	// A wrong answer here comes from somebody who has the password. They are
	// slowed down from wherever they come; the owner waits a minute at most.
	key, where := "factor "+string(t.account), anywhere
	if t.account == "" {
		key, where = "factor", from.Address
	}
	if wait := s.throttle.admit(key, where); wait > 0 {
		s.metrics.signIns.WithLabelValues("web", "limited").Inc()
		return SignedIn{}, errLimited(wait)
	}
	if err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return countTicketTry(ctx, tx, t.hash, s.now()) }); err != nil {
		s.throttle.cancel(key, where)
		if errors.Is(err, sql.ErrNoRows) {
			return SignedIn{}, errTicketGone()
		}
		return SignedIn{}, fmt.Errorf("directory: count an attempt: %w", err)
	}
	var in SignedIn
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		now := t // prove may be run again after a conflict
		if err := deleteTicket(ctx, tx, t.hash); err != nil {
			return err
		}
		proven, err := prove(ctx, tx, &now)
		if err != nil {
			return err
		}
		in, err = s.begin(ctx, tx, now.account, append(slices.Clone(t.proven), proven), from)
		return err
	})
	switch {
	case err == nil:
		s.throttle.succeed(key, where)
		return in, nil
	case errors.Is(err, sql.ErrNoRows):
		return SignedIn{}, errTicketGone()
	case errcode.Of(err) == errcode.Unauthenticated:
		s.metrics.signIns.WithLabelValues("web", "failed").Inc()
		if err := s.recordFailedStep(ctx, t.account, step, from.Address, err); err != nil {
			return SignedIn{}, err
		}
	default:
		s.throttle.cancel(key, where)
	}
	return SignedIn{}, fmt.Errorf("directory: sign in: %w", err)
}

func (s *Service) recordFailedStep(ctx context.Context, account identity.AccountID, step, address string, why error) error {
	detail := map[string]string{"scope": "web", "step": step}
	var cloned errCloned
	if errors.As(why, &cloned) {
		account, detail["reason"], detail["passkey"] = cloned.account, "passkey_cloned", cloned.passkey
	}
	if err := s.recordFailed(ctx, account, "", address, detail); err != nil {
		return fmt.Errorf("directory: record a failed sign-in: %w", err)
	}
	return nil
}

// NextRequest takes a sign-in one step on.
type NextRequest struct {
	Ticket    string
	Proof     Proof
	Name      string // of a passkey that is set up
	Address   string
	UserAgent string
	OldToken  string
}

// SignInNext answers a ticket. Errors: errcode.Gone for a ticket that is over,
// errcode.Unauthenticated for a wrong answer, errcode.Invalid for an answer
// that was not asked for or a password that breaks the rules, and
// errcode.RateLimited.
func (s *Service) SignInNext(ctx context.Context, rq NextRequest) (SignedIn, error) {
	from := origin{rq.Address, rq.UserAgent, rq.OldToken}
	step := rq.Proof.step()
	switch step {
	case "":
		return SignedIn{}, errcode.New(errcode.Invalid, "answer with one of totp, passkey, recovery_code and new_password")
	case stepChangePassword:
		return s.changeByTicket(ctx, rq.Ticket, rq.Proof.NewPassword, from)
	}
	t, err := s.openTicket(ctx, rq.Ticket, step, stepEnroll)
	if err != nil {
		return SignedIn{}, err
	}
	if slices.Contains(t.next, stepEnroll) {
		return s.enrollByTicket(ctx, rq, from)
	}
	if step != stepPasskey { // nobody guesses a signature
		if err := s.factors.Admit(ctx, t.account); err != nil {
			return SignedIn{}, err
		}
	}
	in, err := s.advance(ctx, rq.Ticket, step, from, func(ctx context.Context, tx *sqldb.Tx, t *ticket) (string, error) {
		ok, err := s.factors.Verify(ctx, tx, t.account, rq.Proof, t.state)
		if err != nil {
			return "", err
		}
		if !ok {
			return "", errWrongProof()
		}
		return step, nil
	})
	if err == nil && step == stepRecoveryCode {
		// Now and not when the sign-in is complete: the code is used up, and
		// a new password may still have to be chosen.
		s.tellAccount(ctx, t.account, "đã đăng nhập bằng một mã khôi phục", "somebody signed in by a recovery code")
	}
	return in, err
}
