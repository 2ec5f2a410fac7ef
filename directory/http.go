package directory

import (
	"context"

	"commsd/identity"
	"commsd/internal/httpapi"
)

// The JSON of the directory. The names of these types are those of the OpenAPI
// document's schemas, which all domains share.

// directoryPerson is a person as lists show one.
type directoryPerson struct {
	ID          string `json:"id"`
	Name        string `json:"name" doc:"Họ đệm tên"`
	GivenName   string `json:"given_name" doc:"tên, what the person is addressed by"`
	Title       string `json:"title" doc:"of the main position, or of the one in the unit that was asked for"`
	Unit        string `json:"unit"`
	AgencyID    string `json:"agency_id"`
	AgencyName  string `json:"agency_name"`
	AgencyShort string `json:"agency_short" doc:"short name of the agency, for its seal"`
	Address     string `json:"address" doc:"main mail address; empty without a mailbox"`
	Photo       string `json:"photo,omitempty" doc:"SHA-256 in hex of the picture; absent: none"`
}

// directoryPosition is a position that a person holds now.
type directoryPosition struct {
	ID         string `json:"id"`
	Title      string `json:"title"`
	UnitID     string `json:"unit_id"`
	Unit       string `json:"unit"`
	AgencyID   string `json:"agency_id"`
	AgencyName string `json:"agency_name"`
	Kind       string `json:"kind" enum:"main,concurrent,acting"`

	DelegatedBy     string   `json:"delegated_by,omitempty" doc:"name of the person who lends it; absent: it is one's own"`
	DelegationID    string   `json:"delegation_id,omitempty" doc:"then: the delegation by which it is lent"`
	DelegatedScopes []string `json:"delegated_scopes,omitempty" enum:"mail,meetings,chat,documents" doc:"then: what for"`
}

// directoryGrant is an administrative role with where it holds.
type directoryGrant struct {
	Role     string `json:"role" enum:"system_admin,agency_admin,security_admin,auditor,records_officer"`
	AgencyID string `json:"agency_id" doc:"empty: the whole installation"`
	UnitPath string `json:"unit_path" doc:"that unit and all below it; empty: the whole agency"`
}

// directoryCard is all that the directory shows of one person. The fields stand
// here once more because huma does not see those of an embedded private type.
type directoryCard struct {
	ID          string              `json:"id"`
	Name        string              `json:"name" doc:"Họ đệm tên"`
	GivenName   string              `json:"given_name" doc:"tên, what the person is addressed by"`
	Title       string              `json:"title" doc:"of the main position, or of the one in the unit that was asked for"`
	Unit        string              `json:"unit"`
	AgencyID    string              `json:"agency_id"`
	AgencyName  string              `json:"agency_name"`
	AgencyShort string              `json:"agency_short" doc:"short name of the agency, for its seal"`
	Address     string              `json:"address" doc:"main mail address; empty without a mailbox"`
	Phone       string              `json:"phone" doc:"of the desk"`
	Mobile      string              `json:"mobile"`
	Office      string              `json:"office" doc:"room and building"`
	Photo       string              `json:"photo" doc:"SHA-256 in hex of the picture; empty: none"`
	Positions   []directoryPosition `json:"positions" nullable:"false"`
}

// directoryAgency is an agency; its units are asked for one agency at a time.
type directoryAgency struct {
	ID         string `json:"id"`
	Identifier string `json:"identifier" doc:"electronic identifier, root first: G09, H26.05"`
	Name       string `json:"name"`
	NameEN     string `json:"name_en"`
	ShortName  string `json:"short_name"`
	ParentID   string `json:"parent_id,omitempty"`
	People     int    `json:"people" doc:"people who hold a position in it"`
}

// directoryUnit is a unit with those below it.
type directoryUnit struct {
	ID     string          `json:"id"`
	Name   string          `json:"name"`
	NameEN string          `json:"name_en"`
	People int             `json:"people" doc:"positions in it and below it"`
	Units  []directoryUnit `json:"units" nullable:"false"`
}

type findPeopleInput struct {
	Q      string `query:"q" maxLength:"200" doc:"beginnings of words of the name, marks or not, in any order; or of the mail address; empty: colleagues"`
	Agency string `query:"agency_id" maxLength:"64" doc:"only people who hold a position in it"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"20"`
}

type findPeopleOutput struct {
	Body struct {
		People []directoryPerson `json:"people" nullable:"false"`
	}
}

type personInput struct {
	ID string `path:"id" maxLength:"64"`
}

type personOutput struct{ Body directoryCard }

type agenciesOutput struct {
	Body struct {
		Agencies []directoryAgency `json:"agencies" nullable:"false"`
	}
}

type agencyInput struct {
	ID string `path:"id" maxLength:"64"`
}

type agencyUnitsOutput struct {
	Body struct {
		Units []directoryUnit `json:"units" nullable:"false"`
	}
}

type staffInput struct {
	ID     string `path:"id" maxLength:"64"`
	Cursor string `query:"cursor" maxLength:"2048" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"100"`
}

type staffOutput struct {
	Body struct {
		People []directoryPerson `json:"people" nullable:"false"`
		Next   string            `json:"next,omitempty" doc:"cursor of the following page; absent on the last"`
	}
}

const tag = "directory"

// Routes registers the REST interface.
func (s *Service) Routes(api *httpapi.API) {
	s.factorRoutes(api)
	s.factorSignInRoutes(api)
	s.outsideRoutes(api)
	s.signInRoutes(api)
	s.accountRoutes(api)
	s.personAccountRoutes(api)
	httpapi.Get(api, "find-people", tag, "/api/v1/directory/people", "Find people",
		func(ctx context.Context, actor identity.Actor, in *findPeopleInput) (*findPeopleOutput, error) {
			people, err := s.FindPeopleOf(ctx, actor, identity.AgencyID(in.Agency), in.Q, in.Limit)
			if err != nil {
				return nil, err
			}
			out := &findPeopleOutput{}
			out.Body.People = peopleJSON(people)
			return out, nil
		})
	httpapi.Get(api, "get-person", tag, "/api/v1/directory/people/{id}", "Show a person",
		func(ctx context.Context, actor identity.Actor, in *personInput) (*personOutput, error) {
			card, err := s.Card(ctx, actor, identity.PersonID(in.ID))
			if err != nil {
				return nil, err
			}
			return &personOutput{Body: cardJSON(card)}, nil
		})
	httpapi.Get(api, "list-agencies", tag, "/api/v1/directory/agencies", "List agencies",
		func(ctx context.Context, _ identity.Actor, _ *struct{}) (*agenciesOutput, error) {
			agencies, err := s.Agencies(ctx)
			if err != nil {
				return nil, err
			}
			out := &agenciesOutput{}
			out.Body.Agencies = agenciesJSON(agencies)
			return out, nil
		})
	httpapi.Get(api, "list-agency-units", tag, "/api/v1/directory/agencies/{id}/units", "List the units of an agency as a tree",
		func(ctx context.Context, _ identity.Actor, in *agencyInput) (*agencyUnitsOutput, error) {
			units, err := s.AgencyUnits(ctx, identity.AgencyID(in.ID))
			if err != nil {
				return nil, err
			}
			out := &agencyUnitsOutput{}
			out.Body.Units = unitsJSON(units)
			return out, nil
		})
	httpapi.Get(api, "list-unit-people", tag, "/api/v1/directory/units/{id}/people", "List the people of a unit and all below it, unit by unit, leaders first",
		func(ctx context.Context, actor identity.Actor, in *staffInput) (*staffOutput, error) {
			people, next, err := s.UnitPeople(ctx, actor, identity.UnitID(in.ID), in.Cursor, in.Limit)
			return staffJSON(people, next), err
		})
	httpapi.Get(api, "list-agency-people", tag, "/api/v1/directory/agencies/{id}/people", "List the people of an agency",
		func(ctx context.Context, actor identity.Actor, in *staffInput) (*staffOutput, error) {
			people, next, err := s.AgencyPeople(ctx, actor, identity.AgencyID(in.ID), in.Cursor, in.Limit)
			return staffJSON(people, next), err
		})
	s.agencyRoutes(api)
	s.unitRoutes(api)
	s.personRoutes(api)
	s.positionRoutes(api)
	s.groupRoutes(api)
	s.resourceRoutes(api)
	s.mailboxRoutes(api)
	s.partnerRoutes(api)
	s.delegationRoutes(api)
	s.grantRoutes(api)
	s.policyRoutes(api)
	s.importRoutes(api)
}

func personJSON(p identity.Person) directoryPerson {
	return directoryPerson{ID: string(p.ID), Name: p.Name, GivenName: p.GivenName, Title: p.Title, Unit: p.Unit,
		AgencyID: string(p.Agency), AgencyName: p.AgencyName, AgencyShort: p.AgencyShort, Address: p.Address, Photo: p.Photo}
}

func cardJSON(c Card) directoryCard {
	p := personJSON(c.Person)
	return directoryCard{ID: p.ID, Name: p.Name, GivenName: p.GivenName, Title: p.Title, Unit: p.Unit,
		AgencyID: p.AgencyID, AgencyName: p.AgencyName, AgencyShort: p.AgencyShort, Address: p.Address,
		Phone: c.Phone, Mobile: c.Mobile, Office: c.Office, Photo: c.Photo,
		Positions: positionsJSON(c.Positions)}
}

func peopleJSON(people []identity.Person) []directoryPerson {
	out := make([]directoryPerson, len(people))
	for i, p := range people {
		out[i] = personJSON(p)
	}
	return out
}

func staffJSON(people []identity.Person, next string) *staffOutput {
	out := &staffOutput{}
	out.Body.People, out.Body.Next = peopleJSON(people), next
	return out
}

func positionsJSON(positions []Position) []directoryPosition {
	out := make([]directoryPosition, len(positions))
	for i, p := range positions {
		out[i] = positionJSON(p)
	}
	return out
}

func positionJSON(p Position) directoryPosition {
	out := directoryPosition{ID: string(p.ID), Title: p.Title, UnitID: string(p.UnitID), Unit: p.Unit,
		AgencyID: string(p.Agency), AgencyName: p.AgencyName, Kind: p.Kind}
	if p.Delegation != "" {
		out.DelegatedBy, out.DelegationID, out.DelegatedScopes = p.DelegatedBy, string(p.Delegation), scopesJSON(p.Scopes)
	}
	return out
}

func agenciesJSON(agencies []Agency) []directoryAgency {
	out := make([]directoryAgency, len(agencies))
	for i, a := range agencies {
		out[i] = directoryAgency{ID: string(a.ID), Identifier: a.Identifier, Name: a.Name, NameEN: a.NameEN,
			ShortName: a.ShortName, ParentID: string(a.Parent), People: a.People}
	}
	return out
}

func unitsJSON(units []*Unit) []directoryUnit {
	out := make([]directoryUnit, len(units))
	for i, u := range units {
		out[i] = directoryUnit{ID: string(u.ID), Name: u.Name, NameEN: u.NameEN, People: u.People, Units: unitsJSON(u.Units)}
	}
	return out
}
