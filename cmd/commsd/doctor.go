package main

import (
	"context"
	"errors"
	"net"
	"os"

	"commsd/app"
	"commsd/app/doctor"
)

type doctorCmd struct {
	Config string `help:"YAML file with the configuration; without it the embedded defaults hold." placeholder:"FILE"`
	Demo   bool   `help:"As for serve --demo."`
	DNS    string `help:"Name server to ask instead of the machine's." placeholder:"HOST:PORT"`
}

var errUnsound = errors.New("something fails; each line above says the cure")

func (c *doctorCmd) Run(ctx context.Context) error {
	cfg, err := app.Load(c.Config, os.Environ(), c.Demo)
	if err != nil {
		return &app.StartError{Err: err}
	}
	dc := doctor.Config{App: cfg}
	if c.DNS != "" {
		if _, _, err := net.SplitHostPort(c.DNS); err != nil {
			return &app.StartError{Err: errors.New("--dns: write host:port, such as 192.0.2.53:53")}
		}
		dc.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, c.DNS)
		}}
	}
	failed, err := doctor.Write(os.Stdout, doctor.New(dc).Examine(ctx))
	if err != nil {
		return err
	}
	if failed {
		return errUnsound
	}
	return nil
}
