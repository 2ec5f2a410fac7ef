package chat

import (
	"context"
	"errors"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// The actions that are recorded when who is no member asks for them.
const (
	actionRead  identity.Action = "conversation.read"
	actionWrite identity.Action = "conversation.write"
)

// refused returns err, and records it where it keeps actor out of a
// conversation that there is. Ids that name nothing are nobody's, so trying
// them out leaves no trace but the answer. A log that cannot be written changes
// nothing about the refusal.
func (s *Service) refused(ctx context.Context, actor identity.Actor, action identity.Action, conversation string, err error) error {
	reason := "not_owner"
	switch {
	case errors.Is(err, notMember) && isID(conversation):
		reason = "not_member"
	case errcode.Of(err) != errcode.Forbidden:
		return err
	}
	exists := false
	failed := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		heads, err := headsByID(ctx, tx, []string{conversation})
		exists = len(heads) == 1
		return err
	})
	if failed == nil && exists {
		failed = s.cfg.Audit.Refused(ctx, s.db, audit.Event{Actor: actor, Action: action,
			Object: identity.ObjectRef{Kind: "conversation", ID: conversation}}, reason)
	}
	if failed != nil {
		s.log.ErrorContext(ctx, "a refusal was not audited", "conversation", conversation, "err", failed)
	}
	return err
}
