package main

import (
	"context"
	"fmt"
	"strconv"

	"commsd/directory"
	"commsd/identity"
)

type agencyCmd struct {
	Add  agencyAddCmd  `cmd:"" help:"Add an agency."`
	List agencyListCmd `cmd:"" help:"List the agencies."`
}

type agencyAddCmd struct {
	Config     string   `help:"YAML file with the configuration of the server." placeholder:"FILE"`
	Identifier string   `help:"Electronic identifier, root first: G09, H26.05." required:"" placeholder:"ID"`
	Name       string   `help:"Name of the agency." required:"" placeholder:"NAME"`
	NameEN     string   `name:"name-en" help:"Its English name." placeholder:"NAME"`
	ShortName  string   `help:"Its short name." placeholder:"NAME"`
	Alias      []string `help:"Former identifier, leaf first: 000.00.00.G09; may be given again." placeholder:"ID"`
	Domain     []string `help:"Mail domain, the main one first; may be given again." placeholder:"DOMAIN"`
	Parent     string   `help:"Identifier of the agency above." placeholder:"ID"`
}

func (c *agencyAddCmd) Run(ctx context.Context) error {
	return onDirectory(ctx, c.Config, func(ctx context.Context, d *directory.Service) error {
		var parent identity.AgencyID
		if c.Parent != "" {
			above, err := d.ResolveAgency(ctx, c.Parent)
			if err != nil {
				return err
			}
			parent = above.ID
		}
		r, err := d.CreateAgency(ctx, directory.CommandLine(), directory.NewAgency{Identifier: c.Identifier, Aliases: c.Alias, Name: c.Name,
			NameEN: c.NameEN, ShortName: c.ShortName, Parent: parent, Domains: c.Domain})
		if err == nil {
			fmt.Printf("added agency %s, %s (%s)\n", r.Identifier, r.Name, r.ID)
		}
		return err
	})
}

type agencyListCmd struct {
	Config string `help:"YAML file with the configuration of the server." placeholder:"FILE"`
}

func (c *agencyListCmd) Run(ctx context.Context) error {
	return onDirectory(ctx, c.Config, func(ctx context.Context, d *directory.Service) error {
		agencies, err := d.Agencies(ctx)
		if err != nil {
			return err
		}
		lines := [][]string{{"IDENTIFIER", "NAME", "PEOPLE", "ID"}}
		for _, a := range agencies {
			lines = append(lines, []string{a.Identifier, a.Name, strconv.Itoa(a.People), string(a.ID)})
		}
		return table(lines)
	})
}
