package app

import (
	"context"
	"fmt"

	"commsd/directory"
	"commsd/internal/sqldb"
)

// greet tells a person at a terminal what to do next.
func (a *App) greet(ctx context.Context, n *node) {
	if a.opts.Greeting == nil {
		return
	}
	w := a.opts.Greeting
	_, _ = fmt.Fprintf(w, "commsd %s\n\nOpen %s\n", a.opts.Version, a.cfg.HTTP.PublicURL)
	if a.cfg.Demo {
		_, _ = fmt.Fprintf(w, "\nWho can sign in (password %s):\n", demoPassword)
		for _, p := range demoAccounts {
			_, _ = fmt.Fprintf(w, "  %-26s %s, %s\n", p.Login, p.Name, p.Agency)
		}
		_, _ = fmt.Fprint(w, "\nA second person needs a private window (or another browser): one browser holds one session.\nMail for outside is held and shown in the page; nothing leaves this machine. Stop with Ctrl+C.\n")
	} else if nobody, err := unadministered(ctx, n); err == nil && nobody {
		_, _ = fmt.Fprint(w, "\nNobody administers this installation yet, so nobody can sign in. Stop it, and make the first agency and its\nadministrator with the same --config (docs/directory.md):\n"+
			"  commsd agency add --identifier ID --name NAME --domain DOMAIN\n  commsd admin create --login YOU@DOMAIN\n")
	}
	_, _ = fmt.Fprintln(w)
}

// unadministered tells whether the directory has no administrator of the whole
// installation.
func unadministered(ctx context.Context, n *node) (bool, error) {
	var c directory.Census
	err := n.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		c, err = directory.ReadCensus(ctx, tx)
		return err
	})
	return err == nil && c.Administrators == 0, err
}
