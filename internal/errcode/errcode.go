// Package errcode is the one error type of commsd: a code that transports map
// to their own status words, a message that the person at the other end may
// read, and a cause that only the log sees.
//
// It must not know any transport, and no domain: HTTP, SMTP, IMAP and
// WebSocket each keep one table from Code to their own answer.
package errcode

import (
	"errors"
	"fmt"
	"time"
)

// Code says what kind of failure an error is. The zero value is Internal, so
// that an error nobody classified is answered generically.
type Code uint8

// The codes. Each transport maps every one of them.
const (
	Internal        Code = iota // a defect or a broken dependency; logged whole, answered generically
	Invalid                     // the request is malformed or breaks a rule; the caller must change it
	Unauthenticated             // nobody is signed in, or the credentials are wrong
	Forbidden                   // signed in, but this may not be done
	NotFound                    // no such thing, or not one the caller may know of
	Conflict                    // the thing exists already or has changed meanwhile
	TooLarge                    // over a size limit
	RateLimited                 // too many, too fast; the same request may pass later
	Unavailable                 // a dependency is away or the server is stopping; retry
	Gone                        // it was here and is no more
	Locked                      // signed in, but the session waits for its owner to prove who they are again
)

var names = [...]string{
	Internal: "internal", Invalid: "invalid", Unauthenticated: "unauthenticated",
	Forbidden: "forbidden", NotFound: "not_found", Conflict: "conflict",
	TooLarge: "too_large", RateLimited: "rate_limited", Unavailable: "unavailable",
	Gone: "gone", Locked: "locked",
}

// String returns the code's wire name, such as "not_found".
func (c Code) String() string {
	if int(c) < len(names) {
		return names[c]
	}
	return names[Internal]
}

// All lists every code, for the tests that hold each transport's table whole.
func All() []Code {
	all := make([]Code, len(names))
	for i := range all {
		all[i] = Code(i)
	}
	return all
}

// Error is a classified failure.
type Error struct {
	Code    Code
	Message string // for the client: names the thing and the cure, holds no secret
	Cause   error  // for the log; may be nil
	Reason  string // a stable word for what exactly is wrong, for clients with words of their own ("address_taken"); empty: the code must do

	RetryAfter time.Duration // how long to wait before trying again; zero: the error does not say
}

// New returns an error whose message the client may read.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap is New with a cause for the log.
func Wrap(cause error, code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Cause: cause}
}

// After says how long to wait before trying again, and returns e.
func (e *Error) After(wait time.Duration) *Error {
	e.RetryAfter = wait
	return e
}

// Because names what exactly is wrong, and returns e.
func (e *Error) Because(reason string) *Error {
	e.Reason = reason
	return e
}

// Reason is the word that err has for what exactly is wrong; empty when it has
// none.
func Reason(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// RetryAfter is how long err says to wait; zero when it does not.
func RetryAfter(err error) time.Duration {
	var e *Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}

// Error returns code, message and cause, for the log.
func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Cause)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Of returns the code of the outermost Error in err's chain, Internal where
// there is none.
func Of(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// Message returns what a client may read of err: the message of its Error, or
// generic words for an error without one or with code Internal.
func Message(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Code != Internal {
		return e.Message
	}
	return "internal error"
}
