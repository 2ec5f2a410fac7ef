package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"commsd/app"
	"commsd/directory"
	"commsd/internal/errcode"
)

// onDirectory runs fn on the directory of a configuration. What a person at the
// terminal may read of an error is what a page would show, with nothing around.
func onDirectory(ctx context.Context, config string, fn func(context.Context, *directory.Service) error) error {
	cfg, err := load(config)
	if err != nil {
		return err
	}
	err = app.OnDirectory(ctx, cfg, app.NewLogger(os.Stderr, cfg.Log), fn)
	if start := (*app.StartError)(nil); err == nil || errors.As(err, &start) || errcode.Of(err) == errcode.Internal {
		return err
	}
	return errors.New(errcode.Message(err))
}

// table writes lines of cells, the first line being their names.
func table(lines [][]string) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, cells := range lines {
		for i, cell := range cells {
			cells[i] = cmp.Or(cell, "-")
		}
		if _, err := fmt.Fprintln(w, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}
