package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/secret"
	"commsd/internal/sqldb"
)

// access is how a command opens the database of an installation.
type access int

const (
	alone  access = iota // a server on SQLite has to be stopped first
	reads                // beside the server
	beside               // beside the server, with a row or two to write
)

// stored opens the database and the key of an installation that has served
// before; nothing is made. fn runs on them.
func stored(ctx context.Context, cfg Config, log *slog.Logger, as access, fn func(*sqldb.DB, *secret.Store) error) (err error) {
	file := cfg.SecretKeyFile
	if file == "" {
		file = filepath.Join(cfg.DataDir, "secret.key")
	}
	if _, err := os.Stat(file); err != nil {
		return &StartError{Err: keyErrorf("secret_key_file", "cannot read %s: %w; name the configuration that the server runs with", file, err)}
	}
	key, err := secret.OpenKey(file)
	if err != nil {
		return &StartError{Err: err}
	}
	db, err := sqldb.Open(ctx, sqldb.Config{URL: cfg.Database.URL, DataDir: cfg.DataDir, MaxConns: 4, Log: log,
		ReadOnly: as == reads, Beside: as == beside})
	if err != nil {
		return &StartError{Err: err}
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return fn(db, secret.New(db, key))
}

// AuditVerification is what VerifyAudit checks beside the log itself.
type AuditVerification struct {
	Checkpoint []byte // a signed head that was kept outside; empty: none
	Since      []byte // a signed head up to which the log was verified before; empty: none
	Progress   func(done, total int64)
}

// VerifyAudit checks the audit log of an installation, which may be serving
// meanwhile.
func VerifyAudit(ctx context.Context, cfg Config, log *slog.Logger, v AuditVerification) (report *audit.VerifyReport, err error) {
	err = stored(ctx, cfg, log, reads, func(db *sqldb.DB, secrets *secret.Store) error {
		report, err = audit.Verify(ctx, audit.VerifyConfig{DB: db, Secrets: secrets, Checkpoint: v.Checkpoint, Since: v.Since, Progress: v.Progress})
		return err
	})
	return report, err
}

// ExportAudit writes the audit log of an installation, or a part of it, to w as
// JSON lines, and records that in it. The installation may be serving meanwhile.
func ExportAudit(ctx context.Context, cfg Config, log *slog.Logger, f audit.Filter, w io.Writer) (n int64, err error) {
	err = stored(ctx, cfg, log, beside, func(db *sqldb.DB, secrets *secret.Store) error {
		keeper, err := audit.NewService(audit.ServiceConfig{
			DB: db, Log: audit.New(audit.Config{}), Secrets: secrets, Permissions: nobodyAsks{}, Names: nobodyAsks{}, Domain: cfg.Domain, Logger: log,
		})
		if err != nil {
			return err
		}
		n, err = keeper.ExportAll(ctx, f, w)
		return err
	})
	return n, err
}

// nobodyAsks stands for the directory where whoever runs the command has the
// server's files: nobody is signed in.
type nobodyAsks struct{}

func (nobodyAsks) Check(identity.Actor, identity.Action, identity.Object) identity.Decision {
	return identity.Decision{Reason: "nobody_signed_in"}
}

func (nobodyAsks) People(context.Context, []identity.PersonID) (map[identity.PersonID]identity.Person, error) {
	return map[identity.PersonID]identity.Person{}, nil
}

func (nobodyAsks) AgencyNames(context.Context, []identity.AgencyID) (map[identity.AgencyID]string, error) {
	return map[identity.AgencyID]string{}, nil
}
