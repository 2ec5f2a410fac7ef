package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"commsd/identity"
	"commsd/internal/sqldb"
)

// Renewed returns an actor of AuthenticatePassword as they are now, for
// connections that last: with the roles and positions of this moment. The error
// is errcode.Unauthenticated where what the connection was opened with lets in
// no more.
func (s *Service) Renewed(ctx context.Context, actor identity.Actor) (identity.Actor, error) {
	now := s.now()
	var out identity.Actor
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		h, err := readHolder(ctx, tx, actor.Account, now, "")
		if err != nil {
			return err
		}
		id, app := strings.CutPrefix(string(actor.Session), string(appSession("")))
		if app {
			var one int
			err := tx.QueryRow(ctx, `SELECT 1 FROM directory_app_passwords WHERE id = $1 AND account_id = $2 AND (expires_at IS NULL OR expires_at > $3)`,
				id, string(actor.Account), now.UnixMicro()).Scan(&one)
			if err != nil {
				return err
			}
		}
		refused, err := s.refusesPrograms(ctx, tx, h, app)
		if err != nil {
			return err
		}
		if h.disabled || refused != "" {
			return errNoSession()
		}
		p, ok := h.position(actor.Position, now)
		if !ok {
			p = h.main()
		}
		out = h.actor(p, actor.Session, actor.Address)
		return nil
	})
	if errors.Is(err, sql.ErrNoRows) {
		return identity.Actor{}, errNoSession()
	}
	if err != nil {
		return identity.Actor{}, fmt.Errorf("directory: renew who is signed in: %w", err)
	}
	return out, nil
}
