package chat

import (
	"commsd/internal/errcode"
	"commsd/internal/wsconn"
)

// The numbered reasons for which the server closes a socket; docs/protocols/chat.md
// has a line for each. 44xx: the client is at fault and must not simply retry.
var (
	reasonMalformed    = &wsconn.Closed{Code: 4400, Reason: "malformed frame"}
	reasonUnknownType  = &wsconn.Closed{Code: 4401, Reason: "unknown message type"}
	reasonHelloFirst   = &wsconn.Closed{Code: 4402, Reason: "hello must come first"}
	reasonHelloTwice   = &wsconn.Closed{Code: 4403, Reason: "hello came twice"}
	reasonHelloTimeout = &wsconn.Closed{Code: 4404, Reason: "no hello in time"}
	reasonBinary       = &wsconn.Closed{Code: 4405, Reason: "binary frame"}
	reasonBadField     = &wsconn.Closed{Code: 4406, Reason: "missing or bad member"}
	reasonTooFast      = &wsconn.Closed{Code: 4407, Reason: "too many commands waiting"}
	reasonVersion      = &wsconn.Closed{Code: 4408, Reason: "protocol version not spoken here"}

	reasonSessionEnded = &wsconn.Closed{Code: 4501, Reason: "session ended"}
	reasonDraining     = &wsconn.Closed{Code: 4502, Reason: "reconnect later"}
	reasonTooSlow      = &wsconn.Closed{Code: 4503, Reason: "client reads too slowly"}
	reasonUnavailable  = &wsconn.Closed{Code: 4504, Reason: "try again later"}
	reasonTooMany      = &wsconn.Closed{Code: 4505, Reason: "too many connections"}
)

// errorCodes maps every code of errcode to the word in an error message; the
// socket stays open.
var errorCodes = map[errcode.Code]string{
	errcode.Internal:        "internal",
	errcode.Invalid:         "invalid",
	errcode.Unauthenticated: "unauthenticated",
	errcode.Forbidden:       "forbidden",
	errcode.NotFound:        "not_found",
	errcode.Conflict:        "conflict",
	errcode.TooLarge:        "too_large",
	errcode.RateLimited:     "rate_limited",
	errcode.Unavailable:     "unavailable",
	errcode.Gone:            "gone",
	errcode.Locked:          "locked",
}
