package directory

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"commsd/directory/permission"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/httpapi"
)

type previewImportInput struct {
	Agency   string `query:"agency_id" required:"true" maxLength:"64"`
	FileName string `query:"file_name" maxLength:"400" doc:"as the list of imports shows it"`
	RawBody  []byte `contentType:"text/csv"`
}

type importOutput struct{ Body Import }

type importInput struct {
	ID string `path:"id" maxLength:"64"`
}

type listImportsInput struct {
	Agency string `query:"agency_id" required:"true" maxLength:"64"`
}

type listImportsOutput struct {
	Body struct {
		Imports []Import `json:"imports" nullable:"false" doc:"the last 50, without their problems"`
	}
}

type importEntriesInput struct {
	ID    string `path:"id" maxLength:"64"`
	Kind  string `query:"kind" enum:"add,change,move,leave" doc:"absent: all"`
	After int    `query:"after" minimum:"0" doc:"seq of the last entry of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type importEntriesOutput struct {
	Body struct {
		Entries []ImportEntry `json:"entries" nullable:"false"`
	}
}

type applyImportInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Override bool `json:"override_leaves,omitempty" doc:"more people may leave than one list may end"`
	}
}

// takeList lets few lists in at once, of administrators alone, before they are
// read: a list and what is made of it lie in memory.
func (s *Service) takeList(ctx context.Context, actor identity.Actor) (done func(), err error) {
	if len(actor.Grants) == 0 {
		return nil, s.permit(ctx, actor, permission.ImportPeople, importObject(""))
	}
	select {
	case s.lists <- struct{}{}:
		return func() { <-s.lists }, nil
	default:
		return nil, errcode.New(errcode.RateLimited, "%d staff lists are being compared at this moment; try again in a minute", cap(s.lists)).After(time.Minute)
	}
}

// importRoutes registers the import of staff lists.
func (s *Service) importRoutes(api *httpapi.API) {
	const base = "/api/v1/directory/imports"
	preview := huma.Operation{Method: http.MethodPost, OperationID: "preview-import", Tags: []string{tag}, Path: base,
		Summary: "Compare a staff list with an agency", DefaultStatus: http.StatusCreated, MaxBodyBytes: int64(s.cfg.Imports.MaxBytes) + 1,
		Description: "A CSV file in UTF-8; the first line names the columns, in Vietnamese or English. It changes nothing: it answers what the list would change, or its problems. 429: others' lists are being compared."}
	httpapi.Register(api, httpapi.Before(api, preview, s.takeList),
		func(ctx context.Context, actor identity.Actor, in *previewImportInput) (*importOutput, error) {
			if len(in.RawBody) > s.cfg.Imports.MaxBytes {
				return nil, errcode.New(errcode.TooLarge, "the list has more than %d bytes (import.max_bytes): split it by unit", s.cfg.Imports.MaxBytes)
			}
			i, err := s.PreviewImport(ctx, actor, identity.AgencyID(in.Agency), in.FileName, in.RawBody)
			return &importOutput{Body: i}, err
		})
	httpapi.Get(api, "list-imports", tag, base, "List an agency's imports",
		func(ctx context.Context, actor identity.Actor, in *listImportsInput) (*listImportsOutput, error) {
			imports, err := s.Imports(ctx, actor, identity.AgencyID(in.Agency))
			out := &listImportsOutput{}
			out.Body.Imports = append([]Import{}, imports...)
			return out, err
		})
	httpapi.Get(api, "get-import", tag, base+"/{id}", "Show an import: its problems, what it changes, how far it is",
		func(ctx context.Context, actor identity.Actor, in *importInput) (*importOutput, error) {
			i, err := s.Import(ctx, actor, in.ID)
			return &importOutput{Body: i}, err
		})
	httpapi.Get(api, "list-import-entries", tag, base+"/{id}/entries", "List what an import changes, person by person",
		func(ctx context.Context, actor identity.Actor, in *importEntriesInput) (*importEntriesOutput, error) {
			entries, err := s.ImportEntries(ctx, actor, in.ID, in.Kind, in.After, in.Limit)
			out := &importEntriesOutput{}
			out.Body.Entries = append([]ImportEntry{}, entries...)
			return out, err
		})
	httpapi.Register(api, huma.Operation{Method: http.MethodPost, OperationID: "apply-import", Tags: []string{tag}, Path: base + "/{id}/apply",
		Summary: "Apply an import as it was shown", DefaultStatus: http.StatusAccepted,
		Description: "It is applied in batches; get-import tells how far it is. Conflict: it was applied before, the agency has changed since it was compared, or more people would leave than one list may end."},
		func(ctx context.Context, actor identity.Actor, in *applyImportInput) (*importOutput, error) {
			i, err := s.BeginImport(ctx, actor, in.ID, in.Body.Override)
			return &importOutput{Body: i}, err
		})
}
