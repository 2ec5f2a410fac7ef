package directory

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"commsd/identity"
	"commsd/internal/httpapi"
)

// directoryDelegation is a position that one person lends to another.
type directoryDelegation struct {
	ID        string            `json:"id"`
	Position  directoryPosition `json:"position"`
	From      directoryPerson   `json:"from" doc:"who lends it"`
	To        directoryPerson   `json:"to" doc:"whom it is lent to"`
	Scopes    []string          `json:"scopes" nullable:"false" enum:"mail,meetings,chat,documents"`
	StartsAt  time.Time         `json:"starts_at"`
	EndsAt    time.Time         `json:"ends_at"`
	CreatedAt time.Time         `json:"created_at"`
	State     string            `json:"state" enum:"coming,active,ended"`
}

type delegationsOutput struct {
	Body struct {
		Given    []directoryDelegation `json:"given" nullable:"false" doc:"of my positions, newest first; the ended ones of the last year too"`
		Received []directoryDelegation `json:"received" nullable:"false" doc:"lent to me, likewise"`
	}
}

type lendInput struct {
	Body struct {
		PositionID string     `json:"position_id" maxLength:"64" doc:"one of my own positions, never a lent one"`
		PersonID   string     `json:"person_id" maxLength:"64" doc:"who is to act in it; of the same agency, with an account"`
		Scopes     []string   `json:"scopes" minItems:"1" maxItems:"4" uniqueItems:"true" nullable:"false" enum:"mail,meetings,chat,documents"`
		StartsAt   *time.Time `json:"starts_at,omitempty" doc:"absent: now"`
		EndsAt     time.Time  `json:"ends_at" doc:"at most a year after the start"`
	}
}

type delegationOutput struct{ Body directoryDelegation }

type delegationInput struct {
	ID string `path:"id" maxLength:"64"`
}

func (s *Service) delegationRoutes(api *httpapi.API) {
	httpapi.Get(api, "list-delegations", tag, "/api/v1/account/delegations", "List the positions that I lend and that are lent to me",
		func(ctx context.Context, actor identity.Actor, _ *struct{}) (*delegationsOutput, error) {
			given, received, err := s.Delegations(ctx, actor)
			if err != nil {
				return nil, err
			}
			out := &delegationsOutput{}
			out.Body.Given, out.Body.Received = s.delegationsJSON(given), s.delegationsJSON(received)
			return out, nil
		})
	httpapi.Register(api, huma.Operation{Method: http.MethodPost, OperationID: "lend-position", Tags: []string{tag},
		Path: "/api/v1/account/delegations", Summary: "Lend a position of mine to a colleague", DefaultStatus: http.StatusCreated,
		Description: "The colleague may then choose it as the active position for what it is lent for. It carries no administrative role and opens nothing that is mine in person."},
		func(ctx context.Context, actor identity.Actor, in *lendInput) (*delegationOutput, error) {
			n := NewDelegation{Position: identity.PositionID(in.Body.PositionID), To: identity.PersonID(in.Body.PersonID), Until: in.Body.EndsAt}
			for _, scope := range in.Body.Scopes {
				n.Scopes = append(n.Scopes, identity.Scope(scope))
			}
			if in.Body.StartsAt != nil {
				n.From = *in.Body.StartsAt
			}
			d, err := s.Delegate(ctx, actor, n)
			if err != nil {
				return nil, err
			}
			return &delegationOutput{Body: s.delegationJSON(d)}, nil
		})
	httpapi.Register(api, huma.Operation{Method: http.MethodDelete, OperationID: "end-delegation", Tags: []string{tag},
		Path: "/api/v1/account/delegations/{id}", Summary: "Take a position back, or give a lent one back", DefaultStatus: http.StatusNoContent,
		Description: "Holds at once. Ending it twice is no error."},
		func(ctx context.Context, actor identity.Actor, in *delegationInput) (*struct{}, error) {
			return nil, s.EndDelegation(ctx, actor, identity.DelegationID(in.ID))
		})
}

func (s *Service) delegationsJSON(list []Delegation) []directoryDelegation {
	out := make([]directoryDelegation, len(list))
	for i, d := range list {
		out[i] = s.delegationJSON(d)
	}
	return out
}

func (s *Service) delegationJSON(d Delegation) directoryDelegation {
	return directoryDelegation{ID: string(d.ID), Position: positionJSON(d.Position), From: personJSON(d.Giver), To: personJSON(d.Taker),
		Scopes: scopesJSON(d.Scopes), StartsAt: d.From.UTC(), EndsAt: d.Until.UTC(), CreatedAt: d.CreatedAt.UTC(), State: d.State(s.now())}
}

func scopesJSON(scopes []identity.Scope) []string {
	out := make([]string, len(scopes))
	for i, scope := range scopes {
		out[i] = string(scope)
	}
	return out
}
