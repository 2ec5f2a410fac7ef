package directory

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"commsd/identity"
	"commsd/internal/httpapi"
)

// directoryFactors is what an account can prove itself by beside its password.
type directoryFactors struct {
	TOTP                 *directoryTOTP      `json:"totp,omitempty" doc:"the authenticator app; absent: none is set up"`
	Passkeys             []directoryPasskey  `json:"passkeys" nullable:"false"`
	PasskeysAvailable    bool                `json:"passkeys_available" doc:"false where the installation is reached by an address, which passkeys cannot be bound to"`
	RecoveryCodes        directoryCodesState `json:"recovery_codes"`
	Required             bool                `json:"required" doc:"the account must have a second factor; the last one cannot be removed"`
	PasswordForProtocols bool                `json:"password_for_protocols" doc:"mail programs may sign in by the login password, since there is no second factor"`
}

type directoryTOTP struct {
	AddedAt time.Time  `json:"added_at"`
	UsedAt  *time.Time `json:"used_at,omitempty"`
}

type directoryCodesState struct {
	Left   int        `json:"left" doc:"of 10"`
	MadeAt *time.Time `json:"made_at,omitempty" doc:"absent: none were made"`
}

type directoryPasskey struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	AddedAt   time.Time  `json:"added_at"`
	UsedAt    *time.Time `json:"used_at,omitempty" doc:"absent: never"`
	Synced    bool       `json:"synced" doc:"its maker may keep copies of it, on the owner's other devices too"`
	Transport string     `json:"transport" doc:"how a browser reaches it: internal, usb, nfc, ble, hybrid, smart-card; empty: unknown"`
}

// directoryTOTPSetup is shown once.
type directoryTOTPSetup struct {
	Secret string `json:"secret" doc:"base32, to be typed where no camera is"`
	URI    string `json:"uri" doc:"otpauth address, which the QR code holds"`
	QR     string `json:"qr" doc:"data address of an SVG image, black on white"`
}

// directoryPasskeyOptions go to PublicKeyCredential.parseCreationOptionsFromJSON
// or …parseRequestOptionsFromJSON.
type directoryPasskeyOptions struct {
	Options map[string]any `json:"options" doc:"PublicKeyCredentialCreationOptionsJSON or PublicKeyCredentialRequestOptionsJSON (Web Authentication level 3)"`
}

type passkeySignInOptionsOutput struct {
	Body struct {
		Ticket  string         `json:"ticket" doc:"for POST /api/v1/sessions/passkey, within 5 minutes"`
		Options map[string]any `json:"options" doc:"PublicKeyCredentialRequestOptionsJSON; the same for everybody but for the challenge"`
	}
}

type passkeySignInInput struct {
	UserAgent string `header:"User-Agent"`
	Cookie    string `header:"Cookie" hidden:"true"`
	Body      struct {
		Ticket     string          `json:"ticket" maxLength:"100"`
		Credential json.RawMessage `json:"credential" doc:"the credential as the browser gives it (PublicKeyCredential.toJSON)"`
	}
}

type ticketInput struct {
	Cookie string `header:"Cookie" hidden:"true"`
	Body   struct {
		Ticket string `json:"ticket" maxLength:"100" doc:"empty: that of a sign-in by an outside provider, which is in a cookie"`
	}
}

type ticketPasskeyOutput struct {
	Body struct {
		Options map[string]any `json:"options" doc:"PublicKeyCredentialCreationOptionsJSON where create is true, else PublicKeyCredentialRequestOptionsJSON"`
		Create  bool           `json:"create" doc:"a new passkey is made, since the sign-in asks for enroll; the answer goes to POST /api/v1/sessions/next either way"`
	}
}

type factorsOutput struct{ Body directoryFactors }

type totpSetupOutput struct{ Body directoryTOTPSetup }

type totpConfirmInput struct {
	Body struct {
		Code string `json:"code" minLength:"6" maxLength:"32" doc:"six digits"`
	}
}

type recoveryCodesOutput struct {
	Body struct {
		Codes []string `json:"codes" nullable:"false" doc:"each is good once; they are shown this once"`
	}
}

type passkeyOptionsOutput struct{ Body directoryPasskeyOptions }

type addPasskeyInput struct {
	Body struct {
		Name       string          `json:"name" maxLength:"100" doc:"what its owner calls it; empty: the day"`
		Credential json.RawMessage `json:"credential" doc:"PublicKeyCredential.toJSON() of what navigator.credentials.create answered"`
	}
}

type passkeyOutput struct{ Body directoryPasskey }

type renamePasskeyInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"100"`
	}
}

type passkeyInput struct {
	ID string `path:"id" maxLength:"64"`
}

// maxCredentialBody leaves room for what attestation a browser sends unasked.
const maxCredentialBody = 64 << 10

// factorRoutes registers what people do with their own second factors. All but
// the list need a session whose owner proved who they are lately.
func (s *Service) factorRoutes(api *httpapi.API) {
	httpapi.Get(api, "list-factors", tag, "/api/v1/account/factors", "Show one's second factors",
		func(ctx context.Context, actor identity.Actor, _ *struct{}) (*factorsOutput, error) {
			f, err := s.Factors(ctx, actor)
			if err != nil {
				return nil, err
			}
			return &factorsOutput{Body: factorsJSON(f)}, nil
		})
	httpapi.Register(api, huma.Operation{Method: http.MethodPost, OperationID: "begin-totp", Tags: []string{tag},
		Path: "/api/v1/account/totp", Summary: "Begin to set up an authenticator app", DefaultStatus: http.StatusCreated,
		Description: "The app counts once a code of it was confirmed; one before it holds until then."},
		func(ctx context.Context, actor identity.Actor, _ *struct{}) (*totpSetupOutput, error) {
			t, err := s.BeginTOTP(ctx, actor)
			if err != nil {
				return nil, err
			}
			return &totpSetupOutput{Body: directoryTOTPSetup(t)}, nil
		})
	httpapi.Register(api, huma.Operation{Method: http.MethodPost, OperationID: "confirm-totp", Tags: []string{tag},
		Path: "/api/v1/account/totp/confirm", Summary: "Confirm an authenticator app by a code of it", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, actor identity.Actor, in *totpConfirmInput) (*struct{}, error) {
			return nil, s.ConfirmTOTP(ctx, actor, in.Body.Code)
		})
	httpapi.Register(api, huma.Operation{Method: http.MethodDelete, OperationID: "remove-totp", Tags: []string{tag},
		Path: "/api/v1/account/totp", Summary: "Remove the authenticator app", DefaultStatus: http.StatusNoContent,
		Description: "409 where it is the last second factor of somebody who must have one."},
		func(ctx context.Context, actor identity.Actor, _ *struct{}) (*struct{}, error) {
			return nil, s.RemoveTOTP(ctx, actor)
		})
	httpapi.Register(api, huma.Operation{Method: http.MethodPost, OperationID: "new-recovery-codes", Tags: []string{tag},
		Path: "/api/v1/account/recovery-codes", Summary: "Make new recovery codes; those before end", DefaultStatus: http.StatusCreated},
		func(ctx context.Context, actor identity.Actor, _ *struct{}) (*recoveryCodesOutput, error) {
			codes, err := s.NewRecoveryCodes(ctx, actor)
			if err != nil {
				return nil, err
			}
			out := &recoveryCodesOutput{}
			out.Body.Codes = codes
			return out, nil
		})
	httpapi.Register(api, huma.Operation{Method: http.MethodPost, OperationID: "begin-passkey", Tags: []string{tag},
		Path: "/api/v1/account/passkeys/options", Summary: "Begin to register a passkey"},
		func(ctx context.Context, actor identity.Actor, _ *struct{}) (*passkeyOptionsOutput, error) {
			options, err := s.BeginPasskey(ctx, actor)
			return passkeyOptionsJSON(options, err)
		})
	httpapi.Register(api, huma.Operation{Method: http.MethodPost, OperationID: "add-passkey", Tags: []string{tag},
		Path: "/api/v1/account/passkeys", Summary: "Register a passkey", DefaultStatus: http.StatusCreated, MaxBodyBytes: maxCredentialBody},
		func(ctx context.Context, actor identity.Actor, in *addPasskeyInput) (*passkeyOutput, error) {
			p, err := s.AddPasskey(ctx, actor, in.Body.Name, in.Body.Credential)
			if err != nil {
				return nil, err
			}
			return &passkeyOutput{Body: passkeyJSON(p)}, nil
		})
	httpapi.Register(api, huma.Operation{Method: http.MethodPatch, OperationID: "rename-passkey", Tags: []string{tag},
		Path: "/api/v1/account/passkeys/{id}", Summary: "Rename a passkey", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, actor identity.Actor, in *renamePasskeyInput) (*struct{}, error) {
			return nil, s.RenamePasskey(ctx, actor, in.ID, in.Body.Name)
		})
	httpapi.Register(api, huma.Operation{Method: http.MethodDelete, OperationID: "remove-passkey", Tags: []string{tag},
		Path: "/api/v1/account/passkeys/{id}", Summary: "Remove a passkey", DefaultStatus: http.StatusNoContent,
		Description: "409 where it is the last second factor of somebody who must have one."},
		func(ctx context.Context, actor identity.Actor, in *passkeyInput) (*struct{}, error) {
			return nil, s.RemovePasskey(ctx, actor, in.ID)
		})
}

// factorSignInRoutes registers what a sign-in needs to show or set up a second
// factor; the answers go to POST /sessions/next.
func (s *Service) factorSignInRoutes(api *httpapi.API) {
	public := func(id, path, summary, description string) huma.Operation {
		return huma.Operation{Method: http.MethodPost, OperationID: id, Tags: []string{tag}, Path: path, Summary: summary, Description: description, MaxBodyBytes: maxCredentialBody}
	}
	httpapi.RegisterPublic(api, public("begin-passkey-sign-in", "/api/v1/sessions/passkey/options", "Begin a sign-in by a passkey alone",
		"No account is named: the passkey names it."),
		func(ctx context.Context, _ *struct{}) (*passkeySignInOptionsOutput, error) {
			ticket, options, err := s.BeginPasskeySignIn(ctx, httpapi.RemoteAddr(ctx))
			if err != nil {
				return nil, err
			}
			out := &passkeySignInOptionsOutput{}
			out.Body.Ticket = ticket
			return out, readOptions(options, &out.Body.Options)
		})
	httpapi.RegisterPublic(api, signInOperation(api, "sign-in-passkey", "/api/v1/sessions/passkey", "Sign in by a passkey alone",
		"It is password and second factor in one. 410: the ticket is over, begin again. 401: the passkey proves nothing here."),
		func(ctx context.Context, in *passkeySignInInput) (*signInOutput, error) {
			return s.signedIn(api)(s.SignInByPasskey(ctx, NextRequest{
				Ticket: in.Body.Ticket, Proof: Proof{Passkey: in.Body.Credential},
				Address: httpapi.RemoteAddr(ctx), UserAgent: in.UserAgent, OldToken: tokenOf(in.Cookie, api.Secure()),
			}))
		})
	httpapi.RegisterPublic(api, public("sign-in-totp-setup", "/api/v1/sessions/next/totp", "Begin to set up an authenticator app in a sign-in",
		"For a ticket that asks for enroll; a code of the app answers it."),
		func(ctx context.Context, in *ticketInput) (*totpSetupOutput, error) {
			t, err := s.TicketTOTP(ctx, s.ticketOf(in.Body.Ticket, in.Cookie, api.Secure()))
			if err != nil {
				return nil, err
			}
			return &totpSetupOutput{Body: directoryTOTPSetup(t)}, nil
		})
	httpapi.RegisterPublic(api, public("sign-in-passkey-options", "/api/v1/sessions/next/passkey", "Begin to show or set up a passkey in a sign-in",
		"For a ticket that asks for passkey or enroll. A wrong answer spends the options; ask again."),
		func(ctx context.Context, in *ticketInput) (*ticketPasskeyOutput, error) {
			options, create, err := s.TicketPasskey(ctx, s.ticketOf(in.Body.Ticket, in.Cookie, api.Secure()))
			if err != nil {
				return nil, err
			}
			out := &ticketPasskeyOutput{}
			out.Body.Create = create
			return out, readOptions(options, &out.Body.Options)
		})
	httpapi.Register(api, httpapi.WhileLocked(huma.Operation{Method: http.MethodPost, OperationID: "begin-unlock", Tags: []string{tag},
		Path: "/api/v1/sessions/current/unlock/passkey", Summary: "Begin to prove who one is again by a passkey",
		Description: "The answer goes to POST /api/v1/sessions/current/unlock. 409: the account has no passkey."}),
		func(ctx context.Context, actor identity.Actor, _ *struct{}) (*passkeyOptionsOutput, error) {
			options, err := s.BeginProof(ctx, actor)
			return passkeyOptionsJSON(options, err)
		})
}

func readOptions(options []byte, into *map[string]any) error {
	if err := json.Unmarshal(options, into); err != nil {
		return fmt.Errorf("directory: write passkey options: %w", err)
	}
	return nil
}

func passkeyOptionsJSON(options []byte, err error) (*passkeyOptionsOutput, error) {
	if err != nil {
		return nil, err
	}
	out := &passkeyOptionsOutput{}
	return out, readOptions(options, &out.Body.Options)
}

func factorsJSON(f Factors) directoryFactors {
	out := directoryFactors{Passkeys: make([]directoryPasskey, len(f.Passkeys)), PasskeysAvailable: f.PasskeysHere,
		RecoveryCodes: directoryCodesState{Left: f.RecoveryLeft, MadeAt: timeOrNil(f.RecoveryMade)},
		Required:      f.Required, PasswordForProtocols: f.PasswordInApp}
	if f.TOTP {
		out.TOTP = &directoryTOTP{AddedAt: f.TOTPAdded, UsedAt: timeOrNil(f.TOTPUsed)}
	}
	for i, p := range f.Passkeys {
		out.Passkeys[i] = passkeyJSON(p)
	}
	return out
}

func passkeyJSON(p Passkey) directoryPasskey {
	return directoryPasskey{ID: p.ID, Name: p.Name, AddedAt: p.Added, UsedAt: timeOrNil(p.Used), Synced: p.Synced, Transport: p.Carrier}
}
