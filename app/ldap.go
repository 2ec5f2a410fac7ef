package app

import (
	"context"
	"crypto/tls"
	"net"

	"commsd/directory"
	"commsd/directory/ldapd"
	"commsd/directory/visibility"
	"commsd/identity"
	"commsd/internal/netlimit"
)

// openLDAP makes the address book's server on its listener, if there is one.
func (a *App) openLDAP(n *node, dir *directory.Service, certificate *tls.Config, ln net.Listener) error {
	if ln == nil {
		return nil
	}
	s, err := ldapd.New(ldapd.Config{
		Listener: ln, TLS: certificate, Directory: addressBook{dir}, Domain: a.cfg.Domain, Log: a.log, Registerer: a.reg,
		MaxConns:   netlimit.Config{Max: a.cfg.LDAP.MaxConnections, PerAddress: a.cfg.LDAP.MaxConnectionsPerAddress},
		MaxEntries: a.cfg.LDAP.MaxEntries, MaxFailures: a.cfg.LDAP.MaxFailedSignIns, Idle: a.cfg.LDAP.Idle,
	})
	if err != nil {
		return err
	}
	n.fronts = append(n.fronts, service{"ldap", s.Run})
	n.revokes = append(n.revokes, s.Revoke)
	return nil
}

// addressBook is the directory as the LDAP face sees it.
type addressBook struct{ *directory.Service }

var _ ldapd.Directory = addressBook{}

// FindEntries implements ldapd.Directory.
func (b addressBook) FindEntries(ctx context.Context, actor identity.Actor, q string, limit int) ([]ldapd.Entry, error) {
	found, err := b.Service.FindEntries(ctx, actor, q, limit)
	if err != nil {
		return nil, err
	}
	out := make([]ldapd.Entry, len(found))
	for i, e := range found {
		out[i] = ldapEntry(e)
	}
	return out, nil
}

// Entry implements ldapd.Directory.
func (b addressBook) Entry(ctx context.Context, actor identity.Actor, id identity.PersonID) (ldapd.Entry, error) {
	e, err := b.Service.Entry(ctx, actor, id)
	return ldapEntry(e), err
}

func ldapEntry(e visibility.Entry) ldapd.Entry {
	return ldapd.Entry{
		ID: e.ID, Name: e.Name, Family: e.Family, Given: e.GivenName, Title: e.Title, Unit: e.Unit, Agency: e.AgencyName,
		AgencyIdentifier: e.AgencyIdentifier, Address: e.Address, Phone: e.Phone, Mobile: e.Mobile, Office: e.Office,
	}
}
