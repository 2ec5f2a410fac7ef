package directory

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"commsd/identity"
	"commsd/internal/httpapi"
)

// directoryAccount is what people see of themselves.
type directoryAccount struct {
	Login             string                  `json:"login"`
	Person            directoryPerson         `json:"person"`
	Phone             string                  `json:"phone" doc:"of the desk"`
	Mobile            string                  `json:"mobile"`
	Office            string                  `json:"office" doc:"room and building"`
	Photo             string                  `json:"photo" doc:"address of the picture; empty: none"`
	HasPassword       bool                    `json:"has_password"`
	PasswordChangedAt time.Time               `json:"password_changed_at"`
	Factors           []string                `json:"factors" nullable:"false" doc:"what the account proves itself by beside its password: totp, passkey, recovery_code"`
	Policy            directoryPasswordPolicy `json:"policy"`
	OutsideAddress    string                  `json:"outside_address" doc:"verified; empty: none"`
	OutsidePending    string                  `json:"outside_pending" doc:"waits for the code that was mailed to it; empty: none"`
	SendsOutside      bool                    `json:"sends_outside" doc:"mail can be sent to an outside address"`
}

// directoryPasswordPolicy is what a new password must be.
type directoryPasswordPolicy struct {
	MinLength int  `json:"min_length" doc:"characters at least, for this account as it is now"`
	MaxBytes  int  `json:"max_bytes"`
	Second    bool `json:"second" doc:"a second factor is asked for too, so that fewer characters do"`
}

// directoryAppPassword is the password of a program, without the password.
type directoryAppPassword struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Scopes    []string   `json:"scopes" nullable:"false" enum:"imap,smtp,ldap,xmpp,carddav"`
	CreatedAt time.Time  `json:"created_at"`
	LastUsed  *time.Time `json:"last_used_at,omitempty" doc:"absent: never"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"absent: never"`
}

// directorySessionEntry is one session in a list.
type directorySessionEntry struct {
	ID        string    `json:"id"`
	Address   string    `json:"address" doc:"network address that it was opened from"`
	UserAgent string    `json:"user_agent"`
	Method    []string  `json:"method" nullable:"false" doc:"how it was opened: password, totp, passkey, recovery_code, code, oidc"`
	CreatedAt time.Time `json:"created_at"`
	LastSeen  time.Time `json:"last_seen_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Locked    bool      `json:"locked"`
	Current   bool      `json:"current" doc:"this request came by it"`
}

type accountOutput struct{ Body directoryAccount }

type profileInput struct {
	Body struct {
		Phone  *string `json:"phone,omitempty" maxLength:"40"`
		Mobile *string `json:"mobile,omitempty" maxLength:"40"`
		Office *string `json:"office,omitempty" maxLength:"200"`
	}
}

type changePasswordInput struct {
	Body struct {
		Current string `json:"current" maxLength:"1024"`
		New     string `json:"new" maxLength:"1024"`
	}
}

type appPasswordsOutput struct {
	Body struct {
		AppPasswords []directoryAppPassword `json:"app_passwords" nullable:"false"`
	}
}

type makeAppPasswordInput struct {
	Body struct {
		Name      string     `json:"name" maxLength:"400" doc:"which program or device it is for"`
		Scopes    []string   `json:"scopes" nullable:"false" minItems:"1" maxItems:"10" enum:"imap,smtp,ldap,xmpp,carddav"`
		ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"absent: never"`
	}
}

type makeAppPasswordOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		Password    string               `json:"password" doc:"shown this once; works with or without its gaps"`
		AppPassword directoryAppPassword `json:"app_password"`
	}
}

type sessionsOutput struct {
	Body struct {
		Sessions []directorySessionEntry `json:"sessions" nullable:"false"`
	}
}

type outsideInput struct {
	Body struct {
		Address string `json:"address" maxLength:"320"`
	}
}

type outsideCodeInput struct {
	Body struct {
		Code string `json:"code" maxLength:"100"`
	}
}

type photoInput struct {
	ContentType string `header:"Content-Type" hidden:"true"`
	RawBody     []byte `contentType:"application/octet-stream"`
}

type photoSetOutput struct {
	Body struct {
		Photo string `json:"photo" doc:"address of the picture"`
	}
}

type photoGetInput struct {
	ID string `path:"id" maxLength:"64"`
	V  string `query:"v" maxLength:"64" doc:"hash of the picture; with it the answer is kept for long"`
}

type photoGetOutput struct {
	ContentType  string `header:"Content-Type"`
	CacheControl string `header:"Cache-Control"`
	ETag         string `header:"ETag"`
	Body         []byte
}

// accountRoutes registers what people do with their own account.
func (s *Service) accountRoutes(api *httpapi.API) {
	const base = "/api/v1/account"
	op := func(method, id, path, summary string, status int) huma.Operation {
		return huma.Operation{Method: method, OperationID: id, Tags: []string{tag}, Path: base + path, Summary: summary, DefaultStatus: status}
	}
	httpapi.Get(api, "get-account", tag, base, "My account", func(ctx context.Context, actor identity.Actor, _ *struct{}) (*accountOutput, error) {
		p, err := s.Profile(ctx, actor)
		if err != nil {
			return nil, err
		}
		return &accountOutput{Body: p.json()}, nil
	})
	httpapi.Patch(api, "update-account", tag, base, "Change my telephone numbers and office",
		func(ctx context.Context, actor identity.Actor, in *profileInput) (*accountOutput, error) {
			p, err := s.UpdateProfile(ctx, actor, ProfileChange{Phone: in.Body.Phone, Mobile: in.Body.Mobile, Office: in.Body.Office})
			if err != nil {
				return nil, err
			}
			return &accountOutput{Body: p.json()}, nil
		})
	put := op(http.MethodPut, "set-photo", "/photo", "Set my picture: JPEG, PNG or WebP, at most 2 MiB", http.StatusOK)
	put.MaxBodyBytes = maxPhotoBytes
	httpapi.Register(api, put, func(ctx context.Context, actor identity.Actor, in *photoInput) (*photoSetOutput, error) {
		hash, err := s.SetPhoto(ctx, actor, in.RawBody)
		if err != nil {
			return nil, err
		}
		out := &photoSetOutput{}
		out.Body.Photo = photoURL(actor.Person, hash)
		return out, nil
	})
	httpapi.Register(api, op(http.MethodDelete, "remove-photo", "/photo", "Remove my picture", http.StatusNoContent),
		func(ctx context.Context, actor identity.Actor, _ *struct{}) (*struct{}, error) {
			return nil, s.RemovePhoto(ctx, actor)
		})
	httpapi.Get(api, "get-photo", tag, "/api/v1/directory/people/{id}/photo", "A person's picture",
		func(ctx context.Context, actor identity.Actor, in *photoGetInput) (*photoGetOutput, error) {
			p, err := s.Photo(ctx, actor, identity.PersonID(in.ID))
			if err != nil {
				return nil, err
			}
			cache := "private, no-cache"
			if in.V == p.Hash {
				cache = "private, max-age=31536000, immutable"
			}
			return &photoGetOutput{ContentType: p.MediaType, CacheControl: cache, ETag: `"` + p.Hash + `"`, Body: p.Bytes}, nil
		})
	httpapi.Register(api, op(http.MethodPost, "change-password", "/password", "Change my password; ends my other sessions", http.StatusNoContent),
		func(ctx context.Context, actor identity.Actor, in *changePasswordInput) (*struct{}, error) {
			return nil, refused("body.new", s.ChangePassword(ctx, actor, in.Body.Current, in.Body.New))
		})
	s.appPasswordRoutes(api)
	httpapi.Get(api, "list-my-sessions", tag, base+"/sessions", "My sessions, the newest first",
		func(ctx context.Context, actor identity.Actor, _ *struct{}) (*sessionsOutput, error) {
			all, err := s.Sessions(ctx, actor)
			if err != nil {
				return nil, err
			}
			out := &sessionsOutput{}
			out.Body.Sessions = sessionEntriesJSON(all, actor.Session)
			return out, nil
		})
	httpapi.Register(api, op(http.MethodDelete, "end-my-session", "/sessions/{id}", "End one of my sessions", http.StatusNoContent),
		func(ctx context.Context, actor identity.Actor, in *idInput) (*struct{}, error) {
			return nil, s.EndSession(ctx, actor, identity.SessionID(in.ID))
		})
	httpapi.Register(api, op(http.MethodDelete, "end-my-other-sessions", "/sessions", "End all my sessions but this one", http.StatusNoContent),
		func(ctx context.Context, actor identity.Actor, _ *struct{}) (*struct{}, error) {
			return nil, s.EndOtherSessions(ctx, actor)
		})
	httpapi.Register(api, op(http.MethodPut, "set-outside-address", "/outside-address", "Name an outside address for one-time codes; a code to confirm it is mailed there", http.StatusNoContent),
		func(ctx context.Context, actor identity.Actor, in *outsideInput) (*struct{}, error) {
			return nil, s.SetOutsideAddress(ctx, actor, in.Body.Address)
		})
	httpapi.Register(api, op(http.MethodPost, "confirm-outside-address", "/outside-address/confirm", "Confirm the outside address by the code that was mailed to it", http.StatusNoContent),
		func(ctx context.Context, actor identity.Actor, in *outsideCodeInput) (*struct{}, error) {
			return nil, s.ConfirmOutsideAddress(ctx, actor, in.Body.Code)
		})
	httpapi.Register(api, op(http.MethodDelete, "remove-outside-address", "/outside-address", "Forget my outside address", http.StatusNoContent),
		func(ctx context.Context, actor identity.Actor, _ *struct{}) (*struct{}, error) {
			return nil, s.RemoveOutsideAddress(ctx, actor)
		})
}

func (s *Service) appPasswordRoutes(api *httpapi.API) {
	const base = "/api/v1/account/app-passwords"
	httpapi.Get(api, "list-app-passwords", tag, base, "My app passwords",
		func(ctx context.Context, actor identity.Actor, _ *struct{}) (*appPasswordsOutput, error) {
			all, err := s.AppPasswords(ctx, actor)
			if err != nil {
				return nil, err
			}
			out := &appPasswordsOutput{}
			out.Body.AppPasswords = make([]directoryAppPassword, len(all))
			for i, a := range all {
				out.Body.AppPasswords[i] = appPasswordJSON(a)
			}
			return out, nil
		})
	httpapi.Register(api, huma.Operation{Method: http.MethodPost, OperationID: "make-app-password", Tags: []string{tag}, Path: base,
		Summary: "Make a password for a program", DefaultStatus: http.StatusCreated},
		func(ctx context.Context, actor identity.Actor, in *makeAppPasswordInput) (*makeAppPasswordOutput, error) {
			var expires time.Time
			if in.Body.ExpiresAt != nil {
				expires = *in.Body.ExpiresAt
			}
			secret, a, err := s.MakeAppPassword(ctx, actor, in.Body.Name, in.Body.Scopes, expires)
			if err != nil {
				return nil, err
			}
			out := &makeAppPasswordOutput{CacheControl: "no-store"}
			out.Body.Password, out.Body.AppPassword = secret, appPasswordJSON(a)
			return out, nil
		})
	httpapi.Register(api, huma.Operation{Method: http.MethodDelete, OperationID: "end-app-password", Tags: []string{tag}, Path: base + "/{id}",
		Summary: "End an app password and the connections that it opened", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, actor identity.Actor, in *idInput) (*struct{}, error) {
			return nil, s.EndAppPassword(ctx, actor, in.ID)
		})
}

func appPasswordJSON(a AppPassword) directoryAppPassword {
	return directoryAppPassword{ID: a.ID, Name: a.Name, Scopes: a.Scopes, CreatedAt: a.CreatedAt.UTC(), LastUsed: timeOrNil(a.LastUsed), ExpiresAt: timeOrNil(a.ExpiresAt)}
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func sessionEntriesJSON(all []SessionEntry, current identity.SessionID) []directorySessionEntry {
	out := make([]directorySessionEntry, len(all))
	for i, e := range all {
		out[i] = directorySessionEntry{ID: string(e.ID), Address: e.Address, UserAgent: e.UserAgent, Method: e.Method, CreatedAt: e.CreatedAt,
			LastSeen: e.LastSeen, ExpiresAt: e.ExpiresAt, Locked: e.Locked, Current: e.ID == current}
	}
	return out
}

func (p Profile) json() directoryAccount {
	factors := p.Account.Factors
	if factors == nil {
		factors = []string{}
	}
	return directoryAccount{Login: p.Account.Login, Person: personJSON(p.Person), Phone: p.Phone, Mobile: p.Mobile, Office: p.Office,
		Photo: photoURL(p.Person.ID, p.Photo), HasPassword: p.Account.HasPassword, PasswordChangedAt: p.Account.PasswordChangedAt,
		Factors: factors, Policy: directoryPasswordPolicy{MinLength: p.MinPassword, MaxBytes: p.MaxPassword, Second: len(factors) > 0},
		OutsideAddress: p.Outside.Address, OutsidePending: p.Outside.Pending, SendsOutside: p.SendsOutside}
}
