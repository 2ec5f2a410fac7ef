package httpapi

import (
	"context"
	"slices"
	"strings"

	"commsd/identity"
	"commsd/internal/errcode"
)

// A position that is lent acts in what it is lent for and nowhere else. What a
// request is about is the first part of its path below /api/v1/, so that a
// route cannot be forgotten: one that stands in neither table is refused.
var lentFor = map[string]identity.Scope{
	"mail":      identity.ScopeMail,
	"meetings":  identity.ScopeMeetings,
	"chat":      identity.ScopeChat,
	"documents": identity.ScopeDocuments,
}

// lentAlways are the parts that are the same whatever one acts as: who is
// signed in, one's own account, who is who. Administration below them needs
// roles, which a lent position does not carry.
var lentAlways = []string{"sessions", "account", "directory", "info"}

// RefusalNoter is an Authenticator that keeps what was refused.
type RefusalNoter interface {
	// NoteRefusal records that actor may not act in part of the API, and why.
	NoteRefusal(ctx context.Context, actor identity.Actor, part, reason string) error
}

// admitLent refuses a request outside of what its position is lent for.
func (a *API) admitLent(ctx context.Context, actor identity.Actor, path string) error {
	if actor.Delegation == "" {
		return nil
	}
	part, _, _ := strings.Cut(strings.TrimPrefix(path, "/api/v1/"), "/")
	scope, known := lentFor[part]
	if known && slices.Contains(actor.Scopes, scope) || slices.Contains(lentAlways, part) {
		return nil
	}
	if noter, ok := a.cfg.Authenticator.(RefusalNoter); ok {
		if err := noter.NoteRefusal(ctx, actor, part, "not_delegated"); err != nil {
			return err
		}
	}
	return errcode.New(errcode.Forbidden, "the position that you act in was not lent to you for this; choose your own position")
}
