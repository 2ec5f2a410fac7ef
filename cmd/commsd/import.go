package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"commsd/app"
	"commsd/directory"
	"commsd/internal/errcode"
)

type importCmd struct {
	Config   string `help:"YAML file with the configuration of the server." placeholder:"FILE"`
	Agency   string `required:"" help:"Identifier of the agency, root first." placeholder:"H26"`
	Apply    bool   `help:"Apply the list. Without it the list is only compared, and nothing changes."`
	Override bool   `name:"override-leaves" help:"Let more people leave than import.max_leave_share allows."`
	File     string `arg:"" help:"Staff list: CSV in UTF-8 whose first line names the columns." type:"path"`
}

func (c *importCmd) Run(ctx context.Context) error {
	cfg, err := load(c.Config)
	if err != nil {
		return err
	}
	info, err := os.Stat(c.File)
	if err != nil {
		return &app.StartError{Err: fmt.Errorf("cannot read the list: %w", err)}
	}
	if info.Size() > int64(cfg.Import.MaxBytes) {
		return &app.StartError{Err: fmt.Errorf("%s has %d bytes, more than import.max_bytes (%d): split the list by unit, or raise the limit", c.File, info.Size(), cfg.Import.MaxBytes)}
	}
	data, err := os.ReadFile(c.File)
	if err != nil {
		return &app.StartError{Err: fmt.Errorf("cannot read the list: %w", err)}
	}
	i, err := app.ImportStaff(ctx, cfg, app.NewLogger(os.Stderr, cfg.Log), app.StaffList{
		Agency: c.Agency, FileName: filepath.Base(c.File), Data: data, Apply: c.Apply, Override: c.Override,
		Compared: tellCompared,
		Progress: func(done, total int) { fmt.Fprintf(os.Stderr, "%d of %d people\n", done, total) },
	})
	if err != nil {
		if start := (*app.StartError)(nil); errors.As(err, &start) || errcode.Of(err) == errcode.Internal {
			return err
		}
		return errors.New(errcode.Message(err))
	}
	switch {
	case i.State == directory.ImportRefused:
		return fmt.Errorf("nothing was imported; problems in the list: %d", i.ProblemCount)
	case i.State == directory.ImportApplied:
		fmt.Printf("applied: %d people changed, %d left as they were\n", i.Done-i.Skipped, i.Skipped)
	case i.NeedsForce:
		fmt.Printf("nothing has changed yet; %d people would leave, more than the %d that one list may end: look whether the list is whole, then --apply --override-leaves\n", i.Leaves, i.MayLeave)
	default:
		fmt.Println("nothing has changed yet: run it again with --apply")
	}
	return nil
}

func tellCompared(i directory.Import, entries []directory.ImportEntry) {
	for _, p := range i.Problems {
		where := "the list"
		if p.Row > 0 {
			where = fmt.Sprintf("line %d", p.Row)
		}
		if p.Column != "" {
			where += ", " + p.Column
		}
		value := ""
		if p.Value != "" {
			value = fmt.Sprintf(" (%q)", p.Value)
		}
		fmt.Printf("%s: %s%s: %s\n", where, p.Text, value, p.Cure)
	}
	if i.ProblemCount > 0 {
		return
	}
	for _, e := range entries {
		fmt.Printf("%s\t%s\t%s", e.Kind, e.Key, e.Name)
		for _, f := range e.Fields {
			fmt.Printf("\t%s: %q → %q", f.Name, f.Old, f.New)
		}
		fmt.Println()
	}
	if i.Total > len(entries) {
		fmt.Printf("… and %d more\n", i.Total-len(entries))
	}
	fmt.Printf("%d lines: %d new, %d changed, %d moved, %d leave, %d as before\n", i.Rows, i.Adds, i.Changes, i.Moves, i.Leaves, i.Unchanged)
}
