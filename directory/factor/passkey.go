package factor

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// ChallengeLifetime is how long a person may take at the authenticator.
const ChallengeLifetime = 5 * time.Minute

// maxCredential bounds the JSON of a browser's answer. Attestation chains, which
// we do not ask for, are the largest part of one.
const maxCredential = 32 << 10

// Passkey is what is stored of a credential; the private key never leaves the
// authenticator.
type Passkey struct {
	Credential []byte   // its id, chosen by the authenticator
	PublicKey  []byte   // COSE
	SignCount  uint32   // 0: the authenticator does not count
	Flags      byte     // of the authenticator data at registration and last use
	AAGUID     []byte   // model of the authenticator; zeros when it does not tell
	Transports []string // how a browser reaches it: "usb", "internal", "hybrid"
}

// Holder is whose passkeys they are. Handle is an opaque name of the account of
// at most 64 bytes that holds nothing about the person; the authenticator keeps
// it.
type Holder struct {
	Handle   []byte
	Login    string
	Name     string
	Passkeys []Passkey
}

// RelyingParty starts and checks passkey ceremonies of one site. It may be used
// from many goroutines.
type RelyingParty struct {
	web *webauthn.WebAuthn
}

// NewRelyingParty returns the relying party of the site at publicURL, whose host
// is its id and whose origin alone is accepted; name is shown by authenticators.
// A host that is an address cannot have passkeys.
func NewRelyingParty(publicURL, name string) (*RelyingParty, error) {
	u, err := url.Parse(publicURL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("factor: %q is no web address", publicURL)
	}
	lifetime := webauthn.TimeoutConfig{Timeout: ChallengeLifetime, TimeoutUVD: ChallengeLifetime}
	cfg := &webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: name, RPOrigins: []string{u.Scheme + "://" + u.Host},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey:        protocol.ResidentKeyRequirementPreferred,
			RequireResidentKey: protocol.ResidentKeyNotRequired(),
			UserVerification:   protocol.VerificationRequired,
		},
		// Our own clock ends challenges; this only tells the browser.
		Timeouts: webauthn.TimeoutsConfig{Login: lifetime, Registration: lifetime},
		// Browsers' extensions and password managers add outputs unasked.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	}
	web, err := webauthn.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("factor: passkeys at %s: %w", publicURL, err)
	}
	return &RelyingParty{web: web}, nil
}

// Ceremony is one that has begun.
type Ceremony struct {
	Options   json.RawMessage // PublicKeyCredentialCreationOptionsJSON or …RequestOptionsJSON, for the browser
	Challenge []byte          // to be remembered, taken once, and for ChallengeLifetime
}

// BeginRegistration asks for a new passkey; the holder's own are excluded, so
// that one authenticator is not registered twice.
func (r *RelyingParty) BeginRegistration(h Holder) (Ceremony, error) {
	u := user{h}
	options, _, err := r.web.BeginRegistration(u, webauthn.WithExclusions(webauthn.Credentials(u.WebAuthnCredentials()).CredentialDescriptors()))
	if err != nil {
		return Ceremony{}, fmt.Errorf("factor: begin a registration: %w", err)
	}
	return ceremony(options.Response, options.Response.Challenge)
}

// BeginSignIn asks for any passkey of this site: the authenticator names the
// account, so the question is the same for everybody.
func (r *RelyingParty) BeginSignIn() (Ceremony, error) {
	options, _, err := r.web.BeginDiscoverableLogin()
	if err != nil {
		return Ceremony{}, fmt.Errorf("factor: begin a sign-in: %w", err)
	}
	return ceremony(options.Response, options.Response.Challenge)
}

// BeginAssertion asks for one of the holder's passkeys, of which there is at
// least one.
func (r *RelyingParty) BeginAssertion(h Holder) (Ceremony, error) {
	options, _, err := r.web.BeginLogin(user{h})
	if err != nil {
		return Ceremony{}, fmt.Errorf("factor: begin an assertion: %w", err)
	}
	return ceremony(options.Response, options.Response.Challenge)
}

func ceremony(options any, challenge []byte) (Ceremony, error) {
	text, err := json.Marshal(options)
	if err != nil {
		return Ceremony{}, fmt.Errorf("factor: write options: %w", err)
	}
	return Ceremony{Options: text, Challenge: challenge}, nil
}

// Registration is a browser's answer to BeginRegistration, parsed and not yet
// believed.
type Registration struct {
	Challenge []byte // that it claims to answer

	parsed *protocol.ParsedCredentialCreationData
}

// ParseRegistration reads the JSON of a PublicKeyCredential. Errors are
// ErrRefused.
func ParseRegistration(credential []byte) (Registration, error) {
	if len(credential) > maxCredential {
		return Registration{}, fmt.Errorf("%w: the credential has %d bytes", ErrRefused, len(credential))
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(credential)
	if err != nil {
		return Registration{}, refused(err)
	}
	challenge, err := challengeOf(parsed.Response.CollectedClientData)
	return Registration{Challenge: challenge, parsed: parsed}, err
}

// Register believes an answer whose challenge the caller has recognised and
// taken. Errors are ErrRefused.
func (r *RelyingParty) Register(h Holder, a Registration) (Passkey, error) {
	c, err := r.web.CreateCredential(user{h}, webauthn.SessionData{
		Challenge: encode(a.Challenge), UserID: h.Handle, UserVerification: protocol.VerificationRequired,
		CredParams: webauthn.CredentialParametersDefault(),
	}, a.parsed)
	if err != nil {
		return Passkey{}, refused(err)
	}
	p := Passkey{Credential: c.ID, PublicKey: c.PublicKey, SignCount: c.Authenticator.SignCount,
		Flags: byte(c.Flags.ProtocolValue()), AAGUID: c.Authenticator.AAGUID}
	for _, t := range c.Transport {
		if known := []protocol.AuthenticatorTransport{protocol.USB, protocol.NFC, protocol.BLE, protocol.SmartCard, protocol.Hybrid, protocol.Internal}; slices.Contains(known, t) {
			p.Transports = append(p.Transports, string(t))
		}
	}
	return p, nil
}

// Assertion is a browser's answer to BeginSignIn or BeginAssertion, parsed and
// not yet believed.
type Assertion struct {
	Challenge  []byte // that it claims to answer
	Credential []byte // id of the passkey that it claims to be signed with
	Handle     []byte // of the holder; empty when the authenticator does not keep one

	parsed *protocol.ParsedCredentialAssertionData
}

// ParseAssertion reads the JSON of a PublicKeyCredential. Errors are
// ErrRefused.
func ParseAssertion(credential []byte) (Assertion, error) {
	if len(credential) > maxCredential {
		return Assertion{}, fmt.Errorf("%w: the credential has %d bytes", ErrRefused, len(credential))
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(credential)
	if err != nil {
		return Assertion{}, refused(err)
	}
	challenge, err := challengeOf(parsed.Response.CollectedClientData)
	return Assertion{Challenge: challenge, Credential: parsed.RawID, Handle: parsed.Response.UserHandle, parsed: parsed}, err
}

// Assert believes an answer whose challenge the caller has recognised and
// taken, when one of h's passkeys signed it and the person was verified at the
// authenticator. It answers that passkey as it is to be stored now; cloned tells
// that its counter did not rise, which a copy of the authenticator may be the
// cause of. Errors are ErrRefused.
func (r *RelyingParty) Assert(h Holder, a Assertion) (p Passkey, cloned bool, err error) {
	// Without a list of allowed credentials the library asks whether h owns the
	// credential, which is the same question.
	c, err := r.web.ValidateLogin(user{h}, webauthn.SessionData{
		Challenge: encode(a.Challenge), UserID: h.Handle, UserVerification: protocol.VerificationRequired,
	}, a.parsed)
	if err != nil {
		return Passkey{}, false, refused(err)
	}
	i := slices.IndexFunc(h.Passkeys, func(p Passkey) bool { return bytes.Equal(p.Credential, c.ID) })
	if i < 0 {
		return Passkey{}, false, fmt.Errorf("%w: not a passkey of the account", ErrRefused)
	}
	p = h.Passkeys[i]
	p.SignCount, p.Flags = c.Authenticator.SignCount, byte(c.Flags.ProtocolValue())
	return p, c.Authenticator.CloneWarning, nil
}

func challengeOf(d protocol.CollectedClientData) ([]byte, error) {
	challenge, err := base64.RawURLEncoding.Strict().DecodeString(d.Challenge)
	if err != nil || len(challenge) != protocol.ChallengeLength || encode(challenge) != d.Challenge {
		return nil, fmt.Errorf("%w: no challenge of ours", ErrRefused)
	}
	return challenge, nil
}

func encode(challenge []byte) string { return base64.RawURLEncoding.EncodeToString(challenge) }

// refused keeps what the library tells of the reason; its Error alone is terse.
func refused(err error) error {
	var e *protocol.Error
	if errors.As(err, &e) && e.DevInfo != "" {
		return fmt.Errorf("%w: %s: %s", ErrRefused, e.Details, e.DevInfo)
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

// user shows a Holder to the library.
type user struct{ h Holder }

var _ webauthn.User = user{}

func (u user) WebAuthnID() []byte          { return u.h.Handle }
func (u user) WebAuthnName() string        { return u.h.Login }
func (u user) WebAuthnDisplayName() string { return u.h.Name }

func (u user) WebAuthnCredentials() []webauthn.Credential {
	out := make([]webauthn.Credential, len(u.h.Passkeys))
	for i, p := range u.h.Passkeys {
		out[i] = webauthn.Credential{
			ID: p.Credential, PublicKey: p.PublicKey, Flags: webauthn.NewCredentialFlags(protocol.AuthenticatorFlags(p.Flags)),
			Authenticator: webauthn.Authenticator{AAGUID: p.AAGUID, SignCount: p.SignCount},
		}
		for _, t := range p.Transports {
			out[i].Transport = append(out[i].Transport, protocol.AuthenticatorTransport(t))
		}
	}
	return out
}

// Synced tells whether copies of the passkey may be kept by its maker's cloud.
func (p Passkey) Synced() bool {
	return protocol.AuthenticatorFlags(p.Flags).HasBackupEligible()
}
