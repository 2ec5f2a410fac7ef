package directory

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"commsd/identity"
	"commsd/internal/httpapi"
)

// The JSON of the directory. The names of these types are those of the OpenAPI
// document's schemas, which all domains share.

// DirectoryPerson is a person as lists show one.
type DirectoryPerson struct {
	ID          string `json:"id"`
	Name        string `json:"name" doc:"Họ đệm tên"`
	GivenName   string `json:"given_name" doc:"tên, what the person is addressed by"`
	Title       string `json:"title" doc:"of the main position, or of the one in the unit that was asked for"`
	Unit        string `json:"unit"`
	AgencyID    string `json:"agency_id"`
	AgencyName  string `json:"agency_name"`
	AgencyShort string `json:"agency_short" doc:"short name of the agency, for its seal"`
	Address     string `json:"address" doc:"main mail address; empty without a mailbox"`
}

// DirectoryPosition is a position that a person holds now.
type DirectoryPosition struct {
	ID         string `json:"id"`
	Title      string `json:"title"`
	UnitID     string `json:"unit_id"`
	Unit       string `json:"unit"`
	AgencyID   string `json:"agency_id"`
	AgencyName string `json:"agency_name"`
	Kind       string `json:"kind" enum:"main,concurrent,acting"`
}

// DirectorySession is who is signed in.
type DirectorySession struct {
	Person    DirectoryPerson     `json:"person"`
	Positions []DirectoryPosition `json:"positions" nullable:"false" doc:"the main one first; it acts when a request names none"`
	Roles     []string            `json:"roles" nullable:"false" doc:"administrative roles: system_admin, agency_admin, auditor"`
	ExpiresAt time.Time           `json:"expires_at" doc:"the session ends then, used or not"`
}

// DirectoryCard is all that the directory shows of one person.
type DirectoryCard struct {
	DirectoryPerson
	Positions []DirectoryPosition `json:"positions" nullable:"false"`
}

// DirectoryAgency is an agency with its units.
type DirectoryAgency struct {
	ID         string          `json:"id"`
	Identifier string          `json:"identifier" doc:"electronic identifier, root first: G09, H26.05"`
	Name       string          `json:"name"`
	NameEN     string          `json:"name_en"`
	ShortName  string          `json:"short_name"`
	ParentID   string          `json:"parent_id,omitempty"`
	People     int             `json:"people" doc:"people who hold a position in it"`
	Units      []DirectoryUnit `json:"units" nullable:"false"`
}

// DirectoryUnit is a unit with those below it.
type DirectoryUnit struct {
	ID     string          `json:"id"`
	Name   string          `json:"name"`
	NameEN string          `json:"name_en"`
	People int             `json:"people" doc:"positions in it and below it"`
	Units  []DirectoryUnit `json:"units" nullable:"false"`
}

type signInInput struct {
	UserAgent string `header:"User-Agent"`
	Cookie    string `header:"Cookie" hidden:"true"`
	Body      struct {
		Login    string `json:"login" maxLength:"320" doc:"main mail address"`
		Password string `json:"password" maxLength:"1024"`
	}
}

type signInOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      DirectorySession
}

type currentSessionOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         DirectorySession
}

type signOutOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

type findPeopleInput struct {
	Q     string `query:"q" maxLength:"200" doc:"beginnings of words of the name, marks or not, in any order; or of the mail address; empty: colleagues"`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"20"`
}

type findPeopleOutput struct {
	Body struct {
		People []DirectoryPerson `json:"people" nullable:"false"`
	}
}

type personInput struct {
	ID string `path:"id" maxLength:"64"`
}

type personOutput struct{ Body DirectoryCard }

type agenciesOutput struct {
	Body struct {
		Agencies []DirectoryAgency `json:"agencies" nullable:"false"`
	}
}

type staffInput struct {
	ID     string `path:"id" maxLength:"64"`
	Cursor string `query:"cursor" maxLength:"2048" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"100"`
}

type staffOutput struct {
	Body struct {
		People []DirectoryPerson `json:"people" nullable:"false"`
		Next   string            `json:"next,omitempty" doc:"cursor of the following page; absent on the last"`
	}
}

const tag = "directory"

// Routes registers the REST interface.
func (s *Service) Routes(api *httpapi.API) {
	httpapi.RegisterPublic(api, huma.Operation{Method: http.MethodPost, OperationID: "sign-in", Tags: []string{tag},
		Path: "/api/v1/sessions", Summary: "Sign in", DefaultStatus: http.StatusCreated, MaxBodyBytes: 16 << 10},
		func(ctx context.Context, in *signInInput) (*signInOutput, error) {
			token, session, err := s.SignIn(ctx, SignInRequest{
				Login: in.Body.Login, Password: in.Body.Password, Address: httpapi.RemoteAddr(ctx),
				UserAgent: in.UserAgent, OldToken: tokenOf(in.Cookie, api.Secure()),
			})
			if err != nil {
				return nil, err
			}
			cookie := sessionCookie(api.Secure(), token)
			// The cookie outlives neither the session nor, by the same clock
			// of ours, a browser that is set right; the server decides anyway.
			cookie.MaxAge = int(session.ExpiresAt.Sub(s.now()).Seconds())
			return &signInOutput{SetCookie: cookie, Body: sessionJSON(session)}, nil
		})
	httpapi.Get(api, "current-session", tag, "/api/v1/sessions/current", "Who is signed in",
		func(ctx context.Context, actor identity.Actor, _ *struct{}) (*currentSessionOutput, error) {
			session, err := s.CurrentSession(ctx, actor)
			if err != nil {
				return nil, err
			}
			return &currentSessionOutput{CacheControl: "no-store", Body: sessionJSON(session)}, nil
		})
	httpapi.Register(api, huma.Operation{Method: http.MethodDelete, OperationID: "sign-out", Tags: []string{tag},
		Path: "/api/v1/sessions/current", Summary: "Sign out", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, actor identity.Actor, _ *struct{}) (*signOutOutput, error) {
			if err := s.SignOut(ctx, actor); err != nil {
				return nil, err
			}
			cookie := sessionCookie(api.Secure(), "")
			cookie.MaxAge = -1
			return &signOutOutput{SetCookie: cookie}, nil
		})
	httpapi.Get(api, "find-people", tag, "/api/v1/directory/people", "Find people",
		func(ctx context.Context, actor identity.Actor, in *findPeopleInput) (*findPeopleOutput, error) {
			people, err := s.FindPeople(ctx, actor, in.Q, in.Limit)
			if err != nil {
				return nil, err
			}
			out := &findPeopleOutput{}
			out.Body.People = peopleJSON(people)
			return out, nil
		})
	httpapi.Get(api, "get-person", tag, "/api/v1/directory/people/{id}", "Show a person",
		func(ctx context.Context, _ identity.Actor, in *personInput) (*personOutput, error) {
			card, err := s.Card(ctx, identity.PersonID(in.ID))
			if err != nil {
				return nil, err
			}
			return &personOutput{Body: DirectoryCard{personJSON(card.Person), positionsJSON(card.Positions)}}, nil
		})
	httpapi.Get(api, "list-agencies", tag, "/api/v1/directory/agencies", "List agencies with their units",
		func(ctx context.Context, _ identity.Actor, _ *struct{}) (*agenciesOutput, error) {
			agencies, err := s.Agencies(ctx)
			if err != nil {
				return nil, err
			}
			out := &agenciesOutput{}
			out.Body.Agencies = agenciesJSON(agencies)
			return out, nil
		})
	httpapi.Get(api, "list-unit-people", tag, "/api/v1/directory/units/{id}/people", "List the people of a unit and all below it",
		func(ctx context.Context, _ identity.Actor, in *staffInput) (*staffOutput, error) {
			people, next, err := s.UnitPeople(ctx, identity.UnitID(in.ID), in.Cursor, in.Limit)
			return staffJSON(people, next), err
		})
	httpapi.Get(api, "list-agency-people", tag, "/api/v1/directory/agencies/{id}/people", "List the people of an agency",
		func(ctx context.Context, _ identity.Actor, in *staffInput) (*staffOutput, error) {
			people, next, err := s.AgencyPeople(ctx, identity.AgencyID(in.ID), in.Cursor, in.Limit)
			return staffJSON(people, next), err
		})
}

func sessionCookie(secure bool, token string) http.Cookie {
	// __Host- demands Path=/, Secure and no Domain.
	return http.Cookie{Name: httpapi.CookieName(secure), Value: token, Path: "/", Secure: secure,
		HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// tokenOf finds the session token in a Cookie header.
func tokenOf(header string, secure bool) string {
	cookies, err := http.ParseCookie(header)
	if err != nil {
		return ""
	}
	for _, c := range cookies {
		if c.Name == httpapi.CookieName(secure) {
			return c.Value
		}
	}
	return ""
}

func sessionJSON(s Session) DirectorySession {
	roles := make([]string, len(s.Roles))
	for i, r := range s.Roles {
		roles[i] = string(r)
	}
	return DirectorySession{Person: personJSON(s.Person), Positions: positionsJSON(s.Positions), Roles: roles, ExpiresAt: s.ExpiresAt.UTC()}
}

func personJSON(p identity.Person) DirectoryPerson {
	return DirectoryPerson{ID: string(p.ID), Name: p.Name, GivenName: p.GivenName, Title: p.Title, Unit: p.Unit,
		AgencyID: string(p.Agency), AgencyName: p.AgencyName, AgencyShort: p.AgencyShort, Address: p.Address}
}

func peopleJSON(people []identity.Person) []DirectoryPerson {
	out := make([]DirectoryPerson, len(people))
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

func positionsJSON(positions []Position) []DirectoryPosition {
	out := make([]DirectoryPosition, len(positions))
	for i, p := range positions {
		out[i] = DirectoryPosition{ID: string(p.ID), Title: p.Title, UnitID: string(p.UnitID), Unit: p.Unit,
			AgencyID: string(p.Agency), AgencyName: p.AgencyName, Kind: p.Kind}
	}
	return out
}

func agenciesJSON(agencies []Agency) []DirectoryAgency {
	out := make([]DirectoryAgency, len(agencies))
	for i, a := range agencies {
		out[i] = DirectoryAgency{ID: string(a.ID), Identifier: a.Identifier, Name: a.Name, NameEN: a.NameEN,
			ShortName: a.ShortName, ParentID: string(a.Parent), People: a.People, Units: unitsJSON(a.Units)}
	}
	return out
}

func unitsJSON(units []*Unit) []DirectoryUnit {
	out := make([]DirectoryUnit, len(units))
	for i, u := range units {
		out[i] = DirectoryUnit{ID: string(u.ID), Name: u.Name, NameEN: u.NameEN, People: u.People, Units: unitsJSON(u.Units)}
	}
	return out
}
