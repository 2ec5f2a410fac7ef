package app

import (
	"slices"
	"time"

	"commsd/directory"
	"commsd/directory/oidc"
)

// ProviderConfig is an outside provider of sign-in for the people of some mail
// domains, by OpenID Connect.
type ProviderConfig struct {
	ID           string         `yaml:"id"`     // in addresses, the callback's too; never changed
	Name         string         `yaml:"name"`   // as people read it
	Issuer       string         `yaml:"issuer"` // https address
	ClientID     string         `yaml:"client_id"`
	ClientSecret string         `yaml:"client_secret"` // empty: sign_in.provider_secrets, or a public client
	Domains      []string       `yaml:"domains"`       // mail domains
	Scopes       []string       `yaml:"scopes"`        // empty: openid, email
	Hosts        []string       `yaml:"hosts"`         // further hosts of the provider's own
	Claims       ProviderClaims `yaml:"claims"`
	MFA          []string       `yaml:"mfa"` // values of amr or acr that stand for a second factor
}

// ProviderClaims names the claims of a provider that say who somebody is.
type ProviderClaims struct {
	Login    string `yaml:"login"`    // empty: email
	Verified string `yaml:"verified"` // empty: email_verified
}

// oidc is the provider as the directory takes it.
func (p ProviderConfig) oidc(secrets map[string]string) oidc.Config {
	secret := p.ClientSecret
	if secret == "" {
		secret = secrets[p.ID]
	}
	return oidc.Config{ID: p.ID, Name: p.Name, Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: secret, Domains: p.Domains,
		Scopes: p.Scopes, Hosts: p.Hosts, LoginClaim: p.Claims.Login, Verified: p.Claims.Verified, MFA: p.MFA}
}

func (c SignInConfig) providers() []oidc.Config {
	out := make([]oidc.Config, len(c.Providers))
	for i, p := range c.Providers {
		out[i] = p.oidc(c.ProviderSecrets)
	}
	return out
}

func (c SignInConfig) validate() error {
	known := []string{directory.RequireFactorAdmins, directory.RequireFactorAll, directory.RequireFactorNone}
	if !slices.Contains(known, c.RequireFactor) {
		return keyErrorf("sign_in.require_factor", "%q is none of admins, all, none", c.RequireFactor)
	}
	if c.LongestCodeDelay > 24*time.Hour {
		return keyErrorf("sign_in.longest_code_delay", "is too large; use at most 24h, or somebody who knows a password keeps its owner out")
	}
	var ids []string
	for i, p := range c.providers() {
		if err := p.Validate(); err != nil {
			return keyErrorf("sign_in.providers", "number %d: %w", i+1, err)
		}
		if slices.Contains(ids, p.ID) {
			return keyErrorf("sign_in.providers", "%q is the id of two; give each its own", p.ID)
		}
		ids = append(ids, p.ID)
	}
	for id := range c.ProviderSecrets {
		if !slices.Contains(ids, id) {
			return keyErrorf("sign_in.provider_secrets", "%q is no id of sign_in.providers", id)
		}
	}
	return nil
}
