package mail

import (
	"context"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/mail/store"
)

// refused returns err, and records it where it keeps actor, whose store is id,
// from a message that is somebody else's. The answer is the same as for one
// that there is not. A log that cannot be written changes nothing about it.
func (s *Service) refused(ctx context.Context, actor identity.Actor, id store.ID, message string, err error) error {
	if errcode.Of(err) != errcode.NotFound || s.cfg.Audit == nil {
		return err
	}
	others, failed := s.store.IsOthers(ctx, id, message)
	if failed == nil && others {
		failed = s.cfg.Audit.Refused(ctx, s.cfg.DB, audit.Event{Actor: actor, Action: "mailbox.read",
			Object: identity.ObjectRef{Kind: "message", ID: message}}, "not_owner")
	}
	if failed != nil {
		s.cfg.Log.ErrorContext(ctx, "a refusal was not audited", "message", message, "err", failed)
	}
	return err
}
