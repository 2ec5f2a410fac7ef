package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/mod/sumdb/note"

	"commsd/app"
	"commsd/audit"
	"commsd/identity"
)

type auditCmd struct {
	Verify       auditVerifyCmd       `cmd:"" help:"Check that nobody changed or removed anything of the audit log."`
	Export       auditExportCmd       `cmd:"" help:"Write the audit log as JSON lines that verify away from the database."`
	VerifyExport auditVerifyExportCmd `cmd:"" help:"Check an export with nothing but the key of the log."`
}

// load reads a configuration for a command beside the server.
func load(config string) (app.Config, error) {
	cfg, err := app.Load(config, os.Environ(), false)
	if err != nil {
		return cfg, &app.StartError{Err: err}
	}
	return cfg, nil
}

type auditVerifyCmd struct {
	Config     string `help:"YAML file with the configuration of the server." placeholder:"FILE"`
	Checkpoint string `help:"Signed head that was kept outside; the log must continue it." placeholder:"FILE"`
	Since      string `help:"Signed head up to which the log was verified before; only what came after is read." placeholder:"FILE"`
	Save       string `help:"Write the newest signed head here, to be kept outside for --checkpoint and --since." placeholder:"FILE"`
}

func (c *auditVerifyCmd) Run(ctx context.Context) error {
	cfg, err := load(c.Config)
	if err != nil {
		return err
	}
	v := app.AuditVerification{Progress: progress(time.Now)}
	for _, f := range []struct {
		flag, name string
		to         *[]byte
	}{{"--checkpoint", c.Checkpoint, &v.Checkpoint}, {"--since", c.Since, &v.Since}} {
		if f.name == "" {
			continue
		}
		if *f.to, err = os.ReadFile(f.name); err != nil {
			return &app.StartError{Err: fmt.Errorf("%s: cannot read the file: %w", f.flag, err)}
		}
	}
	r, err := app.VerifyAudit(ctx, cfg, app.NewLogger(os.Stderr, cfg.Log), v)
	if err != nil {
		return err
	}
	tellVerified(r)
	if len(r.Problems) > 0 {
		return fmt.Errorf("the audit log is not as it was recorded: %d problems, the first at %s", int64(len(r.Problems))+r.More, r.Problems[0])
	}
	if c.Save != "" && r.Newest != nil {
		if err := os.WriteFile(c.Save, []byte(r.Newest.Note), 0o644); err != nil { //nolint:gosec // it is public
			return fmt.Errorf("--save: %w", err)
		}
	}
	return nil
}

// progress tells on standard error how far a verification is, every two
// seconds.
func progress(now func() time.Time) func(done, total int64) {
	last := now()
	return func(done, total int64) {
		if now().Sub(last) < 2*time.Second && done < total {
			return
		}
		last = now()
		fmt.Fprintf(os.Stderr, "%d of %d events (%d %%)\n", done, total, 100*done/max(total, 1))
	}
}

func tellVerified(r *audit.VerifyReport) {
	fmt.Printf("key:      %s\nevents:   %d in the tree, %d of them read and recomputed\n", r.Key, r.Size, r.Checked)
	if r.Newest != nil {
		fmt.Printf("heads:    %d checked, the newest of %d events at %s\n", r.Checkpoints, r.Newest.Size, r.Newest.At.Format(time.RFC3339))
	}
	if r.Backlog > 0 {
		fmt.Printf("waiting:  %d events for the tree, the oldest since %s\n", r.Backlog, r.WaitingSince.Format(time.RFC3339))
	} else {
		fmt.Println("waiting:  nothing")
	}
	fmt.Printf("erased:   the payloads of %d events, their time had come\n", r.Erased)
	for _, p := range r.Problems {
		fmt.Println("PROBLEM: ", p)
	}
	if r.More > 0 {
		fmt.Printf("PROBLEM:  and %d more\n", r.More)
	}
	if len(r.Problems) == 0 {
		fmt.Println("sound:    every event is as it was recorded")
	}
}

// moment is a time as a flag names it.
type moment struct{ time.Time }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *moment) UnmarshalText(text []byte) error {
	vietnam, err := time.LoadLocation("Asia/Ho_Chi_Minh")
	if err != nil {
		return fmt.Errorf("load the time zone: %w", err)
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if m.Time, err = time.ParseInLocation(layout, string(text), vietnam); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%q is no time: write a day as 2026-11-25 or a moment as 2026-11-25T08:00:00+07:00", text)
}

type auditExportCmd struct {
	Config     string `help:"YAML file with the configuration of the server." placeholder:"FILE"`
	Output     string `help:"File to write; without it standard output." short:"o" placeholder:"FILE"`
	From       moment `help:"First day or moment: 2026-11-25 (as the day begins in Viet Nam) or 2026-11-25T08:00:00+07:00." placeholder:"TIME"`
	Until      moment `help:"First day or moment that is no longer in." placeholder:"TIME"`
	Action     string `help:"Such as account.sign_in; docs/audit.md lists them."`
	Outcome    string `help:"ok, denied or failed." enum:"ok,denied,failed," default:""`
	Person     string `help:"Id of who acted."`
	Agency     string `help:"Id of the agency of who acted, or of the object."`
	ObjectKind string `help:"With --object-id."`
	ObjectID   string `name:"object-id" help:"With --object-kind."`
	Address    string `help:"Remote IP address."`
}

func (c *auditExportCmd) Run(ctx context.Context) (err error) {
	cfg, err := load(c.Config)
	if err != nil {
		return err
	}
	out := os.Stdout
	if c.Output != "" {
		if out, err = os.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
			return &app.StartError{Err: fmt.Errorf("--output: %w", err)}
		}
		defer func() { err = errors.Join(err, out.Close()) }()
	}
	n, err := app.ExportAudit(ctx, cfg, app.NewLogger(os.Stderr, cfg.Log), audit.Filter{
		From: c.From.Time, Until: c.Until.Time, Action: identity.Action(c.Action), Outcome: c.Outcome, Person: identity.PersonID(c.Person),
		Agency: identity.AgencyID(c.Agency), Object: identity.ObjectRef{Kind: c.ObjectKind, ID: c.ObjectID}, Address: c.Address,
	}, out)
	if err == nil {
		fmt.Fprintln(os.Stderr, n, "events exported")
	}
	return err
}

type auditVerifyExportCmd struct {
	File string `arg:"" help:"The export; - reads standard input."`
	Key  string `help:"Key of the log, as commsd audit verify prints it." required:""`
}

func (c *auditVerifyExportCmd) Run() error {
	key, err := note.NewVerifier(c.Key)
	if err != nil {
		return &app.StartError{Err: fmt.Errorf("--key: not a key of a log; take it from commsd audit verify: %w", err)}
	}
	in := os.Stdin
	if c.File != "-" {
		if in, err = os.Open(c.File); err != nil {
			return &app.StartError{Err: err}
		}
		defer in.Close()
	}
	r, err := audit.VerifyExport(in, key)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	kind := "a part of the log"
	if r.Complete {
		kind = "the whole log"
	}
	fmt.Printf("events:   %d, %s, against the head signed of %d\nerased:   the payloads of %d events\nsound:    every event is as it was recorded\n",
		r.Events, kind, r.Checkpoint.Size, r.Erased)
	return nil
}
