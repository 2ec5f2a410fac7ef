package main

import (
	"context"
	"fmt"
	"time"

	"commsd/directory"
	"commsd/identity"
	"commsd/internal/errcode"
)

type personCmd struct {
	Add     personAddCmd     `cmd:"" help:"Add a person with a position."`
	List    personListCmd    `cmd:"" help:"List people."`
	Disable personDisableCmd `cmd:"" help:"Let an account sign in no more and end what it has open."`
	Enable  personEnableCmd  `cmd:"" help:"Let a disabled account sign in again."`
}

type personAddCmd struct {
	Config  string `help:"YAML file with the configuration of the server." placeholder:"FILE"`
	Name    string `help:"Họ đệm tên." required:"" placeholder:"NAME"`
	Address string `help:"Mail address, in a domain of the agency; without it the person has no mailbox." placeholder:"ADDRESS"`
	Agency  string `help:"Identifier of the agency." required:"" placeholder:"ID"`
	Unit    string `help:"Name or id of the unit." required:"" placeholder:"UNIT"`
	NewUnit bool   `help:"Add the unit at the root of the agency when there is none of that name."`
	Title   string `help:"Title of the position (chức danh)." required:"" placeholder:"TITLE"`
	Account bool   `help:"Make an account too and print a one-time code for the first sign-in."`
}

func (c *personAddCmd) Run(ctx context.Context) error {
	operator := directory.CommandLine()
	return onDirectory(ctx, c.Config, func(ctx context.Context, d *directory.Service) error {
		agency, err := d.ResolveAgency(ctx, c.Agency)
		if err != nil {
			return err
		}
		unit, err := d.UnitByName(ctx, agency.ID, c.Unit)
		if errcode.Of(err) == errcode.NotFound && c.NewUnit {
			var made directory.UnitRecord
			made, err = d.CreateUnit(ctx, operator, directory.NewUnit{Agency: agency.ID, Name: c.Unit})
			unit = made.ID
		}
		if err != nil {
			return err
		}
		n := directory.NewPerson{Address: c.Address, Position: &directory.NewPosition{Unit: unit, Title: c.Title}}
		n.Family, n.Middle, n.Given = directory.SplitName(c.Name)
		r, err := d.CreatePerson(ctx, operator, n)
		if err != nil {
			return err
		}
		fmt.Printf("added %s (%s)\n", r.Name, r.ID)
		if !c.Account {
			return nil
		}
		if _, err := d.CreateAccount(ctx, operator, r.ID); err != nil {
			return err
		}
		code, err := d.MakeCode(ctx, operator, r.ID, false, false)
		if err == nil {
			fmt.Printf("login %s, one-time code %s until %s\n", r.Address, code.Code, code.ExpiresAt.Format(time.RFC3339))
		}
		return err
	})
}

type personListCmd struct {
	Config string `help:"YAML file with the configuration of the server." placeholder:"FILE"`
	Agency string `help:"Identifier of an agency; without it all people, those without a position too." placeholder:"ID"`
	Limit  int    `help:"People at most." default:"1000"`
	Query  string `arg:"" optional:"" help:"Beginnings of words of the name, with or without marks."`
}

func (c *personListCmd) Run(ctx context.Context) error {
	return onDirectory(ctx, c.Config, func(ctx context.Context, d *directory.Service) error {
		people, err := d.Roll(ctx, directory.CommandLine(), c.Agency, c.Query, c.Limit)
		if err != nil {
			return err
		}
		lines := [][]string{{"NAME", "ADDRESS", "ACCOUNT", "TITLE", "UNIT", "AGENCY"}}
		for _, p := range people {
			lines = append(lines, []string{p.Name, p.Address, p.Account, p.Title, p.Unit, p.Agency})
		}
		return table(lines)
	})
}

type personDisableCmd struct {
	Config  string `help:"YAML file with the configuration of the server." placeholder:"FILE"`
	Address string `arg:"" help:"Mail address of the person."`
	Reason  string `help:"Why, for the audit log." required:"" placeholder:"TEXT"`
}

func (c *personDisableCmd) Run(ctx context.Context) error {
	return onPerson(ctx, c.Config, c.Address, "disabled", func(ctx context.Context, d *directory.Service, id identity.PersonID) error {
		return d.DisablePerson(ctx, directory.CommandLine(), id, c.Reason)
	})
}

type personEnableCmd struct {
	Config  string `help:"YAML file with the configuration of the server." placeholder:"FILE"`
	Address string `arg:"" help:"Mail address of the person."`
	Reason  string `help:"Why, for the audit log." required:"" placeholder:"TEXT"`
}

func (c *personEnableCmd) Run(ctx context.Context) error {
	return onPerson(ctx, c.Config, c.Address, "enabled", func(ctx context.Context, d *directory.Service, id identity.PersonID) error {
		return d.EnablePerson(ctx, directory.CommandLine(), id, c.Reason)
	})
}

// onPerson does what done says to the account of a mail address.
func onPerson(ctx context.Context, config, address, done string, do func(context.Context, *directory.Service, identity.PersonID) error) error {
	return onDirectory(ctx, config, func(ctx context.Context, d *directory.Service) error {
		id, err := d.ResolveAddress(ctx, address)
		if err != nil {
			return err
		}
		if err := do(ctx, d, id); err != nil {
			return err
		}
		fmt.Printf("%s the account of %s\n", done, address)
		return nil
	})
}
