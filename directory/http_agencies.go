package directory

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"commsd/identity"
	"commsd/internal/httpapi"
)

// The records of administration are their own JSON: what a page shows to
// change is what the service takes.

type bodyInput[T any] struct{ Body T }

type idInput struct {
	ID string `path:"id" maxLength:"64"`
}

type idBodyInput[T any] struct {
	ID   string `path:"id" maxLength:"64"`
	Body T
}

type recordOutput[T any] struct{ Body T }

func answer[T any](record T, err error) (*recordOutput[T], error) {
	if err != nil {
		return nil, err
	}
	return &recordOutput[T]{Body: record}, nil
}

// created registers a POST that answers 201.
func created[I, O any](api *httpapi.API, id, path, summary, description string, h func(context.Context, identity.Actor, *I) (*O, error)) {
	httpapi.Register(api, huma.Operation{Method: http.MethodPost, OperationID: id, Tags: []string{"directory"}, Path: path,
		Summary: summary, Description: description, DefaultStatus: http.StatusCreated}, h)
}

// removed registers a DELETE that answers 204.
func removed[I any](api *httpapi.API, id, path, summary, description string, h func(context.Context, identity.Actor, *I) error) {
	httpapi.Register(api, huma.Operation{Method: http.MethodDelete, OperationID: id, Tags: []string{"directory"}, Path: path,
		Summary: summary, Description: description, DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, actor identity.Actor, in *I) (*struct{}, error) {
			return nil, h(ctx, actor, in)
		})
}

// patched registers a PATCH.
func patched[I, O any](api *httpapi.API, id, path, summary string, h func(context.Context, identity.Actor, *I) (*O, error)) {
	httpapi.Patch(api, id, "directory", path, summary, h)
}

type resolveAgencyInput struct {
	Identifier string `query:"identifier" required:"true" minLength:"1" maxLength:"64" doc:"either form: G09 or 000.00.00.G09"`
}

func (s *Service) agencyRoutes(api *httpapi.API) {
	created(api, "create-agency", "/api/v1/directory/agencies", "Add an agency", "For system administrators of the whole installation.",
		func(ctx context.Context, actor identity.Actor, in *bodyInput[NewAgency]) (*recordOutput[AgencyRecord], error) {
			return answer(s.CreateAgency(ctx, actor, in.Body))
		})
	httpapi.Get(api, "resolve-agency", "directory", "/api/v1/directory/agencies/resolve", "Find an agency by either form of its identifier",
		func(ctx context.Context, _ identity.Actor, in *resolveAgencyInput) (*recordOutput[AgencyRecord], error) {
			return answer(s.ResolveAgency(ctx, in.Identifier))
		})
	httpapi.Get(api, "get-agency", "directory", "/api/v1/directory/agencies/{id}", "Show an agency",
		func(ctx context.Context, _ identity.Actor, in *idInput) (*recordOutput[AgencyRecord], error) {
			return answer(s.Agency(ctx, identity.AgencyID(in.ID)))
		})
	patched(api, "update-agency", "/api/v1/directory/agencies/{id}", "Change an agency",
		func(ctx context.Context, actor identity.Actor, in *idBodyInput[AgencyChange]) (*recordOutput[AgencyRecord], error) {
			return answer(s.UpdateAgency(ctx, actor, identity.AgencyID(in.ID), in.Body))
		})
}

func (s *Service) unitRoutes(api *httpapi.API) {
	created(api, "create-unit", "/api/v1/directory/units", "Add a unit", "For administrators of the agency or of the unit above.",
		func(ctx context.Context, actor identity.Actor, in *bodyInput[NewUnit]) (*recordOutput[UnitRecord], error) {
			return answer(s.CreateUnit(ctx, actor, in.Body))
		})
	httpapi.Get(api, "get-unit", "directory", "/api/v1/directory/units/{id}", "Show a unit",
		func(ctx context.Context, _ identity.Actor, in *idInput) (*recordOutput[UnitRecord], error) {
			return answer(s.Unit(ctx, identity.UnitID(in.ID)))
		})
	patched(api, "update-unit", "/api/v1/directory/units/{id}", "Change or move a unit",
		func(ctx context.Context, actor identity.Actor, in *idBodyInput[UnitChange]) (*recordOutput[UnitRecord], error) {
			return answer(s.UpdateUnit(ctx, actor, identity.UnitID(in.ID), in.Body))
		})
	removed(api, "delete-unit", "/api/v1/directory/units/{id}", "Delete a unit", "Only one without units, posts, rooms and mailboxes; posts that were held in it keep it.",
		func(ctx context.Context, actor identity.Actor, in *idInput) error {
			return s.DeleteUnit(ctx, actor, identity.UnitID(in.ID))
		})
}
