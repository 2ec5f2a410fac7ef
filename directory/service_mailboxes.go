package directory

import (
	"commsd/identity"
)

// ServiceMailbox is a mailbox of a unit (hộp thư đơn vị), not of a person.
type ServiceMailbox struct {
	ID      string               `json:"id"`
	Agency  identity.AgencyID    `json:"agency_id"`
	UnitID  identity.UnitID      `json:"unit_id" doc:"that it belongs to"`
	Unit    string               `json:"unit"`
	Address string               `json:"address" doc:"reserved for it; it receives no mail yet"`
	Name    string               `json:"name"`
	NameEN  string               `json:"name_en"`
	Users   []ServiceMailboxUser `json:"users" nullable:"false" doc:"who may use it"`
	Version int64                `json:"version" doc:"rises with each change; a change that names it is refused after another"`
}

// ServiceMailboxUser is a post or a group whose people may use a service
// mailbox.
type ServiceMailboxUser struct {
	ID       string              `json:"id"`
	Position identity.PositionID `json:"position_id"`
	Group    identity.GroupID    `json:"group_id"`
	Name     string              `json:"name" doc:"of the person in the post with its title, or of the group"`
	MayRead  bool                `json:"may_read"`
	MaySend  bool                `json:"may_send" doc:"in the mailbox's name"`
}

// NewServiceMailbox is what CreateServiceMailbox makes a mailbox of.
type NewServiceMailbox struct {
	UnitID  identity.UnitID `json:"unit_id"`
	Address string          `json:"address" maxLength:"254" doc:"in a mail domain of the unit's agency"`
	Name    string          `json:"name" maxLength:"200"`
	NameEN  string          `json:"name_en,omitempty" maxLength:"200"`
}

// ServiceMailboxChange is what UpdateServiceMailbox changes; what is nil stays.
type ServiceMailboxChange struct {
	UnitID  *identity.UnitID `json:"unit_id,omitempty" doc:"another unit of the same agency"`
	Name    *string          `json:"name,omitempty" maxLength:"200"`
	NameEN  *string          `json:"name_en,omitempty" maxLength:"200"`
	Version int64            `json:"version,omitempty" doc:"what the change was made on; refused when it has changed since"`
}

// NewServiceMailboxUser names a post or a group, and what it may.
type NewServiceMailboxUser struct {
	Position identity.PositionID `json:"position_id,omitempty"`
	Group    identity.GroupID    `json:"group_id,omitempty" doc:"instead of position_id"`
	MayRead  bool                `json:"may_read"`
	MaySend  bool                `json:"may_send"`
}
