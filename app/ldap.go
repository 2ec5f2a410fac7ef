package app

import (
	"crypto/tls"
	"net"

	"commsd/directory"
	"commsd/directory/ldapd"
	"commsd/internal/netlimit"
)

// openLDAP makes the address book's server on its listener, if there is one.
func (a *App) openLDAP(n *node, dir *directory.Service, certificate *tls.Config, ln net.Listener) error {
	if ln == nil {
		return nil
	}
	s, err := ldapd.New(ldapd.Config{
		Listener: ln, TLS: certificate, Directory: dir, Domain: a.cfg.Domain, Log: a.log, Registerer: a.reg,
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
