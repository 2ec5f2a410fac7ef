package app

import (
	"context"
	"errors"
	"log/slog"

	"commsd/audit"
	"commsd/directory"
)

// OnDirectory runs fn on the directory of an installation, for a command beside
// the server. It opens the stores as the server does: what is missing is made,
// so that the first administrator can be there before the first start. On SQLite
// the server has to be stopped meanwhile; on PostgreSQL it learns of changes
// within seconds.
func OnDirectory(ctx context.Context, cfg Config, log *slog.Logger, fn func(context.Context, *directory.Service) error) (err error) {
	a, err := New(cfg, Options{Log: log})
	if err != nil {
		return &StartError{Err: err}
	}
	n := &node{}
	defer func() { err = errors.Join(err, n.close()) }()
	if err := a.openStores(ctx, n); err != nil {
		return &StartError{Err: err}
	}
	dir, err := a.newDirectory(ctx, n, audit.New(audit.Config{DB: n.db, Log: log}), nil)
	if err != nil {
		return &StartError{Err: err}
	}
	return fn(ctx, dir)
}
