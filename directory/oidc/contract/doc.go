// Package contract holds sign-in by outside providers against a provider that
// is not ours: zitadel's, in this process, before a whole commsd in another. It
// is a module of its own, so that what the provider brings along stays out of
// commsd's; it knows no package of commsd, only its addresses. Its command
// provider is the same provider for tests in a browser (web/e2e).
package contract
