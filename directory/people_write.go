package directory

import (
	"commsd/identity"
)

// PersonRecord is a person as those see one who look after them.
type PersonRecord struct {
	ID          identity.PersonID `json:"id"`
	Family      string            `json:"family_name" doc:"họ"`
	Middle      string            `json:"middle_name" doc:"đệm"`
	Given       string            `json:"given_name" doc:"tên"`
	Name        string            `json:"name" doc:"Họ đệm tên"`
	Address     string            `json:"address" doc:"main mail address; empty without a mailbox"`
	Aliases     []string          `json:"aliases" nullable:"false" doc:"further mail addresses"`
	Phone       string            `json:"phone" doc:"of the desk"`
	Mobile      string            `json:"mobile"`
	Office      string            `json:"office" doc:"room and building"`
	ExternalKey string            `json:"external_key" doc:"stable key of a personnel system; empty: none"`
	HasAccount  bool              `json:"has_account"`
	Disabled    bool              `json:"disabled" doc:"the account may not sign in"`
	Version     int64             `json:"version" doc:"rises with each change; a change that names it is refused after another"`
}

// NewPerson is what CreatePerson makes a person of.
type NewPerson struct {
	Family      string       `json:"family_name,omitempty" maxLength:"100" doc:"họ"`
	Middle      string       `json:"middle_name,omitempty" maxLength:"100" doc:"đệm"`
	Given       string       `json:"given_name" maxLength:"100" doc:"tên"`
	Address     string       `json:"address,omitempty" maxLength:"254" doc:"main mail address, in a domain of the agency; absent: no mailbox"`
	Aliases     []string     `json:"aliases,omitempty" maxItems:"50" doc:"further mail addresses"`
	Phone       string       `json:"phone,omitempty" maxLength:"50"`
	Mobile      string       `json:"mobile,omitempty" maxLength:"50"`
	Office      string       `json:"office,omitempty" maxLength:"200"`
	ExternalKey string       `json:"external_key,omitempty" maxLength:"100"`
	Position    *NewPosition `json:"position,omitempty" doc:"the first position; only a system administrator of the whole installation makes people without one"`
}

// PersonChange is what UpdatePerson changes; what is nil stays.
type PersonChange struct {
	Family      *string   `json:"family_name,omitempty" maxLength:"100"`
	Middle      *string   `json:"middle_name,omitempty" maxLength:"100"`
	Given       *string   `json:"given_name,omitempty" maxLength:"100"`
	Address     *string   `json:"address,omitempty" maxLength:"254" doc:"the main address, which is also the login; the former one is kept as a further address"`
	Aliases     *[]string `json:"aliases,omitempty" maxItems:"50" doc:"all of them"`
	Phone       *string   `json:"phone,omitempty" maxLength:"50"`
	Mobile      *string   `json:"mobile,omitempty" maxLength:"50"`
	Office      *string   `json:"office,omitempty" maxLength:"200"`
	ExternalKey *string   `json:"external_key,omitempty" maxLength:"100" doc:"empty: none"`
	Version     int64     `json:"version,omitempty" doc:"what the change was made on; refused when it has changed since"`
}
