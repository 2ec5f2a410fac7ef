package directory

import (
	"commsd/identity"
)

// AgencyRecord is an agency as those see it who look after it.
type AgencyRecord struct {
	ID         identity.AgencyID `json:"id"`
	Identifier string            `json:"identifier" doc:"electronic identifier, root first: G09, H26.05"`
	Aliases    []string          `json:"aliases" nullable:"false" doc:"the old form, leaf first: 000.00.00.G09"`
	Name       string            `json:"name"`
	NameEN     string            `json:"name_en"`
	ShortName  string            `json:"short_name"`
	Parent     identity.AgencyID `json:"parent_id" doc:"empty: none"`
	Domains    []string          `json:"domains" nullable:"false" doc:"mail domains, the main one first"`
	TimeZone   string            `json:"time_zone"`
	Version    int64             `json:"version" doc:"rises with each change; a change that names it is refused after another"`
}

// NewAgency is what CreateAgency makes an agency of.
type NewAgency struct {
	Identifier string            `json:"identifier" maxLength:"35" doc:"root first, at most 35 characters: G09, H26.05"`
	Aliases    []string          `json:"aliases,omitempty" maxItems:"20" doc:"the old form, leaf first: 000.00.00.G09"`
	Name       string            `json:"name" maxLength:"400"`
	NameEN     string            `json:"name_en,omitempty" maxLength:"400"`
	ShortName  string            `json:"short_name,omitempty" maxLength:"100"`
	Parent     identity.AgencyID `json:"parent_id,omitempty" doc:"the agency above; absent: none"`
	Domains    []string          `json:"domains,omitempty" maxItems:"50" doc:"mail domains"`
	TimeZone   string            `json:"time_zone,omitempty" maxLength:"64" doc:"absent: Asia/Ho_Chi_Minh"`
}

// AgencyChange is what UpdateAgency changes; what is nil stays.
type AgencyChange struct {
	Identifier *string            `json:"identifier,omitempty" maxLength:"35"`
	Aliases    *[]string          `json:"aliases,omitempty" maxItems:"20" doc:"all of them"`
	Name       *string            `json:"name,omitempty" maxLength:"400"`
	NameEN     *string            `json:"name_en,omitempty" maxLength:"400"`
	ShortName  *string            `json:"short_name,omitempty" maxLength:"100"`
	Parent     *identity.AgencyID `json:"parent_id,omitempty" doc:"empty: none"`
	Domains    *[]string          `json:"domains,omitempty" maxItems:"50" doc:"all of them; one that still has addresses cannot go"`
	TimeZone   *string            `json:"time_zone,omitempty" maxLength:"64"`
	Version    int64              `json:"version,omitempty" doc:"what the change was made on; refused when it has changed since"`
}
