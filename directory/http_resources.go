package directory

import (
	"context"

	"commsd/identity"
	"commsd/internal/httpapi"
)

type resourcesInput struct {
	Agency string `query:"agency_id" maxLength:"64" doc:"of one agency; absent: of one's own"`
	Kind   string `query:"kind" enum:"room,equipment" doc:"absent: both"`
}

type resourcesOutput struct {
	Body struct {
		Resources []ResourceRecord `json:"resources" nullable:"false"`
	}
}

type mailboxesOutput struct {
	Body struct {
		Mailboxes []ServiceMailbox `json:"mailboxes" nullable:"false"`
	}
}

func (s *Service) resourceRoutes(api *httpapi.API) {
	httpapi.Get(api, "list-resources", "directory", "/api/v1/directory/resources", "List meeting rooms and equipment of an agency",
		func(ctx context.Context, actor identity.Actor, in *resourcesInput) (*resourcesOutput, error) {
			resources, err := s.Resources(ctx, actor, identity.AgencyID(in.Agency), in.Kind)
			if err != nil {
				return nil, err
			}
			out := &resourcesOutput{}
			out.Body.Resources = resources
			return out, nil
		})
	created(api, "create-resource", "/api/v1/directory/resources", "Add a meeting room or a piece of equipment", "For administrators of the unit.",
		func(ctx context.Context, actor identity.Actor, in *bodyInput[NewResource]) (*recordOutput[ResourceRecord], error) {
			return answer(s.CreateResource(ctx, actor, in.Body))
		})
	httpapi.Get(api, "get-resource", "directory", "/api/v1/directory/resources/{id}", "Show a meeting room or a piece of equipment",
		func(ctx context.Context, _ identity.Actor, in *idInput) (*recordOutput[ResourceRecord], error) {
			return answer(s.Resource(ctx, identity.ResourceID(in.ID)))
		})
	patched(api, "update-resource", "/api/v1/directory/resources/{id}", "Change a meeting room or a piece of equipment",
		func(ctx context.Context, actor identity.Actor, in *idBodyInput[ResourceChange]) (*recordOutput[ResourceRecord], error) {
			return answer(s.UpdateResource(ctx, actor, identity.ResourceID(in.ID), in.Body))
		})
	removed(api, "delete-resource", "/api/v1/directory/resources/{id}", "Delete a meeting room or a piece of equipment", "",
		func(ctx context.Context, actor identity.Actor, in *idInput) error {
			return s.DeleteResource(ctx, actor, identity.ResourceID(in.ID))
		})
}

func (s *Service) mailboxRoutes(api *httpapi.API) {
	httpapi.Get(api, "list-service-mailboxes", "directory", "/api/v1/directory/service-mailboxes", "List the mailboxes of an agency's units",
		func(ctx context.Context, actor identity.Actor, in *listInput) (*mailboxesOutput, error) {
			mailboxes, err := s.ServiceMailboxes(ctx, actor, identity.AgencyID(in.Agency))
			if err != nil {
				return nil, err
			}
			out := &mailboxesOutput{}
			out.Body.Mailboxes = mailboxes
			return out, nil
		})
	created(api, "create-service-mailbox", "/api/v1/directory/service-mailboxes", "Add a mailbox of a unit",
		"For administrators of the unit. The address is reserved from then on; it receives no mail yet.",
		func(ctx context.Context, actor identity.Actor, in *bodyInput[NewServiceMailbox]) (*recordOutput[ServiceMailbox], error) {
			return answer(s.CreateServiceMailbox(ctx, actor, in.Body))
		})
	httpapi.Get(api, "get-service-mailbox", "directory", "/api/v1/directory/service-mailboxes/{id}", "Show a mailbox of a unit",
		func(ctx context.Context, actor identity.Actor, in *idInput) (*recordOutput[ServiceMailbox], error) {
			return answer(s.ServiceMailbox(ctx, actor, in.ID))
		})
	patched(api, "update-service-mailbox", "/api/v1/directory/service-mailboxes/{id}", "Change a mailbox of a unit",
		func(ctx context.Context, actor identity.Actor, in *idBodyInput[ServiceMailboxChange]) (*recordOutput[ServiceMailbox], error) {
			return answer(s.UpdateServiceMailbox(ctx, actor, in.ID, in.Body))
		})
	removed(api, "delete-service-mailbox", "/api/v1/directory/service-mailboxes/{id}", "Delete a mailbox of a unit", "Frees its address.",
		func(ctx context.Context, actor identity.Actor, in *idInput) error {
			return s.DeleteServiceMailbox(ctx, actor, in.ID)
		})
	created(api, "add-service-mailbox-user", "/api/v1/directory/service-mailboxes/{id}/users", "Let a post or a group use a mailbox",
		"Naming one again sets what it may.",
		func(ctx context.Context, actor identity.Actor, in *idBodyInput[NewServiceMailboxUser]) (*recordOutput[ServiceMailbox], error) {
			return answer(s.AddServiceMailboxUser(ctx, actor, in.ID, in.Body))
		})
	removed(api, "remove-service-mailbox-user", "/api/v1/directory/service-mailboxes/{id}/users/{entry}", "Let a post or a group use a mailbox no more", "",
		func(ctx context.Context, actor identity.Actor, in *entryInput) error {
			return s.RemoveServiceMailboxUser(ctx, actor, in.ID, in.Entry)
		})
}
