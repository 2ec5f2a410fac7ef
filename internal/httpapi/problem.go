package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"commsd/internal/errcode"
)

// Problem is an RFC 9457 problem document. Code is ours and stable; a client
// switches on it, never on the words.
type Problem struct {
	Status int                 `json:"status" doc:"HTTP status"`
	Title  string              `json:"title" doc:"the status in words"`
	Code   string              `json:"code" doc:"stable code: invalid, unauthenticated, forbidden, not_found, conflict, too_large, rate_limited, unavailable, gone, locked, internal"`
	Detail string              `json:"detail" doc:"what is wrong and how to mend it"`
	Reason string              `json:"reason,omitempty" doc:"stable word for what exactly is wrong, such as address_taken, where the code alone does not say it"`
	Errors []*huma.ErrorDetail `json:"errors,omitempty" doc:"each field at fault"`

	retryAfter time.Duration // zero: the answer does not say
}

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status, for huma.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is RFC 9457's, for huma.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders returns Retry-After (RFC 9110 section 10.2.3) in whole seconds, for huma.
func (p *Problem) GetHeaders() http.Header {
	if p.retryAfter <= 0 {
		return nil
	}
	return http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds())))}}
}

func init() {
	// huma has one process-wide constructor for the errors it finds itself
	// (validation, body size, unknown content type).
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		p := &Problem{Status: status, Title: http.StatusText(status), Code: codeOf(status).String(), Detail: msg}
		for _, err := range errs {
			var d huma.ErrorDetailer
			if errors.As(err, &d) {
				p.Errors = append(p.Errors, d.ErrorDetail())
			}
		}
		return p
	}
}

func codeOf(status int) errcode.Code {
	for code, s := range statuses {
		if s == status {
			return code
		}
	}
	if status == http.StatusRequestTimeout {
		return errcode.Unavailable // the line was slow; the request may be right
	}
	if status >= 400 && status < 500 {
		return errcode.Invalid
	}
	return errcode.Internal
}

func (a *API) problem(ctx context.Context, what string, err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	code := errcode.Of(err)
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		code = errcode.Unavailable // the client went away; nobody reads the answer
	case code == errcode.Internal:
		a.cfg.Log.ErrorContext(ctx, "request failed", "op", what, "err", err)
	default:
		a.cfg.Log.DebugContext(ctx, "request refused", "op", what, "err", err)
	}
	status := Status(code)
	return &Problem{Status: status, Title: http.StatusText(status), Code: code.String(), Detail: errcode.Message(err), Reason: errcode.Reason(err), retryAfter: errcode.RetryAfter(err)}
}

// WriteError answers r with the problem document of err.
func (a *API) WriteError(w http.ResponseWriter, r *http.Request, err error) {
	writeProblem(w, a.problem(r.Context(), r.Method+" "+r.URL.Path, err))
}

func writeProblem(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	maps.Copy(w.Header(), p.GetHeaders())
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the status is out; a client that left reads nothing
}
