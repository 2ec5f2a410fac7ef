package directory

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"commsd/audit"
	"commsd/directory/factor"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// This file is what a sign-in asks of second factors; factors.go is what their
// owner does with them.

// keptFactors implements secondFactors.
type keptFactors struct{ s *Service }

var _ secondFactors = keptFactors{}

// Needs serves secondFactors.
func (k keptFactors) Needs(ctx context.Context, tx *sqldb.Tx, account identity.AccountID) ([]string, bool, error) {
	c, err := countFactors(ctx, tx, account)
	if err != nil {
		return nil, false, err
	}
	if !c.any() {
		h, err := readHolder(ctx, tx, account, k.s.now(), "")
		if err != nil {
			return nil, false, err
		}
		required, err := k.s.mustHaveFactor(ctx, tx, h)
		return nil, required, err
	}
	var offered []string
	if c.passkeys > 0 && k.s.site != nil {
		offered = append(offered, stepPasskey)
	}
	if c.totp {
		offered = append(offered, stepTOTP)
	}
	// Where nothing else can be shown, public_url having lost its name, the
	// codes are still asked for rather than nothing.
	if c.recovery > 0 || len(offered) == 0 {
		offered = append(offered, stepRecoveryCode)
	}
	return offered, false, nil
}

// Admit serves secondFactors: after Config.FreeCodes wrong codes in a row each
// attempt makes the next wait, twice as long as the one before. The right code
// forgets them.
func (k keptFactors) Admit(ctx context.Context, account identity.AccountID) error {
	s := k.s
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := lockAccount(ctx, tx, account); err != nil {
			return err
		}
		n, retryAt, err := readFactorFailures(ctx, tx, account)
		if err != nil {
			return err
		}
		now := s.now()
		if wait := retryAt.Sub(now); wait > 0 {
			return errLimited(wait)
		}
		n++
		var wait time.Duration
		if over := n - s.cfg.FreeCodes; over >= 0 {
			wait = min(s.cfg.LongestCodeDelay, firstDelay<<min(over, 16))
		}
		return writeFactorFailures(ctx, tx, account, n, now.Add(wait))
	})
	if err != nil {
		return fmt.Errorf("directory: admit a code: %w", err)
	}
	return nil
}

// Verify serves secondFactors.
func (k keptFactors) Verify(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, p Proof, state []byte) (bool, error) {
	if account == "" {
		return false, nil // a sign-in by passkey alone takes SignInByPasskey
	}
	if err := lockAccount(ctx, tx, account); err != nil {
		return false, err
	}
	var ok bool
	var err error
	switch p.step() {
	case stepTOTP:
		ok, err = k.s.proveTOTP(ctx, tx, account, p.TOTP)
	case stepRecoveryCode:
		ok, err = k.s.useRecoveryCode(ctx, tx, account, p.RecoveryCode)
	case stepPasskey:
		var answer factor.Assertion
		if answer, err = factor.ParseAssertion(p.Passkey); err != nil {
			return false, errPasskeyWrong(err)
		}
		if err := k.s.answers(state, answer.Challenge); err != nil {
			return false, err
		}
		err = k.s.provePasskey(ctx, tx, account, answer)
		ok = err == nil
	}
	if ok {
		err = deleteFactorFailures(ctx, tx, account)
	}
	return ok, err
}

// Reset serves secondFactors.
func (k keptFactors) Reset(ctx context.Context, tx *sqldb.Tx, account identity.AccountID) error {
	if err := lockAccount(ctx, tx, account); err != nil {
		return err
	}
	return deleteFactors(ctx, tx, account)
}

// useRecoveryCode is proveRecoveryCode, and records it: a code that its owner did
// not use is a theft.
func (s *Service) useRecoveryCode(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, code string) (bool, error) {
	ok, err := s.proveRecoveryCode(ctx, tx, account, code)
	if err != nil || !ok {
		return false, err
	}
	h, err := readHolder(ctx, tx, account, s.now(), "")
	if err != nil {
		return false, err
	}
	return true, s.factorChanged(ctx, tx, h.actor(h.main(), "", ""), "factor.use", kindRecovery, nil)
}

// ticketChallenge is what a ticket keeps of a passkey's challenge: SHA-256 of
// it, and when it ends in microseconds.
func ticketChallenge(challenge []byte, until time.Time) []byte {
	hash := sha256.Sum256(challenge)
	return binary.BigEndian.AppendUint64(hash[:], uint64(until.UnixMicro()))
}

// answers checks that challenge is the one that a ticket's state keeps.
func (s *Service) answers(state, challenge []byte) error {
	hash := sha256.Sum256(challenge)
	if len(state) != sha256.Size+8 || !bytes.Equal(state[:sha256.Size], hash[:]) {
		return errPasskeyWrong(errors.New("directory: the challenge is of another sign-in, or was answered already"))
	}
	if until := time.UnixMicro(int64(binary.BigEndian.Uint64(state[sha256.Size:]))); !s.now().Before(until) {
		return errPasskeyWrong(errors.New("directory: the challenge has expired"))
	}
	return nil
}

// BeginPasskeySignIn returns a ticket and the options with which a browser shows
// any passkey of this site. Nothing in them depends on an account, so that they
// tell nothing of one.
func (s *Service) BeginPasskeySignIn(ctx context.Context, address string) (token string, options []byte, err error) {
	site, err := s.passkeySite()
	if err != nil {
		return "", nil, err
	}
	if wait := s.throttle.admitAddress(address); wait > 0 {
		return "", nil, errLimited(wait)
	}
	c, err := site.BeginSignIn()
	if err != nil {
		return "", nil, fmt.Errorf("directory: begin with a passkey: %w", err)
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		token, err = s.newTicket(ctx, tx, ticket{next: []string{stepPasskey}, state: ticketChallenge(c.Challenge, s.now().Add(factor.ChallengeLifetime))})
		return err
	})
	if err != nil {
		return "", nil, fmt.Errorf("directory: begin with a passkey: %w", err)
	}
	return token, c.Options, nil
}

// SignInByPasskey signs in whoever's passkey answered BeginPasskeySignIn: it is
// both factors at once, since the person was verified at the authenticator.
// Errors: errcode.Gone for a ticket that is over, errcode.Unauthenticated for a
// passkey that proves nothing, errcode.RateLimited.
func (s *Service) SignInByPasskey(ctx context.Context, rq NextRequest) (SignedIn, error) {
	if _, err := s.passkeySite(); err != nil {
		return SignedIn{}, err
	}
	from := origin{rq.Address, rq.UserAgent, rq.OldToken}
	return s.advance(ctx, rq.Ticket, stepPasskey, from, func(ctx context.Context, tx *sqldb.Tx, t *ticket) (string, error) {
		answer, err := factor.ParseAssertion(rq.Proof.Passkey)
		if err != nil {
			return "", errPasskeyWrong(err)
		}
		if err := s.answers(t.state, answer.Challenge); err != nil {
			return "", err
		}
		account, err := accountOfPasskey(ctx, tx, answer.Credential)
		if err != nil {
			return "", err
		}
		if account == "" || t.account != "" && t.account != account || !bytes.Equal(answer.Handle, []byte(account)) {
			return "", errPasskeyWrong(errors.New("directory: nobody's passkey"))
		}
		t.account = account
		return stepPasskey, s.provePasskey(ctx, tx, account, answer)
	})
}

// TicketTOTP makes the secret of an authenticator app for a sign-in that must
// set up a second factor; a code of it is the answer to the ticket.
func (s *Service) TicketTOTP(ctx context.Context, token string) (TOTPEnrolment, error) {
	t, err := s.openTicket(ctx, token, stepEnroll)
	if err != nil {
		return TOTPEnrolment{}, err
	}
	var login string
	err = s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		login, err = readLogin(ctx, tx, t.account)
		return err
	})
	if err != nil {
		return TOTPEnrolment{}, fmt.Errorf("directory: account %s: %w", t.account, err)
	}
	return s.beginTOTP(ctx, t.account, login)
}

// TicketPasskey returns the options with which a browser answers a ticket:
// create tells that it makes a new passkey, for a sign-in that must set up a
// second factor, and else it shows one that the account has.
func (s *Service) TicketPasskey(ctx context.Context, token string) (options []byte, create bool, err error) {
	site, err := s.passkeySite()
	if err != nil {
		return nil, false, err
	}
	t, err := s.openTicket(ctx, token, stepPasskey, stepEnroll)
	if err != nil {
		return nil, false, err
	}
	create = slices.Contains(t.next, stepEnroll)
	var h factor.Holder
	if t.account != "" {
		err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			var err error
			h, _, err = s.readPasskeyHolder(ctx, tx, t.account, "")
			return err
		})
		if err != nil {
			return nil, false, fmt.Errorf("directory: passkeys of account %s: %w", t.account, err)
		}
	}
	var c factor.Ceremony
	switch {
	case create:
		c, err = site.BeginRegistration(h)
	case len(h.Passkeys) > 0:
		c, err = site.BeginAssertion(h)
	default:
		c, err = site.BeginSignIn()
	}
	if err != nil {
		return nil, false, fmt.Errorf("directory: begin with a passkey: %w", err)
	}
	return c.Options, create, s.setTicketState(ctx, token, ticketChallenge(c.Challenge, s.now().Add(factor.ChallengeLifetime)))
}

// enrollByTicket sets up the second factor without which an account gets no
// session.
func (s *Service) enrollByTicket(ctx context.Context, rq NextRequest, from origin) (SignedIn, error) {
	var login string
	in, err := s.advance(ctx, rq.Ticket, stepEnroll, from, func(ctx context.Context, tx *sqldb.Tx, t *ticket) (string, error) {
		h, err := readHolder(ctx, tx, t.account, s.now(), tx.ForUpdate())
		if err != nil {
			return "", err
		}
		// Somebody else with the password may have begun too. Whoever sets a
		// factor up first is whom the account asks from then on.
		if offered, _, err := s.factors.Needs(ctx, tx, t.account); err != nil || len(offered) > 0 {
			return "", cmp.Or(err, errTicketGone())
		}
		actor := h.actor(h.main(), "", from.Address)
		login = h.login
		switch rq.Proof.step() {
		case stepTOTP:
			return provenEnrolled, s.confirmTOTP(ctx, tx, actor, rq.Proof.TOTP)
		case stepPasskey:
			answer, err := factor.ParseRegistration(rq.Proof.Passkey)
			if err != nil {
				return "", errPasskeyRefused(err)
			}
			if err := s.answers(t.state, answer.Challenge); err != nil {
				return "", err
			}
			_, err = s.addPasskey(ctx, tx, actor, rq.Name, answer)
			return provenEnrolled, err
		default:
			return "", errcode.New(errcode.Invalid, "set up a second factor: an authenticator app by totp, or a passkey")
		}
	})
	if err == nil {
		s.tellOwner(ctx, login, "đã thiết lập xác thực hai lớp", "a second factor was set up")
	}
	return in, err
}

// unlockByPasskey is UnlockSession by a passkey, whose challenge BeginProof gave
// to this session.
func (s *Service) unlockByPasskey(ctx context.Context, actor identity.Actor, credential []byte) error {
	if _, err := s.passkeySite(); err != nil {
		return err
	}
	answer, err := factor.ParseAssertion(credential)
	if err != nil {
		return errPasskeyWrong(err)
	}
	if err := s.spendChallenge(ctx, actor, purposeProve, answer.Challenge); err != nil {
		return err
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.provePasskey(ctx, tx, actor.Account, answer); err != nil {
			return err
		}
		return s.reproved(ctx, tx, actor, stepPasskey)
	})
	if errcode.Of(err) == errcode.Unauthenticated {
		if err := s.recordFailedUnlock(ctx, actor, err); err != nil {
			return err
		}
	}
	if err != nil {
		return fmt.Errorf("directory: unlock a session: %w", err)
	}
	return nil
}

func (s *Service) recordFailedUnlock(ctx context.Context, actor identity.Actor, why error) error {
	detail := map[string]string{"method": stepPasskey}
	var cloned errCloned
	if errors.As(why, &cloned) {
		detail["reason"], detail["passkey"] = "passkey_cloned", cloned.passkey
	}
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: "session.unlock", Outcome: audit.Failed,
			Object: identity.ObjectRef{Kind: "session", ID: string(actor.Session)}, Detail: detail})
	})
	if err != nil {
		return fmt.Errorf("directory: record a failed unlock: %w", err)
	}
	return nil
}
