package directory

import (
	"context"

	"commsd/identity"
	"commsd/internal/errcode"
)

func errSoon() error { return errcode.New(errcode.Unavailable, "this comes in a moment") }

func (s *Service) CreatePerson(ctx context.Context, actor identity.Actor, n NewPerson) (r PersonRecord, err error) {
	return r, errSoon()
}
func (s *Service) PersonRecord(ctx context.Context, actor identity.Actor, id identity.PersonID) (r PersonRecord, err error) {
	return r, errSoon()
}
func (s *Service) UpdatePerson(ctx context.Context, actor identity.Actor, id identity.PersonID, c PersonChange) (r PersonRecord, err error) {
	return r, errSoon()
}
func (s *Service) PersonPositions(ctx context.Context, actor identity.Actor, id identity.PersonID) (r []PositionRecord, err error) {
	return r, errSoon()
}
func (s *Service) BeginPosition(ctx context.Context, actor identity.Actor, id identity.PersonID, n NewPosition) (r PositionRecord, err error) {
	return r, errSoon()
}
func (s *Service) TransferPerson(ctx context.Context, actor identity.Actor, id identity.PersonID, t Transfer) (ended, begun PositionRecord, err error) {
	return ended, begun, errSoon()
}
func (s *Service) UpdatePosition(ctx context.Context, actor identity.Actor, id identity.PositionID, c PositionChange) (r PositionRecord, err error) {
	return r, errSoon()
}
func (s *Service) EndPosition(ctx context.Context, actor identity.Actor, id identity.PositionID) error {
	return errSoon()
}
func (s *Service) Groups(ctx context.Context, actor identity.Actor, agency identity.AgencyID, q string) (r []GroupRecord, err error) {
	return r, errSoon()
}
func (s *Service) CreateGroup(ctx context.Context, actor identity.Actor, n NewGroup) (r GroupRecord, err error) {
	return r, errSoon()
}
func (s *Service) Group(ctx context.Context, actor identity.Actor, id identity.GroupID) (r GroupRecord, err error) {
	return r, errSoon()
}
func (s *Service) UpdateGroup(ctx context.Context, actor identity.Actor, id identity.GroupID, c GroupChange) (r GroupRecord, err error) {
	return r, errSoon()
}
func (s *Service) DeleteGroup(ctx context.Context, actor identity.Actor, id identity.GroupID) error {
	return errSoon()
}
func (s *Service) GroupMembers(ctx context.Context, actor identity.Actor, id identity.GroupID, cursor string, limit int) (r []GroupMember, next string, err error) {
	return r, next, errSoon()
}
func (s *Service) AddGroupMember(ctx context.Context, actor identity.Actor, id identity.GroupID, n NewGroupMember) (r GroupMember, err error) {
	return r, errSoon()
}
func (s *Service) RemoveGroupMember(ctx context.Context, actor identity.Actor, id identity.GroupID, entry string) error {
	return errSoon()
}
func (s *Service) Resources(ctx context.Context, actor identity.Actor, agency identity.AgencyID, kind string) (r []ResourceRecord, err error) {
	return r, errSoon()
}
func (s *Service) CreateResource(ctx context.Context, actor identity.Actor, n NewResource) (r ResourceRecord, err error) {
	return r, errSoon()
}
func (s *Service) Resource(ctx context.Context, id identity.ResourceID) (r ResourceRecord, err error) {
	return r, errSoon()
}
func (s *Service) UpdateResource(ctx context.Context, actor identity.Actor, id identity.ResourceID, c ResourceChange) (r ResourceRecord, err error) {
	return r, errSoon()
}
func (s *Service) DeleteResource(ctx context.Context, actor identity.Actor, id identity.ResourceID) error {
	return errSoon()
}
func (s *Service) ServiceMailboxes(ctx context.Context, actor identity.Actor, agency identity.AgencyID) (r []ServiceMailbox, err error) {
	return r, errSoon()
}
func (s *Service) CreateServiceMailbox(ctx context.Context, actor identity.Actor, n NewServiceMailbox) (r ServiceMailbox, err error) {
	return r, errSoon()
}
func (s *Service) ServiceMailbox(ctx context.Context, actor identity.Actor, id string) (r ServiceMailbox, err error) {
	return r, errSoon()
}
func (s *Service) UpdateServiceMailbox(ctx context.Context, actor identity.Actor, id string, c ServiceMailboxChange) (r ServiceMailbox, err error) {
	return r, errSoon()
}
func (s *Service) DeleteServiceMailbox(ctx context.Context, actor identity.Actor, id string) error {
	return errSoon()
}
func (s *Service) AddServiceMailboxUser(ctx context.Context, actor identity.Actor, id string, n NewServiceMailboxUser) (r ServiceMailbox, err error) {
	return r, errSoon()
}
func (s *Service) RemoveServiceMailboxUser(ctx context.Context, actor identity.Actor, id, entry string) error {
	return errSoon()
}
func (s *Service) PartnerGrants(ctx context.Context, actor identity.Actor, agency identity.AgencyID) (r []PartnerGrant, err error) {
	return r, errSoon()
}
func (s *Service) CreatePartnerGrant(ctx context.Context, actor identity.Actor, n NewPartnerGrant) (r PartnerGrant, err error) {
	return r, errSoon()
}
func (s *Service) DeletePartnerGrant(ctx context.Context, actor identity.Actor, id string) error {
	return errSoon()
}
func (s *Service) AssignPartner(ctx context.Context, actor identity.Actor, id string, person identity.PersonID) (r PartnerGrant, err error) {
	return r, errSoon()
}
func (s *Service) UnassignPartner(ctx context.Context, actor identity.Actor, id string, person identity.PersonID) error {
	return errSoon()
}
