package app

import (
	"commsd/audit"
	"commsd/directory"
	"commsd/internal/httpapi"
)

// constructAudit makes the keeper of the audit log, which asks the directory
// who may read it and what people are called.
func (a *App) constructAudit(n *node, api *httpapi.API, auditLog *audit.Log, dir *directory.Service) error {
	keeper, err := audit.NewService(audit.ServiceConfig{
		DB: n.db, Log: auditLog, Secrets: n.secret, Permissions: dir, Names: dir, Domain: a.cfg.Domain,
		Retention: a.cfg.Audit.Retention, KeepHeads: a.cfg.Audit.KeepHeads, Syslog: a.cfg.Audit.syslog(),
		Logger: a.log, Registerer: a.reg, Now: a.opts.Now,
	})
	if err != nil {
		return err
	}
	n.cores = append(n.cores, service{"audit", keeper.Run})
	keeper.Routes(api)
	return nil
}
