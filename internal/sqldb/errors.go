package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"commsd/internal/errcode"
)

// IsUnique tells whether err is the violation of a unique constraint or a
// primary key, on either engine.
func IsUnique(err error) bool {
	if code, ok := sqliteCode(err); ok {
		return code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	return sqlState(err) == "23505" // unique_violation
}

func sqliteCode(err error) (int, bool) {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code(), true
	}
	return 0, false
}

func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// retryable tells whether PostgreSQL undid a transaction only because of
// others that ran beside it.
func retryable(err error) bool {
	switch sqlState(err) {
	case "40001", "40P01": // serialization_failure, deadlock_detected
		return true
	}
	return false
}

// classify gives errcode.Unavailable to the failures that pass by themselves
// or by an operator's hand, so that clients retry instead of giving up. Errors
// that have a code, and the caller's own, stay as they are.
func classify(err error) error {
	var coded *errcode.Error
	if err == nil || errors.As(err, &coded) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if code, ok := sqliteCode(err); ok {
		switch code & 0xff {
		case sqlite3.SQLITE_FULL:
			return errcode.Wrap(err, errcode.Unavailable, "the server's disk is full")
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR:
			return errcode.Wrap(err, errcode.Unavailable, "the database does not answer; try again in a moment")
		}
		return err
	}
	if unreachable(err) {
		return errcode.Wrap(err, errcode.Unavailable, "the database does not answer; try again in a moment")
	}
	return err
}

func unreachable(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	if errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, driver.ErrBadConn) {
		return true
	}
	state := sqlState(err)
	switch {
	case strings.HasPrefix(state, "08"), // connection exception
		strings.HasPrefix(state, "57P"), // shut down, starting up
		strings.HasPrefix(state, "53"):  // too many connections, out of memory, disk full
		return true
	}
	return false
}

// oneLine folds a driver's message, which may span lines, into one.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
