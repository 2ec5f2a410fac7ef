package directory

import (
	"context"

	"commsd/identity"
	"commsd/internal/httpapi"
)

type personPositionsOutput struct {
	Body struct {
		Positions []PositionRecord `json:"positions" nullable:"false" doc:"of now first, then those to come, then the past, latest first"`
	}
}

// directoryTransfer is a transfer that was done.
type directoryTransfer struct {
	Ended PositionRecord `json:"ended"`
	Begun PositionRecord `json:"begun"`
}

type unplacedInput struct {
	Agency string `query:"agency_id" maxLength:"64" doc:"whose last position was there; absent: who never held any"`
}

type unplacedOutput struct {
	Body struct {
		People []directoryPerson `json:"people" nullable:"false"`
	}
}

func (s *Service) personRoutes(api *httpapi.API) {
	httpapi.Get(api, "list-unplaced-people", "directory", "/api/v1/directory/people/unplaced", "List people who hold no position, whom no search finds",
		func(ctx context.Context, actor identity.Actor, in *unplacedInput) (*unplacedOutput, error) {
			people, err := s.Unplaced(ctx, actor, identity.AgencyID(in.Agency))
			if err != nil {
				return nil, err
			}
			out := &unplacedOutput{}
			out.Body.People = peopleJSON(people)
			return out, nil
		})
	created(api, "create-person", "/api/v1/directory/people", "Add a person", "For administrators of the unit of the first position.",
		func(ctx context.Context, actor identity.Actor, in *bodyInput[NewPerson]) (*recordOutput[PersonRecord], error) {
			return answer(s.CreatePerson(ctx, actor, in.Body))
		})
	httpapi.Get(api, "get-person-record", "directory", "/api/v1/directory/people/{id}/record", "Show a person as an administrator changes one",
		func(ctx context.Context, actor identity.Actor, in *idInput) (*recordOutput[PersonRecord], error) {
			return answer(s.PersonRecord(ctx, actor, identity.PersonID(in.ID)))
		})
	patched(api, "update-person", "/api/v1/directory/people/{id}", "Change a person",
		func(ctx context.Context, actor identity.Actor, in *idBodyInput[PersonChange]) (*recordOutput[PersonRecord], error) {
			return answer(s.UpdatePerson(ctx, actor, identity.PersonID(in.ID), in.Body))
		})
}

func (s *Service) positionRoutes(api *httpapi.API) {
	httpapi.Get(api, "list-positions", "directory", "/api/v1/directory/people/{id}/positions", "List a person's positions, past ones too",
		func(ctx context.Context, actor identity.Actor, in *idInput) (*personPositionsOutput, error) {
			positions, err := s.PersonPositions(ctx, actor, identity.PersonID(in.ID))
			if err != nil {
				return nil, err
			}
			out := &personPositionsOutput{}
			out.Body.Positions = positions
			return out, nil
		})
	created(api, "begin-position", "/api/v1/directory/people/{id}/positions", "Give a person a position",
		"One main position at a time; two people do not act (quyền) in one post of a unit at a time.",
		func(ctx context.Context, actor identity.Actor, in *idBodyInput[NewPosition]) (*recordOutput[PositionRecord], error) {
			return answer(s.BeginPosition(ctx, actor, identity.PersonID(in.ID), in.Body))
		})
	created(api, "transfer-person", "/api/v1/directory/people/{id}/transfer", "Transfer a person",
		"Ends one position and begins another in one act.",
		func(ctx context.Context, actor identity.Actor, in *idBodyInput[Transfer]) (*recordOutput[directoryTransfer], error) {
			ended, begun, err := s.TransferPerson(ctx, actor, identity.PersonID(in.ID), in.Body)
			return answer(directoryTransfer{ended, begun}, err)
		})
	patched(api, "update-position", "/api/v1/directory/positions/{id}", "Change a position",
		func(ctx context.Context, actor identity.Actor, in *idBodyInput[PositionChange]) (*recordOutput[PositionRecord], error) {
			return answer(s.UpdatePosition(ctx, actor, identity.PositionID(in.ID), in.Body))
		})
	removed(api, "end-position", "/api/v1/directory/positions/{id}", "End a position now",
		"It is kept as history; one that has not begun is removed.",
		func(ctx context.Context, actor identity.Actor, in *idInput) error {
			return s.EndPosition(ctx, actor, identity.PositionID(in.ID))
		})
}
