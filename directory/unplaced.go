package directory

import (
	"context"

	"commsd/directory/permission"
	"commsd/identity"
	"commsd/internal/sqldb"
)

// Unplaced lists people whom no search finds, because they hold no position now
// or from a day to come: those who held their last one in an agency, or never
// any where agency is empty. It is for administrators of the agency, or of the
// whole installation, who give them one again.
func (s *Service) Unplaced(ctx context.Context, actor identity.Actor, agency identity.AgencyID) ([]identity.Person, error) {
	o := identity.Object{ObjectRef: identity.ObjectRef{Kind: "agency", ID: string(agency)}, Agency: agency}
	if err := s.permit(ctx, actor, permission.PersonWrite, o); err != nil {
		return nil, err
	}
	var out []identity.Person
	err := s.read(ctx, "people without a position", func(ctx context.Context, tx *sqldb.Tx) (err error) {
		query, args := unplacedQuery(agency, s.now())
		out, err = queryPeople(ctx, tx, query, args)
		return err
	})
	return out, err
}
