package directory

import (
	"context"

	"commsd/identity"
	"commsd/internal/httpapi"
)

type partnerGrantsInput struct {
	Agency string `query:"agency_id" maxLength:"64" doc:"given by or to it; absent: one's own"`
}

type partnerGrantsOutput struct {
	Body struct {
		Grants []PartnerGrant `json:"grants" nullable:"false"`
	}
}

type partnerPersonBody struct {
	Person identity.PersonID `json:"person_id"`
}

func (s *Service) partnerRoutes(api *httpapi.API) {
	httpapi.Get(api, "list-partner-grants", "directory", "/api/v1/directory/partner-grants", "List roles given to and by partner agencies",
		func(ctx context.Context, actor identity.Actor, in *partnerGrantsInput) (*partnerGrantsOutput, error) {
			grants, err := s.PartnerGrants(ctx, actor, identity.AgencyID(in.Agency))
			if err != nil {
				return nil, err
			}
			out := &partnerGrantsOutput{}
			out.Body.Grants = grants
			return out, nil
		})
	created(api, "create-partner-grant", "/api/v1/directory/partner-grants", "Give a partner agency a role on an object",
		"For administrators of the agency that the object belongs to; the partner's administrators choose the people.",
		func(ctx context.Context, actor identity.Actor, in *bodyInput[NewPartnerGrant]) (*recordOutput[PartnerGrant], error) {
			return answer(s.CreatePartnerGrant(ctx, actor, in.Body))
		})
	removed(api, "delete-partner-grant", "/api/v1/directory/partner-grants/{id}", "Take a role back from a partner agency", "Holds at once.",
		func(ctx context.Context, actor identity.Actor, in *idInput) error {
			return s.DeletePartnerGrant(ctx, actor, in.ID)
		})
	created(api, "assign-partner-person", "/api/v1/directory/partner-grants/{id}/people", "Choose a person for a role from a partner",
		"For administrators of the agency that the role was given to, for people of their own. Choosing one twice is no error.",
		func(ctx context.Context, actor identity.Actor, in *idBodyInput[partnerPersonBody]) (*recordOutput[PartnerGrant], error) {
			return answer(s.AssignPartner(ctx, actor, in.ID, in.Body.Person))
		})
	removed(api, "unassign-partner-person", "/api/v1/directory/partner-grants/{id}/people/{entry}", "Take a person out of a role from a partner", "Holds at once.",
		func(ctx context.Context, actor identity.Actor, in *entryInput) error {
			return s.UnassignPartner(ctx, actor, in.ID, identity.PersonID(in.Entry))
		})
}
