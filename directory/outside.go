package directory

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"strings"
	"time"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// An outside address is where a one-time code may be sent when somebody cannot
// sign in, and so cannot read their mail here. It is believed once a code that
// was mailed to it came back. It is no factor: nobody signs in by it alone.

// Mailer sends mail of the system itself, from postmaster. It returns once the
// mail is kept for sending, and may be called from many goroutines.
type Mailer interface {
	SendSystem(ctx context.Context, to, subject, text string) error
}

const (
	verifyDigits   = 8
	verifyTries    = 5
	verifyLifetime = 30 * time.Minute
	verifyEvery    = time.Minute // between two mails to a new address
)

// OutsideAddress is what an account's owner sees of it.
type OutsideAddress struct {
	Address string // verified; empty: none
	Pending string // waits for the code that was mailed to it; empty: none
}

type outsideRow struct {
	address, pending string
	verified         int64
	hash             []byte
	until            int64
	tries            int
}

func (s *Service) errNoMailer() error {
	return errcode.New(errcode.Unavailable, "this installation sends no mail to the outside; print the code instead")
}

// SetOutsideAddress mails a code to an address that actor, who must be fresh,
// names; ConfirmOutsideAddress takes the code. Until then the earlier address
// stays.
func (s *Service) SetOutsideAddress(ctx context.Context, actor identity.Actor, address string) error {
	if err := s.requireFresh(ctx, actor); err != nil {
		return err
	}
	if s.cfg.Mailer == nil {
		return s.errNoMailer()
	}
	address = normalAddress(clip(address, 320))
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || strings.ContainsAny(address, "\r\n<>\"") {
		return errcode.New(errcode.Invalid, "address: this is no mail address; write it like ten@example.vn")
	}
	local, err := s.IsLocalDomain(ctx, address[strings.LastIndexByte(address, '@')+1:])
	if err != nil {
		return err
	}
	if local {
		return errcode.New(errcode.Invalid, "address: this address is received here, where you could not read it without signing in; name one of another provider")
	}
	digits, err := s.randomDigits(verifyDigits)
	if err != nil {
		return err
	}
	now := s.now()
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		row, err := readOutside(ctx, tx, actor.Account)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if sent := time.UnixMicro(row.until).Add(-verifyLifetime); now.Sub(sent) < verifyEvery {
			wait := verifyEvery - now.Sub(sent)
			return errcode.New(errcode.RateLimited, "a code was mailed a moment ago; look for it, or try again in a minute").After(wait)
		}
		if err := upsertPending(ctx, tx, actor.Account, address, hashVerify(actor.Account, address, digits), now.Add(verifyLifetime)); err != nil {
			return err
		}
		return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: "account.outside_address", Outcome: audit.OK,
			Object: identity.ObjectRef{Kind: "account", ID: string(actor.Account)}, Detail: map[string]string{"step": "named"}})
	})
	if err != nil {
		return fmt.Errorf("directory: name an outside address: %w", err)
	}
	text := fmt.Sprintf("Mã xác nhận địa chỉ này cho tài khoản %s: %s\r\nMã có hiệu lực trong 30 phút. Nếu bạn không yêu cầu, hãy bỏ qua thư này.\r\n\r\n"+
		"Code to confirm this address for the account %s: %s\r\nIt is valid for 30 minutes. If you did not ask for it, ignore this letter.\r\n",
		actor.Login, digits, actor.Login, digits)
	if err := s.cfg.Mailer.SendSystem(ctx, address, "Xác nhận địa chỉ thư / Confirm your address", text); err != nil {
		return fmt.Errorf("directory: mail a code: %w", err)
	}
	return nil
}

// ConfirmOutsideAddress believes the address that actor named last, by the code
// that was mailed to it. errcode.Invalid for a wrong code; after verifyTries of
// them a new one must be asked for.
func (s *Service) ConfirmOutsideAddress(ctx context.Context, actor identity.Actor, code string) error {
	code = strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, clip(code, 100))
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return countVerifyTry(ctx, tx, actor.Account, s.now())
	})
	if errors.Is(err, sql.ErrNoRows) {
		return errcode.New(errcode.Gone, "there is no code to confirm any more; have a new one mailed")
	}
	if err == nil {
		err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			row, err := readOutside(ctx, tx, actor.Account)
			if err != nil {
				return err
			}
			given := hashVerify(actor.Account, row.pending, code)
			if row.pending == "" || subtle.ConstantTimeCompare(given[:], row.hash) != 1 {
				return errcode.New(errcode.Invalid, "code: this is not the code that was mailed to %s", row.pending)
			}
			if err := confirmOutside(ctx, tx, actor.Account, row.pending, s.now()); err != nil {
				return err
			}
			return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: "account.outside_address", Outcome: audit.OK,
				Object: identity.ObjectRef{Kind: "account", ID: string(actor.Account)}, Detail: map[string]string{"step": "confirmed"}})
		})
	}
	if err != nil {
		return fmt.Errorf("directory: confirm an outside address: %w", err)
	}
	return nil
}

// RemoveOutsideAddress forgets it. The actor must be fresh; none is no error.
func (s *Service) RemoveOutsideAddress(ctx context.Context, actor identity.Actor) error {
	if err := s.requireFresh(ctx, actor); err != nil {
		return err
	}
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		// When a code was mailed last stays: who takes the address away after
		// each could have any number sent to somebody else's.
		_, err := tx.Exec(ctx, `UPDATE directory_outside_addresses SET address = '', verified_at = NULL, pending = '', pending_hash = $2, pending_tries = 0
			WHERE account_id = $1`, string(actor.Account), []byte{})
		if err != nil {
			return err
		}
		return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: "account.outside_address", Outcome: audit.OK,
			Object: identity.ObjectRef{Kind: "account", ID: string(actor.Account)}, Detail: map[string]string{"step": "removed"}})
	})
	if err != nil {
		return fmt.Errorf("directory: remove an outside address: %w", err)
	}
	return nil
}

// outsideAddress is where a code for account may be sent.
func (s *Service) outsideAddress(ctx context.Context, account identity.AccountID) (string, error) {
	if s.cfg.Mailer == nil {
		return "", s.errNoMailer()
	}
	var row outsideRow
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		row, err = readOutside(ctx, tx, account)
		return err
	})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("directory: outside address: %w", err)
	}
	if row.address == "" {
		return "", errcode.New(errcode.Conflict, "this account has no verified outside address; print the code instead").Because("no_outside_address")
	}
	return row.address, nil
}

func (s *Service) sendCode(ctx context.Context, account identity.AccountID, to, code string, until time.Time) error {
	zone, err := time.LoadLocation("Asia/Ho_Chi_Minh")
	if err != nil {
		zone = time.UTC
	}
	at := until.In(zone).Format("15:04 02/01/2006")
	text := fmt.Sprintf("Mã dùng một lần để đặt lại mật khẩu: %s\r\nMã có hiệu lực đến %s. Ở trang đăng nhập, chọn “Tôi có mã dùng một lần”.\r\n\r\n"+
		"One-time code to choose a new password: %s\r\nIt is valid until %s. On the sign-in page choose “I have a one-time code”.\r\n", code, at, code, at)
	if err := s.cfg.Mailer.SendSystem(ctx, to, "Mã đặt lại mật khẩu / Code for a new password", text); err != nil {
		return fmt.Errorf("directory: mail a one-time code of %s: %w", account, err)
	}
	return nil
}

// halfHidden shows enough of an address to know it again: b…h@example.vn.
func halfHidden(address string) string {
	local, domain, _ := strings.Cut(address, "@")
	runes := []rune(local)
	if len(runes) < 3 {
		return "…@" + domain
	}
	return string(runes[0]) + "…" + string(runes[len(runes)-1]) + "@" + domain
}

func (s *Service) randomDigits(n int) (string, error) {
	out := make([]byte, 0, n)
	var b [1]byte
	for len(out) < n {
		if _, err := io.ReadFull(s.cfg.Rand, b[:]); err != nil {
			return "", fmt.Errorf("directory: random digits: %w", err)
		}
		if b[0] < 250 { // the rest would make some digits likelier
			out = append(out, '0'+b[0]%10)
		}
	}
	return string(out), nil
}

func hashVerify(account identity.AccountID, address, code string) [sha256.Size]byte {
	return sha256.Sum256([]byte("outside\x00" + string(account) + "\x00" + address + "\x00" + code))
}

func readOutside(ctx context.Context, tx *sqldb.Tx, account identity.AccountID) (outsideRow, error) {
	var r outsideRow
	err := tx.QueryRow(ctx, `SELECT address, COALESCE(verified_at, 0), pending, pending_hash, pending_until, pending_tries
		FROM directory_outside_addresses WHERE account_id = $1`, string(account)).
		Scan(&r.address, &r.verified, &r.pending, &r.hash, &r.until, &r.tries)
	return r, err
}

func upsertPending(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, address string, hash [sha256.Size]byte, until time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO directory_outside_addresses (account_id, address, pending, pending_hash, pending_until, pending_tries)
		VALUES ($1, '', $2, $3, $4, 0)
		ON CONFLICT (account_id) DO UPDATE SET pending = excluded.pending, pending_hash = excluded.pending_hash,
			pending_until = excluded.pending_until, pending_tries = 0`,
		string(account), address, hash[:], until.UnixMicro())
	return err
}

// countVerifyTry answers sql.ErrNoRows where no code is waited for any more.
func countVerifyTry(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, now time.Time) error {
	return one(tx.Exec(ctx, `UPDATE directory_outside_addresses SET pending_tries = pending_tries + 1
		WHERE account_id = $1 AND pending <> '' AND pending_until > $2 AND pending_tries < $3`,
		string(account), now.UnixMicro(), verifyTries))
}

func confirmOutside(ctx context.Context, tx *sqldb.Tx, account identity.AccountID, address string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE directory_outside_addresses SET address = $1, verified_at = $2, pending = '', pending_until = 0, pending_tries = 0
		WHERE account_id = $3`, address, now.UnixMicro(), string(account))
	return err
}
