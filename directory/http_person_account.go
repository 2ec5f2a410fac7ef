package directory

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"commsd/identity"
	"commsd/internal/httpapi"
)

// directoryPersonAccount is what administrators see of a person's account.
type directoryPersonAccount struct {
	ID                string                  `json:"id"`
	Login             string                  `json:"login"`
	State             string                  `json:"state" enum:"active,invited,disabled" doc:"invited: there is no password yet"`
	CreatedAt         time.Time               `json:"created_at"`
	DisabledAt        *time.Time              `json:"disabled_at,omitempty"`
	HasPassword       bool                    `json:"has_password"`
	PasswordChangedAt time.Time               `json:"password_changed_at"`
	MustChange        bool                    `json:"must_change" doc:"a new password is asked for at the next sign-in"`
	Factors           []string                `json:"factors" nullable:"false" doc:"totp, passkey, recovery_code"`
	CodeUntil         *time.Time              `json:"code_until,omitempty" doc:"a one-time code is out until then"`
	AppPasswords      int                     `json:"app_passwords"`
	OutsideAddress    string                  `json:"outside_address" doc:"half hidden; empty: none that a code could be sent to"`
	Sessions          []directorySessionEntry `json:"sessions" nullable:"false"`
}

type personAccountOutput struct{ Body directoryPersonAccount }

type reasonInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500" doc:"why, for the audit log"`
	}
}

type makeCodeInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body *struct {
		Send            bool `json:"send,omitempty" doc:"mail it to the verified outside address instead of answering it"`
		EndAppPasswords bool `json:"end_app_passwords,omitempty" doc:"its use ends the app passwords too"`
	} `required:"false"`
}

type makeCodeOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		Code      string    `json:"code,omitempty" doc:"shown this once; absent when it was sent"`
		SentTo    string    `json:"sent_to,omitempty" doc:"half hidden"`
		ExpiresAt time.Time `json:"expires_at"`
	}
}

// personAccountRoutes registers what administrators do with people's accounts.
func (s *Service) personAccountRoutes(api *httpapi.API) {
	const base = "/api/v1/directory/people/{id}"
	op := func(method, id, path, summary string, status int) huma.Operation {
		return huma.Operation{Method: method, OperationID: id, Tags: []string{tag}, Path: base + path, Summary: summary, DefaultStatus: status}
	}
	httpapi.Get(api, "get-person-account", tag, base+"/account", "A person's account, for administrators",
		func(ctx context.Context, actor identity.Actor, in *personInput) (*personAccountOutput, error) {
			a, err := s.PersonAccount(ctx, actor, identity.PersonID(in.ID))
			if err != nil {
				return nil, err
			}
			return &personAccountOutput{Body: personAccountJSON(a)}, nil
		})
	httpapi.Register(api, op(http.MethodPost, "create-person-account", "/account", "Make an account for a person; a one-time code lets them in", http.StatusCreated),
		func(ctx context.Context, actor identity.Actor, in *personInput) (*personAccountOutput, error) {
			a, err := s.CreateAccount(ctx, actor, identity.PersonID(in.ID))
			if err != nil {
				return nil, err
			}
			return &personAccountOutput{Body: personAccountJSON(a)}, nil
		})
	disable := op(http.MethodPost, "disable-person", "/disable", "Disable a person's account", http.StatusNoContent)
	disable.Description = "Ends the account's sessions, sockets, mail connections and places in meetings within seconds; it signs in no more. Doing it twice is no error."
	httpapi.Register(api, disable, func(ctx context.Context, actor identity.Actor, in *reasonInput) (*struct{}, error) {
		return nil, s.DisablePerson(ctx, actor, identity.PersonID(in.ID), in.Body.Reason)
	})
	httpapi.Register(api, op(http.MethodPost, "enable-person", "/enable", "Let a disabled account sign in again", http.StatusNoContent),
		func(ctx context.Context, actor identity.Actor, in *reasonInput) (*struct{}, error) {
			return nil, s.EnablePerson(ctx, actor, identity.PersonID(in.ID), in.Body.Reason)
		})
	httpapi.Register(api, op(http.MethodPost, "make-code", "/codes", "Make a one-time code for an invitation or a reset; an earlier one ends", http.StatusCreated),
		func(ctx context.Context, actor identity.Actor, in *makeCodeInput) (*makeCodeOutput, error) {
			send, apps := false, false
			if in.Body != nil {
				send, apps = in.Body.Send, in.Body.EndAppPasswords
			}
			c, err := s.MakeCode(ctx, actor, identity.PersonID(in.ID), send, apps)
			if err != nil {
				return nil, err
			}
			out := &makeCodeOutput{CacheControl: "no-store"}
			out.Body.Code, out.Body.SentTo, out.Body.ExpiresAt = c.Code, c.SentTo, c.ExpiresAt.UTC()
			return out, nil
		})
	httpapi.Register(api, op(http.MethodPost, "require-new-password", "/require-new-password", "Ask for a new password at the next sign-in", http.StatusNoContent),
		func(ctx context.Context, actor identity.Actor, in *personInput) (*struct{}, error) {
			return nil, s.RequireNewPassword(ctx, actor, identity.PersonID(in.ID))
		})
	httpapi.Register(api, op(http.MethodDelete, "remove-person-factors", "/factors", "Take away the second factors of somebody who lost them", http.StatusNoContent),
		func(ctx context.Context, actor identity.Actor, in *personInput) (*struct{}, error) {
			return nil, s.ResetFactors(ctx, actor, identity.PersonID(in.ID))
		})
	httpapi.Register(api, op(http.MethodDelete, "end-person-sessions", "/sessions", "End all sessions and connections of a person", http.StatusNoContent),
		func(ctx context.Context, actor identity.Actor, in *personInput) (*struct{}, error) {
			return nil, s.EndSessionsOf(ctx, actor, identity.PersonID(in.ID))
		})
}

func personAccountJSON(a AccountState) directoryPersonAccount {
	state := "active"
	switch {
	case !a.DisabledAt.IsZero():
		state = "disabled"
	case !a.HasPassword:
		state = "invited"
	}
	factors := a.Factors
	if factors == nil {
		factors = []string{}
	}
	return directoryPersonAccount{ID: string(a.ID), Login: a.Login, State: state, CreatedAt: a.CreatedAt, DisabledAt: timeOrNil(a.DisabledAt),
		HasPassword: a.HasPassword, PasswordChangedAt: a.PasswordChangedAt, MustChange: a.MustChange, Factors: factors,
		CodeUntil: timeOrNil(a.CodeUntil), AppPasswords: a.AppPasswords, OutsideAddress: a.OutsideAddress,
		Sessions: sessionEntriesJSON(a.Sessions, "")}
}
