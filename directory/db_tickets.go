package directory

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"commsd/identity"
	"commsd/internal/sqldb"
)

func insertTicket(ctx context.Context, tx *sqldb.Tx, t ticket, until time.Time) error {
	state := t.state
	if state == nil {
		state = []byte{}
	}
	_, err := tx.Exec(ctx, `INSERT INTO directory_sign_in_tickets (token_hash, account_id, proven, next, state, attempts, expires_at)
		VALUES ($1, $2, $3, $4, $5, 0, $6)`,
		t.hash[:], string(t.account), strings.Join(t.proven, " "), strings.Join(t.next, " "), state, until.UnixMicro())
	if err != nil {
		return fmt.Errorf("insert a ticket: %w", err)
	}
	return nil
}

// readTicket answers sql.ErrNoRows for a ticket that is unknown, expired or
// used up.
func readTicket(ctx context.Context, tx *sqldb.Tx, hash tokenHash, now time.Time) (ticket, error) {
	t := ticket{hash: hash}
	var proven, next string
	err := tx.QueryRow(ctx, `SELECT account_id, proven, next, state FROM directory_sign_in_tickets
		WHERE token_hash = $1 AND expires_at > $2 AND attempts < $3`,
		hash[:], now.UnixMicro(), maxTicketTries).Scan(&t.account, &proven, &next, &t.state)
	t.proven, t.next = strings.Fields(proven), strings.Fields(next)
	return t, err
}

// one turns a statement that changed nothing into sql.ErrNoRows.
func one(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		return sql.ErrNoRows
	}
	return err
}

func updateTicketState(ctx context.Context, tx *sqldb.Tx, hash tokenHash, state []byte, now time.Time) error {
	return one(tx.Exec(ctx, `UPDATE directory_sign_in_tickets SET state = $1 WHERE token_hash = $2 AND expires_at > $3`,
		state, hash[:], now.UnixMicro()))
}

// countTicketTry answers sql.ErrNoRows for a ticket that takes no more tries.
// What the answer is checked with is spent.
func countTicketTry(ctx context.Context, tx *sqldb.Tx, hash tokenHash, now time.Time) error {
	return one(tx.Exec(ctx, `UPDATE directory_sign_in_tickets SET attempts = attempts + 1, state = $4
		WHERE token_hash = $1 AND expires_at > $2 AND attempts < $3`, hash[:], now.UnixMicro(), maxTicketTries, []byte{}))
}

func deleteTicket(ctx context.Context, tx *sqldb.Tx, hash tokenHash) error {
	return one(tx.Exec(ctx, `DELETE FROM directory_sign_in_tickets WHERE token_hash = $1`, hash[:]))
}

func deleteTicketsOf(ctx context.Context, tx *sqldb.Tx, id identity.AccountID) error {
	_, err := tx.Exec(ctx, `DELETE FROM directory_sign_in_tickets WHERE account_id = $1`, string(id))
	return err
}

func deleteExpiredTickets(ctx context.Context, tx *sqldb.Tx, before time.Time) error {
	_, err := tx.Exec(ctx, `DELETE FROM directory_sign_in_tickets WHERE expires_at < $1`, before.UnixMicro())
	return err
}
