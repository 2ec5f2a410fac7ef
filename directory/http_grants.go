package directory

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"commsd/identity"
	"commsd/internal/httpapi"
)

// directoryAdminGrant is an administrative role that somebody holds.
type directoryAdminGrant struct {
	ID         string          `json:"id"`
	Person     directoryPerson `json:"person"`
	Login      string          `json:"login"`
	Role       string          `json:"role" enum:"system_admin,agency_admin,security_admin,auditor,records_officer"`
	AgencyID   string          `json:"agency_id" doc:"empty: the whole installation"`
	AgencyName string          `json:"agency_name"`
	UnitID     string          `json:"unit_id" doc:"that unit and all below it; empty: the whole agency"`
	Unit       string          `json:"unit"`
	GrantedBy  string          `json:"granted_by" doc:"name of who granted it; empty: the command line"`
	GrantedAt  time.Time       `json:"granted_at"`
	Disabled   bool            `json:"disabled" doc:"the account is disabled, so the role has no effect now"`
	Removable  bool            `json:"removable" doc:"I may take it away"`
}

type adminGrantsInput struct {
	AgencyID string `query:"agency_id" maxLength:"64" doc:"roles in this agency only; empty: all that I may see"`
	PersonID string `query:"person_id" maxLength:"64" doc:"roles of this person only"`
	Role     string `query:"role" enum:"system_admin,agency_admin,security_admin,auditor,records_officer"`
}

type adminGrantsOutput struct {
	Body struct {
		Grants []directoryAdminGrant `json:"grants" nullable:"false" doc:"by agency, role and name"`
	}
}

type addAdminGrantInput struct {
	Body struct {
		PersonID string `json:"person_id" maxLength:"64" doc:"who has an account"`
		Role     string `json:"role" enum:"system_admin,agency_admin,security_admin,auditor,records_officer"`
		AgencyID string `json:"agency_id,omitempty" maxLength:"64" doc:"empty: the whole installation"`
		UnitID   string `json:"unit_id,omitempty" maxLength:"64" doc:"that unit and all below it; empty: the whole agency"`
	}
}

type adminGrantOutput struct{ Body directoryAdminGrant }

type adminGrantInput struct {
	ID string `path:"id" maxLength:"128"`
}

func (s *Service) grantRoutes(api *httpapi.API) {
	httpapi.Get(api, "list-admin-grants", tag, "/api/v1/directory/admin-grants", "List who holds which administrative role where, as far as my own roles reach",
		func(ctx context.Context, actor identity.Actor, in *adminGrantsInput) (*adminGrantsOutput, error) {
			grants, err := s.AdminGrants(ctx, actor, AdminGrantFilter{Agency: identity.AgencyID(in.AgencyID), Person: identity.PersonID(in.PersonID), Role: identity.Role(in.Role)})
			if err != nil {
				return nil, err
			}
			out := &adminGrantsOutput{}
			out.Body.Grants = make([]directoryAdminGrant, len(grants))
			for i, g := range grants {
				out.Body.Grants[i] = adminGrantJSON(g)
			}
			return out, nil
		})
	httpapi.Register(api, huma.Operation{Method: http.MethodPost, OperationID: "add-admin-grant", Tags: []string{tag},
		Path: "/api/v1/directory/admin-grants", Summary: "Give a person an administrative role", DefaultStatus: http.StatusCreated,
		Description: "Holds at once in the person's open sessions. One gives what one holds oneself, where one holds it, and never to oneself; a system administrator gives any role. Giving the same twice is no error."},
		func(ctx context.Context, actor identity.Actor, in *addAdminGrantInput) (*adminGrantOutput, error) {
			g, err := s.AddAdminGrant(ctx, actor, NewAdminGrant{Person: identity.PersonID(in.Body.PersonID), Role: identity.Role(in.Body.Role),
				Agency: identity.AgencyID(in.Body.AgencyID), Unit: identity.UnitID(in.Body.UnitID)})
			if err != nil {
				return nil, err
			}
			return &adminGrantOutput{Body: adminGrantJSON(g)}, nil
		})
	httpapi.Register(api, huma.Operation{Method: http.MethodDelete, OperationID: "remove-admin-grant", Tags: []string{tag},
		Path: "/api/v1/directory/admin-grants/{id}", Summary: "Take an administrative role away", DefaultStatus: http.StatusNoContent,
		Description: "Holds at once in the person's open sessions, which go on without the role. The last system administrator stays."},
		func(ctx context.Context, actor identity.Actor, in *adminGrantInput) (*struct{}, error) {
			return nil, s.RemoveAdminGrant(ctx, actor, in.ID)
		})
}

func adminGrantJSON(g AdminGrant) directoryAdminGrant {
	return directoryAdminGrant{ID: g.ID, Person: personJSON(g.Person), Login: g.Login, Role: string(g.Role), AgencyID: string(g.Agency), AgencyName: g.AgencyName,
		UnitID: string(g.Unit), Unit: g.UnitName, GrantedBy: g.GrantedBy, GrantedAt: g.GrantedAt.UTC(), Disabled: g.Disabled, Removable: g.Removable}
}
