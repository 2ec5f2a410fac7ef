package directory

import (
	"context"

	"commsd/identity"
	"commsd/internal/httpapi"
)

type listInput struct {
	Agency string `query:"agency_id" maxLength:"64" doc:"of one agency; absent: of one's own"`
	Q      string `query:"q" maxLength:"200" doc:"words that the name begins with, whatever its marks"`
}

type groupsOutput struct {
	Body struct {
		Groups []GroupRecord `json:"groups" nullable:"false"`
	}
}

type groupMembersInput struct {
	ID     string `path:"id" maxLength:"64"`
	Cursor string `query:"cursor" maxLength:"2000" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"100"`
}

type groupMembersOutput struct {
	Body struct {
		Members []GroupMember `json:"members" nullable:"false" doc:"as they are now"`
		Next    string        `json:"next" doc:"cursor of the rest; empty: this is all"`
	}
}

type entryInput struct {
	ID    string `path:"id" maxLength:"64"`
	Entry string `path:"entry" maxLength:"64"`
}

func (s *Service) groupRoutes(api *httpapi.API) {
	httpapi.Get(api, "list-groups", "directory", "/api/v1/directory/groups", "List the groups of an agency",
		func(ctx context.Context, actor identity.Actor, in *listInput) (*groupsOutput, error) {
			groups, err := s.Groups(ctx, actor, identity.AgencyID(in.Agency), in.Q)
			if err != nil {
				return nil, err
			}
			out := &groupsOutput{}
			out.Body.Groups = groups
			return out, nil
		})
	created(api, "create-group", "/api/v1/directory/groups", "Add a group", "For administrators.",
		func(ctx context.Context, actor identity.Actor, in *bodyInput[NewGroup]) (*recordOutput[GroupRecord], error) {
			return answer(s.CreateGroup(ctx, actor, in.Body))
		})
	httpapi.Get(api, "get-group", "directory", "/api/v1/directory/groups/{id}", "Show a group",
		func(ctx context.Context, actor identity.Actor, in *idInput) (*recordOutput[GroupRecord], error) {
			return answer(s.Group(ctx, actor, identity.GroupID(in.ID)))
		})
	patched(api, "update-group", "/api/v1/directory/groups/{id}", "Change a group",
		func(ctx context.Context, actor identity.Actor, in *idBodyInput[GroupChange]) (*recordOutput[GroupRecord], error) {
			return answer(s.UpdateGroup(ctx, actor, identity.GroupID(in.ID), in.Body))
		})
	removed(api, "delete-group", "/api/v1/directory/groups/{id}", "Delete a group", "",
		func(ctx context.Context, actor identity.Actor, in *idInput) error {
			return s.DeleteGroup(ctx, actor, identity.GroupID(in.ID))
		})
	httpapi.Get(api, "list-group-members", "directory", "/api/v1/directory/groups/{id}/members", "List a group's members as they are now",
		func(ctx context.Context, actor identity.Actor, in *groupMembersInput) (*groupMembersOutput, error) {
			members, next, err := s.GroupMembers(ctx, actor, identity.GroupID(in.ID), in.Cursor, in.Limit)
			if err != nil {
				return nil, err
			}
			out := &groupMembersOutput{}
			out.Body.Members, out.Body.Next = members, next
			return out, nil
		})
	created(api, "add-group-member", "/api/v1/directory/groups/{id}/members", "Add a member to a listed group", "Adding one twice is no error.",
		func(ctx context.Context, actor identity.Actor, in *idBodyInput[NewGroupMember]) (*recordOutput[GroupMember], error) {
			return answer(s.AddGroupMember(ctx, actor, identity.GroupID(in.ID), in.Body))
		})
	removed(api, "remove-group-member", "/api/v1/directory/groups/{id}/members/{entry}", "Remove a member from a listed group", "",
		func(ctx context.Context, actor identity.Actor, in *entryInput) error {
			return s.RemoveGroupMember(ctx, actor, identity.GroupID(in.ID), in.Entry)
		})
}
