// Command commsd serves meetings, chat, mail and documents to the officials of
// government agencies over one directory. Each subcommand has its own file.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // closed networks run images without a time zone database

	"github.com/alecthomas/kong"

	"commsd/app"
	"commsd/internal/errcode"
)

// version is set by the build: -ldflags "-X main.version=…".
var version = "dev"

type cli struct {
	Serve   serveCmd   `cmd:"" help:"Run a node."`
	Doctor  doctorCmd  `cmd:"" help:"Check configuration, storage, clock, certificates, ports and names, and say the cure."`
	Admin   adminCmd   `cmd:"" help:"Administrators of the installation: create."`
	Agency  agencyCmd  `cmd:"" help:"Agencies: add, list."`
	Person  personCmd  `cmd:"" help:"People and their accounts: add, list, disable, enable."`
	Import  importCmd  `cmd:"" help:"Compare a staff list (CSV) with an agency, and apply it."`
	Audit   auditCmd   `cmd:"" help:"The audit log: verify, export."`
	OpenAPI openAPICmd `cmd:"" name:"openapi" help:"Print the OpenAPI document of the HTTP API."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

type versionCmd struct{}

func (versionCmd) Run() error {
	fmt.Println("commsd", version)
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:]))
}

// run returns the exit code: 0 done, 1 failed while running, 2 refused to
// start (wrong flags or configuration), said in one line.
func run(ctx context.Context, args []string) int {
	parser, err := kong.New(&cli{}, kong.Name("commsd"), kong.Description("Meetings, chat, mail and documents for government agencies."),
		kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		fmt.Fprintln(os.Stderr, "commsd:", err)
		return 2
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "commsd:", err, "(see commsd --help)")
		return 2
	}
	err = command.Run()
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "commsd:", words(err))
	if start := (*app.StartError)(nil); errors.As(err, &start) {
		return 2
	}
	return 1
}

// words are what of err is for the person at the terminal: where it has words
// for people and no cause beside them, those.
func words(err error) string {
	var e *errcode.Error
	if errors.As(err, &e) && e.Code != errcode.Internal && e.Cause == nil {
		return e.Message
	}
	return err.Error()
}
