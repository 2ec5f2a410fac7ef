package directory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"commsd/audit"
	"commsd/directory/factor"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// Sealer keeps secrets of tables under the installation's key; name is bound
// to the secret. secret.Store is one. It may be used from many goroutines.
type Sealer interface {
	Seal(name string, value []byte) ([]byte, error)
	Open(name string, sealed []byte) ([]byte, error)
}

// Whom Config.RequireFactor makes have a second factor.
const (
	RequireFactorAdmins = "admins" // whoever holds an administrative role
	RequireFactorAll    = "all"
	RequireFactorNone   = "none"
)

// What an authenticator app that was not confirmed is worth.
const pendingTOTPLifetime = 30 * time.Minute

const (
	maxPasskeys    = 20 // of one account
	maxPasskeyName = 100
)

// The kinds of factors, as audit and notices name them.
const (
	kindTOTP     = "totp"
	kindPasskey  = "passkey"
	kindRecovery = "recovery_codes"
)

// Factors is what an account can prove itself by beside its password.
type Factors struct {
	TOTP          bool
	TOTPAdded     time.Time // zero without
	TOTPUsed      time.Time // zero: never
	Passkeys      []Passkey
	PasskeysHere  bool // the installation has a name that passkeys can be bound to
	RecoveryLeft  int
	RecoveryMade  time.Time // zero: none were made
	Required      bool      // the account must have a second factor: the last one stays
	PasswordInApp bool      // programs may sign in by the login password, since there is no second factor
}

// Passkey is what its owner sees of one.
type Passkey struct {
	ID      string
	Name    string
	Added   time.Time
	Used    time.Time // zero: never
	Synced  bool      // a copy may be in the cloud of its maker
	Carrier string    // "internal": this device's own; "usb", "nfc", …; empty: unknown
}

// TOTPEnrolment is what an authenticator app needs. It is shown once.
type TOTPEnrolment struct {
	Secret string // base32, to be typed
	URI    string // otpauth
	QR     string // data address of an image of URI
}

// Factors tells an account's owner what they have.
func (s *Service) Factors(ctx context.Context, actor identity.Actor) (Factors, error) {
	var out Factors
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		out, err = s.readFactors(ctx, tx, actor.Account)
		return err
	})
	if err != nil {
		return Factors{}, fmt.Errorf("directory: factors of account %s: %w", actor.Account, err)
	}
	return out, nil
}

func (s *Service) readFactors(ctx context.Context, tx *sqldb.Tx, id identity.AccountID) (Factors, error) {
	h, err := readHolder(ctx, tx, id, s.now(), "")
	if err != nil {
		return Factors{}, err
	}
	t, err := readTOTP(ctx, tx, id)
	if err != nil {
		return Factors{}, err
	}
	keys, err := readPasskeys(ctx, tx, id)
	if err != nil {
		return Factors{}, err
	}
	count, err := countFactors(ctx, tx, id)
	if err != nil {
		return Factors{}, err
	}
	made, err := readRecoveryMade(ctx, tx, id)
	if err != nil {
		return Factors{}, err
	}
	required, err := s.mustHaveFactor(ctx, tx, h)
	if err != nil {
		return Factors{}, err
	}
	out := Factors{TOTP: t.sealed != nil, RecoveryLeft: count.recovery, RecoveryMade: timeOf(made), PasskeysHere: s.site != nil,
		Required: required, PasswordInApp: !count.any()}
	if out.TOTP {
		out.TOTPAdded, out.TOTPUsed = timeOf(t.confirmedAt), timeOf(t.lastUsedAt)
	}
	for _, k := range keys {
		p := Passkey{ID: k.id, Name: k.name, Added: timeOf(k.createdAt), Used: timeOf(k.lastUsedAt), Synced: k.Synced()}
		if len(k.Transports) > 0 {
			p.Carrier = k.Transports[0]
		}
		out.Passkeys = append(out.Passkeys, p)
	}
	return out, nil
}

// factorRequired tells whether the owner of an account must have a second
// factor.
func (s *Service) factorRequired(login string, grants []identity.Grant) bool {
	switch {
	case s.demo.Load() && isDemoLogin(login, s.cfg.Domain):
		return false
	case s.cfg.RequireFactor == RequireFactorAll:
		return true
	case s.cfg.RequireFactor == RequireFactorNone:
		return false
	default:
		return len(grants) > 0
	}
}

// mustHaveFactor is factorRequired, and what the agencies demand in which the
// owner of the account holds a post. Theirs binds the demo's accounts too.
func (s *Service) mustHaveFactor(ctx context.Context, tx *sqldb.Tx, h holder) (bool, error) {
	if s.factorRequired(h.login, h.grants) {
		return true, nil
	}
	for _, p := range h.positions {
		if p.Delegation != "" {
			continue // lent, and no post of theirs
		}
		policy, err := signInPolicy(ctx, tx, p.Agency)
		if err != nil {
			return false, fmt.Errorf("sign-in policy of agency %s: %w", p.Agency, err)
		}
		if policy.SecondFactor == SecondFactorEverybody {
			return true, nil
		}
	}
	return false, nil
}

// totpName binds a sealed secret to its account.
func totpName(id identity.AccountID) string { return "directory.totp/" + string(id) }

// BeginTOTP makes the secret of a new authenticator app. It counts once
// ConfirmTOTP has seen a code of it; an app before it holds until then.
func (s *Service) BeginTOTP(ctx context.Context, actor identity.Actor) (TOTPEnrolment, error) {
	if err := s.requireFresh(ctx, actor); err != nil {
		return TOTPEnrolment{}, err
	}
	return s.beginTOTP(ctx, actor.Account, actor.Login)
}

func (s *Service) beginTOTP(ctx context.Context, account identity.AccountID, login string) (TOTPEnrolment, error) {
	if s.cfg.Secrets == nil {
		return TOTPEnrolment{}, errors.New("directory: Config.Secrets is needed for authenticator apps")
	}
	secret, err := factor.NewSecret(s.cfg.Rand)
	if err != nil {
		return TOTPEnrolment{}, fmt.Errorf("directory: %w", err)
	}
	out := TOTPEnrolment{Secret: factor.SecretText(secret)}
	if out.URI, err = factor.URI(s.cfg.Domain, login, secret); err != nil {
		return TOTPEnrolment{}, fmt.Errorf("directory: %w", err)
	}
	if out.QR, err = factor.QR(out.URI); err != nil {
		return TOTPEnrolment{}, fmt.Errorf("directory: %w", err)
	}
	sealed, err := s.cfg.Secrets.Seal(totpName(account), secret)
	if err != nil {
		return TOTPEnrolment{}, fmt.Errorf("directory: seal a secret: %w", err)
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return upsertPendingTOTP(ctx, tx, account, sealed, s.now())
	})
	if err != nil {
		return TOTPEnrolment{}, fmt.Errorf("directory: %w", err)
	}
	return out, nil
}

// ConfirmTOTP makes the app of the last BeginTOTP count, once a code of it was
// right: errcode.Invalid for a wrong one, errcode.Gone when nothing waits.
func (s *Service) ConfirmTOTP(ctx context.Context, actor identity.Actor, code string) error {
	if err := s.requireFresh(ctx, actor); err != nil {
		return err
	}
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.confirmTOTP(ctx, tx, actor, code) })
	if err != nil {
		return fmt.Errorf("directory: confirm an authenticator app: %w", err)
	}
	s.tellOwner(ctx, actor.Login, "đã thêm ứng dụng xác thực", "an authenticator app was added")
	return nil
}

func (s *Service) confirmTOTP(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, code string) error {
	if err := lockAccount(ctx, tx, actor.Account); err != nil {
		return err
	}
	t, err := readTOTP(ctx, tx, actor.Account)
	if err != nil {
		return err
	}
	now := s.now()
	if t.pending == nil || now.Sub(time.UnixMicro(t.pendingAt)) > pendingTOTPLifetime {
		return errcode.New(errcode.Gone, "the QR code has expired; ask for a new one")
	}
	secret, err := s.cfg.Secrets.Open(totpName(actor.Account), t.pending)
	if err != nil {
		return fmt.Errorf("open a secret: %w", err)
	}
	step, ok := factor.MatchTOTP(secret, code, now, 0)
	if !ok {
		return errcode.New(errcode.Invalid, "the code is not the one of this app now; check the clock of the device, and type the newest code")
	}
	if err := confirmTOTP(ctx, tx, actor.Account, step, now); err != nil {
		return err
	}
	if err := s.endByPassword(ctx, tx, actor.Account); err != nil {
		return err
	}
	return s.factorChanged(ctx, tx, actor, "factor.add", kindTOTP, nil)
}

// endByPassword ends the connections of programs that the account's password
// alone has opened: with a second factor it opens them no more.
func (s *Service) endByPassword(ctx context.Context, tx *sqldb.Tx, account identity.AccountID) error {
	return s.revoke(ctx, tx, account, identity.PasswordSession)
}

// RemoveTOTP takes the authenticator app away.
func (s *Service) RemoveTOTP(ctx context.Context, actor identity.Actor) error {
	return s.removeFactor(ctx, actor, kindTOTP, nil, func(ctx context.Context, tx *sqldb.Tx) (bool, error) {
		return deleteTOTP(ctx, tx, actor.Account)
	})
}

// RemovePasskey takes a passkey away; errcode.NotFound for one that is not the
// actor's.
func (s *Service) RemovePasskey(ctx context.Context, actor identity.Actor, id string) error {
	return s.removeFactor(ctx, actor, kindPasskey, map[string]string{"passkey": id}, func(ctx context.Context, tx *sqldb.Tx) (bool, error) {
		return deletePasskey(ctx, tx, actor.Account, id)
	})
}

// removeFactor refuses to take the last factor of somebody who must have one,
// and ends the recovery codes of whoever is left without.
func (s *Service) removeFactor(ctx context.Context, actor identity.Actor, kind string, detail map[string]string,
	remove func(context.Context, *sqldb.Tx) (bool, error),
) error {
	if err := s.requireFresh(ctx, actor); err != nil {
		return err
	}
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		h, err := readHolder(ctx, tx, actor.Account, s.now(), tx.ForUpdate())
		if err != nil {
			return err
		}
		before, err := countFactors(ctx, tx, actor.Account)
		if err != nil {
			return err
		}
		removed, err := remove(ctx, tx)
		if err != nil {
			return err
		}
		if !removed {
			return errcode.New(errcode.NotFound, "there is no such factor")
		}
		left, err := countFactors(ctx, tx, actor.Account)
		if err != nil {
			return err
		}
		if before.any() && !left.any() {
			required, err := s.mustHaveFactor(ctx, tx, h)
			if err != nil {
				return err
			}
			if required {
				return errcode.New(errcode.Conflict, "your account must have a second factor; add another one before you remove the last")
			}
			if err := replaceRecoveryCodes(ctx, tx, actor.Account, nil, s.now()); err != nil {
				return err
			}
		}
		return s.factorChanged(ctx, tx, actor, "factor.remove", kind, detail)
	})
	if err != nil {
		return fmt.Errorf("directory: remove a factor: %w", err)
	}
	if kind == kindTOTP {
		s.tellOwner(ctx, actor.Login, "đã gỡ ứng dụng xác thực", "the authenticator app was removed")
	} else {
		s.tellOwner(ctx, actor.Login, "đã gỡ một khoá truy cập (passkey)", "a passkey was removed")
	}
	return nil
}

// NewRecoveryCodes makes a set of codes, which are shown once; those before end.
// errcode.Conflict for an account without a second factor, which has nothing to
// recover from.
func (s *Service) NewRecoveryCodes(ctx context.Context, actor identity.Actor) ([]string, error) {
	if err := s.requireFresh(ctx, actor); err != nil {
		return nil, err
	}
	codes, err := factor.NewRecoveryCodes(s.cfg.Rand)
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	hashes := make([][]byte, len(codes))
	for i, code := range codes {
		hash, ok := factor.HashRecoveryCode(string(actor.Account), code)
		if !ok {
			return nil, errors.New("directory: a new recovery code is malformed")
		}
		hashes[i] = hash
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := lockAccount(ctx, tx, actor.Account); err != nil {
			return err
		}
		c, err := countFactors(ctx, tx, actor.Account)
		if err != nil {
			return err
		}
		if !c.any() {
			return errcode.New(errcode.Conflict, "set up a passkey or an authenticator app first; recovery codes stand in for those")
		}
		if err := replaceRecoveryCodes(ctx, tx, actor.Account, hashes, s.now()); err != nil {
			return err
		}
		return s.factorChanged(ctx, tx, actor, "factor.add", kindRecovery, nil)
	})
	if err != nil {
		return nil, fmt.Errorf("directory: make recovery codes: %w", err)
	}
	s.tellOwner(ctx, actor.Login, "đã tạo bộ mã khôi phục mới, các mã trước hết hiệu lực", "new recovery codes were made, and those before ended")
	return codes, nil
}

// passkeySite answers errcode.Unavailable where passkeys cannot be.
func (s *Service) passkeySite() (*factor.RelyingParty, error) {
	if s.site == nil {
		return nil, errcode.New(errcode.Unavailable, "passkeys need the installation to be reached by a name; use an authenticator app, or ask the operator to set http.public_url to one")
	}
	return s.site, nil
}

// The purposes of a signed-in person's challenges.
const (
	purposeRegister = "register"
	purposeProve    = "prove"
)

// passkeyHolder is an account as authenticators know it. The account's id says
// nothing about the person.
func passkeyHolder(h holder, keys []storedPasskey) factor.Holder {
	out := factor.Holder{Handle: []byte(h.account), Login: h.login, Name: h.name}
	for _, k := range keys {
		out.Passkeys = append(out.Passkeys, k.Passkey)
	}
	return out
}

func (s *Service) readPasskeyHolder(ctx context.Context, tx *sqldb.Tx, id identity.AccountID, lock string) (factor.Holder, []storedPasskey, error) {
	h, err := readHolder(ctx, tx, id, s.now(), lock)
	if err != nil {
		return factor.Holder{}, nil, err
	}
	keys, err := readPasskeys(ctx, tx, id)
	return passkeyHolder(h, keys), keys, err
}

// BeginPasskey returns the options with which a browser makes a new passkey.
func (s *Service) BeginPasskey(ctx context.Context, actor identity.Actor) ([]byte, error) {
	if err := s.requireFresh(ctx, actor); err != nil {
		return nil, err
	}
	return s.challengeSession(ctx, actor, purposeRegister, (*factor.RelyingParty).BeginRegistration)
}

// BeginProof returns the options with which a browser shows one of the actor's
// passkeys, to unlock the session; errcode.Conflict when there is none.
func (s *Service) BeginProof(ctx context.Context, actor identity.Actor) ([]byte, error) {
	return s.challengeSession(ctx, actor, purposeProve, func(site *factor.RelyingParty, h factor.Holder) (factor.Ceremony, error) {
		if len(h.Passkeys) == 0 {
			return factor.Ceremony{}, errcode.New(errcode.Conflict, "this account has no passkey; use the password")
		}
		return site.BeginAssertion(h)
	})
}

func (s *Service) challengeSession(ctx context.Context, actor identity.Actor, purpose string,
	start func(*factor.RelyingParty, factor.Holder) (factor.Ceremony, error),
) ([]byte, error) {
	site, err := s.passkeySite()
	if err != nil {
		return nil, err
	}
	var out factor.Ceremony
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		h, _, err := s.readPasskeyHolder(ctx, tx, actor.Account, "")
		if err != nil {
			return err
		}
		if out, err = start(site, h); err != nil {
			return err
		}
		now := s.now()
		return insertChallenge(ctx, tx, sha256.Sum256(out.Challenge), actor.Session, purpose, now, now.Add(factor.ChallengeLifetime))
	})
	if err != nil {
		return nil, fmt.Errorf("directory: begin with a passkey: %w", err)
	}
	return out.Options, nil
}

func errChallengeGone() error {
	return errcode.New(errcode.Gone, "this took too long; begin again")
}

// spendChallenge takes a challenge of the actor's session in a transaction of
// its own: whatever comes of the answer, it is not heard twice.
func (s *Service) spendChallenge(ctx context.Context, actor identity.Actor, purpose string, challenge []byte) error {
	var ours bool
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		ours, err = takeChallenge(ctx, tx, sha256.Sum256(challenge), actor.Session, purpose, s.now())
		return err
	})
	if err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	if !ours {
		return errChallengeGone()
	}
	return nil
}

// errPasskeyRefused is what a browser's answer that does not hold is told; the
// reason is for the log.
func errPasskeyRefused(cause error) error {
	return errcode.Wrap(cause, errcode.Invalid, "the passkey was not accepted; try again, or use another one")
}

// AddPasskey registers what a browser made of BeginPasskey's options.
func (s *Service) AddPasskey(ctx context.Context, actor identity.Actor, name string, credential []byte) (Passkey, error) {
	if err := s.requireFresh(ctx, actor); err != nil {
		return Passkey{}, err
	}
	if _, err := s.passkeySite(); err != nil {
		return Passkey{}, err
	}
	answer, err := factor.ParseRegistration(credential)
	if err != nil {
		return Passkey{}, errPasskeyRefused(err)
	}
	if err := s.spendChallenge(ctx, actor, purposeRegister, answer.Challenge); err != nil {
		return Passkey{}, err
	}
	var out Passkey
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		out, err = s.addPasskey(ctx, tx, actor, name, answer)
		return err
	})
	if err != nil {
		return Passkey{}, fmt.Errorf("directory: register a passkey: %w", err)
	}
	s.tellOwner(ctx, actor.Login, "đã thêm một khoá truy cập (passkey)", "a passkey was added")
	return out, nil
}

// addPasskey stores a passkey whose challenge was recognised.
func (s *Service) addPasskey(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, name string, answer factor.Registration) (Passkey, error) {
	h, keys, err := s.readPasskeyHolder(ctx, tx, actor.Account, tx.ForUpdate())
	if err != nil {
		return Passkey{}, err
	}
	if len(keys) >= maxPasskeys {
		return Passkey{}, errcode.New(errcode.Conflict, "an account has at most %d passkeys; remove one first", maxPasskeys)
	}
	key, err := s.site.Register(h, answer)
	if err != nil {
		return Passkey{}, errPasskeyRefused(err)
	}
	now := s.now()
	out := Passkey{Name: passkeyName(name, now), Added: now, Synced: key.Synced()}
	if len(key.Transports) > 0 {
		out.Carrier = key.Transports[0]
	}
	if out.ID, err = insertPasskey(ctx, tx, actor.Account, key, out.Name, now); err != nil {
		return Passkey{}, err
	}
	if err := s.endByPassword(ctx, tx, actor.Account); err != nil {
		return Passkey{}, err
	}
	return out, s.factorChanged(ctx, tx, actor, "factor.add", kindPasskey, map[string]string{"passkey": out.ID})
}

// passkeyName is name as it is kept; the day stands in for none.
func passkeyName(name string, now time.Time) string {
	name = normalText(clip(strings.TrimSpace(name), maxPasskeyName))
	if name == "" {
		name = "Passkey " + now.UTC().Format("2006-01-02")
	}
	return name
}

// RenamePasskey changes what its owner calls a passkey.
func (s *Service) RenamePasskey(ctx context.Context, actor identity.Actor, id, name string) error {
	if err := s.requireFresh(ctx, actor); err != nil {
		return err
	}
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		renamed, err := renamePasskey(ctx, tx, actor.Account, id, passkeyName(name, s.now()))
		if err != nil {
			return err
		}
		if !renamed {
			return errcode.New(errcode.NotFound, "there is no such passkey")
		}
		return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: "factor.rename", Outcome: audit.OK,
			Object: identity.ObjectRef{Kind: "account", ID: string(actor.Account)}, Detail: map[string]string{"kind": kindPasskey, "passkey": id}})
	})
	if err != nil {
		return fmt.Errorf("directory: rename a passkey: %w", err)
	}
	return nil
}

// errCloned tells that a passkey's counter did not rise.
type errCloned struct {
	account identity.AccountID
	passkey string
}

func (e errCloned) Error() string {
	return "directory: the counter of passkey " + e.passkey + " did not rise: there may be a copy"
}

// errPasskeyWrong is what somebody is told whose passkey proves nothing here,
// whether it was removed, never registered, copied, or its account disabled.
func errPasskeyWrong(cause error) error {
	return errcode.Wrap(cause, errcode.Unauthenticated, "the passkey was not accepted; try again, or sign in another way")
}

// provePasskey checks an answer whose challenge was recognised, and stores what
// its use changes, within tx. The error is that of errPasskeyWrong for one that
// does not hold.
func (s *Service) provePasskey(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, answer factor.Assertion) error {
	h, keys, err := s.readPasskeyHolder(ctx, tx, account, tx.ForUpdate())
	if err != nil {
		return err
	}
	key, cloned, err := s.site.Assert(h, answer)
	if err != nil {
		return errPasskeyWrong(err)
	}
	i := slices.IndexFunc(keys, func(k storedPasskey) bool { return bytes.Equal(k.Credential, key.Credential) })
	if !cloned {
		used, err := usePasskey(ctx, tx, keys[i].id, key, s.now())
		if err != nil {
			return err
		}
		cloned = !used
	}
	if cloned {
		return errPasskeyWrong(errCloned{account, keys[i].id})
	}
	return nil
}

// proveTOTP checks a code and takes its step, within tx.
func (s *Service) proveTOTP(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, code string) (bool, error) {
	t, err := readTOTP(ctx, tx, account)
	if err != nil || t.sealed == nil {
		return false, err
	}
	if s.cfg.Secrets == nil {
		return false, errors.New("directory: Config.Secrets is needed for authenticator apps")
	}
	secret, err := s.cfg.Secrets.Open(totpName(account), t.sealed)
	if err != nil {
		return false, fmt.Errorf("open a secret: %w", err)
	}
	now := s.now()
	step, ok := factor.MatchTOTP(secret, code, now, t.lastStep)
	if !ok {
		return false, nil
	}
	return takeStep(ctx, tx, account, step, now)
}

// proveRecoveryCode checks a code and uses it up, within tx.
func (s *Service) proveRecoveryCode(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, code string) (bool, error) {
	hash, ok := factor.HashRecoveryCode(string(account), code)
	if !ok {
		return false, nil
	}
	return takeRecoveryCode(ctx, tx, account, hash, s.now())
}

// tellAccount is tellOwner where the account is known by its id alone.
func (s *Service) tellAccount(ctx context.Context, id identity.AccountID, vi, en string) {
	var login string
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		login, err = readLogin(ctx, tx, id)
		return err
	})
	if err != nil {
		s.log.WarnContext(ctx, "directory: could not tell an owner that second factors changed", "account", id, "err", err)
		return
	}
	s.tellOwner(ctx, login, vi, en)
}

// tellOwner writes to the mailbox of an account that its second factors have
// changed: whoever did not do so themselves learns of it. It is called after the
// commit; a letter that cannot be sent undoes nothing.
func (s *Service) tellOwner(ctx context.Context, login, vi, en string) {
	if s.cfg.Mailer == nil {
		return
	}
	text := fmt.Sprintf("Tài khoản %[1]s: %[2]s. Nếu không phải Ông/Bà thực hiện, hãy đổi mật khẩu và báo ngay cho quản trị cơ quan.\r\n\r\n"+
		"Account %[1]s: %[3]s. If you did not do this, change your password and tell your administrator at once.\r\n", login, vi, en)
	if err := s.cfg.Mailer.SendSystem(ctx, login, "Thay đổi xác thực của tài khoản / Your account's sign-in has changed", text); err != nil {
		s.log.WarnContext(ctx, "directory: could not tell an owner that second factors changed", "login", login, "err", err)
	}
}

// factorChanged records a change of an account's factors by its owner.
func (s *Service) factorChanged(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, action identity.Action, kind string, detail map[string]string) error {
	words := map[string]string{"kind": kind}
	for k, v := range detail {
		words[k] = v
	}
	return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: action, Outcome: audit.OK,
		Object: identity.ObjectRef{Kind: "account", ID: string(actor.Account)}, Detail: words})
}
