package contract

import (
	"fmt"
	"log/slog"
	"net/http"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

// Password is everybody's at the provider.
const Password = "provider-password"

// People are those whom a provider knows, by its own name for them.
type People map[string]*storage.User

// NewPeople knows people by their addresses, which are their names at the
// provider and verified: the first is "id-0".
func NewPeople(addresses ...string) People {
	known := People{}
	for i, address := range addresses {
		id := fmt.Sprint("id-", i)
		known[id] = &storage.User{ID: id, Username: address, Password: Password, Email: address, EmailVerified: true}
	}
	return known
}

// GetUserByID is for the provider.
func (p People) GetUserByID(id string) *storage.User { return p[id] }

// ExampleClientID is for the provider.
func (p People) ExampleClientID() string { return "service" }

// GetUserByUsername is for the provider.
func (p People) GetUserByUsername(name string) *storage.User {
	for _, u := range p {
		if u.Username == name {
			return u
		}
	}
	return nil
}

// NewProvider answers as the provider at issuer. It sends people back to
// redirect, and takes clientSecret for the client "commsd".
func NewProvider(issuer, clientSecret, redirect string, known People) http.Handler {
	storage.RegisterClients(storage.WebClient("commsd", clientSecret, redirect))
	return exampleop.SetupServer(issuer, storage.NewStorage(known), slog.New(slog.DiscardHandler), false)
}
