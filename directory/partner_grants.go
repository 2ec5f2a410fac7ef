package directory

import (
	"time"

	"commsd/identity"
)

// PartnerGrant is a role on one object that its agency gives to another
// agency, whose administrator chooses the people.
type PartnerGrant struct {
	ID          string            `json:"id"`
	Agency      identity.AgencyID `json:"agency_id" doc:"whose the object is"`
	AgencyName  string            `json:"agency_name"`
	Partner     identity.AgencyID `json:"partner_id" doc:"that the role is given to"`
	PartnerName string            `json:"partner_name"`
	ObjectKind  string            `json:"object_kind" enum:"meeting,conversation,dossier"`
	ObjectID    string            `json:"object_id"`
	ObjectName  string            `json:"object_name" doc:"what the grant calls it"`
	Role        string            `json:"role" enum:"member,chair,guest,recipient"`
	Until       *time.Time        `json:"until,omitempty" doc:"absent: open"`
	CreatedAt   time.Time         `json:"created_at"`
	People      []directoryPerson `json:"people" nullable:"false" doc:"whom the partner has chosen"`
	MayAssign   bool              `json:"may_assign" doc:"the reader may choose people of the partner"`
	MayRemove   bool              `json:"may_remove" doc:"the reader may take the grant back"`
}

// NewPartnerGrant is what CreatePartnerGrant makes a grant of.
type NewPartnerGrant struct {
	Agency     identity.AgencyID `json:"agency_id" doc:"whose the object is"`
	Partner    identity.AgencyID `json:"partner_id" doc:"that the role is given to"`
	ObjectKind string            `json:"object_kind" enum:"meeting,conversation,dossier"`
	ObjectID   string            `json:"object_id" minLength:"1" maxLength:"100"`
	ObjectName string            `json:"object_name" maxLength:"300" doc:"how lists call it"`
	Role       string            `json:"role" enum:"member,chair,guest,recipient"`
	Until      *time.Time        `json:"until,omitempty" doc:"absent: open"`
}
