package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"commsd/audit"
	"commsd/directory"
	"commsd/internal/bus"
	"commsd/internal/secret"
	"commsd/internal/sqldb"
)

// StaffList is a staff list that ImportStaff compares and, when told to,
// applies.
type StaffList struct {
	Agency   string // its identifier: H26
	FileName string
	Data     []byte
	Apply    bool
	Override bool // more people may leave than one list may end

	Compared func(directory.Import, []directory.ImportEntry) // told what the list changes, or its problems, before anything is applied
	Progress func(done, total int)                           // told every second while it is applied
}

// ImportStaff compares a staff list with the directory of an installation, as
// the server's import does, and applies it. It works on the database directly:
// with SQLite, while no server runs on it.
func ImportStaff(ctx context.Context, cfg Config, log *slog.Logger, list StaffList) (i directory.Import, err error) {
	err = stored(ctx, cfg, log, alone, func(db *sqldb.DB, _ *secret.Store) (err error) {
		hints, err := bus.Open(ctx, bus.Config{})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, hints.Close()) }()
		s, err := directory.New(directory.Config{DB: db, Bus: hints, Audit: audit.New(audit.Config{}), Domain: cfg.Domain, Log: log, Imports: cfg.imports()})
		if err != nil {
			return err
		}
		agency, err := s.ResolveAgency(ctx, list.Agency)
		if err != nil {
			return err
		}
		actor := directory.CommandLine()
		if i, err = s.PreviewImport(ctx, actor, agency.ID, list.FileName, list.Data); err != nil {
			return err
		}
		entries, err := s.ImportEntries(ctx, actor, i.ID, "", 0, 1000)
		if err != nil {
			return err
		}
		list.Compared(i, entries)
		if !list.Apply || i.State == directory.ImportRefused {
			return nil
		}
		if i, err = s.BeginImport(ctx, actor, i.ID, list.Override); err != nil {
			return err
		}
		done := make(chan error, 1)
		go func() { done <- s.FinishImport(ctx, i.ID) }()
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case err = <-done:
				if err == nil {
					i, err = s.Import(ctx, actor, i.ID)
				}
				return err
			case <-tick.C:
				if now, err := s.Import(ctx, actor, i.ID); err == nil { // the next second may tell
					list.Progress(now.Done, now.Total)
				}
			}
		}
	})
	return i, err
}
